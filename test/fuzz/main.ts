/**
 * `npm run fuzz -- --seconds 600`: the property tests' bodies over seeds of its own, as long as asked for. Each failure
 * is printed with what repeats it: `--only NAME --seed N --runs 1`.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { repositoryRoot, sharedDirectory } from '../support/machine.js';
import { damagedConversation } from '../support/damaged-conversation.js';
import { Random } from '../support/random.js';
import { captureFiles } from '../support/recorded-packets.js';
import { replayMutated } from '../support/replay-mutated.js';
import { drawnScenario, scenarioOf } from '../support/scenarios.js';
import { drawnAbort, endsOnAbort, survives } from '../support/streams.js';
import { liftsAndReturns } from '../support/there-and-back.js';
import { compareTwins } from '../support/twins.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    runs: { type: 'string' },
    only: { type: 'string' },
  },
});

const drawn = <T>(arbitrary: fc.Arbitrary<T>, seed: number): T => fc.sample(arbitrary, { seed, numRuns: 1 })[0]!;
const captures = [path.join(repositoryRoot, 'fixtures'), path.join(sharedDirectory(), 'captures')]
  .filter((folder) => existsSync(folder))
  .flatMap((folder) => captureFiles(folder, 2 << 20));

/** Each decides all by its seed. */
const targets: Record<string, (seed: number) => unknown> = {
  naive: (seed) => compareTwins(seed, 300),
  streams: (seed) => survives(scenarioOf(drawn(drawnScenario, seed))),
  aborts: (seed) => endsOnAbort(drawn(drawnAbort, seed)),
  lifting: (seed) => liftsAndReturns(scenarioOf(drawn(drawnScenario, seed)), seed % 2 === 0 ? 0 : 0.2),
  octets: (seed) => damagedConversation(seed, 300),
  captures: async (seed) => {
    const random = new Random(seed);
    if (captures.length > 0) await replayMutated(random.pick(captures), random, 400);
  },
};

const names = values.only === undefined ? Object.keys(targets) : values.only.split(',');
const first = values.seed === undefined ? Math.floor(Math.random() * 2 ** 30) : Number(values.seed);
const until = performance.now() + Number(values.seconds) * 1000;
const runs = values.runs === undefined ? Infinity : Number(values.runs);
const counts: Record<string, number> = {};
let failures = 0;
let at = '';
// A promise that nothing settles any more ends the process without a word.
process.once('exit', () => {
  if (at !== '') console.log(`fuzz: stopped inside ${at}`);
});

console.log(`fuzz: ${names.join(', ')}; from seed ${first}`);
for (let n = 0; n < runs && (performance.now() < until || n === 0); n++) {
  for (const name of names) {
    const target = targets[name];
    if (target === undefined) throw new Error(`no target ${name}; there are ${Object.keys(targets).join(', ')}`);
    const seed = (first + n) | 0;
    at = `--only ${name} --seed ${seed}`;
    try {
      await target(seed);
      counts[name] = (counts[name] ?? 0) + 1;
    } catch (error) {
      failures++;
      const what = error instanceof Error ? error.message : String(error);
      console.log(`FAIL ${name}: --only ${name} --seed ${seed} --runs 1\n${what.slice(0, 6000)}\n`);
      if (failures >= 10) process.exit(1);
    }
  }
}
at = '';
console.log(`fuzz: ${JSON.stringify(counts)}, ${failures} failures`);
process.exitCode = failures > 0 ? 1 : 0;
