import assert from 'node:assert/strict';
import { Bench, link, topology } from '../../support/bench.js';
import { optionList, segment } from '../../support/dissect.js';
import { ACK, SYN } from '../../support/packets.js';
import { only, Stream } from '../../support/stream.js';

const stream = (): Stream => new Stream(new Bench(topology()));

const scale = (shift: number): Buffer => Buffer.from([1, 3, 3, shift]);

/** Right edge of the window that a segment offers, as a position in its receiver's stream. */
const rightEdge = (acknowledged: number, window: number, shift: number): number => acknowledged + window * 2 ** shift;

describe('acknowledgments towards the client', () => {
  it('are clamped to S inside the header and mapped behind it (stream-insertion case 6)', () => {
    const s = stream().open();
    only(s.send({ payload: 'x'.repeat(1000) }));
    for (let acked = 0; acked <= 36 + 1000; acked++) {
      const out = only(s.reply({ acked }));
      assert.equal(s.acknowledged(out), Math.max(0, acked - 36), `${acked} octets`);
    }
  });

  it('are never below S nor above what the client sent (stream-insertion case 6)', () => {
    const s = stream().open();
    for (const acked of [1, 18, 35, 36]) assert.equal(s.acknowledged(only(s.reply({ acked }))), 0);
  });

  it('leave numbers before S alone', () => {
    const s = stream().open();
    assert.equal(s.acknowledged(only(s.reply({ acked: -1 }))), -1);
    assert.equal(s.acknowledged(only(s.reply({ acked: -5000 }))), -5000);
  });

  it('are not touched where the segment has no ACK', () => {
    const s = stream().open();
    const out = segment(only(s.reply({ flags: 4, acked: 500, window: 9 })).octets);
    assert.deepEqual([(out.ack - s.s) | 0, out.window], [500, 9]);
  });

  it('never shift the backend’s own sequence numbers', () => {
    const s = stream().established();
    for (const at of [0, 1, 36, 5000, -1]) {
      assert.equal(segment(only(s.reply({ at, acked: 36 })).octets).seq, (s.b + at) >>> 0);
    }
  });
});

describe('windows towards the client', () => {
  it('shrink by the whole header on the SYN-ACK, unscaled whatever scale it offers (stream-insertion case 8)', () => {
    for (const options of [Buffer.alloc(0), scale(7)]) {
      const s = stream();
      s.syn({ options });
      const out = segment(only(s.synAck({ options, window: 1000 })).octets);
      assert.equal(out.window, 964);
      assert.deepEqual(out.options, options);
    }
    assert.equal(stream().bench.t.counters.windowsClamped, 0);
  });

  it('never go below 0 (stream-insertion case 8)', () => {
    const s = stream();
    s.syn();
    for (const [offered, seen] of [
      [36, 0],
      [37, 1],
      [10, 0],
      [0, 0],
    ] as const) {
      assert.equal(segment(only(s.synAck({ window: offered })).octets).window, seen);
    }
  });

  for (const shift of [0, 1, 5, 7, 14]) {
    it(`shrink by the missing octets, rounded up in units of 2^${shift} (stream-insertion case 8)`, () => {
      const s = stream().open({ options: scale(3) }, { options: scale(shift) });
      only(s.send({ payload: 'abc' }));
      const window = 600;
      for (let acked = 0; acked < 36; acked++) {
        const out = segment(only(s.reply({ acked, window })).octets);
        const lost = Math.ceil((36 - acked) / 2 ** shift);
        assert.equal(out.window, window - lost, `${acked} acknowledged`);
        // The right edge in the client's numbers stays within what the backend offered, and no further than it must.
        const offered = rightEdge(acked - 36, window, shift);
        const seen = rightEdge(0, out.window, shift);
        assert.ok(seen <= offered && seen > offered - 2 ** shift);
      }
    });
  }

  it('are whole again once the header is acknowledged (stream-insertion case 8)', () => {
    const s = stream().open({ options: scale(3) }, { options: scale(7) });
    for (const acked of [36, 37, 500]) assert.equal(segment(only(s.reply({ acked, window: 600 })).octets).window, 600);
  });

  it('are unscaled where one side alone offered a scale', () => {
    for (const s of [stream().open({ options: scale(3) }, {}), stream().open({}, { options: scale(3) })]) {
      assert.equal(segment(only(s.reply({ acked: 0, window: 600 })).octets).window, 564);
    }
  });

  it('go by the scales of the new connection that a passed SYN began', () => {
    const s = stream().established({ options: scale(3) }, { options: scale(3) });
    const start = 20_000; // within the window of the old one
    only(s.send({ at: start - 1, flags: SYN, ack: 0, options: scale(3) }));
    only(s.synAck({ acked: start, options: scale(3) }));
    only(s.send({ at: start }));
    assert.equal(segment(only(s.reply({ acked: start, window: 600 })).octets).window, 595);
  });

  it('take a scale above 14 as 14 (RFC 7323 section 2.3)', () => {
    const s = stream().open({ options: scale(3) }, { options: scale(200) });
    assert.equal(segment(only(s.reply({ acked: 0, window: 600 })).octets).window, 599);
  });

  it('are counted where they shrink', () => {
    const s = stream().open();
    const before = s.bench.t.counters.windowsClamped;
    only(s.reply({ acked: 20 }));
    only(s.reply({ acked: 36 }));
    assert.equal(s.bench.t.counters.windowsClamped - before, 1);
  });

  it('of the client are the backend’s to see as they are', () => {
    const s = stream().open();
    assert.equal(segment(only(s.send({ payload: 'abc', window: 4321 })).octets).window, 4321);
  });
});

