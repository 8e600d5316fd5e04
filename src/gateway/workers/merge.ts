/** What several workers say, as one gateway would have said it. */
import type { DeviceCounters } from '../../device/device.js';
import type { FlowQuery, FlowReport } from '../flow-report.js';
import { MOST_FLOWS } from '../flow-report.js';
import type { LinkReport, NetworkReport, PlaneReport, PortUse } from '../plane-report.js';
import type { BackendPortUse } from '../port-use.js';

/** Puts entries with the same key together, in the order of their first. */
function together<T>(lists: readonly (readonly T[])[], keyOf: (entry: T) => string, add: (a: T, b: T) => T): T[] {
  const byKey = new Map<string, T>();
  for (const entry of lists.flat()) {
    const key = keyOf(entry);
    const known = byKey.get(key);
    byKey.set(key, known === undefined ? entry : add(known, entry));
  }
  return [...byKey.values()];
}

type Numbers = number | readonly Numbers[] | { readonly [name: string]: Numbers };

function sum(a: Numbers | undefined, b: Numbers): Numbers {
  if (a === undefined) return b;
  if (typeof a === 'number') return a + (b as number);
  if (Array.isArray(a)) return a.map((each: Numbers, i) => sum(each, (b as readonly Numbers[])[i]!));
  const total: Record<string, Numbers> = { ...(a as Readonly<Record<string, Numbers>>) };
  for (const [name, value] of Object.entries(b)) total[name] = sum(total[name], value as Numbers);
  return total;
}

/** Adds numbers at the same place, of what has nothing but numbers. */
const sums = <T extends object>(list: readonly T[]): T =>
  (list as readonly unknown[]).reduce<Numbers>((total, each) => sum(total, each as Numbers), {}) as T;

const networks = (lists: readonly (readonly NetworkReport[])[]): NetworkReport[] =>
  together(
    lists,
    ({ name }) => name,
    (a, b) => ({
      ...a,
      counters: sums<DeviceCounters>([a.counters, b.counters]),
      lost: a.lost + b.lost,
      gone: a.gone || b.gone,
    }),
  );

const links = (lists: readonly (readonly LinkReport[])[]): LinkReport[] =>
  together(
    lists,
    ({ name }) => name,
    (a, b) => ({
      ...a,
      octetsIn: a.octetsIn + b.octetsIn,
      octetsOut: a.octetsOut + b.octetsOut,
      draining: together(
        [a.draining, b.draining],
        ({ address }) => address,
        (one, other) => ({ ...one, flows: one.flows + other.flows }),
      ),
      endpoints: together(
        [a.endpoints, b.endpoints],
        ({ network, address }) => `${network} ${address}`,
        (one, other) => ({
          ...one,
          octetsIn: one.octetsIn + other.octetsIn,
          octetsOut: one.octetsOut + other.octetsOut,
        }),
      ),
    }),
  );

const natPorts = (lists: readonly (readonly PortUse[])[]): PortUse[] =>
  together(
    lists,
    ({ address, backend, protocol }) => `${address} ${backend} ${protocol}`,
    (a, b) => ({ ...a, inUse: a.inUse + b.inUse, held: a.held + b.held }),
  );

/** The percentage is that of the worker whose share is used up first: its connections fail then. */
export const mergePortUse = (lists: readonly (readonly BackendPortUse[])[]): BackendPortUse[] =>
  together(
    lists,
    ({ service, backend, protocol }) => `${service} ${backend} ${protocol}`,
    (a, b) => ({
      ...a,
      inUse: a.inUse + b.inUse,
      held: a.held + b.held,
      percent: Math.max(a.percent, b.percent),
    }),
  );

export function mergeReports(reports: readonly PlaneReport[]): PlaneReport {
  const total = (pick: (report: PlaneReport) => number): number =>
    reports.reduce((sum, report) => sum + pick(report), 0);
  return {
    networks: networks(reports.map((report) => report.networks)),
    links: links(reports.map((report) => report.links)),
    natPorts: natPorts(reports.map((report) => report.natPorts)),
    backendPorts: mergePortUse(reports.map((report) => report.backendPorts)),
    flows: sums(reports.map((report) => report.flows)),
    latency: sums(reports.map((report) => report.latency)),
    headers: sums(reports.map((report) => report.headers)),
    fragmentsWaiting: total((report) => report.fragmentsWaiting),
    fragmentsHeld: total((report) => report.fragmentsHeld),
    evictions: sums(reports.map((report) => report.evictions)),
    icmpErrors: total((report) => report.icmpErrors),
    drops: sums(reports.map((report) => report.drops)),
    noDevice: total((report) => report.noDevice),
    handedOver: sums(reports.map((report) => report.handedOver)),
    taps: [],
  };
}

export function mergeFlows(reports: readonly FlowReport[], query: FlowQuery): FlowReport {
  const octets = (flow: FlowReport['flows'][number]): number => flow.octetsOut + flow.octetsBack;
  const flows = reports.flatMap((report) => report.flows).sort((a, b) => octets(b) - octets(a));
  return {
    live: reports.reduce((sum, report) => sum + report.live, 0),
    matching: reports.reduce((sum, report) => sum + report.matching, 0),
    flows: flows.slice(0, Math.min(query.top, MOST_FLOWS)),
  };
}
