/**
 * TCP segments of a flow, both ways: connection state as far as time-outs, reuse of the tuple and RST need it, and the
 * call into header insertion. The client's numbering is kept throughout; the backend's differs by the header.
 */
import * as F from '../flow/flow-table.js';
import { VALUE } from '../flow/set-cache.js';
import { TO_CONSUMER, TO_PROVIDER } from '../packet/outbox.js';
import { ABSORBED, drop, FORWARD } from '../packet/verdict.js';
import { delta32, pseudoHeader, sum } from '../wire/checksum.js';
import * as ipv4 from '../wire/ipv4.js';
import { get16 } from '../wire/octets.js';
import { distance } from '../wire/seq.js';
import * as tcp from '../wire/tcp.js';
import type { Core } from './core.js';
import * as insertion from './insertion.js';
import { isOutdated, openFlow } from './open.js';
import { tcpToConsumer, tcpToProvider } from './rewrite.js';
import { LEAP, trackClient, trackServer } from './tracking.js';
import { BANDWIDTH_EXCEEDED, count, exceedsBandwidth, send } from './send.js';
import { blankFastOpen, blankMptcp, readScale, readScaleOffer, refusedOptions } from './tcp-options.js';

const TCP_MALFORMED = drop('tcp-malformed');
const TCP_BAD_CHECKSUM = drop('tcp-bad-checksum');
const TCP_BAD_FLAGS = drop('tcp-bad-flags');
const MSS_BELOW_HEADER = drop('mss-below-header');
const SIMULTANEOUS_OPEN = drop('simultaneous-open');
const MIDSTREAM = drop('midstream');
const OUT_OF_SCRATCH = drop('out-of-scratch');
const NO_SYN_ACK = drop('no-syn-ack');
const RESET_IN_DOUBT = drop('reset-in-doubt');
const NO_FLOW = drop('no-flow');

/** What a stream may be ahead of S before comparisons with S are retired, and what of it must be acknowledged. */
const PAST = 0x40000000;
const PAST_ACKED = 0x30000000;

/** Where a SYN-ACK names none (RFC 9293 section 3.7.1). */
const DEFAULT_MSS = 536;

/** Neither SYN, RST nor ACK, or SYN with FIN or RST: no TCP sends these. */
export const badFlags = (flags: number): boolean =>
  (flags & (tcp.SYN | tcp.RST | tcp.ACK)) === 0 || ((flags & tcp.SYN) !== 0 && (flags & (tcp.FIN | tcp.RST)) !== 0);

/** Segments that begin or end a connection: rare, and of great effect. */
const TURNS = tcp.SYN | tcp.FIN | tcp.RST;

/**
 * The segment's checksum is known to be wrong. A translator passes such a segment on as wrong as it was, for the receiver
 * to drop; but no connection is begun or ended by one, and what is sent or no longer sent on its account, the header,
 * would be believed. Recordings are made before the checksum is (offload), so there it says nothing.
 */
function isDamaged(c: Core, ip: number, l4: number, end: number, segment: number): boolean {
  if (c.partial || c.recorded || c.fragmented || c.missing > 0) return false;
  const { slab: b } = c;
  const initial = pseudoHeader(ipv4.source(b, ip), ipv4.destination(b, ip), ipv4.PROTOCOL_TCP, segment);
  return sum(b, l4, end, initial) !== 0xffff;
}

/** A segment's numbers are far ahead of the highest yet. */
const leaps = (c: Core, l4: number, dataLength: number, next: number, acknowledged: number): boolean =>
  ((tcp.sequence(c.slab, l4) + dataLength - next) | 0) > LEAP ||
  ((tcp.acknowledgment(c.slab, l4) - acknowledged) | 0) > LEAP;

/** The header is still to be acknowledged. */
const isHeaderOpen = (status: number): boolean => status >>> F.HEADER_SHIFT !== 0 && (status & F.HEADER_ACKED) === 0;

/** The client's segment may make the header go. @param octets of payload */
function callsForHeader(c: Core, l4: number, at: number, octets: number): boolean {
  const status = c.r[at + F.STATUS]!;
  if (!isHeaderOpen(status)) return false;
  return tcp.sequence(c.slab, l4) === c.r[at + F.START] || (octets > 0 && (status & F.HEADER_SENT) === 0);
}

/**
 * A segment from the consumer; its header has been checked.
 * @param f its flow, or -1
 * @param end end of the octets at hand
 * @param segment octets of TCP header and payload, on the wire
 */
