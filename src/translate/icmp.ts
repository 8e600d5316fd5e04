/**
 * ICMP errors about packets of translated flows (RFC 5508 section 4): the quoted packet is put into the form that the
 * error's receiver knows, the error's own addresses follow, all checksums are right again, and the flow is neither
 * refreshed nor ended.
 *
 * - From the provider's side the quote is a client packet as the backend's network saw it. The receiver is the consumer.
 *   A backend's own error comes from the endpoint's address; a router's keeps its address (RFC 5508 REQ-4).
 * - From the consumer's side the quote is a server packet as the consumer saw it. The receiver is the backend, and the
 *   source becomes the flow's NAT address, whoever sent it (REQ-5): consumer addresses mean nothing over there.
 * - A quote of nothing but the inserted header is dropped: the consumer never sent it.
 */
import * as F from '../flow/flow-table.js';
import { TO_CONSUMER, TO_PROVIDER } from '../packet/outbox.js';
import { drop, FORWARD } from '../packet/verdict.js';
import { apply, delta16, delta32 } from '../wire/checksum.js';
import * as icmp from '../wire/icmp.js';
import * as ipv4 from '../wire/ipv4.js';
import { get16, get32, set16, set32 } from '../wire/octets.js';
import { distance } from '../wire/seq.js';
import * as tcp from '../wire/tcp.js';
import * as udp from '../wire/udp.js';
import type { Core } from './core.js';
import { fromBackend, toBackend } from './insertion.js';
import { BANDWIDTH_EXCEEDED, exceedsBandwidth, send } from './send.js';

const MALFORMED = drop('icmp-malformed');
const NOT_ERROR = drop('icmp-not-error');
const NO_FLOW = drop('icmp-no-flow');
const ABOUT_HEADER = drop('icmp-about-header');

/** Octets of the quoted packet's payload that RFC 792 promises: ports, and TCP's sequence number. */
const QUOTED_PAYLOAD = 8;

/**
 * The quoted packet's IPv4 header, after checks.
 * @returns its offset, or a drop verdict
 */
export function quoteOf(c: Core, l4: number, end: number): number {
  const { slab: b } = c;
  if (end - l4 < icmp.HEADER) return MALFORMED;
  if (!icmp.isError(icmp.type(b, l4))) return NOT_ERROR;
  const quote = l4 + icmp.HEADER;
  if (end - quote < ipv4.MIN_HEADER + QUOTED_PAYLOAD || b[quote]! >>> 4 !== 4) return MALFORMED;
  const length = ipv4.headerLength(b, quote);
  if (length < ipv4.MIN_HEADER || end - quote < length + QUOTED_PAYLOAD) return MALFORMED;
  const protocol = ipv4.protocol(b, quote);
  if (protocol !== ipv4.PROTOCOL_TCP && protocol !== ipv4.PROTOCOL_UDP) return NO_FLOW;
  if ((ipv4.flagsAndOffset(b, quote) & ipv4.OFFSET_MASK) !== 0) return NO_FLOW; // no ports to find a flow by
  return quote;
}

/** What a quote is and what it becomes. */
export const CLIENT_TO_CONSUMER_FORM = 0;
export const CLIENT_TO_PROVIDER_FORM = 1;
export const SERVER_TO_PROVIDER_FORM = 2;

/**
 * Puts the quoted packet at `quote` into another form.
 * @returns the delta of the ICMP checksum, or -1 when the quote is of the inserted header alone
 */
export function rewriteQuote(c: Core, quote: number, end: number, at: number, kind: number): number {
  const { slab: b, r } = c;
  const isTcp = ipv4.protocol(b, quote) === ipv4.PROTOCOL_TCP;
  const l4 = quote + ipv4.headerLength(b, quote);
  const status = r[at + F.STATUS]!;
  const inserts = isTcp && status >>> F.HEADER_SHIFT !== 0;
  let rest = 0; // delta of what the quoted L4 checksum covers beside addresses and ports

  if (inserts && kind === CLIENT_TO_CONSUMER_FORM) {
    const seq = get32(b, l4 + 4);
    const d = distance(r[at + F.START]!, seq);
    if ((status & F.PAST_START) === 0 && d >= 0 && d < status >>> F.HEADER_SHIFT) return -1;
    rest += replace32(b, l4 + 4, fromBackend(seq, r[at + F.START]!, status));
  } else if (inserts && kind === CLIENT_TO_PROVIDER_FORM) {
    const seq = get32(b, l4 + 4);
    rest += replace32(b, l4 + 4, toBackend(seq, distance(r[at + F.START]!, seq), status));
  } else if (inserts && kind === SERVER_TO_PROVIDER_FORM && end - l4 >= 12) {
    const ack = get32(b, l4 + 8);
    const d = distance(r[at + F.START]!, ack);
    // An acknowledgment of S that was one: of the SYN, or of before the header went.
    const isSyn = end - l4 > 13 && (tcp.flags(b, l4) & tcp.SYN) !== 0;
    const own = d === 0 && (isSyn || (status & F.HEADER_SENT) === 0);
    if (!own) rest += replace32(b, l4 + 8, toBackend(ack, d, status));
  }

  const deltas = r[at + F.DELTAS]!;
  let addresses = deltas >>> 16;
  let ports = deltas & 0xffff;
  if (kind === CLIENT_TO_CONSUMER_FORM) {
    addresses = 0xffff - addresses;
    ports = 0xffff - ports;
    set32(b, quote + 12, r[at + F.CONSUMER]!);
    set32(b, quote + 16, r[at + F.ENDPOINT_ADDRESS]!);
    set32(b, l4, r[at + F.CONSUMER_PORTS]!);
  } else if (kind === CLIENT_TO_PROVIDER_FORM) {
    set32(b, quote + 12, r[at + F.NAT_ADDRESS]!);
    set32(b, quote + 16, r[at + F.BACKEND]!);
    set32(b, l4, r[at + F.PROVIDER_PORTS]!);
  } else {
    const p = r[at + F.PROVIDER_PORTS]!;
    set32(b, quote + 12, r[at + F.BACKEND]!);
    set32(b, quote + 16, r[at + F.NAT_ADDRESS]!);
    set32(b, l4, (p << 16) | (p >>> 16));
  }
  let delta = addresses + ports + rest;
  delta += adjustField(b, quote + 10, addresses);
  const field = l4 + (isTcp ? tcp.CHECKSUM : udp.CHECKSUM);
  // A quote may end before a TCP checksum.
  if (isTcp && field + 2 <= end) delta += adjustField(b, field, addresses + ports + rest);
  if (!isTcp) delta += adjustUdp(b, field, addresses + ports);
  return delta;
}

