import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PortPool } from '../../../src/flow/port-pool.js';

describe('PortPool', () => {
  it('gives out each port of its range exactly once, for any size and seed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), fc.nat({ max: 0xffffffff }), (size, seed) => {
        const first = 1024;
        const pool = new PortPool(first, size, seed);
        const seen = new Set<number>();
        for (let i = 0; i < size; i++) seen.add(pool.allocate(0));
        assert.equal(seen.size, size);
        assert.ok(Math.min(...seen) === first && Math.max(...seen) === first + size - 1);
        assert.equal(pool.allocate(1e15), -1);
        assert.equal(pool.inUse, size);
      }),
      { numRuns: 100 },
    );
  });

  it('gives out all 64,000, the last like the first', () => {
    const pool = new PortPool(1024, 64_000, 0xdeadbeef);
    const seen = new Uint8Array(65536);
    for (let i = 0; i < 64_000; i++) seen[pool.allocate(0)]!++;
    assert.deepEqual(
      seen.findIndex((n, port) => n !== (port >= 1024 && port < 65_024 ? 1 : 0)),
      -1,
    );
    assert.equal(pool.allocate(0), -1);
  });

  it('does what a sorted list of freed ports would', () => {
    const step = fc.record({
      free: fc.boolean(),
      pick: fc.nat(),
      pause: fc.nat({ max: 50 }),
      hold: fc.nat({ max: 200 }),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.array(step, { maxLength: 300 }), (size, steps) => {
        const pool = new PortPool(100, size, 12345);
        const inUse: number[] = [];
        const freed: { port: number; usableAt: number }[] = [];
        let fresh = size;
        let now = 0;
        for (const { free, pick, pause, hold } of steps) {
          now += pause;
          if (free && inUse.length > 0) {
            const [port] = inUse.splice(pick % inUse.length, 1) as [number];
            pool.free(port, now + hold);
            freed.push({ port, usableAt: now + hold });
          } else {
            const port = pool.allocate(now);
            const ready = freed.filter(({ usableAt }) => usableAt <= now);
            const oldest = Math.min(...freed.map(({ usableAt }) => usableAt));
            if (fresh > 0) {
              assert.ok(port >= 100 && !inUse.includes(port) && !freed.some((f) => f.port === port));
              fresh--;
            } else if (ready.length === 0) {
              assert.equal(port, -1);
            } else {
              const i = freed.findIndex((f) => f.port === port);
              assert.equal(freed[i]?.usableAt, oldest, 'the one that was free the longest');
              freed.splice(i, 1);
            }
            if (port >= 0) inUse.push(port);
          }
          assert.equal(pool.inUse, inUse.length);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('keeps a freed port back until its hold is over', () => {
    const pool = new PortPool(7, 1, 0);
    assert.equal(pool.allocate(0), 7);
    pool.free(7, 120_000);
    assert.equal(pool.allocate(119_999), -1);
    assert.equal(pool.allocate(120_000), 7);
  });

  it('uses fresh ports before freed ones', () => {
    const pool = new PortPool(1, 3, 1);
    const port = pool.allocate(0);
    pool.free(port, 0);
    assert.notEqual(pool.allocate(10), port);
    assert.notEqual(pool.allocate(10), port);
    assert.equal(pool.allocate(10), port);
  });

  it('gives the same order for the same seed, and others for others', () => {
    const order = (seed: number): string => {
      const pool = new PortPool(1024, 500, seed);
      return Array.from({ length: 500 }, () => pool.allocate(0)).join();
    };
    assert.equal(order(1), order(1));
    assert.equal(new Set([1, 2, 0x100, 0x12345678, 0xffffffff].map(order)).size, 5);
  });

  it('takes another range: never gives out a live port, nor one at rest, and gives out all others', () => {
    const step = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ do: fc.constantFrom('take', 'take', 'free'), pick: fc.nat(), hold: fc.nat(200) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant('range'), pick: fc.nat(30), hold: fc.integer({ min: 1, max: 30 }) }),
      },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const pool = new PortPool(100, 20, 12345);
        const live: number[] = [];
        let resting = new Map<number, number>();
        let range = { first: 100, size: 20 };
        const inRange = (port: number): boolean => port >= range.first && port < range.first + range.size;
        let now = 0;
        for (const { do: what, pick, hold } of steps) {
          now += 10;
          if (what === 'range') {
            range = { first: 90 + pick, size: hold };
            pool.setRange(range.first, range.size);
            resting = new Map([...resting].filter(([port]) => inRange(port)));
          } else if (what === 'free' && live.length > 0) {
            const [port] = live.splice(pick % live.length, 1) as [number];
            pool.free(port, now + hold);
            if (inRange(port)) resting.set(port, now + hold);
          } else {
            const port = pool.allocate(now);
            const free = Array.from({ length: range.size }, (_, i) => range.first + i).filter(
              (each) => !live.includes(each) && (resting.get(each) ?? 0) <= now,
            );
            if (free.length === 0) {
              assert.equal(port, -1);
            } else {
              assert.ok(free.includes(port), `${String(port)} of ${free.join()}`);
              live.push(port);
              resting.delete(port);
            }
          }
          assert.equal(pool.inUse, live.length);
          assert.equal(pool.taken, live.filter(inRange).length);
          assert.equal(pool.held(now), [...resting.values()].filter((until) => until > now).length);
        }
      }),
      { numRuns: 500 },
    );
  });
});
