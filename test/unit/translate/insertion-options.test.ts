import assert from 'node:assert/strict';
import { Bench, link, topology } from '../../support/bench.js';
import { faults, segment } from '../../support/dissect.js';
import { ACK, PSH, pseudoSum, RST, SYN, withChecksum } from '../../support/packets.js';
import { only, Stream, two } from '../../support/stream.js';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const stream = (options = {}): Stream => new Stream(new Bench(topology(), options));
const plain = (): Stream => new Stream(new Bench(topology(link({ proxy: null }))));

/** What Linux sends: MSS, SACK-permitted, timestamps, NOP, window scale. */
const LINUX_SYN = hex('020405b4 0402 080a 00001000 00000000 01 030307');
const TIMESTAMPS = hex('0101 080a 00002000 00001000');

describe('TCP options', () => {
  it('are copied onto the header from the packet that called for it (stream-insertion case 9)', () => {
    const s = stream();
    s.syn({ options: LINUX_SYN });
    s.synAck({ options: LINUX_SYN });
    assert.deepEqual(s.isHeader(only(s.send({ options: TIMESTAMPS }))).options, TIMESTAMPS);
    only(s.send({ options: hex('0101 080a 00002222 00001111'), payload: 'x' }));
    const newest = hex('0101 080a 00003333 00001111');
    const [header] = two(s.send({ options: newest, payload: 'x' }));
    assert.deepEqual(s.isHeader(header).options, newest);
  });

  it('that name window scale, SACK-permitted and MSS are unchanged both ways (stream-insertion case 23)', () => {
    const s = stream();
    assert.deepEqual(segment(only(s.syn({ options: LINUX_SYN })).octets).options, LINUX_SYN);
    assert.deepEqual(segment(only(s.synAck({ options: LINUX_SYN })).octets).options, LINUX_SYN);
  });

  it('that nobody knows, ECN and reserved bits are unchanged both ways (stream-insertion case 25)', () => {
    const s = stream();
    const unknown = hex('fd06 abcdef01 4e04 0001 01 01');
    const odd = (packet: Buffer): Buffer => {
      packet.writeUInt8(packet.readUInt8(32) | 0x0f, 32);
      return withChecksum(packet);
    };
    const ecn = 0x40 | 0x80;
    const syn = s.clientPacket({ at: -1, flags: SYN | ecn, options: unknown, tos: 3 });
    const out = segment(only(s.bench.client(odd(syn))).octets);
    s.natPort = out.sport;
    assert.deepEqual([out.flags, out.reserved, out.tos], [SYN | ecn, 15, 3]);
    assert.deepEqual(out.options, unknown);
    const reply = segment(
      only(s.bench.backend(odd(s.backendPacket({ at: -1, flags: SYN | ACK | 0x40, options: unknown, tos: 1 })))).octets,
    );
    assert.deepEqual([reply.flags, reply.reserved, reply.tos], [SYN | ACK | 0x40, 15, 1]);
    assert.deepEqual(reply.options, unknown);
    const header = s.isHeader(only(s.send({ flags: ACK | ecn, tos: 2 })));
    assert.deepEqual([header.flags, header.tos], [ACK | PSH | ecn, 2]);
    const data = segment(only(s.bench.client(odd(s.clientPacket({ payload: 'x', flags: ACK | 0x80 })))).octets);
    assert.deepEqual([data.flags, data.reserved], [ACK | 0x80, 15]);
  });

  for (const [name, options, reason] of [
    ['TCP-MD5', hex(`1312 ${'00'.repeat(16)} 0101`), 'tcp-md5'],
    ['TCP-AO', hex(`0101 1d10 ${'00'.repeat(14)}`), 'tcp-ao'],
  ] as const) {
    it(`refuses ${name} with a counted reason (stream-insertion case 16)`, () => {
      for (const proxy of [link(), link({ proxy: null })]) {
        const s = new Stream(new Bench(topology(proxy)));
        const outcome = s.syn({ options });
        assert.equal(outcome.verdict, reason);
        assert.deepEqual(outcome.sent, []);
        assert.equal(s.bench.drops(reason), 1);
        assert.equal(s.bench.t.flows.count, 0);
      }
    });

    it(`refuses ${name} in the middle of a connection too, where that is translated (stream-insertion case 16)`, () => {
      const s = stream({ midstream: 'translate' });
      assert.equal(s.send({ options }).verdict, reason);
      assert.equal(s.bench.t.flows.count, 0);
    });
  }

  it('does not take an option’s content for a TCP-MD5 option (stream-insertion case 16)', () => {
    assert.equal(stream().syn({ options: hex('fd06 1312 1d10 0101') }).verdict, 'forward');
    // A length past the header is no option.
    assert.equal(stream().syn({ options: hex('1312 0101') }).verdict, 'forward');
  });
});

