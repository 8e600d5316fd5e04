import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PortPool } from '../../../src/flow/port-pool.js';
import { countOf, firstOf, WHOLE } from '../../../src/flow/share.js';

describe('shares of a range', () => {
  const range = fc.record({ first: fc.integer({ min: 1, max: 3000 }), count: fc.integer({ min: 0, max: 300 }) });
  const many = fc.integer({ min: 1, max: 40 });

  it('are the whole range together, each number once', () => {
    fc.assert(
      fc.property(range, many, ({ first, count }, of) => {
        const all: number[] = [];
        for (let index = 0; index < of; index++) {
          const share = { index, of };
          for (let i = 0; i < countOf(first, count, share); i++) all.push(firstOf(first, share) + i * of);
        }
        const wanted = Array.from({ length: count }, (_, i) => first + i);
        assert.deepEqual(
          all.sort((a, b) => a - b),
          wanted,
        );
      }),
    );
    assert.deepEqual([firstOf(1024, WHOLE), countOf(1024, 64_000, WHOLE)], [1024, 64_000]);
  });

  it('are exhausted by their pools exactly, also where the range changes under live ports', () => {
    fc.assert(
      fc.property(range, range, many, fc.nat(), (before, after, of, seed) => {
        const given = new Set<number>();
        for (let index = 0; index < of; index++) {
          const share = { index, of };
          const args = (r: { first: number; count: number }): [number, number] => [
            firstOf(r.first, share),
            countOf(r.first, r.count, share),
          ];
          const pool = new PortPool(...args(before), seed, of);
          const live = Array.from({ length: before.count }, () => pool.allocate(0)).filter((port) => port >= 0);
          assert.equal(live.length, countOf(before.first, before.count, share));
          pool.setRange(...args(after));
          for (const port of live) pool.free(port, 0);
          assert.equal(pool.inUse, 0);
          for (let port = pool.allocate(0); port >= 0; port = pool.allocate(0)) {
            assert.equal(port % of, index);
            assert.ok(!given.has(port));
            given.add(port);
          }
        }
        assert.equal(given.size, after.count);
        for (const port of given) assert.ok(port >= after.first && port < after.first + after.count);
      }),
    );
  });
});
