import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ip } from '../../src/device/tun/ip-command.js';
import { ControlClient, findSocket } from '../../src/gateway/control-client.js';
import type { GatewayStatus } from '../../src/gateway/status.js';
import { consumerNetwork, providerNetwork } from '../support/lab-networks.js';
import { needsCommand, needsTunDevice } from '../support/machine.js';
import { Namespaces, type Running } from '../support/namespaces.js';
import { GatewayProcess, type Logged } from './gateway-process.js';

const CLIENT = '10.0.0.5';
const ENDPOINT = '10.0.0.9';
const PLAIN_ENDPOINT = '10.0.0.10';
const ONE = '10.200.2.4';
const TWO = '10.200.2.5';
/** Milliseconds: Azure's shortest interval, and what a busy machine may add. */
const INTERVAL_MS = 5000;
const SLACK_MS = 1500;

const id = String(process.pid);
const PREFIX = `culvert-test-${id}-80`;
const [RED, PROVIDER] = [`${PREFIX}1`, `${PREFIX}2`];

const probe = (protocol: string, port: number, more = ''): string =>
  `{ protocol: ${protocol}, port: ${String(port)}, intervalInSeconds: 5${more} }`;
const rule = (name: string, port: number, backendPort: number, probeName: string, protocol = 'Tcp'): string =>
  `      - { name: ${name}, frontend: web, protocol: ${protocol}, frontendPort: ${String(port)}, backendPool: all,` +
  ` backendPort: ${String(backendPort)}, probe: ${probeName} }`;

/** Two load balancers over the same two backends: on one the services have the header, or not; on the other never. */
const lab = (header: boolean): string => `
virtualNetworks:
${consumerNetwork({ name: 'red', namespace: RED, hosts: [CLIENT], device: `r${id}` })}
${providerNetwork({ name: 'provider', namespace: PROVIDER, hosts: [ONE, TWO], device: `p${id}` })}
loadBalancers:
  lb:
    virtualNetwork: provider
    frontends: { web: 10.200.0.10 }
    backendPools: { all: [${ONE}, ${TWO}] }
    probes:
      http: ${probe('Http', 8080, ', requestPath: /health')}
      https: ${probe('Https', 8443, ', requestPath: /health')}
      unaware: ${probe('Http', 8081, ', requestPath: /')}
      tcp: ${probe('Tcp', 9000, ', numberOfProbes: 1')}
    rules:
${rule('who', 7000, 9000, 'http')}
${rule('whoUdp', 7000, 9000, 'http', 'Udp')}
${rule('tls', 443, 8443, 'https')}
${rule('unaware', 81, 8081, 'unaware')}
${rule('tcp', 7001, 9000, 'tcp')}
  plain:
    virtualNetwork: provider
    frontends: { web: 10.200.0.11 }
    backendPools: { all: [${ONE}] }
    probes:
      aware: ${probe('Http', 8080, ', requestPath: /health')}
      unaware: ${probe('Http', 8081, ', requestPath: /')}
    rules:
${rule('aware', 80, 8080, 'aware')}
${rule('unaware', 81, 8081, 'unaware')}
privateLinkServices:
  web:
    subnet: provider/nat
    ipConfigurations: [10.200.1.4]
    loadBalancerFrontend: lb/web
    enableProxyProtocol: ${String(header)}
    visibility: ['*']
    autoApproval: ['*']
  plain:
    subnet: provider/nat
    ipConfigurations: [10.200.1.5]
    loadBalancerFrontend: plain/web
    visibility: ['*']
    autoApproval: ['*']
privateEndpoints:
  web: { subnet: red/default, address: ${ENDPOINT}, privateLinkService: web, linkIdentifier: 1001 }
  plain: { subnet: red/default, address: ${PLAIN_ENDPOINT}, privateLinkService: plain, linkIdentifier: 1002 }
gateway: { metricsPort: 0 }
`;

const nginxServer = (folder: string, address: string): string => `
  server {
    listen ${address}:8080 proxy_protocol;
    listen ${address}:8443 ssl proxy_protocol;
    ssl_certificate ${folder}/self.crt;
    ssl_certificate_key ${folder}/self.key;
    location /health { if (!-f ${folder}/${address}.ok) { return 500; } return 200 "$proxy_protocol_addr\\n"; }
  }
  server {
    listen ${address}:8081;
    location / { return 200 "$remote_addr\\n"; }
  }
`;

const nginxConfiguration = (folder: string): string => `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/nginx.log;
events {}
http {
  log_format probe '$remote_addr $server_port $status "$request" "$http_user_agent"';
  access_log ${folder}/access.log probe;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
${nginxServer(folder, ONE)}${nginxServer(folder, TWO)}
}
`;

