/** Wrong checksums, counted by how wrong they are. */
import type { Packet, Transport } from './packet.js';
import { ICMP, TCP, onesSum } from './packet.js';

export type Sum = 'tcp' | 'udp' | 'icmp' | 'quoted';

export const sumOf = (t: Transport): Sum => (t.protocol === TCP ? 'tcp' : t.protocol === ICMP ? 'icmp' : 'udp');

/**
 * How often each error value occurred. Translation changes a checksum by exactly what it changes of the packet, so a
 * packet that came wrong leaves wrong by the same value: whoever writes more wrong ones than came has made some.
 */
export class ErrorCounts {
  private readonly counts = new Map<string, number>();

  /** @param error 1 to 0xfffe */
  add(sum: Sum, error: number): void {
    const key = `${sum} ${String(error)}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }

  addTransport(t: Transport): void {
    this.add(sumOf(t), t.error);
  }

  /** Takes one occurrence away. @returns false when there is none left */
  take(sum: Sum, error: number): boolean {
    const key = `${sum} ${String(error)}`;
    const left = this.counts.get(key) ?? 0;
    if (left === 0) return false;
    this.counts.set(key, left - 1);
    return true;
  }

  copy(): ErrorCounts {
    const other = new ErrorCounts();
    for (const [key, count] of this.counts) other.counts.set(key, count);
    return other;
  }
}

/** Offset of the IPv4 packet that an ICMP error quotes, or -1 where its header is not whole (RFC 792). */
export function quoteAt(p: Packet, t: Transport): number {
  const type = p.b[t.at]!;
  if (type !== 3 && type !== 4 && type !== 5 && type !== 11 && type !== 12) return -1;
  const quote = t.at + 8;
  if (p.end - quote < 20 || p.b[quote]! >> 4 !== 4) return -1;
  const header = (p.b[quote]! & 15) * 4;
  return header >= 20 && p.end - quote >= header ? quote : -1;
}

/** What the quoted IPv4 header's checksum misses of 0, modulo 0xffff; -1 when nothing is quoted. */
export function quoteError(p: Packet, t: Transport): number {
  const quote = quoteAt(p, t);
  return quote < 0 ? -1 : onesSum(p.b, quote, quote + (p.b[quote]! & 15) * 4) % 0xffff;
}
