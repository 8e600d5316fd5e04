/**
 * Metrics for Prometheus on the loopback interface: `/metrics`, and `/healthz` for "is it there". Azure Monitor's names
 * where Azure has the metric (Microsoft.Network/privateLinkServices and privateEndpoints), with a prefix of ours for
 * the rest. They are made from the status when somebody asks; nothing is counted twice.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import { CulvertError } from '../errors.js';
import { REASONS } from '../packet/verdict.js';
import { LATENCY_BOUNDS_SECONDS } from './latency.js';
import type { GatewayStatus } from './status.js';

export interface Measured {
  status(): GatewayStatus;
}

type Labels = Record<string, string>;
/** A metric's values at this moment. */
type Values = readonly (readonly [Labels, number])[];

class Exposition {
  private readonly registry = new Registry();

  counter(name: string, help: string, labelNames: readonly string[], values: Values): void {
    const metric = new Counter({ name, help, labelNames, registers: [this.registry] });
    for (const [labels, value] of values) metric.inc(labels, value);
  }

  gauge(name: string, help: string, labelNames: readonly string[], values: Values): void {
    const metric = new Gauge({ name, help, labelNames, registers: [this.registry] });
    for (const [labels, value] of values) metric.set(labels, value);
  }

  /**
   * A histogram that was counted elsewhere; prom-client's own takes one observation at a time.
   * @param counts by bucket, not cumulative
   * @param bounds the last is Infinity
   */
  histogram(name: string, help: string, bounds: readonly number[], counts: readonly number[], sum: number): void {
    let total = 0;
    const values = bounds.map((bound, i) => {
      total += counts[i]!;
      return { labels: { le: bound === Infinity ? '+Inf' : bound }, value: total, metricName: `${name}_bucket` };
    });
    const all = [
      ...values,
      { labels: {}, value: sum, metricName: `${name}_sum` },
      { labels: {}, value: total, metricName: `${name}_count` },
    ];
    // All that the registry asks of a metric.
    const metric = {
      name,
      help,
      type: 'histogram',
      get: () => Promise.resolve({ name, help, type: 'histogram', values: all }),
    };
    this.registry.registerMetric(metric as unknown as Metric);
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }
}

/** The exposition in Prometheus' text format. */
export function exposition(s: GatewayStatus): Promise<string> {
  const e = new Exposition();
  const services = s.services.map((service) => ({
    labels: { service: service.name },
    in: service.octetsIn,
    out: service.octetsOut,
  }));
  const endpoints = s.services.flatMap((service) =>
    service.endpoints.map((each) => ({
      labels: { endpoint: each.name, network: each.network, service: service.name },
      each,
    })),
  );
  e.counter(
    'PLSBytesIn',
    'Octets from consumers into the private link service.',
    ['service'],
    [...services.map((each) => [each.labels, each.in] as const)],
  );
  e.counter(
    'PLSBytesOut',
    'Octets from the private link service to consumers.',
    ['service'],
    [...services.map((each) => [each.labels, each.out] as const)],
  );
  e.gauge(
    'PLSNatPortsUsage',
    'NAT ports in use of a NAT address towards its busiest backend and protocol, in percent.',
    ['service', 'address'],
    s.services.flatMap(({ name, natAddresses }) =>
      natAddresses.map((address) => {
        const uses = s.natPorts.filter((use) => use.address === address).map((use) => (100 * use.inUse) / use.of);
        return [{ service: name, address }, Math.max(0, ...uses)] as const;
      }),
    ),
  );
  const ofEndpoint = ['endpoint', 'network', 'service'];
  e.counter('PEBytesIn', 'Octets from consumers into the private endpoint.', ofEndpoint, [
    ...endpoints.map(({ labels, each }) => [labels, each.octetsIn] as const),
  ]);
  e.counter('PEBytesOut', 'Octets from the private endpoint to consumers.', ofEndpoint, [
    ...endpoints.map(({ labels, each }) => [labels, each.octetsOut] as const),
  ]);
  loadBalancing(e, s);
  own(e, s);
  return e.text();
}

/** As Azure Monitor has them for Microsoft.Network/loadBalancers: percent, of this moment. */
function loadBalancing(e: Exposition, s: GatewayStatus): void {
  const frontend = ['loadBalancer', 'frontendAddress', 'frontendPort', 'protocol'] as const;
  const labels = (rule: GatewayStatus['rules'][number]): Labels => ({
    loadBalancer: rule.loadBalancer,
    frontendAddress: rule.frontend,
    frontendPort: String(rule.frontendPort),
    protocol: rule.protocol,
  });
  e.gauge(
    'DipAvailability',
    'Health probe status: 100 for a backend that is healthy, else 0; of rules with a probe.',
    [...frontend, 'backendAddress', 'backendPort'],
    s.rules
      .filter((rule) => rule.probe !== null)
      .flatMap((rule) =>
        rule.backends.map(({ address, healthy }) => {
          const backend = { backendAddress: address, backendPort: String(rule.backendPort) };
          return [{ ...labels(rule), ...backend }, healthy ? 100 : 0] as const;
        }),
      ),
  );
  e.gauge(
    'VipAvailability',
    'Data path availability: 100 for a frontend with a healthy backend, else 0.',
    frontend,
    s.rules.map((rule) => [labels(rule), rule.backends.some(({ healthy }) => healthy) ? 100 : 0] as const),
  );
}

