/**
 * Decoding PROXY protocol version 2, the binary one (section 2.2).
 *
 *     octets 0..11   signature
 *     octet  12      version (2) in the high nibble, command in the low one
 *     octet  13      family in the high nibble, transport in the low one
 *     octets 14..15  octets that follow, network order
 *     then           addresses and ports of the family, then TLVs to the end
 */
import { crc32c } from '../crc32c.js';
import { readIpv4, readIpv6 } from './address.js';
import { malformed } from './codes.js';
import type { Connection, DecodedTlv, DecodeResult, Endpoint, UnixEndpoint } from './header.js';
import { ADDRESS_LENGTH, FIXED_LENGTH_V2, UNIX_PATH_LENGTH } from './header.js';
import { TLV, TLV_HEADER_LENGTH, UNIQUE_ID_MAX_LENGTH, walkTlvs } from './tlv.js';
import { walkSsl } from './tlv-read.js';

const VERSION_COMMAND = 12;
const FAMILY_TRANSPORT = 13;
const LENGTH = 14;

const COMMAND_LOCAL = 0;
const COMMAND_PROXY = 1;
const FAMILY_INET = 1;
const FAMILY_INET6 = 2;
const FAMILY_UNIX = 3;
const TRANSPORT_STREAM = 1;
const TRANSPORT_DGRAM = 2;

const UNSPECIFIED = { family: 'unspec', transport: 'unspec' } as const;

/** Decodes the header at `start`, whose signature, as far as it is there, has been checked. */
export function decodeV2(b: Buffer, start: number, end: number, maxLength: number): DecodeResult {
  const have = end - start;
  if (have > VERSION_COMMAND) checkVersionAndCommand(b[start + VERSION_COMMAND]!);
  const local = have > VERSION_COMMAND && (b[start + VERSION_COMMAND]! & 0x0f) === COMMAND_LOCAL;
  if (have > FAMILY_TRANSPORT && !local) checkFamily(b[start + FAMILY_TRANSPORT]!);
  if (have < FIXED_LENGTH_V2) return { kind: 'need', octets: FIXED_LENGTH_V2 - have };

  const length = FIXED_LENGTH_V2 + ((b[start + LENGTH]! << 8) | b[start + LENGTH + 1]!);
  if (length > maxLength) {
    const lengths = `${length} octets long, over the limit of ${maxLength}`;
    throw malformed('PROXY_TOO_LONG', LENGTH, `The header says that it is ${lengths}`);
  }
  const tlvsAt = FIXED_LENGTH_V2 + (ADDRESS_LENGTH[b[start + FAMILY_TRANSPORT]! >>> 4] ?? 0);
  if (length < tlvsAt && !local) {
    const lengths = `${length - FIXED_LENGTH_V2} octets, the addresses take ${tlvsAt - FIXED_LENGTH_V2}`;
    throw malformed('PROXY_ADDRESS_TOO_SHORT', LENGTH, `The length says ${lengths}`);
  }
  if (have < length) return { kind: 'need', octets: length - have };

  const stop = start + length;
  const tlvs: DecodedTlv[] = [];
  const overrun = walkTlvs(b, start + tlvsAt, stop, tlvsAt, tlvs);
  if (local) {
    return { kind: 'header', header: { version: 2, command: 'LOCAL', ...UNSPECIFIED, tlvs }, length };
  }
  if (overrun >= 0) {
    throw malformed('PROXY_TLV_OVERRUN', overrun, `A TLV runs past the header's end at octet ${length}`);
  }
  checkTlvs(b, start, stop, tlvs);
  return { kind: 'header', header: { version: 2, ...readConnection(b, start), tlvs }, length };
}

function checkVersionAndCommand(octet: number): void {
  if (octet >>> 4 !== 2) {
    throw malformed('PROXY_BAD_VERSION', VERSION_COMMAND, `Version ${octet >>> 4} is not 2`);
  }
  const command = octet & 0x0f;
  if (command !== COMMAND_LOCAL && command !== COMMAND_PROXY) {
    throw malformed('PROXY_BAD_COMMAND', VERSION_COMMAND, `Command ${command} is not LOCAL (0) or PROXY (1)`);
  }
}

