import assert from 'node:assert/strict';
import type { Counters } from '../../../src/translate/core.js';
import type { TranslatorOptions } from '../../../src/translate/options.js';
import type { Topology } from '../../../src/translate/topology.js';
import { address, Bench, link, rule, topology } from '../../support/bench.js';
import { ACK, FIN, RST, SYN, udpPacket } from '../../support/packets.js';
import { CLIENT, ENDPOINT, only, Stream } from '../../support/stream.js';

const ENDS = ['flowsExpired', 'flowsClosed', 'flowsWithdrawn', 'flowsReplaced', 'flowsRefused'] as const;
type End = (typeof ENDS)[number];

const bench = (t: Topology = topology(), options: Partial<TranslatorOptions> = {}): Bench => new Bench(t, options);

/** Ends by kind, those that there were; and what was opened is live or has one. */
function ends(b: Bench): Partial<Record<End, number>> {
  const c: Counters = b.t.counters;
  const all = ENDS.reduce((sum, end) => sum + c[end], 0);
  assert.equal(c.flowsTcp + c.flowsUdp + c.flowsMidstream, b.t.flows.count + all, 'each flow has one end');
  return Object.fromEntries(ENDS.filter((end) => c[end] > 0).map((end) => [end, c[end]]));
}

const query = udpPacket({ src: CLIENT, dst: ENDPOINT, sport: 5000, dport: 53, payload: 'q' });

describe('the end of a flow is counted once,', () => {
  it('as expired when it idles to its limit', () => {
    const b = bench();
    new Stream(b).established();
    b.client(query);
    assert.deepEqual(ends(b), {});
    b.pass(301_000);
    assert.deepEqual(ends(b), { flowsExpired: 2 });
  });

  it('as closed after FIN both ways, and after RST, also where a new connection takes its port over', () => {
    const b = bench();
    const s = new Stream(b).established();
    only(s.send({ flags: FIN | ACK }));
    only(s.reply({ flags: FIN | ACK, acked: s.length + 1 }));
    only(s.send({ at: 1, acked: 1 }));
    only(new Stream(b, { isn: 5_000_000 }).syn());
    assert.deepEqual(ends(b), { flowsClosed: 1 });
    const other = new Stream(b, { clientPort: 40001 });
    only(other.syn());
    only(other.synAck());
    other.send({ flags: RST });
    b.pass(61_000);
    assert.deepEqual(ends(b), { flowsClosed: 2, flowsExpired: 1 });
  });

  it('as withdrawn with its endpoint, or with its NAT address', () => {
    const b = bench();
    new Stream(b).established();
    b.client(query);
    assert.equal(
      b.each((t) => t.endFlowsOf(0)),
      2,
    );
    assert.deepEqual(ends(b), { flowsWithdrawn: 2 });
    b.client(query);
    b.each((t) => t.endFlowsOn(address('192.0.2.1') | 0));
    assert.deepEqual(ends(b), { flowsWithdrawn: 3 });
  });

  it('as replaced where its client has forgotten it', () => {
    const b = bench();
    new Stream(b).established();
    only(new Stream(b, { isn: 2_000_000_000 }).syn());
    assert.deepEqual(ends(b), { flowsReplaced: 1 });
  });

  it('as replaced where its SYN had no answer and another one comes', () => {
    const b = bench();
    only(new Stream(b).syn());
    only(new Stream(b, { isn: 77 }).syn());
    assert.deepEqual(ends(b), { flowsReplaced: 1 });
  });

  it('as replaced where its backend takes no datagrams any more', () => {
    const probe = { name: 'lb/p', noHealthyBackends: 'AllProbedDown' } as const;
    const backends = ['10.1.0.4', '10.1.0.5'].map(address);
    const b = bench(topology(link({ rules: [rule({ protocol: 17, backends, probe })] })));
    b.client(query);
    for (const [i] of backends.entries()) {
      b.each((t) => {
        backends.forEach((backend, j) => {
          t.tables.setHealth('lb/p', backend, i === j);
        });
      });
      b.client(query);
    }
    const { flowsReplaced = 0, ...rest } = ends(b);
    assert.ok(flowsReplaced >= 1, String(flowsReplaced));
    assert.deepEqual(rest, {});
    assert.equal(b.t.flows.count, 1);
  });

  it('as refused where its connection has no room for the header', () => {
    const b = bench();
    const s = new Stream(b);
    s.syn();
    s.synAck({ flags: SYN | ACK, options: Buffer.from('02040023', 'hex') });
    assert.deepEqual(ends(b), { flowsRefused: 1 });
  });
});
