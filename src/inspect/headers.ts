/**
 * The fixed parts of the IPv4, TCP, UDP and ICMP headers as records, by declarative parsers. The packet path reads
 * octets in place instead; here a record a packet is what is wanted, and a second reading of the same RFCs.
 *
 * No parser checks a length: callers see to it that the fixed part of the header is there.
 */
import { Parser } from 'binary-parser';

/** RFC 791 section 3.1, without options. Integers are host numbers, addresses 0 to 2^32-1. */
export interface Ipv4Header {
  readonly version: number;
  /** In words of 4 octets. */
  readonly headerWords: number;
  readonly tos: number;
  readonly totalLength: number;
  readonly identification: number;
  readonly reserved: number;
  readonly dontFragment: number;
  readonly moreFragments: number;
  /** In units of 8 octets. */
  readonly fragmentOffset: number;
  readonly ttl: number;
  readonly protocol: number;
  readonly checksum: number;
  readonly source: number;
  readonly destination: number;
}

/** RFC 9293 section 3.1, without options. Sequence and acknowledgment are 0 to 2^32-1. */
export interface TcpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  /** In words of 4 octets. */
  readonly headerWords: number;
  readonly reserved: number;
  readonly flags: number;
  /** As it stands in the header, unscaled. */
  readonly window: number;
  readonly checksum: number;
  readonly urgentPointer: number;
}

/** RFC 768. */
export interface UdpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Octets of header and payload. */
  readonly length: number;
  readonly checksum: number;
}

/** RFC 792. What the second word means depends on the type. */
export interface IcmpHeader {
  readonly type: number;
  readonly code: number;
  readonly checksum: number;
  /** First half of the second word: for echoes the identifier. */
  readonly high: number;
  /** Second half: for echoes the sequence number, for "fragmentation needed" the next hop's MTU. */
  readonly low: number;
}

const ipv4 = new Parser()
  .endianness('big')
  .bit4('version')
  .bit4('headerWords')
  .uint8('tos')
  .uint16('totalLength')
  .uint16('identification')
  .bit1('reserved')
  .bit1('dontFragment')
  .bit1('moreFragments')
  .bit13('fragmentOffset')
  .uint8('ttl')
  .uint8('protocol')
  .uint16('checksum')
  .uint32('source')
  .uint32('destination');

const tcp = new Parser()
  .endianness('big')
  .uint16('sourcePort')
  .uint16('destinationPort')
  .uint32('sequence')
  .uint32('acknowledgment')
  .bit4('headerWords')
  .bit4('reserved')
  .uint8('flags')
  .uint16('window')
  .uint16('checksum')
  .uint16('urgentPointer');

const udp = new Parser()
  .endianness('big')
  .uint16('sourcePort')
  .uint16('destinationPort')
  .uint16('length')
  .uint16('checksum');

const icmp = new Parser().endianness('big').uint8('type').uint8('code').uint16('checksum').uint16('high').uint16('low');

const IPV4_LENGTH = 20;
const TCP_LENGTH = 20;
const UDP_LENGTH = 8;
const ICMP_LENGTH = 8;

/** Reads the 20 octets at `at`. */
export const readIpv4 = (b: Buffer, at: number): Ipv4Header =>
  ipv4.parse(b.subarray(at, at + IPV4_LENGTH)) as Ipv4Header;

/** Reads the 20 octets at `at`. */
export const readTcp = (b: Buffer, at: number): TcpHeader => tcp.parse(b.subarray(at, at + TCP_LENGTH)) as TcpHeader;

/** Reads the 8 octets at `at`. */
export const readUdp = (b: Buffer, at: number): UdpHeader => udp.parse(b.subarray(at, at + UDP_LENGTH)) as UdpHeader;

/** Reads the 8 octets at `at`. */
export const readIcmp = (b: Buffer, at: number): IcmpHeader =>
  icmp.parse(b.subarray(at, at + ICMP_LENGTH)) as IcmpHeader;
