import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ip } from '../../src/device/tun/ip-command.js';
import { consumerNetwork, providerNetwork } from '../support/lab-networks.js';
import { needsCommand, needsTunDevice } from '../support/machine.js';
import { Namespaces, type Running } from '../support/namespaces.js';
import { until } from '../support/until.js';
import { GatewayProcess, type Logged } from './gateway-process.js';

const CLIENT = '10.0.0.5';
const ENDPOINT = '10.0.0.9';
const PLAIN_ENDPOINT = '10.0.0.10';
const ONE = '10.200.2.4';
const TWO = '10.200.2.5';

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
  log_format probe '$msec $server_addr $remote_addr $server_port $status "$request" "$http_user_agent"';
  access_log ${folder}/access.log probe;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
${nginxServer(folder, ONE)}${nginxServer(folder, TWO)}
}
`;

describe('health probes, with real kernels and servers', () => {
  const spaces = new Namespaces();
  let folder = '';
  let file = '';
  let gateway: GatewayProcess;
  const servers = new Map<string, Running>();

  const ours = (): string[] =>
    (existsSync('/run/netns') ? readdirSync('/run/netns') : []).filter((name) => name.startsWith(PREFIX));
  const okFile = (backend: string): string => path.join(folder, `${backend}.ok`);

  /** Waits until health, by `load-balancer/probe backend`, is as wanted. */
  async function healthIs(wanted: Record<string, string>): Promise<void> {
    let last = '';
    await until(
      () => `${JSON.stringify(wanted)}, not ${last}`,
      async () => {
        const { probes } = await gateway.status();
        last = JSON.stringify(probes, null, 1);
        const now = Object.fromEntries(probes.map((p) => [`${p.loadBalancer}/${p.probe} ${p.backend}`, p.health]));
        return Object.entries(wanted).every(([key, health]) => now[key] === health);
      },
      50,
    );
  }

  async function reasonOf(name: string, backend: string): Promise<string | null> {
    const { probes } = await gateway.status();
    return probes.find((p) => `${p.loadBalancer}/${p.probe}` === name && p.backend === backend)!.reason;
  }

  const accessLog = (): string[] => readFileSync(path.join(folder, 'access.log'), 'utf8').trimEnd().split('\n');

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

  it('finds servers that come after it, over TCP, HTTP and HTTPS, with the header', async () => {
    await healthIs({
      [`lb/http ${ONE}`]: 'up',
      [`lb/http ${TWO}`]: 'up',
      [`lb/https ${ONE}`]: 'up',
      [`lb/https ${TWO}`]: 'up',
      [`lb/tcp ${ONE}`]: 'up',
      [`lb/tcp ${TWO}`]: 'up',
    });
  });

  it('begins each probe with a LOCAL header where one service has the header, so that the server sees who probes', async () => {
    // The server writes its log when it has answered.
    for (const port of [8080, 8443]) {
      const seen = `168.63.129.16 ${String(port)} 200 "GET /health HTTP/1.1" "Load Balancer Agent"`;
      await until(seen, () => accessLog().some((line) => line.endsWith(` ${seen}`)));
    }
    // As in Azure: who does not expect the header fails, and so does who expects it where none is sent.
    await healthIs({ [`lb/unaware ${ONE}`]: 'down', [`plain/aware ${ONE}`]: 'down', [`plain/unaware ${ONE}`]: 'up' });
    assert.equal(await reasonOf('lb/unaware', ONE), 'HTTP status 400');
    assert.match((await reasonOf('plain/aware', ONE))!, /without an answer|reset/);
    const before = (await gateway.status()).drops['no-healthy-backend'] ?? 0;
    await assert.rejects(spaces.run(RED, 'curl', '-sS', '--max-time', '0.5', `http://${ENDPOINT}:81/`), /timed out/i);
    assert.match(await spaces.run(RED, 'curl', '-sS', `http://${PLAIN_ENDPOINT}:81/`), /^10\.200\.1\.5$/m);
    assert.ok((await gateway.status()).drops['no-healthy-backend']! > before);
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
    const down = await changed('backend down', 'http', victim, from);
    assert.equal(down['reason'], 'HTTP status 500');
    await gateway.status(); // whatever it does with that is done
    const since = Date.now();
    const later = (running: Running): { who: string }[] => answers(running).filter(({ at }) => at > since);
    await until('ten new connections', () => later(opening).length >= 10);
    assert.deepEqual(
      later(opening).filter(({ who }) => who === victim),
      [],
    );
    for (const [i, each] of holding.entries()) {
      await until('answers over what is established', () => later(each).length >= 3);
      assert.ok(answers(each).every(({ who }) => who === first[i]));
    }
    for (const each of talking) await until('UDP elsewhere', () => answers(each).at(-1)!.who === other);
    const metrics = await scrape();
    assert.match(metrics, dip(victim, 0));
    assert.match(metrics, dip(other, 100));
    assert.match(
      metrics,
      /^VipAvailability\{loadBalancer="lb",frontendAddress="10.200.0.10",frontendPort="7000",protocol="Tcp"\} 100$/m,
    );
    assert.match(await gateway.ask('status'), new RegExp(`http +Http +${victim}:8080 +down .*HTTP status 500`));

    writeFileSync(okFile(victim), '');
    const up = await changed('backend up', 'http', victim, from);
    await until('a new connection to it', () =>
      answers(opening).some(({ who, at }) => who === victim && at > timeOf(up)),
    );
    const failed = accessLog().filter((line) => {
      const [at = '', server, , port, code] = line.split(' ');
      return server === victim && port === '8080' && code === '500' && Number(at) * 1000 <= timeOf(down);
    });
    assert.equal(failed.length, 1, 'the first answer of 500 was enough');
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
    const since = Date.now();
    await until('an answer', () => answers(holding).at(-1)!.at > since);
    assert.match(await scrape(), /^VipAvailability\{[^}]*frontendPort="7000",protocol="Udp"\} 0$/m);
    await assert.rejects(spaces.run(RED, 'curl', '-sS', '--max-time', '0.5', `http://${ENDPOINT}:7000/`), /timed out/i);
    assert.match(await spaces.run(RED, 'curl', '-sS', `http://${ENDPOINT}:81/`), /^10\.200\.1\.4$/m);
    holding.kill();
  });
});
