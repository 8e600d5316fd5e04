import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { flowsText } from '../../../src/cli/flows-text.js';
import { statusText } from '../../../src/cli/status-text.js';
import { CaptureReader } from '../../../src/capture/reader.js';
import { StreamSource } from '../../../src/capture/source.js';
import { ControlClient, findSocket, openTap } from '../../../src/gateway/control-client.js';
import type { FlowReport } from '../../../src/gateway/flow-report.js';
import { Gateway } from '../../../src/gateway/gateway.js';
import { LabWatcher, markOf } from '../../../src/gateway/lab-watcher.js';
import { exposition } from '../../../src/gateway/metrics.js';
import type { GatewayStatus } from '../../../src/gateway/status.js';
import { datagram } from '../../support/dissect.js';
import { udpPacket } from '../../support/packets.js';
import { until } from '../../support/until.js';
import { GatewayBench, labText } from './gateway-bench.js';
import { ScriptedMachine } from './scripted-machine.js';

const BACKEND = '10.200.2.4';

interface Lab {
  readonly redStatus?: string;
  readonly nat?: string;
  readonly proxy?: boolean;
  readonly more?: string;
  readonly moreEndpoints?: string;
}

/** Red and blue reach one UDP service; green is there for those who name it. */
const lab = ({
  redStatus = 'Approved',
  nat = '10.200.1.4',
  proxy = true,
  more = '',
  moreEndpoints = '',
}: Lab = {}): string => `
virtualNetworks:
  red: { addressSpace: [10.0.0.0/16], subnets: { default: 10.0.0.0/24 }, namespace: red }
  blue: { addressSpace: [10.0.0.0/16], subnets: { default: 10.0.0.0/24 }, namespace: blue }
  green: { addressSpace: [10.0.0.0/16], subnets: { default: 10.0.0.0/24 }, namespace: green }
  provider:
    addressSpace: [10.200.0.0/16]
    subnets:
      frontend: 10.200.0.0/24
      nat: { addressPrefix: 10.200.1.0/24, privateLinkServiceNetworkPolicies: Disabled }
      backend: 10.200.2.0/24
    namespace: provider
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
    enableProxyProtocol: ${proxy}
    visibility: ['*']
    autoApproval: ['*']
privateEndpoints:
  red-web: { subnet: red/default, address: 10.0.0.9, privateLinkService: web, linkIdentifier: 7, status: ${redStatus} }
  blue-web: { subnet: blue/default, address: 10.0.0.9, privateLinkService: web, linkIdentifier: 8 }
${moreEndpoints}
${more}
`;
const greenEndpoint =
  '  green-web: { subnet: green/default, address: 10.0.0.9, privateLinkService: web, linkIdentifier: 9 }';

const request = (sport: number, payload = 'hello'): Buffer =>
  udpPacket({ src: '10.0.0.5', dst: '10.0.0.9', sport, dport: 53, payload });

