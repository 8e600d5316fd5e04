/** Where `culvert capture` and `culvert tap` write: one file, or one after the other. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { CaptureWriter, type WriterInterface } from '../capture/writer.js';

export interface RotateFlags {
  /** Octets after which a file is full. */
  readonly rotateSize?: number;
  /** Seconds after which it is. */
  readonly rotateTime?: number;
  /** Files kept, the newest ones. */
  readonly rotateCount?: number;
}

export interface OutputOptions extends RotateFlags {
  /** A path, or `-`. */
  readonly file: string;
  readonly format: 'pcap' | 'pcapng';
  readonly linkType: number;
  readonly snapLength: number;
}

/** `dir/name.pcapng` to `dir/name-00001.pcapng`. */
export function numbered(file: string, n: number): string {
  const { dir, name, ext } = path.parse(file);
  return path.join(dir, `${name}-${String(n).padStart(5, '0')}${ext}`);
}

export class CaptureOutput {
  /** In all files. */
  packets = 0;
  readonly files: string[] = [];
  private readonly options: OutputOptions;
  private readonly faces: WriterInterface[] = [];
  private readonly slab = Buffer.allocUnsafeSlow(1 << 20);
  private writer: CaptureWriter;
  private number = 0;
  /** Milliseconds since 1970 of the file's first packet. */
  private begun: number | null = null;

  /** @throws CulvertError as CaptureWriter.create */
  constructor(options: OutputOptions) {
    this.options = options;
    this.writer = this.next();
  }

  /** An interface of what follows; a pcap file tells of none. */
  addInterface(face: WriterInterface): void {
    if (this.options.format === 'pcap') return;
    this.faces.push(face);
    this.writer.addInterface(face);
  }

  /** @throws CulvertError as CaptureWriter.create; all but the files that are whole is gone then */
  write(
    b: Buffer,
    at: number,
    kept: number,
    original: number,
    seconds: number,
    nanoseconds: number,
    face = 0,
    comment = '',
  ): void {
    const ms = seconds * 1000 + nanoseconds / 1e6;
    if (this.isFull(ms, kept)) {
      this.writer.close();
      this.writer = this.next();
      for (const each of this.faces) this.writer.addInterface(each);
    }
    this.begun ??= ms;
    const place = this.writer.reserve(kept);
    b.copy(this.writer.slab, place, at, at + kept);
    this.writer.commit(kept, original, seconds, nanoseconds, face, comment);
    this.packets++;
  }

  /** What there is goes out. */
  flush(): void {
    this.writer.flush();
  }

  close(): void {
    this.writer.close();
  }

  abort(): void {
    this.writer.abort();
  }

  private get rotates(): boolean {
    return this.options.rotateSize !== undefined || this.options.rotateTime !== undefined;
  }

  private isFull(ms: number, kept: number): boolean {
    if (this.begun === null) return false; // each has a packet at least
    const { rotateSize = Infinity, rotateTime = Infinity } = this.options;
    return this.writer.octets + kept > rotateSize || ms - this.begun >= rotateTime * 1000;
  }

  private next(): CaptureWriter {
    const { file, format, linkType, snapLength, rotateCount = Infinity } = this.options;
    const name = this.rotates ? numbered(file, ++this.number) : file;
    const faces = format === 'pcapng' ? { interfaces: [] } : {};
    const writer = CaptureWriter.create(name, {
      ...{ format, linkType, snapLength, nanoseconds: false, slab: this.slab },
      ...faces,
    });
    this.begun = null;
    this.files.push(name);
    while (this.files.length > rotateCount) rmSync(this.files.shift()!, { force: true });
    return writer;
  }
}
