/** What `culvert up` does: start, and wait for a signal or a failure. */
import type { CulvertError } from '../errors.js';
import { Gateway } from '../gateway/gateway.js';
import { LabWatcher } from '../gateway/lab-watcher.js';
import type { Log } from '../gateway/log.js';
import { EXIT } from './exit-codes.js';
import { report, UsageError } from './failure.js';
import { jsonLog, textLog } from './log.js';

export interface UpFlags {
  readonly json?: true;
  readonly runDir?: string;
}

/** @returns the exit code */
export async function up(lab: string, flags: UpFlags): Promise<number> {
  if (lab === '-') throw new UsageError('the lab of a gateway is a file: it is read again when it changes');
  const log = flags.json === true ? jsonLog() : textLog(process.stderr);
  let end: (failure: CulvertError | null) => void = () => undefined;
  const ended = new Promise<CulvertError | null>((resolve) => {
    end = resolve;
  });
  // Before the start: a signal that comes meanwhile must not leave half of it behind.
  const onSignal = (): void => end(null);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  const gateway = await Gateway.start({
    lab,
    log,
    onFailure: (error) => end(error),
    ...(flags.runDir === undefined ? {} : { runDirectory: flags.runDir }),
  });
  const onFault = (error: unknown): void => {
    // Whatever broke, what was made on the machine must go.
    void gateway.stop().finally(() => process.exit(report(error)));
  };
  process.on('uncaughtException', onFault);
  process.on('unhandledRejection', onFault);
  const watcher = watchLab(lab, log, () => gateway.reload());
  const onHangUp = (): void => {
    gateway.reload();
  };
  process.on('SIGHUP', onHangUp);
  const failure = await ended;
  process.off('SIGHUP', onHangUp);
  watcher?.close();
  await gateway.stop();
  return failure === null ? EXIT.ok : report(failure);
}

function watchLab(lab: string, log: Log, onChange: () => void): LabWatcher | null {
  try {
    return new LabWatcher(lab, onChange);
  } catch (error) {
    log.warn(`the lab file cannot be watched (${(error as Error).message}); SIGHUP still takes it again`);
    return null;
  }
}
