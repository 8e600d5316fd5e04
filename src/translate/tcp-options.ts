/** TCP options that a translator refuses, keeps in mind, or blanks; the cases are those of header insertion. */
import * as F from '../flow/flow-table.js';
import { drop, FORWARD } from '../packet/verdict.js';
import { get16 } from '../wire/octets.js';
import * as tcp from '../wire/tcp.js';
import type { Core } from './core.js';
import { blank } from './insertion.js';

const TCP_MD5 = drop('tcp-md5');
const TCP_AO = drop('tcp-ao');

/** Shift of a window scale option is at most 14 (RFC 7323 section 2.3). */
const MAX_SCALE = 14;

/** Options that no translation can keep valid (case 16). */
export function refusedOptions(b: Buffer, l4: number): number {
  const end = l4 + tcp.headerLength(b, l4);
  for (let at = l4 + tcp.MIN_HEADER; at < end; at = tcp.nextOption(b, at, end)) {
    if (!tcp.wholeOption(b, at, end)) continue;
    if (b[at] === tcp.OPTION_MD5) return TCP_MD5;
    if (b[at] === tcp.OPTION_AO) return TCP_AO;
  }
  return FORWARD;
}

/** Keeps whether the client's SYN offers window scaling. */
export function readScaleOffer(c: Core, l4: number, at: number): void {
  const offered = tcp.findOption(c.slab, l4, tcp.OPTION_WINDOW_SCALE) >= 0;
  c.r[at + F.SCALES] = (c.r[at + F.SCALES]! & ~F.SCALE_OFFERED) | (offered ? F.SCALE_OFFERED : 0);
}

/** Keeps the window scale of a SYN-ACK. Scaling holds only when both sides offered it (RFC 7323 section 2.2). */
export function readScale(c: Core, l4: number, at: number): void {
  const { slab: b, r } = c;
  const option = tcp.findOption(b, l4, tcp.OPTION_WINDOW_SCALE);
  const agreed = (r[at + F.SCALES]! & F.SCALE_OFFERED) !== 0 && option >= 0 && b[option + 1] === 3;
  r[at + F.SCALES] = (r[at + F.SCALES]! & ~0xff) | (agreed ? Math.min(b[option + 2]!, MAX_SCALE) : 0);
}

/** Blanks MPTCP's MP_CAPABLE and MP_JOIN (subtypes 0 and 1), so that both ends fall back to TCP (case 15). */
export function blankMptcp(c: Core, l4: number): void {
  const { slab: b } = c;
  const end = l4 + tcp.headerLength(b, l4);
  for (let at = l4 + tcp.MIN_HEADER; at < end;) {
    const next = tcp.nextOption(b, at, end);
    if (b[at] === tcp.OPTION_MPTCP && tcp.wholeOption(b, at, end) && next - at > 2 && b[at + 2]! >>> 4 <= 1) {
      c.deltaRest += blank(b, l4, at, next);
      c.counters.mptcpBlanked++;
    }
    at = next;
  }
}

/** Blanks Fast Open's option, in both its forms (case 14). */
export function blankFastOpen(c: Core, l4: number): void {
  const { slab: b } = c;
  const end = l4 + tcp.headerLength(b, l4);
  for (let at = l4 + tcp.MIN_HEADER; at < end;) {
    const next = tcp.nextOption(b, at, end);
    const experiment = b[at] === tcp.OPTION_EXPERIMENT_2 && next - at >= 4 && get16(b, at + 2) === tcp.FAST_OPEN_MAGIC;
    if ((b[at] === tcp.OPTION_FAST_OPEN || experiment) && tcp.wholeOption(b, at, end)) {
      c.deltaRest += blank(b, l4, at, next);
    }
    at = next;
  }
}
