/**
 * The two ends and what stands between them:
 *
 *   client's namespace                                                     server's namespace
 *     10.10.0.5 ─ TUN ────────────── culvert up ────────────── TUN ── 10.200.2.4   nginx, peer.c
 *     10.1.0.5 ── veth ── nftables 10.1.0.9, HAProxy 10.1.0.10, ── veth ── 10.2.0.4
 *                         nginx stream 10.1.0.11 (middle namespace)
 *     10.90.0.5 ─ TUN ────────────── relay.c ────────────────── TUN ── 10.91.0.9
 *
 * All contenders are up all the time, and a row asks one of them at a time: one that is not asked has nothing to do. The
 * servers are the same for all. nftables gives them no PROXY header, HAProxy and Culvert one of version 2, nginx one of
 * version 1, which is all that it can write.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ip } from '../../src/device/tun/ip-command.js';
import { Namespaces, type Running } from '../../test/support/namespaces.js';

/** nginx answers here without a PROXY header, */
const HTTP = 8080;
/** and here with one. */
const HTTP_PROXY = 8081;
/** Where clients find it. */
export const HTTP_FRONT = 80;
/** peer.c, which takes both. */
export const PEER = 7000;

/** As long as Culvert's own pump waits at most (src/gateway/pump.ts). */
const RELAY_WAIT_US = '60';

const SERVER = '10.2.0.4';
const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';

export interface Contender {
  readonly name: string;
  /** What clients connect to. */
  readonly address: string;
  /** It can forward UDP. */
  readonly udp: boolean;
  /** Its processes; none: it is the kernel. */
  readonly pids: readonly number[];
}

/** A `culvert up`. */
export interface Gateway {
  readonly name: string;
  /** Arguments of node: its own options, and the program. */
  readonly command: readonly string[];
  /** Threads that move packets. */
  readonly workers: number;
  /** Whether it inserts a header. */
  readonly header: boolean;
}

const nftRules = `
table ip bench {
  chain pre {
    type nat hook prerouting priority dstnat;
    ip daddr 10.1.0.9 tcp dport ${HTTP_FRONT} dnat to ${SERVER}:${HTTP}
    ip daddr 10.1.0.9 meta l4proto { tcp, udp } th dport ${PEER} dnat to ${SERVER}:${PEER}
  }
  chain post {
    type nat hook postrouting priority srcnat;
    ip daddr ${SERVER} ip saddr 10.1.0.5 snat to 10.2.0.9
  }
}
`;

const haproxyConfiguration = `
global
  nbthread 2
  maxconn 2000
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen http
  bind 10.1.0.10:${HTTP_FRONT} backlog 4096
  server s ${SERVER}:${HTTP_PROXY} send-proxy-v2
listen peer
  bind 10.1.0.10:${PEER}
  server s ${SERVER}:${PEER} send-proxy-v2
`;

const nginxCommon = (folder: string): string => `
daemon off;
worker_rlimit_nofile 20000;
pid ${folder}/nginx.pid;
error_log ${folder}/nginx.log;
events { worker_connections 8192; }
`;

const nginxServer = (folder: string): string => `${nginxCommon(folder)}
worker_processes 1;
http {
  access_log off;
  keepalive_requests 1000000000;
${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((each) => `  ${each}_temp_path ${folder}/${each};`).join('\n')}
  server { listen ${HTTP} backlog=4096; listen ${HTTP_FRONT} backlog=4096; return 200 "ok\\n"; }
  server { listen ${HTTP_PROXY} proxy_protocol backlog=4096; return 200 "ok\\n"; }
}
`;

const nginxStream = (folder: string): string => `load_module ${STREAM_MODULE};
${nginxCommon(folder)}
worker_processes 2;
stream {
  proxy_half_close on;
  server { listen 10.1.0.11:${HTTP_FRONT} backlog=4096; proxy_pass ${SERVER}:${HTTP_PROXY}; proxy_protocol on; }
  server { listen 10.1.0.11:${PEER}; proxy_pass ${SERVER}:${PEER}; proxy_protocol on; }
  server { listen 10.1.0.11:${PEER} udp; proxy_pass ${SERVER}:${PEER}; }
}
`;

