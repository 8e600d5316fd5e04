import assert from 'node:assert/strict';
import { Bench, link, rule, topology } from '../../support/bench.js';
import { segment } from '../../support/dissect.js';
import { ACK, FIN, RST, SYN } from '../../support/packets.js';
import { only, Stream, two } from '../../support/stream.js';

const TICK = 256;
const bench = (options = {}): Bench => new Bench(topology(), options);

/** FIN both ways, all acknowledged. */
function close(s: Stream): void {
  only(s.send({ flags: FIN | ACK }));
  only(s.reply({ flags: FIN | ACK, acked: s.length + 1 }));
  only(s.send({ at: 1, acked: 1 }));
}

/** Opens another connection on the tuple of an older one. */
function again(old: Stream, isn: number): Stream {
  const s = new Stream(old.bench, { isn, backendIsn: 0xabcdef });
  only(s.syn());
  return s;
}

/** The connection gets its header and maps its own numbers. */
function works(s: Stream): void {
  only(s.synAck());
  s.isHeader(only(s.send()));
  assert.equal(s.acknowledged(only(s.reply({ acked: 36 }))), 0);
  assert.equal(s.position(only(s.send({ payload: 'abc' }))), 36);
  assert.equal(s.acknowledged(only(s.reply({ acked: 39 }))), 3);
}

describe('reuse of a tuple', () => {
  it('after FIN both ways is a new incarnation on the same port (stream-insertion case 20)', () => {
    const s = new Stream(bench()).established();
    close(s);
    const next = again(s, 5_000_000);
    assert.equal(next.natPort, s.natPort);
    works(next);
    assert.equal(s.bench.t.flows.count, 1);
    assert.equal(s.bench.t.counters.flowsTcp, 2);
    assert.equal(s.bench.t.counters.headersInserted, 2);
  });

  it('after FIN both ways with the same initial number gets its header again (stream-insertion case 20)', () => {
    const s = new Stream(bench()).established();
    close(s);
    works(again(s, 999));
  });

  for (const side of ['client', 'backend'] as const) {
    it(`after an RST from the ${side} is a new incarnation (stream-insertion case 20)`, () => {
      const s = new Stream(bench()).established();
      if (side === 'client') only(s.send({ flags: RST }));
      else only(s.reply({ flags: RST, acked: 36 }));
      const next = again(s, 77);
      assert.equal(next.natPort, s.natPort);
      works(next);
    });
  }

  it('of a half-open connection with a new initial number begins anew (stream-insertion case 20)', () => {
    const s = new Stream(bench());
    only(s.syn());
    works(again(s, 123456));
    const t = new Stream(bench());
    only(t.syn());
    only(t.synAck());
    works(again(t, 123456));
  });

  it('of a live connection from outside its window gets a port of its own (stream-insertion case 20)', () => {
    const s = new Stream(bench()).established();
    only(s.reply({ payload: 'abc', acked: 36, window: 1000 }));
    const next = again(s, 999 + 500_000_000);
    assert.notEqual(next.natPort, s.natPort, 'the backend may still know the old one');
    works(next);
    assert.equal(s.bench.t.flows.count, 1);
    assert.equal(s.reply({ acked: 36 }).verdict, 'no-flow');
  });

  it('of a live connection inside its window passes unchanged, to be challenged (stream-insertion case 20)', () => {
    const s = new Stream(bench()).established();
    only(s.reply({ acked: 36, window: 65535 }));
    for (const at of [1, 100, 65535]) {
      const syn = only(s.send({ flags: SYN, at, ack: 0 }));
      assert.equal(segment(syn.octets).seq, s.s + at);
      assert.equal(segment(syn.octets).flags, SYN);
    }
    // The challenge ACK comes back in the client's numbers, and the connection goes on.
    assert.equal(s.acknowledged(only(s.reply({ acked: 36 }))), 0);
    assert.equal(s.position(only(s.send({ payload: 'abc' }))), 36);
    assert.equal(s.bench.t.counters.flowsTcp, 1);
    assert.notEqual(s.syn({ at: 65536 }).sent[0], undefined);
    assert.equal(s.bench.t.counters.flowsTcp, 2, 'one past the window is a new connection');
  });

  it('of a live connection inside its scaled window passes unchanged too', () => {
    const scaled = (shift: number) => ({ options: Buffer.from([3, 3, shift, 1]) });
    const s = new Stream(bench()).established(scaled(2), scaled(7));
    only(s.reply({ acked: 36, window: 60_000 }));
    assert.equal(segment(only(s.send({ flags: SYN, at: 60_000 * 128, ack: 0 })).octets).sport, s.natPort);
    assert.notEqual(segment(only(s.send({ flags: SYN, at: 60_000 * 128 + 1, ack: 0 })).octets).sport, s.natPort);
  });

  it('follows a backend that takes the in-window SYN for a new connection (stream-insertion case 20)', () => {
    const s = new Stream(bench()).established();
    only(s.reply({ acked: 36, window: 65535 }));
    only(s.send({ flags: SYN, at: 500, ack: 0 }));
    const next = new Stream(s.bench, { isn: s.s + 500, backendIsn: 42 });
    next.natPort = s.natPort;
    works(next);
  });

  it('of a connection whose start was not seen gets a header, whatever its initial number (cases 20 and 24)', () => {
    for (const isn of [999, 0xffffffff, 0]) {
      const s = new Stream(bench({ midstream: 'translate' }));
      only(s.send({ payload: 'middle' }));
      works(again(s, isn));
    }
  });

  it('ends the older one’s header timer, and keeps the rule’s resets', () => {
    const s = new Stream(new Bench(topology(link({ rules: [rule({ tcpReset: true })] })))).open();
    only(s.send({ flags: FIN | ACK }));
    only(s.reply({ flags: FIN | ACK, acked: 0 }));
    const next = again(s, 5);
    assert.deepEqual(s.bench.pass(2000), []);
    works(next);
    assert.equal(s.bench.pass(240_600).length, 2);
  });

  it('takes the window from the newer one’s numbers, though they are lower', () => {
    const s = new Stream(bench()).established();
    only(s.send({ payload: 'x'.repeat(1000) }));
    only(s.reply({ acked: 1036 }));
    only(s.reply({ flags: RST, acked: 1036 }));
    const next = again(s, 5);
    works(next);
    assert.equal(segment(only(next.send({ flags: SYN, at: 10, ack: 0 })).octets).sport, next.natPort);
  });

  it('forgets what the older one had sent: no header timer, no window scale, no numbers', () => {
    const s = new Stream(bench()).open(
      { options: Buffer.from('03030701', 'hex') },
      { options: Buffer.from('03030701', 'hex') },
    );
    only(s.reply({ flags: RST }));
    const next = again(s, 5);
    assert.deepEqual(s.bench.pass(2000), []);
    assert.equal(segment(only(next.synAck({ window: 100 })).octets).window, 64);
    next.isHeader(only(next.send()));
    assert.equal(segment(only(next.reply({ acked: 0, window: 100 })).octets).window, 64, 'unscaled');
  });
});