function own(e: Exposition, s: GatewayStatus): void {
  const byNetwork = (pick: (n: GatewayStatus['networks'][number]) => number): Values =>
    s.networks.map((n) => [{ network: n.name, device: n.device }, pick(n)] as const);
  const ofNetwork = ['network', 'device'];
  const one = (value: number): Values => [[{}, value]];
  e.counter('culvert_packets_read_total', 'Packets read from an interface.', ofNetwork, [
    ...byNetwork((n) => n.counters.readPackets),
  ]);
  e.counter('culvert_packets_written_total', 'Packets written to an interface.', ofNetwork, [
    ...byNetwork((n) => n.counters.writtenPackets),
  ]);
  e.counter('culvert_octets_read_total', 'Octets read from an interface.', ofNetwork, [
    ...byNetwork((n) => n.counters.readOctets),
  ]);
  e.counter('culvert_octets_written_total', 'Octets written to an interface.', ofNetwork, [
    ...byNetwork((n) => n.counters.writtenOctets),
  ]);
  e.counter('culvert_packets_lost_total', 'Translated packets that an interface did not take.', ofNetwork, [
    ...byNetwork((n) => n.lost + n.counters.writeErrors),
  ]);
  e.counter('culvert_no_device_total', 'Packets that had no interface to go to.', [], one(s.noDevice));
  e.counter(
    'culvert_drops_total',
    'Packets dropped, by reason.',
    ['reason'],
    REASONS.map(([reason]) => [{ reason }, s.drops[reason] ?? 0] as const),
  );
  natPorts(e, s);
  e.gauge('culvert_flows', 'Live flows.', [], one(s.flows.live));
  e.counter(
    'culvert_flows_opened_total',
    'Flows opened.',
    ['protocol'],
    [
      [{ protocol: 'tcp' }, s.flows.tcp + s.flows.midstream],
      [{ protocol: 'udp' }, s.flows.udp],
    ],
  );
  e.counter(
    'culvert_flows_midstream_total',
    'TCP flows of those opened whose start was not seen.',
    [],
    one(s.flows.midstream),
  );
  e.gauge('culvert_flows_limit', 'Flows that there is room for.', [], one(s.flows.most));
  e.counter('culvert_flows_expired_total', 'Flows that ended for idleness.', [], one(s.flows.expired));
  e.counter('culvert_flows_closed_total', 'TCP flows that ended after FIN both ways, or RST.', [], one(s.flows.closed));
  e.counter(
    'culvert_flows_evicted_total',
    'Flows that ended before that: withdrawn from their endpoint or NAT address, replaced on their tuple, or refused.',
    ['reason'],
    Object.entries(s.flows.evicted).map(([reason, n]: [string, number]) => [{ reason }, n]),
  );
  e.counter(
    'culvert_evictions_total',
    'Entries of the memory of fragmented datagrams, and of refused connections, that gave way to others before their time.',
    ['memory'],
    Object.entries(s.evictions).map(([memory, n]) => [{ memory }, n]),
  );
  e.histogram(
    'culvert_packet_seconds',
    'Time of packets in the gateway, from the turn to their device until they are written.',
    LATENCY_BOUNDS_SECONDS,
    s.latency.packets,
    s.latency.seconds,
  );
  e.counter('culvert_headers_inserted_total', 'TCP streams that got a PROXY header.', [], one(s.headers.inserted));
  e.counter('culvert_headers_resent_total', 'PROXY headers sent again.', [], one(s.headers.resent));
  e.counter(
    'culvert_header_acks_absorbed_total',
    'Acknowledgments of a PROXY header alone, which the client does not get.',
    [],
    one(s.headers.acksAbsorbed),
  );
  e.gauge('culvert_headers_waiting', 'PROXY headers with a timer set.', [], one(s.headers.waiting));
  e.counter('culvert_icmp_errors_total', 'ICMP errors about flows, translated.', [], one(s.icmpErrors));
  e.counter('culvert_fragments_held_total', 'Fragments that waited for their first one.', [], one(s.fragmentsHeld));
  e.gauge('culvert_fragments_waiting', 'Fragments that wait for their first one.', [], one(s.fragmentsWaiting));
  probes(e, s);
  e.gauge('culvert_workers', 'Threads that move packets.', [], one(s.workers));
  e.counter(
    'culvert_handed_over_total',
    'Packets that came to one worker and went to the one that they belong to.',
    [],
    one(s.handedOver.packets),
  );
  e.counter('culvert_hand_over_lost_total', 'Packets that were lost between workers.', [], one(s.handedOver.lost));
  e.counter('culvert_reloads_total', 'Lab files taken while running.', [], one(s.reloads.count));
  e.gauge('culvert_lab_file_ok', '1 if the last lab file was taken.', [], one(s.reloads.mistakes.length === 0 ? 1 : 0));
  e.counter('culvert_cpu_seconds_total', 'Processor time of the gateway.', [], one(s.cpuSeconds));
  e.gauge('culvert_resident_octets', 'Resident memory of the gateway.', [], one(s.residentOctets));
}

