/**
 * The opening end of one TCP connection (RFC 9293), small: what a health probe needs to talk to any server over a
 * device that also other packets use.
 *
 * Theory of operation
 * - Octets to send wait in one buffer that begins at the first unacknowledged one; sequence numbers are offsets into it.
 *   When the timer runs out all in flight counts as lost and goes again, by slow start (RFC 5681; the timer doubles from
 *   one second, RFC 6298). Octets that the peer turns out to have had are skipped.
 * - What comes is given on in order; what comes too early waits, within the offered window, which bounds the memory of a
 *   connection to two windows. A super-packet is one long segment.
 * - There is no window scaling, no SACK, no timestamps: probes move little. There is no TIME-WAIT either: the port does
 *   not come back for long, and who repeats a FIN gets a reset, which ends what was over.
 * - It never gives up by itself: whoever opened it has a deadline, and aborts.
 */
import { get16 } from '../../wire/octets.js';
import { add, before, distance } from '../../wire/seq.js';
import * as tcp from '../../wire/tcp.js';
import type { Clock } from './clock.js';

export interface TcpEvents {
  /** The handshake is done. */
  onOpen(): void;
  /** Octets in order, the caller's own to keep. */
  onData(octets: Buffer): void;
  /** The peer sends nothing more. */
  onEnd(): void;
  /** There is room to send again, after `write` said that there is none. */
  onDrain(): void;
  /** Both ends are done, or the peer has reset it: `refused` before the handshake was done, `reset` after it. */
  onClose(why: 'closed' | 'refused' | 'reset'): void;
}

/** Sends one segment: the header's fields, and where its payload lies. */
export type EmitSegment = (
  flags: number,
  seq: number,
  ack: number,
  window: number,
  mss: number,
  payload: Buffer | null,
) => void;

export interface TcpSettings {
  /** First sequence number, int32. */
  readonly iss: number;
  /** Octets of payload in a segment, either way, at most. */
  readonly mss: number;
}

const RTO_MS = 1000;
const MAX_RTO_MS = 8000;
const WINDOW = 65535;
/** Octets that wait to be sent or acknowledged before `write` says that there is no room. */
const SEND_BUFFER = 65536;
/** Segments that came too early, kept at most. */
const MAX_EARLY = 128;
/** Segments in flight at first (RFC 6928). */
const INITIAL_WINDOW = 10;
const DEFAULT_MSS = 536;
const NOTHING = Buffer.alloc(0);

export class TcpConnection {
  state: 'new' | 'syn-sent' | 'open' | 'closed' = 'new';
  private readonly clock: Clock;
  private readonly emit: EmitSegment;
  private readonly events: TcpEvents;
  private readonly ourMss: number;
  private mss: number;

  // Sending.
  private una: number;
  private next: number;
  /** One past the highest octet ever sent, FIN included. */
  private most: number;
  private unacknowledged = NOTHING;
  private ending = false;
  private finSent = false;
  private finAcknowledged = false;
  private peerWindow = 0;
  private congestionWindow = 0;
  private blocked = false;
  private rtoMs = RTO_MS;
  private cancelTimer: (() => void) | null = null;

  // Receiving.
  private expected = 0;
  private readonly early: { seq: number; octets: Buffer }[] = [];
  private earlyOctets = 0;
  /** Sequence number of the peer's FIN, once it was seen. */
  private finAt: number | null = null;
  private peerEnded = false;
  private unread = 0;
  private offered = WINDOW;

  constructor(clock: Clock, settings: TcpSettings, emit: EmitSegment, events: TcpEvents) {
    this.clock = clock;
    this.emit = emit;
    this.events = events;
    this.ourMss = this.mss = settings.mss;
    this.una = this.next = this.most = settings.iss;
  }

  open(): void {
    this.state = 'syn-sent';
    this.sendSyn();
  }

  /** @returns whether there is room for more; else `onDrain` tells when. What is written after `end` is not sent. */
  write(octets: Buffer): boolean {
    if (this.ending || this.state === 'closed') return true;
    this.unacknowledged = Buffer.concat([this.unacknowledged, octets]);
    this.push();
    this.blocked = this.unacknowledged.length >= SEND_BUFFER;
    return !this.blocked;
  }

  /** Sends FIN behind what was written; the connection is over when the peer has done so too. */
  end(): void {
    this.ending = true;
    this.push();
  }

  /** Resets it, if it is not over. No event follows. */
  abort(): void {
    if (this.state === 'open') this.send(tcp.RST | tcp.ACK, this.most, null);
    this.stop();
  }

