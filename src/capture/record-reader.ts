/**
 * Reads captures of any size in bounded memory, a packet at a time, without copying packets.
 *
 * Theory of operation. A reader owns a region of a buffer, `slab[from, to)`. `fill` moves the incomplete
 * record at the end of the region to its front and reads more behind it; `next` steps a cursor over the complete
 * records and leaves what it found in the reader's own fields, so that a packet costs a few octet reads and no
 * allocation. `next` is synchronous and says false when it needs more octets; `fill` is asynchronous and says
 * false when there are no more:
 *
 *     for (;;) {
 *       while (r.next()) use(r.slab, r.offset, r.capturedLength);
 *       if (!(await r.fill())) break;
 *     }
 *
 * While the caller works on what `fill` brought, the next part of a regular file is read already, a quarter of the
 * region at a time: behind what is there, or, at the region's end, near its front, where room is left for the incomplete
 * record to be moved before it. Only where such a record is longer than that room does the part itself have to move.
 *
 * The slab may be shared with a writer that owns another region of it, so that copying a packet from one to the
 * other is one `copyWithin`.
 *
 * Nothing in a file makes `next` or `fill` throw. A record that cannot be believed ends the reading, and a packet
 * block that contradicts itself inside a sound frame is passed over; either way `warning` tells the first such
 * place, and all packets before it have been delivered.
 */
import { CulvertError } from '../errors.js';
import { MAX_PACKET_LENGTH } from './format.js';
import type { CaptureInterface } from './interfaces.js';
import type { CaptureFormat } from './recognise.js';
import type { Region } from './region.js';
import type { CaptureSource } from './source.js';

/** Octets of the smallest region that is worth reading ahead in. */
const MIN_AHEAD = 256 * 1024;

/** What pcap and pcapng have in common. */
export abstract class RecordReader {
  /** The buffer that `offset` points into. */
  readonly slab: Buffer;
  /** The same octets, for numbers of 32 bits: a view made once costs less than four octets read singly. */
  protected readonly view: DataView;
  /** Offset in the slab of the packet's first octet. Good, like all fields of a packet, until `next` or `fill`. */
  offset = 0;
  /** Octets of the packet in the file. */
  capturedLength = 0;
  /** Octets of the packet on the wire, as the file tells; not in every file at least `capturedLength`. */
  originalLength = 0;
  /** Link type of the packet; before the first packet, that of the first interface, -1 when there is none. */
  linkType = -1;
  /** Index in `interfaces` of the packet's interface. */
  interfaceIndex = 0;
  /** Whole seconds since 1970, UTC; may exceed 2^31, and be negative where a pcapng interface says so. */
  seconds = 0;
  /** 0 to 999999999, to be added to `seconds`. */
  nanoseconds = 0;
  /** Number of the packet in the file, from 1. */
  frame = 0;
  /**
   * What ended or marred the reading, or null: CAPTURE_TRUNCATED, CAPTURE_CORRUPT, CAPTURE_RECORD_TOO_LARGE or
   * CAPTURE_UNREADABLE.
   */
  warning: CulvertError | null = null;
  /** All interfaces met so far, in the file's order over all its sections. */
  readonly interfaces: CaptureInterface[] = [];
  /** The comments of all sections met so far, joined by a line feed; empty when there is none, as in pcap. */
  sectionComment = '';
  /** Whether any interface met so far has time stamps finer than microseconds. */
  finerThanMicroseconds = false;
  abstract readonly format: CaptureFormat;

  protected readonly name: string;
  protected readonly from: number;
  protected readonly to: number;
  /** Just past the last octet read. */
  protected filled: number;
  /** Start of the next record or block. */
  protected pos: number;
  /** Octets of a block too large to hold and of no interest, still to be passed over. */
  protected skip = 0;
  private readonly source: CaptureSource;
  /** Octets of the decompressed input before the region. */
  private base = 0;
  private ended = false;
  /** The read that is under way, and where it puts what it reads; what fails comes as an error, not thrown. */
  private ahead: Promise<number | Error> | null = null;
  private aheadAt = 0;
  /** Octets read at a time; 0: the region is too small, or the input may keep a read waiting, to read ahead. */
  private readonly part: number;
  /** Octets left free at the region's front. */
  private readonly headroom: number;

  /**
   * @param name told in warnings
   * @param filled just past the octets that are in the region already
   */
  constructor(source: CaptureSource, name: string, region: Region, filled: number) {
    this.source = source;
    this.name = name;
    this.slab = region.slab;
    this.view = new DataView(region.slab.buffer, region.slab.byteOffset, region.slab.length);
    this.from = region.from;
    this.to = region.to;
    this.filled = filled;
    this.pos = region.from;
    const room = region.to - region.from;
    this.part = source.size >= 0 && room >= MIN_AHEAD ? room >> 2 : 0;
    this.headroom = room >> 5;
    if (this.part > 0) this.readAhead(Math.max(this.part, region.to - filled - this.part));
  }

  /**
   * Steps to the next packet.
   * @returns false when `fill` has to be called first
   */
  abstract next(): boolean;

