import assert from 'node:assert/strict';
import fc from 'fast-check';
import { flowHash } from '../../../../src/flow/hash.js';
import { FROM_PROVIDER, keeperOf, NOBODY, ownerOf } from '../../../../src/gateway/workers/owner.js';
import { fragments, icmpError, ipv4Packet, SYN, tcpPacket, udpPacket } from '../../../support/packets.js';

const dotted = fc.nat({ max: 0xffffffff }).map((n) => [24, 16, 8, 0].map((shift) => (n >>> shift) & 255).join('.'));
const port = fc.nat({ max: 65535 });
const tuple = fc.record({ src: dotted, dst: dotted, sport: port, dport: port });
const many = fc.integer({ min: 1, max: 32 });
const network = fc.nat({ max: 100 });
type Tuple = typeof tuple extends fc.Arbitrary<infer T> ? T : never;

const turned = ({ src, dst, sport, dport }: Tuple): Tuple => ({ src: dst, dst: src, sport: dport, dport: sport });
const owner = (packet: Buffer, side: number, workers: number): number =>
  ownerOf(side, packet, 0, packet.length, workers);

describe('the owner of a packet', () => {
  it('of a consumer is the same in both directions, for whole packets, first fragments and errors about them', () => {
    fc.assert(
      fc.property(tuple, many, network, fc.boolean(), (t, workers, side, isTcp) => {
        const make = isTcp ? tcpPacket : udpPacket;
        const mine = owner(make({ ...t, payload: 'x'.repeat(1000) }), side, workers);
        assert.ok(mine >= 0 && mine < workers);
        assert.equal(owner(make(turned(t)), side, workers), mine);
        const [first] = fragments(make({ ...t, df: false, payload: 'x'.repeat(1000) }), 576);
        assert.equal(owner(first!, side, workers), mine);
        // What the consumer complains of was sent to it.
        const error = icmpError({ src: t.src, dst: t.dst, about: make(turned(t)) });
        assert.equal(owner(error, side, workers), mine);
      }),
    );
  });

  it('at the provider is told by the NAT port alone, whichever end of the packet has it', () => {
    fc.assert(
      fc.property(tuple, many, fc.boolean(), (t, workers, isTcp) => {
        const make = isTcp ? tcpPacket : udpPacket;
        assert.equal(owner(make(t), FROM_PROVIDER, workers), t.dport % workers);
        const error = icmpError({ src: t.src, dst: t.dst, about: make(turned(t)) });
        assert.equal(owner(error, FROM_PROVIDER, workers), t.dport % workers);
      }),
    );
  });

  it('is nobody where a packet has no ports, or not all of them', () => {
    const t = { src: '10.0.0.5', dst: '10.0.0.9', sport: 1, dport: 2 };
    const echo = ipv4Packet(1, t, Buffer.from([8, 0, 0, 0, 0, 0, 0, 0]));
    const esp = ipv4Packet(50, t, Buffer.alloc(40));
    const short = ipv4Packet(17, t, Buffer.alloc(3));
    const ofEsp = icmpError({ src: t.dst, dst: t.src, about: esp });
    for (const packet of [echo, esp, short, ofEsp]) {
      assert.equal(owner(packet, 0, 4), NOBODY);
      assert.equal(owner(packet, FROM_PROVIDER, 4), NOBODY);
    }
  });

  it('is each worker for its part of one consumer’s connections, spread over all of its table', () => {
    const workers = 4;
    const counts = new Uint32Array(workers);
    const cells = new Set<number>();
    const upper = new Set<number>();
    for (let sport = 1024; sport < 33_792; sport++) {
      const packet = tcpPacket({ src: '10.0.0.5', dst: '10.0.0.9', sport, dport: 443, flags: SYN });
      const mine = owner(packet, 0, workers);
      counts[mine]!++;
      if (mine !== 0) continue;
      const hash = flowHash(0x0a000005, 0x0a000009, (sport << 16) | 443, 6, 1);
      cells.add(hash & 1023);
      upper.add(hash >>> 24);
    }
    for (const n of counts) assert.ok(n > 7700 && n < 8700, counts.join());
    assert.ok(cells.size > 1000, `${cells.size} of 1024 cells`);
    assert.equal(upper.size, 256, 'no part of the table’s own hash tells the worker');
  });
});

describe('the keeper of a datagram', () => {
  it('is the same for all of its fragments, and spread over the workers', () => {
    const counts = new Uint32Array(3);
    for (let id = 0; id < 3000; id++) {
      const packet = udpPacket({
        src: '10.0.0.5',
        dst: '10.0.0.9',
        sport: 1,
        dport: 2,
        id,
        df: false,
        payload: 'x'.repeat(64),
      });
      const keepers = fragments(packet, 52).map((part) => keeperOf(part, 0, 3));
      assert.ok(keepers.length > 1);
      assert.equal(new Set(keepers).size, 1);
      counts[keepers[0]!]!++;
    }
    for (const n of counts) assert.ok(n > 850 && n < 1150, counts.join());
  });
});
