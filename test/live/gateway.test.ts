import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ip } from '../../src/device/tun/ip-command.js';
import { Gateway } from '../../src/gateway/gateway.js';
import { consumerNetwork, providerNetwork } from '../support/lab-networks.js';
import { needsCommand, needsTunDevice } from '../support/machine.js';
import { Namespaces } from '../support/namespaces.js';
import { quietestSecond, until } from '../support/until.js';
import { GatewayProcess } from './gateway-process.js';

const CLIENT = '10.0.0.5';
const ENDPOINT = '10.0.0.9';
const BACKEND = '10.200.2.4';
const MIB = 1 << 20;
/** Processor time of a second. */
const IDLE_MS = 5;

/** Of this run alone, whatever else goes on on the machine; named so that a later run sweeps what a killed one left. */
const id = String(process.pid);
const PREFIX = `culvert-test-${id}-90`;
const [RED, BLUE, PROVIDER] = [`${PREFIX}1`, `${PREFIX}2`, `${PREFIX}3`];

const lab = (redStatus = 'Approved'): string => `
virtualNetworks:
${consumerNetwork({ name: 'red', namespace: RED, hosts: [CLIENT], device: `r${id}` })}
${consumerNetwork({ name: 'blue', namespace: BLUE, hosts: [CLIENT], device: `b${id}` })}
${providerNetwork({ name: 'provider', namespace: PROVIDER, hosts: [BACKEND], device: `p${id}` })}
loadBalancers:
  lb:
    virtualNetwork: provider
    frontends: { web: 10.200.0.10 }
    backendPools: { web: [${BACKEND}] }
    rules:
      - { name: web, frontend: web, protocol: Tcp, frontendPort: 80, backendPool: web, backendPort: 8080 }
      - { name: whose, frontend: web, protocol: Tcp, frontendPort: 7000, backendPool: web, backendPort: 7000 }
      - { name: banner, frontend: web, protocol: Tcp, frontendPort: 25, backendPool: web, backendPort: 7001 }
      - { name: bulk, frontend: web, protocol: Tcp, frontendPort: 7002, backendPool: web, backendPort: 7002 }
      - { name: echo, frontend: web, protocol: Udp, frontendPort: 53, backendPool: web, backendPort: 5300 }
privateLinkServices:
  web:
    subnet: provider/nat
    ipConfigurations: [10.200.1.4]
    loadBalancerFrontend: lb/web
    enableProxyProtocol: true
    visibility: ['*']
    autoApproval: ['*']
privateEndpoints:
  red-web:
    { subnet: red/default, address: ${ENDPOINT}, privateLinkService: web, linkIdentifier: 1001, status: ${redStatus} }
  blue-web: { subnet: blue/default, address: ${ENDPOINT}, privateLinkService: web, linkIdentifier: 1002 }
gateway: { metricsPort: 0 }
`;

const nginxConfiguration = (folder: string): string => `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/nginx.log;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen ${BACKEND}:8080 proxy_protocol;
    location / { return 200 "$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_addr:$proxy_protocol_server_port $remote_addr\\n"; }
  }
}
`;

