/** The last step of a translated packet of a flow: the link's bandwidth, the octets' counters, the outbox. */
import * as F from '../flow/flow-table.js';
import { TO_PROVIDER } from '../packet/outbox.js';
import { drop, FORWARD } from '../packet/verdict.js';
import type { Core } from './core.js';

const BANDWIDTH_EXCEEDED = drop('bandwidth-exceeded');
const OUT_OF_SCRATCH = drop('out-of-scratch');

/**
 * Puts a packet into the outbox.
 * @param at the flow's record
 * @returns FORWARD or a drop verdict
 */
export function send(c: Core, ip: number, end: number, at: number, side: number): number {
  const { r } = c;
  const octets = end - ip + c.missing;
  if ((r[at + F.STATUS]! & F.POLICED) !== 0 && !c.withinBandwidth(at, side, octets)) return BANDWIDTH_EXCEEDED;
  const counters = c.flows.counters;
  const i = (at + (side === TO_PROVIDER ? F.OCTETS_OUT : F.OCTETS_BACK)) >> 1;
  counters[i] = counters[i]! + octets;
  const totals = c.tables.octets;
  const e = 2 * r[at + F.ENDPOINT]! + side;
  totals[e] = totals[e]! + octets;
  return c.outbox.add(ip, end - ip, c.missing, side, r[at + F.CONSUMER_SCOPE]! >>> 8) ? FORWARD : OUT_OF_SCRATCH;
}
