import assert from 'node:assert/strict';
import type { ProxyErrorCode, ProxyHeaderInit } from '../../../../src/wire/proxy/index.js';
import {
  authority,
  awsEndpointId,
  azureLinkId,
  decode,
  encode,
  encodeV1,
  gcpPscConnectionId,
  headerTemplate,
  noopTlv,
  PROXY_ERROR_CODES,
  ProxyHeaderReader,
  ssl,
  TLV,
  azureLinkIdTlv,
  awsEndpointIdTlv,
  gcpPscConnectionIdTlv,
  sslTlv,
} from '../../../../src/wire/proxy/index.js';
import { hex, inet, INET_BLOCK, throwsCode, tlv, v2, whole } from './support.js';

const line = (text: string): Buffer => Buffer.from(text, 'latin1');
const tcp: ProxyHeaderInit = {
  command: 'PROXY',
  family: 'inet',
  transport: 'stream',
  source: { address: '10.0.0.5', port: 40000 },
  destination: { address: '10.9.0.4', port: 443 },
};
const from = (source: unknown): ProxyHeaderInit => ({ ...tcp, source }) as ProxyHeaderInit;
const unix = (path: Buffer): ProxyHeaderInit => ({
  command: 'PROXY',
  family: 'unix',
  transport: 'stream',
  source: { path },
  destination: { path: Buffer.alloc(0) },
});

