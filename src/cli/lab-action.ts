/** What `culvert lab run`, `up` and `down` do. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { CulvertError } from '../errors.js';
import type { Log } from '../gateway/log.js';
import { removeIfUnused, runDirectory } from '../gateway/run-state.js';
import { Lab, refuseRunning, removeLab } from '../lab/lab.js';
import { runLab } from '../lab/run.js';
import { namesOf } from '../lab/topology.js';
import { EXIT } from './exit-codes.js';
import { labReportText, labUsage } from './lab-text.js';
import { textLog } from './log.js';
import { print, printReport, tell } from './print.js';
import { interruptible } from './signals.js';

export interface LabFlags {
  readonly name: string;
  readonly runDir?: string;
  readonly json?: true;
  readonly foreground?: true;
}

const place = ({ runDir }: LabFlags): { runDirectory?: string } =>
  runDir === undefined ? {} : { runDirectory: runDir };

/** Of the gateway inside the lab only what is wrong. */
function quietLog(): Log {
  const log = textLog();
  return { ...log, info: () => undefined };
}

export async function labRun(flags: LabFlags): Promise<number> {
  const onStep = (step: string): void => {
    tell(`${step}\n`);
  };
  const report = await interruptible((signal) =>
    runLab({ name: flags.name, log: quietLog(), ...place(flags) }, signal, onStep),
  );
  printReport(flags.json === true ? `${JSON.stringify(report, null, 2)}\n` : labReportText(report));
  return report.failed === 0 ? EXIT.ok : EXIT.checkFailed;
}

const downCommand = ({ name, runDir }: LabFlags): string =>
  [
    'culvert lab down',
    ...(name === 'lab' ? [] : ['--name', name]),
    ...(runDir === undefined ? [] : ['--run-dir', runDir]),
  ].join(' ');

export async function labUp(flags: LabFlags): Promise<number> {
  if (flags.foreground !== true) return startInBackground(flags);
  const failed = new AbortController();
  const left = starterLeft();
  await interruptible(async (signal) => {
    const onFailure = (error: CulvertError): void => failed.abort(error);
    const lab = await Lab.start({ name: flags.name, log: textLog(), onFailure, ...place(flags) });
    const ends = AbortSignal.any([signal, failed.signal, left]);
    const ended = new Promise<void>((resolve) => {
      if (ends.aborted) resolve();
      else ends.addEventListener('abort', () => resolve(), { once: true });
    });
    try {
      const serving = lab.serve();
      await Promise.race([serving, ended]);
      serving.catch(() => undefined);
      if (!ends.aborted) tellReady(flags, lab);
      await ended;
    } finally {
      await lab.stop();
    }
    for (const { aborted, reason } of [failed.signal, left]) if (aborted) throw reason;
  });
  return EXIT.ok;
}

/** Aborted when the command that started this lab in the background ends before the lab is up, as by Ctrl-C. */
function starterLeft(): AbortSignal {
  const controller = new AbortController();
  process.once('disconnect', () => {
    controller.abort(new CulvertError('INTERRUPTED', 'the command that started the lab was ended: so is the lab'));
  });
  process.channel?.unref(); // a lab that cannot start ends
  return controller.signal;
}

/** On a terminal how to use it; in the background, that it is there. */
function tellReady(flags: LabFlags, { names }: Lab): void {
  if (process.send === undefined) {
    print(labUsage(names, downCommand(flags)));
    return;
  }
  process.send('ready', (error: Error | null) => {
    if (error !== null) return; // the starter left: `disconnect` comes
    process.removeAllListeners('disconnect');
    process.disconnect();
  });
}

async function startInBackground(flags: LabFlags): Promise<number> {
  const { name, runDir } = flags;
  const names = namesOf(name);
  const directory = runDir ?? runDirectory();
  refuseRunning(name, directory); // its log must stay as it is
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const logFile = path.join(directory, `${names.gateway}.log`);
  const log = openSync(logFile, 'w', 0o600);
  const more = runDir === undefined ? [] : ['--run-dir', runDir];
  const child = spawn(process.execPath, [process.argv[1]!, 'lab', 'up', '--foreground', '--name', name, ...more], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('message', () => resolve(null));
    child.once('exit', (status) => resolve(status ?? EXIT.internal));
  });
  if (code !== null) {
    tell(readFileSync(logFile, 'utf8'));
    rmSync(logFile);
    return code;
  }
  child.disconnect();
  child.unref();
  print(`${labUsage(names, downCommand(flags))}its log is ${logFile}\n`);
  return EXIT.ok;
}

export async function labDown(flags: LabFlags): Promise<number> {
  const directory = flags.runDir ?? runDirectory();
  const there = await removeLab(flags.name, directory);
  // Last: only now is the name known to be one, and the lab to be gone.
  rmSync(path.join(directory, `${namesOf(flags.name).gateway}.log`), { force: true });
  removeIfUnused(directory);
  if (there) return EXIT.ok;
  throw new CulvertError('LAB_NOT_RUNNING', `there is no lab '${flags.name}': culvert lab up`);
}
