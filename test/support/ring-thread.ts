/** Hands numbered packets to worker 0 from a thread of its own; test/unit/gateway/workers/threads.test.ts. */
import { type MessagePort, workerData } from 'node:worker_threads';
import { DropCounters } from '../../src/packet/verdict.js';
import { FROM_PROVIDER } from '../../src/gateway/workers/owner.js';
import { Steering, type SteeringMemory } from '../../src/gateway/workers/steering.js';
import { udpPacket } from './packets.js';
import { Random } from './random.js';

export interface RingThreadData {
  readonly memory: SteeringMemory;
  readonly count: number;
  readonly waker: MessagePort;
}

const { memory, count, waker } = workerData as RingThreadData;
const options = { index: 1, workers: 2, memory, fragmentMs: 1000, drops: new DropCounters(), clock: () => 0 };
const steering = new Steering({ ...options, wake: () => waker.postMessage(0) });
const random = new Random(5);
const pause = new Int32Array(new SharedArrayBuffer(4));

for (let n = 0; n < count; n++) {
  const payload = Buffer.alloc(4 + random.int(0, n % 16 === 0 ? 60_000 : 400), n & 255);
  payload.writeUInt32BE(n);
  const packet = udpPacket({ src: '10.1.0.4', dst: '192.0.2.1', sport: 53, dport: 2 * (n % 1000), payload });
  const octets = Buffer.concat([Buffer.alloc(10), packet]);
  // A full ring loses the packet: here it comes again until there is room.
  for (;;) {
    const { lost } = steering;
    steering.stays(n % 7, FROM_PROVIDER, octets, 10, octets.length);
    steering.wakeOthers();
    if (steering.lost === lost) break;
  }
  // Pauses of any length, so that the other side falls asleep at every point of its work.
  if (random.next() < 0.05) Atomics.wait(pause, 0, 0, random.next() * 0.5);
}
waker.close();
