import assert from 'node:assert/strict';
import fc from 'fast-check';
import * as tcp from '../../../src/wire/tcp.js';

const HEADER = Buffer.from('9c4001bb 12345678 fedcba98 5018 abcd 1122 0007'.replaceAll(' ', ''), 'hex');

/** A header with these options, between other octets. */
function header(options: Uint8Array, before = 3): Buffer {
  const padded = Buffer.alloc(Math.ceil(options.length / 4) * 4);
  padded.set(options);
  const b = Buffer.concat([Buffer.alloc(before, 0x05), HEADER, padded, Buffer.alloc(50, 0x05)]);
  b[before + 12] = ((20 + padded.length) / 4) << 4;
  return b;
}

describe('TCP header', () => {
  it('is read and written by its fields', () => {
    const b = header(Buffer.alloc(0));
    const at = 3;
    assert.deepEqual([tcp.sourcePort(b, at), tcp.destinationPort(b, at)], [40000, 443]);
    assert.deepEqual([tcp.sequence(b, at), tcp.acknowledgment(b, at)], [0x12345678, 0xfedcba98 | 0]);
    assert.deepEqual([tcp.headerLength(b, at), tcp.flags(b, at), tcp.window(b, at)], [20, 0x18, 0xabcd]);
    assert.deepEqual([tcp.checksum(b, at), tcp.urgentPointer(b, at)], [0x1122, 7]);
    b[at + 12] = 0x5b;
    tcp.setHeaderLength(b, at, 32);
    tcp.setSequence(b, at, -2);
    tcp.setAcknowledgment(b, at, 1);
    tcp.setFlags(b, at, 0xff);
    tcp.setWindow(b, at, 0x1234);
    tcp.setChecksum(b, at, 0xfffe);
    tcp.setUrgentPointer(b, at, 0x8001);
    assert.equal(b.subarray(at, at + 20).toString('hex'), '9c4001bbfffffffe000000018bff1234fffe8001');
  });

  it('is judged by the octets at hand and by its segment', () => {
    const b = header(Buffer.alloc(12, 1), 0);
    assert.ok(tcp.check(b, 0, 32, 32));
    assert.ok(tcp.check(b, 0, 40, 1000));
    assert.ok(!tcp.check(b, 0, 31, 32), 'options cut off');
    assert.ok(!tcp.check(b, 0, 40, 31), 'options past the segment');
    assert.ok(!tcp.check(b, 0, 19, 32));
    b[12] = 0x4f;
    assert.ok(!tcp.check(b, 0, 40, 40), 'below 20 octets');
  });
});

describe('TCP options', () => {
  const walk = (options: Uint8Array): number[] => {
    const b = header(options);
    const end = 23 + Math.ceil(options.length / 4) * 4;
    const kinds: number[] = [];
    for (let at = 23; at < end; at = tcp.nextOption(b, at, end)) if (tcp.wholeOption(b, at, end)) kinds.push(b[at]!);
    return kinds;
  };

  it('are walked one by one', () => {
    assert.deepEqual(
      walk(Buffer.from('020405b40402080a0000000000000000 01030307'.replace(' ', ''), 'hex')),
      [2, 4, 8, 3],
    );
    assert.deepEqual(walk(Buffer.from('0101010101010101', 'hex')), []);
  });

  it('end at END and at a length that is not legal', () => {
    assert.deepEqual(walk(Buffer.from('0402000202040102', 'hex')), [4]);
    assert.deepEqual(walk(Buffer.from('0402050004020402', 'hex')), [4], 'length 0');
    assert.deepEqual(walk(Buffer.from('0402050104020402', 'hex')), [4], 'length 1');
    assert.deepEqual(walk(Buffer.from('0402050704020402', 'hex')), [4], 'past the header');
    assert.deepEqual(walk(Buffer.from('0402050604020402', 'hex')), [4, 5], 'up to its end');
    assert.deepEqual(walk(Buffer.from('04020402040204fe', 'hex')).length, 3);
    assert.deepEqual(walk(Buffer.from('04020402040201fe', 'hex')), [4, 4, 4], 'no room for a length');
  });

  it('are found by kind: the first that is whole', () => {
    const b = header(Buffer.from('0101fd04050303030705030a', 'hex'));
    assert.equal(tcp.findOption(b, 3, 5), 3 + 20 + 9);
    assert.equal(tcp.findOption(b, 3, 3), 3 + 20 + 6);
    assert.equal(tcp.findOption(b, 3, 8), -1);
    assert.equal(tcp.findOption(header(Buffer.from('01010508', 'hex')), 3, 5), -1, 'cut off');
    assert.equal(tcp.findOption(header(Buffer.alloc(0)), 3, 5), -1, 'what lies behind the header is none');
  });

  it('are never read or stepped out of bounds, whatever the octets', () => {
    const octet = fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0, 1, 2, 3, 5, 8, 10, 30, 34, 40));
    fc.assert(
      fc.property(fc.array(octet, { maxLength: 40 }), fc.nat({ max: 255 }), (options, kind) => {
        const b = header(Uint8Array.from(options));
        const end = 23 + Math.ceil(options.length / 4) * 4;
        let steps = 0;
        for (let at = 23; at < end;) {
          const next = tcp.nextOption(b, at, end);
          assert.ok(next > at && next <= end);
          if (tcp.wholeOption(b, at, end)) assert.equal(next, at + b[at + 1]!);
          at = next;
          assert.ok(++steps <= 40);
        }
        const found = tcp.findOption(b, 3, kind);
        if (found >= 0) assert.ok(b[found] === kind && found + b[found + 1]! <= end);
      }),
      { numRuns: 2000 },
    );
  });
});