  /** The packet's comments, joined by a line feed; empty when there is none. Good as long as `offset` is. */
  abstract comment(): string;

  /** Octets taken from the input so far, for progress: of a gzip file, compressed ones. */
  get octetsRead(): number {
    return this.source.octetsRead;
  }

  /** Octets of the input; -1 when it cannot be known. */
  get size(): number {
    return this.source.size;
  }

  /**
   * Reads more, once `next` has said false; what `offset` pointed at is gone.
   * @returns false at the end of the capture: see `warning`
   */
  async fill(): Promise<boolean> {
    if (this.ended) return false;
    let count: number | Error;
    if (this.ahead !== null) {
      count = await this.ahead;
      this.ahead = null;
      if (typeof count === 'number') this.join(count);
    } else {
      this.moveToFront();
      // Full of records that the caller has not taken: reading nothing must not look like the end.
      if (this.filled === this.to) return true;
      const room = this.to - this.filled;
      count = await this.read(this.filled, this.part === 0 ? room : Math.min(room, this.part));
    }
    if (typeof count !== 'number') {
      this.ended = true;
      if (!(count instanceof CulvertError)) throw count;
      this.warning ??= count;
      return false;
    }
    if (count === 0) {
      this.ended = true;
      const kept = this.filled - this.pos;
      if (kept > 0 || this.skip > 0) this.warn('CAPTURE_TRUNCATED', 'the file ends inside a record', this.pos);
      return false;
    }
    this.filled += count;
    if (this.skip > 0) {
      const skipped = Math.min(this.skip, count);
      this.pos += skipped;
      this.skip -= skipped;
    }
    if (this.part > 0) this.readAhead(this.part);
    return true;
  }

  private async read(at: number, length: number): Promise<number | Error> {
    try {
      return await this.source.read(this.slab, at, length);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  private moveToFront(): void {
    if (this.pos === this.from) return;
    this.slab.copyWithin(this.from, this.pos, this.filled);
    this.base += this.pos - this.from;
    this.filled -= this.pos - this.from;
    this.pos = this.from;
  }

  /** Begins to read the next octets, where there is room that the caller does not look at. */
  private readAhead(length: number): void {
    const front = this.from + this.headroom;
    if (this.to - this.filled >= length) this.aheadAt = this.filled;
    else if (this.pos - front >= length) this.aheadAt = front;
    else return;
    this.ahead = this.read(this.aheadAt, length);
  }

  /** Brings the rest of the part before and the `count` octets read ahead together. */
  private join(count: number): void {
    const { slab, aheadAt } = this;
    const kept = this.filled - this.pos;
    const to = aheadAt - kept;
    if (to >= this.from) {
      slab.copyWithin(to, this.pos, this.filled);
      this.base += this.pos - to;
      this.pos = to;
      this.filled = aheadAt;
      return;
    }
    const part = Buffer.from(slab.subarray(aheadAt, aheadAt + count));
    this.moveToFront();
    part.copy(slab, this.filled);
  }

  async close(): Promise<void> {
    this.ended = true;
    this.pos = this.filled;
    await this.ahead; // a descriptor that is closed while it is read may be another file's by then
    await this.source.close();
  }

  protected addInterface(face: CaptureInterface): void {
    this.interfaces.push(face);
    if (this.linkType === -1) this.linkType = face.linkType;
    // 2^-19 s is coarser than a microsecond, 2^-20 s finer.
    const { resolution } = face;
    if (resolution < 128 ? resolution > 6 : resolution > 128 + 19) this.finerThanMicroseconds = true;
  }

  /**
   * Judges a record whose end has not been read yet, or that is too long.
   * @param captured octets its packet claims
   * @param length octets the record claims in all
   * @returns false, like all that `next` ends with: either more octets are needed, or the reading is over
   */
  protected incomplete(captured: number, length: number): false {
    if (captured > MAX_PACKET_LENGTH) {
      return this.stop('CAPTURE_CORRUPT', `a record claims an impossible ${String(captured)} octets`, this.pos);
    }
    const room = this.to - this.from;
    if (length <= room) return false;
    return this.stop(
      'CAPTURE_RECORD_TOO_LARGE',
      `a record of ${String(length)} octets does not fit the read buffer of ${String(room)}; the file is damaged here, or the buffer must be larger`,
      this.pos,
    );
  }

  /** Ends the reading at `p` with a warning. */
  protected stop(code: string, what: string, p: number): false {
    this.warn(code, what, p);
    this.ended = true;
    // Nothing is left: a caller that asks again gets false at once.
    this.pos = this.filled;
    return false;
  }

  /** Only the first warning stays: what follows it is often its consequence. */
  protected warn(code: string, what: string, p: number): void {
    if (this.warning !== null) return;
    const offset = this.base + p - this.from;
    this.warning = new CulvertError(
      code,
      `${this.name}: ${what} (octet ${String(offset)}, after frame ${String(this.frame)})`,
      { file: this.name, offset },
    );
  }
}
