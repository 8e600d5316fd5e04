import assert from 'node:assert/strict';
import fc from 'fast-check';
import { TimerWheel } from '../../../src/flow/timer-wheel.js';

const IDS = 40;
const TICK = 2 ** 5;
const SLOTS = 16;

const wheel = (tickLog2 = 5, slots = SLOTS): TimerWheel =>
  new TimerWheel(tickLog2, slots, new Int32Array(IDS * 3), 3, 0, 1);

const due = (w: TimerWheel, now: number): number[] => {
  const ids: number[] = [];
  for (let id = w.nextDue(now); id >= 0; id = w.nextDue(now)) ids.push(id);
  return ids;
};

describe('TimerWheel', () => {
  it('tells when the next timer fires: neither a millisecond before nor after', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: (SLOTS - 2) * TICK }), { minLength: 1, maxLength: IDS }),
        fc.nat({ max: 2 ** 33 }),
        (delays, begin) => {
          const w = wheel();
          w.start(begin);
          delays.forEach((ms, id) => {
            w.set(id, begin + ms);
          });
          for (let left = delays.length; left > 0;) {
            const at = w.soonestMs;
            assert.deepEqual(due(w, at - 1), []);
            const fired = due(w, at).length;
            assert.ok(fired > 0);
            left -= fired;
          }
          assert.equal(w.soonestMs, Infinity);
        },
      ),
    );
  });

  it('fires what a sorted list would: never early, at most two ticks late, each once', () => {
    const step = fc.record({
      kind: fc.constantFrom('set', 'cancel', 'pass'),
      id: fc.nat({ max: IDS - 1 }),
      // Within the horizon, which a deadline past it is cut to.
      ms: fc.nat({ max: (SLOTS - 2) * TICK }),
      pause: fc.oneof(fc.nat({ max: 3 * TICK }), fc.nat({ max: 4 * SLOTS * TICK }), fc.nat({ max: 1_000_000_000 })),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.nat({ max: 2 ** 33 }), (steps, begin) => {
        const w = wheel();
        let now = begin;
        w.start(now);
        const deadlines = new Map<number, number>();
        for (const { kind, id, ms, pause } of steps) {
          if (kind === 'set' && !deadlines.has(id)) {
            w.set(id, now + ms);
            deadlines.set(id, now + ms);
          } else if (kind === 'cancel' && deadlines.has(id)) {
            w.cancel(id);
            deadlines.delete(id);
          } else if (kind === 'pass') {
            now += pause;
            for (const fired of due(w, now)) {
              const at = deadlines.get(fired);
              assert.ok(at !== undefined, `${fired} fired, which was not set`);
              assert.ok(at <= now, `${fired} fired ${at - now} ms early`);
              deadlines.delete(fired);
            }
            for (const [late, at] of deadlines) {
              assert.ok(now - at < 2 * TICK, `${late} is ${now - at} ms late`);
            }
          }
          assert.equal(w.count, deadlines.size);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('fires in the order of ticks', () => {
    const w = wheel();
    w.start(1000);
    [300, 100, 200, 400, 250].forEach((ms, id) => {
      w.set(id, 1000 + ms);
    });
    assert.deepEqual(due(w, 2000), [1, 2, 4, 0, 3]);
  });

  it('fires at the horizon what is due later', () => {
    const w = wheel();
    w.start(0);
    w.set(3, 1_000_000);
    assert.deepEqual(due(w, (SLOTS - 2) * TICK), []);
    assert.deepEqual(due(w, (SLOTS - 1) * TICK), [3]);
  });

  it('fires what is overdue when it is set in the next tick', () => {
    const w = wheel();
    w.start(0);
    w.set(1, 0);
    due(w, 10_000);
    w.set(2, 5);
    assert.deepEqual(due(w, 10_000 + TICK), [2]);
  });

  it('finds everything after a silence of many turns, and goes on from now', () => {
    const w = wheel();
    w.start(0);
    for (let id = 0; id < 15; id++) w.set(id, id * TICK);
    assert.equal(due(w, 1e9).length, 15);
    w.set(20, 1e9 + 3 * TICK);
    assert.deepEqual(due(w, 1e9 + 2 * TICK), []);
    assert.deepEqual(due(w, 1e9 + 5 * TICK), [20]);
  });

  it('goes on where it stopped when the caller’s budget is spent', () => {
    const w = wheel();
    w.start(0);
    for (let id = 0; id < 10; id++) w.set(id, 10);
    const first = [w.nextDue(500), w.nextDue(500)];
    const rest = due(w, 500);
    assert.deepEqual(
      [...first, ...rest].sort((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    );
    assert.equal(w.count, 0);
  });

  it('takes out the first, the middle and the last of a slot', () => {
    for (const gone of [0, 1, 2]) {
      const w = wheel();
      w.start(0);
      for (const id of [0, 1, 2]) w.set(id, 10);
      w.cancel(gone);
      assert.deepEqual(
        due(w, 1000).sort((a, b) => a - b),
        [0, 1, 2].filter((id) => id !== gone),
      );
    }
  });

  it('keeps its time while it holds timers, though told to start anew', () => {
    const w = wheel();
    w.start(0);
    w.set(1, 100);
    w.start(1_000_000);
    assert.deepEqual(due(w, 4 * TICK), [1]);
  });
});