export function fromConsumer(
  c: Core,
  ip: number,
  l4: number,
  end: number,
  segment: number,
  network: number,
  f: number,
): number {
  const { slab: b, r } = c;
  const flags = tcp.flags(b, l4);
  if (badFlags(flags)) return TCP_BAD_FLAGS;
  const dataLength = segment - tcp.headerLength(b, l4);
  const tells =
    (flags & TURNS) !== 0 ||
    f < 0 ||
    callsForHeader(c, l4, f * F.STRIDE, dataLength) ||
    leaps(c, l4, dataLength, r[f * F.STRIDE + F.CLIENT_NEXT]!, r[f * F.STRIDE + F.CLIENT_ACK]!);
  if (tells && isDamaged(c, ip, l4, end, segment)) return TCP_BAD_CHECKSUM;
  c.deltaLength = 0;
  c.deltaRest = 0;
  if ((flags & tcp.SYN) !== 0) {
    if ((flags & tcp.ACK) !== 0) return SIMULTANEOUS_OPEN;
    return clientSyn(c, ip, l4, end, segment, network, f);
  }
  if (f < 0) {
    if (c.options.midstream === 'drop') return MIDSTREAM;
    const refused = refusedOptions(b, l4);
    if (refused !== FORWARD) return refused;
    const ports = (tcp.sourcePort(b, l4) << 16) | tcp.destinationPort(b, l4);
    const before = c.refusals.find(network, ipv4.source(b, ip), ipv4.destination(b, ip), ports, 0, c.now);
    if (before >= 0) return c.refusals.cells[before + VALUE]!;
    f = openFlow(c, network, ipv4.PROTOCOL_TCP, ipv4.source(b, ip), ipv4.destination(b, ip), ports, F.MIDSTREAM);
    if (f < 0) return f;
  }
  const at = f * F.STRIDE;
  // Until the backend has answered this SYN it may hold another connection on this port, of this client or one before:
  // what is not SYN or RST could be taken for a part of that.
  const unanswered = (r[at + F.STATUS]! & F.STATE_MASK) === F.SYN_SENT && !c.recorded;
  if (unanswered && (flags & tcp.RST) === 0) return NO_SYN_ACK;
  if (exceedsBandwidth(c, at, TO_PROVIDER)) return BANDWIDTH_EXCEEDED;
  c.flow = f;
  const seq = tcp.sequence(b, l4);
  let status = r[at + F.STATUS]!;

  let replaced = false;
  if (status >>> F.HEADER_SHIFT !== 0) {
    const d = distance(r[at + F.START]!, seq);
    let shift = true;
    if (d < 0 && (status & F.PAST_START) === 0 && insertion.reachesStart(c, flags, dataLength, d)) return TCP_MALFORMED;
    if (c.recorded && (status & F.HEADER_ACKED) === 0) status = withoutAcknowledgment(c, at, d);
    if ((status & F.HEADER_ACKED) === 0) {
      // MP_CAPABLE also rides on the handshake's ACK and on the first data (RFC 8684 section 3.1).
      if (tcp.headerLength(b, l4) > tcp.MIN_HEADER) blankMptcp(c, l4);
      const what = insertion.beforeClient(c, ip, l4, f, dataLength, d);
      if (what === insertion.IN_PIECES) return TCP_MALFORMED;
      if (what === insertion.NO_ROOM) return OUT_OF_SCRATCH;
      replaced = what === insertion.REPLACED;
      shift = what !== insertion.KEEP;
      status = r[at + F.STATUS]!;
    } else if (
      d > PAST &&
      (status & F.PAST_START) === 0 &&
      distance(r[at + F.START]!, r[at + F.SERVER_ACK]!) > PAST_ACKED
    ) {
      status |= F.PAST_START;
      r[at + F.STATUS] = status;
    }
    if (shift) {
      const moved = insertion.toBackend(seq, d, status);
      if (moved !== seq) {
        tcp.setSequence(b, l4, moved);
        c.deltaRest += delta32(seq, moved);
      }
    }
  }

  trackClient(c, f, seq, dataLength, flags, tcp.acknowledgment(b, l4), tcp.window(b, l4));
  if (replaced) {
    count(c, at, TO_PROVIDER, end - ip + c.missing);
    return FORWARD;
  }
  tcpToProvider(c, ip, l4, at, 0, c.deltaRest);
  return send(c, ip, end, at, TO_PROVIDER);
}

