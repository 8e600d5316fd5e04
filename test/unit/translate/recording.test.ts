import assert from 'node:assert/strict';
import { FORWARD, HELD, reasonOf } from '../../../src/packet/verdict.js';
import { LIFTED, Recording, SIDE_LIFTED } from '../../../src/translate/recording.js';
import { address, Bench, endpoint, link, topology } from '../../support/bench.js';
import { faults, ip, segment } from '../../support/dissect.js';
import {
  ACK,
  FIN,
  fragments,
  icmpError,
  PSH,
  RST,
  SYN,
  tcpPacket,
  type TcpFields,
  udpPacket,
  withChecksum,
} from '../../support/packets.js';
import { BACKEND, CLIENT, ENDPOINT, HEADER, NAT } from '../../support/stream.js';

const AT = 64;
const L = HEADER.length;

interface Played {
  readonly verdict: string;
  /** What went to the provider's side: client packets translated, server packets lifted. */
  readonly out: readonly Buffer[];
  /** What came back to the consumer of the lifted ones. */
  readonly back: readonly Buffer[];
}

/** A recording of the consumer's side, played packet by packet. */
class Tape {
  readonly bench: Bench;
  private readonly recording: Recording;
  /** First sequence numbers of client and server. */
  readonly s: number = 1000;
  readonly b: number = 7000;

  constructor(bench = new Bench(topology(), { fastOpen: 'carry' })) {
    this.bench = bench;
    this.recording = new Recording(bench.t);
  }

  play(packet: Buffer): Played {
    const { t } = this.bench;
    const { slab, outbox } = t.core;
    const judge = (verdict: number): string =>
      verdict < 0 ? reasonOf(verdict) : verdict === LIFTED ? 'lifted' : verdict === HELD ? 'held' : 'forward';
    t.begin();
    packet.copy(slab, AT);
    const verdict = this.recording.packet(AT, AT + packet.length, 0);
    const out: Buffer[] = [];
    const back: Buffer[] = [];
    for (let i = 0; i < outbox.count; i++) {
      const octets = Buffer.from(slab.subarray(outbox.offset[i], outbox.offset[i]! + outbox.length[i]!));
      out.push(octets);
      if (outbox.side[i] !== SIDE_LIFTED) continue;
      const first = outbox.count;
      const place = AT + 100_000 + i * 2000;
      octets.copy(slab, place);
      const returned = t.fromProvider(place, place + octets.length);
      if (returned === FORWARD) {
        const j = outbox.count - 1;
        assert.ok(j >= first);
        back.push(Buffer.from(slab.subarray(outbox.offset[j], outbox.offset[j]! + outbox.length[j]!)));
        outbox.count = first;
      }
    }
    for (const octets of [...out, ...back]) assert.deepEqual(faults(octets), [], octets.toString('hex'));
    return { verdict: judge(verdict), out, back };
  }

  client(fields: Partial<TcpFields> & { at?: number } = {}): Played {
    const { at = 0, ...rest } = fields;
    const place = { src: CLIENT, sport: 40000, dst: ENDPOINT, dport: 443 };
    return this.play(tcpPacket({ ...place, seq: this.s + at, ack: this.b, ...rest }));
  }

  serverPacket(fields: Partial<TcpFields> & { at?: number; acked?: number } = {}): Buffer {
    const { at = 0, acked = 0, ...rest } = fields;
    const place = { src: ENDPOINT, sport: 443, dst: CLIENT, dport: 40000 };
    return tcpPacket({ ...place, seq: this.b + at, ack: this.s + acked, ...rest });
  }

  server(fields: Partial<TcpFields> & { at?: number; acked?: number } = {}): Played {
    return this.play(this.serverPacket(fields));
  }

  /** The packet comes back octet for octet, but for its TTL. @returns its lifted form */
  identical(packet: Buffer): ReturnType<typeof segment> {
    const played = this.play(packet);
    assert.equal(played.verdict, 'lifted');
    assert.equal(played.out.length, 1);
    const expected = Buffer.from(packet);
    expected.writeUInt8(expected.readUInt8(8) - 1, 8);
    expected.writeUInt16BE(played.back[0]!.readUInt16BE(10), 10);
    assert.equal(played.back[0]!.toString('hex'), expected.toString('hex'));
    return segment(played.out[0]!);
  }

  open(): this {
    this.client({ at: -1, flags: SYN, ack: 0 });
    this.server({ at: -1, flags: SYN | ACK, window: 500 });
    const [header] = this.client().out;
    assert.ok(segment(header!).payload.equals(HEADER));
    return this;
  }
}