describe('gateway: a life', () => {
  let folder = '';
  let file = '';
  let run = '';
  let machine: ScriptedMachine;
  let messages: string[] = [];
  let running: Gateway[] = [];

  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-gateway-'));
    file = path.join(folder, 'lab.yaml');
    run = path.join(folder, 'run');
    machine = new ScriptedMachine();
    messages = [];
    running = [];
  });
  afterEach(async () => {
    for (const gateway of running) await gateway.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const note = (level: string) => (message: string) => messages.push(`${level} ${message}`);
  const log = { info: note('info'), warn: note('warn'), error: note('error') };
  const failures: string[] = [];

  async function start(text = lab()): Promise<Gateway> {
    writeFileSync(file, text);
    const onFailure = (error: { code: string }): number => failures.push(error.code);
    const gateway = await Gateway.start({ lab: file, log, runDirectory: run, machine, onFailure });
    running.push(gateway);
    return gateway;
  }

  function reload(gateway: Gateway, text: string): boolean {
    writeFileSync(file, text);
    return gateway.reload();
  }

  /** A request goes out and its answer comes back. */
  function passes(network: string, sport: number): boolean {
    const device = machine.device(network);
    const provider = machine.device('provider');
    const before = device.written.length;
    const sent = provider.written.length;
    device.give(request(sport));
    if (provider.written.length === sent) return false;
    answer(provider.written.length - 1);
    return device.written.length === before + 1;
  }

  function answer(index: number): void {
    const provider = machine.device('provider');
    const { src, sport, dport } = datagram(provider.written[index]!.packet);
    provider.give(udpPacket({ src: BACKEND, dst: src, sport: dport, dport: sport, payload: 'answer' }));
  }

  it('makes the namespaces and devices of the networks that take part, and removes them', async () => {
    const gateway = await start();
    assert.deepEqual(machine.history, [
      '+red',
      'open cv-red',
      '+blue',
      'open cv-blue',
      '+provider',
      'open cv-provider',
    ]);
    assert.ok(passes('red', 1) && passes('blue', 1));
    await gateway.stop();
    assert.deepEqual([...machine.namespaces], []);
    assert.ok([...machine.devices.values()].every((device) => device.closed));
    assert.equal(existsSync(run), false);
  });

  it('leaves a namespace that was there before', async () => {
    machine.namespaces.add('red');
    const gateway = await start();
    await gateway.stop();
    assert.deepEqual([...machine.namespaces], ['red']);
  });

  it('removes what it made when it cannot start', async () => {
    machine.broken = 'provider';
    await assert.rejects(start(), { code: 'TUN_NAME_TAKEN' });
    assert.deepEqual([...machine.namespaces], []);
    assert.ok(machine.device('red').closed && machine.device('blue').closed);
    assert.equal(existsSync(run), false);
  });

  it('has on record what it is about to make, before it is made', async () => {
    const seen: string[] = [];
    machine.addNamespace = (name) => {
      const record = JSON.parse(readFileSync(path.join(run, 'lab.json'), 'utf8')) as { namespaces: string[] };
      if (record.namespaces.includes(name)) seen.push(name);
      machine.namespaces.add(name);
    };
    await start();
    assert.deepEqual(seen, ['red', 'blue', 'provider']);
  });

  it('removes all else where one step of its end fails, and says what failed', async () => {
    const bench = await new GatewayBench().start(labText());
    bench.gateway.plane.close = () => {
      throw new Error('no close');
    };
    const { socket } = bench;
    await assert.rejects(bench.stop(), { message: 'no close' });
    assert.deepEqual([...bench.machine.namespaces], []);
    assert.ok(!existsSync(socket));
  });

  it('takes over what a killed run left, and removes what is not wanted any more', async () => {
    mkdirSync(run);
    const socket = path.join(run, 'lab.sock');
    const dead = { pid: 2 ** 22 + 1, startTime: '1', lab: file, socket, namespaces: ['red', 'old'] };
    writeFileSync(path.join(run, 'lab.json'), JSON.stringify(dead));
    writeFileSync(socket, '');
    machine.namespaces.add('red').add('old').add('stranger');
    const gateway = await start();
    assert.ok(!machine.namespaces.has('old'));
    assert.ok(!machine.history.includes('+red') && !machine.history.includes('-red'));
    await gateway.stop();
    assert.deepEqual([...machine.namespaces], ['stranger']);
  });

  it('knows a process number that came back for another process’', async () => {
    mkdirSync(run);
    const dead = { pid: process.pid, startTime: '1', lab: file, socket: null, namespaces: [] };
    writeFileSync(path.join(run, 'lab.json'), JSON.stringify(dead));
    await start();
    await assert.rejects(start(), { code: 'GATEWAY_ALREADY_RUNNING' });
    assert.ok(passes('red', 1), 'the one that runs is not disturbed');
  });

  it('reads a record that is no JSON as none', async () => {
    mkdirSync(run);
    writeFileSync(path.join(run, 'lab.json'), '{"pid":');
    await start();
  });

  it('refuses a lab with nothing to do, and networks that one machine cannot tell apart', async () => {
    const nothing = 'virtualNetworks: { red: { addressSpace: [10.0.0.0/16], subnets: { default: 10.0.0.0/24 } } }';
    await assert.rejects(start(nothing), { code: 'GATEWAY_NOTHING_TO_DO' });
    await assert.rejects(start(lab().replaceAll(/, namespace: (red|blue)/g, '')), { code: 'GATEWAY_NETWORKS_OVERLAP' });
    await assert.rejects(start(lab().replace('10.0.0.9', '10.0.0')), { code: 'CONFIG_INVALID' });
    assert.deepEqual(machine.history, []);
    assert.equal(existsSync(run), false);
  });

  it('ends the flows of an endpoint whose approval is withdrawn, also those with an older header', async () => {
    const gateway = await start();
    assert.ok(passes('red', 1) && passes('blue', 1));
    assert.ok(reload(gateway, lab({ proxy: false })));
    assert.ok(passes('red', 1) && passes('red', 2), 'flows with the header that was go on');
    assert.equal(gateway.plane.liveFlows(), 3);
    assert.ok(reload(gateway, lab({ proxy: false, redStatus: 'Rejected' })));
    assert.equal(gateway.plane.liveFlows(), 1);
    assert.ok(!passes('red', 1) && !passes('red', 3));
    assert.ok(passes('blue', 1));
    assert.ok(reload(gateway, lab()));
    assert.ok(passes('red', 1));
  });

  it('lets flows of a NAT address that was taken out go on', async () => {
    const gateway = await start();
    assert.ok(passes('red', 1));
    assert.ok(reload(gateway, lab({ nat: '10.200.1.5' })));
    answer(0);
    assert.equal(machine.device('red').written.length, 2);
    assert.ok(passes('red', 2));
    const used = gateway.status().natPorts.map(({ service, address }) => [service, address]);
    assert.deepEqual(used, [
      [null, '10.200.1.4'],
      ['web', '10.200.1.5'],
    ]);
  });

  it('attaches a network that comes to take part, and detaches one that does no more', async () => {
    const gateway = await start();
    assert.ok(reload(gateway, lab({ moreEndpoints: greenEndpoint })));
    assert.ok(passes('green', 1) && passes('red', 1));
    assert.ok(reload(gateway, lab()));
    assert.ok(machine.device('green').closed && !machine.device('green').started);
    assert.deepEqual([...machine.namespaces], ['red', 'blue', 'provider']);
    assert.ok(passes('red', 1));
    assert.ok(reload(gateway, lab({ moreEndpoints: greenEndpoint })));
    assert.ok(passes('green', 2));
  });

  it('changes nothing for a file with mistakes, and says so', async () => {
    const gateway = await start();
    assert.ok(!reload(gateway, lab().replace('privateLinkService: web', 'privateLinkService: wbe')));
    assert.ok(passes('red', 1));
    assert.ok(
      messages.some((m) => m.startsWith('error the lab file was not taken') && m.includes("did you mean 'web'")),
    );
    assert.match(statusText(gateway.status()), /has mistakes and was not taken/);
    assert.ok(!reload(gateway, lab().replace(', namespace: red', '').replace(', namespace: blue', '')));
    assert.ok(reload(gateway, lab()));
    assert.deepEqual(gateway.status().reloads, { count: 1, mistakes: [] });
  });

  it('changes nothing where a network cannot be attached, and says so', async () => {
    const gateway = await start();
    machine.broken = 'green';
    const wanted = lab({ redStatus: 'Rejected', moreEndpoints: greenEndpoint });
    assert.ok(!reload(gateway, wanted));
    assert.match(gateway.status().reloads.mistakes.join(), /the machine refuses .*cv-green is taken/);
    assert.ok(passes('red', 1), 'the lab is the one before');
    assert.deepEqual([...machine.namespaces], ['red', 'blue', 'provider']);
    machine.broken = '';
    assert.ok(reload(gateway, wanted));
    assert.ok(passes('green', 1) && !passes('red', 1));
  });

  it('says what waits for the next start', async () => {
    const gateway = await start();
    const warnings = (): string[] => messages.filter((m) => m.startsWith('warn'));
    assert.ok(reload(gateway, lab({ more: 'translation: { timeouts: { udp: 1 } }' })));
    assert.match(warnings().join(), /'translation'/);
    assert.ok(reload(gateway, lab({ more: 'gateway: { offload: false }' })));
    assert.match(warnings().join(), /'gateway'/);
    assert.ok(reload(gateway, lab().replace('namespace: red', 'namespace: red, mtu: 9000')));
    assert.match(warnings().join(), /interface stays as it is/);
  });

  it('tells when an interface is removed under it', async () => {
    await start();
    failures.length = 0;
    machine.device('blue').gone = true;
    machine.device('blue').turn();
    assert.deepEqual(failures, ['GATEWAY_DEVICE_LOST']);
  });

  describe('asked over its socket', () => {
    const ask = async <T>(request: object): Promise<T> => {
      const client = await ControlClient.connect(findSocket(file, run));
      try {
        return (await client.ask(request)) as T;
      } finally {
        client.close();
      }
    };

    it('tells its status, for people too', async () => {
      await start();
      assert.ok(passes('red', 1) && passes('red', 1) && passes('red', 2));
      machine.device('red').give(udpPacket({ src: '10.0.0.5', dst: '10.0.0.77', sport: 1, dport: 53 }));
      const status = await ask<GatewayStatus>({ command: 'status' });
      assert.equal(status.lab, 'lab');
      assert.deepEqual(status.drops, { 'no-endpoint': 1 });
      const octets = 20 + 8 + 5;
      const red = status.services[0]!.endpoints[0]!;
      assert.deepEqual([red.name, red.linkId, red.approved, red.octetsIn], ['red-web', 7, true, 3 * octets]);
      assert.equal(red.octetsOut, 3 * (octets + 1));
      const [use] = status.natPorts;
      assert.deepEqual([use?.address, use?.backend, use?.protocol, use?.inUse], ['10.200.1.4', BACKEND, 'udp', 2]);
      const text = statusText(status);
      assert.match(text, /red-web +red +10\.0\.0\.9 +web +7 +approved +99 +102/);
      assert.match(text, /no-endpoint 1/);
      const metrics = await exposition(status);
      assert.match(metrics, /^PEBytesIn\{endpoint="red-web",network="red",service="web"\} 99$/m);
      assert.match(metrics, /^PLSBytesOut\{service="web"\} 102$/m);
      assert.match(metrics, /^PLSNatPortsUsage\{service="web",address="10.200.1.4"\} 0.003125$/m);
      assert.match(metrics, /^culvert_drops_total\{reason="no-endpoint"\} 1$/m);
      assert.match(metrics, /^culvert_flows 2$/m);
    });

    it('gives the busiest flows first, and those that are asked for', async () => {
      await start();
      machine.device('red').give(request(1), request(2, 'a longer request'), request(3, 'more'));
      machine.device('blue').give(request(9));
      const ports = (report: FlowReport): string[] => report.flows.map((f) => f.consumer.split(':')[1]!);
      const all = await ask<FlowReport>({ command: 'flows' });
      assert.deepEqual(ports(all).slice(0, 1), ['2']);
      assert.equal(all.matching, 4);
      assert.deepEqual(ports(await ask({ command: 'flows', top: 2 })), ['2', '1']);
      const one = await ask<FlowReport>({ command: 'flows', port: 9 });
      assert.deepEqual([ports(one), one.matching, one.live], [['9'], 1, 4]);
      assert.deepEqual([one.flows[0]!.network, one.flows[0]!.linkId, one.flows[0]!.header], ['blue', 8, 'none']);
      assert.equal((await ask<FlowReport>({ command: 'flows', address: 0x0ac80204 })).matching, 4);
      assert.equal((await ask<FlowReport>({ command: 'flows', address: 0x0a000077 })).matching, 0);
      assert.match(flowsText(one), /udp +blue +10\.0\.0\.5:9 +10\.0\.0\.9:53 +8 /);
    });

    it('refuses what is no request, and goes on', async () => {
      await start();
      await assert.rejects(ask({ command: 'format' }), { code: 'CONTROL_REQUEST' });
      await assert.rejects(ask({ command: 'flows', top: -1 }), { code: 'CONTROL_REQUEST' });
      await assert.rejects(ask([1]), { code: 'CONTROL_REQUEST' });
      const raw = net.connect(findSocket(file, run));
      raw.write('no JSON\n');
      const [line] = await new Promise<Buffer[]>((resolve) => raw.once('data', (chunk) => resolve([chunk])));
      assert.match(line!.toString(), /^\{"error":\{"code":"CONTROL_REQUEST"/);
      const closed = new Promise((resolve) => raw.once('close', resolve));
      raw.on('error', () => undefined);
      raw.write('x'.repeat(100_000));
      await closed;
      assert.equal((await ask<GatewayStatus>({ command: 'status' })).lab, 'lab');
    });

    it('gives packets to whoever asks for a tap, until it has enough', async () => {
      const gateway = await start();
      const { octets, stop } = await openTap(findSocket(file, run), { network: 'red' });
      assert.deepEqual(gateway.status().taps, [{ packets: 0, lost: 0 }]);
      assert.match(statusText(gateway.status()), /a tap runs: 0 packets, 0 lost/);
      passes('red', 5000);
      passes('blue', 5000);
      stop();
      const capture = await CaptureReader.fromSource(new StreamSource(octets, 'tap'), 'tap');
      let packets = 0;
      do while (capture.next()) packets++;
      while (await capture.fill());
      assert.equal(packets, 4);
      assert.equal(capture.warning, null);
      assert.deepEqual(capture.interfaces.map((face) => face.name).sort(), ['blue', 'provider', 'red']);
      assert.deepEqual(gateway.status().taps, []);
    });

    it('ends a tap whose reader has gone, and gives the last octets when the gateway ends', async () => {
      const gateway = await start();
      const [gone, other] = [await openTap(findSocket(file, run), {}), await openTap(findSocket(file, run), {})];
      gone.octets.destroy();
      await until('the end of the tap', () => gateway.status().taps.length === 1);
      passes('red', 5000);
      await gateway.stop();
      const capture = await CaptureReader.fromSource(new StreamSource(other.octets, 'tap'), 'tap');
      let packets = 0;
      do while (capture.next()) packets++;
      while (await capture.fill());
      assert.equal(packets, 4);
    });

    it('refuses taps of what is not there, and more than it can have', async () => {
      await start();
      const socket = findSocket(file, run);
      const refused = (request: object, message: RegExp): Promise<void> =>
        assert.rejects(openTap(socket, request), { code: 'CONTROL_REQUEST', message });
      await refused({ network: 'provider' }, /no consumer network 'provider'; there are: red, blue$/);
      await refused({ link: 'wbe' }, /no private link service 'wbe'; there are: web$/);
      await refused({ snaplen: 95 }, /snaplen is 96 to 262144/);
      await refused({ address: 'x' }, /address is a whole number/);
      const taps = await Promise.all(Array.from({ length: 8 }, () => openTap(socket, {})));
      await assert.rejects(openTap(socket, {}), { code: 'CONTROL_REFUSED' });
      for (const tap of taps) tap.octets.destroy();
    });

    it('lets only its owner ask', async () => {
      await start();
      assert.equal(statSync(findSocket(undefined, run)).mode & 0o777, 0o600);
      assert.equal(statSync(run).mode & 0o777, 0o700);
    });

    it('is told to be away when it is', async () => {
      assert.throws(() => findSocket(undefined, run), { code: 'CONTROL_NOT_RUNNING' });
      assert.throws(() => findSocket('lab.yaml', run), { code: 'CONTROL_NOT_RUNNING' });
      const gateway = await start();
      const client = await ControlClient.connect(findSocket('lab', run));
      await client.ask({ command: 'status' });
      await gateway.stop();
      await assert.rejects(client.ask({ command: 'status' }), { code: 'CONTROL_NOT_RUNNING' });
    });
  });

  it('notices a file that is written, replaced or removed and put back, once each', async () => {
    writeFileSync(file, 'one');
    let changes = 0;
    const watcher = new LabWatcher(file, () => changes++);
    const told = async (count: number): Promise<void> => {
      await until(`change ${count}`, () => changes >= count);
      await sleep(600); // and no more
      assert.equal(changes, count);
    };
    writeFileSync(file, 'two');
    writeFileSync(file, 'three');
    await told(1);
    rmSync(file);
    writeFileSync(file, 'three');
    await told(2);
    chmodSync(file, 0o600);
    writeFileSync(path.join(folder, 'other.yaml'), 'x');
    await told(2);
    watcher.close();
  });

  it('notices a file that has changed since it was read, before it was watched', async () => {
    writeFileSync(file, 'one');
    const read = markOf(file);
    writeFileSync(file, 'another');
    let changes = 0;
    const watcher = new LabWatcher(file, () => changes++, read);
    await until('the change', () => changes === 1);
    watcher.close();
  });
});
