import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ip } from '../../src/device/tun/ip-command.js';
import type { GatewayStatus } from '../../src/gateway/status.js';
import { needsTunDevice } from '../support/machine.js';
import { Namespaces } from '../support/namespaces.js';
import { PATIENCE_MS, until } from '../support/until.js';
import { GatewayProcess } from './gateway-process.js';

const CLIENT = '10.0.0.5';
const WEB = '10.0.0.9';
const DIRECT = '10.0.0.10';
const BACKEND = '10.200.2.4';
/** In no load balancer's pool. */
const DATABASE = '10.200.3.4';
const OLD = '10.200.1.4';
const NEW = '10.200.1.5';
const MIB = 1 << 20;
const id = String(process.pid);

interface Lab {
  readonly nat?: string;
  /** Rules of the backend subnet's security group. */
  readonly rules?: string;
  readonly bandwidth?: number;
  readonly proxy?: boolean;
}

describe('what a service’s resources do to packets, with real kernels', () => {
  const spaces = new Namespaces();
  let red = '';
  let provider = '';
  let folder = '';
  let file = '';
  let gateway: GatewayProcess;

  const lab = ({ nat = OLD, rules = '', bandwidth = 0, proxy = true }: Lab = {}): string => `
subscriptions: { provider: { features: [Microsoft.Network/AllowPrivateLinkserviceUDR] } }
networkSecurityGroups: { backend: { securityRules: [${rules}] } }
virtualNetworks:
  red:
    subscription: provider
    addressSpace: [10.0.0.0/16]
    subnets: { default: 10.0.0.0/24 }
    namespace: ${red}
    hosts: [${CLIENT}]
    device: er${id}
  provider:
    subscription: provider
    addressSpace: [10.200.0.0/16]
    subnets:
      frontend: 10.200.0.0/24
      nat: { addressPrefix: 10.200.1.0/24, privateLinkServiceNetworkPolicies: Disabled }
      backend: { addressPrefix: 10.200.2.0/24, networkSecurityGroup: backend }
      database: 10.200.3.0/24
    namespace: ${provider}
    hosts: [${BACKEND}, ${DATABASE}]
    device: ep${id}
loadBalancers:
  lb:
    virtualNetwork: provider
    frontends: { web: 10.200.0.10 }
    backendPools: { web: [${BACKEND}] }
    rules:
      - { name: all, frontend: web, protocol: All, frontendPort: 0, backendPool: web, backendPort: 0 }
privateLinkServices:
  web:
    subnet: provider/nat
    ipConfigurations: [${nat}]
    loadBalancerFrontend: lb/web
    enableProxyProtocol: true
    autoApproval: [provider]
  direct:
    subnet: provider/nat
    ipConfigurations: [10.200.1.8, 10.200.1.9]
    destinationIPAddress: ${DATABASE}
    bandwidthInMbps: ${bandwidth}
    enableProxyProtocol: ${proxy}
    autoApproval: [provider]
privateEndpoints:
  web: { subnet: red/default, address: ${WEB}, privateLinkService: web, linkIdentifier: 1001 }
  direct: { subnet: red/default, address: ${DIRECT}, privateLinkService: direct, linkIdentifier: 1002 }
translation:
  natPorts: { first: 2000, count: 50 }
  timeouts: { tcpClosing: 2, udp: 3, portHold: 0 }
gateway: { metricsPort: 0 }
`;

  before(async function () {
    needsTunDevice(this);
    red = spaces.add();
    provider = spaces.add();
    // What a kernel says of itself in IPv6 would be in its own counters, and in nobody else's.
    for (const space of [red, provider]) {
      await spaces.run(space, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6');
    }
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-effects-'));
    file = path.join(folder, `lab${id}e.yaml`);
    writeFileSync(file, lab());
    gateway = new GatewayProcess(file, path.join(folder, 'run'));
    await gateway.logged('ready');
    const servers = [
      spaces.node(provider, 'link-peer', 'serve', BACKEND),
      spaces.node(provider, 'link-peer', 'serve', DATABASE),
      spaces.node(provider, 'net-peer', 'serve', BACKEND, '5300'),
      spaces.node(provider, 'net-peer', 'serve', DATABASE, '5300'),
    ];
    for (const server of servers) assert.equal(await server.line(), 'ready');
  });

  after(async () => {
    if (folder === '') return;
    await gateway.stop();
    spaces.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  async function take(change: Lab): Promise<void> {
    const logged = gateway.log.length;
    writeFileSync(file, lab(change));
    await gateway.logged('lab file taken', logged);
  }

  /** Octets that an interface's kernel has sent and got. */
  function counted(space: string, device: string): { sent: number; got: number } {
    interface Link {
      stats64: { rx: { bytes: number }; tx: { bytes: number } };
    }
    const [link] = JSON.parse(ip('-n', space, '-json', '-stats', 'link', 'show', 'dev', device)) as Link[];
    return { sent: link!.stats64.tx.bytes, got: link!.stats64.rx.bytes };
  }

  const metrics = async (): Promise<string> => {
    const { port } = new URL(String(gateway.log.find((line) => line.msg === 'metrics')!['url']));
    return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  };
  const value = (text: string, name: string): number =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))!
        .split(' ')
        .at(-1),
    );

  async function status(what: string, is: (status: GatewayStatus) => boolean): Promise<GatewayStatus> {
    let last = '';
    return until(
      () => `${what}: ${last}`,
      async () => {
        const now = await gateway.status();
        last = JSON.stringify(now);
        return is(now) && now;
      },
      100,
    );
  }
  const quiet = (): Promise<GatewayStatus> => status('flows end', ({ flows }) => flows.live === 0);

  const hold = (to: string): ReturnType<typeof spaces.node> => spaces.node(red, 'link-peer', 'hold', to, '7001');
  const connects = async (to = WEB, patienceMs = PATIENCE_MS): Promise<boolean> => {
    const program = `const s=require('net').connect(7000,'${to}').setTimeout(${patienceMs});s.on('timeout',()=>process.exit(1));s.on('data',()=>process.exit(0))`;
    return spaces.run(red, process.execPath, '-e', program).then(
      () => true,
      () => false,
    );
  };

  it('counts octets exactly: as the consumer’s kernel, and as many as were sent', async () => {
    const of = '{endpoint="web",network="red",service="web"}';
    const before = { kernel: counted(red, `er${id}`), text: await metrics() };
    const sizes = [0, 1, 100, 1472, 1000];
    await spaces.node(red, 'net-peer', 'udp', WEB, '5300', ...sizes.map(String)).finished;
    const datagrams = sizes.reduce((sum, size) => sum + 20 + 8 + size, 0);
    let text = await metrics();
    const grown = (name: string): number => value(text, `${name}${of}`) - value(before.text, `${name}${of}`);
    assert.deepEqual([grown('PEBytesIn'), grown('PEBytesOut')], [datagrams, datagrams]);
    // Streams with their header, in packets and super-packets as the kernels please.
    const bulk = await spaces.node(red, 'link-peer', 'bulk', WEB, '7002', String(3 * MIB)).finished;
    assert.match(bulk, /"out":true,"back":true/);
    await quiet();
    text = await metrics();
    const kernel = counted(red, `er${id}`);
    assert.deepEqual((await gateway.status()).drops, {});
    assert.equal(grown('PEBytesIn'), kernel.sent - before.kernel.sent);
    assert.equal(grown('PEBytesOut'), kernel.got - before.kernel.got);
    assert.equal(value(text, 'PLSBytesIn{service="web"}'), value(text, `PEBytesIn${of}`));
    assert.ok(grown('PEBytesIn') > 3 * MIB);
  });

  it('counts ports exactly: one a connection, and none when they are over', async () => {
    await quiet();
    const name = `PLSNatPortsUsage{service="web",address="${OLD}"}`;
    assert.equal(value(await metrics(), name), 0);
    const held = Array.from({ length: 7 }, () => hold(WEB));
    for (const each of held) assert.match(await each.line(), /^LINKID 1001/);
    assert.equal(value(await metrics(), name), (100 * 7) / 50);
    const pool = `{service="web",address="${OLD}",backend="${BACKEND}",protocol="tcp"}`;
    assert.equal(value(await metrics(), `culvert_nat_ports_in_use${pool}`), 7);
    for (const each of held) each.kill();
    await quiet();
    assert.equal(value(await metrics(), name), 0);
  });

  it('adds a NAT address under traffic, and drains the old one, without a lost connection', async () => {
    const old = hold(WEB);
    assert.match(await old.line(), /^LINKID 1001/);
    await take({ nat: `${OLD}, ${NEW}` });
    assert.equal(await old.line(), 'echo');
    await take({ nat: NEW });
    const young = hold(WEB);
    assert.match(await young.line(), /^LINKID 1001/);
    for (let i = 0; i < 3; i++) assert.equal(await old.line(), 'echo', 'it goes on over the address that drains');
    const { services } = await gateway.status();
    const web = services.find(({ name }) => name === 'web')!;
    assert.deepEqual([web.natAddresses, web.draining], [[NEW], [{ address: OLD, flows: 1 }]]);
    const { flows } = JSON.parse(await gateway.ask('flows', '--json')) as { flows: { nat: string }[] };
    assert.deepEqual(flows.map(({ nat }) => nat.split(':')[0]).sort(), [OLD, NEW]);
    const logged = gateway.log.length;
    old.kill();
    const left = await gateway.logged('a NAT address has drained', logged);
    assert.deepEqual([left['service'], left['address']], ['web', OLD]);
    assert.deepEqual((await gateway.status()).services.find(({ name }) => name === 'web')!.draining, []);
    assert.equal(await young.line(), 'echo');
    young.kill();
    await quiet();
  });

  it('lets a security group deny new connections silently, and no established one', async () => {
    const established = hold(WEB);
    assert.match(await established.line(), /^LINKID 1001/);
    await take({ rules: '{ name: Deny, priority: 100, direction: Inbound, access: Deny }' });
    assert.equal(await connects(WEB, 1500), false);
    assert.ok((await gateway.status()).drops['nsg-denied']! >= 1);
    assert.match(await metrics(), /^culvert_drops_total\{reason="nsg-denied"\} [1-9]/m);
    assert.equal(await connects(DIRECT), true, 'its own group is another’s business');
    assert.equal(await established.line(), 'echo');
    await take({
      rules:
        `{ name: Nat, priority: 100, direction: Inbound, access: Allow, sourceAddressPrefix: ${OLD} }, ` +
        '{ name: Deny, priority: 200, direction: Inbound, access: Deny }',
    });
    assert.equal(await connects(), true);
    established.kill();
  });

  it('leads Direct Connect to a backend outside any load balancer, with the header and without', async () => {
    await take({});
    const held = hold(DIRECT);
    assert.match(await held.line(), new RegExp(`^LINKID 1002 from ${CLIENT}:\\d+ to ${DIRECT}:7001`));
    held.kill();
    await take({ proxy: false });
    const answer = await spaces.node(red, 'net-peer', 'tcp', DIRECT, '5300', String(MIB), '2').finished;
    assert.match(answer, /"same":2/);
    const sizes = ['0', '1400', '5000'];
    const datagrams = await spaces.node(red, 'net-peer', 'udp', DIRECT, '5300', ...sizes).finished;
    assert.deepEqual(JSON.parse(datagrams), { same: sizes.map(Number) });
  });

  it('holds Direct Connect to its bandwidth, and loses nothing but time', async () => {
    const BITS = 20_000_000;
    await take({ bandwidth: BITS / 1_000_000 });
    const answer = await spaces.node(red, 'link-peer', 'bulk', DIRECT, '7002', String(2 * MIB)).finished;
    const { out, back, ms } = JSON.parse(answer) as { out: boolean; back: boolean; ms: number };
    assert.deepEqual({ out, back }, { out: true, back: true });
    const least = ((2 * MIB - 131_072) * 8 * 1000) / BITS;
    assert.ok(ms >= least, `${String(ms)} ms, at least ${least.toFixed(0)}`);
    assert.ok((await gateway.status()).drops['bandwidth-exceeded']! > 0);
  });
});
