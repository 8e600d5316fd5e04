import assert from 'node:assert/strict';
import { TIMEOUT_PROFILES } from '../../../src/translate/options.js';
import { address, Bench, link, rule, topology } from '../../support/bench.js';
import { datagram, segment } from '../../support/dissect.js';
import { FIN, RST, SYN, tcpPacket, udpPacket } from '../../support/packets.js';
import { CLIENT, ENDPOINT, only, Stream } from '../../support/stream.js';

const range = (natPortCount: number, fields = {}): Bench =>
  new Bench(topology(link({ natPortFirst: 5000, natPortCount, ...fields })));

const syn = (b: Bench, sport: number, src = CLIENT) =>
  b.client(tcpPacket({ src, dst: ENDPOINT, sport, dport: 443, flags: SYN }));
const query = (b: Bench, sport: number, dport = 53) =>
  b.client(udpPacket({ src: CLIENT, dst: ENDPOINT, sport, dport }));

describe('NAT ports', () => {
  it('are given out to the last one, and the next flow is refused', () => {
    for (const size of [1, 2, 3, 7, 64, 100]) {
      const b = range(size);
      const ports = Array.from({ length: size }, (_, i) => segment(only(syn(b, 1000 + i)).octets).sport);
      assert.deepEqual(
        [...ports].sort((x, y) => x - y),
        Array.from({ length: size }, (_, i) => 5000 + i),
      );
      const refused = syn(b, 999);
      assert.deepEqual([refused.verdict, refused.sent.length], ['nat-exhausted', 0]);
      assert.equal(b.drops('nat-exhausted'), 1);
      assert.equal(b.t.flows.count, size);
      assert.equal(only(syn(b, 1000)).to, 'provider', 'flows that there are go on');
    }
  });

  it('come in no simple order (RFC 6056)', () => {
    const b = range(64_000);
    const ports = Array.from({ length: 100 }, (_, i) => segment(only(syn(b, 1000 + i)).octets).sport);
    const steps = ports.slice(1).map((port, i) => Math.abs(port - ports[i]!));
    assert.ok(steps.every((step) => step > 1));
  });

  it('of TCP and UDP, and towards other backends, are counted apart', () => {
    const backends = [address('10.1.0.4'), address('10.1.0.5')];
    const rules = [
      rule({ frontendPort: 1, backends: [backends[0]!] }),
      rule({ frontendPort: 2, backends: [backends[1]!] }),
      rule({ protocol: 17 }),
    ];
    const b = range(1, { rules });
    const open = (dport: number) => b.client(tcpPacket({ src: CLIENT, dst: ENDPOINT, sport: 9, dport, flags: SYN }));
    assert.equal(segment(only(open(1)).octets).sport, 5000);
    assert.equal(segment(only(open(2)).octets).sport, 5000);
    assert.equal(datagram(only(query(b, 9)).octets).sport, 5000);
    assert.equal(syn(b, 10).verdict, 'no-rule');
    const again = b.client(tcpPacket({ src: CLIENT, dst: ENDPOINT, sport: 10, dport: 1, flags: SYN }));
    assert.equal(again.verdict, 'nat-exhausted');
  });

  it('come back after the hold, TCP’s 120 s from the last packet, and service resumes (RFC 6888 REQ-8)', () => {
    const s = new Stream(range(1)).established();
    only(s.send({ flags: FIN | 16 }));
    only(s.reply({ flags: FIN | 16, acked: 37 }));
    s.bench.pass(60_300);
    assert.equal(s.bench.t.flows.count, 0, 'closed');
    assert.equal(syn(s.bench, 1).verdict, 'nat-exhausted');
    s.bench.pass(59_600);
    assert.equal(syn(s.bench, 1).verdict, 'nat-exhausted', 'just before');
    s.bench.pass(100);
    assert.equal(segment(only(syn(s.bench, 1)).octets).sport, 5000);
  });

  it('of UDP come back at once', () => {
    const b = range(1);
    only(query(b, 1));
    assert.equal(query(b, 2).verdict, 'nat-exhausted');
    b.pass(240_600);
    only(query(b, 2));
  });

  it('that have been free the longest are used first', () => {
    const b = range(4);
    const streams = Array.from({ length: 4 }, (_, i) => {
      const s = new Stream(b, { clientPort: 100 + i });
      only(s.syn());
      return s;
    });
    for (const i of [2, 0, 3, 1]) {
      b.pass(1000);
      only(streams[i]!.reply({ flags: RST | 16, acked: 0 }));
    }
    b.pass(200_000);
    const order = [200, 201, 202, 203].map((sport) => segment(only(syn(b, sport)).octets).sport);
    assert.deepEqual(
      order,
      [2, 0, 3, 1].map((i) => streams[i]!.natPort),
    );
  });

  it('whose hold is over are given out although others, freed before, are still held', () => {
    const b = range(2);
    only(syn(b, 100));
    b.pass(59_000);
    const reused = new Stream(b, { clientPort: 101 });
    only(reused.syn());
    only(reused.synAck());
    only(reused.send({ at: 500 }));
    // A SYN from far outside its window: the flow ends now, its port is held for 120 s, and there is none for the SYN.
    assert.equal(reused.send({ flags: SYN, at: 900_000_000 }).verdict, 'nat-exhausted');
    b.pass(62_000); // the other flow expired; 121 s after its last packet its port is free
    only(syn(b, 102));
    assert.equal(syn(b, 103).verdict, 'nat-exhausted');
  });

  it('are looked for at the other NAT addresses when the consumer’s usual one has none', () => {
    const natAddresses = [address('192.0.2.1'), address('192.0.2.2'), address('192.0.2.3')];
    const b = range(10, { natAddresses });
    const usual = segment(only(syn(b, 1)).octets).src;
    for (let i = 2; i <= 10; i++) assert.equal(segment(only(syn(b, i)).octets).src, usual, 'paired (RFC 4787 REQ-2)');
    const rest = Array.from({ length: 20 }, (_, i) => segment(only(syn(b, 11 + i)).octets));
    assert.ok(rest.every(({ src }) => src !== usual));
    assert.equal(new Set(rest.map(({ src, sport }) => `${src}:${sport}`)).size, 20);
    assert.equal(syn(b, 31).verdict, 'nat-exhausted');
  });

  it('spread consumers over the NAT addresses', () => {
    const natAddresses = [address('192.0.2.1'), address('192.0.2.2')];
    const b = range(1000, { natAddresses });
    const sources = Array.from({ length: 60 }, (_, i) => segment(only(syn(b, 1, `10.0.0.${i + 1}`)).octets).src);
    assert.equal(new Set(sources).size, 2);
  });
});

