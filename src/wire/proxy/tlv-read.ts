/**
 * Reading what a header's TLVs say. Each function gives undefined where the header has no such TLV (or one of another
 * subtype), and throws a coded error where it has one that is malformed. Where a type is there twice, the first counts.
 */
import { malformed } from './codes.js';
import type { DecodedTlv, ProxyHeader } from './header.js';
import {
  AWS_ENDPOINT_ID_SUBTYPE,
  AZURE_LINKID_SUBTYPE,
  SSL_CLIENT,
  SSL_FIXED_LENGTH,
  SSL_TLV,
  TLV,
  TLV_HEADER_LENGTH,
  walkTlvs,
} from './tlv.js';

type WithTlvs = Pick<ProxyHeader, 'tlvs'>;

/** The first TLV of a type. */
export function findTlv(header: WithTlvs, type: number): DecodedTlv | undefined {
  return header.tlvs.find((tlv) => tlv.type === type);
}

/**
 * The LINKID that Azure Private Link gives the consumer's private endpoint, 0 to 4294967295. Azure stores it in
 * little-endian order, unlike the rest of the header.
 *
 * @throws CulvertError `PROXY_AZURE_TLV_LENGTH`
 */
export function azureLinkId(header: WithTlvs): number | undefined {
  const tlv = findTlv(header, TLV.AZURE);
  if (tlv === undefined || (tlv.value.length > 0 && tlv.value[0] !== AZURE_LINKID_SUBTYPE)) return undefined;
  if (tlv.value.length !== 5) {
    const length = String(tlv.value.length);
    throw malformed('PROXY_AZURE_TLV_LENGTH', tlv.offset, `The Azure LINKID TLV is ${length} octets, not 5`);
  }
  return tlv.value.readUInt32LE(1);
}

/**
 * The id of the AWS VPC endpoint that the consumer came through, for example `vpce-08d2bf15fac5001c9`.
 *
 * @throws CulvertError `PROXY_AWS_TLV_TEXT`
 */
export function awsEndpointId(header: WithTlvs): string | undefined {
  const tlv = findTlv(header, TLV.AWS);
  if (tlv === undefined || (tlv.value.length > 0 && tlv.value[0] !== AWS_ENDPOINT_ID_SUBTYPE)) return undefined;
  const id = tlv.value.subarray(1);
  if (id.length === 0 || id.some((octet) => octet < 0x21 || octet > 0x7e)) {
    throw malformed('PROXY_AWS_TLV_TEXT', tlv.offset, 'The AWS endpoint id is empty or not printable ASCII');
  }
  return id.toString('latin1');
}

/**
 * The id of the GCP Private Service Connect connection, 0 to 2^64 - 1; it need not fit a number.
 *
 * @throws CulvertError `PROXY_GCP_TLV_LENGTH`
 */
export function gcpPscConnectionId(header: WithTlvs): bigint | undefined {
  const tlv = findTlv(header, TLV.GCP);
  if (tlv === undefined) return undefined;
  if (tlv.value.length !== 8) {
    const length = String(tlv.value.length);
    throw malformed('PROXY_GCP_TLV_LENGTH', tlv.offset, `The GCP connection id TLV is ${length} octets, not 8`);
  }
  return tlv.value.readBigUInt64BE(0);
}

/** The connection's unique id, 0 to 128 octets of the sender's choosing. */
export function uniqueId(header: WithTlvs): Buffer | undefined {
  return findTlv(header, TLV.UNIQUE_ID)?.value;
}

/** The host name that the client asked for (TLS: the server name). @throws CulvertError `PROXY_AUTHORITY_TEXT` */
export function authority(header: WithTlvs): string | undefined {
  const tlv = findTlv(header, TLV.AUTHORITY);
  if (tlv === undefined) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(tlv.value);
  } catch {
    throw malformed('PROXY_AUTHORITY_TEXT', tlv.offset, 'AUTHORITY is not UTF-8');
  }
}

