import assert from 'node:assert/strict';
import { MAX_PACKET_LENGTH } from '../../../src/capture/format.js';
import { buildPcap, naiveRead, readOctets } from './naive.js';

const MICRO = 0xa1b2c3d4;
const NANO = 0xa1b23c4d;
const MODIFIED = 0xa1b2cd34;

const data = (text: string): Buffer => Buffer.from(text);

describe('reading pcap', () => {
  for (const little of [true, false]) {
    const order = little ? 'little-endian' : 'big-endian';
    for (const [name, magic, unit] of [
      ['microseconds', MICRO, 1000],
      ['nanoseconds', NANO, 1],
      ['24-octet record headers', MODIFIED, 1000],
    ] as const) {
      it(`reads ${order} files with ${name}`, async () => {
        const file = buildPcap({ little, magic, link: 101, snap: 96 }, [
          { seconds: 1700000000, fraction: 123456, data: data('first') },
          { seconds: 4294967295, fraction: 999999, data: data(''), original: 1500 },
          { seconds: 0, fraction: 0, data: data('third!') },
        ]);
        const { packets, reader } = await readOctets(file);
        assert.deepEqual(packets, [
          { seconds: 1700000000, nanoseconds: 123456 * unit, original: 5, data: data('first'), link: 101 },
          { seconds: 4294967295, nanoseconds: 999999 * unit, original: 1500, data: data(''), link: 101 },
          { seconds: 0, nanoseconds: 0, original: 6, data: data('third!'), link: 101 },
        ]);
        assert.equal(reader.warning, null);
        assert.equal(reader.format, 'pcap');
        assert.equal(reader.finerThanMicroseconds, magic === NANO);
        assert.equal(reader.interfaces[0]?.snapLength, 96);
      });
    }
  }

  it('takes a fraction past one second for the instant it means', async () => {
    const file = buildPcap({ little: true, magic: MICRO }, [{ seconds: 10, fraction: 2_500_000, data: data('x') }]);
    const { packets } = await readOctets(file);
    assert.deepEqual([packets[0]?.seconds, packets[0]?.nanoseconds], [12, 500_000_000]);
  });

  it('knows the link type of a file without packets', async () => {
    const { packets, reader } = await readOctets(buildPcap({ little: true, magic: MICRO, link: 113 }, []));
    assert.deepEqual([packets.length, reader.linkType, reader.warning], [0, 113, null]);
  });

  it('leaves out the FCS length in the link type', async () => {
    const file = buildPcap({ little: true, magic: MICRO, link: 0x24000001 }, [
      { seconds: 1, fraction: 0, data: data('x') },
    ]);
    assert.equal((await readOctets(file)).packets[0]?.link, 1);
  });

  it('reads records longer than the snap length', async () => {
    const file = buildPcap({ little: true, magic: MICRO, snap: 4 }, [
      { seconds: 1, fraction: 0, data: data('longer') },
    ]);
    const { packets, reader } = await readOctets(file);
    assert.equal(packets[0]?.data.toString(), 'longer');
    assert.equal(reader.warning, null);
  });

  it('warns of a record no file can hold, after the packets before it', async () => {
    const file = buildPcap({ little: true, magic: MICRO }, [
      { seconds: 1, fraction: 0, data: data('good') },
      { seconds: 2, fraction: 0, data: data('evil') },
      { seconds: 3, fraction: 0, data: data('after') },
    ]);
    file.writeUInt32LE(0xfffffff0, 24 + 20 + 8);
    const { packets, reader } = await readOctets(file);
    assert.deepEqual(packets, naiveRead(file));
    assert.equal(packets.length, 1);
    assert.equal(reader.warning?.code, 'CAPTURE_CORRUPT');
    assert.equal(reader.warning.place.offset, 44);
    assert.match(reader.warning.message, /after frame 1/);
    assert.equal(await reader.fill(), false);
    assert.equal(reader.next(), false);
  });

  it('takes a record of more than 2 MiB for damage, though it fits its region', async () => {
    for (const little of [true, false]) {
      const record = (length: number) => ({ seconds: 1, fraction: 0, data: Buffer.alloc(length) });
      const file = buildPcap({ little, magic: MICRO }, [MAX_PACKET_LENGTH, MAX_PACKET_LENGTH + 1, 5].map(record));
      const { packets, reader } = await readOctets(file, { slab: Buffer.alloc(8 << 20) });
      assert.deepEqual(
        packets.map((p) => p.data.length),
        [MAX_PACKET_LENGTH],
      );
      assert.equal(reader.warning?.code, 'CAPTURE_CORRUPT');
      assert.match(reader.warning.message, /an impossible 2097153 octets \(octet 2097192, after frame 1\)/);
    }
  });

  it('warns of a record larger than its region instead of waiting for it', async () => {
    const file = buildPcap({ little: true, magic: MICRO }, [
      { seconds: 1, fraction: 0, data: Buffer.alloc(100 - 16) },
      { seconds: 2, fraction: 0, data: Buffer.alloc(101 - 16) },
    ]);
    const { packets, reader } = await readOctets(file, { slab: Buffer.alloc(120), from: 10, to: 110 });
    assert.equal(packets.length, 1);
    assert.equal(reader.warning?.code, 'CAPTURE_RECORD_TOO_LARGE');
  });
});
