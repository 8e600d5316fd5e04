import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { statusText } from '../../../../src/cli/status-text.js';
import { parseLab } from '../../../../src/config/index.js';
import { Gateway } from '../../../../src/gateway/gateway.js';
import { exposition } from '../../../../src/gateway/metrics.js';
import { planNetworks } from '../../../../src/gateway/plan.js';
import { HEADER, setCsumOffset, setCsumStart, setFlags } from '../../../../src/wire/virtio-net.js';
import { ACK, FIN, pseudoSum, RST, SYN, tcpPacket, udpPacket } from '../../../support/packets.js';
import { parseTcp, type ParsedTcp } from '../../../support/parsed-tcp.js';
import { until } from '../../../support/until.js';
import type { ScriptedDevice } from '../scripted-device.js';
import { ScriptedMachine } from '../scripted-machine.js';

const BACKEND = '10.200.2.4';
const PROBES = '168.63.129.16';

interface Lab {
  /** What the provider's network has beside its addresses. */
  readonly provider?: string;
  readonly probe?: string;
  readonly more?: string;
}

const network = (name: string, second: number, more: string): string => `
  ${name}:
    addressSpace: [10.${String(second)}.0.0/16]
    subnets:
      frontend: 10.${String(second)}.0.0/24
      nat: { addressPrefix: 10.${String(second)}.1.0/24, privateLinkServiceNetworkPolicies: Disabled }
      backend: 10.${String(second)}.2.0/24
${more}`;

/** One service behind one load balancer in each provider network. */
function lab(providers: Record<string, Lab>): string {
  const all = Object.entries(providers);
  const each = (text: (name: string, second: number, fields: Lab) => string): string =>
    all.map(([name, fields], i) => text(name, 200 + i, fields)).join('');
  return `
virtualNetworks:
  red: { addressSpace: [10.0.0.0/16], subnets: { default: 10.0.0.0/24 }, namespace: red }
${each((name, second, { provider = '' }) => network(name, second, provider))}
loadBalancers:
${each(
  (name, second, { probe = ', probe: p' }) => `
  ${name}:
    virtualNetwork: ${name}
    frontends: { web: 10.${String(second)}.0.10 }
    backendPools: { web: [10.${String(second)}.2.4] }
    probes: { p: { protocol: Tcp, port: 8080, intervalInSeconds: 5 } }
    rules: [{ name: web, frontend: web, protocol: Udp, frontendPort: 53, backendPool: web, backendPort: 53${probe} }]
`,
)}
privateLinkServices:
${each(
  (name, second) => `
  ${name}:
    subnet: ${name}/nat
    ipConfigurations: [10.${String(second)}.1.4]
    loadBalancerFrontend: ${name}/web
    enableProxyProtocol: true
    visibility: ['*']
    autoApproval: ['*']
`,
)}
privateEndpoints:
  red-web: { subnet: red/default, address: 10.0.0.9, privateLinkService: ${all[0]![0]}, linkIdentifier: 7 }
`;
}

const one = lab({ provider: { provider: '    namespace: provider' } });

