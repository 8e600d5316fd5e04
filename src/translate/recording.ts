/**
 * Recorded traffic of a consumer's side, both directions: client packets go the ordinary way; server packets are first
 * *lifted* into the form the backend must have sent, from which the ordinary way back leads to the consumer again.
 *
 * Lifting is the exact inverse of `Translator.fromProvider`, but for the TTL, which no one can undo: addresses and ports,
 * toClient (acknowledgment + L where a header went before, window widened where it will be narrowed again), SACK edges,
 * and quoted packets. Where a header was sent and the recorded server acknowledged S, the backend must have acknowledged
 * S+L; that is inferred, so it does not stop the header from being sent again with a retransmission (`ackInferred`). Where
 * no header went yet, an acknowledgment of more than S is of an older connection or of packets that the recording lacks,
 * and goes both ways as it is (`ackForeign`); so does one so far from S that with the header it would count as before S.
 *
 * Which end is the client: a SYN tells; for UDP, who speaks first. In the middle of a TCP connection whose SYN was not
 * seen, a SYN-ACK comes from the server, else the lower port is the server's; a server's packet alone opens no flow.
 */
import * as F from '../flow/flow-table.js';
import { drop, FORWARD, HELD } from '../packet/verdict.js';
import { apply, delta16, delta32, fold, swapped } from '../wire/checksum.js';
import * as ipv4 from '../wire/ipv4.js';
import { get32, set32 } from '../wire/octets.js';
import { distance } from '../wire/seq.js';
import * as tcp from '../wire/tcp.js';
import * as udp from '../wire/udp.js';
import * as established from './established.js';
import type { Core } from './core.js';
import { LIFT } from './fragments.js';
import * as icmp from './icmp.js';
import { toBackend } from './insertion.js';
import { adjustL4 } from './rewrite.js';
import { badFlags, restart } from './tcp.js';
import type { Translator } from './translator.js';

/** Verdict: the packet is a server's, and the outbox holds it in the backend's form, to be given to `fromProvider`. */
export const LIFTED = 2;

/** Verdict of `usual`: the packet wants `packet`. */
export const NOT_USUAL = 3;

const TCP_BAD_FLAGS = drop('tcp-bad-flags');
const TCP_MALFORMED = drop('tcp-malformed');
const UDP_MALFORMED = drop('udp-malformed');
const L4_TRUNCATED = drop('l4-truncated');
const FRAGMENT_MALFORMED = drop('fragment-malformed');
const NO_FLOW = drop('no-flow');
const SIMULTANEOUS_OPEN = drop('simultaneous-open');
const OUT_OF_SCRATCH = drop('out-of-scratch');
const ICMP_NO_FLOW = drop('icmp-no-flow');

/** Fifth part of a refusal's key: of a server, without a verdict; that of a client's has 0 there. */
const OPENS_NOTHING = 1;

/** Sequence numbers are ahead of one another by this at most. */
const FARTHEST = 0x7fffffff;

/** Outbox side of a lifted packet. */
export const SIDE_LIFTED = LIFT;

export class Recording {
  private readonly t: Translator;

  constructor(t: Translator) {
    this.t = t;
    t.core.recorded = true;
    t.fragments.lift = (ip, end, at, delta) => {
      this.liftIp(ip, at, delta);
      return this.emit(ip, end);
    };
  }