/** A segment from the backend of flow `f`; its header has been checked. */
export function fromProvider(c: Core, ip: number, l4: number, end: number, segment: number, f: number): number {
  const { slab: b, r } = c;
  const flags = tcp.flags(b, l4);
  if (badFlags(flags)) return TCP_BAD_FLAGS;
  const at = f * F.STRIDE;
  const dataLength = segment - tcp.headerLength(b, l4);
  // What is acknowledged is known without the header.
  const acknowledged = (r[at + F.SERVER_ACK]! + (r[at + F.STATUS]! >>> F.HEADER_SHIFT)) | 0;
  const isOpen = isHeaderOpen(r[at + F.STATUS]!);
  const tells = (flags & TURNS) !== 0 || isOpen || leaps(c, l4, dataLength, r[at + F.SERVER_NEXT]!, acknowledged);
  if (tells && isDamaged(c, ip, l4, end, segment)) return TCP_BAD_CHECKSUM;
  if ((flags & (tcp.RST | tcp.ACK)) === tcp.RST && insertion.doubtsReset(c, at, tcp.sequence(b, l4))) {
    return RESET_IN_DOUBT;
  }
  const absorbed =
    c.options.absorbHeaderAck && isOpen && dataLength === 0 && flags === tcp.ACK && insertion.isHeaderAck(c, l4, at);
  // What ends here takes none of the link's bandwidth.
  if (!absorbed && exceedsBandwidth(c, at, TO_CONSUMER)) return BANDWIDTH_EXCEEDED;
  c.deltaRest = 0;
  const isSyn = (flags & tcp.SYN) !== 0;
  if (isSyn) {
    if ((flags & tcp.ACK) === 0) return SIMULTANEOUS_OPEN;
    const refused = backendSynAck(c, l4, f);
    if (refused !== FORWARD) {
      refuseFlow(c, f, refused);
      return refused;
    }
  }
  const window = tcp.window(b, l4);
  if (r[at + F.STATUS]! >>> F.HEADER_SHIFT !== 0 && (flags & tcp.ACK) !== 0) {
    c.deltaRest += insertion.acknowledgmentToClient(c, l4, f);
    if (tcp.window(b, l4) !== window) c.counters.windowsClamped++;
  }
  const seen = r[at + F.SEEN]!;
  trackServer(c, f, tcp.sequence(b, l4), dataLength, flags, tcp.acknowledgment(b, l4), tcp.window(b, l4));
  // An answer to the header, which goes again as long as there is one, keeps no flow alive whose client has left.
  if (dataLength === 0 && (flags & TURNS) === 0 && isHeaderOpen(r[at + F.STATUS]!) && !c.recorded)
    r[at + F.SEEN] = seen;
  if (absorbed) {
    c.counters.headerAcksAbsorbed++;
    return ABSORBED;
  }
  tcpToConsumer(c, ip, l4, at, c.deltaRest);
  return send(c, ip, end, at, TO_CONSUMER);
}

/**
 * A recording of the client's direction alone acknowledges nothing; but no client gets a whole GiB past S without having
 * been acknowledged. @returns the new status
 */
function withoutAcknowledgment(c: Core, at: number, d: number): number {
  const { r } = c;
  const status = r[at + F.STATUS]!;
  if (d <= PAST || distance(r[at + F.START]!, r[at + F.CLIENT_NEXT]!) <= PAST) return status;
  c.dropPending(at);
  r[at + F.STATUS] = status | F.HEADER_ACKED | F.PAST_START;
  return r[at + F.STATUS]!;
}

