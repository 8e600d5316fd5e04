/**
 * One end of a TCP connection, as far as a translator between two of them can go wrong: a receiver with an out-of-order
 * buffer, a window that really closes, SACK with D-SACK, timestamps with PAWS; a sender that retransmits by time-out
 * and by duplicate ACKs with boundaries of its own choice, believes SACK, probes a closed window. RFC 9293, 2018, 2883,
 * 5961, 7323. Slow and plain on purpose. It acts through its `Host` only, so that a run is repeatable.
 *
 * Octets are counted by their offset in the stream: 0 is the first octet behind the SYN.
 */
import assert from 'node:assert/strict';
import { ACK, FIN, PSH, RST, SYN, tcpPacket } from './packets.js';
import { parseTcp, type ParsedTcp } from './parsed-tcp.js';
import type { Random } from './random.js';

export interface Host {
  readonly now: number;
  readonly random: Random;
  /** Runs something later. */
  after(ms: number, what: () => void): void;
  send(packet: Buffer): void;
}

export interface TcpSettings {
  readonly address: string;
  readonly port: number;
  readonly iss: number;
  /** Octets of payload in a segment, at most. */
  readonly mss: number;
  /** Window scale shift; -1 offers none. The buffer must be some units of it, or the window never opens. */
  readonly scale: number;
  readonly timestamps: boolean;
  readonly sack: boolean;
  /** Octets that the receiver can hold. */
  readonly buffer: number;
  /** Octets that the application reads in 20 ms; Infinity: all at once. */
  readonly readRate: number;
  /** What the application writes. */
  readonly data: Buffer;
  /** It writes once it has read so many octets. */
  readonly writeAfter: number;
  /** It closes once all is written, or only after the peer has closed. */
  readonly close: 'written' | 'peer-closed';
  /** How a closed window is probed: an old octet's number and no data (Linux), or one octet beyond (BSD). */
  readonly probe: 'old' | 'octet';
  /** A listener that keeps no state until the handshake's ACK and repeats no SYN-ACK. */
  readonly cookies?: boolean;
}

type State = 'closed' | 'listen' | 'syn-sent' | 'syn-received' | 'open' | 'reset';

const ROOM = 1 << 16;
const RTO_FIRST = 300;
const RTO_MOST = 3000;

/** Signed distance modulo 2^32. */
const distance = (from: number, to: number): number => (to - from) | 0;

export class SimulatedTcp {
  state: State = 'closed';
  readonly settings: TcpSettings;
  private readonly host: Host;
  private peerAddress = '';
  private peerPort = 0;

  // Sending.
  private una = 0;
  private next = 0;
  /** One past the highest offset ever sent; a FIN counts one. */
  sentTo = 0;
  private windowEdge = 0;
  private wl1 = 0;
  private wl2 = 0;
  private lastWindow = 0;
  private peerScale = 0;
  private scaling = false;
  private sackOk = false;
  private timestampsOk = false;
  private readonly sacked = new Uint8Array(ROOM);
  private duplicates = 0;
  private rto = RTO_FIRST;
  private timer = 0;
  private timerSerial = 0;

  // Receiving.
  private irs = 0;
  private readonly octets = Buffer.alloc(ROOM);
  private readonly have = new Uint8Array(ROOM);
  private received = 0;
  private read = 0;
  private reading = false;
  private edge = 0;
  private finAt = -1;
  private tsRecent = 0;
  private lastAckSent = 0;
  private readonly recent: number[] = [];
  private duplicateBlock: [number, number] | null = null;
  /** One past the highest offset that it ever offered to take. */
  offeredTo = 0;

  /** Told of each acceptable acknowledgment: offset, right window edge, SACK blocks; all in offsets. */
  onAck: ((ack: number, edge: number, blocks: readonly (readonly [number, number])[]) => void) | null = null;

  constructor(host: Host, settings: TcpSettings) {
    this.host = host;
    this.settings = settings;
    this.edge = settings.buffer;
  }

