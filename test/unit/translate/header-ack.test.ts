import assert from 'node:assert/strict';
import { Bench, link } from '../../support/bench.js';
import { segment } from '../../support/dissect.js';
import { ACK, FIN, fragments } from '../../support/packets.js';
import { type At, only, Stream } from '../../support/stream.js';

const ECE = 0x40;
const NOTHING = Buffer.alloc(0);
const scale = (shift: number): Buffer => Buffer.from([1, 3, 3, shift]);
/** NOP, NOP, one block. */
const sack = (from: number, to: number): Buffer => {
  const option = Buffer.from([1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0]);
  option.writeUInt32BE(from, 4);
  option.writeUInt32BE(to, 8);
  return option;
};

const live = (): Stream => new Stream(new Bench({ networks: ['a'], links: [link()] }, { absorbHeaderAck: true }));

describe('a backend’s acknowledgment of the header alone', () => {
  const absorbed = (s: Stream, fields: At = {}): boolean => {
    const { verdict, sent } = s.reply({ acked: s.length, ...fields });
    assert.equal(sent.length, verdict === 'absorbed' ? 0 : 1);
    return verdict === 'absorbed';
  };

  it('ends in the gateway, counted, and the header is settled', () => {
    const s = live().open();
    assert.ok(absorbed(s));
    const { counters } = s.bench.t;
    assert.equal(counters.headerAcksAbsorbed, 1);
    assert.deepEqual(s.bench.pass(60_000 / 2), [], 'no header by timer');
    assert.equal(counters.headersResent, 0);
  });

  it('does not look like a duplicate to a client that has sent data; the data’s own goes to it', () => {
    const s = live().open();
    const data = only(s.send({ payload: 'GET /' }));
    assert.equal(s.position(data), 36);
    assert.ok(absorbed(s));
    assert.equal(s.acknowledged(only(s.reply({ acked: s.length + 5 }))), 5);
    assert.equal(s.bench.t.counters.headerAcksAbsorbed, 1);
  });

  it('is absorbed once: what comes after it may be an answer to the client', () => {
    const s = live().open();
    assert.ok(absorbed(s));
    assert.ok(!absorbed(s));
    assert.equal(s.acknowledged(only(s.reply({ acked: s.length }))), 0);
  });

  it('goes to the client where it says more than that', () => {
    const more: Record<string, At> = {
      'of the backend’s data': { payload: '220 hello', flags: ACK },
      'that nothing follows': { flags: FIN | ACK },
      'of congestion': { flags: ACK | ECE },
      'of a hole': { options: sack(1100, 1200) },
      'of the client’s data': { acked: 36 + 5 },
      'of a part only': { acked: 18 },
      'of numbers before': { at: -1 },
    };
    for (const [what, fields] of Object.entries(more)) {
      const s = live().open();
      only(s.send({ payload: 'x'.repeat(300) }));
      assert.ok(!absorbed(s, fields), what);
      assert.equal(s.bench.t.counters.headerAcksAbsorbed, 0, what);
    }
  });

  it('goes to the client where the SYN-ACK offered less than a first flight, and this offers more', () => {
    const open = (window: number): Stream => {
      const s = live();
      s.syn({ options: scale(7) });
      s.synAck({ options: scale(7), window });
      only(s.send({ options: NOTHING }));
      return s;
    };
    assert.ok(!absorbed(open(14_635), { window: 500 }), '14,599 octets, then 64,000');
    assert.ok(absorbed(open(14_636), { window: 500 }), '14,600');
    assert.ok(absorbed(open(6436), { window: 50 }), '6,400 both');
    assert.ok(!absorbed(open(6435), { window: 50 }));
    const s = open(36);
    assert.equal(segment(only(s.reply({ acked: 36, window: 10 })).octets).window, 10);
  });

  it('goes to the client where its data is in the next fragment', () => {
    const s = live().open();
    const options = Buffer.from([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    const parts = fragments(s.backendPacket({ acked: 36, options, payload: '220 hello' }), 20 + 32);
    assert.deepEqual(
      parts.map((part) => s.bench.backend(part).verdict),
      ['forward', 'forward'],
    );
  });

  it('goes to the client after a closing client’s FIN', () => {
    const s = live().open();
    only(s.send({ flags: FIN | ACK }));
    assert.ok(!absorbed(s));
  });

  it('stays a packet where all count, as in a recording', () => {
    const s = new Stream(new Bench({ networks: ['a'], links: [link()] })).open();
    assert.ok(!absorbed(s));
  });
});
