import assert from 'node:assert/strict';
import { stringify } from 'yaml';
import { planLab } from '../../../src/client/lab-plan.js';
import { labOf as runningLab, defaultBase } from '../../../src/control/lab.js';
import { featureDocument } from '../../../src/service/arm/manage.js';
import { labOf } from '../../../src/service/arm/to-lab.js';
import type { Documents } from '../../../src/service/arm/documents.js';
import { parseLab } from '../../../src/config/index.js';
import { documentsOf } from '../../../src/service/arm/from-model.js';
import { judge } from '../../../src/service/arm/judge.js';
import { G, Held, Sequence, subnet, withNetwork } from '../service/arm/sequence.js';

/** The same as a server has that is started with the exported file; and what apply of that file would do to this one. */
function exported(state: Documents): { left: readonly string[]; copy: Documents; steps: readonly unknown[] } {
  const { lab, left } = labOf(state);
  const loaded = parseLab(stringify(lab), 'lab.yaml');
  const put = documentsOf(loaded.model, loaded.gateway.networks, new Sequence());
  const copy = judge(new Map(), { put, remove: [] }).documents;
  return { left, copy, steps: planLab(loaded, new Map(), state, true).steps };
}

/** The interfaces of networks, by their ids. */
const devicesOf = (documents: Documents): unknown =>
  [...runningLab(judge(documents, { put: [], remove: [] }), defaultBase()).gateway.networks.entries()]
    .map(([id, { device }]) => `${id} ${device}`)
    .toSorted();

describe('culvert export', () => {
  const network = (addressPrefix: string): object => ({
    addressSpace: { addressPrefixes: [addressPrefix] },
    subnets: [{ name: 'd', properties: { addressPrefix } }],
  });

  it('keeps the interfaces of networks with one name, and of those in capitals', () => {
    const held = new Held();
    for (const group of ['g', 'other', 'Third']) {
      const path = `/subscriptions/s/resourceGroups/${group}/providers/Microsoft.Network/virtualNetworks/Net`;
      held.put(path, network('10.0.0.0/24'), { tags: { 'culvert-namespace': `ns-${group}` } });
    }
    const { copy, steps } = exported(held.documents);
    assert.deepEqual(steps, []);
    assert.deepEqual(devicesOf(copy), devicesOf(held.documents));
  });

  it('leaves to apply nothing to do where a subscription is spelled otherwise', () => {
    const held = withNetwork();
    held.put('loadBalancers/lb', {
      frontendIPConfigurations: [{ name: 'f', properties: { subnet: subnet('a'), privateIPAddress: '10.0.0.4' } }],
    });
    held.put('privateLinkServices/web', {
      loadBalancerFrontendIpConfigurations: [{ id: `${G}/loadBalancers/lb/frontendIPConfigurations/f` }],
      ipConfigurations: [{ name: 'nat', properties: { subnet: subnet('nat') } }],
      visibility: { subscriptions: ['S', 'Other'] },
      autoApproval: { subscriptions: ['oTHER'] },
    });
    const { steps, left } = exported(held.documents);
    assert.deepEqual(steps, []);
    assert.deepEqual(left, []);
  });

  it('names the interfaces that it leaves out', () => {
    const held = withNetwork();
    held.put('loadBalancers/lb', {
      frontendIPConfigurations: [{ name: 'f', properties: { subnet: subnet('a'), privateIPAddress: '10.0.0.4' } }],
      backendAddressPools: [{ name: 'pool' }],
    });
    const pools = [{ id: `${G}/loadBalancers/lb/backendAddressPools/pool` }];
    const part = (name: string, more: object): object => ({ name, properties: { subnet: subnet('nat'), ...more } });
    held.put('networkInterfaces/alone', { ipConfigurations: [part('a', {})] });
    const both = [part('a', { loadBalancerBackendAddressPools: pools }), part('b', { primary: false })];
    held.put('networkInterfaces/both', { ipConfigurations: both });
    assert.deepEqual(exported(held.documents).left, [
      `${G}/networkInterfaces/alone`,
      `${G}/networkInterfaces/both/ipConfigurations/b`,
    ]);
  });
});

describe('the management interface', () => {
  it('may know of subscriptions that no lab file can name, with nothing in them', () => {
    const feature = '/subscriptions/-s/providers/Microsoft.Features/providers/Microsoft.Network/features/F';
    const document = featureDocument(feature, 'Registered', new Sequence());
    const held = withNetwork();
    const { lab } = labOf(new Map([...held.documents, [feature.toLowerCase(), document]]));
    assert.deepEqual(Object.keys(lab['subscriptions'] as object), ['s']);
  });

  it('refuses subscriptions that no lab file can name', () => {
    const held = withNetwork();
    for (const list of ['visibility', 'autoApproval']) {
      for (const name of ['not a sub!', ' ', '', '-a', '__proto__']) {
        assert.throws(() => held.put('privateLinkServices/web', { [list]: { subscriptions: [name] } }), {
          code: 'InvalidRequestFormat',
          message: /is no name for a subscription: use 1 to 80 letters/,
        });
      }
    }
    const path = '/subscriptions/-s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/net';
    const addressSpace = { addressPrefixes: ['10.0.0.0/16'] };
    assert.throws(() => held.put(path, { addressSpace }), { code: 'InvalidResourceName' });
  });
});

describe('culvert apply of a lab file', () => {
  it('has nothing to do with its own resources, whatever their parts are called', () => {
    const names = ['toString', 'valueOf', 'constructor'];
    const subnets = Object.fromEntries(names.map((name, i) => [name, `10.0.${String(i)}.0/24`]));
    const text = stringify({ virtualNetworks: { v: { subscription: 's', addressSpace: ['10.0.0.0/16'], subnets } } });
    const lab = parseLab(text, 'lab.yaml');
    const put = documentsOf(lab.model, lab.gateway.networks, new Sequence());
    const state = judge(new Map(), { put, remove: [] }).documents;
    assert.deepEqual(planLab(lab, new Map(), state, true).steps, []);
  });
});