describe('health probes, with real kernels and servers', function () {
  this.timeout(60_000);
  const spaces = new Namespaces();
  let folder = '';
  let file = '';
  let gateway: GatewayProcess;
  const servers = new Map<string, Running>();

  const ours = (): string[] =>
    (existsSync('/run/netns') ? readdirSync('/run/netns') : []).filter((name) => name.startsWith(PREFIX));
  const okFile = (backend: string): string => path.join(folder, `${backend}.ok`);

  async function status(): Promise<GatewayStatus> {
    const client = await ControlClient.connect(findSocket(file, path.join(folder, 'run')));
    try {
      return (await client.ask({ command: 'status' })) as GatewayStatus;
    } finally {
      client.close();
    }
  }

  /** Health by `load-balancer/probe backend`, once it is as wanted. */
  async function healthIs(wanted: Record<string, string>, withinMs = INTERVAL_MS + SLACK_MS): Promise<void> {
    const until = performance.now() + withinMs;
    for (;;) {
      const { probes } = await status();
      const now = Object.fromEntries(probes.map((p) => [`${p.loadBalancer}/${p.probe} ${p.backend}`, p.health]));
      const seen = Object.fromEntries(Object.keys(wanted).map((key) => [key, now[key]]));
      if (performance.now() > until) assert.deepEqual(seen, wanted, JSON.stringify(probes, null, 1));
      if (JSON.stringify(seen) === JSON.stringify(wanted)) return;
      await sleep(50);
    }
  }

  async function reasonOf(name: string, backend: string): Promise<string | null> {
    const { probes } = await status();
    return probes.find((p) => `${p.loadBalancer}/${p.probe}` === name && p.backend === backend)!.reason;
  }

  const whoOf = (line: string): string => line.split(' ')[0]!;
  const answers = (running: Running): { who: string; at: number }[] =>
    running.lines.flatMap((line) => {
      const [who = '', at = ''] = line.split(' ');
      return at === '' ? [] : [{ who, at: Number(at) }];
    });
  const timeOf = (line: Logged): number => Date.parse(String(line['time']));

  async function changed(msg: string, probeName: string, backend: string, after: number): Promise<Logged> {
    for (let from = after; ;) {
      const found = await gateway.logged(msg, from);
      if (found['probe'] === probeName && found['loadBalancer'] === 'lb' && found['backend'] === backend) return found;
      from = gateway.log.indexOf(found) + 1;
    }
  }

  async function scrape(): Promise<string> {
    const { port } = new URL(String(gateway.log.find((line) => line.msg === 'metrics')!['url']));
    return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  }

  const dip = (backend: string, value: number): RegExp =>
    new RegExp(
      `^DipAvailability\\{loadBalancer="lb",frontendAddress="10.200.0.10",frontendPort="7000",protocol="Tcp",` +
        `backendAddress="${backend}",backendPort="9000"\\} ${String(value)}$`,
      'm',
    );

  async function serve(backend: string): Promise<void> {
    const running = spaces.node(PROVIDER, 'probe-peer', 'serve', backend, '9000');
    servers.set(backend, running);
    assert.equal(await running.line(), 'ready');
  }

  before(async function () {
    needsTunDevice(this);
    needsCommand(this, 'nginx');
    needsCommand(this, 'openssl');
    needsCommand(this, 'curl');
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-probes-'));
    file = path.join(folder, `lab${id}.yaml`);
    writeFileSync(file, lab(true));
    writeFileSync(path.join(folder, 'nginx.conf'), nginxConfiguration(folder));
    for (const backend of [ONE, TWO]) writeFileSync(okFile(backend), '');
    gateway = new GatewayProcess(file, path.join(folder, 'run'));
    await gateway.logged('ready');
    await spaces.run(
      PROVIDER,
      ...(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'] as const),
      ...['-keyout', `${folder}/self.key`, '-out', `${folder}/self.crt`, '-days', '2', '-subj', '/CN=self'],
    );
    spaces.spawn(PROVIDER, 'nginx', '-c', path.join(folder, 'nginx.conf'), '-p', folder);
    await Promise.all([serve(ONE), serve(TWO)]);
  });

  after(async () => {
    if (folder === '') return;
    spaces.remove();
    await gateway.stop();
    for (const name of ours()) ip('netns', 'delete', name);
    rmSync(folder, { recursive: true, force: true });
  });

  it('finds servers that come after it within seconds, over TCP, HTTP and HTTPS, with the header', async () => {
    await healthIs(
      {
        [`lb/http ${ONE}`]: 'up',
        [`lb/http ${TWO}`]: 'up',
        [`lb/https ${ONE}`]: 'up',
        [`lb/https ${TWO}`]: 'up',
        [`lb/tcp ${ONE}`]: 'up',
        [`lb/tcp ${TWO}`]: 'up',
      },
      3000,
    );
  });

  it('begins each probe with a LOCAL header where one service has the header, so that the server sees who probes', async () => {
    const seen = readFileSync(path.join(folder, 'access.log'), 'utf8');
    assert.match(seen, /^168\.63\.129\.16 8080 200 "GET \/health HTTP\/1\.1" "Load Balancer Agent"$/m);
    assert.match(seen, /^168\.63\.129\.16 8443 200 "GET \/health HTTP\/1\.1" "Load Balancer Agent"$/m);
    // As in Azure: who does not expect the header fails, and so does who expects it where none is sent.
    await healthIs({ [`lb/unaware ${ONE}`]: 'down', [`plain/aware ${ONE}`]: 'down', [`plain/unaware ${ONE}`]: 'up' });
    assert.equal(await reasonOf('lb/unaware', ONE), 'HTTP status 400');
    assert.match((await reasonOf('plain/aware', ONE))!, /without an answer|reset/);
    const before = (await status()).drops['no-healthy-backend'] ?? 0;
    await assert.rejects(spaces.run(RED, 'curl', '-sS', '--max-time', '0.5', `http://${ENDPOINT}:81/`), /timed out/i);
    assert.match(await spaces.run(RED, 'curl', '-sS', `http://${PLAIN_ENDPOINT}:81/`), /^10\.200\.1\.5$/m);
    assert.ok((await status()).drops['no-healthy-backend']! > before);
  });

  it('moves new connections and UDP off a backend that answers 500, not what is established, and back on', async () => {
    const holding = Array.from({ length: 4 }, () => spaces.node(RED, 'probe-peer', 'hold', ENDPOINT, '7000'));
    const talking = Array.from({ length: 6 }, () => spaces.node(RED, 'probe-peer', 'udp', ENDPOINT, '7000'));
    const opening = spaces.node(RED, 'probe-peer', 'new', ENDPOINT, '7000');
    const first = await Promise.all([...holding, ...talking, opening].map(async (each) => whoOf(await each.line())));
    const victim = first[0]!;
    const other = victim === ONE ? TWO : ONE;

    const from = gateway.log.length;
    rmSync(okFile(victim));
    const broken = Date.now();
    const down = await changed('backend down', 'http', victim, from);
    assert.equal(down['reason'], 'HTTP status 500');
    assert.ok(timeOf(down) - broken <= INTERVAL_MS + SLACK_MS, `${String(timeOf(down) - broken)} ms`);
    await sleep(700);
    const wrong = answers(opening).filter(({ who, at }) => who === victim && at > timeOf(down) + 50);
    assert.deepEqual(wrong, [], 'no new connection');
    for (const [i, each] of holding.entries()) {
      const own = answers(each);
      assert.ok(own.every(({ who }) => who === first[i]) && own.at(-1)!.at > timeOf(down) + 300, 'established');
    }
    for (const each of talking) assert.equal(answers(each).at(-1)!.who, other, 'UDP');
    const metrics = await scrape();
    assert.match(metrics, dip(victim, 0));
    assert.match(metrics, dip(other, 100));
    assert.match(
      metrics,
      /^VipAvailability\{loadBalancer="lb",frontendAddress="10.200.0.10",frontendPort="7000",protocol="Tcp"\} 100$/m,
    );
    assert.match(await gateway.ask('status'), new RegExp(`http +Http +${victim}:8080 +down .*HTTP status 500`));

    writeFileSync(okFile(victim), '');
    const mended = Date.now();
    const up = await changed('backend up', 'http', victim, from);
    assert.ok(timeOf(up) - mended <= INTERVAL_MS + SLACK_MS, `${String(timeOf(up) - mended)} ms`);
    await sleep(500);
    assert.ok(answers(opening).some(({ who, at }) => who === victim && at > timeOf(up)));
    for (const each of [...holding, ...talking, opening]) each.kill();
  });

  it('takes out a backend whose port refuses', async () => {
    const from = gateway.log.length;
    servers.get(TWO)!.kill();
    const refused = await changed('backend down', 'tcp', TWO, from);
    assert.equal(refused['reason'], 'connection refused');
    await healthIs({ [`lb/http ${TWO}`]: 'up', [`lb/tcp ${ONE}`]: 'up' });
    await serve(TWO);
  });

  it('probes anew when the lab changes; established connections stay though no backend is healthy', async () => {
    const holding = spaces.node(RED, 'probe-peer', 'hold', ENDPOINT, '7000');
    await holding.line();
    const from = gateway.log.length;
    writeFileSync(file, lab(false));
    await gateway.logged('lab file taken', from);
    // Without the header all is the other way round.
    await healthIs({ [`lb/unaware ${ONE}`]: 'up', [`lb/http ${ONE}`]: 'down', [`lb/http ${TWO}`]: 'down' });
    await sleep(300);
    const since = answers(holding).at(-1)!.at;
    assert.ok(Date.now() - since < 300);
    assert.match(await scrape(), /^VipAvailability\{[^}]*frontendPort="7000",protocol="Udp"\} 0$/m);
    await assert.rejects(spaces.run(RED, 'curl', '-sS', '--max-time', '0.5', `http://${ENDPOINT}:7000/`), /timed out/i);
    assert.match(await spaces.run(RED, 'curl', '-sS', `http://${ENDPOINT}:81/`), /^10\.200\.1\.4$/m);
    holding.kill();
  });
});
