/**
 * The pools of NAT ports: one for a NAT address, backend and protocol, whichever link uses the address, so that a pool that
 * drains and comes back knows its live ports.
 */
import { mix } from '../flow/hash.js';
import { PortPool } from '../flow/port-pool.js';
import type { Rule } from './rules.js';
import type { LinkSpec } from './topology.js';

const TCP = 6;

/** What is asked of a link. */
interface PoolUser {
  readonly spec: LinkSpec;
  readonly natAddresses: Int32Array;
  readonly rules: ReadonlyMap<number, Rule>;
}

/** The ports of a NAT address towards a backend; addresses are int32. */
export class NatPool extends PortPool {
  readonly number: number;
  readonly address: number;
  readonly backend: number;
  readonly protocol: number;

  constructor(spec: LinkSpec, order: number, number: number, address: number, backend: number, protocol: number) {
    super(spec.natPortFirst, spec.natPortCount, order);
    this.number = number;
    this.address = address;
    this.backend = backend;
    this.protocol = protocol;
  }
}

export class NatPools {
  /** A flow keeps the number of the pool that its port goes back to. */
  private readonly numbered: (NatPool | null)[] = [];
  private readonly freeNumbers: number[] = [];
  // By backend address (int32). One number for address and protocol would be a heap number, made for each new flow.
  private readonly tcp = new Map<number, NatPool[]>();
  private readonly udp = new Map<number, NatPool[]>();
  /** Pools that no new flow can ask for before the next topology. */
  private unwanted: NatPool[] = [];
  private readonly seed: number;

  constructor(seed: number) {
    this.seed = seed;
  }

  get all(): NatPool[] {
    return this.numbered.filter((pool) => pool !== null);
  }

  /** @param number of a pool that a live flow has a port of */
  byNumber(number: number): NatPool {
    return this.numbered[number]!;
  }

  /** As Tables.pool. */
  of(link: PoolUser, i: number, backend: number, protocol: number): NatPool {
    const ofBackend = protocol === TCP ? this.tcp : this.udp;
    let pools = ofBackend.get(backend);
    if (pools === undefined) ofBackend.set(backend, (pools = []));
    const address = link.natAddresses[i]!;
    for (const pool of pools) if (pool.address === address) return pool;
    const order = mix(Math.imul(address, 31) ^ mix(backend + i) ^ mix(this.seed + protocol)) >>> 0;
    const number = this.freeNumbers.pop() ?? this.numbered.length;
    const pool = new NatPool(link.spec, order, number, address, backend, protocol);
    pools.push(pool);
    this.numbered[number] = pool;
    return pool;
  }

  /** After a topology: the ports of NAT addresses that a link has are those of its range; pools that none needs may go. */
  review(links: readonly PoolUser[]): void {
    const owners = new Map<number, PoolUser>();
    for (const link of links) for (const address of link.natAddresses) owners.set(address, link);
    this.unwanted = this.all.filter((pool) => {
      const link = owners.get(pool.address);
      if (link === undefined) return true;
      pool.setRange(link.spec.natPortFirst, link.spec.natPortCount);
      return ![...link.rules.values()].some((rule) => rule.backends.includes(pool.backend));
    });
  }

  /** Lets pools go that none needs, whose ports are all back and have rested. */
  drop(nowMs: number): void {
    this.unwanted = this.unwanted.filter((pool) => {
      if (pool.inUse > 0 || pool.held(nowMs) > 0) return true;
      const ofBackend = pool.protocol === TCP ? this.tcp : this.udp;
      const rest = ofBackend.get(pool.backend)!.filter((each) => each !== pool);
      if (rest.length > 0) ofBackend.set(pool.backend, rest);
      else ofBackend.delete(pool.backend);
      this.numbered[pool.number] = null;
      this.freeNumbers.push(pool.number);
      return false;
    });
  }
}
