/** ICMPv4 (RFC 792). Offsets are from the ICMP header's first octet. */
import { get16, set16 } from './octets.js';

const TYPE = 0;
const CODE = 1;
const CHECKSUM = 2;

/** Octets before the quoted packet of an error. */
export const HEADER = 8;

export const DESTINATION_UNREACHABLE = 3;
export const SOURCE_QUENCH = 4;
export const REDIRECT = 5;
export const TIME_EXCEEDED = 11;
export const PARAMETER_PROBLEM = 12;

export const type = (b: Buffer, icmp: number): number => b[icmp + TYPE]!;
export const code = (b: Buffer, icmp: number): number => b[icmp + CODE]!;
export const checksum = (b: Buffer, icmp: number): number => get16(b, icmp + CHECKSUM);
export const setChecksum = (b: Buffer, icmp: number, v: number): void => {
  set16(b, icmp + CHECKSUM, v);
};

/**
 * The type is an error that quotes a packet and that a translator passes on (RFC 5508 section 4). Redirects quote one
 * too, but speak of routes on the sender's own link; they never cross a translator.
 */
export const isError = (t: number): boolean =>
  t === DESTINATION_UNREACHABLE || t === TIME_EXCEEDED || t === PARAMETER_PROBLEM || t === SOURCE_QUENCH;
