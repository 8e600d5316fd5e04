/** A PROXY header for people and for programs: one line, and a record for JSON. */
import { CulvertError } from '../errors.js';
import {
  SSL_TLV,
  TLV,
  alpn,
  authority,
  awsEndpointId,
  azureLinkId,
  gcpPscConnectionId,
  netns,
  ssl,
} from '../wire/proxy/index.js';
import type { DecodedTlv, ProxyHeader } from '../wire/proxy/index.js';
import { printable } from './printable.js';

/** The LINKID, or undefined where there is none or it is malformed (which a LOCAL header may hold). */
export function linkIdOf(header: ProxyHeader): number | undefined {
  return orUndefined(() => azureLinkId(header));
}

function orUndefined<T>(read: () => T | undefined): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof CulvertError) return undefined;
    throw error;
  }
}

const NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(TLV).map(([name, type]) => [type, name] as const),
  ...Object.entries(SSL_TLV).map(([name, type]) => [type, name] as const),
]);

/** `PROXY v2 10.0.0.5:40000 > 10.9.0.4:443 LINKID 536893213`, and what else the header says. */
export function proxyText(header: ProxyHeader): string {
  const words = [`PROXY v${header.version}`];
  if (header.command === 'LOCAL') words.push('LOCAL');
  else if (header.family === 'unspec') words.push('UNKNOWN');
  else words.push(ends(header));
  if (header.family !== 'unspec' && header.transport === 'dgram') words.push('dgram');
  for (const tlv of header.tlvs) words.push(tlvText(header, tlv));
  return words.join(' ');
}

function ends(header: ProxyHeader): string {
  if (header.family === 'unix') {
    const path = (octets: Buffer): string => printable(octets.toString('latin1').replace(/^\0/, '@'));
    return `unix ${path(header.source.path)} > ${path(header.destination.path)}`;
  }
  if (header.family === 'unspec') return '';
  return `${endpoint(header.source)} > ${endpoint(header.destination)}`;
}

const endpoint = ({ address, port }: { readonly address: string; readonly port: number }): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

/** What a TLV says, if it is of a kind that says it and the first of its type. */
function meaning(header: ProxyHeader, tlv: DecodedTlv): readonly [name: string, value: string | number] | undefined {
  const only = { tlvs: [tlv] };
  switch (tlv.type) {
    case TLV.AZURE:
      return named('LINKID', azureLinkId(only));
    case TLV.AWS:
      return named('VPCE', awsEndpointId(only));
    case TLV.GCP:
      return named('PSC', gcpPscConnectionId(only)?.toString());
    case TLV.AUTHORITY:
      return named('AUTHORITY', authority(only));
    case TLV.ALPN:
      return named('ALPN', alpn(only)?.toString('latin1'));
    case TLV.NETNS:
      return named('NETNS', netns(only));
    case TLV.CRC32C:
      return named('CRC32C', header.command === 'LOCAL' ? tlv.value.toString('hex') : 'ok');
    case TLV.SSL:
      return named('SSL', sslText(only));
    default:
      return undefined;
  }
}

const named = <T>(name: string, value: T | undefined): readonly [string, T] | undefined =>
  value === undefined ? undefined : [name, value];

function sslText(only: { readonly tlvs: readonly DecodedTlv[] }): string | undefined {
  const info = ssl(only);
  if (info === undefined) return undefined;
  const parts = [info.version, info.cipher, info.commonName === undefined ? undefined : `CN=${info.commonName}`];
  if (info.certificateVerified) parts.push('verified');
  return `(${parts.filter((part) => part !== undefined).join(' ')})`;
}

function tlvText(header: ProxyHeader, tlv: DecodedTlv): string {
  const known = orUndefined(() => meaning(header, tlv));
  if (known !== undefined) return `${known[0]} ${printable(String(known[1]))}`;
  const name = NAMES.get(tlv.type) ?? `TLV 0x${tlv.type.toString(16).padStart(2, '0')}`;
  if (tlv.type === TLV.NOOP) return `${name} ${tlv.value.length}`;
  return `${name} ${tlv.value.toString('hex') || '(empty)'}`;
}

/** The JSON form: `version`, `command`, `family`, `transport`, `source`, `destination`, `linkId`, `tlvs`. */
export function proxyJson(header: ProxyHeader, length: number): Record<string, unknown> {
  return {
    version: header.version,
    command: header.command,
    family: header.family,
    transport: header.transport,
    ...endsJson(header),
    length,
    linkId: linkIdOf(header),
    tlvs: header.tlvs.map((tlv) => {
      const known = orUndefined(() => meaning(header, tlv));
      const name = known?.[0] ?? NAMES.get(tlv.type);
      return { type: tlv.type, name, value: known?.[1], hex: tlv.value.toString('hex') };
    }),
  };
}

function endsJson(header: ProxyHeader): Record<string, unknown> {
  if (header.family === 'unspec') return {};
  if (header.family !== 'unix') return { source: header.source, destination: header.destination };
  const path = (octets: Buffer): string => octets.toString('latin1');
  return { source: { path: path(header.source.path) }, destination: { path: path(header.destination.path) } };
}
