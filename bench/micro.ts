/**
 * Hot functions one by one, each beside the obvious way to do the same and a control that does nothing:
 * nanoseconds, and octets of heap, a call. `npm run bench:micro -- --only=WORD`.
 *
 * Where a packet is translated, it is made anew first by ten aligned stores: the control `headers restored` does that
 * alone. The compiler may see through what has no effect, so every function's result is kept.
 */
import Benchmark from 'benchmark';
import { FlowTable } from '../src/flow/flow-table.js';
import * as F from '../src/flow/flow-table.js';
import { Recording } from '../src/translate/recording.js';
import { apply, delta32, fold, pseudoHeader, sum } from '../src/wire/checksum.js';
import * as ipv4 from '../src/wire/ipv4.js';
import { LINK_ETHERNET, locateIpv4 } from '../src/wire/link.js';
import { get32, set16 } from '../src/wire/octets.js';
import { Lab } from './support/lab.js';
import { digits, report, textOption } from './support/measure.js';
import { clientAddress, clientPort, HEADERS, SERVER_PORT, serverAddress } from './support/traffic.js';

const only = textOption('only', '');
const FLOWS = 10_000;
/** A prime step through the flows, so that neighbours in the table are not asked for one after the other. */
const STEP = 7919;
const LENGTH = 1500;
const WORDS = HEADERS / 4;

interface Case {
  readonly name: string;
  readonly run: () => number;
}
const cases: Case[] = [];
let kept = 0;
const add = (name: string, run: () => number): void => {
  if (name.includes(only)) cases.push({ name, run });
};

let turn = 0;
const nextFlow = (): number => (turn = (turn + STEP) % FLOWS);

add('control: nothing', () => 0);

// Checksums of a packet of 1500 octets whose two addresses change.
const lab = new Lab(4096, FLOWS);
const packet = lab.room + 2048;
lab.putData(packet, LENGTH, 0);
const TCP_FIELD = packet + 20 + 16;
add('checksum: from nothing', () => {
  const { slab } = lab;
  set16(slab, TCP_FIELD, 0);
  const initial = pseudoHeader(get32(slab, packet + 12), get32(slab, packet + 16), 6, LENGTH - 20);
  return sum(slab, packet + 20, packet + LENGTH, initial) ^ 0xffff;
});
add('checksum: incremental', () => {
  const { slab } = lab;
  const delta = delta32(get32(slab, packet + 12), turn) + delta32(get32(slab, packet + 16), turn + 1);
  return apply((slab[TCP_FIELD]! << 8) | slab[TCP_FIELD + 1]!, fold(delta));
});

// A look-up among 10,000 flows.
const table = new FlowTable(FLOWS, 1);
const map = new Map<string, number>();
const keyOf = (f: number): string => `${String(clientAddress(f))}:${String(clientPort(f))}-${String(serverAddress(f))}`;
for (let f = 0; f < FLOWS; f++) {
  const at = table.allocate() * F.STRIDE;
  table.records[at + F.CONSUMER] = clientAddress(f);
  table.records[at + F.ENDPOINT_ADDRESS] = serverAddress(f);
  table.records[at + F.CONSUMER_PORTS] = (clientPort(f) << 16) | SERVER_PORT;
  table.records[at + F.CONSUMER_SCOPE] = 6;
  table.link(f);
  map.set(keyOf(f), f);
}
add('flow: text key in a Map', () => map.get(keyOf(nextFlow()))!);
add('flow: table', () => {
  const f = nextFlow();
  return table.find(clientAddress(f), serverAddress(f), (clientPort(f) << 16) | SERVER_PORT, 6);
});

// An Ethernet frame with a VLAN tag.
const FRAME = lab.room + 1024;
lab.slab.write('0000000000010000000000028100000a0800', FRAME, 'hex');
add('link: readUInt16BE', () => {
  let at = FRAME + 12;
  while (lab.slab.readUInt16BE(at) === 0x8100) at += 4;
  return lab.slab.readUInt16BE(at) === 0x0800 ? at + 2 : -1;
});
add('link: locateIpv4', () => locateIpv4(LINK_ETHERNET, lab.slab, FRAME, FRAME + 64));

add('ipv4: check by readUInt16BE', () => {
  const { slab } = lab;
  let words = 0;
  for (let i = 0; i < 20; i += 2) words += slab.readUInt16BE(packet + i);
  return fold(words) === 0xffff && slab.readUInt16BE(packet + 2) <= LENGTH ? 0 : 1;
});
add('ipv4: check', () => ipv4.check(lab.slab, packet, packet + LENGTH, 0));

