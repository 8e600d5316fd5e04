import assert from 'node:assert/strict';
import fc from 'fast-check';
import { LIFTED as RECORDING_LIFTED, Recording } from '../../../src/translate/recording.js';
import {
  fromBackend,
  fromNetwork,
  LIFTED,
  NOT_USUAL,
  TO_BACKEND,
  TO_CLIENT,
} from '../../../src/translate/established.js';
import { STRIDE } from '../../../src/flow/flow-table.js';
import { Translator } from '../../../src/translate/translator.js';
import { address, topology } from '../../support/bench.js';
import { ACK, FIN, PSH, RST, SYN, tcpPacket, URG, withChecksum } from '../../support/packets.js';

const IN = 64;
const ROOM = 4096;
const FLOWS = 4;
const HEADER = 36;
const CLIENTS = ['10.0.0.5', '10.0.0.6', '10.0.0.5', '10.0.0.6'];
const ENDPOINT = '10.9.0.4';
const dotted = (b: Buffer, at: number): string => [...b.subarray(at, at + 4)].join('.');

const TIMESTAMPS = Buffer.from('0101080a0000000100000002', 'hex');
const OPTIONS: readonly (Buffer | undefined)[] = [
  undefined,
  TIMESTAMPS,
  Buffer.from('0101050a0000000100000009', 'hex'), // SACK
  Buffer.from('1e04000101010101', 'hex'), // MPTCP MP_CAPABLE
];

/** Something that happens to a flow. Positions are octets of its streams, behind each ISN + 1. */
interface Step {
  readonly flow: number;
  readonly server: boolean;
  /** The stream goes on by so much first. */
  readonly leap: number;
  /** Where the segment is, and what it acknowledges, from there. */
  readonly seq: number;
  readonly ack: number;
  readonly data: number;
  readonly flags: number;
  readonly options: number;
  readonly ttl: number;
  readonly trailer: number;
  readonly missing: number;
  readonly partial: boolean;
  /** An octet that is changed behind the checksums' backs; -1: none. */
  readonly corrupt: number;
  /** Milliseconds before it. */
  readonly wait: number;
}

const rarely = <T>(usual: T, others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, { weight: 2, arbitrary: fc.constantFrom(...others) });

const step: fc.Arbitrary<Step> = fc.record({
  flow: fc.nat(FLOWS - 1),
  server: fc.boolean(),
  leap: rarely(0, [1, 100, 1460, 0x30000000, 0x3fffffff, 0x41000000]),
  seq: rarely(0, [-2, -1, 1, 36, 37, -1460, 0x70000000]),
  ack: rarely(0, [-HEADER - 1, -HEADER, -1, 1, HEADER, 5000]),
  data: fc.constantFrom(0, 0, 1, 7, 36, 100),
  flags: rarely(ACK | PSH, [ACK, ACK | FIN, ACK | RST, RST, SYN, SYN | ACK, ACK | URG, 0]),
  options: rarely(0, [1, 1, 2, 3]),
  ttl: rarely(64, [0, 1, 2, 255]),
  trailer: rarely(0, [1, 6]),
  missing: rarely(0, [1, 50, 200]),
  partial: fc.boolean(),
  corrupt: rarely(-1, [0, 1, 3, 6, 8, 9, 10, 12, 32, 33, 36, 45]),
  wait: rarely(0, [1, 300, 70_000]),
});

class Side {
  readonly slab = Buffer.alloc(IN + ROOM + (1 << 18));
  readonly t: Translator;
  readonly recording: Recording;

  constructor(shortcut: boolean, proxy: boolean, translateMidstream: boolean) {
    const plain = topology();
    const networks = { ...plain, links: plain.links.map((l) => (proxy ? l : { ...l, proxy: null })) };
    this.t = new Translator(networks, this.slab, IN + ROOM, this.slab.length, {
      maxFlows: 64,
      midstream: translateMidstream ? 'translate' : 'drop',
      headerTimer: true,
      absorbHeaderAck: !translateMidstream,
    });
    this.t.core.shortcut = shortcut;
    this.t.start(0);
    this.recording = new Recording(this.t);
  }

  put(packet: Buffer): void {
    this.t.begin();
    this.slab.fill(0xa5, 0, IN + ROOM);
    this.slab.set(packet, IN);
  }

  /** All that a packet may have changed. */
  state(): unknown {
    const { outbox, flows, counters, drops } = this.t;
    const { core } = this.t;
    return {
      sent: Array.from({ length: outbox.count }, (_, i) => {
        const at = outbox.offset[i]!;
        const octets = this.slab.toString('hex', at, at + outbox.length[i]!);
        return [at, octets, outbox.missing[i], outbox.side[i], outbox.network[i]];
      }),
      room: this.slab.toString('hex', 0, IN + 256),
      records: [...flows.records.subarray(0, 8 * STRIDE)],
      counters: JSON.stringify(counters),
      drops: drops.toJSON(),
      flow: core.flow,
      missing: core.missing,
    };
  }
}

