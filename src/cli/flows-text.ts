/** Live flows for people. */
import type { FlowReport } from '../gateway/flow-report.js';
import { columns, octets, span } from './columns.js';

export function flowsText(report: FlowReport): string {
  const head = `${report.live} live flows, ${report.matching} asked for, ${report.flows.length} shown\n`;
  if (report.flows.length === 0) return head;
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
      span(f.idleMs),
    ]),
  );
  return `${head}\n${table}\n`;
}
