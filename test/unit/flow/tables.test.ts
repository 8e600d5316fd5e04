import assert from 'node:assert/strict';
import fc from 'fast-check';
import * as F from '../../../src/flow/flow-table.js';
import { FlowTable } from '../../../src/flow/flow-table.js';
import { HeldFragments } from '../../../src/flow/held-fragments.js';
import { PendingHeaders, P_FLOW, P_STRIDE, P_TIMER } from '../../../src/flow/pending-headers.js';
import { SetCache, VALUE } from '../../../src/flow/set-cache.js';

interface Tuple {
  readonly consumer: number;
  readonly endpoint: number;
  readonly ports: number;
  readonly scope: number;
  readonly nat: number;
  readonly backend: number;
  readonly providerPorts: number;
}

const small = fc.integer({ min: 0, max: 2 });
const port = fc.integer({ min: 1, max: 3 });
const tuple: fc.Arbitrary<Tuple> = fc.record({
  consumer: small,
  endpoint: fc.integer({ min: -2, max: 0 }),
  ports: fc.tuple(port, port).map(([a, b]) => (a << 16) | b),
  scope: fc.constantFrom(6, 17, 256 + 6),
  nat: small,
  backend: small,
  providerPorts: fc.tuple(fc.integer({ min: 1, max: 65535 }), port).map(([a, b]) => (a << 16) | b),
});

const reversed = (ports: number): number => (ports << 16) | (ports >>> 16);

function open(table: FlowTable, t: Tuple): number {
  const f = table.allocate();
  if (f < 0) return f;
  const { records: r } = table;
  const at = f * F.STRIDE;
  r[at + F.CONSUMER] = t.consumer;
  r[at + F.ENDPOINT_ADDRESS] = t.endpoint;
  r[at + F.CONSUMER_PORTS] = t.ports;
  r[at + F.CONSUMER_SCOPE] = t.scope;
  r[at + F.NAT_ADDRESS] = t.nat;
  r[at + F.BACKEND] = t.backend;
  r[at + F.PROVIDER_PORTS] = t.providerPorts;
  r[at + F.STATUS] = F.ESTABLISHED;
  table.link(f);
  return f;
}

