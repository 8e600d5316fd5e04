/** RST both ways when an idle flow ends and its rule has `enableTcpReset` (Azure Load Balancer, "TCP reset on idle"). */
import * as F from '../flow/flow-table.js';
import { TO_CONSUMER, TO_PROVIDER } from '../packet/outbox.js';
import { pseudoHeader, sum } from '../wire/checksum.js';
import * as ipv4 from '../wire/ipv4.js';
import { set32 } from '../wire/octets.js';
import { distance } from '../wire/seq.js';
import * as tcp from '../wire/tcp.js';
import type { Core } from './core.js';
import { toBackend } from './insertion.js';

const LENGTH = ipv4.MIN_HEADER + tcp.MIN_HEADER;
const TTL = 64;

/**
 * Only an established flow is reset: both numbers are known, and the RST is exactly what each end expects.
 * @returns packets sent, or -1 when this burst has no room for both
 */
export function sendIdleResets(c: Core, f: number): number {
  const at = f * F.STRIDE;
  const { r } = c;
  const status = r[at + F.STATUS]!;
  if ((status & F.STATE_MASK) !== F.ESTABLISHED) return 0;
  if (c.outbox.count > 0 && !c.hasRoom(2, LENGTH)) return -1;
  const consumerPorts = r[at + F.CONSUMER_PORTS]!;
  const reversed = (consumerPorts << 16) | (consumerPorts >>> 16);
  reset(
    c,
    r[at + F.ENDPOINT_ADDRESS]!,
    r[at + F.CONSUMER]!,
    reversed,
    r[at + F.CLIENT_ACK]!,
    r[at + F.CLIENT_NEXT]!,
    at,
    TO_CONSUMER,
  );
  const expected = r[at + F.SERVER_ACK]!;
  const seq = toBackend(expected, distance(r[at + F.START]!, expected), status);
  reset(
    c,
    r[at + F.NAT_ADDRESS]!,
    r[at + F.BACKEND]!,
    r[at + F.PROVIDER_PORTS]!,
    seq,
    r[at + F.SERVER_NEXT]!,
    at,
    TO_PROVIDER,
  );
  return 2;
}

function reset(
  c: Core,
  source: number,
  destination: number,
  ports: number,
  seq: number,
  ack: number,
  at: number,
  side: number,
): void {
  const { slab: b } = c;
  const ip = c.scratch(LENGTH);
  if (ip < 0) return;
  const l4 = ip + ipv4.MIN_HEADER;
  b.fill(0, ip, ip + LENGTH);
  b[ip] = 0x45;
  ipv4.setTotalLength(b, ip, LENGTH);
  ipv4.setFlagsAndOffset(b, ip, ipv4.DONT_FRAGMENT);
  ipv4.setTtl(b, ip, TTL);
  b[ip + 9] = ipv4.PROTOCOL_TCP;
  ipv4.setSource(b, ip, source);
  ipv4.setDestination(b, ip, destination);
  ipv4.setChecksum(b, ip, sum(b, ip, l4) ^ 0xffff);
  set32(b, l4, ports);
  tcp.setSequence(b, l4, seq);
  tcp.setAcknowledgment(b, l4, ack);
  tcp.setHeaderLength(b, l4, tcp.MIN_HEADER);
  tcp.setFlags(b, l4, tcp.RST | tcp.ACK);
  const initial = pseudoHeader(source, destination, ipv4.PROTOCOL_TCP, tcp.MIN_HEADER);
  tcp.setChecksum(b, l4, sum(b, l4, ip + LENGTH, initial) ^ 0xffff);
  c.outbox.add(ip, LENGTH, 0, side, c.r[at + F.CONSUMER_SCOPE]! >>> 8);
}
