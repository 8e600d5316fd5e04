/** Completing what a network card would have, beside a naive twin that computes every checksum over all octets. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  complete,
  Completed,
  IP_CHECKSUM,
  L4_CHECKSUM,
  L4_PARTIAL,
  L4_REPAIRED,
  TOTAL_LENGTH,
} from '../../../src/replay/offload.js';
import { onesSum, pseudoSum, tcpPacket, udpPacket } from '../../support/packets.js';

const TCP = 6;
const UDP = 17;

/** @param packet the octets at hand, changed in place */
function naive(packet: Buffer, missing: number, repair: boolean): number {
  if (packet.length < 20 || packet.readUInt8(0) >> 4 !== 4) return 0;
  const header = (packet.readUInt8(0) & 15) * 4;
  if (header < 20 || packet.length < header) return 0;
  const available = packet.length + missing;
  const unknown = packet.readUInt16BE(2) === 0;
  const headerHolds = (): boolean => onesSum(packet.subarray(0, header)) === 0xffff;
  const setHeaderChecksum = (): void => {
    packet.writeUInt16BE(0, 10);
    packet.writeUInt16BE(0xffff - onesSum(packet.subarray(0, header)), 10);
  };
  let done = 0;
  if (unknown && available <= 65_535) {
    const held = headerHolds();
    packet.writeUInt16BE(available, 2);
    if (held) setHeaderChecksum();
    done += TOTAL_LENGTH;
  }
  if (packet.readUInt16BE(10) === 0 && !headerHolds()) {
    setHeaderChecksum();
    done += IP_CHECKSUM;
  }
  const total = packet.readUInt16BE(2) || available;
  const isFragment = (packet.readUInt16BE(6) & 0x3fff) !== 0;
  if (total > available || total < header || isFragment) return done;

  const protocol = packet.readUInt8(9);
  const l4 = packet.subarray(header, Math.min(total, packet.length));
  let covered = total - header;
  let field = 16;
  if (protocol === UDP) {
    if (l4.length < 8) return done;
    covered = l4.readUInt16BE(4);
    field = 6;
    if (covered < 8 || covered > total - header || l4.readUInt16BE(field) === 0) return done;
  } else if (protocol !== TCP || l4.length < 20) return done;
  const found = l4.readUInt16BE(field);
  const pseudo = (length: number): number => pseudoSum(packet, (length & 0xffff) + Math.floor(length / 65_536));
  const partial = found === pseudo(covered) || (unknown && found === pseudo(0));
  if (!partial && !repair) return done;
  if (l4.length < covered) return partial ? done + L4_PARTIAL : done;
  l4.writeUInt16BE(0, field);
  const sum = 0xffff - onesSum(l4.subarray(0, covered), pseudo(covered));
  const right = sum === 0 && protocol === UDP ? 0xffff : sum;
  l4.writeUInt16BE(right, field);
  if (right === found) return done;
  return done + (partial ? L4_CHECKSUM : L4_REPAIRED);
}

const octets = (max: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));
const dotted = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)).map((parts) => parts.join('.'));
const sound = fc
  .record({
    isTcp: fc.boolean(),
    src: dotted,
    dst: dotted,
    sport: fc.nat(65_535),
    dport: fc.nat(65_535),
    seq: fc.nat(),
    words: fc.nat(3),
    payload: octets(60),
  })
  .map(({ isTcp, words, ...fields }) => {
    const ipOptions = Buffer.alloc(words * 4, 1);
    return isTcp ? tcpPacket({ ...fields, ipOptions }) : udpPacket({ ...fields, ipOptions });
  });

const headerLength = (packet: Buffer): number => (packet.readUInt8(0) & 15) * 4;
const checksumField = (packet: Buffer): number => headerLength(packet) + (packet.readUInt8(9) === TCP ? 16 : 6);

