/**
 * The pools of NAT ports: one for a NAT address, backend and protocol, whichever link uses the address, so that a pool that
 * drains and comes back knows its live ports.
 */
import { mix } from '../flow/hash.js';
import { PortPool } from '../flow/port-pool.js';
import { countOf, firstOf, type Share } from '../flow/share.js';
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
  /** Ports of the whole range, of which the pool has the translator's share. */
  of: number;
  private readonly share: Share;

  constructor(
    { natPortFirst, natPortCount }: LinkSpec,
    share: Share,
    order: number,
    number: number,
    address: number,
    backend: number,
    protocol: number,
  ) {
    super(firstOf(natPortFirst, share), countOf(natPortFirst, natPortCount, share), order, share.of);
    this.share = share;
    this.of = natPortCount;
    this.number = number;
    this.address = address;
    this.backend = backend;
    this.protocol = protocol;
  }

  /** Takes the range of a link, as `setRange`. */
  follow({ natPortFirst, natPortCount }: LinkSpec): void {
    this.of = natPortCount;
    this.setRange(firstOf(natPortFirst, this.share), countOf(natPortFirst, natPortCount, this.share));
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
  private readonly share: Share;

  constructor(seed: number, share: Share) {
    this.seed = seed;
    this.share = share;
  }

  /** How many ports of a link's range are here, for each NAT address, backend and protocol. */
  portsOf({ natPortFirst, natPortCount }: LinkSpec): number {
    return countOf(natPortFirst, natPortCount, this.share);
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
    const pool = new NatPool(link.spec, this.share, order, number, address, backend, protocol);
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
      pool.follow(link.spec);
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
