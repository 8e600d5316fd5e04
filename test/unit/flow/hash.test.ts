import assert from 'node:assert/strict';
import fc from 'fast-check';
import { mix, tupleHash } from '../../../src/flow/hash.js';

describe('tupleHash', () => {
  const n = fc.integer({ min: -2_147_483_648, max: 2_147_483_647 });
  const port = fc.integer({ min: 0, max: 65535 });

  it('is the same in both directions', () => {
    fc.assert(
      fc.property(n, port, n, port, n, n, (a, aPort, b, bPort, scope, seed) => {
        assert.equal(tupleHash(a, aPort, b, bPort, scope, seed), tupleHash(b, bPort, a, aPort, scope, seed));
      }),
      { numRuns: 200 },
    );
  });

  it('depends on every part, the seed too', () => {
    const base = tupleHash(1, 2, 3, 4, 5, 6);
    for (const other of [
      tupleHash(9, 2, 3, 4, 5, 6),
      tupleHash(1, 9, 3, 4, 5, 6),
      tupleHash(1, 2, 9, 4, 5, 6),
      tupleHash(1, 2, 3, 9, 5, 6),
      tupleHash(1, 2, 3, 4, 9, 6),
      tupleHash(1, 2, 3, 4, 5, 9),
      tupleHash(1, 4, 3, 2, 5, 6),
    ]) {
      assert.notEqual(other, base);
    }
  });

  it('spreads the ports of one consumer evenly over low bits', () => {
    const buckets = new Uint32Array(64);
    for (let p = 0; p < 64_000; p++) buckets[tupleHash(0x0a000005, p, 0x0a090004, 443, 6, 1) & 63]!++;
    assert.ok(Math.max(...buckets) < 1200 && Math.min(...buckets) > 800, buckets.join());
  });
});

describe('mix', () => {
  it('turns neighbours into strangers: about half the bits change with any one', () => {
    let flipped = 0;
    for (let i = 0; i < 1000; i++) {
      for (let bit = 0; bit < 32; bit++) {
        let changed = mix(i * 2654435761) ^ mix((i * 2654435761) ^ (1 << bit));
        for (; changed !== 0; changed &= changed - 1) flipped++;
      }
    }
    const average = flipped / 32_000;
    assert.ok(average > 15 && average < 17, `${average} bits`);
  });
});
