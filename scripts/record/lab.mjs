// The lab: network namespaces, veth pairs and processes, all made here and all taken down again.
//
// Theory of operation. A lab is one run of one case. Every namespace it makes carries this process's
// id in its name, so that two runs never meet and a run that was killed can be swept by a later one.
// Processes are remembered by child handle and ended by it alone. Nothing the lab does reaches a
// network outside its namespaces: they have no link to the machine's own.
//
// `close()` is synchronous and may be called twice, so it can run from a signal handler too.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const PREFIX = 'culvert-rec-';
const HERE = path.dirname(fileURLToPath(import.meta.url));

/** The consumer's network and the addresses every case uses (the service model's picture). */
export const CLIENT = '10.0.0.5';
export const ENDPOINT = '10.0.0.4';
const CLIENT_MAC = '02:00:0a:00:00:05';
const ENDPOINT_MAC = '02:00:0a:00:00:04';

// -B: no compiled files beside the sources.
const python = (name) => ['python3', '-B', path.join(HERE, name)];

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Removes the namespaces of runs whose process is gone. */
export function sweep() {
  let names;
  try {
    names = readdirSync('/run/netns');
  } catch {
    return; // no namespace was ever made on this machine
  }
  for (const name of names) {
    const pid = name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length).split('-')[0]) : NaN;
    if (!Number.isInteger(pid)) continue;
    try {
      process.kill(pid, 0);
    } catch {
      execFileSync('ip', ['netns', 'del', name]);
    }
  }
}

export class Lab {
  constructor() {
    this.scratch = mkdtempSync(path.join(tmpdir(), 'culvert-record-'));
    this.namespaces = [];
    this.children = new Set();
    this.captures = [];
    this.links = 0;
    this.linger = 250; // ms between the last packet and the end of the captures
  }

  /** Makes a namespace with quiet, plain defaults: no IPv6, a congestion control that does not pace. */
  namespace(name) {
    const full = `${PREFIX}${process.pid}-${name}`;
    execFileSync('ip', ['netns', 'add', full]);
    this.namespaces.push(full);
    this.exec(full, 'ip', 'link', 'set', 'lo', 'up');
    this.sysctl(full, {
      'net.ipv6.conf.all.disable_ipv6': 1,
      'net.ipv6.conf.default.disable_ipv6': 1,
      'net.ipv4.tcp_congestion_control': 'reno', // every kernel has it and lets a namespace choose it
      'net.ipv4.tcp_no_metrics_save': 1,
    });
    return full;
  }

  sysctl(ns, settings) {
    for (const [key, value] of Object.entries(settings)) {
      this.exec(ns, 'sh', '-c', `echo '${value}' > /proc/sys/${key.replaceAll('.', '/')}`);
    }
  }

  /** Runs a short command in a namespace and gives its output; a failure is an exception with its words. */
  exec(ns, ...argv) {
    return execFileSync('ip', ['netns', 'exec', ns, ...argv], { encoding: 'utf8', timeout: 10_000 });
  }

  /**
   * Joins two namespaces by a veth pair; both ends come up.
   * Without `offload` the kernel segments and completes checksums before the capture sees the packet.
   */
  link(a, b, { offload = false } = {}) {
    const number = (++this.links).toString(16).padStart(2, '0');
    const mac = (end) => ['address', end.mac ?? `02:00:00:00:${number}:${end === a ? '0a' : '0b'}`];
    const from = ['link', 'add', 'name', a.dev, ...mac(a), 'netns', a.ns];
    execFileSync('ip', [...from, 'type', 'veth', 'peer', 'name', b.dev, ...mac(b), 'netns', b.ns]);
    for (const end of [a, b]) {
      if (!offload) {
        this.exec(end.ns, 'ethtool', '-K', end.dev, 'tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off');
      }
      if (end.mtu !== undefined) this.exec(end.ns, 'ip', 'link', 'set', end.dev, 'mtu', String(end.mtu));
      this.exec(end.ns, 'ip', 'link', 'set', end.dev, 'up');
      if (end.address !== undefined) this.exec(end.ns, 'ip', 'address', 'add', end.address, 'dev', end.dev);
    }
  }

  neighbour(ns, dev, address, mac) {
    this.exec(ns, 'ip', 'neighbour', 'replace', address, 'lladdr', mac, 'dev', dev, 'nud', 'permanent');
  }

