/** Two devices joined back to back in memory: what is written to one is read from the other. For tests and simulations. */
import * as vnet from '../wire/virtio-net.js';
import {
  type DeviceCounters,
  GONE,
  HEADROOM,
  MAX_BURST,
  NO_OFFLOAD,
  type Offload,
  type PacketDevice,
  SUPER_PACKET,
} from './device.js';

export interface MemoryOptions {
  readonly names?: readonly [string, string];
  /** Octets; 1500 when left out. */
  readonly mtu?: number;
  /** None when left out; then virtio-net headers do not pass. */
  readonly offload?: Offload;
  /** Packets that wait in each direction before `write` finds the queue full; 256 when left out. */
  readonly capacity?: number;
}

const DEFAULT_CAPACITY = 256;

export class MemoryDevice implements PacketDevice {
  readonly name: string;
  readonly mtu: number;
  readonly offload: Offload;
  readonly headroom = HEADROOM;
  private readonly counts = {
    readPackets: 0,
    readOctets: 0,
    writtenPackets: 0,
    writtenOctets: 0,
    readErrors: 0,
    writeErrors: 0,
    full: 0,
  };
  // What waits to be read: a ring of places, each a virtio-net header and a packet.
  private readonly room: number;
  private readonly capacity: number;
  private readonly ring: Buffer;
  private readonly ringLengths: Int32Array;
  private first = 0;
  private waiting = 0;
  private peer: MemoryDevice | null = null;
  private gone = false;
  private goneTold = false;
  private callback: (() => void) | null = null;
  private started = false;
  private scheduled = false;

  constructor(name: string, options: MemoryOptions) {
    this.name = name;
    this.mtu = options.mtu ?? 1500;
    this.offload = options.offload ?? NO_OFFLOAD;
    this.capacity = options.capacity ?? DEFAULT_CAPACITY;
    this.room = this.offload.tso4 || this.offload.uso4 ? SUPER_PACKET : this.mtu;
    this.ring = Buffer.alloc(this.capacity * (vnet.HEADER + this.room));
    this.ringLengths = new Int32Array(this.capacity);
  }

  join(peer: MemoryDevice): void {
    this.peer = peer;
  }

  read(slab: Buffer, slotOffsets: Int32Array, slotSize: number, lengths: Int32Array, max: number): number {
    if (slotSize < this.room)
      throw new RangeError(`${this.name}: slots of ${slotSize} octets; ${this.room} are needed`);
    if (this.gone) return GONE;
    const n = Math.min(max, MAX_BURST, this.waiting, slotOffsets.length, lengths.length);
    for (let i = 0; i < n; i++) {
      const place = this.first * (vnet.HEADER + this.room);
      const length = this.ringLengths[this.first]!;
      this.ring.copy(slab, slotOffsets[i]! - vnet.HEADER, place, place + vnet.HEADER + length);
      lengths[i] = length;
      this.counts.readOctets += length;
      this.first = (this.first + 1) % this.capacity;
    }
    this.waiting -= n;
    this.counts.readPackets += n;
    return n;
  }

  write(slab: Buffer, offsets: Int32Array, lengths: Int32Array, from: number, count: number): number {
    if (this.gone) return GONE;
    let i = from;
    for (; i < count; i++) {
      const offset = offsets[i]!;
      const length = lengths[i]!;
      if (this.peer === null || !this.fits(slab, offset, length)) {
        this.counts.writeErrors++;
        continue;
      }
      if (!this.peer.take(slab, offset, length)) {
        this.counts.full++;
        break;
      }
      this.counts.writtenPackets++;
      this.counts.writtenOctets += length;
    }
    return i - from;
  }

  onReadable(callback: () => void): void {
    this.callback = callback;
  }

  start(): void {
    this.started = true;
    this.schedule();
  }

  stop(): void {
    this.started = false;
  }

  close(): void {
    this.gone = true;
    this.started = false;
    this.waiting = 0;
    if (this.peer !== null) this.peer.peer = null;
    this.peer = null;
  }

  /** Takes it away under its user, as `ip link delete` does to an interface. */
  vanish(): void {
    this.gone = true;
    this.waiting = 0;
    this.schedule();
  }

  get counters(): DeviceCounters {
    return { ...this.counts };
  }

  private fits(slab: Buffer, offset: number, length: number): boolean {
    return length > 0 && length <= this.room && offset >= vnet.HEADER && offset + length <= slab.length;
  }

  /** @returns false when no place is free */
  private take(slab: Buffer, offset: number, length: number): boolean {
    if (this.gone) return true; // as on a wire that nobody listens to
    if (this.waiting === this.capacity) return false;
    const index = (this.first + this.waiting) % this.capacity;
    const place = index * (vnet.HEADER + this.room);
    slab.copy(this.ring, place, offset - vnet.HEADER, offset + length);
    if (!this.offload.csum) vnet.clear(this.ring, place);
    this.ringLengths[index] = length;
    this.waiting++;
    this.schedule();
    return true;
  }

  private schedule(): void {
    if (this.scheduled || !this.due()) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      if (!this.due()) return;
      this.goneTold = this.gone;
      this.callback?.();
      this.schedule();
    });
  }

  private due(): boolean {
    if (!this.started || this.callback === null) return false;
    return this.gone ? !this.goneTold : this.waiting > 0;
  }
}

/** @returns both ends */
export function memoryPair(options: MemoryOptions = {}): [MemoryDevice, MemoryDevice] {
  const [nameA, nameB] = options.names ?? ['memory-a', 'memory-b'];
  const a = new MemoryDevice(nameA, options);
  const b = new MemoryDevice(nameB, options);
  a.join(b);
  b.join(a);
  return [a, b];
}
