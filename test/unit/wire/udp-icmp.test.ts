import assert from 'node:assert/strict';
import * as icmp from '../../../src/wire/icmp.js';
import { get16, get32, set16, set32 } from '../../../src/wire/octets.js';
import * as udp from '../../../src/wire/udp.js';

describe('UDP header', () => {
  const b = Buffer.from('ff 14e9 0035 0009 beef 61 ff'.replaceAll(' ', ''), 'hex');

  it('is read by its fields', () => {
    assert.deepEqual([udp.sourcePort(b, 1), udp.destinationPort(b, 1)], [5353, 53]);
    assert.deepEqual([udp.length(b, 1), udp.checksum(b, 1)], [9, 0xbeef]);
    const copy = Buffer.from(b);
    udp.setChecksum(copy, 1, 0x0102);
    assert.equal(copy.toString('hex'), 'ff14e9003500090102' + '61ff');
  });

  it('is judged: its length covers the header and no more than the payload', () => {
    assert.ok(udp.check(b, 1, 10, 9));
    assert.ok(udp.check(b, 1, 10, 100), 'padding behind it');
    assert.ok(udp.check(b, 1, 9, Infinity), 'a first fragment');
    assert.ok(!udp.check(b, 1, 8, 9), 'cut off');
    assert.ok(!udp.check(b, 1, 10, 8), 'past the payload');
    const short = Buffer.from(b);
    short[6] = 7;
    assert.ok(!udp.check(short, 1, 10, 9));
    short[6] = 8;
    assert.ok(udp.check(short, 1, 10, 9));
  });
});

describe('ICMP header', () => {
  it('is read by its fields, and its errors told apart', () => {
    const b = Buffer.from('ff0304cafe', 'hex');
    assert.deepEqual([icmp.type(b, 1), icmp.code(b, 1), icmp.checksum(b, 1)], [3, 4, 0xcafe]);
    icmp.setChecksum(b, 1, 0x0102);
    assert.equal(b.toString('hex'), 'ff03040102');
    const errors = Array.from({ length: 256 }, (_, type) => type).filter((type) => icmp.isError(type));
    assert.deepEqual(errors, [3, 4, 11, 12]);
  });
});

describe('octets', () => {
  it('are in network order, 32-bit numbers signed', () => {
    const b = Buffer.from('0080ff7fff00', 'hex');
    assert.deepEqual([get16(b, 1), get16(b, 2)], [0x80ff, 0xff7f]);
    assert.deepEqual([get32(b, 1), get32(b, 0)], [0x80ff7fff | 0, 0x0080ff7f]);
    set16(b, 0, 0xfffe);
    set32(b, 2, -2);
    assert.equal(b.toString('hex'), 'fffefffffffe');
    set32(b, 2, 0xdeadbeef);
    assert.equal(b.readUInt32BE(2), 0xdeadbeef);
  });
});
