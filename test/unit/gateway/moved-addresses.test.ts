import assert from 'node:assert/strict';
import { datagram } from '../../support/dissect.js';
import { providerNetwork } from '../../support/lab-networks.js';
import { udpPacket } from '../../support/packets.js';
import { GatewayBench } from './gateway-bench.js';

/** A service in each of two provider networks that are alike. */
const lab = (first: string, second: string, networks = ['one', 'two']): string => `
virtualNetworks:
  red: { addressSpace: [10.0.0.0/16], subnets: { default: 10.0.0.0/24 }, namespace: red }
${['one', 'two'].map((name) => providerNetwork({ name, namespace: name })).join('\n')}
loadBalancers:
${networks
  .map(
    (network, i) => `  lb${String(i)}:
    virtualNetwork: ${network}
    frontends: { web: 10.200.0.1${String(i)} }
    backendPools: { web: [10.200.2.4] }
    rules:
      - { name: all, frontend: web, protocol: All, frontendPort: 0, backendPool: web, backendPort: 0 }`,
  )
  .join('\n')}
privateLinkServices:
${[first, second]
  .map(
    (nat, i) =>
      `  s${String(i)}: { subnet: ${networks[i]!}/nat, ipConfigurations: [${nat}], loadBalancerFrontend: lb${String(i)}/web, ` +
      `visibility: ['*'], autoApproval: ['*'] }`,
  )
  .join('\n')}
privateEndpoints:
  e0: { subnet: red/default, address: 10.0.0.9, privateLinkService: s0 }
  e1: { subnet: red/default, address: 10.0.0.10, privateLinkService: s1 }
`;
const A = '10.200.1.4';
const B = '10.200.1.5';
const C = '10.200.1.6';

describe('gateway: a NAT address that moves to another network', () => {
  let bench: GatewayBench;
  beforeEach(() => {
    bench = new GatewayBench();
  });
  afterEach(() => bench.stop());

  /** Sends a datagram to a service. @returns the networks that it came out in, each with the NAT address */
  function send(service: 0 | 1, sport: number): string[] {
    const networks = ['one', 'two'].filter((name) => bench.machine.devices.has(name));
    const before = networks.map((name) => bench.machine.device(name).written.length);
    const dst = ['10.0.0.9', '10.0.0.10'][service]!;
    bench.machine.device('red').give(udpPacket({ src: '10.0.0.5', dst, sport, dport: 53 }));
    return networks.flatMap((name, i) =>
      bench.machine
        .device(name)
        .written.slice(before[i])
        .map(({ packet }) => `${name} ${datagram(packet).src}`),
    );
  }

  /** The backend of a network answers its last datagram. @returns whether the consumer sees it */
  function answer(network: string): boolean {
    const device = bench.machine.device(network);
    const { src, dst, sport, dport } = datagram(device.written.at(-1)!.packet);
    const { written } = bench.machine.device('red');
    const before = written.length;
    device.give(udpPacket({ src: dst, dst: src, sport: dport, dport: sport }));
    return written.length === before + 1;
  }

  it('goes to that network alone, with the service that has it now; flows that had it end', async () => {
    await bench.start(lab(A, B));
    assert.deepEqual([send(0, 1), send(1, 1)], [[`one ${A}`], [`two ${B}`]]);
    assert.ok(bench.reload(lab(C, A)));
    assert.deepEqual(send(1, 2), [`two ${A}`], 'a new flow of the service that has it now');
    assert.ok(answer('two'));
    assert.deepEqual(send(0, 1), [`one ${C}`], 'the other service’s datagram begins a flow anew');
    assert.ok(answer('one'));
    assert.deepEqual(send(1, 1), [`two ${B}`], 'a live flow of the address that drains');
    assert.deepEqual(
      bench.gateway.status().services.map(({ draining }) => draining),
      [[], [{ address: B, flows: 1 }]],
    );
  });

  it('does so when two services change places', async () => {
    await bench.start(lab(A, B));
    send(0, 1);
    send(1, 1);
    assert.ok(bench.reload(lab(B, A)));
    assert.deepEqual([send(0, 1), send(1, 1)], [[`one ${B}`], [`two ${A}`]]);
    assert.ok(answer('one') && answer('two'));
  });

  it('drains in the network that it was in, when its service moves to another', async () => {
    await bench.start(lab(A, B, ['one', 'one']));
    assert.deepEqual(send(0, 1), [`one ${A}`]);
    assert.ok(bench.reload(lab(C, B, ['two', 'one'])));
    assert.deepEqual([send(0, 1), send(0, 2)], [[`one ${A}`], [`two ${C}`]]);
    assert.ok(answer('one') && answer('two'));
  });

  it('ends its flows with the network that it was in', async () => {
    await bench.start(lab(A, B));
    send(0, 1);
    assert.ok(bench.reload(lab(C, B, ['two', 'two'])));
    assert.deepEqual(send(0, 1), [`two ${C}`]);
    assert.equal(bench.pump.translator.flows.count, 1);
  });
});
