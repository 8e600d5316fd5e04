/** Whether the checksum of a TCP segment, UDP datagram or ICMP message is right, and if not, in which way. */
import { fold, pseudoHeader, sum } from '../wire/checksum.js';
import { PROTOCOL_UDP } from '../wire/ipv4.js';

/**
 * - `ok`: right
 * - `bad`: wrong
 * - `partial`: only the pseudo header is summed up; the packet was captured before its network card put in the rest
 * - `absent`: the sender computed none (UDP only)
 * - `unchecked`: not all the octets that it covers are at hand
 */
export type ChecksumVerdict = 'ok' | 'bad' | 'partial' | 'absent' | 'unchecked';

export interface Checksum {
  /** As it stands in the header. */
  readonly field: number;
  readonly verdict: ChecksumVerdict;
  /** What it should be; equal to `field` unless the verdict is `bad`. */
  readonly expected: number;
}

export const unchecked = (field: number): Checksum => ({ field, verdict: 'unchecked', expected: field });

/** Judges octets `[at, end)` whose checksum field is among them. */
function judge(b: Buffer, at: number, end: number, field: number, pseudo: number): Checksum {
  const total = sum(b, at, end, pseudo);
  if (total === 0xffff) return { field, verdict: 'ok', expected: field };
  return { field, verdict: 'bad', expected: fold(total + (field ^ 0xffff)) ^ 0xffff };
}

/**
 * Judges a whole TCP segment or UDP datagram `[at, end)`.
 * @param source uint32, as is `destination`
 */
export function judgeTransport(
  b: Buffer,
  at: number,
  end: number,
  source: number,
  destination: number,
  protocol: number,
  field: number,
): Checksum {
  const isUdp = protocol === PROTOCOL_UDP;
  if (isUdp && field === 0) return { field, verdict: 'absent', expected: 0 };
  const judged = judge(b, at, end, field, pseudoHeader(source, destination, protocol, end - at));
  if (judged.verdict === 'ok') return judged;
  // With segmentation offload some systems leave the length to the network card as well.
  const isPartial =
    field === pseudoHeader(source, destination, protocol, end - at) ||
    field === pseudoHeader(source, destination, protocol, 0);
  if (isPartial) return { field, verdict: 'partial', expected: field };
  return isUdp && judged.expected === 0 ? { ...judged, expected: 0xffff } : judged;
}

/** Judges a whole ICMP message `[at, end)`. */
export const judgeIcmp = (b: Buffer, at: number, end: number, field: number): Checksum => judge(b, at, end, field, 0);

/** What an IPv4 header's checksum should be, `[at, end)` being the header. */
export const expectedHeaderChecksum = (b: Buffer, at: number, end: number, field: number): number =>
  fold(sum(b, at, end) + (field ^ 0xffff)) ^ 0xffff;
