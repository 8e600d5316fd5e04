import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { GONE } from '../../../src/device/device.js';
import { type MemoryDevice, memoryPair } from '../../../src/device/memory.js';
import { Slots } from '../../support/device-swap.js';
import { udpPacket } from '../../support/packets.js';

const packet = (n: number): Buffer =>
  udpPacket({ src: '10.0.0.1', dst: '10.0.0.2', sport: 1000 + n, dport: 53, payload: `packet ${n}` });

function send(device: MemoryDevice, ...numbers: number[]): number {
  const slots = new Slots();
  for (const [i, n] of numbers.entries()) slots.put(i, packet(n));
  return slots.write(device, 0, numbers.length);
}

function receive(device: MemoryDevice, max?: number): number[] {
  const slots = new Slots();
  const n = slots.read(device, max);
  return Array.from({ length: n }, (_, i) => slots.packet(i).readUInt16BE(20) - 1000);
}

describe('memory device', () => {
  it('gives what was written to the other end, in order, in bursts as asked for', () => {
    const [a, b] = memoryPair();
    assert.equal(send(a, 1, 2, 3), 3);
    assert.equal(send(b, 9), 1);
    assert.deepEqual(receive(b, 2), [1, 2]);
    assert.deepEqual(receive(b), [3]);
    assert.deepEqual(receive(b), []);
    assert.deepEqual(receive(a), [9]);
    assert.deepEqual([a.counters.writtenPackets, a.counters.readPackets], [3, 1]);
    assert.equal(b.counters.readOctets, a.counters.writtenOctets);
  });

  it('carries the virtio-net header with offload, and blanks it without', () => {
    for (const csum of [false, true]) {
      const [a, b] = memoryPair({ offload: { csum, tso4: false, uso4: false } });
      const slots = new Slots();
      slots.put(0, packet(1));
      slots.slab.write('0100000000001400', slots.offsets[0]! - 10, 'hex');
      slots.write(a, 0, 1);
      const back = new Slots();
      assert.equal(back.read(b), 1);
      const header = back.slab.toString('hex', back.offsets[0]! - 10, back.offsets[0]);
      assert.equal(header, csum ? '01000000000014000000' : '00'.repeat(10));
    }
  });

  it('is full at its capacity, says how far it came, and goes round', () => {
    const [a, b] = memoryPair({ capacity: 3 });
    for (let round = 0; round < 5; round++) {
      assert.equal(send(a, 1, 2), 2);
      assert.equal(send(a, 3, 4, 5), 1);
      assert.deepEqual(receive(b), [1, 2, 3]);
    }
    assert.equal(a.counters.full, 5);
  });

  it('skips and counts what does not fit', () => {
    const [a, b] = memoryPair({ mtu: 100 });
    const slots = new Slots();
    slots.put(0, Buffer.alloc(101, 0x45));
    slots.put(1, packet(7));
    slots.lengths[2] = -1;
    assert.equal(slots.write(a, 0, 3), 3);
    assert.deepEqual(receive(b), [7]);
    assert.equal(a.counters.writeErrors, 2);
  });

  it('calls back while something waits, once started, and not after stop', async () => {
    const [a, b] = memoryPair();
    const got: number[] = [];
    let calls = 0;
    b.onReadable(() => {
      calls++;
      got.push(...receive(b, 1));
    });
    send(a, 1, 2);
    await turn();
    await turn();
    assert.equal(calls, 0);
    b.start();
    for (let i = 0; i < 6; i++) await turn();
    assert.deepEqual([calls, got], [2, [1, 2]]);
    b.stop();
    send(a, 3);
    for (let i = 0; i < 4; i++) await turn();
    assert.equal(calls, 2);
  });

  it('tells once that it is gone, and its peer writes into the void', async () => {
    const [a, b] = memoryPair();
    const answers: number[] = [];
    b.onReadable(() => answers.push(new Slots().read(b)));
    b.start();
    b.vanish();
    for (let i = 0; i < 4; i++) await turn();
    assert.deepEqual(answers, [GONE]);
    assert.equal(send(b, 1), GONE);
    assert.equal(send(a, 1), 1);
    a.close();
    assert.equal(send(a, 1), GONE);
  });
});
