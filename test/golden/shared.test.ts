/**
 * Every capture of the shared folder through the command, judged by the independent oracle that is there, and by the
 * command's own check. Two captures are at work at any time; each test waits for its own.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { needsCommand, needsShared, sharedDirectory } from '../support/machine.js';
import { commandFile, MEASURED, rssMbOf } from '../cli/command.js';
import { segmentsOf } from './segments.js';

const WORKERS = 2;
/** The first test may wait for the last capture. */
const LIMIT_MS = 900_000;
const POOL = '198.18.0.0/29';
const LINK_ID = '287454020';
/** The oracle keeps all in Python's objects: above this it gives one opinion, not two. */
const LARGE_OCTETS = 5 << 20;
/** What a translator may leave out, and this one does not. */
const MUST = ['--must', 'bad-l4,vlan,encap,ip-options'];

/** Resident memory of a replay, whatever the input's size: Node itself, the regions, the tables. Measured: 63 MB. */
const MOST_RSS_MB = 130;
/** The check remembers what the input held, within bounds of its own. Measured: 146 MB. */
const MOST_CHECK_RSS_MB = 300;

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function execute(program: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { encoding: 'utf8', maxBuffer: 1 << 28, timeout: LIMIT_MS, killSignal: 'SIGKILL' } as const;
    const child = execFile(program, args, options, (_, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr });
    });
  });
}

interface Opinion {
  readonly violation_counts: Record<string, number>;
  readonly violations: readonly unknown[];
  readonly warnings: Record<string, number>;
}

interface Report {
  readonly packets: number;
  readonly returned: { readonly unexplained: number };
  readonly mptcpBlanked: number;
  readonly check: { readonly ok: boolean; readonly problems: readonly unknown[] };
}

interface Outcome {
  readonly report: Report;
  readonly code: number | null;
  readonly rssMb: number;
  readonly opinions: readonly Opinion[];
}

/** One replay of one capture, and what the oracle says of it with each list of options. */
async function judge(
  input: string,
  oracle: string,
  scratch: string,
  args: readonly string[],
  opinions: readonly (readonly string[])[],
): Promise<Outcome> {
  const folder = mkdtempSync(path.join(scratch, 'run-'));
  const [out, ret] = [path.join(folder, 'out.pcap'), path.join(folder, 'ret.pcap')];
  const flags = ['--adopt', ...args, '--provider', out, '--consumer', ret, '--check', '--json'];
  const ran = await execute(process.execPath, [MEASURED, commandFile, 'replay', input, ...flags]);
  assert.ok(ran.code === 0 || ran.code === 4, `exit code ${String(ran.code)}: ${ran.stderr}${ran.stdout}`);
  const heard: Opinion[] = [];
  for (const options of opinions) {
    const files = ['--in', input, '--out', out, '--ret', ret, '--pool', POOL, '--allow-icmp-errors'];
    const opinion = await execute('python3', [oracle, ...files, ...options]);
    assert.ok(
      opinion.code === 0 || opinion.code === 1,
      `the oracle ended with ${String(opinion.code)}: ${opinion.stderr}`,
    );
    heard.push(JSON.parse(opinion.stdout) as Opinion);
  }
  rmSync(folder, { recursive: true });
  return { report: JSON.parse(ran.stdout) as Report, code: ran.code, rssMb: rssMbOf(ran.stderr), opinions: heard };
}

/** Does `jobs` with a few workers, in order; each has a promise that is waited for by its own test. */
function startAll<T>(jobs: readonly (() => Promise<T>)[]): Promise<T>[] {
  const settle: ((work: Promise<T>) => void)[] = [];
  const promises = jobs.map(
    () =>
      new Promise<T>((resolve) => {
        settle.push(resolve);
      }),
  );
  for (const promise of promises) promise.catch(() => undefined); // its test tells
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < jobs.length) {
      const index = next++;
      const work = jobs[index]!();
      settle[index]!(work);
      await work.catch(() => undefined);
    }
  };
  for (let i = 0; i < WORKERS; i++) void worker();
  return promises;
}

