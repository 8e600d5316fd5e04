import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { CaptureReader, CaptureWriter } from '../../../src/capture/index.js';
import { PcapngBuilder, buildPcap } from './naive.js';

const PACKETS = 50_000;
const ROUNDS = 12;
const READ_REGION = 8 * 1024 * 1024;

/**
 * Octets of heap that a pass over a capture takes for each packet, of several passes, the least first. A pass that is not
 * compiled yet takes more: there are more of them until one takes less than `enough`, if that is given.
 */
async function octetsPerPacket(
  file: string,
  slab: Buffer,
  each: (reader: CaptureReader) => void,
  enough = Infinity,
): Promise<number[]> {
  const passes: number[] = [];
  for (let round = 0; round < ROUNDS || (round < 10 * ROUNDS && !passes.some((used) => used < enough)); round++) {
    const reader = await CaptureReader.open(file, { slab, to: READ_REGION });
    await reader.fill();
    const before = process.memoryUsage().heapUsed;
    while (reader.next()) each(reader);
    const used = process.memoryUsage().heapUsed - before;
    assert.equal(reader.frame, PACKETS);
    await reader.close();
    if (used >= 0) passes.push(used / PACKETS); // otherwise garbage was collected meanwhile
  }
  return passes.sort((a, b) => a - b);
}

describe('what capture files cost in memory', () => {
  let dir = '';
  before(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), 'culvert-allocation-'));
    const data = Buffer.alloc(80);
    const packets = Array.from({ length: PACKETS }, (_, i) => ({ seconds: 1_700_000_000, fraction: i, data }));
    fs.writeFileSync(path.join(dir, 'pcap'), buildPcap({ little: true, magic: 0xa1b2c3d4 }, packets));
    const b = new PcapngBuilder(true);
    const face = b.face(1, 0, [[9, Buffer.from([9])]]);
    const blocks = packets.map((_, i) => b.enhanced(0, 1_700_000_000_123_456_789n + BigInt(i), data));
    fs.writeFileSync(path.join(dir, 'pcapng'), Buffer.concat([b.section(), face, ...blocks]));
  });
  after(() => {
    fs.rmSync(dir, { recursive: true, force: true });
  });

  for (const format of ['pcap', 'pcapng'] as const) {
    it(`allocates nothing for a packet read from ${format} and written to ${format}`, async () => {
      // One slab for both: copying between two buffers would allocate.
      const slab = Buffer.alloc(READ_REGION + 1024 * 1024);
      const w = CaptureWriter.create('/dev/null', { format, nanoseconds: true, linkType: 1, slab, from: READ_REGION });
      const copy = (r: CaptureReader): void => {
        slab.copyWithin(w.reserve(r.capturedLength), r.offset, r.offset + r.capturedLength);
        w.commit(r.capturedLength, r.originalLength, r.seconds, r.nanoseconds);
      };
      const [least] = await octetsPerPacket(path.join(dir, format), slab, copy, 1);
      w.close();
      assert.ok(least! < 1, `${String(least)} octets a packet`);
    });

    it(`would notice one object a packet read from ${format}`, async () => {
      const kept: unknown[] = new Array<unknown>(16);
      const passes = await octetsPerPacket(path.join(dir, format), Buffer.alloc(READ_REGION), (r) => {
        kept[r.frame & 15] = { length: r.capturedLength };
      });
      const middle = passes[passes.length >> 1]!;
      assert.ok(middle >= 8, `${String(middle)} octets a packet`);
    });
  }
});
