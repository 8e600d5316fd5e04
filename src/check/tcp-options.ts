/** What the options of a SYN say of whether its connection can be translated. */
import type { Packet, Transport } from './packet.js';
import { u16 } from './packet.js';

/** Octets of payload that every host takes unless it says otherwise (RFC 9293 section 3.7.1). */
const ANY_SEGMENT = 536;
const MSS = 2;

/** A SYN's sender takes segments too small to be sure that a header fits one. */
export const isNarrow = (p: Packet, t: Transport): boolean => segmentSize(p, t) < ANY_SEGMENT;

/** Octets of payload that the sender of a SYN says it takes. */
function segmentSize(p: Packet, t: Transport): number {
  for (let at = t.at + 20; at + 4 <= t.dataAt && p.b[at] !== 0; at += p.b[at] === 1 ? 1 : Math.max(2, p.b[at + 1]!)) {
    if (p.b[at] === MSS) return u16(p.b, at + 2);
  }
  return ANY_SEGMENT;
}

/** TCP-MD5 (RFC 2385) and TCP-AO (RFC 5925) sign the addresses: such a connection is refused. */
export function isUntranslatable(p: Packet, t: Transport): boolean {
  for (let at = t.at + 20; at < t.dataAt && p.b[at] !== 0; at += p.b[at] === 1 ? 1 : Math.max(2, p.b[at + 1]!)) {
    if (p.b[at] === 19 || p.b[at] === 29) return true;
  }
  return false;
}
