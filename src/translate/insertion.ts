/**
 * Inserting a PROXY v2 header into a TCP stream, packet by packet.
 *
 * Theory of operation
 *
 * S is the client's initial sequence number + 1, L the header's length. Towards the backend the stream is the header
 * followed by the client's octets: the header owns [S, S+L), client octet n moves from S+n to S+L+n. A segment is
 * shifted by its sequence number alone, whatever its order and however often it comes:
 *
 *     toBackend(seq) = seq          before S (SYN; keep-alive probe at S-1)
 *                    = seq + L      from S on
 *     toClient(ack)  = ack          up to S
 *                    = S            inside the header
 *                    = ack - L      from S+L on
 *
 * Goals: the backend gets the header exactly once in its stream, first, whole and in one segment; the client never sees
 * an acknowledgment, a SACK block or a window that covers octets it did not send; no client packet grows, so neither
 * MTU, MSS nor segmentation offload can break anything (the one exception is a SYN with data, see `carrySyn`).
 *
 * We are the header's sender, so until the backend acknowledges S+L we repeat it:
 * - The client's bare ACK at S is replaced by the segment with the header (same ack, window and options). Never both:
 *   while that segment is lost, the backend repeats its SYN-ACK, the client its ACK, and the header goes again.
 * - Client data or FIN at S goes behind a header segment of its own when no header was sent yet, and again each time it
 *   is a retransmission. Its first transmission right behind the handshake's header needs no second header: if the first
 *   was lost, the backend's duplicate ACK makes the client repeat.
 * - Data from S on that arrives before a header was sent (it overtook the handshake's ACK) is preceded by it.
 * - A timer (rule 3) covers backends that repeat nothing: `fireHeaderTimer`. After its last try it goes on as long as the
 *   backend says that the header is missing.
 * - A backend with SYN cookies keeps nothing of a handshake: it takes the header for the handshake's ACK, but data that
 *   comes without one, since the header was lost or overtaken, it answers with an RST, without ACK (RFC 9293 section
 *   3.10.7.1). Such an RST is held back while the timer has made fewer than three tries; the client repeats its data, by
 *   then behind the header. A header before each stream's first data as well would cost two packets a connection, and
 *   not help where that one is lost too; a real RST of this kind is late by 1.4 s at most on a short line.
 * - An RST at S is preceded by the header when the backend may be past its handshake; while no header was ever sent, or
 *   only with a SYN that has no answer yet, the backend still expects S exactly (RFC 5961), so the RST stays at S.
 *
 * The backend believes the header, so nothing of the client's may reach [S, S+L): a segment that starts before S and
 * reaches it (no TCP sends that) is dropped as malformed, and S is what the backend has acknowledged with its SYN-ACK,
 * not what the client said last (tcp.ts).
 *
 * Nor does damage pass through it: a header is made with a right checksum after numbers of the client's packet, so live a
 * segment whose own checksum is wrong calls for none (tcp.ts).
 *
 * Live, the backend's bare ACK of the header ends here too (`isHeaderAck`), a packet less for each connection.
 *
 * Limits: once the backend has acknowledged 3/4 GiB and the client sent 1 GiB, PAST_START replaces the comparison with S,
 * which would flip 2 GiB behind S.
 */
import * as F from '../flow/flow-table.js';
import * as P from '../flow/pending-headers.js';
import { TO_PROVIDER } from '../packet/outbox.js';
import { delta16, delta32, fold, pseudoHeader, sum, swapped } from '../wire/checksum.js';
import * as ipv4 from '../wire/ipv4.js';
import { get32, set32 } from '../wire/octets.js';
import { sealTemplate } from '../wire/proxy/index.js';
import { before, distance } from '../wire/seq.js';
import * as tcp from '../wire/tcp.js';
import type { Core } from './core.js';

/** Octets that a client usually sends at most before it hears an ACK: ten segments of 1460 (RFC 6928). */
const FIRST_FLIGHT = 14_600;

/** Tries by timer after which a backend's RST is believed at once. */
const RESET_BELIEVED_AT = 3;

