import assert from 'node:assert/strict';
import fc from 'fast-check';
import { flowHash, mix, tupleHash } from '../../../src/flow/hash.js';

describe('tupleHash', () => {
  const n = fc.integer({ min: -2_147_483_648, max: 2_147_483_647 });
  const port = fc.integer({ min: 0, max: 65535 });

  it('is the same in both directions', () => {
    fc.assert(
      fc.property(n, port, n, port, n, n, (a, aPort, b, bPort, scope, seed) => {
        assert.equal(tupleHash(a, aPort, b, bPort, scope, seed), tupleHash(b, bPort, a, aPort, scope, seed));
      }),
      { numRuns: 200 },
    );
  });

  it('depends on every part, the seed too', () => {
    const base = tupleHash(1, 2, 3, 4, 5, 6);
    for (const other of [
      tupleHash(9, 2, 3, 4, 5, 6),
      tupleHash(1, 9, 3, 4, 5, 6),
      tupleHash(1, 2, 9, 4, 5, 6),
      tupleHash(1, 2, 3, 9, 5, 6),
      tupleHash(1, 2, 3, 4, 9, 6),
      tupleHash(1, 2, 3, 4, 5, 9),
      tupleHash(1, 4, 3, 2, 5, 6),
    ]) {
      assert.notEqual(other, base);
    }
  });

  it('spreads the ports of one consumer evenly over low bits', () => {
    const buckets = new Uint32Array(64);
    for (let p = 0; p < 64_000; p++) buckets[tupleHash(0x0a000005, p, 0x0a090004, 443, 6, 1) & 63]!++;
    assert.ok(Math.max(...buckets) < 1200 && Math.min(...buckets) > 800, buckets.join());
  });
});

describe('flowHash', () => {
  const n = fc.integer({ min: -2_147_483_648, max: 2_147_483_647 });

  it('is the same in both directions', () => {
    fc.assert(
      fc.property(n, n, n, n, n, (a, b, ports, scope, seed) => {
        const reversed = (ports << 16) | (ports >>> 16);
        assert.equal(flowHash(a, b, ports, scope, seed), flowHash(b, a, reversed, scope, seed));
      }),
      { numRuns: 200 },
    );
  });

  it('depends on every part, the seed too', () => {
    const base = flowHash(1, 3, 0x20004, 5, 6);
    for (const other of [
      flowHash(9, 3, 0x20004, 5, 6),
      flowHash(1, 9, 0x20004, 5, 6),
      flowHash(1, 3, 0x90004, 5, 6),
      flowHash(1, 3, 0x20009, 5, 6),
      flowHash(1, 3, 0x20004, 9, 6),
      flowHash(1, 3, 0x20004, 5, 9),
      flowHash(3, 1, 0x20004, 5, 6), // the ports' ends changed
    ]) {
      assert.notEqual(other, base);
    }
  });

  /** Of 2^16 keys in as many slots a good hash leaves 1/e free: 24,109, give or take 100. */
  const freeSlots = (key: (i: number) => number): number => {
    const used = new Uint8Array(65536);
    for (let i = 0; i < 65536; i++) used[key(i) & 0xffff] = 1;
    return used.filter((u) => u === 0).length;
  };
  const ENDPOINT = 0x0a090004;
  const cases: readonly [string, (i: number) => number][] = [
    ['the ports of one consumer', (i) => flowHash(0x0a000005, ENDPOINT, (i << 16) | 443, 6, 1)],
    ['consumers with one port', (i) => flowHash(0x0a000000 + i, ENDPOINT, (40000 << 16) | 443, 6, 1)],
    [
      'a few ports of many consumers',
      (i) => flowHash(0x0a000000 + (i >> 4), ENDPOINT, ((1024 + (i & 15)) << 16) | 443, 6, 1),
    ],
    [
      'consumers and endpoints',
      (i) => flowHash(0x0a000000 + (i >> 8), ENDPOINT + (i & 255), (40000 << 16) | 443, 6, 1),
    ],
    ['networks of one consumer', (i) => flowHash(0x0a000005, ENDPOINT, (40000 << 16) | 443, (i << 8) | 6, 1)],
    ['ports at both ends', (i) => flowHash(0x0a000005, ENDPOINT, ((1024 + (i >> 8)) << 16) | (i & 255), 6, 1)],
    ['NAT ports of a few addresses', (i) => flowHash(0xc6120001 + (i & 3), 0xc6130001, ((i >> 2) << 16) | 443, 6, 1)],
  ];
  for (const [what, key] of cases) {
    it(`spreads ${what} over all slots`, () => {
      const free = freeSlots(key);
      assert.ok(free > 22_500 && free < 26_500, `${free} of 65,536 slots are free`);
    });
  }
});

describe('mix', () => {
  it('turns neighbours into strangers: about half the bits change with any one', () => {
    let flipped = 0;
    for (let i = 0; i < 1000; i++) {
      for (let bit = 0; bit < 32; bit++) {
        let changed = mix(i * 2654435761) ^ mix((i * 2654435761) ^ (1 << bit));
        for (; changed !== 0; changed &= changed - 1) flipped++;
      }
    }
    const average = flipped / 32_000;
    assert.ok(average > 15 && average < 17, `${average} bits`);
  });
});
