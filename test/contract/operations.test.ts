import type { NetworkManagementClient } from '@azure/arm-network';
import assert from 'node:assert/strict';
import { LOCATION, QUICK, startServer } from './sdk.js';
import type { TestServer } from './sdk.js';

const GROUP = 'group';
const N = `/subscriptions/sub/resourceGroups/${GROUP}/providers/Microsoft.Network`;

/** What each operation of the client for our types gives: names, in the order of the answer. */
describe('@azure/arm-network: its operations on what there is', () => {
  let server: TestServer;
  let client: NetworkManagementClient;

  const names = async (items: AsyncIterable<{ name?: string }>): Promise<(string | undefined)[]> => {
    const all: (string | undefined)[] = [];
    for await (const { name } of items) all.push(name);
    return all;
  };

  before(async () => {
    server = await startServer();
    client = server.client('sub');
    const subnet = { id: `${N}/virtualNetworks/net/subnets/a` };
    await client.virtualNetworks.beginCreateOrUpdateAndWait(
      GROUP,
      'net',
      {
        location: LOCATION,
        addressSpace: { addressPrefixes: ['10.0.0.0/16'] },
        subnets: [{ name: 'a', addressPrefix: '10.0.0.0/24', privateLinkServiceNetworkPolicies: 'Disabled' }],
      },
      QUICK,
    );
    const [frontendIPConfiguration, backendAddressPool, probe] = [
      'frontendIPConfigurations/f',
      'backendAddressPools/p',
      'probes/h',
    ].map((part) => ({ id: `${N}/loadBalancers/lb/${part}` }));
    await client.loadBalancers.beginCreateOrUpdateAndWait(
      GROUP,
      'lb',
      {
        location: LOCATION,
        frontendIPConfigurations: [{ name: 'f', subnet }],
        backendAddressPools: [{ name: 'p' }],
        probes: [{ name: 'h', protocol: 'Tcp', port: 80 }],
        loadBalancingRules: [
          {
            name: 'r',
            frontendIPConfiguration: frontendIPConfiguration!,
            backendAddressPool: backendAddressPool!,
            probe: probe!,
            protocol: 'Tcp',
            frontendPort: 80,
            backendPort: 80,
          },
        ],
      },
      QUICK,
    );
    await client.networkInterfaces.beginCreateOrUpdateAndWait(
      GROUP,
      'backend',
      {
        location: LOCATION,
        ipConfigurations: [{ name: 'ip', subnet, loadBalancerBackendAddressPools: [backendAddressPool!] }],
      },
      QUICK,
    );
    await client.privateLinkServices.beginCreateOrUpdateAndWait(
      GROUP,
      'web',
      {
        location: LOCATION,
        loadBalancerFrontendIpConfigurations: [frontendIPConfiguration!],
        ipConfigurations: [{ name: 'nat', subnet }],
        visibility: { subscriptions: ['*'] },
        autoApproval: { subscriptions: ['*'] },
      },
      QUICK,
    );
    await client.privateEndpoints.beginCreateOrUpdateAndWait(
      GROUP,
      'pe',
      {
        location: LOCATION,
        subnet,
        privateLinkServiceConnections: [{ name: 'c', privateLinkServiceId: `${N}/privateLinkServices/web` }],
      },
      QUICK,
    );
    await client.networkSecurityGroups.beginCreateOrUpdateAndWait(GROUP, 'nsg', { location: LOCATION }, QUICK);
  });
  after(() => server.close());

  it('lists each type in a group and in a subscription', async () => {
    const lists: [string, AsyncIterable<{ name?: string }>, AsyncIterable<{ name?: string }>][] = [
      ['net', client.virtualNetworks.list(GROUP), client.virtualNetworks.listAll()],
      ['lb', client.loadBalancers.list(GROUP), client.loadBalancers.listAll()],
      ['nsg', client.networkSecurityGroups.list(GROUP), client.networkSecurityGroups.listAll()],
      ['web', client.privateLinkServices.list(GROUP), client.privateLinkServices.listBySubscription()],
      ['pe', client.privateEndpoints.list(GROUP), client.privateEndpoints.listBySubscription()],
    ];
    for (const [name, inGroup, inSubscription] of lists) {
      assert.deepEqual(await names(inGroup), [name]);
      assert.deepEqual(await names(inSubscription), [name]);
    }
    assert.equal((await names(client.networkInterfaces.list(GROUP))).length, 3);
    assert.equal((await names(client.networkInterfaces.listAll())).length, 3);
    assert.deepEqual(await names(client.virtualNetworks.list('other')), []);
  });

  it('reads the parts of networks, balancers, interfaces and services', async () => {
    assert.deepEqual(await names(client.subnets.list(GROUP, 'net')), ['a']);
    assert.deepEqual(await names(client.loadBalancerFrontendIPConfigurations.list(GROUP, 'lb')), ['f']);
    assert.deepEqual(await names(client.loadBalancerBackendAddressPools.list(GROUP, 'lb')), ['p']);
    assert.deepEqual(await names(client.loadBalancerLoadBalancingRules.list(GROUP, 'lb')), ['r']);
    assert.deepEqual(await names(client.loadBalancerProbes.list(GROUP, 'lb')), ['h']);
    assert.deepEqual(await names(client.networkInterfaceIPConfigurations.list(GROUP, 'backend')), ['ip']);
    assert.equal(
      (await client.loadBalancerFrontendIPConfigurations.get(GROUP, 'lb', 'f')).privateIPAddress,
      '10.0.0.4',
    );
    assert.equal((await client.loadBalancerProbes.get(GROUP, 'lb', 'h')).port, 80);
    assert.equal((await client.loadBalancerLoadBalancingRules.get(GROUP, 'lb', 'r')).frontendPort, 80);
    assert.equal(
      (await client.networkInterfaceIPConfigurations.get(GROUP, 'backend', 'ip')).privateIPAddress,
      '10.0.0.5',
    );
    const pool = await client.loadBalancerBackendAddressPools.get(GROUP, 'lb', 'p');
    assert.deepEqual(
      pool.backendIPConfigurations?.map(({ id }) => id),
      [`${N}/networkInterfaces/backend/ipConfigurations/ip`],
    );
    const [connection] = await names(client.privateLinkServices.listPrivateEndpointConnections(GROUP, 'web'));
    const read = await client.privateLinkServices.getPrivateEndpointConnection(GROUP, 'web', connection!);
    assert.equal(read.privateEndpoint?.id, `${N}/privateEndpoints/pe`);
    assert.equal(read.privateEndpointLocation, LOCATION);
  });

  it('writes parts, and deletes them', async () => {
    await client.subnets.beginCreateOrUpdateAndWait(GROUP, 'net', 'b', { addressPrefix: '10.0.1.0/24' }, QUICK);
    assert.deepEqual(await names(client.subnets.list(GROUP, 'net')), ['a', 'b']);
    await client.subnets.beginDeleteAndWait(GROUP, 'net', 'b', QUICK);
    assert.deepEqual(await names(client.subnets.list(GROUP, 'net')), ['a']);
    await client.loadBalancerBackendAddressPools.beginCreateOrUpdateAndWait(GROUP, 'lb', 'q', {}, QUICK);
    await client.loadBalancerBackendAddressPools.beginDeleteAndWait(GROUP, 'lb', 'q', QUICK);
    assert.deepEqual(await names(client.loadBalancerBackendAddressPools.list(GROUP, 'lb')), ['p']);
    const rule = { protocol: 'Tcp', access: 'Allow', direction: 'Inbound', priority: 100, sourceAddressPrefix: '*' };
    const ports = { sourcePortRange: '*', destinationPortRange: '443', destinationAddressPrefix: '*' };
    await client.securityRules.beginCreateOrUpdateAndWait(GROUP, 'nsg', 'https', { ...rule, ...ports }, QUICK);
    assert.equal((await client.securityRules.get(GROUP, 'nsg', 'https')).destinationPortRange, '443');
    assert.deepEqual(await names(client.securityRules.list(GROUP, 'nsg')), ['https']);
    await client.securityRules.beginDeleteAndWait(GROUP, 'nsg', 'https', QUICK);
    assert.deepEqual(await names(client.securityRules.list(GROUP, 'nsg')), []);
  });

  it('sets tags and leaves the rest', async () => {
    const tags = { tags: { a: 'b' } };
    assert.deepEqual((await client.virtualNetworks.updateTags(GROUP, 'net', tags)).tags, { a: 'b' });
    assert.equal((await client.virtualNetworks.get(GROUP, 'net')).subnets?.length, 1);
    assert.deepEqual((await client.loadBalancers.updateTags(GROUP, 'lb', tags)).tags, { a: 'b' });
    assert.deepEqual((await client.networkInterfaces.updateTags(GROUP, 'backend', tags)).tags, { a: 'b' });
    assert.deepEqual((await client.networkSecurityGroups.updateTags(GROUP, 'nsg', tags)).tags, { a: 'b' });
  });

  it('asks what can be reached, for a group too', async () => {
    const { alias } = await client.privateLinkServices.get(GROUP, 'web');
    const question = { privateLinkServiceAlias: alias! };
    const services = client.privateLinkServices;
    const answer = await services.beginCheckPrivateLinkServiceVisibilityByResourceGroupAndWait(
      LOCATION,
      GROUP,
      question,
      QUICK,
    );
    assert.equal(answer.visible, true);
    const approved: (string | undefined)[] = [];
    for await (const each of services.listAutoApprovedPrivateLinkServicesByResourceGroup(LOCATION, GROUP)) {
      approved.push(each.privateLinkService);
    }
    assert.deepEqual(approved, [`${N}/privateLinkServices/web`]);
    const types = client.availablePrivateEndpointTypes;
    assert.deepEqual(await names(types.list(LOCATION)), ['Microsoft.Network.privateLinkServices']);
    assert.deepEqual(await names(types.listByResourceGroup(LOCATION, GROUP)), [
      'Microsoft.Network.privateLinkServices',
    ]);
  });
});
