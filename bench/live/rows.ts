/** What is asked of a contender, and what is read off it. */
import { type Contender, HTTP_FRONT, type LiveTopology, PEER } from './topology.js';

export interface Metric {
  readonly name: string;
  readonly unit: string;
  /** Less of it is better. */
  readonly less?: boolean;
  /** Culvert's figure over a peer's that is aimed at. */
  readonly targets?: { readonly nftables?: number; readonly haproxy?: number };
}

export interface Row {
  readonly name: string;
  /** What a run gives, in this order. */
  readonly metrics: readonly Metric[];
  /** The processor time of the contender's processes, for this unit of `work`. */
  readonly cpu?: Metric;
  readonly udp?: boolean;
  run(topology: LiveTopology, contender: Contender, seconds: number): Promise<Run>;
}

export interface Run {
  readonly values: readonly number[];
  /** How many of the units that `cpu` counts in. */
  readonly work: number;
}

const GIB = 2 ** 30;

async function peer(t: LiveTopology, c: Contender, what: string, n: number, seconds: number): Promise<number[]> {
  const args = [what, c.address, String(PEER), String(n), String(seconds)];
  return (await t.spaces.run(t.client, t.peer, ...args)).split(' ').map(Number);
}

function bulk(name: string, what: 'send' | 'receive', streams: number, targets: NonNullable<Metric['targets']>): Row {
  return {
    name,
    metrics: [{ name, unit: 'Gbit/s', targets }],
    cpu: { name: `${name}: CPU`, unit: 's a GiB', less: true },
    run: async (topology, contender, seconds) => {
      const [rate] = await peer(topology, contender, what, streams, seconds);
      return { values: [(rate! * 8) / 1e9], work: (rate! * seconds) / GIB };
    },
  };
}

/** wrk counts what it could not do; a figure with failures in it is none. */
async function wrk(t: LiveTopology, c: Contender, seconds: number, ...header: string[]): Promise<Run> {
  const url = `http://${c.address}:${String(HTTP_FRONT)}/`;
  const text = await t.spaces.run(t.client, 'wrk', '-t1', '-c32', `-d${String(seconds)}s`, ...header, url);
  const [, count, rate] = /(\d+) requests in [\s\S]*Requests\/sec:\s+([\d.]+)/.exec(text) ?? [];
  const failed = /Socket errors.*|Non-2xx.*/.exec(text);
  if (count === undefined || failed !== null) throw new Error(`wrk against ${c.name}: ${failed?.[0] ?? text}`);
  return { values: [Number(rate)], work: Number(count) };
}

export const ROWS: readonly Row[] = [
  bulk('send1', 'send', 1, { nftables: 0.95, haproxy: 1.7 }),
  bulk('receive1', 'receive', 1, { nftables: 0.95, haproxy: 1.7 }),
  bulk('send4', 'send', 4, { nftables: 0.8 }),
  bulk('receive4', 'receive', 4, { nftables: 0.8 }),
  {
    name: 'udp',
    metrics: [{ name: 'udp', unit: 'datagrams/s' }],
    cpu: { name: 'udp: CPU', unit: 'µs a datagram', less: true },
    udp: true,
    run: async (topology, contender, seconds) => {
      const [received] = await peer(topology, contender, 'udp', 64, seconds);
      return { values: [received!], work: (received! * seconds) / 1e6 };
    },
  },
  {
    name: 'messages',
    metrics: [{ name: 'messages', unit: '/s' }],
    cpu: { name: 'messages: CPU', unit: 'µs each', less: true },
    run: async (topology, contender, seconds) => {
      const [rate] = await peer(topology, contender, 'messages', 200, seconds);
      return { values: [rate!], work: (rate! * seconds) / 1e6 };
    },
  },
  {
    name: 'connections',
    metrics: [{ name: 'connections', unit: '/s', targets: { nftables: 1.2, haproxy: 1.5 } }],
    cpu: { name: 'connections: CPU', unit: 'µs each', less: true },
    run: async (topology, contender, seconds) => {
      const { values, work } = await wrk(topology, contender, seconds, '-H', 'Connection: close');
      return { values, work: work / 1e6 };
    },
  },
  {
    name: 'requests',
    metrics: [{ name: 'requests', unit: '/s', targets: { nftables: 0.85, haproxy: 1.4 } }],
    cpu: { name: 'requests: CPU', unit: 'µs each', less: true },
    run: async (topology, contender, seconds) => {
      const { values, work } = await wrk(topology, contender, seconds);
      return { values, work: work / 1e6 };
    },
  },
  {
    name: 'pingpong',
    metrics: [
      { name: 'pingpong p50', unit: 'µs', less: true, targets: { nftables: 1.1 } },
      { name: 'pingpong p99', unit: 'µs', less: true, targets: { nftables: 1.2 } },
      { name: 'pingpong p99.9', unit: 'µs', less: true },
    ],
    cpu: { name: 'pingpong: CPU', unit: 'µs a round trip', less: true },
    run: async (topology, contender, seconds) => {
      const [count, ...times] = await peer(topology, contender, 'pingpong', 64, seconds);
      return { values: times.map((ns) => ns / 1000), work: count! / 1e6 };
    },
  },
  {
    name: 'idle',
    metrics: [],
    cpu: { name: 'idle: CPU', unit: '% of a core', less: true },
    run: async (_topology, _contender, seconds) => {
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      return { values: [], work: seconds / 100 };
    },
  },
];
