import assert from 'node:assert/strict';
import { Bench, endpoint, link, topology } from '../../support/bench.js';
import { faults, ip } from '../../support/dissect.js';
import {
  fragments,
  ipv4Packet,
  PSH,
  ACK,
  FIN,
  SYN,
  tcpPacket,
  type UdpFields,
  udpPacket,
  withChecksum,
} from '../../support/packets.js';
import { BACKEND, CLIENT, ENDPOINT, HEADER, NAT, only, Stream } from '../../support/stream.js';

const PLACE = { src: CLIENT, dst: ENDPOINT, sport: 1000, dport: 53, id: 77, df: false };
const bench = (): Bench => new Bench(topology());

const big = (fields: Partial<UdpFields> = {}): Buffer =>
  udpPacket({ ...PLACE, payload: Buffer.from(Array.from({ length: 1000 }, (_, i) => i & 255)), ...fields });

/** Puts translated fragments together; they come in any order. */
function reassemble(packets: readonly Buffer[]): Buffer {
  const first = packets.find((packet) => (packet.readUInt16BE(6) & 0x1fff) === 0);
  assert.ok(first);
  const payload = Buffer.alloc(Math.max(...packets.map((p) => (ip(p).fragment & 0x1fff) * 8 + ip(p).payload.length)));
  for (const packet of packets) {
    assert.deepEqual(
      [ip(packet).src, ip(packet).dst, ip(packet).id, ip(packet).ttl],
      [ip(first).src, ip(first).dst, ip(first).id, ip(first).ttl],
    );
    ip(packet).payload.copy(payload, (ip(packet).fragment & 0x1fff) * 8);
  }
  const header = Buffer.from(first.subarray(0, (first.readUInt8(0) & 15) * 4));
  header.writeUInt16BE(header.length + payload.length, 2);
  header.writeUInt16BE(0, 6);
  header.writeUInt16BE(0, 10);
  const whole = Buffer.concat([header, payload]);
  whole.writeUInt16BE(withChecksum(Buffer.from(whole)).readUInt16BE(10), 10);
  assert.deepEqual(faults(whole), []);
  return whole;
}

/** All orders of a few things. */
function orders<T>(things: readonly T[]): T[][] {
  if (things.length <= 1) return [[...things]];
  return things.flatMap((thing, i) =>
    orders([...things.slice(0, i), ...things.slice(i + 1)]).map((rest) => [thing, ...rest]),
  );
}

