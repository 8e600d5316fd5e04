/** What `culvert up` does: start, and wait for a signal or a failure. */
import type { CulvertError } from '../errors.js';
import type { ApiFlags, ManagedResources } from './api-flags.js';
import { openResources } from './api-flags.js';
import { Gateway } from '../gateway/gateway.js';
import { LabWatcher, markOf } from '../gateway/lab-watcher.js';
import type { Log } from '../gateway/log.js';
import { EXIT } from './exit-codes.js';
import { report, UsageError } from './failure.js';
import { jsonLog, textLog } from './log.js';

export interface UpFlags extends ApiFlags {
  readonly json?: true;
  readonly runDir?: string;
}

/** @returns the exit code */
export async function up(lab: string, flags: UpFlags): Promise<number> {
  if (lab === '-') throw new UsageError('the lab of a gateway is a file: it is read again when it changes');
  const log = flags.json === true ? jsonLog() : textLog();
  let end: (failure: CulvertError | null) => void = () => undefined;
  const ended = new Promise<CulvertError | null>((resolve) => {
    end = resolve;
  });
  // Before the start: a signal that comes meanwhile must not leave half of it behind.
  const onSignal = (): void => end(null);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  // Unheard it would end the process; one that comes while the gateway starts is for after the start.
  const early = { hangUp: false };
  let onHangUp = (): void => {
    early.hangUp = true;
  };
  process.on('SIGHUP', () => onHangUp());
  const read = markOf(lab);
  const managed = await openResources(flags, lab, log);
  const gateway = await startGateway(lab, flags, managed?.log ?? log, managed, (error) => end(error));
  const onFault = (error: unknown): void => {
    // Whatever broke, what was made on the machine must go.
    void gateway.stop().finally(() => process.exit(report(error)));
  };
  onHangUp = (): void => {
    if (managed === null) gateway.reload();
    else log.warn('the resources are those of the state; the lab file is read at the next start');
  };
  process.on('uncaughtException', onFault);
  process.on('unhandledRejection', onFault);
  if (early.hangUp) onHangUp();
  let failure: CulvertError | null;
  try {
    if (managed === null) failure = await followLab(lab, read, log, gateway, ended);
    else {
      await managed.serve(gateway);
      failure = await ended;
    }
  } finally {
    onHangUp = () => undefined;
    await managed?.close();
    await gateway.stop();
  }
  return failure === null ? EXIT.ok : report(failure);
}

async function startGateway(
  lab: string,
  flags: UpFlags,
  log: Log,
  managed: ManagedResources | null,
  onFailure: (error: CulvertError) => void,
): Promise<Gateway> {
  try {
    return await Gateway.start({
      lab,
      log,
      onFailure,
      ...(managed === null ? {} : { resources: managed.lab() }),
      ...(flags.runDir === undefined ? {} : { runDirectory: flags.runDir }),
    });
  } catch (error) {
    await managed?.close();
    throw error;
  }
}

/** The lab file is what counts: each change of it is taken. @param read its mark before the gateway read it */
async function followLab(
  lab: string,
  read: string,
  log: Log,
  gateway: Gateway,
  ended: Promise<CulvertError | null>,
): Promise<CulvertError | null> {
  const watcher = watchLab(lab, read, log, () => gateway.reload());
  try {
    return await ended;
  } finally {
    watcher?.close();
  }
}

function watchLab(lab: string, read: string, log: Log, onChange: () => void): LabWatcher | null {
  try {
    return new LabWatcher(lab, onChange, read);
  } catch (error) {
    log.warn(`the lab file cannot be watched (${(error as Error).message}); SIGHUP still takes it again`);
    return null;
  }
}
