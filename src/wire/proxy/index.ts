/** The PROXY protocol, versions 1 and 2: decoding, encoding, and the dialects of the cloud providers. */
export type { ProxyErrorCode } from './codes.js';
export { PROXY_ERROR_CODES } from './codes.js';
export type { DecodeOptions } from './decode.js';
export { decode } from './decode.js';
export type { Dialect, HeaderTemplate } from './dialect.js';
export {
  headerTemplate,
  sealTemplate,
  TEMPLATE_DESTINATION_ADDRESS,
  TEMPLATE_DESTINATION_PORT,
  TEMPLATE_SOURCE_ADDRESS,
  TEMPLATE_SOURCE_PORT,
} from './dialect.js';
export type { EncodeOptions } from './encode.js';
export { encode, encodeV1 } from './encode.js';
export type {
  Connection,
  DecodedTlv,
  DecodeResult,
  Endpoint,
  InetConnection,
  ProxyHeader,
  ProxyHeaderInit,
  Tlv,
  UnixConnection,
  UnixEndpoint,
  UnspecifiedConnection,
} from './header.js';
export { MAX_LENGTH_V1, MAX_LENGTH_V2 } from './header.js';
export type { ReadHeader } from './reader.js';
export { ProxyHeaderReader } from './reader.js';
export { SSL_CLIENT, SSL_TLV, TLV } from './tlv.js';
export type { SslInit } from './tlv-build.js';
export { awsEndpointIdTlv, azureLinkIdTlv, gcpPscConnectionIdTlv, noopTlv, sslTlv } from './tlv-build.js';
export type { SslInfo } from './tlv-read.js';
export {
  alpn,
  authority,
  awsEndpointId,
  azureLinkId,
  findTlv,
  gcpPscConnectionId,
  netns,
  ssl,
  uniqueId,
} from './tlv-read.js';
