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
import { Attachments } from './attachments.js';
import { ControlServer } from './control-server.js';
import { type DataPlane, type NetworkRole, NO_EVENTS } from './data-plane.js';
import type { FlowQuery, FlowReport } from './flow-report.js';
import type { Log } from './log.js';
import { notices } from './log.js';
import { type Machine, thisMachine } from './machine.js';
import { MetricsServer } from './metrics.js';
import { type NetworkPlan, planNetworks } from './plan.js';
import { type BackendPortUse, PortWatch } from './port-use.js';
import { openPlane } from './open-plane.js';
import { Prober } from './probes/prober.js';
import { labName, runDirectory, RunState } from './run-state.js';
import { type GatewayStatus, type Reloads, reportStatus } from './status.js';
import { formatAddress } from '../wire/address.js';
import type { TapOptions, TapReader } from './tap/tap.js';

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

/** What other resources need of this machine, made. */
export interface Prepared {
  readonly plans: readonly NetworkPlan[];
  /** Removes it again, where the resources are not taken after all. */
  readonly undo: () => void;
}

const nobodys = (network: string): NetworkRole => ({ network, consumer: false, natAddresses: new Int32Array(0) });

/** Between looks at ports that were warned of. */
const WARNED_LOOK_MS = 1000;

export class Gateway {
  readonly name: string;
  readonly startedAt = new Date();
  readonly reloads: Reloads = { count: 0, mistakes: [] };
  /** The lab that runs. */
  lab: LabConfig;
  readonly plane: DataPlane;
  private readonly workers: number;
  readonly prober: Prober;
  private readonly options: GatewayOptions;
  private readonly log: Log;
  private readonly state: RunState;
  private readonly attachments: Attachments;
  /** The networks that have an interface, with the NAT addresses (int32) that they serve, draining ones included. */
  private readonly served = new Map<string, NetworkRole>();
  private readonly portWatch: PortWatch;
  private control: ControlServer | null = null;
  private metrics: MetricsServer | null = null;
  private stopping: Promise<void> | null = null;
  private nextLook: NodeJS.Timeout | null = null;

  private constructor(options: GatewayOptions, lab: LabConfig, state: RunState, plane: DataPlane) {
    this.options = options;
    this.log = options.log;
    this.lab = lab;
    this.state = state;
    this.name = state.name;
    this.plane = plane;
    this.workers = lab.gateway.workers;
    plane.events = {
      lost: (device) => {
        this.fail('GATEWAY_DEVICE_LOST', `the interface ${device} was removed while the gateway used it`);
      },
      tick: () => {
        this.watch(false);
      },
      failed: (error) => {
        this.fail(error.code, error.message);
      },
    };
    this.attachments = new Attachments(options.machine ?? thisMachine, state, options.log, plane);
    this.portWatch = new PortWatch(options.log);
    this.prober = new Prober(this.plane, options.log);
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
      const plane = await openPlane(lab, options.machine ?? thisMachine);
      gateway = new Gateway(options, lab, state, plane);
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
    this.assign(this.rolesBy(plans, this.lab));
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
    const { name } = plan;
    const { device } = this.attachments.open(plan, this.lab.gateway.offload);
    this.served.set(name, nobodys(name));
    this.plane.listen(
      name,
      this.prober.attach(name, device.mtu, (packet) => this.plane.send(name, packet)),
    );
    this.log.info('interface up', {
      network: name,
      device: device.name,
      ...(plan.namespace === null ? {} : { namespace: plan.namespace }),
      mtu: plan.mtu,
    });
  }

  private detach(name: string): void {
    this.prober.detach(name);
    this.served.delete(name);
    this.attachments.close(name);
    this.log.info('interface down', { network: name });
  }

  private assign(roles: readonly NetworkRole[]): void {
    this.plane.assign(roles);
    for (const role of roles) this.served.set(role.network, role);
  }

