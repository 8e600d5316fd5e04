/** Any octets get a verdict: nothing throws, what is sent is sound, and every packet is counted once. */
import assert from 'node:assert/strict';
import path from 'node:path';
import fc from 'fast-check';
import { Account } from '../support/account.js';
import { Gateway } from '../support/gateway.js';
import { damagedConversation, WAYS } from '../support/damaged-conversation.js';
import { Random } from '../support/random.js';
import { needsShared, repositoryRoot } from '../support/machine.js';
import { replayMutated } from '../support/replay-mutated.js';
import { captureFiles } from '../support/recorded-packets.js';
import { trafficTopology } from '../support/traffic.js';

describe('any octets', () => {
  it('that are nothing at all get a verdict', () => {
    const account = new Account(new Gateway(trafficTopology()));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.constantFrom(...WAYS), fc.boolean(), (octets, way, partial) => {
        account.pass(way, octets, { partial });
        account.balance();
      }),
      { numRuns: 3000, seed: 1 },
    );
  });

  it('that were packets of conversations get a verdict', () => {
    fc.assert(fc.property(fc.integer(), fc.integer({ min: 1, max: 150 }), damagedConversation), {
      numRuns: 250,
      seed: 1,
    });
  });

  it('that were recorded get a verdict, damaged or not', async () => {
    const files = captureFiles(path.join(repositoryRoot, 'fixtures'), 300_000);
    let packets = 0;
    for (const [i, file] of files.entries()) packets += await replayMutated(file, new Random(i), 150);
    assert(packets > 500, `only ${packets} packets were read`);
  });

  it('that others recorded get a verdict, damaged or not', async function () {
    const files = captureFiles(needsShared(this, 'captures'), 500_000);
    let packets = 0;
    for (const [i, file] of files.entries()) packets += await replayMutated(file, new Random(i), 100);
    assert(packets > 500, `only ${packets} packets were read`);
  });
});
