import assert from 'node:assert/strict';
import fc from 'fast-check';
import * as ipv4 from '../../../src/wire/ipv4.js';
import { onesSum, udpPacket } from '../../support/packets.js';

const packet = (fields = {}): Buffer =>
  udpPacket({ src: '10.0.0.5', dst: '200.9.0.4', sport: 1, dport: 2, payload: 'abcd', ...fields });

/** A packet somewhere in a buffer of other octets. */
function placed(b: Buffer, at = 13): Buffer {
  return Buffer.concat([Buffer.alloc(at, 0xff), b, Buffer.alloc(70, 0xff)]);
}

const judge = (b: Buffer, missing = 0): number => ipv4.check(placed(b), 13, 13 + b.length, missing);

function sealed(b: Buffer): Buffer {
  b.writeUInt16BE(0, 10);
  b.writeUInt16BE(0xffff - onesSum(b.subarray(0, Math.min(b.length, (b[0]! & 15) * 4))), 10);
  return b;
}

describe('IPv4 header', () => {
  it('is read and written by its fields', () => {
    const b = placed(packet({ tos: 0x5a, id: 0x1234, ttl: 7 }));
    const ip = 13;
    assert.deepEqual(
      [ipv4.headerLength(b, ip), ipv4.tos(b, ip), ipv4.totalLength(b, ip), ipv4.identification(b, ip)],
      [20, 0x5a, 32, 0x1234],
    );
    assert.deepEqual([ipv4.ttl(b, ip), ipv4.protocol(b, ip), ipv4.flagsAndOffset(b, ip)], [7, 17, 0x4000]);
    assert.deepEqual([ipv4.source(b, ip), ipv4.destination(b, ip)], [0x0a000005, 0xc8090004 | 0]);
    ipv4.setTotalLength(b, ip, 0xabcd);
    ipv4.setIdentification(b, ip, 0x4321);
    ipv4.setFlagsAndOffset(b, ip, 0x2003);
    ipv4.setTtl(b, ip, 255);
    ipv4.setChecksum(b, ip, 0xfedc);
    ipv4.setSource(b, ip, -2);
    ipv4.setDestination(b, ip, 0x01020304);
    assert.equal(b.subarray(ip, ip + 20).toString('hex'), '455aabcd43212003ff11fedcfffffffe01020304');
    assert.equal(ipv4.fragmentOffset(b, ip), 24);
  });

  it('is judged: what each fault is called', () => {
    const b = packet();
    assert.equal(judge(b), ipv4.OK);
    assert.equal(judge(b.subarray(0, 19)), ipv4.TRUNCATED);
    assert.equal(judge(packet({ ipOptions: Buffer.alloc(40, 1) })), ipv4.OK);
    assert.equal(judge(packet({ ipOptions: Buffer.alloc(40, 1) }).subarray(0, 59)), ipv4.TRUNCATED);
    const faulty = (at: number, value: number): Buffer => {
      const copy = packet();
      copy[at] = value;
      return sealed(copy);
    };
    assert.equal(judge(faulty(0, 0x55)), ipv4.BAD_VERSION);
    assert.equal(judge(faulty(0, 0x44)), ipv4.BAD_HEADER_LENGTH);
    assert.equal(judge(faulty(3, 33)), ipv4.BAD_LENGTH);
    assert.equal(judge(faulty(3, 33), 1), ipv4.OK, 'an octet was cut off');
    assert.equal(judge(faulty(3, 20)), ipv4.OK, 'a trailer behind it');
    assert.equal(judge(faulty(3, 19)), ipv4.BAD_LENGTH);
    const wrong = packet();
    wrong[11]! ^= 1;
    assert.equal(judge(wrong), ipv4.BAD_CHECKSUM);
  });

  it('of total length 0 takes the frame’s length where that does not fit the field (BIG TCP)', () => {
    const b = packet();
    b.writeUInt16BE(0, 2);
    sealed(b);
    assert.equal(judge(b), ipv4.BAD_LENGTH);
    assert.equal(judge(b, 0xffff - b.length), ipv4.BAD_LENGTH);
    assert.equal(judge(b, 0x10000 - b.length), ipv4.OK);
    assert.equal(ipv4.packetLength(b, 0, 70_000), 70_000);
    assert.equal(ipv4.packetLength(packet(), 0, 70_000), 32);
  });

  it('has the checksum that its octets give, options or not', () => {
    const options = fc.integer({ min: 0, max: 10 }).chain((n) => fc.uint8Array({ minLength: 4 * n, maxLength: 4 * n }));
    fc.assert(
      fc.property(options, fc.nat({ max: 0xffff }), fc.nat({ max: 59 }), (ipOptions, id, at) => {
        const b = packet({ ipOptions, id });
        const header = ipv4.headerLength(b, 0);
        assert.equal(header, 20 + ipOptions.length);
        assert.ok(ipv4.checksumHolds(b, 0, header));
        const right = ipv4.checksum(b, 0);
        b.writeUInt16BE(0xbeef, 10);
        assert.equal(ipv4.computeChecksum(b, 0), right);
        b.writeUInt16BE(right, 10);
        b[at % header]! ^= 0x10;
        if (at % header !== 0) assert.ok(!ipv4.checksumHolds(b, 0, header));
      }),
      { numRuns: 200 },
    );
  });

  it('judged sound lies wholly inside, whatever the octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat({ max: 80 }), fc.boolean(), (octets, missing, seal) => {
        const b = Buffer.from(octets);
        if (b.length > 0 && seal) b[0] = 0x40 | (b[0]! & 15);
        if (b.length >= 20 && seal) sealed(b);
        if (judge(b, missing) !== ipv4.OK) return;
        const header = ipv4.headerLength(b, 0);
        assert.ok(header >= 20 && header <= b.length);
        assert.ok(ipv4.totalLength(b, 0) >= header && ipv4.totalLength(b, 0) <= b.length + missing);
        assert.equal(onesSum(b.subarray(0, header)), 0xffff);
      }),
      { numRuns: 2000 },
    );
  });
});
