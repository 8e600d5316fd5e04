/**
 * Run by itself, in a process of its own: how many octets of heap a packet costs on each way through the translator, as
 * JSON on standard output. The young generation is made so large (see the caller) that nothing is collected between the
 * two looks at the heap, so growth is all that was allocated. Each way is run until it is compiled before it is measured.
 */
import { ACK, fragments, icmpError, PSH, SYN, tcpPacket, udpPacket, withChecksum } from './packets.js';
import { address, lab } from './gateway.js';
import { Steering, steeringMemory } from '../../src/gateway/workers/steering.js';
import { TIMEOUT_PROFILES } from '../../src/translate/options.js';
import type { LinkSecurity, LinkSpec, Range } from '../../src/translate/topology.js';
import { Translator } from '../../src/translate/translator.js';
import { turnedRound } from './there-and-back.js';

const collect = (globalThis as { gc?: () => void }).gc;
if (collect === undefined) throw new Error('run with --expose-gc');

const ROOM = 1 << 16;
const SCRATCH = 1 << 18;
/** Where the packet at work lies; its originals lie behind the scratch. */
const WORK = 64;

interface Way {
  readonly translator: Translator;
  /** Does one packet; `i` counts them. */
  readonly packet: (i: number) => void;
}

class Bench {
  readonly slab = Buffer.alloc(ROOM + SCRATCH + ROOM);
  readonly translator: Translator;
  private end = ROOM + SCRATCH;

  constructor(options: ConstructorParameters<typeof Translator>[4] = {}, over: Partial<LinkSpec> = {}) {
    this.translator = new Translator(lab(over), this.slab, ROOM, ROOM + SCRATCH, { maxFlows: 1 << 14, ...options });
  }

  /** Keeps a packet to be used again and again. @returns its offset */
  keep(packet: Buffer): { at: number; length: number } {
    const at = this.end;
    packet.copy(this.slab, at);
    this.end += packet.length;
    return { at, length: packet.length };
  }

  fromConsumer(p: { at: number; length: number }): number {
    this.slab.copyWithin(WORK, p.at, p.at + p.length);
    this.translator.begin();
    return this.translator.fromConsumer(WORK, WORK + p.length, 0);
  }

  fromProvider(p: { at: number; length: number }): number {
    this.slab.copyWithin(WORK, p.at, p.at + p.length);
    this.translator.begin();
    return this.translator.fromProvider(WORK, WORK + p.length);
  }

  /** What the last call sent first. */
  sent(): Buffer {
    const { outbox } = this.translator;
    const last = outbox.count - 1;
    return Buffer.from(this.slab.subarray(outbox.offset[last], outbox.offset[last]! + outbox.length[last]!));
  }
}

const CLIENT = { src: '10.0.0.5', dst: '10.9.0.4', sport: 40000, dport: 443 };
const TIMESTAMPS = Buffer.from([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1]);
const SACK = Buffer.from([1, 1, 5, 10, 0, 0, 4, 0, 0, 0, 5, 0]);
const MILLION = 1_000_000;
const WARM = 300_000;
const ROUNDS = 4;
/** Octets a packet; a rounding error. */
const NOTHING = 0.1;

/** A connection that is open; the header is acknowledged, or not yet. */
function opened(bench: Bench, acknowledged: boolean): { answer: (of: Buffer, ack: number) => Buffer } {
  bench.fromConsumer(bench.keep(tcpPacket({ ...CLIENT, flags: SYN, seq: 999 })));
  const answer = (of: Buffer, ack: number): Buffer => {
    const b = turnedRound(of);
    b.writeUInt32BE(5000, 24);
    b.writeUInt32BE(ack, 28);
    b[33] = ACK;
    return withChecksum(b);
  };
  const synAck = answer(bench.sent(), 1000);
  synAck[33] = SYN | ACK;
  bench.fromProvider(bench.keep(withChecksum(synAck)));
  bench.fromConsumer(bench.keep(tcpPacket({ ...CLIENT, seq: 1000, ack: 5001 })));
  if (acknowledged) {
    const bare = bench.sent().subarray(0, 40);
    bare.writeUInt16BE(40, 2);
    bench.fromProvider(bench.keep(answer(bare, 1036)));
  }
  return { answer };
}

