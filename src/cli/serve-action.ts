/** What `culvert serve` does: open the state, answer, and wait for a signal. */
import { type ApiFlags, openResources } from './api-flags.js';
import { EXIT } from './exit-codes.js';
import { UsageError } from './failure.js';
import { jsonLog, textLog } from './log.js';

export interface ServeFlags extends ApiFlags {
  readonly config?: string;
  readonly json?: true;
}

/** @returns the exit code */
export async function serve(flags: ServeFlags): Promise<number> {
  const log = flags.json === true ? jsonLog() : textLog();
  const ended = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  const resources = await openResources(flags, flags.config, log);
  if (resources === null) throw new UsageError('--port and --state are needed');
  try {
    await resources.serve();
    await ended;
  } finally {
    await resources.close();
  }
  log.info('stopped');
  return EXIT.ok;
}
