/**
 * Reads pcapng: sections of either byte order, each with its own interfaces, then packet blocks of three kinds
 * among blocks that are passed over. Every block frames itself with its length, told twice.
 */
import {
  BLOCK_ENHANCED,
  BLOCK_INTERFACE,
  BLOCK_OVERHEAD,
  BLOCK_PACKET,
  BLOCK_SECTION,
  BLOCK_SIMPLE,
  BYTE_ORDER_MAGIC,
  ENHANCED_HEADER_LENGTH,
  MAX_BLOCK_LENGTH,
  MAX_PACKET_LENGTH,
  SECTION_HEADER_LENGTH,
  SIMPLE_HEADER_LENGTH,
  u16,
  u32,
  u32be,
  u32le,
} from './format.js';
import { readComment, readInterface, splitTimestamp, textLength, unitsPerSecond } from './interfaces.js';
import { RecordReader } from './record-reader.js';

/** Interfaces of one file: far more than any real file has, few enough to remember. */
const MAX_INTERFACES = 65536;
/** Octets kept of the names and comments of one file's sections and interfaces. */
const MAX_TEXT = 16 * 1024 * 1024;

export class PcapngReader extends RecordReader {
  readonly format = 'pcapng';
  private little = true;
  private section = -1;
  /** Index in `interfaces` of the section's first. */
  private sectionBase = 0;
  private textKept = 0;
  /** Block type of the current packet; before any, of the kind that has no comment. */
  private blockType = BLOCK_SIMPLE;
  // What the packet path needs of `interfaces`, one array a property.
  private readonly linkTypes: number[] = [];
  private readonly units: number[] = [];
  private readonly nanosecondsPerUnit: number[] = [];
  private readonly offsets: number[] = [];
  private readonly split = new Float64Array(2);

  /** Reads up to the first packet, so that the interfaces before it are known. */
  async start(): Promise<void> {
    while (!this.next()) {
      if (!(await this.fill())) return;
    }
    this.pos = this.offset - (this.blockType === BLOCK_SIMPLE ? SIMPLE_HEADER_LENGTH : ENHANCED_HEADER_LENGTH);
    this.frame = 0;
  }

  next(): boolean {
    const b = this.slab;
    for (;;) {
      const p = this.pos;
      const available = this.filled - p;
      if (available < BLOCK_OVERHEAD) return false;
      const type = this.little ? u32le(b, p) : u32be(b, p);
      if (type === BLOCK_SECTION && !this.setByteOrder(p)) return false;
      const length = this.little ? u32le(b, p + 4) : u32be(b, p + 4);
      if (length < BLOCK_OVERHEAD || (length & 3) !== 0) {
        return this.stop('CAPTURE_CORRUPT', `a block claims an impossible length of ${String(length)} octets`, p);
      }
      if (length > available) return this.incompleteBlock(type, length);
      const end = p + length;
      if ((this.little ? u32le(b, end - 4) : u32be(b, end - 4)) !== length) {
        return this.stop('CAPTURE_CORRUPT', 'the two lengths of a block differ', p);
      }
      this.pos = end;
      if (type === BLOCK_ENHANCED || type === BLOCK_PACKET) {
        if (this.packet(type, p, end)) return true;
      } else if (type === BLOCK_SIMPLE) {
        if (this.simplePacket(p, end)) return true;
      } else if (type === BLOCK_SECTION) {
        if (!this.openSection(p, end)) return false;
      } else if (type === BLOCK_INTERFACE) {
        if (!this.openInterface(p, end)) return false;
      }
    }
  }

  comment(): string {
    if (this.blockType === BLOCK_SIMPLE) return '';
    return readComment(this.slab, this.offset + ((this.capturedLength + 3) & ~3), this.pos - 4, this.little);
  }

  /** An enhanced or an old packet block; they differ only in how the interface is written. */
  private packet(type: number, p: number, end: number): boolean {
    const b = this.slab;
    const data = p + ENHANCED_HEADER_LENGTH;
    if (data + 4 > end) return this.passOver('a packet block is too short for its header', p);
    let face: number;
    let high: number;
    let low: number;
    let captured: number;
    let original: number;
    if (this.little) {
      face = type === BLOCK_ENHANCED ? u32le(b, p + 8) : u16(b, p + 8, true);
      high = u32le(b, p + 12);
      low = u32le(b, p + 16);
      captured = u32le(b, p + 20);
      original = u32le(b, p + 24);
    } else {
      face = type === BLOCK_ENHANCED ? u32be(b, p + 8) : u16(b, p + 8, false);
      high = u32be(b, p + 12);
      low = u32be(b, p + 16);
      captured = u32be(b, p + 20);
      original = u32be(b, p + 24);
    }
    if (captured > end - 4 - data) return this.passOver('a packet is longer than its block', p);
    if (captured > MAX_PACKET_LENGTH) return this.passOver('a packet is too long to be believed', p);
    const index = this.sectionBase + face;
    if (index >= this.linkTypes.length) {
      return this.passOver(`a packet names interface ${String(face)}, which is not described`, p);
    }
    const units = this.units[index]!;
    if (units !== 0) {
      // 64 bits do not fit a double: the quotient may be one off, and the remainder, taken modulo 2^32, shows it.
      let seconds = Math.floor((high * 4294967296 + low) / units);
      let rest = (low - Math.imul(seconds, units)) | 0;
      if (rest < 0) {
        seconds--;
        rest += units;
      } else if (rest >= units) {
        seconds++;
        rest -= units;
      }
      this.seconds = seconds + this.offsets[index]!;
      this.nanoseconds = rest * this.nanosecondsPerUnit[index]!;
    } else {
      splitTimestamp(high, low, this.interfaces[index]!.resolution, this.split);
      this.seconds = this.split[0]! + this.offsets[index]!;
      this.nanoseconds = this.split[1]!;
    }
    this.linkType = this.linkTypes[index]!;
    this.interfaceIndex = index;
    this.originalLength = original;
    this.capturedLength = captured;
    this.offset = data;
    this.blockType = type;
    this.frame++;
    return true;
  }

