/** The UDP header (RFC 768). Offsets are from its first octet; integers are in network order. */
import { get16, set16 } from './octets.js';

const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;
const LENGTH = 4;
export const CHECKSUM = 6;

export const HEADER = 8;

export const sourcePort = (b: Buffer, udp: number): number => get16(b, udp + SOURCE_PORT);
export const destinationPort = (b: Buffer, udp: number): number => get16(b, udp + DESTINATION_PORT);
/** Octets of header and payload. */
export const length = (b: Buffer, udp: number): number => get16(b, udp + LENGTH);
/** 0: the sender computed none. */
export const checksum = (b: Buffer, udp: number): number => get16(b, udp + CHECKSUM);

export const setChecksum = (b: Buffer, udp: number, v: number): void => {
  set16(b, udp + CHECKSUM, v);
};

/**
 * The datagram's header lies wholly in the octets at hand, and its length covers the header and no more than the
 * IP payload. A length short of the IP payload is ordinary: the rest is padding.
 * @param end end of the octets at hand
 * @param payload octets of the whole (reassembled, uncut) IP payload, or Infinity where a fragment cannot tell
 */
export function check(b: Buffer, udp: number, end: number, payload: number): boolean {
  if (end - udp < HEADER) return false;
  const n = length(b, udp);
  return n >= HEADER && n <= payload;
}
