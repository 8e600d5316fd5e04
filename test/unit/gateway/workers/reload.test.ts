/** Packets that come while a reload goes from worker to worker. */
import assert from 'node:assert/strict';
import { providerNetwork } from '../../../support/lab-networks.js';
import { udpPacket } from '../../../support/packets.js';
import { GatewayBench } from '../gateway-bench.js';

/** A service in each of these provider networks, which are alike; by network: the NAT addresses. */
const lab = (networks: Readonly<Record<string, string>>): string => {
  const all = Object.entries(networks);
  const lines = (line: (name: string, i: number, nat: string) => string): string =>
    all.map(([name, nat], i) => line(name, i, nat)).join('\n');
  return `
virtualNetworks:
  red: { addressSpace: [10.0.0.0/16], subnets: { default: 10.0.0.0/24 }, namespace: red }
${lines((name) => providerNetwork({ name, namespace: name }))}
loadBalancers:
${lines(
  (name) => `  lb-${name}:
    virtualNetwork: ${name}
    frontends: { web: 10.200.0.10 }
    backendPools: { web: [10.200.2.4] }
    rules:
      - { name: all, frontend: web, protocol: All, frontendPort: 0, backendPool: web, backendPort: 0 }`,
)}
privateLinkServices:
${lines(
  (name, _, nat) =>
    `  s-${name}: { subnet: ${name}/nat, ipConfigurations: [${nat}], loadBalancerFrontend: lb-${name}/web, ` +
    `visibility: ['*'], autoApproval: ['*'] }`,
)}
privateEndpoints:
${lines((name, i) => `  e-${name}: { subnet: red/default, address: 10.0.0.${String(9 + i)}, privateLinkService: s-${name} }`)}
gateway: { workers: 3 }
`;
};
const A = '10.200.1.4';
const B = '10.200.1.5';
const C = '10.200.1.6';

describe('gateway: packets during a reload with workers', () => {
  let bench: GatewayBench;
  /** Of the next flow. */
  let port: number;
  beforeEach(() => {
    bench = new GatewayBench();
    port = 1000;
  });
  afterEach(() => bench.stop());

  const lost = (): number => {
    const { noDevice, drops } = bench.gateway.plane.report();
    return Object.entries(drops).reduce((sum, [reason, n]) => (reason === 'no-endpoint' ? sum : sum + n), noDevice);
  };

  /** New flows of each endpoint; the payload names its network. */
  function send(networks: readonly string[]): void {
    networks.forEach((network, i) => {
      for (let n = 0; n < 5; n++) {
        const dst = `10.0.0.${String(9 + i)}`;
        const packet = udpPacket({ src: '10.0.0.5', dst, sport: port++, dport: 53, payload: `for ${network}` });
        bench.machine.device('red').give(packet);
      }
    });
  }

  /** Reloads with new flows before and after everything that any worker is asked. @returns how many datagrams arrived */
  function reload(text: string, networks: readonly string[]): number {
    let asked = 0;
    for (const { hosted } of bench.machine.workers) {
      const { ask } = hosted;
      (hosted as { ask: typeof ask }).ask = (what, args) => {
        if (what === 'report') return ask(what, args);
        asked++;
        send(networks);
        const answer = ask(what, args);
        send(networks);
        return answer;
      };
    }
    assert.ok(bench.reload(text));
    assert.ok(asked > 3);
    let arrived = 0;
    for (const network of networks) {
      for (const { packet } of bench.machine.device(network).written) {
        const payload = packet.subarray(28).toString();
        assert.equal(payload, `for ${network}`, `in ${network}`);
        arrived++;
      }
    }
    return arrived;
  }

  it('go into the network of their service while a NAT address moves, and none is lost', async () => {
    await bench.start(lab({ one: A, two: B }));
    const arrived = reload(lab({ one: C, two: A }), ['one', 'two']);
    assert.deepEqual([lost(), arrived], [0, port - 1000]);
  });

  it('find no flow of an address that moved, with any worker', async () => {
    await bench.start(lab({ one: A, two: B }));
    for (let i = 0; i < 6; i++) send(['one', 'two']);
    const flows = (): number[] => bench.machine.workers.map(({ hosted }) => hosted.plane.liveFlows());
    assert.ok(Math.min(...flows()) > 1);
    assert.ok(bench.reload(lab({ one: C, two: A })));
    assert.deepEqual(bench.told('lab file taken')[0]!.fields, { flowsEnded: 30 });
    assert.equal(
      flows().reduce((sum, each) => sum + each),
      30,
    );
  });

  it('do so while two services change places', async () => {
    await bench.start(lab({ one: A, two: B }));
    const arrived = reload(lab({ one: B, two: A }), ['one', 'two']);
    assert.deepEqual([lost(), arrived], [0, port - 1000]);
  });

  it('are not lost while a service gets a further NAT address', async () => {
    await bench.start(lab({ one: A, two: B }));
    const arrived = reload(lab({ one: A, two: `${B}, ${C}` }), ['one', 'two']);
    assert.deepEqual([lost(), arrived], [0, port - 1000]);
  });

  it('do not go into the only network when a second one is added', async () => {
    await bench.start(lab({ one: A }));
    assert.ok(reload(lab({ one: A, two: B }), ['one', 'two']) > 0);
    assert.equal(lost(), 0);
    assert.ok(bench.machine.device('two').written.length > 0);
  });

  it('go nowhere else when their network is taken out', async () => {
    await bench.start(lab({ one: A, two: B }));
    const before = bench.machine.device('two').written;
    send(['one', 'two']);
    assert.ok(reload(lab({ one: B }), ['one']) > 0);
    assert.ok(before.every(({ packet }) => packet.subarray(28).toString() === 'for two'));
  });
});
