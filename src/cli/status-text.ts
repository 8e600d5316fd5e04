/** The status of a gateway for people. */
import type { GatewayStatus, NetworkStatus } from '../gateway/status.js';
import type { Before } from './ask.js';
import { columns, octets, octetsPerSecond, perSecond, span } from './columns.js';

const evicted = ({ flows }: GatewayStatus): string => {
  const { withdrawn, replaced, refused } = flows.evicted;
  const total = withdrawn + replaced + refused;
  return total === 0 ? '' : `, ${total} evicted`;
};

/** @param before what it was some time ago: rates are shown too then */
export function statusText(s: GatewayStatus, before?: Before<GatewayStatus>): string {
  const ratesOf = ({ name, counters }: NetworkStatus): string[] => {
    if (before === undefined) return [];
    const then = before.answer.networks.find((each) => each.name === name)?.counters;
    return [
      octetsPerSecond(counters.readOctets, then?.readOctets, before.seconds),
      octetsPerSecond(counters.writtenOctets, then?.writtenOctets, before.seconds),
    ];
  };
  const busy =
    before === undefined
      ? ''
      : ` (${(100 * perSecond(s.cpuSeconds, before.answer.cpuSeconds, before.seconds)).toFixed(0)} %)`;
  const parts = [
    `${s.lab}, process ${s.pid}, up ${span(s.uptimeSeconds * 1000)}, CPU ${s.cpuSeconds.toFixed(1)} s${busy}, ` +
      `memory ${octets(s.residentOctets)}${s.metricsPort === null ? '' : `, metrics on port ${s.metricsPort}`}`,
    columns(
      [
        'network',
        'side',
        'namespace',
        'interface',
        'mtu',
        'packets in',
        'packets out',
        'octets in',
        'octets out',
        ...(before === undefined ? [] : ['rate in', 'rate out']),
        'lost',
      ],
      s.networks.map((n) => [
        n.name,
        [n.consumer ? 'consumer' : '', n.provider ? 'provider' : ''].filter(Boolean).join('+'),
        n.namespace ?? '-',
        n.device,
        n.mtu,
        n.counters.readPackets,
        n.counters.writtenPackets,
        octets(n.counters.readOctets),
        octets(n.counters.writtenOctets),
        ...ratesOf(n),
        n.lost + n.counters.writeErrors,
      ]),
    ),
    columns(
      ['endpoint', 'network', 'address', 'service', 'LINKID', 'state', 'octets in', 'octets out'],
      s.services.flatMap((service) =>
        service.endpoints.map((e) => [
          e.name,
          e.network,
          e.address,
          service.name,
          String(e.linkId),
          e.approved ? 'approved' : 'not approved',
          octets(e.octetsIn),
          octets(e.octetsOut),
        ]),
      ),
    ),
  ];
  if (s.probes.length > 0) {
    parts.push(
      columns(
        ['load balancer', 'probe', 'protocol', 'backend', 'health', 'since', 'reason'],
        s.probes.map((p) => [
          p.loadBalancer,
          p.probe,
          p.protocol,
          `${p.backend}:${String(p.port)}`,
          p.health,
          `${span(Date.now() - Date.parse(p.since))} ago`,
          p.reason ?? '-',
        ]),
      ),
    );
  }
  const ports = s.natPorts.filter((use) => use.inUse + use.held > 0);
  if (ports.length > 0) {
    parts.push(
      columns(
        ['service', 'NAT address', 'backend', 'protocol', 'ports in use', 'at rest', 'of'],
        ports.map((use) => [
          use.service ?? 'draining',
          use.address,
          use.backend,
          use.protocol,
          use.inUse,
          use.held,
          use.of,
        ]),
      ),
    );
  }
  const notes = [
    ...s.services.flatMap(({ name, draining }) =>
      draining.map(({ address, flows }) => `draining: NAT address ${address} of service ${name}, ${flows} live flows`),
    ),
    ...s.backendPorts
      .filter((use) => use.warned)
      .map(
        (use) =>
          `NAT ports run out: service ${use.service} to ${use.backend} (${use.protocol}), ` +
          `${Math.floor(use.percent)} % of ${use.of.toLocaleString('en-US')}: add NAT addresses or backends`,
      ),
  ];
  if (notes.length > 0) parts.push(notes.join('\n'));
  parts.push(
    `flows ${s.flows.live} live (${s.flows.tcp} TCP and ${s.flows.udp} UDP opened, ${s.flows.closed} closed, ${s.flows.expired} expired${evicted(s)}); ` +
      `headers ${s.headers.inserted} inserted, ${s.headers.resent} resent, ${s.headers.waiting} waiting`,
  );
  if (s.workers > 1) {
    const { packets, lost } = s.handedOver;
    parts.push(`workers ${s.workers}, packets from one to another ${packets}, lost ${lost}`);
  }
  const drops = Object.entries(s.drops);
  if (drops.length > 0) parts.push(`drops ${drops.map(([reason, n]) => `${reason} ${n}`).join(', ')}`);
  if (s.lost > 0) parts.push(`lost ${s.lost} packets that no interface took`);
  for (const tap of s.taps) parts.push(`a tap runs: ${tap.packets} packets, ${tap.lost} lost`);
  if (s.reloads.mistakes.length > 0) {
    parts.push(`the lab file has mistakes and was not taken:\n${s.reloads.mistakes.join('\n')}`);
  } else if (s.reloads.count > 0) parts.push(`lab file taken again ${s.reloads.count} times`);
  return `${parts.join('\n\n')}\n`;
}