describe('FlowTable', () => {
  it('finds every flow from both sides and in both directions, as a list would', () => {
    const step = fc.record({ tuple, close: fc.boolean(), pick: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.integer(), (steps, seed) => {
        const table = new FlowTable(64, seed);
        const live = new Map<number, Tuple>();
        for (const { tuple: t, close, pick } of steps) {
          const taken = [...live.values()].some(
            (o) =>
              o.scope === t.scope &&
              ((o.consumer === t.consumer && o.endpoint === t.endpoint && o.ports === t.ports) ||
                (o.consumer === t.endpoint && o.endpoint === t.consumer && o.ports === reversed(t.ports)) ||
                (o.nat === t.nat && o.backend === t.backend && o.providerPorts === t.providerPorts)),
          );
          if (close && live.size > 0) {
            const f = [...live.keys()][pick % live.size]!;
            table.release(f);
            live.delete(f);
          } else if (!taken) {
            const f = open(table, t);
            assert.equal(f < 0, live.size === 64);
            if (f >= 0) live.set(f, t);
          }
          assert.equal(table.count, live.size);
          assert.deepEqual(
            [...table],
            [...live.keys()].sort((a, b) => a - b),
          );
        }
        for (const [f, t] of live) {
          assert.equal(table.find(t.consumer, t.endpoint, t.ports, t.scope), f);
          if (t.consumer !== t.endpoint || t.ports !== reversed(t.ports)) {
            assert.ok(table.forward);
            assert.equal(table.find(t.endpoint, t.consumer, reversed(t.ports), t.scope), f);
            assert.ok(!table.forward);
          }
          const byProvider = [...live].filter(
            ([, o]) =>
              o.nat === t.nat &&
              o.backend === t.backend &&
              o.providerPorts === t.providerPorts &&
              (o.scope & 0xff) === (t.scope & 0xff),
          );
          const found = table.findProvider(t.nat, t.backend, t.providerPorts, t.scope & 0xff);
          assert.ok(byProvider.some(([g]) => g === found));
          assert.equal(table.find(t.consumer, t.endpoint, t.ports, 99), -1);
          assert.equal(table.findProvider(t.nat, t.backend, t.providerPorts ^ 0x70000, t.scope & 0xff), -1);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('tells by a generation whether a record is still the same flow', () => {
    const table = new FlowTable(4, 1);
    const t: Tuple = { consumer: 1, endpoint: 2, ports: 3, scope: 6, nat: 4, backend: 5, providerPorts: 6 };
    const f = open(table, t);
    const before = table.records[f * F.STRIDE + F.GENERATION]!;
    table.records[f * F.STRIDE + F.CLIENT_NEXT] = 77;
    table.release(f);
    assert.equal(table.records[f * F.STRIDE + F.STATUS], F.FREE);
    assert.equal(table.find(1, 2, 3, 6), -1);
    assert.equal(open(table, t), f, 'the record is used again');
    const at = f * F.STRIDE;
    assert.equal(table.records[at + F.GENERATION], before + 1);
    assert.deepEqual([table.records[at + F.CLIENT_NEXT], table.records[at + F.PENDING]], [0, -1]);
  });

  it('uses all its records and not one more, the last freed first', () => {
    const table = new FlowTable(3, 1);
    const t = (i: number): Tuple => ({
      consumer: i,
      endpoint: 9,
      ports: 1,
      scope: 6,
      nat: 1,
      backend: 1,
      providerPorts: i,
    });
    const flows = [0, 1, 2].map((i) => open(table, t(i)));
    assert.deepEqual(flows, [0, 1, 2]);
    assert.equal(table.allocate(), -1);
    table.release(1);
    assert.equal(open(table, t(5)), 1);
    assert.equal(table.count, 3);
  });

  it('costs 112 octets a record and its indexes', () => {
    const table = new FlowTable(10_000, 1);
    const empty = table.octets;
    for (let i = 0; i < 5000; i++) {
      open(table, { consumer: i, endpoint: 9, ports: 1, scope: 6, nat: 1, backend: 1, providerPorts: i });
    }
    const each = (table.octets - empty) / 5000;
    assert.ok(each >= 112 && each < 160, `${each} octets a flow`);
  });
});

describe('SetCache', () => {
  it('remembers what was put in, by all five parts of its key, until it is too old', () => {
    const cache = new SetCache(64, 100);
    const entry = cache.put(1, -2, 3, 4, 5, 1000);
    cache.cells[entry + VALUE] = 42;
    cache.cells[entry + VALUE + 3] = -7;
    assert.equal(cache.find(1, -2, 3, 4, 5, 1000), entry);
    assert.equal(cache.find(1, -2, 3, 4, 5, 1099), entry);
    assert.equal(cache.find(1, -2, 3, 4, 5, 1100), -1);
    assert.deepEqual([cache.cells[entry + VALUE], cache.cells[entry + VALUE + 3]], [42, -7]);
    for (const [a, b, c, d, e] of [
      [0, -2, 3, 4, 5],
      [1, 2, 3, 4, 5],
      [1, -2, 0, 4, 5],
      [1, -2, 3, 0, 5],
      [1, -2, 3, 4, 0],
    ] as const) {
      assert.equal(cache.find(a, b, c, d, e, 1000), -1);
    }
  });

  it('finds nothing in cells that were never used, whatever the key', () => {
    assert.equal(new SetCache(1, 1e9).find(0, 0, 0, 0, 0, 0), -1);
  });

  it('replaces a key’s former entry, value and all', () => {
    const cache = new SetCache(1, 100);
    for (let k = 0; k < 8; k++) cache.put(k, 0, 0, 0, 0, 10 + k);
    const entry = cache.find(3, 0, 0, 0, 0, 20);
    cache.cells[entry + VALUE] = 9;
    assert.equal(cache.put(3, 0, 0, 0, 0, 30), entry);
    assert.equal(cache.cells[entry + VALUE], 0);
    for (let k = 0; k < 8; k++) assert.ok(cache.find(k, 0, 0, 0, 0, 31) >= 0, `key ${k}`);
    assert.ok(cache.find(3, 0, 0, 0, 0, 129) >= 0, 'its age counts anew');
  });

  it('lets the oldest of a full set go, across the wrap of the clock too', () => {
    const cache = new SetCache(1, 1000);
    const begin = 2 ** 32 - 5;
    for (let k = 0; k < 8; k++) cache.put(k, 0, 0, 0, 0, begin + ((k * 3) % 8));
    const now = begin + 10;
    cache.put(100, 0, 0, 0, 0, now);
    assert.equal(cache.find(0, 0, 0, 0, 0, now), -1);
    for (let k = 1; k < 8; k++) assert.ok(cache.find(k, 0, 0, 0, 0, now) >= 0, `key ${k}`);
    cache.put(101, 0, 0, 0, 0, now);
    assert.equal(cache.find(3, 0, 0, 0, 0, now), -1);
  });

  it('counts what gave way while it still counted, and nothing else', () => {
    const cache = new SetCache(1, 100);
    for (let k = 0; k < 8; k++) cache.put(k, 0, 0, 0, 0, 10 * k);
    cache.put(3, 0, 0, 0, 0, 90);
    assert.equal(cache.evicted, 0, 'a key’s own entry');
    cache.put(8, 0, 0, 0, 0, 99);
    assert.equal(cache.evicted, 1, 'the oldest is 99 ms old');
    cache.put(9, 0, 0, 0, 0, 110);
    assert.equal(cache.evicted, 1, 'the oldest is 100 ms old');
  });

  it('spreads keys over its sets', () => {
    const cache = new SetCache(64, 1);
    for (let k = 0; k < 256; k++) cache.put(k, 7, 7, 7, 7, 0);
    const kept = Array.from({ length: 256 }, (_, k) => cache.find(k, 7, 7, 7, 7, 0)).filter((at) => at >= 0);
    assert.ok(kept.length > 245, `${kept.length} of 256`);
  });
});

describe('HeldFragments', () => {
  const b = Buffer.from('0123456789abcdef');

  it('gives back copies, in the order they came', () => {
    const held = new HeldFragments();
    const octets = Buffer.from(b);
    assert.ok(held.hold('x', octets, 0, 4, 0, 0));
    assert.ok(held.hold('y', octets, 4, 6, 0, 0));
    assert.ok(held.hold('x', octets, 6, 10, 3, 0));
    octets.fill(0);
    assert.equal(held.count, 3);
    assert.deepEqual(
      held.take('x').map((f) => [f.octets.toString(), f.missing]),
      [
        ['0123', 0],
        ['6789', 3],
      ],
    );
    assert.deepEqual(held.take('x'), []);
    assert.equal(held.count, 1);
  });

  it('drops what has waited too long, counted from a datagram’s first fragment', () => {
    const held = new HeldFragments();
    held.hold('x', b, 0, 4, 0, 0);
    held.hold('y', b, 0, 4, 0, 500);
    held.hold('x', b, 4, 8, 0, 900);
    assert.equal(held.expire(999, 1000), 0);
    assert.equal(held.expire(1000, 1000), 2);
    assert.equal(held.expire(1499, 1000), 0);
    assert.equal(held.expire(1500, 1000), 1);
    assert.equal(held.count, 0);
  });

  it('has room again when octets are taken or expire', () => {
    const held = new HeldFragments();
    const large = Buffer.alloc(65_000);
    const room = Math.floor((4 << 20) / large.length);
    for (let i = 0; i < room; i++) assert.ok(held.hold(`k${i}`, large, 0, large.length, 0, i));
    assert.ok(!held.hold('more', large, 0, large.length, 0, 100));
    assert.ok(held.hold('less', large, 0, 10, 0, 100), 'what fits still does');
    held.take('k3');
    assert.ok(held.hold('more', large, 0, large.length, 0, 100));
    assert.equal(held.expire(1000, 800), room + 1);
    assert.equal(held.count, 0);
    for (let i = 0; i < room; i++) assert.ok(held.hold(`n${i}`, large, 0, large.length, 0, i));
  });
});

describe('PendingHeaders', () => {
  it('gives each record to one flow, blank, and uses released ones again', () => {
    const pending = new PendingHeaders(4);
    const a = pending.allocate(10);
    const c = pending.allocate(11);
    assert.notEqual(a, c);
    assert.equal(pending.records[c * P_STRIDE + P_FLOW], 11);
    pending.records[a * P_STRIDE + P_TIMER] = 1;
    pending.wheel.start(0);
    pending.wheel.set(a, 100);
    pending.release(a);
    assert.equal(pending.wheel.count, 0, 'its timer is gone');
    assert.equal(pending.allocate(12), a);
    assert.deepEqual([pending.records[a * P_STRIDE + P_FLOW], pending.records[a * P_STRIDE + P_TIMER]], [12, 0]);
  });
});
