/** The TCP header and its options (RFC 9293). Offsets are from its first octet; integers are in network order. */
import { get16, get32, set16, set32 } from './octets.js';

const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;
const SEQUENCE = 4;
const ACKNOWLEDGMENT = 8;
const DATA_OFFSET = 12;
const FLAGS = 13;
const WINDOW = 14;
export const CHECKSUM = 16;
const URGENT = 18;

export const MIN_HEADER = 20;

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;
export const URG = 0x20;
export const ECE = 0x40;
export const CWR = 0x80;

/** Option kinds, IANA "TCP Parameters". */
export const OPTION_END = 0;
export const OPTION_NOP = 1;
export const OPTION_MSS = 2;
export const OPTION_WINDOW_SCALE = 3;
export const OPTION_SACK_PERMITTED = 4;
export const OPTION_SACK = 5;
export const OPTION_TIMESTAMPS = 8;
export const OPTION_MD5 = 19;
export const OPTION_AO = 29;
export const OPTION_MPTCP = 30;
export const OPTION_FAST_OPEN = 34;
/** RFC 4727 experiment kinds; Fast Open once used 254 with the magic number 0xf989 (RFC 7413 section 4.1.1). */
export const OPTION_EXPERIMENT_2 = 254;
export const FAST_OPEN_MAGIC = 0xf989;

export const sourcePort = (b: Buffer, tcp: number): number => get16(b, tcp + SOURCE_PORT);
export const destinationPort = (b: Buffer, tcp: number): number => get16(b, tcp + DESTINATION_PORT);
/** Sequence number, int32. */
export const sequence = (b: Buffer, tcp: number): number => get32(b, tcp + SEQUENCE);
/** Acknowledgment number, int32; meaningless without ACK. */
export const acknowledgment = (b: Buffer, tcp: number): number => get32(b, tcp + ACKNOWLEDGMENT);
/** Octets of the header with its options. */
export const headerLength = (b: Buffer, tcp: number): number => (b[tcp + DATA_OFFSET]! >>> 4) << 2;
export const flags = (b: Buffer, tcp: number): number => b[tcp + FLAGS]!;
export const window = (b: Buffer, tcp: number): number => get16(b, tcp + WINDOW);
export const checksum = (b: Buffer, tcp: number): number => get16(b, tcp + CHECKSUM);
export const urgentPointer = (b: Buffer, tcp: number): number => get16(b, tcp + URGENT);

export const setSequence = (b: Buffer, tcp: number, v: number): void => {
  set32(b, tcp + SEQUENCE, v);
};
export const setAcknowledgment = (b: Buffer, tcp: number, v: number): void => {
  set32(b, tcp + ACKNOWLEDGMENT, v);
};
export const setHeaderLength = (b: Buffer, tcp: number, octets: number): void => {
  b[tcp + DATA_OFFSET] = (b[tcp + DATA_OFFSET]! & 15) | (octets << 2);
};
export const setFlags = (b: Buffer, tcp: number, v: number): void => {
  b[tcp + FLAGS] = v;
};
export const setWindow = (b: Buffer, tcp: number, v: number): void => {
  set16(b, tcp + WINDOW, v);
};
export const setChecksum = (b: Buffer, tcp: number, v: number): void => {
  set16(b, tcp + CHECKSUM, v);
};
export const setUrgentPointer = (b: Buffer, tcp: number, v: number): void => {
  set16(b, tcp + URGENT, v);
};

/**
 * The header with all its options lies wholly in the octets at hand and in the segment. No accessor fails after this.
 * @param end end of the octets at hand
 * @param segment octets of header and payload
 */
export function check(b: Buffer, tcp: number, end: number, segment: number): boolean {
  if (end - tcp < MIN_HEADER) return false;
  const length = headerLength(b, tcp);
  return length >= MIN_HEADER && length <= segment && end - tcp >= length;
}

/**
 * Where the option behind `at` starts: the walk over an option list, one step a call.
 * @param at offset of an option, or of a NOP
 * @param end end of the header
 * @returns the offset of the next option, or `end` at the list's end or at an option whose length is not legal:
 *   nothing behind that can be told apart
 */
export function nextOption(b: Buffer, at: number, end: number): number {
  const kind = b[at]!;
  if (kind === OPTION_NOP) return at + 1;
  if (kind === OPTION_END || at + 1 >= end) return end;
  const length = b[at + 1]!;
  return length < 2 || at + length > end ? end : at + length;
}

/** The option at `at` is whole: not END or NOP, and its length is legal. */
export const wholeOption = (b: Buffer, at: number, end: number): boolean =>
  b[at]! > OPTION_NOP && at + 1 < end && b[at + 1]! >= 2 && at + b[at + 1]! <= end;

/**
 * Finds the first whole option of a kind.
 * @returns its offset, or -1
 */
export function findOption(b: Buffer, tcp: number, kind: number): number {
  const end = tcp + headerLength(b, tcp);
  for (let at = tcp + MIN_HEADER; at < end; at = nextOption(b, at, end)) {
    if (b[at]! === kind && wholeOption(b, at, end)) return at;
  }
  return -1;
}