describe('handshakes', () => {
  it('may repeat SYN and SYN-ACK: the same goes out again (stream-insertion case 21)', () => {
    const s = new Stream(bench());
    const first = only(s.syn());
    const second = only(s.syn());
    assert.ok(first.octets.equals(second.octets));
    const one = only(s.synAck({ options: Buffer.from('03030701', 'hex') }));
    const two = only(s.synAck({ options: Buffer.from('03030701', 'hex') }));
    assert.ok(one.octets.equals(two.octets));
    s.isHeader(only(s.send()));
    only(s.synAck());
    only(s.syn());
    s.isHeader(only(s.send()));
    only(s.reply({ acked: 36 }));
    assert.equal(s.position(only(s.send({ payload: 'a' }))), 36);
    assert.equal(s.bench.t.flows.count, 1);
    assert.equal(s.bench.t.counters.flowsTcp, 1);
  });

  it('of both sides at once are refused (stream-insertion case 21)', () => {
    const s = new Stream(bench());
    only(s.syn());
    assert.equal(s.reply({ flags: SYN, at: -1, ack: 0 }).verdict, 'simultaneous-open');
    assert.equal(s.send({ flags: SYN | ACK, at: -1 }).verdict, 'simultaneous-open');
    assert.equal(s.bench.drops('simultaneous-open'), 2);
    works(s);
  });
});

