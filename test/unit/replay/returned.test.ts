import assert from 'node:assert/strict';
import { Returned } from '../../../src/replay/returned.js';
import { fragments, tcpPacket, udpPacket, withChecksum, type TcpFields } from '../../support/packets.js';

const ENDS = { src: '10.0.0.4', dst: '10.0.0.5', sport: 443, dport: 40_000 };
const tcp = (more: Partial<TcpFields> = {}): Buffer => tcpPacket({ ...ENDS, seq: 7, ack: 9, payload: 'body', ...more });

/** The packet as it comes back: one hop older, with what else a test does to it, all checksums right. */
function back(recorded: Buffer, change: (packet: Buffer) => void = () => undefined): Buffer {
  const packet = Buffer.from(recorded);
  packet.writeUInt8(packet.readUInt8(8) - 1, 8);
  change(packet);
  return withChecksum(packet);
}

function compare(recorded: Buffer, returned: Buffer, completed = false): Record<string, number> {
  const slab = Buffer.concat([
    Buffer.alloc(3, 0xee),
    recorded,
    Buffer.alloc(5, 0xee),
    returned,
    Buffer.alloc(60, 0xee),
  ]);
  const counts = new Returned();
  counts.compare(slab, 3, 3 + recorded.length, 3 + recorded.length + 5, completed);
  return Object.fromEntries((Object.entries(counts) as [string, number][]).filter(([, n]) => n !== 0));
}

describe('replay: how returned packets differ from the recorded ones', () => {
  it('not at all, but for the TTL and the checksum over it', () => {
    const ipOptions = Buffer.alloc(8, 1);
    for (const packet of [tcp(), tcp({ ipOptions }), udpPacket({ ...ENDS, payload: 'x' }), udpPacket(ENDS)]) {
      assert.deepEqual(compare(packet, back(packet)), { packets: 1, identical: 1 });
    }
  });

  it('in the window, made smaller', () => {
    const narrower = (p: Buffer): unknown => p.writeUInt16BE(65_499, 34);
    assert.deepEqual(compare(tcp(), back(tcp(), narrower)), { packets: 1, windowClamped: 1 });
    const wider = tcp({ window: 100 });
    assert.deepEqual(
      compare(
        wider,
        back(wider, (p) => p.writeUInt16BE(101, 34)),
      ),
      { packets: 1, unexplained: 1 },
    );
  });

  it('in options that were blanked', () => {
    const syn = tcp({ options: Buffer.from([2, 4, 5, 180, 30, 4, 0, 1]) });
    const blanked = back(syn, (p) => p.fill(1, 44, 48));
    assert.deepEqual(compare(syn, blanked), { packets: 1, optionsBlanked: 1 });
    const changed = back(syn, (p) => p.writeUInt8(181, 43));
    assert.deepEqual(compare(syn, changed), { packets: 1, unexplained: 1 });
  });

  it('in the identification', () => {
    const other = (p: Buffer): unknown => p.writeUInt16BE(4711, 4);
    assert.deepEqual(compare(tcp(), back(tcp(), other)), { packets: 1, identificationChanged: 1 });
  });

  it('by what was completed before, which hides the rest', () => {
    assert.deepEqual(compare(tcp(), tcp({ ack: 1 }), true), { packets: 1, completed: 1 });
  });

  it('in what no rule explains', () => {
    const differences: Record<string, (p: Buffer) => void> = {
      'the TTL went down twice': (p) => p.writeUInt8(62, 8),
      'the TTL stayed': (p) => p.writeUInt8(64, 8),
      'another TOS': (p) => p.writeUInt8(4, 1),
      'another source': (p) => p.writeUInt8(11, 12),
      'another destination': (p) => p.writeUInt8(6, 19),
      'another port': (p) => p.writeUInt16BE(40_001, 22),
      'another sequence number': (p) => p.writeUInt32BE(8, 24),
      'another acknowledgment': (p) => p.writeUInt32BE(45, 28),
      'another flag': (p) => p.writeUInt8(24, 33),
      'an urgent pointer': (p) => p.writeUInt16BE(1, 38),
    };
    for (const [name, change] of Object.entries(differences)) {
      assert.deepEqual(compare(tcp(), back(tcp(), change)), { packets: 1, unexplained: 1 }, name);
    }
    const wrongSum = back(tcp());
    wrongSum.writeUInt16BE(wrongSum.readUInt16BE(36) ^ 1, 36);
    assert.deepEqual(compare(tcp(), wrongSum), { packets: 1, unexplained: 1 }, 'a wrong checksum');
    const datagram = udpPacket({ ...ENDS, payload: 'x' });
    assert.deepEqual(
      compare(
        datagram,
        back(datagram, (p) => p.writeUInt16BE(40_001, 22)),
      ),
      { packets: 1, unexplained: 1 },
      'a UDP port',
    );
  });

  it('looks at no payload for headers: a later fragment’s octets 14 to 17 are no window and no checksum', () => {
    const [, later] = fragments(tcp({ df: false, id: 3, payload: Buffer.alloc(100, 7) }), 68);
    assert.deepEqual(compare(later!, back(later!)), { packets: 1, identical: 1 });
    const changed = back(later!, (p) => p.writeUInt8(1, 21));
    assert.deepEqual(compare(later!, changed), { packets: 1, unexplained: 1 });
  });

  it('and stays within a recorded packet that was cut off', () => {
    const cut = tcp().subarray(0, 30);
    assert.deepEqual(compare(cut, back(tcp()).subarray(0, 30)), { packets: 1, identical: 1 });
  });
});