function established(options: Buffer, over: Partial<LinkSpec> = {}): Way {
  const bench = new Bench({}, over);
  const { answer } = opened(bench, true);
  const fields = { ...CLIENT, seq: 1000, ack: 5001, flags: ACK | PSH, payload: 'x'.repeat(100) };
  const out = bench.keep(tcpPacket({ ...fields, options: options.equals(SACK) ? TIMESTAMPS : options }));
  bench.fromConsumer(out);
  const reply = bench.keep(answer(tcpPacket({ ...fields, options }), 1036));
  // The reply's ends are the provider's.
  bench.fromConsumer(out);
  const ends = turnedRound(bench.sent());
  ends.copy(bench.slab, reply.at + 12, 12, 20);
  ends.copy(bench.slab, reply.at + 20, 20, 24);
  withChecksum(bench.slab.subarray(reply.at, reply.at + reply.length));
  return sound(bench, (i) => ((i & 1) === 0 ? bench.fromConsumer(out) : bench.fromProvider(reply)));
}

/** The established way of a Direct Connect link, with time that goes on. */
function policed(): Way {
  const over = { rules: [], destination: address('172.16.0.1'), bitsPerSecond: 10_000_000_000 };
  const way = established(TIMESTAMPS, over);
  return {
    translator: way.translator,
    packet: (i) => {
      way.translator.begin();
      way.translator.advance(i);
      way.packet(i);
    },
  };
}

/** Every packet must be forwarded, or it is not the way that is meant. */
function sound(bench: Bench, packet: (i: number) => number): Way {
  return {
    translator: bench.translator,
    packet: (i) => {
      if (packet(i) !== 0) throw new Error(`packet ${i} was not forwarded`);
    },
  };
}

function headerAgain(): Way {
  const bench = new Bench();
  opened(bench, false);
  const ack = bench.keep(tcpPacket({ ...CLIENT, seq: 1000, ack: 5001, options: TIMESTAMPS }));
  const data = bench.keep(tcpPacket({ ...CLIENT, seq: 1000, ack: 5001, flags: ACK | PSH, payload: 'again' }));
  return sound(bench, (i) => bench.fromConsumer((i & 1) === 0 ? ack : data));
}

function datagrams(): Way {
  const bench = new Bench();
  const out = bench.keep(udpPacket({ ...CLIENT, payload: 'question' }));
  bench.fromConsumer(out);
  const back = bench.keep(turnedRound(bench.sent()));
  return sound(bench, (i) => ((i & 1) === 0 ? bench.fromConsumer(out) : bench.fromProvider(back)));
}

/** Each packet opens a flow; flows end by their time, and their ports come back. */
function newFlows(packet: Buffer, over: Partial<LinkSpec> = {}): Way {
  const timeouts = { ...TIMEOUT_PROFILES.azure, tcpHalfOpenMs: 1000, udpMs: 1000, portHoldMs: 1000 };
  const bench = new Bench({ timeouts }, over);
  // The source port, and its complement where TCP has its window: the checksum stays right.
  const isTcp = packet[9] === 6;
  packet.writeUInt16BE(0, 20);
  if (isTcp) packet.writeUInt16BE(0xffff, 34);
  const p = bench.keep(isTcp ? withChecksum(packet) : packet);
  const { slab, translator } = bench;
  return sound(bench, (i) => {
    // 60,000 ports in turn, a flow a millisecond.
    const port = 1024 + (i % 60_000);
    slab[p.at + 20] = port >>> 8;
    slab[p.at + 21] = port;
    if (isTcp) {
      slab[p.at + 34] = ~(port >>> 8);
      slab[p.at + 35] = ~port;
    }
    const verdict = bench.fromConsumer(p);
    translator.begin();
    translator.advance(i);
    return verdict;
  });
}

/** A hundred rules of another address, and one that allows. */
function security(): LinkSecurity {
  const every: readonly Range[] = [{ first: 0, last: 0xffff_ffff }];
  const allow = { allow: true, protocol: 0, sources: every, sourcePorts: every, destinations: every };
  const others = Array.from({ length: 100 }, (_, i) => ({
    ...allow,
    sources: [{ first: 0xac10_0100 + i, last: 0xac10_0100 + i }],
    destinationPorts: every,
  }));
  const rules = [...others, { ...allow, destinationPorts: every }];
  return { frontend: null, outbound: [], inbound: [{ address: address('172.16.0.1'), rules }] };
}

