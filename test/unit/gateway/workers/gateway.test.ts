import assert from 'node:assert/strict';
import { statusText } from '../../../../src/cli/status-text.js';
import { CulvertError } from '../../../../src/errors.js';
import { exposition } from '../../../../src/gateway/metrics.js';
import { datagram } from '../../../support/dissect.js';
import { SYN, tcpPacket, udpPacket } from '../../../support/packets.js';
import { until } from '../../../support/until.js';
import { GatewayBench, labText, type LabText } from '../gateway-bench.js';

const WORKERS = 3;
const OLD = '10.200.1.4';
const NEW = '10.200.1.5';
const lab = (text: LabText = {}): string => labText({ gateway: `{ workers: ${String(WORKERS)} }`, ...text });

describe('gateway: with workers', () => {
  let bench: GatewayBench;
  beforeEach(() => {
    bench = new GatewayBench();
  });
  afterEach(() => bench.stop());

  const flowsOf = (): number[] => bench.machine.workers.map(({ hosted }) => hosted.plane.liveFlows());

  it('moves packets, and tells of all workers as of one', async () => {
    await bench.start(lab());
    for (let sport = 1; sport <= 60; sport++) {
      assert.equal(bench.send('red', sport), OLD);
      assert.ok(bench.answer('red'));
      assert.equal(bench.send('blue', sport), OLD);
    }
    assert.ok(Math.min(...flowsOf()) > 20, flowsOf().join());
    const status = bench.gateway.status();
    assert.equal(status.workers, WORKERS);
    assert.deepEqual([status.flows.live, status.flows.udp, status.flows.most], [120, 120, 1 << 20]);
    assert.deepEqual(status.drops, {});
    assert.ok(status.handedOver.packets > 60 && status.handedOver.lost === 0);
    const [service] = status.services;
    assert.deepEqual(
      service!.endpoints.map(({ name, octetsIn, octetsOut }) => [name, octetsIn, octetsOut]),
      [
        ['red-web', 60 * 33, 60 * 34],
        ['blue-web', 60 * 33, 0],
      ],
    );
    assert.deepEqual(status.natPorts, [
      { service: 'web', address: OLD, backend: '10.200.2.4', protocol: 'udp', inUse: 120, held: 0, of: 64_000 },
    ]);
    const [use] = status.backendPorts;
    assert.deepEqual([use!.of, use!.inUse], [64_000, 120]);
    // Of one worker's third.
    const most = (100 * Math.max(...flowsOf())) / (64_000 / WORKERS);
    assert.ok(Math.abs(use!.percent - most) < 0.001, String(use!.percent));
    const report = await bench.gateway.flows({ top: 7 });
    assert.deepEqual([report.live, report.matching, report.flows.length], [120, 120, 7]);
    assert.ok(
      report.flows.every(({ network }) => network === 'red'),
      'the busiest of all',
    );
    assert.equal((await bench.gateway.flows({ top: 1000, port: 9 })).matching, 2);
    const two = await Promise.all([bench.gateway.flows({ top: 5 }), bench.gateway.flows({ top: 1, port: 9 })]);
    assert.deepEqual(
      two.map(({ matching }) => matching),
      [120, 2],
    );
    assert.match(statusText(status), /workers 3, packets from one to another \d+, lost 0/);
    const text = await exposition(status);
    assert.match(text, /^culvert_workers 3$/m);
    assert.match(text, new RegExp(`^culvert_handed_over_total ${String(status.handedOver.packets)}$`, 'm'));
  });

  it('takes all that comes for the probes, one after the other', async () => {
    await bench.start(lab());
    const packet = udpPacket({
      src: '10.200.2.4',
      dst: '168.63.129.16',
      sport: 1,
      dport: 2,
      payload: 'x'.repeat(1000),
    });
    for (let n = 0; n < 1000; n++) bench.machine.device('provider').give(packet);
    assert.deepEqual(bench.gateway.status().drops, { 'no-flow': 1000 });
  });

  it('makes each interface once, sets it up behind the last queue, and ends all workers', async () => {
    await bench.start(lab());
    const { history } = bench.machine;
    assert.deepEqual(
      history.filter((line) => line.includes('red')),
      ['+red', 'open cv-red', 'set up cv-red'],
    );
    await bench.gateway.stop();
    assert.equal(bench.machine.ended, WORKERS);
    assert.deepEqual([...bench.machine.namespaces], []);
  });

  it('leaves nothing when an interface cannot be made, or not be set up', async () => {
    bench.machine.broken = 'blue';
    await assert.rejects(bench.start(lab()), { code: 'TUN_NAME_TAKEN' });
    assert.equal(bench.machine.ended, WORKERS);
    bench.machine.broken = 'cv-blue';
    await assert.rejects(bench.start(lab()), { code: 'IP_COMMAND_FAILED' });
    assert.deepEqual([...bench.machine.namespaces], []);
    assert.ok(bench.machine.device('blue').closed);
    bench.machine.broken = '';
    await bench.start(lab());
  });

  it('takes a reload with all workers: addresses drain until the last of them is done', async () => {
    const translation = '{ timeouts: { udp: 0.4 } }';
    await bench.start(lab({ nat: `${OLD}, ${NEW}`, translation }));
    bench.stopClock();
    const old = ['red', 'blue'].find((network) => bench.send(network, 1000) === OLD)!;
    for (let sport = 1; sport <= 30; sport++) bench.send(old, sport);
    assert.ok(Math.min(...flowsOf()) > 0);
    assert.ok(bench.reload(lab({ nat: NEW, translation })));
    assert.equal(bench.send(old, 1), OLD, 'a live flow keeps its address');
    assert.ok(bench.answer(old));
    assert.equal(bench.send(old, 500), NEW);
    assert.deepEqual(bench.gateway.status().services[0]!.draining, [{ address: OLD, flows: 31 }]);
    assert.deepEqual(bench.told('a NAT address has drained'), []);
    bench.pass(3000);
    await until('the end of the drain', () => bench.told('a NAT address has drained').length > 0);
    assert.deepEqual(
      bench.told('a NAT address has drained').map(({ fields }) => fields),
      [{ service: 'web', address: OLD }],
    );
    assert.deepEqual(bench.gateway.status().services[0]!.draining, []);
    assert.equal(bench.told('a NAT address has drained').length, 1);
  });

  it('ends the flows of all workers with the approval', async () => {
    await bench.start(lab());
    for (let sport = 1; sport <= 30; sport++) {
      bench.send('red', sport);
      const connection = tcpPacket({ src: '10.0.0.5', dst: '10.0.0.9', sport, dport: 80, flags: SYN });
      bench.machine.device('red').give(connection);
    }
    assert.ok(bench.reload(lab({ status: 'Rejected' })));
    assert.deepEqual(flowsOf(), [0, 0, 0]);
    assert.deepEqual(bench.told('lab file taken')[0]!.fields, { flowsEnded: 60 });
    const { natPorts, backendPorts } = bench.gateway.status();
    for (const uses of [natPorts, backendPorts]) {
      const { inUse, held } = uses.find(({ protocol }) => protocol === 'tcp')!;
      assert.deepEqual([inUse, held], [0, 30], 'the ports of connections rest');
    }
    assert.equal(bench.send('red', 1), null);
    assert.equal(bench.gateway.status().drops['not-approved'], 1);
  });

  it('gives every NAT port to flows, and warns when one worker’s are used up', async () => {
    const translation = '{ natPorts: { first: 5001, count: 100 } }';
    await bench.start(lab({ translation }));
    const ports = new Set<number>();
    for (let sport = 1; sport <= 400; sport++) {
      if (bench.send('red', sport) === null) continue;
      ports.add(datagram(bench.machine.device('provider').written.at(-1)!.packet).sport);
    }
    assert.deepEqual([ports.size, Math.min(...ports), Math.max(...ports)], [100, 5001, 5100]);
    const status = bench.gateway.status();
    assert.equal(status.drops['nat-exhausted'], 300);
    const [use] = status.backendPorts;
    assert.deepEqual([use!.inUse, use!.of, use!.percent, use!.warned], [100, 100, 100, true]);
    const [warning] = bench.told('NAT ports towards a backend run out');
    assert.equal(warning!.fields['of'], 100);
  });

  it('says that changes of workers wait, and refuses taps', async () => {
    await bench.start(lab());
    assert.ok(bench.reload(lab({ gateway: '{ workers: 2 }' })));
    const told = (): unknown[] =>
      bench.told("changes in 'gateway' wait for the next start").map(({ fields }) => fields);
    assert.deepEqual(told(), [{ code: 'GATEWAY_RESTART_NEEDED', settings: ['workers'] }]);
    assert.ok(bench.reload(lab()));
    assert.equal(told().length, 1, 'as many as run');
    const reader = { write: () => undefined, waiting: 0, end: () => undefined };
    assert.throws(() => bench.gateway.tap({ snapLength: 128 }, reader), { code: 'CONTROL_REFUSED' });
  });

  it('does not take fewer ports than the workers that run, whatever number the file asks for', async () => {
    await bench.start(lab());
    for (let sport = 1; sport <= 30; sport++) bench.send('red', sport);
    const ports = (count: number): string =>
      lab({ gateway: '{ workers: 1 }', translation: `{ natPorts: { first: 5000, count: ${String(count)} } }` });
    assert.ok(!bench.reload(ports(2)));
    assert.equal(bench.told('the lab file was not taken')[0]!.fields['code'], 'GATEWAY_PORTS_BELOW_WORKERS');
    assert.equal(bench.send('red', 31), OLD);
    assert.equal(bench.gateway.status().backendPorts[0]!.of, 64_000);
    assert.ok(bench.reload(ports(3)));
    assert.equal(bench.gateway.status().backendPorts[0]!.of, 3);
  });

  it('ends when a worker dies, and when an interface is lost, and says so', async () => {
    const failures: CulvertError[] = [];
    bench.onFailure = (error) => failures.push(error);
    await bench.start(lab());
    const red = bench.machine.device('red');
    red.gone = true;
    red.turn();
    bench.machine.workers[1]!.events.died(new CulvertError('WORKER_DIED', 'worker 1 ended: test'));
    assert.deepEqual(
      failures.map(({ code }) => code),
      ['GATEWAY_DEVICE_LOST', 'WORKER_DIED'],
    );
    await assert.rejects(bench.gateway.flows({ top: 1 }), { code: 'WORKER_DIED' });
    await bench.gateway.stop();
    assert.equal(bench.machine.ended, WORKERS);
  });

  it('ends wholly when a worker dies as it is asked to close, or to let an interface go', async () => {
    for (const question of ['close', 'detach']) {
      await bench.start(lab());
      const { hosted, events } = bench.machine.workers[1]!;
      const { ask } = hosted;
      (hosted as { ask: typeof ask }).ask = (what, args) => {
        if (what !== question) return ask(what, args);
        const error = new CulvertError('WORKER_DIED', 'worker 1 gives no answer');
        events.died(error);
        throw error;
      };
      await bench.gateway.stop();
      assert.deepEqual([...bench.machine.namespaces], []);
    }
    assert.equal(bench.machine.ended, 2 * WORKERS);
    assert.equal(bench.told('stopped').length, 2);
  });

  it('refuses fewer ports or flows than workers, and workers beyond what is allowed', async () => {
    for (const text of [
      lab({ translation: '{ natPorts: { first: 5000, count: 2 } }' }),
      lab({ translation: '{ maxFlows: 2 }' }),
      lab({ gateway: '{ workers: 0 }' }),
      lab({ gateway: '{ workers: 33 }' }),
      lab({ gateway: '{ workers: 1.5 }' }),
    ])
      await assert.rejects(bench.start(text), { code: 'CONFIG_INVALID' });
    await bench.start(lab({ translation: '{ natPorts: { first: 5000, count: 3 }, maxFlows: 3 }' }));
  });
});