/** Two translators that get the same packets, one without the short cut. */
class Pair {
  readonly quick: Side;
  private readonly slow: Side;
  private now = 0;

  constructor(proxy: boolean, translateMidstream: boolean) {
    this.quick = new Side(true, proxy, translateMidstream);
    this.slow = new Side(false, proxy, translateMidstream);
  }

  wait(ms: number): void {
    this.now += ms;
    for (const { t } of [this.quick, this.slow]) {
      t.begin();
      while (!t.advance(this.now));
    }
    assert.deepEqual(this.quick.state(), this.slow.state());
  }

  /** @returns the first packet sent, as the quick side has it */
  same(packet: Buffer, go: (side: Side, end: number) => number, trailer = 0): { verdict: number; sent: Buffer } {
    const verdicts = [this.quick, this.slow].map((side) => {
      side.put(packet);
      return go(side, IN + packet.length + trailer);
    });
    assert.equal(verdicts[0], verdicts[1]);
    assert.deepEqual(this.quick.state(), this.slow.state());
    const { outbox } = this.quick.t;
    const at = outbox.count > 0 ? outbox.offset[0]! : IN;
    const sent = Buffer.from(this.quick.slab.subarray(at, at + (outbox.count > 0 ? outbox.length[0]! : 0)));
    return { verdict: verdicts[0]!, sent };
  }
}

const clientIsn = (flow: number): number => (0xffffff00 + flow * 100) >>> 0;
const SERVER_ISN = 0x7ffffff0;

interface Tuple {
  nat: string;
  backend: string;
  natPort: number;
}

class Streams {
  /** Octets that each flow's client, and its server, has sent. */
  readonly client = new Array<number>(FLOWS).fill(0);
  readonly server = new Array<number>(FLOWS).fill(0);
  readonly tuples: Tuple[] = [];

  fromClient(s: Step): Buffer {
    return tcpPacket({
      src: CLIENTS[s.flow]!,
      dst: ENDPOINT,
      sport: 40000 + s.flow,
      dport: 443,
      ttl: s.ttl,
      seq: clientIsn(s.flow) + 1 + this.client[s.flow]! + s.seq,
      ack: SERVER_ISN + 1 + this.server[s.flow]! + s.ack,
      flags: s.flags,
      payload: Buffer.alloc(s.data, 'c'),
      ...(OPTIONS[s.options] === undefined ? {} : { options: OPTIONS[s.options]! }),
    });
  }

  /** @param inserted octets before the client's in the backend's stream; null: as the consumer sees it */
  fromServer(s: Step, inserted: number | null): Buffer {
    const { nat, backend, natPort } = this.tuples[s.flow]!;
    const seen = inserted === null;
    return tcpPacket({
      src: seen ? ENDPOINT : backend,
      dst: seen ? CLIENTS[s.flow]! : nat,
      sport: 443,
      dport: seen ? 40000 + s.flow : natPort,
      ttl: s.ttl,
      seq: SERVER_ISN + 1 + this.server[s.flow]! + s.seq,
      ack: clientIsn(s.flow) + 1 + this.client[s.flow]! + (inserted ?? 0) + s.ack,
      flags: s.flags,
      payload: Buffer.alloc(s.data, 's'),
      ...(OPTIONS[s.options] === undefined ? {} : { options: OPTIONS[s.options]! }),
    });
  }
}

const plain: Step = {
  flow: 0,
  server: false,
  leap: 0,
  seq: 0,
  ack: 0,
  data: 0,
  flags: ACK,
  options: 0,
  ttl: 64,
  trailer: 0,
  missing: 0,
  partial: false,
  corrupt: -1,
  wait: 0,
};

function open(pair: Pair, streams: Streams, flow: number, inserted: number): void {
  const client = (side: Side, end: number): number => side.t.fromConsumer(IN, end, 0);
  const server = (side: Side, end: number): number => side.t.fromProvider(IN, end);
  const syn = pair.same(streams.fromClient({ ...plain, flow, seq: -1, flags: SYN }), client);
  streams.tuples[flow] = {
    nat: dotted(syn.sent, 12),
    backend: dotted(syn.sent, 16),
    natPort: syn.sent.readUInt16BE(20),
  };
  pair.same(streams.fromServer({ ...plain, flow, server: true, seq: -1, flags: SYN | ACK }, 0), server);
  // The last flow's handshake ends with an ACK that is not at S, so that no header has gone.
  pair.same(streams.fromClient({ ...plain, flow, seq: flow === 3 ? 10 : 0 }), client);
  if (flow >= 2) return; // its backend has not acknowledged the header yet
  pair.same(streams.fromServer({ ...plain, flow, server: true }, inserted), server);
}

