/** A machine whose kernel a test plays: namespaces are names, devices are scripted, workers run in this thread. */
import type { Machine } from '../../../src/gateway/machine.js';
import type { NetworkPlan } from '../../../src/gateway/plan.js';
import { type HostedPlane, hostedPlane } from '../../../src/gateway/workers/hosted-plane.js';
import type { StartThread, ThreadEvents } from '../../../src/gateway/workers/plane-calls.js';
import { CulvertError } from '../../../src/errors.js';
import { ScriptedDevice } from './scripted-device.js';

export class ScriptedMachine implements Machine {
  readonly namespaces = new Set<string>();
  /** Every device ever opened, by its network; the last one. With workers: the last one's queue. */
  readonly devices = new Map<string, ScriptedDevice>();
  /** Workers that run, and whom they tell. */
  readonly workers: { readonly hosted: HostedPlane; readonly events: ThreadEvents }[] = [];
  ended = 0;
  /** What was done, in order. */
  readonly history: string[] = [];
  /** The network whose device cannot be opened. */
  broken = '';
  /** The device that takes no further route. */
  routeless = '';

  clock(): () => number {
    return () => performance.now();
  }

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

  private openQueue(plan: NetworkPlan, first: boolean): ScriptedDevice {
    if (first) return this.openDevice(plan);
    const device = new ScriptedDevice(plan.device, this.devices.get(plan.name)!.written);
    this.devices.set(plan.name, device);
    return device;
  }

  setUp({ device }: NetworkPlan): void {
    if (device === this.broken) throw new CulvertError('IP_COMMAND_FAILED', `${device} cannot be set up`);
    this.history.push(`set up ${device}`);
  }

  readonly startThread: StartThread = (data, events) => {
    const hosted = hostedPlane(data, {
      openQueue: (plan, _offload, first) => this.openQueue(plan, first),
      clock: this.clock(),
      wake: (worker) => this.workers[worker]!.hosted.pump.wake(),
      tell: (what) => events.told(structuredClone(what)),
    });
    this.workers[data.index] = { hosted, events };
    return Promise.resolve({
      ask: (what, ...args) => {
        const answer = (): unknown => structuredClone(hosted.ask(what, structuredClone(args)));
        return answer as () => never;
      },
      askFlows: (query) => {
        void hosted.plane.flows(query).then((report) => events.told({ told: 'flows', report }));
      },
      end: () => {
        this.ended++;
        return Promise.resolve();
      },
    });
  };

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
