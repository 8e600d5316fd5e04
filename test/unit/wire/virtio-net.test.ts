import assert from 'node:assert/strict';
import * as vnet from '../../../src/wire/virtio-net.js';

describe('virtio-net header', () => {
  // As a 6.18 kernel gave it for a TCP super-packet of 1448-octet segments with time stamps.
  const recorded = Buffer.from('01013400a80514001000', 'hex');

  it('reads what a kernel wrote: flags, types, and little-endian lengths', () => {
    const b = Buffer.concat([Buffer.alloc(3, 0xff), recorded, Buffer.alloc(3, 0xff)]);
    assert.equal(vnet.HEADER, recorded.length);
    assert.equal(vnet.flags(b, 3), vnet.FLAG_NEEDS_CSUM);
    assert.equal(vnet.gsoType(b, 3), vnet.GSO_TCPV4);
    assert.equal(vnet.hdrLen(b, 3), 52);
    assert.equal(vnet.gsoSize(b, 3), 1448);
    assert.equal(vnet.csumStart(b, 3), 20);
    assert.equal(vnet.csumOffset(b, 3), 16);
    assert.ok(vnet.needsChecksum(b, 3) && vnet.isSuperPacket(b, 3));
  });

  it('writes the same octets, and none beside them', () => {
    const b = Buffer.alloc(16, 0xff);
    vnet.setFlags(b, 3, vnet.FLAG_NEEDS_CSUM);
    vnet.setGsoType(b, 3, vnet.GSO_TCPV4);
    vnet.setHdrLen(b, 3, 52);
    vnet.setGsoSize(b, 3, 1448);
    vnet.setCsumStart(b, 3, 20);
    vnet.setCsumOffset(b, 3, 16);
    assert.equal(b.toString('hex'), `ffffff${recorded.toString('hex')}ffffff`);
  });

  it('is the header of a plain packet once cleared', () => {
    const b = Buffer.concat([Buffer.alloc(3, 0xff), recorded, Buffer.alloc(3, 0xff)]);
    vnet.clear(b, 3);
    assert.equal(b.toString('hex'), `ffffff${'00'.repeat(10)}ffffff`);
    assert.ok(!vnet.needsChecksum(b, 3) && !vnet.isSuperPacket(b, 3));
  });

  it('tells a verified checksum from one to be completed', () => {
    const b = Buffer.alloc(10);
    vnet.setFlags(b, 0, vnet.FLAG_DATA_VALID);
    assert.equal(vnet.needsChecksum(b, 0), false);
  });
});
