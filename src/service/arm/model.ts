/**
 * Documents to the resources that the rules judge and the translator is compiled from: the same model as a lab file's,
 * with ids in lower case in the place of names.
 */
import { parseAddress, parseCidr } from '../../wire/address.js';
import { checkAddressText, checkCidrText } from '../addresses.js';
import { defaultRuleIdleMinutes, defaultServiceIdleSeconds } from '../idle.js';
import type { FindingSink } from '../problem.js';
import { resolveProxy } from '../proxy-section.js';
import type {
  LoadBalancer,
  NetworkInterface,
  NetworkSecurityGroup,
  PrivateEndpoint,
  PrivateLinkService,
  ResourceModel,
  Subscription,
  VirtualNetwork,
} from '../resources.js';
import { prefixOf } from './addresses.js';
import { allOf, featureType, plainLocation } from './documents.js';
import type { ArmDocument, Connection, Documents } from './documents.js';
import { isSystemInterface } from './network-interface.js';
import { rulesOf } from './network-security-group.js';
import { statusOf } from './private-link-service.js';
import { documentKey, keyOf, lastName, parseResourceId } from './resource-id.js';
import * as enumerations from './shapes.js';
import { spelled } from './shapes.js';
import type { Shapes } from './shapes.js';

type Typed<T extends keyof Shapes> = ArmDocument<Shapes[T]>;

const subscriptionOf = (id: string): string => id.split('/')[2]?.toLowerCase() ?? '';

const keyOfParent = (id: string | undefined): string => {
  const parsed = parseResourceId(id ?? '');
  return parsed === null ? '' : documentKey(parsed);
};

const mapOf = <T extends { readonly name: string }>(items: readonly T[]): Map<string, T> =>
  new Map(items.map((item) => [item.name, item]));

function subscriptionsOf(documents: Documents): Map<string, Subscription> {
  const features = new Map<string, string[]>();
  for (const document of documents.values()) {
    const name = subscriptionOf(document.id);
    const list = features.get(name) ?? [];
    features.set(name, list);
    if (document.type === featureType && document.properties['state'] === 'Registered') list.push(document.name);
  }
  return mapOf([...features].map(([name, list]) => ({ name, features: list })));
}

function networkOf(document: Typed<'virtualNetworks'>, findings: FindingSink): VirtualNetwork {
  const name = keyOf(document.id);
  const at = ['virtualNetworks', name];
  const { addressSpace, subnets } = document.properties;
  const cidr = (text: string, path: readonly (string | number)[]): ReturnType<typeof parseCidr> => {
    findings.add(path, checkCidrText(text));
    return parseCidr(text);
  };
  return {
    name,
    subscription: subscriptionOf(document.id),
    location: plainLocation(document.location ?? ''),
    addressSpace: addressSpace.addressPrefixes.map((text, index) => cidr(text, [...at, 'addressSpace', index])),
    subnets: mapOf(
      (subnets ?? []).map((subnet) => ({
        name: keyOf(subnet.name),
        addressPrefix: cidr(prefixOf(subnet.properties), [...at, 'subnets', subnet.name]),
        privateLinkServiceNetworkPolicies: spelled(
          enumerations.networkPolicies,
          subnet.properties.privateLinkServiceNetworkPolicies,
          'Enabled',
        ),
        networkSecurityGroup: keyOf(subnet.properties.networkSecurityGroup?.id ?? '') || null,
      })),
    ),
  };
}

/** Azure has each list twice: as a list, and as a property for one value. */
const several = (list: readonly string[] | undefined, one: string | undefined): readonly string[] =>
  list !== undefined && list.length > 0 ? list : [one ?? '*'];

const groupOf = (document: Typed<'networkSecurityGroups'>): NetworkSecurityGroup => ({
  name: keyOf(document.id),
  securityRules: rulesOf(document).map(({ name, properties: p }) => ({
    name,
    priority: p.priority,
    direction: spelled(enumerations.directions, p.direction, 'Inbound'),
    access: spelled(enumerations.accesses, p.access, 'Deny'),
    protocol: spelled(enumerations.securityProtocols, p.protocol, '*'),
    sourceAddressPrefixes: several(p.sourceAddressPrefixes, p.sourceAddressPrefix),
    sourcePortRanges: several(p.sourcePortRanges, p.sourcePortRange),
    destinationAddressPrefixes: several(p.destinationAddressPrefixes, p.destinationAddressPrefix),
    destinationPortRanges: several(p.destinationPortRanges, p.destinationPortRange),
  })),
});

