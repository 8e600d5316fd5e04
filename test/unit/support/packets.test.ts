import assert from 'node:assert/strict';
import { fragments, icmpError, onesSum, pseudoSum, tcpPacket, udpPacket } from '../../support/packets.js';

describe('test packets', () => {
  it('make a TCP segment whose checksums add up', () => {
    const packet = tcpPacket({
      src: '192.168.3.131',
      dst: '72.14.213.102',
      sport: 57011,
      dport: 80,
      seq: 0,
      flags: 2,
      window: 65535,
      id: 0x1234,
      options: Uint8Array.of(2, 4, 5, 0xb4),
    });
    assert.equal(packet.length, 44);
    assert.equal(onesSum(packet.subarray(0, 20)), 0xffff);
    assert.equal(onesSum(packet.subarray(20), pseudoSum(packet, 24)), 0xffff);
    assert.equal(packet.readUInt8(32), 0x60);
  });

  it('have the checksums of the worked example that many texts use', () => {
    // 4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7
    const packet = udpPacket({
      src: '192.168.0.1',
      dst: '192.168.0.199',
      sport: 1,
      dport: 2,
      payload: Buffer.alloc(87),
    });
    assert.equal(packet.readUInt16BE(2), 0x73);
    assert.equal(packet.readUInt16BE(10), 0xb861);
    assert.equal(onesSum(packet.subarray(20), pseudoSum(packet, 95)), 0xffff);
    const without = udpPacket({ src: '1.2.3.4', dst: '5.6.7.8', sport: 1, dport: 2, checksum: false });
    assert.equal(without.readUInt16BE(26), 0);
  });

  it('fragment so that the parts make the whole again', () => {
    const payload = Buffer.from(Array.from({ length: 1000 }, (_, i) => i & 255));
    const packet = udpPacket({ src: '10.0.0.1', dst: '10.0.0.2', sport: 5, dport: 6, payload, id: 77, df: false });
    const parts = fragments(packet, 300);
    assert.ok(parts.every((part) => part.length <= 300 && onesSum(part.subarray(0, 20)) === 0xffff));
    assert.deepEqual(
      parts.map((part) => part.readUInt16BE(6)),
      [0x2000, 0x2000 | 35, 0x2000 | 70, 105],
    );
    assert.ok(Buffer.concat(parts.map((part) => part.subarray(20))).equals(packet.subarray(20)));
  });

  it('quote what an ICMP error complains of', () => {
    const about = udpPacket({ src: '10.0.0.1', dst: '10.0.0.2', sport: 5, dport: 6, payload: 'x'.repeat(40) });
    const error = icmpError({ src: '10.0.0.9', dst: '10.0.0.1', code: 4, rest: 1400, about, quote: 28 });
    assert.equal(onesSum(error.subarray(20)), 0xffff);
    assert.ok(error.subarray(28).equals(about.subarray(0, 28)));
    assert.equal(error.readUInt16BE(26), 1400);
  });
});