  connect(address: string, port: number): void {
    this.peerAddress = address;
    this.peerPort = port;
    this.state = 'syn-sent';
    this.emit(SYN, -1);
    this.arm();
  }

  listen(): void {
    this.state = 'listen';
  }

  /** The application goes away: RST, and nothing is known of the connection any more. */
  abort(): void {
    if (this.state === 'open' || this.state === 'syn-received') this.emit(RST | ACK, this.sentTo);
    this.state = 'reset';
  }

  /** All is written and acknowledged, the peer has closed, all is read. */
  get finished(): boolean {
    return (
      this.state === 'open' && this.una === this.settings.data.length + 1 && this.finAt >= 0 && this.read >= this.finAt
    );
  }

  /** What the application has read. */
  get stream(): Buffer {
    return this.octets.subarray(0, this.read);
  }

  /** Octets [from, to) have all arrived, in whatever order. */
  has(from: number, to: number): boolean {
    for (let i = from; i < to; i++) {
      if (this.have[i] !== 1 && i !== this.finAt) return false;
    }
    return true;
  }

  describe(): string {
    const { state, una, next, sentTo, windowEdge, received, read, edge, finAt } = this;
    return JSON.stringify({ state, una, next, sentTo, windowEdge, received, read, edge, finAt });
  }

  receive(packet: Buffer): void {
    const p = parseTcp(packet);
    switch (this.state) {
      case 'closed':
      case 'reset':
        this.refuse(p);
        return;
      case 'listen':
        this.listening(p);
        return;
      case 'syn-sent':
        this.synSent(p);
        return;
      case 'syn-received':
      case 'open':
        this.synchronized(p);
    }
  }

  // --- the states

  private refuse(p: ParsedTcp): void {
    if ((p.flags & RST) !== 0) return;
    this.peerAddress = p.source;
    this.peerPort = p.sourcePort;
    const length = p.payload.length + ((p.flags & (SYN | FIN)) !== 0 ? 1 : 0);
    if ((p.flags & ACK) !== 0) this.raw(RST, p.ack, 0, 0);
    else this.raw(RST | ACK, 0, p.seq + length, 0);
  }

  private listening(p: ParsedTcp): void {
    if ((p.flags & RST) !== 0) return;
    if ((p.flags & SYN) !== 0) {
      this.peerAddress = p.source;
      this.peerPort = p.sourcePort;
      this.irs = p.seq;
      this.negotiate(p);
      this.lastWindow = p.window;
      this.windowEdge = p.window;
      if (this.settings.cookies !== true) {
        this.state = 'syn-received';
        this.arm();
      }
      this.emit(SYN | ACK, -1);
    } else if (this.settings.cookies === true && distance(this.irs + 1, p.seq) === 0 && p.ack === this.seqOf(0)) {
      this.state = 'syn-received';
      this.synchronized(p);
    } else {
      this.refuse(p);
    }
  }

  private synSent(p: ParsedTcp): void {
    const acceptable = (p.flags & ACK) !== 0 && p.ack === this.seqOf(0);
    if (!acceptable) return;
    if ((p.flags & RST) !== 0) {
      this.state = 'reset';
      return;
    }
    if ((p.flags & SYN) === 0) return;
    this.irs = p.seq;
    this.negotiate(p);
    this.onAck?.(0, p.window, []);
    this.windowEdge = p.window;
    this.lastWindow = p.window;
    this.wl1 = -1;
    this.wl2 = 0;
    this.state = 'open';
    this.rto = RTO_FIRST;
    this.acknowledge();
    this.pump();
  }

  private negotiate(p: ParsedTcp): void {
    const scale = p.options.get(3);
    this.peerScale = scale !== undefined && this.settings.scale >= 0 ? scale[0]! : 0;
    this.scaling = scale !== undefined && this.settings.scale >= 0;
    this.sackOk = this.settings.sack && p.options.has(4);
    this.timestampsOk = this.settings.timestamps && p.options.has(8);
    this.tsRecent = p.options.get(8)?.readUInt32BE(0) ?? 0;
  }

