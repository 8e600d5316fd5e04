/**
 * The provider's side of a replay: each client stream is one PROXY header and then the client's octets; each datagram is
 * one that a client sent; and who has which NAT port is told to `Mapping`.
 *
 * A stream is recognised by its initial sequence number, which no translation changes; where several clients chose the
 * same one, its header tells, or, without headers, the packet's identification and time. Datagrams are recognised by
 * their data, in the same way.
 */
import { formatAddress } from '../wire/address.js';
import type { Frame, Visitor } from './frames.js';
import { HeaderCheck } from './header.js';
import type { DatagramEntry, InputIndex, Stream } from './input.js';
import { hasAcknowledged, offsetIn } from './input.js';
import type { Mapping } from './mapping.js';
import { carrierKey, nameOf, rangesText } from './names.js';
import type { Packet, Transport } from './packet.js';
import { ACK, FIN, ICMP, RST, SYN, TCP, UDP, datagramKey, firstFragmentPorts } from './packet.js';
import type { ProblemCode, Problems } from './problems.js';
import type { ProviderStream } from './provider-stream.js';

/** Segments farther away than any window are not a stream's. */
const FAR = 2 ** 30;
/** Octets of the shortest header: PROXY v2 of TCP/IPv4 without TLVs. */
const LEAST_HEADER = 28;
/** Equal datagrams looked at for the best match. */
const MAX_CANDIDATES = 64;

export interface ProviderOptions {
  readonly natPool: readonly { readonly base: number; readonly prefix: number }[];
  readonly proxy: boolean | ((endpointAddress: number, port: number, network: number) => boolean);
  readonly linkIdOf?: ((endpointAddress: number, port: number, network: number) => number | null) | undefined;
  /** Every client flow of the input that could be forwarded has to be in the output. */
  readonly everyFlow?: boolean | undefined;
}

export class ProviderCheck implements Visitor {
  headers = 0;
  /** Datagrams that could not be compared, since the input had too many. */
  unchecked = 0;
  private readonly current = new Map<string, ProviderStream>();
  private readonly all: ProviderStream[] = [];
  /** Tuples on which a datagram has begun, in fragments; it may never be whole. */
  private readonly begun = new Set<string>();
  private readonly owners = new Map<string, DatagramEntry['flow']>();
  private readonly input: InputIndex;
  private readonly options: ProviderOptions;
  private readonly problems: Problems;
  private readonly mapping: Mapping;
  private readonly headerCheck: HeaderCheck;
  private readonly file: string;

  constructor(file: string, input: InputIndex, options: ProviderOptions, problems: Problems, mapping: Mapping) {
    this.file = file;
    this.input = input;
    this.options = options;
    this.problems = problems;
    this.mapping = mapping;
    this.headerCheck = new HeaderCheck(options.linkIdOf, (code, where) => {
      problems.add(code, where);
    });
  }

  packet(p: Packet, frame: Frame): void {
    const ports = firstFragmentPorts(p);
    if (ports !== null && this.inPool(p.source)) {
      this.begun.add(carrierKey(UDP, p.source, ports.sourcePort, p.destination, ports.destinationPort));
    }
    if (this.inPool(p.source) || this.inPool(p.destination)) return;
    this.problems.add('nat-source', `${this.at(frame)}: ${formatAddress(p.source)} to ${formatAddress(p.destination)}`);
  }

  datagram(p: Packet, frame: Frame): void {
    const t = p.transport!;
    if (t.protocol === ICMP) return;
    if (this.inPool(p.source)) {
      const key = carrierKey(t.protocol, p.source, t.sourcePort, p.destination, t.destinationPort);
      if (t.protocol === TCP) this.segment(key, p, t, frame);
      else this.clientDatagram(key, p, t, frame);
    } else if (this.inPool(p.destination)) {
      const key = carrierKey(t.protocol, p.destination, t.destinationPort, p.source, t.sourcePort);
      const s = this.current.get(key);
      if (s === undefined && !this.mapping.has(key) && !this.begun.has(key)) {
        this.problems.add('return-unsolicited', `${this.at(frame)}: ${key}`);
      }
      // A stream that is not known yet says nothing of who had the tuple before.
      if (s === undefined || s.claimed) this.mapping.touch(key, false, t.flags, frame.micros);
    }
  }