function clientSyn(
  c: Core,
  ip: number,
  l4: number,
  end: number,
  segment: number,
  network: number,
  found: number,
): number {
  const { slab: b, r } = c;
  const refused = refusedOptions(b, l4);
  if (refused !== FORWARD) return refused;
  const seq = tcp.sequence(b, l4);
  const start = (seq + 1) | 0;
  let f = found;
  let passes = false; // unchanged, for the backend to challenge (RFC 5961 section 4)
  if (f >= 0) {
    const at = f * F.STRIDE;
    if (exceedsBandwidth(c, at, TO_PROVIDER)) return BANDWIDTH_EXCEEDED;
    const state = r[at + F.STATUS]! & F.STATE_MASK;
    const anew = r[at + F.START] !== start || state === F.MIDSTREAM;
    if (state === F.ESTABLISHED && r[at + F.START] !== start) {
      if (inWindow(c, at, seq)) {
        passes = true;
      } else {
        // The client has forgotten the connection, the backend has not: a new port keeps the two apart.
        c.kill(f, 'flowsReplaced');
        f = -1;
      }
    } else if ((anew || state === F.SYN_SENT || isRefused(c, at)) && isOutdated(c, f)) {
      // A new connection, or one that has no answer, is bound neither to a backend that fails its probes nor to rules of
      // yesterday.
      c.kill(f, 'flowsReplaced');
      f = -1;
    } else if (anew) {
      restart(c, f, start);
    } else if (state === F.CLOSING) {
      // A late copy, or a new connection with the old number: the backend's SYN-ACK will tell. To begin anew for a late
      // copy would cut off what both sides still have to say. A refused SYN that comes again, as Windows sends some, is
      // no late copy; in a recording, which may lack the SYN-ACK, to begin anew cuts nothing off.
      if (c.recorded || isRefused(c, at)) restart(c, f, start);
      else passes = true;
    }
  }
  if (f < 0) {
    const ports = (tcp.sourcePort(b, l4) << 16) | tcp.destinationPort(b, l4);
    f = openFlow(c, network, ipv4.PROTOCOL_TCP, ipv4.source(b, ip), ipv4.destination(b, ip), ports, F.SYN_SENT);
    if (f < 0) return f;
    r[f * F.STRIDE + F.START] = start;
    r[f * F.STRIDE + F.CLIENT_NEXT] = start;
    r[f * F.STRIDE + F.SERVER_ACK] = start;
  }
  const at = f * F.STRIDE;
  c.flow = f;
  const status = r[at + F.STATUS]!;
  let from = ip;
  let to = end;
  readScaleOffer(c, l4, at);
  if (!passes) {
    const data = segment - tcp.headerLength(b, l4);
    let passed = data;
    if (status >>> F.HEADER_SHIFT !== 0) {
      blankMptcp(c, l4);
      const carried =
        data > 0 && c.options.fastOpen === 'carry' && !c.fragmented && !c.partial
          ? insertion.carrySyn(c, ip, l4, end, f)
          : -1;
      if (carried >= 0) {
        to = carried + (end - ip) + (status >>> F.HEADER_SHIFT);
        from = carried;
        // A backend that does not take the data sees it next without a bare ACK before it: with the header again.
        r[at + F.STATUS] = r[at + F.STATUS]! | F.DATA_SENT | F.SYN_CARRIED;
      } else {
        if (c.fragmented) return TCP_MALFORMED;
        passed = 0;
        if (data > 0 || c.options.fastOpen === 'strip') {
          blankFastOpen(c, l4);
          to = insertion.stripSyn(c, ip, l4, end);
        }
      }
    }
    if (((start + passed - r[at + F.CLIENT_NEXT]!) | 0) > 0) r[at + F.CLIENT_NEXT] = (start + passed) | 0;
    r[at + F.SEEN] = c.now | 0;
  } else {
    r[at + F.STATUS] = status | F.SYN_PASSED;
    if (status >>> F.HEADER_SHIFT !== 0) {
      // A backend that takes it for a new connection must not take data along, which no header went before.
      if (c.fragmented) return TCP_MALFORMED;
      blankMptcp(c, l4);
      blankFastOpen(c, l4);
      to = insertion.stripSyn(c, ip, l4, end);
    }
  }
  tcpToProvider(c, from, from + (l4 - ip), at, c.deltaLength, c.deltaRest);
  return send(c, from, to, at, TO_PROVIDER, end - ip + c.missing);
}

/** All that the backend ever said was an RST. */
function isRefused(c: Core, at: number): boolean {
  const { r } = c;
  const silent = r[at + F.SERVER_NEXT] === 0 && r[at + F.CLIENT_ACK] === 0;
  return silent && (r[at + F.STATUS]! & (F.CLIENT_FIN | F.SERVER_FIN)) === 0;
}

/** A new incarnation on the same tuple and mapping (case 20). */
export function restart(c: Core, f: number, start: number): void {
  const { r } = c;
  const at = f * F.STRIDE;
  const endpoint = c.tables.endpoints[r[at + F.ENDPOINT]!]!;
  const length = endpoint.header === null ? 0 : endpoint.header.octets.length;
  if ((r[at + F.STATUS]! & F.STATE_MASK) === F.CLOSING) c.counters.flowsClosed++;
  else c.counters.flowsReplaced++;
  c.dropPending(at);
  r[at + F.STATUS] = F.SYN_SENT | (r[at + F.STATUS]! & (F.RESET_ON_IDLE | F.POLICED)) | (length << F.HEADER_SHIFT);
  r[at + F.START] = start;
  r[at + F.CLIENT_NEXT] = start;
  r[at + F.SERVER_NEXT] = 0;
  r[at + F.CLIENT_ACK] = 0;
  r[at + F.SERVER_ACK] = start;
  r[at + F.SCALES] = r[at + F.SCALES]! & F.SCALE_OFFERED;
  c.flows.wheel.cancel(f);
  c.flows.wheel.set(f, c.now + c.limitMs(f));
  c.counters.flowsTcp++;
}

