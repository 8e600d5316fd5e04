/**
 * Whose a packet is, where several workers share the flows of a gateway: a rule that every worker can follow by itself,
 * from the packet alone.
 *
 * - A consumer's packet belongs to the worker that a hash of its addresses, ports, protocol and network tells; the hash is
 *   the same in both directions.
 * - That worker opens the flow, and takes the NAT port from its own share of the ports (flow/share.ts). So a packet of the
 *   provider's side, whichever its backend is, belongs to the worker that its NAT port tells.
 * - An ICMP error belongs where the packet does that it quotes.
 * - What has no ports belongs to nobody: whoever reads it may drop it.
 * - Fragments have a keeper first, who knows of all fragments of a datagram: steering.ts.
 */
import { flowHash, mix } from '../../flow/hash.js';
import * as icmp from '../../wire/icmp.js';
import * as ipv4 from '../../wire/ipv4.js';
import { get32 } from '../../wire/octets.js';

/** Beside the numbers of consumer networks: the packet came to a NAT address, */
export const FROM_PROVIDER = -1;
/** or is for the worker that reads it, whoever that is. */
export const FOR_READER = -2;

export const NOBODY = -1;

/** Unlike the flow tables' own, so that a worker's flows are like any others to its table. */
const SEED = 0x2545f491;
const PORTS_OCTETS = 4;

/** The upper half of a hash, spread over the workers. */
const among = (hash: number, workers: number): number => ((hash >>> 16) * workers) >>> 16;

/**
 * @param side number of the consumer network that it came from, or FROM_PROVIDER
 * @param ip an IPv4 packet of at least 20 octets, whole or the first fragment
 * @returns a worker's index, or NOBODY
 */
export function ownerOf(side: number, b: Buffer, ip: number, end: number, workers: number): number {
  const l4 = ip + ipv4.headerLength(b, ip);
  if (ipv4.protocol(b, ip) !== ipv4.PROTOCOL_ICMP) return ownerByPorts(side, false, b, ip, l4, end, workers);
  const quote = l4 + icmp.HEADER;
  if (end - quote < ipv4.MIN_HEADER || !icmp.isError(icmp.type(b, l4))) return NOBODY;
  return ownerByPorts(side, true, b, quote, quote + ipv4.headerLength(b, quote), end, workers);
}

/** @param quoted the packet went the other way: its source has the NAT port */
function ownerByPorts(
  side: number,
  quoted: boolean,
  b: Buffer,
  ip: number,
  l4: number,
  end: number,
  workers: number,
): number {
  const protocol = ipv4.protocol(b, ip);
  if (end - l4 < PORTS_OCTETS || (protocol !== ipv4.PROTOCOL_TCP && protocol !== ipv4.PROTOCOL_UDP)) return NOBODY;
  const ports = get32(b, l4);
  if (side === FROM_PROVIDER) return (quoted ? ports >>> 16 : ports & 0xffff) % workers;
  const scope = (side << 8) | protocol;
  return among(flowHash(ipv4.source(b, ip), ipv4.destination(b, ip), ports, scope, SEED), workers);
}

/** The worker that fragments go to first: the same for all of a datagram. */
export function keeperOf(b: Buffer, ip: number, workers: number): number {
  const datagram = (ipv4.identification(b, ip) << 8) | ipv4.protocol(b, ip);
  return among(mix(ipv4.source(b, ip) ^ mix(ipv4.destination(b, ip) ^ mix(datagram))), workers);
}
