/**
 * Waiting for what comes in its own time. On a machine with much else to do that may be seconds late, so the wait is
 * long, and ends as soon as it can.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds; less than a test may take, so that it fails with what did not come. */
export const PATIENCE_MS = 60_000;

/** @returns the first answer of `look` that is not false, null or undefined; @param what did not come, if none does */
export async function until<T>(
  what: string | (() => string),
  look: () => T | Promise<T>,
  everyMs = 10,
): Promise<Exclude<T, false | null | undefined>> {
  // Of no clock that a test stops.
  for (const end = process.uptime() + PATIENCE_MS / 1000; ;) {
    const late = process.uptime() > end;
    const seen = await look();
    if (seen !== false && seen !== null && seen !== undefined) return seen as Exclude<T, false | null | undefined>;
    if (late) assert.fail(`it did not come in ${PATIENCE_MS / 1000} s: ${typeof what === 'string' ? what : what()}`);
    await sleep(everyMs);
  }
}

/**
 * What an idle second of something costs, by `milliseconds`, which counts up: that of the quietest of three, or of up to
 * thirty where none was below the limit yet. Whatever polls does so in each; a collector that cleans up, or a
 * machine that was busy elsewhere, does not.
 */
export async function quietestSecond(milliseconds: () => number, limit: number): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < 3 || (i < 30 && least >= limit); i++) {
    const before = milliseconds();
    await sleep(1000);
    least = Math.min(least, milliseconds() - before);
  }
  return least;
}
