import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PacketRing, ringMemory } from '../../../../src/gateway/workers/packet-ring.js';

const CAPACITY = 1 << 12;
const HEAD = 0;
const TAIL = 16;

const filled = (length: number, seed: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, i) => (i * 7 + seed) & 255));

describe('PacketRing', () => {
  it('gives what was pushed, in order and whole, and refuses no more than what has no room', () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 0, max: CAPACITY / 2 - 8 }), tag: fc.nat() }),
      fc.record({ push: fc.integer({ min: 0, max: 300 }), tag: fc.nat() }),
      fc.constant({ push: -1, tag: 0 }),
    );
    // The positions count without end: also where they pass 2^31 and 2^32.
    const start = fc.constantFrom(0, 0x7ffff000, 0x7ffffff8, -8, -4096);
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 200 }), (at, steps) => {
        const memory = ringMemory(CAPACITY);
        const words = new Int32Array(memory);
        words[HEAD] = words[TAIL] = at;
        const [pushes, takes] = [new PacketRing(memory), new PacketRing(memory)];
        const model: { tag: number; octets: Buffer; room: number }[] = [];
        let head = ((at % CAPACITY) + CAPACITY) % CAPACITY;
        const out = Buffer.alloc(CAPACITY);
        steps.forEach(({ push, tag }, i) => {
          if (push < 0) {
            const wanted = model.shift();
            assert.equal(takes.isEmpty, wanted === undefined);
            assert.equal(takes.nextLength(), wanted?.octets.length ?? -1);
            if (wanted === undefined) return;
            assert.equal(takes.tag, wanted.tag);
            out.fill(0);
            takes.take(out, 3);
            assert.deepEqual(out.subarray(3, 3 + wanted.octets.length), wanted.octets);
            assert.equal(out[3 + wanted.octets.length], 0);
            return;
          }
          const octets = filled(push, i);
          const around = Buffer.concat([Buffer.alloc(5), octets, Buffer.alloc(5)]);
          const need = 8 + Math.ceil(push / 8) * 8;
          const skipped = need > CAPACITY - head ? CAPACITY - head : 0;
          const used = model.reduce((sum, each) => sum + each.room, 0);
          const fits = used + skipped + need <= CAPACITY;
          assert.equal(pushes.push(tag, around, 5, 5 + push), fits);
          if (!fits) return;
          model.push({ tag, octets, room: skipped + need });
          head = (head + skipped + need) % CAPACITY;
        });
        for (const { octets } of model) {
          assert.equal(takes.nextLength(), octets.length);
          takes.take(out, 0);
          assert.deepEqual(out.subarray(0, octets.length), octets);
        }
        assert.equal(takes.nextLength(), -1);
      }),
      { numRuns: 300 },
    );
  });

  it('is full when it is full: what it took before stays as it is', () => {
    const memory = ringMemory(64);
    const [pushes, takes] = [new PacketRing(memory), new PacketRing(memory)];
    for (let i = 0; i < 4; i++) assert.ok(pushes.push(i, filled(8, i), 0, 8));
    assert.ok(!pushes.push(4, filled(8, 4), 0, 8));
    const out = Buffer.alloc(8);
    for (let i = 0; i < 4; i++) {
      assert.equal(takes.nextLength(), 8);
      takes.take(out, 0);
      assert.deepEqual([takes.tag, out], [i, filled(8, i)]);
      assert.ok(pushes.push(10 + i, filled(8, 10 + i), 0, 8), 'a place is free again');
    }
  });
});
