/** The link's bandwidth, and the last step of a translated packet of a flow: the octets' counters, the outbox. */
import * as F from '../flow/flow-table.js';
import { TO_PROVIDER } from '../packet/outbox.js';
import { drop, FORWARD } from '../packet/verdict.js';
import type { Core } from './core.js';

export const BANDWIDTH_EXCEEDED = drop('bandwidth-exceeded');
const OUT_OF_SCRATCH = drop('out-of-scratch');

/**
 * Counts a packet that passes, for its flow and its endpoint.
 * @param at the flow's record
 * @param octets of the IPv4 packet, as whoever sent it sent it
 */
export function count(c: Core, at: number, side: number, octets: number): void {
  const { counters } = c.flows;
  const i = (at + (side === TO_PROVIDER ? F.OCTETS_OUT : F.OCTETS_BACK)) >> 1;
  counters[i] = counters[i]! + octets;
  const totals = c.tables.octets;
  const e = 2 * c.r[at + F.ENDPOINT]! + side;
  totals[e] = totals[e]! + octets;
}

/** The packet at work, of the flow at `at`, is beyond its link's bandwidth. To be asked before it changes anything. */
export const exceedsBandwidth = (c: Core, at: number, side: number): boolean =>
  (c.r[at + F.STATUS]! & F.POLICED) !== 0 && !c.admits(c.policerOf(at), side);

/**
 * Puts a packet into the outbox.
 * @param octets that it came with; it may have been made longer or shorter
 * @returns FORWARD or a drop verdict
 */
export function send(
  c: Core,
  ip: number,
  end: number,
  at: number,
  side: number,
  octets = end - ip + c.missing,
): number {
  const { r } = c;
  count(c, at, side, octets);
  return c.outbox.add(ip, end - ip, c.missing, side, r[at + F.CONSUMER_SCOPE]! >>> 8) ? FORWARD : OUT_OF_SCRATCH;
}
