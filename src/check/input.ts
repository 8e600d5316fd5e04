/**
 * What the input held: each direction of each connection, with its octets, and which of them a translator had to forward.
 * No decision is made here which end is the client: a direction whose first packet is a SYN is a client's, one that
 * begins with a SYN-ACK a server's, and of the others the output has to tell.
 */
import type { Frame, Visitor } from './frames.js';
import { Budget, OctetMap, Ranges } from './octet-map.js';
import type { Packet, Ports, Transport } from './packet.js';
import {
  ACK,
  FIN,
  ICMP,
  RST,
  SYN,
  TCP,
  UDP,
  datagramKey,
  firstFragmentPorts,
  isForwardable,
  sequenceDistance,
  soundFlags,
} from './packet.js';
import { ErrorCounts, quoteError } from './sums.js';
import { isNarrow, isUntranslatable } from './tcp-options.js';

/** Octets kept of all streams together. */
const OCTETS = 256 * 1024 * 1024;
/** Datagrams remembered; those behind are not compared. */
const MAX_DATAGRAMS = 1_000_000;
/** A translator may forget a connection that was silent for so long: no profile has less. */
const IDLE_MICROS = 240e6;
const HALF_OPEN_MICROS = 4e6;
const UDP_IDLE_MICROS = 30e6;
/** A segment farther from its stream than any window belongs to another, or to none. */
const FAR = 2 ** 30;

/** Both directions of a connection. */
export interface Conversation {
  lastMicros: number;
  answered: boolean;
  /** A SYN of its client could be forwarded. */
  opened: boolean;
  /** The server takes segments too small to be sure that a header fits one: the connection may be refused. */
  isNarrow: boolean;
  /** FIN seen from the lower and from the higher end, bits 1 and 2. */
  fins: number;
  reset: boolean;
  /** Silent for so long, or closed, that a translator may have forgotten it. */
  forgotten: boolean;
  /** Who sent the first packet: `source port` text of that direction. */
  readonly opener: string;
}

/** One direction of a TCP connection, from one SYN to the next. */
export interface Stream {
  readonly kind: 'client' | 'server' | 'middle';
  readonly network: number;
  readonly source: number;
  readonly sourcePort: number;
  readonly destination: number;
  readonly destinationPort: number;
  /** Initial sequence number; of a stream whose SYN was not seen, one before the first sequence number seen. */
  readonly isn: number;
  conversation: Conversation;
  readonly frame: number;
  /** When its first segment came, and its SYN each time that it was sent. */
  readonly times: number[];
  readonly id: number;
  readonly octets: OctetMap | null;
  /** Offsets from isn + 1 that the input has, a FIN as one octet, and those that a translator had to forward. */
  readonly held: Ranges;
  readonly required: Ranges;
  /** Offsets that the output has. */
  readonly covered: Ranges;
  /** Where its FINs stand; more than one place only in a stream that contradicts itself. */
  readonly ends: Set<number>;
  /** Just past the last offset sent; a FIN counts as one. */
  sent: number;
  /** A SYN of it could be forwarded. */
  forwardable: boolean;
  /** First acknowledgment number that it carried, -1 before it, -2 where they make no sense; and the least and the most, counted from that one. */
  acknowledged: number;
  acknowledgedLeast: number;
  acknowledgedMost: number;
  /** Segments that belong to no one stream for certain: nothing is proved about this one. */
  ambiguous: boolean;
  /** The provider's tuple that carries it. */
  carrier: string | null;
  /** Octets of the header that goes before it there. */
  headerLength: number;
}

/** All datagrams of one direction of a UDP conversation. */
export interface DatagramFlow {
  readonly source: number;
  readonly sourcePort: number;
  readonly destination: number;
  readonly destinationPort: number;
  readonly network: number;
  readonly conversation: Conversation;
  readonly isOpener: boolean;
  /** Datagrams that a translator had to forward, and those found in the output. */
  required: number;
  covered: number;
  carrier: string | null;
}

/** Datagrams with the same data, in their order; those before `head` are taken. */
export interface DatagramList {
  readonly entries: DatagramEntry[];
  head: number;
}

export interface DatagramEntry {
  readonly flow: DatagramFlow;
  readonly micros: number;
  readonly id: number;
  readonly noChecksum: boolean;
  taken: boolean;
}