describe('probes: in the gateway', () => {
  let folder = '';
  let machine: ScriptedMachine;
  let gateway: Gateway;
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

  async function start(text: string): Promise<void> {
    const file = path.join(folder, 'lab.yaml');
    writeFileSync(file, text);
    gateway = await Gateway.start({ lab: file, log, runDirectory: path.join(folder, 'run'), machine });
  }

  beforeEach(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-probes-'));
    machine = new ScriptedMachine();
    await start(one);
  });
  afterEach(async () => {
    await gateway.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The next TCP segment of the gateway's to the backend, from the `from`-th packet on. */
  async function segment(device: ScriptedDevice, from: number): Promise<ParsedTcp> {
    return parseTcp((await until('a segment', () => device.written[from])).packet);
  }

  const reply = (to: ParsedTcp, flags: number, seq: number): Buffer =>
    tcpPacket({
      src: BACKEND,
      dst: PROBES,
      sport: 8080,
      dport: to.sourcePort,
      flags,
      seq,
      ack: to.seq + to.payload.length + ((to.flags & (SYN | FIN)) === 0 ? 0 : 1),
    });

  const opens = (): boolean => {
    const { written } = machine.device('provider');
    const before = written.length;
    machine.device('red').give(udpPacket({ src: '10.0.0.5', dst: '10.0.0.9', sport: 5, dport: 53 }));
    return written.length > before;
  };

  it('go out of the provider’s interface and come back to it, checksums left to it or not', async () => {
    const device = machine.device('provider');
    const syn = await segment(device, 0);
    assert.deepEqual([syn.source, syn.destination, syn.destinationPort, syn.flags], [PROBES, BACKEND, 8080, SYN]);
    assert.ok(device.written[0]!.header.every((octet) => octet === 0));
    assert.ok(!opens());
    const synAck = reply(syn, SYN | ACK, 100);
    synAck.writeUInt16BE(pseudoSum(synAck, synAck.length - 20), 36);
    device.give(synAck);
    assert.equal(gateway.status().probes[0]!.health, 'unknown', 'a wrong checksum');
    const header = Buffer.alloc(HEADER);
    setFlags(header, 0, 1);
    setCsumStart(header, 0, 20);
    setCsumOffset(header, 0, 16);
    device.giveWith(header, synAck);
    assert.equal(gateway.status().probes[0]!.health, 'up');
    assert.ok(opens());
    const sent = device.written.slice(1).map(({ packet }) => packet);
    const tcp = sent.filter((packet) => packet[9] === 6).map(parseTcp);
    assert.equal(Buffer.concat(tcp.map(({ payload }) => payload)).toString('hex'), '0d0a0d0a000d0a515549540a20000000');
    assert.ok((tcp.at(-1)!.flags & FIN) !== 0);
    assert.deepEqual(gateway.status().drops, { 'no-healthy-backend': 1, 'no-flow': 1 });
  });

  it('are told in status and metrics', async () => {
    const device = machine.device('provider');
    const down = await exposition(gateway.status());
    const labels = 'loadBalancer="provider",frontendAddress="10.200.0.10",frontendPort="53",protocol="Udp"';
    assert.ok(down.includes(`VipAvailability{${labels}} 0\n`), down);
    assert.match(statusText(gateway.status()), /^provider +p +Tcp +10\.200\.2\.4:8080 +unknown +0 s ago +-$/m);
    const backend = 'loadBalancer="provider",probe="p",backend="10.200.2.4"';
    assert.ok(down.includes(`culvert_probes_total{${backend},result="succeeded"} 0\n`), down);
    assert.ok(!down.includes('culvert_probe_seconds{'), 'no probe has succeeded');
    device.give(reply(await segment(device, 0), SYN | ACK, 100));
    const up = await exposition(gateway.status());
    assert.ok(up.includes(`culvert_probes_total{${backend},result="succeeded"} 1\n`), up);
    assert.ok(up.includes(`culvert_probes_total{${backend},result="failed"} 0\n`), up);
    const took = Number(/^culvert_probe_seconds\{.*\} (.*)$/m.exec(up)![1]);
    assert.ok(took > 0 && took < 5, String(took));
    assert.ok(up.includes(`VipAvailability{${labels}} 100\n`), up);
    assert.ok(up.includes(`DipAvailability{${labels},backendAddress="10.200.2.4",backendPort="53"} 100\n`), up);
    assert.match(statusText(gateway.status()), /^provider +p +Tcp +10\.200\.2\.4:8080 +up +0 s ago +-$/m);
  });

  it('take nothing from consumers, and nothing that is no TCP', async () => {
    const syn = await segment(machine.device('provider'), 0);
    machine.device('red').give(reply(syn, SYN | ACK, 100));
    machine.device('provider').give(udpPacket({ src: BACKEND, dst: PROBES, sport: 8080, dport: syn.sourcePort }));
    assert.equal(gateway.status().probes[0]!.health, 'unknown');
    assert.equal(gateway.status().drops['no-flow'], 1);
    const stray = tcpPacket({ src: BACKEND, dst: '10.200.0.99', sport: 80, dport: 4000, flags: SYN });
    machine.device('provider').give(stray);
    assert.equal(gateway.status().drops['no-flow'], 2);
    assert.equal(machine.device('provider').written.length, 1, 'no answer');
  });

  /** What a lab that is taken changes on the machine. */
  const changes = (text: string): string[] => {
    const before = machine.history.length;
    gateway.take(parseLab(text, 'lab.yaml'));
    return machine.history.slice(before);
  };

  it('that a running gateway gets have a way back at once, in its own namespace too', async () => {
    await gateway.stop();
    const unprobed = lab({ provider: { probe: '' } });
    await start(unprobed);
    assert.deepEqual(changes(lab({ provider: {} })), [`here: +${PROBES}/32 cv-provider`]);
    assert.deepEqual(changes(lab({ provider: {} })), []);
    assert.deepEqual(changes(unprobed), [`here: -${PROBES}/32 cv-provider`]);
  });

  it('take the one way back along to another network of a namespace, running or new', () => {
    const [apart, unprobed] = [{ provider: '    namespace: provider' }, { probe: '' }];
    const other = lab({ provider: { ...apart, ...unprobed }, b: apart });
    const back = lab({ provider: apart, b: { ...apart, ...unprobed } });
    assert.deepEqual(changes(other), [`provider: -${PROBES}/32 cv-provider`, 'open cv-b']);
    const home = [`provider: -${PROBES}/32 cv-b`, `provider: +${PROBES}/32 cv-provider`];
    assert.deepEqual(changes(back), home);
    machine.routeless = 'cv-b';
    assert.throws(() => changes(other), { code: 'GATEWAY_NETWORK_NOT_ATTACHED', message: /cv-b takes no route/ });
    assert.equal(machine.history.at(-1), `provider: +${PROBES}/32 cv-provider`, 'as it was');
    machine.routeless = '';
    const there = [`provider: -${PROBES}/32 cv-provider`, `provider: +${PROBES}/32 cv-b`];
    assert.deepEqual(changes(other), there);
    assert.deepEqual(changes(one), [home[0], home[1]], 'b is gone');
  });

  it('leave no connection behind at the end', async () => {
    const device = machine.device('provider');
    device.give(reply(await segment(device, 0), SYN | ACK, 100));
    await gateway.stop();
    assert.ok((parseTcp(device.written.at(-1)!.packet).flags & RST) !== 0);
  });
});

describe('probes: the way back', () => {
  const routes = (text: string): Record<string, boolean> =>
    Object.fromEntries(
      planNetworks(parseLab(text, 'lab.yaml')).map((plan) => [plan.name, plan.routes.includes(`${PROBES}/32`)]),
    );
  const apart = { provider: '    namespace: provider' };
  const unprobed = { probe: '' };

  it('is a route in the provider’s namespace, also before there is a probe', () => {
    assert.deepEqual(routes(one), { red: false, provider: true });
    assert.deepEqual(routes(lab({ provider: { ...apart, ...unprobed } })), { red: false, provider: true });
  });

  it('is made in the gateway’s own namespace only where something is probed', () => {
    assert.deepEqual(routes(lab({ provider: {} })), { red: false, provider: true });
    assert.deepEqual(routes(lab({ provider: unprobed })), { red: false, provider: false });
  });

  it('is one in each namespace, for the network that is probed', () => {
    const two = { a: { ...apart, ...unprobed }, b: apart };
    assert.deepEqual(routes(lab(two)), { red: false, a: false, b: true });
    assert.deepEqual(routes(lab({ b: apart, a: { ...apart, ...unprobed } })), { red: false, a: false, b: true });
    assert.deepEqual(routes(lab({ a: apart, b: { provider: '    namespace: other' } })), {
      red: false,
      a: true,
      b: true,
    });
    assert.throws(() => routes(lab({ a: apart, b: apart })), { code: 'GATEWAY_PROBES_OVERLAP' });
    assert.throws(() => routes(lab({ a: {}, b: {} })), { code: 'GATEWAY_PROBES_OVERLAP' });
  });
});
