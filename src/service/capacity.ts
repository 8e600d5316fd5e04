/**
 * How many connections a private link service can have at one time, and how long it lasts at a rate of new ones.
 *
 * A NAT address has its ports once for each backend and protocol, so a service has NAT addresses x backends x ports
 * (Azure: 64,000 ports for each NAT address and virtual machine). A port is taken for as long as its connection is open,
 * and rests after it: TCP until both the closed connection is forgotten and the port's hold is over (RFC 6888 REQ-8),
 * UDP until the idle time is over, since nothing ends it. At a steady rate, rate x (life + rest) ports are taken.
 */
import type { LinkSpec, RuleSpec } from '../translate/topology.js';
import { maxNatIps } from './nat-ips.js';

export type CapacityProtocol = 'tcp' | 'udp';

/** What a service has for the connections of one protocol. */
export interface CapacitySource {
  readonly service: string;
  readonly protocol: CapacityProtocol;
  readonly directConnect: boolean;
  readonly natAddresses: number;
  /** Distinct ones, of all load-balancing rules of the protocol. */
  readonly backends: number;
  /** Of each NAT address towards each backend. */
  readonly ports: number;
  /** How long a port rests after its connection, in seconds. */
  readonly restSeconds: number;
  /** How long the flow table remembers a connection after its end, in seconds. */
  readonly lingerSeconds: number;
}

export interface Limits {
  readonly tcpClosingMs: number;
  readonly portHoldMs: number;
}

const TCP = 6;

/** @param takesFlows leaves out backends that take no new flows, for example since they are down */
export function capacitySources(
  links: readonly LinkSpec[],
  limits: Limits,
  takesFlows: (link: LinkSpec, rule: RuleSpec, backend: number) => boolean = () => true,
): CapacitySource[] {
  return links.flatMap((link) =>
    (['tcp', 'udp'] as const).flatMap((protocol): CapacitySource[] => {
      const rules = link.rules.filter((rule) => (rule.protocol === TCP) === (protocol === 'tcp'));
      const backends = new Set(
        rules.flatMap((rule) => rule.backends.filter((backend) => takesFlows(link, rule, backend))),
      );
      if (link.destination !== null) backends.add(link.destination);
      if (rules.length === 0 && link.destination === null) return [];
      const idleMs = Math.max(0, ...rules.map((rule) => rule.idleTimeoutMs));
      const udpIdleMs = link.destination === null ? idleMs : link.udpIdleTimeoutMs;
      const tcp = protocol === 'tcp';
      return [
        {
          service: link.name,
          protocol,
          directConnect: link.destination !== null,
          natAddresses: link.natAddresses.length,
          backends: backends.size,
          ports: link.natPortCount,
          restSeconds: (tcp ? Math.max(limits.tcpClosingMs, limits.portHoldMs) : udpIdleMs) / 1000,
          lingerSeconds: (tcp ? limits.tcpClosingMs : udpIdleMs) / 1000,
        },
      ];
    }),
  );
}

/** Connections at one time. */
export const connectionsOf = (s: CapacitySource): number => s.natAddresses * s.backends * s.ports;

export interface Demand {
  /** New connections a second, to each service. */
  readonly rate: number;
  /** How long each is open. */
  readonly lifeSeconds: number;
}

/** What would be enough; null: none of its kind is, or none can be had. */
export interface Remedy {
  /** In all, with the backends that there are. */
  readonly natAddresses: number | null;
  /** In all, with the NAT addresses that there are. */
  readonly backends: number | null;
  /** Backends in all, with as many NAT addresses as a service can have. */
  readonly backendsWithMostNatAddresses: number | null;
  /** Services like this one in all, with as many NAT addresses each: where nothing else helps. */
  readonly services: number | null;
}

export interface Forecast {
  /** Ports taken at a time, once the first of them come back. */
  readonly portsNeeded: number;
  /** Of all ports; above 100 they run out. */
  readonly percent: number;
  /** Until the first connection fails, from no connection on; null: none ever does. */
  readonly exhaustedAfterSeconds: number | null;
  /** Connections a second that last for ever. */
  readonly sustainableRate: number;
  /** Null: nothing needs to be added. */
  readonly remedy: Remedy | null;
}

/**
 * @param usePercent the use not to go beyond, since connections do not spread over backends quite evenly; 1 to 100
 */
export function forecast(s: CapacitySource, { rate, lifeSeconds }: Demand, usePercent: number): Forecast {
  const connections = connectionsOf(s);
  const takenSeconds = lifeSeconds + s.restSeconds;
  const portsNeeded = Math.ceil(rate * takenSeconds);
  const percent = connections === 0 ? Infinity : (100 * portsNeeded) / connections;
  const enough = portsNeeded * 100 <= connections * usePercent;
  return {
    portsNeeded,
    percent,
    exhaustedAfterSeconds: portsNeeded > connections ? connections / rate : null,
    sustainableRate: takenSeconds === 0 ? Infinity : connections / takenSeconds,
    remedy: enough ? null : remedyFor(s, (100 * portsNeeded) / usePercent),
  };
}

function remedyFor(s: CapacitySource, ports: number): Remedy {
  // Direct Connect leads to one address, and has its NAT addresses in pairs.
  const step = s.directConnect ? 2 : 1;
  const natAddresses = Math.ceil(ports / Math.max(1, s.backends) / s.ports / step) * step;
  const backendsFor = (nat: number): number | null =>
    s.directConnect || nat === 0 ? null : Math.ceil(ports / nat / s.ports);
  const possible = natAddresses <= maxNatIps && s.backends > 0;
  return {
    natAddresses: possible ? natAddresses : null,
    backends: backendsFor(s.natAddresses),
    backendsWithMostNatAddresses: possible || s.natAddresses === maxNatIps ? null : backendsFor(maxNatIps),
    services: possible || !s.directConnect ? null : Math.ceil(ports / maxNatIps / s.ports),
  };
}

/** Flows in the table at a time, once the first of them are forgotten: of the greater protocol of each service. */
export function flowsNeeded(sources: readonly CapacitySource[], { rate, lifeSeconds }: Demand): number {
  const most = new Map<string, number>();
  for (const { service, lingerSeconds } of sources) {
    most.set(service, Math.max(most.get(service) ?? 0, rate * (lifeSeconds + lingerSeconds)));
  }
  return Math.ceil([...most.values()].reduce((sum, flows) => sum + flows, 0));
}
