/**
 * Numbers TCP streams and UDP flows, and says where each segment stands in its stream.
 *
 * A stream is one incarnation of a connection: interface, addresses and ports, both directions. A SYN with another
 * initial sequence number begins a new one. Interfaces keep flows apart because networks with the same addresses may
 * have been captured side by side. The table is bounded: a stream that has been silent while very many others came is
 * forgotten, and gets a new number when it goes on.
 */
import { distance } from '../wire/seq.js';
import * as tcp from '../wire/tcp.js';
import { Direction } from './direction.js';
import type { Arrival } from './direction.js';
import type { DecodedFrame, Ipv4Packet, ProxyFinding, StreamPosition, TcpSegment, UdpDatagram } from './packet.js';
import type { PendingBudget } from './proxy-finder.js';
import type { TcpOption } from './options.js';
import { TwoGenerations } from './two-generations.js';

/** Flows of each kind that are remembered for certain. */
const CAPACITY = 65536;
/** RFC 7323 section 2.3. */
const MAX_WINDOW_SHIFT = 14;

class Stream {
  readonly number: number;
  /** What the lower end (by address, then port) sends. */
  readonly lower = new Direction();
  readonly higher = new Direction();
  isLowerClient: boolean;

  constructor(number: number, isLowerClient: boolean) {
    this.number = number;
    this.isLowerClient = isLowerClient;
  }
}

export class StreamTable {
  /** TCP streams so far. */
  streams = 0;
  readonly #tcp = new TwoGenerations<string, Stream>(CAPACITY, (stream) => {
    stream.lower.forget();
    stream.higher.forget();
  });
  readonly #udp = new TwoGenerations<string, true>(CAPACITY, () => undefined);
  readonly #budget: PendingBudget = { octets: 0 };

  /** Whether there were too many flows at a time to remember them all, so that some were numbered or counted twice. */
  get hasForgotten(): boolean {
    return this.#tcp.hasForgotten || this.#udp.hasForgotten;
  }

  /** Whether a datagram is the first of its flow. */
  isNewUdpFlow(frame: DecodedFrame, ip: Ipv4Packet, { header }: UdpDatagram): boolean {
    const flow = flowKey(frame, ip, header.sourcePort, header.destinationPort);
    if (this.#udp.get(flow) !== undefined) return false;
    this.#udp.set(flow, true);
    return true;
  }

  /** Takes note of a segment; what is remarkable goes to the frame's notes. */
  follow(frame: DecodedFrame, ip: Ipv4Packet, segment: TcpSegment): StreamPosition {
    const { header, payload } = segment;
    const { flags } = header;
    const sequence = header.sequence | 0;
    const isFromLower = isLower(ip, header.sourcePort, header.destinationPort);
    const streamsBefore = this.streams;
    const stream = this.#find(frame, ip, segment, isFromLower);
    const sender = isFromLower ? stream.lower : stream.higher;
    const receiver = isFromLower ? stream.higher : stream.lower;
    const isSyn = (flags & tcp.SYN) !== 0;
    if (isSyn) beginDirection(sender, segment, sequence);
    else if (sender.start === 'unknown') sender.guessAt(sequence);
    const hasAck = (flags & tcp.ACK) !== 0;
    if (hasAck && receiver.start === 'unknown') receiver.guessAt(header.acknowledgment | 0);

    const relative = sender.relative(sequence);
    const length = payload.length + (isSyn ? 1 : 0) + ((flags & tcp.FIN) !== 0 ? 1 : 0);
    const isProbe = length <= 1 && (flags & (tcp.SYN | tcp.FIN | tcp.RST)) === 0 && sender.isBeforeNext(sequence);
    const isTwin = isCapturedTwice(sender, ip, sequence, length);
    const arrival = isProbe ? 'new' : sender.arrive(sequence, length);
    if (isProbe) frame.notes.push(receiver.lastWindow === 0 ? 'window probe' : 'keep-alive');
    else noteArrival(frame, arrival, isTwin);

    const shift = windowShift(sender, receiver, isSyn);
    const window = header.window * 2 ** Math.max(shift, 0);
    if (window === 0 && (flags & (tcp.RST | tcp.SYN)) === 0) frame.notes.push('zero window');
    sender.lastWindow = window;
    if (payload.length > 0) sender.hasSentData = true;
    if ((flags & (tcp.FIN | tcp.RST)) !== 0) sender.hasEnded = true;
    return {
      stream: stream.number,
      isFirst: this.streams > streamsBefore,
      isFromClient: isFromLower === stream.isLowerClient,
      sequence: relative,
      acknowledgment: hasAck ? receiver.relative(header.acknowledgment | 0) : 0,
      sack: relativeSack(segment, receiver),
      window,
      isWindowScaled: shift > 0,
      isRetransmission: arrival === 'repeated',
      proxy: this.#findProxy(frame, sender, segment, relative + (isSyn ? 1 : 0)),
    };
  }

  #find(frame: DecodedFrame, ip: Ipv4Packet, segment: TcpSegment, isFromLower: boolean): Stream {
    const flow = flowKey(frame, ip, segment.header.sourcePort, segment.header.destinationPort);
    const known = this.#tcp.get(flow);
    if (known !== undefined && !beginsAnew(known, segment, isFromLower)) return known;
    // The client sends the SYN, receives the SYN-ACK, and else is taken to speak first.
    const isSynAck = (segment.header.flags & (tcp.SYN | tcp.ACK)) === (tcp.SYN | tcp.ACK);
    const stream = new Stream(++this.streams, isFromLower !== isSynAck);
    if (known !== undefined && (segment.header.flags & tcp.SYN) !== 0) frame.notes.push('ports reused');
    known?.lower.forget();
    known?.higher.forget();
    this.#tcp.set(flow, stream);
    return stream;
  }

  #findProxy(frame: DecodedFrame, sender: Direction, segment: TcpSegment, relative: number): ProxyFinding | null {
    const { buffer, at, end } = segment.payload;
    if (at >= end || !sender.mayHoldHeader(relative)) return null;
    const finding = sender.finder(this.#budget).segment(relative, buffer, at, end);
    if (finding !== null && finding.problem !== '') frame.notes.push(`malformed PROXY header: ${finding.problem}`);
    return finding;
  }
}

