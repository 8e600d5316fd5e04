import assert from 'node:assert/strict';
import { Bench, topology } from '../../support/bench.js';
import { segment } from '../../support/dissect.js';
import { ACK, RST, SYN } from '../../support/packets.js';
import { only, Stream } from '../../support/stream.js';

const stream = (): Stream => new Stream(new Bench(topology()));

/** The packet with one bit turned behind the IPv4 header; its checksum tells. */
function damaged(packet: Buffer, octet: number, bit: number): Buffer {
  packet[20 + octet] = packet[20 + octet]! ^ (1 << bit);
  return packet;
}

/** Octets of the TCP header. */
const SEQUENCE = 7;
const ACKNOWLEDGMENT = 10;
const FLAGS = 13;

describe('damaged segments', () => {
  const dropped = (s: Stream, packet: Buffer, from: 'client' | 'backend' = 'client'): void => {
    const before = s.bench.drops('tcp-bad-checksum');
    const outcome = s.bench[from](packet, { sound: false });
    assert.deepEqual([outcome.verdict, outcome.sent.length], ['tcp-bad-checksum', 0]);
    assert.equal(s.bench.drops('tcp-bad-checksum'), before + 1);
  };

  it('make no header go, which would have a right checksum over their numbers', () => {
    const s = stream();
    s.syn();
    s.synAck();
    dropped(s, damaged(s.clientPacket({}), ACKNOWLEDGMENT, 3));
    dropped(s, damaged(s.clientPacket({ payload: 'GET /' }), ACKNOWLEDGMENT, 3));
    assert.equal(s.bench.t.counters.headersInserted, 0);
    assert.equal(s.isHeader(only(s.send())).ack, s.b);
  });

  it('begin no flow', () => {
    const s = stream();
    dropped(s, damaged(s.clientPacket({ flags: SYN, at: -1 }), SEQUENCE, 0));
    assert.equal(s.bench.t.flows.count, 0);
  });

  it('end no connection: an RST or FIN by a turned bit', () => {
    const s = stream().established();
    for (const bit of [0, 2]) {
      dropped(s, damaged(s.clientPacket({ at: 0 }), FLAGS, bit));
      dropped(s, damaged(s.backendPacket({ at: 0, acked: 36 }), FLAGS, bit), 'backend');
    }
    // Past the closing limit, within the idle one.
    s.bench.pass(100_000);
    assert.equal(s.bench.t.flows.count, 1);
  });

  it('do not set marks that no real segment gets to: its RST is known for one', () => {
    for (const octet of [4, 5, 8, 9]) {
      const s = stream().established();
      // Octet 5 from its bit 2 on: 2^18 and more.
      const bit = octet % 4 === 1 ? 2 : 4;
      dropped(s, damaged(s.clientPacket({ at: 0, payload: 'x' }), octet, bit));
      dropped(s, damaged(s.backendPacket({ at: 0, acked: s.length, payload: 'y' }), octet, bit), 'backend');
      only(s.send({ payload: 'data' }));
      only(s.reply({ acked: s.length, payload: 'more' }));
      only(s.send({ flags: RST, at: 4 }));
      s.bench.pass(61_000);
      assert.equal(s.bench.t.flows.count, 0, `octet ${octet}`);
    }
  });

  it('are told from whole ones behind a long gap', () => {
    const s = stream().established();
    assert.equal(only(s.send({ at: 500_000, payload: 'data' })).to, 'provider');
    assert.equal(only(s.reply({ at: 900_000, acked: s.length + 500_004, payload: 'more' })).to, 'consumer');
  });

  it('acknowledge no header', () => {
    const s = stream().open();
    only(s.send({ payload: 'x'.repeat(100) }));
    dropped(s, damaged(s.backendPacket({ acked: 0 }), 11, 6), 'backend');
    assert.equal(s.bench.pass(300).length, 1, 'the timer goes on');
  });

  it('refuse no flow by a segment size that was none', () => {
    const s = stream();
    s.syn();
    const mss = (octets: number): Buffer => Buffer.from([2, 4, octets >> 8, octets & 255]);
    const packet = s.backendPacket({ flags: SYN | ACK, at: -1, acked: 0, options: mss(536) });
    dropped(s, damaged(packet, 22, 1), 'backend');
    assert.equal(s.synAck({ options: mss(536) }).verdict, 'forward');
  });

  it('pass as damaged as they were where they tell nothing', () => {
    const s = stream().established();
    const packet = damaged(s.clientPacket({ payload: 'data' }), 21, 5);
    const { verdict, sent } = s.bench.client(packet, { sound: false });
    assert.deepEqual([verdict, sent.length], ['forward', 1]);
    const right = only(s.send({ payload: 'data' }));
    assert.equal(segment(sent[0]!.octets).checksum, segment(right.octets).checksum);
  });

  it('are not looked for where the checksum is still to be made', () => {
    const s = stream();
    const { verdict } = s.syn({}, { partial: true });
    assert.equal(verdict, 'forward');
  });
});