/** Flows of a translator, and what puts one packet of each where it is translated. */
class Packets {
  readonly lab: Lab;
  readonly at: number;
  private readonly words: Int32Array;
  private readonly headers = new Int32Array(FLOWS * WORDS);

  constructor(make: (lab: Lab, flow: number, at: number) => void) {
    this.lab = new Lab(8192, FLOWS);
    this.at = this.lab.room + 4096;
    const { slab } = this.lab;
    this.words = new Int32Array(slab.buffer, slab.byteOffset, slab.length >> 2);
    for (let f = 0; f < FLOWS; f++) {
      make(this.lab, f, this.at);
      for (let w = 0; w < WORDS; w++) this.headers[f * WORDS + w] = this.words[(this.at >> 2) + w]!;
    }
  }

  restore(): void {
    const { words, headers } = this;
    const from = nextFlow() * WORDS;
    const to = this.at >> 2;
    for (let w = 0; w < WORDS; w++) words[to + w] = headers[from + w]!;
  }
}

const CLIENT_SEGMENT = (l: Lab, flow: number, at: number): void => {
  l.open(flow);
  l.putData(at, LENGTH, flow);
};
const client = new Packets(CLIENT_SEGMENT);
const server = new Packets((l, flow, at) => {
  l.open(flow, at, LENGTH);
});
const datagrams = new Packets((l, flow, at) => {
  l.putDatagram(at, LENGTH, flow);
});
const recorded = new Packets((l, flow, at) => {
  l.open(flow);
  l.putAnswer(at, LENGTH, flow);
});
const recording = new Recording(recorded.lab.t);

add('control: headers restored', () => {
  client.restore();
  return 0;
});
const fromConsumer = (p: Packets): number => {
  const { t } = p.lab;
  p.restore();
  t.begin();
  return t.fromConsumer(p.at, p.at + LENGTH, 0);
};
const fromProvider = (p: Packets): number => {
  const { t } = p.lab;
  p.restore();
  t.begin();
  return t.fromProvider(p.at, p.at + LENGTH);
};
const generally = (p: Packets, run: (p: Packets) => number): (() => number) => {
  return () => {
    p.lab.t.core.shortcut = false;
    const verdict = run(p);
    p.lab.t.core.shortcut = true;
    return verdict;
  };
};
add('segment from its consumer: the general way', generally(client, fromConsumer));
add('segment from its consumer', () => fromConsumer(client));
add('segment from its backend: the general way', generally(server, fromProvider));
add('segment from its backend', () => fromProvider(server));
add('datagram from its consumer', () => fromConsumer(datagrams));
const liftAndBack = (p: Packets): number => {
  const { t } = p.lab;
  p.restore();
  t.begin();
  recording.packet(p.at, p.at + LENGTH, 0);
  return t.fromProvider(p.at, p.at + LENGTH);
};
add('recorded segment lifted and given back: the general way', generally(recorded, liftAndBack));
add('recorded segment lifted and given back', () => liftAndBack(recorded));

/** So few that no collection comes between: V8 collects about once a MiB. */
const CALLS = 2000;
/** Octets of heap a call: the least of several rounds, since others may allocate meanwhile. */
function octetsPerCall(run: () => number): number {
  let least = Infinity;
  for (let round = 0; round < 40; round++) {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < CALLS; i++) kept ^= run();
    const used = process.memoryUsage().heapUsed - before;
    if (used >= 0) least = Math.min(least, used / CALLS); // negative: a collection came after all
  }
  return least;
}

const results: { name: string; ns: number; plusMinusPercent: number; octets: number }[] = [];
for (const { name, run } of cases) {
  if (run() < 0) throw new Error(`${name}: ${String(run())}`);
  // Calls in a batch, so that what the harness itself does is nothing to speak of.
  const BATCH = 100;
  const batch = (): void => {
    for (let i = 0; i < BATCH; i++) kept ^= run();
  };
  const benchmark = new Benchmark(name, batch, { maxTime: 1 });
  benchmark.run();
  if (benchmark.stats.mean === 0) throw new Error(`${name} failed`);
  results.push({
    name,
    ns: (benchmark.stats.mean / BATCH) * 1e9,
    plusMinusPercent: benchmark.stats.rme,
    octets: octetsPerCall(run),
  });
}
report(
  [
    ['one by one', 'ns', '± %', 'octets of heap'],
    ...results.map((r) => [r.name, digits(r.ns), digits(r.plusMinusPercent), digits(Math.round(r.octets * 10) / 10)]),
  ],
  { flows: FLOWS, octets: LENGTH, results, kept: kept === 0.5 },
);