/** Writes the flow's header at `to`. */
function writeHeader(c: Core, to: number, at: number): void {
  const { slab: b, r } = c;
  const template = c.tables.endpoints[r[at + F.ENDPOINT]!]!.header!;
  template.octets.copy(b, to);
  set32(b, to + 16, r[at + F.CONSUMER]!);
  set32(b, to + 20, r[at + F.ENDPOINT_ADDRESS]!);
  set32(b, to + 24, r[at + F.CONSUMER_PORTS]!);
  sealTemplate(b, to, template.octets.length, template.crcOffset);
}

/** The header's segment counts as sent. @param octets that the client's packet did not have */
function headerSent(c: Core, f: number, octets: number): void {
  const at = f * F.STRIDE;
  const { r } = c;
  if ((r[at + F.STATUS]! & F.POLICED) !== 0) c.policerOf(at)?.take(TO_PROVIDER, octets, c);
  if ((r[at + F.STATUS]! & F.HEADER_SENT) === 0) {
    r[at + F.STATUS] = r[at + F.STATUS]! | F.HEADER_SENT;
    c.counters.headersInserted++;
  } else {
    c.counters.headersResent++;
  }
}

/** Completes a packet built in scratch: addresses, lengths, both checksums from nothing. */
function finish(c: Core, ip: number, l4: number, end: number, at: number, protocol: number): void {
  const { slab: b, r } = c;
  ipv4.setTotalLength(b, ip, end - ip);
  set32(b, ip + 12, r[at + F.NAT_ADDRESS]!);
  set32(b, ip + 16, r[at + F.BACKEND]!);
  ipv4.setChecksum(b, ip, 0);
  ipv4.setChecksum(b, ip, sum(b, ip, l4) ^ 0xffff);
  set32(b, l4, r[at + F.PROVIDER_PORTS]!);
  tcp.setChecksum(b, l4, 0);
  const initial = pseudoHeader(r[at + F.NAT_ADDRESS]!, r[at + F.BACKEND]!, protocol, end - l4);
  tcp.setChecksum(b, l4, sum(b, l4, end, initial) ^ 0xffff);
}

/**
 * Sends the header in a segment of its own, made after the client's packet at `ip` (not yet translated): its IP and TCP
 * headers with all options, so that timestamps are those of the packet that called for it (case 9).
 * @param replaces the header takes the packet's place; else it goes before it, as an atomic datagram (RFC 6864)
 * @returns false when there is no room
 */
export function sendHeader(c: Core, ip: number, l4: number, f: number, replaces: boolean): boolean {
  const { slab: b, r } = c;
  const at = f * F.STRIDE;
  const length = r[at + F.STATUS]! >>> F.HEADER_SHIFT;
  const headers = l4 - ip + tcp.headerLength(b, l4);
  const to = c.scratch(headers + length);
  if (to < 0) return false;
  const to4 = to + (l4 - ip);
  const payload = to + headers;
  b.copyWithin(to, ip, ip + headers);
  writeHeader(c, payload, at);
  b[to + 8] = b[to + 8]! - 1;
  const flags = tcp.flags(b, l4);
  tcp.setUrgentPointer(b, to4, 0); // it would point into the header, and its octet would leave the stream
  if (replaces) {
    tcp.setFlags(b, to4, (flags & ~tcp.URG) | tcp.PSH);
  } else {
    ipv4.setIdentification(b, to, 0);
    ipv4.setFlagsAndOffset(b, to, ipv4.DONT_FRAGMENT);
    tcp.setFlags(b, to4, tcp.ACK | tcp.PSH);
    if ((flags & tcp.ACK) === 0) tcp.setAcknowledgment(b, to4, r[at + F.CLIENT_ACK]!);
  }
  tcp.setSequence(b, to4, r[at + F.START]!);
  finish(c, to, to4, payload + length, at, ipv4.PROTOCOL_TCP);
  if (!c.outbox.add(to, headers + length, 0, TO_PROVIDER, 0)) return false;
  headerSent(c, f, replaces ? length : headers + length);
  if (c.options.headerTimer) remember(c, f, ip, l4);
  return true;
}

