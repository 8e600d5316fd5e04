import type { NetworkManagementClient, PrivateEndpointConnection } from '@azure/arm-network';
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ip } from '../../src/device/tun/ip-command.js';
import { clientOf, LOCATION, QUICK, refused } from '../contract/sdk.js';
import { needsCommand, needsTunDevice } from '../support/machine.js';
import { Namespaces } from '../support/namespaces.js';
import type { Running } from '../support/namespaces.js';
import { until } from '../support/until.js';
import { GatewayProcess } from './gateway-process.js';

const CLIENT = '10.0.0.5';
const ENDPOINT = '10.0.0.4';
/** A consumer keeps to one NAT address while it has ports: to see another used takes several consumers. */
const MORE_CLIENTS = Array.from({ length: 8 }, (_, i) => `10.0.0.${String(6 + i)}`);
const BACKEND = '10.200.2.4';
const GROUP = 'links';
const [PROVIDER, RED, BLUE] = ['provider', 'red', 'blue'] as const;

/** Of this run alone; named so that a later run sweeps what a killed one left. */
const id = String(process.pid);
const namespaceOf: Readonly<Record<string, string>> = {
  [PROVIDER]: `culvert-test-${id}-951`,
  [RED]: `culvert-test-${id}-952`,
  [BLUE]: `culvert-test-${id}-953`,
};

const resource = (subscription: string, type: string, name: string): string =>
  `/subscriptions/${subscription}/resourceGroups/${GROUP}/providers/Microsoft.Network/${type}/${name}`;

