/** The lab's results and its use, for people. */
import { ENDPOINT, LINK_ID, type LabNames } from '../lab/topology.js';
import type { LabReport } from '../lab/run.js';
import { columns } from './columns.js';

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export function labReportText({ checks, passed, failed, startMs, checksMs, totalMs }: LabReport): string {
  const rows = checks.map((each) => [
    each.check,
    each.consumer,
    each.passed ? 'ok' : 'FAILED',
    seconds(each.ms),
    each.seen.split('\n')[0]!,
  ]);
  const parts = [columns(['check', 'consumer', 'verdict', 'time', 'seen'], rows)];
  for (const each of checks) if (!each.passed) parts.push(`FAILED ${each.check}, ${each.consumer}: ${each.seen}`);
  parts.push(
    `${passed} passed, ${failed} failed in ${seconds(totalMs)}: ` +
      `${seconds(startMs)} to start, ${seconds(checksMs)} of checks`,
  );
  return `${parts.join('\n\n')}\n`;
}

/** @param downCommand that removes it */
export function labUsage({ gateway, namespace }: LabNames, downCommand: string): string {
  const inside = (who: 'red' | 'blue'): string => `ip netns exec ${namespace[who]}`;
  return `the lab is up; both consumers are 10.0.0.5, and all servers are at ${ENDPOINT.main}:

  ${inside('red')} curl --http0.9 http://${ENDPOINT.main}:7000/     # LINKID ${LINK_ID.red.main}
  ${inside('blue')} curl --http0.9 http://${ENDPOINT.main}:7000/    # LINKID ${LINK_ID.blue.main}
  ${inside('red')} curl http://${ENDPOINT.main}/                    # nginx; HAProxy is at port 8081
  ${inside('red')} mariadb --host=${ENDPOINT.main} --user=lab --password=lab
  ${inside('red')} swaks --server ${ENDPOINT.main} --from lab@lab.test --to nobody@lab.test
  ${inside('red')} dig @${ENDPOINT.main} long.lab.test TXT
  ${inside('red')} iperf3 --client ${ENDPOINT.plain}
  culvert status ${gateway}
  culvert flows ${gateway} --watch
  ${downCommand}
`;
}