  private synchronized(p: ParsedTcp): void {
    const at = this.received + distance(this.irs + 1 + this.received, p.seq);
    const isSyn = (p.flags & SYN) !== 0;
    const isReset = (p.flags & RST) !== 0;
    const length = p.payload.length + ((p.flags & FIN) !== 0 ? 1 : 0) + (isSyn ? 1 : 0);

    if (this.timestampsOk && !isReset) {
      const ts = p.options.get(8);
      if (ts === undefined) return;
      if (distance(this.tsRecent, ts.readUInt32BE(0)) < 0) {
        if (length > 0) this.acknowledge(); // not to a late ACK: two ends would answer one another without end
        return;
      }
    }
    if (isSyn && this.state === 'syn-received' && at === -1) {
      this.emit(SYN | ACK, -1);
      return;
    }
    const window = this.edge - this.received;
    const acceptable =
      length === 0
        ? at >= this.received && at <= this.received + window
        : window > 0 && at < this.received + window && at + length > this.received;
    if (!acceptable) {
      if (length > 0 && !isReset) this.noteDuplicate(at, p.payload.length);
      if (!isReset) this.acknowledge();
      return;
    }
    if (isReset) {
      if (at === this.received || this.state === 'syn-received') this.state = 'reset';
      else this.acknowledge();
      return;
    }
    if (isSyn) {
      this.acknowledge();
      return;
    }
    if ((p.flags & ACK) === 0) return;

    const ack = this.una + distance(this.seqOf(this.una), p.ack);
    if (this.state === 'syn-received') {
      if (ack !== 0) {
        this.raw(RST, p.ack, 0, 0);
        return;
      }
      this.state = 'open';
      this.rto = RTO_FIRST;
      this.wl1 = -1;
    }
    const ts = p.options.get(8);
    if (this.timestampsOk && ts !== undefined && at <= this.lastAckSent) this.tsRecent = ts.readUInt32BE(0);
    this.takeAck(p, at, ack, length);
    if (length > 0) {
      this.takeData(at, p.payload, (p.flags & FIN) !== 0);
      this.acknowledge();
    }
    this.pump();
  }

  // --- acknowledgments

  private takeAck(p: ParsedTcp, at: number, ack: number, length: number): void {
    const edge = ack + p.window * 2 ** this.peerScale;
    const blocks: [number, number][] = [];
    const option = p.options.get(5);
    if (option !== undefined) {
      for (let i = 0; i + 8 <= option.length; i += 8) {
        const left = this.una + distance(this.seqOf(this.una), option.readUInt32BE(i));
        const right = this.una + distance(this.seqOf(this.una), option.readUInt32BE(i + 4));
        blocks.push([left, right]);
      }
    }
    this.onAck?.(ack, edge, blocks);
    assert(ack <= this.sentTo, `acknowledged ${ack} of ${this.sentTo} octets sent`);
    if (ack > this.una) {
      this.una = ack;
      if (this.next < ack) this.next = ack;
      this.duplicates = 0;
      this.rto = RTO_FIRST;
      this.arm();
    } else if (ack === this.una && length === 0 && p.window === this.lastWindow && this.sentTo > this.una) {
      this.duplicates++;
    }
    if (this.wl1 < at || (this.wl1 === at && this.wl2 <= ack)) {
      this.windowEdge = edge;
      this.wl1 = at;
      this.wl2 = ack;
      this.lastWindow = p.window;
    }
    if (this.sackOk) {
      for (const [left, right] of blocks) {
        if (left >= ack && right <= this.sentTo) this.sacked.fill(1, left, right);
      }
    }
    if (this.duplicates === 3) this.resend();
  }

  /** The first octet that is neither acknowledged nor reported. */
  private firstMissing(): number {
    let at = this.una;
    while (at < this.sentTo && this.sacked[at] === 1) at++;
    return at;
  }

  private resend(): void {
    const at = this.firstMissing();
    if (at >= this.sentTo) return;
    const { random } = this.host;
    const room = Math.max(1, Math.min(this.settings.mss, this.sentTo - at, this.settings.data.length - at));
    this.segment(at, random.chance(0.5) ? room : random.int(1, room));
  }

