/** Resources to the translator's plain data. */
import { directConnectBandwidth } from '../service/direct-connect.js';
import { effectiveIdleMs } from '../service/idle.js';
import { probeName } from '../service/load-balancer.js';
import type { LoadBalancer, LoadBalancingRule, PrivateLinkService, ResourceModel } from '../service/resources.js';
import { securityOf } from '../service/service-security.js';
import type { EndpointSpec, LinkSpec, ProbeRef, RuleSpec, Topology } from '../translate/topology.js';
import type { TranslationSettings } from './model.js';

const TCP = 6;
const UDP = 17;

const protocolsOf = (rule: LoadBalancingRule): readonly (6 | 17)[] =>
  rule.protocol === 'All' ? [TCP, UDP] : rule.protocol === 'Tcp' ? [TCP] : [UDP];

function rulesOf(service: PrivateLinkService, model: ResourceModel, settings: TranslationSettings): RuleSpec[] {
  const target = service.loadBalancerFrontend;
  const balancer = model.loadBalancers.get(target?.loadBalancer ?? '');
  if (target === null || balancer === undefined) return [];
  const specs: RuleSpec[] = [];
  for (const rule of balancer.rules) {
    if (rule.frontend !== target.frontend) continue;
    const idleMs = effectiveIdleMs(service.idleTimeoutInSeconds, rule.idleTimeoutInMinutes);
    for (const protocol of protocolsOf(rule)) {
      specs.push({
        protocol,
        frontendPort: rule.frontendPort,
        backendPort: rule.backendPort,
        backends: balancer.backendPools.get(rule.backendPool) ?? [],
        distribution: rule.loadDistribution,
        idleTimeoutMs: (protocol === TCP ? settings.tcpEstablishedMs : settings.udpMs) ?? idleMs,
        tcpReset: rule.enableTcpReset,
        ...probeOf(rule, balancer),
      });
    }
  }
  return specs;
}

function probeOf(rule: LoadBalancingRule, balancer: LoadBalancer): { readonly probe?: ProbeRef } {
  const probe = balancer.probes.get(rule.probe ?? '');
  if (probe === undefined) return {};
  return {
    probe: { name: probeName(balancer.name, probe.name), noHealthyBackends: probe.noHealthyBackendsBehavior },
  };
}

/** @param model without mistakes */
export function compileTopology(model: ResourceModel, settings: TranslationSettings): Topology {
  const networks = [...model.virtualNetworks.keys()];
  const indexes = new Map(networks.map((name, index) => [name, index]));
  const endpoints = new Map<string, EndpointSpec[]>();
  for (const endpoint of model.privateEndpoints.values()) {
    const spec = {
      name: endpoint.name,
      network: indexes.get(endpoint.virtualNetwork) ?? 0,
      address: endpoint.address,
      linkId: endpoint.linkIdentifier,
      approved: endpoint.status === 'Approved',
    };
    const list = endpoints.get(endpoint.privateLinkService);
    if (list === undefined) endpoints.set(endpoint.privateLinkService, [spec]);
    else list.push(spec);
  }
  const links = [...model.privateLinkServices.values()].map((service): LinkSpec => {
    const security = securityOf(service, model);
    const bitsPerSecond = directConnectBandwidth(service);
    return {
      name: service.name,
      natAddresses: service.ipConfigurations,
      natPortFirst: settings.natPortFirst,
      natPortCount: settings.natPortCount,
      proxy: service.proxy,
      rules: rulesOf(service, model, settings),
      destination: service.destinationIPAddress,
      tcpIdleTimeoutMs: settings.tcpEstablishedMs ?? service.idleTimeoutInSeconds * 1000,
      udpIdleTimeoutMs: settings.udpMs ?? service.idleTimeoutInSeconds * 1000,
      endpoints: endpoints.get(service.name) ?? [],
      ...(bitsPerSecond === null ? {} : { bitsPerSecond }),
      ...(security === undefined ? {} : { security }),
    };
  });
  return { networks, links };
}
