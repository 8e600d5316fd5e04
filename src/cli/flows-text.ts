/** Live flows for people. */
import type { FlowReport, FlowStatus } from '../gateway/flow-report.js';
import type { Before } from './ask.js';
import { columns, octets, octetsPerSecond, span } from './columns.js';

/** @param before what it was some time ago: rates are shown too then */
export function flowsText(report: FlowReport, before?: Before<FlowReport>): string {
  const head = `${report.live} live flows, ${report.matching} asked for, ${report.flows.length} shown\n`;
  if (report.flows.length === 0) return head;
  const known = new Map(before?.answer.flows.map((flow) => [keyOf(flow), flow]));
  const ratesOf = (flow: FlowStatus): string[] => {
    if (before === undefined) return [];
    const then = known.get(keyOf(flow));
    return [
      octetsPerSecond(flow.octetsOut, then?.octetsOut, before.seconds),
      octetsPerSecond(flow.octetsBack, then?.octetsBack, before.seconds),
    ];
  };
  const table = columns(
    [
      'protocol',
      'network',
      'consumer',
      'endpoint',
      'LINKID',
      'NAT',
      'backend',
      'state',
      'header',
      'out',
      'back',
      ...(before === undefined ? [] : ['rate out', 'rate back']),
      'idle',
    ],
    report.flows.map((f) => [
      f.protocol,
      f.network,
      f.consumer,
      f.endpoint,
      String(f.linkId),
      f.nat,
      f.backend,
      f.state,
      f.header,
      octets(f.octetsOut),
      octets(f.octetsBack),
      ...ratesOf(f),
      span(f.idleMs),
    ]),
  );
  return `${head}\n${table}\n`;
}

/** A NAT port serves one flow to a backend at a time. */
const keyOf = ({ protocol, consumer, nat, backend }: FlowStatus): string =>
  [protocol, consumer, nat, backend].join(' ');
