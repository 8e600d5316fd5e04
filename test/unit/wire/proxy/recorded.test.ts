/**
 * Headers as HAProxy 2.6.12 sent them (`send-proxy-v2-ssl-cn proxy-v2-options
 * crc32c,unique-id,authority,ssl,cert-cn,ssl-cipher,cert-key,cert-sig`), so that not all this codec reads is its own.
 */
import assert from 'node:assert/strict';
import { alpn, authority, encode, ssl, uniqueId } from '../../../../src/wire/proxy/index.js';
import { hex, throwsCode, whole } from './support.js';

const TLS_CLIENT = hex(`
  0d0a0d0a000d0a515549540a 21 11 0089 7f000001 7f000001 c4e6 480b
  03 0004 c11a2829
  01 0002 6832
  02 000b 6261722e6578616d706c65
  05 0011 3132372e302e302e313a35303430365f30
  20 004c 07 00000000
    21 0007 544c5376312e33
    22 000a 436c69656e74204f6e65
    25 0007 52534132303438
    24 000a 5253412d534841323536
    23 0016 544c535f4145535f3235365f47434d5f534841333834`);

const INET6 = hex(`
  0d0a0d0a000d0a515549540a 21 21 0036
  00000000000000000000000000000001 00000000000000000000000000000001 8b90 480c
  03 0004 dfa047d9
  05 0000
  20 0005 00 00000000`);

const HEALTH_CHECK = hex('0d0a0d0a000d0a515549540a 20 00 000f 03 0004 889da1df 20 0005 00 00000000');

describe('PROXY headers recorded from HAProxy', () => {
  it('tell a TLS client with a certificate', () => {
    const header = whole(TLS_CLIENT);
    assert.ok(header.family === 'inet');
    assert.deepEqual(header.source, { address: '127.0.0.1', port: 50406 });
    assert.deepEqual(header.destination, { address: '127.0.0.1', port: 18443 });
    assert.equal(alpn(header)?.toString(), 'h2');
    assert.equal(authority(header), 'bar.example');
    assert.equal(uniqueId(header)?.toString(), '127.0.0.1:50406_0');
    const info = ssl(header);
    assert.deepEqual(
      { ...info, tlvs: info?.tlvs.length },
      {
        client: 7,
        verify: 0,
        overTls: true,
        certificateVerified: true,
        version: 'TLSv1.3',
        commonName: 'Client One',
        cipher: 'TLS_AES_256_GCM_SHA384',
        signatureAlgorithm: 'RSA-SHA256',
        keyAlgorithm: 'RSA2048',
        tlvs: 5,
      },
    );
  });

  it('tell a client over IPv6 without TLS', () => {
    const header = whole(INET6);
    assert.ok(header.family === 'inet6');
    assert.deepEqual(header.source, { address: '::1', port: 35728 });
    assert.deepEqual([ssl(header)?.overTls, ssl(header)?.certificateVerified], [false, false]);
  });

  it('tell a health check', () => {
    const header = whole(HEALTH_CHECK);
    assert.equal(header.command, 'LOCAL');
    assert.equal(header.tlvs.length, 2);
  });

  it('come out the same when encoded again, the CRC32C computed anew', () => {
    for (const octets of [TLS_CLIENT, INET6, HEALTH_CHECK]) assert.deepEqual(encode(whole(octets)), octets);
  });

  it('are refused when an octet has changed under the CRC32C', () => {
    const changed = Buffer.from(TLS_CLIENT);
    changed[19]! ^= 2;
    throwsCode(() => whole(changed), 'PROXY_CRC32C_MISMATCH', 28);
  });
});