describe('MPTCP', () => {
  const capable = hex('1e0c 0081 0102030405060708');
  const join = hex('1e0c 1001 0a0b0c0d01020304');
  const dss = hex('1e08 2001 00000001');

  it('MP_CAPABLE is blanked on SYN and SYN-ACK (stream-insertion case 15)', () => {
    const s = stream();
    const syn = segment(only(s.syn({ options: Buffer.concat([LINUX_SYN, capable]) })).octets);
    assert.deepEqual(syn.options, Buffer.concat([LINUX_SYN, Buffer.alloc(12, 1)]));
    const synAck = segment(only(s.synAck({ options: Buffer.concat([capable, LINUX_SYN]) })).octets);
    assert.deepEqual(synAck.options, Buffer.concat([Buffer.alloc(12, 1), LINUX_SYN]));
    assert.equal(s.bench.t.counters.mptcpBlanked, 2);
  });

  it('MP_CAPABLE is blanked on the handshake ACK and the first data, wherever it stands (stream-insertion case 15)', () => {
    const s = stream();
    s.syn();
    s.synAck();
    // An odd offset, so that the checksum's change is of bytes that sit in the other halves of their words.
    const odd = Buffer.concat([Buffer.from([1]), capable, Buffer.from([1, 1, 1])]);
    assert.deepEqual(s.isHeader(only(s.send({ options: odd }))).options, Buffer.alloc(16, 1));
    assert.deepEqual(segment(only(s.send({ payload: 'x', options: odd })).octets).options, Buffer.alloc(16, 1));
  });

  it('MP_JOIN is blanked too, and other subtypes are not (stream-insertion case 15)', () => {
    const s = stream();
    assert.deepEqual(segment(only(s.syn({ options: join })).octets).options, Buffer.alloc(12, 1));
    s.synAck();
    only(s.send());
    assert.deepEqual(segment(only(s.send({ payload: 'x', options: dss })).octets).options, dss);
  });

  it('stays where no header is inserted: its sequence maps stay right', () => {
    const s = plain();
    assert.deepEqual(segment(only(s.syn({ options: capable })).octets).options, capable);
    assert.deepEqual(segment(only(s.synAck({ options: capable })).octets).options, capable);
  });

  it('of no length is left alone', () => {
    for (const options of [hex('1e02 0101'), hex('1e00 0101'), hex('1e14 0081')]) {
      assert.deepEqual(segment(only(stream().syn({ options })).octets).options, options);
    }
  });
});

describe('MSS', () => {
  const mss = (n: number): Buffer => hex(`0204${n.toString(16).padStart(4, '0')}`);

  it('below the header’s length refuses the flow, for the header is never split (stream-insertion rule 4)', () => {
    const s = stream();
    s.syn();
    assert.equal(s.synAck({ options: mss(35) }).verdict, 'mss-below-header');
    assert.equal(s.bench.drops('mss-below-header'), 1);
    assert.equal(s.bench.t.flows.count, 0, 'its record and port are free again');
    assert.equal(s.send().verdict, 'midstream', 'what the client sends on is no flow’s');
    assert.equal(s.bench.t.counters.headersInserted, 0);
    const fits = stream();
    fits.syn();
    assert.equal(fits.synAck({ options: mss(36) }).verdict, 'forward');
  });

  it('below the header’s length refuses the rest of a connection too where mid-stream flows are translated', () => {
    const s = new Stream(new Bench(topology(link()), { midstream: 'translate' }));
    s.syn();
    s.synAck({ options: mss(35) });
    assert.equal(s.send().verdict, 'mss-below-header');
    assert.equal(s.send({ payload: 'GET /' }).verdict, 'mss-below-header');
  });

  it('has room for timestamps beside the header', () => {
    const s = stream();
    s.syn();
    assert.equal(s.synAck({ options: Buffer.concat([mss(47), TIMESTAMPS]) }).verdict, 'mss-below-header');
    const fits = stream();
    fits.syn();
    assert.equal(fits.synAck({ options: Buffer.concat([mss(48), TIMESTAMPS]) }).verdict, 'forward');
  });

  it('is 536 where the SYN-ACK names none (RFC 9293 section 3.7.1)', () => {
    const padded = (octets: number): Stream => {
      const tlvs = [{ type: 0xe7, value: Buffer.alloc(octets - 28 - 3) }];
      return new Stream(new Bench(topology(link({ proxy: { dialect: 'custom', tlvs, crc32c: false } }))));
    };
    for (const [octets, verdict] of [
      [536, 'forward'],
      [537, 'mss-below-header'],
    ] as const) {
      const s = padded(octets);
      s.syn();
      assert.equal(s.synAck().verdict, verdict, `${octets} octets`);
    }
  });

  it('of a wrong length is none', () => {
    const s = stream();
    s.syn();
    assert.equal(s.synAck({ options: hex('02030001') }).verdict, 'forward');
  });

  it('is nobody’s concern where no header is inserted', () => {
    const s = plain();
    s.syn();
    assert.equal(s.synAck({ options: Buffer.concat([mss(5), TIMESTAMPS]) }).verdict, 'forward');
  });
});

