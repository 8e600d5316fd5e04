import assert from 'node:assert/strict';
import { ImpairedDevice } from '../../../../src/device/impair.js';
import { memoryPair } from '../../../../src/device/memory.js';
import { type Outcome, startProbe } from '../../../../src/gateway/probes/attempt.js';
import { realClock } from '../../../../src/gateway/probes/clock.js';
import { TcpStack } from '../../../../src/gateway/probes/tcp-stack.js';
import { Pump } from '../../../../src/gateway/pump.js';
import type { Probe } from '../../../../src/service/resources.js';
import { topology } from '../../../support/bench.js';
import { Slots } from '../../../support/device-swap.js';
import { faults } from '../../../support/dissect.js';
import { Random } from '../../../support/random.js';
import { SimulatedTcp } from '../../../support/simulated-tcp.js';
import { PEER_ADDRESS, server } from './peer.js';

const BAD = { loss: 0.05, duplicate: 0.2, reorder: 0.3, corrupt: 0.05 };

const PROBE: Probe = {
  name: 'p',
  protocol: 'Http',
  port: 80,
  requestPath: '/',
  intervalInSeconds: 25,
  numberOfProbes: 2,
  probeThreshold: null,
  noHealthyBackendsBehavior: 'AllProbedDown',
};

/** A probe through pump, line and devices. @returns how it went, and how bad the line was to it */
async function probeOver(seed: number): Promise<{ outcome: Outcome; hurt: number }> {
  const data = Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), Buffer.alloc(8000, 'x')]);
  const [near, far] = memoryPair();
  const line = new ImpairedDevice(near, { seed, read: BAD, write: BAD });
  const pump = new Pump(topology(), {}, () => undefined);
  const port = pump.add(line, -1, Int32Array.of(0x0a000001));
  const stack = new TcpStack(realClock, line.mtu, (packet) => pump.send(port, packet));
  port.probes = stack;

  const out = new Slots(1);
  const peer = new SimulatedTcp(
    {
      get now() {
        return performance.now();
      },
      random: new Random(seed),
      after: (ms, what) => void setTimeout(what, ms).unref(),
      send: (packet) => {
        out.put(0, packet);
        out.write(far, 0, 1);
      },
    },
    server({ data, writeAfter: 1, mss: 400, close: 'written' }),
  );
  peer.listen();
  const slots = new Slots(64);
  far.onReadable(() => {
    const n = slots.read(far);
    for (let i = 0; i < n; i++) {
      const packet = slots.packet(i);
      // A kernel drops what was damaged on the way.
      if (sound(packet)) peer.receive(packet);
    }
  });
  far.start();
  let cancel = (): void => undefined;
  const outcome = await new Promise<Outcome>((resolve) => {
    cancel = startProbe(stack, realClock, { probe: PROBE, backend: PEER_ADDRESS, header: true }, resolve);
  });
  const { read, write } = line.lines;
  const hurt = [read, write].reduce((sum, each) => sum + each.lost + each.corrupted + each.reordered, 0);
  cancel();
  stack.close();
  pump.close();
  line.close();
  far.close();
  return { outcome, hurt };
}

describe('probes: over a bad line between devices', () => {
  it('an HTTP probe through the pump gets its answer', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, (_, seed) => probeOver(seed)));
    for (const { outcome } of all) assert.deepEqual(outcome, { healthy: true });
    const hurt = all.reduce((sum, each) => sum + each.hurt, 0);
    assert.ok(hurt > 20, `the line was bad: ${String(hurt)}`);
  });
});

function sound(packet: Buffer): boolean {
  try {
    return faults(packet).length === 0;
  } catch {
    return false;
  }
}
