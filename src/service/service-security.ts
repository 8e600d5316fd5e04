/** Which network security groups stand on a private link service's way, and what they let through. */
import type { LinkSecurity, Range, SecurityList } from '../translate/topology.js';
import { cidrLast, formatAddress } from '../wire/address.js';
import { subnetOf } from './addresses.js';
import { probeSource } from './load-balancer.js';
import { decidingRule, securityRuleSpecs } from './network-security-group.js';
import type { JudgedFlow, NetworkSpace } from './network-security-group.js';
import { warning } from './problem.js';
import type { Problem } from './problem.js';
import type {
  LoadBalancer,
  NetworkSecurityGroup,
  PrivateLinkService,
  Probe,
  ResourceModel,
  SecurityRule,
  VirtualNetwork,
} from './resources.js';

const networkSpace = (network: VirtualNetwork): Range[] =>
  network.addressSpace.flatMap((block) => (block === null ? [] : [{ first: block.base, last: cidrLast(block) }]));

/** What the tag VirtualNetwork means for a service: its network, and a Direct Connect destination that it has a route to. */
function spaceOf(service: PrivateLinkService, network: VirtualNetwork): NetworkSpace {
  const space = networkSpace(network);
  const destination = service.destinationIPAddress;
  return destination === null ? space : [...space, { first: destination, last: destination }];
}

interface Way {
  readonly space: NetworkSpace;
  readonly frontend: number | null;
  readonly backends: readonly number[];
  /** The group of an address of the provider's network. */
  groupOf(address: number): NetworkSecurityGroup | undefined;
}

function wayOf(service: PrivateLinkService, model: ResourceModel): Way | null {
  const network = model.virtualNetworks.get(service.virtualNetwork);
  if (network === undefined) return null;
  const target = service.loadBalancerFrontend;
  const balancer = model.loadBalancers.get(target?.loadBalancer ?? '');
  const pools = (balancer?.rules ?? []).filter((rule) => rule.frontend === target?.frontend);
  const backends = new Set(pools.flatMap((rule) => balancer?.backendPools.get(rule.backendPool) ?? []));
  if (service.destinationIPAddress !== null) backends.add(service.destinationIPAddress);
  return {
    space: spaceOf(service, network),
    frontend: balancer?.frontends.get(target?.frontend ?? '') ?? null,
    backends: [...backends],
    groupOf: (address) => {
      const name = subnetOf(network, address)?.networkSecurityGroup ?? null;
      return name === null ? undefined : model.networkSecurityGroups.get(name);
    },
  };
}

/** What judges a service's new flows; undefined: nothing. */
export function securityOf(service: PrivateLinkService, model: ResourceModel): LinkSecurity | undefined {
  const way = wayOf(service, model);
  if (way === null) return undefined;
  const lists = (addresses: readonly number[], direction: SecurityRule['direction']): SecurityList[] => {
    const ofGroup = new Map<NetworkSecurityGroup, SecurityList['rules']>();
    return addresses.flatMap((address) => {
      const group = way.groupOf(address);
      if (group === undefined) return [];
      const rules = ofGroup.get(group) ?? securityRuleSpecs(group, direction, way.space);
      ofGroup.set(group, rules);
      return [{ address, rules }];
    });
  };
  const outbound = lists(service.ipConfigurations, 'Outbound');
  const inbound = lists(way.backends, 'Inbound');
  if (outbound.length === 0 && inbound.length === 0) return undefined;
  return { frontend: way.frontend, outbound, inbound };
}

/** The ports that probes come from begin here; a rule that tells them apart is hardly meant. */
const PROBE_PORT = 49152;

/** What denies a load balancer's probes of a backend: group and rule, in words; null: nothing. */
export function probeDenial(
  balancer: LoadBalancer,
  probe: Probe,
  backend: number,
  model: ResourceModel,
): string | null {
  const network = model.virtualNetworks.get(balancer.virtualNetwork);
  if (network === undefined) return null;
  const group = model.networkSecurityGroups.get(subnetOf(network, backend)?.networkSecurityGroup ?? '');
  if (group === undefined) return null;
  const rule = decidingRule(group, 'Inbound', networkSpace(network), {
    protocol: 'Tcp',
    sources: [probeSource],
    sourcePort: PROBE_PORT,
    destination: backend,
    destinationPort: probe.port,
  });
  return rule.access === 'Allow' ? null : `denied by rule '${rule.name}' of network security group '${group.name}'`;
}

/** Source ports that a rule for a few may tell apart: the ends of the usual range. */
const SOURCE_PORTS = [1024, 65023];

/** A warning for the first load-balancing rule of a service of which groups let nothing through: it would fail silently. */
export function checkDenied(service: PrivateLinkService, model: ResourceModel): Problem[] {
  const way = wayOf(service, model);
  const target = service.loadBalancerFrontend;
  const balancer = model.loadBalancers.get(target?.loadBalancer ?? '');
  if (way === null || balancer === undefined) return [];
  for (const rule of balancer.rules) {
    const { protocol } = rule;
    if (rule.frontend !== target?.frontend || protocol === 'All') continue;
    const backends = balancer.backendPools.get(rule.backendPool) ?? [];
    const denials = service.ipConfigurations.flatMap((nat) =>
      backends.flatMap((backend) =>
        SOURCE_PORTS.map((sourcePort) => {
          const flow = { protocol, sourcePort, destination: backend, destinationPort: rule.backendPort };
          return denial(way, nat, flow);
        }),
      ),
    );
    const [first] = denials;
    if (first === undefined || denials.includes(null)) continue;
    const what =
      `network security group '${first!.group}' denies what rule '${rule.name}' of load balancer '${balancer.name}' ` +
      `sends (${rule.protocol} to ${formatAddress(backends[0]!)}:${String(rule.backendPort)}), by its rule ` +
      `'${first!.rule.name}': new connections fail silently; allow them in a rule with a lower priority number`;
    return [warning('SERVICE_DENIED', what)];
  }
  return [];
}

function denial(
  way: Way,
  nat: number,
  flow: Omit<JudgedFlow, 'sources'>,
): { readonly group: string; readonly rule: SecurityRule } | null {
  const out = way.groupOf(nat);
  const into = way.groupOf(flow.destination);
  const sources = way.frontend === null ? [nat] : [nat, way.frontend];
  const asked = [
    out === undefined
      ? null
      : { group: out.name, rule: decidingRule(out, 'Outbound', way.space, { ...flow, sources: [nat] }) },
    into === undefined
      ? null
      : { group: into.name, rule: decidingRule(into, 'Inbound', way.space, { ...flow, sources }) },
  ];
  return asked.find((each) => each?.rule.access === 'Deny') ?? null;
}
