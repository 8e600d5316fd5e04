import assert from 'node:assert/strict';
import { countOf, type Share } from '../../../src/flow/share.js';
import { backendPortUse } from '../../../src/gateway/port-use.js';
import { Bench, link, topology } from '../../support/bench.js';
import { ip } from '../../support/dissect.js';
import { fragments, udpPacket } from '../../support/packets.js';

const PLACE = { src: '10.0.0.5', dst: '10.9.0.4', dport: 53 };
const OF = 4;
const shares: readonly Share[] = [0, 1, 2, 3].map((index) => ({ index, of: OF }));

describe('translators that share NAT addresses', () => {
  const sharing = (natPortFirst: number, natPortCount: number): Bench[] =>
    shares.map((share) => new Bench(topology(link({ natPortFirst, natPortCount })), { share }));
  const send = (b: Bench, sport: number): number | null =>
    b.client(udpPacket({ ...PLACE, sport })).sent[0]?.octets.readUInt16BE(20) ?? null;

  it('use every port of the range, none twice, each those of its own share', () => {
    const seen = new Set<number>();
    for (const [index, b] of sharing(2000, 100).entries()) {
      const here = countOf(2000, 100, shares[index]!);
      for (let i = 0; i < here; i++) {
        const port = send(b, 1000 + i);
        assert.ok(port !== null && port % OF === index && !seen.has(port), String(port));
        seen.add(port);
      }
      assert.equal(send(b, 5000), null);
      assert.equal(b.drops('nat-exhausted'), 1);
      const [use] = backendPortUse(b.t.tables, 0);
      assert.deepEqual([use!.inUse, use!.of, use!.percent], [here, 100, 100]);
    }
    assert.deepEqual([seen.size, Math.min(...seen), Math.max(...seen)], [100, 2000, 2099]);
  });

  it('keep to their shares when a reload moves the range', () => {
    const seen = new Set<number>();
    for (const [index, b] of sharing(2000, 100).entries()) {
      send(b, 1);
      b.each((t) => t.tables.apply(topology(link({ natPortFirst: 3001, natPortCount: 40 }))).length);
      for (let i = 0; i < countOf(3001, 40, shares[index]!); i++) seen.add(send(b, 1000 + i)!);
      assert.equal(send(b, 5000), null);
    }
    assert.deepEqual([seen.size, Math.min(...seen), Math.max(...seen)], [40, 3001, 3040]);
  });

  it('never give two datagrams under way the same identification', () => {
    for (const id of [0, 5, 65_534, 65_535]) {
      const seen = new Set<number>();
      for (const [index, b] of sharing(2000, 100).entries()) {
        for (const src of ['10.0.0.5', '10.0.0.6', '10.0.0.7']) {
          const parts = fragments(udpPacket({ ...PLACE, src, sport: 7, id, df: false, payload: 'x'.repeat(900) }), 600);
          const ids = parts.map((part) => ip(b.client(part).sent[0]!.octets).id);
          assert.equal(new Set(ids).size, 1, 'all fragments of one datagram have the same');
          assert.ok(!seen.has(ids[0]!), `${String(ids[0])} again`);
          assert.equal(ids[0]! % OF, index);
          seen.add(ids[0]!);
        }
      }
      assert.equal(seen.size, 3 * OF);
    }
  });
});
