/**
 * A plain builder of raw IPv4 packets and pcap files, for any test: slow, obvious, and sharing nothing with the code
 * under test. Checksums come out right unless a field says otherwise.
 */
import { writeFileSync } from 'node:fs';

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;
export const URG = 32;

/** Fields of the IPv4 header that a test may care for. */
export interface Ipv4Fields {
  /** Dotted. */
  readonly src: string;
  /** Dotted. */
  readonly dst: string;
  /** 64 when absent. */
  readonly ttl?: number;
  /** Identification, 0 when absent. */
  readonly id?: number;
  /** Don't fragment; true when absent. */
  readonly df?: boolean;
  readonly tos?: number;
  /** IP options, a multiple of 4 octets. */
  readonly ipOptions?: Uint8Array;
}

export interface TcpFields extends Ipv4Fields {
  readonly sport: number;
  readonly dport: number;
  /** Taken modulo 2^32, so that a test may add to it freely. */
  readonly seq?: number;
  /** Taken modulo 2^32. */
  readonly ack?: number;
  /** ACK when absent. */
  readonly flags?: number;
  /** 65535 when absent. */
  readonly window?: number;
  readonly urgent?: number;
  /** TCP options; NOPs fill them up to a multiple of 4 octets. */
  readonly options?: Uint8Array;
  readonly payload?: Uint8Array | string;
}

export interface UdpFields extends Ipv4Fields {
  readonly sport: number;
  readonly dport: number;
  readonly payload?: Uint8Array | string;
  /** False sends the datagram without a checksum (the field is 0). */
  readonly checksum?: boolean;
}

export interface IcmpErrorFields extends Ipv4Fields {
  /** 3 (destination unreachable) when absent. */
  readonly type?: number;
  /** 0 when absent. */
  readonly code?: number;
  /** The second word of the header, for example the next-hop MTU; 0 when absent. */
  readonly rest?: number;
  /** The packet that is complained of. */
  readonly about: Uint8Array;
  /** Octets of it that are quoted; all that is there when absent. */
  readonly quote?: number;
}

/** One's-complement sum of 16-bit words, folded; an odd last octet is a high half. 0xffff over sound octets. */
export function onesSum(octets: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let i = 0; i < octets.length; i++) sum += (octets[i] ?? 0) * (i % 2 === 0 ? 256 : 1);
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

/** The pseudo header's part of a TCP or UDP checksum, over a raw IPv4 packet, for `length` octets of layer 4. */
export function pseudoSum(packet: Buffer, length: number): number {
  return onesSum(packet.subarray(12, 20), packet.readUInt8(9) + length);
}

/** An IPv4 packet around any payload. */
export function ipv4Packet(protocol: number, fields: Ipv4Fields, payload: Uint8Array): Buffer {
  const options = fields.ipOptions ?? new Uint8Array(0);
  if (options.length % 4 !== 0) throw new Error('IP options come in words of 4 octets');
  const header = Buffer.alloc(20 + options.length);
  header.writeUInt8(0x40 | (header.length / 4), 0);
  header.writeUInt8(fields.tos ?? 0, 1);
  header.writeUInt16BE(header.length + payload.length, 2);
  header.writeUInt16BE(fields.id ?? 0, 4);
  header.writeUInt16BE((fields.df ?? true) ? 0x4000 : 0, 6);
  header.writeUInt8(fields.ttl ?? 64, 8);
  header.writeUInt8(protocol, 9);
  Buffer.from(fields.src.split('.').map(Number)).copy(header, 12);
  Buffer.from(fields.dst.split('.').map(Number)).copy(header, 16);
  header.set(options, 20);
  header.writeUInt16BE(0xffff - onesSum(header), 10);
  return Buffer.concat([header, payload]);
}

export function tcpPacket(fields: TcpFields): Buffer {
  const options = fields.options ?? new Uint8Array(0);
  const payload =
    typeof fields.payload === 'string' ? Buffer.from(fields.payload) : (fields.payload ?? Buffer.alloc(0));
  const header = Buffer.alloc(20 + Math.ceil(options.length / 4) * 4, 1);
  header.writeUInt16BE(fields.sport, 0);
  header.writeUInt16BE(fields.dport, 2);
  header.writeUInt32BE((fields.seq ?? 0) >>> 0, 4);
  header.writeUInt32BE((fields.ack ?? 0) >>> 0, 8);
  header.writeUInt8((header.length / 4) << 4, 12);
  header.writeUInt8(fields.flags ?? ACK, 13);
  header.writeUInt16BE(fields.window ?? 65535, 14);
  header.writeUInt16BE(0, 16);
  header.writeUInt16BE(fields.urgent ?? 0, 18);
  header.set(options, 20);
  return withChecksum(ipv4Packet(6, fields, Buffer.concat([header, payload])));
}

