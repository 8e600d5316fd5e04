import assert from 'node:assert/strict';
import { Patience } from '../../../src/gateway/patience.js';

describe('gateway: how long the pump waits for the next packet', () => {
  const MOST = 0.06;
  let now = 0;
  let patience: Patience;

  /** Sleeps for so many milliseconds. */
  const sleep = (ms: number): void => {
    patience.left(now);
    now += ms;
    patience.woke(now);
  };

  beforeEach(() => {
    now = 1000;
    patience = new Patience(MOST);
  });

  it('does not wait where nothing has come soon after a packet', () => {
    patience.woke(now);
    assert.equal(patience.waitMs, 0);
    sleep(10);
    assert.equal(patience.waitMs, 0);
  });

  it('waits longer with each sleep that was short, up to the most', () => {
    const waits = [1, 2, 3, 4, 5].map(() => {
      sleep(0.05);
      return patience.waitMs;
    });
    assert.deepEqual(waits, [0.01, 0.02, 0.04, MOST, MOST]);
  });

  it('waits half as long after each long sleep, and soon not at all', () => {
    for (let i = 0; i < 4; i++) sleep(0.05);
    const waits = [1, 2, 3, 4].map(() => {
      sleep(1);
      return patience.waitMs;
    });
    assert.deepEqual(waits, [0.03, 0.015, 0.0075, 0]);
  });

  it('goes on until its wait is over, counted from the last packet', () => {
    for (let i = 0; i < 4; i++) sleep(0.05);
    const since = now;
    assert.equal(patience.goesOn(since, (now += 0.02)), true);
    assert.equal(patience.goesOn(since, (now += 0.02)), true);
    assert.equal(patience.goesOn(since, (now += 0.021)), false);
    patience.met(now);
    assert.equal(patience.goesOn(now, now + 0.02), true);
  });

  it('is no longer than it was, and needs no rest, after an interrupt', () => {
    for (let i = 0; i < 4; i++) sleep(0.05);
    assert.equal(patience.goesOn(now, (now += 0.05)), true);
    assert.equal(patience.goesOn(now - 0.05, (now += 0.1)), false);
    sleep(0.05);
    assert.equal(patience.waitMs, MOST);
  });

  it('ends when the processor was taken away meanwhile, and begins again after a rest', () => {
    for (let i = 0; i < 4; i++) sleep(0.05);
    assert.equal(patience.goesOn(now, (now += 0.201)), false);
    const taken = now;
    while (now < taken + 4.9) {
      sleep(0.05);
      assert.equal(patience.waitMs, 0);
    }
    for (let i = 0; i < 4; i++) sleep(0.05);
    assert.ok(patience.waitMs > 0);
  });

  it('never waits where the most is 0', () => {
    patience = new Patience(0);
    for (let i = 0; i < 4; i++) sleep(0);
    assert.equal(patience.goesOn(now, now), false);
  });
});
