import assert from 'node:assert/strict';
import { REASONS, type Reason, drop, reasonOf } from '../../../src/packet/verdict.js';
import { address, Bench, endpoint, link, rule, topology } from '../../support/bench.js';
import {
  ACK,
  FIN,
  fragments,
  ipv4Packet,
  RST,
  SYN,
  tcpPacket,
  udpPacket,
  withChecksum,
} from '../../support/packets.js';
import { BACKEND, CLIENT, ENDPOINT, NAT, Stream } from '../../support/stream.js';

const PLACE = { src: CLIENT, dst: ENDPOINT, sport: 1000, dport: 80 };
const syn = (fields = {}): Buffer => tcpPacket({ ...PLACE, flags: SYN, ...fields });
const query = (fields = {}): Buffer => udpPacket({ ...PLACE, ...fields });

/** Changes one octet, and makes the checksums right again. */
function changed(packet: Buffer, at: number, value: number): Buffer {
  packet.writeUInt8(value, at);
  return withChecksum(packet);
}

/** Changes one octet; only the IPv4 checksum is made right again. */
function changedL4(packet: Buffer, at: number, value: number): Buffer {
  packet.writeUInt8(value, at);
  return packet;
}

type Case = [what: string, reason: Reason, packet: Buffer, how?: { missing?: number; network?: number }];

const IP: Case[] = [
  ['no octet at all', 'ip-truncated', Buffer.alloc(0)],
  ['19 octets', 'ip-truncated', syn().subarray(0, 19)],
  ['options cut off', 'ip-truncated', query({ ipOptions: Buffer.alloc(8, 1) }).subarray(0, 27)],
  ['version 6', 'ip-bad-version', changedL4(syn(), 0, 0x65)],
  ['a header of 16 octets', 'ip-bad-header-length', changedL4(syn(), 0, 0x44)],
  ['a total length past the frame', 'ip-bad-length', changed(syn(), 3, 41)],
  ['a total length below the header', 'ip-bad-length', changedL4(syn(), 3, 19)],
  ['a total length of 0 in a small frame', 'ip-bad-length', changedL4(syn(), 3, 0)],
  ['a wrong checksum', 'ip-bad-checksum', changedL4(syn(), 10, 0x77)],
  ['a wrong checksum over options', 'ip-bad-checksum', changedL4(query({ ipOptions: Buffer.alloc(4, 1) }), 22, 9)],
  ['SCTP', 'not-tcp-udp', ipv4Packet(132, PLACE, Buffer.alloc(40))],
  ['a fragment of SCTP', 'not-tcp-udp', changed(ipv4Packet(132, PLACE, Buffer.alloc(40)), 6, 0x20)],
  ['time to live 1', 'ttl-exceeded', syn({ ttl: 1 })],
  ['time to live 0', 'ttl-exceeded', syn({ ttl: 0 })],
  ['no TCP header', 'tcp-malformed', ipv4Packet(6, PLACE, Buffer.alloc(19))],
  ['a TCP header cut off', 'l4-truncated', syn().subarray(0, 39), { missing: 1 }],
  ['TCP options cut off', 'l4-truncated', syn({ options: Buffer.alloc(8, 1) }).subarray(0, 47), { missing: 1 }],
  ['a TCP header of 16 octets', 'tcp-malformed', changed(syn(), 32, 0x40)],
  ['a TCP header past its segment', 'tcp-malformed', changed(syn(), 32, 0x60)],
  ['no UDP header', 'udp-malformed', ipv4Packet(17, PLACE, Buffer.alloc(7))],
  ['a UDP header cut off', 'l4-truncated', query().subarray(0, 27), { missing: 1 }],
  ['a UDP length of 7', 'udp-malformed', changedL4(query(), 25, 7)],
  ['a UDP length past the packet', 'udp-malformed', changedL4(query(), 25, 9)],
];

describe('drops from either side, each with its reason', () => {
  for (const [what, reason, packet, how] of IP) {
    it(`${reason}: ${what}`, () => {
      for (const side of ['client', 'backend'] as const) {
        const b = new Bench(topology());
        const outcome = b[side](packet, how ?? {});
        assert.equal(outcome.verdict, reason);
        assert.deepEqual(outcome.sent, []);
        assert.deepEqual(b.t.drops.toJSON(), { [reason]: 1 });
        assert.equal(b.t.flows.count, 0);
      }
    });
  }

  for (const flags of [0, FIN, SYN | FIN, SYN | RST | ACK, SYN | FIN | RST | ACK]) {
    it(`tcp-bad-flags: ${flags.toString(2)}`, () => {
      const s = new Stream(new Bench(topology())).established();
      assert.equal(s.send({ flags, payload: 'x' }).verdict, 'tcp-bad-flags');
      assert.equal(s.reply({ flags, acked: 36 }).verdict, 'tcp-bad-flags');
      assert.equal(s.bench.drops('tcp-bad-flags'), 2);
      assert.equal(s.send({ payload: 'x' }).verdict, 'forward');
    });
  }

  it('not one of what is just inside the bounds', () => {
    for (const packet of [
      syn({ ttl: 2 }),
      query({ ttl: 2 }),
      query({ payload: '' }),
      syn({ options: Buffer.alloc(40, 1) }),
    ]) {
      assert.equal(new Bench(topology()).client(packet).verdict, 'forward');
    }
    assert.equal(
      new Bench(topology()).client(syn({ payload: 'x' }).subarray(0, 40), { missing: 1 }).verdict,
      'forward',
    );
  });
});

