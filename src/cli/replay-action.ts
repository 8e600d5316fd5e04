/** What `culvert replay` does: plan, run, check, report. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { CheckReport } from '../check/index.js';
import { CulvertError } from '../errors.js';
import { unlessAborted } from '../replay/abort.js';
import { Replay, type ReplayPlan, type ReplayResult } from '../replay/replay.js';
import { reportOf, type ReplayReport } from '../replay/report.js';
import { EXIT } from './exit-codes.js';
import { UsageError } from './failure.js';
import { printReport, STDERR, STDOUT, tell } from './print.js';
import { progressBar } from './progress.js';
import { planReplay } from './replay-plan.js';
import { replayTable } from './replay-table.js';
import type { ReplayFlags } from './replay-flags.js';
import { interruptible } from './signals.js';

/** @returns the exit code */
export async function replay(input: string, flags: ReplayFlags): Promise<number> {
  const planned = await planReplay(input, flags);
  const say = (text: string): void => {
    if (flags.quiet !== true) tell(text);
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
    const bar = await progressBar(flags.quiet === true || flags.json === true);
    const result = await interruptible((signal) =>
      Replay.run(
        plan,
        (packets, octets, size) => {
          bar.update(packets, octets, size);
        },
        signal,
      ),
    )
      .catch((error: unknown) => {
        throw unlessAlone(error, plan);
      })
      .finally(() => {
        bar.stop();
      });
    // The exit code is an error's, so it is told also where little is to be said.
    for (const w of result.warnings) {
      tell(`culvert: ${w.code}: ${w.message}: what comes before it is translated, the rest is not\n`);
    }
    const check =
      flags.check === true ? await interruptible((signal) => unlessAborted(verify(plan, result), signal)) : null;
    tellResult(flags, reportOf(planned.plan, result), check);
    if (check !== null && !check.ok) return EXIT.checkFailed;
    return result.warnings.length > 0 ? EXIT.truncatedInput : EXIT.ok;
  } finally {
    if (temporary !== null) rmSync(temporary, { recursive: true, force: true });
  }
}

/** A reader that leaves ends a replay quietly, as `head` does; not so where a file is lost by it. */
function unlessAlone(error: unknown, { provider, consumer }: ReplayPlan): unknown {
  if (!(error instanceof CulvertError) || error.code !== 'CAPTURE_PIPE_CLOSED') return error;
  const file = provider === error.place.file ? consumer : provider;
  if (file === null) return error;
  const what = `${file}: not written, since the reader of the other output has gone: let that read to the end`;
  return new CulvertError('CAPTURE_WRITE_FAILED', what, { file }, { cause: error });
}

async function verify(plan: ReplayPlan, result: ReplayResult): Promise<CheckReport> {
  const { tables } = result.translator;
  // The check asks by address alone. Where consumer networks overlap, that tells nothing: null, not checked.
  const linkIds = new Map<number, number | null>();
  const headers = new Map<number, boolean>();
  for (const e of tables.endpoints) {
    if (plan.network !== null && e.network !== plan.network) continue;
    const address = e.address >>> 0;
    const linkId = e.link.spec.proxy?.dialect === 'azure' ? e.linkId : null;
    const known = linkIds.get(address);
    linkIds.set(address, known === undefined || known === linkId ? linkId : null);
    headers.set(address, headers.get(address) === true || e.link.spec.proxy !== null);
  }
  const { checkReplay } = await import('../check/index.js');
  return checkReplay({
    input: plan.input,
    provider: plan.provider!,
    consumer: plan.consumer,
    providerInput: plan.providerInput,
    natPool: tables.links.flatMap((l) => l.spec.natAddresses.map((base) => ({ base, prefix: 32 }))),
    proxy: (address) => headers.get(address) === true,
    // Adopting leaves no flow out; a lab file may refuse some.
    everyFlow: plan.adopt !== null,
    linkIdOf: (address) => linkIds.get(address) ?? null,
    ...(plan.network === null ? { networkOf: (name: string) => tables.networks.indexOf(name) } : {}),
  });
}

function tellResult(flags: ReplayFlags, report: ReplayReport, check: CheckReport | null): void {
  // Results go to standard output, unless a capture does.
  const captureThere = flags.provider === '-' || flags.consumer === '-';
  const out = captureThere ? STDERR : STDOUT;
  if (flags.json === true) {
    printReport(`${JSON.stringify({ ...report, ...(check === null ? {} : { check }) }, null, 2)}\n`, out);
    return;
  }
  if (flags.quiet !== true) printReport(replayTable(report), out);
  if (check === null) return;
  if (check.ok) {
    if (flags.quiet !== true) {
      printReport(
        `\ncheck passed: ${String(check.packets.provider + check.packets.consumer)} packets, ` +
          `${String(check.streams.checked)} client streams (${String(check.streams.exact)} octet for octet), ` +
          `${String(check.headers)} headers\n`,
        out,
      );
    }
    return;
  }
  tell(`\ncheck FAILED\n`);
  for (const p of check.problems) {
    tell(`  ${p.code}: ${String(p.count)}\n`);
    for (const example of p.examples) tell(`    ${example}\n`);
  }
}
