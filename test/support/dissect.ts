/**
 * A plain dissector of raw IPv4 packets, for any test: slow, obvious, and sharing nothing with the code under test. The
 * counterpart of packets.ts, which builds them.
 */
import { onesSum, pseudoSum } from './packets.js';

const dotted = (b: Buffer, at: number): string => [...b.subarray(at, at + 4)].join('.');

/** What is wrong with a packet's lengths and checksums; empty when nothing is. */
export function faults(packet: Buffer): string[] {
  const found: string[] = [];
  const header = (packet.readUInt8(0) & 15) * 4;
  // A total length of 0 stands for a packet that is too long for the field.
  const total = packet.readUInt16BE(2) || packet.length;
  if (total !== packet.length) found.push(`total length ${total} of ${packet.length} octets`);
  if (onesSum(packet.subarray(0, header)) !== 0xffff) found.push('IPv4 checksum');
  const fragment = (packet.readUInt16BE(6) & 0x3fff) !== 0;
  if (!fragment) found.push(...transportFaults(packet, header, total));
  return found;
}

function transportFaults(packet: Buffer, header: number, total: number): string[] {
  const protocol = packet.readUInt8(9);
  const l4 = packet.subarray(header, total);
  switch (protocol) {
    case 1:
      return onesSum(l4) === 0xffff ? [] : ['ICMP checksum'];
    case 6:
      return onesSum(l4, pseudoSum(packet, l4.length)) === 0xffff ? [] : ['TCP checksum'];
    case 17: {
      const length = l4.readUInt16BE(4);
      if (l4.readUInt16BE(6) === 0) return [];
      return onesSum(l4.subarray(0, length), pseudoSum(packet, length)) === 0xffff ? [] : ['UDP checksum'];
    }
    default:
      return [`protocol ${protocol}`];
  }
}

export interface Ip {
  readonly src: string;
  readonly dst: string;
  readonly ttl: number;
  readonly id: number;
  readonly tos: number;
  /** Flags and fragment offset as they stand. */
  readonly fragment: number;
  readonly total: number;
  readonly protocol: number;
  readonly payload: Buffer;
}

export interface Segment extends Ip {
  readonly sport: number;
  readonly dport: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  /** The four bits behind the data offset. */
  readonly reserved: number;
  readonly window: number;
  readonly checksum: number;
  readonly urgent: number;
  readonly options: Buffer;
}

export function ip(packet: Buffer): Ip {
  return {
    src: dotted(packet, 12),
    dst: dotted(packet, 16),
    ttl: packet.readUInt8(8),
    id: packet.readUInt16BE(4),
    tos: packet.readUInt8(1),
    fragment: packet.readUInt16BE(6),
    total: packet.readUInt16BE(2),
    protocol: packet.readUInt8(9),
    payload: packet.subarray((packet.readUInt8(0) & 15) * 4),
  };
}

export function segment(packet: Buffer): Segment {
  const outer = ip(packet);
  const b = outer.payload;
  const header = (b.readUInt8(12) >>> 4) * 4;
  return {
    ...outer,
    sport: b.readUInt16BE(0),
    dport: b.readUInt16BE(2),
    seq: b.readUInt32BE(4),
    ack: b.readUInt32BE(8),
    reserved: b.readUInt8(12) & 15,
    flags: b.readUInt8(13),
    window: b.readUInt16BE(14),
    checksum: b.readUInt16BE(16),
    urgent: b.readUInt16BE(18),
    options: b.subarray(20, header),
    payload: b.subarray(header),
  };
}

export interface Datagram extends Ip {
  readonly sport: number;
  readonly dport: number;
  readonly length: number;
  readonly checksum: number;
}

export function datagram(packet: Buffer): Datagram {
  const outer = ip(packet);
  const b = outer.payload;
  return {
    ...outer,
    sport: b.readUInt16BE(0),
    dport: b.readUInt16BE(2),
    length: b.readUInt16BE(4),
    checksum: b.readUInt16BE(6),
    payload: b.subarray(8),
  };
}

/** The options as they follow each other, `kind` and all octets of each; throws where the list is not legal. */
export function optionList(options: Buffer): { kind: number; octets: number[] }[] {
  const list: { kind: number; octets: number[] }[] = [];
  for (let at = 0; at < options.length;) {
    const kind = options.readUInt8(at);
    if (kind === 0) break;
    const length = kind === 1 ? 1 : options.readUInt8(at + 1);
    if (length < 1 || (kind !== 1 && length < 2) || at + length > options.length) {
      throw new Error(`option ${kind} at ${at} has a length of ${length}`);
    }
    list.push({ kind, octets: [...options.subarray(at, at + length)] });
    at += length;
  }
  return list;
}
