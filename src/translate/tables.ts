/**
 * What the packet path looks up when a flow begins: endpoints by network and address, rules by protocol and port,
 * backends by consistent hash, and the port pools. Built from a Topology; written only by the control side.
 */
import { maglevTable } from '../balance/maglev.js';
import { mix, tupleHash } from '../flow/hash.js';
import { PortPool } from '../flow/port-pool.js';
import { headerTemplate, type HeaderTemplate } from '../wire/proxy/index.js';
import { dialectOf } from './dialects.js';
import type { Distribution, EndpointSpec, LinkSpec, RuleSpec, Topology } from './topology.js';

export interface Rule {
  readonly protocol: number;
  /** 0: the port that the consumer sent to. */
  readonly backendPort: number;
  /** int32 addresses. */
  readonly backends: Int32Array;
  /** Indexes into `backends` by hash; null where there is but one. */
  readonly maglev: Uint16Array | null;
  readonly distribution: Distribution;
  readonly idleMs: number;
  readonly tcpReset: boolean;
}

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
}

export interface Link {
  readonly name: string;
  readonly spec: LinkSpec;
  /** int32 addresses. */
  readonly natAddresses: Int32Array;
  /** By protocol << 16 | port; port 0 stands for every port. */
  readonly rules: Map<number, Rule>;
  /** Pools by backend address; one a NAT address and protocol (TCP first, then UDP). */
  readonly pools: Map<number, PortPool[]>;
}

const TCP = 6;

export class Tables {
  readonly networks: string[];
  readonly links: Link[] = [];
  readonly endpoints: Endpoint[] = [];
  /** Pools by number; a flow keeps the number of the pool that its port goes back to. */
  readonly pools: PortPool[] = [];
  private readonly poolNumbers = new Map<PortPool, number>();
  private readonly byAddress: Map<number, Endpoint>[] = [];
  private readonly seed: number;

  constructor(topology: Topology, seed: number) {
    this.seed = seed;
    this.networks = [...topology.networks];
    for (const spec of topology.links) {
      const link = this.addLink(spec);
      for (const e of spec.endpoints) this.addEndpoint(link, e);
    }
  }

  addLink(spec: LinkSpec): Link {
    const rules = new Map<number, Rule>();
    for (const r of spec.rules) rules.set((r.protocol << 16) | r.frontendPort, compileRule(r));
    if (spec.destination !== null) {
      for (const protocol of [6, 17] as const) rules.set(protocol << 16, directRule(spec, protocol));
    }
    const link: Link = {
      name: spec.name,
      spec,
      natAddresses: Int32Array.from(spec.natAddresses),
      rules,
      pools: new Map(),
    };
    this.links.push(link);
    return link;
  }

  addEndpoint(link: Link, spec: EndpointSpec): Endpoint {
    const proxy = link.spec.proxy;
    const endpoint: Endpoint = {
      index: this.endpoints.length,
      name: spec.name,
      network: spec.network,
      address: spec.address | 0,
      linkId: spec.linkId,
      approved: spec.approved,
      link,
      header: proxy === null ? null : headerTemplate(dialectOf(proxy, spec.linkId), spec.address >>> 0, 0),
    };
    this.endpoints.push(endpoint);
    let map = this.byAddress[spec.network];
    if (map === undefined) this.byAddress[spec.network] = map = new Map<number, Endpoint>();
    map.set(endpoint.address, endpoint);
    return endpoint;
  }

  /** The private endpoint at an address (int32) of a consumer network. */
  endpointAt(network: number, address: number): Endpoint | undefined {
    return this.byAddress[network]?.get(address);
  }

  rule(link: Link, protocol: number, port: number): Rule | undefined {
    return link.rules.get((protocol << 16) | port) ?? link.rules.get(protocol << 16);
  }

  /** The backend for a consumer's tuple; the rule has at least one. */
  backend(rule: Rule, e: Endpoint, protocol: number, source: number, sourcePort: number, port: number): number {
    if (rule.maglev === null) return rule.backends[0]!;
    const five = rule.distribution === 'Default';
    const scope = rule.distribution === 'SourceIP' ? 0 : protocol;
    const hash = tupleHash(source, five ? sourcePort : 0, e.address, five ? port : 0, scope, mix(e.index + 1));
    return rule.backends[rule.maglev[(hash >>> 0) % rule.maglev.length]!]!;
  }

  /** The pools of a link towards a backend, one a NAT address. */
  poolsFor(link: Link, backend: number, protocol: number): PortPool[] {
    const key = backend * 2 + (protocol === TCP ? 0 : 1);
    let pools = link.pools.get(key);
    if (pools === undefined) {
      pools = Array.from(link.natAddresses, (address, i) => {
        const order = mix(Math.imul(address, 31) ^ mix(backend + i) ^ mix(this.seed + protocol)) >>> 0;
        const pool = new PortPool(link.spec.natPortFirst, link.spec.natPortCount, order);
        this.poolNumbers.set(pool, this.pools.length);
        this.pools.push(pool);
        return pool;
      });
      link.pools.set(key, pools);
    }
    return pools;
  }

  poolNumber(pool: PortPool): number {
    return this.poolNumbers.get(pool)!;
  }
}

function compileRule(spec: RuleSpec): Rule {
  return {
    protocol: spec.protocol,
    backendPort: spec.frontendPort === 0 ? 0 : spec.backendPort,
    backends: Int32Array.from(spec.backends),
    maglev: spec.backends.length > 1 ? maglevTable(spec.backends) : null,
    distribution: spec.distribution,
    idleMs: spec.idleTimeoutMs,
    tcpReset: spec.tcpReset,
  };
}

function directRule(spec: LinkSpec, protocol: 6 | 17): Rule {
  return compileRule({
    protocol,
    frontendPort: 0,
    backendPort: 0,
    backends: [spec.destination!],
    distribution: 'Default',
    idleTimeoutMs: spec.idleTimeoutMs,
    tcpReset: false,
  });
}
