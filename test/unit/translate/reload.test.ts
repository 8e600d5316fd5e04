import assert from 'node:assert/strict';
import { Tables } from '../../../src/translate/tables.js';
import type { EndpointSpec, LinkSpec, Topology } from '../../../src/translate/topology.js';
import { parseAddress } from '../../../src/wire/address.js';

const endpoint = (name: string, network: number, address: string, more: Partial<EndpointSpec> = {}): EndpointSpec => ({
  name,
  network,
  address: parseAddress(address),
  linkId: 7,
  approved: true,
  ...more,
});

const web = (more: Partial<LinkSpec> = {}): LinkSpec => ({
  name: 'web',
  natAddresses: [parseAddress('10.200.1.4'), parseAddress('10.200.1.5')],
  natPortFirst: 1024,
  natPortCount: 100,
  proxy: { dialect: 'azure' },
  rules: [
    {
      protocol: 6,
      frontendPort: 80,
      backendPort: 8080,
      backends: [parseAddress('10.200.2.4')],
      distribution: 'Default',
      idleTimeoutMs: 300_000,
      tcpReset: false,
    },
  ],
  destination: null,
  tcpIdleTimeoutMs: 300_000,
  udpIdleTimeoutMs: 300_000,
  endpoints: [endpoint('red', 0, '10.0.0.4')],
  ...more,
});

const topology = (links: LinkSpec[], networks = ['red', 'blue']): Topology => ({ networks, links });
const at = (t: Tables, network: number, address: string): string | undefined =>
  t.endpointAt(network, parseAddress(address) | 0)?.name;

