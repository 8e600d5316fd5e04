/**
 * What the gateway moves packets with. A packet is (slab, offset, length): it begins with its IPv4 or IPv6 header, and
 * the 10 octets before it are its virtio-net header (src/wire/virtio-net.ts). Nothing is allocated per packet.
 */

/** Octets before each packet that read and write may use for the virtio-net header. */
export const HEADROOM = 16;
/** Packets that one read gives at most. */
export const MAX_BURST = 64;
/** What read and write answer once the device was removed under us, or closed: nothing more will come. */
export const GONE = -1;
/** Octets that a slot needs where super-packets come: the longest IPv4 packet. */
export const SUPER_PACKET = 65535;

/** What the other side may leave to us, and so what may go back to it in the same form. */
export interface Offload {
  /** TCP and UDP checksums: packets may hold the pseudo-header sum only. */
  readonly csum: boolean;
  /** TCP segmentation over IPv4: a packet may be up to 64 KiB. */
  readonly tso4: boolean;
  /** UDP segmentation over IPv4. */
  readonly uso4: boolean;
}

export const NO_OFFLOAD: Offload = { csum: false, tso4: false, uso4: false };

/** Octets are those of the packets, without virtio-net headers. */
export interface DeviceCounters {
  readonly readPackets: number;
  readonly readOctets: number;
  readonly writtenPackets: number;
  readonly writtenOctets: number;
  /** Packets that came but could not be given: longer than a slot, or refused by the kernel. */
  readonly readErrors: number;
  /** Packets skipped by write: malformed, or the interface was down. */
  readonly writeErrors: number;
  /** Times that a write ended early since the queue was full. */
  readonly full: number;
}

export interface PacketDevice {
  readonly name: string;
  /** Octets of the longest packet that is no super-packet. */
  readonly mtu: number;
  readonly offload: Offload;
  readonly headroom: number;

  /**
   * Reads a burst. Packet i starts at slab[slotOffsets[i]], its virtio-net header right before it, and is lengths[i]
   * octets long. The four are expected to be the same objects in each call; a change costs a little.
   * @param slotSize octets that a packet may take: at least the MTU, SUPER_PACKET where `offload.tso4` or `.uso4`
   * @param max packets, up to MAX_BURST
   * @returns packets read; 0: nothing waits; GONE
   */
  read(slab: Buffer, slotOffsets: Int32Array, slotSize: number, lengths: Int32Array, max: number): number;

  /**
   * Writes the packets [from, count) at `offsets` with `lengths`. The virtio-net header before each is what read gave,
   * or zeros. A packet that the kernel refuses is skipped and counted.
   * Packets of one flow may go together, other flows' between them later: a call that ends early puts those that it has dealt
   * with first in `offsets` and `lengths`, the rest behind them, each in their order.
   * @returns packets dealt with, from `from` on; fewer than count - from: the queue is full, call again later; GONE
   */
  write(slab: Buffer, offsets: Int32Array, lengths: Int32Array, from: number, count: number): number;

  /**
   * Calls back, once started, in every turn of the event loop in which packets wait, and once when the device is gone.
   * Nothing runs while nothing waits.
   */
  onReadable(callback: () => void): void;
  /** Begins to call back; a device that calls back keeps the process alive. */
  start(): void;
  /** No more calls back until `start`; `read` and `write` go on working. */
  stop(): void;

  /** Ends it; packets that wait in it are lost. A second call does nothing. */
  close(): void;

  readonly counters: DeviceCounters;
}
