/** A recording replayed through `Recording`, with every service adopted, and some of its packets damaged. */
import { Adopter } from '../../src/replay/adopt.js';
import { Account } from './account.js';
import { address, Gateway } from './gateway.js';
import { mutated } from './mutations.js';
import type { Random } from './random.js';
import { recordedPackets } from './recorded-packets.js';

/**
 * @param most packets read from the file
 * @returns how many there were
 */
export async function replayMutated(file: string, random: Random, most: number): Promise<number> {
  const packets = await recordedPackets(file, most).catch(() => []);
  const gateway = new Gateway(
    { networks: ['net'], links: [] },
    { maxFlows: 64, midstream: random.pick(['drop', 'translate'] as const), fastOpen: 'carry', headerTimer: false },
  );
  const { core } = gateway.translator;
  const adopter = new Adopter(core.tables, {
    natAddresses: [address('198.18.0.1')],
    natPortFirst: 1024,
    natPortCount: 64_000,
    backendNet: { base: address('172.20.0.0'), prefix: 16 },
    linkId: null,
    proxy: { dialect: 'azure' },
    idleTimeoutMs: 300_000,
  });
  core.adopt = (network, at) => adopter.adopt(network, at);
  const account = new Account(gateway);
  for (const { octets, missing } of packets) {
    if (octets.length + missing > 100_000) continue;
    const broken = random.chance(0.5);
    const { verdict, out } = account.pass('record', broken ? mutated(random, octets) : octets, { missing });
    if (verdict !== 'lifted') continue;
    for (const e of out) {
      if (e.side === 'lifted') account.pass('fromProvider', e.octets, { missing: e.missing });
    }
  }
  account.balance();
  return packets.length;
}
