/** The taps of a gateway; the pump is told only while there is one. */
import type { PacketTap, Port, Pump } from '../pump.js';
import { Tap, type TapOptions, type TapReader, type TapStatus } from './tap.js';

/** More at a time would only lose packets. */
const MOST_TAPS = 8;

export class Taps implements PacketTap {
  private readonly pump: Pump;
  private readonly describe: (port: Port) => string;
  private taps: Tap[] = [];

  /** @param describe the name of a port's network */
  constructor(pump: Pump, describe: (port: Port) => string) {
    this.pump = pump;
    this.describe = describe;
  }

  get status(): TapStatus[] {
    return this.taps.map((tap) => tap.status);
  }

  get isFull(): boolean {
    return this.taps.length >= MOST_TAPS;
  }

  add(options: TapOptions, reader: TapReader): Tap {
    const tap = new Tap(this.pump.translator, options, reader, this.describe);
    for (const port of this.pump.ports) tap.add(port);
    this.taps = [...this.taps, tap];
    this.pump.tap = this;
    return tap;
  }

  /** Ends one; again is no harm. */
  remove(tap: Tap): void {
    if (!this.taps.includes(tap)) return;
    this.taps = this.taps.filter((each) => each !== tap);
    if (this.taps.length === 0) this.pump.tap = null;
    tap.close();
  }

  removeAll(): void {
    for (const tap of this.taps) this.remove(tap);
  }

  received(port: Port, slab: Buffer, offsets: Int32Array, lengths: Int32Array, count: number): void {
    for (const tap of this.taps) tap.received(port, slab, offsets, lengths, count);
  }

  translated(): void {
    for (const tap of this.taps) tap.translated();
  }

  sent(port: Port, slab: Buffer, offsets: Int32Array, lengths: Int32Array, count: number): void {
    for (const tap of this.taps) tap.sent(port, slab, offsets, lengths, count);
  }
}
