// Shows a mocha run with one of mocha's own reporters, and writes what scripts/test.mjs adds up to the file that
// CULVERT_TEST_RESULTS names: {passed, failures: [title], skips: [{title, reason}]}. Skip reasons are put on tests and
// suites by test/support/machine.ts.
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import Mocha from 'mocha';

const { EVENT_RUN_END, EVENT_TEST_FAIL, EVENT_TEST_PASS, EVENT_TEST_PENDING } = Mocha.Runner.constants;

export default class Reporter {
  constructor(runner, options) {
    const results = { passed: 0, failures: [], skips: [] };
    const full = (runnable) => runnable.titlePath().join(' › ');
    runner.on(EVENT_TEST_PASS, () => results.passed++);
    // A failing hook is one failure; the tests that it kept from running are not counted as passed.
    runner.on(EVENT_TEST_FAIL, (runnable) => results.failures.push(full(runnable)));
    runner.on(EVENT_TEST_PENDING, (test) => results.skips.push({ title: full(test), reason: skipReason(test) }));
    runner.on(EVENT_RUN_END, () => {
      const file = process.env['CULVERT_TEST_RESULTS'];
      if (file !== undefined) writeFileSync(file, JSON.stringify(results));
    });
    const Shown = process.env['CULVERT_TEST_VERBOSE'] === undefined ? Mocha.reporters.Dot : Mocha.reporters.Spec;
    this.shown = new Shown(runner, options);
  }
}

function skipReason(test) {
  for (let at = test; at !== undefined; at = at.parent) if (at.skipReason !== undefined) return at.skipReason;
  return 'no reason given';
}
