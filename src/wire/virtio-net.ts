/**
 * The virtio-net header that IFF_VNET_HDR puts before each packet of a TUN device (struct virtio_net_hdr of
 * linux/virtio_net.h; VIRTIO 1.2, section 5.1.6): 10 octets, integers in little-endian order, as TUNSETVNETLE asks.
 * Offsets are from its first octet, which lies HEADER octets before the packet. All zeros is a plain packet whose
 * checksums are complete.
 */

/** Octets of the header. */
export const HEADER = 10;

const FLAGS = 0;
const GSO_TYPE = 1;
const HDR_LEN = 2;
const GSO_SIZE = 4;
const CSUM_START = 6;
const CSUM_OFFSET = 8;

/** The checksum field holds the pseudo-header sum only; who sends the packet on the wire has to complete it. */
export const FLAG_NEEDS_CSUM = 1;
/** The checksum was looked at and is right. */
export const FLAG_DATA_VALID = 2;

export const GSO_NONE = 0;
/** TCP over IPv4, to be cut into segments of `gsoSize` octets. */
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
/** UDP datagrams of `gsoSize` octets each (USO), one after the other behind one header. */
export const GSO_UDP_L4 = 5;
/** Bit beside the type: the first segment alone carries CWR. */
export const GSO_ECN = 0x80;

const get16 = (b: Buffer, at: number): number => b[at]! | (b[at + 1]! << 8);

const set16 = (b: Buffer, at: number, value: number): void => {
  b[at] = value;
  b[at + 1] = value >>> 8;
};

export const flags = (b: Buffer, h: number): number => b[h + FLAGS]!;
/** With the bit GSO_ECN, where it is set. */
export const gsoType = (b: Buffer, h: number): number => b[h + GSO_TYPE]!;
/** Octets of the headers that each segment repeats; a hint, at least the IP and TCP or UDP headers in a GSO packet. */
export const hdrLen = (b: Buffer, h: number): number => get16(b, h + HDR_LEN);
/** Payload octets of each segment but the last. */
export const gsoSize = (b: Buffer, h: number): number => get16(b, h + GSO_SIZE);
/** Octets from the packet's start to where the sum begins: the TCP or UDP header. */
export const csumStart = (b: Buffer, h: number): number => get16(b, h + CSUM_START);
/** Octets from `csumStart` to the checksum field. */
export const csumOffset = (b: Buffer, h: number): number => get16(b, h + CSUM_OFFSET);

export const needsChecksum = (b: Buffer, h: number): boolean => (b[h + FLAGS]! & FLAG_NEEDS_CSUM) !== 0;
/** One packet here is several on the wire. */
export const isSuperPacket = (b: Buffer, h: number): boolean => b[h + GSO_TYPE] !== GSO_NONE;

export const setFlags = (b: Buffer, h: number, v: number): void => {
  b[h + FLAGS] = v;
};
export const setGsoType = (b: Buffer, h: number, v: number): void => {
  b[h + GSO_TYPE] = v;
};
export const setHdrLen = (b: Buffer, h: number, v: number): void => {
  set16(b, h + HDR_LEN, v);
};
export const setGsoSize = (b: Buffer, h: number, v: number): void => {
  set16(b, h + GSO_SIZE, v);
};
export const setCsumStart = (b: Buffer, h: number, v: number): void => {
  set16(b, h + CSUM_START, v);
};
export const setCsumOffset = (b: Buffer, h: number, v: number): void => {
  set16(b, h + CSUM_OFFSET, v);
};

/** Makes it the header of a plain packet, for one that did not come from a device. */
export const clear = (b: Buffer, h: number): void => {
  for (let i = h; i < h + HEADER; i++) b[i] = 0;
};
