/**
 * A child of bench/check.ts: does a slice of a row's work when told, and answers with the processor time that it took.
 * The same file is bundled with each tree's own src.
 */
import { BURST, type Work, WORKS } from './works.js';

const made = new Map<string, Work>();

process.on('message', ({ row, bursts }: { row: string; bursts: number }) => {
  let work = made.get(row);
  if (work === undefined) {
    // One at a time: the tables of the last one must not lie in the processor's caches, nor in memory.
    made.clear();
    work = WORKS[row]!();
    made.set(row, work);
  }
  const before = process.cpuUsage();
  work(bursts);
  const { user, system } = process.cpuUsage(before);
  process.send!({ nsPerPacket: ((user + system) * 1000) / (bursts * BURST) });
});