function probes(e: Exposition, s: GatewayStatus): void {
  const ofBackend = ['loadBalancer', 'probe', 'backend'];
  const labels = ({ loadBalancer, probe, backend }: GatewayStatus['probes'][number]): Labels => ({
    loadBalancer,
    probe,
    backend,
  });
  e.counter(
    'culvert_probes_total',
    'Health probes that are over.',
    [...ofBackend, 'result'],
    s.probes.flatMap((each) => [
      [{ ...labels(each), result: 'succeeded' }, each.succeeded] as const,
      [{ ...labels(each), result: 'failed' }, each.failed] as const,
    ]),
  );
  e.gauge(
    'culvert_probe_seconds',
    'How long the last successful health probe took.',
    ofBackend,
    s.probes.flatMap((each) => (each.lastMs === null ? [] : [[labels(each), each.lastMs / 1000] as const])),
  );
}

function natPorts(e: Exposition, s: GatewayStatus): void {
  const ofPool = ['service', 'address', 'backend', 'protocol'];
  const byPool = (pick: (use: GatewayStatus['natPorts'][number]) => number): Values =>
    s.natPorts.map((use) => {
      const { address, backend, protocol } = use;
      return [{ service: use.service ?? 'draining', address, backend, protocol }, pick(use)] as const;
    });
  e.gauge('culvert_nat_ports_in_use', 'NAT ports of live flows.', ofPool, [...byPool((use) => use.inUse)]);
  e.gauge('culvert_nat_ports_held', 'NAT ports that rest after their flows.', ofPool, [...byPool((use) => use.held)]);
  e.gauge('culvert_nat_ports', 'NAT ports in all.', ofPool, [...byPool((use) => use.of)]);
  const byBackend = (pick: (use: GatewayStatus['backendPorts'][number]) => number): Values =>
    s.backendPorts.map((use) => {
      const { service, backend, protocol } = use;
      return [{ service, backend, protocol }, pick(use)] as const;
    });
  const ofBackend = ['service', 'backend', 'protocol'];
  e.gauge(
    'culvert_nat_ports_usage_percent',
    'NAT ports towards a backend that are in use or at rest, of all NAT addresses of the service: at 100, connections fail.',
    ofBackend,
    [...byBackend((use) => use.percent)],
  );
  e.gauge('culvert_nat_ports_warning', '1 while that use is warned of.', ofBackend, [
    ...byBackend((use) => (use.warned ? 1 : 0)),
  ]);
  e.gauge(
    'culvert_nat_ports_warning_percent',
    'The use that is warned of; 0: none.',
    [],
    [[{}, s.natPortsWarningPercent]],
  );
  e.gauge(
    'culvert_nat_draining_flows',
    'Live flows of a NAT address that was taken out; it leaves with the last one.',
    ['service', 'address'],
    s.services.flatMap(({ name, draining }) =>
      draining.map(({ address, flows }) => [{ service: name, address }, flows] as const),
    ),
  );
}

export class MetricsServer {
  private readonly server: http.Server;
  readonly port: number;

  private constructor(server: http.Server) {
    this.server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  /**
   * @param port on 127.0.0.1; 0: any free one
   * @throws CulvertError GATEWAY_METRICS_PORT
   */
  static async listen(port: number, measured: Measured): Promise<MetricsServer> {
    const server = http.createServer((request, response) => {
      respond(request, response, measured).catch((error: unknown) => {
        // A worker has died, or whatever else: who asks is told, and the gateway's end is another's to bring about.
        reply(request, response, 500, 'text/plain', `${(error as Error).message}\n`);
      });
    });
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, '127.0.0.1', resolve);
      });
    } catch (error) {
      const what = `metrics: 127.0.0.1:${String(port)}: ${(error as Error).message}; choose another gateway.metricsPort`;
      throw new CulvertError('GATEWAY_METRICS_PORT', what, {}, { cause: error });
    }
    return new MetricsServer(server);
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.server.close(() => {
        resolve();
      });
    });
  }
}

async function respond(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  measured: Measured,
): Promise<void> {
  const say = (status: number, type: string, body: string): void => reply(request, response, status, type, body);
  const [pathname] = (request.url ?? '/').split('?');
  if (request.method !== 'GET' && request.method !== 'HEAD') say(405, 'text/plain', 'GET only\n');
  else if (pathname === '/metrics') say(200, 'text/plain; version=0.0.4', await exposition(measured.status()));
  else if (pathname === '/healthz') say(200, 'text/plain', 'ok\n');
  else say(404, 'text/plain', 'there are /metrics and /healthz\n');
}

function reply(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  status: number,
  type: string,
  body: string,
): void {
  response.writeHead(status, { 'content-type': `${type}; charset=utf-8` });
  response.end(request.method === 'HEAD' ? undefined : body);
}