/** Networks 10.(10+n).0.0/16 and 10.(200+n).0.0/16: clients tell gateways that stand side by side apart. */
const lab = (client: string, server: string, n: number, { workers, header }: Gateway): string => `
virtualNetworks:
  consumer${n}:
    addressSpace: [10.${10 + n}.0.0/16]
    subnets: { default: 10.${10 + n}.0.0/24 }
    namespace: ${client}
    hosts: [10.${10 + n}.0.5]
  provider${n}:
    addressSpace: [10.${200 + n}.0.0/16]
    subnets:
      frontend: 10.${200 + n}.0.0/24
      nat: { addressPrefix: 10.${200 + n}.1.0/24, privateLinkServiceNetworkPolicies: Disabled }
      backend: 10.${200 + n}.2.0/24
    namespace: ${server}
    hosts: [10.${200 + n}.2.4]
loadBalancers:
  lb:
    virtualNetwork: provider${n}
    frontends: { web: 10.${200 + n}.0.10 }
    backendPools: { web: [10.${200 + n}.2.4] }
    rules:
      - { name: http, frontend: web, protocol: Tcp, frontendPort: ${HTTP_FRONT}, backendPool: web, backendPort: ${header ? HTTP_PROXY : HTTP} }
      - { name: peer, frontend: web, protocol: Tcp, frontendPort: ${PEER}, backendPool: web, backendPort: ${PEER} }
      - { name: datagrams, frontend: web, protocol: Udp, frontendPort: ${PEER}, backendPool: web, backendPort: ${PEER} }
privateLinkServices:
  web:
    subnet: provider${n}/nat
    ipConfigurations: [10.${200 + n}.1.4]
    loadBalancerFrontend: lb/web
    enableProxyProtocol: ${header}
    visibility: ['*']
    autoApproval: ['*']
privateEndpoints:
  web: { subnet: consumer${n}/default, address: 10.${10 + n}.0.9, privateLinkService: web, linkIdentifier: 1001 }
${workers > 1 ? `gateway: { workers: ${String(workers)} }` : ''}
`;

/** A process and those that it made. */
function family(pid: number): number[] {
  const children = readdirSync(`/proc/${String(pid)}/task`).flatMap((task) =>
    readFileSync(`/proc/${String(pid)}/task/${task}/children`, 'latin1')
      .split(' ')
      .filter(Boolean)
      .map(Number),
  );
  return [pid, ...children.flatMap(family)];
}

/** Servers listen this long after their start. @throws Error with what one said that has ended by then */
async function settled(server: Running): Promise<void> {
  const early = server.finished.then(() => Promise.reject(new Error('a server ended at once')));
  await Promise.race([early, new Promise((resolve) => setTimeout(resolve, 500))]);
}

/** A command that lives in the system's folders too. */
const present = (command: string): boolean =>
  `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`.split(':').some((folder) => existsSync(path.join(folder, command)));

export class LiveTopology {
  readonly contenders: Contender[] = [];
  /** What was left out, and why. */
  readonly missing: string[] = [];
  readonly spaces = new Namespaces();
  readonly peer: string;
  private readonly relay: string;
  private readonly congestion: string;
  readonly client: string;
  private readonly server: string;
  private readonly middle: string;
  private readonly folder: string;
  private readonly asked: Running[] = [];

  private constructor(congestion: string) {
    this.congestion = congestion;
    this.folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-live-'));
    this.peer = path.join(this.folder, 'peer');
    this.relay = path.join(this.folder, 'relay');
    this.client = this.space();
    this.server = this.space();
    this.middle = this.space();
  }

  /**
   * Makes it and starts all.
   * @param gateways the `culvert up` to measure, and others to measure it beside
   * @param congestion the congestion control of all ends (tcp_congestion_control); empty: the machine's own
   */
  static async up(gateways: readonly Gateway[], congestion: string): Promise<LiveTopology> {
    const topology = new LiveTopology(congestion);
    try {
      await topology.build(gateways);
      return topology;
    } catch (error) {
      await topology.down();
      throw error;
    }
  }

