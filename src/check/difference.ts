/** How a packet given back to the consumer may differ from the recorded one, and where it differs though it may not. */
import type { Packet } from './packet.js';
import { TCP, UDP, isFragment } from './packet.js';

/** Rules by which octets change. */
export type ReturnRule =
  /** The time to live is one less. */
  | 'ttl'
  /** The IPv4 checksum covers what changed, or was left to a network card. */
  | 'ip-checksum'
  /** The TCP or UDP checksum was left to a network card, covers what changed, or was repaired. */
  | 'checksum'
  /** The total length was left to a network card. */
  | 'total-length'
  /** The window is smaller: the header would have taken that room. */
  | 'window'
  /** MP_CAPABLE or MP_JOIN was blanked: the connection is plain TCP (RFC 8684). */
  | 'mptcp'
  /** Fragments of another datagram had the identification. */
  | 'identification';

export interface Difference {
  readonly rules: readonly ReturnRule[];
  /** What differs without a rule, in words, or null. */
  readonly fault: string | null;
}

const NOP = 1;
const MPTCP = 30;

/**
 * Compares a recorded packet with the one that came of it, octet by octet.
 * @param anyIdentification fragments may have another one
 */
export function differenceOf(was: Packet, is: Packet, anyIdentification: boolean): Difference {
  const rules = new Set<ReturnRule>();
  const fault = (text: string): Difference => ({ rules: [...rules], fault: text });
  if (was.length !== is.length) return fault(`its length is ${String(is.length)}, not ${String(was.length)}`);
  const octets = was.end - was.at;
  if (octets !== is.end - is.at) return fault('the capture cut it elsewhere');
  let checksumAt = -1;
  const { transport: t } = was;
  const l4 = was.headerLength;
  const isTcp = was.protocol === TCP && was.fragmentOffset === 0;
  const optionsEnd = isTcp && octets > l4 + 12 ? l4 + (was.b[was.at + l4 + 12]! >> 4) * 4 : l4;
  if (isTcp) checksumAt = l4 + 16;
  else if (was.protocol === UDP && was.fragmentOffset === 0) checksumAt = l4 + 6;
  let checksum = false;
  // Equal data, which is nearly all, is told at once.
  const headers = Math.min(octets, Math.max(optionsEnd, l4 + 8));
  const rest = was.b.compare(is.b, is.at + headers, is.end, was.at + headers, was.end) === 0 ? headers : octets;
  for (let i = 0; i < rest; i++) {
    const a = was.b[was.at + i]!;
    const b = is.b[is.at + i]!;
    if (a === b) continue;
    if (i === 8 && b === a - 1) rules.add('ttl');
    else if (i === 10 || i === 11) rules.add('ip-checksum');
    else if ((i === 2 || i === 3) && was.lengthUntold) rules.add('total-length');
    else if ((i === 4 || i === 5) && anyIdentification && isFragment(was)) rules.add('identification');
    else if (i === checksumAt || i === checksumAt + 1) checksum = true;
    else if (isTcp && (i === l4 + 14 || i === l4 + 15) && windowOf(is, l4) < windowOf(was, l4)) rules.add('window');
    else if (isTcp && i >= l4 + 20 && i < optionsEnd && b === NOP && isInMptcp(was, l4, optionsEnd, i))
      rules.add('mptcp');
    else return fault(`octet ${String(i)} (${fieldOf(was, i)}) is ${String(b)}, not ${String(a)}`);
  }
  if (checksum) {
    const now = is.transport?.error ?? -1;
    // Whether a fragment's or a cut packet's checksum is right cannot be seen; that something asked for a change can.
    const asked = rules.has('window') || rules.has('mptcp') || t?.partial === true;
    if (now < 0 ? !asked : now > 0 && now !== t?.error) {
      return fault(`octet ${String(checksumAt)} (${fieldOf(was, checksumAt)}): the checksum changed and is not right`);
    }
    rules.add('checksum');
  }
  return { rules: [...rules], fault: null };
}

const windowOf = (p: Packet, l4: number): number => p.b.readUInt16BE(p.at + l4 + 14);

/** Whether octet `i` of the packet is in an MP_CAPABLE or MP_JOIN option. */
function isInMptcp(p: Packet, l4: number, end: number, i: number): boolean {
  for (let at = l4 + 20; at < end && at <= i;) {
    const kind = p.b[p.at + at]!;
    if (kind === 0) return false;
    const length = kind === NOP ? 1 : Math.max(2, p.b[p.at + at + 1] ?? 2);
    if (i < at + length) return kind === MPTCP && p.b[p.at + at + 2]! >> 4 <= 1;
    at += length;
  }
  return false;
}

const IP_FIELDS: readonly (readonly [number, string])[] = [
  [20, 'IP options'],
  [16, 'destination address'],
  [12, 'source address'],
  [10, 'IP checksum'],
  [9, 'protocol'],
  [8, 'time to live'],
  [6, 'fragment offset'],
  [4, 'identification'],
  [2, 'total length'],
  [1, 'type of service'],
  [0, 'version'],
];
const TCP_FIELDS: readonly (readonly [number, string])[] = [
  [20, 'TCP options'],
  [18, 'urgent pointer'],
  [16, 'TCP checksum'],
  [14, 'window'],
  [13, 'TCP flags'],
  [12, 'data offset'],
  [8, 'acknowledgment number'],
  [4, 'sequence number'],
  [2, 'destination port'],
  [0, 'source port'],
];
const UDP_FIELDS: readonly (readonly [number, string])[] = [
  [8, 'data'],
  [6, 'UDP checksum'],
  [4, 'UDP length'],
  [2, 'destination port'],
  [0, 'source port'],
];

function fieldOf(p: Packet, i: number): string {
  const find = (fields: readonly (readonly [number, string])[], at: number): string =>
    fields.find(([from]) => at >= from)?.[1] ?? 'data';
  if (i < p.headerLength) return find(IP_FIELDS, i);
  const at = i - p.headerLength;
  if (p.fragmentOffset > 0) return 'data';
  if (p.protocol === UDP) return find(UDP_FIELDS, at);
  if (p.protocol !== TCP) return at < 2 ? 'ICMP type' : at < 4 ? 'ICMP checksum' : 'ICMP data';
  return at >= (p.b[p.at + p.headerLength + 12]! >> 4) * 4 ? 'data' : find(TCP_FIELDS, at);
}