/** The lower end sent it: by address, then by port; a talk with oneself on one port counts as the lower's. */
function isLower({ header }: Ipv4Packet, sourcePort: number, destinationPort: number): boolean {
  const { source, destination } = header;
  return source < destination || (source === destination && sourcePort <= destinationPort);
}

/** The same for both directions. Short, and cheaper to make than a text of numbers. */
function flowKey(frame: DecodedFrame, ip: Ipv4Packet, sourcePort: number, destinationPort: number): string {
  const { source, destination } = ip.header;
  const { interfaceIndex } = frame.info;
  return isLower(ip, sourcePort, destinationPort)
    ? key(source, sourcePort, destination, destinationPort, interfaceIndex)
    : key(destination, destinationPort, source, sourcePort, interfaceIndex);
}

const key = (a: number, aPort: number, z: number, zPort: number, face: number): string =>
  String.fromCharCode(a >>> 16, a, aPort, z >>> 16, z, zPort, face >>> 16, face);

/** Whether a SYN says that the ports serve a new connection. */
function beginsAnew(stream: Stream, { header }: TcpSegment, isFromLower: boolean): boolean {
  if ((header.flags & tcp.SYN) === 0) return false;
  const sender = isFromLower ? stream.lower : stream.higher;
  const receiver = isFromLower ? stream.higher : stream.lower;
  const sequence = header.sequence | 0;
  if (sender.start === 'syn' && sender.initial === sequence) return false;
  if ((header.flags & tcp.ACK) !== 0) {
    // An answer to the SYN that was seen; with SYN cookies each answer has its own number.
    const answers = receiver.start === 'syn' && distance(receiver.initial, header.acknowledgment | 0) === 1;
    if (answers && !sender.hasSentData) return false;
    return sender.start !== 'unknown';
  }
  // Both ends may open at the same time.
  const isAnsweredOpen = receiver.start === 'syn' && !receiver.hasSentData && !receiver.hasEnded;
  if (sender.start === 'unknown' && isAnsweredOpen) return false;
  // An acknowledgment may have told the number before the SYN itself came.
  return !(sender.start === 'guessed' && sender.relative(sequence) === 0 && !sender.hasSentData);
}

function beginDirection(sender: Direction, { options }: TcpSegment, sequence: number): void {
  if (sender.start !== 'syn' || sender.initial !== sequence) sender.startAt(sequence);
  const scale = findOption(options, 'window-scale');
  sender.windowShift = scale === undefined ? -1 : Math.min(scale.shift, MAX_WINDOW_SHIFT);
}

/** The shift that holds for a segment, or -1: both ends must have offered one, and a SYN's window is never scaled. */
function windowShift(sender: Direction, receiver: Direction, isSyn: boolean): number {
  return isSyn || receiver.windowShift < 0 ? -1 : sender.windowShift;
}

function isCapturedTwice(sender: Direction, ip: Ipv4Packet, sequence: number, length: number): boolean {
  const { identification } = ip.header;
  const isTwin =
    length > 0 &&
    identification !== 0 &&
    identification === sender.lastIdentification &&
    sequence === sender.lastSequence;
  sender.lastIdentification = identification;
  sender.lastSequence = sequence;
  return isTwin;
}

function noteArrival(frame: DecodedFrame, arrival: Arrival, isTwin: boolean): void {
  switch (arrival) {
    case 'new':
      return;
    case 'after-gap':
      frame.notes.push('octets before it not seen');
      return;
    case 'repeated':
      frame.notes.push(isTwin ? 'captured twice' : 'retransmission');
      return;
    case 'overlapping':
      frame.notes.push('partly retransmission');
      return;
    case 'fills-gap':
      frame.notes.push('fills a gap');
  }
}

function relativeSack({ options }: TcpSegment, receiver: Direction): readonly (readonly [number, number])[] {
  const sack = findOption(options, 'sack');
  if (sack === undefined || receiver.start === 'unknown') return [];
  return sack.blocks.map(([left, right]) => [receiver.relative(left | 0), receiver.relative(right | 0)] as const);
}

function findOption<N extends TcpOption['name']>(
  options: readonly TcpOption[],
  name: N,
): Extract<TcpOption, { name: N }> | undefined {
  return options.find((option): option is Extract<TcpOption, { name: N }> => option.name === name);
}
