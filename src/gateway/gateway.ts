/**
 * A running gateway: a lab on this machine's interfaces.
 *
 * In the order of a life: `start` takes the lab's name, removes what a killed run left, makes namespaces and
 * interfaces, and opens the control socket and the metrics; `reload` takes a changed lab file for new flows; `stop`
 * removes all that was made.
 */
import path from 'node:path';
import { type LabCapacity, labCapacity } from '../config/capacity.js';
import { type LabConfig, loadLab } from '../config/index.js';
import { CulvertError } from '../errors.js';
import { optionsOf } from '../replay/settings.js';
import { Attachments } from './attachments.js';
import { ControlServer } from './control-server.js';
import type { FlowQuery, FlowReport } from './flow-report.js';
import { reportFlows } from './flow-report.js';
import type { Log } from './log.js';
import { notices } from './log.js';
import { type Machine, thisMachine } from './machine.js';
import { MetricsServer } from './metrics.js';
import { type NetworkPlan, planNetworks } from './plan.js';
import { PortWatch } from './port-use.js';
import { Prober } from './probes/prober.js';
import { type Port, Pump } from './pump.js';
import { labName, runDirectory, RunState } from './run-state.js';
import { type GatewayStatus, type Reloads, reportStatus } from './status.js';
import { formatAddress } from '../wire/address.js';
import type { TapOptions, TapReader } from './tap/tap.js';
import { Taps } from './tap/taps.js';

export interface GatewayOptions {
  /** Path of the lab file. */
  readonly lab: string;
  /** The lab to begin with, in the place of the file's; what changes later comes by {@link Gateway.take}. */
  readonly resources?: LabConfig;
  /** For the record: a folder that was made for this gateway, which goes with it. */
  readonly folder?: string;
  readonly log: Log;
  /** Where the record and the socket go; absent: the machine's usual place. */
  readonly runDirectory?: string;
  readonly machine?: Machine;
  /** Told when the gateway cannot go on: one of its interfaces was removed. */
  readonly onFailure?: (error: CulvertError) => void;
}

/** Between looks at ports that were warned of. */
const WARNED_LOOK_MS = 1000;

export class Gateway {
  readonly name: string;
  readonly startedAt = new Date();
  readonly reloads: Reloads = { count: 0, mistakes: [] };
  /** The lab that runs. */
  lab: LabConfig;
  readonly pump: Pump;
  readonly prober: Prober;
  private readonly options: GatewayOptions;
  private readonly log: Log;
  private readonly state: RunState;
  private readonly attachments: Attachments;
  private readonly ports = new Map<string, Port>();
  private readonly portWatch: PortWatch;
  private readonly taps: Taps;
  private control: ControlServer | null = null;
  private metrics: MetricsServer | null = null;
  private stopping: Promise<void> | null = null;
  private nextLook: NodeJS.Timeout | null = null;

  private constructor(options: GatewayOptions, lab: LabConfig, state: RunState) {
    this.options = options;
    this.log = options.log;
    this.lab = lab;
    this.state = state;
    this.name = state.name;
    this.attachments = new Attachments(options.machine ?? thisMachine, state, options.log);
    this.pump = new Pump(lab.topology, optionsOf(lab.settings), (port) => {
      this.lost(port);
    });
    this.taps = new Taps(this.pump, (port) => this.networkOf(port));
    this.portWatch = new PortWatch(options.log);
    this.pump.onTick = () => {
      this.watch(false);
    };
    this.prober = new Prober(this.pump.translator.tables, options.log);
  }

