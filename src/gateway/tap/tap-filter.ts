/**
 * Which packets a tap takes. A packet is told by its flow, looked up from its addresses and ports on either side; an ICMP
 * error by the flow of the packet that it quotes; a later fragment by its first one. A packet without a flow, as one that
 * was dropped, is told by what can be read of it.
 */
import * as F from '../../flow/flow-table.js';
import type { Link } from '../../translate/tables.js';
import type { Translator } from '../../translate/translator.js';
import * as ipv4 from '../../wire/ipv4.js';
import { get32 } from '../../wire/octets.js';

export interface TapQuery {
  /** Name of a consumer network. */
  readonly network?: string;
  /** Name of a private link service. */
  readonly link?: string;
  /** Consumer's, endpoint's, NAT or backend's address, unsigned. */
  readonly address?: number;
  /** On any side. */
  readonly port?: number;
}

/** Of a packet's first 64 KiB at the provider's side. */
export const PROVIDER_SIDE = -1;

/** First fragments remembered; more at a time forget the oldest half by forgetting all. */
const MOST_FRAGMENTS = 1024;
const ICMP_HEADER = 8;
/** Destination unreachable, source quench, redirect, time exceeded, parameter problem (RFC 792): they quote a packet. */
const ICMP_ERRORS = new Set([3, 4, 5, 11, 12]);
const PORTS_OCTETS = 4;

export class TapFilter {
  private readonly translator: Translator;
  private readonly query: TapQuery;
  private readonly takesAll: boolean;
  private readonly firstFragments = new Map<string, boolean>();

  constructor(translator: Translator, query: TapQuery) {
    this.translator = translator;
    this.query = query;
    this.takesAll = Object.values(query).every((each) => each === undefined);
  }

  /**
   * @param side index of the consumer network where the packet was seen, or PROVIDER_SIDE
   * @param ip where it begins in `b`
   * @param end of its octets at hand
   */
  takes(side: number, b: Buffer, ip: number, end: number): boolean {
    if (this.takesAll) return true;
    if (end - ip < ipv4.MIN_HEADER) return false;
    const fragment = ipv4.flagsAndOffset(b, ip) & ipv4.FRAGMENT_MASK;
    if (fragment === 0) return this.takesWhole(side, b, ip, end);
    const addresses = `${String(ipv4.source(b, ip))} ${String(ipv4.destination(b, ip))}`;
    const key = `${String(side)} ${addresses} ${String(ipv4.identification(b, ip))} ${String(ipv4.protocol(b, ip))}`;
    if ((fragment & ipv4.OFFSET_MASK) !== 0) return this.firstFragments.get(key) ?? false;
    const takes = this.takesWhole(side, b, ip, end);
    if (this.firstFragments.size >= MOST_FRAGMENTS) this.firstFragments.clear();
    this.firstFragments.set(key, takes);
    return takes;
  }

  private takesWhole(side: number, b: Buffer, ip: number, end: number): boolean {
    const protocol = ipv4.protocol(b, ip);
    const l4 = ip + ipv4.headerLength(b, ip);
    if (protocol === ipv4.PROTOCOL_ICMP) {
      const inner = l4 + ICMP_HEADER;
      if (end - inner < ipv4.MIN_HEADER || !ICMP_ERRORS.has(b[l4]!)) return false;
      // It quotes what the one who gets it had sent: the flow is the same, whichever end that is.
      return this.takesTransport(side, b, inner, inner + ipv4.headerLength(b, inner), end);
    }
    return this.takesTransport(side, b, ip, l4, end);
  }

  private takesTransport(side: number, b: Buffer, ip: number, l4: number, end: number): boolean {
    if (end - l4 < PORTS_OCTETS) return false;
    const protocol = ipv4.protocol(b, ip);
    const [source, destination, ports] = [ipv4.source(b, ip), ipv4.destination(b, ip), get32(b, l4)];
    const { flows } = this.translator;
    if (side !== PROVIDER_SIDE) {
      const f = flows.find(source, destination, ports, (side << 8) | protocol);
      return f >= 0 ? this.takesFlow(f) : this.takesAddresses(side, source, destination, ports);
    }
    const natFirst = (ports << 16) | (ports >>> 16);
    let f = flows.findProvider(destination, source, natFirst, protocol);
    if (f < 0) f = flows.findProvider(source, destination, ports, protocol);
    return f >= 0 ? this.takesFlow(f) : this.takesAddresses(side, source, destination, ports);
  }

  private takesFlow(f: number): boolean {
    const { flows, tables } = this.translator;
    const r = flows.records;
    const at = f * F.STRIDE;
    const { network, link, address, port } = this.query;
    if (network !== undefined && tables.networks[r[at + F.CONSUMER_SCOPE]! >> 8] !== network) return false;
    if (link !== undefined && tables.endpoints[r[at + F.ENDPOINT]!]?.link.name !== link) return false;
    const addresses = [F.CONSUMER, F.ENDPOINT_ADDRESS, F.NAT_ADDRESS, F.BACKEND];
    if (address !== undefined && !addresses.some((place) => r[at + place] === (address | 0))) return false;
    return port === undefined || hasPort(r[at + F.CONSUMER_PORTS]!, port) || hasPort(r[at + F.PROVIDER_PORTS]!, port);
  }

  private takesAddresses(side: number, source: number, destination: number, ports: number): boolean {
    const { tables } = this.translator;
    const { network, link, address, port } = this.query;
    if (network !== undefined && tables.networks[side] !== network) return false;
    if (link !== undefined && this.linkOf(side, source, destination)?.name !== link) return false;
    if (address !== undefined && source !== (address | 0) && destination !== (address | 0)) return false;
    return port === undefined || hasPort(ports, port);
  }

  private linkOf(side: number, source: number, destination: number): Link | undefined {
    const { tables } = this.translator;
    if (side !== PROVIDER_SIDE) return (tables.endpointAt(side, destination) ?? tables.endpointAt(side, source))?.link;
    return tables.links.find(({ natAddresses: nat }) => nat.includes(source) || nat.includes(destination));
  }
}

const hasPort = (ports: number, port: number): boolean => ports >>> 16 === port || (ports & 0xffff) === port;
