/** The data plane in this thread: one pump, and the devices in it by network. */
import type { PacketDevice } from '../device/device.js';
import { CulvertError } from '../errors.js';
import type { Topology } from '../translate/topology.js';
import {
  type AttachedDevice,
  type DataPlane,
  type DrainedAddress,
  type NatAddresses,
  type NetworkRole,
  NO_EVENTS,
} from './data-plane.js';
import { type FlowQuery, type FlowReport, reportFlows } from './flow-report.js';
import type { NetworkPlan } from './plan.js';
import { type PlaneReport, reportPlane } from './plane-report.js';
import { type BackendPortUse, backendPortUse } from './port-use.js';
import type { OwnPackets, Port, Pump } from './pump.js';
import type { TapOptions, TapReader } from './tap/tap.js';
import { Taps } from './tap/taps.js';

export class LocalPlane implements DataPlane {
  readonly pump: Pump;
  events = NO_EVENTS;
  private readonly openDevice: (plan: NetworkPlan, offload: boolean) => PacketDevice;
  private readonly ports = new Map<string, Port>();
  private readonly taps: Taps;

  /** @param pump one without devices, whose `onGone` is the caller's own */
  constructor(pump: Pump, openDevice: (plan: NetworkPlan, offload: boolean) => PacketDevice) {
    this.pump = pump;
    this.openDevice = openDevice;
    this.taps = new Taps(pump, (port) => this.networkOf(port));
    pump.onTick = () => {
      this.events.tick();
    };
  }

  /** @param number as of Pump.add */
  attach(plan: NetworkPlan, offload: boolean, number = 0): AttachedDevice {
    const device = this.openDevice(plan, offload);
    this.ports.set(plan.name, this.pump.add(device, -1, new Int32Array(0), number));
    return { name: device.name, mtu: device.mtu, offload: device.offload };
  }

  detach(network: string): void {
    const port = this.ports.get(network);
    if (port === undefined) return;
    this.pump.remove(port);
    this.ports.delete(network);
    port.device.close();
  }

  assign(roles: readonly NetworkRole[]): void {
    // The translator keeps the numbers of networks over reloads; a lab file's own order may change.
    const { networks } = this.pump.translator.tables;
    this.pump.assign(
      roles.map(({ network, consumer, natAddresses }) => {
        const port = this.ports.get(network);
        if (port === undefined) throw new Error(`no interface of ${network}`);
        return [port, consumer ? networks.indexOf(network) : -1, natAddresses];
      }),
    );
  }

  listen(network: string, probes: OwnPackets): void {
    this.ports.get(network)!.probes = probes;
  }

  send(network: string, packet: Buffer): void {
    const port = this.ports.get(network);
    if (port !== undefined) this.pump.send(port, packet);
  }

  apply(topology: Topology, moved: readonly number[], roles: readonly NetworkRole[]): number {
    const translator = this.pump.attend();
    const { tables } = translator;
    let flows = 0;
    for (const { network, address } of tables.apply(topology)) {
      // Flows that began before a header changed have a record of their own at the same address; a record that has just
      // come in the place of another has no flows yet.
      for (const e of tables.endpoints) {
        if (e.network === network && e.address === address) flows += translator.endFlowsOf(e.index);
      }
    }
    for (const address of moved) flows += translator.endFlowsOn(address);
    this.assign(roles);
    return flows;
  }

  natAddresses(): NatAddresses {
    const { links } = this.pump.translator.tables;
    return {
      given: links.flatMap((link) => [...link.natAddresses]),
      draining: links.flatMap((link) => [...link.draining]),
    };
  }

  settle(): DrainedAddress[] {
    const { tables } = this.pump.translator;
    const left = tables.settle();
    tables.natPools.drop(this.pump.now);
    return left.map(({ link, address }) => ({ service: link.name, address }));
  }

  setHealth(probe: string, backend: number, up: boolean): void {
    this.pump.translator.tables.setHealth(probe, backend, up);
  }

  serves(backend: number): boolean {
    return this.pump.translator.tables.serves(backend);
  }

  takesFlows(service: string, protocol: number, frontendPort: number, backend: number): boolean {
    const { tables } = this.pump.translator;
    const rule = tables.links.find(({ name }) => name === service)?.rules.get((protocol << 16) | frontendPort);
    return rule === undefined || tables.takesFlows(rule, backend | 0);
  }

  liveFlows(): number {
    return this.pump.translator.flows.count;
  }

  portUse(from: number): BackendPortUse[] {
    return backendPortUse(this.pump.translator.tables, this.pump.now, from);
  }

  report(): PlaneReport {
    return reportPlane(this.pump, this.ports, this.taps.status);
  }

  flows(query: FlowQuery): Promise<FlowReport> {
    return reportFlows(this.pump.attend(), query);
  }

  tap(options: TapOptions, reader: TapReader): () => void {
    const { tables } = this.pump.translator;
    const known = (what: string, name: string | undefined, names: readonly string[]): void => {
      if (name === undefined || names.includes(name)) return;
      throw new CulvertError('CONTROL_REQUEST', `there is no ${what} '${name}'; there are: ${names.join(', ')}`);
    };
    known('consumer network', options.network, [...new Set(tables.endpoints.map((e) => tables.networks[e.network]!))]);
    known('private link service', options.link, [...new Set(tables.links.map((link) => link.name))]);
    if (this.taps.isFull) throw new CulvertError('CONTROL_REFUSED', 'as many taps run as a gateway has: end one');
    const tap = this.taps.add(options, reader);
    return () => this.taps.remove(tap);
  }

  close(): void {
    this.pump.close();
    this.taps.removeAll();
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  private networkOf(port: Port): string {
    return [...this.ports].find(([, each]) => each === port)?.[0] ?? port.device.name;
  }
}