  /**
   * Translates or lifts a packet recorded in a consumer network; arguments as of `Translator.fromConsumer`.
   * @returns FORWARD, HELD, LIFTED, or a drop verdict, already counted
   */
  packet(ip: number, end: number, network: number, missing = 0, partial = false): number {
    const c = this.t.core;
    const b = c.slab;
    c.ackInferred = false;
    c.ackForeign = false;
    if (!partial) {
      const usual = this.usual(ip, end, network, missing);
      if (usual !== NOT_USUAL) return usual;
    }
    // The judgement of a packet that is not well-formed is the ordinary way's.
    if (ipv4.check(b, ip, end, missing) !== ipv4.OK) return this.t.fromConsumer(ip, end, network, missing, partial);
    const total = ipv4.packetLength(b, ip, end - ip + missing);
    const last = Math.min(end, ip + total);
    const l4 = ip + ipv4.headerLength(b, ip);
    const protocol = ipv4.protocol(b, ip);
    const field = ipv4.flagsAndOffset(b, ip);
    c.missing = ip + total - last;
    c.partial = partial;
    c.fragmented = false;

    let f: number;
    let verdict: number;
    if ((field & ipv4.OFFSET_MASK) !== 0) {
      return this.t.fromConsumer(ip, end, network, missing, partial); // its first fragment knows which way
    } else if (protocol === ipv4.PROTOCOL_ICMP && (field & ipv4.FRAGMENT_MASK) === 0) {
      const quote = icmp.quoteOf(c, l4, last);
      if (quote < 0) return this.t.fromConsumer(ip, end, network, missing, partial);
      f = this.quotedFlow(quote, network);
      if (f < 0) {
        c.drops.add(ICMP_NO_FLOW);
        return ICMP_NO_FLOW;
      }
      if (!c.flows.forward) return this.t.fromConsumer(ip, end, network, missing, partial);
      verdict = icmp.lift(c, ip, l4, quote, last, f);
    } else if (protocol === ipv4.PROTOCOL_TCP || protocol === ipv4.PROTOCOL_UDP) {
      if (last - l4 < 8) return this.t.fromConsumer(ip, end, network, missing, partial);
      f = c.flows.find(ipv4.source(b, ip), ipv4.destination(b, ip), get32(b, l4), (network << 8) | protocol);
      if (f >= 0 ? c.flows.forward : !this.opensNothing(ip, l4, last, protocol, network)) {
        return this.t.fromConsumer(ip, end, network, missing, partial);
      }
      if (f < 0) this.noteServer(ip, l4, last, protocol, network);
      verdict = f < 0 ? NO_FLOW : this.liftTransport(ip, l4, last, ip + total - l4, f);
      if (verdict === HELD) return this.t.fromConsumer(ip, end, network, missing, partial); // the tuple changed its direction
    } else {
      return this.t.fromConsumer(ip, end, network, missing, partial);
    }
    return this.finish(ip, last, network, f, verdict);
  }

  /**
   * Does what `packet` does, if the packet is a plain segment of an established flow without a trace of offload; what is
   * not is left as it was.
   * @returns FORWARD, LIFTED, or NOT_USUAL
   */
  usual(ip: number, end: number, network: number, missing: number): number {
    const c = this.t.core;
    c.ackInferred = false;
    c.ackForeign = false;
    const usual = established.fromNetwork(c, ip, end, network, missing, true, false);
    return usual === established.TO_BACKEND ? FORWARD : usual === established.LIFTED ? LIFTED : NOT_USUAL;
  }

  /** A well-formed packet is a server's: of a flow that there is, in its direction, or from an endpoint's address. */
  isServers(ip: number, end: number, network: number, missing: number): boolean {
    const { slab: b, flows, tables, adopt } = this.t.core;
    if (ipv4.check(b, ip, end, missing) !== ipv4.OK) return false;
    const protocol = ipv4.protocol(b, ip);
    const l4 = ip + ipv4.headerLength(b, ip);
    const whole = (ipv4.flagsAndOffset(b, ip) & ipv4.OFFSET_MASK) === 0 && end - l4 >= 8;
    if (whole && (protocol === ipv4.PROTOCOL_TCP || protocol === ipv4.PROTOCOL_UDP)) {
      const f = flows.find(ipv4.source(b, ip), ipv4.destination(b, ip), get32(b, l4), (network << 8) | protocol);
      if (f >= 0) return !flows.forward;
      return this.opensNothing(ip, l4, end, protocol, network);
    }
    if (adopt !== null) return false;
    const known = tables.endpointAt(network, ipv4.destination(b, ip)) !== undefined;
    return !known && tables.endpointAt(network, ipv4.source(b, ip)) !== undefined;
  }

  private finish(ip: number, end: number, network: number, f: number, lifted: number): number {
    const c = this.t.core;
    const b = c.slab;
    const fragmented = (ipv4.flagsAndOffset(b, ip) & ipv4.FRAGMENT_MASK) !== 0;
    let verdict = lifted;
    if (verdict === FORWARD) verdict = this.emit(ip, end);
    if (fragmented && f >= 0) {
      const at = f * F.STRIDE;
      c.flow = f;
      const passed = verdict === LIFTED ? FORWARD : verdict;
      const protocol = ipv4.protocol(b, ip);
      const id = ipv4.identification(b, ip);
      this.t.fragments.first(network, c.r[at + F.ENDPOINT_ADDRESS]!, c.r[at + F.CONSUMER]!, protocol, id, LIFT, passed);
    }
    if (verdict < 0) c.drops.add(verdict);
    return verdict;
  }