describe('culvert up, with real kernels and servers', () => {
  const spaces = new Namespaces();
  let folder = '';
  let file = '';
  let run = '';
  let gateway: GatewayProcess;

  const namespaces = (): string[] => (existsSync('/run/netns') ? readdirSync('/run/netns') : []);
  const ours = (): string[] => namespaces().filter((name) => name.startsWith(PREFIX));
  /** Interfaces of the lab that are in this process's own namespace. */
  const ourDevices = (): string[] =>
    [...readFileSync('/proc/net/dev', 'latin1').matchAll(/^\s*(\S+):/gm)]
      .map(([, device]) => device!)
      .filter((device) => [`r${id}`, `b${id}`, `p${id}`].includes(device));

  async function startServers(): Promise<void> {
    const peer = spaces.node(PROVIDER, 'link-peer', 'serve', BACKEND);
    const echo = spaces.node(PROVIDER, 'net-peer', 'serve', BACKEND, '5300');
    spaces.spawn(PROVIDER, 'nginx', '-c', path.join(folder, 'nginx.conf'), '-p', folder);
    assert.equal(await peer.line(), 'ready');
    assert.equal(await echo.line(), 'ready');
    await until('nginx', () => existsSync(path.join(folder, 'nginx.pid')));
  }

  before(async function () {
    needsTunDevice(this);
    needsCommand(this, 'nginx');
    needsCommand(this, 'curl');
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-gateway-'));
    file = path.join(folder, `lab${id}.yaml`);
    run = path.join(folder, 'run');
    writeFileSync(file, lab());
    writeFileSync(path.join(folder, 'nginx.conf'), nginxConfiguration(folder));
    gateway = new GatewayProcess(file, run);
    await gateway.logged('ready');
    await startServers();
  });

  after(async () => {
    if (folder === '') return;
    spaces.remove();
    await gateway.stop();
    for (const name of ours()) ip('netns', 'delete', name);
    rmSync(folder, { recursive: true, force: true });
  });

  const curl = (from: string, url: string, ...more: string[]): Promise<string> =>
    spaces.run(from, 'curl', '--http0.9', '--silent', '--show-error', '--max-time', '20', ...more, url);
  const whose = (from: string): Promise<string> => curl(from, `http://${ENDPOINT}:7000/`);

  it('tells two consumers with the same address apart, at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => whose(i % 2 === 0 ? RED : BLUE)));
    answers.forEach((answer, i) => {
      const linkId = i % 2 === 0 ? 1001 : 1002;
      assert.match(answer, new RegExp(`^LINKID ${linkId} from ${CLIENT}:\\d+ to ${ENDPOINT}:7000\n$`));
    });
  });

  it('gives nginx the consumer’s address and port, and the address that it asked for', async () => {
    const answer = await curl(RED, `http://${ENDPOINT}/`, '--local-port', '41000');
    assert.equal(answer, `${CLIENT}:41000 ${ENDPOINT}:80 10.200.1.4\n`);
  });

  it('lets a server speak first', async () => {
    const line = await spaces.node(BLUE, 'link-peer', 'banner', ENDPOINT, '25').finished;
    assert.match(line, new RegExp(`^LINKID 1002 from ${CLIENT}:\\d+ to ${ENDPOINT}:25\n$`));
  });

  it('carries datagrams both ways, fragmented ones too', async () => {
    const sizes = [0, 1, 512, 1472, 3000, 20_000];
    const answers = await Promise.all(
      [RED, BLUE].map((from) => spaces.node(from, 'net-peer', 'udp', ENDPOINT, '53', ...sizes.map(String)).finished),
    );
    for (const answer of answers) assert.deepEqual(JSON.parse(answer), { same: sizes });
  });

  it('carries 64 MiB each way, octet for octet', async () => {
    const answer = await spaces.node(RED, 'link-peer', 'bulk', ENDPOINT, '7002', String(64 * MIB)).finished;
    const { out, back } = JSON.parse(answer) as { out: boolean; back: boolean };
    assert.deepEqual({ out, back }, { out: true, back: true });
    const { services, lost } = await gateway.status();
    const red = services[0]!.endpoints.find((e) => e.name === 'red-web')!;
    assert.ok(red.octetsIn > 64 * MIB && red.octetsOut > 64 * MIB);
    assert.equal(lost, 0);
  });

  it('lets nothing through to an address that is no endpoint', async () => {
    const before = (await gateway.status()).drops['no-endpoint'] ?? 0;
    await assert.rejects(curl(RED, 'http://10.0.0.77:7000/', '--max-time', '1'), /timed out|Timeout/i);
    assert.ok(((await gateway.status()).drops['no-endpoint'] ?? 0) > before);
  });

  it('tells its flows, and its numbers to Prometheus', async () => {
    const holding = spaces.node(BLUE, 'link-peer', 'hold', ENDPOINT, '25');
    await holding.line();
    await holding.line();
    interface Flows {
      flows: { consumer: string; backend: string; linkId: number; header: string; state: string }[];
    }
    const { flows } = JSON.parse(await gateway.ask('flows', '--json', '--port', '25')) as Flows;
    const flow = flows.find((each) => each.state === 'established');
    assert.ok(flow !== undefined, JSON.stringify(flows));
    assert.equal(flow.linkId, 1002);
    assert.equal(flow.header, 'acknowledged');
    assert.equal(flow.backend, `${BACKEND}:7001`);
    assert.match(await gateway.ask('flows', '--address', CLIENT), /established +acknowledged/);
    assert.deepEqual(
      Object.keys(JSON.parse(await gateway.ask('status', '--json')) as object),
      Object.keys(await gateway.status()),
    );
    assert.match(await gateway.ask('status'), /blue-web +blue +10\.0\.0\.9 +web +1002 +approved/);
    const { port } = new URL(String(gateway.log.find((line) => line.msg === 'metrics')!['url']));
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    assert.match(metrics, /^PEBytesIn\{endpoint="blue-web",network="blue",service="web"\} [1-9]/m);
    assert.match(metrics, /^culvert_headers_inserted_total [1-9]/m);
    assert.match(metrics, /^culvert_header_acks_absorbed_total [1-9]/m, 'real backends acknowledge a header at once');
    assert.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200);
    holding.kill();
  });

  it('stops a connection at once when its approval is withdrawn, and takes it back', async () => {
    const [red, blue] = [RED, BLUE].map((from) => spaces.node(from, 'link-peer', 'hold', ENDPOINT, '25'));
    for (const holding of [red!, blue!]) {
      assert.match(await holding.line(), /LINKID/);
      assert.equal(await holding.line(), 'echo');
    }
    const logged = gateway.log.length;
    writeFileSync(file, lab('Rejected'));
    const taken = await gateway.logged('lab file taken', logged);
    assert.ok(Number(taken['flowsEnded']) >= 1);
    await assert.rejects(whoseQuick(RED), /timed out|Timeout/i);
    const { drops, services } = await gateway.status();
    assert.ok(drops['not-approved']! > 0);
    assert.equal(services[0]!.endpoints.find((e) => e.name === 'red-web')!.approved, false);
    const flows = await gateway.ask('flows', '--json', '--port', '25');
    assert.ok(!flows.includes('"linkId": 1001'), flows);
    assert.equal(await blue!.line(), 'echo', 'the other consumer goes on');
    writeFileSync(file, lab());
    await gateway.logged('lab file taken', gateway.log.length);
    assert.match(await whose(RED), /^LINKID 1001/);
    for (const holding of [red!, blue!]) holding.kill();
  });

  const whoseQuick = (from: string): Promise<string> => curl(from, `http://${ENDPOINT}:7000/`, '--max-time', '1');

  it('keeps the last good lab when the file has mistakes, and says so', async () => {
    const logged = gateway.log.length;
    writeFileSync(file, lab().replace('privateLinkService: web', 'privateLinkService: wbe'));
    const refused = await gateway.logged('the lab file was not taken', logged);
    assert.equal(refused.level, 'error');
    assert.match(refused.msg, /CONFIG_UNKNOWN_REFERENCE/);
    assert.match(await whose(RED), /^LINKID 1001/);
    assert.match((await gateway.status()).reloads.mistakes.join('\n'), /did you mean 'web'/);
    writeFileSync(file, lab());
    await gateway.logged('lab file taken', logged);
    const again = gateway.log.length;
    gateway.signal('SIGHUP');
    await gateway.logged('lab file taken', again);
  });

  it('takes its file again after a SIGHUP that comes while it starts', async () => {
    const other = path.join(folder, `other${id}.yaml`);
    // Threads are awaited; what a start does otherwise leaves the event loop no turn in which a signal could be heard.
    const text = lab().replaceAll(PREFIX, `culvert-test-${id}-91`);
    writeFileSync(other, text.replace('metricsPort: 0', 'metricsPort: 0, workers: 2'));
    const starting = new GatewayProcess(other, run);
    try {
      // Its record is made once the file has been read, and before what takes time.
      await until('its record', () => existsSync(path.join(run, `other${id}.json`)), 1);
      starting.signal('SIGHUP');
      await starting.logged('lab file taken');
    } finally {
      assert.equal(await starting.stop(), 0);
    }
  });

  it('takes no processor time while idle, with live flows', async () => {
    assert.ok((await gateway.status()).flows.live > 0);
    const least = await quietestSecond(() => gateway.cpuMs(), IDLE_MS);
    assert.ok(least < IDLE_MS, `${least.toFixed(1)} ms in the quietest second`);
  });

  it('refuses a second gateway of the same lab', async () => {
    const second = new GatewayProcess(file, run);
    assert.equal(await second.ended, 7);
    assert.match(second.errors, /GATEWAY_ALREADY_RUNNING/);
    assert.match(await whose(BLUE), /^LINKID 1002/);
  });

  it('starts again after kill -9, with servers that went on', async () => {
    gateway.signal('SIGKILL');
    assert.equal(await gateway.ended, 'SIGKILL');
    assert.equal(ours().length, 3, 'the namespaces are left behind');
    gateway = new GatewayProcess(file, run);
    await gateway.logged('ready');
    assert.ok(gateway.log.some((line) => line.msg.startsWith('the last run was killed')));
    assert.match(await whose(RED), /^LINKID 1001/);
    assert.match(await whose(BLUE), /^LINKID 1002/);
  });

  it('ends in order when an interface is removed under it', async () => {
    ip('-n', BLUE, 'link', 'delete', 'dev', `b${id}`);
    assert.equal(await gateway.ended, 7);
    assert.match(gateway.errors, /GATEWAY_DEVICE_LOST/);
    assert.deepEqual(ours(), []);
    gateway = new GatewayProcess(file, run);
    await gateway.logged('ready');
  });

  it('leaves nothing behind when it ends', async () => {
    assert.equal(ours().length, 3);
    assert.equal(await gateway.stop(), 0);
    assert.deepEqual(ours(), []);
    assert.equal(existsSync(run), false);
    assert.deepEqual(ourDevices(), []);
  });

  it('comes and goes ten times without a trace', async () => {
    const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const trace = (): string[] => [...ours(), ...readdirSync('/proc/self/fd').map(() => 'descriptor'), ...ourDevices()];
    let before = 0;
    for (let i = 0; i < 10; i++) {
      const one = await Gateway.start({ lab: file, log: silent, runDirectory: run });
      await one.stop();
      if (i === 0) before = trace().length; // what the first start loads for good, such as the addon, is no trace
    }
    // What is closed at last goes a moment later.
    await until(
      () => `as little as before: ${trace().join()}, for ${before}`,
      () => trace().length <= before,
    );
    assert.equal(existsSync(run), false);
  });
});