/** A SACK option of blocks given by the backend's positions, behind `lead` octets of NOP. */
function sack(base: number, blocks: readonly (readonly [number, number])[], lead = 2): Buffer {
  const option = Buffer.alloc(lead + 2 + 8 * blocks.length, 1);
  option.writeUInt8(5, lead);
  option.writeUInt8(2 + 8 * blocks.length, lead + 1);
  blocks.forEach(([left, right], i) => {
    option.writeUInt32BE((base + left) >>> 0, lead + 2 + 8 * i);
    option.writeUInt32BE((base + right) >>> 0, lead + 6 + 8 * i);
  });
  return option;
}

/** The blocks of an option list, as positions. */
function blocksOf(options: Buffer, base: number): number[][] {
  const option = optionList(options).find(({ kind }) => kind === 5);
  if (option === undefined) return [];
  const b = Buffer.from(option.octets);
  return Array.from({ length: (b.length - 2) / 8 }, (_, i) => [
    (b.readUInt32BE(2 + 8 * i) - base) | 0,
    (b.readUInt32BE(6 + 8 * i) - base) | 0,
  ]);
}

describe('SACK towards the client', () => {
  const cases: [string, [number, number][], number[][]][] = [
    ['behind the header', [[136, 236]], [[100, 200]]],
    [
      'several, in their order',
      [
        [536, 636],
        [136, 236],
        [336, 436],
      ],
      [
        [500, 600],
        [100, 200],
        [300, 400],
      ],
    ],
    ['partly inside the header', [[20, 136]], [[0, 100]]],
    ['that ends where the header does', [[0, 36]], []],
    ['wholly inside the header', [[5, 30]], []],
    [
      'a D-SACK of the header before a block of data',
      [
        [0, 36],
        [136, 236],
      ],
      [[100, 200]],
    ],
    [
      'emptied ones between others',
      [
        [136, 236],
        [3, 7],
        [336, 436],
        [0, 36],
      ],
      [
        [100, 200],
        [300, 400],
      ],
    ],
    ['before S', [[-20, -10]], [[-20, -10]]],
    ['from before S into the header', [[-1, 20]], [[-1, 0]]],
  ];
  // Odd offsets too: a receiver may put the option anywhere.
  for (const lead of [0, 1, 2, 3]) {
    for (const [name, blocks, expected] of cases) {
      it(`maps both edges of blocks ${name}, ${lead} NOPs before (stream-insertion case 7)`, () => {
        const s = stream().open();
        only(s.send({ payload: 'x'.repeat(1000) }));
        const options = sack(s.s, blocks, lead);
        const out = segment(only(s.reply({ acked: 36, options })).octets);
        assert.deepEqual(blocksOf(out.options, s.s), expected);
        assert.equal(out.options.length, Math.ceil(options.length / 4) * 4);
        const others = optionList(out.options).filter(({ kind }) => kind !== 1 && kind !== 5);
        assert.deepEqual(others, [], 'NOPs fill what is left');
      });
    }
  }

  it('keeps the options around it, timestamps first or last (stream-insertion case 7)', () => {
    const timestamps = Buffer.from('080a0000000100000002', 'hex');
    const s = stream().open();
    const block = [
      [0, 36],
      [136, 236],
    ] as const;
    for (const options of [
      Buffer.concat([Buffer.from([1, 1]), timestamps, sack(s.s, block)]),
      Buffer.concat([sack(s.s, block), Buffer.from([1, 1]), timestamps]),
    ]) {
      const out = segment(only(s.reply({ acked: 0, options })).octets);
      assert.deepEqual(blocksOf(out.options, s.s), [[100, 200]]);
      const kept = optionList(out.options).find(({ kind }) => kind === 8);
      assert.deepEqual(kept?.octets, [...timestamps]);
    }
  });

  it('finds it behind 12 octets of other options that look nothing like timestamps', () => {
    const s = stream().open();
    const options = sack(s.s, [[136, 236]], 2);
    assert.equal(options.length, 12);
    assert.deepEqual(blocksOf(segment(only(s.reply({ acked: 0, options })).octets).options, s.s), [[100, 200]]);
  });

  it('leaves edges from the client alone: they are in the backend’s own numbers (stream-insertion case 7)', () => {
    const s = stream().open();
    const options = sack(s.b, [[100, 200]]);
    const out = segment(only(s.send({ at: 0, payload: 'x', options })).octets);
    assert.deepEqual(out.options, options);
  });

  it('is not touched by a service without PROXY', () => {
    const s = new Stream(new Bench(topology(link({ proxy: null }))));
    s.syn();
    const options = sack(s.s, [[10, 20]]);
    const out = segment(only(s.reply({ flags: ACK, options })).octets);
    assert.deepEqual(out.options, options);
  });

  for (const [name, options] of [
    ['a length that is no number of blocks', Buffer.from('0101050c00000400000004100102', 'hex')],
    ['a length past the header', Buffer.from('0505', 'hex')],
    ['no block at all', Buffer.from('0502', 'hex')],
  ] as const) {
    it(`survives ${name}`, () => {
      const s = stream().open();
      const out = segment(only(s.reply({ acked: 36, options })).octets);
      assert.equal(out.options.length, Math.ceil(options.length / 4) * 4);
    });
  }

  it('rides on SYN-ACKs of none', () => {
    const s = stream();
    s.syn({ options: Buffer.from('04020101', 'hex') });
    const out = segment(only(s.synAck({ options: Buffer.from('04020101', 'hex') })).octets);
    assert.equal(out.flags, SYN | ACK);
    assert.equal(out.options.toString('hex'), '04020101', 'SACK-permitted is unchanged (stream-insertion case 23)');
  });
});