describe('captures of the shared folder', () => {
  const folder = path.join(sharedDirectory(), 'captures');
  const manifestFile = path.join(folder, 'manifest.json');
  if (!existsSync(manifestFile)) {
    it('are translated as the oracle has it', function () {
      needsShared(this, path.join('captures', 'manifest.json'));
    });
    return;
  }
  interface Manifest {
    readonly captures: readonly { readonly file: string; readonly packets: number; readonly file_errors: string[] }[];
  }
  const { captures } = JSON.parse(readFileSync(manifestFile, 'utf8')) as Manifest;
  const isLarge = (file: string): boolean => statSync(path.join(folder, file)).size > LARGE_OCTETS;
  // The largest begin, so that none is left over for one worker at the end.
  const order = captures
    .map(({ file }) => file)
    .sort((a, b) => statSync(path.join(folder, b)).size - statSync(path.join(folder, a)).size);

  let scratch: string;
  const outcomes = new Map<string, Promise<Outcome>>();

  before(function () {
    const oracle = needsShared(this, path.join('oracle', 'oracle.py'));
    needsCommand(this, 'python3');
    scratch = mkdtempSync(path.join(os.tmpdir(), 'culvert-shared-'));
    const headers = ['--linkid', LINK_ID];
    const jobs = order.flatMap((file) => {
      const input = path.join(folder, file);
      const twice = isLarge(file) ? [headers] : [headers, [...headers, ...MUST]];
      return [
        { name: file, job: () => judge(input, oracle, scratch, headers, twice) },
        { name: `${file} nat`, job: () => judge(input, oracle, scratch, ['--no-proxy'], [['--mode', 'nat', ...MUST]]) },
      ];
    });
    const started = startAll(jobs.map(({ job }) => job));
    for (const [i, { name }] of jobs.entries()) outcomes.set(name, started[i]!);
  });

  after(async () => {
    await Promise.allSettled(outcomes.values());
    rmSync(scratch, { recursive: true, force: true });
  });

  function assertSound(
    { report, opinions, code }: Outcome,
    { packets, file_errors: errors }: (typeof captures)[number],
  ): void {
    for (const { violation_counts: violations, violations: examples } of opinions) {
      assert.deepEqual(violations, {}, JSON.stringify(examples.slice(0, 5)));
    }
    assert.deepEqual(report.check.problems, []);
    assert.ok(report.check.ok);
    assert.equal(report.packets, packets);
    assert.equal(report.returned.unexplained, 0);
    assert.equal(code, errors.includes('trunc_record') ? 4 : 0);
  }

  for (const capture of captures) {
    it(`${capture.file}: translated with headers, without a violation`, async function () {
      this.timeout(LIMIT_MS);
      const outcome = await outcomes.get(capture.file)!;
      assertSound(outcome, capture);
      for (const { warnings } of outcome.opinions) {
        // A SYN-ACK's window makes room for the header, and MPTCP is blanked. Both are rules; nothing else is changed.
        // Each SYN-ACK is in both outputs.
        const answers = [...segmentsOf(path.join(folder, capture.file))].filter(({ flags }) => (flags & 0x12) === 0x12);
        const { changed_window: room, changed_tcp_options: blanked, ...others } = warnings;
        assert.deepEqual(others, {});
        assert.ok((room ?? 0) <= 2 * answers.length, `${String(room)} windows changed`);
        assert.equal((blanked ?? 0) > 0, outcome.report.mptcpBlanked > 0);
      }
    });

    it(`${capture.file}: translated without headers, without a violation`, async function () {
      this.timeout(LIMIT_MS);
      const outcome = await outcomes.get(`${capture.file} nat`)!;
      assertSound(outcome, capture);
      assert.deepEqual(
        outcome.opinions.map(({ warnings }) => Object.keys(warnings)),
        outcome.opinions.map(() => []),
      );
    });
  }

  it('are translated, and checked, in bounded memory', async function () {
    this.timeout(LIMIT_MS);
    const largest = order[0]!;
    const { rssMb } = await outcomes.get(largest)!;
    assert.ok(rssMb > 0 && rssMb < MOST_CHECK_RSS_MB, `${rssMb.toFixed(0)} MB for ${largest} with its check`);
    const input = path.join(folder, largest);
    const ran = await execute(process.execPath, [MEASURED, commandFile, 'replay', input, '--adopt', '--quiet']);
    const alone = rssMbOf(ran.stderr);
    assert.ok(alone > 0 && alone < MOST_RSS_MB, `${alone.toFixed(0)} MB for ${largest}`);
  });
});
