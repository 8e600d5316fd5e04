import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HashIndex } from '../../../src/flow/hash-index.js';

/** All values under a hash, by the index. */
function valuesOf(index: HashIndex, hash: number): number[] {
  const values: number[] = [];
  for (let v = index.first(hash); v >= 0; v = index.next(hash)) values.push(v);
  return values.sort((a, b) => a - b);
}

/** The same, obviously. */
class Model {
  readonly entries = new Map<number, Set<number>>();
  insert(hash: number, value: number): void {
    const values = this.entries.get(hash) ?? new Set();
    this.entries.set(hash, values.add(value));
  }
  remove(hash: number, value: number): void {
    this.entries.get(hash)?.delete(value);
  }
  count(): number {
    return [...this.entries.values()].reduce((n, values) => n + values.size, 0);
  }
}

function assertSame(index: HashIndex, model: Model): void {
  assert.equal(index.count, model.count());
  for (const [hash, values] of model.entries) {
    assert.deepEqual(
      valuesOf(index, hash),
      [...values].sort((a, b) => a - b),
      `hash ${hash}`,
    );
  }
}

describe('HashIndex', () => {
  it('holds what a Map would, through growth and deletions at any time', () => {
    // Few distinct low bits, so that clusters are long and wrap; few hashes, so that values share them.
    const hash = fc.oneof(
      fc.integer({ min: -4, max: 40 }),
      fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }),
      fc.constantFrom(7, 15, 15 + 16, 15 + 32, 31, 63, -1),
    );
    const step = fc.record({ remove: fc.boolean(), settle: fc.boolean(), hash, pick: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), fc.constantFrom(4, 8, 16), (steps, capacity) => {
        const index = new HashIndex(capacity);
        const model = new Model();
        const live: [number, number][] = [];
        let next = 0;
        for (const { remove, settle, hash: h, pick } of steps) {
          if (settle) index.settle();
          if (remove && live.length > 0) {
            const [[oldHash, value]] = live.splice(pick % live.length, 1) as [[number, number]];
            index.remove(oldHash, value);
            model.remove(oldHash, value);
          } else {
            index.insert(h, next);
            model.insert(h, next);
            live.push([h, next++]);
          }
          assert.equal(index.count, live.length);
          if (pick % 16 === 0) assertSame(index, model);
        }
        assertSame(index, model);
      }),
      { numRuns: 150 },
    );
  });

  it('holds every entry at each step of a migration, deletions among them', () => {
    const index = new HashIndex(64);
    const model = new Model();
    for (let value = 0; value < 3000; value++) {
      const hash = Math.imul(value, 0x9e3779b1);
      index.insert(hash, value);
      model.insert(hash, value);
      if (value % 3 === 2) {
        // One that was entered long ago, in the old table as long as there is one.
        const old = value - 2 - (value % 40);
        const oldHash = Math.imul(old, 0x9e3779b1);
        if (model.entries.get(oldHash)?.has(old) === true) {
          index.remove(oldHash, old);
          model.remove(oldHash, old);
        }
      }
      if (value % 10 === 0 || (value > 45 && value < 60)) assertSame(index, model);
    }
    assertSame(index, model);
  });

  it('leaves nothing of what was removed, and room for as much again', () => {
    const index = new HashIndex(8);
    for (let round = 0; round < 20; round++) {
      for (let value = 0; value < 100; value++) index.insert(value * 8, value);
      for (let value = 0; value < 100; value++) index.remove(value * 8, value);
      assert.equal(index.count, 0);
      for (let value = 0; value < 100; value++) assert.equal(index.first(value * 8), -1);
    }
    assert.ok(index.octets <= 2 * 256 * 8, `${index.octets} octets`);
  });

  it('never moves more than a few entries in one call', () => {
    const index = new HashIndex(1 << 16);
    let before = index.octets;
    let growths = 0;
    for (let value = 0; value < 1 << 18; value++) {
      index.insert(Math.imul(value, 0x85ebca6b), value);
      const now = index.octets;
      if (now > before) growths++;
      // Both tables are there after a growth: it has not been done in one go.
      if (now > before) assert.equal(now, before + 2 * before);
      before = now;
    }
    assert.equal(growths, 3);
  });

  it('ignores the removal of what is not there', () => {
    const index = new HashIndex(8);
    index.insert(5, 1);
    index.remove(5, 2);
    index.remove(13, 1);
    assert.deepEqual([index.count, index.first(5)], [1, 1]);
  });

  it('ends a growth though nothing more is inserted', () => {
    const index = new HashIndex(1024);
    for (let i = 0; i <= 768; i++) index.insert(Math.imul(i, 0x9e3779b1), i);
    assert.equal(index.octets, (1024 + 2048) * 8, 'both tables');
    for (let i = 0; i < (2 * 1024) / 64; i++) index.settle();
    assert.equal(index.octets, 2048 * 8);
    for (let i = 0; i <= 768; i++) assert.equal(index.first(Math.imul(i, 0x9e3779b1)), i);
  });
});