describe('lifting a recorded server packet', () => {
  it('widens the SYN-ACK’s window, so that it comes back as it was', () => {
    const tape = new Tape();
    tape.client({ at: -1, flags: SYN, ack: 0 });
    const options = Buffer.from('020405b4030307040201', 'hex');
    const lifted = tape.identical(tape.serverPacket({ at: -1, flags: SYN | ACK, window: 500, options }));
    assert.deepEqual([lifted.src, lifted.sport, lifted.dst], [BACKEND, 443, NAT]);
    assert.deepEqual([lifted.ack, lifted.window, lifted.ttl], [tape.s, 500 + L, 64]);
  });

  it('clips a window that is as wide as can be, and comes back narrower', () => {
    const tape = new Tape();
    tape.client({ at: -1, flags: SYN, ack: 0 });
    const { out, back } = tape.server({ at: -1, flags: SYN | ACK, window: 65530 });
    assert.equal(segment(out[0]!).window, 65535);
    assert.equal(segment(back[0]!).window, 65535 - L);
  });

  it('acknowledges the header where one went before', () => {
    const tape = new Tape().open();
    tape.client({ payload: 'hello', flags: PSH | ACK });
    for (const [acked, lifted] of [
      [0, L],
      [3, L + 3],
      [5, L + 5],
      [-1, -1],
    ] as const) {
      const form = tape.identical(tape.serverPacket({ acked, window: 300, at: 10, payload: 'reply' }));
      assert.deepEqual([(form.ack - tape.s) | 0, form.window], [lifted, 300]);
    }
  });

  it('moves SACK edges at any offset of the options', () => {
    const tape = new Tape().open();
    tape.client({ payload: 'x'.repeat(500) });
    for (const lead of [0, 1, 2, 3]) {
      const option = Buffer.alloc(lead + 18, 1);
      option.writeUInt16BE(0x0512, lead);
      [100, 200, 300, 400].forEach((edge, i) => {
        option.writeUInt32BE(tape.s + edge, lead + 2 + 4 * i);
      });
      const form = tape.identical(tape.serverPacket({ options: option }));
      assert.equal(form.options.readUInt32BE(lead + 2), tape.s + 100 + L);
      assert.equal(form.options.readUInt32BE(lead + 14), tape.s + 400 + L);
    }
  });

  it('leaves a recorded RST|ACK that refuses, and what has no ACK, in its place', () => {
    const tape = new Tape();
    tape.client({ at: -1, flags: SYN, ack: 0 });
    assert.equal(tape.identical(tape.serverPacket({ flags: RST | ACK, window: 0, seq: 0 })).ack, tape.s);
    const other = new Tape().open();
    assert.equal(other.identical(other.serverPacket({ flags: RST, ack: 12345 })).ack, 12345);
  });

  it('passes an acknowledgment of more than S both ways as it is where no header went', () => {
    const tape = new Tape();
    tape.client({ at: -1, flags: SYN, ack: 0 });
    for (const acked of [1, 20, 36, 5000]) {
      assert.equal(tape.identical(tape.serverPacket({ acked, window: 77 })).ack, tape.s + acked);
    }
  });

  it('passes an acknowledgment both ways as it is that is nearly 2 GiB from S', () => {
    for (const data of ['', 'reply']) {
      const tape = new Tape().open();
      for (const acked of [0x7fffffff - L, 0x7fffffff - L + 1, 0x7fffffff]) {
        const moved = acked + L > 0x7fffffff ? 0 : L;
        const { ack } = tape.identical(tape.serverPacket({ acked, payload: data }));
        assert.equal(ack, (tape.s + acked + moved) >>> 0);
      }
    }
  });

  it('of UDP takes addresses and ports', () => {
    const tape = new Tape();
    const [query] = tape.play(udpPacket({ src: CLIENT, dst: ENDPOINT, sport: 5353, dport: 53, payload: 'q' })).out;
    for (const checksum of [true, false]) {
      const answer = udpPacket({ src: ENDPOINT, dst: CLIENT, sport: 53, dport: 5353, payload: 'answer', checksum });
      const played = tape.play(answer);
      assert.equal(played.verdict, 'lifted');
      const form = ip(played.out[0]!);
      assert.deepEqual([form.src, form.dst], [BACKEND, NAT]);
      assert.equal(form.payload.readUInt16BE(2), query!.readUInt16BE(20));
      assert.deepEqual(played.back[0]!.subarray(20), answer.subarray(20));
    }
  });

  it('of fragments in any order comes back whole', () => {
    const tape = new Tape();
    tape.play(udpPacket({ src: CLIENT, dst: ENDPOINT, sport: 5353, dport: 53 }));
    const payload = Buffer.alloc(900, 0x61);
    const answer = udpPacket({ src: ENDPOINT, dst: CLIENT, sport: 53, dport: 5353, payload, id: 5, df: false });
    const parts = fragments(answer, 400);
    assert.equal(tape.play(parts[2]!).verdict, 'held');
    const first = tape.play(parts[0]!);
    assert.equal(first.verdict, 'lifted');
    assert.equal(first.out.length, 2, 'the first, and the one that had waited');
    const last = tape.play(parts[1]!);
    assert.equal(last.verdict, 'lifted');
    for (const [octets, part] of [
      [first.back[0]!, parts[0]!],
      [first.back[1]!, parts[2]!],
      [last.back[0]!, parts[1]!],
    ] as const) {
      assert.deepEqual([ip(octets).src, ip(octets).dst, ip(octets).id], [ENDPOINT, CLIENT, 5]);
      assert.deepEqual(octets.subarray(20), part.subarray(20));
    }
  });

  it('of an ICMP error about a client packet quotes what the provider’s side saw', () => {
    const tape = new Tape().open();
    const about = tcpPacket({
      src: CLIENT,
      sport: 40000,
      dst: ENDPOINT,
      dport: 443,
      seq: tape.s + 7,
      ack: tape.b,
      payload: 'abc',
    });
    for (const [src, lifted] of [
      [ENDPOINT, BACKEND],
      ['203.0.113.9', '203.0.113.9'],
    ] as const) {
      const error = icmpError({ src, dst: CLIENT, code: 4, rest: 1400, about });
      const played = tape.play(error);
      assert.equal(played.verdict, 'lifted');
      const form = ip(played.out[0]!);
      assert.deepEqual([form.src, form.dst, form.ttl], [lifted, NAT, 64]);
      assert.deepEqual(faults(form.payload.subarray(8)), [], 'the quoted packet');
      assert.equal(form.payload.readUInt32BE(8 + 24), tape.s + 7 + L);
      assert.deepEqual(played.back[0]!.subarray(20), error.subarray(20));
    }
  });
});

