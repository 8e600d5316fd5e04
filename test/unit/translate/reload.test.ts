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

  it('gives a new NAT address to new flows and keeps the pools that are in use', () => {
    const t = new Tables(topology([web()]), 1);
    const link = t.links[0]!;
    const backend = parseAddress('10.200.2.4') | 0;
    const [first, second] = t.poolsFor(link, backend, 6);
    assert.ok(first!.allocate(0) >= 1024);
    const added = [parseAddress('10.200.1.5'), parseAddress('10.200.1.6'), parseAddress('10.200.1.4')];
    assert.deepEqual(t.apply(topology([web({ natAddresses: added })])), []);
    const pools = t.poolsFor(link, backend, 6);
    assert.deepEqual([pools[0], pools[2]], [second, first]);
    assert.equal(pools[2]!.inUse, 1);
    assert.equal(pools.length, 3);
  });

  it('drains a NAT address that was taken out: no new flow, its live ports go back to it', () => {
    const t = new Tables(topology([web()]), 1);
    const link = t.links[0]!;
    const backend = parseAddress('10.200.2.4') | 0;
    const [first, second] = t.poolsFor(link, backend, 6);
    const number = t.poolNumber(first!);
    first!.allocate(0);
    t.apply(topology([web({ natAddresses: [parseAddress('10.200.1.5')] })]));
    assert.deepEqual(t.poolsFor(link, backend, 6), [second]);
    assert.equal(t.pools[number], first);
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

  it('takes changed rules', () => {
    const t = new Tables(topology([web()]), 1);
    t.apply(topology([web({ rules: [{ ...web().rules[0]!, frontendPort: 443 }] })]));
    assert.equal(t.rule(t.links[0]!, 6, 80), undefined);
    assert.equal(t.rule(t.links[0]!, 6, 443)!.backendPort, 8080);
  });
});
