import assert from 'node:assert/strict';
import { Bench, endpoint, link, type Outcome, rule, topology } from '../../support/bench.js';
import { faults, ip } from '../../support/dissect.js';
import { icmpError, ipv4Packet, onesSum, SYN, tcpPacket, udpPacket, withChecksum } from '../../support/packets.js';
import { BACKEND, CLIENT, ENDPOINT, NAT, only, Stream } from '../../support/stream.js';

const ROUTER = '203.0.113.9';
const bench = (): Bench => new Bench(topology());

/** The packet one hop on. */
function forwarded(packet: Buffer): Buffer {
  const out = Buffer.from(packet);
  out.writeUInt8(out.readUInt8(8) - 1, 8);
  out.writeUInt16BE(0, 10);
  out.writeUInt16BE(0xffff - onesSum(out.subarray(0, (out.readUInt8(0) & 15) * 4)), 10);
  return out;
}

/** The quoted packet inside an ICMP error. */
const quoted = (error: Buffer): Buffer => error.subarray((error.readUInt8(0) & 15) * 4 + 8);

/** Lengths of quotes that a router may choose, from the ports on; none cuts a number in two. */
const lengths = (packet: Buffer): number[] => {
  const header = (packet.readUInt8(0) & 15) * 4;
  return [8, 12, 13, 14, 15, 16, 18, 19, 20, 24, packet.length - header].map((n) => header + n);
};

/** An error about what the provider's side saw of a client packet. */
function fromProvider(b: Bench, about: Buffer, quote?: number, src = ROUTER, type = 3, code = 1): Outcome {
  const fields = { src, dst: NAT, about, type, code, rest: 1400, ttl: 50 };
  return b.backend(icmpError(quote === undefined ? fields : { ...fields, quote }));
}

function fromConsumer(b: Bench, about: Buffer, quote?: number, src = CLIENT, type = 3): Outcome {
  const fields = { src, dst: ENDPOINT, about, type, code: 3, ttl: 50 };
  return b.client(icmpError(quote === undefined ? fields : { ...fields, quote }));
}

