/** The time of who waits at devices. */
import { loadAddon, type TunAddon } from './addon.js';

let made: (() => number) | undefined;

/**
 * Monotonic milliseconds, those of performance.now(): but that leaves a number of 16 octets behind each time, and a pump that
 * waits looks a million times a second, so that garbage would be collected some ten times a second, for 0.3 ms each.
 */
export function deviceClock(): () => number {
  made ??= make();
  return made;
}

function make(): () => number {
  let addon: TunAddon;
  try {
    addon = loadAddon();
  } catch {
    // Without it there are no devices either; who opens one is told why.
    return () => performance.now();
  }
  const time = new Float64Array(1);
  addon.setClock(time);
  const now = performance.now();
  addon.tick();
  const origin = time[0]! - now;
  return () => {
    addon.tick();
    return time[0]! - origin;
  };
}