function checkFamily(octet: number): void {
  const family = octet >>> 4;
  const transport = octet & 0x0f;
  // UNSPEC is one octet of zero; an unspecified half beside a specified one is not assigned.
  if (octet === 0) return;
  if (family < FAMILY_INET || family > FAMILY_UNIX || transport < TRANSPORT_STREAM || transport > TRANSPORT_DGRAM) {
    const hex = octet.toString(16).padStart(2, '0');
    throw malformed('PROXY_BAD_FAMILY', FAMILY_TRANSPORT, `Family and transport 0x${hex} are not assigned`);
  }
}

function readConnection(b: Buffer, start: number): Connection {
  const family = b[start + FAMILY_TRANSPORT]! >>> 4;
  const transport = (b[start + FAMILY_TRANSPORT]! & 0x0f) === TRANSPORT_STREAM ? 'stream' : 'dgram';
  const at = start + FIXED_LENGTH_V2;
  switch (family) {
    case FAMILY_INET:
      return {
        command: 'PROXY',
        family: 'inet',
        transport,
        source: endpoint(readIpv4(b, at), b, at + 8),
        destination: endpoint(readIpv4(b, at + 4), b, at + 10),
      };
    case FAMILY_INET6:
      return {
        command: 'PROXY',
        family: 'inet6',
        transport,
        source: endpoint(readIpv6(b, at), b, at + 32),
        destination: endpoint(readIpv6(b, at + 16), b, at + 34),
      };
    case FAMILY_UNIX:
      return {
        command: 'PROXY',
        family: 'unix',
        transport,
        source: readPath(b, at),
        destination: readPath(b, at + UNIX_PATH_LENGTH),
      };
    default:
      return { command: 'PROXY', ...UNSPECIFIED };
  }
}

function endpoint(address: string, b: Buffer, portAt: number): Endpoint {
  return { address, port: (b[portAt]! << 8) | b[portAt + 1]! };
}

/** A path ends at its first zero octet; an abstract name begins with one, and ends where only zeros are left. */
function readPath(b: Buffer, at: number): UnixEndpoint {
  const field = b.subarray(at, at + UNIX_PATH_LENGTH);
  if (field[0] !== 0) {
    const zero = field.indexOf(0);
    return { path: zero < 0 ? field : field.subarray(0, zero) };
  }
  let length = UNIX_PATH_LENGTH;
  while (length > 0 && field[length - 1] === 0) length--;
  return { path: field.subarray(0, length) };
}

/** Lengths of the standard TLVs, and the checksum. What an application's own TLVs hold is told when they are read. */
function checkTlvs(b: Buffer, start: number, stop: number, tlvs: readonly DecodedTlv[]): void {
  let checksum: DecodedTlv | undefined;
  for (const tlv of tlvs) {
    const { type, value, offset } = tlv;
    if (type === TLV.CRC32C) {
      if (value.length !== 4) {
        throw malformed('PROXY_CRC32C_LENGTH', offset, `CRC32C is ${value.length} octets, not 4`);
      }
      if (checksum !== undefined) throw malformed('PROXY_CRC32C_DUPLICATE', offset, 'CRC32C is there twice');
      checksum = tlv;
    } else if (type === TLV.UNIQUE_ID && value.length > UNIQUE_ID_MAX_LENGTH) {
      const lengths = `${value.length} octets, over ${UNIQUE_ID_MAX_LENGTH}`;
      throw malformed('PROXY_UNIQUE_ID_TOO_LONG', offset, `UNIQUE_ID is ${lengths}`);
    } else if (type === TLV.SSL) {
      walkSsl(tlv);
    }
  }
  if (checksum !== undefined) checkCrc32c(b, start, stop, checksum);
}

function checkCrc32c(b: Buffer, start: number, stop: number, { value, offset }: DecodedTlv): void {
  const said = value.readUInt32BE(0);
  const computed = crc32c(b, start, stop, start + offset + TLV_HEADER_LENGTH);
  if (said !== computed) {
    const sums = `0x${said.toString(16)}, the header's own is 0x${computed.toString(16)}`;
    throw malformed('PROXY_CRC32C_MISMATCH', offset, `CRC32C says ${sums}: the header was changed on its way`);
  }
}
