/**
 * The usual packet, in one go: a TCP segment without IPv4 options, whole, with ACK and neither SYN, FIN nor RST, of an
 * established flow whose header needs no thought. Most packets are like that, and the general way (translator.ts,
 * tcp.ts, insertion.ts, rewrite.ts, recording.ts) judges each of them through a dozen functions; here every octet is
 * read once.
 *
 * Theory of operation
 * - Each function either does all that the general way would have done, down to the flow's columns and counters, and says
 *   so, or changes nothing and leaves the packet to it. No rule lives here alone: what is not plain is not usual.
 * - A property test holds both ways equal.
 * - Octets are read and written through one DataView of the whole slab, made with it: the JIT turns each access into a
 *   bounds check, a load and a byte swap, where four indexed octets take four checks and four loads (figures in
 *   native-notes). To make a view per packet would cost a hundred times that.
 */
import * as F from '../flow/flow-table.js';
import { TO_CONSUMER, TO_PROVIDER } from '../packet/outbox.js';
import { apply, delta32, fold, pseudoHeader } from '../wire/checksum.js';
import { TTL_DOWN } from '../wire/ipv4.js';
import * as tcp from '../wire/tcp.js';
import type { Core } from './core.js';
import { LIFT } from './fragments.js';
import { LEAP } from './tracking.js';

/** IPv4 header without options, and the least TCP header. */
const HEADERS = 40;
const L4 = 20;
/** Flags that ask for a closer look. */
const UNUSUAL = tcp.SYN | tcp.FIN | tcp.RST;
/** NOP, NOP, timestamps: how nearly every sender writes its only option (RFC 7323 appendix A). */
const TIMESTAMPS = 0x0101080a;
/** Behind S by more, a stream may have to be marked as past it. */
const PAST = 0x40000000;

/** What a packet was, as far as it was usual. */
export const NOT_USUAL = 0;
export const TO_BACKEND = 1;
export const LIFTED = 2;
export const TO_CLIENT = 3;

/**
 * Length of a whole TCP packet whose headers are plain, or 0. After that its headers lie before `end`.
 * @param missing octets of the packet that were on the wire behind `end`
 */
function plainLength(v: DataView, ip: number, end: number, missing: number): number {
  if (end - ip < HEADERS) return 0;
  const w0 = v.getInt32(ip);
  const w1 = v.getInt32(ip + 4);
  const w2 = v.getInt32(ip + 8);
  const total = w0 & 0xffff;
  // Version 4 without options; no fragment; TCP.
  if (w0 >>> 24 !== 0x45 || (w1 & 0x3fff) !== 0 || ((w2 >>> 16) & 0xff) !== 6 || w2 >>> 25 === 0) return 0;
  if (total < HEADERS || total > end - ip + missing) return 0;
  const flags = v.getUint8(ip + L4 + 13);
  if ((flags & (UNUSUAL | tcp.ACK)) !== tcp.ACK) return 0;
  const header = (v.getUint8(ip + L4 + 12) >>> 4) << 2;
  if (header < 20 || L4 + header > total || L4 + header > end - ip) return 0;
  if (header > 20 && (header !== 32 || v.getInt32(ip + HEADERS) !== TIMESTAMPS)) return 0;
  const w3 = v.getInt32(ip + 12);
  const w4 = v.getInt32(ip + 16);
  const sum =
    (w0 >>> 16) +
    total +
    (w1 >>> 16) +
    (w1 & 0xffff) +
    (w2 >>> 16) +
    (w2 & 0xffff) +
    (w3 >>> 16) +
    (w3 & 0xffff) +
    (w4 >>> 16) +
    (w4 & 0xffff);
  return fold(sum) === 0xffff ? total : 0;
}

/**
 * A packet seen in a consumer network.
 * @param recorded a server's packet is lifted into the form that its backend sent, else it is not usual; but a checksum
 *   that is no more than the pseudo header's sum is not usual here, where nothing else tells that it is partial
 * @param partial the checksum field holds the pseudo-header sum only, as of every packet from a local TCP with offload
 * @returns NOT_USUAL, TO_BACKEND, or LIFTED
 */
