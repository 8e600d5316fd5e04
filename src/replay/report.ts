/** What a replay tells at its end: one object for `--json`, from which the table is printed too. */
import type { Reason } from '../packet/verdict.js';
import { formatAddress } from '../wire/address.js';
import type { ReplayPlan, ReplayResult } from './replay.js';

export interface ReplayReport {
  readonly input: string;
  readonly provider: string | null;
  readonly consumer: string | null;
  /** Packets and octets read. */
  readonly packets: number;
  readonly octets: number;
  /** Packets written. */
  readonly toProvider: number;
  readonly toConsumer: number;
  readonly flows: { readonly tcp: number; readonly udp: number; readonly midstream: number };
  readonly headers: { readonly inserted: number; readonly resent: number };
  /** Packets by the reason for which they were dropped. */
  readonly drops: Partial<Record<Reason, number>>;
  readonly fragments: { readonly held: number; readonly waiting: number; readonly identificationsChanged: number };
  readonly icmpErrors: number;
  readonly fastOpen: { readonly carried: number; readonly stripped: number };
  readonly mptcpBlanked: number;
  /** Offload artefacts that were completed. */
  readonly completed: {
    readonly totalLengths: number;
    readonly ipChecksums: number;
    readonly l4Checksums: number;
    readonly partialLeft: number;
    readonly repaired: number;
  };
  /** How server packets given back differ from those recorded. */
  readonly returned: {
    readonly packets: number;
    readonly identical: number;
    readonly completed: number;
    readonly windowClamped: number;
    readonly optionsBlanked: number;
    readonly identificationChanged: number;
    readonly unexplained: number;
  };
  /** NAT ports in use at the end. */
  readonly natPorts: readonly {
    readonly address: string;
    readonly backend: string;
    readonly protocol: 'tcp' | 'udp';
    readonly inUse: number;
    readonly of: number;
  }[];
  readonly services: readonly {
    readonly name: string;
    readonly network: string;
    readonly endpoint: string;
    readonly linkId: number;
    readonly link: string;
    readonly backends: readonly string[];
  }[];
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

const TCP = 6;

export function reportOf(plan: ReplayPlan, result: ReplayResult): ReplayReport {
  const { translator: t, returned, completed } = result;
  const { counters: c, tables } = t;
  const natPorts = tables.pools
    .filter((pool) => pool.inUse > 0)
    .sort((a, b) => (a.address >>> 0) - (b.address >>> 0) || (a.backend >>> 0) - (b.backend >>> 0))
    .map((pool) => ({
      address: formatAddress(pool.address >>> 0),
      backend: formatAddress(pool.backend >>> 0),
      protocol: pool.protocol === TCP ? ('tcp' as const) : ('udp' as const),
      inUse: pool.inUse,
      of: pool.size,
    }));
  return {
    input: plan.input,
    provider: plan.provider,
    consumer: plan.consumer,
    packets: result.packets,
    octets: result.octets,
    toProvider: result.toProvider,
    toConsumer: result.toConsumer,
    flows: { tcp: c.flowsTcp, udp: c.flowsUdp, midstream: c.flowsMidstream },
    headers: { inserted: c.headersInserted, resent: c.headersResent },
    drops: t.drops.toJSON(),
    fragments: {
      held: c.fragmentsHeld,
      waiting: t.fragments.waiting,
      identificationsChanged: c.identificationsChanged,
    },
    icmpErrors: c.icmpErrors,
    fastOpen: { carried: c.fastOpenCarried, stripped: c.fastOpenStripped },
    mptcpBlanked: c.mptcpBlanked,
    completed,
    returned,
    natPorts,
    services: tables.endpoints.map((e) => ({
      name: e.name,
      network: tables.networks[e.network] ?? '',
      endpoint: formatAddress(e.address >>> 0),
      linkId: e.linkId,
      link: e.link.name,
      backends: [...new Set([...e.link.rules.values()].flatMap((r) => [...r.backends]))].map((a) =>
        formatAddress(a >>> 0),
      ),
    })),
    warnings: result.warnings.map((w) => ({ code: w.code, message: w.message })),
  };
}
