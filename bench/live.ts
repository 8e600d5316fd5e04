/**
 * Live, beside the kernel's NAT (nftables), HAProxy and nginx in the same run. As root:
 * `npm run bench:live -- --rows=send1,pingpong --repetitions=10 --seconds=3 --out=FOLDER`.
 *
 * Each repetition runs every row on every contender, one at a time, beginning with another contender each time, so that
 * what else the machine does meets all. A ratio is the median of the repetitions' ratios. `--baseline=FILE,FILE` puts
 * other builds of Culvert (their `dist/bin/culvert.cjs`) among the contenders,
 * `--workers=N` Culvert with so many workers, as `workersN`; `--plain` Culvert without header, as `plain`; `--congestion=NAME`
 * sets all ends' congestion control. `relay` is no peer but a yardstick: see relay.c.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Group, plot } from './live/plot.js';
import { type Metric, type Row, ROWS } from './live/rows.js';
import { type Contender, type Gateway, LiveTopology } from './live/topology.js';
import { digits, machine, median, option, report, textOption } from './support/measure.js';

const repetitions = option('repetitions', 10);
const seconds = option('seconds', 3);
const WARM_UP_S = 1;
const QUIET_MS = 150;
const QUIET_TRIES = 8;
const QUIET_SHARE = 0.1;
const nodeOptions = textOption('node-options', '').split(' ').filter(Boolean);
const culvert = textOption('culvert', fileURLToPath(new URL('../bin/culvert.cjs', import.meta.url)));
const baselines = textOption('baseline', '').split(',').filter(Boolean);
const workers = option('workers', 1);
/** Loss-based, as the kernel's own default, cubic, which a namespace may not choose everywhere; `machine`: what it has. */
const congestion = textOption('congestion', 'reno');
const own: Gateway = { name: 'culvert', command: [...nodeOptions, culvert], workers: 1, header: true };
const gateways: Gateway[] = [
  own,
  ...(workers > 1 ? [{ ...own, name: `workers${String(workers)}`, workers }] : []),
  ...(process.argv.includes('--plain') ? [{ ...own, name: 'plain', header: false }] : []),
  ...baselines.map((main, i) => ({
    ...own,
    name: `baseline${i === 0 ? '' : String(i + 1)}`,
    command: [...nodeOptions, main],
  })),
];
const out = textOption('out', '');

function wanted<T extends { readonly name: string }>(kind: string, all: readonly T[]): T[] {
  const names = textOption(kind, all.map(({ name }) => name).join(',')).split(',');
  const unknown = names.filter((name) => !all.some((each) => each.name === name));
  if (unknown.length > 0)
    throw new Error(`--${kind}: no ${unknown.join(', ')} among ${all.map(({ name }) => name).join(', ')}`);
  return all.filter(({ name }) => names.includes(name));
}

/** Processor time of processes so far, all threads, in seconds. */
function cpuS(pids: readonly number[]): number {
  const ofThread = (task: string): number => Number(readFileSync(`${task}/schedstat`, 'latin1').split(' ')[0]) / 1e9;
  const ofProcess = (pid: number): number[] => {
    const tasks = `/proc/${String(pid)}/task`;
    return readdirSync(tasks).map((task) => ofThread(`${tasks}/${task}`));
  };
  return pids.flatMap(ofProcess).reduce((sum, each) => sum + each, 0);
}

/** Each metric's samples by contender; NaN where a contender gave none. */
const samples = new Map<Metric, Map<string, number[]>>();

function keep(metric: Metric, contender: Contender, value: number): void {
  const byContender = samples.get(metric) ?? new Map<string, number[]>();
  samples.set(metric, byContender);
  byContender.set(contender.name, [...(byContender.get(contender.name) ?? []), value]);
}

/** Ticks of all processors since the start, busy and not (proc(5)). */
function ticks(): { busy: number; idle: number } {
  const line = readFileSync('/proc/stat', 'latin1').split('\n')[0]!;
  const [user, nice, system, idle, iowait, irq, softirq] = line.split(/\s+/).slice(1).map(Number);
  return { busy: user! + nice! + system! + irq! + softirq!, idle: idle! + iowait! };
}

/** Waits until the machine has nothing else to do, and goes on after a while where that never comes. */
async function quiet(): Promise<void> {
  for (let i = 0; i < QUIET_TRIES; i++) {
    const before = ticks();
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const after = ticks();
    const busy = after.busy - before.busy;
    if (busy / (busy + after.idle - before.idle) < QUIET_SHARE) return;
  }
}

