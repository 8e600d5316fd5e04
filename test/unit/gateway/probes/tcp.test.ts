import assert from 'node:assert/strict';
import type { TcpEvents } from '../../../../src/gateway/probes/tcp-connection.js';
import { ACK, FIN, onesSum, PSH, RST, SYN, tcpPacket, type TcpFields, udpPacket } from '../../../support/packets.js';
import { Random } from '../../../support/random.js';
import { PEER, PEER_ADDRESS, Peers, PROBES, server, Wire } from './peer.js';

class Recorder implements TcpEvents {
  readonly heard: string[] = [];
  readonly octets: Buffer[] = [];
  onOpen(): void {
    this.heard.push('open');
  }
  onData(octets: Buffer): void {
    this.octets.push(octets);
  }
  onEnd(): void {
    this.heard.push('end');
  }
  onDrain(): void {
    this.heard.push('drain');
  }
  onClose(why: string): void {
    this.heard.push(why);
  }
  get stream(): Buffer {
    return Buffer.concat(this.octets);
  }
}

/** A connection to a peer that the test plays; `isn` is the peer's. */
class Played {
  readonly wire: Wire;
  readonly events = new Recorder();
  readonly connection;
  readonly port: number;
  readonly iss: number;
  isn = 5000;

  constructor(mtu?: number) {
    this.wire = new Wire(mtu);
    this.connection = this.wire.stack.connect(PEER_ADDRESS, 80, this.events);
    this.port = this.wire.last.sourcePort;
    this.iss = this.wire.last.seq;
  }

  /** A segment of the peer's: `seq` and `ack` count from the first octet of each stream. */
  segment(fields: Partial<TcpFields>): Buffer {
    return tcpPacket({
      src: PEER,
      dst: PROBES,
      sport: 80,
      dport: this.port,
      ...fields,
      seq: this.isn + 1 + (fields.seq ?? 0),
      ack: this.iss + 1 + (fields.ack ?? 0),
    });
  }

  give(fields: Partial<TcpFields>, partial = false): boolean {
    return this.wire.give(this.segment(fields), partial);
  }

  accept(fields: Partial<TcpFields> = {}): this {
    this.give({ flags: SYN | ACK, seq: -1, options: Buffer.from([2, 4, 5, 180]), ...fields });
    return this;
  }

  /** Of the last packet sent, counted as in `segment`. */
  get last(): { flags: number; seq: number; ack: number; window: number; length: number } {
    const { flags, seq, ack, window, payload } = this.wire.last;
    return { flags, seq: (seq - this.iss - 1) | 0, ack: (ack - this.isn - 1) | 0, window, length: payload.length };
  }
}

/** The packet again, with the IPv4 checksum that it should have. */
function withIpChecksum(packet: Buffer): Buffer {
  packet.writeUInt16BE(0, 10);
  packet.writeUInt16BE(onesSum(packet.subarray(0, 20)) ^ 0xffff, 10);
  return packet;
}

