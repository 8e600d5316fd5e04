import assert from 'node:assert/strict';
import { encode } from '../../../src/wire/proxy/index.js';
import { Recording } from '../../../src/translate/recording.js';
import type { ProxySpec } from '../../../src/translate/topology.js';
import { Bench, link, topology } from '../../support/bench.js';
import { ip, segment } from '../../support/dissect.js';
import { ACK, FIN, onesSum, PSH, pseudoSum, tcpPacket } from '../../support/packets.js';
import { CLIENT, CLIENT_PORT, ENDPOINT, only, SERVICE_PORT, Stream, two } from '../../support/stream.js';

const stream = (isn = 999): Stream => new Stream(new Bench(topology()), { isn });

const headerWith = (tlvs: { type: number; value: Buffer }[], crc32c = false): Buffer =>
  encode(
    {
      command: 'PROXY',
      family: 'inet',
      transport: 'stream',
      source: { address: CLIENT, port: CLIENT_PORT },
      destination: { address: ENDPOINT, port: SERVICE_PORT },
      tlvs,
    },
    { crc32c },
  );

const custom = (octets: number, crc32c = false): [ProxySpec, Buffer] => {
  const tlvs = octets === 28 ? [] : [{ type: 0xe7, value: Buffer.alloc(octets - 31, 0x77) }];
  return [{ dialect: 'custom', tlvs, crc32c }, headerWith(tlvs, crc32c)];
};

const vpce = Buffer.from('\x01vpce-08d2bf15fac5001c9', 'latin1');

const DIALECTS: [string, ProxySpec, Buffer][] = [
  ['the shortest header, 28 octets', ...custom(28)],
  ['a header of odd length, 31 octets', ...custom(31)],
  ['a header of odd length, 37 octets', ...custom(37)],
  ['a header of odd length with a CRC32C', ...custom(44, true)],
  ['a long header, 500 octets', ...custom(500)],
  [
    'AWS, a given endpoint',
    { dialect: 'aws', endpointId: 'vpce-08d2bf15fac5001c9' },
    headerWith([{ type: 0xea, value: vpce }]),
  ],
  [
    'AWS, the endpoint derived',
    { dialect: 'aws', endpointId: '' },
    headerWith([{ type: 0xea, value: Buffer.from(`\x01vpce-${'2000531d'.padStart(17, '0')}`, 'latin1') }]),
  ],
  ['GCP', { dialect: 'gcp' }, headerWith([{ type: 0xe0, value: Buffer.from('000000002000531d', 'hex') }])],
];

describe('header lengths and dialects', () => {
  for (const [name, proxy, header] of DIALECTS) {
    it(`map every number by their own length: ${name}`, () => {
      const s = new Stream(new Bench(topology(link({ proxy }))), { header });
      const options = Buffer.from('020405b4', 'hex');
      s.syn();
      const synAck = segment(only(s.synAck({ options, window: 5000 })).octets);
      assert.equal(synAck.window, 5000 - header.length);
      s.isHeader(only(s.send()));
      assert.equal(s.position(only(s.send({ payload: 'abc' }))), header.length);
      const [again, data] = two(s.send({ payload: 'abc' }));
      s.isHeader(again);
      assert.equal(s.position(data), header.length);
      for (const [acked, client] of [
        [header.length - 1, 0],
        [header.length, 0],
        [header.length + 1, 1],
        [header.length + 3, 3],
      ] as const) {
        assert.equal(s.acknowledged(only(s.reply({ acked }))), client);
      }
      assert.equal(s.position(only(s.send({ at: 3, flags: FIN | ACK }))), header.length + 3);
    });
  }
});

/** Initial sequence numbers around every place where arithmetic may go wrong. */
const ISNS = [
  0,
  1,
  0x7ffffffe,
  0x7fffffff,
  0x80000000,
  0x80000001,
  0xfffffffe,
  0xffffffff,
  ...Array.from({ length: 40 }, (_, i) => 0xffffffff - i),
  ...Array.from({ length: 38 }, (_, i) => 0x7fffffff - i),
];

/** A SACK option of one block, its edges by position. */
function sackOf(s: Stream, left: number, right: number): Buffer {
  const options = Buffer.from('0101050a0000000000000000', 'hex');
  options.writeUInt32BE((s.s + left) % 2 ** 32, 4);
  options.writeUInt32BE((s.s + right) % 2 ** 32, 8);
  return options;
}