  /** A simple packet block: of the section's first interface, at a time not told, given as 0. */
  private simplePacket(p: number, end: number): boolean {
    const data = p + SIMPLE_HEADER_LENGTH;
    if (data + 4 > end) return this.passOver('a packet block is too short for its header', p);
    const index = this.sectionBase;
    if (index >= this.linkTypes.length) return this.passOver('a packet comes before any interface', p);
    const original = u32(this.slab, p + 8, this.little);
    const snapLength = this.interfaces[index]!.snapLength;
    // The block tells no captured length; what the snap length leaves, less the padding, is it.
    const kept = snapLength === 0 ? original : Math.min(original, snapLength);
    const captured = Math.min(kept, end - 4 - data);
    if (captured > MAX_PACKET_LENGTH) return this.passOver('a packet is too long to be believed', p);
    this.seconds = 0;
    this.nanoseconds = 0;
    this.linkType = this.linkTypes[index]!;
    this.interfaceIndex = index;
    this.originalLength = original;
    this.capturedLength = captured;
    this.offset = data;
    this.blockType = BLOCK_SIMPLE;
    this.frame++;
    return true;
  }

  /** A section tells its own byte order, and its block length is written in it. */
  private setByteOrder(p: number): boolean {
    if (u32le(this.slab, p + 8) === BYTE_ORDER_MAGIC) this.little = true;
    else if (u32be(this.slab, p + 8) === BYTE_ORDER_MAGIC) this.little = false;
    else return this.stop('CAPTURE_CORRUPT', 'a section header has no byte-order mark', p);
    return true;
  }

  private openSection(p: number, end: number): boolean {
    if (end - p < SECTION_HEADER_LENGTH + 4) return this.stop('CAPTURE_CORRUPT', 'a section header is too short', p);
    const major = u16(this.slab, p + 12, this.little);
    if (major !== 1) {
      return this.stop('CAPTURE_CORRUPT', `a section is of pcapng version ${String(major)}; only 1 is known`, p);
    }
    this.section++;
    const comment = readComment(this.slab, p + SECTION_HEADER_LENGTH, end - 4, this.little);
    if (comment !== '' && this.textKept + comment.length <= MAX_TEXT) {
      this.textKept += comment.length;
      this.sectionComment += this.sectionComment === '' ? comment : `\n${comment}`;
    }
    this.sectionBase = this.interfaces.length;
    return true;
  }

  private openInterface(p: number, end: number): boolean {
    if (end - p < 20) return this.stop('CAPTURE_CORRUPT', 'an interface description is too short', p);
    if (this.interfaces.length === MAX_INTERFACES) {
      return this.stop('CAPTURE_CORRUPT', `more than ${String(MAX_INTERFACES)} interfaces are described`, p);
    }
    const face = readInterface(this.slab, p + 8, end - 4, this.little, this.section, MAX_TEXT - this.textKept);
    this.textKept += textLength(face);
    this.addInterface(face);
    const units = unitsPerSecond(face.resolution);
    this.linkTypes.push(face.linkType);
    this.units.push(units);
    this.nanosecondsPerUnit.push(units === 0 ? 0 : 1_000_000_000 / units);
    this.offsets.push(face.offsetSeconds);
    return true;
  }

  /** A block whose end has not been read yet: one that need not be held is passed over, whatever its size. */
  private incompleteBlock(type: number, length: number): false {
    if (length > MAX_BLOCK_LENGTH) {
      return this.stop('CAPTURE_CORRUPT', `a block claims an impossible ${String(length)} octets`, this.pos);
    }
    const needed =
      type === BLOCK_ENHANCED ||
      type === BLOCK_PACKET ||
      type === BLOCK_SIMPLE ||
      type === BLOCK_SECTION ||
      type === BLOCK_INTERFACE;
    if (needed) return this.incomplete(0, length);
    if (length > this.to - this.from) {
      this.skip = length - (this.filled - this.pos);
      this.pos = this.filled;
    }
    return false;
  }

  /** Leaves out one packet block inside a sound frame; the reading goes on. */
  private passOver(what: string, p: number): false {
    this.warn('CAPTURE_CORRUPT', what, p);
    return false;
  }
}