export function udpPacket(fields: UdpFields): Buffer {
  const payload =
    typeof fields.payload === 'string' ? Buffer.from(fields.payload) : (fields.payload ?? Buffer.alloc(0));
  const header = Buffer.alloc(8);
  header.writeUInt16BE(fields.sport, 0);
  header.writeUInt16BE(fields.dport, 2);
  header.writeUInt16BE(8 + payload.length, 4);
  const packet = ipv4Packet(17, fields, Buffer.concat([header, payload]));
  return fields.checksum === false ? packet : withChecksum(packet);
}

export function icmpError(fields: IcmpErrorFields): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(fields.type ?? 3, 0);
  header.writeUInt8(fields.code ?? 0, 1);
  header.writeUInt32BE((fields.rest ?? 0) >>> 0, 4);
  const message = Buffer.concat([header, fields.about.subarray(0, fields.quote ?? fields.about.length)]);
  message.writeUInt16BE(0xffff - onesSum(message), 2);
  return ipv4Packet(1, { df: false, ...fields }, message);
}

/**
 * Makes all checksums of a raw IPv4 packet right again, in place, after a test has changed octets. A UDP datagram
 * gets one even where it had none; a fragment only its IP checksum.
 * @returns the packet
 */
export function withChecksum(packet: Buffer): Buffer {
  const headerLength = (packet.readUInt8(0) & 15) * 4;
  packet.writeUInt16BE(0, 10);
  packet.writeUInt16BE(0xffff - onesSum(packet.subarray(0, headerLength)), 10);
  if ((packet.readUInt16BE(6) & 0x3fff) !== 0) return packet;
  const l4 = packet.subarray(headerLength, packet.readUInt16BE(2));
  const protocol = packet.readUInt8(9);
  const at = protocol === 6 ? 16 : protocol === 17 ? 6 : protocol === 1 ? 2 : -1;
  if (at < 0) return packet;
  l4.writeUInt16BE(0, at);
  const sum = 0xffff - onesSum(l4, protocol === 1 ? 0 : pseudoSum(packet, l4.length));
  l4.writeUInt16BE(protocol === 17 && sum === 0 ? 0xffff : sum, at);
  return packet;
}

/** Splits a packet into fragments of at most `mtu` octets each, in order (RFC 791); options go into the first only. */
export function fragments(packet: Buffer, mtu: number): Buffer[] {
  const headerLength = (packet.readUInt8(0) & 15) * 4;
  const payload = packet.subarray(headerLength, packet.readUInt16BE(2));
  const out: Buffer[] = [];
  for (let at = 0; at < payload.length;) {
    const header = Buffer.from(packet.subarray(0, at === 0 ? headerLength : 20));
    const room = Math.floor((mtu - header.length) / 8) * 8;
    if (room <= 0) throw new Error(`no fragment fits ${String(mtu)} octets`);
    const last = payload.length - at <= mtu - header.length;
    const part = payload.subarray(at, last ? payload.length : at + room);
    header.writeUInt8(0x40 | (header.length / 4), 0);
    header.writeUInt16BE(header.length + part.length, 2);
    header.writeUInt16BE((last ? 0 : 0x2000) | (at / 8), 6);
    out.push(withChecksum(Buffer.concat([header, part])));
    at += part.length;
  }
  return out;
}

/** A packet of a capture file, where more than its octets matters. */
export interface CapturedPacket {
  readonly octets: Uint8Array;
  /** Since 1970; packets without a time follow the one before by a millisecond. */
  readonly seconds?: number;
  readonly microseconds?: number;
  /** Octets on the wire, when the capture cut the packet. */
  readonly originalLength?: number;
}

/** Writes a pcap file: microseconds, little-endian. */
export function writePcap(path: string, packets: readonly (Uint8Array | CapturedPacket)[], linkType = 101): void {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(262144, 16);
  header.writeUInt32LE(linkType, 20);
  const parts: Uint8Array[] = [header];
  let time = 1_700_000_000_000_000;
  for (const packet of packets) {
    const captured: CapturedPacket = packet instanceof Uint8Array ? { octets: packet } : packet;
    time = captured.seconds === undefined ? time + 1000 : captured.seconds * 1e6 + (captured.microseconds ?? 0);
    const record = Buffer.alloc(16);
    record.writeUInt32LE(Math.floor(time / 1e6), 0);
    record.writeUInt32LE(time % 1e6, 4);
    record.writeUInt32LE(captured.octets.length, 8);
    record.writeUInt32LE(captured.originalLength ?? captured.octets.length, 12);
    parts.push(record, captured.octets);
  }
  writeFileSync(path, Buffer.concat(parts));
}
