/**
 * The translator alone, in memory: packets a second over live flows, new flows a second, memory a flow, and the longest
 * pauses. `npm run bench:core -- --packets=N --runs=N --flows=N`.
 *
 * Each packet is made anew before it is translated, by ten aligned stores of its 40 octets of headers; the control does
 * only that, so what translation costs is the difference. Flows are visited in random order, packet slots in turn.
 * Packets come in bursts of 64, as from a device; those of a burst are of different flows.
 */
import { digits, median, option, report } from './support/measure.js';
import { IDLE_MS, Lab } from './support/lab.js';
import { HEADERS, Random } from './support/traffic.js';

const packets = option('packets', 2_000_000);
const runs = option('runs', 5);
const most = option('flows', 1_000_000);

/** Packets a burst: what the gateway reads from a device at a time. */
const BURST = 64;
const SLOTS = 1024;
const SLOT = 2048;
const HEADER_WORDS = HEADERS / 4;
const SIZES = [40, 512, 1500] as const;

const seconds = (since: bigint): number => Number(process.hrtime.bigint() - since) / 1e9;

/** Established flows, and each one's data segment of each size as words of headers, in the order of the visits. */
class Passing {
  readonly lab: Lab;
  private readonly flows: number;
  private readonly words: Int32Array;
  private readonly headers: Int32Array;
  private readonly base: number;
  private readonly burst = new Int32Array(BURST);
  private visit = 0;
  private slot = 0;

  constructor(flows: number, length: number) {
    this.flows = flows;
    this.lab = new Lab((SLOTS + 1) * SLOT, flows);
    const { slab, room } = this.lab;
    this.base = room + SLOT;
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
    const { words, headers, base, flows, burst } = this;
    const { t } = this.lab;
    let { visit, slot } = this;
    let verdicts = 0;
    const started = process.hrtime.bigint();
    for (let i = 0; i < n; i += BURST) {
      for (let k = 0; k < BURST; k++) {
        const at = base + slot * SLOT;
        const from = visit * HEADER_WORDS;
        for (let w = 0; w < HEADER_WORDS; w++) words[(at >> 2) + w] = headers[from + w]!;
        burst[k] = at;
        if (++visit === flows) visit = 0;
        slot = (slot + 1) & (SLOTS - 1);
      }
      if (!translated) continue;
      t.begin();
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

/** SYNs of new flows into an empty table, up to `flows`. */
function opening(flows: number): {
  perSecond: number;
  longestMs: number;
  tableOctetsPerFlow: number;
  rssPerFlow: number;
} {
  const passing = new Lab(SLOT, flows);
  const { t, room } = passing;
  const before = process.memoryUsage().rss;
  let longest = 0;
  let busy = 0n;
  for (let f = 0; f < flows; f++) {
    passing.putSyn(room, f);
    t.begin();
    const from = process.hrtime.bigint();
    const verdict = t.fromConsumer(room, room + HEADERS, 0);
    const taken = process.hrtime.bigint() - from;
    if (verdict !== 0) throw new Error(`flow ${String(f)}: verdict ${String(verdict)}`);
    busy += taken;
    if (Number(taken) > longest) longest = Number(taken);
  }
  const rss = process.memoryUsage().rss - before;
  return {
    perSecond: flows / (Number(busy) / 1e9),
    longestMs: longest / 1e6,
    tableOctetsPerFlow: t.flows.octets / flows,
    rssPerFlow: rss / flows,
  };
}

/** All flows idle out together. */
function expiry(flows: number): { totalMs: number; calls: number; longestMs: number } {
  const lab = new Lab(SLOT, flows);
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

const measured = [1_000, 10_000, 100_000, 1_000_000].filter((n) => n <= most).flatMap(rates);
const opened = Array.from({ length: runs }, () => opening(most));
const expired = Array.from({ length: runs }, () => expiry(most));
const result = {
  rates: measured,
  opening: {
    flows: most,
    perSecond: median(opened.map((o) => o.perSecond)),
    longestMs: median(opened.map((o) => o.longestMs)),
    tableOctetsPerFlow: median(opened.map((o) => o.tableOctetsPerFlow)),
    rssPerFlow: median(opened.map((o) => o.rssPerFlow)),
  },
  expiry: {
    flows: most,
    totalMs: median(expired.map((e) => e.totalMs)),
    longestMs: median(expired.map((e) => e.longestMs)),
  },
};
report(
  [
    ['in memory', 'Mpkt/s', 'ns a packet', 'of it the control'],
    ...measured.map((m) => [
      `${String(m.flows)} flows, ${String(m.octets)} octets`,
      digits(m.perSecond / 1e6),
      digits(m.nsPerPacket),
      digits(m.controlNs),
    ]),
    ['new flows: millions a second', digits(result.opening.perSecond / 1e6), '', ''],
    ['new flows: longest call, ms', digits(result.opening.longestMs), '', ''],
    ['tables: octets a flow', digits(result.opening.tableOctetsPerFlow), '', ''],
    ['resident memory: octets a flow', digits(result.opening.rssPerFlow), '', ''],
    ['expiry: ms in all', digits(result.expiry.totalMs), '', ''],
    ['expiry: longest call, ms', digits(result.expiry.longestMs), '', ''],
  ],
  result,
);
