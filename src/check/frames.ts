/** The IPv4 packets of a capture, one after another, and the datagrams that its fragments make. */
import { CaptureReader } from '../capture/index.js';
import type { CulvertError } from '../errors.js';
import { LINK_NOT_IPV4, LINK_TRUNCATED, locateIpv4 } from '../wire/link.js';
import type { Packet } from './packet.js';
import { isFragment, parsePacket } from './packet.js';
import { Reassembly } from './reassembly.js';

/** Where and when a packet was captured. */
export interface Frame {
  /** From 1. */
  readonly number: number;
  /** Microseconds since 1970. */
  readonly micros: number;
  /** Consumer network of the interface; -1 when it is none. */
  readonly network: number;
}

/** Called in the order of the file. A packet's octets are good until the call returns, unless it was reassembled. */
export interface Visitor {
  /** Every IPv4 packet, fragments too. */
  packet?(p: Packet, frame: Frame): void;
  /** A frame without an IPv4 packet, or with one that is not sound. */
  unsound?(why: string, frame: Frame, isIpv4: boolean): void;
  /**
   * A whole datagram whose transport could be read.
   * @param reassembled it came in fragments
   * @param certain false where a translator may have had reasons not to forward all of its fragments
   */
  datagram?(p: Packet, frame: Frame, reassembled: boolean, certain: boolean): void;
}

export interface FramesOptions {
  /** From an interface's name to its consumer network; all are network 0 when absent. */
  readonly networkOf?: ((interfaceName: string) => number) | undefined;
  /** Told the octets read so far and those of the file, -1 where that is unknown. */
  readonly onProgress?: ((octets: number, size: number) => void) | undefined;
}

/** A capture read packet by packet: `step` for lockstep with another, or `visitAll`. */
export class Frames {
  private readonly reader: CaptureReader;
  private readonly visitor: Visitor;
  private readonly options: FramesOptions;
  private readonly reassembly = new Reassembly();
  private readonly networks: number[] = [];

  private constructor(reader: CaptureReader, visitor: Visitor, options: FramesOptions) {
    this.reader = reader;
    this.visitor = visitor;
    this.options = options;
  }

  /** @throws CulvertError as `CaptureReader.open` does */
  static async open(path: string, visitor: Visitor, options: FramesOptions = {}): Promise<Frames> {
    return new Frames(await CaptureReader.open(path), visitor, options);
  }

  /** Reads a whole capture. @returns what marred the reading, or null */
  static async visitAll(path: string, visitor: Visitor, options: FramesOptions = {}): Promise<CulvertError | null> {
    const frames = await Frames.open(path, visitor, options);
    try {
      for (;;) {
        while (frames.next());
        if (!(await frames.fill())) return frames.reader.warning;
      }
    } finally {
      await frames.close();
    }
  }

  get warning(): CulvertError | null {
    return this.reader.warning;
  }

  /** Takes one more frame. @returns false at the end */
  async step(): Promise<boolean> {
    while (!this.next()) if (!(await this.fill())) return false;
    return true;
  }

  async close(): Promise<void> {
    await this.reader.close();
  }

  private async fill(): Promise<boolean> {
    const more = await this.reader.fill();
    this.options.onProgress?.(this.reader.octetsRead, this.reader.size);
    return more;
  }

  private next(): boolean {
    const { reader: r, visitor } = this;
    if (!r.next()) return false;
    const frame: Frame = {
      number: r.frame,
      micros: r.seconds * 1e6 + Math.floor(r.nanoseconds / 1000),
      network: this.networkOf(r.interfaceIndex),
    };
    const end = r.offset + r.capturedLength;
    const ip = locateIpv4(r.linkType, r.slab, r.offset, end);
    if (ip < 0) {
      const why =
        ip === LINK_NOT_IPV4 ? 'no IPv4' : ip === LINK_TRUNCATED ? 'cut in its link layer' : 'link type unknown';
      visitor.unsound?.(why, frame, false);
      return true;
    }
    const p = parsePacket(r.slab, ip, end, Math.max(0, r.originalLength - r.capturedLength));
    if (typeof p === 'string') {
      visitor.unsound?.(p, frame, true);
      return true;
    }
    visitor.packet?.(p, frame);
    if (p.fault !== null) return true;
    if (p.transport !== null) visitor.datagram?.(p, frame, false, true);
    if (!isFragment(p)) return true;
    const whole = this.reassembly.add(p, frame.network, frame.micros);
    if (whole !== null && whole.packet.transport !== null) visitor.datagram?.(whole.packet, frame, true, whole.certain);
    return true;
  }

  private networkOf(index: number): number {
    const { networkOf } = this.options;
    if (networkOf === undefined) return 0;
    return (this.networks[index] ??= networkOf(this.reader.interfaces[index]?.name ?? ''));
  }
}