describe('fragments', () => {
  it('in any order make the translated datagram, both ways', () => {
    const parts = fragments(big(), 300);
    assert.equal(parts.length, 4);
    for (const order of orders(parts)) {
      const b = bench();
      const sent = order.flatMap((part) => b.client(part).sent.map(({ octets }) => octets));
      assert.equal(sent.length, 4);
      const whole = reassemble(sent);
      assert.deepEqual([ip(whole).src, ip(whole).dst, ip(whole).id, ip(whole).ttl], [NAT, BACKEND, 77, 63]);
      assert.deepEqual(ip(whole).payload.subarray(8), big().subarray(28));
      const natPort = ip(whole).payload.readUInt16BE(0);
      const answer = big({ src: BACKEND, dst: NAT, sport: 53, dport: natPort, id: 78 });
      const places = order.map((part) => parts.indexOf(part));
      const answers = fragments(answer, 300);
      const back = places.flatMap((i) => b.backend(answers[i]!).sent.map(({ octets }) => octets));
      const returned = reassemble(back);
      assert.deepEqual([ip(returned).src, ip(returned).dst], [ENDPOINT, CLIENT]);
      assert.deepEqual(ip(returned).payload.subarray(8), answer.subarray(28));
    }
  });

  it('are held until the first comes, and go out behind it in their order', () => {
    const b = bench();
    const parts = fragments(big(), 300);
    for (const i of [2, 1, 3]) assert.equal(b.client(parts[i]!).verdict, 'held');
    assert.equal(b.t.counters.fragmentsHeld, 3);
    assert.equal(b.t.fragments.waiting, 3);
    const { sent } = b.client(parts[0]!);
    assert.deepEqual(
      sent.map(({ octets }) => (ip(octets).fragment & 0x1fff) * 8),
      [0, 560, 280, 840],
    );
    assert.equal(b.t.fragments.waiting, 0);
  });

  it('of a TCP segment follow it, the header going before the first', () => {
    const s = new Stream(bench());
    s.syn();
    s.synAck();
    const whole = s.clientPacket({ payload: 'x'.repeat(900), df: false, id: 9, flags: ACK | PSH });
    const parts = fragments(whole, 300);
    assert.equal(s.bench.client(parts[1]!).verdict, 'held');
    const { sent } = s.bench.client(parts[0]!);
    assert.equal(sent.length, 3);
    s.isHeader(sent[0]!);
    const rest = parts.slice(2).map((part) => only(s.bench.client(part)).octets);
    const out = reassemble([sent[1]!.octets, sent[2]!.octets, ...rest]);
    assert.equal((out.readUInt32BE(24) - s.s) | 0, HEADER.length);
    assert.deepEqual(out.subarray(40), whole.subarray(40));
  });

  it('of a TCP segment follow it where its stream has long been under way', () => {
    const s = new Stream(bench()).established();
    const whole = s.clientPacket({ payload: 'x'.repeat(500), df: false, id: 9 });
    const out = reassemble(fragments(whole, 300).map((part) => only(s.bench.client(part)).octets));
    assert.equal((out.readUInt32BE(24) - s.s) | 0, HEADER.length);
    const reply = s.backendPacket({ payload: 'x'.repeat(500), acked: 36, df: false, id: 9 });
    const back = reassemble(fragments(reply, 300).map((part) => only(s.bench.backend(part)).octets));
    assert.equal((back.readUInt32BE(28) - s.s) | 0, 0);
  });

  it('of a TCP segment count for what the backend may acknowledge: the header needs no timer any more', () => {
    for (const order of [
      [0, 1, 2],
      [1, 2, 0],
    ]) {
      const s = new Stream(bench()).open();
      const whole = s.clientPacket({ payload: 'x'.repeat(500), flags: ACK | FIN, df: false, id: 9 });
      const parts = fragments(whole, 220);
      for (const i of order) s.bench.client(parts[i]!);
      only(s.reply({ acked: HEADER.length + 501 }));
      assert.deepEqual(s.bench.pass(1000), []);
    }
  });

  it('of a bare ACK that the header would replace are malformed', () => {
    const s = new Stream(bench());
    s.syn();
    s.synAck();
    const ack = s.clientPacket({ options: Buffer.alloc(12, 1), df: false, id: 9, payload: '' });
    const first = fragments(ack, 44)[0]!;
    assert.equal(s.bench.client(first).verdict, 'tcp-malformed', 'a TCP header in pieces');
    const bare = s.clientPacket({ options: Buffer.alloc(4, 1), df: false, id: 10, payload: 'x' });
    const headerOnly = fragments(bare, 44)[0]!;
    assert.equal(headerOnly.length, 44);
    assert.deepEqual([s.bench.client(headerOnly).verdict, s.bench.t.counters.headersInserted], ['tcp-malformed', 0]);
  });

  it('share the fate of a first one that was dropped', () => {
    const b = bench();
    const parts = fragments(big({ dst: '10.9.0.9' }), 300);
    assert.equal(b.client(parts[1]!).verdict, 'held');
    assert.equal(b.client(parts[0]!).verdict, 'no-endpoint');
    assert.equal(b.client(parts[2]!).verdict, 'no-endpoint');
    assert.equal(b.drops('no-endpoint'), 3);
    assert.equal(b.t.fragments.waiting, 0);
  });

  it('are told apart by network, addresses, protocol and identification', () => {
    const b = new Bench(topology(link({ endpoints: [endpoint(), endpoint({ network: 1 })] })));
    const parts = fragments(big(), 600);
    assert.equal(b.client(parts[0]!).verdict, 'forward');
    assert.equal(b.client(parts[1]!, { network: 1 }).verdict, 'held');
    assert.equal(b.client(fragments(big({ id: 78 }), 600)[1]!).verdict, 'held');
    assert.equal(b.client(fragments(big({ src: '10.0.0.6' }), 600)[1]!).verdict, 'held');
    assert.equal(b.backend(parts[1]!).verdict, 'held');
    const tcp = Buffer.from(parts[1]!);
    tcp.writeUInt8(6, 9);
    assert.equal(b.client(withChecksum(tcp)).verdict, 'held');
    assert.equal(b.client(parts[1]!).verdict, 'forward');
    assert.equal(b.t.fragments.waiting, 5);
  });

  it('that wait too long for their first are dropped and counted', () => {
    const b = bench();
    const parts = fragments(big(), 300);
    b.client(parts[1]!);
    b.pass(20_000);
    b.client(parts[2]!);
    b.client(fragments(big({ id: 78 }), 300)[1]!);
    b.pass(9_999);
    assert.equal(b.drops('fragment-timeout'), 0);
    b.pass(1);
    assert.equal(b.drops('fragment-timeout'), 2);
    assert.equal(b.t.fragments.waiting, 1);
    assert.equal(b.client(parts[0]!).sent.length, 1);
    b.pass(20_000);
    assert.equal(b.drops('fragment-timeout'), 3);
  });

  it('that come too long after their first wait for another', () => {
    const b = bench();
    const parts = fragments(big(), 300);
    b.client(parts[0]!);
    b.pass(29_999);
    assert.equal(b.client(parts[1]!).verdict, 'forward');
    b.pass(1);
    assert.equal(b.client(parts[2]!).verdict, 'held');
  });

  it('keep their flow alive', () => {
    const b = bench();
    const parts = fragments(big(), 300);
    b.client(parts[0]!);
    b.pass(20_000);
    b.client(parts[1]!);
    b.pass(239_000);
    assert.equal(b.t.flows.count, 1);
    b.pass(2_000);
    assert.equal(b.t.flows.count, 0);
  });

  it('of a flow that has ended go nowhere, be its record in use again', () => {
    const b = bench();
    const parts = fragments(big(), 300);
    b.client(parts[0]!);
    b.each((t) => t.endFlowsOf(0));
    assert.equal(b.client(parts[1]!).verdict, 'no-flow');
    b.client(udpPacket({ ...PLACE, src: '10.0.0.99' }));
    assert.equal(b.client(parts[2]!).verdict, 'no-flow');
  });

  it('wait within bounds: 64 of a datagram, 2048 in all, 4 MiB', () => {
    const part = (id: number, at: number, octets = 8): Buffer => {
      const packet = ipv4Packet(17, { ...PLACE, id }, Buffer.alloc(octets));
      packet.writeUInt16BE(0x2000 | at, 6);
      return withChecksum(packet);
    };
    const one = bench();
    for (let i = 1; i <= 64; i++) assert.equal(one.client(part(1, i)).verdict, 'held');
    assert.equal(one.client(part(1, 65)).verdict, 'fragment-limit');
    assert.equal(one.client(part(2, 1)).verdict, 'held');
    const many = bench();
    for (let i = 0; i < 2048; i++) assert.equal(many.client(part(i, 1)).verdict, 'held');
    assert.equal(many.client(part(3000, 1)).verdict, 'fragment-limit');
    many.pass(30_000);
    assert.equal(many.client(part(3000, 1)).verdict, 'held');
    const large = bench();
    const octets = 60_000;
    const room = Math.floor((4 << 20) / (octets + 20));
    for (let i = 0; i < room; i++) assert.equal(large.client(part(i, 1, octets)).verdict, 'held');
    assert.equal(large.client(part(5000, 1, octets)).verdict, 'fragment-limit');
    assert.equal(large.drops('fragment-limit'), 1);
  });
});

