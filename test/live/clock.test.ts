import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import path from 'node:path';
import { needsTunDevice, repositoryRoot } from '../support/machine.js';

const CLOCK = pathToFileURL(path.join(repositoryRoot, 'dist', 'src', 'device', 'tun', 'clock.js')).href;
const CALLS = 300_000;

/** Compiled first; the young generation is so large that nothing is collected between the two looks at the heap. */
const SCRIPT = `
  import { deviceClock } from '${CLOCK}';
  const clock = deviceClock();
  const apart = [-performance.now(), clock(), performance.now()];
  let back = 0;
  const run = (calls) => {
    let last = 0; // further out it would be garbage of its own
    for (let i = 0; i < calls; i++) {
      const now = clock();
      if (now < last) back++;
      last = now;
    }
  };
  for (let i = 0; i < 20; i++) run(${CALLS} / 10);
  gc();
  const before = process.memoryUsage().heapUsed;
  run(${CALLS});
  const octets = (process.memoryUsage().heapUsed - before) / ${CALLS};
  console.log(JSON.stringify({ octets, back, late: apart[0] + apart[1], early: apart[2] - apart[1] }));
`;

describe('the clock of who waits at devices', function () {
  this.timeout(30_000);
  before(function () {
    needsTunDevice(this);
  });

  it('is that of performance.now(), never goes back, and leaves no garbage', () => {
    const flags = ['--expose-gc', '--max-semi-space-size=64', '--min-semi-space-size=64', '--input-type=module'];
    const said = execFileSync(process.execPath, [...flags, '-e', SCRIPT], { encoding: 'utf8' });
    const { octets, back, late, early } = JSON.parse(said) as Record<'octets' | 'back' | 'late' | 'early', number>;
    assert.ok(octets < 1, `${String(octets)} octets a call`);
    assert.equal(back, 0);
    // Between the two looks at the other, give and take what making it took.
    assert.ok(late > -50 && early > -50, said);
  });
});
