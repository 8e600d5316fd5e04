/**
 * Addresses, ports, TTL and checksums from one form to the other, in place. Checksums are updated by the flow's delta
 * (RFC 1624), never recomputed: a packet that came corrupt leaves corrupt by the same difference.
 */
import * as F from '../flow/flow-table.js';
import { apply, fold } from '../wire/checksum.js';
import { get16, set16, set32 } from '../wire/octets.js';
import * as ipv4 from '../wire/ipv4.js';
import * as tcp from '../wire/tcp.js';
import * as udp from '../wire/udp.js';
import type { Core } from './core.js';

/** The IPv4 header into the provider's form; `delta` is of other changes in that header. */
export function ipToProvider(c: Core, ip: number, at: number, delta: number): void {
  const { slab: b, r } = c;
  set32(b, ip + 12, r[at + F.NAT_ADDRESS]!);
  set32(b, ip + 16, r[at + F.BACKEND]!);
  b[ip + 8] = b[ip + 8]! - 1;
  set16(b, ip + 10, apply(ipv4.checksum(b, ip), (r[at + F.DELTAS]! >>> 16) + ipv4.TTL_DOWN + delta));
}

/** The IPv4 header into the consumer's form. */
export function ipToConsumer(c: Core, ip: number, at: number, delta: number): void {
  const { slab: b, r } = c;
  set32(b, ip + 12, r[at + F.ENDPOINT_ADDRESS]!);
  set32(b, ip + 16, r[at + F.CONSUMER]!);
  b[ip + 8] = b[ip + 8]! - 1;
  set16(b, ip + 10, apply(ipv4.checksum(b, ip), 0xffff - (r[at + F.DELTAS]! >>> 16) + ipv4.TTL_DOWN + delta));
}

/**
 * Adds changes to a TCP or UDP checksum field. A partial field holds the pseudo-header sum, not its complement, and
 * covers neither ports nor payload (stream-insertion case 19).
 * @param addresses delta of the addresses, and of the length where it changed
 * @param rest delta of everything else
 */
export function adjustL4(c: Core, field: number, isUdp: boolean, addresses: number, rest: number): void {
  const b = c.slab;
  const old = get16(b, field);
  if (c.partial) {
    set16(b, field, fold(old + addresses));
    return;
  }
  if (!isUdp) {
    set16(b, field, apply(old, addresses + rest));
    return;
  }
  if (old === 0) return; // the sender computed none
  set16(b, field, apply(old, addresses + rest) || 0xffff);
}

export function tcpToProvider(c: Core, ip: number, l4: number, at: number, addresses: number, rest: number): void {
  const deltas = c.r[at + F.DELTAS]!;
  set32(c.slab, l4, c.r[at + F.PROVIDER_PORTS]!);
  adjustL4(c, l4 + tcp.CHECKSUM, false, (deltas >>> 16) + addresses, (deltas & 0xffff) + rest);
  ipToProvider(c, ip, at, addresses);
}

export function tcpToConsumer(c: Core, ip: number, l4: number, at: number, rest: number): void {
  const deltas = c.r[at + F.DELTAS]!;
  const ports = c.r[at + F.CONSUMER_PORTS]!;
  set32(c.slab, l4, (ports << 16) | (ports >>> 16));
  adjustL4(c, l4 + tcp.CHECKSUM, false, 0xffff - (deltas >>> 16), 0xffff - (deltas & 0xffff) + rest);
  ipToConsumer(c, ip, at, 0);
}

export function udpToProvider(c: Core, ip: number, l4: number, at: number): void {
  const deltas = c.r[at + F.DELTAS]!;
  set32(c.slab, l4, c.r[at + F.PROVIDER_PORTS]!);
  adjustL4(c, l4 + udp.CHECKSUM, true, deltas >>> 16, deltas & 0xffff);
  ipToProvider(c, ip, at, 0);
}

export function udpToConsumer(c: Core, ip: number, l4: number, at: number): void {
  const deltas = c.r[at + F.DELTAS]!;
  const ports = c.r[at + F.CONSUMER_PORTS]!;
  set32(c.slab, l4, (ports << 16) | (ports >>> 16));
  adjustL4(c, l4 + udp.CHECKSUM, true, 0xffff - (deltas >>> 16), 0xffff - (deltas & 0xffff));
  ipToConsumer(c, ip, at, 0);
}
