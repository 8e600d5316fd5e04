/** What a stream carried at which offset, within bounds. */

/** Sets of offsets: sorted, disjoint, half-open ranges. */
export class Ranges {
  /** Start and end of each range in turn. */
  private bounds: number[] = [];

  get isEmpty(): boolean {
    return this.bounds.length === 0;
  }

  /** Just past the last offset; 0 when empty. */
  get end(): number {
    return this.bounds.at(-1) ?? 0;
  }

  add(from: number, to: number): void {
    if (to <= from) return;
    const { bounds } = this;
    const last = bounds.length - 1;
    if (last < 0 || from > bounds[last]!) {
      bounds.push(from, to);
      return;
    }
    if (from >= bounds[last - 1]!) {
      if (to > bounds[last]!) bounds[last] = to;
      return;
    }
    const merged: number[] = [];
    let start = from;
    let end = to;
    let placed = false;
    for (let i = 0; i < bounds.length; i += 2) {
      const a = bounds[i]!;
      const b = bounds[i + 1]!;
      if (b < start) merged.push(a, b);
      else if (a > end) {
        if (!placed) merged.push(start, end);
        placed = true;
        merged.push(a, b);
      } else {
        start = Math.min(start, a);
        end = Math.max(end, b);
      }
    }
    if (!placed) merged.push(start, end);
    this.bounds = merged;
  }

  /** The parts of these ranges that `other` does not have. */
  minus(other: Ranges): [number, number][] {
    const out: [number, number][] = [];
    let j = 0;
    for (let i = 0; i < this.bounds.length; i += 2) {
      let from = this.bounds[i]!;
      const to = this.bounds[i + 1]!;
      while (j < other.bounds.length && other.bounds[j + 1]! <= from) j += 2;
      for (let k = j; from < to; k += 2) {
        const a = other.bounds[k] ?? Infinity;
        if (a > from) out.push([from, Math.min(a, to)]);
        from = Math.max(from, other.bounds[k + 1] ?? to);
      }
    }
    return out;
  }

  /** The first offset of [from, to) that is not in the set; `to` when all are. */
  firstGap(from: number, to: number): number {
    const i = this.search(from);
    if (i === this.bounds.length || this.bounds[i]! > from) return Math.min(from, to);
    return Math.min(this.bounds[i + 1]!, to);
  }

  /** The first offset of [from, to) that is in the set; `to` when none is. */
  firstHeld(from: number, to: number): number {
    const i = this.search(from);
    return i === this.bounds.length ? to : Math.min(Math.max(this.bounds[i]!, from), to);
  }

  /** Index in `bounds` of the first range that ends behind `offset`. */
  private search(offset: number): number {
    let low = 0;
    let high = this.bounds.length / 2;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.bounds[2 * middle + 1]! > offset) high = middle;
      else low = middle + 1;
    }
    return 2 * low;
  }
}

/** Octets that all maps of a run may hold. */
export class Budget {
  private left: number;
  constructor(octets: number) {
    this.left = octets;
  }
  take(octets: number): boolean {
    if (octets > this.left) return false;
    this.left -= octets;
    return true;
  }
}

/** Octets of one stream that are kept; those behind are not compared. */
const MAX_STREAM = 8 * 1024 * 1024;

/** What a comparison found. */
export type Finding =
  | { readonly kind: 'equal' | 'beyond' }
  /** The stream has another octet there, or none. */
  | { readonly kind: 'differs' | 'unknown'; readonly offset: number };

/** The octets of a stream by offset. A retransmission may carry other octets: every version counts. */
export class OctetMap {
  private octets = Buffer.alloc(0);
  private readonly have = new Ranges();
  private readonly versions = new Map<number, number[]>();
  private readonly budget: Budget;
  /** Some octets were not kept. */
  bounded = false;

  constructor(budget: Budget) {
    this.budget = budget;
  }

  /** @param offset from the stream's first octet; what lies before it is left out */
  add(offset: number, b: Buffer, from: number, to: number): void {
    const start = Math.max(0, -offset);
    const count = to - from;
    if (count <= start) return;
    if (offset + count > MAX_STREAM || !this.grow(offset + count)) {
      this.bounded = true;
      return;
    }
    if (this.have.firstGap(offset + start, offset + count) === offset + count) {
      this.again(offset, b, from + start, from, to);
      return;
    }
    for (let at = offset + start; at < offset + count;) {
      const gap = this.have.firstGap(at, offset + count);
      if (gap > at) this.again(offset, b, from + at - offset, from, from + gap - offset);
      const end = this.have.firstHeld(gap, offset + count);
      b.copy(this.octets, gap, from + gap - offset, from + end - offset);
      at = end;
    }
    this.have.add(offset + start, offset + count);
  }

  /** Compares octets that were said to lie at `offset`, 0 or more. */
  compare(offset: number, b: Buffer, from: number, to: number): Finding {
    const end = offset + to - from;
    if (this.bounded && end > this.octets.length) return { kind: 'beyond' };
    const gap = this.have.firstGap(offset, end);
    const known = from + gap - offset;
    if (gap > offset && this.octets.compare(b, from, known, offset, gap) !== 0) {
      for (let at = from; at < known; at++) {
        const place = offset + at - from;
        if (b[at] === this.octets[place] || this.versions.get(place)?.includes(b[at]!) === true) continue;
        return { kind: 'differs', offset: place };
      }
    }
    if (gap === end) return { kind: 'equal' };
    return this.bounded ? { kind: 'beyond' } : { kind: 'unknown', offset: gap };
  }

  /** Octets at offsets that are known already: where they differ, both versions are kept. */
  private again(offset: number, b: Buffer, first: number, from: number, to: number): void {
    const place = offset + first - from;
    if (this.octets.compare(b, first, to, place, place + to - first) === 0) return;
    for (let at = first; at < to; at++) {
      const where = offset + at - from;
      if (b[at] === this.octets[where]) continue;
      const known = this.versions.get(where);
      if (known === undefined) this.versions.set(where, [b[at]!]);
      else if (!known.includes(b[at]!)) known.push(b[at]!);
    }
  }

  private grow(size: number): boolean {
    if (size <= this.octets.length) return true;
    const next = Math.min(MAX_STREAM, Math.max(size, this.octets.length * 2, 1024));
    if (!this.budget.take(next - this.octets.length)) return false;
    const octets = Buffer.alloc(next);
    this.octets.copy(octets);
    this.octets = octets;
    return true;
  }
}
