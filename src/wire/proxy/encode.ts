/** Encoding PROXY protocol headers, version 2 (section 2.2) and version 1 (section 2.1). */
import { crc32c } from '../crc32c.js';
import { readIpv4, readIpv6, writeIpv4, writeIpv6 } from './address.js';
import { invalid } from './codes.js';
import type { Endpoint, ProxyHeaderInit, Tlv, UnixEndpoint } from './header.js';
import { ADDRESS_LENGTH, FIXED_LENGTH_V2, MAX_LENGTH_V2, SIGNATURE_V2, UNIX_PATH_LENGTH } from './header.js';
import { SSL_FIXED_LENGTH, TLV, TLV_HEADER_LENGTH, UNIQUE_ID_MAX_LENGTH, walkTlvs } from './tlv.js';

export interface EncodeOptions {
  /** Appends a CRC32C TLV. One that is among the TLVs already is computed anew in its place, with or without this. */
  readonly crc32c?: boolean;
  /** Makes the header's length a multiple of this many octets, 1 to 4096, by a NOOP TLV at the end. */
  readonly alignTo?: number;
}

/** Octet 13 by family and transport; what is not here has no form. */
const FAMILY_TRANSPORT: Readonly<Record<string, number>> = {
  'unspec unspec': 0x00,
  'inet stream': 0x11,
  'inet dgram': 0x12,
  'inet6 stream': 0x21,
  'inet6 dgram': 0x22,
  'unix stream': 0x31,
  'unix dgram': 0x32,
};

/**
 * Encodes a version 2 header: its length, and the CRC32C where asked for, are computed.
 *
 * @throws CulvertError `PROXY_ENCODE_…` for a value out of its range; `place.path` names it
 */
export function encode(init: ProxyHeaderInit, options: EncodeOptions = {}): Buffer {
  const familyTransport = familyTransportOctet(init);
  const tlvsAt = FIXED_LENGTH_V2 + ADDRESS_LENGTH[familyTransport >>> 4]!;
  const tlvs = withOptions(init.tlvs ?? [], options, tlvsAt);
  const length = tlvsLength(tlvs, tlvsAt);
  if (length > MAX_LENGTH_V2) {
    throw invalid('PROXY_ENCODE_TOO_LONG', 'tlvs', `the header would be ${length} octets, over 65551`);
  }
  const b = Buffer.alloc(length);
  b.set(SIGNATURE_V2, 0);
  b[12] = init.command === 'LOCAL' ? 0x20 : 0x21;
  b[13] = familyTransport;
  b.writeUInt16BE(length - FIXED_LENGTH_V2, 14);
  writeConnection(init, b);

  let crcOffset = -1;
  let at = tlvsAt;
  for (const { type, value } of tlvs) {
    b[at] = type;
    b.writeUInt16BE(value.length, at + 1);
    b.set(value, at + TLV_HEADER_LENGTH);
    if (type === TLV.CRC32C) crcOffset = at + TLV_HEADER_LENGTH;
    at += TLV_HEADER_LENGTH + value.length;
  }
  if (crcOffset >= 0) b.writeUInt32BE(crc32c(b, 0, length, crcOffset), crcOffset);
  return b;
}

/** The types allow no other; this is for callers without types. */
function familyTransportOctet({ command, family, transport }: ProxyHeaderInit): number {
  const octet = FAMILY_TRANSPORT[`${family} ${transport}`];
  if (octet === undefined || (command === 'LOCAL' && octet !== 0)) {
    throw invalid('PROXY_ENCODE_FAMILY', 'family', `${command} with ${family} and ${transport} has no form`);
  }
  return octet;
}

/** The TLVs checked, with the CRC32C and the padding that the options ask for. */
function withOptions(given: readonly Tlv[], options: EncodeOptions, tlvsAt: number): Tlv[] {
  const tlvs: Tlv[] = [...given];
  tlvs.forEach((tlv, i) => {
    checkTlv(tlv, `tlvs[${i}]`);
  });
  const checksums = tlvs.filter(({ type }) => type === TLV.CRC32C).length;
  if (checksums > 1) throw invalid('PROXY_ENCODE_TLV', 'tlvs', 'a header has one CRC32C at the most');
  if (options.crc32c === true && checksums === 0) tlvs.push({ type: TLV.CRC32C, value: Buffer.alloc(4) });

  const alignTo = options.alignTo ?? 1;
  if (!Number.isInteger(alignTo) || alignTo < 1 || alignTo > 4096) {
    throw invalid('PROXY_ENCODE_ALIGNMENT', 'alignTo', `${alignTo} is not an integer from 1 to 4096`);
  }
  const length = tlvsLength(tlvs, tlvsAt);
  if (length % alignTo !== 0) {
    // A NOOP takes three octets at the least.
    const aligned = Math.ceil((length + TLV_HEADER_LENGTH) / alignTo) * alignTo;
    tlvs.push({ type: TLV.NOOP, value: Buffer.alloc(aligned - length - TLV_HEADER_LENGTH) });
  }
  return tlvs;
}

function tlvsLength(tlvs: readonly Tlv[], before: number): number {
  return tlvs.reduce((length, { value }) => length + TLV_HEADER_LENGTH + value.length, before);
}

