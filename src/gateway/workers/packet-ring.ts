/**
 * A bounded ring of packets from one thread to another, in shared memory.
 *
 * Theory of operation
 * - One thread pushes, one takes; neither ever waits for the other. The memory begins with two positions, HEAD (written by
 *   who pushes) and TAIL (by who takes), each alone in its cache line. They count octets without end, modulo 2^32, so the
 *   difference is what the ring holds and a full ring is no empty one.
 * - A record is two 32-bit words, the octets' number and the reader's tag, and then the octets, up to the next multiple of
 *   8. It lies in one piece: where the end of the memory is too near, the rest is skipped by a word of -1.
 * - A record's octets are written before HEAD is stored, and read after HEAD was loaded; its place is written again only
 *   after TAIL, stored behind the reading, was loaded. The stores and loads of the two positions are atomic, and such
 *   operations order all others around them (ECMA-262, memory model): no thread sees a record that is not whole.
 * - Each side keeps its last look at the other's position and looks again only when that does not do, so that the two
 *   cache lines do not travel with every packet.
 */

/** Places of the positions, in 32-bit words. */
const HEAD = 0;
const TAIL = 16;
/** Octets before the first record. */
const START = 128;
const RECORD_HEADER = 8;
const SKIP = -1;
/** Copied octet by octet: to copy more by one call makes an object, which costs as much as these. */
const FEW = 192;

/** Memory of a ring. @param octets for records, a power of two; a record may have half of them */
export const ringMemory = (octets: number): SharedArrayBuffer => new SharedArrayBuffer(START + octets);

export class PacketRing {
  /** Of the record that `nextLength` told of. */
  tag = 0;
  private readonly words: Int32Array;
  private readonly octets: Buffer;
  private readonly capacity: number;
  private head: number;
  private tail: number;

  /** @param memory of `ringMemory`; a thread either pushes or takes */
  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory);
    this.octets = Buffer.from(memory, START);
    this.capacity = memory.byteLength - START;
    this.head = Atomics.load(this.words, HEAD);
    this.tail = Atomics.load(this.words, TAIL);
  }

  /**
   * Appends the octets [from, to) of `b`.
   * @returns false when there is no room
   */
  push(tag: number, b: Buffer, from: number, to: number): boolean {
    const { words, capacity } = this;
    const length = to - from;
    const need = RECORD_HEADER + ((length + 7) & ~7);
    let at = this.head & (capacity - 1);
    const skipped = need > capacity - at ? capacity - at : 0;
    if (((this.head - this.tail) | 0) + skipped + need > capacity) {
      this.tail = Atomics.load(words, TAIL);
      if (((this.head - this.tail) | 0) + skipped + need > capacity) return false;
    }
    if (skipped > 0) {
      words[(START + at) >> 2] = SKIP;
      at = 0;
    }
    const word = (START + at) >> 2;
    words[word] = length;
    words[word + 1] = tag;
    copy(b, from, to, this.octets, at + RECORD_HEADER);
    this.head = (this.head + skipped + need) | 0;
    Atomics.store(words, HEAD, this.head);
    return true;
  }

  /** Octets of the oldest record, or -1 where there is none. */
  nextLength(): number {
    const { words, capacity } = this;
    if (this.head === this.tail) {
      this.head = Atomics.load(words, HEAD);
      if (this.head === this.tail) return -1;
    }
    let word = (START + (this.tail & (capacity - 1))) >> 2;
    if (words[word] === SKIP) {
      this.tail = (this.tail + capacity - (this.tail & (capacity - 1))) | 0;
      word = START >> 2;
    }
    this.tag = words[word + 1]!;
    return words[word]!;
  }

  /** Takes the record that `nextLength` told of. @param at where its octets go */
  take(b: Buffer, at: number): void {
    const place = this.tail & (this.capacity - 1);
    const length = this.words[(START + place) >> 2]!;
    copy(this.octets, place + RECORD_HEADER, place + RECORD_HEADER + length, b, at);
    this.tail = (this.tail + RECORD_HEADER + ((length + 7) & ~7)) | 0;
    Atomics.store(this.words, TAIL, this.tail);
  }

  /** For who takes; looks at what the other side has done by now. */
  get isEmpty(): boolean {
    return Atomics.load(this.words, HEAD) === this.tail;
  }
}

function copy(source: Buffer, from: number, to: number, target: Buffer, at: number): void {
  if (to - from > FEW) source.copy(target, at, from, to);
  else for (let i = from, j = at; i < to; i++, j++) target[j] = source[i]!;
}
