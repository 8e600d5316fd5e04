/** The IPv4 header (RFC 791). Offsets are from its first octet; integers are in network order. */
import { fold, sum } from './checksum.js';
import { get16, get32, set16, set32 } from './octets.js';

const VERSION_IHL = 0;
const TOS = 1;
const TOTAL_LENGTH = 2;
const IDENTIFICATION = 4;
const FLAGS_FRAGMENT = 6;
const TTL = 8;
const PROTOCOL = 9;
const CHECKSUM = 10;
const SOURCE = 12;
const DESTINATION = 16;

/** Octets of a header without options. */
export const MIN_HEADER = 20;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

export const DONT_FRAGMENT = 0x4000;
export const MORE_FRAGMENTS = 0x2000;
/** More fragments, or an offset: any packet that is a fragment has one of these bits. */
export const FRAGMENT_MASK = 0x3fff;
export const OFFSET_MASK = 0x1fff;

/** Checksum delta of the word that holds the TTL, when the TTL goes down by one. */
export const TTL_DOWN = 0xfeff;

/** What `check` can find wrong. */
export const OK = 0;
export const TRUNCATED = 1;
export const BAD_VERSION = 2;
export const BAD_HEADER_LENGTH = 3;
export const BAD_LENGTH = 4;
export const BAD_CHECKSUM = 5;

export const headerLength = (b: Buffer, ip: number): number => (b[ip + VERSION_IHL]! & 15) << 2;
export const tos = (b: Buffer, ip: number): number => b[ip + TOS]!;
export const totalLength = (b: Buffer, ip: number): number => get16(b, ip + TOTAL_LENGTH);
export const identification = (b: Buffer, ip: number): number => get16(b, ip + IDENTIFICATION);
/** Flags and fragment offset (in units of 8 octets) as one 16-bit field. */
export const flagsAndOffset = (b: Buffer, ip: number): number => get16(b, ip + FLAGS_FRAGMENT);
/** Where this fragment's payload starts in the datagram's, in octets. */
export const fragmentOffset = (b: Buffer, ip: number): number => (flagsAndOffset(b, ip) & OFFSET_MASK) << 3;
export const ttl = (b: Buffer, ip: number): number => b[ip + TTL]!;
export const protocol = (b: Buffer, ip: number): number => b[ip + PROTOCOL]!;
export const checksum = (b: Buffer, ip: number): number => get16(b, ip + CHECKSUM);
/** Source address, int32. */
export const source = (b: Buffer, ip: number): number => get32(b, ip + SOURCE);
/** Destination address, int32. */
export const destination = (b: Buffer, ip: number): number => get32(b, ip + DESTINATION);

export const setTotalLength = (b: Buffer, ip: number, v: number): void => {
  set16(b, ip + TOTAL_LENGTH, v);
};
export const setIdentification = (b: Buffer, ip: number, v: number): void => {
  set16(b, ip + IDENTIFICATION, v);
};
export const setFlagsAndOffset = (b: Buffer, ip: number, v: number): void => {
  set16(b, ip + FLAGS_FRAGMENT, v);
};
export const setTtl = (b: Buffer, ip: number, v: number): void => {
  b[ip + TTL] = v;
};
export const setChecksum = (b: Buffer, ip: number, v: number): void => {
  set16(b, ip + CHECKSUM, v);
};
export const setSource = (b: Buffer, ip: number, v: number): void => {
  set32(b, ip + SOURCE, v);
};
export const setDestination = (b: Buffer, ip: number, v: number): void => {
  set32(b, ip + DESTINATION, v);
};

/**
 * Octets of the whole packet on the wire. A total length of 0 stands for a packet too long for the field
 * (BIG TCP) and is taken from the frame.
 * @param available octets from the header to the end of the frame, on the wire
 */
export const packetLength = (b: Buffer, ip: number, available: number): number => totalLength(b, ip) || available;

/** Sum of all header words is 0xffff when the checksum is right. */
export const checksumHolds = (b: Buffer, ip: number, length: number): boolean => {
  // A header without options, the usual case, without the general loop.
  if (length === MIN_HEADER) {
    return (
      fold(
        ((b[ip]! << 8) | b[ip + 1]!) +
          ((b[ip + 2]! << 8) | b[ip + 3]!) +
          ((b[ip + 4]! << 8) | b[ip + 5]!) +
          ((b[ip + 6]! << 8) | b[ip + 7]!) +
          ((b[ip + 8]! << 8) | b[ip + 9]!) +
          ((b[ip + 10]! << 8) | b[ip + 11]!) +
          ((b[ip + 12]! << 8) | b[ip + 13]!) +
          ((b[ip + 14]! << 8) | b[ip + 15]!) +
          ((b[ip + 16]! << 8) | b[ip + 17]!) +
          ((b[ip + 18]! << 8) | b[ip + 19]!),
      ) === 0xffff
    );
  }
  return sum(b, ip, ip + length) === 0xffff;
};

/** The checksum field that the header at `ip` should have. */
export const computeChecksum = (b: Buffer, ip: number): number =>
  fold(sum(b, ip, ip + headerLength(b, ip)) + (checksum(b, ip) ^ 0xffff)) ^ 0xffff;

/**
 * Judges the header at `ip`. After `OK` the header lies wholly before `end`, the packet's length covers it and lies
 * within the frame, and no accessor of this module fails.
 * @param end end of the octets at hand
 * @param missing octets of the frame that were on the wire behind `end` (a capture's snap length cut them)
 */
export function check(b: Buffer, ip: number, end: number, missing: number): number {
  if (end - ip < MIN_HEADER) return TRUNCATED;
  const first = b[ip]!;
  if (first >>> 4 !== 4) return BAD_VERSION;
  const length = (first & 15) << 2;
  if (length < MIN_HEADER) return BAD_HEADER_LENGTH;
  if (end - ip < length) return TRUNCATED;
  const total = totalLength(b, ip);
  const available = end - ip + missing;
  if (total > available) return BAD_LENGTH;
  if (total < length && (total !== 0 || available <= 0xffff)) return BAD_LENGTH;
  return checksumHolds(b, ip, length) ? OK : BAD_CHECKSUM;
}
