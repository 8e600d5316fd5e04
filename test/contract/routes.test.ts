import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { API_VERSION, LOCATION, QUICK, refused, startServer } from './sdk.js';
import type { Reply, TestServer } from './sdk.js';

const G = '/subscriptions/Sub-1/resourceGroups/Group-1';
const N = `${G}/providers/Microsoft.Network`;

describe('the management interface', () => {
  let server: TestServer;

  before(async () => {
    server = await startServer();
  });
  after(() => server.close());

  const put = async (where: string, body: object, status = 201): Promise<Reply> => {
    const reply = await server.send('PUT', `${N}/${where}`, { location: LOCATION, ...body });
    assert.equal(reply.status, status, JSON.stringify(reply.body));
    return reply;
  };

  it('tells apart nothing by case, and keeps the client’s', async () => {
    const made = await put('virtualNetworks/Net', {
      tags: { Owner: 'Me' },
      zones: ['unknown', 'to', 'us'],
      properties: {
        addressSpace: { addressPrefixes: ['10.0.0.0/16'] },
        subnets: [{ name: 'Default', properties: { addressPrefixes: ['10.0.0.0/24'], delegations: [] } }],
        enableDdosProtection: false,
        dhcpOptions: null,
      },
    });
    assert.equal(made.body['id'], `${N}/virtualNetworks/Net`);
    const path = `${N}/virtualNetworks/NET`.toLowerCase();
    const { body, headers } = await server.send('GET', path);
    assert.deepEqual(body, made.body);
    assert.equal(headers.get('etag'), body['etag']);
    assert.deepEqual(body['zones'], ['unknown', 'to', 'us']);
    const properties = body['properties'] as Record<string, unknown>;
    assert.equal(properties['enableDdosProtection'], false);
    assert.ok(!('dhcpOptions' in properties));
    const [subnet] = properties['subnets'] as Record<string, unknown>[];
    assert.equal(subnet!['id'], `${N}/virtualNetworks/Net/subnets/Default`);
    assert.equal((await server.send('PUT', path, { location: 'West Europe', properties })).status, 200);
    assert.equal((await server.send('GET', path)).body['id'], made.body['id']);
  });

  it('takes back what it gave, and nothing changes but the ETag', async () => {
    await put('networkSecurityGroups/nsg', { properties: {} });
    await put('virtualNetworks/Net/subnets/nat', {
      properties: {
        addressPrefix: '10.0.1.0/24',
        privateLinkServiceNetworkPolicies: 'disabled',
        networkSecurityGroup: { id: `${N}/networkSecurityGroups/NSG` },
      },
    });
    const subnet = { id: `${N}/virtualNetworks/net/subnets/nat` };
    const pool = { id: `${N}/loadBalancers/lb/backendAddressPools/p` };
    const frontend = { id: `${N}/loadBalancers/lb/frontendIPConfigurations/f` };
    await put('loadBalancers/lb', {
      sku: { name: 'standard' },
      properties: {
        frontendIPConfigurations: [{ name: 'f', properties: { subnet } }],
        backendAddressPools: [{ name: 'p' }],
        probes: [{ name: 'h', properties: { protocol: 'http', port: 80, requestPath: '/' } }],
        loadBalancingRules: [
          {
            name: 'r',
            properties: {
              frontendIPConfiguration: frontend,
              backendAddressPool: pool,
              probe: { id: `${N}/loadBalancers/lb/probes/h` },
              protocol: 'tcp',
              frontendPort: 80,
              backendPort: 80,
            },
          },
        ],
      },
    });
    const configuration = { name: 'ip', properties: { subnet, loadBalancerBackendAddressPools: [pool] } };
    await put('networkInterfaces/nic', { properties: { ipConfigurations: [configuration] } });
    await put('privateLinkServices/web', {
      properties: {
        loadBalancerFrontendIpConfigurations: [{ ...frontend, properties: {} }],
        ipConfigurations: [{ name: 'nat', properties: { subnet: { ...subnet, properties: {} } } }],
        autoApproval: { subscriptions: ['SUB-1'] },
        visibility: { subscriptions: ['sub-1'] },
        idleTimeoutInSeconds: 20,
      },
    });
    const wish = { name: 'web', properties: { privateLinkServiceId: `${N}/privateLinkServices/WEB` } };
    const endpoint = {
      subnet: { id: `${N}/virtualNetworks/net/subnets/default` },
      privateLinkServiceConnections: [wish],
    };
    await put('privateEndpoints/pe', { properties: endpoint });
    const withoutEtags = (value: unknown): unknown =>
      JSON.parse(JSON.stringify(value, (name, inner: unknown) => (name === 'etag' ? undefined : inner)));
    for (const where of [
      'virtualNetworks/net',
      'loadBalancers/lb',
      'networkInterfaces/nic',
      'privateLinkServices/web',
      'privateEndpoints/pe',
    ]) {
      const { body } = await server.send('GET', `${N}/${where}`);
      const model = server.manager.lab().model;
      const again = await put(where, body, 200);
      assert.deepEqual(withoutEtags(again.body), withoutEtags(body), where);
      assert.notEqual(again.body['etag'], body['etag']);
      assert.ok(isDeepStrictEqual(server.manager.lab().model, model), where);
    }
    const held = JSON.stringify([...server.manager.documents.values()]);
    for (const list of [
      '"backendIPConfigurations"',
      '"loadBalancingRules":[{"id"',
      '"privateEndpointConnections"',
      '"privateEndpoints"',
    ]) {
      assert.ok(!held.includes(list), `${list} was taken from the client`);
    }
  });

  it('shows who uses what', async () => {
    const subnets = (await server.send('GET', `${N}/virtualNetworks/net/subnets`)).body['value'] as {
      properties: object;
    }[];
    const [first, nat] = subnets.map(({ properties }) => properties as Record<string, { id: string }[]>);
    assert.deepEqual(first!['privateEndpoints'], [{ id: `${N}/privateEndpoints/pe` }]);
    assert.equal(nat!['ipConfigurations']?.length, 3);
    const probe = await server.send('GET', `${N}/loadBalancers/lb/probes/H`);
    const properties = probe.body['properties'] as Record<string, unknown>;
    assert.deepEqual(properties['loadBalancingRules'], [{ id: `${N}/loadBalancers/lb/loadBalancingRules/r` }]);
  });

  it('changes parts by themselves', async () => {
    const rule = {
      properties: { protocol: 'Tcp', access: 'Deny', direction: 'Inbound', priority: 100, destinationPortRange: '22' },
    };
    await put('networkSecurityGroups/nsg/securityRules/ssh', rule);
    const low = { properties: { ...rule.properties, priority: 5 } };
    const reply = await server.send('PUT', `${N}/networkSecurityGroups/nsg/securityRules/low`, low);
    assert.equal(reply.status, 400);
    assert.match(reply.body.error?.message ?? '', /100 to 4096/);
    const [group] = server.manager.lab().model.networkSecurityGroups.values();
    assert.deepEqual(group?.securityRules[0]?.destinationPortRanges, ['22']);
    assert.equal((await server.send('DELETE', `${N}/networkSecurityGroups/nsg/securityRules/SSH`)).status, 202);
    assert.equal((await server.send('GET', `${N}/networkSecurityGroups/nsg/securityRules/ssh`)).status, 404);
    const used = await server.send('DELETE', `${N}/networkSecurityGroups/nsg`);
    assert.equal(used.body.error?.code, 'InUseNetworkSecurityGroupCannotBeDeleted');
    const tagged = await server.send('PATCH', `${N}/networkSecurityGroups/nsg`, { tags: { a: 'b' } });
    assert.deepEqual([tagged.status, tagged.body['tags']], [200, { a: 'b' }]);
  });

  it('keeps what is ours when a client of Azure’s puts a service that it read', async () => {
    const client = server.client('sub-1');
    const service = await client.privateLinkServices.get('group-1', 'web');
    await client.privateLinkServices.beginCreateOrUpdateAndWait('group-1', 'web', service, QUICK);
    const [held] = server.manager.lab().model.privateLinkServices.values();
    assert.equal(held?.idleTimeoutInSeconds, 20);
  });

  it('refuses to touch the interface of an endpoint', async () => {
    const client = server.client('sub-1');
    const [nic] = (await client.privateEndpoints.get('group-1', 'pe')).networkInterfaces!;
    const name = nic!.id!.split('/').at(-1)!;
    const held = await client.networkInterfaces.get('group-1', name);
    await refused(
      client.networkInterfaces.beginCreateOrUpdateAndWait('group-1', name, held, QUICK),
      400,
      'CannotModifySystemResource',
      /belongs to .*change that resource instead/,
    );
    await refused(
      client.networkInterfaces.beginDeleteAndWait('group-1', name, QUICK),
      400,
      'NicInUseWithPrivateEndpoint',
      /in use by/,
    );
  });

  it('gives long lists in pages, in the order of ids', async () => {
    for (let i = 0; i < 5; i++) await put(`networkSecurityGroups/page-${String(i)}`, { properties: {} });
    const names: string[] = [];
    let next: string | undefined = `${server.url}${N}/networkSecurityGroups?api-version=${API_VERSION}&$top=2`;
    let pages = 0;
    for (; next !== undefined; pages++) {
      const page = (await (await fetch(next)).json()) as { value: { name: string }[]; nextLink?: string };
      assert.ok(page.value.length <= 2);
      names.push(...page.value.map(({ name }) => name));
      next = page.nextLink;
    }
    assert.deepEqual(names, ['nsg', ...[0, 1, 2, 3, 4].map((i) => `page-${String(i)}`)]);
    assert.equal(pages, 3);
    for (let i = 5; i < 105; i++) await put(`networkSecurityGroups/page-${String(i)}`, { properties: {} });
    const all = new Set<string>();
    for await (const each of server.client('SUB-1').networkSecurityGroups.listAll()) all.add(each.name!);
    assert.equal(all.size, 106);
  });

  it('has subscriptions, groups, providers and features', async () => {
    const ids = async (where: string): Promise<unknown[]> =>
      ((await server.send('GET', where)).body['value'] as { id: string }[]).map(({ id }) => id);
    assert.deepEqual(await ids('/subscriptions'), ['/subscriptions/Sub-1']);
    assert.deepEqual(await ids('/subscriptions/sub-1/resourceGroups'), [G]);
    assert.equal(
      (await server.send('PUT', '/subscriptions/sub-1/resourceGroups/other', { location: LOCATION })).status,
      201,
    );
    assert.equal((await server.send('HEAD', '/subscriptions/sub-1/resourceGroups/OTHER')).status, 204);
    assert.equal((await server.send('DELETE', '/subscriptions/sub-1/resourceGroups/other')).status, 202);
    assert.equal((await server.send('HEAD', '/subscriptions/sub-1/resourceGroups/other')).status, 404);
    const inside = await ids(`${G}/resources?api-version=2021-04-01`);
    assert.ok(inside.includes(`${N}/loadBalancers/lb`));
    assert.ok(!inside.some((id) => String(id).includes('privateEndpointConnections')));
    const provider = await server.send('POST', '/subscriptions/sub-1/providers/microsoft.network/register');
    assert.equal(provider.body['registrationState'], 'Registered');
    const feature = '/subscriptions/sub-1/providers/Microsoft.Features/providers/Microsoft.Network/features';
    assert.equal((await ids(feature)).length, 1);
    assert.equal((await server.send('GET', `${feature}/AllowSomethingElse`)).status, 404);
    const types = await ids(
      '/subscriptions/sub-1/providers/Microsoft.Network/locations/westeurope/availablePrivateEndpointTypes',
    );
    assert.equal(types.length, 1);
  });

  it('asks for preconditions of a group too, and keeps it and all that is in it if they fail', async () => {
    const group = '/subscriptions/sub-3/resourceGroups/kept';
    const inside = `${group}/providers/Microsoft.Network/networkSecurityGroups/one`;
    const made = await server.send('PUT', group, { location: LOCATION });
    const etag = made.headers.get('etag')!;
    assert.match(etag, /^W\/".+"$/);
    assert.equal(made.body['etag'], undefined);
    assert.equal((await server.send('GET', group)).headers.get('etag'), etag);
    await server.send('PUT', inside, { location: LOCATION, properties: {} });
    for (const method of ['PUT', 'DELETE']) {
      const reply = await server.send(method, group, { location: LOCATION }, { 'If-Match': '"nope"' });
      assert.deepEqual([reply.status, reply.body.error?.code], [412, 'PreconditionFailed']);
    }
    assert.equal((await server.send('GET', inside)).status, 200);
    assert.equal((await server.send('DELETE', group, undefined, { 'If-Match': etag })).status, 202);
    assert.equal((await server.send('GET', inside)).status, 404);
  });

  it('takes any location for a group that came with a resource, until one was chosen', async () => {
    const group = '/subscriptions/sub-3/resourceGroups/along';
    const inside = `${group}/providers/Microsoft.Network/networkSecurityGroups/one`;
    assert.equal((await server.send('PUT', inside, { location: 'eastus', properties: {} })).status, 201);
    const chosen = await server.send('PUT', group, { location: 'westeurope', locationGiven: false });
    assert.deepEqual([chosen.status, chosen.body['location']], [200, 'westeurope']);
    assert.deepEqual(Object.keys(chosen.body).toSorted(), ['id', 'location', 'name', 'properties', 'type']);
    const moved = await server.send('PUT', group, { location: 'eastus' });
    assert.deepEqual([moved.status, moved.body.error?.code], [409, 'InvalidResourceGroupLocation']);
    assert.equal((await server.send('DELETE', group)).status, 202);
  });

  it('refuses a group of another shape, and another location for one', async () => {
    const group = '/subscriptions/sub-3/resourceGroups/fixed';
    for (const wrong of [{ tags: { a: 5 } }, { managedBy: 7 }, { location: 7 }, { properties: 7 }]) {
      const reply = await server.send('PUT', group, { location: LOCATION, ...wrong });
      assert.deepEqual([reply.status, reply.body.error?.code], [400, 'InvalidRequestFormat'], JSON.stringify(wrong));
    }
    assert.equal((await server.send('PUT', group, {})).body.error?.code, 'LocationRequired');
    assert.equal((await server.send('PUT', group, { location: 'West Europe', tags: { a: 'b' } })).status, 201);
    assert.equal((await server.send('PUT', group, { location: 'westeurope' })).status, 200);
    const moved = await server.send('PUT', group, { location: 'elsewhere' });
    assert.deepEqual([moved.status, moved.body.error?.code], [409, 'InvalidResourceGroupLocation']);
    assert.equal((await server.send('GET', group)).body['location'], 'westeurope');
    assert.equal((await server.send('DELETE', group)).status, 202);
  });

  it('deletes a group with all that is in it, but not under an endpoint of others', async () => {
    const other = '/subscriptions/sub-2/resourceGroups/g/providers/Microsoft.Network';
    const network = {
      addressSpace: { addressPrefixes: ['10.0.0.0/16'] },
      subnets: [{ name: 'a', properties: { addressPrefix: '10.0.0.0/24' } }],
    };
    await server.send('PUT', `${other}/virtualNetworks/net`, { location: LOCATION, properties: network });
    const service = await server.send('GET', `${N}/privateLinkServices/web`);
    const open = { ...(service.body['properties'] as object), visibility: { subscriptions: ['*'] } };
    await put('privateLinkServices/web', { properties: open }, 200);
    const wish = { name: 'web', properties: { privateLinkServiceId: `${N}/privateLinkServices/web` } };
    const endpoint = {
      subnet: { id: `${other}/virtualNetworks/net/subnets/a` },
      manualPrivateLinkServiceConnections: [wish],
    };
    assert.equal(
      (await server.send('PUT', `${other}/privateEndpoints/pe`, { location: LOCATION, properties: endpoint })).status,
      201,
    );
    const kept = await server.send('DELETE', G);
    assert.deepEqual([kept.status, kept.body.error?.code], [409, 'PrivateLinkServiceHasConnections']);
    assert.equal((await server.send('DELETE', `${other}/privateEndpoints/pe`)).status, 202);
    assert.equal((await server.send('DELETE', G)).status, 202);
    assert.deepEqual(
      [...server.manager.documents.keys()].filter((key) => key.startsWith('/subscriptions/sub-1')),
      [],
    );
  });
});

