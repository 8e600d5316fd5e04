/**
 * `--adopt`: services without configuration. Each address that a client of the recording speaks to becomes a private
 * endpoint with its own LINKID and a backend address of its own; ports stay. Nothing is chosen at random: the n-th
 * service gets the n-th backend address and, unless one is given for all, LINKID 1000 + n.
 */
import type { Endpoint, Tables } from '../translate/tables.js';
import type { LinkSpec, ProxySpec, RuleSpec } from '../translate/topology.js';
import type { Cidr } from '../wire/address.js';

export interface AdoptOptions {
  /** NAT addresses, uint32. */
  readonly natAddresses: readonly number[];
  readonly natPortFirst: number;
  readonly natPortCount: number;
  /** Backends get their addresses from here, uint32 base. */
  readonly backendNet: Cidr;
  /** One for all services, or null. */
  readonly linkId: number | null;
  readonly proxy: ProxySpec | null;
  readonly idleTimeoutMs: number;
}

const FIRST_LINK_ID = 1001;

export class Adopter {
  private readonly tables: Tables;
  private readonly options: AdoptOptions;
  private adopted = 0;
  private readonly room: number;

  constructor(tables: Tables, options: AdoptOptions) {
    this.tables = tables;
    this.options = options;
    this.room = Math.max(1, 2 ** (32 - options.backendNet.prefix) - 2);
  }

  /** @returns the new endpoint, or undefined when the backend network is used up */
  adopt(network: number, address: number): Endpoint | undefined {
    if (this.adopted >= this.room) return undefined;
    const n = this.adopted++;
    const o = this.options;
    const backend = (o.backendNet.base + 1 + n) >>> 0;
    const rule = (protocol: 6 | 17): RuleSpec => ({
      protocol,
      frontendPort: 0,
      backendPort: 0,
      backends: [backend],
      distribution: 'Default',
      idleTimeoutMs: o.idleTimeoutMs,
      tcpReset: false,
    });
    const endpoint = {
      name: `adopted-${String(n + 1)}`,
      network,
      address: address >>> 0,
      linkId: o.linkId ?? FIRST_LINK_ID + n,
      approved: true,
    };
    const spec: LinkSpec = {
      name: endpoint.name,
      natAddresses: o.natAddresses,
      natPortFirst: o.natPortFirst,
      natPortCount: o.natPortCount,
      proxy: o.proxy,
      rules: [rule(6), rule(17)],
      destination: null,
      tcpIdleTimeoutMs: o.idleTimeoutMs,
      udpIdleTimeoutMs: o.idleTimeoutMs,
      endpoints: [endpoint],
    };
    return this.tables.addEndpoint(this.tables.addLink(spec), endpoint);
  }
}
