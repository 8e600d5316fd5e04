import assert from 'node:assert/strict';
import { TwoGenerations } from '../../../src/inspect/two-generations.js';

describe('inspect: a map that forgets', () => {
  it('keeps what is asked for, and lets the silent go', () => {
    const gone: number[] = [];
    const map = new TwoGenerations<number, number>(10, (value) => gone.push(value));
    map.set(-1, -1);
    map.set(-2, -2);
    for (let i = 0; i < 100; i++) {
      map.set(i, i);
      assert.equal(map.get(-1), -1);
      assert.equal(map.get(i), i);
    }
    assert.equal(map.get(-2), undefined);
    assert.equal(map.hasForgotten, true);
    assert.ok(gone.includes(-2));
    assert.ok(!gone.includes(-1));
  });

  it('forgets nothing below its capacity', () => {
    const map = new TwoGenerations<number, number>(10, () => assert.fail());
    for (let round = 0; round < 5; round++) for (let i = 0; i < 10; i++) map.set(i, round);
    assert.equal(map.hasForgotten, false);
    assert.equal(map.get(0), 4);
  });
});