async function once(topology: LiveTopology, row: Row, contender: Contender): Promise<void> {
  await quiet();
  const before = cpuS(contender.pids);
  const { values, work } = await row.run(topology, contender, seconds);
  const cpu = cpuS(contender.pids) - before;
  row.metrics.forEach((metric, i) => {
    keep(metric, contender, values[i]!);
  });
  if (row.cpu !== undefined && contender.pids.length > 0) keep(row.cpu, contender, cpu / work);
}

const canRun = (row: Row, contender: Contender): boolean => row.udp !== true || contender.udp;

async function measure(topology: LiveTopology, rows: readonly Row[], contenders: readonly Contender[]): Promise<void> {
  // Ours are compiled while they run.
  for (const warm of contenders.filter((each) => gateways.some(({ name }) => name === each.name)))
    for (const row of rows) await row.run(topology, warm, WARM_UP_S);
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const turn = contenders.map((_, i) => contenders[(i + repetition) % contenders.length]!);
    for (const row of rows) for (const each of turn) if (canRun(row, each)) await once(topology, row, each);
  }
}

interface Measured {
  readonly name: string;
  readonly unit: string;
  readonly medians: Readonly<Record<string, number>>;
  /** Culvert's figure over a peer's. */
  readonly ratios: Readonly<Record<string, number>>;
  readonly targets: Readonly<Record<string, number>>;
  readonly met: boolean | null;
  readonly samples: Readonly<Record<string, readonly number[]>>;
}

function summary(metric: Metric, byContender: ReadonlyMap<string, readonly number[]>): Measured {
  const own = byContender.get('culvert') ?? [];
  const peers = [...byContender].filter(([name]) => name !== 'culvert' && own.length > 0);
  const ratios = Object.fromEntries(peers.map(([name, values]) => [name, median(own.map((v, i) => v / values[i]!))]));
  const targets = Object.entries(metric.targets ?? {}).filter(([name]) => ratios[name] !== undefined);
  const meets = ([name, target]: [string, number]): boolean =>
    metric.less === true ? ratios[name]! <= target : ratios[name]! >= target;
  return {
    name: metric.name,
    unit: metric.unit,
    medians: Object.fromEntries([...byContender].map(([name, values]) => [name, median(values)])),
    ratios,
    targets: Object.fromEntries(targets),
    met: targets.length === 0 ? null : targets.every(meets),
    samples: Object.fromEntries(byContender),
  };
}

/** Bars beside the kernel's; a metric that the kernel has no figure of has none. */
function groups(): Group[] {
  return [...samples].flatMap(([metric, byContender]): Group[] => {
    const kernel = byContender.get('nftables');
    if (kernel === undefined) return [];
    const base = median(kernel);
    const bars = [...byContender].map(([contender, values]) => {
      const value = median(values);
      const ratio = metric.less === true ? base / value : value / base;
      return { contender, ratio, label: `${digits(value)} ${metric.unit}` };
    });
    return [{ name: metric.name, bars }];
  });
}

function tell(measured: readonly Measured[], names: readonly string[], missing: readonly string[]): void {
  const cell = (n: number | undefined): string => (n === undefined ? '' : digits(n));
  const peers = names.filter((name) => name !== 'culvert');
  report(
    [
      ['live', 'unit', ...names, ...peers.map((name) => `of ${name}`), 'target', ''],
      ...measured.map((m) => [
        m.name,
        m.unit,
        ...names.map((name) => cell(m.medians[name])),
        ...peers.map((name) => cell(m.ratios[name])),
        Object.entries(m.targets)
          .map(([name, target]) => `${name} ${String(target)}`)
          .join(', '),
        m.met === null ? '' : m.met ? 'met' : 'missed',
      ]),
    ],
    { repetitions, seconds, congestion, missing, measured },
  );
}

const rows = wanted('rows', ROWS);
const topology = await LiveTopology.up(gateways, congestion === 'machine' ? '' : congestion);
const stop = (): void => {
  void topology.down().finally(() => process.exit(130));
};
process.once('SIGINT', stop).once('SIGTERM', stop);
try {
  const contenders = wanted('contenders', topology.contenders);
  await measure(topology, rows, contenders);
  const names = contenders.map(({ name }) => name);
  const measured = [...samples].map(([metric, byContender]) => summary(metric, byContender));
  tell(measured, names, topology.missing);
  if (out !== '') {
    mkdirSync(out, { recursive: true });
    writeFileSync(path.join(out, 'live.json'), `${JSON.stringify({ machine: machine(), measured }, null, 1)}\n`);
    const { cpu, cores, kernel } = machine();
    const title = `Culvert live, beside the kernel's NAT (1.0 = nftables): ${cpu}, ${String(cores)} cores, Linux ${kernel}`;
    writeFileSync(path.join(out, 'live.svg'), plot(title, groups()));
  }
} finally {
  await topology.down();
}