describe('ICMP errors from the provider’s side', () => {
  it('quote the client’s own TCP segment again, whatever their length (stream-insertion case 22)', () => {
    const s = new Stream(bench()).established();
    for (const packet of [
      s.clientPacket({ at: 0, payload: 'hello' }),
      s.clientPacket({ at: 5, payload: 'odd', ipOptions: Buffer.from('94040000', 'hex') }),
      s.clientPacket({ at: -1, payload: '\0' }),
      s.clientPacket({ at: -1, flags: SYN, ack: 0, options: Buffer.from('020405b4', 'hex') }),
    ]) {
      const seen = only(s.bench.client(packet)).octets;
      for (const quote of lengths(seen)) {
        const { to, octets } = only(fromProvider(s.bench, seen, quote));
        assert.equal(to, 'consumer');
        const error = ip(octets);
        assert.deepEqual([error.src, error.dst, error.ttl], [ROUTER, CLIENT, 49]);
        assert.equal(error.payload.readUInt32BE(4), 1400, 'the next hop’s MTU');
        assert.equal(quoted(octets).toString('hex'), forwarded(packet).subarray(0, quote).toString('hex'));
      }
    }
    assert.ok(s.bench.t.counters.icmpErrors > 40);
  });

  it('quote the client’s own UDP datagram again (stream-insertion case 22)', () => {
    const b = bench();
    const place = { src: CLIENT, dst: ENDPOINT, sport: 5353, dport: 53 };
    for (const packet of [
      udpPacket({ ...place, payload: 'query' }),
      udpPacket({ ...place, payload: 'none', checksum: false }),
      udpPacket({ ...place, payload: withSum(place, 0xffff) }),
      udpPacket({ ...place, payload: withSum(place, 1) }),
    ]) {
      const seen = only(b.client(packet)).octets;
      for (const quote of [28, seen.length]) {
        const { octets } = only(fromProvider(b, seen, quote));
        assert.equal(quoted(octets).toString('hex'), forwarded(packet).subarray(0, quote).toString('hex'));
      }
    }
  });

  it('keep a checksum of the quoted packet wrong by the same difference', () => {
    const s = new Stream(bench()).established();
    const seen = only(s.send({ payload: 'hello' })).octets;
    const wrong = Buffer.from(seen);
    wrong.writeUInt16BE((wrong.readUInt16BE(36) + 5) & 0xffff, 36);
    const { octets } = only(fromProvider(s.bench, wrong));
    const inner = quoted(octets);
    assert.deepEqual(faults(inner), ['TCP checksum']);
    inner.writeUInt16BE((inner.readUInt16BE(16 + 20) + 0xffff - 5) % 0xffff, 36);
    assert.deepEqual(faults(inner), []);
  });

  it('of the backend itself come from the endpoint, those of routers keep their address (RFC 5508 REQ-4)', () => {
    const s = new Stream(bench()).established();
    const seen = only(s.send({ payload: 'x' })).octets;
    assert.equal(ip(only(fromProvider(s.bench, seen, 28, BACKEND)).octets).src, ENDPOINT);
    assert.equal(ip(only(fromProvider(s.bench, seen, 28, '10.1.0.1')).octets).src, '10.1.0.1');
  });

  it('about the header alone never reach the client (stream-insertion case 22)', () => {
    const s = new Stream(bench());
    s.syn();
    s.synAck();
    const header = only(s.send()).octets;
    const outcome = fromProvider(s.bench, header, 28);
    assert.deepEqual([outcome.verdict, outcome.sent.length], ['icmp-about-header', 0]);
    assert.equal(s.bench.drops('icmp-about-header'), 1);
    const inside = Buffer.from(header);
    inside.writeUInt32BE((s.s + 35) >>> 0, 24);
    assert.equal(fromProvider(s.bench, withChecksum(inside), 28).verdict, 'icmp-about-header');
    inside.writeUInt32BE((s.s + 36) >>> 0, 24);
    assert.equal(fromProvider(s.bench, withChecksum(inside), 28).verdict, 'forward');
  });

  it('neither refresh nor end the flow (stream-insertion case 22, RFC 5508)', () => {
    const s = new Stream(bench()).established();
    const seen = only(s.send({ payload: 'x' })).octets;
    s.bench.pass(239_000);
    assert.equal(fromProvider(s.bench, seen, 28).verdict, 'forward');
    assert.equal(s.bench.t.flows.count, 1);
    s.bench.pass(1500);
    assert.equal(s.bench.t.flows.count, 0);
  });

  it('are not taken for the last packet of a flow when its time is set right', () => {
    const s = new Stream(bench()).established();
    const seen = only(s.send({ payload: 'x' })).octets;
    for (const other of [
      (): string => fromProvider(s.bench, seen, 28).verdict,
      (): string => s.bench.backend(Buffer.alloc(20)).verdict,
      (): string => s.bench.client(Buffer.alloc(20)).verdict,
    ]) {
      other();
      s.bench.each((t) => t.touch(1_000_000));
      assert.equal(
        s.bench.each((t) => t.core.idleMs(0)),
        0,
      );
    }
    only(s.reply({ acked: 36 }));
    s.bench.each((t) => t.touch(1000));
    s.bench.pass(1000);
    assert.equal(
      s.bench.each((t) => t.core.idleMs(0)),
      0,
    );
    s.bench.pass(1);
    assert.equal(
      s.bench.each((t) => t.core.idleMs(0)),
      1,
    );
  });

  it('reach the network of their flow', () => {
    const b = new Bench(topology(link({ endpoints: [endpoint(), endpoint({ name: 'other', network: 1 })] })));
    for (const network of [0, 1]) {
      const syn = only(
        b.client(tcpPacket({ src: CLIENT, dst: ENDPOINT, sport: 1, dport: 2, flags: SYN }), { network }),
      );
      assert.equal(only(fromProvider(b, syn.octets)).network, network);
    }
  });

  it('about packets of no flow are dropped', () => {
    const s = new Stream(bench()).established();
    const seen = only(s.send({ payload: 'x' })).octets;
    const other = Buffer.from(seen);
    other.writeUInt16BE(1, 20);
    assert.equal(fromProvider(s.bench, other).verdict, 'icmp-no-flow');
    const fragment = Buffer.from(seen);
    fragment.writeUInt16BE(5, 6);
    assert.equal(fromProvider(s.bench, fragment).verdict, 'icmp-no-flow', 'a later fragment has no ports');
    const gre = Buffer.from(seen);
    gre.writeUInt8(47, 9);
    assert.equal(fromProvider(s.bench, gre).verdict, 'icmp-no-flow');
    assert.equal(fromProvider(s.bench, s.clientPacket({})).verdict, 'icmp-no-flow', 'the consumer’s form');
    assert.equal(s.bench.drops('icmp-no-flow'), 4);
  });
});

