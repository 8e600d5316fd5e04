import assert from 'node:assert/strict';
import { checkReserved, AddressBook } from '../../../src/service/addresses.js';
import { effectiveIdleMs } from '../../../src/service/idle.js';
import { firstBeyond } from '../../../src/service/limits.js';
import { checkNatIpCount } from '../../../src/service/nat-ips.js';
import { proxyHeaderOctets } from '../../../src/service/proxy-protocol.js';
import { parseAddress, parseCidr } from '../../../src/wire/address.js';

describe('service: small rules', () => {
  it('counts NAT addresses: 1 to 8, and 2, 4, 6 or 8 with Direct Connect', () => {
    const allowed = (directConnect: boolean): number[] =>
      Array.from({ length: 11 }, (_, count) => count).filter(
        (count) => checkNatIpCount(count, directConnect).length === 0,
      );
    assert.deepEqual(allowed(false), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.deepEqual(allowed(true), [2, 4, 6, 8]);
  });

  it('knows the five addresses that Azure reserves in a subnet', () => {
    const prefix = parseCidr('10.0.0.0/28')!;
    const reserved = Array.from({ length: 16 }, (_, i) => i).filter(
      (i) => checkReserved(parseAddress('10.0.0.0') + i, prefix).length > 0,
    );
    assert.deepEqual(reserved, [0, 1, 2, 3, 15]);
    assert.deepEqual(checkReserved(parseAddress('10.0.1.0'), prefix), []);
  });

  it('gives an address one owner in each network', () => {
    const book = new AddressBook();
    assert.equal(book.claim('a', 1, 'first'), null);
    assert.equal(book.claim('b', 1, 'second'), null);
    assert.equal(book.claim('a', 1, 'first'), null);
    assert.equal(book.claim('a', 1, 'third'), 'first');
    assert.equal(book.claim('a', -1, 'x') ?? book.claim('a', -1, 'y'), null);
  });

  it('takes the smaller idle time', () => {
    assert.equal(effectiveIdleMs(300, 4), 240_000);
    assert.equal(effectiveIdleMs(240, 30), 240_000);
    assert.equal(effectiveIdleMs(300, 5), 300_000);
  });

  it('finds the first item beyond a limit in each group', () => {
    const items = ['a1', 'b1', 'a2', 'a3', 'b2', 'x1', 'x2', 'x3'];
    const beyond = firstBeyond(items, 2, (item) => (item.startsWith('x') ? null : item.charAt(0)));
    assert.deepEqual(beyond, [{ item: 'a3', key: 'a', count: 3 }]);
  });

  it('knows the size of each header', () => {
    assert.equal(proxyHeaderOctets({ dialect: 'azure' }), 36);
    assert.equal(proxyHeaderOctets({ dialect: 'gcp' }), 39);
    assert.equal(proxyHeaderOctets({ dialect: 'aws', endpointId: '' }), 54);
    const tlvs = [{ type: 2, value: new Uint8Array(5) }];
    assert.equal(proxyHeaderOctets({ dialect: 'custom', tlvs, crc32c: true }), 28 + 8 + 7);
  });
});
