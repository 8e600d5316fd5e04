import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ip } from '../../src/device/tun/ip-command.js';
import { thisMachine } from '../../src/gateway/machine.js';
import type { NetworkPlan } from '../../src/gateway/plan.js';
import type { PacketThread, StartThread } from '../../src/gateway/workers/plane-calls.js';
import { WorkerPlane } from '../../src/gateway/workers/worker-plane.js';
import { topology } from '../support/bench.js';
import { consumerNetwork, providerNetwork } from '../support/lab-networks.js';
import { needsTunDevice } from '../support/machine.js';
import { Namespaces, type Running } from '../support/namespaces.js';
import type { StreamReport } from '../support/stream-peer.js';
import { quietestSecond, until } from '../support/until.js';
import { GatewayProcess } from './gateway-process.js';

const CLIENT = '10.0.0.5';
const ENDPOINT = '10.0.0.9';
const BACKEND = '10.200.2.4';
const MIB = 1 << 20;
/** Processor time of a second. */
const IDLE_MS = 8;

const id = String(process.pid);
const PREFIX = `culvert-test-${id}-94`;
const [RED, BLUE, PROVIDER] = [`${PREFIX}1`, `${PREFIX}2`, `${PREFIX}3`];

const lab = (translation = '{}'): string => `
virtualNetworks:
${consumerNetwork({ name: 'red', namespace: RED, hosts: [CLIENT], device: `wr${id}` })}
${consumerNetwork({ name: 'blue', namespace: BLUE, hosts: [CLIENT], device: `wb${id}` })}
${providerNetwork({ name: 'provider', namespace: PROVIDER, hosts: [BACKEND], device: `wp${id}` })}
loadBalancers:
  lb:
    virtualNetwork: provider
    frontends: { web: 10.200.0.10, probed: 10.200.0.11 }
    backendPools: { web: [${BACKEND}] }
    probes: { tcp: { protocol: Tcp, port: 7000, intervalInSeconds: 5 } }
    rules:
      - { name: streams, frontend: web, protocol: Tcp, frontendPort: 7002, backendPool: web, backendPort: 7002, probe: tcp }
      - { name: idle, frontend: web, protocol: Tcp, frontendPort: 7000, backendPool: web, backendPort: 7000 }
      - { name: echo, frontend: web, protocol: Udp, frontendPort: 53, backendPool: web, backendPort: 5300 }
      - { name: closed, frontend: web, protocol: Udp, frontendPort: 54, backendPool: web, backendPort: 5301 }
privateLinkServices:
  web:
    subnet: provider/nat
    ipConfigurations: [10.200.1.4]
    loadBalancerFrontend: lb/web
    enableProxyProtocol: true
    visibility: ['*']
    autoApproval: ['*']
privateEndpoints:
  red-web: { subnet: red/default, address: ${ENDPOINT}, privateLinkService: web, linkIdentifier: 1001 }
  blue-web: { subnet: blue/default, address: ${ENDPOINT}, privateLinkService: web, linkIdentifier: 1002 }
translation: ${translation}
gateway: { workers: 2 }
`;

/** Sends datagrams to a closed port, each from a socket of its own, and prints what each was told. */
const REFUSED = `
const dgram = require('node:dgram');
const [address, port, count] = process.argv.slice(1);
const told = Array.from({ length: Number(count) }, () => new Promise((resolve) => {
  const socket = dgram.createSocket('udp4');
  socket.on('error', (error) => { resolve(error.code); socket.close(); });
  socket.connect(Number(port), address, () => {
    const again = setInterval(() => socket.send('x', () => undefined), 200);
    socket.once('close', () => clearInterval(again));
    socket.send('x', () => undefined);
  });
}));
Promise.all(told).then((all) => console.log(JSON.stringify(all)));
`;

/**
 * Echoes datagrams. Six of 60,000 octets may wait for it at once, and each takes 94,464 of buffer, as the kernel counts
 * fragments. A socket of the default size has room for two, and node asks for no more than the machine's limit.
 */
const ECHO = `
import socket, sys
SO_RCVBUFFORCE = 33
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20)
server.bind((sys.argv[1], int(sys.argv[2])))
print('ready', flush=True)
while True: server.sendto(*server.recvfrom(65535))
`;

