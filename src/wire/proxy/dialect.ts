/**
 * The headers that link services put before a consumer's stream, as templates: all that a service, an endpoint and its
 * address fix is encoded once, on the control side; the packet path copies the template, writes the octets that are a
 * connection's own, and seals it, without allocation.
 */
import { formatAddress } from '../address.js';
import { crc32cSigned } from '../crc32c.js';
import { invalid } from './codes.js';
import type { DecodedTlv, Tlv } from './header.js';
import { encode } from './encode.js';
import { TLV, TLV_HEADER_LENGTH, walkTlvs } from './tlv.js';
import { awsEndpointIdTlv, azureLinkIdTlv, gcpPscConnectionIdTlv } from './tlv-build.js';

/** Which provider's header is written, and what it says beyond addresses and ports. */
export type Dialect =
  /** Azure Private Link: LINKID, 0 to 4294967295. */
  | { readonly kind: 'azure'; readonly linkId: number }
  /** AWS PrivateLink: VPC endpoint id, ASCII. */
  | { readonly kind: 'aws'; readonly endpointId: string }
  /** GCP Private Service Connect: connection id, 0 to 2^64 - 1. */
  | { readonly kind: 'gcp'; readonly pscConnectionId: bigint }
  /** Any TLVs, in order, and what {@link EncodeOptions} offers. */
  | {
      readonly kind: 'custom';
      readonly tlvs: readonly Tlv[];
      readonly crc32c?: boolean;
      readonly alignTo?: number;
    };

/** An encoded version 2 header, PROXY command, TCP over IPv4, to be completed in place. */
export interface HeaderTemplate {
  /** The header with its source address and port zero. Its length is the header's. */
  readonly octets: Buffer;
  /** Octets from the header's start to the four of the CRC32C, which are to be sealed; -1 where it has none. */
  readonly crcOffset: number;
}

/** Offsets of a template's addresses and ports, each in network order, from the header's start. */
export const TEMPLATE_SOURCE_ADDRESS = 16;
export const TEMPLATE_DESTINATION_ADDRESS = 20;
export const TEMPLATE_SOURCE_PORT = 24;
export const TEMPLATE_DESTINATION_PORT = 26;

/**
 * @param destinationAddress IPv4 address as a number, 0 to 4294967295: the private endpoint's
 * @param destinationPort 0 to 65535: the port that the consumer connected to
 * @throws CulvertError `PROXY_ENCODE_…`
 */
export function headerTemplate(dialect: Dialect, destinationAddress: number, destinationPort: number): HeaderTemplate {
  if (!Number.isInteger(destinationAddress) || destinationAddress < 0 || destinationAddress > 0xffffffff) {
    const message = `${destinationAddress} is not an integer from 0 to 4294967295`;
    throw invalid('PROXY_ENCODE_ADDRESS', 'destinationAddress', message);
  }
  const octets = encode(
    {
      command: 'PROXY',
      family: 'inet',
      transport: 'stream',
      source: { address: '0.0.0.0', port: 0 },
      destination: { address: formatAddress(destinationAddress), port: destinationPort },
      tlvs: dialectTlvs(dialect),
    },
    dialect.kind === 'custom' ? dialect : {},
  );
  return { octets, crcOffset: findCrc(octets) };
}

function dialectTlvs(dialect: Dialect): readonly Tlv[] {
  switch (dialect.kind) {
    case 'azure':
      return [azureLinkIdTlv(dialect.linkId)];
    case 'aws':
      return [awsEndpointIdTlv(dialect.endpointId)];
    case 'gcp':
      return [gcpPscConnectionIdTlv(dialect.pscConnectionId)];
    case 'custom':
      return dialect.tlvs;
  }
}

function findCrc(octets: Buffer): number {
  const tlvsAt = TEMPLATE_DESTINATION_PORT + 2;
  const tlvs: DecodedTlv[] = [];
  walkTlvs(octets, tlvsAt, octets.length, tlvsAt, tlvs);
  const crc = tlvs.find(({ type }) => type === TLV.CRC32C);
  return crc === undefined ? -1 : crc.offset + TLV_HEADER_LENGTH;
}

/**
 * Computes the CRC32C of the header at [offset, offset + length) into its place, once its addresses and ports are
 * written. Allocates nothing; does nothing where `crcOffset`, from {@link HeaderTemplate}, is -1.
 */
export function sealTemplate(b: Buffer, offset: number, length: number, crcOffset: number): void {
  if (crcOffset < 0) return;
  const at = offset + crcOffset;
  const crc = crc32cSigned(b, offset, offset + length, at);
  b[at] = crc >>> 24;
  b[at + 1] = (crc >>> 16) & 0xff;
  b[at + 2] = (crc >>> 8) & 0xff;
  b[at + 3] = crc & 0xff;
}