  /** Octets of those given on that nobody has read yet; the offered window is smaller by them. */
  setUnread(octets: number): void {
    this.unread = octets;
    // Reading opens the window: the peer is told when that is worth a packet.
    if (this.state === 'open' && this.window() - this.offered >= WINDOW / 2) this.acknowledge();
  }

  /**
   * A segment of this connection; its header and checksum have been checked.
   * @param end end of its payload
   */
  receive(b: Buffer, l4: number, end: number): void {
    if (this.state === 'syn-sent') this.receiveFirst(b, l4);
    else if (this.state === 'open') this.receiveNext(b, l4, end);
  }

  private receiveFirst(b: Buffer, l4: number): void {
    const flags = tcp.flags(b, l4);
    const ack = tcp.acknowledgment(b, l4);
    if ((flags & tcp.ACK) === 0) return; // a simultaneous open, which no server does
    if (ack !== add(this.una, 1)) {
      // An older connection of the same ports, at the peer.
      if ((flags & tcp.RST) === 0) this.emit(tcp.RST, ack, 0, 0, 0, null);
      return;
    }
    if ((flags & tcp.RST) !== 0) {
      this.close('refused');
      return;
    }
    if ((flags & tcp.SYN) === 0) return;
    this.readMss(b, l4);
    this.una = ack;
    this.next = this.most = ack;
    this.expected = add(tcp.sequence(b, l4), 1);
    this.peerWindow = tcp.window(b, l4);
    this.congestionWindow = INITIAL_WINDOW * this.mss;
    this.state = 'open';
    this.settle();
    this.acknowledge();
    this.events.onOpen();
    this.push();
  }

  private receiveNext(b: Buffer, l4: number, end: number): void {
    const flags = tcp.flags(b, l4);
    const seq = tcp.sequence(b, l4);
    if ((flags & tcp.RST) !== 0) {
      // RFC 5961 section 3.2: only the exact number resets; another within the window asks for a proof.
      if (seq === this.expected) this.close('reset');
      else if (this.inWindow(seq)) this.acknowledge();
      return;
    }
    // A SYN-ACK comes again when our ACK of it was lost; any other SYN gets the same answer (RFC 5961 section 4).
    if ((flags & tcp.SYN) !== 0) this.acknowledge();
    if ((flags & (tcp.SYN | tcp.ACK)) !== tcp.ACK) return;
    const from = l4 + tcp.headerLength(b, l4);
    const length = Math.max(0, end - from);
    if (!this.takeAcknowledgment(tcp.acknowledgment(b, l4), tcp.window(b, l4))) return;
    const fin = (flags & tcp.FIN) !== 0;
    // A number before the window is that of a keep-alive, or of a copy whose acknowledgment was lost.
    const answers = length > 0 || fin || before(seq, this.expected);
    if (fin && this.inWindow(add(seq, length))) this.finAt ??= add(seq, length);
    if (length > 0) this.takeData(b, seq, from, length);
    if (this.isOver()) return; // whoever got the data has aborted
    const ends = !this.peerEnded && this.finAt === this.expected;
    if (ends) {
      this.expected = add(this.expected, 1);
      this.peerEnded = true;
    }
    if (answers) this.acknowledge();
    if (ends) this.events.onEnd();
    this.push();
    if (this.peerEnded && this.finAcknowledged && !this.isOver()) this.close('closed');
  }

  private isOver(): boolean {
    return this.state === 'closed';
  }

  /** @returns false for an acknowledgment of what was never sent */
  private takeAcknowledgment(ack: number, window: number): boolean {
    const octets = distance(this.una, ack);
    if (octets > distance(this.una, this.most)) {
      this.acknowledge();
      return false;
    }
    if (octets < 0) return true; // late
    this.peerWindow = window;
    if (octets === 0) return true;
    const data = Math.min(octets, this.unacknowledged.length);
    if (octets > data) this.finAcknowledged = this.finSent = true;
    this.unacknowledged = this.unacknowledged.subarray(data);
    this.una = ack;
    if (before(this.next, ack)) this.next = ack;
    this.congestionWindow += this.mss;
    this.settle();
    if (this.blocked && this.unacknowledged.length < SEND_BUFFER) {
      this.blocked = false;
      this.events.onDrain();
    }
    return true;
  }

