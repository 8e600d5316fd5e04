/**
 * The translator alone, in memory: packets a second over live flows, new flows a second, ports up to the last, memory a
 * flow, and the longest pauses while tables grow and a million flows expire.
 * `npm run bench:core -- --packets=N --runs=N --flows=N --plot=FILE.svg`.
 *
 * Each packet is made anew before it is translated, by ten aligned stores of its 40 octets of headers; the control does
 * only that, so what translation costs is the difference. Flows are visited in random order, packet slots in turn.
 * Packets come in bursts of 64, as from a device; those of a burst are of different flows.
 */
import { writeFileSync } from 'node:fs';
import { PortPool } from '../src/flow/port-pool.js';
import { curves } from './support/curves.js';
import { digits, median, option, report, textOption } from './support/measure.js';
import { IDLE_MS, Lab } from './support/lab.js';
import { HEADERS, Random } from './support/traffic.js';

const packets = option('packets', 2_000_000);
const runs = option('runs', 5);
const most = option('flows', 4_000_000);
const plotFile = textOption('plot', '');

/** Packets a burst: what the gateway reads from a device at a time. */
const BURST = 64;
const SLOTS = 1024;
const HEADER_WORDS = HEADERS / 4;
const FLOWS = [1_000, 10_000, 100_000, 1_000_000, 4_000_000];
/** Octets of an IPv4 packet; the last is what a kernel with segmentation offload hands over. */
const SIZES = [40, 64, 512, 1500, 65_535];
/** The others lie on their lines. */
const PLOTTED = [40, 1500];
/** How many flows expire together. */
const EXPIRING = 1_000_000;
/** For packets that are not measured. */
const ROOM = 2048;

/** Octets from one packet to the next: whole cache lines, with the first packet's place varying as a device's does. */
const slotOf = (length: number): number => Math.max(2048, (length + 127) & ~63);

const seconds = (since: bigint): number => Number(process.hrtime.bigint() - since) / 1e9;

/** Established flows, and each one's data segment of each size as words of headers, in the order of the visits. */
class Passing {
  readonly lab: Lab;
  private readonly flows: number;
  private readonly slotOctets: number;
  private readonly words: Int32Array;
  private readonly headers: Int32Array;
  private readonly base: number;
  private readonly burst = new Int32Array(BURST);
  private visit = 0;
  private slot = 0;

  constructor(flows: number, length: number) {
    this.flows = flows;
    this.slotOctets = slotOf(length);
    this.lab = new Lab((SLOTS + 1) * this.slotOctets, flows);
    const { slab, room } = this.lab;
    this.base = room + this.slotOctets;
    this.words = new Int32Array(slab.buffer, slab.byteOffset, slab.length >> 2);
    for (let f = 0; f < flows; f++) this.lab.open(f);
    const order = Uint32Array.from({ length: flows }, (_, i) => i);
    const random = new Random(7);
    for (let i = flows - 1; i > 0; i--) {
      const j = random.below(i + 1);
      const f = order[i]!;
      order[i] = order[j]!;
      order[j] = f;
    }
    this.headers = new Int32Array(flows * HEADER_WORDS);
    order.forEach((f, i) => {
      this.lab.putData(room, length, f);
      for (let w = 0; w < HEADER_WORDS; w++) this.headers[i * HEADER_WORDS + w] = this.words[(room >> 2) + w]!;
    });
  }

  /**
   * Packets in bursts, as a device gives them.
   * @returns seconds for `n` packets of `length` octets
   */
  run(n: number, length: number, translated: boolean): number {
    const { words, headers, base, flows, burst, slotOctets } = this;
    const { t } = this.lab;
    let { visit, slot } = this;
    let verdicts = 0;
    const started = process.hrtime.bigint();
    for (let i = 0; i < n; i += BURST) {
      for (let k = 0; k < BURST; k++) {
        const at = base + slot * slotOctets;
        const from = visit * HEADER_WORDS;
        for (let w = 0; w < HEADER_WORDS; w++) words[(at >> 2) + w] = headers[from + w]!;
        burst[k] = at;
        if (++visit === flows) visit = 0;
        slot = (slot + 1) & (SLOTS - 1);
      }
      if (!translated) continue;
      t.begin();
      t.advance(0);
      t.prefetch(burst, BURST, 0);
      for (let k = 0; k < BURST; k++) verdicts |= t.fromConsumer(burst[k]!, burst[k]! + length, 0);
    }
    const taken = seconds(started);
    this.visit = visit;
    this.slot = slot;
    if (verdicts !== 0) throw new Error(`verdicts ${String(verdicts)}`);
    return taken;
  }
}

interface Rate {
  readonly flows: number;
  readonly octets: number;
  /** Packets a second, everything included, and without what the control takes. */
  readonly perSecond: number;
  readonly nsPerPacket: number;
  readonly controlNs: number;
}

function rates(flows: number): Rate[] {
  return SIZES.map((octets) => {
    const passing = new Passing(flows, octets);
    const work: number[] = [];
    const control: number[] = [];
    for (let run = 0; run <= runs; run++) {
      const w = passing.run(packets, octets, true);
      const c = passing.run(packets, octets, false);
      if (run === 0) continue; // compiles
      work.push(w);
      control.push(c);
    }
    const ns = (median(work) / packets) * 1e9;
    const controlNs = (median(control) / packets) * 1e9;
    return { flows, octets, perSecond: 1e9 / ns, nsPerPacket: ns, controlNs };
  });
}

/**
 * SYNs of new flows into an empty table, up to `flows`, in bursts.
 * @param least nanoseconds of each burst, the least so far: a pause that is ours comes in every run, another's does not
 */
