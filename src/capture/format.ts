/**
 * The two capture file formats, as numbers.
 *
 * pcap: draft-ietf-opsawg-pcap; pcapng: draft-ietf-opsawg-pcapng (section 4 has the blocks, section 3.5 the options).
 * Both are written in the byte order of the machine that wrote them; the magic numbers tell which.
 */

/** pcap with microseconds. */
export const PCAP_MAGIC_MICROSECONDS = 0xa1b2c3d4;
/** pcap with nanoseconds. */
export const PCAP_MAGIC_NANOSECONDS = 0xa1b23c4d;
/** Kuznetzov's patched libpcap: microseconds, records with 24-octet headers. */
export const PCAP_MAGIC_MODIFIED = 0xa1b2cd34;
/** Octets of the pcap file header. */
export const PCAP_FILE_HEADER_LENGTH = 24;
/** Octets of a pcap record header. */
export const PCAP_RECORD_HEADER_LENGTH = 16;
/** Octets of a record header in Kuznetzov's variant: interface index, protocol and packet type follow. */
export const PCAP_MODIFIED_RECORD_HEADER_LENGTH = 24;

/** Section header; reads the same in either byte order. */
export const BLOCK_SECTION = 0x0a0d0d0a;
/** Interface description. */
export const BLOCK_INTERFACE = 1;
/** The obsolete packet block. */
export const BLOCK_PACKET = 2;
/** Simple packet: no interface, no time. */
export const BLOCK_SIMPLE = 3;
/** Enhanced packet. */
export const BLOCK_ENHANCED = 6;
/** Written in a section's own byte order. */
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** Octets of a block with an empty body: type, length, and the length again at its end. */
export const BLOCK_OVERHEAD = 12;
/** Octets from the start of a section header to its options. */
export const SECTION_HEADER_LENGTH = 24;
/** Octets from the start of an enhanced (or old) packet block to its packet. */
export const ENHANCED_HEADER_LENGTH = 28;
/** Octets from the start of a simple packet block to its packet. */
export const SIMPLE_HEADER_LENGTH = 12;

export const OPTION_END = 0;
export const OPTION_COMMENT = 1;
export const OPTION_SHB_USERAPPL = 4;
export const OPTION_IF_NAME = 2;
export const OPTION_IF_DESCRIPTION = 3;
export const OPTION_IF_TSRESOL = 9;
export const OPTION_IF_TSOFFSET = 14;

/**
 * Octets of the largest packet believed, whatever its file says of it. tcpdump and Wireshark believe 262,144; Linux makes
 * packets of up to twice that (BIG TCP). What reads captures has room for so much.
 */
export const MAX_PACKET_LENGTH = 2 * 1024 * 1024;
/** Octets of the largest block believed. */
export const MAX_BLOCK_LENGTH = 256 * 1024 * 1024;
/** Octets of a region when its owner names no slab. */
export const DEFAULT_REGION_LENGTH = 4 * 1024 * 1024;
/** Octets of the smallest region that holds any header. */
export const MIN_REGION_LENGTH = 64;

/** @returns 0 to 2^32-1 */
export function u32le(b: Buffer, at: number): number {
  return (b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)) >>> 0;
}

/** @returns 0 to 2^32-1 */
export function u32be(b: Buffer, at: number): number {
  return ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0;
}

/** @returns 0 to 65535 */
export function u16(b: Buffer, at: number, little: boolean): number {
  return little ? b[at]! | (b[at + 1]! << 8) : (b[at]! << 8) | b[at + 1]!;
}

/** @returns 0 to 2^32-1 */
export function u32(b: Buffer, at: number, little: boolean): number {
  return little ? u32le(b, at) : u32be(b, at);
}
