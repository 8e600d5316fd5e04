/**
 * The shape of a PROXY protocol header, version 1 or 2 (HAProxy, "The PROXY protocol", sections 2.1 and 2.2).
 * Numbers are host numbers; Buffers are octets as they stand in the header.
 */

/** One type-length-value of a version 2 header (section 2.2.1). */
export interface Tlv {
  /** 0 to 255; see {@link TLV}. */
  readonly type: number;
  /** 0 to 65535 octets. After decoding, a view of the decoded buffer, not a copy. */
  readonly value: Buffer;
}

/** A TLV as decoded, with its place. */
export interface DecodedTlv extends Tlv {
  /** Octets from the start of the header to the TLV's type octet. */
  readonly offset: number;
}

/** An IPv4 or IPv6 address in text, and a port, 0 to 65535. */
export interface Endpoint {
  /** Dotted decimal, or RFC 5952 text without brackets or zone. */
  readonly address: string;
  readonly port: number;
}

/** A UNIX socket path. */
export interface UnixEndpoint {
  /** 0 to 108 octets, without the zero octets that fill the field; an abstract name begins with a zero octet. */
  readonly path: Buffer;
}

/** The proxied connection is an IPv4 or IPv6 one; version 1 knows only `stream`. */
export interface InetConnection {
  readonly command: 'PROXY';
  readonly family: 'inet' | 'inet6';
  readonly transport: 'stream' | 'dgram';
  readonly source: Endpoint;
  readonly destination: Endpoint;
}

/** The proxied connection is a UNIX one; version 2 only. */
export interface UnixConnection {
  readonly command: 'PROXY';
  readonly family: 'unix';
  readonly transport: 'stream' | 'dgram';
  readonly source: UnixEndpoint;
  readonly destination: UnixEndpoint;
}

/**
 * No address: either the proxy speaks for itself (`LOCAL`, a health check: use the connection's own endpoints), or it
 * does not know the connection's (`PROXY` with family UNSPEC, version 1 `UNKNOWN`).
 */
export interface UnspecifiedConnection {
  readonly command: 'LOCAL' | 'PROXY';
  readonly family: 'unspec';
  readonly transport: 'unspec';
}

export type Connection = InetConnection | UnixConnection | UnspecifiedConnection;

/** A header as decoded. TLVs are in the order of the header, NOOP and unknown types among them; none in version 1. */
export type ProxyHeader = Connection & { readonly version: 1 | 2; readonly tlvs: readonly DecodedTlv[] };

/** A header to encode. A {@link ProxyHeader} is one. */
export type ProxyHeaderInit = Connection & { readonly tlvs?: readonly Tlv[] };

/** What decoding came to. */
export type DecodeResult =
  /** The octets so far begin a header; at least `octets` more (1 or more) are needed to end it. */
  | { readonly kind: 'need'; readonly octets: number }
  /** A whole header of `length` octets; the stream's own octets follow it. */
  | { readonly kind: 'header'; readonly header: ProxyHeader; readonly length: number };

/** The 12 octets that begin a version 2 header. */
export const SIGNATURE_V2: readonly number[] = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
/** Signature, version and command, family and transport, length. */
export const FIXED_LENGTH_V2 = 16;
/** The longest version 2 header: the fixed part and 65535 octets. */
export const MAX_LENGTH_V2 = FIXED_LENGTH_V2 + 0xffff;
/** The longest version 1 line, CRLF included (section 2.1). */
export const MAX_LENGTH_V1 = 107;

/** Octets of each UNIX path field, that of `sockaddr_un`. */
export const UNIX_PATH_LENGTH = 108;
/** Octets of both addresses and ports, by the family's number (the high nibble of octet 13). */
export const ADDRESS_LENGTH: readonly number[] = [0, 12, 36, 2 * UNIX_PATH_LENGTH];
