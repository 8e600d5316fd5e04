/** What a gateway tells of itself: plain data for `culvert status`, for `--json` and for the metrics. */
import type { LabConfig } from '../config/index.js';
import type { DeviceCounters, Offload } from '../device/device.js';
import type { Reason } from '../packet/verdict.js';
import type { Endpoint, Tables } from '../translate/tables.js';
import { probeName } from '../service/load-balancer.js';
import { formatAddress } from '../wire/address.js';
import type { NetworkPlan } from './plan.js';
import { type BackendPortUse, backendPortUse, type PortWatch, protocolName } from './port-use.js';
import type { BackendHealth, Prober } from './probes/prober.js';
import type { Port, Pump } from './pump.js';
import type { TapStatus } from './tap/tap.js';

/** Lab files read since the start. */
export interface Reloads {
  /** How many were taken. */
  count: number;
  /** Mistakes of the last one, if it was refused. */
  mistakes: readonly string[];
}

export interface NetworkStatus {
  readonly name: string;
  readonly consumer: boolean;
  readonly provider: boolean;
  readonly namespace: string | null;
  readonly device: string;
  readonly mtu: number;
  readonly offload: Offload;
  readonly counters: DeviceCounters;
  /** Packets that the interface did not take. */
  readonly lost: number;
  readonly gone: boolean;
}

export interface PortUse {
  /** Null: no service gives this address to new flows any more; live ones run to their end. */
  readonly service: string | null;
  readonly address: string;
  readonly backend: string;
  readonly protocol: 'tcp' | 'udp';
  readonly inUse: number;
  /** Ports that rest after their flows. */
  readonly held: number;
  readonly of: number;
}

export interface BackendPorts extends BackendPortUse {
  /** The use has come to the warning's threshold, and has not gone well below it since. */
  readonly warned: boolean;
}

/** A NAT address that was taken out; it leaves when its last flow ends. */
export interface DrainingAddress {
  readonly address: string;
  /** Live flows. */
  readonly flows: number;
}

export interface EndpointStatus {
  readonly name: string;
  readonly network: string;
  readonly address: string;
  readonly linkId: number;
  readonly approved: boolean;
  /** Octets of IPv4 packets from consumers, and to them. */
  readonly octetsIn: number;
  readonly octetsOut: number;
}

export interface ServiceStatus {
  readonly name: string;
  /** Of the PROXY header; null: none is inserted. */
  readonly dialect: string | null;
  readonly natAddresses: readonly string[];
  readonly draining: readonly DrainingAddress[];
  readonly endpoints: readonly EndpointStatus[];
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
  readonly flows: {
    readonly live: number;
    readonly most: number;
    readonly tcp: number;
    readonly udp: number;
    readonly expired: number;
  };
  readonly headers: { readonly inserted: number; readonly resent: number; readonly waiting: number };
  readonly fragmentsWaiting: number;
  readonly icmpErrors: number;
  readonly drops: Partial<Record<Reason, number>>;
  /** Packets that an interface did not take, or that had none to go to. */
  readonly lost: number;
  readonly reloads: Reloads;
  /** Those that run. */
  readonly taps: readonly TapStatus[];
}

export interface StatusSource {
  readonly name: string;
  readonly startedAt: Date;
  readonly lab: LabConfig;
  readonly pump: Pump;
  readonly prober: Prober;
  readonly networks: readonly { readonly port: Port; readonly plan: NetworkPlan }[];
  readonly reloads: Reloads;
  readonly portWatch: PortWatch;
  readonly taps: readonly TapStatus[];
  readonly metricsPort: number | null;
}

const dotted = (address: number): string => formatAddress(address >>> 0);

export function reportStatus(source: StatusSource): GatewayStatus {
  const { pump, networks, reloads } = source;
  const { translator: t } = pump;
  const { counters: c, tables } = t;
  const cpu = process.cpuUsage();
  const live = tables.endpoints.filter((e) => tables.endpointAt(e.network, e.address) === e);
  return {
    lab: source.name,
    pid: process.pid,
    startedAt: source.startedAt.toISOString(),
    uptimeSeconds: (Date.now() - source.startedAt.getTime()) / 1000,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    residentOctets: process.memoryUsage.rss(),
    metricsPort: source.metricsPort,
    networks: networks.map(networkStatus),
    services: [...source.lab.model.privateLinkServices.values()].flatMap(({ name, proxy }) => {
      const link = tables.links.find((each) => each.name === name);
      if (link === undefined) return [];
      return {
        name,
        dialect: proxy?.dialect ?? null,
        natAddresses: Array.from(link.natAddresses, dotted),
        draining: link.draining.map((address) => ({ address: dotted(address), flows: tables.liveFlowsOn(address) })),
        endpoints: live.filter((e) => e.link === link).map((e) => endpointStatus(e, tables)),
      };
    }),
    natPorts: natPorts(tables, pump.now),
    backendPorts: backendPortUse(tables, pump.now).map((use) => ({
      ...use,
      warned: source.portWatch.isWarned(use),
    })),
    natPortsWarningPercent: source.lab.gateway.natPortsWarningPercent,
    rules: ruleStatus(source),
    probes: source.prober.status(),
    flows: { live: t.flows.count, most: t.flows.capacity, tcp: c.flowsTcp, udp: c.flowsUdp, expired: c.flowsExpired },
    headers: { inserted: c.headersInserted, resent: c.headersResent, waiting: t.core.pending.wheel.count },
    fragmentsWaiting: t.fragments.waiting,
    icmpErrors: c.icmpErrors,
    drops: t.drops.toJSON(),
    lost: networks.reduce((sum, { port }) => sum + port.lost, pump.noDevice),
    reloads: { ...reloads },
    taps: source.taps,
  };
}

const networkStatus = ({ port, plan }: StatusSource['networks'][number]): NetworkStatus => ({
  name: plan.name,
  consumer: port.network >= 0,
  provider: port.natAddresses.length > 0,
  namespace: plan.namespace,
  device: port.device.name,
  mtu: port.device.mtu,
  offload: port.device.offload,
  counters: port.device.counters,
  lost: port.lost,
  gone: port.gone,
});

const natPorts = (tables: Tables, nowMs: number): PortUse[] =>
  tables.pools
    .map((pool) => ({
      service: tables.links.find((link) => link.natAddresses.includes(pool.address))?.name ?? null,
      address: dotted(pool.address),
      backend: dotted(pool.backend),
      protocol: protocolName(pool),
      inUse: pool.taken,
      held: pool.held(nowMs),
      of: pool.size,
    }))
    .filter((use) => use.service !== null || use.inUse > 0);

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

/** Records of one endpoint that a reload put in each other's place count together. */
function endpointStatus(e: Endpoint, tables: Tables): EndpointStatus {
  let octetsIn = 0;
  let octetsOut = 0;
  for (const other of tables.endpoints) {
    if (other.network !== e.network || other.address !== e.address || other.link !== e.link) continue;
    octetsIn += tables.octets[2 * other.index]!;
    octetsOut += tables.octets[2 * other.index + 1]!;
  }
  return {
    name: e.name,
    network: tables.networks[e.network] ?? '',
    address: dotted(e.address),
    linkId: e.linkId,
    approved: e.approved,
    octetsIn,
    octetsOut,
  };
}