/** A payload of two octets that gives the datagram this checksum. */
function withSum(place: { src: string; dst: string; sport: number; dport: number }, sum: number): Buffer {
  const payload = Buffer.alloc(2);
  const other = udpPacket({ ...place, payload }).readUInt16BE(26);
  payload.writeUInt16BE((other + 0xffff - sum) % 0xffff, 0);
  assert.equal(udpPacket({ ...place, payload }).readUInt16BE(26), sum);
  return payload;
}

describe('ICMP errors from a consumer', () => {
  it('quote the backend’s own packet again, from the NAT address (stream-insertion case 22, RFC 5508 REQ-5)', () => {
    const s = new Stream(bench()).established();
    only(s.send({ payload: 'hello' }));
    for (const packet of [s.backendPacket({ acked: 41, payload: 'reply' }), s.backendPacket({ acked: 36, at: 100 })]) {
      const seen = only(s.bench.backend(packet)).octets;
      for (const quote of lengths(seen)) {
        for (const src of [CLIENT, '10.0.0.77']) {
          const { to, octets } = only(fromConsumer(s.bench, seen, quote, src));
          assert.equal(to, 'provider');
          assert.deepEqual([ip(octets).src, ip(octets).dst, ip(octets).ttl], [NAT, BACKEND, 49]);
          assert.equal(quoted(octets).toString('hex'), forwarded(packet).subarray(0, quote).toString('hex'));
        }
      }
    }
  });

  it('quote a SYN-ACK as it was acknowledged, before the header went (stream-insertion case 22)', () => {
    const s = new Stream(bench());
    s.syn();
    const packet = s.backendPacket({ flags: SYN | 16, at: -1, acked: 0, window: 0 });
    const seen = only(s.bench.backend(packet)).octets;
    for (const quote of lengths(seen)) {
      const { octets } = only(fromConsumer(s.bench, seen, quote));
      assert.equal(quoted(octets).toString('hex'), forwarded(packet).subarray(0, quote).toString('hex'));
    }
    only(s.send());
    for (const quote of [34, 35, seen.length]) {
      const { octets } = only(fromConsumer(s.bench, seen, quote));
      assert.equal(quoted(octets).toString('hex'), forwarded(packet).subarray(0, quote).toString('hex'));
    }
    // Where the quote ends before the flags, it may have been any segment that acknowledged the header.
    const { octets } = only(fromConsumer(s.bench, seen, 33));
    assert.equal((quoted(octets).readUInt32BE(28) - s.s) | 0, 36);
  });

  it('may cut a number in two: the checksum of the error is right all the same', () => {
    const s = new Stream(bench()).established();
    only(s.send({ payload: 'hello' }));
    const toClient = only(s.reply({ acked: 41, payload: 'reply' })).octets;
    const toBackend = only(s.send({ at: 5, payload: 'more' })).octets;
    for (let quote = 28; quote <= 44; quote++) {
      only(fromConsumer(s.bench, toClient, quote));
      only(fromProvider(s.bench, toBackend, quote));
    }
  });

  it('quote the backend’s own UDP datagram again', () => {
    const b = bench();
    const out = only(b.client(udpPacket({ src: CLIENT, dst: ENDPOINT, sport: 5353, dport: 53, payload: 'q' }))).octets;
    const place = { src: BACKEND, dst: NAT, sport: 53, dport: out.readUInt16BE(20) };
    for (const packet of [
      udpPacket({ ...place, payload: 'answer' }),
      udpPacket({ ...place, payload: 'answer', checksum: false }),
      udpPacket({ ...place, payload: withSum(place, 0xffff) }),
    ]) {
      const seen = only(b.backend(packet)).octets;
      const { octets } = only(fromConsumer(b, seen));
      assert.equal(quoted(octets).toString('hex'), forwarded(packet).toString('hex'));
    }
  });

  it('about the consumer’s own packets or other networks’ are dropped', () => {
    const s = new Stream(bench()).established();
    const seen = only(s.reply({ acked: 36 })).octets;
    assert.equal(fromConsumer(s.bench, s.clientPacket({})).verdict, 'icmp-no-flow');
    const error = icmpError({ src: CLIENT, dst: ENDPOINT, about: seen });
    assert.equal(s.bench.client(error, { network: 1 }).verdict, 'icmp-no-flow');
    assert.equal(s.bench.client(error).verdict, 'forward');
  });
});

