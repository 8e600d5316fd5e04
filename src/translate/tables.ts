/**
 * What the packet path looks up when a flow begins: endpoints by network and address, rules by protocol and port,
 * backends by consistent hash, and the port pools. Built from a Topology; written only by the control side.
 */
import { mix, tupleHash } from '../flow/hash.js';
import { type Share, WHOLE } from '../flow/share.js';
import { headerTemplate, type HeaderTemplate } from '../wire/proxy/index.js';
import { dialectOf } from './dialects.js';
import { Policer } from './policer.js';
import { type NatPool, NatPools } from './nat-pools.js';
import { compileRules, PoolTables, type Rule } from './rules.js';
import { compileSecurity, type Security } from './security.js';
import type { EndpointSpec, LinkSpec, Topology } from './topology.js';

export interface Endpoint {
  readonly index: number;
  readonly name: string;
  readonly network: number;
  /** int32. */
  readonly address: number;
  readonly linkId: number;
  approved: boolean;
  readonly link: Link;
  /** The header that this endpoint's streams begin with, but for source and destination port; null: none. */
  readonly header: HeaderTemplate | null;
  /** Live flows that began with this record. */
  flows: number;
}

export interface Link {
  readonly name: string;
  spec: LinkSpec;
  /** int32 addresses that new flows may get. */
  natAddresses: Int32Array;
  /** int32 addresses that were taken out and serve their live flows to the end. */
  draining: readonly number[];
  /** As compileRules tells. */
  rules: Map<number, Rule>;
  /** Network security groups that judge new flows; null: none. */
  security: Security | null;
  /** Of a Direct Connect link with a limited bandwidth, or null. */
  policer: Policer | null;
  /** Octets of endpoints whose records others have now: from consumers, and to them. */
  readonly formerOctets: [number, number];
  /** The topology has it no more. */
  gone: boolean;
}

export class Tables {
  readonly networks: string[];
  links: Link[] = [];
  readonly endpoints: Endpoint[] = [];
  readonly natPools: NatPools;
  /** Records that new endpoints take the place of once their last flow has ended. */
  private retired: Endpoint[] = [];
  /** Octets by endpoint: `2 * index` from its consumers, `2 * index + 1` to them; doubles, so that they never wrap. */
  octets = new Float64Array(16);
  /**
   * Changes with the health of any backend, and with each topology; never 0 once there was a change. A UDP flow keeps the
   * value that it was last looked at with, so that nothing is looked up per packet.
   */
  healthGeneration = 0;
  /** By probe: the backends (int32) that are down; what is not in it is up. */
  private readonly down = new Map<string, Set<number>>();
  private readonly poolTables = new PoolTables();
  private readonly byAddress: Map<number, Endpoint>[] = [];

  constructor(topology: Topology, seed: number, share: Share = WHOLE) {
    this.natPools = new NatPools(seed, share);
    this.networks = [...topology.networks];
    for (const spec of topology.links) {
      const link = this.addLink(spec);
      for (const e of spec.endpoints) this.addEndpoint(link, e);
    }
  }

  addLink(spec: LinkSpec): Link {
    const link: Link = {
      name: spec.name,
      spec,
      natAddresses: Int32Array.from(spec.natAddresses),
      draining: [],
      rules: this.rulesOf(spec),
      security: compileSecurity(spec.security),
      policer: policerOf(spec, null),
      formerOctets: [0, 0],
      gone: false,
    };
    this.links.push(link);
    return link;
  }

  get pools(): NatPool[] {
    return this.natPools.all;
  }

  addEndpoint(link: Link, spec: EndpointSpec): Endpoint {
    const proxy = link.spec.proxy;
    const endpoint: Endpoint = {
      index: this.freeIndex(),
      name: spec.name,
      network: spec.network,
      address: spec.address | 0,
      linkId: spec.linkId,
      approved: spec.approved,
      link,
      header: proxy === null ? null : headerTemplate(dialectOf(proxy, spec.linkId), spec.address >>> 0, 0),
      flows: 0,
    };
    this.endpoints[endpoint.index] = endpoint;
    if (this.endpoints.length * 2 > this.octets.length) {
      const larger = new Float64Array(this.octets.length * 2);
      larger.set(this.octets);
      this.octets = larger;
    }
    let map = this.byAddress[spec.network];
    if (map === undefined) this.byAddress[spec.network] = map = new Map<number, Endpoint>();
    map.set(endpoint.address, endpoint);
    return endpoint;
  }

