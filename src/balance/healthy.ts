/**
 * A look-up table without the backends that are down. Each entry of theirs has an order of its own in which it asks
 * other entries, and goes to the backend of the first that is up. The order never changes: so what a backend loses by
 * going down is all that moves, and it gets back all of that and no more. Asked are entries a step apart, the step drawn
 * from the entry's place (the table's length is prime), which spreads a share over all other backends; when nearly all
 * are down, the neighbours in turn.
 */
import { mix } from '../flow/hash.js';

/** Entries asked before the neighbours. */
const TRIES = 16;

/**
 * @param table of indexes, as maglevTable makes it
 * @param up 1 for each index whose backend takes new flows; at least one does
 */
export function healthyTable(table: Uint16Array, up: Uint8Array): Uint16Array {
  const { length } = table;
  const healthy = new Uint16Array(length);
  let neighbour = table[table.findIndex((index) => up[index] === 1)]!;
  for (let at = length - 1; at >= 0; at--) {
    if (up[table[at]!] === 1) neighbour = table[at]!;
    healthy[at] = neighbour;
  }
  for (let at = 0; at < length; at++) {
    if (up[table[at]!] === 1) continue;
    const step = 1 + ((mix(at) >>> 0) % (length - 1));
    for (let tries = 0, asked = at; tries < TRIES; tries++) {
      asked = (asked + step) % length;
      if (up[table[asked]!] === 0) continue;
      healthy[at] = table[asked]!;
      break;
    }
  }
  return healthy;
}