/** @returns the delta of the change for whatever sum covers the number */
function replace32(b: Buffer, at: number, value: number): number {
  const old = get32(b, at);
  set32(b, at, value);
  return delta32(old, value);
}

function adjustField(b: Buffer, at: number, delta: number): number {
  const old = get16(b, at);
  const value = apply(old, delta);
  set16(b, at, value);
  return delta16(old, value);
}

/** A UDP checksum of 0 means none, and one that comes out 0 is written 0xffff (RFC 768). */
function adjustUdp(b: Buffer, at: number, delta: number): number {
  const old = get16(b, at);
  if (old === 0) return 0;
  const value = apply(old, delta) || 0xffff;
  set16(b, at, value);
  return delta16(old, value);
}

/** Sets the error's own addresses and its checksums. */
function rewriteOuter(
  c: Core,
  ip: number,
  l4: number,
  source: number,
  destination: number,
  delta: number,
  ttlDelta: number,
): void {
  const { slab: b } = c;
  const change = delta32(ipv4.source(b, ip), source) + delta32(ipv4.destination(b, ip), destination);
  ipv4.setSource(b, ip, source);
  ipv4.setDestination(b, ip, destination);
  ipv4.setChecksum(b, ip, apply(ipv4.checksum(b, ip), change + ttlDelta));
  icmp.setChecksum(b, l4, apply(icmp.checksum(b, l4), delta));
}

/** An ICMP error seen in a consumer network. */
export function fromConsumer(c: Core, ip: number, l4: number, end: number, network: number): number {
  const { slab: b, r } = c;
  const quote = quoteOf(c, l4, end);
  if (quote < 0) return quote;
  const ports = get32(b, quote + ipv4.headerLength(b, quote));
  const scope = (network << 8) | ipv4.protocol(b, quote);
  const f = c.flows.find(ipv4.source(b, quote), ipv4.destination(b, quote), ports, scope);
  if (f < 0 || c.flows.forward) return NO_FLOW;
  const at = f * F.STRIDE;
  if (exceedsBandwidth(c, at, TO_PROVIDER)) return BANDWIDTH_EXCEEDED;
  const delta = rewriteQuote(c, quote, end, at, SERVER_TO_PROVIDER_FORM);
  ipv4.setTtl(b, ip, ipv4.ttl(b, ip) - 1);
  rewriteOuter(c, ip, l4, r[at + F.NAT_ADDRESS]!, r[at + F.BACKEND]!, delta, ipv4.TTL_DOWN);
  c.counters.icmpErrors++;
  return send(c, ip, end, at, TO_PROVIDER);
}

/** An ICMP error seen on the provider's side. */
export function fromProvider(c: Core, ip: number, l4: number, end: number): number {
  const { slab: b, r } = c;
  const quote = quoteOf(c, l4, end);
  if (quote < 0) return quote;
  const ports = get32(b, quote + ipv4.headerLength(b, quote));
  const f = c.flows.findProvider(ipv4.source(b, quote), ipv4.destination(b, quote), ports, ipv4.protocol(b, quote));
  if (f < 0) return NO_FLOW;
  const at = f * F.STRIDE;
  if (exceedsBandwidth(c, at, TO_CONSUMER)) return BANDWIDTH_EXCEEDED;
  const delta = rewriteQuote(c, quote, end, at, CLIENT_TO_CONSUMER_FORM);
  if (delta < 0) return ABOUT_HEADER;
  const source = ipv4.source(b, ip);
  ipv4.setTtl(b, ip, ipv4.ttl(b, ip) - 1);
  const from = source === r[at + F.BACKEND] ? r[at + F.ENDPOINT_ADDRESS]! : source;
  rewriteOuter(c, ip, l4, from, r[at + F.CONSUMER]!, delta, ipv4.TTL_DOWN);
  c.counters.icmpErrors++;
  return send(c, ip, end, at, TO_CONSUMER);
}

/**
 * Puts a recorded error about a client packet, as the consumer got it, into the form in which the provider's network
 * must have sent it.
 * @param f the flow that the quote belongs to, as its client's packet
 */
export function lift(c: Core, ip: number, l4: number, quote: number, end: number, f: number): number {
  const { slab: b, r } = c;
  const at = f * F.STRIDE;
  const delta = rewriteQuote(c, quote, end, at, CLIENT_TO_PROVIDER_FORM);
  const source = ipv4.source(b, ip);
  const from = source === r[at + F.ENDPOINT_ADDRESS] ? r[at + F.BACKEND]! : source;
  rewriteOuter(c, ip, l4, from, r[at + F.NAT_ADDRESS]!, delta, 0);
  return FORWARD;
}