function errors(): Way {
  const bench = new Bench();
  bench.fromConsumer(bench.keep(udpPacket({ ...CLIENT, payload: 'question' })));
  const about = bench.sent();
  const nat = about.subarray(12, 16).join('.');
  const error = bench.keep(icmpError({ src: '172.16.0.1', dst: nat, about }));
  return sound(bench, () => bench.fromProvider(error));
}

function inFragments(): Way {
  const bench = new Bench();
  const whole = udpPacket({ ...CLIENT, id: 7, df: false, payload: 'x'.repeat(100) });
  const parts = fragments(whole, 68).map((part) => bench.keep(part));
  return sound(bench, (i) => bench.fromConsumer(parts[i % parts.length]!));
}

/** As a worker sees to them before the translator does: the keeper of their datagram, and its owner. */
function inFragmentsOfWorkers(): Way {
  const bench = new Bench();
  const steering = new Steering({
    index: 0,
    workers: 1,
    memory: steeringMemory(1),
    fragmentMs: 30_000,
    drops: bench.translator.drops,
    clock: () => 0,
    wake: () => undefined,
  });
  const whole = udpPacket({ ...CLIENT, id: 7, df: false, payload: 'x'.repeat(100) });
  const parts = fragments(whole, 68).map((part) => bench.keep(part));
  return {
    translator: bench.translator,
    packet: (i) => {
      const { at, length } = parts[i % parts.length]!;
      if (!steering.stays(0, 0, bench.slab, at, at + length)) throw new Error(`fragment ${i} went away`);
    },
  };
}

function refused(): Way {
  const bench = new Bench();
  const p = bench.keep(tcpPacket({ ...CLIENT, dst: '10.9.9.9', flags: SYN, seq: 1 }));
  return {
    translator: bench.translator,
    packet: () => {
      if (bench.fromConsumer(p) >= 0) throw new Error('it was to be dropped');
    },
  };
}

/** The established way with one small object a packet, which the measurement must see. */
function control(): Way {
  const way = established(TIMESTAMPS);
  const kept: unknown[] = new Array<unknown>(64);
  return {
    translator: way.translator,
    packet: (i) => {
      way.packet(i);
      kept[i & 63] = { at: i };
    },
  };
}

/**
 * The least of several rounds: in one or the other the compiler is still at work. There are more of them until one takes
 * less than `enough`.
 */
function octetsPerPacket(way: Way, packets: number, enough = NOTHING): number {
  const { packet } = way;
  let i = 0;
  const run = (n: number): void => {
    for (const end = i + n; i < end; i++) packet(i);
  };
  run(WARM);
  let least = Infinity;
  for (let round = 0; round < ROUNDS || (round < 5 * ROUNDS && least >= enough); round++) {
    collect!();
    const before = process.memoryUsage();
    run(packets / ROUNDS);
    const after = process.memoryUsage();
    const outside = Math.max(0, after.arrayBuffers - before.arrayBuffers);
    const used = after.heapUsed - before.heapUsed + outside;
    if (used >= 0) least = Math.min(least, (used * ROUNDS) / packets);
  }
  return least;
}

const results = {
  'established TCP': octetsPerPacket(established(TIMESTAMPS), MILLION),
  'established TCP without options': octetsPerPacket(established(Buffer.alloc(0)), MILLION),
  'policed TCP': octetsPerPacket(policed(), MILLION),
  'TCP with SACK': octetsPerPacket(established(SACK), MILLION),
  'the header, again and again': octetsPerPacket(headerAgain(), MILLION / 2),
  UDP: octetsPerPacket(datagrams(), MILLION),
  'new TCP flows': octetsPerPacket(
    newFlows(tcpPacket({ ...CLIENT, flags: SYN, seq: 999, options: TIMESTAMPS })),
    MILLION / 2,
  ),
  'new UDP flows': octetsPerPacket(newFlows(udpPacket({ ...CLIENT, payload: 'q', checksum: false })), MILLION / 2),
  'new flows that a security group judges': octetsPerPacket(
    newFlows(udpPacket({ ...CLIENT, payload: 'q', checksum: false }), { security: security() }),
    MILLION / 2,
  ),
  'ICMP errors': octetsPerPacket(errors(), MILLION / 2),
  fragments: octetsPerPacket(inFragments(), MILLION / 2),
  'fragments of workers': octetsPerPacket(inFragmentsOfWorkers(), MILLION / 2),
  'dropped packets': octetsPerPacket(refused(), MILLION / 2),
  control: octetsPerPacket(control(), MILLION, Infinity),
};
console.log(JSON.stringify(results));
