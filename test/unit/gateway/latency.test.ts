import assert from 'node:assert/strict';
import { Latency, LATENCY_BOUNDS_SECONDS } from '../../../src/gateway/latency.js';
import { Patience } from '../../../src/gateway/patience.js';
import { Pump } from '../../../src/gateway/pump.js';
import { address, topology } from '../../support/bench.js';
import { udpPacket } from '../../support/packets.js';
import { ScriptedDevice } from './scripted-device.js';

/** The packets' bucket, by its upper bound in microseconds. */
const bucketOf = (ms: number): number => {
  const latency = new Latency();
  latency.note(ms, 1);
  const at = latency.status.packets.indexOf(1);
  return Math.round(LATENCY_BOUNDS_SECONDS[at]! * 1e6);
};

describe('the latency of packets', () => {
  let pump: Pump | null = null;
  afterEach(() => {
    pump?.close();
  });

  it('is counted in the first bucket whose bound it does not pass', () => {
    const bounds = LATENCY_BOUNDS_SECONDS.slice(0, -1).map((seconds) => Math.round(seconds * 1e6));
    assert.deepEqual([bounds[0], bounds[1], bounds.at(-1)], [4, 8, 65_536]);
    assert.equal(LATENCY_BOUNDS_SECONDS.at(-1), Infinity);
    assert.equal(bucketOf(0), 4);
    for (const bound of bounds) {
      assert.equal(bucketOf(bound / 1000), bound);
      assert.equal(bucketOf((0.99 * bound) / 1000), bound);
      assert.equal(bucketOf((1.01 * bound) / 1000), 2 * bound > 65_536 ? Infinity : 2 * bound);
    }
    assert.equal(bucketOf(1e9), Infinity);
  });

  it('is of each packet of a burst, from the turn to the device until it is written', () => {
    let now = 1000;
    pump = new Pump(
      topology(),
      { maxFlows: 4096 },
      () => undefined,
      () => now,
      new Patience(0),
    );
    const [red, provider] = [new ScriptedDevice('red'), new ScriptedDevice('provider')];
    pump.add(red, 0, new Int32Array(0));
    pump.add(provider, -1, Int32Array.of(address('192.0.2.1')));
    // What reading and writing take, in milliseconds.
    const read = red.read.bind(red);
    red.read = (...args) => {
      const n = read(...args);
      if (n > 0) now += 0.01;
      return n;
    };
    const write = provider.write.bind(provider);
    provider.write = (...args) => {
      now += 0.02;
      return write(...args);
    };
    const packet = udpPacket({ src: '10.0.0.5', dst: '10.9.0.4', sport: 5000, dport: 53, payload: 'x' });
    red.give(packet, packet, packet);
    now += 5000; // a sleep is nobody's latency
    red.give(packet);
    // A burst that is full, and the one behind it, which waited meanwhile and began when that was done.
    red.give(...Array.from({ length: 70 }, () => packet));
    const { packets, seconds } = pump.latency.status;
    assert.equal(packets[3], 74, 'of 30 microseconds each: up to 32');
    assert.equal(
      packets.reduce((sum, n) => sum + n, 0),
      74,
    );
    assert.ok(Math.abs(seconds - 74 * 30e-6) < 1e-9, String(seconds));
  });
});