  async down(): Promise<void> {
    // Asked, not killed: nginx takes its workers along, and a profile is written.
    await Promise.all(this.asked.map((each) => each.stop()));
    this.spaces.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async build(gateways: readonly Gateway[]): Promise<void> {
    for (const program of [this.peer, this.relay]) {
      const source = new URL(`../../../bench/live/${path.basename(program)}.c`, import.meta.url);
      execFileSync('cc', ['-O2', '-pthread', '-o', program, fileURLToPath(source)]);
    }
    this.link();
    await this.startServers(this.server);
    for (const [n, gateway] of gateways.entries()) await this.startGateway(gateway, n);
    await this.startRelay();
    this.startNftables();
    await this.startHaproxy();
    await this.startNginx();
  }

  private space(): string {
    const space = this.spaces.add();
    if (this.congestion !== '') this.set(space, 'net/ipv4/tcp_congestion_control', this.congestion);
    return space;
  }

  private link(): void {
    const { client, server, middle } = this;
    for (const space of [client, server, middle]) ip('-n', space, 'link', 'set', 'lo', 'up');
    const pairs = [
      {
        end: client,
        name: 'to-client',
        address: '10.1.0.5/24',
        inside: ['10.1.0.9/24', '10.1.0.10/24', '10.1.0.11/24'],
      },
      { end: server, name: 'to-server', address: `${SERVER}/24`, inside: ['10.2.0.9/24'] },
    ];
    for (const { end, name, address, inside } of pairs) {
      ip('-n', middle, 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'middle', 'netns', end);
      ip('-n', end, 'address', 'add', address, 'dev', 'middle');
      for (const each of inside) ip('-n', middle, 'address', 'add', each, 'dev', name);
      ip('-n', end, 'link', 'set', 'middle', 'up');
      ip('-n', middle, 'link', 'set', name, 'up');
    }
    for (const space of [client, server, middle]) {
      this.set(space, 'net/ipv4/ip_local_port_range', '1024 65535');
      // Many short connections from one address to one: a port's last connection must not be in the next one's way.
      this.set(space, 'net/ipv4/tcp_tw_reuse', '1');
    }
    this.set(middle, 'net/ipv4/ip_forward', '1');
  }

  private set(space: string, name: string, value: string): void {
    execFileSync('ip', ['netns', 'exec', space, 'sh', '-c', `echo '${value}' > /proc/sys/${name}`]);
  }

  private async startServers(space: string): Promise<void> {
    await this.spaces.spawn(space, this.peer, 'server', String(PEER)).line();
    await settled(this.spawnNginx(space, `server-${space}`, nginxServer));
  }

  private spawnNginx(space: string, name: string, configuration: (folder: string) => string): Running {
    const folder = path.join(this.folder, name);
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'nginx.conf'), configuration(folder));
    return this.run(space, 'nginx', '-c', path.join(folder, 'nginx.conf'), '-p', folder);
  }

  /** Starts what `down` asks to end. */
  private run(space: string, program: string, ...args: readonly string[]): Running {
    const running = this.spaces.spawn(space, program, ...args);
    this.asked.push(running);
    return running;
  }

  private async startGateway(gateway: Gateway, n: number): Promise<void> {
    const { name, command } = gateway;
    const file = path.join(this.folder, `${name}.yaml`);
    // A namespace takes one gateway's provider network: further ones have servers of their own, which are the same.
    const server = n === 0 ? this.server : this.space();
    if (n > 0) {
      ip('-n', server, 'link', 'set', 'lo', 'up');
      await this.startServers(server);
    }
    writeFileSync(file, lab(this.client, server, n, gateway));
    const up = [...command, 'up', file, '--json', '--run-dir', this.folder];
    const running = this.run(this.middle, process.execPath, ...up);
    while (!(await running.line()).includes('"msg":"ready"')) continue;
    this.contenders.push({ name, address: `10.${10 + n}.0.9`, udp: true, pids: [running.pid] });
  }

  private async startRelay(): Promise<void> {
    const devices = ['relay-client', 'relay-server'];
    const relay = this.run(this.middle, this.relay, ...devices, RELAY_WAIT_US);
    await relay.line();
    const ends = [
      { end: this.client, address: '10.90.0.5/24', route: null },
      { end: this.server, address: '10.91.0.9/24', route: '10.89.0.0/24' },
    ];
    for (const [i, { end, address, route }] of ends.entries()) {
      const device = devices[i]!;
      ip('-n', this.middle, 'link', 'set', device, 'netns', end);
      ip('-n', end, 'link', 'set', device, 'addrgenmode', 'none');
      ip('-n', end, 'link', 'set', device, 'txqueuelen', '4096', 'up');
      ip('-n', end, 'address', 'add', address, 'dev', device);
      if (route !== null) ip('-n', end, 'route', 'add', route, 'dev', device);
    }
    this.contenders.push({ name: 'relay', address: '10.90.0.9', udp: true, pids: [relay.pid] });
  }

  private startNftables(): void {
    if (!present('nft')) return void this.missing.push('nftables: no nft command');
    const file = path.join(this.folder, 'rules.nft');
    writeFileSync(file, nftRules);
    execFileSync('ip', ['netns', 'exec', this.middle, 'nft', '-f', file]);
    // The kernel keeps a closed connection for two minutes, longer than ports last here.
    this.set(this.middle, 'net/netfilter/nf_conntrack_tcp_timeout_time_wait', '1');
    this.contenders.push({ name: 'nftables', address: '10.1.0.9', udp: true, pids: [] });
  }

  private async startHaproxy(): Promise<void> {
    if (!present('haproxy')) return void this.missing.push('haproxy: not installed');
    const file = path.join(this.folder, 'haproxy.cfg');
    writeFileSync(file, haproxyConfiguration);
    const haproxy = this.run(this.middle, 'haproxy', '-db', '-f', file);
    await settled(haproxy);
    this.contenders.push({ name: 'haproxy', address: '10.1.0.10', udp: false, pids: [haproxy.pid] });
  }

  private async startNginx(): Promise<void> {
    if (!existsSync(STREAM_MODULE)) return void this.missing.push('nginx stream: no libnginx-mod-stream');
    const nginx = this.spawnNginx(this.middle, 'stream', nginxStream);
    await settled(nginx);
    this.contenders.push({ name: 'nginx', address: '10.1.0.11', udp: true, pids: family(nginx.pid) });
  }
}