  /**
   * What the interfaces are for by these plans; that of a network that is in none is for nobody. NAT addresses that are
   * taken out drain, and stay with their network while no service is given them.
   */
  private rolesBy(plans: readonly NetworkPlan[], { topology }: LabConfig): NetworkRole[] {
    const given = new Set(topology.links.flatMap((link) => link.natAddresses.map((address) => address | 0)));
    return [...this.served.values()].map(({ network, natAddresses: before }) => {
      const plan = plans.find(({ name }) => name === network);
      if (plan === undefined) return nobodys(network);
      const drain = before.filter((address) => !given.has(address));
      return {
        network,
        consumer: plan.consumer,
        natAddresses: Int32Array.from(new Set([...plan.natAddresses, ...drain])),
      };
    });
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
    const { plans } = this.prepare(lab);
    const ended = this.apply(lab, plans);
    this.follow(plans);
    this.watch(true);
    return ended;
  }

  /**
   * Makes what other resources need of this machine and is not there yet; they are not taken by that.
   * @throws CulvertError GATEWAY_NETWORKS_OVERLAP, GATEWAY_NAT_ADDRESS_TWICE, GATEWAY_PROBES_OVERLAP,
   *   GATEWAY_PORTS_BELOW_WORKERS, GATEWAY_NETWORK_NOT_ATTACHED: nothing has changed then
   */
  prepare(lab: LabConfig): Prepared {
    this.checkPorts(lab);
    const plans = planNetworks(lab);
    const before = this.attachments.plans;
    const added = plans.filter(({ name }) => !this.served.has(name));
    const undo = (): void => {
      for (const { name } of added) if (this.served.has(name)) this.detach(name);
      this.attachments.sweep();
      this.attachments.freeProbeRoute(before);
      this.attachments.giveProbeRoute(before);
    };
    try {
      this.attachments.freeProbeRoute(plans);
      for (const plan of added) this.attach(plan);
      this.attachments.giveProbeRoute(plans);
      return { plans, undo };
    } catch (error) {
      undo();
      throw new CulvertError(
        'GATEWAY_NETWORK_NOT_ATTACHED',
        `the machine refuses what the networks need: ${(error as Error).message}`,
        {},
        { cause: error },
      );
    }
  }

  /** A lab is checked by itself for the workers that it asks for; others may run. */
  private checkPorts({ settings: { natPortCount } }: LabConfig): void {
    if (natPortCount >= this.workers) return;
    throw new CulvertError(
      'GATEWAY_PORTS_BELOW_WORKERS',
      `natPorts.count is ${String(natPortCount)}, and ${String(this.workers)} workers run, which need a port each: ` +
        `give more ports, or restart the gateway for another number of workers`,
    );
  }

  /** @returns how many flows ended */
  private apply(lab: LabConfig, plans: readonly NetworkPlan[]): number {
    if (JSON.stringify(lab.settings) !== JSON.stringify(this.lab.settings)) {
      this.log.warn("changes in 'translation' but those of natPorts wait for the next start");
    }
    const running = { ...this.lab.gateway, workers: this.workers };
    const waiting = (['offload', 'metricsPort', 'workers'] as const).filter((key) => lab.gateway[key] !== running[key]);
    if (waiting.length > 0) {
      this.log.warn("changes in 'gateway' wait for the next start", {
        code: 'GATEWAY_RESTART_NEEDED',
        settings: waiting,
      });
    }
    this.prober.follow(lab.model, true);
    const roles = this.rolesBy(plans, lab);
    const flows = this.plane.apply(lab.topology, this.movedBy(plans), roles);
    for (const role of roles) this.served.set(role.network, role);
    this.lab = lab;
    return flows;
  }

  /** Interfaces follow the networks that take part. */
  private follow(plans: readonly NetworkPlan[]): void {
    for (const plan of plans) {
      if (!this.attachments.differs(plan)) continue;
      this.log.warn('the interface stays as it is until the next start', { network: plan.name });
    }
    const wanted = new Set(plans.map((plan) => plan.name));
    for (const name of [...this.served.keys()]) if (!wanted.has(name)) this.detach(name);
    this.attachments.sweep();
  }