export function fromNetwork(
  c: Core,
  ip: number,
  end: number,
  network: number,
  missing: number,
  recorded: boolean,
  partial: boolean,
): number {
  const { view: v, flows, r } = c;
  const total = plainLength(v, ip, end, missing);
  if (total === 0 || c.outbox.count >= c.outbox.capacity || !c.shortcut) return NOT_USUAL;
  const source = v.getInt32(ip + 12);
  const destination = v.getInt32(ip + 16);
  if (recorded && v.getUint16(ip + L4 + 16) === pseudoHeader(source, destination, 6, total - L4)) return NOT_USUAL;
  const f = flows.find(source, destination, v.getInt32(ip + L4), (network << 8) | 6);
  if (f < 0) return NOT_USUAL;
  const at = f * F.STRIDE;
  const status = r[at + F.STATUS]!;
  if ((status & F.STATE_MASK) !== F.ESTABLISHED) return NOT_USUAL;
  const last = Math.min(end, ip + total);
  if (flows.forward) return client(c, ip, last, total, f, status, partial) ? TO_BACKEND : NOT_USUAL;
  return recorded && lift(c, ip, last, total, at, status) ? LIFTED : NOT_USUAL;
}

function client(
  c: Core,
  ip: number,
  last: number,
  total: number,
  f: number,
  status: number,
  partial: boolean,
): boolean {
  const { view: v, r } = c;
  const at = f * F.STRIDE;
  const l4 = ip + L4;
  const seq = v.getInt32(l4 + 4);
  const length = status >>> F.HEADER_SHIFT;
  const data = total - L4 - ((v.getUint8(l4 + 12) >>> 4) << 2);
  let rest = 0;
  if (length !== 0) {
    if ((status & F.PAST_START) === 0) {
      const d = (seq - r[at + F.START]!) | 0;
      // At S the header may have to go again; before S nothing is shifted; far behind S the flow is marked so.
      if (d < 0 || d > PAST) return false;
      if ((status & F.HEADER_ACKED) === 0 && (d === 0 || (data > 0 && (status & F.HEADER_SENT) === 0))) return false;
    } else if ((status & F.HEADER_ACKED) === 0) {
      return false;
    }
  }
  const next = (seq + data) | 0;
  const ahead = (next - r[at + F.CLIENT_NEXT]!) | 0;
  const ack = v.getInt32(l4 + 8);
  const acknowledged = (ack - r[at + F.CLIENT_ACK]!) | 0;
  if (ahead > LEAP || acknowledged > LEAP) return false;
  if ((status & F.POLICED) !== 0 && !c.withinBandwidth(at, TO_PROVIDER, total)) return false;
  if (length !== 0) {
    const moved = (seq + length) | 0;
    v.setInt32(l4 + 4, moved);
    rest = delta32(seq, moved);
  }
  r[at + F.SEEN] = c.now | 0;
  const window = v.getUint16(l4 + 14);
  r[at + F.WINDOWS] = (window << 16) | (r[at + F.WINDOWS]! & 0xffff);
  if (ahead > 0) r[at + F.CLIENT_NEXT] = next;
  if (acknowledged > 0) r[at + F.CLIENT_ACK] = ack;

  const deltas = r[at + F.DELTAS]!;
  v.setInt32(l4, r[at + F.PROVIDER_PORTS]!);
  const field = v.getUint16(l4 + 16);
  const addresses = deltas >>> 16;
  // A pseudo header's sum, no complement of it, knows neither ports nor sequence numbers.
  v.setInt16(l4 + 16, partial ? fold(field + addresses) : apply(field, addresses + (deltas & 0xffff) + rest));
  const lifetime = v.getInt32(ip + 8);
  const sum = apply(lifetime & 0xffff, addresses + TTL_DOWN);
  v.setInt32(ip + 8, ((lifetime - 0x1000000) & ~0xffff) | sum);
  v.setInt32(ip + 12, r[at + F.NAT_ADDRESS]!);
  v.setInt32(ip + 16, r[at + F.BACKEND]!);

  send(c, ip, last, total, f, TO_PROVIDER, F.OCTETS_OUT);
  return true;
}

/** The inverse of `fromBackend`, but for the TTL. */
function lift(c: Core, ip: number, last: number, total: number, at: number, status: number): boolean {
  const { view: v, r } = c;
  const l4 = ip + L4;
  const length = status >>> F.HEADER_SHIFT;
  let rest = 0;
  if (length !== 0) {
    if ((status & F.HEADER_SENT) === 0) return false;
    const ack = v.getInt32(l4 + 8);
    const moved = (ack + length) | 0;
    // At S or before it, or so far behind that the header would take it to the other side.
    if ((status & F.PAST_START) === 0 && ((moved - r[at + F.START]!) | 0) <= length) return false;
    v.setInt32(l4 + 8, moved);
    rest = delta32(ack, moved);
  }
  const deltas = r[at + F.DELTAS]!;
  const ports = r[at + F.PROVIDER_PORTS]!;
  v.setInt32(l4, (ports << 16) | (ports >>> 16));
  const field = v.getUint16(l4 + 16);
  v.setInt16(l4 + 16, apply(field, (deltas >>> 16) + (deltas & 0xffff) + rest));
  const sum = v.getUint16(ip + 10);
  v.setInt16(ip + 10, apply(sum, deltas >>> 16));
  v.setInt32(ip + 12, r[at + F.BACKEND]!);
  v.setInt32(ip + 16, r[at + F.NAT_ADDRESS]!);
  c.missing = ip + total - last;
  c.outbox.add(ip, last - ip, c.missing, LIFT, 0);
  return true;
}

