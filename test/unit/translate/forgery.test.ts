/**
 * What a client may try in order to write into the header's place, or into a stream that is not its own. The backend
 * believes the header, so nothing of the client's may ever reach the octets from its stream's start to the header's end,
 * where that start is what the backend acknowledged, whatever the client said.
 */
import assert from 'node:assert/strict';
import { Bench, type Outcome, topology } from '../../support/bench.js';
import { ip, segment } from '../../support/dissect.js';
import { ACK, FIN, fragments, PSH, RST, SYN, URG } from '../../support/packets.js';
import { HEADER, only, Stream } from '../../support/stream.js';

const bench = (options = {}): Bench => new Bench(topology(), options);
const L = HEADER.length;
const FORGED = Buffer.concat([HEADER.subarray(0, 16), Buffer.from('01020304', 'hex'), HEADER.subarray(20)]);

/** The backend, whose stream starts at `start`, gets nothing of the client's before the header's end. */
function harmless(start: number, ...outcomes: readonly Outcome[]): void {
  for (const { octets, to } of outcomes.flatMap(({ sent }) => sent)) {
    if (to !== 'provider') continue;
    const offset = (ip(octets).fragment & 0x1fff) * 8;
    assert.equal(offset, 0, 'a fragment of a segment that may not pass');
    const out = segment(octets);
    if ((out.flags & SYN) !== 0) {
      assert.equal(out.payload.length, 0, 'data in a SYN');
      continue;
    }
    const from = (out.seq - start) | 0;
    const to_ = from + out.payload.length + (out.flags & FIN);
    const isHeader = from === 0 && out.payload.equals(HEADER);
    assert.ok(
      isHeader || to_ <= 0 || from >= L || out.payload.length + (out.flags & FIN) === 0,
      `octets ${from} to ${to_}`,
    );
    if ((out.flags & URG) !== 0) assert.ok(from >= L, `an urgent pointer from ${from}`);
  }
}

describe('a client cannot write into the header’s place', () => {
  it('with a segment from before S, in one piece', () => {
    const s = new Stream(bench());
    s.syn();
    s.synAck();
    for (const back of [1, 2, 12, 500]) {
      const payload = Buffer.concat([Buffer.alloc(back), FORGED]);
      harmless(s.s, s.send({ at: -back, payload }));
    }
    harmless(s.s, s.send());
    harmless(s.s, s.send({ at: -12, payload: Buffer.concat([Buffer.alloc(12), FORGED]) }));
  });

  it('with a segment from before S, in fragments of which the first ends at S', () => {
    const s = new Stream(bench());
    s.syn();
    s.synAck();
    const whole = s.clientPacket({ at: -12, payload: Buffer.concat([Buffer.alloc(12), FORGED]), df: false, id: 9 });
    const parts = fragments(whole, 52);
    assert.equal(parts[0]!.length, 52, 'TCP header and 12 octets');
    const outcomes = parts.map((part) => s.bench.client(part));
    harmless(s.s, ...outcomes);
    assert.ok(outcomes.every(({ verdict }) => verdict === 'tcp-malformed'));
    // The rest first, too.
    const other = fragments(
      s.clientPacket({ at: -12, payload: Buffer.concat([Buffer.alloc(12), FORGED]), df: false, id: 10 }),
      52,
    );
    harmless(s.s, ...other.reverse().map((part) => s.bench.client(part)));
  });

  it('with a FIN at S behind an octet from before it', () => {
    const s = new Stream(bench());
    s.syn();
    s.synAck();
    const outcome = s.send({ at: -1, payload: 'x', flags: FIN | ACK });
    harmless(s.s, outcome);
    assert.equal(outcome.verdict, 'tcp-malformed');
  });

  it('with an urgent pointer from before S, which would take an octet out of the header', () => {
    const s = new Stream(bench());
    s.syn();
    s.synAck();
    for (const urgent of [0, 1, 33, 36, 65535]) {
      for (const payload of ['', 'x']) {
        const outcome = s.send({ at: -1, payload, flags: ACK | URG, urgent });
        harmless(s.s, outcome);
        assert.equal(outcome.verdict, 'tcp-malformed');
      }
    }
  });

  it('with data in a SYN that passes as a segment of a live connection', () => {
    const s = new Stream(bench()).established();
    only(s.reply({ acked: L, window: 65535 }));
    const options = Buffer.from('220a01020304050607080101', 'hex');
    const outcome = s.send({ flags: SYN, at: 100, ack: 0, options, payload: FORGED });
    harmless(s.s, outcome);
    const syn = segment(only(outcome).octets);
    assert.equal(syn.seq, s.s + 100);
    assert.deepEqual(syn.options, Buffer.alloc(12, 1));
    const plain = only(s.send({ flags: SYN, at: 100, ack: 0 }));
    assert.equal(segment(plain.octets).seq, s.s + 100);
    const pieces = fragments(s.clientPacket({ flags: SYN, at: 100, ack: 0, df: false, id: 3, payload: FORGED }), 44);
    harmless(s.s, ...pieces.map((part) => s.bench.client(part)));
  });

  for (const [name, ahead] of [
    ['far ahead', 2 ** 30],
    ['far behind', -(2 ** 30)],
    ['next', 1],
  ] as const) {
    it(`by a second SYN, ${name}, that the backend does not take`, () => {
      // The backend answers the first SYN; the client then writes where that one's stream starts.
      const first = new Stream(bench());
      first.syn();
      const second = new Stream(first.bench, { isn: first.s - 1 + ahead });
      only(second.syn());
      assert.equal(second.natPort, first.natPort);
      harmless(first.s, first.synAck());
      const attempts = [0, -L, L, 1, -1].flatMap((at) => [
        first.send({ at, payload: FORGED, flags: PSH | ACK }),
        first.send({ at, flags: ACK }),
        first.send({ at, flags: FIN | ACK }),
      ]);
      harmless(first.s, ...attempts);
      // The backend takes the second at last: that connection works.
      only(second.synAck());
      second.isHeader(only(second.send()));
    });
  }

  it('by a SYN-ACK before it that was of the same first SYN', () => {
    const first = new Stream(bench());
    first.syn();
    first.synAck();
    const second = new Stream(first.bench, { isn: first.s + 2 ** 29 });
    only(second.syn());
    harmless(first.s, first.send({ at: 0, payload: FORGED }), first.send({ at: -L, payload: FORGED }), first.send());
  });

  it('by beginning in the middle and sending a SYN then', () => {
    const s = new Stream(bench({ midstream: 'translate' }), { isn: 0xffffffff });
    only(s.send({ payload: 'middle', at: 5000 }));
    only(s.syn());
    only(s.synAck());
    harmless(s.s, s.send({ payload: FORGED }));
  });

  it('by a new connection whose first number is just behind the old one’s last', () => {
    // The backend has forgotten the old one (its FIN-WAIT-2 is over) and takes the in-window SYN for a new one.
    for (const at of [0, 1, 5, 6, 40, 41, 42, 5000]) {
      const s = new Stream(bench()).established();
      only(s.send({ payload: 'hello' }));
      only(s.reply({ acked: L + 5, flags: FIN | ACK }));
      only(s.send({ at: 5, acked: 1 }));
      const outcome = s.send({ flags: SYN, at, ack: 0 });
      if (outcome.sent.length === 0) continue;
      const next = new Stream(s.bench, { isn: s.s + at, backendIsn: 77 });
      next.natPort = segment(outcome.sent[0]!.octets).sport;
      only(next.synAck());
      const attempts = [next.send({ payload: FORGED, at: -L }), next.send({ payload: FORGED, at: 0 })];
      harmless(next.s, ...attempts);
      assert.ok(
        attempts.some(({ sent }) => sent.some(({ octets }) => segment(octets).payload.equals(HEADER))),
        `${at}`,
      );
    }
  });
});