  private takeData(b: Buffer, seq: number, from: number, length: number): void {
    const ahead = distance(this.expected, seq);
    // What lies outside the window is not for us, or not again.
    const start = Math.max(0, -ahead);
    const stop = Math.min(length, this.window() - ahead);
    if (stop <= start) return;
    const octets = Buffer.from(b.subarray(from + start, from + stop));
    if (ahead > 0) {
      this.keepEarly(seq, octets);
      return;
    }
    this.give(octets);
    this.giveEarly();
  }

  private keepEarly(seq: number, octets: Buffer): void {
    if (this.early.length >= MAX_EARLY || this.earlyOctets + octets.length > WINDOW) return;
    this.early.push({ seq, octets });
    this.earlyOctets += octets.length;
  }

  /** Gives on what came too early and is next now; copies and overlaps are cut off. */
  private giveEarly(): void {
    for (let i = 0; i < this.early.length;) {
      const { seq, octets } = this.early[i]!;
      const known = distance(seq, this.expected);
      if (known < 0) {
        i++;
        continue;
      }
      this.early.splice(i, 1);
      this.earlyOctets -= octets.length;
      if (known < octets.length) this.give(octets.subarray(known));
      i = 0;
    }
  }

  private give(octets: Buffer): void {
    this.expected = add(this.expected, octets.length);
    this.events.onData(octets);
  }

  private inWindow(seq: number): boolean {
    const ahead = distance(this.expected, seq);
    return ahead >= 0 && ahead <= this.window();
  }

  private window(): number {
    return Math.max(0, WINDOW - this.unread);
  }

  private readMss(b: Buffer, l4: number): void {
    const at = tcp.findOption(b, l4, tcp.OPTION_MSS);
    const theirs = at >= 0 && b[at + 1] === 4 ? get16(b, at + 2) : DEFAULT_MSS;
    this.mss = Math.max(1, Math.min(this.ourMss, theirs));
  }

  /** Sends what may go: by the peer's window, and by slow start. */
  private push(): void {
    if (this.state !== 'open') return;
    const room = Math.min(this.peerWindow, this.congestionWindow);
    for (;;) {
      const flying = distance(this.una, this.next);
      const count = Math.min(this.unacknowledged.length - flying, room - flying, this.mss);
      if (count <= 0) break;
      this.sendData(flying, count);
    }
    const all = distance(this.una, this.next) === this.unacknowledged.length;
    if (this.ending && !this.finSent && all) {
      this.finSent = true;
      this.send(tcp.FIN | tcp.ACK, this.next, null);
      this.advance(1);
    }
    const waits = this.next !== this.una || this.unacknowledged.length > 0;
    if (waits && this.cancelTimer === null) this.arm();
  }

  private sendData(from: number, count: number): void {
    const last = from + count === this.unacknowledged.length;
    const payload = this.unacknowledged.subarray(from, from + count);
    this.send(last ? tcp.PSH | tcp.ACK : tcp.ACK, this.next, payload);
    this.advance(count);
  }

  private advance(octets: number): void {
    this.next = add(this.next, octets);
    if (before(this.most, this.next)) this.most = this.next;
  }

  private sendSyn(): void {
    this.emit(tcp.SYN, this.una, 0, WINDOW, this.ourMss, null);
    this.next = this.most = add(this.una, 1);
    this.arm();
  }

  private acknowledge(): void {
    this.send(tcp.ACK, this.next, null);
  }

  private send(flags: number, seq: number, payload: Buffer | null): void {
    this.offered = this.window();
    this.emit(flags, seq, this.expected, this.offered, 0, payload);
  }

  private arm(): void {
    this.cancelTimer = this.clock.after(this.rtoMs, () => {
      this.cancelTimer = null;
      this.rtoMs = Math.min(2 * this.rtoMs, MAX_RTO_MS);
      if (this.state === 'syn-sent') this.sendSyn();
      else if (this.state === 'open') this.sendAgain();
    });
  }

  private sendAgain(): void {
    this.next = this.una;
    this.finSent = this.finAcknowledged;
    this.congestionWindow = this.mss;
    // A closed window is asked after with one octet (RFC 9293 section 3.8.6.1).
    if (this.peerWindow === 0 && this.unacknowledged.length > 0) this.sendData(0, 1);
    this.push();
  }

  /** Something was acknowledged: the timer begins anew when it is needed again. */
  private settle(): void {
    this.rtoMs = RTO_MS;
    this.cancelTimer?.();
    this.cancelTimer = null;
  }

  private close(why: 'closed' | 'refused' | 'reset'): void {
    this.stop();
    this.events.onClose(why);
  }

  private stop(): void {
    this.state = 'closed';
    this.settle();
    this.early.length = 0;
    this.unacknowledged = NOTHING;
  }
}
