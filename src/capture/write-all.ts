/** Writes to a descriptor until all is written: write(2) may take a part, as where a disk fills up or a pipe's reader is slow. */
import { writeSync } from 'node:fs';
import { systemCode } from './system-code.js';

const RETRY_MS = 5;
const retryCell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Writes `b[from, to)`, all of it, however long that keeps the caller waiting.
 * @throws what fs.writeSync throws, but for EAGAIN and EINTR; a part may be written then
 */
export function writeAll(descriptor: number, b: Uint8Array, from: number, to: number): void {
  for (let at = from; at < to;) {
    try {
      at += writeSync(descriptor, b, at, to - at);
    } catch (error) {
      const system = systemCode(error);
      // Standard output may be a pipe in non-blocking mode, whose reader is slow.
      if (system === 'EAGAIN') Atomics.wait(retryCell, 0, 0, RETRY_MS);
      else if (system !== 'EINTR') throw error;
    }
  }
}
