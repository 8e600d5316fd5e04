/** Live flows for `culvert flows`: chosen by address and port, the busiest first. */
import { setImmediate } from 'node:timers/promises';
import * as F from '../flow/flow-table.js';
import type { Translator } from '../translate/translator.js';
import { formatAddress } from '../wire/address.js';

export interface FlowQuery {
  /** Most flows to give. */
  readonly top: number;
  /** Only flows in which this address (unsigned) is the consumer's, the endpoint's, a NAT address or the backend's. */
  readonly address?: number;
  /** Only flows with this port on any side. */
  readonly port?: number;
}

export interface FlowStatus {
  readonly protocol: 'tcp' | 'udp';
  /** Consumer network. */
  readonly network: string;
  readonly service: string;
  readonly endpointName: string;
  readonly linkId: number;
  /** Each as `10.0.0.5:40000`. */
  readonly consumer: string;
  readonly endpoint: string;
  readonly nat: string;
  readonly backend: string;
  readonly state: string;
  readonly header: 'none' | 'unsent' | 'unacknowledged' | 'acknowledged';
  /** Octets of IPv4 packets from the consumer, and to it. */
  readonly octetsOut: number;
  readonly octetsBack: number;
  readonly idleMs: number;
}

export interface FlowReport {
  /** Live flows, and how many of them were asked for. */
  readonly live: number;
  readonly matching: number;
  /** The busiest of those, by octets both ways. */
  readonly flows: readonly FlowStatus[];
}

const STATES = ['free', 'syn-sent', 'syn-received', 'established', 'closing', 'udp', 'mid-stream'] as const;
/** Flows looked at before packets get their turn. */
const STEP = 16_384;
export const MOST_FLOWS = 1000;

/** Looks through all flows in steps, so that a full table makes no pause in the burst loop. */
export async function reportFlows(t: Translator, query: FlowQuery): Promise<FlowReport> {
  const top = Math.min(query.top, MOST_FLOWS);
  const best: { flow: number; generation: number; octets: number }[] = [];
  const { records: r, counters } = t.flows;
  let matching = 0;
  let looked = 0;
  for (const f of t.flows) {
    if (++looked % STEP === 0) await setImmediate();
    const at = f * F.STRIDE;
    if (!matches(r, at, query)) continue;
    matching++;
    const octets = counters[(at + F.OCTETS_OUT) >> 1]! + counters[(at + F.OCTETS_BACK) >> 1]!;
    if (best.length === top && (top === 0 || octets <= best[top - 1]!.octets)) continue;
    const place = best.findIndex((each) => each.octets < octets);
    best.splice(place < 0 ? best.length : place, 0, { flow: f, generation: r[at + F.GENERATION]!, octets });
    if (best.length > top) best.pop();
  }
  const flows = best
    // One that ended while we looked on is no flow any more.
    .filter(({ flow, generation }) => {
      const at = flow * F.STRIDE;
      return r[at + F.STATUS] !== F.FREE && r[at + F.GENERATION] === generation;
    })
    .map(({ flow }) => describe(t, flow));
  return { live: t.flows.count, matching, flows };
}

function matches(r: Int32Array, at: number, { address, port }: FlowQuery): boolean {
  if (address !== undefined) {
    const a = address | 0;
    const places = [F.CONSUMER, F.ENDPOINT_ADDRESS, F.NAT_ADDRESS, F.BACKEND];
    if (!places.some((place) => r[at + place] === a)) return false;
  }
  if (port === undefined) return true;
  return [F.CONSUMER_PORTS, F.PROVIDER_PORTS].some((place) => {
    const both = r[at + place]!;
    return both >>> 16 === port || (both & 0xffff) === port;
  });
}

function describe(t: Translator, f: number): FlowStatus {
  const { records: r, counters } = t.flows;
  const at = f * F.STRIDE;
  const end = (address: number, port: number): string => `${formatAddress(address >>> 0)}:${String(port)}`;
  const consumerPorts = r[at + F.CONSUMER_PORTS]!;
  const providerPorts = r[at + F.PROVIDER_PORTS]!;
  const scope = r[at + F.CONSUMER_SCOPE]!;
  const status = r[at + F.STATUS]!;
  const endpoint = t.tables.endpoints[r[at + F.ENDPOINT]!]!;
  return {
    protocol: (scope & 0xff) === 6 ? 'tcp' : 'udp',
    network: t.tables.networks[scope >>> 8] ?? '',
    service: endpoint.link.name,
    endpointName: endpoint.name,
    linkId: endpoint.linkId,
    consumer: end(r[at + F.CONSUMER]!, consumerPorts >>> 16),
    endpoint: end(r[at + F.ENDPOINT_ADDRESS]!, consumerPorts & 0xffff),
    nat: end(r[at + F.NAT_ADDRESS]!, providerPorts >>> 16),
    backend: end(r[at + F.BACKEND]!, providerPorts & 0xffff),
    state: STATES[status & F.STATE_MASK] ?? 'unknown',
    header: headerState(status),
    octetsOut: counters[(at + F.OCTETS_OUT) >> 1]!,
    octetsBack: counters[(at + F.OCTETS_BACK) >> 1]!,
    idleMs: Math.round(t.core.idleMs(f)),
  };
}

function headerState(status: number): FlowStatus['header'] {
  if (status >>> F.HEADER_SHIFT === 0) return 'none';
  if ((status & F.HEADER_ACKED) !== 0) return 'acknowledged';
  return (status & F.HEADER_SENT) === 0 ? 'unsent' : 'unacknowledged';
}
