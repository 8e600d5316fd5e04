/**
 * Writes capture files, little-endian on every machine, so that the same packets give the same octets.
 *
 * The writer owns a region of a slab. `reserve` says where the next packet is to be put, past the room for its
 * record header; `commit` writes that header. The region is written out when the next packet might not fit:
 *
 *     const at = w.reserve(maxLength);
 *     w.slab.copyWithin(at, packet, packet + length);
 *     w.commit(length, originalLength, seconds, nanoseconds);
 */
import { CulvertError } from '../errors.js';
import {
  BLOCK_ENHANCED,
  BLOCK_INTERFACE,
  BLOCK_SECTION,
  BYTE_ORDER_MAGIC,
  ENHANCED_HEADER_LENGTH,
  OPTION_COMMENT,
  OPTION_END,
  OPTION_IF_DESCRIPTION,
  OPTION_IF_NAME,
  OPTION_IF_TSRESOL,
  OPTION_SHB_USERAPPL,
  PCAP_FILE_HEADER_LENGTH,
  PCAP_MAGIC_MICROSECONDS,
  PCAP_MAGIC_NANOSECONDS,
  PCAP_RECORD_HEADER_LENGTH,
} from './format.js';
import type { CaptureFormat } from './recognise.js';
import { regionOf } from './region.js';
import type { RegionOptions } from './region.js';
import { CaptureTarget } from './target.js';

/** An interface of a pcapng file to be written. */
export interface WriterInterface {
  readonly linkType: number;
  /** Octets kept of each packet, told to readers; the writer's own when absent. */
  readonly snapLength?: number;
  readonly name?: string;
  readonly description?: string;
  readonly comment?: string;
}

export interface CaptureWriterOptions extends RegionOptions {
  readonly format: CaptureFormat;
  /** Time stamps in nanoseconds, else microseconds, rounded down. */
  readonly nanoseconds: boolean;
  /** Link type of a pcap file, and of the only interface of a pcapng file when `interfaces` is absent. */
  readonly linkType: number;
  /** Octets kept of each packet, told to readers; 262144 when absent, as other tools do. */
  readonly snapLength?: number;
  /** Interfaces of a pcapng file; a pcap file has none. */
  readonly interfaces?: readonly WriterInterface[];
  /** Comment of a pcapng file's section. */
  readonly comment?: string;
}

/** Octets of the longest option value. */
const MAX_OPTION_LENGTH = 65535;
const LINE_FEED = 10;
const DEFAULT_SNAP_LENGTH = 262144;
/** Octets after a packet in pcapng, at most: padding and the block's second length. */
const ENHANCED_TRAILER_LENGTH = 3 + 4;

/** Where a writer's octets go. */
export interface CaptureSink {
  /** Takes `b[from, to)`; the buffer is used again afterwards. */
  write(b: Buffer, from: number, to: number): void;
  close(): void;
  abort(): void;
}

export class CaptureWriter {
  /** The buffer that `reserve` gives offsets of. */
  readonly slab: Buffer;
  private readonly view: DataView;
  /** Packets committed so far. */
  packets = 0;
  /** Octets of the file so far, those not yet written out included. */
  octets = 0;

  private readonly name: string;
  private readonly target: CaptureSink;
  private readonly from: number;
  private readonly to: number;
  private readonly pcapng: boolean;
  private readonly nanosecondsPerUnit: number;
  private readonly unitsPerSecond: number;
  private readonly snapLength: number;
  private readonly headerLength: number;
  private readonly overhead: number;
  /** Just past the last committed octet. */
  private pos: number;
  /** Interfaces described so far. */
  private interfaceCount = 0;

  private constructor(name: string, target: CaptureSink, options: CaptureWriterOptions) {
    const region = regionOf(options);
    this.name = name;
    this.target = target;
    this.slab = region.slab;
    this.view = new DataView(region.slab.buffer, region.slab.byteOffset, region.slab.length);
    this.from = region.from;
    this.to = region.to;
    this.pos = region.from;
    this.pcapng = options.format === 'pcapng';
    this.nanosecondsPerUnit = options.nanoseconds ? 1 : 1000;
    this.unitsPerSecond = options.nanoseconds ? 1_000_000_000 : 1_000_000;
    this.snapLength = options.snapLength ?? DEFAULT_SNAP_LENGTH;
    this.headerLength = this.pcapng ? ENHANCED_HEADER_LENGTH : PCAP_RECORD_HEADER_LENGTH;
    this.overhead = this.headerLength + (this.pcapng ? ENHANCED_TRAILER_LENGTH : 0);
  }

  /**
   * Begins a capture file. It has its name only once `close` is called; see `CaptureTarget`.
   * @param path a path, or `-` for standard output
   * @throws CulvertError CAPTURE_NOT_WRITABLE, CAPTURE_NO_SPACE, CAPTURE_PIPE_CLOSED,
   * CAPTURE_WRITE_FAILED, CAPTURE_REGION
   */
  static create(path: string, options: CaptureWriterOptions): CaptureWriter {
    regionOf(options);
    return CaptureWriter.toSink(new CaptureTarget(path), path, options);
  }