describe('a topology applied to running tables', () => {
  it('changes nothing when it is the same', () => {
    const t = new Tables(topology([web()]), 1);
    const before = t.endpointAt(0, parseAddress('10.0.0.4') | 0);
    assert.deepEqual(t.apply(topology([web()])), []);
    assert.equal(t.endpointAt(0, parseAddress('10.0.0.4') | 0), before);
    assert.equal(t.endpoints.length, 1);
  });

  it('ends the flows of an endpoint that is no longer approved, once', () => {
    const t = new Tables(topology([web()]), 1);
    const pending = topology([web({ endpoints: [endpoint('red', 0, '10.0.0.4', { approved: false })] })]);
    assert.deepEqual(
      t.apply(pending).map((e) => e.name),
      ['red'],
    );
    assert.equal(t.endpointAt(0, parseAddress('10.0.0.4') | 0)!.approved, false);
    assert.deepEqual(t.apply(pending), []);
  });

  it('forgets an endpoint that is gone, and adds one that is new', () => {
    const t = new Tables(topology([web()]), 1);
    const ended = t.apply(topology([web({ endpoints: [endpoint('blue', 1, '10.0.0.9')] })]));
    assert.deepEqual(
      ended.map((e) => e.name),
      ['red'],
    );
    assert.equal(at(t, 0, '10.0.0.4'), undefined);
    assert.equal(at(t, 1, '10.0.0.9'), 'blue');
  });

  it('tells networks by name, whatever their order', () => {
    const t = new Tables(topology([web()]), 1);
    assert.deepEqual(t.apply(topology([web({ endpoints: [endpoint('red', 1, '10.0.0.4')] })], ['blue', 'red'])), []);
    assert.equal(at(t, 0, '10.0.0.4'), 'red');
  });

  it('keeps the pools that are in use when NAT addresses are added and change places', () => {
    const t = new Tables(topology([web()]), 1);
    const link = t.links[0]!;
    const backend = parseAddress('10.200.2.4') | 0;
    const first = t.pool(link, 0, backend, 6);
    const second = t.pool(link, 1, backend, 6);
    first.allocate(0);
    const added = [parseAddress('10.200.1.5'), parseAddress('10.200.1.6'), parseAddress('10.200.1.4')];
    assert.deepEqual(t.apply(topology([web({ natAddresses: added })])), []);
    assert.equal(t.pool(link, 0, backend, 6), second);
    assert.equal(t.pool(link, 2, backend, 6), first);
    assert.equal(t.pool(link, 1, backend, 6).inUse, 0);
  });

  it('never gives a live port twice when a NAT address goes out and comes back, or goes to another link', () => {
    const t = new Tables(topology([web()]), 1);
    const link = t.links[0]!;
    const backend = parseAddress('10.200.2.4') | 0;
    const taken = t.pool(link, 0, backend, 6).allocate(0);
    t.apply(topology([web({ natAddresses: [parseAddress('10.200.1.5')] })]));
    assert.equal(link.natAddresses.length, 1);
    const other = web({ name: 'other', endpoints: [] });
    t.apply(topology([web({ natAddresses: [parseAddress('10.200.1.5')] }), other]));
    const again = new Set<number>();
    for (let i = 0; i < 99; i++) again.add(t.pool(t.links[1]!, 0, backend, 6).allocate(0));
    assert.equal(again.size, 99);
    assert.ok(!again.has(taken));
    assert.equal(t.pool(t.links[1]!, 0, backend, 6).allocate(0), -1);
  });

  it('lets NAT addresses drain that were taken out, also with their link, and then go', () => {
    const t = new Tables(topology([web()]), 1);
    const [link] = t.links;
    const [first, second] = web().natAddresses.map((each) => each | 0);
    const pool = t.pool(link!, 0, parseAddress('10.200.2.4') | 0, 17);
    const port = pool.allocate(0);
    t.apply(topology([web({ natAddresses: [parseAddress('10.200.1.5')] })]));
    assert.deepEqual([link!.draining, t.settle(), t.liveFlowsOn(first!)], [[first], [], 1]);
    t.apply(topology([]));
    assert.deepEqual([[...link!.natAddresses], link!.draining], [[], [second, first]]);
    assert.deepEqual(t.settle(), [{ link, address: second }]);
    pool.free(port, 0);
    assert.deepEqual(t.settle(), [{ link, address: first }]);
    assert.deepEqual([link!.draining, t.settle()], [[], []]);
  });

  it('gives a changed LINKID or dialect to new flows only', () => {
    const t = new Tables(topology([web()]), 1);
    const old = t.endpointAt(0, parseAddress('10.0.0.4') | 0)!;
    assert.deepEqual(t.apply(topology([web({ endpoints: [endpoint('red', 0, '10.0.0.4', { linkId: 8 })] })])), []);
    const now = t.endpointAt(0, parseAddress('10.0.0.4') | 0)!;
    assert.equal(now.linkId, 8);
    assert.equal(t.endpoints[old.index], old);
    assert.equal(old.linkId, 7);
    t.apply(topology([web({ proxy: null })]));
    assert.equal(t.endpointAt(0, parseAddress('10.0.0.4') | 0)!.header, null);
  });

  it('moves no more new flows than a backend’s share when one comes or goes, whatever their number', () => {
    const pool = Array.from({ length: 33 }, (_, i) => parseAddress('10.200.2.4') + i);
    const withBackends = (n: number): Topology =>
      topology([web({ rules: [{ ...web().rules[0]!, backends: pool.slice(0, n) }] })]);
    const t = new Tables(withBackends(28), 1);
    const places = (): number[] => {
      const e = t.endpointAt(0, parseAddress('10.0.0.4') | 0)!;
      const rule = t.rule(e.link, 6, 80)!;
      return Array.from({ length: 4000 }, (_, i) => t.backend(rule, e, 6, 0x0a000005, 1024 + i, 80) >>> 0);
    };
    let before = places();
    for (const n of [29, 30, 31, 32, 33, 32, 31, 30, 29, 28]) {
      t.apply(withBackends(n));
      const after = places();
      const moved = after.filter((backend, i) => backend !== before[i]).length;
      // Its share, and the few that Maglev moves besides.
      assert.ok(
        moved > 0.5 * (4000 / 33) && moved < 2.5 * (4000 / 28),
        `${String(moved)} of 4000 moved to ${String(n)}`,
      );
      before = after;
    }
  });

  it('takes changed rules', () => {
    const t = new Tables(topology([web()]), 1);
    t.apply(topology([web({ rules: [{ ...web().rules[0]!, frontendPort: 443 }] })]));
    assert.equal(t.rule(t.links[0]!, 6, 80), undefined);
    assert.equal(t.rule(t.links[0]!, 6, 443)!.backendPort, 8080);
  });

  it('takes changed NAT ports for new flows, in pools that are in use', () => {
    const t = new Tables(topology([web({ natPortCount: 2 })]), 1);
    const backend = parseAddress('10.200.2.4') | 0;
    const pool = t.pool(t.links[0]!, 0, backend, 6);
    const live = pool.allocate(0);
    pool.allocate(0);
    assert.equal(pool.allocate(0), -1);
    t.apply(topology([web({ natPortFirst: 1025, natPortCount: 3 })]));
    assert.equal(t.pool(t.links[0]!, 0, backend, 6), pool);
    const more = [pool.allocate(0), pool.allocate(0)];
    assert.deepEqual(more.sort(), [1026, 1027]);
    assert.deepEqual([pool.inUse, pool.taken, pool.size], [4, 3, 3]);
    pool.free(live, 0);
    assert.equal(pool.allocate(0), live === 1025 ? 1025 : -1);
  });

  it('makes no look-up table anew whose backends are the same, healthy or not', () => {
    const backends = Array.from({ length: 40 }, (_, i) => parseAddress('10.200.2.4') + i);
    const probe = { name: 'lb/p', noHealthyBackends: 'AllProbedDown' } as const;
    const rules = (list: readonly number[], ...ports: number[]): LinkSpec =>
      web({ rules: ports.map((frontendPort) => ({ ...web().rules[0]!, frontendPort, backends: list, probe })) });
    const t = new Tables(topology([rules(backends, 80, 81)]), 1);
    t.setHealth('lb/p', backends[3]!, false);
    const tables = (): unknown[] =>
      [80, 81].flatMap((p) => [t.rule(t.links[0]!, 6, p)!].map((r) => [r.maglev, r.table]));
    const [first, second] = tables() as [Uint16Array, Uint16Array][];
    assert.ok(first![0] === second![0] && first![1] === second![1], 'rules share them');
    t.apply(topology([rules(backends, 80, 81)]));
    const [after] = tables() as [Uint16Array, Uint16Array][];
    assert.ok(after![0] === first![0] && after![1] === first![1]);
    assert.ok(!after![1].includes(3), 'without the one that is down');
    t.apply(topology([rules(backends.slice(1), 80, 81)]));
    assert.notEqual((tables() as [Uint16Array, Uint16Array][])[0]![0], first![0]);
  });

  it('counts no backend of a link that is gone as serving', () => {
    const t = new Tables(topology([web()]), 1);
    assert.ok(t.serves(parseAddress('10.200.2.4')));
    t.apply(topology([]));
    assert.ok(!t.serves(parseAddress('10.200.2.4')));
  });

  it('holds no more after a thousand services that came and went', () => {
    const t = new Tables(topology([web()]), 1);
    const backend = parseAddress('10.200.2.4');
    for (let i = 0; i < 1000; i++) {
      const rules = [{ ...web().rules[0]!, backends: [backend + i, backend + i + 1] }];
      const name = `web${String(i)}`;
      t.apply(topology([web({ name, rules, endpoints: [endpoint(name, 0, '10.0.0.4')] })]));
      t.settle();
      const pool = t.pool(
        t.links.find((link) => link.name === name)!,
        0,
        (backend + i) | 0,
        6,
      );
      pool.free(pool.allocate(i), i);
      t.natPools.drop(i);
    }
    assert.deepEqual([t.links.length, t.pools.length], [1, 1]);
    assert.ok(t.endpoints.length <= 3, String(t.endpoints.length));
    assert.ok(t.octets.length <= 16);
  });

  it('keeps a pool while a port of it is live or rests, and gives its number to another then', () => {
    const t = new Tables(topology([web()]), 1);
    const pool = t.pool(t.links[0]!, 0, parseAddress('10.200.2.4') | 0, 6);
    const port = pool.allocate(0);
    const other = { ...web().rules[0]!, backends: [parseAddress('10.200.2.5')] };
    t.apply(topology([web({ rules: [other] })]));
    t.natPools.drop(0);
    assert.equal(t.natPools.byNumber(pool.number), pool, 'live');
    pool.free(port, 60_000);
    t.natPools.drop(59_999);
    assert.equal(t.pools.length, 1, 'at rest');
    t.natPools.drop(60_000);
    assert.equal(t.pools.length, 0);
    assert.equal(t.pool(t.links[0]!, 0, parseAddress('10.200.2.5') | 0, 6).number, pool.number);
  });

  it('gives a record to another endpoint when its last flow has ended, and what it counted to its heir', () => {
    const t = new Tables(topology([web()]), 1);
    const old = t.endpointAt(0, parseAddress('10.0.0.4') | 0)!;
    old.flows = 1;
    t.octets[2 * old.index] = 100;
    const changed = [endpoint('red', 0, '10.0.0.4', { linkId: 8 })];
    t.apply(topology([web({ endpoints: changed })]));
    const heir = t.endpointAt(0, parseAddress('10.0.0.4') | 0)!;
    assert.notEqual(heir.index, old.index);
    const withBlue = topology([web({ endpoints: [...changed, endpoint('blue', 1, '10.0.0.9')] })]);
    t.apply(withBlue);
    assert.equal(t.endpoints[old.index], old, 'its flow lives');
    old.flows = 0;
    t.apply(topology([web({ endpoints: [...changed, endpoint('blue', 1, '10.0.0.8')] })]));
    assert.equal(t.endpoints[old.index]!.name, 'blue');
    assert.deepEqual([t.octets[2 * heir.index], t.octets[2 * old.index]], [100, 0]);
  });
});
