import assert from 'node:assert/strict';
import { maglevLength, maglevTable } from '../../../src/balance/maglev.js';

const addresses = (n: number): number[] => Array.from({ length: n }, (_, i) => (0x0a010000 + i * 7 + 4) | 0);

/** Entries of each backend. */
function shares(table: Uint16Array, n: number): number[] {
  const counts = new Array<number>(n).fill(0);
  for (const i of table) counts[i]!++;
  return counts;
}

const isPrime = (n: number): boolean => {
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false;
  return n > 1;
};

describe('Maglev table', () => {
  for (const n of [1, 2, 3, 8, 30, 31, 100, 1000]) {
    it(`gives ${n} backends nearly equal shares`, () => {
      const table = maglevTable(addresses(n));
      const counts = shares(table, n);
      assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `${Math.min(...counts)} to ${Math.max(...counts)}`);
    });

    it(`has a prime length of at least 60 entries for each of ${n} backends`, () => {
      const { length } = maglevTable(addresses(n));
      assert.ok(isPrime(length) && length >= 60 * n);
    });
  }

  it('moves few entries but its own when a backend goes', () => {
    for (const n of [4, 8, 30, 31, 100]) {
      const all = addresses(n);
      const before = maglevTable(all);
      for (const gone of [0, 1, n - 1]) {
        const rest = all.filter((_, i) => i !== gone);
        const after = maglevTable(rest, maglevLength(rest.length, before.length));
        assert.equal(after.length, before.length);
        let moved = 0;
        before.forEach((was, slot) => {
          if (was !== gone && all[was] !== rest[after[slot]!]) moved++;
        });
        // The paper's figure 12: a few in a hundred at this ratio of table to backends.
        assert.ok(moved < before.length * 0.05, `${moved} of ${before.length} with ${n} backends`);
      }
    }
  });

  it('keeps its length while a pool grows, up to where the shares would differ by much', () => {
    assert.deepEqual(
      [2, 30, 31, 1000].map((n) => maglevLength(n)),
      [2039, 2039, 65537, 65537],
    );
    assert.deepEqual(
      [31, 127].map((n) => maglevLength(n, 2039)),
      [2039, 2039],
    );
    assert.equal(maglevLength(128, 2039), 65537);
    assert.equal(maglevLength(2, 65537), 65537);
    const counts = shares(maglevTable(addresses(127), 2039), 127);
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 1);
  });

  it('is the same for the same backends, and does not hang on one named twice', () => {
    assert.deepEqual(maglevTable(addresses(5)), maglevTable(addresses(5)));
    assert.equal(
      shares(maglevTable([1, 1, 2]), 3).reduce((a, b) => a + b),
      2039,
    );
  });
});