/** Keeps what a timer-driven header needs, and starts the timer with the first header. */
function remember(c: Core, f: number, ip: number, l4: number): void {
  const { slab: b, r } = c;
  const at = f * F.STRIDE;
  let p = r[at + F.PENDING]!;
  if (p < 0) {
    p = c.pending.allocate(f);
    r[at + F.PENDING] = p;
  }
  const q = c.pending.records;
  const pat = p * P.P_STRIDE;
  const option = tcp.findOption(b, l4, tcp.OPTION_TIMESTAMPS);
  const ts = option >= 0 && b[option + 1] === 10 ? option : -1;
  // A late packet's time stamp must not replace a newer one: the backend, which has seen that, would refuse every header
  // sent with the old one from then on (PAWS, RFC 7323 section 5.3).
  const late = ts >= 0 && q[pat + P.P_HAS_TIMESTAMPS] === 1 && before(get32(b, ts + 2), q[pat + P.P_TSVAL]!);
  if (!late) {
    q[pat + P.P_ACK] = (tcp.flags(b, l4) & tcp.ACK) !== 0 ? tcp.acknowledgment(b, l4) : r[at + F.CLIENT_ACK]!;
    q[pat + P.P_WINDOW_TTL_TOS] = (tcp.window(b, l4) << 16) | (ipv4.ttl(b, ip) << 8) | ipv4.tos(b, ip);
    if (ts >= 0) {
      q[pat + P.P_TSVAL] = get32(b, ts + 2);
      q[pat + P.P_TSECR] = get32(b, ts + 6);
      q[pat + P.P_HAS_TIMESTAMPS] = 1;
    }
  }
  if (q[pat + P.P_TIMER] === 0 && q[pat + P.P_TRIES]! < P.MAX_TRIES) {
    q[pat + P.P_RTO] = Math.min(3000, Math.max(200, 2 * (r[at + F.SCALES]! >>> 16)));
    setTimer(c, p, q[pat + P.P_RTO]!);
  }
}

function setTimer(c: Core, p: number, ms: number): void {
  const q = c.pending.records;
  const pat = p * P.P_STRIDE;
  q[pat + P.P_TIMER] = 1;
  q[pat + P.P_DUE] = (c.now + ms) | 0;
  c.pending.wheel.set(p, c.now + ms);
}

/**
 * A backend's RST without ACK may answer data that reached a listener without the header (see above): it is held back
 * until the header has gone again some times by timer.
 * @param seq the RST's sequence number: what the segment that it answers acknowledged
 */
export function doubtsReset(c: Core, at: number, seq: number): boolean {
  const { r } = c;
  const p = r[at + F.PENDING]!;
  // Such a backend may answer a repeated SYN with another number; the client's acknowledgment tells which one holds.
  const exact = seq === r[at + F.CLIENT_ACK] || seq === r[at + F.SERVER_NEXT];
  if (p < 0 || !exact || r[at + F.CLIENT_NEXT] === r[at + F.START]) return false;
  const q = c.pending.records;
  const pat = p * P.P_STRIDE;
  return q[pat + P.P_TIMER] === 1 && q[pat + P.P_TRIES]! < RESET_BELIEVED_AT;
}

/**
 * The backend says that it lacks the header though the timer has given up: all tries were lost, or its window was too
 * small. As long as it says so the header goes on being sent, at the timer's slowest (RFC 9293 section 3.8.6.1).
 * Such an answer does not count as a sign of life (tcp.ts): else the two would keep a flow whose client has left.
 */
function persist(c: Core, at: number): void {
  const { r } = c;
  const p = r[at + F.PENDING]!;
  if (p < 0 || (r[at + F.STATUS]! & F.STATE_MASK) !== F.ESTABLISHED) return;
  const q = c.pending.records;
  const pat = p * P.P_STRIDE;
  if (q[pat + P.P_TIMER] === 1) return;
  q[pat + P.P_TRIES] = P.MAX_TRIES - 1;
  setTimer(c, p, q[pat + P.P_RTO]!);
}