for (const scheme of ['http', 'https'] as const) {
  describe(`culvert up, managed by @azure/arm-network over ${scheme}`, () => {
    const spaces = new Namespaces();
    const clients = new Map<string, NetworkManagementClient>();
    let folder = '';
    let gateway: GatewayProcess;

    const client = (subscription: string): NetworkManagementClient => clients.get(subscription)!;
    const service = resource(PROVIDER, 'privateLinkServices', 'web');

    async function up(): Promise<void> {
      const state = path.join(folder, 'state');
      const options = ['--port', '0', '--state', state, ...(scheme === 'https' ? ['--tls'] : [])];
      gateway = new GatewayProcess(path.join(folder, `lab${id}.yaml`), path.join(folder, 'run'), ...options);
      const { url } = await gateway.logged('management interface');
      assert.equal(new URL(String(url)).protocol, `${scheme}:`);
      // The certificate that the gateway itself has made on its first start is all that the client trusts.
      const ca = scheme === 'https' ? readFileSync(`${state}.crt`, 'utf8') : undefined;
      for (const subscription of [PROVIDER, RED, BLUE]) {
        clients.set(subscription, clientOf(String(url), subscription, ca));
      }
    }

    async function network(
      subscription: string,
      prefix: string,
      host: string,
      namespace = namespaceOf[subscription]!,
    ): Promise<void> {
      await client(subscription).virtualNetworks.beginCreateOrUpdateAndWait(
        GROUP,
        'net',
        {
          location: LOCATION,
          tags: {
            ...(namespace === '' ? {} : { 'culvert-namespace': namespace }),
            'culvert-device': `${subscription[0]!}a${id}`,
            'culvert-hosts': host,
          },
          addressSpace: { addressPrefixes: [`${prefix}.0.0/16`] },
          subnets: [
            { name: 'default', addressPrefix: `${prefix}.0.0/24` },
            { name: 'nat', addressPrefix: `${prefix}.1.0/24`, privateLinkServiceNetworkPolicies: 'Disabled' },
            { name: 'backend', addressPrefix: `${prefix}.2.0/24` },
          ],
        },
        QUICK,
      );
    }

    const subnet = (subscription: string, name: string): { id: string } => ({
      id: `${resource(subscription, 'virtualNetworks', 'net')}/subnets/${name}`,
    });

    const putService = (natAddresses: number): Promise<unknown> =>
      client(PROVIDER).privateLinkServices.beginCreateOrUpdateAndWait(
        GROUP,
        'web',
        {
          location: LOCATION,
          loadBalancerFrontendIpConfigurations: [
            { id: `${resource(PROVIDER, 'loadBalancers', 'lb')}/frontendIPConfigurations/web` },
          ],
          ipConfigurations: Array.from({ length: natAddresses }, (_, i) => ({
            name: `nat-${String(i)}`,
            primary: i === 0,
            subnet: subnet(PROVIDER, 'nat'),
          })),
          enableProxyProtocol: true,
          visibility: { subscriptions: ['*'] },
          autoApproval: { subscriptions: [RED] },
        },
        QUICK,
      );

    const endpoint = (subscription: string): Promise<unknown> =>
      client(subscription).privateEndpoints.beginCreateOrUpdateAndWait(
        GROUP,
        'web',
        {
          location: LOCATION,
          subnet: subnet(subscription, 'default'),
          privateLinkServiceConnections: [{ name: 'web', privateLinkServiceId: service }],
        },
        QUICK,
      );

    async function connectionOf(subscription: string): Promise<PrivateEndpointConnection> {
      for await (const each of client(PROVIDER).privateLinkServices.listPrivateEndpointConnections(GROUP, 'web')) {
        if (each.privateEndpoint?.id === resource(subscription, 'privateEndpoints', 'web')) return each;
      }
      throw new Error(`${subscription} has no connection`);
    }

    const decide = async (subscription: string, status: string): Promise<unknown> =>
      client(PROVIDER).privateLinkServices.updatePrivateEndpointConnection(
        GROUP,
        'web',
        (await connectionOf(subscription)).name!,
        { privateLinkServiceConnectionState: { status } },
      );

    const whose = (from: string, patience = '60', source = CLIENT): Promise<string> => {
      const options = ['--http0.9', '-sS', '--max-time', patience, '--interface', source];
      return spaces.run(namespaceOf[from]!, 'curl', ...options, `http://${ENDPOINT}:7000/`);
    };
    const hold = (from: string): Running => spaces.node(namespaceOf[from]!, 'link-peer', 'hold', ENDPOINT, '7001');
    const echoes = async (held: Running, count: number): Promise<void> => {
      for (let i = 0; i < count; i++) assert.equal(await held.line(), 'echo');
    };

    before(async function () {
      needsTunDevice(this);
      needsCommand(this, 'curl');
      folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-managed-'));
      writeFileSync(path.join(folder, `lab${id}.yaml`), 'virtualNetworks: {}\n');
      await up();
    });

    after(async () => {
      if (folder === '') return;
      spaces.remove();
      await gateway.stop();
      const left = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
      for (const name of Object.values(namespaceOf)) if (left.includes(name)) ip('netns', 'delete', name);
      rmSync(folder, { recursive: true, force: true });
    });

    it('gives the server the linkIdentifier that the client of the interface sees', async () => {
      await network(PROVIDER, '10.200', BACKEND);
      await network(RED, '10.0', [CLIENT, ...MORE_CLIENTS].join(', '));
      await network(BLUE, '10.0', CLIENT);
      const [frontend, pool] = ['frontendIPConfigurations/web', 'backendAddressPools/web'].map((part) => ({
        id: `${resource(PROVIDER, 'loadBalancers', 'lb')}/${part}`,
      }));
      await client(PROVIDER).loadBalancers.beginCreateOrUpdateAndWait(
        GROUP,
        'lb',
        {
          location: LOCATION,
          frontendIPConfigurations: [{ name: 'web', subnet: subnet(PROVIDER, 'default') }],
          backendAddressPools: [{ name: 'web' }],
          loadBalancingRules: [7000, 7001].map((port) => ({
            name: `tcp-${String(port)}`,
            frontendIPConfiguration: frontend!,
            backendAddressPool: pool!,
            protocol: 'Tcp',
            frontendPort: port,
            backendPort: port,
          })),
        },
        QUICK,
      );
      const configuration = {
        name: 'ip',
        subnet: subnet(PROVIDER, 'backend'),
        privateIPAllocationMethod: 'Static',
        privateIPAddress: BACKEND,
        loadBalancerBackendAddressPools: [pool!],
      };
      await client(PROVIDER).networkInterfaces.beginCreateOrUpdateAndWait(
        GROUP,
        'backend',
        { location: LOCATION, ipConfigurations: [configuration] },
        QUICK,
      );
      await putService(1);
      await endpoint(RED);
      await endpoint(BLUE);
      assert.equal(await spaces.node(namespaceOf[PROVIDER]!, 'link-peer', 'serve', BACKEND).line(), 'ready');
      const red = await connectionOf(RED);
      assert.match(
        await whose(RED),
        new RegExp(`^LINKID ${red.linkIdentifier!} from ${CLIENT}:\\d+ to ${ENDPOINT}:7000`),
      );
    });

    if (scheme === 'https') {
      it('is not trusted by who was not given its certificate', async () => {
        const { url } = await gateway.logged('management interface');
        await assert.rejects(fetch(`${String(url)}/subscriptions?api-version=2025-05-01`), (error: Error) => {
          assert.equal((error.cause as { code?: string }).code, 'DEPTH_ZERO_SELF_SIGNED_CERT');
          return true;
        });
      });
    }

    it('lets a waiting consumer in when its connection is approved, and not before', async () => {
      await assert.rejects(whose(BLUE, '1'), /exit code 28/);
      await decide(BLUE, 'Approved');
      const blue = await connectionOf(BLUE);
      assert.match(await whose(BLUE), new RegExp(`^LINKID ${blue.linkIdentifier!} `));
    });

    it('takes a further NAT address under traffic, and gives one up, without a lost connection', async () => {
      const held = hold(RED);
      assert.match(await held.line(), /^LINKID/);
      await echoes(held, 1);
      await putService(2);
      const used = async (): Promise<Set<string>> => {
        const { natPorts } = await gateway.status();
        return new Set(natPorts.map(({ address }) => address));
      };
      await Promise.all(MORE_CLIENTS.map((source) => whose(RED, '60', source)));
      assert.deepEqual(await used(), new Set(['10.200.1.4', '10.200.1.5']));
      await echoes(held, 3);
      await putService(1);
      await echoes(held, 5);
      assert.match(await whose(RED), /^LINKID/);
      held.kill();
    });

    it('ends the flows of a rejected consumer at once, and no other', async () => {
      const [red, blue] = [hold(RED), hold(BLUE)];
      for (const held of [red, blue]) {
        assert.match(await held.line(), /^LINKID/);
        await echoes(held, 2);
      }
      await decide(BLUE, 'Rejected');
      const seen = blue.lines.length;
      const before = red.lines.length;
      await until('the other connection', () => red.lines.length >= before + 10);
      assert.ok(blue.lines.length <= seen + 2, 'the rejected connection went on'); // what was on its way
      await assert.rejects(whose(BLUE, '1'), /exit code 28/);
      await refused(decide(BLUE, 'Approved'), 409, 'ConnectionTransition', /cannot be approved/);
      for (const held of [red, blue]) held.kill();
    });

    it('refuses what this machine cannot run, and changes nothing', async () => {
      const attach = (subscription: string, namespace: string): Promise<unknown> =>
        network(subscription, '10.0', [CLIENT, ...MORE_CLIENTS].join(', '), namespace);
      const tags = async (): Promise<unknown> => (await client(BLUE).virtualNetworks.get(GROUP, 'net')).tags;
      const before = await tags();
      await attach(RED, '');
      await refused(attach(BLUE, ''), 409, 'GATEWAY_NETWORKS_OVERLAP', /one machine can route it to one of them only/);
      assert.deepEqual(await tags(), before);
      await attach(RED, namespaceOf[RED]!);
      // An interface of that name is there: the machine itself says no, when an endpoint asks for the network.
      ip('-n', namespaceOf[BLUE]!, 'tuntap', 'add', 'dev', `tw${id}`, 'mode', 'tun');
      await client(BLUE).virtualNetworks.beginCreateOrUpdateAndWait(
        GROUP,
        'twin',
        {
          location: LOCATION,
          addressSpace: { addressPrefixes: ['10.9.0.0/16'] },
          tags: { 'culvert-namespace': namespaceOf[BLUE]!, 'culvert-device': `tw${id}` },
          subnets: [{ name: 'default', addressPrefix: '10.9.0.0/24' }],
        },
        QUICK,
      );
      const inTwin = client(BLUE).privateEndpoints.beginCreateOrUpdateAndWait(
        GROUP,
        'twin',
        {
          location: LOCATION,
          subnet: { id: `${resource(BLUE, 'virtualNetworks', 'twin')}/subnets/default` },
          privateLinkServiceConnections: [{ name: 'web', privateLinkServiceId: service }],
        },
        QUICK,
      );
      await refused(inTwin, 409, 'GATEWAY_NETWORK_NOT_ATTACHED', /the machine refuses what the networks need/);
      await refused(client(BLUE).privateEndpoints.get(GROUP, 'twin'), 404, 'ResourceNotFound', /was not found/);
      assert.match(await whose(RED), /^LINKID/);
    });

    it('says that the lab file is not what counts, when it is told to take it again', async () => {
      gateway.signal('SIGHUP');
      await gateway.logged('the resources are those of the state; the lab file is read at the next start');
      assert.match(await whose(RED), /^LINKID/);
    });

    it('goes on after a kill with the same connections and LINKIDs', async () => {
      const before = await connectionOf(RED);
      gateway.signal('SIGKILL');
      await gateway.ended;
      await up();
      const after = await connectionOf(RED);
      assert.deepEqual(after, before);
      assert.match(await whose(RED), new RegExp(`^LINKID ${after.linkIdentifier!} `));
      assert.equal((await connectionOf(BLUE)).privateLinkServiceConnectionState?.status, 'Rejected');
    });

    it('takes everything down when it is deleted', async () => {
      await client(RED).privateEndpoints.beginDeleteAndWait(GROUP, 'web', QUICK);
      await client(BLUE).privateEndpoints.beginDeleteAndWait(GROUP, 'web', QUICK);
      await client(PROVIDER).privateLinkServices.beginDeleteAndWait(GROUP, 'web', QUICK);
      assert.deepEqual((await gateway.status()).networks, []);
    });
  });
}