  /**
   * The same to any place.
   * @param name told in errors
   * @throws what the sink throws; CulvertError CAPTURE_REGION
   */
  static toSink(target: CaptureSink, name: string, options: CaptureWriterOptions): CaptureWriter {
    try {
      const writer = new CaptureWriter(name, target, options);
      writer.begin(options);
      return writer;
    } catch (error) {
      target.abort();
      throw error;
    }
  }

  /** Octets of the largest packet that the region can hold. */
  get maxLength(): number {
    return this.to - this.from - this.overhead;
  }

  /**
   * Makes room for a packet; one reserved before and not committed is forgotten.
   * @param maxLength octets that the packet may come to
   * @returns the offset in the slab for its first octet, good until the next `reserve`, `addInterface` or `close`
   * @throws CulvertError CAPTURE_RECORD_TOO_LARGE past this writer's `maxLength`; and as `create` does, when
   * writing fails
   */
  reserve(maxLength: number): number {
    if (this.pos + this.overhead + maxLength > this.to) this.makeRoom(maxLength + this.overhead);
    return this.pos + this.headerLength;
  }

  /**
   * Writes the header of the packet that was put where `reserve` said.
   * @param capturedLength octets put there, no more than were reserved
   * @param originalLength octets of the packet on the wire
   * @param seconds since 1970; taken modulo 2^32 in pcap, modulo 2^64 time units in pcapng
   * @param nanoseconds 0 to 999999999
   * @param interfaceIndex index of the interface, pcapng only
   * @param comment kept in pcapng only; read back as it is, if no line of it exceeds 65535 octets
   * @throws CulvertError as `create` does, when a long comment has to be written out at once
   */
  commit(
    capturedLength: number,
    originalLength: number,
    seconds: number,
    nanoseconds: number,
    interfaceIndex = 0,
    comment = '',
  ): void {
    const { view } = this;
    const p = this.pos;
    const fraction = this.nanosecondsPerUnit === 1 ? nanoseconds : (nanoseconds / 1000) | 0;
    if (this.pcapng) {
      const padded = (capturedLength + 3) & ~3;
      const options = comment === '' ? null : endOfOptions(commentOptions(comment));
      const length = ENHANCED_HEADER_LENGTH + padded + (options === null ? 0 : options.length) + 4;
      const behind = p + ENHANCED_HEADER_LENGTH + padded;
      // 64 bits do not fit a double: the low half is exact modulo 2^32, and the high half is then the nearest.
      const low = (Math.imul(seconds, this.unitsPerSecond) + fraction) >>> 0;
      const high = Math.round((seconds * this.unitsPerSecond + fraction - low) / 4294967296);
      view.setUint32(p, BLOCK_ENHANCED, true);
      view.setUint32(p + 4, length, true);
      view.setUint32(p + 8, interfaceIndex, true);
      view.setUint32(p + 12, high, true);
      view.setUint32(p + 16, low, true);
      view.setUint32(p + 20, capturedLength, true);
      view.setUint32(p + 24, originalLength, true);
      for (let i = p + ENHANCED_HEADER_LENGTH + capturedLength; i < behind; i++) this.slab[i] = 0;
      this.octets += length;
      if (options === null) {
        view.setUint32(behind, length, true);
        this.pos = behind + 4;
      } else {
        this.closeBlock(behind, options, length);
      }
    } else {
      view.setUint32(p, seconds, true);
      view.setUint32(p + 4, fraction, true);
      view.setUint32(p + 8, capturedLength, true);
      view.setUint32(p + 12, originalLength, true);
      this.pos = p + PCAP_RECORD_HEADER_LENGTH + capturedLength;
      this.octets += PCAP_RECORD_HEADER_LENGTH + capturedLength;
    }
    this.packets++;
  }

  /**
   * Describes one more interface of a pcapng file.
   * @returns its index
   * @throws CulvertError CAPTURE_FORMAT for a pcap file, which has but one; and as `reserve` does
   */
  addInterface(face: WriterInterface): number {
    if (!this.pcapng) {
      throw new CulvertError(
        'CAPTURE_FORMAT',
        `${this.name}: a pcap file has one interface only; write pcapng instead`,
        { file: this.name },
      );
    }
    const options = [
      ...commentOptions(face.comment ?? ''),
      option(OPTION_IF_TSRESOL, Buffer.from([this.nanosecondsPerUnit === 1 ? 9 : 6])),
    ];
    if (face.name !== undefined && face.name !== '') {
      options.unshift(option(OPTION_IF_NAME, Buffer.from(face.name)));
    }
    if (face.description !== undefined && face.description !== '') {
      options.unshift(option(OPTION_IF_DESCRIPTION, Buffer.from(face.description)));
    }
    const fixed = Buffer.alloc(8);
    fixed.writeUInt16LE(face.linkType, 0);
    fixed.writeUInt32LE(face.snapLength ?? this.snapLength, 4);
    this.append(block(BLOCK_INTERFACE, [fixed, endOfOptions(options)]));
    return this.interfaceCount++;
  }

