/** What `culvert replay` does: plan, run, check, report. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { checkReplay, type CheckReport } from '../check/index.js';
import { Replay, type ReplayPlan, type ReplayResult } from '../replay/replay.js';
import { reportOf, type ReplayReport } from '../replay/report.js';
import { EXIT } from './exit-codes.js';
import { UsageError } from './failure.js';
import { progressBar } from './progress.js';
import { planReplay } from './replay-plan.js';
import { replayTable } from './replay-table.js';
import type { ReplayFlags } from './replay-flags.js';
import { interruptible } from './signals.js';

/** @returns the exit code */
export async function replay(input: string, flags: ReplayFlags): Promise<number> {
  const planned = await planReplay(input, flags);
  const say = (text: string): void => {
    if (flags.quiet !== true) process.stderr.write(text);
  };
  for (const w of planned.warnings) say(`warning: ${w.code}: ${w.message}\n`);
  if (flags.check === true && (input === '-' || flags.provider === '-' || flags.consumer === '-')) {
    throw new UsageError('--check reads the files again: none of them can be a standard stream');
  }
  // The check needs both outputs, also where only one, or none, is to be kept.
  const temporary = flags.check === true ? mkdtempSync(path.join(os.tmpdir(), 'culvert-check-')) : null;
  try {
    const plan: ReplayPlan =
      temporary === null
        ? planned.plan
        : {
            ...planned.plan,
            provider: planned.plan.provider ?? path.join(temporary, 'provider.pcap'),
            consumer: planned.plan.consumer ?? path.join(temporary, 'consumer.pcap'),
          };
    const bar = progressBar(flags.quiet === true || flags.json === true);
    const result = await interruptible((signal) =>
      Replay.run(plan, (packets, octets, size) => {
        signal.throwIfAborted();
        bar.update(packets, octets, size);
      }),
    ).finally(() => {
      bar.stop();
    });
    for (const w of result.warnings) say(`warning: ${w.code}: ${w.message}\n`);
    const check = flags.check === true ? await verify(plan, result) : null;
    print(flags, reportOf(planned.plan, result), check);
    if (check !== null && !check.ok) return EXIT.checkFailed;
    return result.warnings.length > 0 ? EXIT.truncatedInput : EXIT.ok;
  } finally {
    if (temporary !== null) rmSync(temporary, { recursive: true, force: true });
  }
}

async function verify(plan: ReplayPlan, result: ReplayResult): Promise<CheckReport> {
  const { tables } = result.translator;
  const azure = new Map<number, number>();
  for (const e of tables.endpoints) {
    // Overlapping networks may have two endpoints at one address: then the address alone tells no LINKID.
    const known = azure.get(e.address >>> 0);
    const unsure = e.link.spec.proxy?.dialect !== 'azure' || (known !== undefined && known !== e.linkId);
    azure.set(e.address >>> 0, unsure ? 0 : e.linkId);
  }
  return checkReplay({
    input: plan.input,
    provider: plan.provider!,
    consumer: plan.consumer,
    providerInput: plan.providerInput,
    natPool: tables.links.flatMap((l) => l.spec.natAddresses.map((base) => ({ base, prefix: 32 }))),
    proxy: tables.links.some((l) => l.spec.proxy !== null),
    linkIdOf: (address) => azure.get(address) ?? null,
  });
}

function print(flags: ReplayFlags, report: ReplayReport, check: CheckReport | null): void {
  // Results go to standard output, unless a capture does.
  const captureThere = flags.provider === '-' || flags.consumer === '-';
  const out = captureThere ? process.stderr : process.stdout;
  if (flags.json === true) {
    out.write(`${JSON.stringify({ ...report, ...(check === null ? {} : { check }) }, null, 2)}\n`);
    return;
  }
  if (flags.quiet !== true) out.write(replayTable(report));
  if (check === null) return;
  if (check.ok) {
    if (flags.quiet !== true) {
      out.write(
        `\ncheck passed: ${String(check.packets.provider + check.packets.consumer)} packets, ` +
          `${String(check.streams.checked)} client streams (${String(check.streams.exact)} octet for octet), ` +
          `${String(check.headers)} headers\n`,
      );
    }
    return;
  }
  process.stderr.write(`\ncheck FAILED\n`);
  for (const p of check.problems) {
    process.stderr.write(`  ${p.code}: ${String(p.count)}\n`);
    for (const example of p.examples) process.stderr.write(`    ${example}\n`);
  }
}
