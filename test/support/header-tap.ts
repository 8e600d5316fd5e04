/**
 * A device that looks at what it is given to write: on the provider's side, behind a bad line, it sees what a backend's
 * kernel sees, and judges the header of every stream by that.
 */
import type { DeviceCounters, Offload, PacketDevice } from '../../src/device/device.js';
import { pseudoHeader, sum } from '../../src/wire/checksum.js';
import * as ipv4 from '../../src/wire/ipv4.js';
import { get32 } from '../../src/wire/octets.js';
import { distance } from '../../src/wire/seq.js';
import * as tcp from '../../src/wire/tcp.js';
import * as vnet from '../../src/wire/virtio-net.js';

interface Stream {
  /** S: where the stream, and so its header, begins. */
  readonly start: number;
  header: Buffer | null;
  /** Header segments that arrived undamaged, repetitions included. */
  headers: number;
}

export class HeaderTap implements PacketDevice {
  readonly name: string;
  readonly mtu: number;
  readonly offload: Offload;
  readonly headroom: number;
  /** Streams that had a SYN, by source port. */
  readonly streams = new Map<number, Stream>();
  /** What was wrong: a segment that shares octets with the header's place and is not exactly the header. */
  readonly faults: string[] = [];
  readonly seen = { damaged: 0, superPackets: 0, longest: 0 };
  private readonly inner: PacketDevice;
  private readonly headerLength: number;

  constructor(inner: PacketDevice, headerLength: number) {
    this.inner = inner;
    this.headerLength = headerLength;
    this.name = inner.name;
    this.mtu = inner.mtu;
    this.offload = inner.offload;
    this.headroom = inner.headroom;
  }

  /** Streams of which no whole header arrived. */
  get withoutHeader(): number {
    return [...this.streams.values()].filter(({ headers }) => headers === 0).length;
  }

  read(slab: Buffer, slotOffsets: Int32Array, slotSize: number, lengths: Int32Array, max: number): number {
    return this.inner.read(slab, slotOffsets, slotSize, lengths, max);
  }

  write(slab: Buffer, offsets: Int32Array, lengths: Int32Array, from: number, count: number): number {
    const n = this.inner.write(slab, offsets, lengths, from, count);
    for (let i = from; i < from + n; i++) this.look(slab, offsets[i]!, lengths[i]!);
    return n;
  }

  onReadable(callback: () => void): void {
    this.inner.onReadable(callback);
  }

  start(): void {
    this.inner.start();
  }

  stop(): void {
    this.inner.stop();
  }

  close(): void {
    this.inner.close();
  }

  get counters(): DeviceCounters {
    return this.inner.counters;
  }

  private look(b: Buffer, ip: number, length: number): void {
    const h = ip - vnet.HEADER;
    this.seen.longest = Math.max(this.seen.longest, length);
    if (vnet.isSuperPacket(b, h)) this.seen.superPackets++;
    const end = ip + length;
    const l4 = ip + ipv4.headerLength(b, ip);
    if (ipv4.check(b, ip, end, 0) !== ipv4.OK || !isIntact(b, ip, l4, end)) {
      this.seen.damaged++; // the kernel drops it
      return;
    }
    if (ipv4.protocol(b, ip) !== ipv4.PROTOCOL_TCP) return;
    const port = tcp.sourcePort(b, l4);
    const seq = tcp.sequence(b, l4);
    if ((tcp.flags(b, l4) & tcp.SYN) !== 0) {
      const start = (seq + 1) | 0;
      if (this.streams.get(port)?.start !== start) this.streams.set(port, { start, header: null, headers: 0 });
      return;
    }
    const payload = b.subarray(l4 + tcp.headerLength(b, l4), end);
    if (payload.length > 0) this.judge(port, seq, payload);
  }

  private judge(port: number, seq: number, payload: Buffer): void {
    const stream = this.streams.get(port);
    if (stream === undefined) {
      this.faults.push(`port ${port}: data of a stream that had no SYN`);
      return;
    }
    const d = distance(stream.start, seq);
    if (d >= this.headerLength || d + payload.length <= 0) return;
    const wrong = d !== 0 || payload.length !== this.headerLength;
    if (wrong || stream.header?.equals(payload) === false || get32(payload, 0) !== 0x0d0a0d0a) {
      this.faults.push(`port ${port}: ${payload.length} octets at ${d}: ${payload.toString('hex', 0, 64)}`);
    }
    stream.header ??= Buffer.from(payload);
    stream.headers++;
  }
}

/** Its checksum is right, or still to be made. */
function isIntact(b: Buffer, ip: number, l4: number, end: number): boolean {
  if (ipv4.protocol(b, ip) !== ipv4.PROTOCOL_TCP || vnet.needsChecksum(b, ip - vnet.HEADER)) return true;
  const initial = pseudoHeader(ipv4.source(b, ip), ipv4.destination(b, ip), ipv4.PROTOCOL_TCP, end - l4);
  return sum(b, l4, end, initial) === 0xffff;
}
