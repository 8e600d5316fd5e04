/**
 * A bad line, one direction of it: packets go in, and come out late, twice, in another order, with a bit turned, or not
 * at all. What happens to a packet depends only on the seed, the packets before it and the times that are given; each
 * packet uses the same number of random draws whatever the rates, so that one rate can be changed without changing what
 * another one hits.
 */
import * as vnet from '../wire/virtio-net.js';

/** Rates are probabilities, 0 to 1; what is left out does not happen. */
export interface Impairment {
  readonly loss?: number;
  /** The copy follows its original directly. */
  readonly duplicate?: number;
  /** Packets held back until some later ones have passed. */
  readonly reorder?: number;
  /** How many pass a reordered packet at most; 3 when left out. */
  readonly reorderBy?: number;
  /** How long a reordered packet waits at most, when nothing comes to pass it; 10 when left out. */
  readonly reorderMs?: number;
  /**
   * Packets with one bit turned, anywhere behind the first octet; where a checksum is still to be computed it is a bit
   * of the IPv4 header, since on a wire no such packet would be taken for a good one.
   */
  readonly corrupt?: number;
  /** Every packet is this late, plus up to `jitterMs`; the order stays. */
  readonly delayMs?: number;
  readonly jitterMs?: number;
  /** Packets on the line at once; one more is lost, and counted as overflowed. 1024 when left out. */
  readonly limit?: number;
  /** Packets to be lost on purpose, whatever the seed; `offset` is that of the IP header. */
  readonly lose?: (slab: Buffer, offset: number, length: number) => boolean;
}

/** packets + duplicated = delivered + held + lost + lostOnPurpose + overflowed. */
export interface LineCounters {
  packets: number;
  delivered: number;
  held: number;
  lost: number;
  lostOnPurpose: number;
  overflowed: number;
  duplicated: number;
  reordered: number;
  corrupted: number;
}

interface Entry {
  /** Virtio-net header and packet. */
  readonly octets: Buffer;
  /** Milliseconds. */
  readonly due: number;
}

interface Aside {
  readonly octets: Buffer;
  /** Count of packets at which it goes on. */
  readonly after: number;
  /** Or this time, in milliseconds. */
  readonly until: number;
}

const DEFAULT_LIMIT = 1024;
const DEFAULT_REORDER_BY = 3;
const DEFAULT_REORDER_MS = 10;
const IPV4_HEADER = 20;

export class ImpairedLine {
  readonly counters: LineCounters = {
    packets: 0,
    delivered: 0,
    held: 0,
    lost: 0,
    lostOnPurpose: 0,
    overflowed: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
  };
  private readonly how: Impairment;
  private readonly draw: () => number;
  /** In the order in which they go on: one that is due earlier waits for those before it. */
  private readonly queue: Entry[] = [];
  /** Reordered packets, in the order in which they came. */
  private readonly aside: Aside[] = [];

  constructor(how: Impairment, seed: number) {
    this.how = how;
    this.draw = randoms(seed);
  }

  /** A packet comes; its virtio-net header is right before it. The slab's octets are copied. */
  push(slab: Buffer, offset: number, length: number, nowMs: number): void {
    const { how, counters } = this;
    const lost = this.draw() < (how.loss ?? 0);
    const twice = this.draw() < (how.duplicate ?? 0);
    const reordered = this.draw() < (how.reorder ?? 0);
    const corrupted = this.draw() < (how.corrupt ?? 0);
    const passedBy = 1 + Math.floor(this.draw() * (how.reorderBy ?? DEFAULT_REORDER_BY));
    const bit = this.draw();
    const delay = (how.delayMs ?? 0) + this.draw() * (how.jitterMs ?? 0);

    counters.packets++;
    if (how.lose?.(slab, offset, length) === true) counters.lostOnPurpose++;
    else if (lost) counters.lost++;
    else {
      const octets = Buffer.from(slab.subarray(offset - vnet.HEADER, offset + length));
      const copy = twice ? Buffer.from(octets) : null;
      if (corrupted && turnBit(octets, bit)) counters.corrupted++;
      if (!this.hasRoom()) counters.overflowed++;
      else if (reordered) {
        counters.reordered++;
        counters.held++;
        const until = nowMs + (how.reorderMs ?? DEFAULT_REORDER_MS);
        this.aside.push({ octets, after: counters.packets + passedBy, until });
      } else this.append(octets, nowMs + delay);
      if (copy !== null) {
        counters.duplicated++;
        if (this.hasRoom()) this.append(copy, nowMs + delay);
        else counters.overflowed++;
      }
    }
    this.rejoin(nowMs);
  }

  /** Octets of the packet that is to be taken next, or -1 when none is due. */
  nextLength(nowMs: number): number {
    this.rejoin(nowMs);
    const head = this.queue[0];
    return head === undefined || head.due > nowMs ? -1 : head.octets.length - vnet.HEADER;
  }

  /** Puts the next packet at `offset`, its virtio-net header right before it; `nextLength` must have said that one is due. */
  take(slab: Buffer, offset: number): void {
    const head = this.queue.shift();
    if (head === undefined) return;
    head.octets.copy(slab, offset - vnet.HEADER);
    this.counters.held--;
    this.counters.delivered++;
  }

  /** When the next packet is due, in milliseconds; Infinity when the line is empty. */
  nextDue(): number {
    let due = this.queue[0]?.due ?? Infinity;
    for (const each of this.aside) due = Math.min(due, each.until);
    return due;
  }

  private hasRoom(): boolean {
    return this.counters.held < (this.how.limit ?? DEFAULT_LIMIT);
  }

  private append(octets: Buffer, due: number): void {
    this.counters.held++;
    this.queue.push({ octets, due });
  }

  /** Reordered packets that were passed by enough others, or waited enough, go on behind what is on its way. */
  private rejoin(nowMs: number): void {
    for (let i = 0; i < this.aside.length;) {
      const each = this.aside[i]!;
      if (this.counters.packets < each.after && nowMs < each.until) {
        i++;
        continue;
      }
      this.aside.splice(i, 1);
      this.queue.push({ octets: each.octets, due: nowMs });
    }
  }
}

/** @returns false when no bit can be turned that a receiver would notice */
function turnBit(octets: Buffer, random: number): boolean {
  let end = octets.length;
  if (vnet.needsChecksum(octets, 0) || vnet.isSuperPacket(octets, 0)) {
    if (octets[vnet.HEADER]! >> 4 !== 4) return false;
    end = Math.min(end, vnet.HEADER + IPV4_HEADER);
  }
  // Not the first octet: another IP version would be another protocol, not a bad packet.
  const bits = (end - vnet.HEADER - 1) * 8;
  if (bits <= 0) return false;
  const bit = Math.floor(random * bits);
  const at = vnet.HEADER + 1 + (bit >> 3);
  octets[at] = octets[at]! ^ (1 << (bit & 7));
  // No longer what somebody found valid.
  vnet.setFlags(octets, 0, vnet.flags(octets, 0) & ~vnet.FLAG_DATA_VALID);
  return true;
}

/** Numbers from 0 to below 1: a 32-bit Weyl sequence through an avalanche of multiplications. */
function randoms(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 0x1_0000_0000;
  };
}
