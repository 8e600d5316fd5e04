/**
 * Where a capture's octets go. A regular file appears under its name only when it is whole: until then it is
 * a partial file beside it. Pipes, devices and standard output are written to as they are.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { CulvertError } from '../errors.js';
import { systemCode } from './system-code.js';
import { writeAll } from './write-all.js';

/** Partial files this process is writing, so that two writers of one name are told apart from a crash's leavings. */
const partialFiles = new Set<string>();

function unwritable(name: string, error: unknown): CulvertError {
  const system = systemCode(error);
  const make = (code: string, what: string): CulvertError =>
    new CulvertError(code, `${name}: ${what}`, { file: name }, { cause: error });
  switch (system) {
    case 'EPIPE':
      return make('CAPTURE_PIPE_CLOSED', 'the reader at the other end of the pipe has gone');
    case 'ENOSPC':
    case 'EDQUOT':
      return make('CAPTURE_NO_SPACE', 'there is no space left to write it: free some, or name another place');
    case 'EFBIG':
      return make('CAPTURE_NO_SPACE', 'it would be larger than a file may be here: name another place');
    case 'EACCES':
    case 'EPERM':
      return make(
        'CAPTURE_NOT_WRITABLE',
        'permission to write it is missing: name another place, or change the mode of its directory',
      );
    case 'EROFS':
      return make('CAPTURE_NOT_WRITABLE', 'its file system is read-only: name another place');
    case 'ENOENT':
    case 'ENOTDIR':
      return make('CAPTURE_NOT_WRITABLE', 'the directory it is to be written to does not exist: make it first');
    case 'ENAMETOOLONG':
      return make('CAPTURE_NOT_WRITABLE', 'its name is too long: choose a shorter one');
    case 'EISDIR':
      return make('CAPTURE_NOT_WRITABLE', 'it is a directory: name a file');
    default:
      return make('CAPTURE_WRITE_FAILED', `writing failed (${system})`);
  }
}

export class CaptureTarget {
  private readonly name: string;
  private readonly fd: number;
  /** The partial file; empty when the octets go straight to their place. */
  private readonly partial: string;
  private readonly final: string;
  private open = true;
  private failure: CulvertError | null = null;

  /**
   * @param name a path, or `-` for standard output
   * @throws CulvertError CAPTURE_NOT_WRITABLE, CAPTURE_NO_SPACE, CAPTURE_WRITE_FAILED
   */
  constructor(name: string) {
    this.name = name;
    this.partial = '';
    this.final = name;
    if (name === '-') {
      this.fd = 1;
      return;
    }
    try {
      const stats = fs.statSync(name, { throwIfNoEntry: false });
      if (stats !== undefined && !stats.isFile()) {
        this.fd = fs.openSync(name, fs.constants.O_WRONLY);
        return;
      }
      // Renaming onto a symbolic link would replace the link, not what it names.
      this.final = stats === undefined ? path.resolve(name) : fs.realpathSync(name);
      this.partial = path.join(
        path.dirname(this.final),
        `.${path.basename(this.final)}.partial-${String(process.pid)}`,
      );
      if (partialFiles.has(this.partial)) {
        throw new CulvertError('CAPTURE_NOT_WRITABLE', `${name}: is already being written; name another file`, {
          file: name,
        });
      }
      // A crashed process may have had the same id.
      fs.rmSync(this.partial, { force: true });
      this.fd = fs.openSync(this.partial, 'wx');
    } catch (error) {
      throw error instanceof CulvertError ? error : unwritable(name, error);
    }
    partialFiles.add(this.partial);
  }

  /**
   * Writes `b[from, to)`, all of it.
   * @throws CulvertError CAPTURE_PIPE_CLOSED, CAPTURE_NO_SPACE, CAPTURE_WRITE_FAILED; the partial file is gone then
   */
  write(b: Buffer, from: number, to: number): void {
    if (!this.open) throw this.failure ?? new CulvertError('CAPTURE_CLOSED', `${this.name}: is closed already`);
    try {
      writeAll(this.fd, b, from, to);
    } catch (error) {
      this.abort();
      this.failure = unwritable(this.name, error);
      throw this.failure;
    }
  }

  /**
   * Ends the file and gives it its name; does nothing after `close` or `abort`.
   * @throws CulvertError as `write` does, and again what `write` has thrown
   */
  close(): void {
    if (this.failure !== null) throw this.failure;
    if (!this.open) return;
    this.open = false;
    try {
      if (this.name !== '-') fs.closeSync(this.fd);
      if (this.partial !== '') fs.renameSync(this.partial, this.final);
    } catch (error) {
      if (this.partial !== '') fs.rmSync(this.partial, { force: true });
      throw unwritable(this.name, error);
    } finally {
      partialFiles.delete(this.partial);
    }
  }

  /** Ends without a file: the partial one is removed, a file of that name from before stays as it was. */
  abort(): void {
    if (!this.open) return;
    this.open = false;
    try {
      if (this.name !== '-') fs.closeSync(this.fd);
    } catch {
      // What was written is thrown away in any case.
    }
    if (this.partial !== '') {
      fs.rmSync(this.partial, { force: true });
      partialFiles.delete(this.partial);
    }
  }
}
