import assert from 'node:assert/strict';
import fc from 'fast-check';
import { crc32c, crc32cSigned } from '../../../src/wire/crc32c.js';

/** Bit by bit over the unreflected polynomial 0x1edc6f41, as RFC 9260 appendix A defines it. */
function naive(octets: Uint8Array): number {
  const reflect = (value: number, bits: number): number => {
    let out = 0;
    for (let i = 0; i < bits; i++) out = (out * 2 + ((value >>> i) & 1)) >>> 0;
    return out;
  };
  let crc = 0xffffffff;
  for (const octet of octets) {
    crc = (crc ^ (reflect(octet, 8) << 24)) >>> 0;
    for (let bit = 0; bit < 8; bit++) crc = (crc >= 0x80000000 ? (crc << 1) ^ 0x1edc6f41 : crc << 1) >>> 0;
  }
  return (reflect(crc, 32) ^ 0xffffffff) >>> 0;
}

describe('crc32c', () => {
  const vectors: [string, Buffer, number][] = [
    ['nothing', Buffer.alloc(0), 0],
    ['the check string', Buffer.from('123456789'), 0xe3069283],
    ['32 zeros (RFC 3720 B.4)', Buffer.alloc(32), 0x8a9136aa],
    ['32 ones (RFC 3720 B.4)', Buffer.alloc(32, 0xff), 0x62a8ab43],
    ['0 to 31 (RFC 3720 B.4)', Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
    ['31 to 0 (RFC 3720 B.4)', Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c],
  ];
  for (const [name, octets, sum] of vectors) {
    it(`gives the known sum of ${name}`, () => {
      assert.equal(crc32c(octets), sum);
    });
  }

  it('equals the bitwise definition over any part of a buffer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(80), fc.nat(80), (octets, x, y) => {
        const start = Math.min(x, y, octets.length);
        const end = Math.min(Math.max(x, y), octets.length);
        assert.equal(crc32c(Buffer.from(octets), start, end), naive(octets.subarray(start, end)));
      }),
    );
  });

  it('counts four octets as zero at the hole, wherever it is', () => {
    const octets = Buffer.from('the octets of a header, long enough');
    for (let hole = 0; hole + 4 <= octets.length; hole++) {
      const blank = Buffer.from(octets);
      blank.fill(0, hole, hole + 4);
      assert.equal(crc32c(octets, 0, octets.length, hole), crc32c(blank));
    }
  });

  it('gives the signed form of the same 32 bits', () => {
    assert.equal(crc32cSigned(Buffer.from('123456789'), 0, 9), 0xe3069283 | 0);
  });
});
