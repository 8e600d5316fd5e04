import assert from 'node:assert/strict';
import { Bench, topology } from '../../support/bench.js';
import { segment } from '../../support/dissect.js';
import { ACK, PSH, RST } from '../../support/packets.js';
import { only, Stream, two } from '../../support/stream.js';

/** A tick of the wheel, by which a timer may be late. */
const TICK = 32;

const TIMESTAMPS = Buffer.from('0101080a0000a001000b0002', 'hex');

/** Opens a stream whose handshake takes `rtt` ms. */
function opened(rtt: number, options?: Buffer): Stream {
  const s = new Stream(new Bench(topology()));
  s.bench.pass(1000);
  s.syn();
  assert.deepEqual(s.bench.pass(rtt), []);
  s.synAck();
  s.isHeader(only(s.send(options === undefined ? {} : { options })));
  return s;
}

/** When the timer sends, in milliseconds from now, within a tick; looks at every tick for `ms`. */
function firings(s: Stream, ms: number): number[] {
  const at: number[] = [];
  for (let t = TICK; t <= ms; t += TICK) {
    for (const sent of s.bench.pass(TICK)) {
      s.isHeader(sent);
      at.push(t);
    }
  }
  return at;
}

function assertNear(found: readonly number[], expected: readonly number[]): void {
  assert.equal(found.length, expected.length, `fired at ${found.join(', ')}; expected ${expected.join(', ')}`);
  found.forEach((t, i) => {
    const due = expected[i]!;
    // Each time-out starts where the last one fired.
    assert.ok(t >= due && t <= due + (i + 2) * TICK, `fired at ${found.join(', ')}; expected ${expected.join(', ')}`);
  });
}

describe('header timer', () => {
  it('sends the header again after 200 ms at least, doubling, 6 times (stream-insertion rule 3, case 1)', () => {
    assertNear(firings(opened(1), 60_000), [200, 600, 1400, 3000, 6200, 12600]);
  });

  it('starts from twice the measured round trip of the handshake', () => {
    assertNear(firings(opened(250), 60_000).slice(0, 3), [500, 1500, 3500]);
  });

  it('measures the round trip by the first SYN-ACK, not by one that is repeated', () => {
    const s = new Stream(new Bench(topology()));
    s.syn();
    s.bench.pass(50);
    s.synAck();
    s.bench.pass(3000);
    s.synAck();
    s.isHeader(only(s.send()));
    assertNear(firings(s, 1000), [200, 600]);
  });

  it('starts from 3 s at most, and doubles that too', () => {
    assertNear(firings(opened(5000), 260_000), [3000, 9000, 21_000, 45_000, 93_000, 189_000]);
  });

  it('sends once, not twice, when time has stood still for long', () => {
    // The wheel goes round in 16 s; wherever in its turn the silence ends, the next time-out counts from there.
    for (let silence = 16_000; silence < 33_000; silence += 480) {
      const s = opened(1);
      assert.equal(s.bench.pass(silence).length, 1, `after ${silence} ms`);
      assert.equal(s.bench.pass(350).length, 0, `after ${silence} ms`);
      assert.equal(s.bench.pass(150).length, 1, `after ${silence} ms`);
    }
  });

  it('stops when the backend acknowledges the header', () => {
    const s = opened(1);
    assertNear(firings(s, 320), [200]);
    only(s.reply({ acked: 36 }));
    assert.deepEqual(s.bench.pass(60_000), []);
  });

  it('goes on while the backend acknowledges a part of the header only', () => {
    const s = opened(1);
    only(s.reply({ acked: 35 }));
    assert.equal(s.bench.pass(300).length, 1);
  });

  it('goes on when the backend acknowledges more than was sent, which is of another connection', () => {
    const s = opened(1);
    only(s.reply({ acked: 37 }));
    assert.equal(s.bench.pass(300).length, 1);
  });

  it('stops at an RST that ends the connection, from either side', () => {
    const refused = opened(1);
    only(refused.reply({ flags: RST }));
    assert.deepEqual(refused.bench.pass(60_000), []);
    const given = opened(1);
    two(given.send({ flags: RST }));
    assert.deepEqual(given.bench.pass(60_000), []);
  });

  it('does not begin anew after its 6 tries when the client repeats itself', () => {
    const s = opened(1);
    firings(s, 13_000);
    s.isHeader(only(s.send()));
    assert.deepEqual(s.bench.pass(40_000), []);
  });

  it('makes the segment after the last one that carried the header: ack, window, timestamps, TTL', () => {
    const s = new Stream(new Bench(topology()));
    s.syn();
    s.synAck();
    s.isHeader(only(s.send({ options: TIMESTAMPS, window: 501, ttl: 17, tos: 0x48, acked: 0 })));
    only(s.reply({ payload: 'greeting', at: 0 }));
    s.isHeader(only(s.send({ options: TIMESTAMPS, window: 502, ttl: 17, tos: 0x48, acked: 8 })));
    const out = s.isHeader(only(s.bench.pass(300)));
    assert.deepEqual([out.flags, out.ack, out.window], [PSH | ACK, s.b + 8, 502]);
    assert.equal(out.options.toString('hex'), TIMESTAMPS.toString('hex'));
    assert.deepEqual([out.ttl, out.tos, out.id, out.fragment, out.urgent], [16, 0x48, 0, 0x4000, 0]);
  });

  it('keeps the newer time stamps where an older ACK comes late: the backend refuses older ones (RFC 7323 section 5.3)', () => {
    const stamps = (value: number): Buffer => {
      const options = Buffer.from(TIMESTAMPS);
      options.writeUInt32BE(value >>> 0, 4);
      return options;
    };
    for (const [newer, older] of [
      [500, 499],
      [5, 0xfffffff0],
    ] as const) {
      const s = new Stream(new Bench(topology()));
      s.syn();
      s.synAck();
      s.isHeader(only(s.send({ options: stamps(newer), window: 900 })));
      s.isHeader(only(s.send({ options: stamps(older), window: 800 })));
      const out = s.isHeader(only(s.bench.pass(300)));
      assert.deepEqual(out.options, stamps(newer));
      assert.equal(out.window, 900);
    }
  });

  it('sends no options where the client sends no timestamps', () => {
    const s = opened(1, Buffer.from('01010101', 'hex'));
    assert.equal(segment(only(s.bench.pass(300)).octets).options.length, 0);
  });

  it('sends nothing where it is switched off', () => {
    const s = new Stream(new Bench(topology(), { headerTimer: false }));
    s.open();
    assert.deepEqual(s.bench.pass(50_000), []);
  });

  it('counts what it sends as sent again', () => {
    const s = opened(1);
    firings(s, 20_000);
    assert.deepEqual([s.bench.t.counters.headersInserted, s.bench.t.counters.headersResent], [1, 6]);
  });

  it('ends with its flow', () => {
    const s = opened(1);
    assert.equal(
      s.bench.each((t) => t.endFlowsOf(0)),
      1,
    );
    assert.deepEqual(s.bench.pass(60_000), []);
    // The record is used again by the next flow without a timer of the old one.
    const next = new Stream(s.bench, { clientPort: 40001 });
    next.syn();
    assert.deepEqual(s.bench.pass(30_000), []);
  });
});
