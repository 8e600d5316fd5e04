/** A device that a test plays the kernel of: it gives what the test queues, and takes as much as the test lets it. */
import { GONE, HEADROOM, NO_OFFLOAD, type PacketDevice } from '../../../src/device/device.js';
import { HEADER } from '../../../src/wire/virtio-net.js';

export class ScriptedDevice implements PacketDevice {
  readonly name: string;
  readonly mtu = 1500;
  readonly offload = NO_OFFLOAD;
  readonly headroom = HEADROOM;
  readonly counters = {
    readPackets: 0,
    readOctets: 0,
    writtenPackets: 0,
    writtenOctets: 0,
    readErrors: 0,
    writeErrors: 0,
    full: 0,
  };
  /** Packets that were written, with the virtio-net header that each had. */
  readonly written: { packet: Buffer; header: Buffer }[];
  /** Every write call: how many packets it was offered. */
  readonly calls: number[] = [];
  /** Packets that writes still take. */
  room = Infinity;
  gone = false;
  reads = 0;
  closed = false;
  started = false;
  private readonly waiting: { packet: Buffer; header: Buffer }[] = [];
  private callback: () => void = () => undefined;

  /** @param written where packets go; queues of one interface have it in common */
  constructor(name: string, written: ScriptedDevice['written'] = []) {
    this.name = name;
    this.written = written;
  }

  /** Queues packets and tells that they wait, as the event loop would: again while some do. */
  give(...packets: Buffer[]): void {
    this.giveWith(Buffer.alloc(HEADER), ...packets);
  }

  giveWith(header: Buffer, ...packets: Buffer[]): void {
    for (const packet of packets) this.queue(packet, header);
    this.turn();
  }

  /** Queues a packet that nobody is told of. */
  queue(packet: Buffer, header: Buffer = Buffer.alloc(HEADER)): void {
    this.waiting.push({ packet, header });
  }

  /** One turn of the event loop. */
  turn(): void {
    if (this.started && (this.waiting.length > 0 || this.gone)) this.callback();
  }

  get left(): number {
    return this.waiting.length;
  }

  read(slab: Buffer, slotOffsets: Int32Array, _slotSize: number, lengths: Int32Array, max: number): number {
    this.reads++;
    if (this.gone) return GONE;
    let n = 0;
    for (; n < max; n++) {
      const next = this.waiting.shift();
      if (next === undefined) break;
      const at = slotOffsets[n]!;
      next.header.copy(slab, at - HEADER);
      next.packet.copy(slab, at);
      lengths[n] = next.packet.length;
    }
    return n;
  }

  write(slab: Buffer, offsets: Int32Array, lengths: Int32Array, from: number, count: number): number {
    this.calls.push(count - from);
    if (this.gone) return GONE;
    let n = 0;
    for (; from + n < count && this.room > 0; n++, this.room--) {
      const at = offsets[from + n]!;
      this.written.push({
        packet: Buffer.from(slab.subarray(at, at + lengths[from + n]!)),
        header: Buffer.from(slab.subarray(at - HEADER, at)),
      });
    }
    return n;
  }

  onReadable(callback: () => void): void {
    this.callback = callback;
  }
  start(): void {
    this.started = true;
  }
  stop(): void {
    this.started = false;
  }
  close(): void {
    this.closed = true;
  }
}