  /** After the last packet. @returns how many streams were proved, of those that could be */
  finish(): { checked: number; exact: number; unchecked: number } {
    const counts = { checked: 0, exact: 0, unchecked: 0 };
    const done = new Set<Stream>();
    for (const s of this.all) {
      const { input } = s;
      if (s.given === 'unknown' || input === null || input.ambiguous || !s.whole) {
        if (s.given === 'broken') counts.checked++;
        else counts.unchecked++;
        continue;
      }
      if (done.has(input)) continue;
      done.add(input);
      counts.checked++;
      if (s.given === 'broken') continue;
      const missing = input.required.minus(input.covered);
      if (missing.length > 0 && s.headerLength < 0 && input.conversation.isNarrow) {
        // Refused, since the header cannot go to that server in one piece.
        counts.checked--;
        counts.unchecked++;
      } else if (missing.length > 0) {
        this.problems.add(
          'octets-missing',
          `${nameOf(input)}: octets ${rangesText(missing)} of IN (a FIN is one) are not in ${this.file}`,
        );
      } else if (input.octets?.bounded === true) {
        counts.checked--;
        counts.unchecked++;
      } else if (input.held.minus(input.covered).length === 0) counts.exact++;
    }
    for (const flow of this.input.flows.values()) {
      if (flow.carrier === null || flow.covered >= flow.required || this.input.datagramsLost > 0) continue;
      const missing = String(flow.required - flow.covered);
      this.problems.add('datagram-missing', `${nameOf(flow)}: ${missing} of ${String(flow.required)}`);
    }
    if (this.options.everyFlow === true) this.requireEveryFlow();
    return counts;
  }

  private requireEveryFlow(): void {
    for (const streams of this.input.streams.values()) {
      for (const s of streams) {
        if (s.kind !== 'client' || s.carrier !== null || s.ambiguous || !s.forwardable) continue;
        this.problems.add('flow-missing', `${nameOf(s)}, from IN frame ${String(s.frame)}`);
      }
    }
    for (const flow of this.input.flows.values()) {
      if (!flow.isOpener || flow.carrier !== null || flow.required === 0) continue;
      this.problems.add('flow-missing', `${nameOf(flow)}, ${String(flow.required)} datagrams`);
    }
  }

  private segment(key: string, p: Packet, t: Transport, frame: Frame): void {
    const syn = (t.flags & SYN) !== 0 && (t.flags & ACK) === 0;
    let s = this.current.get(key);
    if (syn && (s === undefined || !s.whole || s.isn !== t.sequence)) {
      s = this.begin(key, p, t, frame);
    } else if (s === undefined) {
      s = this.beginInTheMiddle(key, p, t, frame);
    }
    if (s.input !== null && (s.certain || (s.whole && s.headerLength === 0))) this.claim(s, s.input, frame);
    if (s.claimed) this.mapping.touch(key, true, t.flags, frame.micros);
    const offset = offsetIn(s, t.sequence) + (syn ? 1 : 0);
    if (offset < -2 || offset - s.sent >= FAR) return;
    s.sent = Math.max(s.sent, offset + t.dataLength + (t.flags & FIN));
    if (s.given !== null) return;
    // What lies before the stream is a keep-alive's garbage.
    const from = t.dataAt + Math.max(0, -offset);
    if (s.headerLength < 0) this.awaited(s, p, t, frame, offset, syn);
    else {
      if (from < t.dataEnd) this.data(s, p, t, frame, Math.max(0, offset), from);
      this.fin(s, t, frame, offset + t.dataLength - s.headerLength);
    }
    // Whose stream it is of several the header tells, in this segment perhaps.
    const known = s.certain || s.headerLength >= 0;
    if ((t.flags & ACK) !== 0 && known && s.input !== null) this.acknowledgment(s.input, t, frame);
  }

  /** The stream ends where the client ended it. @param at offset in the client's stream */
  private fin(s: ProviderStream, t: Transport, frame: Frame, at: number): void {
    if ((t.flags & FIN) === 0 || s.input === null || s.given !== null) return;
    if (!s.input.ends.has(at)) {
      this.fail(s, 'octets-invented', frame, `a FIN at octet ${String(at)} of ${nameOf(s.input)}`);
    } else {
      s.input.covered.add(at, at + 1);
    }
  }

