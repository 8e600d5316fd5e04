import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MAX_RATE, Policer } from '../../../src/translate/policer.js';
import { address, Bench, link, topology } from '../../support/bench.js';
import { RST, SYN, tcpPacket, udpPacket } from '../../support/packets.js';
import { BACKEND, CLIENT, ENDPOINT, Stream } from '../../support/stream.js';

const MEGABIT = 1_000_000;
const DIRECT = { rules: [], destination: address(BACKEND) };
const direct = (bitsPerSecond: number): Bench => new Bench(topology(link({ ...DIRECT, bitsPerSecond })));
const place = { src: CLIENT, dst: ENDPOINT, sport: 1000, dport: 443 };
/** A datagram of so many octets in all. */
const query = (octets: number): Buffer => udpPacket({ ...place, payload: Buffer.alloc(octets - 28) });

/** A bucket of fractions of a bit, in whole numbers of any size. */
class NaiveBucket {
  private readonly rate: bigint;
  private readonly burst: bigint;
  private tokens: bigint;
  private at = 0n;

  constructor(rate: number) {
    this.rate = BigInt(rate);
    const tenMs = this.rate * 10_000n;
    const least = 131_072n * 8_000_000n;
    this.burst = tenMs > least ? tenMs : least;
    this.tokens = this.burst;
  }

  passes(octets: number, us: number): boolean {
    this.tokens += (BigInt(us) - this.at) * this.rate;
    this.at = BigInt(us);
    if (this.tokens > this.burst) this.tokens = this.burst;
    const cost = BigInt(octets) * 8_000_000n;
    if (cost > this.tokens) return false;
    this.tokens -= cost;
    return true;
  }
}

describe('the policer of a link', () => {
  it('lets through what a naive bucket does, packet by packet, at every rate', () => {
    const rates = [1, 7, 999_983, MEGABIT, 123_456_789, 10_000 * MEGABIT, MAX_RATE];
    const packets = fc.array(
      fc.record({
        pauseUs: fc.oneof(
          fc.constantFrom(0, 0, 1),
          fc.integer({ min: 0, max: 20_000 }),
          fc.integer({ min: 0, max: 2 ** 40 }),
        ),
        octets: fc.oneof(fc.integer({ min: 20, max: 65_535 }), fc.constant(65_535)),
        side: fc.constantFrom(0, 1),
        // A clock's fraction of a microsecond counts for nothing.
        fraction: fc.double({ min: 0.2, max: 0.8, noNaN: true }),
      }),
      { minLength: 50, maxLength: 300 },
    );
    let passed = 0;
    let refused = 0;
    const compare = (
      rate: number,
      traffic: readonly { pauseUs: number; octets: number; side: number; fraction: number }[],
    ): void => {
      const policer = new Policer(rate);
      const naive = [new NaiveBucket(rate), new NaiveBucket(rate)];
      let us = 0;
      for (const { pauseUs, octets, side, fraction } of traffic) {
        us += pauseUs;
        const passes = policer.passes(side, octets, { now: (us + fraction) / 1000 });
        assert.equal(passes, naive[side]!.passes(octets, us), `${String(octets)} octets at ${String(us)} us`);
        if (passes) passed++;
        else refused++;
      }
    };
    fc.assert(fc.property(fc.constantFrom(...rates), packets, compare), { numRuns: 300 });
    assert.ok(passed > 5000 && refused > 1000, `${String(passed)} passed, ${String(refused)} refused`);
  });

  it('passes a burst of 10 ms, at least 128 KiB, and then its rate to the octet', () => {
    assert.equal(new Policer(10_000 * MEGABIT).burstOctets, 12_500_000);
    assert.equal(new Policer(MEGABIT).burstOctets, 131_072);
    const policer = new Policer(8 * MEGABIT); // an octet a microsecond
    const pass = (octets: number, us: number): boolean => policer.passes(0, octets, { now: us / 1000 });
    assert.ok(pass(65_535, 1e9) && pass(65_535, 1e9) && pass(2, 1e9), 'the whole burst');
    assert.ok(!pass(1, 1e9));
    let octets = 0;
    for (let us = 1; us <= 1_000_000; us++) if (pass(1000, 1e9 + us)) octets += 1000;
    assert.equal(octets, 1_000_000, 'in a second');
    assert.ok(!pass(1000, 1e9 + 1_000_999));
    assert.ok(pass(1000, 1e9 + 1_001_000));
  });
});