describe('connections whose start was not seen', () => {
  it('are dropped and counted by policy (stream-insertion case 24)', () => {
    const s = new Stream(bench());
    assert.equal(s.send({ payload: 'middle' }).verdict, 'midstream');
    assert.equal(s.bench.drops('midstream'), 1);
    assert.equal(s.bench.t.flows.count, 0);
  });

  it('are translated without a header by policy, and counted (stream-insertion case 24)', () => {
    const s = new Stream(bench({ midstream: 'translate' }));
    const data = only(s.send({ payload: 'middle', at: 100 }));
    s.natPort = segment(data.octets).sport;
    assert.equal(s.position(data), 100);
    assert.equal(segment(data.octets).payload.toString(), 'middle');
    const reply = only(s.reply({ acked: 106, window: 500 }));
    assert.equal(s.acknowledged(reply), 106);
    assert.equal(segment(reply.octets).window, 500);
    assert.deepEqual([s.bench.t.counters.flowsMidstream, s.bench.t.counters.headersInserted], [1, 0]);
  });

  it('stay unknown where the backend alone speaks', () => {
    const s = new Stream(bench({ midstream: 'translate' }));
    s.natPort = 2000;
    assert.equal(s.reply({ payload: 'late' }).verdict, 'no-flow');
  });
});

describe('an RST', () => {
  const ends = (s: Stream): boolean => {
    s.bench.pass(60_000 + TICK);
    return s.bench.t.flows.count === 0;
  };

  for (const [name, place] of [
    ['what the backend acknowledged last', 0],
    ['what the client sent last', 5],
  ] as const) {
    it(`from the client ends the connection at ${name} (RFC 5961)`, () => {
      const s = new Stream(bench()).established();
      only(s.send({ payload: 'hello' }));
      only(s.send({ flags: RST, at: place }));
      assert.ok(ends(s));
    });
  }

  for (const [name, place] of [
    ['what the client acknowledged last', 0],
    ['what the backend sent last', 5],
  ] as const) {
    it(`from the backend ends the connection at ${name} (RFC 5961)`, () => {
      const s = new Stream(bench()).established();
      only(s.reply({ payload: 'hello', acked: 36 }));
      only(s.reply({ flags: RST, at: place }));
      assert.ok(ends(s));
    });
  }

  it('with any other number passes, but does not end the connection (RFC 5961)', () => {
    const s = new Stream(bench()).established();
    only(s.send({ payload: 'hello' }));
    only(s.reply({ payload: 'hello', acked: 36 }));
    for (const at of [1, 6, -1, 100_000]) {
      assert.equal(s.position(only(s.send({ flags: RST, at }))), at < 0 ? at : at + 36);
      assert.equal(segment(only(s.reply({ flags: RST, at })).octets).flags, RST);
    }
    assert.ok(!ends(s));
  });

  it('of either side is judged by the newest numbers, not by those between', () => {
    const talk = (): Stream => {
      const s = new Stream(bench()).established();
      only(s.send({ payload: '0123456789' }));
      only(s.reply({ payload: '0123456789', acked: 36 + 5 }));
      only(s.send({ at: 10, acked: 5 }));
      // Late copies of older packets take nothing back.
      only(s.send({ at: 0, payload: '0' }));
      only(s.reply({ at: 0, payload: '0', acked: 36 }));
      return s;
    };
    for (const [side, at, closes] of [
      ['client', 5, true],
      ['client', 10, true],
      ['client', 0, false],
      ['client', 7, false],
      ['backend', 5, true],
      ['backend', 10, true],
      ['backend', 0, false],
      ['backend', 7, false],
    ] as const) {
      const s = talk();
      only(side === 'client' ? s.send({ flags: RST, at }) : s.reply({ flags: RST, at }));
      assert.equal(ends(s), closes, `${side} at ${at}`);
    }
  });

  it('right behind the SYN-ACK ends the connection at the backend’s first number', () => {
    for (const [at, left] of [
      [0, 0],
      [1, 1],
    ] as const) {
      const s = new Stream(bench({ timeouts: LONG }), { backendIsn: 7000 });
      only(s.syn());
      only(s.synAck());
      only(s.reply({ flags: RST, at }));
      s.bench.pass(60_000 + TICK);
      assert.equal(s.bench.t.flows.count, left);
    }
  });

  it('refuses a half-open connection only when it acknowledges the SYN', () => {
    const s = new Stream(bench({ timeouts: LONG }));
    only(s.syn());
    only(s.reply({ flags: RST | ACK, at: 0, acked: 100 }));
    only(s.reply({ flags: RST, at: 0 }));
    s.bench.pass(60_000 + TICK);
    assert.equal(s.bench.t.flows.count, 1);
    only(s.reply({ flags: RST | ACK, at: 0, acked: 0 }));
    assert.ok(ends(s));
  });

  it('ends a connection whose start was not seen, whatever its number', () => {
    const s = new Stream(bench({ midstream: 'translate' }));
    s.natPort = segment(only(s.send({ payload: 'x' })).octets).sport;
    only(s.reply({ flags: RST, at: 12345 }));
    assert.ok(ends(s));
  });
});

