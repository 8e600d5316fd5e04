import type { DecodedTlv } from './header.js';

/** TLV types (section 2.2), and the cloud providers' own from the range that it leaves to applications. */
export const TLV = {
  ALPN: 0x01,
  AUTHORITY: 0x02,
  CRC32C: 0x03,
  NOOP: 0x04,
  UNIQUE_ID: 0x05,
  SSL: 0x20,
  NETNS: 0x30,
  /** Google Cloud Private Service Connect. */
  GCP: 0xe0,
  /** Amazon Web Services. */
  AWS: 0xea,
  /** Microsoft Azure Private Link. */
  AZURE: 0xee,
} as const;

/** TLV types inside the SSL TLV. */
export const SSL_TLV = {
  VERSION: 0x21,
  COMMON_NAME: 0x22,
  CIPHER: 0x23,
  SIGNATURE_ALGORITHM: 0x24,
  KEY_ALGORITHM: 0x25,
  GROUP: 0x26,
  SIGNATURE_SCHEME: 0x27,
  CLIENT_CERTIFICATE: 0x28,
} as const;

/** Bits of the SSL TLV's first octet. */
export const SSL_CLIENT = {
  /** The client connected over TLS. */
  SSL: 0x01,
  /** The client showed a certificate on this connection. */
  CERTIFICATE_ON_CONNECTION: 0x02,
  /** The client showed a certificate at least once in this TLS session. */
  CERTIFICATE_ON_SESSION: 0x04,
} as const;

/** Subtype, the first octet of the value, of the Azure LINKID and of the AWS endpoint id. */
export const AZURE_LINKID_SUBTYPE = 0x01;
export const AWS_ENDPOINT_ID_SUBTYPE = 0x01;

/** Type and length. */
export const TLV_HEADER_LENGTH = 3;
export const UNIQUE_ID_MAX_LENGTH = 128;
/** Client flags and verify result, before the SSL TLV's own TLVs. */
export const SSL_FIXED_LENGTH = 5;

/**
 * Walks the TLVs of [start, end) into `into`.
 *
 * @param base octets from the header's first octet to `start`
 * @returns -1, or the header offset of the first TLV that runs past `end`; those before it are in `into`
 */
export function walkTlvs(b: Buffer, start: number, end: number, base: number, into: DecodedTlv[]): number {
  let at = start;
  while (at < end) {
    const offset = base + at - start;
    if (end - at < TLV_HEADER_LENGTH) return offset;
    const length = (b[at + 1]! << 8) | b[at + 2]!;
    const value = at + TLV_HEADER_LENGTH;
    if (end - value < length) return offset;
    into.push({ type: b[at]!, value: b.subarray(value, value + length), offset });
    at = value + length;
  }
  return -1;
}