  /** A segment of a stream whose header is to come. */
  private awaited(s: ProviderStream, p: Packet, t: Transport, frame: Frame, offset: number, syn: boolean): void {
    if (offset < 0 || (t.flags & RST) !== 0 || (syn && t.dataLength === 0)) return;
    // Past the header a bare ACK goes on by its number alone, though what it overtook calls for the header only later.
    if (t.dataLength === 0 && (t.flags & FIN) === 0 && offset >= LEAST_HEADER) return;
    // Behind octets that the capture lacks a bare ACK says only that the server has had them, the header among them.
    if (t.dataLength === 0 && (s.input?.held.firstGap(0, offset) ?? offset) < offset) return;
    if (t.dataLength === 0 || offset > 0) {
      this.fail(s, 'before-header', frame, `a segment at offset ${String(offset)}`);
      return;
    }
    const found = this.headerCheck.first(p, t, s, `${this.at(frame)}, ${s.key}`, this.input);
    if (found === null) return;
    if (found.input !== s.input) this.settle(s, found.input);
    s.certain = true;
    if (s.input !== null) {
      s.input.carrier = s.key;
      s.input.headerLength = found.length;
      this.claim(s, s.input, frame);
    }
    this.headers++;
    const { length } = found;
    s.header = Buffer.from(p.b.subarray(t.dataAt, t.dataAt + length));
    s.headerLength = length;
    if (t.dataAt + length < t.dataEnd) this.compare(s, p, t, frame, 0, t.dataAt + length);
  }

  /** @param offset from isn + 1, 0 or more @param from where in the buffer its octet stands */
  private data(s: ProviderStream, p: Packet, t: Transport, frame: Frame, offset: number, from: number): void {
    const length = s.headerLength;
    if (offset >= length) {
      this.compare(s, p, t, frame, offset - length, from);
      return;
    }
    const there = t.dataEnd - from;
    const header = s.header!.subarray(offset, Math.min(length, offset + there));
    if (!p.b.subarray(from, from + header.length).equals(header)) {
      this.fail(s, 'header-differs', frame, `offset ${String(offset)}`);
    } else if (offset > 0 || (there < length && t.dataEnd === t.dataAt + t.dataLength)) {
      this.fail(s, 'header-split', frame, `octets ${String(offset)} to ${String(offset + header.length)} of it`);
    } else if (there > length) {
      this.compare(s, p, t, frame, 0, from + length);
    }
  }

  /** Octets of the client, at `offset` of its own stream. */
  private compare(s: ProviderStream, p: Packet, t: Transport, frame: Frame, offset: number, from: number): void {
    const { input } = s;
    if (input?.octets === null || input === null || input.ambiguous) return;
    const found = input.octets.compare(offset, p.b, from, t.dataEnd);
    input.covered.add(offset, offset + t.dataEnd - from);
    if (found.kind !== 'differs' && found.kind !== 'unknown') return;
    const at = from + found.offset - offset;
    const repeated = s.header !== null && p.b.subarray(from, t.dataEnd).includes(s.header.subarray(0, 16));
    const code = repeated ? 'header-repeated' : found.kind === 'differs' ? 'octets-differ' : 'octets-invented';
    this.fail(s, code, frame, `octet ${String(found.offset)} of ${nameOf(input)} is ${String(p.b[at])}`);
  }

  private acknowledgment(input: Stream, t: Transport, frame: Frame): void {
    if ((t.flags & RST) !== 0 || hasAcknowledged(input, t.acknowledgment)) return;
    this.problems.add('ack-invented', `${this.at(frame)}: ${String(t.acknowledgment)}, ${nameOf(input)}`);
  }

  private begin(key: string, p: Packet, t: Transport, frame: Frame): ProviderStream {
    const candidates = this.input.clients.get(t.sequence) ?? [];
    const s: ProviderStream = {
      key,
      isn: t.sequence,
      sent: 0,
      input: null,
      certain: candidates.length === 1,
      whole: true,
      headerLength: 0,
      header: null,
      given: null,
      claimed: false,
    };
    this.current.set(key, s);
    this.all.push(s);
    if (candidates.length === 0) {
      this.fail(s, 'stream-unexplained', frame, `${key}, initial sequence number ${String(t.sequence)}`);
      return s;
    }
    this.settle(s, best(candidates, key, p, frame));
    s.headerLength = this.expectsHeader(s.input!) ? -1 : 0;
    // A SYN inside a live connection: what follows may belong to either.
    if (s.input!.ambiguous) s.given = 'unknown';
    return s;
  }

