/** Which packets are shown. */
import { CulvertError } from '../errors.js';
import { cidrContains, looksLikeIpv6, parseAddress, parseCidr } from '../wire/address.js';
import type { Cidr } from '../wire/address.js';
import { PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/ipv4.js';
import type { DecodedFrame } from './packet.js';

/** An address, 0 to 2^32-1, and a port. */
export interface FilterEndpoint {
  readonly address: number;
  readonly port: number;
}

/** A packet is shown when it meets each part that is not empty; one value of a part is enough for it. */
export interface Filter {
  /** Either address. */
  readonly addresses: readonly Cidr[];
  /** Either port. */
  readonly ports: readonly number[];
  /** Both ends, in either direction. */
  readonly flows: readonly (readonly [FilterEndpoint, FilterEndpoint])[];
  /** IP protocol numbers. */
  readonly protocols: readonly number[];
}

const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['tcp', PROTOCOL_TCP],
  ['udp', PROTOCOL_UDP],
  ['icmp', PROTOCOL_ICMP],
]);

const invalid = (text: string, right: string): CulvertError => new CulvertError('USAGE', `'${text}' is not ${right}`);

/** Reads `10.0.0.5` or `10.0.0.0/24`. @throws CulvertError USAGE */
export function parseAddressFilter(text: string): Cidr {
  const cidr = parseCidr(text.includes('/') ? text : `${text}/32`);
  if (cidr !== null) return cidr;
  const right = looksLikeIpv6(text) ? 'IPv4; only IPv4 is decoded' : 'an IPv4 address or prefix such as 10.0.0.0/24';
  throw invalid(text, right);
}

/** Reads a port, 0 to 65535. @throws CulvertError USAGE */
export function parsePortFilter(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 0xffff) return Number(text);
  throw invalid(text, 'a port, 0 to 65535');
}

/** Reads `10.0.0.5:40000,10.0.0.4:80`. @throws CulvertError USAGE */
export function parseFlowFilter(text: string): readonly [FilterEndpoint, FilterEndpoint] {
  const [first, second, ...more] = text.split(',').map(parseEndpoint);
  if (first && second && more.length === 0) return [first, second];
  throw invalid(text, 'two ends such as 10.0.0.5:40000,10.0.0.4:80');
}

function parseEndpoint(text: string): FilterEndpoint | null {
  const parts = /^\s*([\d.]+):(\d{1,5})\s*$/.exec(text);
  const address = parseAddress(parts?.[1] ?? '');
  const port = Number(parts?.[2] ?? -1);
  return address < 0 || port > 0xffff ? null : { address, port };
}

/** Reads `tcp`, `udp` or `icmp`. @throws CulvertError USAGE */
export function parseProtocolFilter(text: string): number {
  const protocol = PROTOCOLS.get(text.toLowerCase());
  if (protocol !== undefined) return protocol;
  throw invalid(text, 'tcp, udp or icmp');
}

export const isEmpty = ({ addresses, ports, flows, protocols }: Filter): boolean =>
  addresses.length + ports.length + flows.length + protocols.length === 0;

/** Both ends of a packet; ports are -1 where there are none. */
interface Ends {
  readonly source: number;
  readonly sourcePort: number;
  readonly destination: number;
  readonly destinationPort: number;
}

/** Whether a packet is shown. An ICMP error is shown as well when the packet that it quotes meets the filter's ends. */
export function matches(filter: Filter, frame: DecodedFrame): boolean {
  if (isEmpty(filter)) return true;
  const { ip, transport } = frame;
  if (ip === null) return false;
  if (filter.protocols.length > 0 && !filter.protocols.includes(ip.header.protocol)) return false;
  const { source, destination } = ip.header;
  let sourcePort = frame.ports?.source ?? -1;
  let destinationPort = frame.ports?.destination ?? -1;
  if (transport !== null && transport.kind !== 'icmp') ({ sourcePort, destinationPort } = transport.header);
  if (meets(filter, { source, sourcePort, destination, destinationPort })) return true;
  if (transport?.kind !== 'icmp' || transport.quoted === null) return false;
  const { quoted } = transport;
  return meets(filter, {
    source: quoted.header.source,
    sourcePort: quoted.sourcePort,
    destination: quoted.header.destination,
    destinationPort: quoted.destinationPort,
  });
}

function meets({ addresses, ports, flows }: Filter, ends: Ends): boolean {
  const { source, sourcePort, destination, destinationPort } = ends;
  return (
    (addresses.length === 0 ||
      addresses.some((block) => cidrContains(block, source) || cidrContains(block, destination))) &&
    (ports.length === 0 || ports.includes(sourcePort) || ports.includes(destinationPort)) &&
    (flows.length === 0 || flows.some(([a, z]) => joins(ends, a, z) || joins(ends, z, a)))
  );
}

const joins = (ends: Ends, from: FilterEndpoint, to: FilterEndpoint): boolean =>
  ends.source === from.address &&
  ends.sourcePort === from.port &&
  ends.destination === to.address &&
  ends.destinationPort === to.port;