/** `source:port>destination:port` in numbers; the reverse is that of the other direction. */
export const tupleKey = (source: number, sourcePort: number, destination: number, destinationPort: number): string =>
  `${String(source)}:${String(sourcePort)}>${String(destination)}:${String(destinationPort)}`;

export class InputIndex implements Visitor {
  /** Streams of a direction in their order, by network and tuple. */
  readonly streams = new Map<string, Stream[]>();
  readonly flows = new Map<string, DatagramFlow>();
  /** Client streams by initial sequence number; those of the middle by the first one seen. */
  readonly clients = new Map<number, Stream[]>();
  readonly middles = new Map<number, Stream[]>();
  /** Sequence numbers at which a client goes on whose connection a translator may have forgotten: in the middle, to it. */
  readonly resumed = new Set<number>();
  readonly datagrams = new Map<number, DatagramList>();
  readonly errors = new ErrorCounts();
  /** Datagrams that were not remembered. */
  datagramsLost = 0;
  packets = 0;
  private readonly conversations = new Map<string, Conversation>();
  private readonly budget = new Budget(OCTETS);
  private readonly keepServers: boolean;
  private remembered = 0;

  /** @param keepServers keep the octets of servers' streams too */
  constructor(keepServers: boolean) {
    this.keepServers = keepServers;
  }

  packet(p: Packet, frame: Frame): void {
    this.packets++;
    // Who speaks first by UDP is the client, also when the rest of what it said is lost.
    const ports = frame.network < 0 || !isForwardable(p) ? null : firstFragmentPorts(p);
    if (ports !== null) this.flowOf(p, ports, frame);
  }

  datagram(p: Packet, frame: Frame, reassembled: boolean, certain: boolean): void {
    const t = p.transport!;
    // A partial checksum is completed; not so that of fragments, which no network card leaves behind.
    if (t.error > 0 && (!t.partial || reassembled)) this.errors.addTransport(t);
    if (frame.network < 0) return;
    if (t.protocol === ICMP) {
      const error = quoteError(p, t);
      if (error > 0) this.errors.add('quoted', error);
    } else if (t.protocol === TCP) this.segment(p, t, frame, certain);
    else this.udp(p, t, frame, certain);
  }

  /** The stream of a segment, the latest that it fits; undefined when it fits none. */
  streamOf(streams: readonly Stream[], sequence: number): Stream | undefined {
    for (let i = streams.length - 1; i >= 0; i--) {
      const offset = offsetIn(streams[i]!, sequence);
      if (offset >= -2 && offset - streams[i]!.sent < FAR) return streams[i];
    }
    return undefined;
  }