  private emit(ip: number, end: number): number {
    const c = this.t.core;
    return c.outbox.add(ip, end - ip, c.missing, SIDE_LIFTED, 0) ? LIFTED : OUT_OF_SCRATCH;
  }

  /** The flow of a quoted packet; `flows.forward` tells whether the client sent it. */
  private quotedFlow(quote: number, network: number): number {
    const { flows, slab: b } = this.t.core;
    const ports = get32(b, quote + ipv4.headerLength(b, quote));
    const scope = (network << 8) | ipv4.protocol(b, quote);
    return flows.find(ipv4.source(b, quote), ipv4.destination(b, quote), ports, scope);
  }

  /** A packet without a flow is a server's late or early one, not a client's first. */
  private opensNothing(ip: number, l4: number, end: number, protocol: number, network: number): boolean {
    const { tables, slab: b, adopt } = this.t.core;
    const known = tables.endpointAt(network, ipv4.destination(b, ip)) !== undefined;
    if (adopt === null) return !known && tables.endpointAt(network, ipv4.source(b, ip)) !== undefined;
    if (protocol !== ipv4.PROTOCOL_TCP || end - l4 < tcp.MIN_HEADER) return false;
    const flags = tcp.flags(b, l4);
    if ((flags & tcp.SYN) !== 0) return (flags & tcp.ACK) !== 0;
    const ports = get32(b, l4);
    if (this.isServer(network, ipv4.source(b, ip), ipv4.destination(b, ip), ports)) return true;
    const back = (ports << 16) | (ports >>> 16);
    if (this.isServer(network, ipv4.destination(b, ip), ipv4.source(b, ip), back)) return false;
    return tcp.sourcePort(b, l4) < tcp.destinationPort(b, l4);
  }

  /** A SYN-ACK whose SYN was not seen tells for the rest of the connection who the server is. */
  private noteServer(ip: number, l4: number, end: number, protocol: number, network: number): void {
    const { refusals, slab: b, now, adopt } = this.t.core;
    if (adopt === null || protocol !== ipv4.PROTOCOL_TCP || end - l4 < tcp.MIN_HEADER) return;
    const flags = tcp.flags(b, l4);
    if ((flags & tcp.SYN) === 0 || badFlags(flags)) return;
    refusals.put(network, ipv4.source(b, ip), ipv4.destination(b, ip), get32(b, l4), OPENS_NOTHING, now);
  }

  private isServer(network: number, source: number, destination: number, ports: number): boolean {
    const { refusals, now } = this.t.core;
    return refusals.find(network, source, destination, ports, OPENS_NOTHING, now) >= 0;
  }

  /** @returns FORWARD when lifted in place, HELD when the packet opens a flow the other way, or a drop verdict */
  private liftTransport(ip: number, l4: number, end: number, octets: number, f: number): number {
    const c = this.t.core;
    const b = c.slab;
    const at = f * F.STRIDE;
    const fragmented = (ipv4.flagsAndOffset(b, ip) & ipv4.FRAGMENT_MASK) !== 0;
    if (fragmented && !this.t.fragments.isSane(ip, l4 - ip + octets)) return FRAGMENT_MALFORMED;
    const isUdp = ipv4.protocol(b, ip) === ipv4.PROTOCOL_UDP;
    let rest = 0;
    if (isUdp) {
      if (!udp.check(b, l4, end, fragmented ? Infinity : octets)) return UDP_MALFORMED;
    } else {
      if (!tcp.check(b, l4, end, octets)) return end - l4 < octets ? L4_TRUNCATED : TCP_MALFORMED;
      const flags = tcp.flags(b, l4);
      if (badFlags(flags)) return TCP_BAD_FLAGS;
      if ((flags & (tcp.SYN | tcp.ACK)) === tcp.SYN) {
        const state = c.r[at + F.STATUS]! & F.STATE_MASK;
        if (c.adopt === null || (state !== F.CLOSING && state !== F.MIDSTREAM)) return SIMULTANEOUS_OPEN;
        c.kill(f, 'flowsReplaced');
        return HELD;
      }
      rest = this.liftTcp(l4, at);
    }
    const deltas = c.r[at + F.DELTAS]!;
    const ports = c.r[at + F.PROVIDER_PORTS]!;
    set32(b, l4, (ports << 16) | (ports >>> 16));
    adjustL4(c, l4 + (isUdp ? udp.CHECKSUM : tcp.CHECKSUM), isUdp, deltas >>> 16, (deltas & 0xffff) + rest);
    this.liftIp(ip, at, 0);
    return FORWARD;
  }

