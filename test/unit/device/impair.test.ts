import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { GONE, type PacketDevice } from '../../../src/device/device.js';
import { ImpairedDevice } from '../../../src/device/impair.js';
import { ImpairedLine, type Impairment, type LineCounters } from '../../../src/device/impaired-line.js';
import { memoryPair } from '../../../src/device/memory.js';
import { Slots } from '../../support/device-swap.js';
import { udpPacket } from '../../support/packets.js';
import { faults } from '../../support/dissect.js';
import { until } from '../../support/until.js';

const AT = 16;

const packet = (n: number): Buffer =>
  udpPacket({ src: '10.0.0.1', dst: '10.0.0.2', sport: n >>> 16, dport: n & 0xffff, payload: 'x'.repeat(40) });
const numberOf = (b: Buffer): number => b.readUInt32BE(20);

/** Sends packets 0 to count - 1, one a millisecond. @returns what came out, in order, with its time */
function pass(line: ImpairedLine, count: number): { n: number; at: number; octets: Buffer }[] {
  const out: { n: number; at: number; octets: Buffer }[] = [];
  const slab = Buffer.alloc(200);
  const drain = (now: number): void => {
    for (let length; (length = line.nextLength(now)) >= 0;) {
      line.take(slab, AT);
      const octets = Buffer.from(slab.subarray(AT, AT + length));
      out.push({ n: numberOf(octets), at: now, octets });
    }
  };
  for (let n = 0; n < count; n++) {
    slab.fill(0, 0, AT);
    slab.set(packet(n), AT);
    line.push(slab, AT, packet(n).length, n);
    drain(n);
  }
  for (let now = count; line.nextDue() !== Infinity; now = Math.ceil(line.nextDue())) drain(now);
  return out;
}

