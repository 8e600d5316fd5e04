/**
 * A data plane of several threads that share nothing but what they hand over.
 *
 * Theory of operation
 * - Each worker has a queue of every interface, a translator with its own flow table, and its share of the NAT ports,
 *   identifications, flows and bandwidths (hosted-plane.ts). Which packet is whose: owner.ts. How it gets there:
 *   steering.ts.
 * - This side, on the main thread, moves no packet. It asks all workers at a time and waits for their answers
 *   (packet-thread.ts): a topology or the health of a backend holds with all of them when the call is over. Between the
 *   first and the last worker's turn, a few milliseconds at most, new flows are opened by either.
 * - What has to change together is one question, so each worker takes it in one turn, without a packet in between: a
 *   topology, and the interfaces that its NAT addresses belong to. A worker sends what it has translated through its own
 *   queues by its own tables, so no packet ever meets the one without the other.
 * - Queues are opened by all workers before the interface is set up, since that may move it to another namespace.
 * - Probes' packets are sent by the first worker; the answers come back here from whichever worker read them.
 * - A NAT address has drained when it has with every worker.
 * - A worker that dies takes its flows with it: the gateway ends. What timers ask meanwhile (`idle` below) has nothing to say
 *   any more; all else throws.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { CulvertError } from '../../errors.js';
import type { Reason } from '../../packet/verdict.js';
import type { TranslatorOptions } from '../../translate/options.js';
import type { Topology } from '../../translate/topology.js';
import {
  type AttachedDevice,
  type DataPlane,
  type DrainedAddress,
  type NatAddresses,
  type NetworkRole,
  NO_EVENTS,
} from '../data-plane.js';
import type { FlowQuery, FlowReport } from '../flow-report.js';
import type { NetworkPlan } from '../plan.js';
import type { PlaneReport } from '../plane-report.js';
import type { BackendPortUse } from '../port-use.js';
import type { OwnPackets } from '../pump.js';
import { mergeFlows, mergePortUse, mergeReports } from './merge.js';
import {
  type AnswerOf,
  type ArgumentsOf,
  type Asked,
  owedFor,
  type PacketThread,
  type StartThread,
  type Told,
} from './plane-calls.js';
import { steeringMemory } from './steering.js';

const NO_FLOW: Reason = 'no-flow';
/** What workers tell within so long of one another is one tick. */
const TICK_MS = 250;

export class WorkerPlane implements DataPlane {
  events = NO_EVENTS;
  private readonly setUp: (plan: NetworkPlan) => void;
  private threads: readonly PacketThread[] = [];
  /** As ThreadData has it. */
  private readonly owed: Int32Array<SharedArrayBuffer>;
  private attached = 0;
  private readonly probes = new Map<string, OwnPackets>();
  /** Packets for the probes' address that belong to no probe. */
  private unwanted = 0;
  private nextTick: NodeJS.Timeout | null = null;
  /** Of the question for flows that is under way: its answers so far. */
  private flowReports: FlowReport[] = [];
  private onFlows: (() => void) | null = null;
  private flowsBefore: Promise<unknown> = Promise.resolve();
  private failure: CulvertError | null = null;
  private onFailure: (error: CulvertError) => void = () => undefined;

  private constructor(workers: number, setUp: (plan: NetworkPlan) => void) {
    this.owed = new Int32Array(new SharedArrayBuffer(4 * workers));
    this.setUp = setUp;
  }

  /**
   * Starts the workers.
   * @param setUp sets up the interface of which each worker has opened a queue
   * @throws CulvertError WORKER_DIED
   */
  static async start(
    workers: number,
    topology: Topology,
    options: Partial<TranslatorOptions>,
    machine: { readonly startThread: StartThread; setUp(plan: NetworkPlan): void },
  ): Promise<WorkerPlane> {
    const plane = new WorkerPlane(workers, (plan) => {
      machine.setUp(plan);
    });
    const memory = steeringMemory(workers);
    const wakers = wakersOf(workers);
    const starting = wakers.map((own, index) =>
      machine.startThread(
        { index, workers, memory, owed: plane.owed.buffer, topology, options, wakers: own },
        {
          told: (what) => {
            plane.told(what, index);
          },
          died: (error) => {
            plane.fail(error);
          },
        },
      ),
    );
    const started = await Promise.allSettled(starting);
    plane.threads = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const failed = started.find((each) => each.status === 'rejected');
    // One may also have died while others were still starting, and nobody has heard it.
    if (failed === undefined && plane.failure === null) return plane;
    await plane.end();
    throw failed?.reason ?? plane.failure;
  }

  attach(plan: NetworkPlan, offload: boolean): AttachedDevice {
    const number = this.attached++;
    const [first, ...others] = this.threads;
    try {
      // The first makes the interface.
      const device = first!.ask('attach', plan, offload, number)();
      settled(others.map((thread) => thread.ask('attach', plan, offload, number)));
      this.setUp(plan);
      return device;
    } catch (error) {
      this.detach(plan.name);
      throw error;
    }
  }

  detach(network: string): void {
    this.probes.delete(network);
    this.askLiving('detach', network);
  }

  assign(roles: readonly NetworkRole[]): void {
    this.askAll('assign', roles);
  }

  listen(network: string, probes: OwnPackets): void {
    this.probes.set(network, probes);
  }

  send(network: string, packet: Buffer): void {
    if (!this.idle) this.askFirst('send', network, packet);
  }

  apply(topology: Topology, moved: readonly number[], roles: readonly NetworkRole[]): number {
    return this.sum('apply', topology, moved, roles);
  }

  natAddresses(): NatAddresses {
    const all = this.askAll('natAddresses');
    return { given: all[0]!.given, draining: [...new Set(all.flatMap(({ draining }) => draining))] };
  }