/** The application protocol that ALPN chose (RFC 7301): octets, most often ASCII such as `h2`. */
export function alpn(header: WithTlvs): Buffer | undefined {
  return findTlv(header, TLV.ALPN)?.value;
}

/** The name of the sender's network namespace. */
export function netns(header: WithTlvs): string | undefined {
  return findTlv(header, TLV.NETNS)?.value.toString('latin1');
}

/** What the SSL TLV says of the client's TLS session (section 2.2.6). */
export interface SslInfo {
  /** Bits of {@link SSL_CLIENT}. */
  readonly client: number;
  /** 0 where the client showed a certificate and it was verified; anything else otherwise. */
  readonly verify: number;
  /** The client connected over TLS. */
  readonly overTls: boolean;
  /** The client showed a certificate in this session and it was verified. */
  readonly certificateVerified: boolean;
  /** For example `TLSv1.3`. */
  readonly version?: string;
  /** Common name of the client certificate's subject. */
  readonly commonName?: string;
  /** For example `ECDHE-RSA-AES128-GCM-SHA256`. */
  readonly cipher?: string;
  readonly signatureAlgorithm?: string;
  readonly keyAlgorithm?: string;
  /** All TLVs inside, in order, unknown ones among them. */
  readonly tlvs: readonly DecodedTlv[];
}

/** @throws CulvertError `PROXY_SSL_TOO_SHORT`, `PROXY_SSL_TLV_OVERRUN`: only a `LOCAL` header can hold such a TLV */
export function ssl(header: WithTlvs): SslInfo | undefined {
  const tlv = findTlv(header, TLV.SSL);
  if (tlv === undefined) return undefined;
  const tlvs = walkSsl(tlv);
  const client = tlv.value[0]!;
  const verify = tlv.value.readUInt32BE(1);
  const certificate = SSL_CLIENT.CERTIFICATE_ON_CONNECTION | SSL_CLIENT.CERTIFICATE_ON_SESSION;
  return {
    client,
    verify,
    overTls: (client & SSL_CLIENT.SSL) !== 0,
    certificateVerified: (client & certificate) !== 0 && verify === 0,
    ...text(tlvs, SSL_TLV.VERSION, 'version'),
    ...text(tlvs, SSL_TLV.COMMON_NAME, 'commonName'),
    ...text(tlvs, SSL_TLV.CIPHER, 'cipher'),
    ...text(tlvs, SSL_TLV.SIGNATURE_ALGORITHM, 'signatureAlgorithm'),
    ...text(tlvs, SSL_TLV.KEY_ALGORITHM, 'keyAlgorithm'),
    tlvs,
  };
}

/** The TLVs inside an SSL TLV. @throws CulvertError `PROXY_SSL_TOO_SHORT`, `PROXY_SSL_TLV_OVERRUN` */
export function walkSsl({ value, offset }: DecodedTlv): DecodedTlv[] {
  if (value.length < SSL_FIXED_LENGTH) {
    throw malformed('PROXY_SSL_TOO_SHORT', offset, `SSL is ${value.length} octets, under 5`);
  }
  const tlvs: DecodedTlv[] = [];
  const base = offset + TLV_HEADER_LENGTH + SSL_FIXED_LENGTH;
  const overrun = walkTlvs(value, SSL_FIXED_LENGTH, value.length, base, tlvs);
  if (overrun >= 0) throw malformed('PROXY_SSL_TLV_OVERRUN', overrun, 'A TLV inside SSL runs past its end');
  return tlvs;
}

function text<K extends string>(tlvs: readonly DecodedTlv[], type: number, key: K): Partial<Record<K, string>> {
  const tlv = findTlv({ tlvs }, type);
  return (tlv === undefined ? {} : { [key]: tlv.value.toString('utf8') }) as Partial<Record<K, string>>;
}
