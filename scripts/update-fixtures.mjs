// Writes what the translator is expected to make of the golden captures: `npm run fixtures:update`, or with names of
// cases after `--` to write only theirs. Nothing else writes expectations, so that a change in them is always somebody's
// decision and is seen in review. Inputs come from `npm run fixtures:record`.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import {
  absoluteArguments,
  backendPackets,
  cases,
  countersOf,
  digestLine,
  expectation,
  KEEP_WHOLE_OCTETS,
  runsOf,
  sha256,
  strays,
} from './fixture-runs.mjs';
import { root, say } from './run.mjs';

const RUN_LIMIT_MS = 60_000;
/** `--provider-in` of this name is made here, from the case's own provider side. */
const BACKEND_SIDE = 'in.backend.pcap';
const NAT_POOL = 0xc6120000; // 198.18.0.0/29, the command's default with --adopt

class UpdateError extends Error {}

function replay(run, scratch) {
  const files = { provider: path.join(scratch, run.provider), consumer: path.join(scratch, run.consumer) };
  const command = [
    ...[path.join(root, 'dist', 'bin', 'culvert.cjs'), 'replay', path.join(run.folder, run.input)],
    ...[...absoluteArguments(run), '--provider', files.provider, '--consumer', files.consumer, '--json'],
  ];
  const result = spawnSync(process.execPath, command, { encoding: 'utf8', timeout: RUN_LIMIT_MS });
  // A corrupt tail (4) is an outcome like any other; whatever else fails has no outcome to keep.
  if (result.status !== 0 && result.status !== 4)
    throw new UpdateError(`${title(run)}: exit code ${result.status ?? result.signal}\n${result.stderr}`);
  return {
    counters: countersOf(JSON.parse(result.stdout), result.status),
    provider: readFileSync(files.provider),
    consumer: readFileSync(files.consumer),
  };
}

const title = ({ name, variant }) => (variant === '' ? name : `${name} (${variant})`);

/** Writes an output, whole or as its digest. @returns whether that changed anything */
function keep(folder, name, octets) {
  const before = expectation(folder, name);
  const whole = path.join(folder, name);
  const digest = `${whole}.sha256`;
  const unchanged = before?.octets?.equals(octets) ?? before?.sha256 === sha256(octets);
  const small = octets.length <= KEEP_WHOLE_OCTETS;
  rmSync(small ? digest : whole, { force: true });
  if (small) writeFileSync(whole, octets);
  else writeFileSync(digest, digestLine(octets, name));
  return !unchanged;
}

function keepText(file, text) {
  const unchanged = attempt(() => readFileSync(file, 'utf8')) === text;
  writeFileSync(file, text);
  return !unchanged;
}

function attempt(body) {
  try {
    return body();
  } catch {
    return undefined;
  }
}

function update(name, scratch) {
  const changed = [];
  for (const run of runsOf(name)) {
    const { counters, provider, consumer } = replay(run, scratch);
    if (keep(run.folder, run.provider, provider)) changed.push(run.provider);
    if (keep(run.folder, run.consumer, consumer)) changed.push(run.consumer);
    if (keepText(path.join(run.folder, run.counters), `${JSON.stringify(counters, null, 2)}\n`))
      changed.push(run.counters);
    // The case itself is the first run, so that the variant finds this input.
    if (run.variant === '' && runsOf(name).some(({ args }) => args.includes(BACKEND_SIDE))) {
      const backend = backendPackets(provider, (address) => address >>> 3 === NAT_POOL >>> 3);
      writeFileSync(path.join(run.folder, BACKEND_SIDE), backend);
    }
  }
  for (const file of strays(name)) {
    rmSync(path.join(runsOf(name)[0].folder, file));
    changed.push(`${file} (removed)`);
  }
  say(`${name.padEnd(18)} ${changed.length === 0 ? 'unchanged' : `changed: ${changed.join(', ')}`}`);
}

function main() {
  const names = process.argv.slice(2);
  const all = cases();
  const unknown = names.filter((name) => !all.includes(name));
  if (unknown.length > 0) throw new UpdateError(`no such case: ${unknown.join(', ')}; there are ${all.join(', ')}`);
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'culvert-fixtures-'));
  try {
    for (const name of names.length === 0 ? all : names) update(name, scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

try {
  main();
} catch (error) {
  if (!(error instanceof UpdateError)) throw error;
  say(error.message);
  process.exitCode = 1;
}
