/**
 * What is kept of a TCP connection from segment to segment: its state, how far each side has sent and acknowledged, the
 * windows offered. All of it in the client's numbering.
 */
import * as F from '../flow/flow-table.js';
import * as tcp from '../wire/tcp.js';
import type { Core } from './core.js';

/**
 * A number that is so far ahead of the highest yet is believed only of a segment whose checksum is right: one wrong bit would
 * set the mark where no real segment ever gets to, and the connection's RST would not be known for one. No segment, however
 * large, moves a mark that far, but behind a gap.
 */
export const LEAP = 0x20000;

export function trackClient(
  c: Core,
  f: number,
  seq: number,
  dataLength: number,
  flags: number,
  ack: number,
  window: number,
): void {
  const { r } = c;
  const at = f * F.STRIDE;
  const status = r[at + F.STATUS]!;
  const state = status & F.STATE_MASK;
  r[at + F.SEEN] = c.now | 0;
  if ((flags & tcp.RST) !== 0) {
    // Exactly what the backend expects, or what the client sent last; anything else is at most challenged (RFC 5961).
    const exact = seq === r[at + F.SERVER_ACK] || seq === r[at + F.CLIENT_NEXT];
    if (exact || state === F.MIDSTREAM) reset(c, f, state);
    return;
  }
  r[at + F.WINDOWS] = (window << 16) | (r[at + F.WINDOWS]! & 0xffff);
  const next = (seq + dataLength + (flags & tcp.FIN)) | 0;
  // A recording may lack the SYN-ACK; live, an ACK that answers none completes no handshake.
  const completes = state === F.SYN_RECEIVED || (c.recorded && state === F.SYN_SENT);
  if (((next - r[at + F.CLIENT_NEXT]!) | 0) > 0) r[at + F.CLIENT_NEXT] = next;
  if ((flags & tcp.ACK) !== 0 && (state < F.ESTABLISHED || ((ack - r[at + F.CLIENT_ACK]!) | 0) > 0)) {
    r[at + F.CLIENT_ACK] = ack;
  }
  if (completes) c.setState(f, F.ESTABLISHED);
  if ((flags & tcp.FIN) !== 0) {
    r[at + F.STATUS] = r[at + F.STATUS]! | F.CLIENT_FIN;
    if ((status & F.SERVER_FIN) !== 0 && state !== F.CLOSING) c.setState(f, F.CLOSING);
  }
}

/**
 * A valid RST ends the connection, and with it the header's retransmission by timer; what is remembered of it is for the
 * headers before further RSTs, where the first was lost.
 */
function reset(c: Core, f: number, state: number): void {
  const p = c.r[f * F.STRIDE + F.PENDING]!;
  if (p >= 0) c.pending.stop(p);
  if (state !== F.CLOSING) c.setState(f, F.CLOSING);
}

export function trackServer(
  c: Core,
  f: number,
  seq: number,
  dataLength: number,
  flags: number,
  ack: number,
  window: number,
): void {
  const { r } = c;
  const at = f * F.STRIDE;
  const status = r[at + F.STATUS]!;
  const state = status & F.STATE_MASK;
  r[at + F.SEEN] = c.now | 0;
  if ((flags & tcp.RST) !== 0) {
    const ofSyn = ack === r[at + F.START] || ack === r[at + F.CLIENT_NEXT]; // without or with the data that it carried
    const refused = state === F.SYN_SENT && (flags & tcp.ACK) !== 0 && ofSyn;
    const exact = state !== F.SYN_SENT && (seq === r[at + F.CLIENT_ACK] || seq === r[at + F.SERVER_NEXT]);
    if (refused || exact || state === F.MIDSTREAM) reset(c, f, state);
    return;
  }
  if (state === F.SYN_SENT && !c.recorded) return; // numbers of another connection
  r[at + F.WINDOWS] = (r[at + F.WINDOWS]! & ~0xffff) | window;
  const next = (seq + dataLength + (flags & tcp.FIN)) | 0;
  if (((next - r[at + F.SERVER_NEXT]!) | 0) > 0) r[at + F.SERVER_NEXT] = next;
  if ((flags & tcp.ACK) !== 0 && ((ack - r[at + F.SERVER_ACK]!) | 0) > 0) r[at + F.SERVER_ACK] = ack;
  if ((flags & tcp.FIN) !== 0) {
    r[at + F.STATUS] = r[at + F.STATUS]! | F.SERVER_FIN;
    if ((status & F.CLIENT_FIN) !== 0 && state !== F.CLOSING) c.setState(f, F.CLOSING);
  }
}
