/** Moves every packet between two devices, untouched: the simplest user of the device contract. */
import { GONE, MAX_BURST, type PacketDevice, SUPER_PACKET } from '../../src/device/device.js';
import * as vnet from '../../src/wire/virtio-net.js';

/** Room of one packet, headroom included. */
const SPACING = 16 + SUPER_PACKET + 1;

/** Slots for one burst, unless more are wanted. */
export class Slots {
  readonly slab: Buffer;
  readonly offsets: Int32Array;
  readonly lengths: Int32Array;

  constructor(count = MAX_BURST) {
    this.slab = Buffer.alloc(count * SPACING);
    this.offsets = Int32Array.from({ length: count }, (_, i) => 16 + i * SPACING);
    this.lengths = new Int32Array(count);
  }

  read(device: PacketDevice, max = MAX_BURST): number {
    return device.read(this.slab, this.offsets, SUPER_PACKET, this.lengths, max);
  }

  write(device: PacketDevice, from: number, count: number): number {
    return device.write(this.slab, this.offsets, this.lengths, from, count);
  }

  /** A copy of packet i. */
  packet(i: number): Buffer {
    return Buffer.from(this.slab.subarray(this.offsets[i], this.offsets[i]! + this.lengths[i]!));
  }

  /** Puts packet i there, behind a virtio-net header of zeros. */
  put(i: number, packet: Uint8Array): void {
    this.slab.fill(0, this.offsets[i]! - vnet.HEADER, this.offsets[i]);
    this.slab.set(packet, this.offsets[i]);
    this.lengths[i] = packet.length;
  }
}

class OneWay {
  readonly slots = new Slots();
  private readonly from: PacketDevice;
  private readonly to: PacketDevice;
  private readonly seen: Seen;
  private at = 0;
  private count = 0;
  private stopped = false;

  constructor(from: PacketDevice, to: PacketDevice, seen: Seen) {
    this.from = from;
    this.to = to;
    this.seen = seen;
    from.onReadable(() => this.turn());
    from.start();
  }

  stop(): void {
    this.stopped = true;
    this.from.stop();
  }

  private turn(): void {
    if (this.stopped || this.at < this.count) return;
    this.at = 0;
    this.count = this.slots.read(this.from);
    if (this.count === GONE) return;
    for (let i = 0; i < this.count; i++) this.look(i);
    this.drain();
  }

  private drain(): void {
    const n = this.slots.write(this.to, this.at, this.count);
    if (n === GONE || this.stopped) return;
    this.at += n;
    if (this.at < this.count) setImmediate(() => this.drain());
  }

  private look(i: number): void {
    const { slab, offsets, lengths } = this.slots;
    const h = offsets[i]! - vnet.HEADER;
    const seen = this.seen;
    seen.packets++;
    seen.longest = Math.max(seen.longest, lengths[i]!);
    if (this.count > seen.longestBurst) seen.longestBurst = this.count;
    if (vnet.needsChecksum(slab, h)) seen.partialChecksums++;
    const type = vnet.gsoType(slab, h) & ~vnet.GSO_ECN;
    if (type === vnet.GSO_TCPV4) seen.tcpSuperPackets++;
    if (type === vnet.GSO_UDP_L4) seen.udpSuperPackets++;
  }
}

class Seen {
  packets = 0;
  /** Octets. */
  longest = 0;
  longestBurst = 0;
  partialChecksums = 0;
  tcpSuperPackets = 0;
  udpSuperPackets = 0;
}

export class Swap {
  readonly seen = new Seen();
  private readonly ways: OneWay[];

  constructor(a: PacketDevice, b: PacketDevice) {
    this.ways = [new OneWay(a, b, this.seen), new OneWay(b, a, this.seen)];
  }

  stop(): void {
    for (const way of this.ways) way.stop();
  }
}