/**
 * The timer of pending header `p` has fired: sends it again and doubles its time-out, or gives up.
 * @returns false when this burst has no room left for it: it is due again in the next
 */
export function fireHeaderTimer(c: Core, p: number): boolean {
  const q = c.pending.records;
  const pat = p * P.P_STRIDE;
  const early = (q[pat + P.P_DUE]! - (c.now | 0)) | 0;
  if (early > 0) {
    setTimer(c, p, early);
    return true;
  }
  q[pat + P.P_TIMER] = 0;
  const first = c.outbox.count === 0;
  if (!sendRemembered(c, p) && !first) {
    setTimer(c, p, 0);
    return false;
  }
  q[pat + P.P_TRIES]!++;
  if (q[pat + P.P_TRIES]! >= P.MAX_TRIES) return true;
  q[pat + P.P_RTO] = q[pat + P.P_RTO]! * 2;
  setTimer(c, p, q[pat + P.P_RTO]!);
  return true;
}

/** Sends pending header `p` by what is remembered of the packet that called for it first. @returns false when there is no room */
function sendRemembered(c: Core, p: number): boolean {
  const { slab: b, r } = c;
  const q = c.pending.records;
  const pat = p * P.P_STRIDE;
  const f = q[pat + P.P_FLOW]!;
  const at = f * F.STRIDE;
  const length = r[at + F.STATUS]! >>> F.HEADER_SHIFT;
  const options = q[pat + P.P_HAS_TIMESTAMPS] === 1 ? 12 : 0;
  const total = ipv4.MIN_HEADER + tcp.MIN_HEADER + options + length;
  const ip = c.scratch(total);
  if (ip < 0) return false;
  const l4 = ip + ipv4.MIN_HEADER;
  const payload = l4 + tcp.MIN_HEADER + options;
  const packed = q[pat + P.P_WINDOW_TTL_TOS]!;
  b.fill(0, ip, payload);
  b[ip] = 0x45;
  b[ip + 1] = packed & 0xff;
  ipv4.setFlagsAndOffset(b, ip, ipv4.DONT_FRAGMENT);
  b[ip + 8] = ((packed >>> 8) & 0xff) - 1;
  b[ip + 9] = ipv4.PROTOCOL_TCP;
  tcp.setSequence(b, l4, r[at + F.START]!);
  tcp.setAcknowledgment(b, l4, q[pat + P.P_ACK]!);
  tcp.setHeaderLength(b, l4, tcp.MIN_HEADER + options);
  tcp.setFlags(b, l4, tcp.ACK | tcp.PSH);
  tcp.setWindow(b, l4, packed >>> 16);
  if (options > 0) {
    set32(b, l4 + 20, 0x0101080a); // NOP, NOP, timestamps, length 10
    set32(b, l4 + 24, q[pat + P.P_TSVAL]!);
    set32(b, l4 + 28, q[pat + P.P_TSECR]!);
  }
  writeHeader(c, payload, at);
  finish(c, ip, l4, payload + length, at, ipv4.PROTOCOL_TCP);
  if (!c.outbox.add(ip, total, 0, TO_PROVIDER, 0)) return false;
  headerSent(c, f, total);
  return true;
}

/**
 * Sends the header before an RST. Many an RST has no options, while a backend that agreed on timestamps may discard any
 * other segment without them (RFC 7323 section 3.2): then those remembered go with the header.
 */
function sendBeforeReset(c: Core, ip: number, l4: number, f: number): boolean {
  const p = c.r[f * F.STRIDE + F.PENDING]!;
  const stamped = p >= 0 && c.pending.records[p * P.P_STRIDE + P.P_HAS_TIMESTAMPS] === 1;
  if (stamped && tcp.findOption(c.slab, l4, tcp.OPTION_TIMESTAMPS) < 0) return sendRemembered(c, p);
  return sendHeader(c, ip, l4, f, false);
}

/** What `beforeClient` decides for the client's segment itself. */
export const SHIFT = 0;
/** It goes on unshifted although it is at or behind S. */
export const KEEP = 1;
/** The header took its place. */
export const REPLACED = 2;
/** It is a bare ACK in fragments: no TCP sends these. */
export const IN_PIECES = 3;
export const NO_ROOM = 4;