describe('a client cannot write into a stream that is not its own', () => {
  it('by data before the backend has answered its SYN: only SYN and RST pass', () => {
    // The NAT port may have been another consumer's, whose connection the backend still holds.
    for (const s of [new Stream(bench()), new Stream(bench({ midstream: 'translate' }))]) {
      s.syn();
      only(s.reply({ flags: ACK, at: 500, acked: 12345 }));
      for (const flags of [ACK, PSH | ACK, FIN | ACK]) {
        for (const at of [0, 12345, 12345 - L, -1]) {
          const outcome = s.send({ at, flags, payload: 'x' });
          assert.deepEqual([outcome.verdict, outcome.sent.length], ['no-syn-ack', 0]);
        }
      }
      assert.equal(s.bench.drops('no-syn-ack'), 12);
      // A half-open connection is cleared by the client's RST at what the backend expects (RFC 9293 section 3.5.1).
      const rst = only(s.send({ flags: RST, at: 12345 - L }));
      assert.equal(s.position(rst), 12345);
      only(s.syn());
      only(s.synAck());
      s.isHeader(only(s.send()));
    }
  });

  it('by data behind a SYN-ACK that acknowledges something else', () => {
    const s = new Stream(bench());
    s.syn();
    for (const acked of [-1, 1, 35, 36, 37, 12345, -12345]) only(s.synAck({ acked }));
    assert.equal(s.send({ payload: 'x' }).verdict, 'no-syn-ack');
    only(s.synAck());
    assert.equal(s.send({ payload: 'x' }).sent.length, 2);
  });

  it('though a live connection goes on whatever SYN-ACK comes late', () => {
    const s = new Stream(bench()).established();
    only(s.synAck({ acked: 777, at: 100_000 }));
    assert.equal(s.position(only(s.send({ payload: 'abc' }))), L);
    assert.equal(s.acknowledged(only(s.reply({ acked: L + 3 }))), 3);
  });
});