describe('sequence numbers', () => {
  it('wrap inside the header, before it and behind it (stream-insertion case 17)', () => {
    for (const isn of new Set(ISNS)) {
      const s = stream(isn);
      assert.equal(s.position(s.syn().sent[0]!), -1);
      s.synAck();
      s.isHeader(only(s.send()));
      assert.equal(s.position(only(s.send({ at: -1, payload: '\0' }))), -1);
      for (let acked = 0; acked <= 36; acked++) assert.equal(s.acknowledged(only(s.reply({ acked }))), 0);
      for (const at of [0, 1, 35, 36, 37, 1000]) {
        assert.equal(s.position(only(s.send({ at, payload: 'x' }))), at + 36, `ISN ${isn}, octet ${at}`);
        assert.equal(s.acknowledged(only(s.reply({ acked: at + 37 }))), at + 1);
        const sack = segment(only(s.reply({ acked: 36, options: sackOf(s, at + 36, at + 37) })).octets).options;
        assert.deepEqual(sack, sackOf(s, at, at + 1), `ISN ${isn}, SACK of octet ${at}`);
      }
    }
  });

  it('keep a keep-alive at S-1 where it is, garbage octet and all (stream-insertion case 10)', () => {
    const idle = stream().open();
    const probe = only(idle.send({ at: -1, payload: '\0' }));
    assert.equal(idle.position(probe), -1, 'before the header is acknowledged');
    assert.equal(segment(probe.octets).payload.length, 1);
    const s = stream().established();
    assert.equal(s.position(only(s.send({ at: -1, payload: '\0' }))), -1);
    assert.equal(s.position(only(s.send({ at: -1 }))), -1, 'without an octet');
    assert.equal(s.bench.t.counters.headersResent, 0);
  });

  it('keep a keep-alive behind data where data is (stream-insertion case 10)', () => {
    const s = stream().established();
    only(s.send({ payload: 'hello' }));
    assert.equal(s.position(only(s.send({ at: 4, payload: '\0' }))), 40);
  });
});

const GIB = 2 ** 30;

/** Moves a stream on to `to` octets, by steps that a window allows, and checks both mappings at each. */
function moveOn(s: Stream, from: number, to: number, step: number): void {
  for (let at = from; at < to; at += step) {
    const data = only(s.send({ at, payload: 'x' }));
    assert.equal(segment(data.octets).seq, (s.s + 36 + at) % 2 ** 32, `octet ${at}`);
    const ack = segment(only(s.reply({ acked: 36 + at + 1 })).octets);
    assert.equal(ack.ack, (s.s + at + 1) % 2 ** 32, `octet ${at}`);
  }
}

describe('long streams', () => {
  for (const isn of [999, 0xffffffff, 0x7fffffff]) {
    it(`stay right past 4 GiB, from initial sequence number ${isn} (stream-insertion case 17)`, () => {
      const s = stream(isn).established();
      moveOn(s, 0, 9 * GIB, 0x0fffffff);
      assert.equal(s.bench.t.counters.headersInserted, 1);
    });
  }

  it('shift what is sent again from far behind the newest octet (stream-insertion case 17)', () => {
    const s = stream().established();
    for (let at = 0; at < 5 * GIB; at += GIB / 4) {
      moveOn(s, at, at + GIB / 4, GIB / 4);
      for (const back of [1, GIB / 8, GIB / 4]) {
        if (back > at) continue;
        const again = only(s.send({ at: at - back, payload: 'x' }));
        assert.equal(segment(again.octets).seq, (s.s + 36 + at - back) % 2 ** 32);
      }
    }
  });

  it('map SACK edges past 2 GiB (Linux seqadj flips there)', () => {
    const s = stream().established();
    moveOn(s, 0, 3 * GIB, GIB / 4);
    const options = sackOf(s, 3 * GIB + 36, 3 * GIB + 136);
    const out = segment(only(s.reply({ acked: 3 * GIB, options })).octets);
    assert.deepEqual(out.options, sackOf(s, 3 * GIB, 3 * GIB + 100));
  });

  it('send no header where 4 GiB later the numbers are those of the start', () => {
    const s = stream().established();
    moveOn(s, 0, 4 * GIB, GIB / 2);
    const data = only(s.send({ at: 4 * GIB, payload: 'x' }));
    assert.equal(s.position(data), 36);
    assert.equal(s.acknowledged(only(s.reply({ acked: 4 * GIB }))), -36);
  });

  it('stay right in a recording of the client’s direction alone', () => {
    const s = stream().open();
    s.bench.each((t) => {
      new Recording(t);
    });
    for (let at = 0; at < 9 * GIB; at += 0x0fffffff) {
      const { sent } = s.send({ at, payload: 'x' });
      assert.equal(segment(sent.at(-1)!.octets).seq, (s.s + 36 + at) % 2 ** 32, `octet ${at}`);
      assert.equal(sent.length, 1);
    }
  });

  it('are not thought long for one number out of any window', () => {
    const s = stream().open();
    only(s.send({ at: 1.5 * GIB, payload: 'spoofed' }));
    assert.equal(s.acknowledged(only(s.reply({ acked: 0 }))), 0);
    s.isHeader(only(s.send()));
    only(s.reply({ acked: 36 }));
    only(s.send({ at: 1.5 * GIB, payload: 'spoofed' }));
    assert.equal(s.position(only(s.send({ at: -1, payload: '\0' }))), -1);
  });
});

