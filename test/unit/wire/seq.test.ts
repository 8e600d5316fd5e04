import assert from 'node:assert/strict';
import fc from 'fast-check';
import { add, before, distance, notBefore } from '../../../src/wire/seq.js';

const seq = fc.integer({ min: -2_147_483_648, max: 2_147_483_647 });

describe('sequence arithmetic', () => {
  it('counts forwards and backwards modulo 2^32', () => {
    fc.assert(
      fc.property(seq, fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (a, n) => {
        assert.equal(distance(a, add(a, n)), n);
        if (n > -(2 ** 31)) {
          assert.equal(before(a, add(a, n)), n > 0);
          assert.equal(notBefore(add(a, n), a), n >= 0);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('wraps where the numbers do', () => {
    assert.equal(add(-1, 1), 0);
    assert.equal(add(0x7fffffff, 1), -0x80000000);
    assert.equal(distance(-1, 35), 36);
    assert.ok(before(-1, 0) && before(0x7fffffff, -0x80000000));
    assert.ok(!before(5, 5) && notBefore(5, 5));
  });
});
