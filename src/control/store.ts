/**
 * The documents on disk: one LMDB file, which one process holds at a time.
 *
 * Theory of operation. A change is one transaction: LMDB writes new pages beside the old ones and then moves its root,
 * so that a process killed at any moment leaves the state before the change or after it. `write` answers when the
 * commit is on the disk (fdatasync), and only then is a client told that its change was made. The file says by what
 * schema it was written; an older one is migrated when it is opened, in one transaction too. What the audit log says of a
 * change is written with it, and goes from here with the first change after the log's file has it.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type Database, open, type RootDatabase } from 'lmdb';
import { CulvertError } from '../errors.js';
import { isSameProcess, startTimeOf } from '../gateway/process.js';
import type { ArmDocument, Change } from '../service/arm/documents.js';
import { keyOf } from '../service/arm/resource-id.js';
import type { AuditEntry } from './audit-entry.js';
import type { AuditLine } from './audit.js';

/** From schema n to n + 1: a document as it was to what it is now. */
export type Migration = (document: ArmDocument) => ArmDocument;

/** None so far: the first schema is the current one. */
const MIGRATIONS: readonly Migration[] = [];
const FIRST_SCHEMA = 1;

/** LMDB takes keys of 1978 octets, with what it adds to a text. */
const MAX_KEY_OCTETS = 1900;

interface Owner {
  readonly pid: number;
  readonly startTime: string;
}

type Meta = number | Owner;

/** Of a commit that failed; the reason comes apart, and must be taken: one that nobody takes ends the process. */
interface CommitError {
  readonly commitError?: Promise<never>;
}

const failed = (code: string, message: string, cause?: unknown): CulvertError =>
  new CulvertError(code, message, {}, { cause });

const notWritten = (file: string, why: string, cause: unknown): CulvertError =>
  failed('STATE_NOT_WRITTEN', `${file} cannot be written: ${why}; see that its disk has space and works`, cause);

/** Of an LMDB file: where the first page's magic number is, what it is, and where the pages' size is (mdb.c, MDB_meta). */
const MAGIC_AT = 0x18;
const MAGIC = 0xbeefc0de;
const PAGE_SIZE_AT = 0x30;
/** Where a root page is told to have the tree of all databases, from its page's start. */
const ROOT_AT = 0x88;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

/** LMDB maps what it is given into memory and trusts it: another kind of file would bring the process down. */
function checkForm(file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isFile()) throw new Error('it is no file');
  if (stat.size === 0) return;
  const head = Buffer.alloc(1 << 17);
  const descriptor = openSync(file, 'r');
  try {
    readSync(descriptor, head, 0, head.length, 0);
  } finally {
    closeSync(descriptor);
  }
  const page = head.readUInt32LE(PAGE_SIZE_AT);
  const isState =
    head.readUInt32LE(MAGIC_AT) === MAGIC && page <= 1 << 16 && head.readUInt32LE(page + MAGIC_AT) === MAGIC;
  if (!isState) throw new Error('it is another kind of file');
  for (const root of [head.readBigUInt64LE(ROOT_AT), head.readBigUInt64LE(page + ROOT_AT)]) {
    if (root !== NO_PAGE && Number(root + 1n) * page > stat.size) throw new Error('its end is missing');
  }
}

/**
 * Takes the lock of an open file (flock(2)), which the kernel holds for us until the file is closed or we are gone; flock(1)
 * takes it on the descriptor that it shares with us. A process's number would not do: containers with one file between
 * them have numbers of their own.
 * @returns whether it was free; null: there is no flock command
 */
function lock(descriptor: number): boolean | null {
  const { status, error } = spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', descriptor] });
  return error === undefined ? status === 0 : null;
}

export class Store {
  private readonly root: RootDatabase;
  private readonly meta: Database<Meta, string>;
  private readonly documents: Database<string, string>;
  /** Lines of the audit log by number, until its file has them. */
  private readonly audit: Database<string, number>;
  /** Number of the audit log's last line that is in the state or was. */
  private lastLine: number;
  /** Number of the last line that the log's file has. */
  private lastLogged: number;

  private readonly file: string;
  /** Of the file, for its lock. */
  private readonly descriptor: number;

  private constructor(root: RootDatabase, file: string) {
    this.root = root;
    this.file = file;
    this.descriptor = openSync(file, 'r+');
    this.meta = root.openDB<Meta, string>('meta', { encoding: 'json' });
    this.documents = root.openDB<string, string>('documents', { encoding: 'string' });
    this.audit = root.openDB<string, number>('audit', { encoding: 'string' });
    this.lastLogged = (this.meta.get('logged') as number | undefined) ?? 0;
    // Lines of a state that was restored lie behind what the file has been at.
    this.lastLine = Math.max([...this.audit.getKeys({ reverse: true, limit: 1 })][0] ?? 0, this.lastLogged);
  }