describe('super-packets', () => {
  const payload = Buffer.alloc(65_000, 0x42);

  it('as the first data are shifted once, the header in a segment of its own before them (stream-insertion case 18)', () => {
    // loxilb loses the header inside them.
    const s = stream();
    s.syn();
    s.synAck();
    const [header, data] = two(s.send({ payload, flags: ACK | PSH }));
    assert.equal(s.isHeader(header).total, 76);
    assert.equal(s.position(data), 36);
    assert.ok(segment(data.octets).payload.equals(payload));
  });

  it('too long for the total length field pass as long as they are (BIG TCP)', () => {
    const s = stream().established();
    const big = tcpPacket({
      src: s.client,
      dst: s.endpoint,
      sport: s.clientPort,
      dport: SERVICE_PORT,
      seq: s.s,
      ack: s.b,
      payload: 'x',
    });
    const huge = Buffer.concat([big, Buffer.alloc(100_000, 0x43)]);
    huge.writeUInt16BE(0, 2);
    huge.writeUInt16BE(0, 10);
    huge.writeUInt16BE(0xffff - onesSum(huge.subarray(0, 20)), 10);
    const out = only(s.bench.client(huge, { sound: false }));
    assert.equal(out.octets.length, huge.length);
    assert.equal(s.position(out), 36);
    assert.equal(onesSum(out.octets.subarray(0, 20)), 0xffff);
    assert.equal(s.acknowledged(only(s.reply({ acked: 36 + 100_001 }))), 100_001);
  });
});

/** The packet as a guest hands it over for the card to finish: the field is the pseudo header's sum. */
function partial(packet: Buffer): Buffer {
  const out = Buffer.from(packet);
  out.writeUInt16BE(pseudoSum(out, out.length - 20), 36);
  return out;
}

/** What a card makes of it: the sum over the segment, the field as it stands. */
function finished(packet: Buffer): number {
  return 0xffff - onesSum(packet.subarray(20));
}

/** The checksum that the packet should have. */
function right(packet: Buffer): number {
  const zeroed = Buffer.from(packet);
  zeroed.writeUInt16BE(0, 36);
  return 0xffff - onesSum(zeroed.subarray(20), pseudoSum(zeroed, zeroed.length - 20));
}

describe('partial checksums', () => {
  it('take in addresses only: neither ports, sequence number nor options (stream-insertion case 19)', () => {
    const s = stream();
    const syn = s.clientPacket({ at: -1, flags: 2, options: Buffer.from('1e0c00810102030405060708', 'hex') });
    const sent = only(s.bench.client(partial(syn), { partial: true })).octets;
    s.natPort = segment(sent).sport;
    assert.equal(finished(sent), right(sent), 'SYN with blanked options');
    s.synAck();
    const [header, data] = two(s.bench.client(partial(s.clientPacket({ payload: 'hello' })), { partial: true }));
    assert.equal(s.isHeader(header).checksum, right(header.octets), 'the header’s own checksum is whole');
    assert.equal(s.position(data), 36);
    assert.equal(finished(data.octets), right(data.octets), 'data');
  });

  it('of a SYN that is trimmed take in its new length (stream-insertion cases 14 and 19)', () => {
    const s = stream();
    for (const payload of ['even', 'odd']) {
      const syn = s.clientPacket({ at: -1, flags: 2, payload });
      const sent = only(s.bench.client(partial(syn), { partial: true })).octets;
      assert.equal(ip(sent).total, 40);
      assert.equal(finished(sent), right(sent));
    }
  });

  it('towards the client likewise (stream-insertion case 19)', () => {
    const s = stream().open();
    only(s.send({ payload: 'hello' }));
    for (const acked of [0, 10, 36, 41]) {
      const reply = partial(s.backendPacket({ acked, payload: 'reply' }));
      const sent = only(s.bench.backend(reply, { partial: true })).octets;
      assert.equal(finished(sent), right(sent), `${acked} acknowledged`);
    }
  });
});