/** Code, offset in the header (or undefined), what is wrong, and how to bring it about. */
const CASES: [ProxyErrorCode, number | undefined, string, () => unknown][] = [
  ['PROXY_RANGE', undefined, 'an end past the buffer', () => decode(inet(), 0, 29)],
  ['PROXY_RANGE', undefined, 'a start before the buffer', () => decode(inet(), -1)],
  ['PROXY_RANGE', undefined, 'a start past the end', () => decode(inet(), 5, 4)],
  ['PROXY_RANGE', undefined, 'a start that is no integer', () => decode(inet(), NaN)],
  ['PROXY_RANGE', undefined, 'a maxLength of nothing', () => decode(inet(), 0, 28, { maxLength: 15 })],
  ['PROXY_RANGE', undefined, 'a reader without a bound', () => new ProxyHeaderReader({ maxLength: Infinity })],
  ['PROXY_NO_SIGNATURE', 0, 'a TLS hello', () => decode(hex('160301'))],
  ['PROXY_NO_SIGNATURE', 1, 'a POST request', () => decode(line('POST / HTTP/1.1\r\n'))],
  ['PROXY_NO_SIGNATURE', 5, 'PROXY without a space', () => decode(line('PROXY\tTCP4'))],
  ['PROXY_NO_SIGNATURE', 11, 'a signature wrong in its last octet', () => decode(hex('0d0a0d0a000d0a515549540b'))],
  ['PROXY_TOO_LONG', 14, 'a header over maxLength', () => decode(inet().subarray(0, 16), 0, 16, { maxLength: 27 })],
  [
    'PROXY_TOO_LONG',
    20,
    'a line over maxLength',
    () => decode(line('PROXY UNKNOWN aaaaaaaaaa'), 0, 24, { maxLength: 20 }),
  ],
  ['PROXY_V1_TOO_LONG', 107, 'a line without an end', () => decode(line(`PROXY UNKNOWN ${'a'.repeat(200)}`))],
  ['PROXY_V1_TOO_LONG', 107, 'a line of 108 octets', () => decode(line(`PROXY UNKNOWN ${'a'.repeat(92)}\r\n`))],
  ['PROXY_V1_TOO_LONG', 107, 'a line that cannot end in time', () => decode(line(`PROXY UNKNOWN ${'a'.repeat(92)}`))],
  ['PROXY_V1_LINE_END', 30, 'LF alone', () => decode(line('PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n'))],
  ['PROXY_V1_LINE_END', 30, 'CR alone', () => decode(line('PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rx'))],
  ['PROXY_V1_PROTOCOL', 6, 'a protocol of another name', () => decode(line('PROXY UDP4 '))],
  ['PROXY_V1_PROTOCOL', 6, 'a protocol that cannot become one', () => decode(line('PROXY TCP5'))],
  ['PROXY_V1_PROTOCOL', 13, 'UNKNOWN run on', () => decode(line('PROXY UNKNOWNS\r\n'))],
  ['PROXY_V1_FIELDS', 11, 'a missing field', () => decode(line('PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n'))],
  ['PROXY_V1_FIELDS', 11, 'two spaces', () => decode(line('PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n'))],
  ['PROXY_V1_FIELDS', 11, 'a space at the end', () => decode(line('PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n'))],
  ['PROXY_V1_ADDRESS', 11, 'an address of three parts', () => decode(line('PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n'))],
  ['PROXY_V1_ADDRESS', 19, 'a leading zero', () => decode(line('PROXY TCP4 1.1.1.1 2.2.2.02 1 2\r\n'))],
  ['PROXY_V1_ADDRESS', 11, 'an IPv4 address in TCP6', () => decode(line('PROXY TCP6 1.1.1.1 ::2 1 2\r\n'))],
  ['PROXY_V1_ADDRESS', 15, 'an IPv6 zone', () => decode(line('PROXY TCP6 ::1 fe80::1%eth0 1 2\r\n'))],
  ['PROXY_V1_PORT', 27, 'a port over 65535', () => decode(line('PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n'))],
  ['PROXY_V1_PORT', 29, 'a port with a leading zero', () => decode(line('PROXY TCP4 1.1.1.1 2.2.2.2 1 02\r\n'))],
  ['PROXY_V1_PORT', 27, 'a port with a sign', () => decode(line('PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n'))],
  ['PROXY_BAD_VERSION', 12, 'version 1 in binary', () => decode(v2(0x11, 0x11, INET_BLOCK))],
  ['PROXY_BAD_VERSION', 12, 'version 3, as soon as it is seen', () => decode(v2(0x31, 0x11).subarray(0, 13))],
  ['PROXY_BAD_COMMAND', 12, 'command 2', () => decode(v2(0x22, 0x11, INET_BLOCK))],
  ['PROXY_BAD_FAMILY', 13, 'family 4', () => decode(v2(0x21, 0x41, INET_BLOCK))],
  ['PROXY_BAD_FAMILY', 13, 'transport 3', () => decode(v2(0x21, 0x13, INET_BLOCK))],
  ['PROXY_BAD_FAMILY', 13, 'family without transport', () => decode(v2(0x21, 0x10, INET_BLOCK))],
  ['PROXY_BAD_FAMILY', 13, 'transport without family', () => decode(v2(0x21, 0x01, INET_BLOCK))],
  ['PROXY_ADDRESS_TOO_SHORT', 14, 'IPv4 addresses of 11 octets', () => decode(v2(0x21, 0x11, Buffer.alloc(11)))],
  ['PROXY_ADDRESS_TOO_SHORT', 14, 'IPv6 addresses of 35 octets', () => decode(v2(0x21, 0x21, Buffer.alloc(35)))],
  ['PROXY_ADDRESS_TOO_SHORT', 14, 'UNIX paths of 215 octets', () => decode(v2(0x21, 0x31, Buffer.alloc(215)))],
  ['PROXY_TLV_OVERRUN', 28, 'a TLV one octet too long', () => decode(inet('ee 0005 01 1d5700'))],
  ['PROXY_TLV_OVERRUN', 28, 'two octets after the addresses', () => decode(inet('ee 00'))],
  ['PROXY_TLV_OVERRUN', 31, 'one octet after the last TLV', () => decode(inet('04 0000 04'))],
  ['PROXY_TLV_OVERRUN', 28, 'a length of 65535', () => decode(inet('05 ffff 00'))],
  ['PROXY_CRC32C_LENGTH', 28, 'a CRC32C of 3 octets', () => decode(inet('03 0003 000000'))],
  ['PROXY_CRC32C_DUPLICATE', 35, 'two CRC32C', () => decode(inet('03 0004 00000000 03 0004 00000000'))],
  ['PROXY_CRC32C_MISMATCH', 28, 'a wrong CRC32C', () => decode(inet('03 0004 00000000'))],
  ['PROXY_UNIQUE_ID_TOO_LONG', 28, 'a UNIQUE_ID of 129 octets', () => decode(inet(tlv(0x05, Buffer.alloc(129))))],
  ['PROXY_SSL_TOO_SHORT', 28, 'an SSL of 4 octets', () => decode(inet('20 0004 01000000'))],
  ['PROXY_SSL_TLV_OVERRUN', 36, 'a TLV past the SSL', () => decode(inet('20 0009 01 00000000 21 0002 54 04 0000'))],
  ['PROXY_SSL_TOO_SHORT', 16, 'a short SSL read from a LOCAL', () => ssl(whole(v2(0x20, 0, '20 0000')))],
  ['PROXY_SSL_TLV_OVERRUN', 24, 'SSL overrun in a LOCAL', () => ssl(whole(v2(0x20, 0, '20 0007 01 00000000 2100')))],
  ['PROXY_AZURE_TLV_LENGTH', 28, 'a LINKID of 3 octets', () => azureLinkId(whole(inet('ee 0004 01 1d5700')))],
  ['PROXY_AZURE_TLV_LENGTH', 28, 'a LINKID of 5 octets', () => azureLinkId(whole(inet('ee 0006 01 1d57002000')))],
  ['PROXY_AZURE_TLV_LENGTH', 28, 'an empty Azure TLV', () => azureLinkId(whole(inet('ee 0000')))],
  ['PROXY_AWS_TLV_TEXT', 28, 'an empty AWS TLV', () => awsEndpointId(whole(inet('ea 0000')))],
  ['PROXY_AWS_TLV_TEXT', 28, 'an empty endpoint id', () => awsEndpointId(whole(inet('ea 0001 01')))],
  ['PROXY_AWS_TLV_TEXT', 28, 'an endpoint id beyond ASCII', () => awsEndpointId(whole(inet('ea 0003 01 76ff')))],
  [
    'PROXY_GCP_TLV_LENGTH',
    28,
    'a GCP id of 7 octets',
    () => gcpPscConnectionId(whole(inet(tlv(0xe0, '00'.repeat(7))))),
  ],
  ['PROXY_AUTHORITY_TEXT', 28, 'an AUTHORITY that is not UTF-8', () => authority(whole(inet('02 0002 c328')))],
  ['PROXY_ENCODE_ADDRESS', undefined, 'an IPv6 address as IPv4', () => encode(from({ address: '::1', port: 1 }))],
  ['PROXY_ENCODE_ADDRESS', undefined, 'a host name in version 1', () => encodeV1(from({ address: 'a', port: 1 }))],
  [
    'PROXY_ENCODE_ADDRESS',
    undefined,
    'a template of a negative address',
    () => headerTemplate({ kind: 'azure', linkId: 1 }, -1, 1),
  ],
  ['PROXY_ENCODE_PORT', undefined, 'port 65536', () => encode(from({ address: '1.1.1.1', port: 65536 }))],
  ['PROXY_ENCODE_PORT', undefined, 'port 1.5', () => encodeV1(from({ address: '1.1.1.1', port: 1.5 }))],
  ['PROXY_ENCODE_PORT', undefined, 'a template of port -1', () => headerTemplate({ kind: 'azure', linkId: 1 }, 1, -1)],
  ['PROXY_ENCODE_PATH', undefined, 'a path of 109 octets', () => encode(unix(Buffer.alloc(109, 0x61)))],
  ['PROXY_ENCODE_PATH', undefined, 'a path with a zero octet', () => encode(unix(Buffer.from('/a\0b')))],
  ['PROXY_ENCODE_PATH', undefined, 'an abstract name that ends in zero', () => encode(unix(Buffer.from('\0a\0')))],
  ['PROXY_ENCODE_FAMILY', undefined, 'UNIX in version 1', () => encodeV1(unix(Buffer.from('/a')))],
  ['PROXY_ENCODE_FAMILY', undefined, 'UDP in version 1', () => encodeV1({ ...tcp, transport: 'dgram' })],
  [
    'PROXY_ENCODE_FAMILY',
    undefined,
    'a family of no name',
    () => encode({ ...tcp, family: 'ipx' } as unknown as ProxyHeaderInit),
  ],
  [
    'PROXY_ENCODE_FAMILY',
    undefined,
    'LOCAL with addresses',
    () => encode({ ...tcp, command: 'LOCAL' } as unknown as ProxyHeaderInit),
  ],
  ['PROXY_ENCODE_TLV', undefined, 'type 256', () => encode({ ...tcp, tlvs: [{ type: 256, value: Buffer.alloc(0) }] })],
  [
    'PROXY_ENCODE_TLV',
    undefined,
    'a value of 65536',
    () => encode({ ...tcp, tlvs: [{ type: 1, value: Buffer.alloc(65536) }] }),
  ],
  [
    'PROXY_ENCODE_TLV',
    undefined,
    'a UNIQUE_ID of 129',
    () => encode({ ...tcp, tlvs: [{ type: 5, value: Buffer.alloc(129) }] }),
  ],
  [
    'PROXY_ENCODE_TLV',
    undefined,
    'a CRC32C of 5',
    () => encode({ ...tcp, tlvs: [{ type: 3, value: Buffer.alloc(5) }] }),
  ],
  [
    'PROXY_ENCODE_TLV',
    undefined,
    'two CRC32C',
    () =>
      encode({
        ...tcp,
        tlvs: [
          { type: 3, value: Buffer.alloc(4) },
          { type: 3, value: Buffer.alloc(4) },
        ],
      }),
  ],
  [
    'PROXY_ENCODE_TLV',
    undefined,
    'an SSL of 4',
    () => encode({ ...tcp, tlvs: [{ type: TLV.SSL, value: Buffer.alloc(4) }] }),
  ],
  [
    'PROXY_ENCODE_TLV',
    undefined,
    'an SSL that overruns',
    () => encode({ ...tcp, tlvs: [{ type: TLV.SSL, value: Buffer.alloc(6) }] }),
  ],
  ['PROXY_ENCODE_TLV', undefined, 'TLVs in version 1', () => encodeV1({ ...tcp, tlvs: [noopTlv(0)] })],
  ['PROXY_ENCODE_TLV', undefined, 'a NOOP of -1', () => noopTlv(-1)],
  ['PROXY_ENCODE_TLV', undefined, 'a LINKID of 2^32', () => azureLinkIdTlv(2 ** 32)],
  ['PROXY_ENCODE_TLV', undefined, 'a LINKID of 1.5', () => azureLinkIdTlv(1.5)],
  ['PROXY_ENCODE_TLV', undefined, 'a NOOP of 1.5', () => noopTlv(1.5)],
  ['PROXY_ENCODE_TLV', undefined, 'a NOOP of 65536', () => noopTlv(65536)],
  ['PROXY_ENCODE_TLV', undefined, 'client flags of 1.5', () => sslTlv({ client: 1.5, verify: 0 })],
  ['PROXY_ENCODE_TLV', undefined, 'a verify of 1.5', () => sslTlv({ client: 1, verify: 1.5 })],
  ['PROXY_ENCODE_TLV', undefined, 'an endpoint id with a space', () => awsEndpointIdTlv('vpce 1')],
  ['PROXY_ENCODE_TLV', undefined, 'an endpoint id of nothing', () => awsEndpointIdTlv('')],
  ['PROXY_ENCODE_TLV', undefined, 'a connection id of 2^64', () => gcpPscConnectionIdTlv(2n ** 64n)],
  ['PROXY_ENCODE_TLV', undefined, 'client flags of 256', () => sslTlv({ client: 256, verify: 0 })],
  ['PROXY_ENCODE_TLV', undefined, 'a verify of -1', () => sslTlv({ client: 1, verify: -1 })],
  [
    'PROXY_ENCODE_TLV',
    undefined,
    'a common name of 70000',
    () => sslTlv({ client: 1, verify: 0, commonName: 'a'.repeat(70000) }),
  ],
  ['PROXY_ENCODE_TOO_LONG', undefined, 'a header of 65552', () => encode({ ...tcp, tlvs: [noopTlv(65521)] })],
  ['PROXY_ENCODE_ALIGNMENT', undefined, 'an alignment of 0', () => encode(tcp, { alignTo: 0 })],
];

