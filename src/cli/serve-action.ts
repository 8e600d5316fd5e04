/** What `culvert serve` does: open the state, answer, and wait for a signal. */
import { ResourceManager } from '../control/manager.js';
import { Store } from '../control/store.js';
import { defaultBase } from '../control/lab.js';
import { seed } from '../control/seed.js';
import { loadLab } from '../config/index.js';
import { type ApiFlags, openApi } from './api-flags.js';
import { EXIT } from './exit-codes.js';
import { UsageError } from './failure.js';
import { jsonLog, textLog } from './log.js';

export interface ServeFlags extends ApiFlags {
  readonly config?: string;
  readonly json?: true;
}

/** @returns the exit code */
export async function serve(flags: ServeFlags): Promise<number> {
  if (flags.port === undefined || flags.state === undefined) throw new UsageError('--port and --state are needed');
  const log = flags.json === true ? jsonLog() : textLog(process.stderr);
  const lab = flags.config === undefined ? undefined : loadLab(flags.config);
  const store = Store.open(flags.state);
  let manager: ResourceManager | null = null;
  try {
    manager = new ResourceManager({ store, base: lab ?? defaultBase() });
    if (lab !== undefined) await seed(manager, lab, log);
    const server = await openApi(flags, manager, log);
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
    });
    await server.close();
  } finally {
    await (manager ?? store).close();
  }
  log.info('stopped');
  return EXIT.ok;
}
