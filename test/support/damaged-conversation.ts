/** Traffic of which every other packet is damaged, into any of the translator's doors. */
import { Account, type Way } from './account.js';
import { Gateway } from './gateway.js';
import { mutated } from './mutations.js';
import { Random } from './random.js';
import { Traffic, trafficTopology } from './traffic.js';

export const WAYS: readonly Way[] = ['fromConsumer', 'fromProvider', 'record'];

/** @param steps how many packets and pauses */
export function damagedConversation(seed: number, steps: number): void {
  const random = new Random(seed);
  const midstream = random.pick(['drop', 'translate'] as const);
  const fastOpen = random.pick(['strip', 'carry'] as const);
  const account = new Account(new Gateway(trafficTopology(), { midstream, fastOpen, maxFlows: 8 }));
  const recorded = random.chance(0.3);
  const traffic = new Traffic(random);
  let now = 0;
  for (let n = 0; n < steps; n++) {
    const step = traffic.next();
    if (step.kind === 'pause') {
      now += step.long ? random.int(1, 400_000) : step.ms;
      account.advance(now);
      continue;
    }
    const ordinary = step.from === 'consumer' ? 'fromConsumer' : 'fromProvider';
    const way = recorded ? 'record' : random.chance(0.95) ? ordinary : random.pick(WAYS);
    const octets = random.chance(0.5) ? mutated(random, step.octets) : step.octets;
    traffic.learn(account.pass(way, octets, step.seen).out);
  }
  account.balance();
}
