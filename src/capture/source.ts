/**
 * Where a capture's octets come from: a file, a stream, a gzip file. A source fills memory that its reader owns;
 * it is asked again only when that has been used up, so that memory stays bounded whatever the input's size.
 */
import * as fs from 'node:fs';
import type { Readable } from 'node:stream';
import * as zlib from 'node:zlib';
import { CulvertError } from '../errors.js';
import { systemCode } from './system-code.js';

/** Octets, in order, on demand. */
export interface CaptureSource {
  /**
   * Reads up to `length` octets (more than 0) to `b[at]` on.
   * @returns how many octets, 0 at the end
   * @throws CulvertError when no more can be read
   */
  read(b: Buffer, at: number, length: number): Promise<number>;
  close(): Promise<void>;
  /** Octets taken from the outermost input so far: of a gzip file, compressed ones. */
  readonly octetsRead: number;
  /** Octets of the outermost input; -1 when it cannot be known. */
  readonly size: number;
}

function unreadable(name: string, error: unknown): CulvertError {
  const code = systemCode(error);
  const place = { file: name };
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new CulvertError(
      'CAPTURE_NOT_FOUND',
      `${name}: there is no such file: check the name and the current directory`,
      place,
      { cause: error },
    );
  }
  if (code === 'EISDIR') {
    return new CulvertError('CAPTURE_IS_DIRECTORY', `${name}: is a directory: name a capture file in it`, place, {
      cause: error,
    });
  }
  const why =
    code === 'EACCES' || code === 'EPERM'
      ? 'permission to read it is missing: change its mode, or read it as another user'
      : `reading failed (${code})`;
  return new CulvertError('CAPTURE_UNREADABLE', `${name}: ${why}`, place, { cause: error });
}

/**
 * Octets of a regular file that are read at once, where the first are asked for: the threads that read later ones have to be
 * started first, and there is work until they have.
 */
const FIRST_READ = 1024 * 1024;

/** Reads a file descriptor from its current position. */
class DescriptorSource implements CaptureSource {
  octetsRead = 0;
  readonly size: number;
  private readonly fd: number;
  private readonly name: string;
  private owned: boolean;

  constructor(fd: number, name: string, size: number, owned: boolean) {
    this.fd = fd;
    this.name = name;
    this.size = size;
    this.owned = owned;
  }

  read(b: Buffer, at: number, length: number): Promise<number> {
    if (this.octetsRead === 0 && this.size > 0) return this.readFirst(b, at, Math.min(length, FIRST_READ));
    return new Promise((resolve, reject) => {
      fs.read(this.fd, b, at, length, null, (error, count) => {
        if (error !== null) {
          reject(unreadable(this.name, error));
          return;
        }
        this.octetsRead += count;
        resolve(count);
      });
    });
  }

  private readFirst(b: Buffer, at: number, length: number): Promise<number> {
    try {
      this.octetsRead = fs.readSync(this.fd, b, at, length, null);
      return Promise.resolve(this.octetsRead);
    } catch (error) {
      return Promise.reject(unreadable(this.name, error));
    }
  }

  close(): Promise<void> {
    if (!this.owned) return Promise.resolve();
    this.owned = false;
    return new Promise((resolve) => {
      fs.close(this.fd, () => {
        resolve();
      });
    });
  }
}

/** Reads a stream; chunks of any size. */
export class StreamSource implements CaptureSource {
  octetsRead = 0;
  readonly size = -1;
  private readonly stream: Readable;
  private readonly name: string;
  private readonly chunks: AsyncIterator<unknown>;
  private chunk: Buffer = Buffer.alloc(0);
  private used = 0;

  /** @param name told in errors */
  constructor(stream: Readable, name: string) {
    this.stream = stream;
    this.name = name;
    this.chunks = stream[Symbol.asyncIterator]();
  }

  async read(b: Buffer, at: number, length: number): Promise<number> {
    while (this.used === this.chunk.length) {
      let next: IteratorResult<unknown>;
      try {
        next = await this.chunks.next();
      } catch (error) {
        throw unreadable(this.name, error);
      }
      if (next.done === true) return 0;
      if (!(next.value instanceof Uint8Array)) {
        throw new CulvertError('CAPTURE_UNREADABLE', `${this.name}: the stream gives text, not octets`, {
          file: this.name,
        });
      }
      this.chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
      this.used = 0;
      this.octetsRead += this.chunk.length;
    }
    const count = this.chunk.copy(b, at, this.used, Math.min(this.chunk.length, this.used + length));
    this.used += count;
    return count;
  }

  close(): Promise<void> {
    this.stream.destroy();
    return Promise.resolve();
  }
}

const COMPRESSED_CHUNK = 128 * 1024;
const DECOMPRESSED_CHUNK = 128 * 1024;