  /**
   * Writes out what is buffered, and leaves the file without its name still.
   * @throws CulvertError as `create` does; there is no file then
   */
  flush(): void {
    if (this.pos > this.from) this.writeOut();
  }

  /**
   * Writes out the rest and gives the file its name.
   * @throws CulvertError as `create` does; there is no file then
   */
  close(): void {
    this.flush();
    this.target.close();
  }

  /** Ends without a file; a file of that name from before stays as it was. */
  abort(): void {
    this.pos = this.from;
    this.target.abort();
  }

  private begin(options: CaptureWriterOptions): void {
    if (!this.pcapng) {
      const header = Buffer.alloc(PCAP_FILE_HEADER_LENGTH);
      header.writeUInt32LE(options.nanoseconds ? PCAP_MAGIC_NANOSECONDS : PCAP_MAGIC_MICROSECONDS, 0);
      header.writeUInt16LE(2, 4);
      header.writeUInt16LE(4, 6);
      header.writeUInt32LE(this.snapLength, 16);
      header.writeUInt32LE(options.linkType, 20);
      this.append(header);
      return;
    }
    const fixed = Buffer.alloc(16, 0xff); // the section's length, in the last 8 octets, is not told
    fixed.writeUInt32LE(BYTE_ORDER_MAGIC, 0);
    fixed.writeUInt16LE(1, 4);
    fixed.writeUInt16LE(0, 6);
    const writtenBy = option(OPTION_SHB_USERAPPL, Buffer.from('culvert'));
    const texts = [writtenBy, ...commentOptions(options.comment ?? '')];
    this.append(block(BLOCK_SECTION, [fixed, endOfOptions(texts)]));
    for (const face of options.interfaces ?? [{ linkType: options.linkType }]) this.addInterface(face);
  }

  /** Ends a packet's block with its options, for which `reserve` has not made room. */
  private closeBlock(at: number, options: Buffer, length: number): void {
    if (at + options.length + 4 <= this.to) {
      options.copy(this.slab, at);
      this.view.setUint32(at + options.length, length, true);
      this.pos = at + options.length + 4;
      return;
    }
    const rest = Buffer.alloc(options.length + 4);
    options.copy(rest);
    rest.writeUInt32LE(length, options.length);
    this.pos = at;
    this.writeOut();
    this.target.write(rest, 0, rest.length);
  }

  /** Writes octets that are no packet; they need not fit the region. */
  private append(octets: Buffer): void {
    if (this.pos > this.from) this.writeOut();
    this.target.write(octets, 0, octets.length);
    this.octets += octets.length;
  }

  private makeRoom(needed: number): void {
    if (needed > this.to - this.from) {
      throw new CulvertError(
        'CAPTURE_RECORD_TOO_LARGE',
        `${this.name}: a packet of ${String(needed - this.overhead)} octets does not fit the write buffer, which has room for ${String(this.maxLength)}`,
        { file: this.name },
      );
    }
    this.writeOut();
  }

  private writeOut(): void {
    const end = this.pos;
    this.pos = this.from;
    this.target.write(this.slab, this.from, end);
  }
}

function option(code: number, text: Buffer): Buffer {
  let kept = Math.min(text.length, MAX_OPTION_LENGTH);
  while (kept < text.length && (text[kept]! & 0xc0) === 0x80) kept--; // never within a UTF-8 character
  const value = text.subarray(0, kept);
  const octets = Buffer.alloc(4 + ((value.length + 3) & ~3));
  octets.writeUInt16LE(code, 0);
  octets.writeUInt16LE(value.length, 2);
  value.copy(octets, 4);
  return octets;
}

/** A comment as options: one, or, where that would be too long, several, split between lines; a longer line is cut. */
function commentOptions(comment: string): Buffer[] {
  if (comment === '') return [];
  const text = Buffer.from(comment);
  const options: Buffer[] = [];
  let from = 0;
  while (text.length - from > MAX_OPTION_LENGTH) {
    const line = text.lastIndexOf(LINE_FEED, from + MAX_OPTION_LENGTH);
    if (line < from) break;
    options.push(option(OPTION_COMMENT, text.subarray(from, line)));
    from = line + 1;
  }
  options.push(option(OPTION_COMMENT, text.subarray(from)));
  return options;
}

const endOfOptions = (options: readonly Buffer[]): Buffer =>
  Buffer.concat([...options, option(OPTION_END, Buffer.alloc(0))]);

function block(type: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length = 12 + body.length;
  const octets = Buffer.alloc(length);
  octets.writeUInt32LE(type, 0);
  octets.writeUInt32LE(length, 4);
  body.copy(octets, 8);
  octets.writeUInt32LE(length, length - 4);
  return octets;
}