describe('the management interface, with operations that take time', () => {
  /** Longer than the test takes, which moves the clock. */
  const OPERATION_MS = 600_000;

  it('says InProgress and Updating first, and tells the client where to ask', async () => {
    const real = Date.now;
    let passed = 0;
    Date.now = () => real() + passed;
    const server = await startServer({ operationMs: OPERATION_MS });
    try {
      const body = { location: LOCATION, properties: {} };
      const made = await server.send('PUT', `${N}/networkSecurityGroups/nsg`, body);
      assert.equal(made.status, 201);
      assert.equal((made.body['properties'] as { provisioningState: string }).provisioningState, 'Updating');
      assert.equal(made.headers.get('retry-after'), '1');
      const operation = new URL(made.headers.get('azure-asyncoperation')!);
      assert.equal(operation.origin, server.url);
      const status = async (): Promise<unknown> =>
        ((await (await fetch(operation)).json()) as { status: string }).status;
      assert.equal(await status(), 'InProgress');
      passed += OPERATION_MS;
      assert.equal(await status(), 'Succeeded');
      const after = await server.send('GET', `${N}/networkSecurityGroups/nsg`);
      assert.equal((after.body['properties'] as { provisioningState: string }).provisioningState, 'Succeeded');
      const removed = await server.send('DELETE', `${N}/networkSecurityGroups/nsg`);
      const location = removed.headers.get('location')!;
      assert.equal((await fetch(location)).status, 202);
      passed += OPERATION_MS;
      assert.equal((await fetch(location)).status, 204);
      for (const id of ['x', '00000000-0000-4000-8000-000000000000', 'ffffffff-ffff-7000-8000-000000000000']) {
        const unknown = await server.send(
          'GET',
          `/subscriptions/s/providers/Microsoft.Network/locations/l/operations/${id}`,
        );
        assert.equal(unknown.status, 404, id);
      }
    } finally {
      Date.now = real;
      await server.close();
    }
  });

  it('are waited for by Azure’s client', async () => {
    const server = await startServer({ operationMs: 300 });
    try {
      const started = performance.now();
      const group = await server
        .client('s')
        .networkSecurityGroups.beginCreateOrUpdateAndWait('g', 'nsg', { location: LOCATION }, QUICK);
      assert.ok(performance.now() - started >= 300);
      assert.equal(group.provisioningState, 'Succeeded');
      await server.client('s').networkSecurityGroups.beginDeleteAndWait('g', 'nsg', QUICK);
    } finally {
      await server.close();
    }
  });
});
