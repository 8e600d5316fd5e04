/** What a gateway tells of itself: plain data for `culvert status`, for `--json` and for the metrics. */
import type { LabConfig } from '../config/index.js';
import type { Reason } from '../packet/verdict.js';
import { probeName } from '../service/load-balancer.js';
import { formatAddress } from '../wire/address.js';
import type { NetworkPlan } from './plan.js';
import type { LinkReport, NetworkReport, PlaneReport, PortUse } from './plane-report.js';
import type { BackendPortUse, PortWatch } from './port-use.js';
import type { BackendHealth, Prober } from './probes/prober.js';
import type { TapStatus } from './tap/tap.js';

/** Lab files read since the start. */
export interface Reloads {
  /** How many were taken. */
  count: number;
  /** Mistakes of the last one, if it was refused. */
  mistakes: readonly string[];
}

export interface NetworkStatus extends NetworkReport {
  /** Null: the gateway's own. */
  readonly namespace: string | null;
}

export interface BackendPorts extends BackendPortUse {
  /** The use has come to the warning's threshold, and has not gone well below it since. */
  readonly warned: boolean;
}

export interface ServiceStatus extends LinkReport {
  /** Of the PROXY header; null: none is inserted. */
  readonly dialect: string | null;
}

/** A load-balancing rule. */
export interface RuleStatus {
  readonly loadBalancer: string;
  readonly rule: string;
  readonly frontend: string;
  readonly frontendPort: number;
  readonly protocol: 'Tcp' | 'Udp' | 'All';
  readonly backendPort: number;
  /** Null: its backends are not probed, and count as healthy. */
  readonly probe: string | null;
  readonly backends: readonly { readonly address: string; readonly healthy: boolean }[];
}

export interface GatewayStatus {
  readonly lab: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  /** Of the process since its start. */
  readonly cpuSeconds: number;
  readonly residentOctets: number;
  readonly metricsPort: number | null;
  /** Threads that move packets; one is the gateway's own. */
  readonly workers: number;
  /** Between workers: packets that went from one to another, and those that were lost on that way. */
  readonly handedOver: PlaneReport['handedOver'];
  readonly networks: readonly NetworkStatus[];
  readonly services: readonly ServiceStatus[];
  /** By NAT address, backend and protocol, from the first flow on. */
  readonly natPorts: readonly PortUse[];
  /** By service, backend and protocol, all NAT addresses together: when these are used up, connections fail. */
  readonly backendPorts: readonly BackendPorts[];
  /** Of the warning; 0: none. */
  readonly natPortsWarningPercent: number;
  readonly rules: readonly RuleStatus[];
  /** What is probed: each probe's backends. */
  readonly probes: readonly BackendHealth[];
  readonly flows: PlaneReport['flows'];
  readonly latency: PlaneReport['latency'];
  readonly headers: PlaneReport['headers'];
  readonly fragmentsWaiting: number;
  readonly fragmentsHeld: number;
  readonly evictions: PlaneReport['evictions'];
  readonly icmpErrors: number;
  readonly drops: Partial<Record<Reason, number>>;
  /** Packets that an interface did not take, or that had none to go to. */
  readonly lost: number;
  /** Of those, what had none to go to. */
  readonly noDevice: number;
  readonly reloads: Reloads;
  /** Those that run. */
  readonly taps: readonly TapStatus[];
}

export interface StatusSource {
  readonly name: string;
  readonly startedAt: Date;
  readonly lab: LabConfig;
  readonly plane: PlaneReport;
  readonly prober: Prober;
  readonly plans: readonly NetworkPlan[];
  readonly reloads: Reloads;
  readonly portWatch: PortWatch;
  readonly metricsPort: number | null;
  readonly workers: number;
}

const dotted = (address: number): string => formatAddress(address >>> 0);

export function reportStatus(source: StatusSource): GatewayStatus {
  const { plane, reloads } = source;
  const { flows, latency, headers, fragmentsWaiting, fragmentsHeld, evictions } = plane;
  const { icmpErrors, drops, natPorts, taps } = plane;
  const cpu = process.cpuUsage();
  return {
    lab: source.name,
    pid: process.pid,
    startedAt: source.startedAt.toISOString(),
    uptimeSeconds: (Date.now() - source.startedAt.getTime()) / 1000,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    residentOctets: process.memoryUsage.rss(),
    metricsPort: source.metricsPort,
    workers: source.workers,
    handedOver: plane.handedOver,
    networks: plane.networks.map((network) => networkStatus(network, source.plans)),
    services: [...source.lab.model.privateLinkServices.values()].flatMap(({ name, proxy }) => {
      const link = plane.links.find((each) => each.name === name);
      return link === undefined ? [] : { ...link, dialect: proxy?.dialect ?? null };
    }),
    natPorts,
    backendPorts: plane.backendPorts.map((use) => ({
      ...use,
      warned: source.portWatch.isWarned(use),
    })),
    natPortsWarningPercent: source.lab.gateway.natPortsWarningPercent,
    rules: ruleStatus(source),
    probes: source.prober.status(),
    flows,
    latency,
    headers,
    fragmentsWaiting,
    fragmentsHeld,
    evictions,
    icmpErrors,
    drops,
    lost: plane.networks.reduce((sum, { lost }) => sum + lost, plane.noDevice + plane.handedOver.lost),
    noDevice: plane.noDevice,
    reloads: { ...reloads },
    taps,
  };
}

function networkStatus(report: NetworkReport, plans: readonly NetworkPlan[]): NetworkStatus {
  const { name, consumer, provider, ...rest } = report;
  const namespace = plans.find((plan) => plan.name === name)?.namespace ?? null;
  return { name, consumer, provider, namespace, ...rest };
}

const ruleStatus = ({ lab, prober }: StatusSource): RuleStatus[] =>
  [...lab.model.loadBalancers.values()].flatMap((balancer) =>
    balancer.rules.map(({ name, frontend, frontendPort, protocol, backendPool, backendPort, probe }) => ({
      loadBalancer: balancer.name,
      rule: name,
      frontend: dotted(balancer.frontends.get(frontend) ?? 0),
      frontendPort,
      protocol,
      backendPort,
      probe,
      backends: (balancer.backendPools.get(backendPool) ?? []).map((address) => ({
        address: dotted(address),
        healthy: probe === null || prober.isUp(probeName(balancer.name, probe), address),
      })),
    })),
  );