describe('ICMP', () => {
  it('passes unreachable, time exceeded, parameter problem and source quench', () => {
    const s = new Stream(bench()).established();
    const seen = only(s.send({ payload: 'x' })).octets;
    for (let type = 0; type < 256; type++) {
      const { verdict } = fromProvider(s.bench, seen, 28, ROUTER, type);
      assert.equal(verdict, [3, 4, 11, 12].includes(type) ? 'forward' : 'icmp-not-error', `type ${type}`);
    }
  });

  it('that quotes too little or nonsense is malformed', () => {
    const s = new Stream(bench()).established();
    const seen = only(s.send({ payload: 'x' })).octets;
    for (const quote of [0, 1, 19, 20, 27]) {
      assert.equal(fromProvider(s.bench, seen, quote).verdict, 'icmp-malformed', `${quote} octets`);
    }
    const long = s.clientPacket({ ipOptions: Buffer.alloc(8, 1), payload: 'x' });
    for (const quote of [28, 35]) assert.equal(fromProvider(s.bench, long, quote).verdict, 'icmp-malformed');
    for (const first of [0x65, 0x44, 0x40, 0x4f]) {
      const bad = Buffer.from(seen);
      bad.writeUInt8(first, 0);
      assert.equal(fromProvider(s.bench, bad, 40).verdict, 'icmp-malformed', `octet ${first}`);
    }
    for (const length of [0, 4, 7]) {
      const short = ipv4Packet(1, { src: ROUTER, dst: NAT }, Buffer.alloc(length, 3));
      assert.equal(s.bench.backend(short).verdict, 'icmp-malformed');
    }
    assert.equal(s.bench.drops('icmp-malformed'), 14);
  });

  it('in fragments is not looked into', () => {
    const s = new Stream(bench()).established();
    const seen = only(s.send({ payload: 'x' })).octets;
    const error = icmpError({ src: ROUTER, dst: NAT, about: seen });
    error.writeUInt16BE(0x2000, 6);
    assert.equal(s.bench.backend(withChecksum(error)).verdict, 'not-tcp-udp');
  });

  it('keeps its own checksum wrong by the same difference', () => {
    const s = new Stream(bench()).established();
    const seen = only(s.send({ payload: 'x' })).octets;
    const error = icmpError({ src: ROUTER, dst: NAT, about: seen });
    error.writeUInt16BE((error.readUInt16BE(22) + 7) & 0xffff, 22);
    const [sent] = s.bench.backend(error, { sound: false }).sent;
    assert.deepEqual(faults(sent!.octets), ['ICMP checksum']);
    sent!.octets.writeUInt16BE((sent!.octets.readUInt16BE(22) + 0xffff - 7) % 0xffff, 22);
    assert.deepEqual(faults(sent!.octets), []);
  });

  it('of a service without PROXY keeps numbers and maps the rest', () => {
    const s = new Stream(new Bench(topology(link({ proxy: null, rules: [rule()] }))));
    s.syn();
    s.synAck();
    const packet = s.clientPacket({ at: 3, payload: 'abc' });
    const seen = only(s.bench.client(packet)).octets;
    const { octets } = only(fromProvider(s.bench, seen));
    assert.equal(quoted(octets).toString('hex'), forwarded(packet).toString('hex'));
  });
});
