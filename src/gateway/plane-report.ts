/** What a data plane tells of itself: plain data, for the status. */
import type { DeviceCounters, Offload } from '../device/device.js';
import type { Reason } from '../packet/verdict.js';
import type { Endpoint, Tables } from '../translate/tables.js';
import { formatAddress } from '../wire/address.js';
import type { LatencyStatus } from './latency.js';
import { type BackendPortUse, backendPortUse, protocolName } from './port-use.js';
import type { Port, Pump } from './pump.js';
import type { TapStatus } from './tap/tap.js';

export interface NetworkReport {
  readonly name: string;
  readonly consumer: boolean;
  readonly provider: boolean;
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

/** What is known of a private link service. */
export interface LinkReport {
  readonly name: string;
  readonly natAddresses: readonly string[];
  readonly draining: readonly DrainingAddress[];
  readonly endpoints: readonly EndpointStatus[];
  /** Of all endpoints that it has had, also those that are gone. */
  readonly octetsIn: number;
  readonly octetsOut: number;
}

/** Flows that ended before their time. */
export interface FlowEvictions {
  /** Their endpoint, its approval or their NAT address was taken from them. */
  readonly withdrawn: number;
  /** A new connection or datagram on their tuple went another way. */
  readonly replaced: number;
  /** Their connection turned out to be one that cannot be translated. */
  readonly refused: number;
}

export interface PlaneReport {
  readonly networks: readonly NetworkReport[];
  readonly links: readonly LinkReport[];
  readonly natPorts: readonly PortUse[];
  readonly backendPorts: readonly BackendPortUse[];
  readonly flows: {
    readonly live: number;
    readonly most: number;
    /** Opened: TCP by a SYN, UDP, TCP in the middle. */
    readonly tcp: number;
    readonly udp: number;
    readonly midstream: number;
    /** Idled to their limit, and over in order or by RST. What was opened is live, one of these, or evicted. */
    readonly expired: number;
    readonly closed: number;
    readonly evicted: FlowEvictions;
  };
  readonly latency: LatencyStatus;
  readonly headers: {
    readonly inserted: number;
    readonly resent: number;
    readonly waiting: number;
    readonly acksAbsorbed: number;
  };
  readonly fragmentsWaiting: number;
  readonly fragmentsHeld: number;
  /** Of the bounded memories, entries that gave way before their time. */
  readonly evictions: { readonly fragments: number; readonly refusals: number };
  readonly icmpErrors: number;
  readonly drops: Partial<Record<Reason, number>>;
  /** Packets that had no interface to go to. */
  readonly noDevice: number;
  /** Packets that one worker gave to another, and those for which there was no room. */
  readonly handedOver: { readonly packets: number; readonly lost: number };
  readonly taps: readonly TapStatus[];
}

const dotted = (address: number): string => formatAddress(address >>> 0);

/** @param ports by network */
export function reportPlane(pump: Pump, ports: ReadonlyMap<string, Port>, taps: readonly TapStatus[]): PlaneReport {
  const { translator: t } = pump;
  const { counters: c, tables } = t;
  const live = tables.endpoints.filter((e) => tables.endpointAt(e.network, e.address) === e);
  return {
    networks: [...ports].map(([name, port]) => networkReport(name, port)),
    links: tables.links.map((link) => {
      const [octetsIn, octetsOut] = tables.octetsOf(link);
      return {
        name: link.name,
        natAddresses: Array.from(link.natAddresses, dotted),
        draining: link.draining.map((address) => ({ address: dotted(address), flows: tables.liveFlowsOn(address) })),
        endpoints: live.filter((e) => e.link === link).map((e) => endpointStatus(e, tables)),
        octetsIn,
        octetsOut,
      };
    }),
    natPorts: natPorts(tables, pump.now),
    backendPorts: backendPortUse(tables, pump.now),
    flows: {
      live: t.flows.count,
      most: t.flows.capacity,
      tcp: c.flowsTcp,
      udp: c.flowsUdp,
      midstream: c.flowsMidstream,
      expired: c.flowsExpired,
      closed: c.flowsClosed,
      evicted: { withdrawn: c.flowsWithdrawn, replaced: c.flowsReplaced, refused: c.flowsRefused },
    },
    latency: pump.latency.status,
    headers: {
      inserted: c.headersInserted,
      resent: c.headersResent,
      waiting: t.core.pending.wheel.count,
      acksAbsorbed: c.headerAcksAbsorbed,
    },
    fragmentsWaiting: pump.fragmentsWaiting,
    fragmentsHeld: pump.fragmentsHeld,
    evictions: { fragments: pump.fragmentsEvicted, refusals: t.core.refusals.evicted },
    icmpErrors: c.icmpErrors,
    drops: t.drops.toJSON(),
    noDevice: pump.noDevice,
    handedOver: pump.handedOver,
    taps,
  };
}

const networkReport = (name: string, port: Port): NetworkReport => ({
  name,
  consumer: port.network >= 0,
  provider: port.natAddresses.length > 0,
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
      of: pool.of,
    }))
    .filter((use) => use.service !== null || use.inUse > 0);

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
