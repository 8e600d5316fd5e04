import assert from 'node:assert/strict';
import { atTheEnd } from '../../../src/cli/capture-end.js';

/** A timer of more fires at once. */
const LONGEST_MS = 2 ** 31 - 1;

describe('the end of a capture', () => {
  const real = globalThis.setTimeout;
  afterEach(() => {
    globalThis.setTimeout = real;
  });

  for (const seconds of [1, 2_147_484, 10_000_000]) {
    it(`comes after ${seconds} s, not before`, () => {
      const waiting: (() => void)[] = [];
      const delays: number[] = [];
      const fake = (callback: () => void, milliseconds: number): NodeJS.Timeout => {
        waiting.push(callback);
        delays.push(milliseconds);
        return real(() => undefined, 0);
      };
      globalThis.setTimeout = fake as typeof setTimeout;
      let ends = 0;
      const end = atTheEnd(seconds, () => ends++);
      end.begin();
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        assert.equal(ends, 0);
        next();
      }
      end.callOff();
      assert.equal(ends, 1);
      assert.ok(delays.every((each) => each <= LONGEST_MS));
      assert.equal(
        delays.reduce((sum, each) => sum + each, 0),
        seconds * 1000,
      );
    });
  }
});