  private segment(p: Packet, t: Transport, frame: Frame, certain: boolean): void {
    const key = `${String(frame.network)} ${tupleKey(p.source, t.sourcePort, p.destination, t.destinationPort)}`;
    const reverse = `${String(frame.network)} ${tupleKey(p.destination, t.destinationPort, p.source, t.sourcePort)}`;
    let streams = this.streams.get(key);
    const syn = (t.flags & SYN) !== 0;
    if (streams === undefined) {
      // What no translator lets through is no beginning that the output could have.
      if (!syn && (!isForwardable(p) || !soundFlags(t.flags) || isUntranslatable(p, t))) return;
      this.streams.set(key, (streams = []));
    }
    let stream = syn ? this.begun(streams, p, t, frame) : this.streamOf(streams, t.sequence);
    if (stream === undefined) {
      if (!syn && streams.length > 0) return; // out of all windows
      const fresh = syn && (t.flags & ACK) === 0;
      const conversation = this.conversation(p, t, frame, fresh);
      stream = {
        kind: fresh ? 'client' : syn ? 'server' : 'middle',
        network: frame.network,
        source: p.source,
        sourcePort: t.sourcePort,
        destination: p.destination,
        destinationPort: t.destinationPort,
        isn: syn ? t.sequence : (t.sequence - 1) >>> 0,
        conversation,
        frame: frame.number,
        times: [],
        id: p.id,
        octets: syn && !fresh && !this.keepServers ? null : new OctetMap(this.budget),
        held: new Ranges(),
        required: new Ranges(),
        covered: new Ranges(),
        ends: new Set(),
        sent: 0,
        forwardable: false,
        acknowledged: -1,
        acknowledgedLeast: 0,
        acknowledgedMost: 0,
        ambiguous: false,
        carrier: null,
        headerLength: 0,
      };
      const before = streams.at(-1);
      if (before !== undefined && fresh && isLive(before, t.sequence)) {
        before.ambiguous = true;
        stream.ambiguous = true;
      }
      // Which end is the client is then a matter of judgement.
      if (fresh && this.streams.get(reverse)?.some((s) => s.kind === 'client') === true) stream.ambiguous = true;
      streams.push(stream);
      if (fresh) push(this.clients, t.sequence, stream);
      else if (!syn) push(this.middles, t.sequence, stream);
    }
    if (syn || stream.times.length === 0) stream.times.push(frame.micros);
    this.see(p, t, frame, stream.conversation);
    if (!syn && stream.kind === 'client' && stream.conversation.forgotten) this.resumed.add(t.sequence);
    // Whatever became of the last try, this SYN opens the connection again.
    if (syn && stream.kind === 'client') revive(stream.conversation);
    const forwardable =
      isForwardable(p) && certain && !stream.conversation.forgotten && stream.kind !== 'middle' && soundFlags(t.flags);
    if (stream.kind === 'server' && syn && isNarrow(p, t)) stream.conversation.isNarrow = true;
    if ((t.flags & ACK) !== 0) acknowledge(stream, t.acknowledgment);
    if (forwardable && syn && !isUntranslatable(p, t)) {
      stream.forwardable = true;
      if (stream.kind === 'client') stream.conversation.opened = true;
    }
    const offset = offsetIn(stream, t.sequence) + (syn ? 1 : 0);
    if ((t.flags & FIN) !== 0) stream.ends.add(offset + t.dataLength);
    // A keep-alive repeats an octet from before the stream, with anything in it.
    if (offset >= 0) {
      stream.octets?.add(offset, p.b, t.dataAt, t.dataEnd);
      cover(stream.held, offset, t);
      // A Fast Open client sends a SYN's data again when it is not taken: it may be trimmed.
      const answers = stream.kind === 'client' || stream.conversation.opened || this.keepServers;
      // What is left of a connection when its client has begun another is the new one's, if anyone's.
      if (forwardable && answers && !syn && stream === streams.at(-1)) cover(stream.required, offset, t);
      stream.sent = Math.max(stream.sent, offset + t.dataLength + (t.flags & FIN));
    }
    if ((t.flags & RST) !== 0) stream.conversation.reset = true;
    if ((t.flags & FIN) !== 0) stream.conversation.fins |= isLower(p, t) ? 1 : 2;
    const { reset, fins } = stream.conversation;
    if (reset || fins === 3) stream.conversation.forgotten = true;
  }

  /** The stream that a SYN repeats the beginning of. */
  private begun(streams: readonly Stream[], p: Packet, t: Transport, frame: Frame): Stream | undefined {
    const stream = streams.findLast((s) => s.isn === t.sequence && s.kind !== 'middle');
    if (stream?.kind !== 'server') return stream;
    const now = this.conversation(p, t, frame, false);
    if (stream.conversation === now) return stream;
    // A server that chooses the same number again answers another connection, unless it spoke before the SYN was seen.
    if (stream.conversation.opened || this.keepServers) return undefined;
    stream.conversation = now;
    return stream;
  }

  private udp(p: Packet, t: Transport, frame: Frame, certain: boolean): void {
    const flow = this.flowOf(p, t, frame);
    const { conversation } = flow;
    // Who opens is forwarded always; an answer only while the mapping lives.
    this.see(p, t, frame, conversation);
    const forwardable = isForwardable(p) && certain && (flow.isOpener || !conversation.forgotten);
    if (flow.isOpener && forwardable) conversation.forgotten = false;
    if (forwardable) flow.required++;
    if (this.remembered >= MAX_DATAGRAMS) {
      this.datagramsLost++;
      return;
    }
    this.remembered++;
    const dataKey = datagramKey(p, t);
    let list = this.datagrams.get(dataKey);
    if (list === undefined) this.datagrams.set(dataKey, (list = { entries: [], head: 0 }));
    const { micros } = frame;
    list.entries.push({ flow, micros, id: p.id, noChecksum: t.noChecksum, taken: !isForwardable(p) });
  }

