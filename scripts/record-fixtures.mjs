// Records the golden captures under fixtures/ from real kernels and servers: `npm run fixtures:record`,
// as root, or with names of cases after `--` to record only those. Each case runs in a lab of its own
// (scripts/record/lab.mjs); nothing is replaced under fixtures/ before its claims have been found true.
// Only inputs are recorded here: what the translator makes of them is `npm run fixtures:update`.

import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { cases } from './record/cases.mjs';
import { Lab, sweep } from './record/lab.mjs';
import { readPcap } from './record/pcap.mjs';
import { describe, index } from './record/describe.mjs';
import { countPackets } from './record/tshark.mjs';

const FIXTURES = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'fixtures');
const CASE_LIMIT_MS = 60_000;
const SIZE_LIMIT = 256 * 1024;
const TOOLS = ['ip', 'ethtool', 'tcpdump', 'tshark', 'nginx', 'curl', 'python3'];
// A TCP segment cut short in an ICMP error has a checksum that cannot be verified; tshark calls it bad.
const BAD_CHECKSUM =
  'ip.checksum.status == "Bad" || icmp.checksum.status == "Bad" || ((tcp.checksum.status == "Bad" || udp.checksum.status == "Bad") && !icmp)';

function versions() {
  const first = (command, ...args) =>
    execFileSync('sh', ['-c', `${command} ${args.join(' ')} 2>&1 | grep -v -i root | head -1`], {
      encoding: 'utf8',
    }).trim();
  const number = (text) => /\d+\.\d+(\.\d+)?/.exec(text)?.[0] ?? 'of unknown version';
  const named = { nginx: '-v', curl: '--version', tcpdump: '--version', tshark: '--version' };
  const tools = Object.entries(named).map(([name, option]) => `${name} ${number(first(name, option))}`);
  return [`Linux ${number(release()).split('.').slice(0, 2).join('.')}`, ...tools].join(', ');
}

/** Finds every claim of a case in its capture; gives them with what was found, or fails with those that do not hold. */
function verify(kase, file, octets) {
  const found = kase.claims.map((claim) => ({ ...claim, found: countPackets(file, claim.filter) }));
  if (kase.offload !== true) {
    found.push({
      says: 'no wrong checksum',
      filter: BAD_CHECKSUM,
      exactly: 0,
      found: countPackets(file, BAD_CHECKSUM),
    });
  }
  if (kase.check !== undefined) found.push(...kase.check(readPcap(octets).packets));
  if (octets.length > SIZE_LIMIT) throw new Error(`the capture has ${octets.length} octets, over ${SIZE_LIMIT}`);
  const broken = found.filter(
    (one) => one.found < (one.atLeast ?? one.exactly) || one.found > (one.exactly ?? Infinity),
  );
  if (broken.length > 0) {
    const lines = broken.map(
      (one) =>
        `${one.says}: ${one.found}, not ${one.exactly ?? `at least ${one.atLeast}`} (${one.filter ?? 'own check'})`,
    );
    throw new Error(`the capture does not hold what it claims:\n  ${lines.join('\n  ')}`);
  }
  return found;
}

/** Runs one case in a lab of its own, under a deadline, and writes its folder. */
async function record(kase) {
  const lab = new Lab();
  const stop = (signal) => {
    lab.close();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${CASE_LIMIT_MS} ms`)), CASE_LIMIT_MS);
  });
  try {
    const octets = await Promise.race([kase.record(lab), late]);
    const name = kase.file ?? 'in.pcap';
    const trial = path.join(lab.scratch, name);
    writeFileSync(trial, octets);
    const found = verify(kase, trial, octets);
    const folder = path.join(FIXTURES, kase.name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, name), octets);
    const options = path.join(folder, 'options.json');
    if (kase.options === undefined) rmSync(options, { force: true });
    else writeFileSync(options, `${JSON.stringify(kase.options, null, 2)}\n`);
    writeFileSync(path.join(folder, 'README.md'), describe(kase, trial, found, versions()));
    console.log(`${kase.name.padEnd(14)} ${String(octets.length).padStart(7)} octets, ${found.length} claims hold`);
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    lab.close();
  }
}

async function main() {
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !cases.some((kase) => kase.name === name));
  if (unknown.length > 0)
    throw new Error(`no such case: ${unknown.join(', ')}; there are ${cases.map((kase) => kase.name).join(', ')}`);
  if (process.getuid() !== 0) throw new Error('recording makes network namespaces: run it as root');
  const missing = TOOLS.filter((tool) => {
    try {
      execFileSync('sh', ['-c', `command -v ${tool}`]);
      return false;
    } catch {
      return true;
    }
  });
  if (missing.length > 0)
    throw new Error(`missing commands: ${missing.join(', ')}; \`npm run setup\`, as root, installs them on Debian`);
  sweep();
  let failed = 0;
  for (const kase of cases.filter(({ name }) => names.length === 0 || names.includes(name))) {
    try {
      await record(kase);
    } catch (error) {
      failed++;
      console.error(`${kase.name} was not recorded: ${error.message}`);
    }
  }
  writeFileSync(path.join(FIXTURES, 'README.md'), index(cases));
  if (failed > 0) process.exitCode = 1;
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 2;
});
