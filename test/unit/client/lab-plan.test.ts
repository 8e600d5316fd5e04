import assert from 'node:assert/strict';
import { stringify } from 'yaml';
import { planLab } from '../../../src/client/lab-plan.js';
import { labOf as runningLab, defaultBase } from '../../../src/control/lab.js';
import { featureDocument } from '../../../src/service/arm/manage.js';
import { runSteps } from '../../../src/service/arm/steps.js';
import { labOf } from '../../../src/service/arm/to-lab.js';
import { allOf, documentOf } from '../../../src/service/arm/documents.js';
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

  it('keeps a security group that networks of other subscriptions name where it is', () => {
    const of = (subscription: string, path: string): string =>
      `/subscriptions/${subscription}/resourceGroups/culvert/providers/Microsoft.Network/${path}`;
    const group = of('s', 'networkSecurityGroups/guard');
    const guarded = {
      addressSpace: { addressPrefixes: ['10.0.0.0/24'] },
      subnets: [{ name: 'd', properties: { addressPrefix: '10.0.0.0/24', networkSecurityGroup: { id: group } } }],
    };
    for (const subscriptions of [['other'], ['s', 'other'], ['s']]) {
      const held = new Held();
      held.put(group, { securityRules: [] });
      for (const each of subscriptions) held.put(of(each, 'virtualNetworks/net'), guarded);
      const { copy, steps } = exported(held.documents);
      assert.deepEqual(steps, []);
      assert.deepEqual(
        allOf(copy, 'networkSecurityGroups').map(({ id }) => id),
        [group],
      );
    }
  });

  it('and a restart keep the interface of each network, in whatever order they came, and others go', () => {
    const held = new Held();
    const path = (group: string): string =>
      `/subscriptions/s/resourceGroups/${group}/providers/Microsoft.Network/virtualNetworks/prov`;
    const tags = (group: string): object => ({ tags: { 'culvert-namespace': `ns-${group}` } });
    for (const group of ['m', 'zzz', 'aaa']) {
      // What a client reads of one network and sends for another says nothing.
      held.put(path(group), { ...network('10.0.0.0/24'), device: 'cv-prov-2' }, tags(group));
    }
    const device = ['cv-prov', 'cv-prov-2', 'cv-prov-3'];
    const expected = ['m', 'zzz', 'aaa'].map((group, index) => `${path(group).toLowerCase()} ${device[index]!}`);
    const byKey = (documents: Documents): Documents => new Map([...documents].toSorted(([a], [b]) => (a < b ? -1 : 1)));
    for (const documents of [held.documents, byKey(held.documents)]) {
      assert.deepEqual(devicesOf(documents), expected.toSorted());
      const { copy, steps } = exported(documents);
      assert.deepEqual(steps, []);
      assert.deepEqual(devicesOf(copy), expected.toSorted());
    }
    held.put(path('aaa'), network('10.0.0.0/25'), tags('aaa'));
    held.delete(path('zzz'));
    assert.deepEqual(devicesOf(held.documents), [expected[2], expected[0]]);
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

  const nicsOf = (documents: Documents): object[] =>
    allOf(documents, 'networkInterfaces').map(({ id, properties }) => ({
      id,
      parts: properties.ipConfigurations.map(({ name, properties: p }) => ({
        name,
        subnet: p.subnet.id,
        address: p.privateIPAddress,
        primary: p.primary,
        pools: (p.loadBalancerBackendAddressPools ?? []).map((pool) => pool.id),
      })),
    }));

  it('keeps network interfaces: in no pool, in several, with two ipConfigurations, and in another subscription', () => {
    const held = withPools();
    held.put('networkInterfaces/alone', { ipConfigurations: [part('a')] });
    held.put('networkInterfaces/both', {
      ipConfigurations: [part('a', ['pool', 'spare'], { primary: false }), part('b', ['pool'], { primary: true })],
    });
    const other = '/subscriptions/other/resourceGroups/culvert/providers/Microsoft.Network/networkInterfaces/far';
    held.put(other, { ipConfigurations: [part('a', ['spare'])] });
    const { left, copy, steps } = exported(held.documents);
    assert.deepEqual(left, []);
    assert.deepEqual(steps, []);
    assert.deepEqual(nicsOf(copy), nicsOf(held.documents));
    assert.equal(allOf(copy, 'networkInterfaces').length, 3);
  });

  it('writes an address for a backend that is nothing but one', () => {
    const held = withPools();
    held.put('networkInterfaces/net-10-0-1-9', { ipConfigurations: [at('10.0.1.9', 'ipconfig', ['pool'])] });
    held.put('networkInterfaces/net-10-0-1-8', { ipConfigurations: [at('10.0.1.7', 'ipconfig', ['pool'])] });
    held.put('networkInterfaces/net-10-0-1-6', { ipConfigurations: [at('10.0.1.6', 'other', ['pool'])] });
    const { lab } = labOf(held.documents);
    assert.deepEqual((lab['loadBalancers'] as Record<string, Record<string, unknown>>)['lb']?.['backendPools'], {
      pool: ['net-10-0-1-6/other', 'net-10-0-1-8/ipconfig', '10.0.1.9'],
      spare: [],
    });
    assert.deepEqual(new Set(nicsOf(exported(held.documents).copy)), new Set(nicsOf(held.documents)));
  });
});

