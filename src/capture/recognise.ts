/** Tells what a file is by its first octets. */
import { CulvertError } from '../errors.js';
import {
  BLOCK_SECTION,
  PCAP_MAGIC_MICROSECONDS,
  PCAP_MAGIC_MODIFIED,
  PCAP_MAGIC_NANOSECONDS,
  u32be,
  u32le,
} from './format.js';

/** The format of a capture file. */
export type CaptureFormat = 'pcap' | 'pcapng';

/** Octets that `recognise` needs. */
export const RECOGNISE_LENGTH = 4;

/** Whether a magic number, read in the file's own byte order, is one of pcap's. */
export function isPcapMagic(magic: number): boolean {
  return magic === PCAP_MAGIC_MICROSECONDS || magic === PCAP_MAGIC_NANOSECONDS || magic === PCAP_MAGIC_MODIFIED;
}

/** Whether `b[from, to)` begins a gzip member (RFC 1952 section 2.3.1). */
export function isGzip(b: Buffer, from: number, to: number): boolean {
  return to - from >= 2 && b[from] === 0x1f && b[from + 1] === 0x8b;
}

/** @returns null when `b[from, to)` begins no capture file */
export function recognise(b: Buffer, from: number, to: number): CaptureFormat | null {
  if (to - from < RECOGNISE_LENGTH) return null;
  const big = u32be(b, from);
  if (isPcapMagic(big) || isPcapMagic(u32le(b, from))) return 'pcap';
  return big === BLOCK_SECTION ? 'pcapng' : null;
}

/** Files that are taken for captures by mistake, and what to do with them. */
const OTHERS: readonly (readonly [hex: string, hint: string])[] = [
  ['28b52ffd', 'it is compressed with zstd; decompress it first'],
  ['fd377a58', 'it is compressed with xz; decompress it first'],
  ['425a68', 'it is compressed with bzip2; decompress it first'],
  ['04224d18', 'it is compressed with lz4; decompress it first'],
  ['504b0304', 'it is a zip archive; unpack it first'],
  ['1f8b', 'it is compressed with gzip twice; decompress it first'],
  ['736e6f6f', 'it is a snoop capture; convert it to pcap first'],
  ['474d4255', 'it is a Network Monitor capture; convert it to pcap first'],
];

/** The error for a file that begins with `b[from, to)`. */
export function notACapture(b: Buffer, from: number, to: number, name: string): CulvertError {
  const head = b.subarray(from, Math.min(to, from + 16));
  const hex = head.toString('hex');
  const known = OTHERS.find(([magic]) => hex.startsWith(magic));
  const first = head.subarray(0, RECOGNISE_LENGTH).toString('hex');
  let hint = `it begins with ${first}; name a capture, as tcpdump -w writes it`;
  if (known !== undefined) hint = known[1];
  else if (head.every((octet) => (octet >= 0x20 && octet < 0x7f) || (octet >= 9 && octet <= 13)))
    hint = 'it is text; name a capture, as tcpdump -w writes it';
  return new CulvertError('CAPTURE_NOT_A_CAPTURE', `${name}: not a pcap or pcapng file: ${hint}`, { file: name });
}
