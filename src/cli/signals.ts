/** Ctrl-C and SIGTERM end a long run at the next safe point, where partial outputs are removed. */
import { CulvertError } from '../errors.js';

/** Runs `work` with a signal that is aborted by SIGINT or SIGTERM, the reason being the error to end with. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onInterrupt = (): void => {
    controller.abort(new CulvertError('INTERRUPTED', 'interrupted: the outputs were not written'));
  };
  const onTerminate = (): void => {
    controller.abort(new CulvertError('TERMINATED', 'terminated: the outputs were not written'));
  };
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onTerminate);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onTerminate);
  }
}