  /**
   * Opens the file, or makes it, with its folder.
   * @throws CulvertError STATE_UNREADABLE, STATE_NEWER, STATE_IN_USE, STATE_NOT_WRITTEN
   */
  static open(file: string, migrations: readonly Migration[] = MIGRATIONS): Store {
    let store: Store;
    try {
      checkForm(file);
      mkdirSync(path.dirname(path.resolve(file)), { recursive: true, mode: 0o700 });
      // A commit answers when it is on the disk: no overlapping of commits and synchronisation.
      const options = { path: file, noSubdir: true, overlappingSync: false, permissionsMode: 0o600, maxDbs: 4 };
      // Gathering changes of one turn makes a promise of its own, which nobody could take when a commit fails.
      store = new Store(open({ ...options, eventTurnBatching: false }), file);
    } catch (error) {
      const why = (error as Error).message;
      throw failed('STATE_UNREADABLE', `${file} cannot be opened as a state file: ${why}; name another file`, error);
    }
    try {
      store.take(file);
      store.migrate(file, migrations);
      return store;
    } catch (error) {
      void store.root.close();
      closeSync(store.descriptor);
      if (error instanceof CulvertError) throw error;
      const { code, message } = error as { code?: unknown; message: string };
      // LMDB's own codes are below 0; these are the system's.
      if (typeof code === 'number' && code > 0) throw notWritten(file, message, error);
      throw failed('STATE_UNREADABLE', `${file} is damaged: ${message}; restore it from a copy`, error);
    }
  }

  /** Two processes with one state would each not know what the other does. */
  private take(file: string): void {
    const me: Owner = { pid: process.pid, startTime: startTimeOf(process.pid) ?? '' };
    const isFree = lock(this.descriptor);
    this.root.transactionSync(() => {
      const owner = this.meta.get('owner') as Owner | undefined;
      const isMine = owner?.pid === me.pid && owner.startTime === me.startTime;
      const isTaken = isFree === null ? owner !== undefined && !isMine && isSameProcess(owner) : !isFree;
      if (isTaken) {
        const who =
          owner === undefined || isMine ? 'already' : `by process ${String(owner.pid)}, here or in a container`;
        throw failed('STATE_IN_USE', `${file} is in use ${who}: end it, or name another state file`);
      }
      void this.meta.put('owner', me);
    });
  }

  private migrate(file: string, migrations: readonly Migration[]): void {
    const current = FIRST_SCHEMA + migrations.length;
    const found = (this.meta.get('schema') as number | undefined) ?? current;
    if (found > current) {
      const what = `${file} was written by a newer version (schema ${String(found)}, this one knows ${String(current)})`;
      throw failed('STATE_NEWER', `${what}: use that version, or name another state file`);
    }
    const steps = migrations.slice(found - FIRST_SCHEMA);
    const migrated = [...this.all()].map(([key, document]): [string, string] => [
      key,
      JSON.stringify(steps.reduce((each, step) => step(each), document)),
    ]);
    this.root.transactionSync(() => {
      if (steps.length > 0) for (const [key, text] of migrated) void this.documents.put(key, text);
      void this.meta.put('schema', current);
    });
  }

  /** All documents, in the order of their keys. */
  all(): Map<string, ArmDocument> {
    return new Map([...this.documents.getRange()].map(({ key, value }) => [key, JSON.parse(value) as ArmDocument]));
  }

  /**
   * Makes a change last: all of it, and on the disk when the promise is fulfilled.
   * @param entries of the change, which are as lasting; the log's file gets them afterwards, see {@link unlogged}
   * @throws CulvertError STATE_KEY_TOO_LONG, STATE_NOT_WRITTEN: the disk is full or broken, and nothing was changed
   */
  async write(change: Change, entries: readonly AuditEntry[] = []): Promise<void> {
    // Encoded beforehand: an error inside would leave what came before it in the transaction.
    const texts = change.put.map((document): [string, string] => [keyOf(document.id), JSON.stringify(document)]);
    for (const [key] of texts) {
      if (Buffer.byteLength(key) <= MAX_KEY_OCTETS) continue;
      const what = `the id '${key.slice(0, 100)}...' has more than ${String(MAX_KEY_OCTETS)} octets: choose shorter names`;
      throw failed('STATE_KEY_TOO_LONG', what);
    }
    const logged = [...this.audit.getKeys({ end: this.lastLogged + 1 })];
    const lines = entries.map((entry, index) => {
      const number = this.lastLine + 1 + index;
      return { number, text: JSON.stringify({ number, ...entry }) };
    });
    try {
      // Of the two kinds of transactions this is the one that an error undoes.
      await this.root.childTransaction(() => {
        for (const key of change.remove) void this.documents.remove(key);
        for (const [key, text] of texts) void this.documents.put(key, text);
        for (const number of logged) void this.audit.remove(number);
        for (const { number, text } of lines) void this.audit.put(number, text);
        void this.meta.put('logged', this.lastLogged);
      });
      this.lastLine += lines.length;
    } catch (error) {
      const { commitError } = error as CommitError;
      // An error of ours, from inside.
      if (commitError === undefined) throw error;
      const reason = commitError.catch((why: unknown) => (why as Error).message);
      const why = await Promise.race([reason, setImmediate('the commit failed')]);
      throw notWritten(this.file, why, error);
    }
  }

  /** Lines of changes that were made, which the audit log's file may not have yet. */
  unlogged(): AuditLine[] {
    const lines = [...this.audit.getRange({ start: this.lastLogged + 1 })];
    return lines.map(({ key, value }) => ({ number: key, text: value }));
  }

  /** The log's file has the lines up to this one: they are needed here no more. */
  logged(number: number): void {
    // A file from another state may be ahead: numbers go on from there.
    this.lastLogged = Math.max(this.lastLogged, number);
    this.lastLine = Math.max(this.lastLine, number);
  }

  async close(): Promise<void> {
    try {
      this.root.transactionSync(() => {
        void this.meta.remove('owner');
        void this.meta.put('logged', this.lastLogged);
      });
    } catch {
      // On a full disk the record stays; the lock goes with us all the same.
    }
    await this.root.close();
    closeSync(this.descriptor);
  }
}
