/**
 * The audit log's file: one JSON object a line for each resource that a change made, changed or deleted. A line is on
 * the disk before the change is answered. When a file is full it becomes FILE.1, the older ones move on, and the oldest
 * goes.
 *
 * Theory of operation. The state holds a change's entries from the change's own transaction on, and the file gets them
 * after it: a process killed in between, or a disk that takes no more, leaves entries that only the state has. Entries
 * are numbered, and the last line says how far the file is, so that each of them comes into it once. A line that was cut
 * short is taken away when the file is opened; its entry is still in the state. The file may be another state's, or this
 * state's own from before it was restored: a number that it has been at says nothing then, so an entry counts as written
 * only if a line has it, and one that is in none gets the next number. It is looked for by its name each time: where
 * somebody moved or removed it, a new one is begun.
 */
import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  type Stats,
  writeSync,
} from 'node:fs';

/** An entry as the file has it. */
export interface AuditLine {
  /** From 1, by one with each line; a file that is ahead gives it a higher one. */
  readonly number: number;
  /** JSON, with the number first in it. */
  readonly text: string;
}

export interface AuditLimits {
  /** Octets of a file, about. */
  readonly maxOctets: number;
  /** Full files that are kept beside the current one. */
  readonly kept: number;
}

const LIMITS: AuditLimits = { maxOctets: 16 << 20, kept: 4 };

const NEWLINE = 0x0a;

const NUMBER = /^\{"number":\d+,/;

/** A line's entry: all but its number. */
const entryIn = (text: string): string => text.replace(NUMBER, '{');

const numbered = (text: string, number: number): string => text.replace(NUMBER, `{"number":${String(number)},`);

export class AuditLog {
  private readonly file: string;
  private readonly limits: AuditLimits;
  private descriptor: number | null = null;
  /** Number of the last line. */
  private last = 0;

  constructor(file: string, limits: AuditLimits = LIMITS) {
    this.file = file;
    this.limits = limits;
  }

  /**
   * Writes the lines that the file does not have yet.
   * @returns the number of its last line; 0: it has none
   * @throws Error of the file system; what was not written may be given again
   */
  append(lines: readonly AuditLine[]): number {
    try {
      const descriptor = this.open();
      const stat = fstatSync(descriptor);
      const written = this.written(lines.filter(({ number }) => number <= this.last));
      let { last } = this;
      const texts = lines.flatMap((line) => {
        if (written.has(line)) return [];
        last = Math.max(line.number, last + 1);
        return `${last === line.number ? line.text : numbered(line.text, last)}\n`;
      });
      const text = Buffer.from(texts.join(''));
      for (let at = 0; at < text.length;) at += writeSync(descriptor, text, at);
      // A device, as /dev/null, has nothing to bring to a disk, and refuses to.
      if (text.length > 0 && stat.isFile()) fdatasyncSync(descriptor);
      this.last = last;
      if (stat.size + text.length >= this.limits.maxOctets) this.rotate();
      return this.last;
    } catch (error) {
      // Opening it anew finds out how far it is.
      this.close();
      throw error;
    }
  }

  /** Of lines whose numbers the file has been at, those that are in it or in an older one. */
  private written(lines: readonly AuditLine[]): Set<AuditLine> {
    const found = new Set<AuditLine>();
    for (let old = 0; old <= this.limits.kept && found.size < lines.length; old++) {
      const content = readOld(old === 0 ? this.file : `${this.file}.${String(old)}`);
      const entries = new Set(content.toString().split('\n').map(entryIn));
      for (const line of lines) if (entries.has(entryIn(line.text))) found.add(line);
    }
    return found;
  }

  /** Opens the file, if it is not open. @throws Error of the file system */
  open(): number {
    if (this.descriptor !== null) {
      if (this.isInPlace(fstatSync(this.descriptor))) return this.descriptor;
      this.close();
    }
    const descriptor = openSync(this.file, 'a+', 0o600);
    try {
      // A device, as /dev/null, may be read without end.
      const content = fstatSync(descriptor).isFile() ? readFileSync(descriptor) : Buffer.alloc(0);
      const whole = content.lastIndexOf(NEWLINE) + 1;
      if (whole < content.length) ftruncateSync(descriptor, whole);
      this.last = Math.max(
        this.last,
        lastNumber(content.subarray(0, whole)) ?? lastNumber(readOld(`${this.file}.1`)) ?? 0,
      );
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    this.descriptor = descriptor;
    return descriptor;
  }

  /** Whether what is open is what has the name. */
  private isInPlace({ dev, ino }: Stats): boolean {
    const named = statSync(this.file, { throwIfNoEntry: false });
    return named?.ino === ino && named.dev === dev;
  }

  private rotate(): void {
    this.close();
    const { kept } = this.limits;
    if (kept === 0) rmSync(this.file);
    for (let number = kept; number > 0; number--) {
      const from = number === 1 ? this.file : `${this.file}.${String(number - 1)}`;
      try {
        renameSync(from, `${this.file}.${String(number)}`);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  }

  close(): void {
    if (this.descriptor !== null) closeSync(this.descriptor);
    this.descriptor = null;
  }
}

function readOld(file: string): Buffer {
  try {
    // A device may be read without end.
    return statSync(file).isFile() ? readFileSync(file) : Buffer.alloc(0);
  } catch {
    return Buffer.alloc(0);
  }
}

/** Of a file's last line; undefined: it has none, or one of an older version. */
function lastNumber(content: Buffer): number | undefined {
  const end = content.length - 1;
  if (end < 0) return undefined;
  const line = content.subarray(content.lastIndexOf(NEWLINE, end - 1) + 1, end).toString();
  try {
    const { number } = JSON.parse(line) as { readonly number?: unknown };
    return typeof number === 'number' ? number : undefined;
  } catch {
    return undefined;
  }
}
