/**
 * Fragments that came before the first of their datagram, as copies, until it comes or their time is over. Bounded in
 * number and octets (RFC 4787 REQ-14 asks for out-of-order fragments, RFC 6888 for limits). Only here does the packet
 * path allocate: a fragment that waits has to be kept somewhere.
 */
const MAX_OCTETS = 4 << 20;
const MAX_FRAGMENTS = 2048;
const MAX_PER_DATAGRAM = 64;

export interface HeldFragment {
  readonly octets: Buffer;
  /** Octets that a capture cut off behind it. */
  readonly missing: number;
}

interface Waiting {
  readonly sinceMs: number;
  readonly fragments: HeldFragment[];
}

export class HeldFragments {
  private readonly byDatagram = new Map<string, Waiting>();
  private octets = 0;
  /** Fragments that wait. */
  count = 0;

  /** @returns false when a bound is met */
  hold(key: string, b: Buffer, from: number, to: number, missing: number, nowMs: number): boolean {
    const length = to - from;
    if (this.count >= MAX_FRAGMENTS || this.octets + length > MAX_OCTETS) return false;
    let waiting = this.byDatagram.get(key);
    if (waiting === undefined) this.byDatagram.set(key, (waiting = { sinceMs: nowMs, fragments: [] }));
    if (waiting.fragments.length >= MAX_PER_DATAGRAM) return false;
    waiting.fragments.push({ octets: Buffer.from(b.subarray(from, to)), missing });
    this.count++;
    this.octets += length;
    return true;
  }

  /** Takes out the fragments of a datagram, in the order they came. */
  take(key: string): readonly HeldFragment[] {
    const waiting = this.byDatagram.get(key);
    return waiting === undefined ? [] : this.remove(key, waiting);
  }

  /** Drops what has waited for `maxAgeMs`. @returns the number of fragments */
  expire(nowMs: number, maxAgeMs: number): number {
    let dropped = 0;
    for (const [key, waiting] of this.byDatagram) {
      if (nowMs - waiting.sinceMs < maxAgeMs) break; // in the order of their first fragment
      dropped += this.remove(key, waiting).length;
    }
    return dropped;
  }

  private remove(key: string, waiting: Waiting): readonly HeldFragment[] {
    this.byDatagram.delete(key);
    this.count -= waiting.fragments.length;
    for (const f of waiting.fragments) this.octets -= f.octets.length;
    return waiting.fragments;
  }
}
