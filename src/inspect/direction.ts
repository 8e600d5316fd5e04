/**
 * What one end of a TCP connection has sent: relative sequence numbers that go on past 2^32, and which octets were
 * there before.
 *
 * Sequence numbers are kept as the distance from `next`, the number behind the highest octet seen, whose relative
 * value is a plain number; so that a stream may be of any length, while neighbours are less than 2^31 apart.
 */
import { add, distance } from '../wire/seq.js';
import type { PendingBudget } from './proxy-finder.js';
import { ProxyFinder } from './proxy-finder.js';

/** Holes remembered in a direction; more than any sender leaves at a time. */
const MAX_HOLES = 32;

/** How a segment's octets relate to those seen before it. */
export type Arrival = 'new' | 'after-gap' | 'repeated' | 'overlapping' | 'fills-gap';

interface Hole {
  readonly from: number;
  readonly to: number;
}

export class Direction {
  /** Initial sequence number, int32; good once `start` is `syn`. */
  initial = 0;
  /** How the relative numbers came about: not yet, guessed from the first segment met, from the SYN. */
  start: 'unknown' | 'guessed' | 'syn' = 'unknown';
  /** Shift of the window field, from the SYN; -1 when it had none or was not seen. */
  windowShift = -1;
  /** Octets offered last; -1 before. */
  lastWindow = -1;
  hasSentData = false;
  hasEnded = false;
  /** The segment before, to tell a frame captured twice: IP identification, sequence number. */
  lastIdentification = -1;
  lastSequence = 0;
  /** Made by the first payload at the start of the stream: few directions need one. */
  #finder: ProxyFinder | null = null;
  #next = 0;
  #nextRelative = 0;
  #holes: Hole[] = [];

  /** The SYN was seen. */
  startAt(initial: number): void {
    this.initial = initial;
    this.start = 'syn';
    this.#next = initial;
    this.#nextRelative = 0;
    this.#holes = [];
  }

  /** Counts from a sequence number met in the middle, which becomes 1. */
  guessAt(sequence: number): void {
    this.start = 'guessed';
    this.#next = sequence;
    this.#nextRelative = 1;
  }

  /** @param sequence int32 */
  relative(sequence: number): number {
    return this.#nextRelative + distance(this.#next, sequence);
  }

  /**
   * Takes note of a segment.
   * @param sequence int32
   * @param length octets of sequence space: payload, SYN and FIN
   */
  arrive(sequence: number, length: number): Arrival {
    const from = this.relative(sequence);
    const to = from + length;
    const next = this.#nextRelative;
    if (to > next) {
      this.#next = add(sequence, length);
      this.#nextRelative = to;
      if (from > next) {
        this.#holes.push({ from: next, to: from });
        if (this.#holes.length > MAX_HOLES) this.#holes.shift();
        return 'after-gap';
      }
      return from < next && length > 0 ? 'overlapping' : 'new';
    }
    if (length === 0) return 'new';
    return this.#fill(from, to) ? 'fills-gap' : 'repeated';
  }

  /** Whether a segment at this number without news is a keep-alive: one before the next (RFC 9293 section 3.8.4). */
  isBeforeNext(sequence: number): boolean {
    return distance(sequence, this.#next) === 1;
  }

  finder(budget: PendingBudget): ProxyFinder {
    this.#finder ??= new ProxyFinder(budget);
    return this.#finder;
  }

  /** Whether a header may end in a segment here, without making a finder for it. */
  mayHoldHeader(relative: number): boolean {
    return relative === 1 || this.#finder !== null;
  }

  /** Gives back what the direction holds of the budget of unfinished headers. */
  forget(): void {
    this.#finder?.drop();
  }

  /** Takes `[from, to)` out of the holes; false where it was none of them. */
  #fill(from: number, to: number): boolean {
    let touched = false;
    const left: Hole[] = [];
    for (const hole of this.#holes) {
      if (to <= hole.from || from >= hole.to) {
        left.push(hole);
        continue;
      }
      touched = true;
      if (hole.from < from) left.push({ from: hole.from, to: from });
      if (to < hole.to) left.push({ from: to, to: hole.to });
    }
    if (touched) this.#holes = left;
    return touched;
  }
}