  /**
   * NAT addresses whose network is gone, or that another network has from now on: packets are told apart by these addresses,
   * so what is left of their flows would go into the wrong network.
   */
  private movedBy(plans: readonly NetworkPlan[]): number[] {
    return [...this.served.values()].flatMap(({ network, natAddresses }) => {
      const stays = plans.some(({ name }) => name === network);
      const taken = plans.filter(({ name }) => name !== network).map((plan) => plan.natAddresses);
      return [...natAddresses].filter((address) => !stays || taken.some((each) => each.includes(address)));
    });
  }

  /** Looks after NAT addresses that drain and ports that run out. */
  private watch(force: boolean): void {
    const { plane } = this;
    for (const { service, address } of plane.settle()) {
      // Another service may have it now.
      if (plane.natAddresses().given.includes(address)) continue;
      const owner = [...this.served.values()].find(({ natAddresses }) => natAddresses.includes(address));
      if (owner !== undefined) {
        const natAddresses = owner.natAddresses.filter((each) => each !== address);
        this.assign([{ ...owner, natAddresses }]);
      }
      this.log.info(notices.drained, { service, address: formatAddress(address >>> 0) });
    }
    const { natPortsWarningPercent } = this.lab.gateway;
    const usesFrom = (percent: number): BackendPortUse[] => plane.portUse(percent);
    this.portWatch.look(usesFrom, performance.now(), natPortsWarningPercent, force || plane.liveFlows() === 0);
    if (!this.portWatch.warns || this.nextLook !== null || this.stopping !== null) return;
    // The plane tells of no time once no flow is left, but ports rest on, and the warning has to end.
    this.nextLook = setTimeout(() => {
      this.nextLook = null;
      this.watch(true);
    }, WARNED_LOOK_MS).unref();
  }

  private fail(code: string, what: string): void {
    const error = new CulvertError(code, `${what}: the gateway ends`);
    this.log.error(error.message, { code });
    this.options.onFailure?.(error);
  }

  /** Ends the gateway and removes all that it made; a second call waits for the first. */
  stop(): Promise<void> {
    this.stopping ??= this.end();
    return this.stopping;
  }

  private async end(): Promise<void> {
    if (this.nextLook !== null) clearTimeout(this.nextLook);
    const faults: unknown[] = [];
    const steps: readonly (() => unknown)[] = [
      () => this.prober.close(),
      () => this.plane.close(),
      () => this.control?.close(),
      () => this.metrics?.close(),
      () => this.attachments.closeAll(),
      () => (this.plane.events = NO_EVENTS),
      () => this.plane.end(),
      () => this.state.release(),
    ];
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        // What the other steps remove would stay for ever.
        faults.push(error);
      }
    }
    if (faults.length > 0) throw faults[0];
    this.log.info('stopped', { lab: this.name });
  }

  status(): GatewayStatus {
    this.watch(true);
    return reportStatus({
      name: this.name,
      startedAt: this.startedAt,
      lab: this.lab,
      plane: this.plane.report(),
      prober: this.prober,
      plans: this.attachments.plans,
      reloads: this.reloads,
      portWatch: this.portWatch,
      metricsPort: this.metrics?.port ?? null,
      workers: this.workers,
    });
  }

  /** What `culvert plan` reckons with; a backend that is down counts for nothing. */
  plan(): LabCapacity {
    return labCapacity(this.lab, (service, { protocol, frontendPort }, backend) =>
      this.plane.takesFlows(service, protocol, frontendPort, backend),
    );
  }

  flows(query: FlowQuery): Promise<FlowReport> {
    return this.plane.flows(query);
  }

  /** As {@link DataPlane.tap}. */
  tap(options: TapOptions, reader: TapReader): () => void {
    return this.plane.tap(options, reader);
  }
}
