import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import fc from 'fast-check';
import { CaptureReader } from '../../../src/capture/index.js';
import { until } from '../../support/until.js';
import { buildPcap } from './naive.js';

/** Octets of the smallest region that is read ahead in. */
const REGION = 256 * 1024;
const PART = REGION / 4;
const HEADROOM = REGION / 32;

/** Packets whose octets tell which packet they are of. */
const packetsOf = (lengths: readonly number[]): { seconds: number; fraction: number; data: Buffer }[] =>
  lengths.map((length, i) => ({ seconds: i, fraction: 0, data: Buffer.alloc(length, `${i}.`) }));

describe('reading ahead', () => {
  let dir = '';
  let file = '';
  before(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), 'culvert-ahead-'));
    file = path.join(dir, 'in.pcap');
  });
  after(() => {
    fs.rmSync(dir, { recursive: true, force: true });
  });

  const write = (lengths: readonly number[], cut = 0): void => {
    const octets = buildPcap({ little: true, magic: 0xa1b2c3d4 }, packetsOf(lengths));
    fs.writeFileSync(file, octets.subarray(0, octets.length - cut));
  };

  /** Reads all, with more `fill` calls than are needed where `eager` says so. */
  async function read(from: number, to: number, eager: (frame: number) => boolean): Promise<CaptureReader> {
    const slab = Buffer.alloc(to + 64, 0xee);
    const r = await CaptureReader.open(file, { slab, from, to });
    let n = 0;
    for (;;) {
      while (r.next()) {
        assert.equal(r.seconds, n);
        const text = r.slab.toString('latin1', r.offset, r.offset + r.capturedLength);
        assert.ok(text === `${n}.`.repeat(text.length).slice(0, text.length), `packet ${n} of ${text.length} octets`);
        n++;
        if (eager(n)) await r.fill();
      }
      if (!(await r.fill())) break;
    }
    await r.close();
    assert.ok(
      slab.subarray(0, from).every((octet) => octet === 0xee),
      'octets before the region',
    );
    assert.ok(
      slab.subarray(to).every((octet) => octet === 0xee),
      'octets behind the region',
    );
    return r;
  }

  it('gives every packet whole, of any length that fits the region, however often more is asked for', async () => {
    const length = fc.oneof(
      { weight: 20, arbitrary: fc.nat(1500) },
      { weight: 3, arbitrary: fc.integer({ min: HEADROOM - 40, max: HEADROOM + 40 }) },
      { weight: 2, arbitrary: fc.integer({ min: PART - 40, max: 2 * PART }) },
      { weight: 1, arbitrary: fc.integer({ min: 2 * PART, max: REGION - 16 }) },
    );
    const run = fc.record({
      lengths: fc.array(length, { minLength: 1, maxLength: 400, size: 'max' }),
      from: fc.constantFrom(0, 1, 4096),
      more: fc.nat(4096),
      every: fc.constantFrom(0, 1, 7),
    });
    await fc.assert(
      fc.asyncProperty(run, async ({ lengths, from, more, every }) => {
        write(lengths);
        const r = await read(from, from + REGION + more, (n) => every > 0 && n % every === 0);
        assert.equal(r.frame, lengths.length);
        if (every === 0) assert.equal(r.warning, null);
      }),
      { numRuns: 60 },
    );
  });

  it('goes on behind what is read at once on opening, in a region that holds more than that', async () => {
    const MIB = 1024 * 1024;
    const run = fc.record({
      // Of 16 to 60,000 octets each, up to 9 MiB: several times around the smaller regions.
      lengths: fc.array(fc.integer({ min: 16, max: 60_000 }), { minLength: 1, maxLength: 300, size: 'max' }),
      from: fc.constantFrom(0, 4096),
      room: fc.constantFrom(MIB + 1, MIB + MIB / 4, MIB + MIB / 2, 3 * MIB, 8 * MIB),
      every: fc.constantFrom(0, 1, 7),
      cut: fc.constantFrom(0, 1),
    });
    await fc.assert(
      fc.asyncProperty(run, async ({ lengths, from, room, every, cut }) => {
        write(lengths, cut);
        const r = await read(from, from + room, (n) => every > 0 && n % every === 0);
        assert.equal(r.frame, lengths.length - cut);
        if (every === 0) assert.equal(r.warning?.code, cut === 0 ? undefined : 'CAPTURE_TRUNCATED');
      }),
      { numRuns: 40 },
    );
  });

  it('begins the next read on opening already', async () => {
    write(Array.from({ length: 3000 }, () => 1000));
    const r = await CaptureReader.open(file, { slab: Buffer.alloc(8 << 20) });
    const first = r.octetsRead;
    assert.ok(first < r.size, 'the first read was not all');
    await until('a second read', () => r.octetsRead > first);
    assert.equal(r.octetsRead, r.size);
    await r.close();
  });

  it('tells where a truncated file ends, as it does without', async () => {
    const lengths = Array.from({ length: 900 }, (_, i) => 700 + (i % 50));
    for (const cut of [1, 500, 720]) {
      write(lengths, cut);
      const ahead = await read(0, REGION, () => false);
      const plain = await read(0, REGION - 1, () => false);
      assert.equal(ahead.warning?.code, 'CAPTURE_TRUNCATED');
      assert.deepEqual(ahead.warning.place, plain.warning?.place);
      assert.equal(ahead.warning.message, plain.warning?.message);
      assert.equal(ahead.frame, plain.frame);
    }
  });

  it('reads on while the caller works', async () => {
    write(Array.from({ length: 2000 }, () => 1000));
    const r = await CaptureReader.open(file, { slab: Buffer.alloc(REGION), to: REGION });
    while (r.next());
    await r.fill();
    const asked = r.octetsRead;
    await until('a read ahead', () => r.octetsRead > asked);
    await r.close();
  });

  it('ends the read under way before the file is closed', async () => {
    write(Array.from({ length: 2000 }, () => 1000));
    for (let i = 0; i < 20; i++) {
      const r = await CaptureReader.open(file, { slab: Buffer.alloc(REGION), to: REGION });
      while (r.next());
      assert.ok(await r.fill());
      const under = r.octetsRead;
      await r.close();
      assert.ok(r.octetsRead > under, 'the read came to its end');
      assert.equal(r.next(), false);
      assert.equal(await r.fill(), false);
    }
  });
});