/** Datagrams without end, from many ports. */
const FLOOD = `
import socket
print('begun', flush=True)
while True:
    for i in range(64): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('10.0.0.9', 1000 + i))
`;

describe('culvert up with 2 workers, with real kernels', () => {
  const spaces = new Namespaces();
  let folder = '';
  let file = '';
  let gateway: GatewayProcess;

  before(async function () {
    needsTunDevice(this);
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-workers-'));
    file = path.join(folder, `workers${id}.yaml`);
    writeFileSync(file, lab());
    gateway = new GatewayProcess(file, path.join(folder, 'run'));
    await gateway.logged('ready');
    const servers = [
      spaces.node(PROVIDER, 'stream-peer', 'serve', BACKEND, '7002'),
      spaces.node(PROVIDER, 'idle-peer', 'serve', BACKEND, '7000'),
      spaces.spawn(PROVIDER, 'python3', '-c', ECHO, BACKEND, '5300'),
    ];
    for (const server of servers) assert.equal(await server.line(), 'ready');
  });

  after(async () => {
    if (folder === '') return;
    spaces.remove();
    await gateway.stop();
    const names = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
    for (const name of names.filter((each) => each.startsWith(PREFIX))) ip('netns', 'delete', name);
    rmSync(folder, { recursive: true, force: true });
  });

  const streams = async (from: string, linkId: number, count: number, octets: number): Promise<StreamReport> => {
    const numbers = ['7002', String(linkId), String(count), String(octets)];
    const how = linkId === 1001 ? 'speak' : 'listen';
    const peer = spaces.node(from, 'stream-peer', 'run', ENDPOINT, ...numbers, how, String(linkId));
    return JSON.parse(await peer.finished) as StreamReport;
  };

  it('probes find the backend, whichever worker reads the answer', async () => {
    await gateway.logged('backend up');
  });

  it('keeps consumers with the same address apart, and every stream whole, header and all', async () => {
    const [red, blue] = await Promise.all([streams(RED, 1001, 30, MIB), streams(BLUE, 1002, 30, MIB)]);
    assert.deepEqual([red.faults, blue.faults], [[], []]);
    assert.deepEqual([red.good, blue.good], [30, 30]);
    const status = await gateway.status();
    assert.equal(status.workers, 2);
    // The probe's own header is none of a stream.
    assert.deepEqual([status.headers.inserted, status.lost], [60, 0]);
    assert.ok(status.handedOver.packets > 0, 'some first packets came to the other worker');
  });

  it('carries a stream in bulk', async () => {
    const { good, faults } = await streams(RED, 1001, 1, 64 * MIB);
    assert.deepEqual([good, faults], [1, []]);
  });

  it('carries datagrams both ways, fragmented ones too', async () => {
    const sizes = [0, 1, 512, 1472, 3000, 20_000, 60_000];
    const clients = [RED, BLUE, RED, BLUE, RED, BLUE];
    const answers = await Promise.all(
      clients.map((from) => spaces.node(from, 'net-peer', 'udp', ENDPOINT, '53', ...sizes.map(String)).finished),
    );
    for (const answer of answers) assert.deepEqual(JSON.parse(answer), { same: sizes });
    assert.equal((await gateway.status()).fragmentsWaiting, 0);
  });

  it('takes ICMP errors to the flows that they are about', async () => {
    const told = await spaces.run(BLUE, process.execPath, '-e', REFUSED, ENDPOINT, '54', '6');
    assert.deepEqual(JSON.parse(told), Array<string>(6).fill('ECONNREFUSED'));
    assert.ok((await gateway.status()).icmpErrors >= 6);
  });

  it('takes a reload with both workers, while streams run', async () => {
    const running = streams(RED, 1001, 20, 4 * MIB);
    for (let i = 0; i < 5; i++) {
      const logged = gateway.log.length;
      gateway.signal('SIGHUP');
      await gateway.logged('lab file taken', logged);
    }
    assert.deepEqual((await running).faults, []);
  });

  it('takes hardly any processor time while idle, with live flows', async () => {
    assert.ok((await gateway.status()).flows.live > 0);
    const least = await quietestSecond(() => gateway.cpuMs(), IDLE_MS);
    assert.ok(least < IDLE_MS, `${least.toFixed(1)} ms in the quietest second`);
  });

  it('gives the last port of all shares to a connection, and none to the next', async () => {
    // Ports of another range: live flows run on to their ends, with the workers that they have.
    const held: Running[] = [];
    writeFileSync(file, lab('{ natPorts: { first: 5001, count: 7 } }'));
    await gateway.logged('lab file taken', gateway.log.length);
    const inUse = async (): Promise<number> =>
      (await gateway.status()).natPorts.find(({ protocol, backend }) => protocol === 'tcp' && backend === BACKEND)!
        .inUse;
    // A connection whose worker has no port left waits, and its SYN comes again; others take what is left.
    const refusals = async (): Promise<number> => (await gateway.status()).drops['nat-exhausted'] ?? 0;
    const hold = (): Running => {
      const running = spaces.node(RED, 'idle-peer', 'hold', ENDPOINT, '7000', 'silent', '600');
      held.push(running);
      return running;
    };
    while ((await inUse()) < 7) {
      const before = await refusals();
      const one = hold();
      await until('open or refused', async () => one.lines.length > 0 || (await refusals()) > before);
    }
    const opened = (): number => held.filter(({ lines }) => lines.length > 0).length;
    await until('seven connections', () => opened() === 7);
    const { natPorts, backendPorts } = await gateway.status();
    const use = natPorts.find(({ protocol }) => protocol === 'tcp')!;
    assert.deepEqual([use.inUse, use.of], [7, 7]);
    assert.equal(backendPorts.find(({ protocol }) => protocol === 'tcp')!.percent, 100);
    const { flows } = JSON.parse(await gateway.ask('flows', '--json', '--port', '7000')) as {
      flows: { nat: string; state: string }[];
    };
    const nat = flows.filter(({ state }) => state === 'established').map((flow) => Number(flow.nat.split(':')[1]));
    assert.deepEqual(
      nat.sort((a, b) => a - b),
      [5001, 5002, 5003, 5004, 5005, 5006, 5007],
    );
    const before = await refusals();
    hold();
    await until('a refusal', async () => (await refusals()) > before);
    for (const each of held) each.kill();
  });

  it('ends in order, and leaves nothing', async () => {
    spaces.remove();
    assert.equal(await gateway.stop(), 0);
    const names = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
    assert.deepEqual(
      names.filter((each) => each.startsWith(PREFIX)),
      [],
    );
  });
});

