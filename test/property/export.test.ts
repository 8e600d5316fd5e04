/** A lab, held as documents, comes back from `culvert export` as the same resources, whatever is in it. */
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { stringify } from 'yaml';
import { planLab } from '../../src/client/lab-plan.js';
import { parseLab } from '../../src/config/index.js';
import { allOf } from '../../src/service/arm/documents.js';
import type { Documents, Draw } from '../../src/service/arm/documents.js';
import { entriesOf } from '../../src/service/arm/entries.js';
import { documentsOf } from '../../src/service/arm/from-model.js';
import { judge } from '../../src/service/arm/judge.js';
import { isSystemInterface } from '../../src/service/arm/network-interface.js';
import { Refusal } from '../../src/service/arm/refusal.js';
import { runSteps } from '../../src/service/arm/steps.js';
import { labOf } from '../../src/service/arm/to-lab.js';

let drawn = 0;
const draw: Draw = {
  guid: () => `00000000-0000-4000-8000-${String(++drawn).padStart(12, '0')}`,
  uint32: () => ++drawn,
};

interface Choices {
  readonly consumers: readonly { readonly own: boolean; readonly status: string; readonly address: number }[];
  readonly services: readonly {
    readonly direct: boolean;
    readonly proxy: boolean;
    readonly open: boolean;
    /** Consumers see it; else they did when they asked. */
    readonly seen: boolean;
    readonly own: boolean;
    readonly idle: number;
    readonly nat: number;
  }[];
  readonly interfaces: readonly {
    readonly own: boolean;
    readonly primary: number;
    /** The pools of each ipConfiguration. */
    readonly pools: readonly (readonly string[])[];
  }[];
  readonly group: boolean;
  readonly namespace: boolean;
  readonly probe: string;
  readonly distribution: string;
}

