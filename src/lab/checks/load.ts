/** Both consumers at once, with all that a second allows. */
import assert from 'node:assert/strict';
import { ENDPOINT, IPERF, LINK_ID, PORT } from '../topology.js';
import { type Check, eventually, onBoth, type Stage } from './check.js';
import { client } from './clients.js';

const SECONDS = 1;
const CONNECTIONS = 16;
/** Of one consumer's datagrams: a rate that a small machine carries. */
const UDP_RATE = '20M';

interface IperfReport {
  readonly error?: string;
  readonly end: {
    readonly sum_received?: { readonly bits_per_second: number };
    readonly sum?: { readonly packets: number; readonly lost_packets: number };
  };
}

async function iperf(stage: Stage, who: 'red' | 'blue', ...more: readonly string[]): Promise<IperfReport['end']> {
  const to = ['--client', ENDPOINT.plain, '--port', String(IPERF[who][0].frontend)];
  const command = ['iperf3', ...to, '--time', String(SECONDS), '--connect-timeout', '20000', '--json', ...more];
  const { error, end } = JSON.parse(await client(stage, who, command)) as IperfReport;
  assert.equal(error, undefined, error);
  return end;
}

/** Datagrams that servers' sockets had no room for, so far: a server that had no turn for a while does not read. */
async function unread({ lab }: Stage): Promise<number> {
  const { output } = await lab.processes.run(lab.names.namespace.provider, ['cat', '/proc/net/snmp']);
  const [names = [], values = []] = output
    .split('\n')
    .flatMap((line) => (line.startsWith('Udp:') ? [line.split(' ')] : []));
  return Number(values[names.indexOf('RcvbufErrors')]);
}

const gigabits = (bits: number): string => `${(bits / 1e9).toFixed(2)} Gbit/s`;

export const loadChecks: readonly Check[] = [
  ...[false, true].map((reverse) =>
    onBoth(`iperf3 TCP, ${reverse ? 'to the consumer' : 'to the server'}`, async (stage, who) => {
      const { sum_received: received } = await iperf(stage, who, ...(reverse ? ['--reverse'] : []));
      assert.ok(received !== undefined && received.bits_per_second > 0, 'nothing came');
      return gigabits(received.bits_per_second);
    }),
  ),

  onBoth('iperf3 UDP', async (stage, who) => {
    const before = await unread(stage);
    const { sum } = await iperf(stage, who, '--udp', '--bitrate', UDP_RATE, '--length', '1400');
    assert.ok(sum !== undefined && sum.packets > 100, 'hardly a datagram was sent');
    const came = (await unread(stage)) - before;
    const lost = Math.max(0, sum.lost_packets - came);
    assert.ok(lost * 20 < sum.packets, `${lost} of ${sum.packets} datagrams were lost, and ${came} not read in time`);
    return `${sum.packets} datagrams, ${lost} lost${came === 0 ? '' : `, ${came} not read in time`}`;
  }),

  onBoth('nginx, wrk', async (stage, who) => {
    const destination = `${ENDPOINT.main}:${PORT.http.frontend}`;
    const connections = (): string[] => [...(stage.consumers[who].connections.get(destination) ?? [])];
    const before = new Set(connections());
    const load = [
      '--threads',
      '1',
      '--connections',
      String(CONNECTIONS),
      '--duration',
      `${SECONDS}s`,
      '--timeout',
      '20s',
    ];
    const answer = await client(stage, who, ['wrk', ...load, `http://${ENDPOINT.main}/`]);
    assert.doesNotMatch(answer, /Socket errors|Non-2xx/, answer);
    const requests = Number(/(\d+) requests in/.exec(answer)?.[1] ?? 0);
    assert.ok(requests > 0, answer);
    const withHeader = (source: string): boolean =>
      stage.provider.headers.get(`${source} ${destination}`)?.has(LINK_ID[who].main) === true;
    const own = (): string[] => connections().filter((each) => !before.has(each));
    assert.ok(
      await eventually(() => own().length >= CONNECTIONS && own().every(withHeader)),
      `${own().filter(withHeader).length} of ${own().length} connections had the header with LINKID ${LINK_ID[who].main}`,
    );
    return `${requests} requests, ${own().length} connections, each with LINKID ${LINK_ID[who].main}`;
  }),
];
