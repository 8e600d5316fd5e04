import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Readable } from 'node:stream';
import { CaptureReader, StreamSource } from '../../../src/capture/index.js';
import { CulvertError } from '../../../src/errors.js';
import { PcapngBuilder, buildPcap, drain, naiveRead, readOctets } from './naive.js';

const text = (value: string): Buffer => Buffer.from(value);

function pcapngFile(little: boolean): Buffer {
  const b = new PcapngBuilder(little);
  return Buffer.concat([
    b.section([[1, text('section')]]),
    b.face(1, 64, [
      [2, text('lo')],
      [9, Buffer.from([9])],
    ]),
    b.enhanced(0, 1_700_000_000_000_000_001n, text('first'), 77, [[1, text('note')]]),
    b.block(5, Buffer.alloc(12)),
    b.simple(6, text('second')),
    b.old(0, 1_700_000_000_000_000_002n, text('third')),
  ]);
}

function pcapFile(little: boolean, magic: number): Buffer {
  return buildPcap({ little, magic }, [
    { seconds: 1, fraction: 2, data: text('first') },
    { seconds: 3, fraction: 4, data: text('') },
    { seconds: 5, fraction: 6, data: text('the third') },
  ]);
}

const FILES: readonly (readonly [name: string, file: Buffer])[] = [
  ['little-endian pcap', pcapFile(true, 0xa1b2c3d4)],
  ['big-endian nanosecond pcap', pcapFile(false, 0xa1b23c4d)],
  ['modified pcap', pcapFile(true, 0xa1b2cd34)],
  ['little-endian pcapng', pcapngFile(true)],
  ['big-endian pcapng', pcapngFile(false)],
];

describe('captures that are cut, split and damaged', () => {
  for (const [name, file] of FILES) {
    it(`gives exactly the whole packets of a ${name} cut at any octet`, async () => {
      const whole = naiveRead(file);
      let cleanEnds = 0;
      for (let length = 4; length <= file.length; length++) {
        const cut = file.subarray(0, length);
        const { packets, reader } = await readOctets(cut);
        assert.deepEqual(packets, naiveRead(cut), `cut to ${String(length)}`);
        assert.deepEqual(packets, whole.slice(0, packets.length));
        if (reader.warning === null) cleanEnds++;
        else assert.equal(reader.warning.code, 'CAPTURE_TRUNCATED');
      }
      // A file may end without a warning after its header, and after each record or block.
      assert.equal(cleanEnds, name.includes('pcapng') ? 6 : 4);
    });

    it(`reads a ${name} alike however it arrives and however small its region`, async () => {
      const whole = naiveRead(file);
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }),
          fc.nat(64),
          fc.nat(200),
          async (sizes, from, extra) => {
            const slab = Buffer.alloc(64 + from + 72 + extra + 16, 0xee);
            const to = from + 72 + extra;
            const { packets, reader } = await readOctets(file, { slab, from, to }, sizes);
            assert.deepEqual(packets, whole);
            assert.equal(reader.warning, null);
            assert.ok(
              slab.subarray(0, from).every((octet) => octet === 0xee),
              'wrote before its region',
            );
            assert.ok(
              slab.subarray(to).every((octet) => octet === 0xee),
              'wrote behind its region',
            );
          },
        ),
        { numRuns: 100 },
      );
    });
  }

  it('never throws for damaged octets once it is open, and tells no more packets than there is room for', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...FILES.map(([, file]) => file)),
        fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 6, 255))), {
          minLength: 1,
          maxLength: 6,
        }),
        fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 4 }),
        async (file, changes, sizes) => {
          const damaged = Buffer.from(file);
          for (const [at, octet] of changes) damaged[at % damaged.length] = octet;
          try {
            const { packets } = await readOctets(damaged, { slab: Buffer.alloc(128) }, sizes);
            const octets = packets.reduce((n, { data }) => n + data.length, 0);
            assert.ok(octets <= damaged.length);
            for (const { nanoseconds, seconds } of packets) {
              assert.ok(Number.isInteger(nanoseconds) && nanoseconds >= 0 && nanoseconds <= 999_999_999);
              assert.ok(Number.isInteger(seconds));
            }
          } catch (error) {
            // Only the first octets, which make it a capture at all, may be refused.
            assert.ok(error instanceof CulvertError, String(error));
            assert.equal(error.code, 'CAPTURE_NOT_A_CAPTURE');
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('never throws for octets that only begin like a capture', async () => {
    const heads = ['a1b2c3d4', 'd4c3b2a1', '34cdb2a1', '0a0d0d0a1c0000004d3c2b1a010000000000000000000000'];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...heads), fc.uint8Array({ maxLength: 300 }), async (head, tail) => {
        const { packets } = await readOctets(Buffer.concat([Buffer.from(head, 'hex'), tail]), {
          slab: Buffer.alloc(100),
        });
        assert.ok(packets.length <= 300);
      }),
      { numRuns: 1000 },
    );
  });

  it('does not take a region full of packets for the end when it is asked to fill it', async () => {
    const packet = { seconds: 1, fraction: 0, data: text('packet') };
    const file = buildPcap(
      { little: true, magic: 0xa1b2c3d4 },
      Array.from({ length: 20 }, () => packet),
    );
    const source = new StreamSource(Readable.from([file]), 'memory');
    const reader = await CaptureReader.fromSource(source, 'memory', { slab: Buffer.alloc(64) });
    for (let i = 0; i < 5; i++) assert.equal(await reader.fill(), true);
    assert.equal((await drain(reader)).packets.length, 20);
    assert.equal(reader.warning, null);
  });
});
