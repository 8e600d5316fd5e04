import assert from 'node:assert/strict';
import {
  alpn,
  authority,
  awsEndpointId,
  awsEndpointIdTlv,
  azureLinkId,
  azureLinkIdTlv,
  findTlv,
  gcpPscConnectionId,
  gcpPscConnectionIdTlv,
  netns,
  noopTlv,
  ssl,
  SSL_CLIENT,
  SSL_TLV,
  sslTlv,
  TLV,
  uniqueId,
} from '../../../../src/wire/proxy/index.js';
import { inet, tlv, whole } from './support.js';

describe('PROXY TLVs', () => {
  it('are undefined where the header has none', () => {
    const header = whole(inet());
    for (const read of [azureLinkId, awsEndpointId, gcpPscConnectionId, uniqueId, authority, alpn, netns, ssl]) {
      assert.equal(read(header), undefined);
    }
  });

  it('read the LINKID as little-endian, all 32 bits of it', () => {
    assert.equal(azureLinkId(whole(inet('ee 0005 01 1d570020'))), 536893213);
    assert.equal(azureLinkId(whole(inet('ee 0005 01 feffffff'))), 4294967294);
    assert.equal(azureLinkId({ tlvs: [{ ...azureLinkIdTlv(0x80000001), offset: 0 }] }), 0x80000001);
  });

  it('leave another subtype to its own reader', () => {
    assert.equal(azureLinkId(whole(inet('ee 0003 02 0000'))), undefined);
    assert.equal(awsEndpointId(whole(inet('ea 0002 02 00'))), undefined);
  });

  it('read the AWS endpoint id', () => {
    const id = 'vpce-08d2bf15fac5001c9';
    assert.equal(awsEndpointId(whole(inet(tlv(0xea, Buffer.from(`\x01${id}`))))), id);
    assert.equal(awsEndpointId({ tlvs: [{ ...awsEndpointIdTlv(id), offset: 0 }] }), id);
  });

  it('read the GCP connection id, beyond what a number holds', () => {
    assert.equal(gcpPscConnectionId(whole(inet('e0 0008 fffffffffffffffe'))), 0xfffffffffffffffen);
    assert.equal(gcpPscConnectionId({ tlvs: [{ ...gcpPscConnectionIdTlv(2n ** 63n), offset: 0 }] }), 2n ** 63n);
  });

  it('read UNIQUE_ID, AUTHORITY, ALPN and NETNS', () => {
    const header = whole(
      inet(
        tlv(5, '00ff') +
          tlv(2, Buffer.from('bücher.example')) +
          tlv(1, Buffer.from('h2')) +
          tlv(0x30, Buffer.from('blue')),
      ),
    );
    assert.equal(uniqueId(header)?.toString('hex'), '00ff');
    assert.equal(authority(header), 'bücher.example');
    assert.equal(alpn(header)?.toString(), 'h2');
    assert.equal(netns(header), 'blue');
  });

  it('count the first of a type', () => {
    const header = whole(inet(tlv(0x05, '01') + tlv(0x05, '02')));
    assert.equal(uniqueId(header)?.toString('hex'), '01');
    assert.equal(findTlv(header, TLV.UNIQUE_ID)?.offset, 28);
  });

  it('read what SSL says, and keep unknown TLVs inside it', () => {
    const inside = tlv(0x21, Buffer.from('TLSv1.3')) + tlv(0x22, Buffer.from('Zoë')) + tlv(0x7f, '00');
    const header = whole(inet(tlv(0x20, `03 00000000 ${inside}`)));
    const info = ssl(header);
    assert.deepEqual(
      { ...info, tlvs: info?.tlvs.map(({ type, offset }) => [type, offset]) },
      {
        client: SSL_CLIENT.SSL | SSL_CLIENT.CERTIFICATE_ON_CONNECTION,
        verify: 0,
        overTls: true,
        certificateVerified: true,
        version: 'TLSv1.3',
        commonName: 'Zoë',
        tlvs: [
          [SSL_TLV.VERSION, 36],
          [SSL_TLV.COMMON_NAME, 46],
          [0x7f, 53],
        ],
      },
    );
  });

  it('take a certificate for verified only where there was one and the result is 0', () => {
    const verified = (client: number, verify: number): boolean | undefined =>
      ssl({ tlvs: [{ ...sslTlv({ client, verify }), offset: 0 }] })?.certificateVerified;
    assert.equal(verified(SSL_CLIENT.SSL, 0), false);
    assert.equal(verified(SSL_CLIENT.SSL | SSL_CLIENT.CERTIFICATE_ON_SESSION, 0), true);
    assert.equal(verified(SSL_CLIENT.SSL | SSL_CLIENT.CERTIFICATE_ON_SESSION, 0x01000000), false);
    assert.equal(verified(SSL_CLIENT.SSL | SSL_CLIENT.CERTIFICATE_ON_SESSION, 1), false);
  });

  it('hold the verify result in network order', () => {
    assert.equal(sslTlv({ client: 1, verify: 0x01020304 }).value.toString('hex'), '0101020304');
    assert.equal(ssl(whole(inet('20 0005 01 01020304')))?.verify, 0x01020304);
  });

  it('keep every character of AUTHORITY, a byte order mark too', () => {
    assert.equal(authority(whole(inet(tlv(2, Buffer.from('\ufeffa'))))), '\ufeffa');
  });

  it('take the least and the greatest values', () => {
    assert.equal(azureLinkIdTlv(0).value.toString('hex'), '0100000000');
    assert.equal(azureLinkIdTlv(0xffffffff).value.toString('hex'), '01ffffffff');
    assert.equal(gcpPscConnectionIdTlv(2n ** 64n - 1n).value.toString('hex'), 'f'.repeat(16));
    assert.equal(gcpPscConnectionIdTlv(0n).value.toString('hex'), '0'.repeat(16));
    assert.equal(awsEndpointId({ tlvs: [{ ...awsEndpointIdTlv('!~'), offset: 0 }] }), '!~');
    assert.equal(noopTlv(65535).value.length, 65535);
    assert.equal(noopTlv(0).value.length, 0);
    assert.equal(sslTlv({ client: 0xff, verify: 0xffffffff }).value.toString('hex'), 'ffffffffff');
  });

  it('write SSL with every text', () => {
    const init = {
      client: 7,
      verify: 4294967295,
      version: 'TLSv1.2',
      commonName: 'client',
      cipher: 'ECDHE-RSA-AES128-GCM-SHA256',
      signatureAlgorithm: 'SHA256',
      keyAlgorithm: 'RSA2048',
    };
    const { tlvs, overTls, certificateVerified, ...rest } = ssl({ tlvs: [{ ...sslTlv(init), offset: 0 }] })!;
    assert.deepEqual(rest, init);
    assert.deepEqual([tlvs.length, overTls, certificateVerified], [5, true, false]);
  });
});
