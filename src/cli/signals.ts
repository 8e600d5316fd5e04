/** Ctrl-C and SIGTERM end a run in order: partial outputs are removed, then the process ends by that signal. */
import { CulvertError } from '../errors.js';
import { EXIT } from './exit-codes.js';

/** Runs `work` with a signal that is aborted by SIGINT, SIGTERM or a closed terminal (SIGHUP), the reason being the error to end with. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onInterrupt = (): void => {
    controller.abort(new CulvertError('INTERRUPTED', 'interrupted: outputs that were not whole are removed'));
  };
  const onTerminate = (): void => {
    controller.abort(new CulvertError('TERMINATED', 'terminated: outputs that were not whole are removed'));
  };
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onTerminate);
  process.once('SIGHUP', onTerminate);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onTerminate);
    process.off('SIGHUP', onTerminate);
  }
}

/**
 * Ends the process by the signal that interrupted it, as a shell expects of what it runs (it shows 130 or 143); with any
 * other code does nothing. An exit would wait for reads that are blocked, as that of an idle FIFO is.
 */
export function endBySignal(exitCode: number): void {
  if (exitCode !== EXIT.interrupted && exitCode !== EXIT.terminated) return;
  process.kill(process.pid, exitCode === EXIT.interrupted ? 'SIGINT' : 'SIGTERM');
  // Process 1 of a container outlives a signal that it does not handle.
  process.exit(exitCode);
}