  settle(): DrainedAddress[] {
    const left = this.idle ? [] : this.askAll('settle').flat();
    if (left.length === 0) return left;
    // The last worker to let go of an address tells of it too.
    const { draining } = this.natAddresses();
    const done = left.filter(({ address }) => !draining.includes(address));
    return [...new Map(done.map((each) => [`${each.service} ${String(each.address)}`, each])).values()];
  }

  setHealth(probe: string, backend: number, up: boolean): void {
    if (!this.idle) this.askAll('setHealth', probe, backend, up);
  }

  serves(backend: number): boolean {
    return this.askFirst('serves', backend);
  }

  takesFlows(service: string, protocol: number, frontendPort: number, backend: number): boolean {
    return this.askFirst('takesFlows', service, protocol, frontendPort, backend);
  }

  liveFlows(): number {
    return this.idle ? 0 : this.sum('liveFlows');
  }

  portUse(from: number): BackendPortUse[] {
    if (this.idle) return [];
    const high = mergePortUse(this.askAll('portUse', from));
    // Workers leave out what is below; where one does not, all count.
    if (high.length === 0 || from === 0) return high;
    const named = new Set(high.map(nameOf));
    return mergePortUse(this.askAll('portUse', 0)).filter((use) => named.has(nameOf(use)));
  }

  report(): PlaneReport {
    const report = mergeReports(this.askAll('report'));
    if (this.unwanted === 0) return report;
    return { ...report, drops: { ...report.drops, [NO_FLOW]: (report.drops[NO_FLOW] ?? 0) + this.unwanted } };
  }

  /** One question at a time, since answers do not tell to which they belong. */
  async flows(query: FlowQuery): Promise<FlowReport> {
    const before = this.flowsBefore;
    const answered = before.then(() => this.askFlows(query));
    this.flowsBefore = answered.catch(() => undefined);
    return answered;
  }

  tap(): () => void {
    throw new CulvertError('CONTROL_REFUSED', "a tap sees the packets of one thread: set 'workers: 1' in 'gateway'");
  }

  close(): void {
    this.askLiving('close');
  }

  async end(): Promise<void> {
    if (this.nextTick !== null) clearTimeout(this.nextTick);
    await Promise.all(this.threads.map((thread) => thread.end()));
  }

  /** A worker has died. */
  private get idle(): boolean {
    return this.failure !== null;
  }

  private async askFlows(query: FlowQuery): Promise<FlowReport> {
    this.flowReports = [];
    await new Promise<void>((resolve, reject) => {
      if (this.failure !== null) {
        reject(this.failure);
        return;
      }
      this.onFlows = resolve;
      this.onFailure = reject;
      for (const thread of this.threads) thread.askFlows(query);
    });
    return mergeFlows(this.flowReports, query);
  }

  private told(what: Told, worker: number): void {
    switch (what.told) {
      case 'tick':
        this.nextTick ??= setTimeout(() => {
          this.nextTick = null;
          this.events.tick();
        }, TICK_MS).unref();
        break;
      case 'lost':
        this.events.lost(what.device);
        break;
      case 'flows':
        this.flowReports.push(what.report);
        if (this.flowReports.length === this.threads.length) this.onFlows?.();
        break;
      case 'own': {
        const { network, packet, partial } = what;
        Atomics.sub(this.owed, worker, owedFor(packet));
        const b = Buffer.from(packet.buffer, packet.byteOffset, packet.length);
        if (this.probes.get(network)?.receive(b, 0, b.length, partial) !== true) this.unwanted++;
        break;
      }
      case 'ready':
    }
  }

  private fail(error: CulvertError): void {
    if (this.failure !== null) return;
    this.failure = error;
    this.onFailure(error);
    this.events.failed(error);
  }

  private askFirst<A extends Asked>(what: A, ...args: ArgumentsOf<A>): AnswerOf<A> {
    return this.threads[0]!.ask(what, ...args)();
  }

  private askAll<A extends Asked>(what: A, ...args: ArgumentsOf<A>): AnswerOf<A>[] {
    return settled(this.threads.map((thread) => thread.ask(what, ...args)));
  }

  /** What the end of a worker does as well: its queues are closed then, and those of the others go with them. */
  private askLiving<A extends Asked>(what: A, ...args: ArgumentsOf<A>): void {
    if (this.idle) return;
    try {
      this.askAll(what, ...args);
    } catch (error) {
      if (!(error instanceof CulvertError) || error.code !== 'WORKER_DIED') throw error;
    }
  }

  private sum<A extends 'apply' | 'liveFlows'>(what: A, ...args: ArgumentsOf<A>): number {
    return this.askAll(what, ...args).reduce<number>((total, each) => total + each, 0);
  }
}

const nameOf = ({ service, backend, protocol }: BackendPortUse): string => `${service} ${backend} ${protocol}`;

/** Takes all answers, also behind one that is an error. @throws the first of these */
function settled<T>(answers: readonly (() => T)[]): T[] {
  const values: T[] = [];
  const errors: unknown[] = [];
  for (const answer of answers) {
    try {
      values.push(answer());
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
  return values;
}

/** A channel between each two workers. @returns by worker, then by the other */
function wakersOf(workers: number): (MessagePort | null)[][] {
  const ends: (MessagePort | null)[][] = Array.from({ length: workers }, () =>
    Array.from({ length: workers }, () => null),
  );
  for (let i = 0; i < workers; i++) {
    for (let j = 0; j < i; j++) {
      const { port1, port2 } = new MessageChannel();
      ends[i]![j] = port1;
      ends[j]![i] = port2;
    }
  }
  return ends;
}