const LONG = {
  tcpHalfOpenMs: 600_000,
  tcpEstablishedMs: 300_000,
  tcpClosingMs: 60_000,
  udpMs: 300_000,
  fragmentMs: 30_000,
  portHoldMs: 120_000,
};

describe('limits of a connection', () => {
  const live = (s: Stream): number => s.bench.t.flows.count;

  /** The flow is there just before its limit and gone just after. */
  function endsAfter(s: Stream, ms: number, counter: 'flowsExpired' | 'flowsClosed' = 'flowsExpired'): void {
    s.bench.pass(ms - 1);
    assert.equal(live(s), 1, 'before its limit');
    s.bench.pass(2 * TICK);
    assert.equal(live(s), 0, 'behind its limit');
    const { flowsExpired, flowsClosed } = s.bench.t.counters;
    assert.deepEqual({ flowsExpired, flowsClosed }, { flowsExpired: 0, flowsClosed: 0, [counter]: 1 });
  }

  it('counts from a confirmed time of the SYN too', () => {
    const s = new Stream(bench());
    only(s.syn());
    s.bench.each((t) => t.touch(5000));
    s.bench.pass(5000);
    assert.equal(s.bench.t.core.idleMs(0), 0);
  });

  it('half open: 60 s from the last SYN or SYN-ACK', () => {
    const s = new Stream(bench());
    only(s.syn());
    s.bench.pass(30_000);
    only(s.synAck());
    endsAfter(s, 60_000);
  });

  it('established: the smaller of the rule’s and the service’s', () => {
    const short = new Stream(new Bench(topology(link({ rules: [rule({ idleTimeoutMs: 30_000 })] }))));
    endsAfter(short.established(), 30_000);
    const service = new Stream(new Bench(topology(link({ rules: [rule({ idleTimeoutMs: 900_000 })] }))));
    endsAfter(service.established(), 300_000);
  });

  it('established: its own, although the half-open limit is longer', () => {
    endsAfter(new Stream(bench({ timeouts: LONG })).established(), 240_000);
  });

  it('closing: 60 s from the last packet', () => {
    const s = new Stream(bench()).established();
    s.bench.pass(100_000);
    close(s);
    s.bench.pass(30_000);
    only(s.send({ at: 1, acked: 1 }));
    endsAfter(s, 60_000, 'flowsClosed');
  });

  it('is put off by packets of either side, and by drops and other flows not', () => {
    const s = new Stream(bench()).established();
    s.bench.pass(200_000);
    only(s.reply({ acked: 36 }));
    s.bench.pass(200_000);
    only(s.send());
    s.bench.pass(100_000);
    assert.equal(s.send({ at: -1, payload: 'xyz' }).verdict, 'tcp-malformed');
    assert.equal(s.reply({ flags: SYN }).verdict, 'simultaneous-open');
    endsAfter(s, 140_000);
  });

  it('a FIN of one side alone leaves the connection half closed, not closing', () => {
    const s = new Stream(bench()).established();
    only(s.send({ flags: FIN | ACK }));
    endsAfter(s, 240_000);
    const t = new Stream(bench()).established();
    only(t.reply({ flags: FIN | ACK, acked: 36 }));
    endsAfter(t, 240_000);
  });

  it('two streams at once do not disturb each other', () => {
    const b = bench();
    const s = new Stream(b).open();
    const t = new Stream(b, { clientPort: 40001, isn: 5, header: Buffer.alloc(36) });
    only(t.syn());
    assert.notEqual(t.natPort, s.natPort);
    two(s.send({ flags: RST }));
    only(t.synAck());
    assert.equal(t.position(only(t.send())), 0);
  });
});
