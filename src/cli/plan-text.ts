/** The report of `culvert plan` for people. */
import { columns } from './columns.js';
import type { PlanReport } from './plan-report.js';

const number = (n: number): string => Math.floor(n).toLocaleString('en-US');
const time = (seconds: number): string => (seconds < 10 ? `${seconds.toFixed(2)} s` : `${number(seconds)} s`);
const percent = (n: number): string => (Number.isFinite(n) ? `${n.toFixed(n < 10 ? 1 : 0)} %` : '-');

export function planText(report: PlanReport): string {
  const { services, demand, maxFlows } = report;
  const parts = [
    columns(
      ['service', 'protocol', 'NAT addresses', 'backends', 'ports', 'connections'],
      services.map((s) => [s.service, s.protocol, s.natAddresses, s.backends, s.ports, s.connections]),
    ),
    `${number(report.connections)} connections in all; the flow table holds ${number(maxFlows)} (translation.maxFlows)`,
  ];
  if (demand !== null) {
    parts.push(
      `with ${demand.rate.toLocaleString('en-US')} new connections a second to each service, ` +
        `each open for ${demand.lifeSeconds.toLocaleString('en-US')} s:`,
      columns(
        ['service', 'protocol', 'port rests', 'ports taken', 'use', 'fails after', 'lasting rate'],
        services.map(({ service, protocol, restSeconds, forecast }) => [
          service,
          protocol,
          `${restSeconds.toLocaleString('en-US')} s`,
          forecast!.portsNeeded,
          percent(forecast!.percent),
          forecast!.exhaustedAfterSeconds === null ? 'never' : time(forecast!.exhaustedAfterSeconds),
          `${number(forecast!.sustainableRate)}/s`,
        ]),
      ),
    );
    const advice = [...services.flatMap((each) => adviceFor(each, report.usePercent)), ...flowAdvice(report)];
    parts.push(advice.length === 0 ? `nothing needs to be added` : advice.join('\n'));
  }
  return `${parts.join('\n\n')}\n`;
}

type Planned = PlanReport['services'][number];

function adviceFor(s: Planned, usePercent: number): string[] {
  const remedy = s.forecast?.remedy ?? null;
  if (remedy === null) return [];
  const more = (total: number, present: number, one: string, several: string): string =>
    `${number(total - present)} more ${total - present === 1 ? one : several} (${number(total)} in all)`;
  const ways: string[] = [];
  if (remedy.natAddresses !== null)
    ways.push(more(remedy.natAddresses, s.natAddresses, 'NAT address', 'NAT addresses'));
  if (remedy.backends !== null) ways.push(more(remedy.backends, s.backends, 'backend', 'backends'));
  if (remedy.backendsWithMostNatAddresses !== null) {
    const backends = remedy.backendsWithMostNatAddresses;
    ways.push(`8 NAT addresses and ${more(backends, s.backends, 'backend', 'backends')}`);
  }
  if (remedy.services !== null) ways.push(`${number(remedy.services)} such services with 8 NAT addresses each`);
  return [`${s.service} ${s.protocol}, to stay within ${number(usePercent)} %: ${ways.join(', or ')}`];
}

function flowAdvice({ flowsNeeded, maxFlows }: PlanReport): string[] {
  if (flowsNeeded === null || flowsNeeded <= maxFlows) return [];
  return [`the flow table: translation.maxFlows of ${number(flowsNeeded)} and more; it has ${number(maxFlows)}`];
}
