import assert from 'node:assert/strict';
import { Adopter, type AdoptOptions } from '../../../src/replay/adopt.js';
import { Tables, type Endpoint } from '../../../src/translate/tables.js';
import { parseAddress, parseCidr } from '../../../src/wire/address.js';

const TCP = 6;
const UDP = 17;

const options = (more: Partial<AdoptOptions> = {}): AdoptOptions => ({
  natAddresses: [parseAddress('198.18.0.1')],
  natPortFirst: 1024,
  natPortCount: 100,
  backendNet: parseCidr('198.19.0.0/16')!,
  linkId: null,
  proxy: { dialect: 'azure' },
  idleTimeoutMs: 5000,
  ...more,
});

const adopting = (more: Partial<AdoptOptions> = {}): { tables: Tables; adopt: (a: string) => Endpoint | undefined } => {
  const tables = new Tables({ networks: ['capture'], links: [] }, 1);
  const adopter = new Adopter(tables, options(more));
  return { tables, adopt: (address) => adopter.adopt(0, parseAddress(address) | 0) };
};

const backendOf = (tables: Tables, e: Endpoint, protocol: number, port: number): number => {
  const rule = tables.rule(e.link, protocol, port)!;
  return tables.backend(rule, e, protocol, 1, 2, port) >>> 0;
};

describe('replay: adopted services', () => {
  it('get backends and LINKIDs in the order in which they are met', () => {
    const { tables, adopt } = adopting();
    const met = ['203.0.113.9', '10.0.0.1', '192.0.2.200'].map((address) => adopt(address)!);
    assert.deepEqual(
      met.map((e) => [e.name, e.linkId, backendOf(tables, e, TCP, 443)]),
      [
        ['adopted-1', 1001, parseAddress('198.19.0.1')],
        ['adopted-2', 1002, parseAddress('198.19.0.2')],
        ['adopted-3', 1003, parseAddress('198.19.0.3')],
      ],
    );
    assert.equal(tables.endpointAt(0, parseAddress('203.0.113.9') | 0), met[0]);
    assert.ok(met.every((e) => e.approved));
  });

  it('serve every port of TCP and UDP at one backend, the port unchanged, for as long as they are told', () => {
    const { tables, adopt } = adopting();
    const e = adopt('10.0.0.1')!;
    for (const protocol of [TCP, UDP]) {
      const rule = tables.rule(e.link, protocol, 12_345);
      assert.deepEqual([rule?.backendPort, rule?.idleMs, rule?.tcpReset], [0, 5000, false]);
      assert.equal(backendOf(tables, e, protocol, 12_345), parseAddress('198.19.0.1'));
    }
  });

  it('tell their LINKID in the header, their own or the one for all', () => {
    const linkIdIn = (e: Endpoint): number => e.header!.octets.readUInt32LE(32); // behind 28 octets, the TLV's 3, and 0x01
    const own = adopting();
    assert.deepEqual([own.adopt('10.0.0.1')!, own.adopt('10.0.0.2')!].map(linkIdIn), [1001, 1002]);
    const one = adopting({ linkId: 7 });
    assert.deepEqual([one.adopt('10.0.0.1')!, one.adopt('10.0.0.2')!].map(linkIdIn), [7, 7]);
    assert.equal(adopting({ proxy: null }).adopt('10.0.0.1')!.header, null);
  });

  it('are as many as the backend network has hosts, and then no more', () => {
    const { tables, adopt } = adopting({ backendNet: parseCidr('198.19.255.252/30')! });
    const met = [adopt('10.0.0.1'), adopt('10.0.0.2')].map((e) => backendOf(tables, e!, TCP, 1));
    assert.deepEqual(met, [parseAddress('198.19.255.253'), parseAddress('198.19.255.254')]);
    assert.equal(adopt('10.0.0.3'), undefined);
    assert.equal(adopt('10.0.0.4'), undefined);
    assert.equal(tables.endpoints.length, 2);
  });
});