describe('malformed fragments', () => {
  const raw = (protocol: number, field: number, octets: number): Buffer => {
    const packet = ipv4Packet(protocol, PLACE, Buffer.alloc(octets));
    packet.writeUInt16BE(field, 6);
    return withChecksum(packet);
  };
  const cases: [string, Buffer, string][] = [
    ['without data', raw(17, 0x2005, 0), 'fragment-malformed'],
    ['not the last, of a length that is no multiple of 8', raw(17, 0x2005, 12), 'fragment-malformed'],
    ['the last, of any length', raw(17, 0x0005, 13), 'held'],
    ['at the highest offset there is', raw(17, 0x1fff, 1), 'fragment-malformed'],
    ['that reach 65,535 octets with the header', raw(17, 8187, 65_535 - 20 - 8187 * 8), 'held'],
    ['that reach past 65,535 octets with the header', raw(17, 8187, 65_536 - 20 - 8187 * 8), 'fragment-malformed'],
    ['a tiny first one that splits the TCP header (RFC 1858)', raw(6, 0x2000, 16), 'tcp-malformed'],
    ['one that begins inside the TCP header (RFC 3128)', raw(6, 0x2001, 16), 'fragment-malformed'],
    ['one that begins inside the TCP header, at 16', raw(6, 0x0002, 16), 'fragment-malformed'],
    ['one right behind it', raw(6, 0x0003, 16), 'held'],
    ['a first one of UDP with no more than the header', raw(17, 0x2000, 8), 'udp-malformed'],
  ];
  for (const [what, packet, verdict] of cases) {
    it(`${what}: ${verdict}`, () => {
      assert.equal(bench().client(packet).verdict, verdict);
      assert.equal(bench().backend(packet).verdict, verdict);
    });
  }
});

