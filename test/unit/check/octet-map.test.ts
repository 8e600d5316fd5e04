import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Budget, OctetMap, Ranges } from '../../../src/check/octet-map.js';

const range = fc.tuple(fc.nat(60), fc.nat(12)).map(([from, length]) => [from, from + length] as const);

describe('ranges', () => {
  it('are the set of offsets that was put in, in any order', () => {
    fc.assert(
      fc.property(
        fc.array(range, { maxLength: 12 }),
        fc.array(range, { maxLength: 12 }),
        range,
        (put, other, [from, to]) => {
          const ranges = new Ranges();
          const others = new Ranges();
          const set = new Set<number>();
          const otherSet = new Set<number>();
          for (const [a, b] of put) {
            ranges.add(a, b);
            for (let i = a; i < b; i++) set.add(i);
          }
          for (const [a, b] of other) {
            others.add(a, b);
            for (let i = a; i < b; i++) otherSet.add(i);
          }
          const minus = new Set<number>();
          for (const [a, b] of ranges.minus(others)) for (let i = a; i < b; i++) minus.add(i);
          assert.deepEqual([...minus].sort(), [...set].filter((i) => !otherSet.has(i)).sort());
          assert.equal(ranges.isEmpty, set.size === 0);
          assert.equal(ranges.end, Math.max(0, ...[...set].map((i) => i + 1)));
          let gap = from;
          while (gap < to && set.has(gap)) gap++;
          assert.equal(ranges.firstGap(from, to), gap);
          let held = from;
          while (held < to && !set.has(held)) held++;
          assert.equal(ranges.firstHeld(from, to), held);
        },
      ),
      { seed: 20, numRuns: 2000 },
    );
  });
});

describe('octet map', () => {
  it('knows every version of every octet, and no other', () => {
    const piece = fc.tuple(fc.integer({ min: -3, max: 40 }), fc.uint8Array({ maxLength: 10, max: 3 }));
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 10 }),
        fc.nat(45),
        fc.uint8Array({ maxLength: 8, max: 3 }),
        (put, at, octets) => {
          const map = new OctetMap(new Budget(1 << 20));
          const naive = new Map<number, Set<number>>();
          for (const [offset, data] of put) {
            map.add(offset, Buffer.from([9, ...data, 9]), 1, 1 + data.length);
            data.forEach((octet, i) => {
              if (offset + i >= 0) naive.set(offset + i, (naive.get(offset + i) ?? new Set()).add(octet));
            });
          }
          const places = [...octets].map((octet, i) => [at + i, octet] as const);
          const gap = places.find(([place]) => !naive.has(place))?.[0] ?? Infinity;
          const wrong = places.find(([place, octet]) => place < gap && naive.get(place)?.has(octet) === false)?.[0];
          const expected =
            wrong !== undefined
              ? { kind: 'differs', offset: wrong }
              : gap !== Infinity
                ? { kind: 'unknown', offset: gap }
                : { kind: 'equal' };
          assert.deepEqual(map.compare(at, Buffer.from([8, ...octets, 8]), 1, 1 + octets.length), expected);
        },
      ),
      { seed: 21, numRuns: 3000 },
    );
  });

  it('keeps no more than its budget, and claims nothing of what it did not keep', () => {
    const map = new OctetMap(new Budget(2048));
    map.add(0, Buffer.alloc(1500, 1), 0, 1500);
    assert.equal(map.bounded, false);
    map.add(1500, Buffer.alloc(1000, 2), 0, 1000);
    assert.equal(map.bounded, true);
    assert.deepEqual(map.compare(1500, Buffer.alloc(1000, 3), 0, 1000), { kind: 'beyond' });
    assert.deepEqual(map.compare(0, Buffer.alloc(10, 3), 0, 10), { kind: 'differs', offset: 0 });
    const far = new OctetMap(new Budget(2048));
    far.add(8 * 1024 * 1024, Buffer.alloc(1), 0, 1);
    assert.equal(far.bounded, true);
  });
});
