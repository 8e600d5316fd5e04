/** `culvert lab run`: brings a lab up, runs its checks, and removes it again, whatever happens. */
import assert from 'node:assert/strict';
import type { Check, Stage } from './checks/check.js';
import { isolationChecks } from './checks/isolation.js';
import { loadChecks } from './checks/load.js';
import { serverChecks } from './checks/servers.js';
import { Lab, type LabOptions } from './lab.js';
import { type Consumer, CONSUMERS } from './topology.js';
import { Witness } from './witness.js';

export interface CheckResult {
  readonly check: string;
  readonly consumer: Consumer;
  readonly passed: boolean;
  /** What was seen, or what was wrong. */
  readonly seen: string;
  readonly ms: number;
}

export interface LabReport {
  readonly passed: number;
  readonly failed: number;
  /** From nothing to servers that listen, of the checks, and of all with the removal. */
  readonly startMs: number;
  readonly checksMs: number;
  readonly totalMs: number;
  readonly checks: readonly CheckResult[];
}

/**
 * @param onStep told what is being done
 * @throws CulvertError when the lab does not come up; the signal's reason when it is aborted; all is removed then
 */
export async function runLab(
  options: LabOptions,
  signal: AbortSignal,
  onStep: (step: string) => void,
): Promise<LabReport> {
  const started = performance.now();
  onStep('starting the gateway and the servers');
  const failed = new AbortController();
  const lab = await Lab.start({ ...options, onFailure: (error) => failed.abort(error) });
  let report: LabReport;
  try {
    const work = (async (): Promise<LabReport> => {
      await lab.serve();
      const startMs = performance.now() - started;
      const checks = await runChecks(lab, onStep);
      const passed = checks.filter((each) => each.passed).length;
      const checksMs = performance.now() - started - startMs;
      return { passed, failed: checks.length - passed, startMs, checksMs, totalMs: 0, checks };
    })();
    work.catch(() => undefined); // what an abort leaves unfinished fails when its processes are ended
    report = await Promise.race([work, aborted(AbortSignal.any([signal, failed.signal]))]);
  } finally {
    onStep('removing all of it');
    await lab.stop();
  }
  return { ...report, totalMs: performance.now() - started };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = (): void => reject(signal.reason as Error);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}

async function runChecks(lab: Lab, onStep: (step: string) => void): Promise<CheckResult[]> {
  const { processes, names } = lab;
  const [red, blue, provider] = await Promise.all(
    ([...CONSUMERS, 'provider'] as const).map((network) => Witness.start(processes, names, network)),
  );
  const stage: Stage = { lab, consumers: { red: red!, blue: blue! }, provider: provider! };
  onStep(`checks: ${serverChecks.length} of servers`);
  // All at once, as consumers come.
  const results = (await Promise.all(serverChecks.map((check) => runCheck(check, stage)))).flat();
  for (const check of [...loadChecks, ...isolationChecks]) {
    onStep(`check: ${check.name}`);
    results.push(...(await runCheck(check, stage)));
  }
  return results;
}

const runCheck = ({ name, consumers, run }: Check, stage: Stage): Promise<CheckResult[]> =>
  Promise.all(
    consumers.map(async (consumer) => {
      const started = performance.now();
      const { passed, seen } = await run(stage, consumer).then(
        (text) => ({ passed: true, seen: text }),
        // An assertion's text is what was wrong; anything else is told with its place.
        (error: unknown) => ({
          passed: false,
          seen: error instanceof assert.AssertionError ? error.message : ((error as Error).stack ?? String(error)),
        }),
      );
      return { check: name, consumer, passed, seen, ms: performance.now() - started };
    }),
  );