describe('identifications of fragmented datagrams', () => {
  const first = (b: Bench, fields: Partial<UdpFields>, network = 0): Buffer =>
    only(b.client(fragments(big(fields), 600)[0]!, { network })).octets;
  const second = (b: Bench, fields: Partial<UdpFields>, network = 0): Buffer =>
    only(b.client(fragments(big(fields), 600)[1]!, { network })).octets;

  it('are kept where nobody else uses them', () => {
    const b = bench();
    assert.equal(ip(first(b, { id: 5 })).id, 5);
    assert.equal(ip(first(b, { id: 6, src: '10.0.0.6' })).id, 6);
    assert.equal(ip(first(b, { id: 5 })).id, 5, 'the same sender again');
    assert.equal(b.t.counters.identificationsChanged, 0);
  });

  it('are changed where another consumer behind the same address uses them (RFC 6864)', () => {
    const b = bench();
    const others = ['10.0.0.6', '10.0.0.7', '10.0.0.8'];
    const seen = [ip(first(b, { id: 5 })).id];
    for (const src of others) seen.push(ip(first(b, { id: 5, src })).id);
    assert.equal(new Set(seen).size, 4);
    assert.equal(b.t.counters.identificationsChanged, 3);
    assert.equal(ip(second(b, { id: 5 })).id, seen[0]);
    others.forEach((src, i) => {
      assert.equal(ip(second(b, { id: 5, src })).id, seen[i + 1]);
    });
  });

  it('are free again when the datagram’s time is over', () => {
    const b = bench();
    first(b, { id: 5 });
    b.pass(29_999);
    assert.notEqual(ip(first(b, { id: 5, src: '10.0.0.7' })).id, 5);
    b.pass(1);
    assert.equal(ip(first(b, { id: 5, src: '10.0.0.6' })).id, 5);
  });

  it('towards consumers are told apart by network: the same addresses are not the same host', () => {
    const b = new Bench(topology(link({ endpoints: [endpoint(), endpoint({ network: 1 })] })));
    const ports = [0, 1].map((network) => {
      const packet = udpPacket({ ...PLACE, df: true });
      return only(b.client(packet, { network })).octets.readUInt16BE(20);
    });
    const ids = ports.map((dport) => {
      const answer = big({ src: BACKEND, dst: NAT, sport: 53, dport, id: dport });
      answer.writeUInt16BE(5, 4);
      return ip(only(b.backend(fragments(withChecksum(answer), 600)[0]!)).octets).id;
    });
    assert.deepEqual(ids, [5, 5]);
  });

  it('of whole packets are nobody’s concern', () => {
    const b = bench();
    first(b, { id: 5 });
    assert.equal(ip(only(b.client(udpPacket({ ...PLACE, id: 5, src: '10.0.0.6' }))).octets).id, 5);
    const syn = tcpPacket({ ...PLACE, id: 5, src: '10.0.0.6', flags: SYN });
    assert.equal(ip(only(b.client(syn)).octets).id, 5);
  });
});
