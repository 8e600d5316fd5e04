import type { NetworkManagementClient, PrivateLinkService } from '@azure/arm-network';
import assert from 'node:assert/strict';
import { LOCATION, QUICK, refused, startServer } from './sdk.js';
import type { TestServer } from './sdk.js';

const PROVIDER = '00000000-0000-4000-8000-000000000001';
const CONSUMER = '00000000-0000-4000-8000-000000000002';
const STRANGER = '00000000-0000-4000-8000-000000000003';
const GROUP = 'Links';

const id = (subscription: string, type: string, name: string): string =>
  `/subscriptions/${subscription}/resourceGroups/${GROUP}/providers/Microsoft.Network/${type}/${name}`;
const natSubnet = { id: `${id(PROVIDER, 'virtualNetworks', 'provider')}/subnets/nat` };
const frontend = { id: `${id(PROVIDER, 'loadBalancers', 'lb')}/frontendIPConfigurations/web` };
const natIp = (n: number): NonNullable<PrivateLinkService['ipConfigurations']>[number] => ({
  name: `nat-${String(n)}`,
  primary: n === 1,
  privateIPAllocationMethod: 'Dynamic',
  subnet: natSubnet,
});

for (const tls of [false, true]) {
  describe(`@azure/arm-network over ${tls ? 'https' : 'http'}: the life of a private link`, () => {
    let server: TestServer;
    let provider: NetworkManagementClient;
    let consumer: NetworkManagementClient;
    let stranger: NetworkManagementClient;

    const service = (changes: Partial<PrivateLinkService> = {}): PrivateLinkService => ({
      location: LOCATION,
      loadBalancerFrontendIpConfigurations: [frontend],
      ipConfigurations: [natIp(1)],
      enableProxyProtocol: true,
      fqdns: ['web.example.com'],
      visibility: { subscriptions: [PROVIDER, CONSUMER] },
      autoApproval: { subscriptions: [PROVIDER] },
      ...changes,
    });
    const putService = (changes: Partial<PrivateLinkService> = {}, name = 'web'): Promise<PrivateLinkService> =>
      provider.privateLinkServices.beginCreateOrUpdateAndWait(GROUP, name, service(changes), QUICK);

    async function network(client: NetworkManagementClient, name: string, prefix: string): Promise<void> {
      await client.virtualNetworks.beginCreateOrUpdateAndWait(
        GROUP,
        name,
        {
          location: LOCATION,
          addressSpace: { addressPrefixes: [`${prefix}.0.0/16`] },
          subnets: [
            { name: 'default', addressPrefix: `${prefix}.0.0/24` },
            { name: 'nat', addressPrefix: `${prefix}.1.0/24`, privateLinkServiceNetworkPolicies: 'Disabled' },
          ],
        },
        QUICK,
      );
    }

    const endpoint = (
      client: NetworkManagementClient,
      subscription: string,
      name: string,
      target: string,
      manual = false,
    ) => {
      const connection = { name: 'web', privateLinkServiceId: target, requestMessage: 'let me in' };
      return client.privateEndpoints.beginCreateOrUpdateAndWait(
        GROUP,
        name,
        {
          location: LOCATION,
          subnet: {
            id: `${id(subscription, 'virtualNetworks', subscription === PROVIDER ? 'provider' : 'consumer')}/subnets/default`,
          },
          ...(manual
            ? { manualPrivateLinkServiceConnections: [connection] }
            : { privateLinkServiceConnections: [connection] }),
        },
        QUICK,
      );
    };

    before(async () => {
      server = await startServer({ tls });
      provider = server.client(PROVIDER);
      consumer = server.client(CONSUMER);
      stranger = server.client(STRANGER);
    });

    after(() => server.close());

    it('makes networks of two subscriptions, a load balancer with an interface in its pool, and shows them', async () => {
      await network(provider, 'provider', '10.200');
      await network(consumer, 'consumer', '10.0');
      await network(stranger, 'consumer', '10.0');
      const balancer = await provider.loadBalancers.beginCreateOrUpdateAndWait(
        GROUP,
        'lb',
        {
          location: LOCATION,
          sku: { name: 'Standard' },
          frontendIPConfigurations: [
            { name: 'web', subnet: { id: `${id(PROVIDER, 'virtualNetworks', 'provider')}/subnets/default` } },
            { name: 'other', subnet: { id: `${id(PROVIDER, 'virtualNetworks', 'provider')}/subnets/default` } },
          ],
          backendAddressPools: [{ name: 'web' }],
          probes: [{ name: 'tcp', protocol: 'Tcp', port: 8080, intervalInSeconds: 5, numberOfProbes: 2 }],
          loadBalancingRules: [
            {
              name: 'web',
              frontendIPConfiguration: frontend,
              backendAddressPool: { id: `${id(PROVIDER, 'loadBalancers', 'lb')}/backendAddressPools/web` },
              probe: { id: `${id(PROVIDER, 'loadBalancers', 'lb')}/probes/tcp` },
              protocol: 'Tcp',
              frontendPort: 80,
              backendPort: 8080,
            },
          ],
        },
        QUICK,
      );
      assert.deepEqual(
        balancer.frontendIPConfigurations?.map((each) => each.privateIPAddress),
        ['10.200.0.4', '10.200.0.5'],
      );
      const nic = await provider.networkInterfaces.beginCreateOrUpdateAndWait(
        GROUP,
        'backend',
        {
          location: LOCATION,
          ipConfigurations: [
            {
              name: 'ipconfig',
              subnet: { id: `${id(PROVIDER, 'virtualNetworks', 'provider')}/subnets/default` },
              loadBalancerBackendAddressPools: [
                { id: `${id(PROVIDER, 'loadBalancers', 'lb')}/backendAddressPools/web` },
              ],
            },
          ],
        },
        QUICK,
      );
      assert.equal(nic.ipConfigurations?.[0]?.privateIPAddress, '10.200.0.6');
      const shown = await provider.loadBalancers.get(GROUP, 'LB');
      assert.equal(shown.backendAddressPools?.[0]?.backendIPConfigurations?.length, 1);
      assert.equal(shown.sku?.name, 'Standard');
      const subnet = await provider.subnets.get(GROUP, 'provider', 'default');
      assert.equal(subnet.ipConfigurations?.length, 3);
    });

    it('makes a service with PROXY v2, an alias and a NAT address of its own', async () => {
      const made = await putService();
      assert.equal(made.provisioningState, 'Succeeded');
      assert.match(made.alias ?? '', /^web\.[0-9a-f-]{36}\.westeurope\.azure\.privatelinkservice$/);
      assert.equal(made.enableProxyProtocol, true);
      assert.equal(made.ipConfigurations?.[0]?.privateIPAddress, '10.200.1.4');
      assert.equal((await putService()).alias, made.alias);
      const visible = (client: NetworkManagementClient, alias = made.alias!): Promise<{ visible?: boolean }> =>
        client.privateLinkServices.beginCheckPrivateLinkServiceVisibilityAndWait(LOCATION, {
          privateLinkServiceAlias: alias,
        });
      assert.equal((await visible(consumer)).visible, true);
      assert.equal((await visible(stranger)).visible, false);
      assert.equal((await visible(consumer, 'nothing')).visible, false);
      const approved = [];
      for await (const each of provider.privateLinkServices.listAutoApprovedPrivateLinkServices(LOCATION))
        approved.push(each);
      assert.deepEqual(approved, [{ privateLinkService: id(PROVIDER, 'privateLinkServices', 'web') }]);
    });

    it('approves one endpoint at once, keeps the other waiting, and approves it when told', async () => {
      const own = await endpoint(provider, PROVIDER, 'own', id(PROVIDER, 'privateLinkServices', 'web'));
      assert.equal(own.privateLinkServiceConnections?.[0]?.privateLinkServiceConnectionState?.status, 'Approved');
      assert.deepEqual(own.customDnsConfigs?.[0]?.fqdn, 'web.example.com');
      const { alias } = await provider.privateLinkServices.get(GROUP, 'web');
      const asked = await endpoint(consumer, CONSUMER, 'asked', alias!, true);
      assert.equal(
        asked.manualPrivateLinkServiceConnections?.[0]?.privateLinkServiceConnectionState?.status,
        'Pending',
      );
      const connections = [];
      for await (const each of provider.privateLinkServices.listPrivateEndpointConnections(GROUP, 'web'))
        connections.push(each);
      assert.equal(connections.length, 2);
      assert.equal(new Set(connections.map((each) => each.linkIdentifier)).size, 2);
      const pending = connections.find((each) => each.privateLinkServiceConnectionState?.status === 'Pending')!;
      assert.equal(pending.privateLinkServiceConnectionState?.description, 'let me in');
      const decided = await provider.privateLinkServices.updatePrivateEndpointConnection(GROUP, 'web', pending.name!, {
        privateLinkServiceConnectionState: { status: 'Approved', description: 'welcome' },
      });
      assert.equal(decided.privateLinkServiceConnectionState?.status, 'Approved');
      assert.equal(decided.linkIdentifier, pending.linkIdentifier);
      const after = await consumer.privateEndpoints.get(GROUP, 'asked');
      const state = after.manualPrivateLinkServiceConnections?.[0]?.privateLinkServiceConnectionState;
      assert.equal(state?.status, 'Approved');
      assert.equal(state.description, 'welcome');
    });

    it('adds a NAT address and takes one away, but never the last', async () => {
      const two = await putService({ ipConfigurations: [natIp(1), natIp(2)] });
      assert.deepEqual(
        two.ipConfigurations?.map((each) => each.privateIPAddress),
        ['10.200.1.4', '10.200.1.5'],
      );
      await refused(putService({ ipConfigurations: [] }), 400, 'NatIpCount', /1 to 8 NAT addresses; there are 0/);
      const one = await putService({ ipConfigurations: [natIp(1)] });
      assert.equal(one.ipConfigurations?.length, 1);
    });

    it('refuses nine NAT addresses', () =>
      refused(
        putService({ ipConfigurations: [1, 2, 3, 4, 5, 6, 7, 8, 9].map(natIp) }),
        400,
        'NatIpCount',
        /1 to 8 NAT addresses; there are 9/,
      ));

    it('refuses a frontend and a destination at once', () =>
      refused(
        putService({ destinationIPAddress: '10.200.0.99' }, 'both'),
        400,
        'ServiceTarget',
        /leads to one of them: remove the other/,
      ));

    it('refuses a target that changes', () =>
      refused(
        putService({ loadBalancerFrontendIpConfigurations: [{ id: frontend.id.replace(/web$/, 'other') }] }),
        400,
        'PropertyChangeNotAllowed',
        /fixed when the resource is created/,
      ));

    it('refuses Direct Connect without the feature, and with one NAT address', async () => {
      const direct = { loadBalancerFrontendIpConfigurations: [], destinationIPAddress: '10.200.0.99' };
      const two = { ...direct, ipConfigurations: [natIp(1), natIp(2)] };
      await refused(
        putService(two, 'direct'),
        400,
        'DirectConnectNotRegistered',
        /AllowPrivateLinkserviceUDR registered/,
      );
      if (!tls) {
        const feature = `/subscriptions/${PROVIDER}/providers/Microsoft.Features/providers/Microsoft.Network/features/AllowPrivateLinkserviceUDR`;
        assert.deepEqual((await server.send('GET', feature)).body['properties'], { state: 'NotRegistered' });
        const registered = await server.send('POST', `${feature}/register`);
        assert.deepEqual(registered.body['properties'], { state: 'Registered' });
        assert.equal((await putService(two, 'direct')).destinationIPAddress, '10.200.0.99');
      }
      await refused(putService(direct, 'direct2'), 400, 'NatIpCount', /Direct Connect needs 2, 4, 6 or 8/);
    });

    it('refuses auto-approval outside visibility', () =>
      refused(
        putService({ autoApproval: { subscriptions: [STRANGER] } }),
        400,
        'AutoApprovalNotVisible',
        /auto-approval is a subset of visibility; add it to visibility too/,
      ));

    it('refuses an endpoint of a subscription that cannot see the service', () =>
      refused(
        endpoint(stranger, STRANGER, 'asked', id(PROVIDER, 'privateLinkServices', 'web')),
        403,
        'EndpointNotVisible',
        /add it to the service's visibility/,
      ));

    it('refuses an alias that nobody has', () =>
      refused(
        endpoint(
          consumer,
          CONSUMER,
          'lost',
          'web.00000000-0000-4000-8000-000000000000.westeurope.azure.privatelinkservice',
          true,
        ),
        404,
        'PrivateLinkServiceAliasNotFound',
        /Ask the provider for its alias/,
      ));

    it('refuses deleting a service with connections', () =>
      refused(
        provider.privateLinkServices.beginDeleteAndWait(GROUP, 'web', QUICK),
        409,
        'PrivateLinkServiceHasConnections',
        /Reject or delete them first/,
      ));

    it('refuses a subnet, a pool and a network that are in use', async () => {
      await refused(
        provider.subnets.beginDeleteAndWait(GROUP, 'provider', 'nat', QUICK),
        400,
        'InUseSubnetCannotBeDeleted',
        /is in use by .*delete or change that resource first/,
      );
      await refused(
        provider.virtualNetworks.beginDeleteAndWait(GROUP, 'provider', QUICK),
        400,
        'InUseSubnetCannotBeDeleted',
        /in use/,
      );
      await refused(
        provider.loadBalancers.beginDeleteAndWait(GROUP, 'lb', QUICK),
        400,
        'InUseResourceCannotBeDeleted',
        /in use/,
      );
    });

    it('rejects a connection, which then cannot be approved any more', async () => {
      const connections = [];
      for await (const each of provider.privateLinkServices.listPrivateEndpointConnections(GROUP, 'web'))
        connections.push(each);
      const asked = connections.find((each) => each.name?.startsWith('asked.'))!;
      const decide = (status: string): Promise<unknown> =>
        provider.privateLinkServices.updatePrivateEndpointConnection(GROUP, 'web', asked.name!, {
          privateLinkServiceConnectionState: { status },
        });
      await decide('Rejected');
      await refused(decide('Approved'), 409, 'ConnectionTransition', /cannot be approved: delete it/);
      await refused(decide('Pending'), 400, 'InvalidRequestFormat', /sets Approved or Rejected/);
      const after = await consumer.privateEndpoints.get(GROUP, 'asked');
      assert.equal(
        after.manualPrivateLinkServiceConnections?.[0]?.privateLinkServiceConnectionState?.status,
        'Rejected',
      );
    });

    it('disconnects an endpoint for good when the provider deletes its connection', async () => {
      const connections = [];
      for await (const each of provider.privateLinkServices.listPrivateEndpointConnections(GROUP, 'web'))
        connections.push(each);
      for (const each of connections) {
        await provider.privateLinkServices.beginDeletePrivateEndpointConnectionAndWait(GROUP, 'web', each.name!, QUICK);
      }
      const own = await provider.privateEndpoints.get(GROUP, 'own');
      assert.equal(own.privateLinkServiceConnections?.[0]?.privateLinkServiceConnectionState?.status, 'Disconnected');
    });

    it('deletes all of it, and says that it is gone', async () => {
      await provider.privateLinkServices.beginDeleteAndWait(GROUP, 'web', QUICK);
      await refused(provider.privateLinkServices.get(GROUP, 'web'), 404, 'ResourceNotFound', /was not found/);
      await provider.privateEndpoints.beginDeleteAndWait(GROUP, 'own', QUICK);
      await consumer.privateEndpoints.beginDeleteAndWait(GROUP, 'asked', QUICK);
      await consumer.virtualNetworks.beginDeleteAndWait(GROUP, 'consumer', QUICK);
      await provider.privateLinkServices.beginDeleteAndWait(GROUP, 'never-was', QUICK);
      const left: unknown[] = [];
      for await (const each of consumer.virtualNetworks.listAll()) left.push(each);
      assert.equal(left.length, 0);
      for await (const each of consumer.networkInterfaces.listAll()) left.push(each);
      assert.equal(left.length, 0);
    });
  });
}
