import assert from 'node:assert/strict';
import { Prober } from '../../../../src/gateway/probes/prober.js';
import type { TcpStack } from '../../../../src/gateway/probes/tcp-stack.js';
import { type LabConfig, parseLab } from '../../../../src/config/index.js';
import { Tables } from '../../../../src/translate/tables.js';
import { ACK, FIN, RST, SYN, tcpPacket } from '../../../support/packets.js';
import { parseTcp } from '../../../support/parsed-tcp.js';
import { VirtualTime } from './virtual-time.js';

const ONE = '10.200.2.4';
const TWO = '10.200.2.5';
const THREE = '10.200.2.6';

interface Lab {
  readonly pool?: readonly string[];
  readonly probe?: string;
  readonly probes?: boolean;
  readonly header?: boolean;
  readonly secondHeader?: boolean;
  /** Access of the tag AzureLoadBalancer to the backends. */
  readonly access?: 'Allow' | 'Deny';
}

function lab({
  pool = [ONE, TWO],
  probe = '',
  probes = true,
  header = false,
  secondHeader = false,
  access = 'Allow',
}: Lab = {}): LabConfig {
  const use = probes ? ', probe: p' : '';
  return parseLab(
    `
virtualNetworks:
  red: { addressSpace: [10.0.0.0/16], subnets: { default: 10.0.0.0/24 } }
  provider:
    addressSpace: [10.200.0.0/16]
    subnets:
      frontend: 10.200.0.0/24
      nat: { addressPrefix: 10.200.1.0/24, privateLinkServiceNetworkPolicies: Disabled }
      backend: { addressPrefix: 10.200.2.0/24, networkSecurityGroup: backends }
networkSecurityGroups:
  backends:
    securityRules:
      - { name: probes, priority: 100, direction: Inbound, access: ${access}, protocol: Tcp, sourceAddressPrefixes: [AzureLoadBalancer], destinationPortRanges: ['80'] }
loadBalancers:
  lb:
    virtualNetwork: provider
    frontends: { web: 10.200.0.10, other: 10.200.0.11 }
    backendPools: { web: [${pool.join(', ')}] }
    probes: { p: { protocol: Tcp, port: 80, intervalInSeconds: 5${probe} } }
    rules:
      - { name: a, frontend: web, protocol: Tcp, frontendPort: 80, backendPool: web, backendPort: 80${use} }
      - { name: b, frontend: web, protocol: Tcp, frontendPort: 81, backendPool: web, backendPort: 81${use} }
privateLinkServices:
  web: { subnet: provider/nat, ipConfigurations: [10.200.1.4], loadBalancerFrontend: lb/web, enableProxyProtocol: ${String(header)} }
  other: { subnet: provider/nat, ipConfigurations: [10.200.1.5], loadBalancerFrontend: lb/other, enableProxyProtocol: ${String(secondHeader)} }
privateEndpoints:
  red-web: { subnet: red/default, address: 10.0.0.9, privateLinkService: web, status: Approved }
`,
    'lab.yaml',
  );
}

/** Backends that take connections, take them and never end them, refuse them or say nothing, each as the test has it. */
class World {
  readonly time = new VirtualTime();
  readonly tables: Tables;
  readonly log: string[] = [];
  readonly prober: Prober;
  readonly behaviour = new Map<string, 'accept' | 'open-ended' | 'refuse' | 'silent'>();
  /** SYNs: who, and when. */
  readonly syns: { who: string; at: number }[] = [];
  readonly data: Buffer[] = [];
  private stack: TcpStack | null = null;

  constructor(config: LabConfig, attached = true) {
    this.tables = new Tables(config.topology, 1);
    const note = (message: string, fields?: object): void => void this.log.push(`${message} ${JSON.stringify(fields)}`);
    this.prober = new Prober(this.tables, { info: note, warn: note, error: note }, this.time);
    this.prober.follow(config.model, false);
    if (attached) this.attach();
  }

  attach(): void {
    this.stack = this.prober.attach('provider', 1500, (packet) => this.answer(parseTcp(Buffer.from(packet))));
  }

  apply(config: LabConfig): void {
    this.prober.follow(config.model, true);
    this.tables.apply(config.topology);
  }

  health(): string {
    return this.prober
      .status()
      .map(({ backend, health }) => `${backend.at(-1)!}:${health}`)
      .join(' ');
  }

