/**
 * The packets that one call of the translator, or one burst, gives to be sent, in order. A packet is (offset, length)
 * in the slab that the translator works on; nothing is allocated per packet.
 */

/** Towards the backends. */
export const TO_PROVIDER = 0;
/** Towards the consumers; the network tells which one. */
export const TO_CONSUMER = 1;

export class Outbox {
  /** Packets in the box. */
  count = 0;
  /** Offset of the IPv4 header in the slab. */
  readonly offset: Int32Array;
  /** Octets at hand; on the wire the packet has `missing` more. */
  readonly length: Int32Array;
  readonly missing: Int32Array;
  /** TO_PROVIDER or TO_CONSUMER. */
  readonly side: Uint8Array;
  /** Consumer network, where the side is TO_CONSUMER. */
  readonly network: Int32Array;
  readonly capacity: number;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.offset = new Int32Array(capacity);
    this.length = new Int32Array(capacity);
    this.missing = new Int32Array(capacity);
    this.side = new Uint8Array(capacity);
    this.network = new Int32Array(capacity);
  }

  /** @returns false when the box is full */
  add(offset: number, length: number, missing: number, side: number, network: number): boolean {
    const i = this.count;
    if (i >= this.capacity) return false;
    this.offset[i] = offset;
    this.length[i] = length;
    this.missing[i] = missing;
    this.side[i] = side;
    this.network[i] = network;
    this.count = i + 1;
    return true;
  }
}
