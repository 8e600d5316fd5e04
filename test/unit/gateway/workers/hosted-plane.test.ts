import assert from 'node:assert/strict';
import { hostedPlane, type HostedPlane } from '../../../../src/gateway/workers/hosted-plane.js';
import { owedFor, type Told } from '../../../../src/gateway/workers/plane-calls.js';
import { steeringMemory } from '../../../../src/gateway/workers/steering.js';
import { address, endpoint, link, topology } from '../../../support/bench.js';
import { udpPacket } from '../../../support/packets.js';
import { ScriptedDevice } from '../scripted-device.js';

const WORKERS = 3;
const plan = {
  ...{ name: 'provider', index: 0, consumer: false, natAddresses: new Int32Array(0), namespace: null },
  ...{ device: 'cv-provider', mtu: 1500, addresses: [], routes: [] },
};

describe('the plane of a worker', () => {
  const told: Told[] = [];
  const device = new ScriptedDevice('cv-provider');
  const planes: HostedPlane[] = [];
  let owed: SharedArrayBuffer;
  const direct = { destination: address('10.1.0.4'), rules: [], bitsPerSecond: 1000 };

  beforeEach(() => {
    told.length = planes.length = 0;
    const memory = steeringMemory(WORKERS);
    owed = new SharedArrayBuffer(4 * WORKERS);
    for (let index = 0; index < WORKERS; index++) {
      const data = { index, workers: WORKERS, memory, owed, topology: topology(link(direct)), wakers: [] };
      planes.push(
        hostedPlane(
          { ...data, options: { maxFlows: 1000 } },
          {
            openQueue: () => device,
            wake: () => undefined,
            clock: () => performance.now(),
            tell: (what) => told.push(what),
          },
        ),
      );
    }
  });
  afterEach(() => {
    for (const { plane } of planes) plane.close();
  });

  it('has its share of flows and bandwidth, also after a reload', () => {
    assert.deepEqual(
      planes.map(({ plane }) => plane.report().flows.most),
      [334, 333, 333],
    );
    const rate = ({ pump }: HostedPlane): number => pump.translator.tables.links[0]!.policer!.rate;
    assert.deepEqual(planes.map(rate), [333, 333, 333]);
    planes[0]!.ask('apply', [topology(link({ ...direct, bitsPerSecond: 2 })), [], []]);
    assert.equal(rate(planes[0]!), 1, 'not none at all');
    planes[0]!.ask('apply', [topology(link({ endpoints: [endpoint()] })), [], []]);
    assert.equal(planes[0]!.pump.translator.tables.links[0]!.policer, null);
  });

  it('tells of no more for the probes than waits to be taken, and counts the rest as dropped', () => {
    const { ask, plane } = planes[1]!;
    ask('attach', [plan, true, 4]);
    ask('assign', [[{ network: 'provider', consumer: false, natAddresses: Int32Array.of(address('192.0.2.1') | 0) }]]);
    const flood = udpPacket({
      src: '10.1.0.4',
      dst: '168.63.129.16',
      sport: 80,
      dport: 50_000,
      payload: 'x'.repeat(996),
    });
    for (let n = 0; n < 1000; n++) device.give(flood);
    const waits = 820;
    assert.deepEqual(Array.from(new Int32Array(owed)), [0, waits * (1024 + 256), 0]);
    assert.deepEqual([told.length, plane.report().drops['probe-limit']], [waits, 1000 - waits]);
    for (const what of told.splice(0, 3))
      Atomics.sub(new Int32Array(owed), 1, what.told === 'own' ? owedFor(what.packet) : 0);
    for (let n = 0; n < 10; n++) device.give(flood);
    assert.equal(told.length, waits);
  });

  it('tells of packets for the probes, and of an interface that is gone', () => {
    const { ask } = planes[0]!;
    ask('attach', [plan, true, 4]);
    ask('assign', [[{ network: 'provider', consumer: false, natAddresses: Int32Array.of(address('192.0.2.1') | 0) }]]);
    const answer = udpPacket({ src: '10.1.0.4', dst: '168.63.129.16', sport: 80, dport: 50_000 });
    device.give(answer);
    assert.equal(told.length, 1);
    const [own] = told;
    assert.ok(own?.told === 'own' && own.network === 'provider' && !own.partial);
    assert.deepEqual(Buffer.from(own.packet), answer);
    ask('send', ['provider', new Uint8Array(answer)]);
    assert.deepEqual(device.written.at(-1)!.packet, answer);
    device.gone = true;
    device.turn();
    assert.deepEqual(told[1], { told: 'lost', device: 'cv-provider' });
  });
});