describe('TCP Fast Open', () => {
  const cookie = hex('220a 0102030405060708 0101');
  const experimental = hex('fe0c f989 0102030405060708');

  for (const [name, option] of [
    ['kind 34', cookie],
    ['kind 254', experimental],
  ] as const) {
    it(`blanks the option (${name}) and trims the data from the SYN (stream-insertion case 14)`, () => {
      const s = stream();
      const options = Buffer.concat([LINUX_SYN, option]);
      const out = segment(only(s.syn({ options, payload: 'GET / HTTP/1.1' })).octets);
      assert.equal(s.position(only(s.syn({ options, payload: 'odd' }))), -1);
      assert.deepEqual(out.options, Buffer.concat([LINUX_SYN, Buffer.alloc(12, 1)]));
      assert.equal(out.payload.length, 0);
      assert.equal(s.bench.t.counters.fastOpenStripped, 2);
      // The client sends it again behind the handshake, and the header before it.
      only(s.synAck());
      const [header, data] = two(s.send({ payload: 'GET / HTTP/1.1' }));
      s.isHeader(header);
      assert.equal(s.position(data), 36);
    });
  }

  it('blanks the request for a cookie on a SYN without data (stream-insertion case 14)', () => {
    const s = stream();
    const out = segment(only(s.syn({ options: hex('2202 0101') })).octets);
    assert.deepEqual(out.options, Buffer.alloc(4, 1));
    assert.equal(s.bench.t.counters.fastOpenStripped, 0);
  });

  it('blanks the experiment’s request for a cookie (stream-insertion case 14)', () => {
    assert.deepEqual(segment(only(stream().syn({ options: hex('fe04 f989') })).octets).options, Buffer.alloc(4, 1));
  });

  it('leaves other experiments alone (stream-insertion case 14)', () => {
    const options = hex('fe04 f98a fe02 0101');
    assert.deepEqual(segment(only(stream().syn({ options })).octets).options, options);
  });

  it('passes untouched where no header is inserted, and its data may be acknowledged', () => {
    const s = plain();
    const out = segment(only(s.syn({ options: cookie, payload: 'data' })).octets);
    only(s.synAck({ acked: 4 }));
    assert.equal(s.position(only(s.send({ at: 4, payload: 'more' }))), 4);
    assert.deepEqual(out.options, cookie);
    assert.equal(out.payload.toString(), 'data');
  });

  for (const partial of [false, true]) {
    it(`trims a SYN whose data the capture cut off, its checksum ${partial ? 'partial' : 'whole'}`, () => {
      const s = stream();
      const whole = s.clientPacket({ flags: SYN, at: -1, options: cookie, payload: 'x'.repeat(101) });
      if (partial) whole.writeUInt16BE(pseudoSum(whole, whole.length - 20), 36);
      const { sent } = s.bench.client(whole.subarray(0, 70), { missing: whole.length - 70, partial });
      const [syn] = sent;
      assert.equal(syn?.missing, 0);
      assert.deepEqual(faults(syn.octets), []);
      assert.equal(segment(syn.octets).payload.length, 0);
      assert.deepEqual(segment(syn.octets).options, Buffer.alloc(12, 1));
    });
  }
});

