/** Translated and translated back is the identity, but for the TTL and the checksum over it. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { faults } from '../support/dissect.js';
import { Gateway, lab, proxyOfLength } from '../support/gateway.js';
import {
  ACK,
  FIN,
  fragments,
  icmpError,
  PSH,
  SYN,
  tcpPacket,
  udpPacket,
  URG,
  withChecksum,
} from '../support/packets.js';
import { Random } from '../support/random.js';
import { drawnScenario, scenarioOf } from '../support/scenarios.js';
import { aged, anyNumbersReturn, liftsAndReturns, turnedRound } from '../support/there-and-back.js';

const CLIENT = { src: '10.0.0.5', dst: '10.9.0.4', sport: 40000, dport: 443 };

/** A gateway with an open connection whose client's stream starts at `start`. */
function connected(random: Random, start: number): Gateway {
  const gateway = new Gateway(lab({ proxy: proxyOfLength(random.pick([28, 36, 37])) }), { maxFlows: 4 });
  const syn = gateway.fromConsumer(tcpPacket({ ...CLIENT, flags: SYN, seq: start - 1 })).out[0]!.octets;
  const answer = turnedRound(syn);
  answer.writeUInt32BE(start >>> 0, 28); // acknowledges the SYN
  answer[33] = SYN | ACK;
  gateway.fromProvider(withChecksum(answer));
  const header = gateway.fromConsumer(tcpPacket({ ...CLIENT, seq: start, ack: 1 })).out[0]!.octets;
  if (random.chance(0.5)) {
    const acknowledgment = turnedRound(header.subarray(0, 40));
    acknowledgment.writeUInt16BE(40, 2);
    acknowledgment.writeUInt32BE((start + header.length - 40) >>> 0, 28);
    gateway.fromProvider(withChecksum(acknowledgment));
  }
  return gateway;
}

function randomSegment(random: Random, start: number): Buffer {
  const distance = random.pick([random.int(-3, 200), 2 ** random.int(8, 29)]);
  const octets = tcpPacket({
    ...CLIENT,
    seq: start + distance,
    ack: random.int(0, 0xffffffff),
    // From before the start nothing may reach it: neither a FIN nor urgent data.
    flags: ACK | random.pick(distance < 0 ? [0, PSH, 0xc0] : [0, PSH, FIN, URG, 0xc0]),
    window: random.int(0, 65535),
    urgent: random.int(0, 65535),
    ttl: random.int(3, 255),
    tos: random.int(0, 255),
    id: random.int(0, 65535),
    options: random.pick([
      Buffer.alloc(0),
      Buffer.from([8, 10, 1, 2, 3, 4, 5, 6, 7, 8]),
      Buffer.from([253, 5, 1, 2, 3]),
    ]),
    payload: distance < 0 ? Buffer.alloc(0) : random.octets(random.int(0, 50)),
    ...(random.chance(0.2) ? { ipOptions: random.octets(8) } : {}),
  });
  const field = (octets[0]! & 15) * 4 + 16;
  if (random.chance(0.2)) octets.writeUInt16BE(random.int(0, 0xfffe), field);
  return octets;
}

/** The client's packet itself, in the provider's form; null where the header took its place, or it was damaged. */
function ownPacket(gateway: Gateway, packet: Buffer): Buffer | null {
  const { verdict, out } = gateway.fromConsumer(packet);
  if (verdict === 'tcp-bad-checksum') {
    assert.notDeepEqual(faults(packet), []);
    return null;
  }
  assert.equal(verdict, 'forward');
  const own = out.at(-1)!.octets;
  return own.length === packet.length ? own : null;
}

const starts = fc.oneof(
  fc.integer({ min: 0, max: 0xffffffff }),
  fc.integer({ min: -100, max: 100 }).map((n) => n >>> 0),
);

