/**
 * Runs of the golden cases, and of any capture, inside the test process: the command's own flags and planning, without
 * the cost of a process for each. `scripts/fixture-runs.mjs` tells which runs a case has.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import type { ReplayFlags } from '../../src/cli/replay-flags.js';
import { planReplay } from '../../src/cli/replay-plan.js';
import { registerReplay } from '../../src/cli/replay.js';
import { Replay } from '../../src/replay/replay.js';
import { reportOf, type ReplayReport } from '../../src/replay/report.js';
import { repositoryRoot } from '../support/machine.js';

/** One run of a case; file names without their folder. */
export interface Run {
  readonly name: string;
  /** Empty for the case itself. */
  readonly variant: string;
  readonly folder: string;
  readonly input: string;
  /** What follows `culvert replay`, without outputs. */
  readonly args: readonly string[];
  readonly provider: string;
  readonly consumer: string;
  readonly counters: string;
}

/** What is expected of an output: its octets or, where it is large, their digest. */
export interface Expectation {
  readonly octets?: Buffer;
  readonly sha256?: string;
}

/** The exports of `scripts/fixture-runs.mjs`. */
export interface FixtureRuns {
  readonly fixtures: string;
  cases(folder?: string): string[];
  runsOf(name: string, within?: string): Run[];
  absoluteArguments(run: Run): string[];
  countersOf(report: ReplayReport, exitCode: number): Record<string, unknown>;
  expectation(folder: string, name: string): Expectation | undefined;
  sha256(octets: Uint8Array): string;
  strays(name: string, within?: string): string[];
}

export const fixtureRuns = (await import(path.join(repositoryRoot, 'scripts', 'fixture-runs.mjs'))) as FixtureRuns;

export const titleOf = (run: Run): string => (run.variant === '' ? run.name : `${run.name} (${run.variant})`);

/** Every run of every case. */
export const allRuns = (): Run[] => fixtureRuns.cases().flatMap((name) => fixtureRuns.runsOf(name));

export interface Outcome {
  readonly report: ReplayReport;
  /** As the command's: 4 when the input's tail was truncated or corrupt. */
  readonly exitCode: number;
}

/** `culvert replay INPUT ARGS --provider P --consumer C`, in this process. */
export async function replayHere(
  input: string,
  args: readonly string[],
  provider: string,
  consumer: string,
): Promise<Outcome> {
  const program = new Command('culvert').exitOverride();
  registerReplay(program);
  let given: ReplayFlags | undefined;
  program.commands[0]!.action((_: string, flags: ReplayFlags) => {
    given = flags;
  });
  const outputs = ['--provider', provider, '--consumer', consumer];
  await program.parseAsync(['replay', input, ...args, ...outputs], { from: 'user' });
  const { plan } = await planReplay(input, given!);
  const result = await Replay.run(plan);
  return { report: reportOf(plan, result), exitCode: result.warnings.length > 0 ? 4 : 0 };
}

/** Runs a case's run into `scratch`. @returns what is to be held against the expectations */
export async function runHere(
  run: Run,
  scratch: string,
): Promise<{ counters: Record<string, unknown>; report: ReplayReport; provider: Buffer; consumer: Buffer }> {
  const provider = path.join(scratch, run.provider);
  const consumer = path.join(scratch, run.consumer);
  const args = fixtureRuns.absoluteArguments(run);
  const { report, exitCode } = await replayHere(path.join(run.folder, run.input), args, provider, consumer);
  return {
    counters: fixtureRuns.countersOf(report, exitCode),
    report,
    provider: readFileSync(provider),
    consumer: readFileSync(consumer),
  };
}
