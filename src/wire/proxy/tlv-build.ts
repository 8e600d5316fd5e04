/** TLVs to encode. Each function copies or makes its octets and throws `PROXY_ENCODE_TLV` for a value out of range. */
import { invalid } from './codes.js';
import type { Tlv } from './header.js';
import { AWS_ENDPOINT_ID_SUBTYPE, AZURE_LINKID_SUBTYPE, SSL_TLV, TLV, TLV_HEADER_LENGTH } from './tlv.js';

/** @param linkId 0 to 4294967295 */
export function azureLinkIdTlv(linkId: number): Tlv {
  if (!Number.isInteger(linkId) || linkId < 0 || linkId > 0xffffffff) {
    throw invalid('PROXY_ENCODE_TLV', 'linkId', `${linkId} is not an integer from 0 to 4294967295`);
  }
  const value = Buffer.alloc(5);
  value[0] = AZURE_LINKID_SUBTYPE;
  value.writeUInt32LE(linkId, 1);
  return { type: TLV.AZURE, value };
}

/** @param endpointId printable ASCII, for example `vpce-08d2bf15fac5001c9` */
export function awsEndpointIdTlv(endpointId: string): Tlv {
  if (!/^[\x21-\x7e]+$/.test(endpointId)) {
    throw invalid('PROXY_ENCODE_TLV', 'endpointId', `${JSON.stringify(endpointId)} is empty or not printable ASCII`);
  }
  const text = Buffer.from(endpointId, 'latin1');
  return { type: TLV.AWS, value: Buffer.concat([Buffer.from([AWS_ENDPOINT_ID_SUBTYPE]), text]) };
}

/** @param pscConnectionId 0 to 2^64 - 1 */
export function gcpPscConnectionIdTlv(pscConnectionId: bigint): Tlv {
  if (pscConnectionId < 0n || pscConnectionId > 0xffffffffffffffffn) {
    throw invalid('PROXY_ENCODE_TLV', 'pscConnectionId', `${pscConnectionId} is not from 0 to 2^64 - 1`);
  }
  const value = Buffer.alloc(8);
  value.writeBigUInt64BE(pscConnectionId);
  return { type: TLV.GCP, value };
}

/** @param octets 0 to 65535 octets of padding, besides the TLV's own three */
export function noopTlv(octets: number): Tlv {
  if (!Number.isInteger(octets) || octets < 0 || octets > 0xffff) {
    throw invalid('PROXY_ENCODE_TLV', 'octets', `${octets} is not an integer from 0 to 65535`);
  }
  return { type: TLV.NOOP, value: Buffer.alloc(octets) };
}

/** The parts of an SSL TLV that are to be written. */
export interface SslInit {
  /** Bits of {@link SSL_CLIENT}, 0 to 255. */
  readonly client: number;
  /** 0 to 4294967295; 0 says that the client's certificate was verified. */
  readonly verify: number;
  readonly version?: string;
  readonly commonName?: string;
  readonly cipher?: string;
  readonly signatureAlgorithm?: string;
  readonly keyAlgorithm?: string;
}

export function sslTlv(init: SslInit): Tlv {
  const { client, verify } = init;
  if (!Number.isInteger(client) || client < 0 || client > 0xff) {
    throw invalid('PROXY_ENCODE_TLV', 'client', `${client} is not an integer from 0 to 255`);
  }
  if (!Number.isInteger(verify) || verify < 0 || verify > 0xffffffff) {
    throw invalid('PROXY_ENCODE_TLV', 'verify', `${verify} is not an integer from 0 to 4294967295`);
  }
  const fixed = Buffer.alloc(5);
  fixed[0] = client;
  fixed.writeUInt32BE(verify, 1);
  const value = Buffer.concat([
    fixed,
    ...textTlv(SSL_TLV.VERSION, init.version),
    ...textTlv(SSL_TLV.COMMON_NAME, init.commonName),
    ...textTlv(SSL_TLV.CIPHER, init.cipher),
    ...textTlv(SSL_TLV.SIGNATURE_ALGORITHM, init.signatureAlgorithm),
    ...textTlv(SSL_TLV.KEY_ALGORITHM, init.keyAlgorithm),
  ]);
  if (value.length > 0xffff) {
    throw invalid('PROXY_ENCODE_TLV', 'ssl', `the value would be ${value.length} octets, over 65535`);
  }
  return { type: TLV.SSL, value };
}

function textTlv(type: number, text: string | undefined): Buffer[] {
  if (text === undefined) return [];
  const octets = Buffer.from(text, 'utf8');
  const head = Buffer.alloc(TLV_HEADER_LENGTH);
  head[0] = type;
  // A text over 65535 octets is refused with the whole value.
  head.writeUInt16BE(Math.min(octets.length, 0xffff), 1);
  return [head, octets];
}