describe('the bandwidth of Direct Connect on the packet path', () => {
  it('drops what is beyond it, counted, and passes again in time; UDP', () => {
    const b = direct(8 * MEGABIT);
    const sent = (): string => b.client(query(1000)).verdict;
    for (let i = 0; i < 131; i++) assert.equal(sent(), 'forward', String(i));
    assert.equal(sent(), 'bandwidth-exceeded');
    assert.equal(b.drops('bandwidth-exceeded'), 1);
    b.pass(1); // 1000 octets, and 72 were left
    assert.deepEqual([sent(), sent()], ['forward', 'bandwidth-exceeded']);
    assert.equal(b.t.tables.octets[0], 132_000, 'only what passed counts');
  });

  it('holds for each direction by itself, and for established TCP by the short way', () => {
    const s = new Stream(direct(8 * MEGABIT)).established();
    s.bench.pass(1000);
    const payload = Buffer.alloc(960);
    const out = (): string => s.send({ payload }).verdict;
    const back = (): string => s.reply({ payload, acked: s.length }).verdict;
    for (const way of [out, back]) {
      for (let i = 0; i < 131; i++) assert.equal(way(), 'forward', String(i));
      assert.equal(way(), 'bandwidth-exceeded');
      assert.equal(way(), 'bandwidth-exceeded', 'what is dropped takes nothing');
    }
    s.bench.pass(1);
    assert.deepEqual(
      [out(), back(), out(), back()],
      ['forward', 'forward', 'bandwidth-exceeded', 'bandwidth-exceeded'],
    );
  });

  it('is one for all flows and endpoints of the service', () => {
    const b = direct(8 * MEGABIT);
    for (let i = 0; i < 131; i++) b.client(udpPacket({ ...place, sport: 2000 + i, payload: Buffer.alloc(972) }));
    assert.equal(b.drops('bandwidth-exceeded'), 0);
    const syn = tcpPacket({ ...place, flags: SYN });
    assert.equal(b.client(syn).verdict, 'forward', '72 octets were left');
    assert.equal(b.client(query(100)).verdict, 'bandwidth-exceeded');
  });

  it('holds for a connection that begins anew on its tuple', () => {
    const first = new Stream(direct(8 * MEGABIT)).established();
    first.reply({ flags: RST, at: 0, acked: first.length });
    const again = new Stream(first.bench, { isn: 50_000 }).established();
    assert.equal(first.bench.t.flows.count, 1);
    first.bench.pass(1000);
    const verdicts = Array.from({ length: 132 }, () => again.send({ payload: Buffer.alloc(960) }).verdict);
    assert.equal(verdicts.indexOf('bandwidth-exceeded'), 131);
  });

  it('leaves no trace of what it drops: no flow, no port, no sign of life, no state', () => {
    const b = direct(8 * MEGABIT);
    const s = new Stream(b).established();
    const r = b.t.core.r;
    const used = (): number => b.t.tables.pools.reduce((sum, pool) => sum + pool.inUse, 0);
    b.pass(1000);
    for (let i = 0; i < 131; i++) b.client(query(1000));
    for (let i = 0; i < 131; i++) s.reply({ payload: Buffer.alloc(960), acked: s.length });
    b.client(query(56));
    s.reply({ payload: Buffer.alloc(16), acked: s.length });
    const [flows, ports, records] = [b.t.flows.count, used(), [...r.subarray(0, 56)]];
    b.pass(0);
    const again = new Stream(b, { isn: 900_000, clientPort: 5000 });
    const packets = [
      again.clientPacket({ flags: SYN, at: -1, ack: 0 }),
      udpPacket({ ...place, sport: 1234, payload: Buffer.alloc(100) }),
      query(1000),
      s.clientPacket({ flags: RST, at: 0 }),
      s.clientPacket({ flags: SYN, at: 1_000_000, ack: 0 }),
      s.clientPacket({ payload: Buffer.alloc(100) }),
    ];
    for (const packet of packets) assert.equal(b.client(packet).verdict, 'bandwidth-exceeded');
    assert.equal(s.reply({ flags: RST, at: 131 * 960 + 16, acked: s.length }).verdict, 'bandwidth-exceeded');
    assert.deepEqual([b.t.flows.count, used(), [...r.subarray(0, 56)]], [flows, ports, records]);
  });

  it('is not taken by an acknowledgment of the header that ends here, nor does a used up one keep it out', () => {
    const lab = topology(link({ ...DIRECT, bitsPerSecond: MEGABIT }));
    const left = (absorbHeaderAck: boolean): number => {
      const s = new Stream(new Bench(lab, { absorbHeaderAck })).open();
      assert.equal(s.reply({ acked: s.length }).verdict, absorbHeaderAck ? 'absorbed' : 'forward');
      let octets = 0;
      for (; s.reply({ payload: 'x', acked: s.length }).verdict === 'forward'; octets += 41);
      return octets;
    };
    assert.equal(left(true) - left(false), 41, 'a bare ACK of 40 octets');
    const s = new Stream(new Bench(lab, { absorbHeaderAck: true })).open();
    const other = new Stream(s.bench, { clientPort: 5000 });
    other.syn();
    other.synAck();
    other.send();
    const answer = { payload: Buffer.alloc(960), acked: other.length };
    while (other.reply(answer).verdict === 'forward');
    assert.equal(s.reply({ acked: s.length }).verdict, 'absorbed');
    assert.deepEqual(s.bench.pass(60_000 / 2), [], 'the header is settled, none goes by timer');
  });

  it('counts headers, which go in any case, against what comes next', () => {
    const left = (proxy: 'azure' | null): number => {
      const b = new Bench(
        topology(link({ ...DIRECT, bitsPerSecond: MEGABIT, proxy: proxy === null ? null : { dialect: proxy } })),
      );
      const s = new Stream(b);
      s.syn();
      s.synAck();
      s.send();
      s.send({ payload: 'x' });
      let octets = 0;
      for (; b.client(query(28 + 1)).verdict === 'forward'; octets += 29);
      return octets;
    };
    const more = left(null) - left('azure');
    assert.ok(Math.abs(more - 36) <= 29, `${String(more)} octets`);
    const slow = new Stream(direct(800)).open(); // an octet in 10 ms
    slow.bench.pass(190);
    while (slow.bench.client(query(29)).verdict === 'forward');
    slow.isHeader(slow.bench.pass(100)[0]!);
  });

  it('is nothing to other links, and to none without a limit', () => {
    const burst = (b: Bench): number => {
      for (let i = 0; i < 300; i++) b.client(query(1000));
      return b.drops('bandwidth-exceeded');
    };
    assert.equal(burst(direct(MEGABIT)), 169);
    assert.equal(burst(new Bench(topology(link(DIRECT)))), 0);
    assert.equal(burst(new Bench(topology(link({ bitsPerSecond: MEGABIT })))), 0, 'a link behind a load balancer');
  });

  it('follows a reload: another rate counts at once, the same one keeps its tokens', () => {
    const b = direct(MEGABIT);
    const apply = (more: object): number =>
      b.each((t) => t.tables.apply(topology(link({ ...DIRECT, ...more }))).length);
    for (let i = 0; i < 131; i++) b.client(query(1000));
    apply({ bitsPerSecond: MEGABIT });
    assert.equal(b.client(query(1000)).verdict, 'bandwidth-exceeded');
    apply({});
    assert.equal(b.client(query(1000)).verdict, 'forward');
    apply({ bitsPerSecond: 2 * MEGABIT });
    for (let i = 0; i < 131; i++) assert.equal(b.client(query(1000)).verdict, 'forward');
    assert.equal(b.client(query(1000)).verdict, 'bandwidth-exceeded', 'a live flow, too');
  });
});