  /** Of a record for a new endpoint; what the one before has counted goes to the endpoint that took its address over. */
  private freeIndex(): number {
    const free = this.retired.findIndex((e) => e.flows === 0);
    if (free < 0) return this.endpoints.length;
    const [old] = this.retired.splice(free, 1);
    const from = 2 * old!.index;
    const heir = this.endpointAt(old!.network, old!.address);
    if (heir?.link === old!.link) {
      this.octets[2 * heir.index]! += this.octets[from]!;
      this.octets[2 * heir.index + 1]! += this.octets[from + 1]!;
    } else {
      old!.link.formerOctets[0] += this.octets[from]!;
      old!.link.formerOctets[1] += this.octets[from + 1]!;
    }
    this.octets.fill(0, from, from + 2);
    return old!.index;
  }

  /** The private endpoint at an address (int32) of a consumer network. */
  endpointAt(network: number, address: number): Endpoint | undefined {
    return this.byAddress[network]?.get(address);
  }

  rule(link: Link, protocol: number, port: number): Rule | undefined {
    return link.rules.get((protocol << 16) | port) ?? link.rules.get(protocol << 16);
  }

  /** The backend for a consumer's tuple; the rule is not closed. */
  backend(rule: Rule, e: Endpoint, protocol: number, source: number, sourcePort: number, port: number): number {
    const { table } = rule;
    if (table === null) return rule.backends[0]!;
    const five = rule.distribution === 'Default';
    const scope = rule.distribution === 'SourceIP' ? 0 : protocol;
    const hash = tupleHash(source, five ? sourcePort : 0, e.address, five ? port : 0, scope, mix(e.index + 1));
    return rule.backends[table[(hash >>> 0) % table.length]!]!;
  }

  /**
   * Tells the health of a backend, for new flows of every rule with this probe. Established TCP flows stay; UDP flows,
   * and connections whose SYN has no answer yet, move with their next packet (open.ts).
   * @param probe as `ProbeRef.name`
   * @param backend address, int32 or unsigned
   */
  setHealth(probe: string, backend: number, up: boolean): void {
    const address = backend | 0;
    let down = this.down.get(probe);
    if (down === undefined) this.down.set(probe, (down = new Set()));
    if (up === !down.has(address)) return;
    if (up) down.delete(address);
    else down.add(address);
    for (const link of this.links) {
      for (const rule of link.rules.values()) if (rule.probe?.name === probe) this.weigh(rule);
    }
    this.nextGeneration();
  }

  private nextGeneration(): void {
    this.healthGeneration = (this.healthGeneration + 1) & 0x7fff_ffff || 1;
  }

  /**
   * Whether any rule opens new flows to a backend.
   * @param backend address, int32 or unsigned
   */
  serves(backend: number): boolean {
    const address = backend | 0;
    return this.links.some((link) => [...link.rules.values()].some((rule) => this.takesFlows(rule, address)));
  }

  /** Whether a rule opens new flows to a backend (int32). */
  takesFlows(rule: Rule, backend: number): boolean {
    const { backends } = rule;
    for (let i = 0; i < backends.length; i++) if (backends[i] === backend) return rule.up[i] === 1;
    return false;
  }

  /** What new flows of a rule may go to, by what is known of its backends' health. */
  private weigh(rule: Rule): void {
    const down = rule.probe === null ? undefined : this.down.get(rule.probe.name);
    let healthy = 0;
    for (let i = 0; i < rule.backends.length; i++) {
      rule.up[i] = down?.has(rule.backends[i]!) === true ? 0 : 1;
      healthy += rule.up[i]!;
    }
    if (healthy === 0 && rule.probe?.noHealthyBackends === 'AllProbedUp') {
      rule.up.fill(1);
      healthy = rule.backends.length;
    }
    rule.closed = healthy === 0;
    const all = rule.maglev === null || healthy === 0 || healthy === rule.backends.length;
    rule.table = all ? rule.maglev : this.poolTables.healthyOf(rule.maglev, rule.up);
  }

  /** @param before the rules that these take the place of */
  private rulesOf(spec: LinkSpec, before?: ReadonlyMap<number, Rule>): Map<number, Rule> {
    const rules = compileRules(spec, this.poolTables, before);
    for (const rule of rules.values()) this.weigh(rule);
    return rules;
  }

  /**
   * The pool of one of a link's NAT addresses towards a backend, made when it is first needed.
   * @param i index into `link.natAddresses`
   */
  pool(link: Link, i: number, backend: number, protocol: number): NatPool {
    return this.natPools.of(link, i, backend, protocol);
  }

