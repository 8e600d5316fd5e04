/**
 * How far the NAT ports towards each backend are used up, and the warning before connections fail.
 *
 * Theory of operation. A connection fails when every port of every NAT address of its service towards its backend is in
 * use or rests after its flow, so that is what is counted, by service, backend and protocol; a NAT address that nobody
 * has used yet counts as free. The warning begins at the threshold and ends at nine tenths of it, so that a use that
 * sways about the threshold is told once. Ports that rest are counted only where a pool may be short, since that takes a
 * look at each.
 */
import type { NatPool } from '../translate/nat-pools.js';
import type { Link, Tables } from '../translate/tables.js';
import { formatAddress } from '../wire/address.js';
import type { Log, LogFields } from './log.js';
import { notices } from './log.js';

export interface BackendPortUse {
  readonly service: string;
  readonly backend: string;
  readonly protocol: 'tcp' | 'udp';
  /** Ports of all NAT addresses of the service, and those in use and at rest. */
  readonly of: number;
  readonly inUse: number;
  readonly held: number;
  /** In use or at rest, 0 to 100; with workers, of the share of the one that has used most of its own. */
  readonly percent: number;
}

const TCP = 6;
/** Nobody needs it more often. */
const LOOK_MS = 250;

export const protocolName = (pool: NatPool): 'tcp' | 'udp' => (pool.protocol === TCP ? 'tcp' : 'udp');

/**
 * Use of the ports towards each backend that has had a flow.
 * @param from leaves out backends whose use cannot reach this percentage
 */
export function backendPortUse(tables: Tables, nowMs: number, from = 0): BackendPortUse[] {
  const owners = new Map<number, Link>();
  for (const link of tables.links) for (const address of link.natAddresses) owners.set(address, link);
  const groups = new Map<string, { link: Link; pools: NatPool[] }>();
  for (const pool of tables.pools) {
    const link = owners.get(pool.address);
    if (link === undefined) continue;
    const key = `${link.name} ${String(pool.backend)} ${String(pool.protocol)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { link, pools: [pool] });
    else group.pools.push(pool);
  }
  const uses: BackendPortUse[] = [];
  for (const { link, pools } of groups.values()) {
    const sum = (value: (pool: NatPool) => number): number => pools.reduce((total, pool) => total + value(pool), 0);
    const of = link.natAddresses.length * link.spec.natPortCount;
    // Where workers share the ports, connections fail here when what is here is used up.
    const here = link.natAddresses.length * tables.natPools.portsOf(link.spec);
    if (100 * sum((pool) => pool.everUsed) < from * here) continue;
    const inUse = sum((pool) => pool.taken);
    const held = sum((pool) => pool.held(nowMs));
    const [first] = pools;
    uses.push({
      service: link.name,
      backend: formatAddress(first!.backend >>> 0),
      protocol: protocolName(first!),
      of,
      inUse,
      held,
      // No port at all is a use of all.
      percent: here === 0 ? 100 : (100 * (inUse + held)) / here,
    });
  }
  return uses;
}

const keyOf = (use: BackendPortUse): string => `${use.service} ${use.backend} ${use.protocol}`;

/** Warns, once each time, before the ports towards a backend run out. */
export class PortWatch {
  /** Backends that were warned of, with what was said. */
  private readonly warned = new Map<string, BackendPortUse>();
  private readonly log: Log;
  private lookedAt = -Infinity;

  constructor(log: Log) {
    this.log = log;
  }

  /** Whether a warning stands. */
  get warns(): boolean {
    return this.warned.size > 0;
  }

  isWarned(use: BackendPortUse): boolean {
    return this.warned.has(keyOf(use));
  }

  /**
   * @param usesFrom as `backendPortUse`
   * @param percent the threshold; 0: no warning
   * @param force look, however short ago the last look was
   */
  look(usesFrom: (percent: number) => BackendPortUse[], nowMs: number, percent: number, force = false): void {
    if (!force && nowMs - this.lookedAt < LOOK_MS) return;
    this.lookedAt = nowMs;
    const low = 0.9 * percent;
    const high = percent === 0 ? [] : usesFrom(low);
    const now = new Map(high.map((use) => [keyOf(use), use]));
    for (const [key, use] of this.warned) {
      const still = now.get(key);
      if (still !== undefined && still.percent >= low) continue;
      this.warned.delete(key);
      this.log.info(notices.portsFree, told(still ?? use, still === undefined));
    }
    for (const [key, use] of now) {
      if (use.percent < percent || this.warned.has(key)) continue;
      this.warned.set(key, use);
      this.log.warn(notices.portsRunOut, {
        ...told(use, false),
        threshold: percent,
      });
    }
  }
}

const told = ({ service, backend, protocol, percent, inUse, held, of }: BackendPortUse, gone: boolean): LogFields =>
  gone ? { service, backend, protocol } : { service, backend, protocol, percent: Math.floor(percent), inUse, held, of };