const part = (name: string, pools: readonly string[] = [], more: object = {}): object => ({
  name,
  properties: {
    subnet: subnet('nat'),
    ...(pools.length === 0
      ? {}
      : {
          loadBalancerBackendAddressPools: pools.map((pool) => ({
            id: `${G}/loadBalancers/lb/backendAddressPools/${pool}`,
          })),
        }),
    ...more,
  },
});

const at = (privateIPAddress: string, name: string, pools: readonly string[] = []): object =>
  part(name, pools, { privateIPAddress });

/** A network and a load balancer with two pools. */
function withPools(): Held {
  const held = withNetwork();
  held.put('loadBalancers/lb', {
    frontendIPConfigurations: [{ name: 'f', properties: { subnet: subnet('a'), privateIPAddress: '10.0.0.4' } }],
    backendAddressPools: [{ name: 'pool' }, { name: 'spare' }],
  });
  return held;
}

describe('a state of an older version', () => {
  it('may have rules with application security groups: they match nothing, are warned of, and named by export', () => {
    const held = withNetwork();
    const rule = (name: string, priority: number): object => ({
      name,
      properties: { priority, direction: 'Inbound', access: 'Allow', protocol: 'Tcp', destinationPortRange: '80' },
    });
    const path = 'networkSecurityGroups/asg';
    const group = held.put(path, { securityRules: [rule('from-asg', 100), rule('plain', 110)] });
    const rules = group.properties['securityRules'] as { properties: object }[];
    Object.assign(rules[0]!.properties, {
      sourceApplicationSecurityGroups: [{ id: `${G}/applicationSecurityGroups/a` }],
    });
    const { model, warnings } = judge(held.documents, { put: [], remove: [] });
    const [read] = model.networkSecurityGroups.values();
    assert.deepEqual(
      read!.securityRules.map(({ name }) => name),
      ['plain'],
    );
    const target = `${G}/networkSecurityGroups/asg/securityRules/from-asg`;
    assert.deepEqual(
      warnings.map((each) => [each.code, each.target]),
      [['ApplicationSecurityGroupsNotSupported', target]],
    );
    const { left, copy, steps } = exported(held.documents);
    assert.deepEqual([left, steps], [[target], []]);
    const [written] = allOf(copy, 'networkSecurityGroups');
    assert.deepEqual(
      written!.properties.securityRules!.map(({ name }) => name),
      ['plain'],
    );
  });

  it('may have subscriptions in the lists of a service that are no names: export leaves them out and names them', () => {
    const held = withPools();
    const service = held.put('privateLinkServices/odd', {
      loadBalancerFrontendIpConfigurations: [{ id: `${G}/loadBalancers/lb/frontendIPConfigurations/f` }],
      ipConfigurations: [{ name: 'nat', properties: { subnet: subnet('nat') } }],
      visibility: { subscriptions: ['s', 'other'] },
    });
    const odd = { subscriptions: ['not a sub!', 'other'] };
    Object.assign(service.properties, { visibility: odd, autoApproval: odd, roleAssignments: ['-x'] });
    const { left, copy, steps } = exported(held.documents);
    const id = `${G}/privateLinkServices/odd`;
    assert.deepEqual(left, [
      `${id}/visibility/"not a sub!"`,
      `${id}/autoApproval/"not a sub!"`,
      `${id}/roleAssignments/"-x"`,
    ]);
    assert.deepEqual(steps, []);
    const [copied] = allOf(copy, 'privateLinkServices');
    assert.deepEqual(copied!.properties.visibility, { subscriptions: ['other'] });
    assert.deepEqual(copied!.properties.autoApproval, { subscriptions: ['other'] });
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

  /** The state after applying a lab to it. */
  function after(state: Documents, lab: object, prune = false): Documents {
    const steps = planLab(parseLab(stringify(lab), 'lab.yaml'), new Map(), state, prune).steps;
    return judge(state, runSteps(steps, state, new Sequence()).change).documents;
  }

  describe('with an endpoint outside of a visibility that shrank', () => {
    const service = 'privateLinkServices/web';
    const endpoint = '/subscriptions/other/resourceGroups/g/providers/Microsoft.Network/privateEndpoints/late';
    const nat = (name: string, address: string, primary: boolean): object => ({
      name,
      properties: { subnet: subnet('nat'), privateIPAddress: address, primary },
    });

    /** The endpoint is gone again, the lab still has it. @param more of the service, beside what it must have */
    function withoutEndpoint(more: object = {}): { held: Held; lab: Record<string, unknown> } {
      const held = withPools();
      const shown = (subscriptions: readonly string[]): object => ({
        loadBalancerFrontendIpConfigurations: [{ id: `${G}/loadBalancers/lb/frontendIPConfigurations/f` }],
        // Not in the order of a lab file, in which the primary one is first.
        ipConfigurations: [nat('second', '10.0.1.5', false), nat('first', '10.0.1.4', true)],
        visibility: { subscriptions },
        ...more,
      });
      held.put(service, shown(['other']));
      const network = endpoint.replace('privateEndpoints/late', 'virtualNetworks/far');
      const subnets = [{ name: 'd', properties: { addressPrefix: '10.9.0.0/24' } }];
      held.put(network, { addressSpace: { addressPrefixes: ['10.9.0.0/16'] }, subnets });
      held.put(endpoint, {
        subnet: { id: `${network}/subnets/d` },
        manualPrivateLinkServiceConnections: [
          { name: 'late', properties: { privateLinkServiceId: `${G}/${service}` } },
        ],
      });
      held.put(service, shown(['third']));
      const { lab } = labOf(held.documents);
      assert.match(stringify(lab), /outsideVisibility: true/);
      held.delete(endpoint);
      return { held, lab };
    }

    for (const [what, more] of [
      ['role assignments', { roleAssignments: ['fourth'] }],
      ['no role assignments', {}],
    ] as const) {
      it(`brings back the endpoint and leaves its service as it was, with ${what}`, () => {
        const { held, lab } = withoutEndpoint(more);
        const before = held.get(service);
        const state = after(held.documents, lab);
        assert.ok(state.has(endpoint.toLowerCase()));
        assert.deepEqual(state.get(`${G}/${service}`.toLowerCase()), before);
      });
    }

    it('changes the service as the file has it, and lets nobody else ask', () => {
      const { held, lab } = withoutEndpoint();
      const services = lab['privateLinkServices'] as Record<string, object>;
      const changed = { ...lab, privateLinkServices: { web: { ...services['web'], visibility: ['s'] } } };
      const state = after(held.documents, changed);
      assert.ok(state.has(endpoint.toLowerCase()));
      const { properties } = documentOf(state, `${G}/${service}`, 'privateLinkServices')!;
      assert.deepEqual([properties.visibility?.subscriptions, properties.roleAssignments], [['s'], []]);
    });

    it('makes the service too where it is gone', () => {
      const { held, lab } = withoutEndpoint();
      held.delete(service);
      const state = after(held.documents, lab);
      assert.ok(state.has(endpoint.toLowerCase()));
      const { properties } = documentOf(state, `${G}/${service}`, 'privateLinkServices')!;
      assert.deepEqual([properties.visibility?.subscriptions, properties.roleAssignments], [['third'], []]);
    });
  });

  it('leaves a request waiting that was there before auto-approval would have granted it', () => {
    const held = withPools();
    const web = (autoApproval: readonly string[]): void => {
      held.put('privateLinkServices/web', {
        loadBalancerFrontendIpConfigurations: [{ id: `${G}/loadBalancers/lb/frontendIPConfigurations/f` }],
        ipConfigurations: [{ name: 'nat', properties: { subnet: subnet('nat'), primary: true } }],
        visibility: { subscriptions: ['*'] },
        autoApproval: { subscriptions: autoApproval },
      });
    };
    const endpoint = (name: string): void => {
      const wish = { name: 'c', properties: { privateLinkServiceId: `${G}/privateLinkServices/web` } };
      held.put(`privateEndpoints/${name}`, { subnet: subnet(), privateLinkServiceConnections: [wish] });
    };
    const statuses = (documents: Documents): unknown =>
      allOf(documents, 'privateLinkServices/privateEndpointConnections')
        .map(({ properties: p }) => `${String(p.privateEndpoint?.id)} ${p.privateLinkServiceConnectionState!.status!}`)
        .toSorted();
    web([]);
    endpoint('waits');
    web(['*']);
    endpoint('granted');
    assert.match(String(statuses(held.documents)), /granted Approved,.*waits Pending$/);
    const { lab } = labOf(held.documents);
    const fresh = after(new Map(), lab);
    assert.deepEqual(statuses(fresh), statuses(held.documents));
    const service = documentOf(fresh, `${G}/privateLinkServices/web`, 'privateLinkServices')!;
    assert.deepEqual(service.properties.autoApproval, { subscriptions: ['*'] });
  });

  interface NicLab {
    networkInterfaces: Record<string, { ipConfigurations: Record<string, unknown>[] }>;
    loadBalancers: { lb: { backendPools: Record<string, string[]> } };
  }

  function withInterface(): { held: Held; lab: NicLab } {
    const held = withPools();
    const tags = { mine: 'yes' };
    const one = part('one', ['pool'], { privateIPAddress: '10.0.1.9' });
    held.put('networkInterfaces/nic', { enableIPForwarding: true, ipConfigurations: [one] }, { tags });
    return { held, lab: labOf(held.documents).lab as unknown as NicLab };
  }

  it('changes an interface as the file has it, and keeps of it what the file cannot say', () => {
    const { held } = withInterface();
    held.put(
      'networkInterfaces/nic',
      {
        enableIPForwarding: true,
        ipConfigurations: [part('one', ['pool']), part('kept')], // Dynamic, both
      },
      { tags: { mine: 'yes' } },
    );
    const lab = labOf(held.documents).lab as unknown as NicLab;
    const nic = lab.networkInterfaces['nic']!;
    nic.ipConfigurations[0]!['address'] = '10.0.1.10';
    nic.ipConfigurations.push({ name: 'two', subnet: 'net/nat', address: '10.0.1.9', primary: true });
    lab.loadBalancers.lb.backendPools = { pool: ['nic/two'], spare: ['nic/one', '10.0.1.20'] };
    const state = after(held.documents, lab);
    const { tags, properties } = documentOf(state, `${G}/networkInterfaces/nic`, 'networkInterfaces')!;
    assert.deepEqual(tags, { mine: 'yes' });
    assert.equal((properties as Record<string, unknown>)['enableIPForwarding'], true);
    const found = properties.ipConfigurations.map(({ name, properties: p }) => [
      name,
      p.privateIPAddress,
      p.privateIPAllocationMethod,
      p.primary,
      p.loadBalancerBackendAddressPools?.map(({ id }) => id.split('/').at(-1)),
    ]);
    assert.deepEqual(found, [
      ['one', '10.0.1.10', 'Static', false, ['spare']],
      ['kept', '10.0.1.4', 'Dynamic', false, undefined],
      ['two', '10.0.1.9', 'Static', true, ['pool']],
    ]);
    assert.ok(state.has(`${G}/networkInterfaces/net-10-0-1-20`.toLowerCase()));
    const { steps } = planLab(parseLab(stringify(lab), 'lab.yaml'), new Map(), state, true);
    assert.deepEqual(steps, []);
  });

  it('takes an interface out of all pools, and deletes it only where the file has it no more', () => {
    const { held, lab } = withInterface();
    lab.loadBalancers.lb.backendPools = { pool: [], spare: [] };
    const state = after(held.documents, lab, true);
    const { properties } = documentOf(state, `${G}/networkInterfaces/nic`, 'networkInterfaces')!;
    assert.deepEqual(properties.ipConfigurations[0]?.properties.loadBalancerBackendAddressPools, []);
    const pruned = after(state, { ...lab, networkInterfaces: {} }, true);
    assert.deepEqual(allOf(pruned, 'networkInterfaces'), []);
  });

  it('takes an interface out of the pools of a load balancer that goes, where it prunes', () => {
    const { held, lab } = withInterface();
    for (const kept of [lab, { ...lab, networkInterfaces: {}, loadBalancers: { lb: { ...lab.loadBalancers.lb } } }]) {
      const only = { ...kept, loadBalancers: {} };
      const state = after(held.documents, only, true);
      assert.deepEqual(allOf(state, 'loadBalancers'), []);
      const pools = allOf(state, 'networkInterfaces').map(
        ({ properties: p }) => p.ipConfigurations[0]?.properties.loadBalancerBackendAddressPools,
      );
      assert.deepEqual(pools, kept === lab ? [[]] : []);
      assert.equal(allOf(after(held.documents, only), 'loadBalancers').length, 1);
    }
  });

  it('lets an interface that is there serve for a plain address, also where another one is declared beside it', () => {
    const { held, lab } = withInterface();
    const other = { ipConfigurations: [{ name: 'c', subnet: 'net/nat', address: '10.0.1.30' }] };
    const pools = { pool: ['10.0.1.9'], spare: ['other/c'] };
    const changed = {
      ...lab,
      networkInterfaces: { other },
      loadBalancers: { lb: { ...lab.loadBalancers.lb, backendPools: pools } },
    };
    const names = allOf(after(held.documents, changed, true), 'networkInterfaces').map(({ name }) => name);
    assert.deepEqual(names.toSorted(), ['nic', 'other']);
  });

  it('puts a declared interface in the place of an undeclared one when it prunes', () => {
    const { held, lab } = withInterface();
    const { nic } = lab.networkInterfaces;
    const changed = { ...lab, networkInterfaces: { better: { ...nic, id: `${G}/networkInterfaces/better` } } };
    changed.loadBalancers.lb.backendPools = { pool: ['better/one'], spare: [] };
    assert.throws(() => after(held.documents, changed), { code: 'PrivateIPAddressInUse' });
    const nics = allOf(after(held.documents, changed, true), 'networkInterfaces');
    assert.deepEqual(
      nics.map(({ name }) => name),
      ['better'],
    );
  });

  it('gives a plain backend an id of its own where a declared interface has the usual one', () => {
    const { held, lab } = withInterface();
    const { nic } = lab.networkInterfaces;
    const id = `${G}/networkInterfaces/net-10-0-1-40`;
    const changed = { ...lab, networkInterfaces: { odd: { ...nic, id } } };
    changed.loadBalancers.lb.backendPools = { pool: ['10.0.1.40'], spare: ['odd/one'] };
    const nics = allOf(after(held.documents, changed, true), 'networkInterfaces').map(({ name, properties }) => [
      name,
      properties.ipConfigurations[0]?.properties.privateIPAddress,
    ]);
    assert.deepEqual(nics.toSorted(), [
      ['net-10-0-1-40', '10.0.1.9'],
      ['net-10-0-1-40-2', '10.0.1.40'],
    ]);
  });
});