/**
 * A segment from before S may reach S or what lies behind it: by its data, by a FIN, by fragments that follow, or by its
 * urgent pointer. No TCP sends these. Unshifted it would put the client's octets in the header's place, for the backend
 * to believe, or take one out of the header.
 * @param d distance of its sequence number from S, below 0
 */
export const reachesStart = (c: Core, flags: number, dataLength: number, d: number): boolean =>
  dataLength + (flags & tcp.FIN) > -d || c.fragmented || (flags & tcp.URG) !== 0;

/**
 * Called for each client segment without SYN while the header is not acknowledged: sends the header where the segment
 * calls for it.
 * @param dataLength octets of payload
 * @param d distance of its sequence number from S
 */
export function beforeClient(c: Core, ip: number, l4: number, f: number, dataLength: number, d: number): number {
  const at = f * F.STRIDE;
  const { r } = c;
  const flags = tcp.flags(c.slab, l4);
  if (d < 0) return SHIFT;
  const status = r[at + F.STATUS]!;
  const sent = (status & F.HEADER_SENT) !== 0;
  if ((flags & tcp.RST) !== 0) {
    if (d > 0) return SHIFT;
    // Where a SYN took the header along and nothing has answered it, there is no number that the header could acknowledge.
    const silent = (flags & tcp.ACK) === 0 && (status & F.STATE_MASK) === F.SYN_SENT;
    if (!sent || silent) return KEEP;
    return sendBeforeReset(c, ip, l4, f) ? SHIFT : NO_ROOM;
  }
  if (dataLength === 0 && (flags & tcp.FIN) === 0) {
    if (c.fragmented) return IN_PIECES; // a header in pieces: nothing to take the place of
    if (d > 0 || (status & F.HEADER_ASSUMED) !== 0) return SHIFT;
    return sendHeader(c, ip, l4, f, true) ? REPLACED : NO_ROOM;
  }
  if (d > 0) return sent || sendHeader(c, ip, l4, f, false) ? SHIFT : NO_ROOM;
  const again = (status & F.DATA_SENT) !== 0;
  if ((!sent || again) && !sendHeader(c, ip, l4, f, false)) return NO_ROOM;
  r[at + F.STATUS] = r[at + F.STATUS]! | F.DATA_SENT;
  return SHIFT;
}

/**
 * toBackend. @returns the shifted sequence number
 * @param d distance of `seq` from S
 */
export const toBackend = (seq: number, d: number, status: number): number =>
  d >= 0 || (status & F.PAST_START) !== 0 ? (seq + (status >>> F.HEADER_SHIFT)) | 0 : seq;

/** The client's numbering of a sequence number that the backend saw: the inverse of toBackend, S inside the header. */
export function fromBackend(seq: number, start: number, status: number): number {
  const length = status >>> F.HEADER_SHIFT;
  if (length === 0) return seq;
  const d = distance(start, seq);
  if ((status & F.PAST_START) !== 0 || d >= length) return (seq - length) | 0;
  return d > 0 ? start : seq;
}

/** Window field less `octets`, in units of 2^scale rounded up, not below 0 (case 8). */
const shrunk = (window: number, octets: number, scale: number): number =>
  Math.max(0, window - ((octets + (1 << scale) - 1) >>> scale));

/**
 * toClient, for a segment from the backend with ACK: maps acknowledgment, window and SACK edges in place.
 * @returns the delta of the TCP checksum
 */