  /** Whether the rule of port 80 opens new flows to a backend. */
  takes(backend: string): boolean {
    const { rules } = this.tables.links[0]!;
    const rule = rules.get((6 << 16) | 80)!;
    const index = rule.backends.indexOf(Buffer.from(backend.split('.').map(Number)).readInt32BE(0));
    return !rule.closed && rule.up[index] === 1;
  }

  private answer(p: ReturnType<typeof parseTcp>): void {
    const who = p.destination;
    if ((p.flags & SYN) !== 0) this.syns.push({ who, at: this.time.now() });
    if (p.payload.length > 0) this.data.push(p.payload);
    const how = this.behaviour.get(who) ?? 'accept';
    if (how === 'silent' || (how === 'open-ended' && (p.flags & SYN) === 0)) return;
    const ends = (p.flags & (SYN | FIN)) !== 0;
    if (!ends && p.payload.length === 0) return;
    const next = p.seq + p.payload.length + (ends ? 1 : 0);
    const flags = how === 'refuse' ? RST | ACK : (p.flags & (SYN | FIN)) | ACK;
    const seq = (p.flags & SYN) !== 0 ? 100 : 101;
    const packet = tcpPacket({ src: who, dst: p.source, sport: 80, dport: p.sourcePort, flags, seq, ack: next });
    this.time.after(1, () => this.stack?.receive(packet, 0, packet.length, false));
  }
}