describe('a recording', () => {
  it('sends the header again with a retransmission, though the recorded server acknowledged S', () => {
    const tape = new Tape().open();
    tape.server({ acked: 0 });
    tape.client({ payload: 'hello' });
    const again = tape.client({ payload: 'hello' }).out;
    assert.equal(again.length, 2);
    assert.ok(segment(again[0]!).payload.equals(HEADER));
    assert.equal(segment(again[1]!).seq, tape.s + L);
  });

  it('replaces no more bare ACKs once the recorded server acknowledged S', () => {
    const tape = new Tape().open();
    assert.ok(segment(tape.client().out[0]!).payload.equals(HEADER));
    tape.server({ acked: 0, payload: 'greeting' });
    const ack = segment(tape.client().out[0]!);
    assert.deepEqual([ack.payload.length, ack.seq], [0, tape.s + L]);
  });

  it('sends no header again once the recorded server acknowledged data', () => {
    const tape = new Tape().open();
    tape.client({ payload: 'hello' });
    tape.server({ acked: 5 });
    assert.equal(tape.client({ payload: 'hello' }).out.length, 1);
  });

  it('makes no header for an RST behind a SYN with data, while no number is known that it could acknowledge', () => {
    const cookie = Buffer.from('220a0102030405060708', 'hex');
    const reset = (flags: number, answered: boolean): number[][] => {
      const tape = new Tape();
      const [carried] = tape.client({ at: -1, flags: SYN, ack: 0, payload: 'hello', options: cookie }).out;
      assert.ok(segment(carried!).payload.subarray(0, L).equals(HEADER));
      if (answered) tape.server({ at: -1, flags: SYN | ACK });
      return tape.client({ flags, ack: 77 }).out.map((octets) => {
        const { seq, ack, flags: sent } = segment(octets);
        return [seq - tape.s, ack, sent];
      });
    };
    assert.deepEqual(reset(RST, false), [[0, 77, RST]]);
    assert.deepEqual(reset(RST | ACK, false), [
      [0, 77, PSH | ACK],
      [L, 77, RST | ACK],
    ]);
    assert.deepEqual(reset(RST, true), [
      [0, 7000, PSH | ACK],
      [L, 77, RST],
    ]);
  });

  it('may lack the SYN-ACK', () => {
    const tape = new Tape();
    tape.client({ at: -1, flags: SYN, ack: 0 });
    assert.ok(segment(tape.client().out[0]!).payload.equals(HEADER));
    assert.equal(segment(tape.client({ payload: 'x' }).out[0]!).seq, tape.s + L);
  });

  it('has no flow for a server’s packet alone', () => {
    const tape = new Tape();
    assert.deepEqual([tape.server().verdict, tape.server({ flags: SYN | ACK }).verdict], ['no-flow', 'no-flow']);
    const late = udpPacket({ src: ENDPOINT, dst: CLIENT, sport: 53, dport: 5353 });
    assert.equal(tape.play(late).verdict, 'no-flow');
    assert.equal(tape.bench.drops('no-flow'), 3);
    assert.equal(tape.bench.t.flows.count, 0);
  });

  it('refuses what the ordinary way refuses, of server packets too', () => {
    const tape = new Tape().open();
    assert.equal(tape.server({ flags: SYN }).verdict, 'simultaneous-open');
    assert.equal(tape.server({ flags: FIN }).verdict, 'tcp-bad-flags');
    assert.equal(tape.play(tape.serverPacket().subarray(0, 19)).verdict, 'ip-truncated');
    const wrong = tape.serverPacket();
    wrong.writeUInt8(0xf0, 32);
    assert.equal(tape.play(withChecksum(wrong)).verdict, 'tcp-malformed');
    assert.equal(
      tape.play(
        icmpError({
          src: '1.2.3.4',
          dst: CLIENT,
          about: udpPacket({ src: CLIENT, dst: '9.9.9.9', sport: 1, dport: 2 }),
        }),
      ).verdict,
      'icmp-no-flow',
    );
  });

  it('follows a connection on the tuple of another that the backend takes for new, in its own numbers', () => {
    const tape = new Tape().open();
    tape.client({ payload: 'hello' });
    tape.server({ acked: 5, window: 60000 });
    tape.client({ at: 5, ack: tape.b });
    const [syn] = tape.client({ at: 5, flags: SYN, ack: 0 }).out;
    assert.equal(segment(syn!).seq, tape.s + 5);
    const form = tape.identical(tape.serverPacket({ at: 90_000, flags: SYN | ACK, acked: 6, window: 500 }));
    assert.deepEqual([form.ack, form.window], [tape.s + 6, 500 + L]);
    const [header] = tape.client({ at: 6, ack: tape.b + 90_001 }).out;
    assert.ok(segment(header!).payload.equals(HEADER));
    assert.equal(segment(header!).seq, tape.s + 6);
  });

  it('takes the direction from the SYN where services are adopted: a tuple may change it', () => {
    const bench = new Bench({ networks: ['a'], links: [] }, { fastOpen: 'carry' });
    const { t } = bench;
    let n = 0;
    t.core.adopt = (network, place) => {
      const spec = link({ natAddresses: [address(NAT)], endpoints: [] });
      const pe = endpoint({ name: `adopted-${++n}`, network, address: place >>> 0 });
      return t.tables.addEndpoint(t.tables.addLink(spec), pe);
    };
    const tape = new Tape(bench).open();
    assert.equal(tape.server({ flags: SYN }).verdict, 'simultaneous-open', 'a live one does not');
    tape.server({ flags: RST, ack: 0 });
    const [syn] = tape.server({ flags: SYN, ack: 0 }).out;
    assert.equal(segment(syn!).dst, BACKEND);
    assert.equal(n, 2);
  });

  it('knows the server by a SYN-ACK whose SYN was not seen, whatever the ports', () => {
    for (const told of [true, false]) {
      const bench = new Bench({ networks: ['a'], links: [] }, { midstream: 'translate' });
      const { t } = bench;
      t.core.adopt = (network, place) => {
        const pe = endpoint({ name: 'adopted', network, address: place >>> 0 });
        return t.tables.addEndpoint(t.tables.addLink(link({ natAddresses: [address(NAT)], endpoints: [] })), pe);
      };
      const play = (fields: TcpFields): string => new Tape(bench).play(tcpPacket(fields)).verdict;
      const server = { src: ENDPOINT, dst: CLIENT, sport: 55555, dport: 5000 };
      const client = { src: CLIENT, dst: ENDPOINT, sport: 5000, dport: 55555 };
      if (told) assert.equal(play({ ...server, flags: SYN | ACK }), 'no-flow');
      assert.equal(play({ ...client, flags: ACK }), told ? 'forward' : 'no-flow');
      assert.equal(play({ ...server, flags: PSH | ACK, payload: 'hi' }), told ? 'lifted' : 'forward');
    }
  });
});