export function acknowledgmentToClient(c: Core, l4: number, f: number): number {
  const { slab: b, r } = c;
  const at = f * F.STRIDE;
  const status = r[at + F.STATUS]!;
  const length = status >>> F.HEADER_SHIFT;
  const start = r[at + F.START]!;
  const ack = tcp.acknowledgment(b, l4);
  const a = distance(start, ack);
  let delta = 0;
  if (c.ackForeign) return 0;
  if ((status & F.PAST_START) !== 0 || a >= length) {
    const moved = (ack - length) | 0;
    tcp.setAcknowledgment(b, l4, moved);
    delta = delta32(ack, moved);
    const unacked = (status & (F.HEADER_SENT | F.HEADER_ACKED)) === F.HEADER_SENT;
    if (unacked && distance(r[at + F.CLIENT_NEXT]!, moved) <= 0) {
      if (c.ackInferred && a === length) {
        r[at + F.STATUS] = status | F.HEADER_ASSUMED;
      } else {
        r[at + F.STATUS] = status | F.HEADER_ACKED;
        c.dropPending(at);
      }
    }
  } else if (a >= 0) {
    // At S, or inside the header: the octets still missing are ours, not the client's window.
    const old = tcp.window(b, l4);
    const isSyn = (tcp.flags(b, l4) & tcp.SYN) !== 0;
    if (!isSyn) persist(c, at);
    const window = shrunk(old, length - a, isSyn ? 0 : r[at + F.SCALES]! & 0xff);
    tcp.setWindow(b, l4, window);
    delta = delta16(old, window);
    if (a > 0) {
      tcp.setAcknowledgment(b, l4, start);
      delta += delta32(ack, start);
    }
  }
  if (hasSack(b, l4)) delta += sackToClient(b, l4, start, status);
  return delta;
}

/**
 * A pure ACK of the header that nothing has acknowledged yet tells the client nothing, since the octets are ours; and to
 * a client that has sent data it can look like a duplicate ACK. It does tell a client that the SYN-ACK offered less than
 * a first flight, or one that waits for the answer to its FIN.
 * Called before `acknowledgmentToClient`, which changes what it looks at.
 */
export function isHeaderAck(c: Core, l4: number, at: number): boolean {
  const { slab: b, r } = c;
  const status = r[at + F.STATUS]!;
  if ((status & (F.HEADER_SENT | F.HEADER_ACKED | F.CLIENT_FIN)) !== F.HEADER_SENT) return false;
  // A fragment's data may be in the next one.
  if (c.fragmented || hasSack(b, l4)) return false;
  const headerEnd = (r[at + F.START]! + (status >>> F.HEADER_SHIFT)) | 0;
  if (tcp.acknowledgment(b, l4) !== headerEnd || tcp.sequence(b, l4) !== r[at + F.SERVER_NEXT]) return false;
  // The SYN-ACK's, which is not scaled; of a scaled one, after an ACK at S, more is told than this says.
  const told = r[at + F.WINDOWS]! & 0xffff;
  return told >= FIRST_FLIGHT || told >= tcp.window(b, l4) << (r[at + F.SCALES]! & 0xff);
}

/** The options may hold SACK blocks; timestamps alone in their usual place, the common case, are told at a glance. */
const hasSack = (b: Buffer, l4: number): boolean => {
  const header = tcp.headerLength(b, l4);
  return header > 20 && !(header === 32 && get32(b, l4 + 20) === 0x0101080a);
};

/** Delta of one octet that changed, by its place in its 16-bit word. */
const octetDelta = (from: number, to: number, odd: boolean): number =>
  odd ? delta16(from, to) : delta16(from << 8, to << 8);

/** Delta of a 32-bit number at any offset of a header. */
const numberDelta = (from: number, to: number, odd: boolean): number =>
  odd ? swapped(fold(delta32(from, to))) : delta32(from, to);

/** Overwrites octets with NOPs. @returns the delta of the TCP checksum */
export function blank(b: Buffer, l4: number, from: number, to: number): number {
  let delta = 0;
  for (let i = from; i < to; i++) {
    delta += octetDelta(b[i]!, tcp.OPTION_NOP, ((i - l4) & 1) === 1);
    b[i] = tcp.OPTION_NOP;
  }
  return delta;
}

/**
 * Maps both edges of every SACK block; a block that lay inside the header is empty then and is taken out, the rest
 * move up and NOPs fill the option's end (case 7).
 * @returns the delta of the TCP checksum
 */