function opening(
  flows: number,
  least: Float64Array,
): { perSecond: number; tableOctetsPerFlow: number; rssPerFlow: number } {
  const passing = new Lab(BURST * ROOM, flows);
  const { t, room } = passing;
  const burst = Int32Array.from({ length: BURST }, (_, k) => room + k * ROOM);
  const before = process.memoryUsage().rss;
  let busy = 0;
  let verdicts = 0;
  for (let f = 0; f < flows; f += BURST) {
    const n = Math.min(BURST, flows - f);
    for (let k = 0; k < n; k++) passing.putSyn(burst[k]!, f + k);
    const from = process.hrtime.bigint();
    t.begin();
    t.advance(0);
    t.prefetch(burst, n, 0);
    for (let k = 0; k < n; k++) verdicts |= t.fromConsumer(burst[k]!, burst[k]! + HEADERS, 0);
    const taken = Number(process.hrtime.bigint() - from);
    busy += taken;
    least[f / BURST] = Math.min(least[f / BURST]!, taken);
  }
  if (verdicts !== 0) throw new Error(`verdicts ${String(verdicts)}`);
  const rss = process.memoryUsage().rss - before;
  return { perSecond: flows / (busy / 1e9), tableOctetsPerFlow: t.flows.octets / flows, rssPerFlow: rss / flows };
}

/** All flows idle out together. */
function expiry(flows: number): { totalMs: number; calls: number; longestMs: number } {
  const lab = new Lab(ROOM, flows);
  for (let f = 0; f < flows; f++) lab.open(f);
  let longestMs = 0;
  let totalMs = 0;
  let calls = 0;
  for (let done = false; !done; calls++) {
    lab.t.begin();
    const from = process.hrtime.bigint();
    done = lab.t.advance(2 * IDLE_MS);
    const ms = seconds(from) * 1000;
    totalMs += ms;
    longestMs = Math.max(longestMs, ms);
  }
  if (lab.t.flows.count !== 0) throw new Error(`${String(lab.t.flows.count)} flows are left`);
  return { totalMs, calls, longestMs };
}

/** One pool, from its first port to its last. @returns nanoseconds an allocation, of the first and the last thousand */
function ports(): { first: number; last: number } {
  const pool = new PortPool(1024, 64_000, 1);
  const of = (n: number): number => {
    const from = process.hrtime.bigint();
    for (let i = 0; i < n; i++) if (pool.allocate(0) < 0) throw new Error('the pool ended before its last port');
    return (seconds(from) / n) * 1e9;
  };
  // Once through, so that both are compiled code's; then every port comes back.
  of(64_000);
  if (pool.allocate(0) >= 0) throw new Error('the pool gave a port too many');
  for (let port = 1024; port < 65_024; port++) pool.free(port, 0);
  const first = of(1000);
  of(62_000);
  const last = of(1000);
  if (pool.allocate(0) >= 0) throw new Error('the pool gave a port too many');
  return { first, last };
}

const repeat = <T>(make: () => T): T[] => Array.from({ length: runs }, make);
// First of all: memory that earlier work gave back would pass for a flow's.
const leastNs = new Float64Array(Math.ceil(most / BURST)).fill(Infinity);
const opened = repeat(() => opening(most, leastNs));
const measured = FLOWS.filter((n) => n <= most).flatMap(rates);
const expiring = Math.min(EXPIRING, most);
const expired = repeat(() => expiry(expiring));
const ported = repeat(ports);
const result = {
  rates: measured,
  opening: {
    flows: most,
    perSecond: median(opened.map((o) => o.perSecond)),
    longestMs: leastNs.reduce((a, b) => Math.max(a, b)) / 1e6,
    tableOctetsPerFlow: median(opened.map((o) => o.tableOctetsPerFlow)),
    rssPerFlow: opened[0]!.rssPerFlow,
  },
  ports: { firstNs: median(ported.map((p) => p.first)), lastNs: median(ported.map((p) => p.last)) },
  expiry: {
    flows: expiring,
    totalMs: median(expired.map((e) => e.totalMs)),
    longestMs: median(expired.map((e) => e.longestMs)),
  },
};
if (plotFile !== '') {
  const lines = PLOTTED.map((octets) => ({
    name: `${String(octets)} octets`,
    points: measured.filter((m) => m.octets === octets).map((m) => ({ x: m.flows, y: m.nsPerPacket })),
  }));
  writeFileSync(plotFile, curves('Cost of a translated packet in memory', 'live flows', 'ns a packet', lines));
}
const grouped = (n: number): string => n.toLocaleString('en-US');
report(
  [
    ['in memory', 'Mpkt/s', 'ns a packet', 'of it the control'],
    ...measured.map((m) => [
      `${grouped(m.flows)} flows, ${grouped(m.octets)} octets`,
      digits(m.perSecond / 1e6),
      digits(m.nsPerPacket),
      digits(m.controlNs),
    ]),
    [`new flows, up to ${grouped(most)}: millions a second`, digits(result.opening.perSecond / 1e6), '', ''],
    ['new flows: longest burst while tables grow, ms', digits(result.opening.longestMs), '', ''],
    ['tables: octets a flow', digits(result.opening.tableOctetsPerFlow), '', ''],
    ['resident memory: octets a flow', digits(result.opening.rssPerFlow), '', ''],
    ['ports of a pool, the first thousand: ns each', digits(result.ports.firstNs), '', ''],
    ['ports of a pool, the last thousand: ns each', digits(result.ports.lastNs), '', ''],
    [`expiry of ${grouped(expiring)} flows: ms in all`, digits(result.expiry.totalMs), '', ''],
    ['expiry: longest call, ms', digits(result.expiry.longestMs), '', ''],
  ],
  result,
);
