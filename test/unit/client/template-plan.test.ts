import assert from 'node:assert/strict';
import { planTemplate } from '../../../src/client/template-plan.js';
import type { ArmDocument } from '../../../src/service/arm/documents.js';
import { keyOf } from '../../../src/service/arm/resource-id.js';
import { runSteps } from '../../../src/service/arm/steps.js';
import { G, Sequence, withNetwork } from '../service/arm/sequence.js';

const [, , subscription = '', , resourceGroup = ''] = G.split('/');
const target = { subscription, resourceGroup, location: 'west' };

const network = (name: string, block: string): object => ({
  type: 'Microsoft.Network/virtualNetworks',
  name,
  properties: { addressSpace: { addressPrefixes: [block] } },
});
const subnet = (name: string, addressPrefix: string): object => ({
  type: 'Microsoft.Network/virtualNetworks/subnets',
  name,
  properties: { addressPrefix },
});

describe('culvert apply of an ARM template', () => {
  const { documents } = withNetwork();
  const [there] = [...documents.values()].filter(({ type }) => type === 'Microsoft.Network/virtualNetworks');
  const changedSince = (document: ArmDocument): Map<string, ArmDocument> =>
    new Map([...documents, [keyOf(document.id), { ...document, etag: 'another' }]]);

  it('ends where a resource was changed or made after the plan', () => {
    const { steps } = planTemplate({ resources: [network(there!.name, '10.0.0.0/16')] }, new Map(), target, documents);
    runSteps(steps, documents, new Sequence());
    assert.throws(() => runSteps(steps, changedSince(there!), new Sequence()), { code: 'PreconditionFailed' });

    const more = planTemplate({ resources: [network('more', '10.9.0.0/16')] }, new Map(), target, documents);
    const made = changedSince({ ...there!, id: `${G}/virtualNetworks/More`, name: 'More' });
    assert.throws(() => runSteps(more.steps, made, new Sequence()), { code: 'PreconditionFailed' });
  });

  it('ends where what a part is of was changed after the plan', () => {
    const resources = [subnet(`${there!.name}/one`, '10.0.8.0/24'), subnet(`${there!.name}/two`, '10.0.9.0/24')];
    const { steps } = planTemplate({ resources }, new Map(), target, documents);
    assert.equal(runSteps(steps, documents, new Sequence()).effects.length, 1);
    assert.throws(() => runSteps(steps, changedSince(there!), new Sequence()), { code: 'PreconditionFailed' });
  });
});