  // --- sending

  private get writable(): number {
    return this.read >= this.settings.writeAfter ? this.settings.data.length : 0;
  }

  private get closing(): boolean {
    const written = this.read >= this.settings.writeAfter;
    return written && (this.settings.close === 'written' || (this.finAt >= 0 && this.read >= this.finAt));
  }

  private pump(): void {
    if (this.state !== 'open') return;
    const end = this.writable;
    const flight = this.una + 8 * this.settings.mss;
    const limit = Math.min(this.windowEdge, flight);
    while (this.next < end && this.next < limit) {
      const most = Math.min(this.settings.mss, end - this.next, limit - this.next);
      const length = this.host.random.chance(0.8) ? most : this.host.random.int(1, most);
      this.next += this.segment(this.next, length);
    }
    if (this.next === this.settings.data.length && this.closing && this.next < limit) {
      this.next += this.segment(this.next, 0);
    }
    const pending = this.una < this.sentTo || this.next < end || (this.closing && this.una <= end);
    if (this.timer === 0 && pending) this.arm();
  }

  /** Data [at, at + length), with the FIN where it follows and is due. @returns the sequence numbers it takes */
  private segment(at: number, length: number): number {
    const { data } = this.settings;
    const payload = data.subarray(at, at + length);
    const last = at + payload.length === data.length;
    const fin = last && this.closing && (payload.length === 0 || this.host.random.chance(0.7));
    const taken = payload.length + (fin ? 1 : 0);
    this.sentTo = Math.max(this.sentTo, at + taken);
    this.emit(ACK | (fin ? FIN : 0) | (payload.length > 0 ? PSH : 0), at, payload);
    return taken;
  }

  private arm(): void {
    const mine = ++this.timerSerial;
    this.timer = mine;
    this.host.after(this.rto, () => {
      if (this.timer !== mine) return;
      this.timer = 0;
      this.expired();
    });
  }

  private expired(): void {
    if (this.state === 'closed' || this.state === 'reset' || this.state === 'listen') return;
    this.rto = Math.min(this.rto * 2, RTO_MOST);
    if (this.state === 'syn-sent') {
      this.emit(SYN, -1);
    } else if (this.state === 'syn-received') {
      this.emit(SYN | ACK, -1);
    } else if (this.una < this.sentTo) {
      this.sacked.fill(0);
      this.duplicates = 0;
      this.resend();
      if (this.host.random.chance(0.5)) this.next = this.una; // go back and send all again
    } else if (this.next < this.writable || (this.closing && this.una <= this.settings.data.length)) {
      if (this.settings.probe === 'octet') this.segment(this.next, 1);
      else this.emit(ACK, this.una - 1);
    } else {
      return;
    }
    this.arm();
  }

  // --- receiving

  private takeData(at: number, payload: Buffer, fin: boolean): void {
    let fresh = false;
    for (let i = 0; i < payload.length; i++) {
      const offset = at + i;
      if (offset < 0 || offset >= this.edge) continue;
      if (this.have[offset] === 1) {
        assert.equal(this.octets[offset], payload[i], `octet ${offset} came again and is another`);
      } else {
        this.octets[offset] = payload[i]!;
        this.have[offset] = 1;
        fresh = true;
      }
    }
    if (fin && at + payload.length <= this.edge) {
      const finAt = at + payload.length;
      assert(this.finAt < 0 || this.finAt === finAt, `the stream ended at ${this.finAt} and at ${finAt}`);
      this.finAt = finAt;
    }
    if (!fresh) this.noteDuplicate(at, payload.length);
    else this.recent.unshift(at);
    while (this.have[this.received] === 1) this.received++;
    if (this.received === this.finAt) this.received++;
    if (this.settings.readRate === Infinity) this.readSome(Infinity);
    else if (!this.reading) this.readLater();
  }

