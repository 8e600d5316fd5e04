import assert from 'node:assert/strict';
import type { Impairment } from '../../src/device/impaired-line.js';
import { ImpairedLink, type LinkOptions } from '../support/impaired-link.js';
import { needsTunDevice } from '../support/machine.js';

const KIB = 1 << 10;
const MIB = 1 << 20;

/** On each of the two lines, in each direction: 5 % loss, 5 % repetition and 20 % reordering from end to end. */
const BAD: Impairment = { loss: 0.025, duplicate: 0.025, reorder: 0.1, corrupt: 0.0025 };

/** A sample of `npm run soak`, which runs the whole of it. */
describe('streams over bad lines, between real kernels', () => {
  before(function () {
    needsTunDevice(this);
  });

  let link: ImpairedLink | null = null;
  afterEach(() => {
    link?.down();
    link = null;
  });

  async function up(options: Omit<LinkOptions, 'seed'>): Promise<ImpairedLink> {
    link = await ImpairedLink.up({ seed: 1, ...options });
    return link;
  }

  for (const [mtu, offload, streams, octets] of [
    [576, false, 200, 32 * KIB],
    [1280, true, 20, MIB],
    [1500, false, 40, 256 * KIB],
    [1500, true, 200, 128 * KIB],
    [9000, false, 20, MIB],
    [9000, true, 4, 4 * MIB],
  ] as const)
    it(`are right, header and all: ${streams} of ${octets / KIB} KiB each way, MTU ${mtu}, offload ${offload ? 'on' : 'off'}`, async () => {
      const { lines, tap } = await streamsOver({ mtu, offload, impairment: BAD }, streams, octets);
      assert.ok(lines.lost > 0 && lines.duplicated > 0 && lines.reordered > 0);
      // Super-packets are too few for that.
      if (!offload) assert.ok(tap.seen.damaged > 0, 'what was damaged on the way arrived damaged');
      assert.equal(lines.overflowed, 0);
      assert.equal(tap.seen.superPackets > 0, offload);
      if (!offload) assert.ok(tap.seen.longest <= mtu);
    });

  for (const offload of [false, true])
    it(`are right where 2 workers share the flows, offload ${offload ? 'on' : 'off'}`, async () => {
      const it = await streamsOver({ mtu: 1500, offload, impairment: BAD, workers: 2 }, 40, 128 * KIB);
      assert.ok(it.lines.lost > 0 && it.lines.reordered > 0);
      assert.equal(it.lines.overflowed, 0);
      for (const { translator, handedOver } of it.pumps) {
        assert.ok(translator.counters.flowsTcp >= 4, 'each has its part');
        assert.ok(handedOver.packets > 0 && handedOver.lost === 0);
      }
    });

  it('are right over late lines', async () => {
    await streamsOver({ mtu: 1500, offload: true, impairment: { ...BAD, delayMs: 2, jitterMs: 2 } }, 100, 32 * KIB);
  });

  for (const synCookies of [0, 2] as const)
    for (const headersLost of [1, 2, 3])
      it(`begin, though the first ${headersLost} segments with the header are lost, SYN cookies ${synCookies === 2 ? 'on' : 'off'}`, async () => {
        const clean = { mtu: 1500, offload: true, impairment: {} };
        const it = await streamsOver({ ...clean, headersLost, synCookies }, 20, 20 * KIB);
        assert.equal(it.headersLost, 20 * headersLost);
        assert.ok(it.pump.translator.counters.headersResent >= 20 * headersLost);
        // Only data that came alone makes a backend with SYN cookies refuse it.
        assert.equal('reset-in-doubt' in it.pump.translator.drops.toJSON(), synCookies === 2);
      });

  /** Half of the streams have a client that speaks first, half one that listens first. */
  async function streamsOver(
    options: Omit<LinkOptions, 'seed'>,
    streams: number,
    octets: number,
  ): Promise<ImpairedLink> {
    const it = await up(options);
    const reports = await Promise.all([
      it.run(streams / 2, octets, 'speak', 1),
      it.run(streams / 2, octets, 'listen', 1 + streams),
    ]);
    assert.deepEqual(it.faults(streams, ...reports), []);
    return it;
  }
});
