import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RecordingClock } from '../../../src/replay/clock.js';

const HOUR = 3600;
const START = 1_700_000_000;
const YEAR_2096 = 4_000_000_000;

/** What the clock says after each packet, in milliseconds; the packets' time stamps are seconds. */
function run(...stamps: readonly number[]): number[] {
  const clock = new RecordingClock();
  return stamps.map((s) => clock.update(Math.floor(s), Math.round((s % 1) * 1e9)));
}

/** The clock's rule without its memory of the last millisecond. */
class NaiveClock {
  now = 0;
  confirmed = false;
  private base = NaN;
  private suspect = NaN;

  update(seconds: number, nanoseconds: number): number {
    const stamp = seconds * 1000 + nanoseconds / 1e6;
    if (Number.isNaN(this.base)) this.base = stamp;
    const t = Math.floor(stamp - this.base);
    const far = Math.abs(t - this.now) > HOUR * 1000;
    this.confirmed = false;
    if (!far) {
      this.suspect = NaN;
      this.now = Math.max(this.now, t);
    } else if (Math.abs(t - this.suspect) <= HOUR * 1000) {
      this.suspect = NaN;
      this.confirmed = t > this.now;
      if (t < this.now) this.base += t - this.now;
      else this.now = t;
    } else {
      this.confirmed = this.suspect > this.now && t > this.suspect;
      if (this.confirmed) this.now = this.suspect;
      this.suspect = t;
    }
    return this.now;
  }
}

describe('replay: the recording’s clock', () => {
  it('counts milliseconds from the first packet, rounded down', () => {
    const clock = new RecordingClock();
    assert.equal(clock.update(START, 999_000_000), 0);
    assert.equal(clock.update(START + 1, 0), 1);
    assert.equal(clock.update(START + 1, 1_900_000), 2);
    assert.equal(clock.update(START + 61, 0), 60_001);
  });

  it('stands still while time stamps go back a little, and goes on when they have caught up', () => {
    assert.deepEqual(run(START, START + 10, START + 7, START + 9, START + 11), [0, 10_000, 10_000, 10_000, 11_000]);
  });

  it('leaves out a single stamp that leaps forward', () => {
    assert.deepEqual(run(START, START + 1, YEAR_2096, START + 2, START + 3), [0, 1000, 1000, 2000, 3000]);
  });

  it('leaves out a single stamp that leaps back', () => {
    assert.deepEqual(run(START, START + 1, 0, START + 2, START + 3), [0, 1000, 1000, 2000, 3000]);
  });

  it('takes a leap forward once the next packet confirms it, and says so then only', () => {
    const clock = new RecordingClock();
    const confirmed = [START, START + 2 * HOUR, START + 2 * HOUR + 1, START + 2 * HOUR + 2].map((s) => {
      const now = clock.update(s, 0);
      return [now, clock.confirmed];
    });
    assert.deepEqual(confirmed, [
      [0, false],
      [0, false],
      [7_201_000, true],
      [7_202_000, false],
    ]);
  });

  it('takes a pause of an hour at once, and one of more at the second packet', () => {
    assert.deepEqual(run(START, START + HOUR), [0, 3_600_000]);
    assert.deepEqual(run(START, START + HOUR + 0.001), [0, 0]);
  });

  it('goes on where every pause is longer than an hour, one packet behind', () => {
    assert.deepEqual(run(START, START + 2 * HOUR, START + 4 * HOUR, START + 6 * HOUR), [0, 0, 7_200_000, 14_400_000]);
  });

  it('is not stopped by a corrupt first stamp', () => {
    assert.deepEqual(run(YEAR_2096, START, START + 1, START + 2, START + 3), [0, 0, 0, 1000, 2000]);
    assert.deepEqual(
      run(0, START, START + 1, START + 2).map((ms) => ms / 1000),
      [0, 0, START + 1, START + 2],
    );
  });

  it('follows the pauses of a recording whose first stamp was corrupt', () => {
    const pairs = [0, 1, 2, 3].flatMap((n) => [START + n * 100_000, START + n * 100_000 + 1]);
    assert.deepEqual(run(YEAR_2096, ...pairs).slice(-2), [200_000_000, 300_000_000]);
  });

  it('goes on from where it stands when time went back for good, as in files joined one behind the other', () => {
    assert.deepEqual(run(START + 99_999, START + 100_000, START, START + 1, START + 5), [0, 1000, 1000, 1000, 5000]);
    const clock = new RecordingClock();
    for (const s of [START + 100_000, START, START + 1]) clock.update(s, 0);
    assert.equal(clock.confirmed, false, 'the packet before is not of a later time than the clock’s');
  });

  it('never goes back, whatever the stamps', () => {
    const stamp = fc.oneof(fc.integer({ min: -5, max: 5 }), fc.constantFrom(-9e9, -7200, 7200, 4e9, 2 ** 40));
    fc.assert(
      fc.property(fc.array(fc.tuple(stamp, fc.nat(999_999_999))), (stamps) => {
        const clock = new RecordingClock();
        let before = 0;
        for (const [seconds, nanoseconds] of stamps) {
          const now = clock.update(START + seconds, nanoseconds);
          assert.ok(now >= before && Number.isInteger(now));
          assert.equal(now, clock.now);
          before = now;
        }
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  it('says for stamps within a millisecond what it would say for each by itself', () => {
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: 0, max: 400_000 }) },
      { weight: 2, arbitrary: fc.integer({ min: -3_000_000, max: 3_000_000 }) },
      { weight: 1, arbitrary: fc.constantFrom(HOUR * 2e9, -HOUR * 2e9, 999_999, 1_000_000) },
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999_999 }), fc.array(step, { maxLength: 60 }), (first, steps) => {
        const clock = new RecordingClock();
        const twin = new NaiveClock();
        let [s, ns] = [START, first];
        for (const each of [0, ...steps]) {
          const sum = ns + each;
          s += Math.floor(sum / 1e9);
          ns = ((sum % 1e9) + 1e9) % 1e9;
          assert.equal(clock.update(s, ns), twin.update(s, ns));
          assert.equal(clock.confirmed, twin.confirmed);
        }
      }),
      { numRuns: 300 },
    );
  });
});