function backendSynAck(c: Core, l4: number, f: number): number {
  const { slab: b, r } = c;
  const at = f * F.STRIDE;
  const length = r[at + F.STATUS]! >>> F.HEADER_SHIFT;
  if (length !== 0) blankMptcp(c, l4);
  const a = distance(r[at + F.START]!, tcp.acknowledgment(b, l4));
  const another = a < 0 || a > synLength(c, at);
  if (another) {
    // It answers another SYN than this connection's. Where one was passed unchanged, the backend has taken that for a
    // new connection's; else it is of an older connection, and this one goes on without it.
    const passed = F.ESTABLISHED | F.SYN_PASSED;
    if ((r[at + F.STATUS]! & (F.STATE_MASK | F.SYN_PASSED)) !== passed) return FORWARD;
  }
  if (length !== 0) {
    const mss = tcp.findOption(b, l4, tcp.OPTION_MSS);
    const timestamps = tcp.findOption(b, l4, tcp.OPTION_TIMESTAMPS) >= 0 ? 12 : 0;
    const room = mss >= 0 && b[mss + 1] === 4 ? get16(b, mss + 2) : DEFAULT_MSS;
    if (room < length + timestamps) return MSS_BELOW_HEADER;
  }
  // A closing connection's own number, taken for a new one.
  const reopens = a === 0 && (r[at + F.STATUS]! & (F.STATE_MASK | F.SYN_PASSED)) === (F.CLOSING | F.SYN_PASSED);
  // The client's next SYN goes by the rules as they are now.
  if ((another || reopens) && isOutdated(c, f)) return NO_FLOW;
  if (another || reopens) restart(c, f, tcp.acknowledgment(b, l4));
  const state = r[at + F.STATUS]! & F.STATE_MASK;
  if (state === F.SYN_SENT || state === F.SYN_RECEIVED) {
    readScale(c, l4, at);
    if (state === F.SYN_SENT) {
      r[at + F.SCALES] = (Math.min(c.idleMs(f), 0xffff) << 16) | (r[at + F.SCALES]! & 0xffff);
      r[at + F.SERVER_NEXT] = (tcp.sequence(b, l4) + 1) | 0;
      r[at + F.CLIENT_ACK] = r[at + F.SERVER_NEXT]!;
      r[at + F.STATUS] = (r[at + F.STATUS]! & ~F.STATE_MASK) | F.SYN_RECEIVED;
    }
  }
  return FORWARD;
}

/** Octets that the SYN took along towards the backend, header and data, which its SYN-ACK may acknowledge. */
function synLength(c: Core, at: number): number {
  const { r } = c;
  const status = r[at + F.STATUS]!;
  const length = status >>> F.HEADER_SHIFT;
  const client = distance(r[at + F.START]!, r[at + F.CLIENT_NEXT]!);
  if (length === 0) return client;
  return (status & F.SYN_CARRIED) !== 0 ? length + client : 0;
}

/** Sequence number lies in the window that the backend offered last, as the client counts (RFC 5961 section 4). */
function inWindow(c: Core, at: number, seq: number): boolean {
  const { r } = c;
  const window = Math.max((r[at + F.WINDOWS]! & 0xffff) << (r[at + F.SCALES]! & 0xff), 0xffff);
  const d = distance(r[at + F.SERVER_ACK]!, seq);
  return d >= 0 && d <= window;
}

/** Ends a flow for good: the rest of its connection gets the same verdict, its port is free again. */
function refuseFlow(c: Core, f: number, verdict: number): void {
  const { r } = c;
  const at = f * F.STRIDE;
  const network = r[at + F.CONSUMER_SCOPE]! >>> 8;
  const entry = c.refusals.put(
    network,
    r[at + F.CONSUMER]!,
    r[at + F.ENDPOINT_ADDRESS]!,
    r[at + F.CONSUMER_PORTS]!,
    0,
    c.now,
  );
  c.refusals.cells[entry + VALUE] = verdict;
  c.kill(f, 'flowsRefused');
  c.flow = -1;
}