describe('PROXY error codes', () => {
  for (const [code, offset, what, run] of CASES) {
    it(`tells ${what} by ${code}`, () => {
      throwsCode(run, code, offset);
    });
  }

  it('tells a stream that ended inside the header by PROXY_TRUNCATED, now and later', () => {
    const reader = new ProxyHeaderReader();
    reader.push(inet().subarray(0, 20));
    throwsCode(
      () => {
        reader.end();
      },
      'PROXY_TRUNCATED',
      20,
    );
    throwsCode(() => reader.push(inet().subarray(20)), 'PROXY_TRUNCATED', 20);
  });

  it('tells a chunk after the header by PROXY_READER_DONE', () => {
    const reader = new ProxyHeaderReader();
    reader.push(inet());
    throwsCode(() => reader.push(Buffer.from('x')), 'PROXY_READER_DONE');
  });

  it('has a case here for every code it names', () => {
    const seen = new Set<string>([...CASES.map(([code]) => code), 'PROXY_TRUNCATED', 'PROXY_READER_DONE']);
    assert.deepEqual([...seen].sort(), [...PROXY_ERROR_CODES].sort());
  });

  it('names the octet in the message, and the place of a value to encode', () => {
    assert.throws(() => decode(inet('ee 0009 00')), /octet 28 of the PROXY header/);
    assert.throws(() => encode(from({ address: 'x', port: 1 })), /^CulvertError: source\.address: "x" is not an IPv4/);
  });
});