const interfaceOf = ({ id, properties }: Typed<'networkInterfaces'>): NetworkInterface => ({
  name: keyOf(id),
  subscription: subscriptionOf(id),
  ipConfigurations: properties.ipConfigurations.map(({ name, properties: p }) => ({
    name: keyOf(name),
    virtualNetwork: keyOfParent(p.subnet.id),
    subnet: keyOf(lastName(p.subnet.id)),
    address: parseAddress(p.privateIPAddress ?? ''),
    primary: p.primary === true,
    loadBalancers: (p.loadBalancerBackendAddressPools ?? []).map((pool) => keyOfParent(pool.id)),
  })),
});

/** Addresses of the interfaces in each backend pool, by the pool's key. */
function poolMembers(documents: Documents): Map<string, number[]> {
  const members = new Map<string, number[]>();
  for (const nic of allOf(documents, 'networkInterfaces')) {
    for (const { properties } of nic.properties.ipConfigurations) {
      for (const pool of properties.loadBalancerBackendAddressPools ?? []) {
        const list = members.get(keyOf(pool.id)) ?? [];
        list.push(parseAddress(properties.privateIPAddress ?? ''));
        members.set(keyOf(pool.id), list);
      }
    }
  }
  return members;
}

function balancerOf(document: Typed<'loadBalancers'>, members: ReadonlyMap<string, readonly number[]>): LoadBalancer {
  const name = keyOf(document.id);
  const { frontendIPConfigurations: frontends = [], backendAddressPools: pools = [] } = document.properties;
  const { probes = [], loadBalancingRules: rules = [] } = document.properties;
  return {
    name,
    virtualNetwork: keyOfParent(frontends[0]?.properties.subnet?.id),
    sku: spelled(enumerations.skus, document.sku?.name, 'Standard'),
    frontends: new Map(
      frontends.map((each) => [keyOf(each.name), parseAddress(each.properties.privateIPAddress ?? '')]),
    ),
    backendPools: new Map(
      pools.map((pool) => [
        keyOf(pool.name),
        [
          ...(members.get(`${name}/backendaddresspools/${keyOf(pool.name)}`) ?? []),
          ...(pool.properties.loadBalancerBackendAddresses ?? []).flatMap(({ properties: { ipAddress } }) =>
            ipAddress === undefined ? [] : [parseAddress(ipAddress)],
          ),
        ],
      ]),
    ),
    probes: mapOf(
      probes.map(({ name: probe, properties: p }) => ({
        name: keyOf(probe),
        protocol: spelled(enumerations.probeProtocols, p.protocol, 'Tcp'),
        port: p.port,
        requestPath: p.requestPath ?? null,
        intervalInSeconds: p.intervalInSeconds ?? 15,
        numberOfProbes: p.numberOfProbes ?? 2,
        probeThreshold: p.probeThreshold ?? null,
        noHealthyBackendsBehavior: spelled(enumerations.probeBehaviours, p.noHealthyBackendsBehavior, 'AllProbedDown'),
      })),
    ),
    rules: rules.map(({ name: rule, properties: p }) => ({
      name: rule,
      frontend: keyOf(lastName(p.frontendIPConfiguration.id)),
      protocol: spelled(enumerations.ruleProtocols, p.protocol, 'Tcp'),
      frontendPort: p.frontendPort,
      backendPool: keyOf(lastName(p.backendAddressPool?.id ?? p.backendAddressPools?.[0]?.id ?? '')),
      backendPort: p.backendPort,
      loadDistribution: spelled(enumerations.distributions, p.loadDistribution, 'Default'),
      idleTimeoutInMinutes: p.idleTimeoutInMinutes ?? defaultRuleIdleMinutes,
      enableTcpReset: p.enableTcpReset ?? false,
      probe: p.probe === undefined ? null : keyOf(lastName(p.probe.id)),
    })),
  };
}

/** Who may ask for a connection, and whose request is granted at once. */
export const audienceOf = (
  service: Typed<'privateLinkServices'>,
): Pick<PrivateLinkService, 'subscription' | 'visibility' | 'autoApproval' | 'roleAssignments'> => {
  const { visibility, autoApproval, roleAssignments } = service.properties;
  return {
    subscription: subscriptionOf(service.id),
    visibility: (visibility?.subscriptions ?? []).map(keyOf),
    autoApproval: (autoApproval?.subscriptions ?? []).map(keyOf),
    roleAssignments: (roleAssignments ?? []).map(keyOf),
  };
};

