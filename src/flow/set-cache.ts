/**
 * A bounded map from five integers to five, with an age: 8-way set-associative, the oldest entry of a full set gives
 * way. For state that may be lost under pressure (fragments, datagram identifications), with no allocation and no
 * clean-up to do.
 */
import { mix } from './hash.js';

const WAYS = 8;
const STRIDE = 12;
const SEEN = 5;
const LIVE = 6;
/** Columns of the value, from the entry's offset. */
export const VALUE = 7;

export class SetCache {
  readonly cells: Int32Array;
  private readonly mask: number;
  private readonly maxAgeMs: number;
  /** Entries that gave way while they still counted. */
  evicted = 0;

  /**
   * @param sets a power of two; the map holds up to 8 times as many entries
   * @param maxAgeMs entries as old as that count no more
   */
  constructor(sets: number, maxAgeMs: number) {
    this.maxAgeMs = maxAgeMs;
    this.cells = new Int32Array(sets * WAYS * STRIDE);
    this.mask = sets - 1;
  }

  private set(k0: number, k1: number, k2: number, k3: number, k4: number): number {
    const h = mix(mix(mix(k0 ^ mix(k1)) ^ k2) ^ mix(k3 + Math.imul(k4, 0x9e3779b1)));
    return (h & this.mask) * (WAYS * STRIDE);
  }

  /** @returns the entry's offset in `cells`, or -1 when there is none that counts */
  find(k0: number, k1: number, k2: number, k3: number, k4: number, nowMs: number): number {
    const { cells } = this;
    const from = this.set(k0, k1, k2, k3, k4);
    for (let at = from; at < from + WAYS * STRIDE; at += STRIDE) {
      if (
        cells[at + LIVE] === 1 &&
        cells[at] === k0 &&
        cells[at + 1] === k1 &&
        cells[at + 2] === k2 &&
        cells[at + 3] === k3 &&
        cells[at + 4] === k4
      ) {
        return ((nowMs | 0) - cells[at + SEEN]!) >>> 0 < this.maxAgeMs ? at : -1;
      }
    }
    return -1;
  }

  /** Enters a key, in place of its former entry or of the set's oldest. @returns its offset; the value is the caller's to fill */
  put(k0: number, k1: number, k2: number, k3: number, k4: number, nowMs: number): number {
    const { cells } = this;
    const from = this.set(k0, k1, k2, k3, k4);
    let best = from;
    let bestAge = -1;
    for (let at = from; at < from + WAYS * STRIDE; at += STRIDE) {
      const same =
        cells[at] === k0 &&
        cells[at + 1] === k1 &&
        cells[at + 2] === k2 &&
        cells[at + 3] === k3 &&
        cells[at + 4] === k4;
      if (same && cells[at + LIVE] === 1) {
        best = at;
        bestAge = 2 ** 32;
        break;
      }
      const age = cells[at + LIVE] === 1 ? ((nowMs | 0) - cells[at + SEEN]!) >>> 0 : 2 ** 32;
      if (age > bestAge) {
        best = at;
        bestAge = age;
      }
    }
    if (bestAge < this.maxAgeMs) this.evicted++;
    cells.fill(0, best, best + STRIDE);
    cells[best] = k0;
    cells[best + 1] = k1;
    cells[best + 2] = k2;
    cells[best + 3] = k3;
    cells[best + 4] = k4;
    cells[best + SEEN] = nowMs | 0;
    cells[best + LIVE] = 1;
    return best;
  }
}