describe('TCP Fast Open carried', () => {
  const cookie = hex('220a 0102030405060708 0101');
  const carrying = (fields = {}): Stream => {
    const bench = new Bench(topology(), { fastOpen: 'carry', ...fields });
    return new Stream(bench);
  };

  it('puts the header before the data in the SYN itself, option and all (stream-insertion case 14)', () => {
    for (const payload of ['GET /', 'GET /x']) {
      const s = carrying();
      const syn = only(s.syn({ options: cookie, payload }));
      const out = segment(syn.octets);
      assert.equal(s.position(syn), -1);
      assert.equal(out.flags, SYN);
      assert.deepEqual(out.options, cookie);
      assert.equal(out.payload.toString('hex'), s.header.toString('hex') + Buffer.from(payload).toString('hex'));
      assert.deepEqual([s.bench.t.counters.fastOpenCarried, s.bench.t.counters.headersInserted], [1, 1]);
    }
  });

  it('maps what the backend takes of it (stream-insertion case 14)', () => {
    const s = carrying();
    s.syn({ options: cookie, payload: 'GET /' });
    assert.equal(s.acknowledged(only(s.synAck({ acked: 36 + 5 }))), 5);
    const ack = only(s.send({ at: 5 }));
    assert.equal(s.position(ack), 41);
    assert.equal(segment(ack.octets).payload.length, 0);
  });

  it('sends the header again with the bare ACK where the backend takes none (stream-insertion case 14)', () => {
    const s = carrying();
    s.syn({ options: cookie, payload: 'GET /' });
    assert.equal(s.acknowledged(only(s.synAck({ acked: 0 }))), 0);
    s.isHeader(only(s.send()));
  });

  it('sends the header again before the data where the backend takes none (stream-insertion case 14)', () => {
    // Linux sends no bare ACK then, but the data at once.
    const s = carrying();
    s.syn({ options: cookie, payload: 'GET /' });
    only(s.synAck({ acked: 0 }));
    const [header, data] = two(s.send({ payload: 'GET /' }));
    s.isHeader(header);
    assert.equal(s.position(data), 36);
  });

  it('strips where the SYN would not fit the provider’s MTU (stream-insertion case 14)', () => {
    const fits = carrying({ providerMtu: 20 + 32 + 36 + 100 });
    assert.equal(segment(only(fits.syn({ options: cookie, payload: 'x'.repeat(100) })).octets).payload.length, 136);
    const not = carrying({ providerMtu: 20 + 32 + 36 + 99 });
    assert.equal(segment(only(not.syn({ options: cookie, payload: 'x'.repeat(100) })).octets).payload.length, 0);
  });

  it('strips a single octet too where it would not fit', () => {
    const s = carrying({ providerMtu: 60 });
    assert.equal(segment(only(s.syn({ payload: 'x' })).octets).payload.length, 0);
  });

  it('leaves a request for a cookie alone (stream-insertion case 14)', () => {
    const options = hex('2202 0101');
    assert.deepEqual(segment(only(carrying().syn({ options })).octets).options, options);
  });

  it('keeps the checksum sound for a header of odd length and data of either', () => {
    for (const filler of [4, 5]) {
      for (const payload of ['even', 'odd', '']) {
        const tlvs = [{ type: 0xe7, value: Buffer.alloc(filler, 0x5a) }];
        const proxy = { dialect: 'custom', tlvs, crc32c: true } as const;
        const s = new Stream(new Bench(topology(link({ proxy })), { fastOpen: 'carry' }));
        const out = segment(only(s.syn({ payload })).octets);
        assert.equal(out.payload.length, payload === '' ? 0 : 28 + 3 + filler + 7 + payload.length);
        assert.ok(out.payload.toString('latin1').endsWith(payload));
      }
    }
  });

  it('takes a refusal that acknowledges the SYN with its data for what it is', () => {
    const s = carrying();
    s.syn({ options: cookie, payload: 'G' });
    const rst = only(s.reply({ flags: RST | ACK, at: 0, acked: 37 }));
    assert.equal(s.acknowledged(rst), 1);
    // The flow is closing: a SYN, be it of the same numbers, opens a new connection.
    only(s.syn({ options: cookie, payload: 'G' }));
    assert.equal(s.bench.t.counters.flowsTcp, 2);
    only(s.reply({ flags: RST | ACK, at: 0, acked: 0 }));
    only(s.syn());
    assert.equal(s.bench.t.counters.flowsTcp, 3, 'without its data, as well');
  });
});