  /** Client and endpoint on one cable. `tag` tells several such pairs of one lab apart. */
  direct({ offload = false, tag = '' } = {}) {
    const client = this.namespace(`${tag}client`);
    const server = this.namespace(`${tag}server`);
    this.link(
      { ns: client, dev: 'eth0', mac: CLIENT_MAC, address: `${CLIENT}/16` },
      { ns: server, dev: 'eth0', mac: ENDPOINT_MAC, address: `${ENDPOINT}/16` },
      { offload },
    );
    this.neighbour(client, 'eth0', ENDPOINT, ENDPOINT_MAC);
    this.neighbour(server, 'eth0', CLIENT, CLIENT_MAC);
    return { client, server };
  }

  /**
   * Client and endpoint with one faulty wire between them for each plan (see wire.py).
   * Direction a2b is from the client to the endpoint. `taps[n]` is the link after n wires, seen from the client.
   */
  async wired(plans) {
    const client = this.namespace('client');
    const server = this.namespace('server');
    const wires = plans.map((_, n) => this.namespace(`wire${n}`));
    const places = [client, ...wires, server];
    const taps = [];
    for (let n = 0; n + 1 < places.length; n++) {
      const left = n === 0 ? { dev: 'eth0', mac: CLIENT_MAC, address: `${CLIENT}/16` } : { dev: 'right' };
      const last = n + 2 === places.length;
      const right = last ? { dev: 'eth0', mac: ENDPOINT_MAC, address: `${ENDPOINT}/16` } : { dev: 'left' };
      this.link({ ns: places[n], ...left }, { ns: places[n + 1], ...right });
      taps.push({ ns: places[n], dev: left.dev });
    }
    this.neighbour(client, 'eth0', ENDPOINT, ENDPOINT_MAC);
    this.neighbour(server, 'eth0', CLIENT, CLIENT_MAC);
    for (const [n, plan] of plans.entries()) {
      await this.start(wires[n], [...python('wire.py'), 'left', 'right', JSON.stringify(plan)], 'ready');
    }
    return { client, server, taps };
  }

  /** Client and endpoint on a bridge in a namespace of its own. */
  bridged() {
    const client = this.namespace('client');
    const server = this.namespace('server');
    const bridge = this.namespace('bridge');
    this.link({ ns: client, dev: 'eth0', mac: CLIENT_MAC, address: `${CLIENT}/16` }, { ns: bridge, dev: 'left' });
    this.link({ ns: bridge, dev: 'right' }, { ns: server, dev: 'eth0', mac: ENDPOINT_MAC, address: `${ENDPOINT}/16` });
    this.exec(bridge, 'ip', 'link', 'add', 'bridge', 'type', 'bridge');
    for (const dev of ['left', 'right']) this.exec(bridge, 'ip', 'link', 'set', dev, 'master', 'bridge');
    this.exec(bridge, 'ip', 'link', 'set', 'bridge', 'up');
    return { client, server, bridge };
  }

  /** Client, routers and endpoint in a chain of links, link n being 10.0.n.0/24; the endpoint is on the last. */
  routed(mtus) {
    const names = ['client', ...mtus.slice(1).map((_, n) => `router${n}`), 'server'];
    const places = names.map((name) => this.namespace(name));
    const hop = (n, host) => `10.0.${n}.${host}`;
    for (const [n, mtu] of mtus.entries()) {
      const left = { ns: places[n], dev: n === 0 ? 'eth0' : 'right', mtu };
      const right = { ns: places[n + 1], dev: n + 1 === mtus.length ? 'eth0' : 'left', mtu };
      this.link(
        { ...left, address: `${hop(n, n === 0 ? 5 : 2)}/24` },
        { ...right, address: `${hop(n, n + 1 === mtus.length ? 4 : 1)}/24` },
      );
    }
    for (const [n, ns] of places.entries()) {
      // ICMP errors are not to be held back: no type is limited, and the limit for all is out of reach.
      this.sysctl(ns, {
        'net.ipv4.ip_forward': 1,
        'net.ipv4.icmp_ratemask': 0,
        'net.ipv4.icmp_msgs_per_sec': 100000,
      });
      for (const to of mtus.keys()) {
        if (to === n || to === n - 1) continue;
        const via = to > n ? hop(n, 1) : hop(n - 1, 2);
        this.exec(ns, 'ip', 'route', 'add', `${hop(to, 0)}/24`, 'via', via);
      }
    }
    return {
      client: places[0],
      server: places.at(-1),
      routers: places.slice(1, -1),
      endpoint: hop(mtus.length - 1, 4),
    };
  }

