import assert from 'node:assert/strict';
import { MessageChannel, Worker } from 'node:worker_threads';
import { Steering, steeringMemory } from '../../../../src/gateway/workers/steering.js';
import { DropCounters } from '../../../../src/packet/verdict.js';
import { faults } from '../../../support/dissect.js';
import type { RingThreadData } from '../../../support/ring-thread.js';

const COUNT = 20_000;

describe('two threads', () => {
  it('hand packets over in order, whole and without loss, and nobody sleeps while something waits', async () => {
    const memory = steeringMemory(2);
    const { port1, port2 } = new MessageChannel();
    const options = { index: 0, workers: 2, memory, fragmentMs: 1000, drops: new DropCounters(), clock: () => 0 };
    const steering = new Steering({ ...options, wake: () => undefined });
    const slab = Buffer.alloc(1 << 16);
    let seen = 0;
    let wakes = 0;
    let naps = 0;
    let inVain = 0;
    const data: RingThreadData = { memory, count: COUNT, waker: port2 };
    const thread = new Worker(new URL('../../../support/ring-thread.js', import.meta.url), {
      workerData: data,
      transferList: [port2],
    });
    await new Promise<void>((resolve, reject) => {
      thread.on('error', reject);
      // A wake-up that was lost would leave the rest in the ring, and this test without an end.
      const take = (): void => {
        steering.stayAwake();
        do {
          for (let length = steering.next(); length >= 0; length = steering.next()) {
            steering.take(slab, 10);
            const packet = slab.subarray(10, 10 + length);
            try {
              if (seen % 50 === 0) assert.deepEqual(faults(packet), []);
              assert.deepEqual([packet.readUInt32BE(28), steering.port], [seen, seen % 7]);
              if (length > 32) assert.equal(packet[length - 1], seen & 255);
            } catch (error) {
              reject(error instanceof Error ? error : new Error(String(error)));
            }
            seen++;
          }
        } while (!steering.sleep());
        naps++;
        if (seen === COUNT) resolve();
      };
      port1.on('message', () => {
        wakes++;
        const before = seen;
        take();
        if (seen === before) inVain++;
      });
      take();
    });
    port1.close();
    await thread.terminate();
    assert.equal(seen, COUNT);
    assert.ok(wakes > 10 && naps > 10, `${wakes} wake-ups, ${naps} sleeps`);
    // On one processor each packet may find the other asleep, and wakes it. Where wake-ups are few, one that crosses a last
    // look at the ring weighs much: what counts is what a packet costs.
    assert.ok(inVain < COUNT / 10, `${inVain} of ${wakes} wake-ups in vain: who is awake is not woken`);
  });
});