function serviceOf(document: Typed<'privateLinkServices'>, findings: FindingSink): PrivateLinkService {
  const name = keyOf(document.id);
  const at = ['privateLinkServices', name];
  const p = document.properties;
  const configurations = p.ipConfigurations ?? [];
  const primaryFirst = [
    ...configurations.filter((each) => each.properties.primary === true),
    ...configurations.filter((each) => each.properties.primary !== true),
  ];
  const frontend = parseResourceId(p.loadBalancerFrontendIpConfigurations?.[0]?.id ?? '');
  const proxyProtocol = {
    ...p.proxyProtocol,
    dialect: spelled(['azure', 'aws', 'gcp', 'custom'], p.proxyProtocol?.dialect, 'azure'),
  };
  if (p.destinationIPAddress !== undefined) {
    findings.add([...at, 'destinationIPAddress'], checkAddressText(p.destinationIPAddress));
  }
  return {
    name,
    alias: p.alias ?? '',
    ...audienceOf(document),
    location: plainLocation(document.location ?? ''),
    virtualNetwork: keyOfParent(configurations[0]?.properties.subnet.id),
    ipConfigurations: primaryFirst.map((each) => parseAddress(each.properties.privateIPAddress ?? '')),
    loadBalancerFrontend:
      frontend === null ? null : { loadBalancer: documentKey(frontend), frontend: keyOf(frontend.part?.name ?? '') },
    destinationIPAddress: p.destinationIPAddress === undefined ? null : parseAddress(p.destinationIPAddress),
    proxy: resolveProxy({ enableProxyProtocol: p.enableProxyProtocol ?? false, proxyProtocol }, at, findings),
    idleTimeoutInSeconds: p.idleTimeoutInSeconds ?? defaultServiceIdleSeconds,
    ...(p.bandwidthInMbps === undefined ? {} : { bandwidthInMbps: p.bandwidthInMbps }),
  };
}

function endpointOf(
  document: Typed<'privateEndpoints'>,
  connection: Connection | undefined,
  address: number,
): PrivateEndpoint {
  const name = keyOf(document.id);
  const subnet = parseResourceId(document.properties.subnet.id);
  return {
    name,
    subscription: subscriptionOf(document.id),
    location: plainLocation(document.location ?? ''),
    virtualNetwork: keyOfParent(document.properties.subnet.id),
    subnet: keyOf(subnet?.part?.name ?? ''),
    address,
    // A connection that its provider ended leads to no service, not even to one that has the old one's name.
    privateLinkService: connection === undefined ? `none of ${name}` : keyOfParent(connection.id),
    status: connection === undefined ? 'Disconnected' : statusOf(connection),
    linkIdentifier: Number(connection?.properties.linkIdentifier ?? 0),
    // Who may ask was decided when it did: a list that shrinks later ends no connection.
    outsideVisibility: true,
  };
}

export function modelOf(documents: Documents, findings: FindingSink): ResourceModel {
  const members = poolMembers(documents);
  const connections = new Map(
    allOf(documents, 'privateLinkServices/privateEndpointConnections').map((each) => [
      keyOf(each.properties.privateEndpoint?.id ?? ''),
      each,
    ]),
  );
  const addresses = new Map(
    allOf(documents, 'networkInterfaces').map((nic) => [
      keyOf(nic.id),
      parseAddress(nic.properties.ipConfigurations[0]?.properties.privateIPAddress ?? ''),
    ]),
  );
  return {
    subscriptions: subscriptionsOf(documents),
    virtualNetworks: mapOf(allOf(documents, 'virtualNetworks').map((each) => networkOf(each, findings))),
    networkSecurityGroups: mapOf(allOf(documents, 'networkSecurityGroups').map(groupOf)),
    loadBalancers: mapOf(allOf(documents, 'loadBalancers').map((each) => balancerOf(each, members))),
    networkInterfaces: mapOf(
      allOf(documents, 'networkInterfaces')
        .filter((nic) => !isSystemInterface(nic))
        .map(interfaceOf),
    ),
    privateLinkServices: mapOf(allOf(documents, 'privateLinkServices').map((each) => serviceOf(each, findings))),
    privateEndpoints: mapOf(
      allOf(documents, 'privateEndpoints').map((each) =>
        endpointOf(
          each,
          connections.get(keyOf(each.id)),
          addresses.get(keyOf(each.properties.networkInterfaces?.[0]?.id ?? '')) ?? -1,
        ),
      ),
    ),
  };
}
