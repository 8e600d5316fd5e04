import assert from 'node:assert/strict';
import fc from 'fast-check';
import { apply, delta16, delta32, fold, pseudoHeader, sum, swapped } from '../../../src/wire/checksum.js';
import { get16, get32, set16, set32 } from '../../../src/wire/octets.js';
import { onesSum, pseudoSum, tcpPacket } from '../../support/packets.js';

const octets = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: 4, maxLength }).map((a) => Buffer.from(a));
const int32 = fc.integer({ min: -2_147_483_648, max: 2_147_483_647 });

/** 0 and 0xffff are the same number in one's complement. */
const normal = (n: number): number => (n === 0xffff ? 0 : n);

describe('checksum', () => {
  it('sums any octets from any offset as a word-by-word sum does', () => {
    fc.assert(
      fc.property(octets(300), fc.nat({ max: 20 }), fc.nat({ max: 0xffffff }), (b, from, initial) => {
        const start = Math.min(from, b.length);
        assert.equal(normal(sum(b, start, b.length, initial)), normal(onesSum(b.subarray(start), initial)));
      }),
      { numRuns: 500 },
    );
  });

  it('sums 64 KiB of the greatest octets without losing a carry', () => {
    for (const length of [65_535, 65_536, 131_072, 200_000]) {
      const b = Buffer.alloc(length, 0xff);
      assert.equal(normal(sum(b, 0, length, 0xffffff)), normal(onesSum(b, 0xffffff)));
    }
  });

  it('reads not one octet past the end', () => {
    const b = Buffer.alloc(64, 0xee);
    for (let end = 0; end <= 40; end++) {
      b.fill(0, 0, end);
      b.fill(0xee, end);
      assert.equal(sum(b, 0, end), 0);
    }
  });

  it('updated by a delta is the one computed anew, for changes of 16 and 32 bits at once (RFC 1624)', () => {
    const change = fc.record({ at: fc.nat(), value: int32, wide: fc.boolean() });
    fc.assert(
      fc.property(octets(200), fc.array(change, { maxLength: 8 }), (b, changes) => {
        const before = onesSum(b) ^ 0xffff;
        let delta = 0;
        for (const { at, value, wide } of changes) {
          const i = (at % Math.floor((b.length - 2) / 2)) * 2;
          if (wide) {
            delta += delta32(get32(b, i), value);
            set32(b, i, value);
          } else {
            delta += delta16(get16(b, i), value & 0xffff);
            set16(b, i, value & 0xffff);
          }
        }
        assert.equal(normal(apply(before, delta)), normal(onesSum(b) ^ 0xffff));
      }),
      { numRuns: 500 },
    );
  });

  it('updated at an odd offset takes the folded delta with its octets swapped', () => {
    fc.assert(
      fc.property(octets(100), fc.nat(), int32, (b, at, value) => {
        const i = ((at % Math.floor((b.length - 3) / 2 + 1)) * 2 + 1) % (b.length - 3);
        const odd = i % 2 === 1;
        const before = onesSum(b) ^ 0xffff;
        const delta = delta32(get32(b, i), value);
        set32(b, i, value);
        assert.equal(normal(apply(before, odd ? swapped(fold(delta)) : delta)), normal(onesSum(b) ^ 0xffff));
      }),
      { numRuns: 500 },
    );
  });

  it('updated there and back by a delta and its inverse is the same field', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff }), int32, int32, (field, from, to) => {
        const delta = fold(delta32(from, to));
        assert.equal(normal(apply(apply(field, delta), 0xffff - delta)), normal(field));
      }),
      { numRuns: 500 },
    );
  });

  it('never comes out 0xffff where the words were not all zero (RFC 1624 section 3)', () => {
    // The example of RFC 1624 section 4: 0xdd2f, 0x5555 to 0x3285.
    assert.equal(apply(0xdd2f, delta16(0x5555, 0x3285)), 0);
  });

  it('folds any sum below 2^32', () => {
    for (const s of [0, 1, 0xffff, 0x10000, 0x1ffff, 0x1fffe, 0xffff0000, 0xfffeffff, 0xffffffff]) {
      assert.equal(normal(fold(s)), s % 0xffff);
      assert.ok(fold(s) <= 0xffff);
    }
  });

  it('of a pseudo header takes addresses of any sign, and lengths above 64 KiB', () => {
    const packet = tcpPacket({ src: '200.1.2.3', dst: '250.255.255.255', sport: 1, dport: 2, payload: 'x' });
    const length = packet.length - 20;
    const found = pseudoHeader(get32(packet, 12), get32(packet, 16), 6, length);
    assert.equal(normal(found), normal(pseudoSum(packet, length)));
    assert.equal(pseudoHeader(0, 0, 6, 0x12345), 6 + 1 + 0x2345);
  });
});