  /**
   * Takes a new topology for new flows; live flows keep what they have. Networks are told by name, links by name,
   * endpoints by network and address.
   * @returns the endpoints whose flows are to end: gone, no longer approved, or now another link's
   */
  apply(topology: Topology): Endpoint[] {
    const networks = topology.networks.map((name) => {
      const known = this.networks.indexOf(name);
      return known >= 0 ? known : this.networks.push(name) - 1;
    });
    const before = new Set(this.byAddress.flatMap((map) => [...map.values()]));
    const ended: Endpoint[] = [];
    const kept = new Set<Endpoint>();
    const replaced: Endpoint[] = [];
    for (const spec of topology.links) {
      const known = this.links.find((l) => l.name === spec.name);
      const sameHeader = known !== undefined && sameProxy(known.spec.proxy, spec.proxy);
      const link = known ?? this.addLink(spec);
      if (known !== undefined) this.update(known, spec);
      for (const e of spec.endpoints) {
        const network = networks[e.network]!;
        const old = this.endpointAt(network, e.address | 0);
        if (old !== undefined && old.link === link && old.linkId === e.linkId && sameHeader) {
          kept.add(old);
          if (old.approved && !e.approved) ended.push(old);
          old.approved = e.approved;
        } else {
          // Flows of a header that has changed keep the endpoint that they began with.
          if (old !== undefined && (old.link !== link || !e.approved)) ended.push(old);
          if (old !== undefined) {
            kept.add(old);
            replaced.push(old);
          }
          this.addEndpoint(link, { ...e, network });
        }
      }
    }
    const named = new Set(topology.links.map((spec) => spec.name));
    for (const link of this.links) if (!named.has(link.name)) this.retire(link);
    this.poolTables.keep(this.links.flatMap((link) => [...link.rules.values()]));
    for (const e of before) {
      if (kept.has(e)) continue;
      if (this.byAddress[e.network]?.get(e.address) === e) this.byAddress[e.network]!.delete(e.address);
      e.approved = false;
      ended.push(e);
      replaced.push(e);
    }
    // Not before, as the caller ends flows by endpoints that this topology has ended.
    this.retired.push(...replaced);
    this.natPools.review(this.links);
    this.nextGeneration();
    return ended;
  }

  private update(link: Link, spec: LinkSpec): void {
    link.gone = false;
    link.spec = spec;
    link.rules = this.rulesOf(spec, link.rules);
    link.security = compileSecurity(spec.security);
    link.policer = policerOf(spec, link.policer);
    this.giveNatAddresses(link, spec.natAddresses);
  }

  /** Of a link that is gone nothing is left but the NAT addresses that drain. */
  private retire(link: Link): void {
    link.gone = true;
    link.spec = { ...link.spec, rules: [], endpoints: [] };
    link.rules = new Map();
    link.security = null;
    this.giveNatAddresses(link, []);
  }

  /** New flows get these addresses; those that go drain. */
  private giveNatAddresses(link: Link, addresses: readonly number[]): void {
    const before = [...link.natAddresses, ...link.draining];
    link.natAddresses = Int32Array.from(addresses);
    link.draining = before.filter((address) => !link.natAddresses.includes(address));
  }

  /** Octets of all endpoints that a link has had: from consumers, and to them. */
  octetsOf(link: Link): [number, number] {
    const sum: [number, number] = [...link.formerOctets];
    for (const e of this.endpoints) {
      if (e.link !== link) continue;
      sum[0] += this.octets[2 * e.index]!;
      sum[1] += this.octets[2 * e.index + 1]!;
    }
    return sum;
  }

  /** Live flows that have a NAT address (int32). */
  liveFlowsOn(address: number): number {
    let flows = 0;
    for (const pool of this.pools) if (pool.address === address) flows += pool.inUse;
    return flows;
  }

  /**
   * Lets NAT addresses go that have drained, or that another link has now, and links that are gone with their last one.
   * @returns the addresses, with the link that had them
   */
  settle(): { readonly link: Link; readonly address: number }[] {
    const left: { link: Link; address: number }[] = [];
    for (const link of this.links) {
      if (link.draining.length === 0) continue;
      const drains = (address: number): boolean =>
        this.liveFlowsOn(address) > 0 && !this.links.some((other) => other.natAddresses.includes(address));
      left.push(...link.draining.filter((address) => !drains(address)).map((address) => ({ link, address })));
      link.draining = link.draining.filter(drains);
    }
    this.links = this.links.filter((link) => !link.gone || link.draining.length > 0);
    return left;
  }
}

/** @param before the link's, which stays as it is while the rate does */
function policerOf({ bitsPerSecond, destination }: LinkSpec, before: Policer | null): Policer | null {
  if (bitsPerSecond === undefined || destination === null) return null;
  return before?.rate === bitsPerSecond ? before : new Policer(bitsPerSecond);
}

const text = (proxy: LinkSpec['proxy']): string =>
  JSON.stringify(proxy, (_, value: unknown) => (value instanceof Uint8Array ? [...value] : value));
const sameProxy = (a: LinkSpec['proxy'], b: LinkSpec['proxy']): boolean => text(a) === text(b);