const choices: fc.Arbitrary<Choices> = fc.record({
  consumers: fc.array(
    fc.record({
      own: fc.boolean(),
      status: fc.constantFrom('Pending', 'Approved', 'Rejected', 'Disconnected'),
      address: fc.integer({ min: 4, max: 250 }),
    }),
    { maxLength: 4 },
  ),
  services: fc.array(
    fc.record({
      direct: fc.boolean(),
      proxy: fc.boolean(),
      open: fc.boolean(),
      seen: fc.boolean(),
      own: fc.boolean(),
      idle: fc.integer({ min: 240, max: 300 }),
      nat: fc.integer({ min: 1, max: 4 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  interfaces: fc.array(
    fc.record({
      own: fc.boolean(),
      primary: fc.nat(1),
      pools: fc.array(fc.subarray(['pool', 'spare']), { minLength: 1, maxLength: 2 }),
    }),
    { maxLength: 3 },
  ),
  group: fc.boolean(),
  namespace: fc.boolean(),
  probe: fc.constantFrom('Tcp', 'Http', 'none'),
  distribution: fc.constantFrom('Default', 'SourceIP', 'SourceIPProtocol'),
});

const idOf = (own: boolean, type: string, subscription: string, name: string): object =>
  own ? { id: `/subscriptions/${subscription}/resourceGroups/Prod-1/providers/Microsoft.Network/${type}/${name}` } : {};

const isSeen = ({ open, seen }: Choices['services'][number]): boolean => open || seen;

/** A lab file without mistakes. */
function labFor({ consumers, services, interfaces, group, namespace, probe, distribution }: Choices): object {
  const numbered = <T, V>(items: readonly T[], name: string, make: (item: T, i: number) => V): Record<string, V> =>
    Object.fromEntries(items.map((item, i) => [`${name}${String(i)}`, make(item, i)]));
  const members = (pool: string): string[] =>
    interfaces.flatMap(({ pools }, i) =>
      pools.flatMap((names, n) => (names.includes(pool) ? [`nic${String(i)}/part${String(n)}`] : [])),
    );
  return {
    translation: { seed: 7 }, // not the one that an export begins with
    subscriptions: { p: { features: ['Microsoft.Network/AllowPrivateLinkserviceUDR'] }, c: {} },
    networkSecurityGroups: group
      ? {
          guard: {
            securityRules: [
              { name: 'web', priority: 100, direction: 'Inbound', access: 'Allow', destinationPortRange: '80' },
            ],
          },
        }
      : {},
    virtualNetworks: {
      provider: {
        subscription: 'p',
        addressSpace: ['10.200.0.0/16'],
        subnets: {
          nat: {
            addressPrefix: '10.200.1.0/24',
            privateLinkServiceNetworkPolicies: 'Disabled',
            ...(group ? { networkSecurityGroup: 'guard' } : {}),
          },
          back: '10.200.2.0/24',
        },
        ...(namespace ? { namespace: 'ns', hosts: ['10.200.2.4'], mtu: 9000 } : {}),
      },
      ...numbered(consumers, 'net', ({ own }, i) => ({
        ...idOf(own, 'virtualNetworks', 'c', `Net${String(i)}`),
        subscription: 'c',
        addressSpace: ['10.0.0.0/16'],
        subnets: { default: '10.0.0.0/24' },
      })),
    },
    loadBalancers: {
      lb: {
        virtualNetwork: 'provider',
        frontends: numbered(services, 'f', (_, i) => `10.200.2.${String(100 + i)}`),
        backendPools: { pool: ['10.200.2.4', '10.200.2.5', ...members('pool')], spare: members('spare') },
        probes:
          probe === 'none'
            ? {}
            : { probe: { protocol: probe, port: 80, ...(probe === 'Http' ? { requestPath: '/' } : {}) } },
        rules: services.map((_, i) => ({
          name: `rule${String(i)}`,
          frontend: `f${String(i)}`,
          protocol: 'Tcp',
          frontendPort: 80,
          backendPool: 'pool',
          backendPort: 8080,
          loadDistribution: distribution,
          ...(probe === 'none' ? {} : { probe: 'probe' }),
        })),
      },
    },
    networkInterfaces: numbered(interfaces, 'nic', ({ own, primary, pools }, i) => ({
      ...idOf(own, 'networkInterfaces', 'c', `Nic${String(i)}`),
      ipConfigurations: pools.map((_, n) => ({
        name: `part${String(n)}`,
        subnet: 'provider/back',
        address: `10.200.2.${String(20 + 3 * i + n + (own ? 1 : 0))}`,
        ...(n === primary ? { primary: true } : {}),
      })),
    })),
    privateLinkServices: numbered(services, 'service', ({ direct, proxy, open, seen, own, idle, nat }, i) => ({
      ...idOf(own, 'privateLinkServices', 'p', `Service${String(i)}`),
      subnet: 'provider/nat',
      ipConfigurations: Array.from({ length: direct ? 2 : nat }, (_, n) => `10.200.1.${String(10 + 8 * i + n)}`),
      ...(direct
        ? { destinationIPAddress: `10.200.2.${String(200 + i)}`, bandwidthInMbps: 100 }
        : { loadBalancerFrontend: `lb/f${String(i)}` }),
      enableProxyProtocol: proxy,
      visibility: open ? ['*'] : seen ? ['c'] : [],
      ...(open ? { autoApproval: ['c'] } : {}),
      idleTimeoutInSeconds: idle,
    })),
    privateEndpoints: numbered(consumers, 'end', ({ own, status, address }, i) => ({
      ...idOf(own, 'privateEndpoints', 'c', `End${String(i)}`),
      subnet: `net${String(i)}/default`,
      address: `10.0.0.${String(address)}`,
      privateLinkService: `service${String(i % services.length)}`,
      status,
      ...(isSeen(services[i % services.length]!) ? {} : { outsideVisibility: true }),
    })),
  };
}

const held = (text: string): { lab: ReturnType<typeof parseLab>; documents: Documents } => {
  const lab = parseLab(text, 'lab.yaml');
  const put = documentsOf(lab.model, lab.gateway.networks, draw);
  return { lab, documents: judge(new Map(), { put, remove: [] }).documents };
};

const comparable = (documents: Documents): unknown => ({
  entries: [...entriesOf(documents).entries].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry),
  interfaces: allOf(documents, 'networkInterfaces')
    .filter((nic) => !isSystemInterface(nic))
    .map(({ id, properties }) => ({ id, ipConfigurations: properties.ipConfigurations }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1)),
});

/** What a resource is given once: aliases by service, LINKIDs by endpoint. */
const given = (documents: Documents): unknown => ({
  aliases: allOf(documents, 'privateLinkServices')
    .map(({ id, properties }) => `${id} ${String(properties.alias)}`)
    .toSorted(),
  identifiers: allOf(documents, 'privateLinkServices/privateEndpointConnections')
    .map(({ properties: p }) => `${String(p.privateEndpoint?.id)} ${String(p.linkIdentifier)}`)
    .toSorted(),
});

/** Null where something would have to change that is fixed for a resource's life. */
function applied(state: Documents, lab: ReturnType<typeof parseLab>): Documents | null {
  const { steps } = planLab(lab, new Map(), state, true);
  try {
    return judge(state, runSteps(steps, state, draw).change).documents;
  } catch (error) {
    if (error instanceof Refusal && FIXED.includes(error.code)) return null;
    throw error;
  }
}

/** Of each connection. */
const statuses = (documents: Documents): unknown =>
  [...entriesOf(documents).entries]
    .flatMap(([key, { section, value }]) => (section === 'privateEndpoints' ? `${key} ${String(value['status'])}` : []))
    .toSorted();

const FIXED = [
  'PrivateLinkServiceHasConnections',
  'PropertyChangeNotAllowed',
  'ConnectionTransition',
  'ConnectionNotFound',
];

/** All of it deleted, as by a file that declares nothing. */
const cleared = (state: Documents): Documents => applied(state, parseLab('virtualNetworks: {}', 'empty'))!;

describe('culvert export', () => {
  it('writes a lab that gives the same resources again, with the same ids, aliases and LINKIDs', () => {
    fc.assert(
      fc.property(choices, (chosen) => {
        const first = held(stringify(labFor(chosen))).documents;
        const { lab, left } = labOf(first);
        assert.deepEqual(left, []);
        const second = held(stringify(lab)).documents;
        assert.deepEqual(comparable(second), comparable(first));
        assert.deepEqual(given(second), given(first));
      }),
      { numRuns: 150 },
    );
  });

  it('writes a lab that culvert apply has nothing to do with', () => {
    fc.assert(
      fc.property(choices, (given) => {
        const state = held(stringify(labFor(given))).documents;
        const { lab } = held(stringify(labOf(state).lab));
        assert.deepEqual(planLab(lab, new Map(), state, true), { steps: [], kept: [], notes: [] });
      }),
      { numRuns: 100 },
    );
  });
});

describe('culvert apply', () => {
  it('brings any lab to any other, and then has nothing to do', () => {
    fc.assert(
      fc.property(choices, choices, (from, to) => {
        const state = held(stringify(labFor(from))).documents;
        const { lab, documents } = held(stringify(labFor(to)));
        assert.deepEqual(statuses(applied(new Map(), lab)!), statuses(documents));
        const reached = applied(state, lab) ?? applied(cleared(state), lab);
        assert.ok(reached !== null);
        const again = planLab(lab, new Map(), reached, true);
        assert.deepEqual(again.steps, []);
      }),
      { numRuns: 100 },
    );
  });
});
