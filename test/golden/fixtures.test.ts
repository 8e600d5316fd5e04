/**
 * Every golden case and variant gives what is expected of it, octet for octet and counter for counter. What is expected
 * changes by `npm run fixtures:update` alone.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { commandFile } from '../cli/command.js';
import { allRuns, fixtureRuns, runHere, titleOf, type Run } from './runs.js';

const MOST_OCTETS = 4 << 20;

/** Holds an output against its expectation, and tells where they part. */
function compare(folder: string, name: string, octets: Buffer): void {
  const expected = fixtureRuns.expectation(folder, name);
  assert.ok(expected !== undefined, `nothing is expected of ${name}: npm run fixtures:update writes it`);
  if (expected.octets === undefined) {
    assert.equal(fixtureRuns.sha256(octets), expected.sha256, `${name} is not the expected one (by its SHA-256)`);
    return;
  }
  if (expected.octets.equals(octets)) return;
  const { length } = expected.octets;
  let at = 0;
  while (at < length && at < octets.length && octets[at] === expected.octets[at]) at++;
  assert.fail(
    `${name}: ${String(octets.length)} octets, expected ${String(length)}; the first difference is at ${String(at)}`,
  );
}

function compareCounters(run: Run, counters: Record<string, unknown>): void {
  const file = path.join(run.folder, run.counters);
  assert.ok(existsSync(file), `nothing is expected of ${run.counters}: npm run fixtures:update writes it`);
  // Through JSON, as the expectation came: it knows no classes.
  assert.deepEqual(JSON.parse(JSON.stringify(counters)), JSON.parse(readFileSync(file, 'utf8')));
}

describe('golden cases', () => {
  let scratch: string;
  before(() => {
    scratch = mkdtempSync(path.join(os.tmpdir(), 'culvert-golden-'));
  });
  after(() => {
    rmSync(scratch, { recursive: true });
  });

  const runs = allRuns();

  it('are there', () => {
    assert.ok(fixtureRuns.cases().length >= 20);
    assert.ok(runs.some(({ variant }) => variant !== ''));
  });

  for (const run of runs) {
    it(`${titleOf(run)}: gives the expected octets and counters`, async () => {
      const { counters, provider, consumer, report } = await runHere(run, scratch);
      compareCounters(run, counters);
      compare(run.folder, run.provider, provider);
      compare(run.folder, run.consumer, consumer);
      assert.equal(report.returned.unexplained, 0, 'server packets given back that no rule explains');
    });

    it(`${titleOf(run)}: passes the command's own check`, () => {
      const input = path.join(run.folder, run.input);
      const args = [commandFile, 'replay', input, ...fixtureRuns.absoluteArguments(run), '--check', '--quiet'];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
    });
  }

  for (const run of runs.filter(({ variant }) => variant === '')) {
    it(`${titleOf(run)}: gives the same from a pipe, in another process, folder and time zone`, () => {
      const provider = path.join(scratch, `again.${run.provider}`);
      const consumer = path.join(scratch, `again.${run.consumer}`);
      const outputs = ['--provider', provider, '--consumer', consumer, '--quiet'];
      const { status, stderr } = spawnSync(
        process.execPath,
        [commandFile, 'replay', '-', ...fixtureRuns.absoluteArguments(run), ...outputs],
        {
          input: readFileSync(path.join(run.folder, run.input)),
          cwd: scratch,
          env: { TZ: 'Pacific/Apia', LC_ALL: 'C' },
          encoding: 'utf8',
        },
      );
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      compare(run.folder, run.provider, readFileSync(provider));
      compare(run.folder, run.consumer, readFileSync(consumer));
    });
  }

  for (const run of runs.filter(({ args }) => args.includes('--provider-in'))) {
    it(`${titleOf(run)}: the consumer gets what lifting gives it`, () => {
      const base = fixtureRuns.runsOf(run.name)[0]!;
      const [a, b] = [base, run].map(({ folder, consumer }) => fixtureRuns.expectation(folder, consumer));
      assert.ok(a !== undefined);
      assert.deepEqual(b, a);
    });
  }

  it('hold no expectation that no run writes', () => {
    for (const name of fixtureRuns.cases()) assert.deepEqual(fixtureRuns.strays(name), [], name);
  });

  it('stay small', () => {
    const files = readdirSync(fixtureRuns.fixtures, { recursive: true, encoding: 'utf8' });
    const octets = files.reduce((sum, file) => {
      const stats = statSync(path.join(fixtureRuns.fixtures, file));
      return sum + (stats.isFile() ? stats.size : 0);
    }, 0);
    assert.ok(octets < MOST_OCTETS, `${String(octets)} octets`);
  });
});

describe('the comparison with expectations', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-golden-'));
    cpSync(path.join(fixtureRuns.fixtures, 'http'), path.join(folder, 'http'), { recursive: true });
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const base = (): Run => fixtureRuns.runsOf('http', folder)[0]!;

  it('fails where nothing is expected', () => {
    const run = base();
    rmSync(path.join(run.folder, run.counters));
    const [file] = readdirSync(run.folder).filter((name) => name.startsWith(run.provider));
    const octets = fixtureRuns.expectation(run.folder, run.provider)?.octets ?? Buffer.alloc(0);
    rmSync(path.join(run.folder, file!));
    assert.throws(() => {
      compare(run.folder, run.provider, octets);
    }, /nothing is expected of out\.provider\.pcap/);
    assert.throws(() => {
      compareCounters(run, {});
    }, /nothing is expected of counters\.json/);
  });

  it('fails on one changed octet, one missing octet, one changed counter', async () => {
    const run = base();
    const { consumer, counters } = await runHere(run, folder);
    compare(run.folder, run.consumer, consumer);
    const changed = Buffer.from(consumer);
    changed[100]! ^= 1;
    assert.throws(() => {
      compare(run.folder, run.consumer, changed);
    }, /the first difference is at 100/);
    assert.throws(() => {
      compare(run.folder, run.consumer, consumer.subarray(0, -1));
    }, /octets, expected/);
    assert.throws(() => {
      compareCounters(run, { ...counters, packets: 0 });
    }, assert.AssertionError);
  });

  it('fails by the digest where only that is kept', () => {
    const kept = fixtureRuns.runsOf('loss-reorder')[0]!;
    assert.ok(fixtureRuns.expectation(kept.folder, kept.provider)?.sha256 !== undefined);
    assert.throws(() => {
      compare(kept.folder, kept.provider, Buffer.alloc(24));
    }, /SHA-256/);
  });

  it('finds an expectation that no run writes', () => {
    const run = base();
    rmSync(path.join(run.folder, 'variants.json'));
    assert.ok(fixtureRuns.strays('http', folder).includes('counters.aws.json'));
  });
});