/** A packet seen on the provider's side. @returns NOT_USUAL or TO_CLIENT */
export function fromBackend(c: Core, ip: number, end: number, missing: number, partial: boolean): number {
  const { view: v, flows, r } = c;
  const total = plainLength(v, ip, end, missing);
  if (total === 0 || c.outbox.count >= c.outbox.capacity || !c.shortcut) return NOT_USUAL;
  const l4 = ip + L4;
  const ports = v.getInt32(l4);
  const f = flows.findProvider(v.getInt32(ip + 16), v.getInt32(ip + 12), (ports << 16) | (ports >>> 16), 6);
  if (f < 0) return NOT_USUAL;
  const at = f * F.STRIDE;
  const status = r[at + F.STATUS]!;
  if ((status & F.STATE_MASK) !== F.ESTABLISHED) return NOT_USUAL;
  const length = status >>> F.HEADER_SHIFT;
  const ack = v.getInt32(l4 + 8);
  let rest = 0;
  if (length !== 0) {
    if ((status & F.HEADER_ACKED) === 0) return NOT_USUAL;
    if ((status & F.PAST_START) === 0 && ((ack - r[at + F.START]!) | 0) < length) return NOT_USUAL;
  }
  const moved = (ack - length) | 0;
  const next = (v.getInt32(l4 + 4) + total - L4 - ((v.getUint8(l4 + 12) >>> 4) << 2)) | 0;
  const ahead = (next - r[at + F.SERVER_NEXT]!) | 0;
  const acknowledged = (moved - r[at + F.SERVER_ACK]!) | 0;
  if (ahead > LEAP || acknowledged > LEAP) return NOT_USUAL;
  if ((status & F.POLICED) !== 0 && !c.withinBandwidth(at, TO_CONSUMER, total)) return NOT_USUAL;
  if (length !== 0) {
    v.setInt32(l4 + 8, moved);
    rest = delta32(ack, moved);
  }
  r[at + F.SEEN] = c.now | 0;
  const window = v.getUint16(l4 + 14);
  r[at + F.WINDOWS] = (r[at + F.WINDOWS]! & ~0xffff) | window;
  if (ahead > 0) r[at + F.SERVER_NEXT] = next;
  if (acknowledged > 0) r[at + F.SERVER_ACK] = moved;

  const deltas = r[at + F.DELTAS]!;
  const back = r[at + F.CONSUMER_PORTS]!;
  v.setInt32(l4, (back << 16) | (back >>> 16));
  const field = v.getUint16(l4 + 16);
  const addresses = 0xffff - (deltas >>> 16);
  v.setInt16(l4 + 16, partial ? fold(field + addresses) : apply(field, addresses + 0xffff - (deltas & 0xffff) + rest));
  const lifetime = v.getInt32(ip + 8);
  const sum = apply(lifetime & 0xffff, addresses + TTL_DOWN);
  v.setInt32(ip + 8, ((lifetime - 0x1000000) & ~0xffff) | sum);
  v.setInt32(ip + 12, r[at + F.ENDPOINT_ADDRESS]!);
  v.setInt32(ip + 16, r[at + F.CONSUMER]!);

  send(c, ip, Math.min(end, ip + total), total, f, TO_CONSUMER, F.OCTETS_BACK);
  return TO_CLIENT;
}

function send(c: Core, ip: number, last: number, total: number, f: number, side: number, column: number): void {
  const at = f * F.STRIDE;
  const { counters } = c.flows;
  const i = (at + column) >> 1;
  counters[i] = counters[i]! + total;
  const totals = c.tables.octets;
  const e = 2 * c.r[at + F.ENDPOINT]! + side;
  totals[e] = totals[e]! + total;
  c.flow = f;
  c.missing = ip + total - last;
  c.outbox.add(ip, last - ip, c.missing, side, c.r[at + F.CONSUMER_SCOPE]! >>> 8);
}
