/**
 * Puts fragmented datagrams together (RFC 791 section 3.2, RFC 815), in bounded memory: the oldest incomplete ones give
 * way. Where fragments overlap, the octets that came first stay, and that is said.
 */
import { portsOf } from './packet.js';
import type { DecodedFrame, Ipv4Packet } from './packet.js';

/** Most octets of incomplete datagrams. */
const MAX_OCTETS = 16 * 1024 * 1024;
const MAX_DATAGRAMS = 4096;

interface Piece {
  readonly from: number;
  readonly to: number;
  readonly octets: Buffer;
}

interface Incomplete {
  /** By offset, not overlapping. */
  pieces: Piece[];
  /** Octets of the whole payload, or -1 while the last fragment has not come. */
  total: number;
  octets: number;
  /** The first fragment's header with its options. */
  header: Buffer | null;
  ports: DecodedFrame['ports'];
  readonly frames: number[];
  overlapped: boolean;
}

export interface Reassembled {
  /** An IPv4 packet as it was before it was fragmented, save its checksum; null while fragments are missing. */
  readonly datagram: Buffer | null;
  /** Frames of the fragments so far. */
  readonly frames: readonly number[];
  readonly overlapped: boolean;
  /** Ports, once the first fragment is there. */
  readonly ports: DecodedFrame['ports'];
}

export class Reassembler {
  readonly #incomplete = new Map<string, Incomplete>();
  #octets = 0;

  /**
   * Takes a fragment whose octets are all there.
   * @param at offset of the IPv4 header in `b`
   */
  add(frame: DecodedFrame, ip: Ipv4Packet, b: Buffer, at: number): Reassembled {
    const { header } = ip;
    const { source, destination, protocol, identification } = header;
    const key = [frame.info.interfaceIndex, source, destination, protocol, identification].join(' ');
    let entry = this.#incomplete.get(key);
    if (entry === undefined) {
      entry = { pieces: [], total: -1, octets: 0, header: null, ports: null, frames: [], overlapped: false };
      this.#incomplete.set(key, entry);
    }
    const headerLength = header.headerWords * 4;
    const from = ip.fragmentOffset;
    const to = from + ip.length - headerLength;
    entry.frames.push(frame.info.frame);
    if (header.moreFragments === 0) entry.total = to;
    if (from === 0) {
      entry.header = Buffer.from(b.subarray(at, at + headerLength));
      entry.ports =
        frame.transport === null || frame.transport.kind === 'icmp' ? frame.ports : portsOf(frame.transport);
    }
    this.#insert(entry, from, b.subarray(at + headerLength, at + headerLength + to - from));
    const datagram = this.#complete(entry);
    const { frames, overlapped, ports } = entry;
    if (datagram !== null || frames.length > MAX_DATAGRAMS) this.#forget(key, entry);
    this.#makeRoom();
    return { datagram, frames, overlapped, ports };
  }

  /** Keeps those of the octets that are not there yet. */
  #insert(entry: Incomplete, offset: number, octets: Buffer): void {
    let from = offset;
    const to = offset + octets.length;
    const added: Piece[] = [];
    for (const piece of entry.pieces) {
      if (piece.to <= from || piece.from >= to) continue;
      const isSame = piece.from === offset && piece.to === to && piece.octets.equals(octets);
      if (!isSame) entry.overlapped = true;
      if (piece.from > from) added.push(copyOf(octets, offset, from, piece.from));
      from = Math.max(from, piece.to);
    }
    if (from < to) added.push(copyOf(octets, offset, from, to));
    for (const piece of added) {
      entry.octets += piece.to - piece.from;
      this.#octets += piece.to - piece.from;
    }
    if (added.length > 0) entry.pieces = [...entry.pieces, ...added].sort((a, z) => a.from - z.from);
  }

  #complete({ header, total, pieces }: Incomplete): Buffer | null {
    if (header === null || total < 0) return null;
    let reached = 0;
    for (const piece of pieces) {
      if (piece.from !== reached) return null;
      reached = piece.to;
    }
    // 65535 is the protocol's limit; hostile offsets pass it.
    if (reached !== total || header.length + total > 0xffff) return null;
    const datagram = Buffer.concat([header, ...pieces.map(({ octets }) => octets)]);
    datagram.writeUInt16BE(datagram.length, 2);
    datagram.writeUInt16BE(datagram.readUInt16BE(6) & 0xc000, 6);
    return datagram;
  }

  #forget(key: string, entry: Incomplete): void {
    this.#incomplete.delete(key);
    this.#octets -= entry.octets;
  }

  #makeRoom(): void {
    for (const [key, entry] of this.#incomplete) {
      if (this.#octets <= MAX_OCTETS && this.#incomplete.size <= MAX_DATAGRAMS) return;
      this.#forget(key, entry);
    }
  }
}

const copyOf = (octets: Buffer, offset: number, from: number, to: number): Piece => ({
  from,
  to,
  octets: Buffer.from(octets.subarray(from - offset, to - offset)),
});