describe('probes: the prober', () => {
  it('opens a backend with its first success, which it asks for at once', async () => {
    const w = new World(lab());
    assert.equal(w.health(), '4:unknown 5:unknown');
    assert.ok(!w.takes(ONE) && !w.takes(TWO));
    await w.time.pass(5);
    assert.equal(w.health(), '4:up 5:up');
    assert.ok(w.takes(ONE) && w.takes(TWO));
    assert.deepEqual(
      w.syns.map(({ who, at }) => `${who} ${String(at)}`),
      [`${ONE} 0`, `${TWO} 0`],
      'once a probe, however many rules use it',
    );
    assert.match(w.log[0]!, /^backend up \{"loadBalancer":"lb","probe":"p","backend":"10.200.2.4"\}$/);
  });

  it('probes each interval, and each second until the first success', async () => {
    const w = new World(lab({ pool: [ONE, TWO] }));
    w.behaviour.set(TWO, 'refuse');
    await w.time.pass(3500);
    const times = (who: string): number[] => w.syns.filter((syn) => syn.who === who).map(({ at }) => at);
    assert.deepEqual(times(ONE), [0]);
    assert.deepEqual(times(TWO), [0, 1000, 2000, 3000]);
    w.behaviour.set(TWO, 'accept');
    await w.time.pass(16_500);
    assert.deepEqual(times(ONE), [0, 5000, 10_000, 15_000, 20_000]);
    assert.deepEqual(times(TWO), [0, 1000, 2000, 3000, 4000, 9000, 14_000, 19_000]);
    w.behaviour.set(TWO, 'refuse');
    await w.time.pass(20_000);
    assert.deepEqual(times(TWO).slice(8), [24_000, 29_000, 34_000, 39_000]);
  });

  it('takes a backend out after numberOfProbes refusals, and back with one success', async () => {
    const w = new World(lab());
    await w.time.pass(10);
    w.behaviour.set(ONE, 'refuse');
    await w.time.pass(5000);
    assert.ok(w.takes(ONE));
    assert.equal(w.prober.status()[0]!.reason, 'connection refused');
    await w.time.pass(5000);
    assert.ok(!w.takes(ONE) && w.takes(TWO));
    assert.equal(w.health(), '4:down 5:up');
    assert.match(w.log.at(-1)!, /^backend down .*"backend":"10.200.2.4","reason":"connection refused"/);
    w.behaviour.set(ONE, 'accept');
    await w.time.pass(5000);
    assert.ok(w.takes(ONE));
    const { reason, succeeded, failed } = w.prober.status()[0]!;
    assert.deepEqual([reason, succeeded, failed], [null, 2, 2]);
  });

  it('takes a silent backend out when the last of its probes has waited an interval', async () => {
    const w = new World(lab());
    await w.time.pass(10);
    w.behaviour.set(ONE, 'silent');
    await w.time.pass(14_980);
    assert.ok(w.takes(ONE));
    await w.time.pass(20);
    assert.ok(!w.takes(ONE));
    assert.equal(w.prober.status()[0]!.reason, 'no answer in 5 s');
  });

  it('flaps with its backend, one line of log a change', async () => {
    const w = new World(lab({ probe: ', numberOfProbes: 1' }));
    await w.time.pass(10);
    const generation = w.tables.healthGeneration;
    for (let i = 0; i < 10; i++) {
      w.behaviour.set(ONE, i % 2 === 0 ? 'refuse' : 'accept');
      await w.time.pass(5000);
      assert.equal(w.takes(ONE), i % 2 === 1);
    }
    assert.equal(w.log.length, 2 + 10);
    assert.equal(w.tables.healthGeneration, generation + 10);
  });

  it('sends the LOCAL header if any service on the load balancer has the header', async () => {
    for (const [config, octets] of [
      [lab(), 0],
      [lab({ header: true }), 16],
      [lab({ secondHeader: true }), 16],
    ] as const) {
      const w = new World(config);
      await w.time.pass(10);
      assert.equal(Buffer.concat(w.data).length, 2 * octets);
    }
  });

  it('keeps what it knows over a reload, and probes anew what has changed', async () => {
    const w = new World(lab());
    await w.time.pass(1000);
    const before = w.tables.healthGeneration;
    w.apply(lab());
    await w.time.pass(1000);
    assert.equal(w.syns.length, 2, 'nothing has changed');
    w.apply(lab({ header: true }));
    assert.ok(w.takes(ONE) && w.takes(TWO));
    await w.time.pass(1000);
    assert.equal(w.syns.length, 4);
    assert.equal(w.tables.healthGeneration, before + 2, 'one for each topology, none for health');
  });

  it('lets go on what took flows before a probe came, and lets begin what is new when it is up', async () => {
    const w = new World(lab({ probes: false }));
    assert.ok(w.takes(ONE));
    w.behaviour.set(ONE, 'refuse').set(THREE, 'silent');
    w.apply(lab({ pool: [ONE, TWO, THREE] }));
    assert.equal(w.health(), '4:up 5:up 6:unknown');
    assert.ok(w.takes(ONE) && w.takes(TWO) && !w.takes(THREE));
    await w.time.pass(5500);
    assert.equal(w.health(), '4:down 5:up 6:down');
    w.behaviour.set(THREE, 'accept');
    await w.time.pass(6000);
    assert.ok(w.takes(THREE));
  });

  it('forgets a probe that is gone: its backends are healthy', async () => {
    const w = new World(lab());
    w.behaviour.set(ONE, 'refuse');
    await w.time.pass(10);
    assert.ok(!w.takes(ONE));
    w.apply(lab({ probes: false }));
    assert.ok(w.takes(ONE));
    const sent = w.syns.length;
    await w.time.pass(60_000);
    assert.equal(w.syns.length, sent);
    assert.equal(w.time.pending, 0);
    assert.deepEqual(w.prober.status(), []);
    w.tables.apply(lab().topology);
    assert.ok(w.takes(ONE));
  });

  it('fails where a network security group denies it, and says which rule', async () => {
    const w = new World(lab({ access: 'Deny' }));
    await w.time.pass(10);
    assert.equal(w.health(), '4:down 5:down');
    assert.equal(w.syns.length, 0);
    const [first] = w.prober.status();
    assert.equal(first!.reason, "denied by rule 'probes' of network security group 'backends'");
    w.apply(lab({ access: 'Allow' }));
    await w.time.pass(10);
    assert.equal(w.health(), '4:up 5:up');
    w.apply(lab({ access: 'Deny' }));
    await w.time.pass(10);
    assert.equal(w.health(), '4:up 5:up', 'as many as numberOfProbes');
    await w.time.pass(5000);
    assert.equal(w.health(), '4:down 5:down');
  });

  it('says so where the network has no interface, and finds the backend when it has one', async () => {
    const w = new World(lab(), false);
    await w.time.pass(10);
    assert.equal(w.prober.status()[0]!.reason, 'its network has no interface');
    w.attach();
    await w.time.pass(1000);
    assert.equal(w.health(), '4:up 5:up');
    w.prober.detach('provider');
    await w.time.pass(10_000);
    assert.equal(w.health(), '4:down 5:down');
  });

  it('ends without a trace, in the middle of probes', async () => {
    const w = new World(lab());
    w.behaviour.set(ONE, 'silent').set(TWO, 'open-ended');
    await w.time.pass(10);
    assert.equal(w.health(), '4:unknown 5:up');
    w.prober.close();
    assert.equal(w.time.pending, 0, 'nor a timer for a connection that its server has not ended');
    assert.deepEqual(w.syns.length, 2);
  });
});