  /** Starts a long-lived process and waits until it has printed `ready` on either stream. */
  async start(ns, argv, ready, { timeoutMs = 10_000 } = {}) {
    const child = spawn('ip', ['netns', 'exec', ns, ...argv], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.children.add(child);
    child.said = '';
    const listen = (chunk) => (child.said += chunk.toString());
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.ended = new Promise((resolve) => child.once('close', resolve));
    void child.ended.then(() => this.children.delete(child));
    const deadline = Date.now() + timeoutMs;
    while (!child.said.includes(ready)) {
      if (child.exitCode !== null) throw new Error(`${argv.join(' ')} ended at once: ${child.said}`);
      if (Date.now() > deadline) throw new Error(`${argv.join(' ')} did not say "${ready}": ${child.said}`);
      await sleep(10);
    }
    return child;
  }

  /** Runs a process to its end; a non-zero exit or a late one fails the case. */
  async run(ns, argv, { timeoutMs = 45_000 } = {}) {
    const child = await this.start(ns, argv, '');
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    await child.ended;
    clearTimeout(timer);
    if (child.exitCode !== 0) {
      throw new Error(`${argv.join(' ')} failed (${child.exitCode ?? child.signalCode}): ${child.said}`);
    }
    return child.said;
  }

  /** Starts a server of servers.py: name, address, port and options. */
  server(ns, ...argv) {
    return this.start(ns, [...python('servers.py'), ...argv], 'ready');
  }

  /** Tells a story of stories.py to its end: name, endpoint and options. */
  tell(ns, ...argv) {
    return this.run(ns, [...python('stories.py'), ...argv]);
  }

  /** Tells a story that prints the name of a step and waits for it: each step is a function that changes the lab. */
  async tellInSteps(ns, argv, steps) {
    const child = await this.start(ns, [...python('stories.py'), ...argv], '');
    for (let done = 0; child.exitCode === null && child.signalCode === null;) {
      const said = child.said.split('\n');
      if (said.length - 1 === done) {
        await Promise.race([sleep(10), child.ended]);
        continue;
      }
      const step = steps[said[done++]];
      if (step === undefined) continue;
      await step();
      child.stdin.write('\n');
    }
    await child.ended;
    if (child.exitCode !== 0) throw new Error(`${argv.join(' ')} failed: ${child.said}`);
  }

  /** Lets an interface send and merge super-packets of up to `octets`, also above 64 KiB (BIG TCP over IPv4). */
  allowBigTcp(ns, dev, octets) {
    return this.run(ns, [...python('bigtcp.py'), dev, String(octets)]);
  }

  /** Waits until something listens on a TCP port of a namespace. */
  async waitForListener(ns, port) {
    for (let tries = 0; tries < 200; tries++) {
      if (this.exec(ns, 'ss', '-Hltn', `sport = :${port}`).trim() !== '') return;
      await sleep(25);
    }
    throw new Error(`nothing listens on port ${port}`);
  }

  /**
   * Begins a capture on an interface; gives the path of the file that `stopCaptures` completes.
   * Without `immediate` packets come a second late, but those above 64 KiB come whole: libpcap's ring of
   * single packets is cut for what Ethernet can carry.
   */
  async capture(ns, dev, options = {}) {
    const {
      filter = 'ip',
      name = 'in',
      nanoseconds = false,
      immediate = true,
      linkType,
      snapLength = 262144,
    } = options;
    const file = path.join(this.scratch, `${name}.pcap`);
    const argv = ['tcpdump', '-Z', 'root', '-i', dev, '-s', String(snapLength), '-U', '-B', '16384', '-w', file];
    if (immediate) argv.push('--immediate-mode');
    else this.linger = 1500;
    if (nanoseconds) argv.push('--time-stamp-precision=nano');
    if (linkType !== undefined) argv.push('-y', linkType);
    this.captures.push(await this.start(ns, [...argv, filter], 'listening on'));
    return file;
  }

  /** Ends the captures after the last packets have come in, and fails if the kernel dropped any of them. */
  async stopCaptures() {
    await sleep(this.linger);
    for (const child of this.captures) {
      child.kill('SIGINT');
      await child.ended;
      if (!/\b0 packets dropped by kernel/.test(child.said)) throw new Error(`capture is not whole: ${child.said}`);
    }
    this.captures = [];
  }

  read(file) {
    return readFileSync(file);
  }

  close() {
    for (const child of this.children) child.kill('SIGKILL');
    this.children.clear();
    // A namespace outlives its name while a process is in it; those are ended above.
    for (const name of this.namespaces.splice(0)) {
      try {
        execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
      } catch {
        console.error(`could not remove the namespace ${name}`);
      }
    }
    rmSync(this.scratch, { recursive: true, force: true });
  }
}
