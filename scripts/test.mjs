// `npm test`: set-up, then every check that the project has, then one summary that ends with
// `N passed, N failed, N skipped`. A static check counts as one test.
//
//   npm test -- --only unit,golden      these layers only (static, demo, and the folders of test/)
//   npm test -- --verbose               every test by name
//   npm test -- --only unit -- ARGS     ARGS go to mocha, for example --grep insertion
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { lockFileComplaints, machineComplaints, pinComplaints } from './repository-checks.mjs';
import { root, run, say, tool } from './run.mjs';
import { build, prepare, SetupError } from './setup.mjs';

const LAYER_TIMEOUT_MS = 20 * 60_000; // a hang must become a failure, with time left to report it
const node = process.execPath;

const { values: options, positionals: mochaArguments } = parseArgs({
  options: { only: { type: 'string' }, verbose: { type: 'boolean', default: false } },
  allowPositionals: true,
});

// The folders of test/ are the layers, so that a new one is run from the day it is there.
const layers = readdirSync(path.join(root, 'test'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== 'support')
  .map((entry) => entry.name);
const available = ['static', ...layers, 'demo'];
const chosen = options.only?.split(',') ?? available;
const unknown = chosen.filter((name) => !available.includes(name));

/** @type {{name: string, passed: number, failures: string[], skips: {title: string, reason: string}[], ms: number}[]} */
const groups = [];

function group(name, ms, { passed = 0, failures = [], skips = [] }) {
  groups.push({ name, ms, passed, failures, skips });
}

function check(name, body) {
  const started = performance.now();
  const { ok, output, why } = attempt(body);
  const ms = performance.now() - started;
  say(`${ok ? 'ok  ' : 'FAIL'} ${name} (${seconds(ms)})`);
  if (!ok) say(`${output.trimEnd()}\n${why}`);
  group(name, ms, ok ? { passed: 1 } : { failures: [name] });
}

// A check that breaks is a check that failed: the others still run.
function attempt(body) {
  try {
    return body();
  } catch (error) {
    return { ok: false, output: '', why: error.message };
  }
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

const command = (file, ...args) => run([node, tool(file), ...args], { capture: true, timeoutMs: LAYER_TIMEOUT_MS });

function complaints(list) {
  return { ok: list.length === 0, output: list.join('\n'), why: `${list.length} complaints` };
}

function staticChecks() {
  check('lint: eslint', () => command('eslint/bin/eslint.js', '--max-warnings', '0', '.'));
  check('format: prettier', () => command('prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'));
  const sources = ['src', 'test', 'bench'].filter((folder) => existsSync(path.join(root, folder)));
  check('layering: dependency-cruiser', () =>
    command('dependency-cruiser/bin/dependency-cruise.mjs', '--output-type', 'err', ...sources),
  );
  check('dead code: knip', () => command('knip/bin/knip.js', '--no-progress'));
  check('repository: pinned versions, no registry in the lock', () =>
    complaints([...lockFileComplaints(), ...pinComplaints()]),
  );
  check('repository: no path of one machine', () => complaints(machineComplaints()));
}

function mochaLayer(layer) {
  const folder = path.join(root, 'dist', 'test', layer);
  const files = existsSync(folder) ? testFiles(folder) : [];
  if (files.length === 0) return;
  say(`\n${layer}: ${files.length} files`);
  withScratch((scratch) => {
    const resultsFile = path.join(scratch, 'results.json');
    const forbidOnly = process.env['CI'] === 'true' ? ['--forbid-only'] : [];
    const reporter = ['--reporter', path.join(root, 'scripts', 'mocha-reporter.mjs')];
    const started = performance.now();
    const { ok, why } = run(
      [node, tool('mocha/bin/mocha.js'), ...reporter, ...forbidOnly, ...mochaArguments, ...files],
      {
        env: { CULVERT_TEST_RESULTS: resultsFile, ...(options.verbose ? { CULVERT_TEST_VERBOSE: '1' } : {}) },
        timeoutMs: LAYER_TIMEOUT_MS,
      },
    );
    const results = existsSync(resultsFile)
      ? JSON.parse(readFileSync(resultsFile, 'utf8'))
      : { passed: 0, failures: [], skips: [] };
    // A crash, a hang or a file that does not load leaves no failed test behind, and must not pass for success.
    if (!ok && results.failures.length === 0) results.failures.push(`${layer}: mocha did not finish well (${why})`);
    group(layer, performance.now() - started, results);
  });
}

function withScratch(body) {
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'culvert-test-'));
  try {
    body(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

// What the project shows first must work; until the command is there, there is nothing to show.
function demo() {
  if (!existsSync(path.join(root, 'dist', 'bin', 'culvert.cjs'))) return;
  withScratch((scratch) => {
    const options = { capture: true, env: { TMPDIR: scratch }, timeoutMs: LAYER_TIMEOUT_MS };
    check('demo: npm run demo', () => run([node, 'scripts/demo.mjs'], options));
  });
}

function testFiles(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.test.js'))
    .sort()
    .map((name) => path.join(folder, name));
}

function summary() {
  const total = { passed: 0, failed: 0, skipped: 0 };
  say('\nsummary');
  for (const { name, passed, failures, skips, ms } of groups) {
    total.passed += passed;
    total.failed += failures.length;
    total.skipped += skips.length;
    const counts = `${passed} passed, ${failures.length} failed, ${skips.length} skipped`;
    say(`  ${name.padEnd(52)} ${counts.padEnd(38)} ${seconds(ms).padStart(8)}`);
  }
  const skips = groups.flatMap((each) => each.skips);
  if (skips.length > 0) say('\nskipped');
  for (const { title, reason } of skips) say(`  ${title}: ${reason}`);
  const failures = groups.flatMap((each) => each.failures);
  if (failures.length > 0) say('\nfailed');
  for (const title of failures) say(`  ${title}`);
  // A run of nothing is no success.
  process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
  say(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
}

if (unknown.length > 0) {
  say(`no such test layer: ${unknown.join(', ')} (there are: ${available.join(', ')})`);
  process.exitCode = 2;
} else {
  try {
    prepare();
    check('types: tsc', build);
    if (chosen.includes('static')) staticChecks();
    for (const layer of layers) if (chosen.includes(layer)) mochaLayer(layer);
    if (chosen.includes('demo')) demo();
  } catch (error) {
    say(error instanceof SetupError ? `set-up: ${error.message}` : `the test runner failed: ${error.stack}`);
    group('the test runner', 0, { failures: [error.message.split('\n')[0]] });
  }
  summary();
}
