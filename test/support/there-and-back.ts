/** Translate, turn round, translate back: what must be the identity, and what may differ. */
import assert from 'node:assert/strict';
import { recordDirect } from './direct-recording.js';
import { Gateway, lab, proxyOfLength } from './gateway.js';
import { ACK, FIN, onesSum, PSH, pseudoSum, RST, SYN, tcpPacket } from './packets.js';
import { Random } from './random.js';
import type { Scenario } from './simulation.js';

const l4Of = (b: Buffer): number => (b[0]! & 15) * 4;

/** The packet as its receiver might send it back: ends exchanged, and with TCP what was sent and what is acknowledged. */
export function turnedRound(packet: Buffer): Buffer {
  const b = Buffer.from(packet);
  const l4 = l4Of(b);
  packet.copy(b, 12, 16, 20);
  packet.copy(b, 16, 12, 16);
  packet.copy(b, l4, l4 + 2, l4 + 4);
  packet.copy(b, l4 + 2, l4, l4 + 2);
  if (b[9] === 6) {
    packet.copy(b, l4 + 4, l4 + 8, l4 + 12);
    packet.copy(b, l4 + 8, l4 + 4, l4 + 8);
  }
  return b; // words that change places change no checksum
}

/** The packet after so many hops: TTL and the checksum over it. */
export function aged(packet: Buffer, hops: number): Buffer {
  const b = Buffer.from(packet);
  b[8] = b[8]! - hops;
  b.writeUInt16BE(0, 10);
  b.writeUInt16BE(0xffff - onesSum(b.subarray(0, l4Of(b))), 10);
  return b;
}

/**
 * A recording of a client's machine goes through `Recording`; each server packet, lifted and translated back, must be
 * what was recorded, one hop older. Only a window that had no room to be widened may be smaller (case 8).
 * @param gaps probability that the recording lacks a packet
 */
export function liftsAndReturns(scenario: Scenario, gaps = 0): void {
  const random = new Random(scenario.seed);
  const gateway = new Gateway(lab({ proxy: scenario.proxy }), {
    maxFlows: 16,
    headerTimer: false,
    fastOpen: 'carry',
    midstream: 'translate',
  });
  for (const { atMs, from, octets } of recordDirect(scenario)) {
    if (random.chance(gaps)) continue;
    gateway.advance(atMs);
    const { verdict, out } = gateway.record(octets);
    const unknown = gaps > 0 && verdict === 'no-flow';
    if (!unknown) assert.equal(verdict, from === 'client' ? 'forward' : 'lifted', `${from}: ${verdict}`);
    if (from === 'client' || unknown) continue;
    const lifted = out[0]!.octets;
    assert.equal(
      onesSum(lifted.subarray(20), pseudoSum(lifted, lifted.length - 20)),
      0xffff,
      'the lifted checksum holds',
    );
    const back = gateway.fromProvider(lifted);
    assert.equal(back.verdict, 'forward');
    returned(octets, back.out[0]!.octets);
  }
}

/** @throws AssertionError unless `back` is what `packet` must come back as */
export function returned(packet: Buffer, back: Buffer): void {
  const expected = aged(packet, 1);
  if (back.equals(expected)) return;
  const window = l4Of(packet) + 14;
  const before = packet.readUInt16BE(window);
  const after = back.readUInt16BE(window);
  assert(packet[9] === 6 && after < before && before + 64 > 0xffff, 'the window is smaller, and could not be widened');
  // With the window put back it is the same again.
  const sum = 0xffff - back.readUInt16BE(window + 2) + (0xffff - after) + before;
  back.writeUInt16BE(before, window);
  const folded = (sum & 0xffff) + (sum >>> 16);
  back.writeUInt16BE(0xffff - ((folded & 0xffff) + (folded >>> 16)), window + 2);
  assert.deepEqual(back, expected);
}

/**
 * A recording in which the two ends say anything at all: near and far numbers, SACK blocks, SYN and SYN-ACK at any
 * time. Whatever is lifted comes back as it was recorded. (No two numbers are 2 GiB apart: which is before which would
 * be anyone's guess.)
 */
export function anyNumbersReturn(seed: number): void {
  const random = new Random(seed);
  const gateway = new Gateway(lab({ proxy: proxyOfLength(random.pick([28, 36, 37])) }), {
    maxFlows: 4,
    headerTimer: false,
    fastOpen: random.pick(['carry', 'strip']),
    midstream: 'translate',
  });
  const client = { src: '10.0.0.5', dst: '10.9.0.4', sport: 40000, dport: 443 };
  const server = { src: '10.9.0.4', dst: '10.0.0.5', sport: 443, dport: 40000 };
  let start = random.pick([0, 1000, 0xffffffff, random.int(0, 0xffffffff)]);
  const near = (): number =>
    start + random.pick([0, 0, 0, random.int(-5, 120), random.int(-5, 120), 2 ** random.int(7, 29)]);
  for (let n = random.int(2, 40); n > 0; n--) {
    const payload = random.octets(random.pick([0, 0, 5, 60]));
    if (random.chance(0.5)) {
      const isSyn = random.chance(0.2);
      if (isSyn && random.chance(0.3)) start += random.pick([1, 40, 30_000, 200_000, 2 ** 24]);
      const flags = isSyn ? SYN : ACK | random.pick([0, 0, PSH, FIN, RST]);
      gateway.record(tcpPacket({ ...client, flags, seq: isSyn ? start - 1 : near(), ack: 5000, payload }));
      continue;
    }
    const blocks = Array.from({ length: random.int(0, 3) }, () => {
      const b = Buffer.alloc(8);
      const left = near();
      b.writeUInt32BE(left >>> 0, 0);
      b.writeUInt32BE((left + random.pick([1, 30, 36, 500])) >>> 0, 4);
      return b;
    });
    const sack = Buffer.concat([Buffer.from([5, 2 + 8 * blocks.length]), ...blocks]);
    const options =
      blocks.length > 0 ? Buffer.concat([random.octets(random.int(0, 2)).fill(1), sack]) : Buffer.alloc(0);
    const flags = ACK | random.pick([0, 0, 0, SYN, PSH, FIN, RST]);
    const ack = random.chance(0.3) ? start : near();
    const packet = tcpPacket({ ...server, flags, seq: 5000, ack, payload, options, window: random.int(0, 60_000) });
    const { verdict, out } = gateway.record(packet);
    if (verdict !== 'lifted') continue;
    const back = gateway.fromProvider(out[0]!.octets);
    assert.equal(back.verdict, 'forward', `lifted, and then ${back.verdict}`);
    returned(packet, back.out[0]!.octets);
  }
}