function changed(packet: Buffer, s: Step): Buffer {
  const out = Buffer.from(packet);
  if (s.corrupt >= 0 && s.corrupt < out.length) {
    out[s.corrupt] = out[s.corrupt]! ^ 0x55;
    if (s.wait !== 0) withChecksumIfWhole(out);
  }
  return s.missing > 0 ? out.subarray(0, Math.max(1, out.length - s.missing)) : out;
}

/** Such packets are only wrong in what was changed, not in their checksums. */
function withChecksumIfWhole(packet: Buffer): void {
  if (packet.readUInt8(0) === 0x45 && packet.readUInt16BE(2) === packet.length && packet[9] === 6) {
    withChecksum(packet);
  }
}

function live(steps: readonly Step[], proxy: boolean, recorded: boolean): void {
  const pair = new Pair(proxy, recorded);
  const streams = new Streams();
  const inserted = proxy ? HEADER : 0;
  for (let flow = 0; flow < FLOWS; flow++) open(pair, streams, flow, inserted);
  for (const s of steps) {
    const position = s.server ? streams.server : streams.client;
    position[s.flow] = position[s.flow]! + s.leap;
    if (s.wait > 0) pair.wait(s.wait);
    const missing = s.missing;
    if (recorded) {
      const packet = changed(s.server ? streams.fromServer(s, null) : streams.fromClient(s), s);
      const go = (side: Side, end: number): number => side.recording.packet(IN, end, 0, missing, s.partial);
      const { verdict, sent } = pair.same(packet, go, s.trailer);
      if (verdict === RECORDING_LIFTED) {
        const back = (side: Side, end: number): number => side.t.fromProvider(IN, end, missing, s.partial);
        pair.same(sent, back);
      }
    } else if (s.server) {
      const packet = changed(streams.fromServer(s, inserted), s);
      pair.same(packet, (side, end) => side.t.fromProvider(IN, end, missing, s.partial), s.trailer);
    } else {
      const packet = changed(streams.fromClient(s), s);
      pair.same(packet, (side, end) => side.t.fromConsumer(IN, end, 0, missing, s.partial), s.trailer);
    }
    position[s.flow] = position[s.flow]! + s.data;
  }
}

const steps = fc.array(step, { minLength: 1, maxLength: 30 });
const RUNS = { numRuns: 300 };

describe('established segments in one go', () => {
  for (const proxy of [true, false]) {
    const how = proxy ? 'with a header' : 'without a header';
    it(`change what the general way changes, and nothing else, ${how}`, () => {
      fc.assert(
        fc.property(steps, (list) => live(list, proxy, false)),
        RUNS,
      );
    });
    it(`are lifted and given back as the general way does, ${how}`, () => {
      fc.assert(
        fc.property(steps, (list) => live(list, proxy, true)),
        RUNS,
      );
    });
  }

  it('are what a plain segment is, each way, lifted too', () => {
    const pair = new Pair(true, false);
    const streams = new Streams();
    for (let flow = 0; flow < FLOWS; flow++) open(pair, streams, flow, HEADER);
    const { quick } = pair;
    const on = (packet: Buffer, go: (side: Side, end: number) => number): number => {
      quick.put(packet);
      return go(quick, IN + packet.length);
    };
    const network = (side: Side, end: number): number => fromNetwork(side.t.core, IN, end, 0, 0, true, false);
    const backend = (side: Side, end: number): number => fromBackend(side.t.core, IN, end, 0, false);
    const data = { ...plain, data: 100, flags: ACK | PSH };
    for (const options of [0, 1]) {
      assert.equal(on(streams.fromClient({ ...data, options }), network), TO_BACKEND);
      assert.equal(on(streams.fromServer({ ...data, options }, HEADER), backend), TO_CLIENT);
      streams.client[0] = streams.client[0]! + 100;
      assert.equal(on(streams.fromServer({ ...data, options }, null), network), LIFTED);
    }
    // As every packet comes whose checksum its sender has left to us.
    const offloaded = (side: Side, end: number): number => fromNetwork(side.t.core, IN, end, 0, 0, false, true);
    const offloadedBack = (side: Side, end: number): number => fromBackend(side.t.core, IN, end, 0, true);
    assert.equal(on(streams.fromClient(data), offloaded), TO_BACKEND);
    assert.equal(on(streams.fromServer(data, HEADER), offloadedBack), TO_CLIENT);
    assert.equal(on(streams.fromClient({ ...data, flags: ACK | FIN }), network), NOT_USUAL);
    assert.equal(on(streams.fromClient({ ...data, flow: 2 }), network), NOT_USUAL, 'the header may have to go again');
    assert.equal(address(ENDPOINT), quick.t.tables.endpoints[0]!.address >>> 0);
  });
});