describe('probes: TCP', () => {
  it('carries both streams whole over a bad line, and ends in order', async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new Random(seed);
      const [up, down] = [random.octets(random.int(0, 12_000)), random.octets(random.int(0, 20_000))];
      const bad = seed > 5;
      const peers = new Peers(
        server({
          data: down,
          iss: random.int(0, 0xffff_ffff),
          mss: random.pick([100, 536, 1460]),
          buffer: random.pick([2048, 32768]),
          readRate: random.pick([1000, Infinity]),
          scale: random.pick([-1, 3]),
          close: random.pick(['written', 'peer-closed']),
          probe: random.pick(['old', 'octet']),
        }),
        { seed, loss: bad ? 0.15 : 0, duplicate: bad ? 0.1 : 0, jitterMs: bad ? 30 : 0 },
        random.pick([576, 1500]),
      );
      const events = new Recorder();
      const connection = peers.stack.connect(PEER_ADDRESS, 80, events);
      connection.write(up.subarray(0, 100));
      connection.write(up.subarray(100));
      connection.end();
      const over = (): boolean => events.heard.includes('closed') && peers.server.stream.length === up.length;
      assert.ok(await peers.time.runUntil(over, 600_000), `seed ${seed}: ${peers.server.describe()}`);
      assert.deepEqual([events.heard[0], ...events.heard.slice(-2)], ['open', 'end', 'closed'], `seed ${seed}`);
      assert.ok(events.stream.equals(down) && peers.server.stream.equals(up), `seed ${seed}`);
      assert.equal(peers.stack.count, 0);
    }
  });

  it('opens with its MSS, and again after one, three and seven seconds', async () => {
    const p = new Played(1400);
    assert.equal(p.wire.last.flags, SYN);
    assert.equal(p.wire.last.source, PROBES);
    assert.equal(p.wire.last.options.get(2)!.readUInt16BE(0), 1360);
    const times: number[] = [];
    for (let ms = 0; ms < 10_000; ms += 100) {
      const before = p.wire.sent.length;
      await p.wire.time.pass(100);
      if (p.wire.sent.length > before) times.push(ms + 100);
    }
    assert.deepEqual(times, [1000, 3000, 7000]);
    assert.ok(p.wire.sent.every(({ seq, flags }) => seq === p.iss && flags === SYN));
  });

  it('sends no longer segments than the peer takes', () => {
    const p = new Played().accept({ options: Buffer.from([2, 4, 0, 200]) });
    p.connection.write(Buffer.alloc(500));
    assert.deepEqual(
      p.wire.sent.slice(-3).map(({ payload }) => payload.length),
      [200, 200, 100],
    );
    const silent = new Played().accept({ options: Buffer.alloc(0) });
    silent.connection.write(Buffer.alloc(600));
    assert.deepEqual(
      silent.wire.sent.slice(-2).map(({ payload }) => payload.length),
      [536, 64],
    );
  });

  it('takes RST to its SYN for a refusal, if it is one to this SYN', () => {
    const p = new Played();
    p.give({ flags: RST | ACK, ack: 7 });
    p.give({ flags: RST });
    assert.deepEqual(p.events.heard, []);
    p.give({ flags: RST | ACK, ack: 0 });
    assert.deepEqual(p.events.heard, ['refused']);
    assert.equal(p.wire.stack.count, 0);
  });

  it('resets what the peer still holds of an older connection, and opens then', () => {
    const p = new Played();
    p.give({ flags: ACK, ack: 900 });
    assert.deepEqual([p.wire.last.flags, p.last.seq], [RST, 900]);
    p.accept();
    assert.deepEqual(p.events.heard, ['open']);
  });

  it('acknowledges a SYN-ACK that comes again', () => {
    const p = new Played().accept();
    const before = p.wire.sent.length;
    p.accept();
    assert.equal(p.wire.sent.length, before + 1);
    assert.deepEqual(p.last, { flags: ACK, seq: 0, ack: 0, window: 65535, length: 0 });
    assert.deepEqual(p.events.heard, ['open']);
  });

  it('believes a RST with the exact number only', () => {
    const p = new Played().accept();
    const before = p.wire.sent.length;
    p.give({ flags: RST, seq: 70_000 });
    assert.equal(p.wire.sent.length, before);
    p.give({ flags: RST, seq: 10 });
    assert.equal(p.last.flags, ACK);
    assert.deepEqual(p.events.heard, ['open']);
    p.give({ flags: RST, seq: 0 });
    assert.deepEqual(p.events.heard, ['open', 'reset']);
  });

  it('gives on in order what comes out of order, once', () => {
    const p = new Played().accept();
    p.give({ seq: 4, payload: 'efgh', flags: ACK | FIN });
    assert.equal(p.last.ack, 0);
    p.give({ seq: 2, payload: 'cde' });
    p.give({ seq: 0, payload: 'abc' });
    assert.equal(p.events.stream.toString(), 'abcdefgh');
    assert.equal(p.last.ack, 9);
    p.give({ seq: 0, payload: 'abc' });
    p.give({ seq: 6, payload: 'gh', flags: ACK | FIN });
    assert.equal(p.last.ack, 9);
    assert.equal(p.events.stream.toString(), 'abcdefgh');
    assert.deepEqual(p.events.heard, ['open', 'end']);
  });

  it('holds no more than its window, however early or small what comes is', () => {
    const p = new Played().accept();
    for (let i = 1; i < 160; i++) p.give({ seq: 400 * i, payload: Buffer.alloc(200, i) });
    p.give({ seq: 0, payload: Buffer.alloc(400) });
    for (let i = 1; i < 160; i++) p.give({ seq: 400 * i + 200, payload: Buffer.alloc(200) });
    assert.equal(p.last.ack, 400 * 129, 'of what was early, the first 128 segments');
    const far = new Played().accept();
    far.give({ seq: 60_000, payload: Buffer.alloc(10_000) });
    far.give({ seq: 0, payload: Buffer.alloc(60_000) });
    assert.equal(far.events.stream.length, 65_535, 'no more than was offered');
  });

  it('takes a super-packet whose checksum is left to it, and none that is wrong', () => {
    const p = new Played().accept();
    const packet = p.segment({ seq: 0, payload: Buffer.alloc(60_000, 7) });
    packet.writeUInt16BE(0x1234, 36);
    assert.equal(p.wire.give(packet), false);
    assert.equal(p.events.stream.length, 0);
    assert.equal(p.wire.give(packet, true), true);
    assert.equal(p.events.stream.length, 60_000);
    assert.equal(p.last.ack, 60_000);
  });

  it('offers less while what came is not read, and says so when it is', () => {
    const p = new Played().accept();
    p.give({ seq: 0, payload: Buffer.alloc(60_000) });
    p.connection.setUnread(60_000);
    p.give({ seq: 60_000, payload: Buffer.alloc(10_000) });
    assert.equal(p.last.window, 5535);
    assert.equal(p.events.stream.length, 65_535);
    p.connection.setUnread(65_535);
    p.give({ seq: 65_535, payload: 'x' });
    assert.equal(p.last.window, 0);
    assert.equal(p.events.stream.length, 65_535);
    p.connection.setUnread(0);
    assert.equal(p.last.window, 65_535);
  });

  it('asks after a closed window with one octet, and goes on when it opens', async () => {
    const p = new Played().accept({ window: 0 });
    p.connection.write(Buffer.from('hello'));
    assert.equal(p.last.length, 0);
    await p.wire.time.pass(1000);
    assert.deepEqual([p.last.seq, p.last.length], [0, 1]);
    p.give({ ack: 0, window: 0 });
    await p.wire.time.pass(2000);
    assert.deepEqual([p.last.seq, p.last.length], [0, 1]);
    p.give({ ack: 1, window: 100 });
    assert.deepEqual([p.last.seq, p.last.length], [1, 4]);
  });

  it('says when it has no room to send, and when it has again', () => {
    const p = new Played().accept();
    assert.equal(p.connection.write(Buffer.alloc(60_000)), true);
    assert.equal(p.connection.write(Buffer.alloc(60_000)), false);
    p.give({ ack: 14_600 });
    assert.deepEqual(p.events.heard, ['open']);
    for (let ack = 14_600; ack < 90_000; ack += 1460) p.give({ ack });
    assert.deepEqual(p.events.heard, ['open', 'drain']);
  });

  it('takes no acknowledgment of what it never sent', () => {
    const p = new Played().accept();
    p.connection.write(Buffer.from('hello'));
    p.give({ ack: 6, seq: 0, payload: 'no' });
    assert.equal(p.events.stream.length, 0);
    assert.equal(p.last.flags, ACK);
    p.give({ ack: 5, seq: 0, payload: 'yes' });
    assert.equal(p.events.stream.toString(), 'yes');
  });

  it('resets the peer when it is aborted, and hears nothing more', async () => {
    const p = new Played().accept();
    p.connection.write(Buffer.from('hello'));
    p.connection.abort();
    assert.deepEqual([p.last.flags, p.last.seq], [RST | ACK, 5]);
    p.give({ ack: 5, seq: 0, payload: 'late' });
    await p.wire.time.pass(60_000);
    assert.deepEqual(p.events.heard, ['open']);
    assert.equal(p.wire.time.pending, 0);
  });

  it('resets what belongs to no connection, but no RST', () => {
    const { give, wire } = ((w) => ({ give: (f: TcpFields) => w.give(tcpPacket(f)), wire: w }))(new Wire());
    const stray = { src: PEER, dst: PROBES, sport: 4000, dport: 80 };
    assert.ok(give({ ...stray, flags: SYN, seq: 100 }));
    assert.deepEqual([wire.last.flags, wire.last.seq, wire.last.ack], [RST | ACK, 0, 101]);
    assert.ok(give({ ...stray, flags: ACK | PSH, seq: 100, ack: 77, payload: 'x' }));
    assert.deepEqual([wire.last.flags, wire.last.seq], [RST, 77]);
    assert.ok(give({ ...stray, flags: RST, seq: 100 }));
    assert.equal(wire.sent.length, 2);
  });

  it('passes over what is no TCP of its own: UDP, fragments, wrong ports, broken headers', () => {
    const p = new Played();
    const w = p.wire;
    assert.equal(w.give(udpPacket({ src: PEER, dst: PROBES, sport: 80, dport: p.port })), false);
    const fragment = p.segment({ flags: SYN | ACK, seq: -1, df: false });
    fragment.writeUInt16BE(0x2000, 6);
    assert.equal(w.give(withIpChecksum(fragment)), false);
    const short = p.segment({ flags: SYN | ACK, seq: -1 });
    short[32] = 0x40;
    assert.equal(w.give(short), false);
    w.give(tcpPacket({ src: PEER, dst: PROBES, sport: 81, dport: p.port, flags: SYN | ACK, ack: p.iss + 1 }));
    w.give(tcpPacket({ src: '10.200.2.5', dst: PROBES, sport: 80, dport: p.port, flags: SYN | ACK, ack: p.iss + 1 }));
    assert.deepEqual(p.events.heard, []);
    p.accept();
    assert.deepEqual(p.events.heard, ['open']);
  });

  it('throws for nothing that comes, and opens and closes once at most', () => {
    const random = new Random(5);
    for (let n = 0; n < 300; n++) {
      const p = new Played();
      if (random.chance(0.8)) p.accept();
      if (random.chance(0.5)) p.connection.write(random.octets(random.int(1, 3000)));
      if (random.chance(0.5)) p.connection.end();
      for (let k = 0; k < 40; k++) {
        const packet = p.segment({
          flags: random.pick([ACK, ACK | PSH, ACK | FIN, SYN | ACK, SYN, 0, 255]),
          seq: random.pick([0, random.int(-10, 10), random.int(-70_000, 70_000)]),
          ack: random.pick([0, random.int(-10, 3010)]),
          window: random.pick([0, 1, 65_535]),
          options: random.octets(random.int(0, 10) * 4),
          payload: random.octets(random.int(0, 300)),
        });
        if (random.chance(0.2)) packet[random.int(20, packet.length - 1)] = random.int(0, 255);
        p.give({}); // a plain ACK in between
        p.wire.give(packet, true);
      }
      assert.ok(p.events.stream.length <= 40 * 300);
      assert.ok(p.events.heard.filter((each) => each === 'open').length <= 1);
      assert.ok(p.events.heard.filter((each) => /closed|reset|refused/.test(each)).length <= 1);
    }
  });
});