function balanced(c: Readonly<LineCounters>): void {
  assert.equal(c.packets + c.duplicated, c.delivered + c.held + c.lost + c.lostOnPurpose + c.overflowed);
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const N = 20_000;

/** The plain dissector may run off the end of a packet with a broken length. */
function isBad(octets: Buffer): boolean {
  try {
    return faults(octets).length > 0;
  } catch {
    return true;
  }
}

function within(what: string, count: number, rate: number): void {
  // Five standard deviations of a binomial count: with a fixed seed this is exact or wrong for good.
  const slack = 5 * Math.sqrt(N * rate * (1 - rate));
  assert.ok(Math.abs(count - N * rate) < slack, `${what}: ${count} of ${N}, wanted ${N * rate} ± ${Math.round(slack)}`);
}

describe('impaired line', () => {
  it('is a good line when nothing is asked for', () => {
    const line = new ImpairedLine({}, 1);
    const out = pass(line, 500);
    assert.deepEqual(
      out.map(({ n, at }) => [n, at]),
      numbers(500).map((n) => [n, n]),
    );
    for (const { n, octets } of out) assert.ok(octets.equals(packet(n)));
  });

  it('loses, duplicates, reorders and corrupts at the rates that were asked for', () => {
    const line = new ImpairedLine({ loss: 0.05, duplicate: 0.05, reorder: 0.2, corrupt: 0.01 }, 42);
    const out = pass(line, N);
    const c = line.counters;
    within('lost', c.lost, 0.05);
    within('duplicated', c.duplicated, 0.95 * 0.05);
    within('reordered', c.reordered, 0.95 * 0.2);
    within('corrupted', c.corrupted, 0.95 * 0.01);
    assert.deepEqual([c.held, c.overflowed, c.lostOnPurpose], [0, 0, 0]);
    balanced(c);
    assert.equal(out.length, c.delivered);
    const bad = out.filter(({ octets }) => isBad(octets));
    assert.equal(bad.length, c.corrupted, 'what is corrupted is seen to be so, and nothing else');
    const good = out.filter(({ octets }) => !isBad(octets));
    assert.ok(good.every(({ n, octets }) => octets.equals(packet(n))));
  });

  it('does the same again with the same seed, and something else with another', () => {
    const how: Impairment = { loss: 0.1, duplicate: 0.1, reorder: 0.3, corrupt: 0.1, delayMs: 3, jitterMs: 5 };
    const run = (seed: number): string => JSON.stringify(pass(new ImpairedLine(how, seed), 300));
    assert.equal(run(7), run(7));
    assert.notEqual(run(7), run(8));
  });

  it('loses the same packets whatever else happens to the others', () => {
    const lost = (how: Impairment): number[] => {
      const seen = new Set(pass(new ImpairedLine({ loss: 0.2, ...how }, 5), 300).map(({ n }) => n));
      return numbers(300).filter((n) => !seen.has(n));
    };
    assert.ok(lost({}).length > 30);
    assert.deepEqual(lost({ duplicate: 0.5, reorder: 0.5, jitterMs: 9 }), lost({}));
  });

  it('lets a reordered packet be passed by as many as was said, and no more', () => {
    const out = pass(new ImpairedLine({ reorder: 0.1, reorderBy: 2, reorderMs: 1000 }, 3), 2000).map(({ n }) => n);
    const passed = out.map((n, i) => out.slice(0, i).filter((m) => m > n).length);
    assert.equal(Math.max(...passed), 2);
    assert.deepEqual(
      out.toSorted((a, b) => a - b),
      numbers(2000),
    );
  });

  it('does not hold a reordered packet for ever when nothing passes it', () => {
    const line = new ImpairedLine({ reorder: 1, reorderMs: 10 }, 3);
    const [only] = pass(line, 1);
    assert.deepEqual([only?.n, only?.at], [0, 10]);
    assert.equal(line.nextDue(), Infinity);
  });

  it('is late by the delay and at most the jitter, and keeps the order', () => {
    const out = pass(new ImpairedLine({ delayMs: 20, jitterMs: 30 }, 3), 1000);
    assert.deepEqual(
      out.map(({ n }) => n),
      numbers(1000),
    );
    const late = out.map(({ n, at }) => at - n);
    assert.ok(Math.min(...late) >= 20 && Math.max(...late) <= 51, `${Math.min(...late)} to ${Math.max(...late)}`);
    assert.ok(Math.max(...late) > 40);
  });

  it('holds no more than its limit, and counts what it had no room for', () => {
    const line = new ImpairedLine({ delayMs: 100, limit: 10 }, 1);
    const out = pass(line, 110);
    assert.deepEqual(
      out.map(({ n }) => n),
      [...numbers(10), ...numbers(9).map((n) => n + 101)],
    );
    assert.equal(line.counters.overflowed, 91);
    balanced(line.counters);
  });

  it('counts copies against its limit too', () => {
    const line = new ImpairedLine({ delayMs: 100, duplicate: 1, limit: 5 }, 1);
    assert.deepEqual(
      pass(line, 20).map(({ n }) => n),
      [0, 0, 1, 1, 2],
    );
    assert.equal(line.counters.overflowed, 35);
    balanced(line.counters);
  });

  it('turns a bit of the original only, so that the copy is a good one', () => {
    const out = pass(new ImpairedLine({ duplicate: 1, corrupt: 1 }, 1), 50);
    assert.deepEqual(
      out.map(({ octets }) => isBad(octets)),
      numbers(100).map((i) => i % 2 === 0),
    );
  });

  it('loses what it is told to lose', () => {
    let dropped = 0;
    const lose = (slab: Buffer, offset: number, length: number): boolean =>
      slab.readUInt32BE(offset + 20) === 5 && length === 68 && dropped++ === 0;
    const line = new ImpairedLine({ lose }, 1);
    assert.deepEqual(
      pass(line, 8).map(({ n }) => n),
      [0, 1, 2, 3, 4, 6, 7],
    );
    assert.equal(line.counters.lostOnPurpose, 1);
  });

  it('turns only bits of the IPv4 header where the checksum of the rest is still to be computed', () => {
    const line = new ImpairedLine({ corrupt: 1 }, 9);
    const slab = Buffer.alloc(100);
    for (let i = 0; i < 500; i++) {
      slab.fill(0);
      slab[AT - 10] = 3; // NEEDS_CSUM, DATA_VALID
      slab.set(packet(i), AT);
      line.push(slab, AT, 68, i);
      line.take(slab, AT);
      assert.equal(slab[AT - 10], 1, 'no longer said to be valid');
      const out = slab.subarray(AT, AT + 68);
      assert.ok(out.subarray(20).equals(packet(i).subarray(20)));
      assert.ok(!out.subarray(0, 20).equals(packet(i).subarray(0, 20)));
      assert.equal(out[0], 0x45);
    }
  });

  it('never loses count, whatever is asked for', () => {
    const rate = fc.double({ min: 0, max: 1, noNaN: true });
    const how = fc.record(
      { loss: rate, duplicate: rate, reorder: rate, corrupt: rate, delayMs: fc.nat(50), jitterMs: fc.nat(50) },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(how, fc.integer(), fc.nat(100), fc.nat(40), (given, seed, count, limit) => {
        const line = new ImpairedLine({ ...given, limit }, seed);
        const out = pass(line, count);
        balanced(line.counters);
        assert.equal(line.counters.held, 0);
        assert.equal(out.length, line.counters.delivered);
      }),
      { numRuns: 200, seed: 20_261_122 },
    );
  });
});

describe('impaired device', () => {
  const device = (read: Impairment, write: Impairment, now?: () => number) => {
    const [near, far] = memoryPair({ capacity: 512 });
    const impaired = new ImpairedDevice(near, { seed: 1, read, write, ...(now === undefined ? {} : { now }) });
    return { impaired, near, far, slots: new Slots() };
  };

  it('gives packets when they are due, by the clock that it was given', () => {
    let now = 0;
    const { impaired, far, slots } = device({ delayMs: 5 }, { delayMs: 7 }, () => now);
    slots.put(0, packet(1));
    slots.write(far, 0, 1);
    assert.equal(slots.read(impaired), 0);
    now = 5;
    assert.equal(slots.read(impaired), 1);
    assert.ok(slots.packet(0).equals(packet(1)));
    assert.equal(slots.write(impaired, 0, 1), 1);
    assert.equal(slots.read(far), 0);
    now = 12;
    assert.equal(slots.write(impaired, 0, 0), 0);
    assert.equal(slots.read(far), 1);
    impaired.close();
  });

  it('wakes its reader, and sends, when a late packet is due, with nobody asking', async () => {
    const { impaired, far, slots } = device({ delayMs: 20 }, { delayMs: 20 });
    const got: number[] = [];
    const started = performance.now();
    const read = new Promise<number>((resolve) =>
      impaired.onReadable(() => {
        const own = new Slots();
        const n = own.read(impaired);
        for (let i = 0; i < n; i++) got.push(numberOf(own.packet(i)));
        if (got.length === 3) resolve(performance.now() - started);
      }),
    );
    impaired.start();
    for (let i = 0; i < 3; i++) slots.put(i, packet(i));
    slots.write(far, 0, 3);
    assert.ok((await read) >= 18);
    assert.deepEqual(got, [0, 1, 2]);
    assert.equal(slots.write(impaired, 0, 3), 3);
    assert.equal(slots.read(far), 0);
    let sent = 0;
    await until('all three', () => (sent += slots.read(far)) === 3);
    impaired.close();
  });

  it('goes on by itself after the device inside was full', async () => {
    const [near, far] = memoryPair({ capacity: 2 });
    const impaired = new ImpairedDevice(near, { seed: 1 });
    const slots = new Slots();
    for (let i = 0; i < 5; i++) slots.put(i, packet(i));
    assert.equal(slots.write(impaired, 0, 5), 5);
    const got: number[] = [];
    await until('all five', () => {
      const n = slots.read(far);
      for (let i = 0; i < n; i++) got.push(numberOf(slots.packet(i)));
      return got.length >= 5;
    });
    assert.deepEqual(got, [0, 1, 2, 3, 4]);
    impaired.close();
  });

  /** A packet on its way to `impaired`, which takes so long; and what its reads answer. */
  async function onTheLine(delayMs: number) {
    const { impaired, near, far, slots } = device({ delayMs }, {});
    const answers: number[] = [];
    slots.put(0, packet(1));
    slots.write(far, 0, 1);
    impaired.onReadable(() => answers.push(slots.read(impaired)));
    impaired.start();
    await until('the packet on the line', () => near.counters.readPackets === 1);
    return { impaired, near, slots, answers };
  }

  it('gives what is on the line before it says that the device is gone', async () => {
    const { impaired, near, slots, answers } = await onTheLine(30);
    near.vanish();
    await until('the end', () => answers.includes(GONE));
    assert.deepEqual(
      answers.filter((n) => n !== 0),
      [1, GONE],
    );
    assert.equal(slots.write(impaired, 0, 1), GONE);
    impaired.close();
    assert.equal(slots.read(impaired), GONE);
  });

  it('says once that the device is gone, also when a late packet is due in the same turn', async () => {
    const { impaired, near, answers } = await onTheLine(200);
    for (const end = performance.now() + 250; performance.now() < end;); // the turn takes longer than the delay
    near.vanish();
    await until('the end', () => answers.includes(GONE));
    await sleep(50);
    assert.deepEqual(
      answers.filter((n) => n !== 0),
      [1, GONE],
    );
    impaired.close();
  });

  it('skips and counts what does not lie in the slab', () => {
    const { impaired, far, slots } = device({}, {});
    slots.put(0, packet(1));
    for (const [i, length] of [
      [1, 0],
      [2, -20],
      [3, 0x7fffffff],
    ] as const)
      slots.lengths[i] = length;
    assert.equal(slots.write(impaired, 0, 4), 4);
    assert.equal(slots.read(far), 1);
    assert.equal(impaired.counters.writeErrors, 3);
    impaired.close();
  });

  it('impairs the two directions apart', () => {
    const same = device({ loss: 0.5 }, { loss: 0.5 });
    const survivors = (to: PacketDevice, from: PacketDevice): number[] => {
      for (let i = 0; i < 50; i++) same.slots.put(i, packet(i));
      same.slots.write(from, 0, 50);
      const n = same.slots.read(to);
      return Array.from({ length: n }, (_, i) => numberOf(same.slots.packet(i)));
    };
    assert.notDeepEqual(survivors(same.impaired, same.far), survivors(same.far, same.impaired));
    same.impaired.close();
    const { impaired, far, slots } = device({ loss: 1 }, {});
    for (let i = 0; i < 3; i++) slots.put(i, packet(i));
    slots.write(far, 0, 3);
    slots.write(impaired, 0, 3);
    assert.equal(slots.read(impaired), 0);
    assert.equal(slots.read(far), 3);
    assert.deepEqual([impaired.lines.read.lost, impaired.lines.write.lost], [3, 0]);
    impaired.close();
  });
});
