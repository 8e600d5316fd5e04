/** No packet costs heap, whatever its way through the translator; and the measurement would see one that did. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { repositoryRoot } from '../support/machine.js';

/** Octets a packet; a rounding error, where the least that can be allocated is 16. */
const NOTHING = 0.1;

describe('what packets cost in heap', () => {
  let used: Record<string, number> = {};
  before(() => {
    const script = path.join(repositoryRoot, 'dist', 'test', 'support', 'allocation-run.js');
    // Room enough in the young generation that nothing is collected while it is measured.
    const flags = ['--expose-gc', '--min-semi-space-size=128', '--max-semi-space-size=128'];
    const env = { ...process.env, NODE_V8_COVERAGE: '' }; // counting coverage allocates
    used = JSON.parse(execFileSync(process.execPath, [...flags, script], { encoding: 'utf8', env })) as typeof used;
  });

  for (const way of [
    'established TCP',
    'established TCP without options',
    'policed TCP',
    'TCP with SACK',
    'the header, again and again',
    'UDP',
    'new TCP flows',
    'new UDP flows',
    'new flows that a security group judges',
    'ICMP errors',
    'fragments',
    'fragments of workers',
    'dropped packets',
  ]) {
    it(`nothing: ${way}`, () => {
      assert(used[way]! < NOTHING, `${used[way]!} octets a packet`);
    });
  }

  it('sees one small object a packet', () => {
    assert(used['control']! >= 16, `${used['control']!} octets a packet`);
  });
});
