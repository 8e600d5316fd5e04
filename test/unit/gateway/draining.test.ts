import assert from 'node:assert/strict';
import { statusText } from '../../../src/cli/status-text.js';
import { exposition } from '../../../src/gateway/metrics.js';
import { udpPacket } from '../../support/packets.js';
import { until } from '../../support/until.js';
import { GatewayBench, labText } from './gateway-bench.js';

/** Flows that end a second after their last packet, by the timer alone. */
const SHORT = '{ timeouts: { udp: 1 } }';
const OLD = '10.200.1.4';
const NEW = '10.200.1.5';

describe('gateway: NAT addresses that come and go', () => {
  let bench: GatewayBench;
  beforeEach(() => {
    bench = new GatewayBench();
  });
  afterEach(() => bench.stop());

  /** Whether the gateway takes what is sent to an address of the provider's network for a reply. */
  function claims(address: string): boolean {
    const port = bench.pump.ports.find((each) => each.device === bench.machine.device('provider'))!;
    const number = Buffer.from(address.split('.').map(Number)).readInt32BE(0);
    return port.natAddresses.includes(number);
  }

  it('gives a new address to new flows, and leaves old ones where they are', async () => {
    await bench.start(labText());
    const before = Array.from({ length: 20 }, (_, i) => bench.send('red', i));
    assert.ok(bench.reload(labText({ nat: `${OLD}, ${NEW}` })));
    for (let i = 0; i < 20; i++) assert.equal(bench.send('red', i), before[i], 'a live flow keeps its address');
    const used = new Set(
      ['red', 'blue'].flatMap((from) => Array.from({ length: 9 }, (_, i) => bench.send(from, 50 + i))),
    );
    assert.ok(used.has(NEW), 'a consumer whose turn it is gets the new one');
    assert.deepEqual(bench.gateway.status().services[0]!.draining, []);
  });

  it('drains one that was taken out: no new flow, live ones to their end, then it leaves', async () => {
    await bench.start(labText({ nat: `${OLD}, ${NEW}`, translation: SHORT }));
    bench.stopClock();
    // Which address a consumer prefers is a hash of its own address and network: it stays the same.
    const old = ['red', 'blue'].find((network) => bench.send(network, 1) === OLD);
    if (old === undefined) assert.fail('nobody has the old address');
    assert.ok(bench.reload(labText({ nat: NEW, translation: SHORT })));
    assert.equal(bench.send(old, 1), OLD);
    assert.ok(bench.answer(old));
    assert.equal(bench.send(old, 2), NEW);
    const status = bench.gateway.status();
    assert.deepEqual(status.services[0]!.natAddresses, [NEW]);
    assert.deepEqual(status.services[0]!.draining, [{ address: OLD, flows: 1 }]);
    assert.match(statusText(status), /draining: NAT address 10\.200\.1\.4 of service web, 1 live flows/);
    assert.match(await exposition(status), /^culvert_nat_draining_flows\{service="web",address="10\.200\.1\.4"\} 1$/m);
    assert.ok(claims(OLD) && claims(NEW));
    assert.deepEqual(bench.told('a NAT address has drained'), []);
    // Time goes on by the pump's own timer; nobody asks.
    bench.pass(3000);
    await until('the end of the drain', () => !claims(OLD));
    assert.ok(claims(NEW));
    assert.deepEqual(
      bench.told('a NAT address has drained').map(({ fields }) => fields),
      [{ service: 'web', address: OLD }],
    );
    assert.deepEqual(bench.gateway.status().services[0]!.draining, []);
    // The host that has the address now may be spoken to like any other.
    bench.machine.device('provider').give(udpPacket({ src: '10.200.2.4', dst: OLD, sport: 53, dport: 2000 }));
    assert.equal(bench.gateway.status().drops['no-flow'], 1);
  });

  it('lets an address go at once when it has no flow, or its flows end with the change', async () => {
    await bench.start(labText({ nat: `${OLD}, ${NEW}` }));
    assert.ok(bench.reload(labText({ nat: NEW })));
    assert.ok(!claims(OLD));
    assert.ok(bench.send('red', 1) === NEW);
    assert.ok(bench.reload(labText({ nat: OLD, status: 'Rejected' })));
    assert.equal(bench.pump.translator.flows.count, 0);
    assert.ok(!claims(NEW) && claims(OLD));
  });

  it('takes an address that drains back', async () => {
    await bench.start(labText());
    assert.equal(bench.send('red', 1), OLD);
    assert.ok(bench.reload(labText({ nat: NEW })));
    assert.ok(bench.reload(labText({ nat: OLD })));
    const [service] = bench.gateway.status().services;
    assert.deepEqual([service!.natAddresses, service!.draining], [[OLD], []]);
    assert.equal(bench.send('red', 1), OLD);
    assert.equal(bench.send('red', 2), OLD);
    assert.deepEqual(
      bench.told('a NAT address has drained').map(({ fields }) => fields['address']),
      [NEW],
    );
  });
});