describe('the flow table', () => {
  it('takes flows to its limit and refuses the next, without taking a port', () => {
    const b = new Bench(topology(), { maxFlows: 3 });
    for (let i = 0; i < 3; i++) only(syn(b, 100 + i));
    assert.equal(syn(b, 103).verdict, 'flow-limit');
    assert.equal(query(b, 1).verdict, 'flow-limit');
    assert.equal(b.t.tables.pools[0]!.inUse, 3);
    b.pass(61_000);
    only(syn(b, 103));
    assert.equal(b.t.tables.pools[0]!.inUse, 1);
  });
});

describe('idle flows', () => {
  const withReset = (): Bench => new Bench(topology(link({ rules: [rule({ tcpReset: true })] })));

  it('end silently', () => {
    const s = new Stream(new Bench(topology())).established();
    assert.deepEqual(s.bench.pass(240_600), []);
    assert.equal(s.bench.t.flows.count, 0);
    assert.equal(s.bench.t.counters.flowsExpired, 1);
    assert.equal(s.reply({ acked: 36 }).verdict, 'no-flow');
  });

  it('of UDP end after the smaller limit', () => {
    const b = new Bench(topology(link({ rules: [rule({ protocol: 17, idleTimeoutMs: 900_000 })] })));
    only(query(b, 1));
    b.pass(TIMEOUT_PROFILES.azure.udpMs - 1);
    assert.equal(b.t.flows.count, 1);
    b.pass(600);
    assert.equal(b.t.flows.count, 0);
  });

  it('send RST both ways where the rule says so, with exactly the numbers that each end expects', () => {
    const s = new Stream(withReset()).established();
    only(s.send({ payload: 'hello' }));
    only(s.reply({ acked: 41, payload: 'hi' }));
    only(s.send({ at: 5, acked: 2 }));
    const sent = s.bench.pass(240_600);
    assert.deepEqual(
      sent.map(({ to, network }) => [to, network]),
      [
        ['consumer', 0],
        ['provider', 0],
      ],
    );
    const client = segment(sent[0]!.octets);
    assert.deepEqual([client.src, client.sport, client.dst, client.dport], [ENDPOINT, 443, CLIENT, 40000]);
    assert.deepEqual([client.seq, client.ack, client.flags], [s.b + 2, s.s + 5, RST | 16]);
    const backend = segment(sent[1]!.octets);
    assert.deepEqual(
      [backend.src, backend.sport, backend.dst, backend.dport],
      [s.nat, s.natPort, s.backendAddress, 443],
    );
    assert.deepEqual([backend.seq, backend.ack, backend.flags], [s.s + 36 + 5, s.b + 2, RST | 16]);
    for (const out of [client, backend])
      assert.deepEqual([out.ttl, out.fragment, out.window, out.options.length], [64, 0x4000, 0, 0]);
  });

  it('send the RST to the flow’s own network', () => {
    const spec = link({ rules: [rule({ tcpReset: true })] });
    const b = new Bench(topology({ ...spec, endpoints: [{ ...spec.endpoints[0]!, network: 1 }] }));
    new Stream(b, { network: 1 }).established();
    assert.deepEqual(
      b.pass(240_600).map(({ to, network }) => [to, network]),
      [
        ['consumer', 1],
        ['provider', 0],
      ],
    );
  });

  it('send no RST that nobody could take: half open, closing, UDP', () => {
    const half = new Stream(withReset());
    only(half.syn());
    assert.deepEqual(half.bench.pass(61_000), []);
    const closing = new Stream(withReset()).established();
    only(closing.reply({ flags: RST }));
    assert.deepEqual(closing.bench.pass(61_000), []);
  });

  it('that end together all get their RSTs, in as many calls as it takes', () => {
    const b = withReset();
    const count = 1500;
    for (let i = 0; i < count; i++) {
      const s = new Stream(b, { clientPort: 1000 + i, header: Buffer.alloc(36) });
      only(s.syn());
      only(s.synAck());
      only(s.send());
      only(s.reply({ acked: 36 }));
    }
    const sent = b.pass(240_600);
    assert.equal(b.t.flows.count, 0);
    assert.equal(sent.filter(({ to }) => to === 'consumer').length, count);
    assert.equal(sent.filter(({ to }) => to === 'provider').length, count);
    assert.equal(new Set(sent.map(({ octets }) => octets.toString('hex'))).size, 2 * count);
  });

  it('that end together end in several calls, none of which does all', () => {
    const b = new Bench(topology());
    for (let i = 0; i < 3000; i++) only(syn(b, 1000 + i));
    const { t } = b;
    t.begin();
    assert.equal(t.advance(70_000), false);
    assert.ok(t.flows.count > 0 && t.flows.count < 3000);
    while (!t.advance(70_000)) t.begin();
    assert.equal(t.flows.count, 0);
  });
});