/** Each is something that captures have, or a damage; in place. */
const artefacts = {
  noTotalLength: (p: Buffer): unknown => p.writeUInt16BE(0, 2),
  noTotalLengthSummed: (p: Buffer): void => {
    p.writeUInt16BE(0, 2);
    p.writeUInt16BE(0, 10);
    p.writeUInt16BE(0xffff - onesSum(p.subarray(0, headerLength(p))), 10);
  },
  noIpChecksum: (p: Buffer): unknown => p.writeUInt16BE(0, 10),
  wrongIpChecksum: (p: Buffer): unknown => p.writeUInt16BE(p.readUInt16BE(10) ^ 0x1234, 10),
  partial: (p: Buffer): unknown => p.writeUInt16BE(pseudoSum(p, p.length - headerLength(p)), checksumField(p)),
  partialNoLength: (p: Buffer): unknown => p.writeUInt16BE(pseudoSum(p, 0), checksumField(p)),
  wrongL4Checksum: (p: Buffer): unknown => p.writeUInt16BE(p.readUInt16BE(checksumField(p)) ^ 0x40, checksumField(p)),
  noL4Checksum: (p: Buffer): unknown => p.writeUInt16BE(0, checksumField(p)),
  shortLength: (p: Buffer): unknown => p.writeUInt16BE((p.readUInt16BE(2) - 3) & 0xffff, 2),
  longLength: (p: Buffer): unknown => p.writeUInt16BE((p.readUInt16BE(2) + 3) & 0xffff, 2),
  shortDatagram: (p: Buffer): unknown => p.writeUInt16BE(9, headerLength(p) + 4),
  tinyDatagram: (p: Buffer): unknown => p.writeUInt16BE(7, headerLength(p) + 4),
  longDatagram: (p: Buffer): void => {
    const length = p.length - headerLength(p) + 5;
    p.writeUInt16BE(length, headerLength(p) + 4);
    p.writeUInt16BE(pseudoSum(p, length), checksumField(p));
  },
  fragment: (p: Buffer): unknown => p.writeUInt16BE(0x2000, 6),
  otherProtocol: (p: Buffer): unknown => p.writeUInt8(1, 9),
} as const;

const recorded = fc
  .record({
    packet: sound,
    done: fc.subarray(Object.keys(artefacts) as (keyof typeof artefacts)[], { maxLength: 3 }),
    trailer: octets(8),
    cut: fc.oneof(fc.constant(0), fc.nat(70)),
    onWire: fc.oneof(fc.constant(0), fc.constant(70_000)),
  })
  .map(({ packet, done, trailer, cut, onWire }) => {
    for (const name of done) artefacts[name](packet);
    const whole = Buffer.concat([packet, trailer]);
    const kept = Math.max(0, whole.length - cut);
    return { packet: whole.subarray(0, kept), missing: whole.length - kept + onWire };
  });
const anything = fc.record({ packet: octets(80), missing: fc.nat(100_000) });

describe('replay: offload artefacts', () => {
  it('are completed as a naive twin does, and nothing else is touched', () => {
    let seen = 0;
    fc.assert(
      fc.property(fc.oneof({ weight: 5, arbitrary: recorded }, anything), fc.nat(9), fc.boolean(), (p, at, repair) => {
        const slab = Buffer.alloc(at + p.packet.length + 9, 0xee);
        p.packet.copy(slab, at);
        const expected = Buffer.from(slab);
        const done = naive(expected.subarray(at, at + p.packet.length), p.missing, repair);
        assert.equal(complete(slab, at, at + p.packet.length, p.missing, repair), done);
        assert.deepEqual(slab, expected);
        seen |= done;
      }),
      { numRuns: 4000, seed: 1 },
    );
    const all = TOTAL_LENGTH | IP_CHECKSUM | L4_CHECKSUM | L4_PARTIAL | L4_REPAIRED;
    assert.equal(seen, all, 'every kind was met');
  });

  it('come out as the packet that the card would have sent', () => {
    fc.assert(
      fc.property(sound, (packet) => {
        const sent = Buffer.from(packet);
        artefacts.partial(packet);
        artefacts.noTotalLength(packet);
        artefacts.noIpChecksum(packet);
        complete(packet, 0, packet.length, 0, false);
        assert.deepEqual(packet, sent);
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  it('come out as 0xffff where the sum of a datagram is 0, which would mean that it has none', () => {
    const ends = { src: '10.0.0.5', dst: '10.0.0.4', sport: 1, dport: 2 };
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(udpPacket({ ...ends, payload }).readUInt16BE(26));
    const packet = udpPacket({ ...ends, payload });
    artefacts.partial(packet);
    assert.equal(complete(packet, 0, packet.length, 0, false), L4_CHECKSUM);
    assert.equal(packet.readUInt16BE(26), 0xffff);
  });

  it('are completed once: what is complete stays as it is', () => {
    fc.assert(
      fc.property(sound, fc.boolean(), (packet, repair) => {
        const before = Buffer.from(packet);
        assert.equal(complete(packet, 0, packet.length, 0, repair), 0);
        assert.deepEqual(packet, before);
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  it('are counted by kind', () => {
    const counted = new Completed();
    counted.add(TOTAL_LENGTH | IP_CHECKSUM | L4_CHECKSUM);
    counted.add(L4_CHECKSUM);
    counted.add(L4_PARTIAL);
    counted.add(L4_REPAIRED | IP_CHECKSUM);
    assert.deepEqual(Object.fromEntries(Object.entries(counted)), {
      totalLengths: 1,
      ipChecksums: 2,
      l4Checksums: 2,
      partialLeft: 1,
      repaired: 1,
    });
  });
});
