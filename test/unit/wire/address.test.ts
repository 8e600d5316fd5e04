import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CulvertError } from '../../../src/errors.js';
import {
  cidrContains,
  cidrLast,
  cidrWithin,
  cidrsOverlap,
  expandPool,
  formatAddress,
  formatCidr,
  looksLikeIpv6,
  parseAddress,
  parseCidr,
} from '../../../src/wire/address.js';

const cidr = (text: string): NonNullable<ReturnType<typeof parseCidr>> => {
  const parsed = parseCidr(text);
  assert.ok(parsed);
  return parsed;
};

describe('wire/address', () => {
  it('reads what it writes, for every 32-bit value', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (n) => {
        assert.equal(parseAddress(formatAddress(n)), n);
      }),
    );
  });

  it('keeps addresses unsigned', () => {
    assert.equal(parseAddress('255.255.255.255'), 4294967295);
    assert.equal(formatAddress(4294967295), '255.255.255.255');
    assert.equal(parseAddress('192.168.0.1'), 0xc0a80001);
  });

  it('refuses leading zeros, shorthand, blanks, hexadecimal, out-of-range parts and IPv6', () => {
    const bad = [
      '10.0.0.04',
      '010.0.0.1',
      '10.1',
      '10.0.0',
      '10.0.0.1.2',
      ' 10.0.0.1',
      '10.0.0.1\n',
      '0x0a.0.0.1',
      '10.0.0.256',
    ];
    for (const text of [...bad, '', '1.2.3.', '-1.2.3.4', '::1', '::ffff:10.0.0.1'])
      assert.equal(parseAddress(text), -1, text);
  });

  it('clears host bits of a block', () => {
    assert.deepEqual(parseCidr('10.1.2.3/16'), { base: 0x0a010000, prefix: 16 });
    assert.deepEqual(parseCidr('255.255.255.255/0'), { base: 0, prefix: 0 });
    assert.equal(formatCidr(cidr('200.1.2.3/1')), '128.0.0.0/1');
    for (const text of [
      '10.0.0.0/33',
      '10.0.0.0/08',
      '10.0.0.0',
      '10.0.0.0/',
      '/8',
      '10.0.0.0/8/8',
      '10.0.0/8',
      '::/0',
    ]) {
      assert.equal(parseCidr(text), null, text);
    }
  });

  it('tells containment and overlap at the edges', () => {
    const block = cidr('10.0.0.0/24');
    assert.equal(cidrLast(block), parseAddress('10.0.0.255'));
    assert.ok(cidrContains(block, parseAddress('10.0.0.0')) && cidrContains(block, parseAddress('10.0.0.255')));
    assert.ok(!cidrContains(block, parseAddress('10.0.1.0')) && !cidrContains(block, parseAddress('9.255.255.255')));
    assert.ok(cidrWithin(cidr('10.0.0.128/25'), block) && !cidrWithin(cidr('10.0.0.0/23'), block));
    assert.ok(cidrsOverlap(cidr('10.0.0.0/23'), block) && !cidrsOverlap(cidr('10.0.1.0/24'), block));
    const edges = [cidr('10.0.0.0/32'), cidr('10.0.0.255/32')];
    for (const edge of edges) assert.ok(cidrsOverlap(edge, block) && cidrsOverlap(block, edge), formatCidr(edge));
    assert.ok(cidrContains(cidr('0.0.0.0/0'), 0xffff_ffff));
  });

  it('expands a pool without network and broadcast addresses, and /31 and /32 whole', () => {
    const hosts = expandPool('198.18.0.0/29').map(formatAddress);
    assert.deepEqual(hosts, ['198.18.0.1', '198.18.0.2', '198.18.0.3', '198.18.0.4', '198.18.0.5', '198.18.0.6']);
    assert.deepEqual(expandPool('10.0.0.4/31, 10.0.0.9/32,10.0.0.5').map(formatAddress), [
      '10.0.0.4',
      '10.0.0.5',
      '10.0.0.9',
    ]);
    assert.equal(expandPool('255.255.255.252/30').length, 2);
  });

  it('refuses pools that are malformed, IPv6 or too large, each with its reason', () => {
    const refused = (text: string, reason: RegExp): void => {
      assert.throws(
        () => expandPool(text),
        (error) => error instanceof CulvertError && error.code === 'ADDRESS_POOL_INVALID' && reason.test(error.message),
      );
    };
    refused('', /neither/);
    refused('10.0.0.1,', /neither/);
    refused('2001:db8::/64', /IPv4 only/);
    refused('10.0.0.0/8', /more than 65536/);
    assert.equal(expandPool('10.0.0.0/29', 6).length, 6);
    assert.throws(() => expandPool('10.0.0.0/29', 5), /more than 5/);
    refused('10.0.0.0/17,10.1.0.0/17,10.2.0.0/17', /the pool has more/);
  });

  it('knows the look of IPv6', () => {
    for (const text of ['::1', 'fe80::1%eth0', '2001:db8::/32', '::ffff:1.2.3.4']) assert.ok(looksLikeIpv6(text), text);
    for (const text of ['10.0.0.1', 'name', 'a:b', '']) assert.ok(!looksLikeIpv6(text), text);
  });
});