function sackToClient(b: Buffer, l4: number, start: number, status: number): number {
  const option = tcp.findOption(b, l4, tcp.OPTION_SACK);
  if (option < 0) return 0;
  const length = b[option + 1]!;
  const end = option + 2 + ((length - 2) & ~7);
  const odd = ((option - l4) & 1) === 1;
  let delta = 0;
  let to = option + 2;
  for (let at = option + 2; at < end; at += 8) {
    const left = get32(b, at);
    const right = get32(b, at + 4);
    const newLeft = fromBackend(left, start, status);
    const newRight = fromBackend(right, start, status);
    if (newLeft === newRight && left !== right) continue;
    delta += numberDelta(get32(b, to), newLeft, odd) + numberDelta(get32(b, to + 4), newRight, odd);
    set32(b, to, newLeft);
    set32(b, to + 4, newRight);
    to += 8;
  }
  if (to === end) return delta;
  if (to === option + 2) return delta + blank(b, l4, option, option + length);
  const shorter = to - option;
  delta += octetDelta(length, shorter, !odd);
  b[option + 1] = shorter;
  return delta + blank(b, l4, to, option + length);
}

/**
 * A SYN with data, policy `strip`: the Fast Open option is blanked and the data trimmed, so that the client sends it
 * again behind the handshake (case 14).
 * @returns the new end of the packet; `c.deltaLength` and `c.deltaRest` hold the checksum's changes
 */
export function stripSyn(c: Core, ip: number, l4: number, end: number): number {
  const { slab: b } = c;
  const dataAt = l4 + tcp.headerLength(b, l4);
  const total = ipv4.totalLength(b, ip);
  const bare = dataAt - ip;
  if (total !== bare) {
    c.deltaLength = delta16(total, bare);
    if (c.missing === 0) {
      c.deltaRest += 0xffff - fold(sum(b, dataAt, end));
    } else {
      // What the capture cut off cannot be taken out of the sum: the checksum is made anew for the bare segment.
      tcp.setChecksum(b, l4, 0);
      const initial = pseudoHeader(ipv4.source(b, ip), ipv4.destination(b, ip), ipv4.PROTOCOL_TCP, total - (l4 - ip));
      tcp.setChecksum(b, l4, sum(b, l4, dataAt, initial) ^ 0xffff);
      c.deltaRest = 0; // the options as they are now are in the sum
      c.missing = 0;
      c.partial = false;
    }
    ipv4.setTotalLength(b, ip, bare);
    c.counters.fastOpenStripped++;
  }
  return dataAt;
}

/**
 * A SYN with data, policy `carry`: a copy in scratch with the header before the data. If the backend does not take the
 * data (no or another cookie), it acknowledges S only, and the header goes again with the handshake's ACK.
 * @returns the copy's offset, or -1 when it would not fit a packet of the provider's MTU, or there is no room
 */
export function carrySyn(c: Core, ip: number, l4: number, end: number, f: number): number {
  const { slab: b, r } = c;
  const at = f * F.STRIDE;
  const length = r[at + F.STATUS]! >>> F.HEADER_SHIFT;
  const total = ipv4.totalLength(b, ip);
  if (total === 0 || total + length > c.options.providerMtu) return -1;
  // Behind an odd header the data changes sides in the sum; of what a capture cut off, that cannot be reckoned.
  if (c.missing > 0 && (length & 1) === 1) return -1;
  const to = c.scratch(end - ip + length);
  if (to < 0) return -1;
  const headers = l4 - ip + tcp.headerLength(b, l4);
  const dataAt = ip + headers;
  b.copyWithin(to, ip, dataAt);
  writeHeader(c, to + headers, at);
  b.copyWithin(to + headers + length, dataAt, end);
  ipv4.setTotalLength(b, to, total + length);
  c.deltaLength = delta16(total, total + length);
  c.deltaRest += sum(b, to + headers, to + headers + length);
  if ((length & 1) === 1) {
    // The data now starts at an odd offset: its part of the sum changes sides.
    const data = sum(b, dataAt, end);
    c.deltaRest += delta16(data, swapped(data));
    // The header's own odd last octet was summed as a high half, which is where it stands.
  }
  headerSent(c, f, length);
  c.counters.fastOpenCarried++;
  return to;
}
