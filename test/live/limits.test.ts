import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ip } from '../../src/device/tun/ip-command.js';
import type { GatewayStatus } from '../../src/gateway/status.js';
import { consumerNetwork, providerNetwork } from '../support/lab-networks.js';
import { needsCommand, needsTunDevice } from '../support/machine.js';
import { Namespaces, type Running } from '../support/namespaces.js';
import { until } from '../support/until.js';
import { GatewayProcess } from './gateway-process.js';

const CLIENT = '10.0.0.5';
const ENDPOINT = '10.0.0.9';
const OTHER_ENDPOINT = '10.0.0.10';
const BACKEND = '10.200.2.4';
const OTHER_BACKEND = '10.200.2.5';
const MIB = 1 << 20;

const id = String(process.pid);
const PREFIX = `culvert-test-${id}-91`;
const [RED, PROVIDER] = [`${PREFIX}1`, `${PREFIX}2`];

const lab = (translation: string): string => `
virtualNetworks:
${consumerNetwork({ name: 'red', namespace: RED, hosts: [CLIENT], device: `lr${id}` })}
${providerNetwork({ name: 'provider', namespace: PROVIDER, hosts: [BACKEND, OTHER_BACKEND], device: `lp${id}` })}
loadBalancers:
  lb:
    virtualNetwork: provider
    frontends: { one: 10.200.0.10, two: 10.200.0.11 }
    backendPools: { one: [${BACKEND}], two: [${OTHER_BACKEND}] }
    rules:
      - { name: quiet, frontend: one, protocol: Tcp, frontendPort: 7000, backendPool: one, backendPort: 7000 }
      - { name: told, frontend: one, protocol: Tcp, frontendPort: 7001, backendPool: one, backendPort: 7001, enableTcpReset: true }
      - { name: echo, frontend: one, protocol: Udp, frontendPort: 53, backendPool: one, backendPort: 5300 }
      - { name: other, frontend: two, protocol: Tcp, frontendPort: 7000, backendPool: two, backendPort: 7000 }
privateLinkServices:
  one:
    { subnet: provider/nat, ipConfigurations: [10.200.1.4], loadBalancerFrontend: lb/one, enableProxyProtocol: true, visibility: ['*'], autoApproval: ['*'] }
  two:
    { subnet: provider/nat, ipConfigurations: [10.200.1.5], loadBalancerFrontend: lb/two, enableProxyProtocol: true, visibility: ['*'], autoApproval: ['*'] }
privateEndpoints:
  one: { subnet: red/default, address: ${ENDPOINT}, privateLinkService: one, linkIdentifier: 1001 }
  two: { subnet: red/default, address: ${OTHER_ENDPOINT}, privateLinkService: two, linkIdentifier: 1002 }
translation:
${translation}
`;

/** SYNs of ever other clients, as a raw socket sends them: no handshake is ever completed. Prints how many it sent. */
const FLOOD = `
import socket, struct, sys, time
to, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
destination = socket.inet_aton(to)
def field(octets):
    total = sum(struct.unpack('!%dH' % (len(octets) // 2), octets))
    total = (total & 0xffff) + (total >> 16)
    return 0xffff - ((total & 0xffff) + (total >> 16))
sent = 0
for n in range(count):
    source = struct.pack('!BBH', 10, 0, 256 + n // 8)
    tcp = struct.pack('!HHIIBBHHH', 1024 + n % 8, port, n, 0, 0x50, 2, 65535, 0, 0)
    tcp = tcp[:16] + struct.pack('!H', field(source + destination + struct.pack('!HH', 6, 20) + tcp)) + tcp[18:]
    header = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 40, 0, 0x4000, 64, 6, 0, source, destination)
    try:
        out.sendto(header + tcp, (to, 0))
        sent += 1
    except OSError:
        pass
    if n % 500 == 499: time.sleep(0.002)
print(sent)
`;

