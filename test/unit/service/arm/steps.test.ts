import assert from 'node:assert/strict';
import { judge } from '../../../../src/service/arm/judge.js';
import { runSteps } from '../../../../src/service/arm/steps.js';
import type { Step } from '../../../../src/service/arm/steps.js';
import { G, Sequence, subnet, withNetwork } from './sequence.js';

const nic = (name: string, privateIPAddress?: string): Step => ({
  op: 'put',
  id: `${G}/networkInterfaces/${name}`,
  body: {
    location: 'west',
    properties: { ipConfigurations: [{ name: 'ip', properties: { subnet: subnet('nat'), privateIPAddress } }] },
  },
});
const remove = (name: string): Step => ({ op: 'delete', id: `${G}/networkInterfaces/${name}` });

describe('service: several changes as one', () => {
  it('give out and take back addresses from step to step', () => {
    const { documents } = withNetwork();
    const steps = [nic('a'), nic('b'), remove('a'), nic('c'), nic('b', '10.0.1.9'), nic('d'), nic('e')];
    const { change } = runSteps(steps, documents, new Sequence());
    judge(documents, change);
    const addresses = change.put.map(({ name, properties }) => {
      const [configuration] = properties['ipConfigurations'] as { properties: { privateIPAddress: string } }[];
      return [name, configuration!.properties.privateIPAddress];
    });
    assert.deepEqual(Object.fromEntries(addresses), {
      b: '10.0.1.9',
      c: '10.0.1.4',
      d: '10.0.1.5',
      e: '10.0.1.6',
    });
    assert.throws(() => runSteps([nic('a'), nic('b', '10.0.1.4')], documents, new Sequence()), {
      code: 'PrivateIPAddressInUse',
    });
  });

  it('look at all documents for their addresses once, not at each step', () => {
    const held = withNetwork();
    let reads = 0;
    const documents = new Map(
      [...held.documents].map(([key, document]) => [
        key,
        Object.defineProperty({ ...document }, 'tags', { enumerable: true, get: () => (reads++, undefined) }),
      ]),
    );
    const steps = Array.from({ length: 60 }, (_, i) => nic(String(i)));
    assert.equal(runSteps(steps, documents, new Sequence()).effects.length, steps.length);
    assert.ok(reads > 0 && reads <= 2, String(reads));
  });
});
