import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { MAX_PACKET_LENGTH } from '../../../src/capture/format.js';
import { CaptureReader, StreamSource } from '../../../src/capture/index.js';
import { PcapngBuilder, naiveRead, readOctets } from './naive.js';

const data = (text: string): Buffer => Buffer.from(text);
const US = 1_700_000_000_123_456n;

describe('reading pcapng', () => {
  for (const little of [true, false]) {
    const b = new PcapngBuilder(little);
    const order = little ? 'little-endian' : 'big-endian';

    it(`reads enhanced, simple and old packet blocks of ${order} sections`, async () => {
      const file = Buffer.concat([
        b.section(),
        b.face(1, 5),
        b.face(101),
        b.enhanced(1, US, data('enhanced'), 1500),
        b.simple(9, data('simple123').subarray(0, 5)),
        b.old(0, US + 1n, data('old')),
      ]);
      const { packets, faces, reader } = await readOctets(file);
      assert.deepEqual(packets, [
        { seconds: 1_700_000_000, nanoseconds: 123_456_000, original: 1500, data: data('enhanced'), link: 101 },
        { seconds: 0, nanoseconds: 0, original: 9, data: data('simpl'), link: 1 },
        { seconds: 1_700_000_000, nanoseconds: 123_457_000, original: 3, data: data('old'), link: 1 },
      ]);
      assert.deepEqual(faces, [1, 0, 0]);
      assert.equal(reader.warning, null);
    });

    it(`keeps names and comments of ${order} files`, async () => {
      const file = Buffer.concat([
        b.section([[1, data('of the section')]]),
        b.face(1, 262144, [
          [2, data('eth0')],
          [3, data('the uplink')],
          [1, data('one')],
          [1, data('two')],
          [9, Buffer.from([9])],
        ]),
        b.enhanced(0, US, data('a'), 1, [
          [2, Buffer.alloc(4)],
          [1, data('héllo')],
          [1, data('again')],
        ]),
        b.enhanced(0, US, data('b')),
        b.old(0, US, data('cc'), [[1, data('old')]]),
      ]);
      const { comments, reader } = await readOctets(file);
      assert.deepEqual(comments, ['héllo\nagain', '', 'old']);
      assert.deepEqual(reader.interfaces, [
        {
          section: 0,
          linkType: 1,
          snapLength: 262144,
          name: 'eth0',
          description: 'the uplink',
          comment: 'one\ntwo',
          resolution: 9,
          offsetSeconds: 0,
        },
      ]);
      assert.equal(reader.finerThanMicroseconds, true);
      assert.equal(reader.sectionComment, 'of the section');
    });

    it(`joins the comments of the sections of ${order} files`, async () => {
      const file = Buffer.concat([
        b.section([
          [4, data('by hand')],
          [1, data('first')],
        ]),
        b.section(),
        b.section([
          [1, data('third')],
          [1, data('again')],
        ]),
      ]);
      assert.equal((await readOctets(file)).reader.sectionComment, 'first\nthird\nagain');
    });

    it(`adds the time stamp offset of ${order} interfaces`, async () => {
      const file = Buffer.concat([
        b.section(),
        b.face(1, 0, [[14, b.num(1000, 8)]]),
        b.face(1, 0, [[14, b.num(-2000n, 8)]]),
        b.enhanced(0, 5_000_001n, data('x')),
        b.enhanced(1, 5_000_001n, data('x')),
      ]);
      const { packets } = await readOctets(file);
      assert.deepEqual(
        packets.map((p) => [p.seconds, p.nanoseconds]),
        [
          [1005, 1000],
          [-1995, 1000],
        ],
      );
    });
  }

  it('reads sections of either byte order in one file, each with its own interfaces', async () => {
    const le = new PcapngBuilder(true);
    const be = new PcapngBuilder(false);
    const file = Buffer.concat([
      le.section(),
      le.face(1),
      le.enhanced(0, US, data('first')),
      be.section(),
      be.face(101),
      be.face(113),
      be.enhanced(1, US, data('second')),
      le.section(),
      le.face(0),
      le.enhanced(0, US, data('third')),
    ]);
    const { packets, faces, reader } = await readOctets(file);
    assert.deepEqual(
      packets.map((p) => [p.data.toString(), p.link]),
      [
        ['first', 1],
        ['second', 113],
        ['third', 0],
      ],
    );
    assert.deepEqual(faces, [0, 2, 3]);
    assert.deepEqual(
      reader.interfaces.map((face) => face.section),
      [0, 1, 1, 2],
    );
  });

  it('knows the interfaces before the first packet as soon as it is open', async () => {
    const b = new PcapngBuilder(true);
    const { reader } = await readOctets(Buffer.concat([b.section(), b.face(276), b.face(1)]));
    assert.deepEqual([reader.interfaces.length, reader.linkType, reader.warning], [2, 276, null]);
  });

  it('reads time stamps of every resolution exactly', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.oneof(fc.constantFrom(6, 9, 7, 8), fc.nat(20), fc.integer({ min: 128, max: 191 })),
        fc.array(fc.oneof(fc.bigInt(0n, (1n << 64n) - 1n), fc.bigInt(1n << 50n, 1n << 61n)), { minLength: 1 }),
        async (little, resolution, times) => {
          const b = new PcapngBuilder(little);
          const file = Buffer.concat([
            b.section(),
            b.face(1, 0, [[9, Buffer.from([resolution])]]),
            ...times.map((time) => b.enhanced(0, time, data('x'))),
          ]);
          const { packets } = await readOctets(file);
          const expected = naiveRead(file);
          assert.deepEqual(packets, expected);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('reads nanosecond time stamps just around whole seconds', async () => {
    const b = new PcapngBuilder(true);
    const late = Array.from({ length: 9 }, (_, i) => 9_223_372_037n + BigInt(i));
    const seconds = [0n, 1n, 1_700_000_000n, 4_294_967_295n, 9_007_199n, ...late, 18_446_744_072n];
    const times = seconds.flatMap((s) => [-1n, 0n, 1n, 999_999_999n].map((d) => s * 1_000_000_000n + d)).slice(1);
    const file = Buffer.concat([
      b.section(),
      b.face(1, 0, [[9, Buffer.from([9])]]),
      ...times.map((time) => b.enhanced(0, time, data('x'))),
    ]);
    const { packets } = await readOctets(file);
    assert.deepEqual(
      packets.map((p) => [BigInt(p.seconds), BigInt(p.nanoseconds)]),
      times.map((time) => [time / 1_000_000_000n, time % 1_000_000_000n]),
    );
  });

  it('passes over blocks it does not know, also those larger than its region', async () => {
    const b = new PcapngBuilder(true);
    const file = Buffer.concat([
      b.section(),
      b.face(1),
      b.block(4, Buffer.alloc(8)),
      b.enhanced(0, US, data('one')),
      b.block(0x80000001, Buffer.alloc(4096, 0x06)),
      b.enhanced(0, US, data('two')),
      b.block(5, Buffer.alloc(400, 0x06)),
    ]);
    const { packets, reader } = await readOctets(file, { slab: Buffer.alloc(96) }, [33]);
    assert.deepEqual(
      packets.map((p) => p.data.toString()),
      ['one', 'two'],
    );
    assert.equal(reader.warning, null);
  });

  it('warns when the file ends inside a block that is passed over', async () => {
    const b = new PcapngBuilder(true);
    const file = Buffer.concat([b.section(), b.face(1), b.enhanced(0, US, data('one')), b.block(5, Buffer.alloc(400))]);
    const { packets, reader } = await readOctets(file.subarray(0, file.length - 1), { slab: Buffer.alloc(96) });
    assert.equal(packets.length, 1);
    assert.equal(reader.warning?.code, 'CAPTURE_TRUNCATED');
  });

  const b = new PcapngBuilder(true);
  const good = Buffer.concat([b.section(), b.face(1), b.enhanced(0, US, data('good'))]);
  const after = b.enhanced(0, US, data('after'));

  const ends: readonly (readonly [what: string, block: Buffer])[] = [
    ['whose two lengths differ', Buffer.concat([b.block(5, Buffer.alloc(4)).subarray(0, 12), b.num(20, 4)])],
    ['shorter than its own frame', Buffer.concat([b.num(5, 4), b.num(8, 4), b.num(8, 4)])],
    ['of a length that is no multiple of 4', Buffer.concat([b.num(5, 4), b.num(18, 4), Buffer.alloc(6), b.num(18, 4)])],
    ['of an impossible length', Buffer.concat([b.num(5, 4), b.num(0xfffffff0, 4), Buffer.alloc(4)])],
    ['that is a section without byte-order mark', b.block(0x0a0d0d0a, Buffer.alloc(16))],
    ['that is a section of another version', b.section([], 2)],
    ['that is a section too short for its length', b.block(0x0a0d0d0a, b.section().subarray(8, 20))],
    ['that is an interface too short for its link type', b.block(1, Buffer.alloc(4))],
  ];
  for (const [what, block] of ends) {
    it(`ends with a warning at a block ${what}`, async () => {
      const { packets, reader } = await readOctets(Buffer.concat([good, block, after]));
      assert.equal(packets.length, 1);
      assert.equal(reader.warning?.code, 'CAPTURE_CORRUPT');
      assert.equal(reader.warning.place.offset, good.length);
    });
  }

  const passed: readonly (readonly [what: string, block: Buffer, told: RegExp])[] = [
    ['that names an interface not described', b.enhanced(1, US, data('x')), /names interface 1,/],
    ['of the old kind that names an interface not described', b.old(7, US, data('x')), /names interface 7,/],
    [
      'whose packet is longer than the block',
      b.block(6, Buffer.concat([Buffer.alloc(12), b.num(5, 4), Buffer.alloc(8)])),
      /longer than its block/,
    ],
    ['too short for its header', b.block(6, Buffer.alloc(16)), /too short/],
    ['of the simple kind too short for its header', b.block(3, Buffer.alloc(0)), /too short/],
  ];
  for (const [what, block, told] of passed) {
    it(`passes over a packet block ${what}, with a warning`, async () => {
      const { packets, reader } = await readOctets(Buffer.concat([good, block, after]));
      assert.deepEqual(
        packets.map((p) => p.data.toString()),
        ['good', 'after'],
      );
      assert.equal(reader.warning?.code, 'CAPTURE_CORRUPT');
      assert.match(reader.warning.message, told);
      assert.equal(reader.warning.place.offset, good.length);
    });
  }

  it('passes over packets that come before any interface', async () => {
    const file = Buffer.concat([b.section(), b.simple(1, data('x')), b.enhanced(0, US, data('x')), b.face(1), after]);
    const { packets, reader } = await readOctets(file);
    assert.equal(packets.length, 1);
    assert.equal(reader.warning?.code, 'CAPTURE_CORRUPT');
  });

  it('forgets the interfaces of the section before', async () => {
    const file = Buffer.concat([
      b.section(),
      b.face(1),
      b.face(1),
      b.section(),
      b.face(101),
      b.enhanced(1, US, data('x')),
    ]);
    const { packets, reader } = await readOctets(file);
    assert.equal(packets.length, 0);
    assert.equal(reader.warning?.code, 'CAPTURE_CORRUPT');
  });

  it('keeps the first of several warnings, with its place in the whole file', async () => {
    const filler = Array.from({ length: 20 }, () => b.enhanced(0, US, data('filler')));
    const before = Buffer.concat([b.section(), b.face(1), ...filler]);
    const bad = b.enhanced(3, US, data('x'));
    const { reader } = await readOctets(Buffer.concat([before, bad, ...filler, bad, after.subarray(0, 20)]), {
      slab: Buffer.alloc(100),
    });
    assert.equal(reader.warning?.code, 'CAPTURE_CORRUPT');
    assert.equal(reader.warning.place.offset, before.length);
    assert.match(reader.warning.message, /after frame 20\)/);
    assert.equal(reader.frame, 40);
  });

  it('gives no more of a simple packet than its block holds', async () => {
    const { packets } = await readOctets(Buffer.concat([b.section(), b.face(1), b.simple(100, data('12345678'))]));
    assert.deepEqual([packets[0]?.original, packets[0]?.data.toString()], [100, '12345678']);
  });

  it('does not believe packets of more than 2 MiB, though they fit its region', async () => {
    const huge = Buffer.alloc(MAX_PACKET_LENGTH + 4);
    for (const block of [b.enhanced(0, US, huge), b.simple(huge.length, huge)]) {
      const file = Buffer.concat([b.section(), b.face(1), block, after]);
      const { packets, reader } = await readOctets(file, { slab: Buffer.alloc(3 * 1024 * 1024) });
      assert.deepEqual(
        packets.map((p) => p.data.length),
        [5],
      );
      assert.match(reader.warning?.message ?? '', /too long to be believed/);
    }
  });

  it('ignores options that are too short, do not fit, or come after the end of options', async () => {
    const ends = b.face(1, 0, [
      [9, Buffer.alloc(0)],
      [14, Buffer.alloc(4, 1)],
      [0, Buffer.alloc(0)],
      [2, data('hidden')],
    ]);
    const overlong = b.face(101, 0, [[2, data('eth0')]]);
    overlong.writeUInt16LE(9, 18);
    const { packets, reader } = await readOctets(
      Buffer.concat([b.section(), ends, overlong, b.enhanced(0, US, data('x')), b.enhanced(1, US, data('x'))]),
    );
    assert.deepEqual(
      reader.interfaces.map((face) => [face.name, face.resolution, face.offsetSeconds]),
      [
        ['', 6, 0],
        ['', 6, 0],
      ],
    );
    assert.equal(packets[0]?.seconds, 1_700_000_000);
  });

  it('says which resolutions are finer than microseconds', async () => {
    for (const [resolution, finer] of [
      [3, false],
      [6, false],
      [7, true],
      [9, true],
      [128 + 10, false],
      [128 + 19, false],
      [128 + 20, true],
    ] as const) {
      const { reader } = await readOctets(Buffer.concat([b.section(), b.face(1, 0, [[9, Buffer.from([resolution])]])]));
      assert.equal(reader.finerThanMicroseconds, finer, `if_tsresol ${String(resolution)}`);
    }
  });

  it('has no comment before the first packet', async () => {
    const file = Buffer.concat([b.section(), b.face(1), b.enhanced(0, US, data('x'), 1, [[1, data('note')]])]);
    const reader = await CaptureReader.fromSource(new StreamSource(Readable.from([file]), 'memory'), 'memory');
    assert.equal(reader.comment(), '');
    assert.ok(reader.next());
    assert.equal(reader.comment(), 'note');
    await reader.close();
  });

  it('bounds what it remembers of the interfaces', async () => {
    const face = b.face(1);
    const many = Buffer.concat([b.section(), ...Array.from({ length: 65537 }, () => face)]);
    const counted = await readOctets(many);
    assert.equal(counted.reader.interfaces.length, 65536);
    assert.equal(counted.reader.warning?.code, 'CAPTURE_CORRUPT');
    const named = b.face(1, 0, [[2, Buffer.alloc(65000, 0x61)]]);
    const wordy = Buffer.concat([b.section(), ...Array.from({ length: 300 }, () => named)]);
    const { reader } = await readOctets(wordy);
    const kept = reader.interfaces.reduce((n, { name }) => n + name.length, 0);
    assert.equal(reader.interfaces.length, 300);
    assert.ok(kept > 15 * 1024 * 1024 && kept <= 16 * 1024 * 1024, `${String(kept)} octets kept`);
  });
});
