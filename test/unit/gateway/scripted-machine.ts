/** A machine whose kernel a test plays: namespaces are names, devices are scripted. */
import type { Machine } from '../../../src/gateway/machine.js';
import type { NetworkPlan } from '../../../src/gateway/plan.js';
import { CulvertError } from '../../../src/errors.js';
import { ScriptedDevice } from './scripted-device.js';

export class ScriptedMachine implements Machine {
  readonly namespaces = new Set<string>();
  /** Every device ever opened, by its network; the last one. */
  readonly devices = new Map<string, ScriptedDevice>();
  /** What was done, in order. */
  readonly history: string[] = [];
  /** The network whose device cannot be opened. */
  broken = '';
  /** The device that takes no further route. */
  routeless = '';

  hasNamespace(name: string): boolean {
    return this.namespaces.has(name);
  }

  addNamespace(name: string): void {
    this.history.push(`+${name}`);
    this.namespaces.add(name);
  }

  removeNamespace(name: string): void {
    this.history.push(`-${name}`);
    this.namespaces.delete(name);
  }

  openDevice(plan: NetworkPlan): ScriptedDevice {
    if (plan.name === this.broken) throw new CulvertError('TUN_NAME_TAKEN', `${plan.device} is taken`);
    const device = new ScriptedDevice(plan.device);
    this.devices.set(plan.name, device);
    this.history.push(`open ${plan.device}`);
    return device;
  }

  addRoute(namespace: string | null, device: string, route: string): void {
    if (device === this.routeless) throw new CulvertError('IP_COMMAND_FAILED', `${device} takes no route`);
    this.history.push(`${namespace ?? 'here'}: +${route} ${device}`);
  }

  removeRoute(namespace: string | null, device: string, route: string): void {
    this.history.push(`${namespace ?? 'here'}: -${route} ${device}`);
  }

  device(network: string): ScriptedDevice {
    return this.devices.get(network)!;
  }
}
