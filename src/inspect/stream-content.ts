/**
 * Puts the octets of one direction of a TCP stream in order, in bounded memory. What is next in order goes out at
 * once; what came early waits for the gap to close. A gap is given up when the capture cannot be expected to close it:
 * when the receiver has acknowledged what is missing and many packets have passed since, when too much waits, or at
 * the end. Of octets that came twice the first stay.
 */

/** Octets that may wait behind a gap. */
const MAX_WAITING_OCTETS = 4 * 1024 * 1024;
/** Packets of the stream after which an acknowledged gap is one of the capture. */
const PATIENCE_PACKETS = 64;

/** Octets in order, or a gap. The octets are good until the next frame is read. */
export type Content =
  | { readonly kind: 'octets'; readonly offset: number; readonly octets: Buffer }
  | { readonly kind: 'gap'; readonly offset: number; readonly length: number };

interface Waiting {
  readonly from: number;
  readonly octets: Buffer;
}

export class StreamContent {
  readonly #emit: (content: Content) => void;
  /** Relative number of the octet that is next: 1 is the first. */
  #next = 1;
  /** By `from`; copies. */
  #waiting: Waiting[] = [];
  #waitingOctets = 0;
  #packetsSinceAcknowledged = 0;
  #acknowledged = 0;

  constructor(emit: (content: Content) => void) {
    this.#emit = emit;
  }

  /**
   * Takes the payload `[at, end)` of a segment.
   * @param from relative number of its first octet
   */
  add(from: number, b: Buffer, at: number, end: number): void {
    const to = from + end - at;
    if (to <= this.#next) return;
    if (from <= this.#next) {
      this.#put(b.subarray(at + this.#next - from, end));
      this.#drain();
      return;
    }
    const octets = Buffer.from(b.subarray(at, end));
    // The place behind all that begin no later: of equal ones, the first stays first.
    const place = this.#waiting.findLastIndex((waiting) => waiting.from <= from) + 1;
    this.#waiting.splice(place, 0, { from, octets });
    this.#waitingOctets += octets.length;
    while (this.#waitingOctets > MAX_WAITING_OCTETS) this.#giveUpGap();
  }

  /** The other end has received what is before this relative number. To be called for every packet of the stream. */
  acknowledge(relative: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, relative);
    const first = this.#waiting[0];
    if (first === undefined || this.#acknowledged < first.from) {
      this.#packetsSinceAcknowledged = 0;
    } else if (++this.#packetsSinceAcknowledged > PATIENCE_PACKETS) {
      this.#packetsSinceAcknowledged = 0;
      this.#giveUpGap();
    }
  }

  /** The capture has ended. */
  end(): void {
    while (this.#waiting.length > 0) this.#giveUpGap();
  }

  #giveUpGap(): void {
    const first = this.#waiting[0];
    if (first === undefined) return;
    this.#emit({ kind: 'gap', offset: this.#next - 1, length: first.from - this.#next });
    this.#next = first.from;
    this.#drain();
  }

  #drain(): void {
    let taken = 0;
    for (const { from, octets } of this.#waiting) {
      if (from > this.#next) break;
      taken++;
      this.#waitingOctets -= octets.length;
      if (from + octets.length > this.#next) this.#put(octets.subarray(this.#next - from));
    }
    this.#waiting.splice(0, taken);
  }

  #put(octets: Buffer): void {
    this.#emit({ kind: 'octets', offset: this.#next - 1, octets });
    this.#next += octets.length;
  }
}
