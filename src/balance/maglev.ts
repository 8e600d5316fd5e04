/**
 * Consistent hashing by Maglev's look-up table (Eisenbud et al., NSDI 2016, section 3.4): every backend fills the
 * table in the order of its own permutation, so that all get nearly equal shares and the loss of one moves hardly any
 * entry but its own.
 */
import { mix } from '../flow/hash.js';

const SMALL = 2039;
const LARGE = 65537;

/** Entries a backend has at least where a table keeps its length. */
const LEAST_ENTRIES = 16;

/**
 * How long a table for so many backends is: a prime, at least 60 times their number. A table of another length sends
 * nearly every flow elsewhere, so one that grows or shrinks keeps its length as long as the shares stay nearly equal.
 * @param before the length of the table whose place it takes
 */
export const maglevLength = (backends: number, before?: number): number => {
  if (before !== undefined && before >= LEAST_ENTRIES * backends) return before;
  return backends <= 30 ? SMALL : LARGE;
};

/**
 * @param backends addresses, at least one, at most 1000
 * @param size of the table, as `maglevLength` tells
 * @returns a table of indexes into `backends`
 */
export function maglevTable(backends: readonly number[], size = maglevLength(backends.length)): Uint16Array {
  const table = new Uint16Array(size);
  const taken = new Uint8Array(size);
  const position = backends.map((a) => (mix(a) >>> 0) % size);
  const skip = backends.map((a) => ((mix(a ^ 0x5bd1e995) >>> 0) % (size - 1)) + 1);
  for (let filled = 0; filled < size;) {
    for (let i = 0; i < backends.length && filled < size; i++) {
      let at = position[i]!;
      while (taken[at] === 1) at = (at + skip[i]!) % size;
      position[i] = (at + skip[i]!) % size;
      table[at] = i;
      taken[at] = 1;
      filled++;
    }
  }
  return table;
}
