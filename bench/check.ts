/**
 * Whether this tree is slower than a commit of it: `npm run bench:check -- --baseline=COMMIT`. Without one it is HEAD
 * when the tree differs from it, else the commit before. Fails when a row costs more than `--noise` percent (10) more.
 *
 * Both trees' src are bundled with this tree's benchmark, so that both do the same work. In memory each side is a process
 * of its own and they work slice by slice in turn; replays are whole commands in turn. What counts is processor time, so
 * that other work on the machine matters little, and the median of the pairs' ratios. A row that seems slower is measured
 * again with new processes, since where code and tables come to lie differs from one process to the next.
 */
import { execFileSync, type ChildProcess, fork } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { BURST, WORKS } from './check/works.js';
import { cost, digits, median, option, report, textOption } from './support/measure.js';
import { writeCapture } from './support/traffic.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const noise = 1 + option('noise', 10) / 100;
const pairs = option('pairs', 3);

const SLICES = 12;
const SLICE_NS = 25e6;
const REPLAYS = 5;
const REPLAY_PACKETS = 400_000;
/** Measured again so often, if slower. */
const MORE = 2;

const git = (...args: readonly string[]): string => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();

function baselineCommit(): string {
  const given = textOption('baseline', '');
  if (given !== '') return git('rev-parse', '--verify', `${given}^{commit}`);
  return git('rev-parse', git('status', '--porcelain', 'src', 'package-lock.json') === '' ? 'HEAD~1' : 'HEAD');
}

interface Side {
  readonly probe: string;
  readonly culvert: string;
}

/** Bundles a tree's code; its npm packages are this tree's. */
async function bundle(tree: string): Promise<Side> {
  const outdir = path.join(tree, 'dist', 'check');
  await build({
    absWorkingDir: tree,
    entryPoints: { probe: 'bench/check/probe.ts', culvert: 'src/cli/main.ts' },
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    logLevel: 'error',
  });
  return { probe: path.join(outdir, 'probe.js'), culvert: path.join(outdir, 'culvert.js') };
}

function ask(child: ChildProcess, row: string, bursts: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => {
      reject(new Error(`the probe of '${row}' ended with ${String(code)}`));
    };
    child.once('exit', ended);
    child.once('message', ({ nsPerPacket }: { nsPerPacket: number }) => {
      child.off('exit', ended);
      resolve(nsPerPacket);
    });
    child.send({ row, bursts });
  });
}

interface Pair {
  readonly baseline: number;
  readonly tree: number;
}

const ratioOf = (measured: readonly Pair[]): number => median(measured.map(({ baseline, tree }) => tree / baseline));

/** One pair of processes, which work in turn. @returns ns a packet */
async function inMemory(row: string, baseline: Side, tree: Side): Promise<Pair> {
  const children = [fork(baseline.probe), fork(tree.probe)] as const;
  try {
    const slices: Pair[] = [];
    let bursts = 200;
    for (let slice = -2; slice < SLICES; slice++) {
      // The first ones compile, and tell how many bursts a slice takes.
      const first = await ask(children[0], row, bursts);
      const second = await ask(children[1], row, bursts);
      if (slice >= 0) slices.push({ baseline: first, tree: second });
      else bursts = Math.max(20, Math.round(SLICE_NS / (Math.min(first, second) * BURST)));
    }
    return { baseline: median(slices.map((s) => s.baseline)), tree: median(slices.map((s) => s.tree)) };
  } finally {
    for (const child of children) child.kill();
  }
}

async function replay(side: Side, capture: string): Promise<number> {
  const outputs = ['--provider', '/dev/null', '--consumer', '/dev/null'];
  const options = ['--adopt', '--quiet', '--nat-pool', '198.18.0.0/29', '--linkid', '1001'];
  const { cpuS } = await cost(process.execPath, [side.culvert, 'replay', capture, ...outputs, ...options]);
  return (cpuS * 1e9) / REPLAY_PACKETS;
}

type Measure = () => Promise<Pair>;

/** Measures, and again as long as it seems slower. */
async function settle(name: string, measure: Measure, times: number): Promise<Pair[]> {
  const measured: Pair[] = [];
  for (let round = 0; round <= MORE; round++) {
    for (let i = 0; i < times; i++) measured.push(await measure());
    process.stderr.write(`${name}: ${digits(ratioOf(measured))}\n`);
    if (ratioOf(measured) <= noise) break;
  }
  return measured;
}

const commit = baselineCommit();
const folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-check-'));
const worktree = path.join(folder, 'baseline');
try {
  git('worktree', 'add', '--detach', '--quiet', worktree, commit);
  symlinkSync(path.join(root, 'node_modules'), path.join(worktree, 'node_modules'));
  rmSync(path.join(worktree, 'bench'), { recursive: true, force: true });
  cpSync(path.join(root, 'bench'), path.join(worktree, 'bench'), { recursive: true });
  const baseline = await bundle(worktree);
  const tree = await bundle(root);
  const capture = path.join(folder, 'in.pcap');
  writeCapture(capture, { packets: REPLAY_PACKETS, flows: 1000, from: 40, to: 1440, both: true, seed: 1 });

  const rows = new Map<string, Pair[]>();
  for (const row of Object.keys(WORKS)) rows.set(row, await settle(row, () => inMemory(row, baseline, tree), pairs));
  const once = async (): Promise<Pair> => ({
    baseline: await replay(baseline, capture),
    tree: await replay(tree, capture),
  });
  rows.set('replay', await settle('replay', once, REPLAYS));

  const results = [...rows].map(([name, measured]) => ({
    name,
    baselineNs: median(measured.map((pair) => pair.baseline)),
    treeNs: median(measured.map((pair) => pair.tree)),
    ratio: ratioOf(measured),
    slower: ratioOf(measured) > noise,
  }));
  report(
    [
      [`ns of processor time a packet`, commit.slice(0, 9), 'this tree', 'ratio', ''],
      ...results.map((r) => [
        r.name,
        digits(r.baselineNs),
        digits(r.treeNs),
        digits(r.ratio),
        r.slower ? 'SLOWER' : 'as fast',
      ]),
    ],
    { baseline: commit, noise, results },
  );
  if (results.some(({ slower }) => slower)) process.exitCode = 1;
} finally {
  execFileSync('git', ['worktree', 'remove', '--force', worktree], { cwd: root, stdio: 'ignore' });
  rmSync(folder, { recursive: true, force: true });
}
