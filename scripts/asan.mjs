// Builds the native part of the TUN device with the address and undefined-behaviour sanitizers and runs the tests that
// use it, once. Fails on any report, and on a leak that has a frame of the addon in its stack; Node's own leaks at exit
// are none of ours. The ordinary build is put back at the end. Needs what live tests need, and GCC's sanitizers.
//
//   npm run asan
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { environment, root, run, say, tool } from './run.mjs';

const TIMEOUT_MS = 5 * 60_000;
const TESTS = ['dist/test/live/tun.test.js', 'dist/test/live/coalesce.test.js'];
const OURS = /culvert_tun|device\/tun\/native/;
// The programs that the tests start are to run without the sanitizers, and at their ordinary speed. For the same reason
// mocha is started without its door, which starts a second process.
const NODE_FLAGS = ['--import', 'data:text/javascript,delete process.env.LD_PRELOAD'];

/** Reports of a sanitizer's log: each starts with its banner. */
export function reportsIn(log) {
  return log.split(/(?=^=+\d+=+ERROR: )/m).flatMap((part) => {
    if (/ERROR: LeakSanitizer/.test(part))
      return part.split(/\n\s*\n/).filter((leak) => /leak of/.test(leak) && OURS.test(leak));
    return /ERROR: |runtime error: /.test(part) ? [part] : [];
  });
}

function library(name) {
  const { output } = run(['g++', `-print-file-name=${name}`], { capture: true });
  const file = output.trim();
  return file.startsWith('/') && existsSync(file) ? file : undefined;
}

function build(asan) {
  const { ok, output, why } = run([process.execPath, 'scripts/build-native.mjs', '--force'], {
    capture: true,
    env: { CULVERT_ASAN: asan ? '1' : '' },
  });
  if (!ok) say(`${output}${why}`);
  return ok;
}

function check() {
  const preload = [library('libasan.so'), library('libubsan.so')];
  if (preload.includes(undefined)) {
    say('asan: GCC has no libasan and libubsan here');
    return false;
  }
  if (!build(true)) return false;
  const logs = mkdtempSync(path.join(os.tmpdir(), 'culvert-asan-'));
  const results = path.join(logs, 'results.json');
  const { status } = spawnSync(
    process.execPath,
    [...NODE_FLAGS, realpathSync(tool('mocha/lib/cli/cli.js')), '--reporter', 'scripts/mocha-reporter.mjs', ...TESTS],
    {
      cwd: root,
      stdio: 'inherit',
      timeout: TIMEOUT_MS,
      env: {
        ...environment,
        CI: 'true', // a skipped test would show nothing
        CULVERT_TEST_RESULTS: results,
        LD_PRELOAD: preload.join(' '),
        // Leaks are judged here: Node has its own.
        ASAN_OPTIONS: `detect_leaks=1:exitcode=0:log_path=${path.join(logs, 'report')}`,
        UBSAN_OPTIONS: `print_stacktrace=1:log_path=${path.join(logs, 'report')}`,
      },
    },
  );
  // A process that a sanitizer ended leaves no results behind.
  const { passed, failures, skips } = existsSync(results)
    ? JSON.parse(readFileSync(results, 'utf8'))
    : { passed: 0, failures: ['the tests did not come to their end'], skips: [] };
  const good = status === 0 && passed > 0 && failures.length === 0 && skips.length === 0;
  const logFiles = readdirSync(logs).filter((name) => name.startsWith('report'));
  const reports = logFiles.flatMap((name) => reportsIn(readFileSync(path.join(logs, name), 'utf8')));
  rmSync(logs, { recursive: true, force: true });
  for (const report of reports) say(`\n${report.trimEnd()}`);
  say(`\nasan: ${reports.length} reports, ${passed} tests passed, ${failures.length} failed, ${skips.length} skipped`);
  return good && reports.length === 0;
}

let ok = false;
try {
  ok = check();
} finally {
  ok = build(false) && ok;
}
process.exitCode = ok ? 0 : 1;
