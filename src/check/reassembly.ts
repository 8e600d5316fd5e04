/**
 * Fragments put together again, to check what only the whole shows (RFC 791 section 3.2). Overlapping fragments give no
 * datagram; neither do those that the capture cut.
 */
import type { Packet } from './packet.js';
import { TCP, missingOctets, withTransport } from './packet.js';

/** Datagrams under way at most; the oldest make room. */
const MAX_DATAGRAMS = 1024;
/** A receiver gives up after this long (RFC 1122 section 3.3.2 asks for 60 to 120 s; translators keep less). */
const TIMEOUT_MICROSECONDS = 30e6;
const MAX_PAYLOAD = 65515;

interface Datagram {
  readonly began: number;
  readonly parts: Map<number, Buffer>;
  /** IPv4 header of the first fragment; null while it is to come. */
  header: Buffer | null;
  /** Octets of payload; -1 while the last fragment is to come. */
  total: number;
  octets: number;
  /** The first fragment came first, whole headers in it. */
  readonly inOrder: boolean;
}

export interface Whole {
  readonly packet: Packet;
  /** Whether a translator that holds no more than it must had to forward it whole. */
  readonly certain: boolean;
}

export class Reassembly {
  private readonly datagrams = new Map<string, Datagram>();

  /**
   * @param where tells apart fragments of different networks
   * @param micros time of the record
   * @returns the datagram that this fragment completes, in a buffer of its own
   */
  add(p: Packet, where: number, micros: number): Whole | null {
    const at = p.at + p.headerLength;
    const size = p.length - p.headerLength;
    if (missingOctets(p) > 0 || size === 0 || p.ipError !== 0) return null;
    const key = `${String(where)} ${String(p.source)} ${String(p.destination)} ${String(p.protocol)} ${String(p.id)}`;
    const part = Buffer.from(p.b.subarray(at, at + size));
    let d = this.datagrams.get(key);
    if (d !== undefined) {
      const same = d.parts.get(p.fragmentOffset);
      if (same?.equals(part) === true) return null;
      if (micros - d.began > TIMEOUT_MICROSECONDS || overlaps(d, p.fragmentOffset, size)) {
        this.datagrams.delete(key);
        d = undefined;
      }
    }
    if (d === undefined) {
      const oldest = this.datagrams.keys().next();
      if (this.datagrams.size >= MAX_DATAGRAMS && oldest.done !== true) this.datagrams.delete(oldest.value);
      const least = p.protocol === TCP ? (size > 12 ? (part[12]! >> 4) * 4 : 20) : 8;
      d = {
        began: micros,
        parts: new Map(),
        header: null,
        total: -1,
        octets: 0,
        inOrder: p.fragmentOffset === 0 && size >= least,
      };
      this.datagrams.set(key, d);
    }
    d.parts.set(p.fragmentOffset, part);
    d.octets += size;
    if (p.fragmentOffset === 0) d.header = Buffer.from(p.b.subarray(p.at, at));
    if (!p.moreFragments) d.total = p.fragmentOffset + size;
    if (d.header === null || d.total !== d.octets || d.total > MAX_PAYLOAD) return null;
    this.datagrams.delete(key);
    return { packet: assemble(d, d.header, p), certain: d.inOrder };
  }
}

function overlaps(d: Datagram, offset: number, size: number): boolean {
  for (const [other, part] of d.parts) if (offset < other + part.length && other < offset + size) return true;
  return d.total >= 0 && offset + size > d.total;
}

function assemble(d: Datagram, header: Buffer, last: Packet): Packet {
  const offsets = [...d.parts.keys()].sort((a, b) => a - b);
  const b = Buffer.concat([header, ...offsets.map((offset) => d.parts.get(offset)!)]);
  return withTransport({
    ...last,
    b,
    at: 0,
    headerLength: header.length,
    length: b.length,
    end: b.length,
    ttl: header[8]!,
    fragmentOffset: 0,
    moreFragments: false,
    lengthUntold: false,
  });
}