  private beginInTheMiddle(key: string, p: Packet, t: Transport, frame: Frame): ProviderStream {
    const candidates = this.input.middles.get(t.sequence) ?? [];
    const certain = candidates.length === 1 && !this.input.resumed.has(t.sequence);
    const s: ProviderStream = {
      key,
      isn: (t.sequence - 1) >>> 0,
      sent: 0,
      input: null,
      certain,
      whole: false,
      headerLength: 0,
      header: null,
      given: certain ? null : 'unknown',
      claimed: false,
    };
    this.current.set(key, s);
    this.all.push(s);
    // Whose it is of several is not known for certain, but that one of them is carried is.
    if (candidates.length > 0) this.settle(s, best(candidates, key, p, frame));
    return s;
  }

  /** The stream is that of the input; another that was thought of before is not. */
  private settle(s: ProviderStream, input: Stream): void {
    if (s.input?.carrier === s.key) s.input.carrier = null;
    s.input = input;
    input.carrier ??= s.key;
  }

  private claim(s: ProviderStream, input: Stream, frame: Frame): void {
    s.claimed = true;
    this.mapping.claim(s.key, nameOf(input), input, TCP, frame.micros, this.at(frame));
  }

  private clientDatagram(key: string, p: Packet, t: Transport, frame: Frame): void {
    const list = this.input.datagrams.get(datagramKey(p, t));
    const owner = this.owners.get(key);
    let entry: DatagramEntry | null = null;
    if (list !== undefined) {
      while (list.entries[list.head]?.taken === true) list.head++;
      let bestScore = -Infinity;
      for (const e of list.entries.slice(list.head, list.head + MAX_CANDIDATES)) {
        if (e.taken) continue;
        // An answer is a client's only where what it answers was forgotten.
        const usual = (e.flow === owner ? 3 : 0) + (e.flow.isOpener ? 1 : 0) - foreign(e.flow.carrier, key) * 4;
        const score = scoreOf(e.micros === frame.micros, e.id === p.id) + usual;
        if (score <= bestScore) continue;
        entry = e;
        bestScore = score;
      }
    }
    if (entry === null) {
      if (this.input.datagramsLost > 0) this.unchecked++;
      else this.problems.add('datagram-unexplained', `${this.at(frame)}: ${String(t.dataLength)} octets on ${key}`);
      this.mapping.touch(key, true, 0, frame.micros);
      return;
    }
    entry.taken = true;
    entry.flow.covered++;
    entry.flow.carrier = key;
    this.owners.set(key, entry.flow);
    this.mapping.claim(key, nameOf(entry.flow), entry.flow, t.protocol, frame.micros, this.at(frame));
    this.mapping.touch(key, true, 0, frame.micros);
    if (entry.noChecksum !== t.noChecksum) {
      this.problems.add('udp-checksum-presence', `${this.at(frame)}: ${t.noChecksum ? 'none' : 'one'} on ${key}`);
    }
  }

  private expectsHeader(input: Stream): boolean {
    const { proxy } = this.options;
    return typeof proxy === 'boolean' ? proxy : proxy(input.destination, input.destinationPort, input.network);
  }

  private fail(s: ProviderStream, code: ProblemCode, frame: Frame, text: string): void {
    s.given = 'broken';
    this.problems.add(code, `${this.at(frame)}, ${s.key}: ${text}`);
  }

  private inPool(address: number): boolean {
    return this.options.natPool.some(({ base, prefix }) => {
      const size = 2 ** (32 - prefix);
      return address >= base && address < base + size;
    });
  }

  private at(frame: Frame): string {
    return `${this.file} frame ${String(frame.number)}`;
  }
}

const foreign = (carrier: string | null, key: string): number => (carrier !== null && carrier !== key ? 1 : 0);

const scoreOf = (sameTime: boolean, sameId: boolean): number => (sameTime ? 4 : 0) + (sameId ? 2 : 0);

/** The likeliest of several streams with one initial sequence number; the earliest of equals. */
function best(candidates: readonly Stream[], key: string, p: Packet, frame: Frame): Stream {
  let found = candidates[0]!;
  let bestScore = -Infinity;
  for (const candidate of candidates) {
    const same = scoreOf(candidate.times.includes(frame.micros), candidate.id === p.id);
    const score = same - foreign(candidate.carrier, key) * 8;
    if (score <= bestScore) continue;
    found = candidate;
    bestScore = score;
  }
  return found;
}