/** Refuses what a decoder would. */
function checkTlv({ type, value }: Tlv, path: string): void {
  const fail = (message: string): never => {
    throw invalid('PROXY_ENCODE_TLV', path, message);
  };
  if (!Number.isInteger(type) || type < 0 || type > 0xff) fail(`type ${type} is not an integer from 0 to 255`);
  if (value.length > 0xffff) fail(`the value is ${value.length} octets, over 65535`);
  if (type === TLV.CRC32C && value.length !== 4) fail(`CRC32C is ${value.length} octets, not 4`);
  if (type === TLV.UNIQUE_ID && value.length > UNIQUE_ID_MAX_LENGTH) {
    fail(`UNIQUE_ID is ${value.length} octets, over ${UNIQUE_ID_MAX_LENGTH}`);
  }
  if (type === TLV.SSL) {
    const whole = value.length >= SSL_FIXED_LENGTH;
    if (!whole || walkTlvs(value, SSL_FIXED_LENGTH, value.length, 0, []) >= 0) fail('the SSL value is malformed');
  }
}

function writeConnection(init: ProxyHeaderInit, b: Buffer): void {
  const at = FIXED_LENGTH_V2;
  if (init.family === 'unspec') return;
  if (init.family === 'unix') {
    writePath(init.source, 'source', b, at);
    writePath(init.destination, 'destination', b, at + UNIX_PATH_LENGTH);
    return;
  }
  const addressLength = init.family === 'inet' ? 4 : 16;
  writeAddress(init.source, 'source', init.family, b, at);
  writeAddress(init.destination, 'destination', init.family, b, at + addressLength);
  b.writeUInt16BE(checkPort(init.source, 'source'), at + 2 * addressLength);
  b.writeUInt16BE(checkPort(init.destination, 'destination'), at + 2 * addressLength + 2);
}

function writePath({ path }: UnixEndpoint, name: string, b: Buffer, at: number): void {
  if (path.length > UNIX_PATH_LENGTH) {
    const lengths = `${path.length} octets, over ${UNIX_PATH_LENGTH}`;
    throw invalid('PROXY_ENCODE_PATH', `${name}.path`, `the path is ${lengths}`);
  }
  // Zero octets end a path; only an abstract name, which begins with one, may hold others.
  const zero = path.indexOf(0);
  if (zero > 0 || (zero === 0 && path[path.length - 1] === 0)) {
    throw invalid('PROXY_ENCODE_PATH', `${name}.path`, `the path holds a zero octet that a receiver would drop`);
  }
  b.set(path, at);
}

/**
 * Encodes a version 1 line: TCP over IPv4 or IPv6, or UNKNOWN for a header without addresses. TLVs have no form there
 * and are refused rather than lost.
 *
 * @throws CulvertError `PROXY_ENCODE_FAMILY`, `PROXY_ENCODE_TLV`, `PROXY_ENCODE_ADDRESS`, `PROXY_ENCODE_PORT`
 */
export function encodeV1(init: ProxyHeaderInit): Buffer {
  if (init.tlvs !== undefined && init.tlvs.length > 0) {
    throw invalid('PROXY_ENCODE_TLV', 'tlvs', 'version 1 has no TLVs; use version 2');
  }
  if (init.family === 'unspec') return Buffer.from('PROXY UNKNOWN\r\n', 'latin1');
  if (init.family === 'unix' || init.transport !== 'stream') {
    throw invalid('PROXY_ENCODE_FAMILY', 'family', 'version 1 knows only TCP over IPv4 and IPv6; use version 2');
  }
  const { family, source, destination } = init;
  const addresses = `${addressText(source, 'source', family)} ${addressText(destination, 'destination', family)}`;
  const ports = `${checkPort(source, 'source')} ${checkPort(destination, 'destination')}`;
  return Buffer.from(`PROXY ${family === 'inet' ? 'TCP4' : 'TCP6'} ${addresses} ${ports}\r\n`, 'latin1');
}

function addressText(endpoint: Endpoint, name: string, family: 'inet' | 'inet6'): string {
  const octets = Buffer.alloc(16);
  writeAddress(endpoint, name, family, octets, 0);
  return family === 'inet' ? readIpv4(octets, 0) : readIpv6(octets, 0);
}

/** Writes the endpoint's address, 4 or 16 octets, at `at`. @throws CulvertError `PROXY_ENCODE_ADDRESS` */
function writeAddress(endpoint: Endpoint, name: string, family: 'inet' | 'inet6', b: Buffer, at: number): void {
  if (family === 'inet' ? writeIpv4(endpoint.address, b, at) : writeIpv6(endpoint.address, b, at)) return;
  const kind = family === 'inet' ? 'IPv4' : 'IPv6';
  const text = JSON.stringify(endpoint.address);
  throw invalid('PROXY_ENCODE_ADDRESS', `${name}.address`, `${text} is not an ${kind} address`);
}

/** @throws CulvertError `PROXY_ENCODE_PORT` */
function checkPort(endpoint: Endpoint, name: string): number {
  const { port } = endpoint;
  if (Number.isInteger(port) && port >= 0 && port <= 0xffff) return port;
  throw invalid('PROXY_ENCODE_PORT', `${name}.port`, `${port} is not an integer from 0 to 65535`);
}