describe('workers that die', () => {
  const spaces = new Namespaces();
  before(function () {
    needsTunDevice(this);
  });
  afterEach(() => {
    spaces.remove();
  });

  it('leave no interface behind, read or not', async () => {
    const namespace = spaces.add();
    const threads: PacketThread[] = [];
    const startThread: StartThread = async (data, events) => {
      const thread = await thisMachine.startThread(data, events);
      threads[data.index] = thread;
      return thread;
    };
    const setUp = (plan: NetworkPlan): void => thisMachine.setUp(plan);
    const plane = await WorkerPlane.start(3, topology(), { maxFlows: 64 }, { startThread, setUp });
    const died = new Promise<string>((resolve) => {
      plane.events = { ...plane.events, failed: ({ message }) => resolve(message) };
    });
    const plan = { name: 'red', index: 0, consumer: true, natAddresses: new Int32Array(0), namespace, mtu: 1500 };
    plane.attach({ ...plan, device: 'cv-red', addresses: ['10.0.0.5/32'], routes: ['10.0.0.0/16'] }, true);
    plane.assign([{ network: 'red', consumer: true, natAddresses: new Int32Array(0) }]);
    const names = (): string[] => spaces.interfaces(namespace).map(({ name }) => name);
    assert.deepEqual(names(), ['cv-red']);
    // Packets come while the thread ends.
    const pings = spaces.spawn(namespace, 'python3', '-c', FLOOD);
    await pings.line();
    threads[1]!.askFlows(null as never);
    assert.match(await died, /^worker 1 ended: TypeError/);
    assert.deepEqual(names(), ['cv-red'], 'the others have it still');
    await plane.end();
    assert.deepEqual(names(), []);
    pings.kill();
  });
});