  private flowOf(p: Packet, t: Ports, frame: Frame): DatagramFlow {
    const key = `${String(frame.network)} ${tupleKey(p.source, t.sourcePort, p.destination, t.destinationPort)}`;
    let flow = this.flows.get(key);
    if (flow === undefined) {
      const conversation = this.conversation(p, t, frame, false);
      flow = {
        source: p.source,
        sourcePort: t.sourcePort,
        destination: p.destination,
        destinationPort: t.destinationPort,
        network: frame.network,
        conversation,
        isOpener: conversation.opener === opener(p, t),
        required: 0,
        covered: 0,
        carrier: null,
      };
      this.flows.set(key, flow);
    }
    return flow;
  }

  private conversation(p: Packet, t: Ports, frame: Frame, anew: boolean): Conversation {
    const ends = [
      `${String(p.source)}:${String(t.sourcePort)}`,
      `${String(p.destination)}:${String(t.destinationPort)}`,
    ].sort();
    const key = `${String(p.protocol)} ${String(frame.network)} ${ends.join(' ')}`;
    let c = this.conversations.get(key);
    if (c === undefined || anew) {
      c = {
        lastMicros: frame.micros,
        answered: false,
        opened: false,
        isNarrow: false,
        fins: 0,
        reset: false,
        forgotten: false,
        opener: opener(p, t),
      };
      this.conversations.set(key, c);
    }
    return c;
  }

  /** Keeps whether the two ends have been silent for longer than a translator needs to remember them. */
  private see(p: Packet, t: Transport, frame: Frame, c: Conversation): void {
    const limit = t.protocol === UDP ? UDP_IDLE_MICROS : c.answered ? IDLE_MICROS : HALF_OPEN_MICROS;
    if (frame.micros - c.lastMicros > limit) c.forgotten = true;
    c.lastMicros = Math.max(c.lastMicros, frame.micros);
    if (opener(p, t) !== c.opener) c.answered = true;
  }
}

/** Offset of a sequence number from the octet behind the SYN, right past 2 GiB too. */
export function offsetIn(stream: { readonly isn: number; readonly sent: number }, sequence: number): number {
  return stream.sent + sequenceDistance((stream.isn + 1 + stream.sent) | 0, sequence);
}

/** Adds a segment's octets at hand, and its FIN, which counts as one. @param offset of its first octet */
export function cover(ranges: Ranges, offset: number, t: Transport): void {
  ranges.add(offset, offset + t.dataEnd - t.dataAt);
  if ((t.flags & FIN) !== 0) ranges.add(offset + t.dataLength, offset + t.dataLength + 1);
}

/** Whether the stream carried this acknowledgment number, or one below and one above it. */
export function hasAcknowledged(s: Stream, acknowledgment: number): boolean {
  if (s.acknowledged < 0) return s.acknowledged === -2;
  const at = s.acknowledgedMost + sequenceDistance((s.acknowledged + s.acknowledgedMost) | 0, acknowledgment);
  return at >= s.acknowledgedLeast && at <= s.acknowledgedMost;
}

/** The greatest acknowledgment number of the stream, -1 where it has none. */
export const greatestAcknowledged = (s: Stream): number =>
  s.acknowledged < 0 ? -1 : (s.acknowledged + s.acknowledgedMost) % 0x100000000;

function acknowledge(s: Stream, acknowledgment: number): void {
  if (s.acknowledged === -2) return;
  if (s.acknowledged < 0) s.acknowledged = acknowledgment;
  const at = s.acknowledgedMost + sequenceDistance((s.acknowledged + s.acknowledgedMost) | 0, acknowledgment);
  if (Math.abs(at - s.acknowledgedMost) >= FAR) s.acknowledged = -2;
  s.acknowledgedLeast = Math.min(s.acknowledgedLeast, at);
  s.acknowledgedMost = Math.max(s.acknowledgedMost, at);
}

/** A SYN inside the window of a live connection is the backend's to judge (RFC 5961 section 4), not a new start. */
function isLive(before: Stream, sequence: number): boolean {
  if (before.conversation.reset || before.conversation.fins === 3 || !before.conversation.answered) return false;
  const offset = offsetIn(before, sequence);
  return offset >= 0 && offset - before.sent < FAR;
}

function revive(c: Conversation): void {
  c.forgotten = false;
  c.reset = false;
  c.fins = 0;
}

const opener = (p: Packet, t: Ports): string => `${String(p.source)}:${String(t.sourcePort)}`;

const isLower = (p: Packet, t: Transport): boolean =>
  p.source < p.destination || (p.source === p.destination && t.sourcePort < t.destinationPort);

function push<T>(map: Map<number, T[]>, key: number, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
