/**
 * The check's own reading of packets: slow, plain, and sharing nothing with the code that wrote them. Every checksum is
 * summed from nothing over the octets at hand.
 */

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const ACK = 16;

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;

/** Of a TCP segment or a UDP datagram. */
export interface Ports {
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** The transport part of a packet. Numbers that a protocol does not have are 0. */
export interface Transport extends Ports {
  readonly protocol: number;
  /** Offset of its header. */
  readonly at: number;
  /** Octets of header and data on the wire; of UDP, by its own length field. */
  readonly length: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly window: number;
  /** Offset of its data, and just past those that are at hand. */
  readonly dataAt: number;
  readonly dataEnd: number;
  /** Octets of data on the wire. */
  readonly dataLength: number;
  /** The checksum field. */
  readonly checksum: number;
  /** UDP without a checksum (RFC 768). */
  readonly noChecksum: boolean;
  /** What the sum over everything misses of 0, modulo 0xffff: 0 is right; -1 cannot be told (octets are missing). */
  readonly error: number;
  /** The field holds only the pseudo-header sum: the sender's network card was to complete it. */
  readonly partial: boolean;
}

/** An IPv4 packet as it stands in a capture, or put together from fragments. */
export interface Packet {
  readonly b: Buffer;
  /** Offset of its first octet. */
  readonly at: number;
  /** Octets of its IPv4 header. */
  readonly headerLength: number;
  /** Octets on the wire. */
  readonly length: number;
  /** Just past its last octet at hand. */
  readonly end: number;
  readonly protocol: number;
  /** uint32, as all addresses here. */
  readonly source: number;
  readonly destination: number;
  readonly id: number;
  readonly ttl: number;
  /** Octets. */
  readonly fragmentOffset: number;
  readonly moreFragments: boolean;
  /** As in `Transport`. */
  readonly ipError: number;
  /** The IPv4 checksum field is 0 and wrong: the network card was to compute it. */
  readonly ipUncomputed: boolean;
  /** The total length is 0: a super-packet whose length only the record tells. */
  readonly lengthUntold: boolean;
  /** Null for fragments, other protocols, and where `fault` says what is wrong. */
  readonly transport: Transport | null;
  /** What is wrong with its structure, or null. */
  readonly fault: string | null;
}

export const u16 = (b: Buffer, at: number): number => b.readUInt16BE(at);
export const u32 = (b: Buffer, at: number): number => b.readUInt32BE(at);

/** One's-complement sum of [from, to), folded to 1..0xffff (0 only for all zeros); an odd last octet is a high half. */
export function onesSum(b: Buffer, from: number, to: number, initial = 0): number {
  let sum = initial;
  let at = from;
  for (; at + 1 < to; at += 2) sum += b[at]! * 256 + b[at + 1]!;
  if (at < to) sum += b[at]! * 256;
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

/**
 * Reads the packet at `at`.
 * @param end just past the last octet at hand
 * @param missing octets of the frame that the capture cut off
 * @returns the packet, or what keeps it from being one
 */
export function parsePacket(b: Buffer, at: number, end: number, missing: number): Packet | string {
  if (end - at < 20) return 'it ends inside the IPv4 header';
  const first = b[at]!;
  if (first >> 4 !== 4) return `its version is ${String(first >> 4)}`;
  const headerLength = (first & 15) * 4;
  if (headerLength < 20) return `its IPv4 header claims ${String(headerLength)} octets`;
  if (end - at < headerLength) return 'it ends inside the IPv4 header';
  const told = u16(b, at + 2);
  const length = told === 0 ? end - at + missing : told;
  if (length < headerLength) return `its total length is ${String(told)}, less than its header`;
  if (length > end - at + missing) return `its total length is ${String(told)}, more than the frame has`;
  const field = u16(b, at + 6);
  const ipError = onesSum(b, at, at + headerLength) % 0xffff;
  const packet: Packet = {
    b,
    at,
    headerLength,
    length,
    end: Math.min(end, at + length),
    protocol: b[at + 9]!,
    source: u32(b, at + 12),
    destination: u32(b, at + 16),
    id: u16(b, at + 4),
    ttl: b[at + 8]!,
    fragmentOffset: (field & 0x1fff) * 8,
    moreFragments: (field & 0x2000) !== 0,
    ipError,
    ipUncomputed: ipError !== 0 && u16(b, at + 10) === 0,
    lengthUntold: told === 0,
    transport: null,
    fault: null,
  };
  if (isFragment(packet)) return packet;
  return withTransport(packet);
}

export const isFragment = (p: Packet): boolean => p.moreFragments || p.fragmentOffset > 0;

/** The ports of a UDP datagram's first fragment; null of every other packet. */
export function firstFragmentPorts(p: Packet): Ports | null {
  const { b } = p;
  const at = p.at + p.headerLength;
  if (p.protocol !== UDP || p.fault !== null || !p.moreFragments || p.fragmentOffset !== 0 || p.end - at < 8)
    return null;
  return u16(b, at + 4) < 8 ? null : { sourcePort: u16(b, at), destinationPort: u16(b, at + 2) };
}

/** Octets of the packet that the capture cut off. */
export const missingOctets = (p: Packet): number => p.at + p.length - p.end;

/** The packet with its transport read, or with the fault that keeps it from being read. */
export function withTransport(p: Packet): Packet {
  const { b, protocol } = p;
  const at = p.at + p.headerLength;
  const length = p.length - p.headerLength;
  const fault = (text: string): Packet => ({ ...p, fault: text });
  const cut = p.end < p.at + p.length;
  if (protocol === ICMP) {
    if (length < 8) return fault('its ICMP message is shorter than 8 octets');
    if (p.end - at < 8) return fault('the capture cut it inside the ICMP header');
    const error = cut ? -1 : onesSum(b, at, at + length) % 0xffff;
    return { ...p, transport: { ...EMPTY, protocol, at, length, checksum: u16(b, at + 2), error } };
  }
  if (protocol !== TCP && protocol !== UDP) return p;
  const least = protocol === TCP ? 20 : 8;
  if (length < least) return fault(`its transport header has ${String(length)} of ${String(least)} octets`);
  if (p.end - at < least) return fault('the capture cut it inside the transport header');
  const told = protocol === UDP ? u16(b, at + 4) : length;
  // A UDP super-packet has no room to tell its length (RFC 2675).
  const covered = told === 0 && p.lengthUntold ? length : told;
  if (covered < least || covered > length)
    return fault(`its UDP length is ${String(told)} in ${String(length)} octets`);
  const header = protocol === TCP ? (b[at + 12]! >> 4) * 4 : 8;
  if (header < least || header > length) return fault(`its TCP header claims ${String(header)} octets`);
  if (p.end - at < header) return fault('the capture cut it inside the TCP options');
  const checksum = u16(b, at + (protocol === TCP ? 16 : 6));
  const addresses = onesSum(b, p.at + 12, p.at + 20, protocol);
  const pseudo = onesSum(b, 0, 0, addresses + covered);
  const noChecksum = protocol === UDP && checksum === 0;
  const available = p.end >= at + covered;
  const partial = !noChecksum && (checksum === pseudo || (p.lengthUntold && checksum === onesSum(b, 0, 0, addresses)));
  return {
    ...p,
    transport: {
      protocol,
      at,
      length: covered,
      sourcePort: u16(b, at),
      destinationPort: u16(b, at + 2),
      sequence: protocol === TCP ? u32(b, at + 4) : 0,
      acknowledgment: protocol === TCP ? u32(b, at + 8) : 0,
      flags: protocol === TCP ? b[at + 13]! & 63 : 0,
      window: protocol === TCP ? u16(b, at + 14) : 0,
      dataAt: at + header,
      dataEnd: Math.min(p.end, at + covered),
      dataLength: covered - header,
      checksum,
      noChecksum,
      error: noChecksum ? 0 : available ? onesSum(b, at, at + covered, pseudo) % 0xffff : -1,
      partial,
    },
  };
}

const EMPTY: Transport = {
  protocol: 0,
  at: 0,
  length: 0,
  sourcePort: 0,
  destinationPort: 0,
  sequence: 0,
  acknowledgment: 0,
  flags: 0,
  window: 0,
  dataAt: 0,
  dataEnd: 0,
  dataLength: 0,
  checksum: 0,
  noChecksum: false,
  error: 0,
  partial: false,
};

/** Signed distance from one sequence number to another, modulo 2^32 (RFC 9293 section 3.4). */
export const sequenceDistance = (from: number, to: number): number => (to - from) | 0;

/** A number below 2^53 that different octets hardly ever share. */
function fingerprint(b: Buffer, from: number, to: number): number {
  let one = 0x811c9dc5;
  let two = to - from;
  for (let at = from; at < to; at++) {
    one = Math.imul(one ^ b[at]!, 0x01000193);
    two = (Math.imul(two, 31) + b[at]!) | 0;
  }
  return (one >>> 0) * 0x200000 + (two & 0x1fffff);
}

/** What a datagram is found by: its data, or what the capture has of it. */
export function datagramKey(p: Packet, t: Transport): number {
  const key = fingerprint(p.b, t.dataAt, t.dataEnd);
  return missingOctets(p) === 0 ? key : -1 - key;
}

/** Neither SYN, RST nor ACK, or SYN together with FIN or RST, is no segment of a connection. */
export const soundFlags = (flags: number): boolean =>
  (flags & (SYN | RST | ACK)) !== 0 && !((flags & SYN) !== 0 && (flags & (FIN | RST)) !== 0);

/** Whether a gateway may be asked to forward the packet at all: not one that the rules let it drop for its IP header. */
export function isForwardable(p: Packet): boolean {
  const unicast = (address: number): boolean => address >= 0x01000000 && address < 0xe0000000;
  return (p.ipError === 0 || p.ipUncomputed) && p.ttl > 1 && unicast(p.source) && unicast(p.destination);
}