  private liftIp(ip: number, at: number, delta: number): void {
    const { slab: b, r } = this.t.core;
    set32(b, ip + 12, r[at + F.BACKEND]!);
    set32(b, ip + 16, r[at + F.NAT_ADDRESS]!);
    ipv4.setChecksum(b, ip, apply(ipv4.checksum(b, ip), (r[at + F.DELTAS]! >>> 16) + delta));
  }

  /** Acknowledgment, window and SACK edges into the backend's numbering. @returns the checksum's delta */
  private liftTcp(l4: number, at: number): number {
    const c = this.t.core;
    const { slab: b, r } = c;
    const length = r[at + F.STATUS]! >>> F.HEADER_SHIFT;
    const flags = tcp.flags(b, l4);
    if (length === 0 || (flags & tcp.ACK) === 0) return 0;
    const ack = tcp.acknowledgment(b, l4);
    const isSyn = (flags & tcp.SYN) !== 0;
    // Here it is certain; moved by the header, the numbers would not tell any more.
    if (isSyn && answersPassedSyn(c, at, ack)) restart(c, at / F.STRIDE, ack);
    const status = r[at + F.STATUS]!;
    const start = r[at + F.START]!;
    const a = distance(start, ack);
    const sent = (status & F.HEADER_SENT) !== 0;
    let delta = 0;
    if (a === 0 && (!sent || isSyn)) {
      const scale = isSyn ? 0 : r[at + F.SCALES]! & 0xff;
      const window = tcp.window(b, l4);
      const wider = Math.min(0xffff, window + ((length + (1 << scale) - 1) >>> scale));
      tcp.setWindow(b, l4, wider);
      delta = delta16(window, wider);
    } else if (sent && ((status & F.PAST_START) !== 0 || a <= FARTHEST - length)) {
      const moved = toBackend(ack, a, status);
      tcp.setAcknowledgment(b, l4, moved);
      delta = delta32(ack, moved);
      c.ackInferred = a === 0;
    } else {
      c.ackForeign = true;
    }
    // Also before a header went: data from S on is shifted by its number alone, so the backend's blocks are too.
    if (!c.ackForeign) delta += this.liftSack(l4, start, status);
    return delta;
  }

  private liftSack(l4: number, start: number, status: number): number {
    const b = this.t.core.slab;
    if (tcp.headerLength(b, l4) === tcp.MIN_HEADER) return 0;
    const option = tcp.findOption(b, l4, tcp.OPTION_SACK);
    if (option < 0) return 0;
    const end = option + 2 + ((b[option + 1]! - 2) & ~7);
    const odd = ((option - l4) & 1) === 1;
    let delta = 0;
    for (let i = option + 2; i < end; i += 4) {
      const edge = get32(b, i);
      const moved = toBackend(edge, distance(start, edge), status);
      set32(b, i, moved);
      delta += odd ? swapped(fold(delta32(edge, moved))) : delta32(edge, moved);
    }
    return delta;
  }
}

/** A recorded SYN-ACK answers the SYN that was passed unchanged, and not the one that began the stream. */
function answersPassedSyn(c: Core, at: number, ack: number): boolean {
  const { r } = c;
  const status = r[at + F.STATUS]!;
  const passed = F.ESTABLISHED | F.SYN_PASSED;
  if ((status & (F.STATE_MASK | F.SYN_PASSED)) !== passed) return false;
  const a = distance(r[at + F.START]!, ack);
  return a < 0 || a > ((status & F.SYN_CARRIED) !== 0 ? distance(r[at + F.START]!, r[at + F.CLIENT_NEXT]!) : 0);
}
