/**
 * What must hold of any packet, however damaged: a verdict that exists, packets to send that are sound and go the right
 * way, and books that balance: in = forwarded + dropped + held.
 */
import assert from 'node:assert/strict';
import { REASONS } from '../../src/packet/verdict.js';
import type { Emitted, Gateway, Result, Seen } from './gateway.js';
import { onesSum } from './packets.js';

const VERDICTS = new Set<string>(['forward', 'held', 'lifted', ...REASONS.map(([name]) => name)]);

export type Way = 'fromConsumer' | 'fromProvider' | 'record';

export class Account {
  readonly gateway: Gateway;
  private dropped = 0;
  private held = 0;
  private released = 0;

  constructor(gateway: Gateway) {
    this.gateway = gateway;
  }

  /** Gives a packet to the translator and enters the outcome. */
  pass(way: Way, octets: Uint8Array, seen: Seen = {}): Result {
    const result = this.gateway[way](octets, seen);
    const { verdict, out } = result;
    assert(VERDICTS.has(verdict), `no such verdict: ${verdict}`);
    const passed = verdict === 'forward' || verdict === 'lifted';
    if (verdict === 'held') this.held++;
    else if (!passed) this.dropped++;
    out.forEach(sound);
    const sides: Record<Way, string[]> = {
      fromConsumer: ['provider'],
      fromProvider: ['consumer'],
      record: ['provider', 'lifted'],
    };
    for (const { side } of out) assert(sides[way].includes(side), `a packet ${way} goes to the ${side}`);
    if (passed) assert(out.length > 0, 'forwarded, and nothing to send');
    if (verdict === 'held') assert.equal(out.length, 0, 'held, and sent');
    // Fragments that had waited follow their first one; nothing else sends two of the fragments of one packet.
    const isFirst = octets.length > 7 && ((octets[6]! << 8) | octets[7]!) % 0x2000 === 0;
    if (isFirst) this.released += out.filter((e) => (e.octets.readUInt16BE(6) & 0x1fff) !== 0).length;
    return result;
  }

  advance(nowMs: number): Emitted[] {
    const out = this.gateway.advance(nowMs);
    out.forEach(sound);
    return out;
  }

  /** The counters tell of every packet exactly once. */
  balance(): void {
    const { translator } = this.gateway;
    const counted = translator.drops.counts.reduce((sum, n) => sum + n, 0);
    const lateDrops = counted - this.dropped; // fragments that were dropped after they had waited
    assert(lateDrops >= 0, `${this.dropped} packets dropped, ${counted} counted`);
    const waiting = translator.fragments.waiting;
    assert.equal(this.held, this.released + lateDrops + waiting, 'every held fragment was sent, dropped, or waits');
  }
}

/** The packet is one that a receiver could parse; its transport checksum may be wrong, as it came. */
function sound({ octets, missing, side }: Emitted): void {
  assert(octets.length >= 20 && octets[0]! >>> 4 === 4, 'it is IPv4');
  const header = (octets[0]! & 15) * 4;
  assert(header >= 20 && header <= octets.length, 'its header is whole');
  const total = octets.readUInt16BE(2);
  if (total !== 0) assert.equal(total, octets.length + missing, 'its length is right');
  else assert(octets.length + missing > 0xffff, 'its length is told where it fits');
  assert.equal(onesSum(octets.subarray(0, header)), 0xffff, 'its header checksum is right');
  // Lifting undoes no hop: that packet's time is judged on its way back.
  if (side !== 'lifted') assert(octets[8]! > 0, 'it may live on');
  const first = (octets.readUInt16BE(6) & 0x1fff) === 0;
  const l4 = octets.subarray(header);
  if (octets[9] === 6 && first) {
    const length = (l4[12]! >>> 4) * 4;
    assert(length >= 20 && length <= l4.length, 'its TCP header is whole');
  }
  if (octets[9] === 17 && first) assert(l4.length >= 8 && l4.readUInt16BE(4) >= 8, 'its UDP header is whole');
}