/**
 * Decompresses gzip, several members in a row included.
 *
 * zlib's stream is driven by hand: the next compressed octets go in only when all that came out has been taken.
 * Piped, a stream that fails drops what it had ready, and a truncated file would lose its last whole packets.
 */
export class GunzipSource implements CaptureSource {
  private readonly inner: CaptureSource;
  private readonly name: string;
  private readonly gunzip = zlib.createGunzip({ chunkSize: DECOMPRESSED_CHUNK });
  private readonly input = Buffer.allocUnsafeSlow(COMPRESSED_CHUNK);
  private head: Buffer | null;
  private output: Buffer = Buffer.alloc(0);
  private used = 0;
  private writing = false;
  private inputEnded = false;
  private outputEnded = false;
  private failure: Error | null = null;
  private wake: (() => void) | null = null;

  /**
   * @param head octets already taken from `inner`
   * @param name told in errors
   */
  constructor(inner: CaptureSource, head: Buffer, name: string) {
    this.inner = inner;
    this.head = head;
    this.name = name;
    const signal = (): void => {
      this.wake?.();
    };
    this.gunzip.on('readable', signal);
    this.gunzip.on('close', signal);
    this.gunzip.on('end', () => {
      this.outputEnded = true;
      signal();
    });
    this.gunzip.on('error', (error) => {
      this.failure = error;
      signal();
    });
  }

  get octetsRead(): number {
    return this.inner.octetsRead;
  }

  get size(): number {
    return this.inner.size;
  }

  async read(b: Buffer, at: number, length: number): Promise<number> {
    while (this.used === this.output.length) {
      const chunk: unknown = this.gunzip.read();
      if (chunk instanceof Buffer) {
        this.output = chunk;
        this.used = 0;
        continue;
      }
      if (this.outputEnded) return 0;
      if (this.failure !== null) throw this.broken(this.failure);
      if (!this.writing && !this.inputEnded) await this.feed();
      else await this.event();
    }
    const count = this.output.copy(b, at, this.used, Math.min(this.output.length, this.used + length));
    this.used += count;
    return count;
  }

  async close(): Promise<void> {
    this.gunzip.destroy();
    await this.inner.close();
  }

  private async feed(): Promise<void> {
    let octets = this.head;
    this.head = null;
    if (octets === null || octets.length === 0) {
      const count = await this.inner.read(this.input, 0, this.input.length);
      octets = this.input.subarray(0, count);
    }
    if (octets.length === 0) {
      this.inputEnded = true;
      this.gunzip.end();
      return;
    }
    this.writing = true;
    this.gunzip.write(octets, () => {
      this.writing = false;
      this.wake?.();
    });
  }

  /** Until zlib reports anything; all its reports come in later turns of the event loop, so none is missed. */
  private event(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = () => {
        this.wake = null;
        resolve();
      };
    });
  }

  private broken(error: Error): CulvertError {
    const place = { file: this.name };
    return systemCode(error) === 'Z_BUF_ERROR'
      ? new CulvertError('CAPTURE_TRUNCATED', `${this.name}: the gzip data is cut short`, place, { cause: error })
      : new CulvertError('CAPTURE_CORRUPT', `${this.name}: the gzip data is damaged (${error.message})`, place, {
          cause: error,
        });
  }
}

function openDescriptor(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    // Only what may keep an opener waiting, as a FIFO does, is worth a thread.
    try {
      if (fs.statSync(path).isFile()) {
        resolve(fs.openSync(path, 'r'));
        return;
      }
    } catch (error) {
      reject(unreadable(path, error));
      return;
    }
    fs.open(path, 'r', (error, fd) => {
      if (error === null) resolve(fd);
      else reject(unreadable(path, error));
    });
  });
}

/**
 * Opens a file, or standard input for `-`.
 * @throws CulvertError CAPTURE_NOT_FOUND, CAPTURE_IS_DIRECTORY, CAPTURE_UNREADABLE
 */
export async function openSource(path: string): Promise<CaptureSource> {
  if (path === '-') {
    let stats: fs.Stats;
    try {
      stats = fs.fstatSync(0);
    } catch (error) {
      throw unreadable(path, error);
    }
    if (stats.isDirectory()) throw unreadable(path, Object.assign(new Error('EISDIR'), { code: 'EISDIR' }));
    // A pipe is read as a stream: a blocking read of an idle pipe would keep the process from ending.
    if (!stats.isFile()) return new StreamSource(process.stdin, path);
    return new DescriptorSource(0, path, stats.size, false);
  }
  const fd = await openDescriptor(path);
  const stats = fs.fstatSync(fd);
  const source = new DescriptorSource(fd, path, stats.isFile() ? stats.size : -1, true);
  if (stats.isDirectory()) {
    await source.close();
    throw unreadable(path, Object.assign(new Error('EISDIR'), { code: 'EISDIR' }));
  }
  return source;
}
