/**
 * The health probes of a gateway: who is probed when, and what follows from it for new flows.
 *
 * Theory of operation
 * - A target is a probe of a load balancer and one backend. Each is probed at once when it comes, then each
 *   `intervalInSeconds`; while it has never been up, each second after a failure, so that a server that has just been
 *   started does not wait. A probe's answer has less time than the interval, so that no two of a target overlap.
 * - At the start no backend takes new flows until its first probe succeeds, as in Azure; that takes a round trip. In a
 *   running gateway a backend that took flows before goes on until a probe of its new kind says otherwise, so that a
 *   reload alone stops nothing; one that is new waits for its first success.
 */
import type { ResourceModel } from '../../service/resources.js';
import { formatAddress } from '../../wire/address.js';
import type { Log } from '../log.js';
import { notices } from '../log.js';
import { type Outcome, startProbe } from './attempt.js';
import { type Clock, realClock, Timers } from './clock.js';
import { Health } from './health.js';
import { type Target, targetsOf } from './targets.js';
import { TcpStack } from './tcp-stack.js';

export interface BackendHealth {
  readonly loadBalancer: string;
  readonly probe: string;
  readonly protocol: 'Tcp' | 'Http' | 'Https';
  readonly port: number;
  readonly backend: string;
  /** `unknown`: not probed yet. */
  readonly health: 'unknown' | 'up' | 'down';
  /** Of the last change; ISO 8601. */
  readonly since: string;
  /** Why the last probe failed; null: it did not. */
  readonly reason: string | null;
  /** Probes so far. */
  readonly succeeded: number;
  readonly failed: number;
  /** Milliseconds that the last successful one took; null: there was none. */
  readonly lastMs: number | null;
}

interface Entry {
  target: Target;
  readonly health: Health;
  lastMs: number | null;
  /** Of the next probe, or of the one under way. */
  cancel: () => void;
}

/** Between probes of a backend that has never been up. */
const EAGER_MS = 1000;

/** Where new flows go; as Tables has these. */
export interface BackendChoice {
  setHealth(probe: string, backend: number, up: boolean): void;
  serves(backend: number): boolean;
}

export class Prober {
  private readonly tables: BackendChoice;
  private readonly log: Log;
  private readonly clock: Timers;
  private readonly entries = new Map<string, Entry>();
  private readonly stacks = new Map<string, TcpStack>();

  constructor(tables: BackendChoice, log: Log, clock: Clock = realClock) {
    this.tables = tables;
    this.log = log;
    this.clock = new Timers(clock);
  }

  /**
   * A network has an interface now.
   * @returns takes the packets that come from it for the probes' address
   */
  attach(network: string, mtu: number, transmit: (packet: Buffer) => void): TcpStack {
    const stack = new TcpStack(this.clock, mtu, transmit);
    this.stacks.set(network, stack);
    return stack;
  }

  detach(network: string): void {
    this.stacks.get(network)?.close();
    this.stacks.delete(network);
  }

  /**
   * Probes what a lab says; what is probed already keeps its health. To be called before the tables take the lab.
   * @param running the tables have a lab that runs; else they have this one
   */
  follow(model: ResourceModel, running: boolean): void {
    const targets = targetsOf(model);
    for (const [key, target] of targets) {
      const entry = this.entries.get(key);
      if (entry === undefined) this.add(key, target, running && this.tables.serves(target.backend));
      else if (JSON.stringify(entry.target) !== JSON.stringify(target)) {
        entry.target = target;
        this.schedule(entry, 0);
      }
    }
    for (const [key, entry] of this.entries) {
      if (targets.has(key)) continue;
      entry.cancel();
      this.entries.delete(key);
      this.tables.setHealth(entry.target.name, entry.target.backend, true);
    }
  }

  /** Whether a backend takes new flows, by this probe alone. */
  isUp(name: string, backend: number): boolean {
    return this.entries.get(`${name} ${String(backend)}`)?.health.state === 'up';
  }

  status(): BackendHealth[] {
    return [...this.entries.values()].map(({ target, health, lastMs }) => ({
      loadBalancer: target.loadBalancer,
      probe: target.probe.name,
      protocol: target.probe.protocol,
      port: target.probe.port,
      backend: formatAddress(target.backend),
      health: health.state,
      since: new Date(health.since).toISOString(),
      reason: health.reason === '' ? null : health.reason,
      succeeded: health.succeeded,
      failed: health.failed,
      lastMs,
    }));
  }

  /** Ends all probes; connections under way are reset. */
  close(): void {
    for (const entry of this.entries.values()) entry.cancel();
    this.entries.clear();
    for (const stack of this.stacks.values()) stack.close();
    this.stacks.clear();
    // Also those of connections that a server had not ended yet.
    this.clock.cancelAll();
  }

  private add(key: string, target: Target, serving: boolean): void {
    const entry: Entry = { target, health: new Health(Date.now()), lastMs: null, cancel: () => undefined };
    if (serving) entry.health.assumeUp();
    this.entries.set(key, entry);
    this.tables.setHealth(target.name, target.backend, serving);
    this.schedule(entry, 0);
  }

  private schedule(entry: Entry, ms: number): void {
    entry.cancel();
    entry.cancel = this.clock.after(ms, () => this.probe(entry));
  }

  private probe(entry: Entry): void {
    const { target } = entry;
    const started = this.clock.now();
    const done = (outcome: Outcome): void => {
      if (outcome.healthy) entry.lastMs = this.clock.now() - started;
      this.note(entry, outcome);
      const interval = 1000 * target.probe.intervalInSeconds;
      const ms = entry.health.known ? interval : EAGER_MS;
      entry.cancel = this.clock.after(Math.max(0, started + ms - this.clock.now()), () => this.probe(entry));
    };
    const stack = this.stacks.get(target.network);
    if (target.denied !== null) done({ healthy: false, reason: target.denied, definite: false });
    else if (stack === undefined) done({ healthy: false, reason: 'its network has no interface', definite: false });
    else entry.cancel = startProbe(stack, this.clock, target, done);
  }

  private note({ target, health }: Entry, outcome: Outcome): void {
    if (!health.note(outcome, target.probe, Date.now())) return;
    const up = health.state === 'up';
    this.tables.setHealth(target.name, target.backend, up);
    const backend = formatAddress(target.backend);
    const fields = { loadBalancer: target.loadBalancer, probe: target.probe.name, backend };
    if (up) this.log.info(notices.backendUp, fields);
    else this.log.warn(notices.backendDown, { ...fields, reason: health.reason });
  }
}
