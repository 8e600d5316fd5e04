// The runs that a golden case asks for, and how their outcome is kept. Shared by `npm run fixtures:update`, which
// writes expectations, and by the tests, which only compare. fixtures/README.md tells the files of a case.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './run.mjs';

export const fixtures = path.join(root, 'fixtures');

/** Larger outputs are kept as their SHA-256: what they hold can be made again, and a clone stays small. */
export const KEEP_WHOLE_OCTETS = 32 * 1024;

/** Case names, sorted: every folder of fixtures/ with an input. */
export function cases(folder = fixtures) {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && inputOf(path.join(folder, entry.name)) !== undefined)
    .map((entry) => entry.name)
    .sort();
}

const inputOf = (folder) => ['in.pcap', 'in.pcapng'].find((name) => existsSync(path.join(folder, name)));

/**
 * The runs of one case: the case itself (variant '') and those of its variants.json.
 * `args` is what follows `culvert replay`, without outputs; file names in it are relative to the case's folder.
 */
export function runsOf(name, within = fixtures) {
  const folder = path.join(within, name);
  const input = inputOf(folder);
  const extension = path.extname(input);
  const base = existsSync(path.join(folder, 'lab.yaml')) ? ['--config', 'lab.yaml'] : ['--adopt'];
  const own = readJson(path.join(folder, 'options.json'), { args: base }).args;
  const variants = readJson(path.join(folder, 'variants.json'), {});
  const run = (variant, args) => {
    const prefix = variant === '' ? '' : `${variant}.`;
    const provider = `out.${prefix}provider${extension}`;
    const consumer = `out.${prefix}consumer${extension}`;
    const counters = variant === '' ? 'counters.json' : `counters.${variant}.json`;
    return { name, variant, folder, input, args, provider, consumer, counters };
  };
  return [run('', own), ...Object.entries(variants).map(([variant, { args }]) => run(variant, [...own, ...args]))];
}

/** A run's arguments with the names of files inside its folder made absolute. */
export function absoluteArguments({ folder, args }) {
  return args.map((arg, i) => (FILE_FLAGS.has(args[i - 1]) ? path.join(folder, arg) : arg));
}

const FILE_FLAGS = new Set(['--config', '--provider-in']);

/** What is kept of a run's report: all but the names of files, which differ from place to place. */
export function countersOf(report, exitCode) {
  const { input, provider, consumer, warnings, ...counters } = report;
  void [input, provider, consumer];
  return { exitCode, ...counters, warnings: warnings.map(({ code }) => code) };
}

/** The expected output of that name: its octets, the SHA-256 of them, or undefined where nothing is expected yet. */
export function expectation(folder, name) {
  const whole = path.join(folder, name);
  if (existsSync(whole)) return { octets: readFileSync(whole) };
  const digest = path.join(folder, `${name}.sha256`);
  if (existsSync(digest)) return { sha256: readFileSync(digest, 'utf8').split(' ')[0] };
  return undefined;
}

export const sha256 = (octets) => createHash('sha256').update(octets).digest('hex');

/** As `sha256sum` writes it, so that `sha256sum --check` reads it. */
export const digestLine = (octets, name) => `${sha256(octets)}  ${name}\n`;

/** Expectations of a folder that none of its runs writes. */
export function strays(name, within = fixtures) {
  const folder = path.join(within, name);
  const runs = runsOf(name, within);
  const expected = new Set(runs.flatMap(({ provider, consumer, counters }) => [provider, consumer, counters]));
  return readdirSync(folder).filter(
    (file) => /^(out\.|counters)/.test(file) && !expected.has(file.replace(/\.sha256$/, '')),
  );
}

/**
 * What a capture on the backend's side would hold of a run: the packets of its provider side that are not from the
 * NAT pool, which are those that the replay lifted. Only classic pcap in this machine's byte order, as the command writes.
 */
export function backendPackets(pcap, isNatAddress) {
  const kept = [pcap.subarray(0, 24)];
  for (let at = 24; at + 16 <= pcap.length;) {
    const end = at + 16 + pcap.readUInt32LE(at + 8);
    if (!isNatAddress(pcap.readUInt32BE(at + 16 + 12))) kept.push(pcap.subarray(at, end));
    at = end;
  }
  return Buffer.concat(kept);
}

function readJson(file, otherwise) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : otherwise;
}
