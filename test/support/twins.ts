/** The fast translator and the naive one, side by side over the same traffic. */
import assert from 'node:assert/strict';
import * as F from '../../src/flow/flow-table.js';
import { TIMEOUT_PROFILES } from '../../src/translate/options.js';
import { type Emitted, Gateway } from './gateway.js';
import { LONG_SILENCE_MS, NaiveTranslator, type Tuple } from './naive-translator.js';
import { Random } from './random.js';
import { describeStep, type Step, Traffic, trafficTopology } from './traffic.js';

/**
 * Runs traffic through both.
 * @param steps how many
 * @throws AssertionError that tells the packets up to the first difference
 */
export function compareTwins(seed: number, steps: number): void {
  const random = new Random(seed);
  const options = {
    midstream: random.pick(['drop', 'translate'] as const),
    fastOpen: random.pick(['strip', 'carry'] as const),
    providerMtu: random.pick([1500, 200]),
    maxFlows: random.pick([64, 64, 4]),
    headerTimer: false,
    seed: random.int(0, 0xffff),
  };
  const topology = trafficTopology();
  const fast = new Gateway(topology, options);
  const { portHoldMs, fragmentMs } = TIMEOUT_PROFILES.azure;
  const choose = (t: Tuple) => {
    const { flows } = fast.translator;
    const scope = (t.network << 8) | t.protocol;
    const f = flows.find(t.consumer | 0, t.endpoint | 0, (t.consumerPort << 16) | t.endpointPort, scope);
    if (f < 0 || !flows.forward) return undefined;
    const column = (c: number): number => flows.records[f * F.STRIDE + c]! >>> 0;
    return { nat: column(F.NAT_ADDRESS), port: column(F.PROVIDER_PORTS) >>> 16, backend: column(F.BACKEND) };
  };
  const naive = new NaiveTranslator(topology, { ...options, portHoldMs, fragmentMs }, choose);
  const traffic = new Traffic(random);
  const story: string[] = [];
  let now = 0;
  try {
    for (let n = 0; n < steps; n++) {
      const step = traffic.next();
      story.push(describeStep(step));
      if (step.kind === 'pause') {
        const ms = step.long ? LONG_SILENCE_MS : step.ms;
        now += ms;
        assert.deepEqual(sorted(fast.advance(now)), sorted(naive.pause(ms)), 'what timers send');
      } else {
        traffic.learn(both(fast, naive, step));
      }
    }
    assert.deepEqual(new Map(Object.entries(fast.translator.drops.toJSON()).sort()), new Map([...naive.drops].sort()));
  } catch (error) {
    const told = story.slice(-40).join('\n');
    const what = error instanceof Error ? error.message : String(error);
    throw new Error(`${what}\nseed ${seed}, step ${story.length}, ${JSON.stringify(options)}\n${told}`, {
      cause: error,
    });
  }
}

const sorted = (out: readonly Emitted[]): string[] => out.map(text).sort();

const text = (e: Emitted): string =>
  `${e.side}${e.side === 'consumer' ? ` ${e.network}` : ''} ${e.octets.toString('hex')}${e.missing > 0 ? ` (${e.missing} missing)` : ''}`;

function both(fast: Gateway, naive: NaiveTranslator, step: Extract<Step, { kind: 'packet' }>): readonly Emitted[] {
  const { octets, seen, from } = step;
  const a = from === 'consumer' ? fast.fromConsumer(octets, seen) : fast.fromProvider(octets, seen);
  const b = from === 'consumer' ? naive.fromConsumer(octets, seen) : naive.fromProvider(octets, seen);
  assert.equal(a.verdict, b.verdict, `verdict: fast ${a.verdict}, naive ${b.verdict}`);
  const [fastOut, naiveOut] = [a.out.map(text), b.out.map(text)];
  assert.deepEqual(fastOut, naiveOut, `fast:\n${fastOut.join('\n')}\nnaive:\n${naiveOut.join('\n')}`);
  return a.out;
}
