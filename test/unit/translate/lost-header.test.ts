import assert from 'node:assert/strict';
import { Bench, topology } from '../../support/bench.js';
import { segment } from '../../support/dissect.js';
import { ACK, FIN, PSH, RST } from '../../support/packets.js';
import { only, Stream, two } from '../../support/stream.js';

const stream = (): Stream => new Stream(new Bench(topology()));

describe('a backend that keeps nothing of a handshake (SYN cookies)', () => {
  /** Opened; the header was lost, the data came alone. */
  const alone = (): Stream => {
    const s = stream().open();
    only(s.send({ payload: 'GET /', flags: PSH | ACK }));
    return s;
  };
  const bare = (s: Stream): Buffer => s.backendPacket({ flags: RST, at: 0, ack: 0 });

  it('refuses data without its header; the client is not told, and the header goes again by timer', () => {
    const s = alone();
    assert.equal(s.bench.backend(bare(s)).verdict, 'reset-in-doubt');
    assert.equal(s.bench.backend(bare(s)).verdict, 'reset-in-doubt', 'each segment of a flight is refused');
    s.isHeader(only(s.bench.pass(250)));
    const [header, data] = two(s.send({ payload: 'GET /', flags: PSH | ACK }));
    s.isHeader(header);
    assert.equal(s.position(data), 36);
  });

  it('may have changed its number with the SYN that was repeated', () => {
    for (const change of [0x2000000, -0x2000000]) {
      const s = stream();
      s.syn();
      s.synAck();
      s.syn();
      s.synAck({ at: -1 + change });
      s.isHeader(only(s.send({ acked: change })));
      only(s.send({ payload: 'GET /', acked: change }));
      const reset = s.backendPacket({ flags: RST, at: change, ack: 0 });
      assert.equal(s.bench.backend(reset).verdict, 'reset-in-doubt');
    }
  });

  it('is believed when the header has gone three times by timer in vain', () => {
    const s = alone();
    for (const ms of [250, 450]) {
      s.bench.pass(ms);
      assert.equal(s.bench.backend(bare(s)).verdict, 'reset-in-doubt');
    }
    s.bench.pass(850);
    assert.equal(segment(only(s.bench.backend(bare(s))).octets).flags, RST);
    assert.deepEqual(s.bench.pass(60_000), []);
  });

  it('is believed at once where it cannot be that', () => {
    const refuses = (s: Stream, packet: Buffer): void => {
      assert.equal(segment(only(s.bench.backend(packet)).octets).flags & RST, RST);
    };
    const withAck = alone();
    refuses(withAck, withAck.backendPacket({ flags: RST | ACK, at: 0, acked: 0 }));
    const silent = stream().open();
    refuses(silent, bare(silent));
    const heard = alone();
    only(heard.reply({ acked: 36 }));
    refuses(heard, bare(heard));
    const elsewhere = alone();
    refuses(elsewhere, elsewhere.backendPacket({ flags: RST, at: 1, ack: 0 }));
  });

  it('refuses a FIN alone as well', () => {
    const s = stream().open();
    only(s.send({ flags: FIN | ACK }));
    assert.equal(s.bench.backend(bare(s)).verdict, 'reset-in-doubt');
  });

  it('is believed in a recording, where no timer runs', () => {
    const s = new Stream(new Bench(topology(), { headerTimer: false })).open();
    only(s.send({ payload: 'GET /' }));
    assert.equal(s.bench.backend(bare(s)).verdict, 'forward');
  });
});

describe('a backend that goes on saying that it lacks the header', () => {
  /** What the timer sends in so many milliseconds; the backend answers each with `answer`. */
  const sendings = (s: Stream, ms: number, answer: () => void): number => {
    let n = 0;
    for (let t = 0; t < ms; t += 100) {
      for (const sent of s.bench.pass(100)) {
        s.isHeader(sent);
        n++;
        answer();
      }
    }
    return n;
  };

  for (const [what, acked, window] of [
    ['its window is closed', 0, 0],
    ['its window took a part of it', 20, 0],
  ] as const)
    it(`is sent it as long as it does: ${what}`, () => {
      const s = stream().open();
      const answer = (): void => void only(s.reply({ acked, window }));
      const first = sendings(s, 14_000, answer);
      assert.equal(first, 6);
      const n = sendings(s, 200_000, answer);
      assert.ok(n >= 27 && n <= 33, `${n} times in 200 seconds`);
      only(s.reply({ acked: 36 }));
      assert.deepEqual(s.bench.pass(60_000), []);
    });

  it('gets one more when it says so after the last try, and none when the connection has ended', () => {
    const s = stream().open();
    assert.equal(
      sendings(s, 60_000, () => undefined),
      6,
    );
    only(s.reply({ acked: 0, window: 500 }));
    assert.equal(
      sendings(s, 60_000, () => undefined),
      1,
    );
    two(s.send({ flags: RST }));
    only(s.reply({ acked: 0, window: 500 }));
    assert.equal(
      sendings(s, 60_000, () => undefined),
      0,
    );
  });

  it('goes on for no longer than the idle limit when the client has left, though the backend answers each', () => {
    const s = stream().open();
    let headers = 0;
    for (let ms = 0; ms < 300_000; ms += 500) {
      for (const sent of s.bench.pass(500)) {
        s.isHeader(sent);
        headers++;
        s.reply({ acked: 0, window: 0 });
      }
    }
    assert.ok(headers > 30, String(headers));
    assert.equal(s.bench.t.flows.count, 0);
  });

  it('goes on while the client is there', () => {
    const s = stream().open();
    for (let ms = 0; ms < 600_000; ms += 500) {
      for (const sent of s.bench.pass(500)) {
        s.isHeader(sent);
        s.reply({ acked: 0, window: 0 });
      }
      if (ms % 100_000 === 0) s.send({ at: -1 }); // its keep-alive
    }
    assert.equal(s.bench.t.flows.count, 1);
    only(s.reply({ acked: s.length }));
    assert.equal(s.send({ payload: 'at last' }).verdict, 'forward');
  });
});
