import assert from 'node:assert/strict';
import fc from 'fast-check';
import { date, decimal, since } from '../../../src/inspect/time.js';
import { udpPacket } from '../../support/packets.js';
import { inspectPackets } from './run.js';

const octets = udpPacket({ src: '10.0.0.5', dst: '10.0.0.4', sport: 1, dport: 2 });
const packets = [
  { octets, seconds: 1_700_000_000, microseconds: 900_000 },
  { octets, seconds: 1_700_000_001, microseconds: 100_250 },
  { octets, seconds: 1_700_000_001, microseconds: 100_000 },
  { octets, seconds: 1_700_000_000, microseconds: 649_999 },
];

const times = async (time: 'relative' | 'absolute' | 'delta'): Promise<string[]> =>
  (await inspectPackets(packets, { time })).lines.map((line) => line.slice(7, line.indexOf(' UDP')).trim());

describe('inspect: times', () => {
  it('counts from the first packet, backwards too', async () => {
    assert.deepEqual(await times('relative'), ['0.000000', '0.200250', '0.200000', '-0.250001']);
  });

  it('counts from the line before', async () => {
    assert.deepEqual(await times('delta'), ['0.000000', '0.200250', '-0.000250', '-0.450001']);
  });

  it('shows the date in UTC', async () => {
    assert.equal((await times('absolute'))[0], '2023-11-14 22:13:20.900000');
  });

  it('shows all nine digits, before 1970 and beyond what a date can be', () => {
    assert.equal(decimal({ seconds: -1, nanoseconds: 999_999_999 }, 9), '-0.000000001');
    assert.equal(decimal({ seconds: -3, nanoseconds: 0 }, 6), '-3.000000');
    assert.equal(date({ seconds: -1, nanoseconds: 5 }, 9), '1969-12-31 23:59:59.000000005');
    assert.equal(date({ seconds: 9e12, nanoseconds: 5 }, 9), '9000000000000.000000005');
  });

  it('differs exactly', () => {
    const instant = fc.record({ seconds: fc.integer({ min: -1000, max: 1000 }), nanoseconds: fc.nat(999_999_999) });
    const total = ({ seconds, nanoseconds }: { seconds: number; nanoseconds: number }): bigint =>
      BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
    fc.assert(
      fc.property(instant, instant, (a, z) => {
        const gap = since(a, z);
        assert.equal(total(gap), total(z) - total(a));
        const text = decimal(gap, 9);
        assert.equal(BigInt(text.replace('.', '')), total(gap));
      }),
    );
  });
});
