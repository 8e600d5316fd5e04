/**
 * A tap: packets of both sides of the gateway, as pcapng, to whoever asked, while the gateway runs.
 *
 * Theory of operation
 * - The pump tells of each burst before it is translated and of each packet that it sends. Translation is in place, and
 *   only afterwards has a new flow a record by which its packets are told: so a burst's packets are copied aside first
 *   and judged once they are translated.
 * - Each network is an interface of the file. Packets are as the interface gave them: with offload a TCP packet may be up
 *   to 64 KiB long, and its checksum left to the device, as tcpdump shows them too.
 * - Memory is bounded: what the reader has not taken yet may come to MOST_WAITING octets, then packets are lost and
 *   counted; a comment at the next packet that is kept tells how many.
 */
import { CaptureWriter, type CaptureSink } from '../../capture/writer.js';
import { MAX_BURST, SUPER_PACKET } from '../../device/device.js';
import type { Translator } from '../../translate/translator.js';
import * as ipv4 from '../../wire/ipv4.js';
import { LINK_RAW } from '../../wire/link.js';
import type { Port } from '../pump.js';
import { PROVIDER_SIDE, TapFilter, type TapQuery } from './tap-filter.js';

/** Where a tap's octets go. */
export interface TapReader {
  write(octets: Buffer): void;
  /** Octets that it has been given and that are still in memory. */
  readonly waiting: number;
  end(): void;
}

export interface TapOptions extends TapQuery {
  /** Octets kept of each packet. */
  readonly snapLength: number;
}

export interface TapStatus {
  readonly packets: number;
  /** Packets that were not kept, since the reader was slow. */
  readonly lost: number;
}

const MOST_WAITING = 8 << 20;
const REGION_OCTETS = 1 << 20;

class ReaderSink implements CaptureSink {
  private readonly reader: TapReader;

  constructor(reader: TapReader) {
    this.reader = reader;
  }

  write(b: Buffer, from: number, to: number): void {
    this.reader.write(Buffer.from(b.subarray(from, to)));
  }

  close(): void {
    this.reader.end();
  }

  abort(): void {
    this.reader.end();
  }
}

export class Tap {
  private readonly filter: TapFilter;
  private readonly reader: TapReader;
  private readonly writer: CaptureWriter;
  private readonly snapLength: number;
  private readonly describe: (port: Port) => string;
  private readonly faces = new Map<Port, number>();
  private packets = 0;
  private lost = 0;
  private lostBefore = 0;
  // The burst that is being translated.
  private readonly staged: Buffer;
  private readonly lengths = new Int32Array(MAX_BURST);
  private readonly originals = new Int32Array(MAX_BURST);
  private port: Port | null = null;
  private count = 0;
  private ms = 0;

  /** @param describe the name of a port's network */
  constructor(translator: Translator, options: TapOptions, reader: TapReader, describe: (port: Port) => string) {
    const { snapLength, ...query } = options;
    this.filter = new TapFilter(translator, query);
    this.reader = reader;
    this.describe = describe;
    this.snapLength = snapLength;
    this.staged = Buffer.allocUnsafeSlow(MAX_BURST * Math.min(snapLength, SUPER_PACKET));
    this.writer = CaptureWriter.toSink(new ReaderSink(reader), 'tap', {
      ...{ format: 'pcapng', nanoseconds: false, linkType: LINK_RAW, interfaces: [] },
      ...{ snapLength, slab: Buffer.allocUnsafeSlow(REGION_OCTETS) },
    });
  }

  get status(): TapStatus {
    return { packets: this.packets, lost: this.lost };
  }

  /** Names a network before its first packet, so that the file tells of those too that were silent. */
  add(port: Port): void {
    this.face(port);
    this.writer.flush();
  }

  /** A burst came from a device, and is about to be translated. */
  received(port: Port, slab: Buffer, offsets: Int32Array, lengths: Int32Array, count: number): void {
    this.port = port;
    this.count = count;
    this.ms = wallClock();
    for (let i = 0, at = 0; i < count; i++) {
      const kept = Math.min(lengths[i]!, this.snapLength);
      slab.copy(this.staged, at, offsets[i], offsets[i]! + kept);
      this.lengths[i] = kept;
      this.originals[i] = lengths[i]!;
      at += kept;
    }
  }

  /** The burst has been translated. */
  translated(): void {
    if (this.port === null) return;
    for (let i = 0, at = 0; i < this.count; i++) {
      this.see(this.port, this.staged, at, this.lengths[i]!, this.originals[i]!, ipv4.destination);
      at += this.lengths[i]!;
    }
    this.port = null;
    this.writer.flush();
  }

  /** Packets are given to a device. */
  sent(port: Port, slab: Buffer, offsets: Int32Array, lengths: Int32Array, count: number): void {
    this.ms = wallClock();
    for (let i = 0; i < count; i++) {
      this.see(port, slab, offsets[i]!, Math.min(lengths[i]!, this.snapLength), lengths[i]!, ipv4.source);
    }
    this.writer.flush();
  }

  close(): void {
    this.writer.close();
  }

  /** @param gatewaysOwn reads the address that is a NAT address at the provider's side */
  private see(
    port: Port,
    b: Buffer,
    at: number,
    kept: number,
    original: number,
    gatewaysOwn: (b: Buffer, ip: number) => number,
  ): void {
    if (kept < ipv4.MIN_HEADER) return;
    const isProvider = port.natAddresses.includes(gatewaysOwn(b, at));
    const side = isProvider || port.network < 0 ? PROVIDER_SIDE : port.network;
    if (!this.filter.takes(side, b, at, at + kept)) return;
    if (this.reader.waiting > MOST_WAITING) {
      this.lost++;
      this.lostBefore++;
      return;
    }
    const face = this.face(port);
    const place = this.writer.reserve(kept);
    b.copy(this.writer.slab, place, at, at + kept);
    const seconds = Math.floor(this.ms / 1000);
    const nanoseconds = Math.floor((this.ms - seconds * 1000) * 1e6);
    const comment = this.lostBefore === 0 ? '' : `${String(this.lostBefore)} packets before this one were lost`;
    this.writer.commit(kept, original, seconds, nanoseconds, face, comment);
    this.lostBefore = 0;
    this.packets++;
  }

  private face(port: Port): number {
    let face = this.faces.get(port);
    if (face === undefined) {
      face = this.writer.addInterface({ linkType: LINK_RAW, name: this.describe(port), description: port.device.name });
      this.faces.set(port, face);
    }
    return face;
  }
}

/** Milliseconds since 1970, with fractions; it never goes back while the gateway runs. */
const wallClock = (): number => performance.timeOrigin + performance.now();
