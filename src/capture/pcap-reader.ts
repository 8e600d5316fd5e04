/** Reads pcap: a file header, then records of a small header and a packet each. */
import {
  MAX_PACKET_LENGTH,
  PCAP_FILE_HEADER_LENGTH,
  PCAP_MAGIC_MODIFIED,
  PCAP_MAGIC_NANOSECONDS,
  PCAP_MODIFIED_RECORD_HEADER_LENGTH,
  PCAP_RECORD_HEADER_LENGTH,
  u32,
  u32le,
} from './format.js';
import { isPcapMagic } from './recognise.js';
import { RecordReader } from './record-reader.js';

export class PcapReader extends RecordReader {
  readonly format = 'pcap';
  private little = true;
  private recordHeaderLength = PCAP_RECORD_HEADER_LENGTH;
  private fractionsPerSecond = 1_000_000;
  private nanosecondsPerFraction = 1000;

  /** Reads the file header, or ends the reading if the file ends inside it. */
  async start(): Promise<void> {
    while (this.filled - this.from < PCAP_FILE_HEADER_LENGTH) {
      if (await this.fill()) continue;
      this.pos = this.filled; // what there is of the header is no record
      return;
    }
    const b = this.slab;
    const p = this.from;
    this.little = isPcapMagic(u32le(b, p));
    const magic = u32(b, p, this.little);
    if (magic === PCAP_MAGIC_NANOSECONDS) {
      this.fractionsPerSecond = 1_000_000_000;
      this.nanosecondsPerFraction = 1;
    } else if (magic === PCAP_MAGIC_MODIFIED) {
      this.recordHeaderLength = PCAP_MODIFIED_RECORD_HEADER_LENGTH;
    }
    this.addInterface({
      section: 0,
      // The upper 16 bits may tell of an FCS after each frame: a trailer like any other.
      linkType: u32(b, p + 20, this.little) & 0xffff,
      snapLength: u32(b, p + 16, this.little),
      name: '',
      description: '',
      comment: '',
      resolution: magic === PCAP_MAGIC_NANOSECONDS ? 9 : 6,
      offsetSeconds: 0,
    });
    this.pos = p + PCAP_FILE_HEADER_LENGTH;
  }

  next(): boolean {
    const p = this.pos;
    const data = p + this.recordHeaderLength;
    if (data > this.filled) return false;
    const { view, little } = this;
    let seconds = view.getUint32(p, little);
    let fraction = view.getUint32(p + 4, little);
    const captured = view.getUint32(p + 8, little);
    const original = view.getUint32(p + 12, little);
    const end = data + captured;
    if (end > this.filled || captured > MAX_PACKET_LENGTH) return this.incomplete(captured, end - p);
    if (fraction >= this.fractionsPerSecond) {
      // Some writers let the fraction run past a second; the instant they mean is plain.
      seconds += Math.floor(fraction / this.fractionsPerSecond);
      fraction %= this.fractionsPerSecond;
    }
    this.seconds = seconds;
    this.nanoseconds = fraction * this.nanosecondsPerFraction;
    this.originalLength = original;
    this.capturedLength = captured;
    this.offset = data;
    this.pos = end;
    this.frame++;
    return true;
  }

  comment(): string {
    return '';
  }
}
