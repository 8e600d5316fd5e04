/** A device behind a bad line: the contract of the device inside, with each direction impaired (impaired-line.ts). */
import * as vnet from '../wire/virtio-net.js';
import {
  type DeviceCounters,
  GONE,
  HEADROOM,
  MAX_BURST,
  type Offload,
  type PacketDevice,
  SUPER_PACKET,
} from './device.js';
import { ImpairedLine, type Impairment, type LineCounters } from './impaired-line.js';

export interface ImpairOptions {
  /** Decides all that is random; the two directions differ. */
  readonly seed: number;
  /** Of packets that are read. */
  readonly read?: Impairment;
  /** Of packets that are written. */
  readonly write?: Impairment;
  /** Milliseconds that never go back; the process's own clock when left out. */
  readonly now?: () => number;
}

/** Room of one packet, headroom and a last octet to stay even included. */
const SPACING = HEADROOM + SUPER_PACKET + 1;
/** How long a write that found the device's queue full waits, in milliseconds. */
const RETRY_MS = 1;

/** A burst's worth of slots. */
class Burst {
  readonly slab = Buffer.alloc(MAX_BURST * SPACING);
  readonly offsets = Int32Array.from({ length: MAX_BURST }, (_, i) => HEADROOM + i * SPACING);
  readonly lengths = new Int32Array(MAX_BURST);
  /** Packets [at, count) are still to be dealt with. */
  at = 0;
  count = 0;
}

export class ImpairedDevice implements PacketDevice {
  readonly name: string;
  readonly mtu: number;
  readonly offload: Offload;
  readonly headroom: number;
  private readonly inner: PacketDevice;
  private readonly now: () => number;
  private readonly incoming: ImpairedLine;
  private readonly outgoing: ImpairedLine;
  private readonly arrivals = new Burst();
  private readonly departures = new Burst();
  private callback: (() => void) | null = null;
  private started = false;
  private closed = false;
  private readTimer: NodeJS.Timeout | null = null;
  private writeTimer: NodeJS.Timeout | null = null;
  private gone = false;
  private goneTold = false;
  private readonly errors = { read: 0, write: 0 };

  constructor(inner: PacketDevice, options: ImpairOptions) {
    this.inner = inner;
    this.name = inner.name;
    this.mtu = inner.mtu;
    this.offload = inner.offload;
    this.headroom = inner.headroom;
    this.now = options.now ?? (() => performance.now());
    this.incoming = new ImpairedLine(options.read ?? {}, options.seed);
    this.outgoing = new ImpairedLine(options.write ?? {}, ~options.seed);
  }

  /** What became of the packets, by direction. */
  get lines(): { readonly read: Readonly<LineCounters>; readonly write: Readonly<LineCounters> } {
    return { read: this.incoming.counters, write: this.outgoing.counters };
  }

  read(slab: Buffer, slotOffsets: Int32Array, slotSize: number, lengths: Int32Array, max: number): number {
    const now = this.now();
    this.gone ||= this.closed || this.pull(now) === GONE;
    if (this.closed || (this.gone && this.incoming.counters.held === 0)) {
      this.goneTold = true;
      return GONE;
    }
    const most = Math.min(max, MAX_BURST, slotOffsets.length, lengths.length);
    let n = 0;
    while (n < most) {
      const length = this.incoming.nextLength(now);
      if (length < 0) break;
      if (length > slotSize) {
        this.incoming.take(this.arrivals.slab, HEADROOM);
        this.errors.read++;
        continue;
      }
      this.incoming.take(slab, slotOffsets[n]!);
      lengths[n++] = length;
    }
    this.wakeReader(now);
    return n;
  }

  write(slab: Buffer, offsets: Int32Array, lengths: Int32Array, from: number, count: number): number {
    const now = this.now();
    if (this.closed) return GONE;
    for (let i = from; i < count; i++) {
      const offset = offsets[i]!;
      const length = lengths[i]!;
      const fits = length > 0 && length <= SUPER_PACKET && offset >= vnet.HEADER && offset + length <= slab.length;
      if (fits) this.outgoing.push(slab, offset, length, now);
      else this.errors.write++;
    }
    return this.flush(now) ? count - from : GONE;
  }

  onReadable(callback: () => void): void {
    this.callback = callback;
    this.inner.onReadable(() => this.call());
  }

  start(): void {
    this.started = true;
    this.inner.start();
    this.wakeReader(this.now());
  }

  stop(): void {
    this.started = false;
    this.inner.stop();
    this.clearReadTimer();
  }

  close(): void {
    this.closed = true;
    this.started = false;
    this.clearReadTimer();
    if (this.writeTimer !== null) clearTimeout(this.writeTimer);
    this.writeTimer = null;
    this.inner.close();
  }

  /** Of the device inside, where packets lost on the line were read, and those that were duplicated written twice. */
  get counters(): DeviceCounters {
    const inner = this.inner.counters;
    const { read, write } = this.errors;
    return { ...inner, readErrors: inner.readErrors + read, writeErrors: inner.writeErrors + write };
  }

  /** Everything that waits inside comes onto the line, a burst at a time. */
  private pull(now: number): number {
    const { slab, offsets, lengths } = this.arrivals;
    const n = this.inner.read(slab, offsets, SUPER_PACKET, lengths, MAX_BURST);
    for (let i = 0; i < n; i++) this.incoming.push(slab, offsets[i]!, lengths[i]!, now);
    return n;
  }

  private wakeReader(now: number): void {
    this.clearReadTimer();
    let due = this.incoming.nextDue();
    // What was on the line when the device went is still given; the end is told after it.
    if (due === Infinity && this.gone && !this.goneTold) due = now;
    if (!this.started || due === Infinity) return;
    this.readTimer = setTimeout(
      () => {
        this.readTimer = null;
        this.call();
        // Whoever did not read is called again, as the contract has it.
        this.wakeReader(this.now());
      },
      Math.max(0, due - now),
    );
  }

  /** The end may be told by the line and by the device inside; whoever was told is not told again. */
  private call(): void {
    if (!this.goneTold) this.callback?.();
  }

  private clearReadTimer(): void {
    if (this.readTimer !== null) clearTimeout(this.readTimer);
    this.readTimer = null;
  }

  /** @returns false when the device is gone */
  private flush(now: number): boolean {
    const burst = this.departures;
    const { slab, offsets, lengths } = burst;
    for (;;) {
      if (burst.at === burst.count) {
        burst.at = burst.count = 0;
        for (let length; burst.count < MAX_BURST && (length = this.outgoing.nextLength(now)) >= 0; burst.count++) {
          this.outgoing.take(slab, offsets[burst.count]!);
          lengths[burst.count] = length;
        }
        if (burst.count === 0) break;
      }
      const n = this.inner.write(slab, offsets, lengths, burst.at, burst.count);
      if (n === GONE) return false;
      burst.at += n;
      if (burst.at < burst.count) {
        this.flushIn(RETRY_MS);
        return true;
      }
    }
    const due = this.outgoing.nextDue();
    if (due !== Infinity) this.flushIn(due - now);
    return true;
  }

  private flushIn(ms: number): void {
    if (this.writeTimer !== null) clearTimeout(this.writeTimer);
    this.writeTimer = setTimeout(
      () => {
        this.writeTimer = null;
        this.flush(this.now());
      },
      Math.max(0, ms),
    );
  }
}