describe('there and back', () => {
  it('a TCP segment turned round by the backend comes back as the client would have got it', () => {
    fc.assert(
      fc.property(fc.integer(), starts, (seed, start) => {
        const random = new Random(seed);
        const gateway = connected(random, start);
        for (let n = 0; n < 20; n++) {
          const packet = randomSegment(random, start);
          const sent = ownPacket(gateway, packet);
          if (sent === null) continue;
          const back = gateway.fromProvider(turnedRound(sent));
          if (back.verdict === 'tcp-bad-checksum') {
            assert.notDeepEqual(faults(packet), []);
            continue;
          }
          assert.equal(back.verdict, 'forward');
          assert.deepEqual(back.out[0]!.octets, aged(turnedRound(packet), 2));
        }
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  it('a datagram, whole or in fragments, comes back as the client would have got it', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = new Random(seed);
        const gateway = new Gateway(lab(), { maxFlows: 4 });
        const fields = { ...CLIENT, ttl: random.int(3, 255), id: 9, df: false, checksum: random.chance(0.8) };
        const whole = udpPacket({ ...fields, payload: random.octets(random.int(0, 200)) });
        const parts = random.chance(0.5) ? [whole] : fragments(whole, 20 + 8 * random.int(1, 8));
        const order = parts.map((_, i) => i).sort(() => random.next() - 0.5);
        const out = order.flatMap((i) => gateway.fromConsumer(parts[i]!).out.map((e) => e.octets));
        assert.equal(out.length, parts.length);
        const offset = (b: Buffer): number => b.readUInt16BE(6) & 0x1fff;
        out.sort((a, b) => offset(a) - offset(b));
        out.forEach((octets, i) => {
          const turned = (b: Buffer): Buffer => (offset(b) === 0 ? turnedRound(b) : turnedEnds(b));
          const back = gateway.fromProvider(turned(octets));
          assert.deepEqual(back.out[0]!.octets, aged(turned(parts[i]!), 2));
        });
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  it('an ICMP error about a client packet quotes it as the client sent it', () => {
    fc.assert(
      fc.property(fc.integer(), starts, (seed, start) => {
        const random = new Random(seed);
        const gateway = connected(random, start);
        const isTcp = random.chance(0.6);
        const udp = udpPacket({ ...CLIENT, payload: random.octets(9), checksum: random.chance(0.7) });
        const packet = isTcp ? randomSegment(random, start) : udp;
        const sent = ownPacket(gateway, packet);
        if (sent === null) return;
        const router = random.chance(0.5) ? '172.16.0.1' : '192.0.2.77';
        const quote = random.pick([(packet[0]! & 15) * 4 + 8, sent.length]);
        const destination = sent.subarray(12, 16).join('.');
        const error = icmpError({ src: router, dst: destination, code: 4, rest: 1400, about: sent, quote });
        const back = gateway.fromProvider(error);
        assert.equal(back.verdict, 'forward');
        const shown = { src: router === '172.16.0.1' ? CLIENT.dst : router, dst: CLIENT.src, ttl: 63 };
        const expected = icmpError({ ...shown, code: 4, rest: 1400, about: aged(packet, 1), quote });
        assert.deepEqual(back.out[0]!.octets, expected);
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  it('a recorded server packet, lifted and translated back, is what was recorded', () => {
    fc.assert(
      fc.property(drawnScenario, (drawn) => liftsAndReturns(scenarioOf(drawn))),
      { numRuns: 150, seed: 1, endOnFailure: true },
    );
  });

  it('so is one of a recording that lacks packets', () => {
    fc.assert(
      fc.property(drawnScenario, (drawn) => liftsAndReturns(scenarioOf(drawn), 0.2)),
      { numRuns: 150, seed: 1, endOnFailure: true },
    );
  });

  it('so is one of a recording in which anything is acknowledged', () => {
    fc.assert(fc.property(fc.integer(), anyNumbersReturn), { numRuns: 1000, seed: 1 });
  });

  it('a recorded connection within the window of the one before it gets a header of its own', () => {
    const gateway = new Gateway(lab(), { maxFlows: 4, headerTimer: false });
    const server = { src: CLIENT.dst, dst: CLIENT.src, sport: CLIENT.dport, dport: CLIENT.sport };
    for (const [start, irs] of [
      [1000, 5000],
      [31_000, 9000],
    ] as const) {
      gateway.record(tcpPacket({ ...CLIENT, flags: SYN, seq: start - 1 }));
      const answer = tcpPacket({ ...server, flags: SYN | ACK, seq: irs, ack: start, window: 60_000 });
      const { octets } = gateway.record(answer).out[0]!;
      assert.deepEqual(gateway.fromProvider(octets).out[0]!.octets, aged(answer, 1));
      const header = gateway.record(tcpPacket({ ...CLIENT, seq: start, ack: irs + 1 })).out[0]!.octets;
      assert.equal(header.length, 40 + 36);
      assert.equal(header.readUInt32BE(24), start);
    }
  });

  it('a stream of many GiB keeps its numbers, forward and back', () => {
    for (const start of [0, 0xffffffff, 0x80000000, 123456789]) {
      const random = new Random(start);
      const gateway = connected(random, start);
      const length = gateway.translator.tables.endpoints[0]!.header!.octets.length;
      let at = 0;
      while (at < 10 * 2 ** 30) {
        const packet = tcpPacket({ ...CLIENT, seq: (start + at) % 2 ** 32, ack: 1, payload: 'x' });
        const sent = gateway.fromConsumer(packet).out.at(-1)!.octets;
        assert.equal(sent.readUInt32BE(24), (start + length + at) % 2 ** 32, `octet ${at} forward`);
        const answer = turnedRound(sent);
        answer.writeUInt32BE((start + length + at + 1) % 2 ** 32, 28);
        const back = gateway.fromProvider(withChecksum(answer)).out[0]!.octets;
        assert.equal(back.readUInt32BE(28), (start + at + 1) % 2 ** 32, `octet ${at} back`);
        // Windows are at most 1 GiB (RFC 7323), and what is sent again lies behind.
        if (at > 2 ** 29 && random.chance(0.2)) {
          const late = tcpPacket({ ...CLIENT, seq: (start + at - 2 ** 29) % 2 ** 32, ack: 1, payload: 'x' });
          const again = gateway.fromConsumer(late).out.at(-1)!.octets;
          assert.equal(again.readUInt32BE(24), (start + length + at - 2 ** 29) % 2 ** 32, 'sent again');
        }
        at += random.int(1, 2 ** 28);
      }
    }
  });
});

function turnedEnds(packet: Buffer): Buffer {
  const b = Buffer.from(packet);
  packet.copy(b, 12, 16, 20);
  packet.copy(b, 16, 12, 16);
  return b;
}