describe('drops of flows that may not begin, each with its reason', () => {
  const specs = link({
    rules: [rule({ frontendPort: 80 }), rule({ frontendPort: 81, backends: [] })],
    endpoints: [endpoint(), endpoint({ name: 'pending', address: address('10.9.0.5'), approved: false })],
  });
  const cases: Case[] = [
    ['an address that is no endpoint', 'no-endpoint', syn({ dst: '10.9.0.6' })],
    ['the endpoint of another network', 'no-endpoint', syn(), { network: 1 }],
    ['a network that has none', 'no-endpoint', syn(), { network: 7 }],
    ['an endpoint that is not approved', 'not-approved', syn({ dst: '10.9.0.5' })],
    ['a port without a rule', 'no-rule', syn({ dport: 79 })],
    ['a protocol without a rule', 'no-rule', query()],
    ['a rule without backends', 'no-backend', syn({ dport: 81 })],
    ['a multicast source', 'not-unicast', syn({ src: '224.0.0.1' })],
    ['a broadcast source', 'not-unicast', syn({ src: '255.255.255.255' })],
    ['an unspecified source', 'not-unicast', syn({ src: '0.0.0.0' })],
    ['a multicast destination', 'not-unicast', syn({ dst: '239.1.2.3' })],
    ['a destination in 0.0.0.0/8', 'not-unicast', syn({ dst: '0.1.2.3' })],
  ];
  for (const [what, reason, packet, how] of cases) {
    it(`${reason}: ${what}`, () => {
      const b = new Bench(topology(specs));
      const outcome = b.client(packet, how ?? {});
      assert.deepEqual([outcome.verdict, outcome.sent.length], [reason, 0]);
      assert.deepEqual(b.t.drops.toJSON(), { [reason]: 1 });
      assert.equal(b.t.flows.count, 0);
      assert.equal(b.t.tables.pools.length, 0, 'no port was taken');
    });
  }

  it('service-limit: no backend address is left for another adopted service', () => {
    const b = new Bench(topology(specs));
    b.each(({ core }) => {
      core.adopt = () => undefined;
    });
    assert.equal(b.client(syn({ dst: '10.9.0.6' })).verdict, 'service-limit');
  });

  it('no-flow: a packet from the provider’s side of no flow, of another backend, port or protocol', () => {
    const s = new Stream(new Bench(topology())).established();
    const reply = { src: BACKEND, dst: NAT, sport: 443, dport: s.natPort };
    for (const fields of [{ src: '10.1.0.5' }, { dst: '192.0.2.2' }, { sport: 444 }, { dport: s.natPort ^ 1 }]) {
      assert.equal(s.bench.backend(tcpPacket({ ...reply, ...fields })).verdict, 'no-flow');
    }
    assert.equal(s.bench.backend(udpPacket(reply)).verdict, 'no-flow');
    assert.equal(s.bench.backend(tcpPacket(reply)).verdict, 'forward');
  });

  it('no-flow: a consumer that answers in an endpoint’s name', () => {
    const s = new Stream(new Bench(topology())).established();
    const forged = { src: ENDPOINT, dst: CLIENT, sport: 443, dport: 40000 };
    assert.equal(s.bench.client(tcpPacket(forged)).verdict, 'no-flow');
    s.bench.client(udpPacket(PLACE));
    assert.equal(s.bench.client(udpPacket({ src: ENDPOINT, dst: CLIENT, sport: 80, dport: 1000 })).verdict, 'no-flow');
  });

  it('out-of-scratch: no room for a header or a fragment that waited', () => {
    const s = new Stream(new Bench(topology(), {}, 64));
    s.syn();
    s.synAck();
    assert.deepEqual([s.send().verdict, s.send({ payload: 'x' }).verdict], ['out-of-scratch', 'out-of-scratch']);
    assert.equal(s.bench.t.counters.headersInserted, 0);
    const parts = fragments(udpPacket({ ...PLACE, id: 5, payload: 'x'.repeat(200) }), 100);
    assert.equal(s.bench.client(parts[1]!).verdict, 'held');
    assert.equal(s.bench.client(parts[0]!).sent.length, 1);
    assert.equal(s.bench.drops('out-of-scratch'), 3);
  });

  it('out-of-scratch: the outbox of a burst is full', () => {
    const b = new Bench(topology());
    const { t } = b;
    t.begin();
    t.outbox.count = t.outbox.capacity;
    const packet = query();
    packet.copy(t.core.slab, 64);
    assert.equal(reasonOf(t.fromConsumer(64, 64 + packet.length, 0)), 'out-of-scratch');
  });
});

describe('verdicts', () => {
  it('name every reason once, as negative numbers', () => {
    const names = REASONS.map(([name]) => name);
    assert.equal(new Set(names).size, names.length);
    for (const name of names) {
      assert.ok(drop(name) < 0);
      assert.equal(reasonOf(drop(name)), name);
    }
  });
});
