/**
 * What the command prints: whole texts, written at once. Node's own stream for a file takes a short write, as that before
 * the one that finds the disk full, for the whole, and says nothing; and making it takes a tenth of a short replay's time.
 * Logs of what runs on (log.ts) and what is drawn on a terminal go through the streams.
 */
import { fstatSync } from 'node:fs';
import { systemCode } from '../capture/system-code.js';
import { writeAll } from '../capture/write-all.js';
import { CulvertError } from '../errors.js';

export const STDOUT = 1;
export const STDERR = 2;
type Descriptor = typeof STDOUT | typeof STDERR;

/**
 * Prints a result, all of it.
 * @throws CulvertError CAPTURE_PIPE_CLOSED when whoever read it has gone; CAPTURE_WRITE_FAILED
 */
export function print(text: string, descriptor: Descriptor = STDOUT): void {
  const octets = Buffer.from(text);
  try {
    writeAll(descriptor, octets, 0, octets.length);
  } catch (error) {
    const code = systemCode(error) === 'EPIPE' ? 'CAPTURE_PIPE_CLOSED' : 'CAPTURE_WRITE_FAILED';
    const name = descriptor === STDOUT ? 'standard output' : 'standard error';
    throw new CulvertError(code, `${name}: ${(error as Error).message}`, {}, { cause: error });
  }
}

/**
 * Prints a report of what is done: the exit code that tells how it went stands, though nobody reads the report to its end.
 * @throws CulvertError CAPTURE_WRITE_FAILED
 */
export function printReport(text: string, descriptor: Descriptor = STDOUT): void {
  try {
    print(text, descriptor);
  } catch (error) {
    if (!(error instanceof CulvertError) || error.code !== 'CAPTURE_PIPE_CLOSED') throw error;
  }
}

/** Says something on standard error; where that cannot be written to there is nowhere else to say it. */
export function tell(text: string): void {
  try {
    print(text, STDERR);
  } catch {
    // The exit code is what is left.
  }
}

/** Whether a stream is a terminal; Node's own answer costs its stream, for a file or a pipe in vain. */
export function isTerminal(stream: 'stdout' | 'stderr'): boolean {
  try {
    return fstatSync(stream === 'stdout' ? STDOUT : STDERR).isCharacterDevice() && process[stream].isTTY;
  } catch {
    return false;
  }
}