describe('limits, with real kernels', () => {
  const spaces = new Namespaces();
  let folder = '';
  let gateway: GatewayProcess | null = null;
  let server: Running | null = null;
  const held: Running[] = [];

  before(function () {
    needsTunDevice(this);
    needsCommand(this, 'python3');
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-limits-'));
  });

  afterEach(async () => {
    for (const each of held.splice(0)) each.kill();
    spaces.remove();
    await gateway?.stop();
    gateway = null;
    server = null;
    const names = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
    for (const name of names.filter((each) => each.startsWith(PREFIX))) ip('netns', 'delete', name);
  });
  after(() => {
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
  });

  async function up(name: string, translation: readonly string[]): Promise<GatewayProcess> {
    const file = path.join(folder, `${name}${id}.yaml`);
    writeFileSync(file, lab(translation.map((line) => `  ${line}`).join('\n')));
    gateway = new GatewayProcess(file, path.join(folder, name));
    await gateway.logged('ready');
    server = spaces.node(PROVIDER, 'idle-peer', 'serve', BACKEND, '7000', '7001');
    const other = spaces.node(PROVIDER, 'idle-peer', 'serve', OTHER_BACKEND, '7000');
    const echo = spaces.node(PROVIDER, 'net-peer', 'serve', BACKEND, '5300');
    for (const each of [server, other, echo]) assert.equal(await each.line(), 'ready');
    return gateway;
  }

  /** A connection that is open; its next line tells what became of it. */
  function hold(port: number, how: 'silent' | 'keepalive', seconds: number, to = ENDPOINT): Running {
    const running = spaces.node(RED, 'idle-peer', 'hold', to, String(port), how, String(seconds));
    held.push(running);
    return running;
  }

  async function opened(...args: Parameters<typeof hold>): Promise<Running> {
    const running = hold(...args);
    assert.equal(await running.line(), 'open');
    return running;
  }

  const inUse = (status: GatewayStatus): number => status.natPorts.reduce((n, { inUse }) => n + inUse, 0);
  const drops = (status: GatewayStatus, reason: 'nat-exhausted' | 'flow-limit' | 'midstream'): number =>
    status.drops[reason] ?? 0;

  /** The status once it is as wanted. */
  async function status(wanted: (status: GatewayStatus) => boolean, what: string): Promise<GatewayStatus> {
    let last = '';
    return until(
      () => `${what}; ${last}`,
      async () => {
        const now = await gateway!.status();
        const { natPorts, flows, drops } = now;
        last = JSON.stringify({ natPorts, flows, drops });
        return wanted(now) && now;
      },
      100,
    );
  }

  it('idle flows end silently and their ports return; keep-alives hold them; RST both ways where the rule asks', async () => {
    await up('idle', ['timeouts: { tcpEstablished: 4, udp: 4, portHold: 1 }']);
    const [silent, kept, told] = await Promise.all([
      opened(7000, 'silent', 12),
      opened(7000, 'keepalive', 12),
      opened(7001, 'silent', 12),
      spaces.node(RED, 'net-peer', 'udp', ENDPOINT, '53', '100').finished,
    ]);
    assert.equal(inUse(await gateway!.status()), 4);
    const resets = [told.line(), server!.line()];
    await status(({ flows }) => flows.live === 1, 'the one with keep-alives alone is left');
    // Both ends of the one, and no end of the other, were told.
    assert.deepEqual(await Promise.all(resets), ['reset', '7001 reset']);
    const ended = await status(({ natPorts }) => natPorts.every(({ held }) => held === 0), 'no port rests any more');
    assert.equal(inUse(ended), 1);
    assert.equal(ended.flows.expired, 3);
    const strays = drops(ended, 'midstream');
    assert.deepEqual(await Promise.all([silent.line(), kept.line()]), ['nothing', 'echo']);
    await status((now) => drops(now, 'midstream') > strays, 'what comes after the end is dropped');
  });

  it('the last port is used, the next flow is refused and counted, and service resumes when a port is free', async () => {
    await up('ports', [
      'natPorts: { first: 2000, count: 4 }',
      'timeouts: { tcpClosing: 0.5, tcpHalfOpen: 1, portHold: 0.5 }',
    ]);
    const four = await Promise.all([1, 2, 3, 4].map(() => opened(7000, 'silent', 600)));
    const { flows } = JSON.parse(await gateway!.ask('flows', '--json')) as { flows: { nat: string }[] };
    const nat = [2000, 2001, 2002, 2003].map((port) => `10.200.1.4:${port}`);
    assert.deepEqual(flows.map((flow) => flow.nat).sort(), nat);
    const fifth = hold(7000, 'silent', 600);
    const full = await status((now) => drops(now, 'nat-exhausted') > 0, 'the fifth is refused');
    assert.equal(inUse(full), 4);
    // Another backend has ports of its own.
    await opened(7000, 'silent', 600, OTHER_ENDPOINT);
    four[0]!.kill();
    // Its SYN comes again after 1, 3 and 7 s.
    assert.equal(await fifth.line(), 'open');
    assert.equal(inUse(await gateway!.status()), 5);
  });

  it('a flood of half-open connections takes bounded memory, is counted, and passes', async () => {
    const PORTS = 40_000;
    const FLOWS = 50_000;
    await up('flood', [
      `natPorts: { first: 1024, count: ${PORTS} }`,
      `maxFlows: ${FLOWS}`,
      'timeouts: { tcpHalfOpen: 15, tcpClosing: 1, portHold: 1 }',
    ]);
    // Each SYN-ACK that comes again would keep its flow.
    ip('netns', 'exec', PROVIDER, 'sysctl', '-qw', 'net.ipv4.tcp_synack_retries=0');
    const flood = async (to: string, count: number): Promise<number> =>
      Number(await spaces.run(RED, 'python3', '-c', FLOOD, to, '7000', String(count)));
    /** The status behind a flood: a gateway that had no turn for a while has not seen all of it, and gets more. */
    const after = async (to: string, wanted: (now: GatewayStatus) => boolean): Promise<GatewayStatus> => {
      let now = await gateway!.status();
      for (let i = 0; i < 5 && !wanted(now); i++) {
        await flood(to, 100_000);
        now = await gateway!.status();
      }
      return now;
    };
    const established = await opened(7000, 'silent', 8);
    const before = await gateway!.status();

    assert.ok((await flood(ENDPOINT, 200_000)) > 150_000);
    const used = ({ natPorts }: GatewayStatus): number =>
      natPorts.find(({ address }) => address === '10.200.1.4')!.inUse;
    const refused = (now: GatewayStatus): boolean => drops(now, 'nat-exhausted') > 100_000;
    const flooded = await after(ENDPOINT, (now) => used(now) === PORTS && refused(now));
    assert.equal(used(flooded), PORTS, 'every port');
    assert.ok(refused(flooded), JSON.stringify(flooded.drops));
    assert.equal(flooded.flows.live, PORTS);
    // Another service's connections come and go as ever.
    await opened(7000, 'silent', 600, OTHER_ENDPOINT);

    await flood(OTHER_ENDPOINT, 50_000);
    const full = await after(OTHER_ENDPOINT, (now) => drops(now, 'flow-limit') > 10_000);
    assert.ok(drops(full, 'flow-limit') > 10_000, 'the table is full');
    assert.ok(full.flows.live <= FLOWS);
    const grown = full.residentOctets - before.residentOctets;
    assert.ok(grown < 48 * MIB, `${(grown / MIB).toFixed(0)} MiB more`);

    assert.equal(await established.line(), 'echo', 'a connection from before goes on');
    await status(({ flows }) => flows.live <= 2, 'half-open flows end');
    await opened(7000, 'silent', 600);
    await flood(ENDPOINT, 60_000);
    const again = await gateway!.status();
    const more = again.residentOctets - full.residentOctets;
    assert.ok(more < 32 * MIB, `${(more / MIB).toFixed(0)} MiB more by a second flood`);
  });
});
