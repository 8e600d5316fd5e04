import assert from 'node:assert/strict';
import { Bench, link } from '../../support/bench.js';
import { segment } from '../../support/dissect.js';
import { ACK, FIN, PSH, RST, URG } from '../../support/packets.js';
import { only, Stream, two } from '../../support/stream.js';

const stream = (): Stream => new Stream(new Bench({ networks: ['a', 'b'], links: [link()] }));

describe('header insertion', () => {
  it('replaces the bare handshake ACK by one segment with the header (stream-insertion rule 1)', () => {
    const s = stream();
    s.syn();
    s.synAck();
    const packet = s.clientPacket({ window: 777, id: 4321, tos: 0x2e, ttl: 33 });
    const out = s.isHeader(only(s.bench.client(packet)));
    assert.equal(out.flags, PSH | ACK);
    assert.equal(out.ack, s.b);
    assert.equal(out.window, 777);
    assert.deepEqual([out.id, out.tos, out.ttl, out.fragment], [4321, 0x2e, 32, 0x4000]);
    assert.equal(s.bench.t.counters.headersInserted, 1);
    assert.equal(s.bench.t.counters.headersResent, 0);
  });

  it('writes the consumer, the endpoint, both ports and the little-endian LINKID (service model vector)', () => {
    const bench = new Bench({ networks: ['a'], links: [link()] });
    const s = new Stream(bench);
    s.syn();
    s.synAck();
    const expected = '0d0a0d0a000d0a515549540a211100140a0000050a0900049c4001bbee0005011d530020';
    assert.equal(segment(only(s.send()).octets).payload.toString('hex'), expected);
  });

  it('leaves no octet of a header to chance when the TCP header has no options', () => {
    // A stale pattern lies around every packet of the bench; loxilb sent such octets for clients without options.
    const s = stream();
    s.syn({ options: Buffer.alloc(0) });
    s.synAck({ options: Buffer.alloc(0) });
    const out = s.isHeader(only(s.send({ options: Buffer.alloc(0) })));
    assert.equal(out.options.length, 0);
  });

  it('sends the header as its own segment before data that comes first (stream-insertion rule 2)', () => {
    const s = stream();
    s.syn();
    s.synAck();
    const [header, data] = two(s.send({ payload: 'GET /', flags: PSH | ACK, id: 77, df: false, window: 500 }));
    const first = s.isHeader(header);
    assert.equal(first.flags, PSH | ACK);
    assert.equal(first.window, 500);
    assert.equal(first.id, 0, 'an atomic datagram of its own (RFC 6864)');
    assert.equal(first.fragment, 0x4000);
    const second = segment(data.octets);
    assert.equal(s.position(data), 36);
    assert.equal(second.payload.toString(), 'GET /');
    assert.deepEqual([second.id, second.fragment], [77, 0]);
  });

  it('never grows a client packet and never splits the header: every segment that leaves is the header or as it came', () => {
    const s = stream();
    s.syn();
    s.synAck();
    const big = s.clientPacket({ payload: Buffer.alloc(1460, 7) });
    const [header, data] = two(s.bench.client(big));
    s.isHeader(header);
    assert.equal(data.octets.length, big.length);
  });

  it('sends the header again when the client repeats its handshake ACK (stream-insertion case 1)', () => {
    const s = stream().open();
    const repeat = only(s.synAck());
    assert.equal(s.acknowledged(repeat), 0);
    s.isHeader(only(s.send()));
    s.isHeader(only(s.send()));
    assert.deepEqual([s.bench.t.counters.headersInserted, s.bench.t.counters.headersResent], [1, 2]);
  });

  it('stops repeating the header once the backend has acknowledged it', () => {
    const s = stream().established();
    const ack = only(s.send());
    assert.equal(segment(ack.octets).payload.length, 0);
    assert.equal(s.position(ack), 36);
    assert.equal(s.position(only(s.send({ payload: 'x' }))), 36);
    assert.equal(s.position(only(s.send({ payload: 'x' }))), 36);
    assert.equal(s.bench.t.counters.headersResent, 0);
  });

  it('does not repeat the header at the first transmission of data behind the handshake', () => {
    const s = stream().open();
    const data = only(s.send({ payload: 'first' }));
    assert.equal(s.position(data), 36);
  });

  it('repeats the header before data that is retransmitted unacknowledged (stream-insertion case 2)', () => {
    const s = stream().open();
    only(s.send({ payload: 'first' }));
    for (let n = 0; n < 3; n++) {
      const [header, data] = two(s.send({ payload: 'first' }));
      s.isHeader(header);
      assert.equal(s.position(data), 36);
      assert.equal(segment(data.octets).payload.toString(), 'first');
    }
  });

  it('repeats the header also where data went before it was ever acknowledged and no ACK came first', () => {
    const s = stream();
    s.syn();
    s.synAck();
    two(s.send({ payload: 'first' }));
    const [header, data] = two(s.send({ payload: 'first' }));
    s.isHeader(header);
    assert.equal(s.position(data), 36);
  });

  it('shifts everything at or past S whether or not the header has left (stream-insertion case 3)', () => {
    const s = stream();
    s.syn();
    s.synAck();
    // Segment 2 before segment 1: the header goes first all the same (iqiyi/dpvs corrupts the stream here).
    const [header, second] = two(s.send({ at: 5, payload: 'world' }));
    s.isHeader(header);
    assert.equal(s.position(second), 41);
    assert.equal(s.position(only(s.send({ at: 10, payload: 'three' }))), 46);
    const first = only(s.send({ at: 0, payload: 'hello' }));
    assert.equal(s.position(first), 36);
    assert.equal(s.bench.t.counters.headersInserted, 1);
  });

  it('passes a bare ACK past S shifted, before any header', () => {
    const s = stream();
    s.syn();
    s.synAck();
    for (const at of [1, 5]) assert.equal(s.position(only(s.send({ at }))), 36 + at);
    assert.equal(s.bench.t.counters.headersInserted, 0);
  });

  it('shifts a retransmission with other boundaries by its sequence number alone (stream-insertion case 4)', () => {
    const s = stream().established();
    for (const [at, length] of [
      [0, 100],
      [0, 250],
      [37, 3],
      [100, 150],
      [99, 2],
      [0, 1],
    ] as const) {
      const out = only(s.send({ at, payload: Buffer.alloc(length, at) }));
      assert.equal(s.position(out), 36 + at);
      assert.equal(segment(out.octets).payload.length, length);
    }
  });

  it('gives the header to a server that speaks first, whatever it has sent already (stream-insertion case 5)', () => {
    const s = stream();
    s.syn();
    s.synAck();
    // The greeting overtakes the client's ACK; the ACK that carries the header acknowledges it.
    assert.equal(s.acknowledged(only(s.reply({ at: 0, payload: '220 smtp ready' }))), 0);
    assert.equal(s.isHeader(only(s.send({ acked: 0 }))).ack, s.b, 'an ACK that left before the greeting came');
    assert.equal(s.isHeader(only(s.send({ acked: 14 }))).ack, s.b + 14);
    const reply = only(s.reply({ at: 14, acked: 36, payload: '250 ok' }));
    assert.equal(s.acknowledged(reply), 0);
  });

  for (const [name, flags, payload] of [
    ['a bare FIN', FIN | ACK, ''],
    ['data with FIN', FIN | PSH | ACK, 'bye'],
  ] as const) {
    it(`sends the header before ${name} that comes first (stream-insertion case 11)`, () => {
      const s = stream();
      s.syn();
      s.synAck();
      const [header, fin] = two(s.send({ flags, payload }));
      assert.equal(s.isHeader(header).flags, PSH | ACK);
      assert.equal(s.position(fin), 36);
      assert.equal(segment(fin.octets).flags, flags);
      const [again, finAgain] = two(s.send({ flags, payload }));
      s.isHeader(again);
      assert.equal(s.position(finAgain), 36);
    });
  }

  it('passes a FIN behind the handshake ACK without a second header (stream-insertion case 11)', () => {
    const s = stream().open();
    assert.equal(s.position(only(s.send({ flags: FIN | ACK }))), 36);
  });

  it('sends the header before an RST while it is unacknowledged, and the RST at S+L (stream-insertion case 12)', () => {
    const s = stream().open();
    const [header, rst] = two(s.send({ flags: RST, ack: 0, window: 0 }));
    const first = s.isHeader(header);
    assert.equal(first.flags, PSH | ACK);
    assert.equal(first.ack, s.b, 'what the client acknowledged last, since its RST acknowledges nothing');
    assert.equal(s.position(rst), 36);
    assert.equal(segment(rst.octets).flags, RST);
  });

  it('keeps the acknowledgment of an RST|ACK on the header before it (stream-insertion case 12)', () => {
    const s = stream().open();
    only(s.reply({ at: 0, payload: 'abc' }));
    const [header] = two(s.send({ flags: RST | ACK, acked: 3 }));
    assert.equal(s.isHeader(header).ack, s.b + 3);
  });

  it('leaves an RST at S where no header was ever sent: the backend expects S exactly (stream-insertion case 12)', () => {
    const s = stream();
    s.syn();
    s.synAck();
    const rst = only(s.send({ flags: RST }));
    assert.equal(s.position(rst), 0);
    assert.equal(s.bench.t.counters.headersInserted, 0);
  });

  it('shifts an RST past S, and one at S once the header is acknowledged (stream-insertion case 12)', () => {
    const s = stream().open();
    only(s.send({ payload: 'abc' }));
    assert.equal(s.position(only(s.send({ at: 3, flags: RST }))), 39);
    const t = stream().established();
    assert.equal(t.position(only(t.send({ flags: RST }))), 36);
  });

  it('maps the acknowledgment of a backend RST (stream-insertion case 12)', () => {
    const s = stream().open();
    only(s.send({ payload: 'abc' }));
    for (const [acked, client] of [
      [0, 0],
      [20, 0],
      [36, 0],
      [39, 3],
    ] as const) {
      const rst = only(s.reply({ flags: RST | ACK, acked, at: 500 }));
      assert.equal(s.acknowledged(rst), client);
      assert.equal(segment(rst.octets).seq, s.b + 500);
    }
  });

  it('leaves the urgent pointer of data alone (stream-insertion case 13)', () => {
    const s = stream();
    s.syn();
    s.synAck();
    const [header, data] = two(s.send({ flags: ACK | URG, urgent: 3, payload: 'urgent' }));
    const first = s.isHeader(header);
    assert.deepEqual([first.urgent, first.flags & URG], [0, 0]);
    const out = segment(data.octets);
    assert.deepEqual([out.urgent, out.flags], [3, ACK | URG]);
  });

  it('never lets an urgent pointer point into the header that replaces an ACK (stream-insertion case 13)', () => {
    const s = stream();
    s.syn();
    s.synAck();
    const out = s.isHeader(only(s.send({ flags: ACK | URG, urgent: 5 })));
    assert.deepEqual([out.urgent, out.flags], [0, PSH | ACK]);
  });

  it('drops a segment that starts before S and reaches past it', () => {
    const s = stream().open();
    assert.equal(s.send({ at: -1, payload: 'xy' }).verdict, 'tcp-malformed');
    only(s.reply({ acked: 36 }));
    assert.equal(s.send({ at: -1, payload: 'x'.repeat(100) }).verdict, 'tcp-malformed');
    assert.equal(s.send({ at: 0, payload: 'x' }).verdict, 'forward');
  });

  it('leaves streams of a service without PROXY as they are', () => {
    const s = new Stream(new Bench({ networks: ['a'], links: [link({ proxy: null })] }));
    s.syn();
    s.synAck();
    const ack = only(s.send());
    assert.equal(segment(ack.octets).payload.length, 0);
    assert.equal(s.position(only(s.send({ payload: 'abc' }))), 0);
    const reply = only(s.reply({ acked: 3, window: 100 }));
    assert.equal(s.acknowledged(reply), 3);
    assert.equal(segment(reply.octets).window, 100);
  });
});
