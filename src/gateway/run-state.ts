/**
 * The record of what a running gateway has made, so that the next start can clean up after one that was killed.
 *
 * Theory of operation. The file says what may exist: a name is written down before the thing is made and struck out
 * after it is gone, so a crash at any moment leaves a record of at least what there is. Interfaces need no clean-up:
 * the kernel removes them with the process that holds them. The file is made with link(2), which never replaces one,
 * so that of two gateways of one lab one loses; a process is known by its number and its start time together, since
 * numbers come back.
 */
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { CulvertError } from '../errors.js';
import { isSameProcess, startTimeOf } from './process.js';

export interface RunRecord {
  readonly pid: number;
  /** Of the process, in the kernel's ticks since boot (proc(5), stat, field 22). */
  readonly startTime: string;
  /** The lab file, absolute. */
  readonly lab: string;
  /** Of `culvert lab`: the folder that was made for it and goes with it. Null: the lab file is the user's. */
  readonly folder: string | null;
  /** The control socket; null until it is known. */
  readonly socket: string | null;
  /** Network namespaces that the gateway made. */
  readonly namespaces: readonly string[];
}

/**
 * Where gateways keep their records and sockets: `/run/culvert` for root, else below XDG_RUNTIME_DIR.
 * @throws CulvertError GATEWAY_NO_RUN_DIRECTORY
 */
export function runDirectory(): string {
  if (process.geteuid?.() === 0) return '/run/culvert';
  const user = process.env['XDG_RUNTIME_DIR'];
  if (user !== undefined && user !== '') return path.join(user, 'culvert');
  throw new CulvertError(
    'GATEWAY_NO_RUN_DIRECTORY',
    'not root, and XDG_RUNTIME_DIR is not set: there is no place for the state of a gateway',
  );
}

/** A lab is known by its file's name without folder and ending. */
export const labName = (file: string): string => path.basename(file).replace(/\.(ya?ml|json)$/i, '');

const recordFile = (directory: string, name: string): string => path.join(directory, `${name}.json`);

/** Removes the folder of records if none is left in it. */
export function removeIfUnused(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Others are running, or it is not ours to remove.
  }
}

export class RunState {
  readonly directory: string;
  readonly name: string;
  /** What a run that was killed left, as far as it has not been removed. */
  readonly leftNamespaces: readonly string[];
  private record: RunRecord;

  private constructor(directory: string, name: string, record: RunRecord, left: readonly string[]) {
    this.directory = directory;
    this.name = name;
    this.record = record;
    this.leftNamespaces = left;
  }

  /**
   * Takes the lab for this process.
   * @throws CulvertError GATEWAY_ALREADY_RUNNING, GATEWAY_STATE_NOT_WRITABLE
   */
  static claim(directory: string, name: string, lab: string, folder: string | null = null): RunState {
    const file = recordFile(directory, name);
    try {
      for (let tries = 0; ; tries++) {
        mkdirSync(directory, { recursive: true, mode: 0o700 });
        const before = readRecord(directory, name);
        if (before !== null && isSameProcess(before)) {
          throw new CulvertError(
            'GATEWAY_ALREADY_RUNNING',
            `a gateway of lab '${name}' is running already, process ${before.pid} with ${before.lab}: ` +
              `end it, or give the other lab file another name`,
          );
        }
        // What the last run left stays on record until it is gone.
        const record: RunRecord = {
          pid: process.pid,
          startTime: startTimeOf(process.pid) ?? '',
          lab,
          folder,
          socket: before?.socket ?? null,
          namespaces: before?.namespaces ?? [],
        };
        const temporary = temporaryFile(file);
        writeRecord(temporary, record);
        try {
          if (existsSync(file) && !takeAside(directory, name)) continue;
          linkSync(temporary, file);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || tries > 2) throw error;
          continue; // another start was quicker: look at it
        } finally {
          rmSync(temporary, { force: true });
        }
        if (before?.socket !== null && before?.socket !== undefined) rmSync(before.socket, { force: true });
        return new RunState(directory, name, record, before?.namespaces ?? []);
      }
    } catch (error) {
      if (error instanceof CulvertError) throw error;
      throw new CulvertError(
        'GATEWAY_STATE_NOT_WRITABLE',
        `${file}: ${(error as Error).message}`,
        {},
        { cause: error },
      );
    }
  }

  get namespaces(): readonly string[] {
    return this.record.namespaces;
  }

  get defaultSocket(): string {
    return path.join(this.directory, `${this.name}.sock`);
  }

  addNamespace(name: string): void {
    if (!this.record.namespaces.includes(name)) this.update({ namespaces: [...this.record.namespaces, name] });
  }

  removeNamespace(name: string): void {
    this.update({ namespaces: this.record.namespaces.filter((each) => each !== name) });
  }

  setSocket(socket: string): void {
    this.update({ socket });
  }

  /** Everything is gone: so is the record, and the folder if no other gateway has one in it. */
  release(): void {
    // What could not be removed stays on record for the next start.
    if (this.record.namespaces.length > 0) return;
    rmSync(recordFile(this.directory, this.name), { force: true });
    removeIfUnused(this.directory);
  }

  private update(change: Partial<RunRecord>): void {
    this.record = { ...this.record, ...change };
    const file = recordFile(this.directory, this.name);
    const temporary = temporaryFile(file);
    writeRecord(temporary, this.record);
    renameSync(temporary, file);
  }
}

/**
 * Takes the record of a dead run out of the way. Between our look at it and now another start may have put its own in
 * its place: that one goes back.
 */
function takeAside(directory: string, name: string): boolean {
  const file = recordFile(directory, name);
  const aside = `${name}.${process.pid}.old`;
  renameSync(file, recordFile(directory, aside));
  try {
    const record = readRecord(directory, aside);
    if (record === null || !isSameProcess(record)) return true;
    linkSync(recordFile(directory, aside), file);
    return false;
  } finally {
    rmSync(recordFile(directory, aside), { force: true });
  }
}

const temporaryFile = (file: string): string => `${file}.${process.pid}.new`;

function writeRecord(file: string, record: RunRecord): void {
  writeFileSync(file, `${JSON.stringify(record)}\n`, { mode: 0o600, flush: true });
}

/** The record of a lab, or null if there is none that can be read. */
export function readRecord(directory: string, name: string): RunRecord | null {
  try {
    const value = JSON.parse(readFileSync(recordFile(directory, name), 'utf8')) as Partial<RunRecord>;
    if (typeof value.pid !== 'number' || !Array.isArray(value.namespaces)) return null;
    return {
      pid: value.pid,
      startTime: value.startTime ?? '',
      lab: value.lab ?? '',
      folder: value.folder ?? null,
      socket: value.socket ?? null,
      namespaces: value.namespaces.filter((each) => typeof each === 'string'),
    };
  } catch {
    return null;
  }
}

/** The labs whose gateway runs. */
export function runningLabs(directory: string): { name: string; record: RunRecord }[] {
  let files: string[];
  try {
    files = readdirSync(directory);
  } catch {
    return [];
  }
  return files.flatMap((file) => {
    if (!file.endsWith('.json')) return [];
    const name = file.slice(0, -'.json'.length);
    const record = readRecord(directory, name);
    return record !== null && isSameProcess(record) ? [{ name, record }] : [];
  });
}