  /**
   * Brings a lab up.
   * @throws ConfigError for mistakes in the lab; CulvertError GATEWAY_*, TUN_*, IP_COMMAND_*, CONTROL_*: what the machine
   *   refuses; nothing that was made is left then
   */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const file = path.resolve(options.lab);
    const lab = options.resources ?? loadLab(options.lab);
    const plans = planNetworks(lab);
    if (plans.length === 0 && options.resources === undefined) {
      throw new CulvertError('GATEWAY_NOTHING_TO_DO', `${options.lab} has neither private endpoints nor services`);
    }
    const state = RunState.claim(options.runDirectory ?? runDirectory(), labName(file), file, options.folder);
    let gateway: Gateway | null = null;
    try {
      gateway = new Gateway(options, lab, state);
      await gateway.open(plans);
      return gateway;
    } catch (error) {
      if (gateway === null) state.release();
      else await gateway.stop();
      throw error;
    }
  }

  private async open(plans: readonly NetworkPlan[]): Promise<void> {
    const { gateway } = this.lab;
    if (this.state.leftNamespaces.length > 0) {
      this.log.warn('the last run was killed; what it left is taken over or removed', {
        namespaces: this.state.leftNamespaces,
      });
    }
    for (const warning of this.lab.warnings) this.log.warn(warning.message, { code: warning.code });
    this.prober.follow(this.lab.model, false);
    for (const plan of plans) this.attach(plan);
    this.assign(plans);
    this.attachments.sweep();
    const socket = gateway.socket === null ? this.state.defaultSocket : path.resolve(gateway.socket);
    this.state.setSocket(socket);
    this.control = await ControlServer.listen(socket, this);
    if (gateway.metricsPort !== null) {
      this.metrics = await MetricsServer.listen(gateway.metricsPort, this);
      this.log.info('metrics', { url: `http://127.0.0.1:${this.metrics.port}/metrics` });
    }
    this.log.info('ready', {
      lab: this.name,
      endpoints: this.lab.model.privateEndpoints.size,
      services: this.lab.model.privateLinkServices.size,
      socket,
    });
  }

  private attach(plan: NetworkPlan): void {
    const { device } = this.attachments.open(plan, this.lab.gateway.offload);
    const port = this.pump.add(device, -1, new Int32Array(0));
    this.ports.set(plan.name, port);
    port.probes = this.prober.attach(plan.name, device.mtu, (packet) => this.pump.send(port, packet));
    this.log.info('interface up', {
      network: plan.name,
      device: device.name,
      ...(plan.namespace === null ? {} : { namespace: plan.namespace }),
      mtu: plan.mtu,
    });
  }

  private detach(name: string): void {
    this.prober.detach(name);
    this.pump.remove(this.ports.get(name)!);
    this.ports.delete(name);
    this.attachments.close(name);
    this.log.info('interface down', { network: name });
  }

  /** Interfaces take the packets of the networks that they are for. */
  private assign(plans: readonly NetworkPlan[]): void {
    for (const plan of plans) {
      const port = this.ports.get(plan.name)!;
      this.pump.assign(port, plan.consumer ? this.networkIndex(plan.name) : -1, this.natAddressesOf(plan, port));
    }
  }

  private networkOf(port: Port): string {
    return [...this.ports].find(([, each]) => each === port)?.[0] ?? port.device.name;
  }

  /** The translator keeps the numbers of networks over reloads; a lab file's own order may change. */
  private networkIndex(name: string): number {
    return this.pump.translator.tables.networks.indexOf(name);
  }

  /**
   * Reads the lab file again. New flows follow it, live flows keep what they have, flows of endpoints that lost their
   * approval end at once. A file with mistakes is logged and changes nothing.
   * @returns whether it was taken
   */
  reload(): boolean {
    let lab: LabConfig;
    let ended: number;
    try {
      lab = loadLab(this.options.lab);
      ended = this.take(lab);
    } catch (error) {
      if (!(error instanceof CulvertError)) throw error;
      this.reloads.mistakes = error.message.split('\n');
      this.log.error(`the lab file was not taken, the last good one stays: ${error.message}`, { code: error.code });
      return false;
    }
    for (const warning of lab.warnings) this.log.warn(warning.message, { code: warning.code });
    this.reloads.count++;
    this.reloads.mistakes = [];
    this.log.info('lab file taken', { flowsEnded: ended });
    return true;
  }

  /**
   * Takes other resources, as {@link reload} does those of the lab file.
   * @returns how many flows ended
   * @throws CulvertError as {@link prepare}
   */
  take(lab: LabConfig): number {
    const plans = this.prepare(lab);
    const ended = this.apply(lab) + this.endMoved(plans);
    this.follow(plans);
    this.watch(true);
    return ended;
  }

  /**
   * Makes what other resources need of this machine and is not there yet; they are not taken by that.
   * @throws CulvertError GATEWAY_NETWORKS_OVERLAP, GATEWAY_NAT_ADDRESS_TWICE, GATEWAY_PROBES_OVERLAP,
   *   GATEWAY_NETWORK_NOT_ATTACHED: nothing has changed then
   */
  prepare(lab: LabConfig): NetworkPlan[] {
    const plans = planNetworks(lab);
    const before = this.attachments.plans;
    const added = plans.filter(({ name }) => !this.ports.has(name));
    try {
      this.attachments.freeProbeRoute(plans);
      for (const plan of added) this.attach(plan);
      this.attachments.giveProbeRoute(plans);
      return plans;
    } catch (error) {
      for (const { name } of added) if (this.ports.has(name)) this.detach(name);
      this.attachments.sweep();
      this.attachments.freeProbeRoute(before);
      this.attachments.giveProbeRoute(before);
      throw new CulvertError(
        'GATEWAY_NETWORK_NOT_ATTACHED',
        `the machine refuses what the networks need: ${(error as Error).message}`,
        {},
        { cause: error },
      );
    }
  }

  /** @returns how many flows ended */
  private apply(lab: LabConfig): number {
    const { translator } = this.pump;
    const { tables } = translator;
    if (JSON.stringify(lab.settings) !== JSON.stringify(this.lab.settings)) {
      this.log.warn("changes in 'translation' but those of natPorts wait for the next start");
    }
    if (lab.gateway.offload !== this.lab.gateway.offload || lab.gateway.metricsPort !== this.lab.gateway.metricsPort) {
      this.log.warn("changes in 'gateway' wait for the next start");
    }
    this.prober.follow(lab.model, true);
    let flows = 0;
    for (const { network, address } of tables.apply(lab.topology)) {
      // Flows that began before a header changed have a record of their own at the same address; a record that has just
      // come in the place of another has no flows yet.
      for (const e of tables.endpoints) {
        if (e.network === network && e.address === address) flows += translator.endFlowsOf(e.index);
      }
    }
    this.lab = lab;
    return flows;
  }

  /** Interfaces follow the networks that take part. */
  private follow(plans: readonly NetworkPlan[]): void {
    for (const plan of plans) {
      if (!this.attachments.differs(plan)) continue;
      this.log.warn('the interface stays as it is until the next start', { network: plan.name });
    }
    this.assign(plans);
    const wanted = new Set(plans.map((plan) => plan.name));
    for (const name of [...this.ports.keys()]) if (!wanted.has(name)) this.detach(name);
    this.attachments.sweep();
  }

  /**
   * Ends the flows of NAT addresses whose network is gone, or that another network has from now on: packets are told apart
   * by these addresses, so what is left of the flows would go into the wrong network.
   * @returns how many
   */
  private endMoved(plans: readonly NetworkPlan[]): number {
    const { translator } = this.pump;
    let flows = 0;
    for (const [name, port] of this.ports) {
      const stays = plans.some((plan) => plan.name === name);
      for (const address of port.natAddresses) {
        const moves = plans.some((plan) => plan.name !== name && plan.natAddresses.includes(address));
        if (moves || !stays) flows += translator.endFlowsOn(address);
      }
    }
    return flows;
  }

  /** The plan's, and those of the port that drain: taken out, with live flows, and nobody else's now. */
  private natAddressesOf({ natAddresses }: NetworkPlan, port: Port): Int32Array {
    const { links } = this.pump.translator.tables;
    const draining = port.natAddresses.filter(
      (address) =>
        links.some((link) => link.draining.includes(address)) &&
        !links.some((link) => link.natAddresses.includes(address)),
    );
    return Int32Array.from(new Set([...natAddresses, ...draining]));
  }

  /** Looks after NAT addresses that drain and ports that run out. */
  private watch(force: boolean): void {
    const { tables, flows } = this.pump.translator;
    for (const { link, address } of tables.settle()) {
      // Another service may have it now.
      if (tables.links.some((other) => other.natAddresses.includes(address))) continue;
      const port = [...this.ports.values()].find((each) => each.natAddresses.includes(address));
      if (port !== undefined) {
        this.pump.assign(
          port,
          port.network,
          port.natAddresses.filter((each) => each !== address),
        );
      }
      this.log.info(notices.drained, { service: link.name, address: formatAddress(address >>> 0) });
    }
    tables.natPools.drop(this.pump.now);
    const { natPortsWarningPercent } = this.lab.gateway;
    this.portWatch.look(tables, this.pump.now, natPortsWarningPercent, force || flows.count === 0);
    if (!this.portWatch.warns || this.nextLook !== null || this.stopping !== null) return;
    // The pump tells of no time once no flow is left, but ports rest on, and the warning has to end.
    this.nextLook = setTimeout(() => {
      this.nextLook = null;
      this.watch(true);
    }, WARNED_LOOK_MS).unref();
  }

  private lost(port: Port): void {
    const error = new CulvertError(
      'GATEWAY_DEVICE_LOST',
      `the interface ${port.device.name} was removed while the gateway used it: the gateway ends`,
    );
    this.log.error(error.message, { code: error.code });
    this.options.onFailure?.(error);
  }

  /** Ends the gateway and removes all that it made; a second call waits for the first. */
  stop(): Promise<void> {
    this.stopping ??= this.end();
    return this.stopping;
  }

  private async end(): Promise<void> {
    if (this.nextLook !== null) clearTimeout(this.nextLook);
    this.prober.close();
    this.pump.close();
    this.taps.removeAll();
    await this.control?.close();
    await this.metrics?.close();
    this.attachments.closeAll();
    this.state.release();
    this.log.info('stopped', { lab: this.name });
  }

  status(): GatewayStatus {
    this.watch(true);
    return reportStatus({
      name: this.name,
      startedAt: this.startedAt,
      lab: this.lab,
      pump: this.pump,
      prober: this.prober,
      networks: [...this.ports].map(([name, port]) => ({ port, plan: this.attachments.get(name)!.plan })),
      reloads: this.reloads,
      portWatch: this.portWatch,
      taps: this.taps.status,
      metricsPort: this.metrics?.port ?? null,
    });
  }

  /** What `culvert plan` reckons with; a backend that is down counts for nothing. */
  plan(): LabCapacity {
    const { tables } = this.pump.translator;
    return labCapacity(this.lab, (service, { protocol, frontendPort }, backend) => {
      const rule = tables.links.find(({ name }) => name === service)?.rules.get((protocol << 16) | frontendPort);
      return rule === undefined || tables.takesFlows(rule, backend | 0);
    });
  }

  flows(query: FlowQuery): Promise<FlowReport> {
    return reportFlows(this.pump.translator, query);
  }

  /**
   * Gives packets of both sides to a reader, as pcapng, from now on.
   * @returns what ends it
   * @throws CulvertError CONTROL_REQUEST for names that are not there; CONTROL_REFUSED
   */
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
}