  private readLater(): void {
    this.reading = true;
    this.host.after(20, () => {
      const before = this.edge - this.received;
      this.readSome(this.settings.readRate);
      const after = this.edge - this.received;
      if (before < this.settings.mss && after > before) this.acknowledge();
      this.pump();
      this.reading = false;
      if (this.read < this.received) this.readLater();
    });
  }

  private readSome(most: number): void {
    const end = this.finAt >= 0 && this.received > this.finAt ? this.finAt : this.received;
    this.read = Math.min(end, this.read + most);
    const held = Math.max(0, end - this.read);
    this.edge = Math.max(this.edge, this.received + this.settings.buffer - held);
  }

  private noteDuplicate(at: number, length: number): void {
    if (length > 0 && at < this.received) this.duplicateBlock = [at, Math.min(at + length, this.received)];
  }

  private blocks(most: number): [number, number][] {
    const out: [number, number][] = [];
    if (this.duplicateBlock !== null) out.push(this.duplicateBlock);
    this.duplicateBlock = null;
    for (const at of this.recent) {
      if (out.length === most) break;
      if (at < this.received || this.have[at] !== 1) continue;
      let left = at;
      let right = at;
      while (left > this.received && this.have[left - 1] === 1) left--;
      while (this.have[right] === 1) right++;
      if (!out.some((b) => b[0] === left && b[1] === right)) out.push([left, right]);
    }
    return out;
  }

  // --- packets

  private seqOf(offset: number): number {
    return (this.settings.iss + 1 + offset) >>> 0;
  }

  private acknowledge(): void {
    if (this.state === 'open' || this.state === 'syn-received') this.emit(ACK, this.sentTo);
  }

  private emit(flags: number, offset: number, payload: Buffer = Buffer.alloc(0)): void {
    const { settings } = this;
    const isSyn = (flags & SYN) !== 0;
    const options: number[] = [];
    if (isSyn) {
      options.push(2, 4, settings.mss >>> 8, settings.mss & 255);
      const answers = (flags & ACK) !== 0;
      if (answers ? this.scaling : settings.scale >= 0) options.push(1, 3, 3, settings.scale);
      if (answers ? this.sackOk : settings.sack) options.push(1, 1, 4, 2);
    }
    const timestamps = isSyn && (flags & ACK) === 0 ? settings.timestamps : this.timestampsOk;
    if (timestamps) {
      const ts = Buffer.alloc(8);
      ts.writeUInt32BE(this.host.now >>> 0, 0);
      ts.writeUInt32BE(this.tsRecent, 4);
      options.push(1, 1, 8, 10, ...ts);
    }
    if (!isSyn && this.sackOk && (flags & RST) === 0) {
      const blocks = this.blocks(timestamps ? 3 : 4);
      if (blocks.length > 0) {
        options.push(1, 1, 5, 2 + 8 * blocks.length);
        const b = Buffer.alloc(8);
        for (const [left, right] of blocks) {
          b.writeUInt32BE((this.irs + 1 + left) >>> 0, 0);
          b.writeUInt32BE((this.irs + 1 + right) >>> 0, 4);
          options.push(...b);
        }
      }
    }
    const ours = this.edge - this.received;
    const shift = isSyn || !this.scaling ? 0 : settings.scale;
    const window = Math.min(0xffff, ours >>> shift);
    this.offeredTo = Math.max(this.offeredTo, this.received + window * 2 ** shift);
    this.lastAckSent = this.received;
    this.raw(
      flags,
      this.seqOf(offset),
      (flags & ACK) !== 0 ? this.irs + 1 + this.received : 0,
      window,
      options,
      payload,
    );
  }

  private raw(flags: number, seq: number, ack: number, window: number, options: number[] = [], payload?: Buffer): void {
    this.host.send(
      tcpPacket({
        src: this.settings.address,
        dst: this.peerAddress,
        sport: this.settings.port,
        dport: this.peerPort,
        seq,
        ack,
        flags,
        window,
        options: Uint8Array.from(options),
        payload: payload ?? Buffer.alloc(0),
      }),
    );
  }
}
