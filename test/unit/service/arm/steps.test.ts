import assert from 'node:assert/strict';
import fc from 'fast-check';
import { allOf, applied, connectionOf, connectionType, connectionWith } from '../../../../src/service/arm/documents.js';
import type { ArmDocument, Documents } from '../../../../src/service/arm/documents.js';
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

  it('let resources take over addresses from one another, in whatever order', () => {
    const { documents } = withNetwork();
    const { change: first } = runSteps([nic('a', '10.0.1.7'), nic('b', '10.0.1.8')], documents, new Sequence());
    const state = judge(documents, first).documents;
    const moved = (...steps: Step[]): string[] => {
      const after = judge(state, runSteps(steps, state, new Sequence()).change).documents;
      return allOf(after, 'networkInterfaces').map(
        ({ name, properties: p }) => `${name} ${p.ipConfigurations[0]!.properties.privateIPAddress!}`,
      );
    };
    assert.deepEqual(moved(nic('a', '10.0.1.8'), nic('b', '10.0.1.7')), ['a 10.0.1.8', 'b 10.0.1.7']);
    assert.deepEqual(moved(nic('a', '10.0.1.8'), nic('b', '10.0.1.9')), ['a 10.0.1.8', 'b 10.0.1.9']);
    // Whoever asks for none does not get what another one still has.
    assert.deepEqual(moved(nic('b', '10.0.1.4'), nic('c'), nic('b', '10.0.1.9')), [
      'a 10.0.1.7',
      'b 10.0.1.9',
      'c 10.0.1.5',
    ]);
    assert.deepEqual(moved(nic('c'), nic('d'), nic('e'), nic('f'), nic('a', '10.0.1.20')).at(-1), 'f 10.0.1.9');
    for (const steps of [
      [nic('a', '10.0.1.8')],
      [nic('a', '10.0.1.8'), nic('b', '10.0.1.8')],
      [nic('a', '10.0.1.8'), nic('b')], // b keeps what it has
      [nic('b', '10.0.1.9'), nic('a', '10.0.1.9')],
    ]) {
      assert.throws(() => moved(...steps), { code: 'PrivateIPAddressInUse' });
    }
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

  /** A service with endpoints, `pe0` and so on. */
  function withEndpoints(count: number): Documents {
    const held = withNetwork();
    held.put('loadBalancers/lb', { frontendIPConfigurations: [{ name: 'f', properties: { subnet: subnet() } }] });
    held.put('privateLinkServices/web', {
      loadBalancerFrontendIpConfigurations: [{ id: `${G}/loadBalancers/lb/frontendIPConfigurations/f` }],
      ipConfigurations: [{ name: 'n', properties: { subnet: subnet('nat') } }],
    });
    const steps = Array.from({ length: count }, (_, i) => endpoint(i));
    return judge(held.documents, runSteps(steps, held.documents, held.draw).change).documents;
  }

  const endpointId = (i: number): string => `${G}/privateEndpoints/pe${String(i)}`;
  const endpoint = (i: number, linkIdentifier?: string): Step => ({
    op: 'put',
    id: endpointId(i),
    body: {
      location: 'west',
      properties: {
        subnet: subnet('nat'),
        privateLinkServiceConnections: [
          { name: 'w', properties: { privateLinkServiceId: `${G}/privateLinkServices/web`, linkIdentifier } },
        ],
      },
    },
  });
  const decide = (i: number, status: 'Approved' | 'Rejected' | 'Disconnected'): Step => ({
    op: 'decide',
    endpoint: endpointId(i),
    status,
  });

  it('look at all connections once, not at each step', () => {
    let reads = 0;
    const documents = new Map(
      [...withEndpoints(50)].map(([key, document]): [string, ArmDocument] => {
        if (document.type !== connectionType) return [key, document];
        const { properties } = document;
        return [
          key,
          Object.defineProperty({ ...document }, 'properties', { enumerable: true, get: () => (reads++, properties) }),
        ];
      }),
    );
    const all = Array.from({ length: 50 }, (_, i) => i);
    const more = all.map((i) => endpoint(50 + i));
    const steps = [
      ...more,
      ...all.map((i) => decide(i, 'Rejected')),
      ...all.map((i): Step => ({ op: 'delete', id: endpointId(50 + i) })),
    ];
    runSteps(steps, documents, new Sequence());
    assert.ok(
      reads > 50 && reads <= 20 * 50,
      `${String(reads)} reads of 50 connections in ${String(steps.length)} steps`,
    );
  });

  it('know connections and LINKIDs as the step before left them', () => {
    const documents = withEndpoints(2);
    const steps: Step[] = [
      decide(0, 'Approved'),
      { op: 'delete', id: endpointId(0) },
      endpoint(0, '77'),
      decide(0, 'Rejected'),
      { op: 'delete', id: endpointId(1) },
      { op: 'delete', id: endpointId(0) },
      endpoint(1, '77'),
    ];
    const after = judge(documents, runSteps(steps, documents, new Sequence()).change).documents;
    assert.equal(connectionOf(after, endpointId(0)), undefined);
    assert.equal(connectionOf(after, endpointId(1).toUpperCase())?.properties.linkIdentifier, '77');
    assert.equal(connectionWith(after, '77')?.properties.privateEndpoint?.id, endpointId(1));
    assert.equal(connectionOf(documents, endpointId(0))?.properties.privateEndpoint?.id, endpointId(0), 'as before');
    assert.throws(() => runSteps([endpoint(5, '77')], after, new Sequence()), { code: 'LinkIdentifierInUse' });
    assert.throws(() => runSteps([decide(1, 'Disconnected'), decide(1, 'Approved')], after, new Sequence()), {
      code: 'ConnectionNotFound',
    });
  });

  it('give the addresses that the same changes one by one would give', () => {
    const hosts = (...addresses: string[]): Step => ({
      op: 'put',
      id: `${G}/virtualNetworks/net`,
      body: {
        location: 'west',
        tags: { 'culvert-hosts': addresses.join() },
        properties: withNetwork().get('virtualNetworks/net')!.properties,
      },
    });
    const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
    const address = fc.integer({ min: 4, max: 12 }).map((last) => `10.0.1.${String(last)}`);
    const step: fc.Arbitrary<Step> = fc.oneof(
      name.map((each) => nic(each)),
      fc.tuple(name, address).map(([each, at]) => nic(each, at)),
      name.map(remove),
      fc.array(address, { maxLength: 3 }).map((list) => hosts(...list)),
    );
    const addressesIn = (documents: Documents): unknown =>
      [...documents.values()]
        .flatMap(({ name: own, properties }) =>
          ((properties['ipConfigurations'] ?? []) as { properties: { privateIPAddress: string } }[]).map(
            (each) => `${own} ${each.properties.privateIPAddress}`,
          ),
        )
        .toSorted();
    const outcome = (act: () => Documents): unknown => {
      try {
        return addressesIn(act());
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const { documents } = withNetwork();
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const together = outcome(() => applied(documents, runSteps(steps, documents, new Sequence()).change));
        const apart = outcome(() =>
          steps.reduce<Documents>(
            (held, each) => applied(held, runSteps([each], held, new Sequence()).change),
            documents,
          ),
        );
        assert.deepEqual(together, apart);
      }),
      { numRuns: 300 },
    );
  });
});
