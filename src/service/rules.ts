/** Runs the rules of the service model over all resources, whether a lab file declares them or the management interface holds them. */
import { AddressBook, addressInUse, checkInSubnet } from './addresses.js';
import { checkAliasPrefix, parseAlias } from './alias.js';
import {
  checkBandwidth,
  checkDestination,
  checkDirectConnectFeature,
  checkDirectConnectLocation,
  checkDirectConnectProxy,
} from './direct-connect.js';
import { checkServiceIdle } from './idle.js';
import {
  firstBeyond,
  maxDirectConnectServices,
  maxEndpointsPerNetwork,
  maxEndpointsPerService,
  maxServicesPerLoadBalancer,
  maxServicesPerSubscription,
} from './limits.js';
import { checkLoadBalancer } from './load-balancer.js';
import { checkNetworkInterface } from './network-interface.js';
import { checkNetworkSecurityGroup } from './network-security-group.js';
import { checkNatIpCount, checkNatIpPlaces } from './nat-ips.js';
import { checkFrontend, checkFrontendNetwork, checkTarget, frontendInUse } from './private-link-service.js';
import { error, under } from './problem.js';
import type { ProblemSink, RuleCode } from './problem.js';
import { mixedProxy } from './proxy-protocol.js';
import type { PrivateEndpoint, PrivateLinkService, ResourceModel } from './resources.js';
import { checkDenied } from './service-security.js';
import { checkVirtualNetwork } from './virtual-network.js';
import { checkRequest, checkVisibility } from './visibility.js';

function checkService(service: PrivateLinkService, model: ResourceModel, findings: ProblemSink): void {
  const at = ['privateLinkServices', service.name];
  const network = model.virtualNetworks.get(service.virtualNetwork);
  const directConnect = service.destinationIPAddress !== null && service.loadBalancerFrontend === null;
  findings.add(at, checkAliasPrefix(parseAlias(service.alias)?.prefix ?? service.name));
  findings.add(at, checkTarget(service));
  findings.add(at, checkBandwidth(service));
  findings.add(at, checkNatIpCount(service.ipConfigurations.length, directConnect));
  if (network !== undefined) {
    findings.add(at, checkNatIpPlaces(service, network));
    findings.add(at, checkVisibility(service));
  }
  findings.add([...at, 'idleTimeoutInSeconds'], checkServiceIdle(service.idleTimeoutInSeconds));
  const balancer = model.loadBalancers.get(service.loadBalancerFrontend?.loadBalancer ?? '');
  if (balancer?.frontends.has(service.loadBalancerFrontend?.frontend ?? '') === true) {
    findings.add(at, checkFrontend(service, balancer));
    if (network !== undefined && model.virtualNetworks.has(balancer.virtualNetwork)) {
      findings.add(at, checkFrontendNetwork(service, balancer));
    }
  }
  findings.add(at, checkDenied(service, model));
  if (directConnect) {
    const subscription = model.subscriptions.get(service.subscription);
    findings.add(at, checkDestination(service, model.privateEndpoints.values()));
    findings.add(at, checkDirectConnectProxy(service));
    if (subscription !== undefined) findings.add(at, checkDirectConnectFeature(subscription));
  }
}

function checkEndpoint(endpoint: PrivateEndpoint, model: ResourceModel, findings: ProblemSink): void {
  const at = ['privateEndpoints', endpoint.name];
  const network = model.virtualNetworks.get(endpoint.virtualNetwork);
  const subnet = network?.subnets.get(endpoint.subnet);
  const service = model.privateLinkServices.get(endpoint.privateLinkService);
  if (subnet !== undefined) findings.add([...at, 'address'], checkInSubnet(endpoint.address, subnet));
  if (service === undefined || network === undefined) return;
  if (model.subscriptions.has(endpoint.subscription) && !endpoint.outsideVisibility) {
    findings.add([...at, 'privateLinkService'], checkRequest(service, endpoint.subscription));
  }
  findings.add([...at, 'privateLinkService'], checkDirectConnectLocation(service, endpoint));
}

const placeOf = (network: string, address: number): string => `${String(address)} ${network}`;

/** Where interfaces are: a backend there is that interface. */
const interfacePlaces = ({ networkInterfaces }: ResourceModel): ReadonlySet<string> =>
  new Set(
    [...networkInterfaces.values()].flatMap(({ ipConfigurations }) =>
      ipConfigurations.map(({ virtualNetwork, address }) => placeOf(virtualNetwork, address)),
    ),
  );

/** One address, one use in each network; backends of several pools are one use. */
function checkAddressUse(model: ResourceModel, interfaces: ReadonlySet<string>, findings: ProblemSink): void {
  const book = new AddressBook();
  const claim = (network: string, address: number, owner: string, path: readonly (string | number)[]): void => {
    if (!model.virtualNetworks.has(network)) return;
    const before = book.claim(network, address, owner);
    if (before !== null) findings.add(path, [addressInUse(address, network, before)]);
  };
  for (const nic of model.networkInterfaces.values()) {
    nic.ipConfigurations.forEach(({ name, virtualNetwork, address }, index) => {
      const owner = `ipConfiguration '${name}' of network interface '${nic.name}'`;
      claim(virtualNetwork, address, owner, ['networkInterfaces', nic.name, 'ipConfigurations', index, 'address']);
    });
  }
  for (const balancer of model.loadBalancers.values()) {
    const at = ['loadBalancers', balancer.name];
    for (const [name, address] of balancer.frontends) {
      const owner = `frontend '${name}' of load balancer '${balancer.name}'`;
      claim(balancer.virtualNetwork, address, owner, [...at, 'frontends', name]);
    }
    for (const [name, backends] of balancer.backendPools) {
      backends.forEach((address, index) => {
        if (interfaces.has(placeOf(balancer.virtualNetwork, address))) return;
        claim(balancer.virtualNetwork, address, 'a backend', [...at, 'backendPools', name, index]);
      });
    }
  }
  for (const service of model.privateLinkServices.values()) {
    service.ipConfigurations.forEach((address, index) => {
      const path = ['privateLinkServices', service.name, 'ipConfigurations', index];
      claim(service.virtualNetwork, address, `a NAT address of private link service '${service.name}'`, path);
    });
  }
  for (const endpoint of model.privateEndpoints.values()) {
    const path = ['privateEndpoints', endpoint.name, 'address'];
    claim(endpoint.virtualNetwork, endpoint.address, `private endpoint '${endpoint.name}'`, path);
  }
}

const balancerOf = (service: PrivateLinkService): string | null => service.loadBalancerFrontend?.loadBalancer ?? null;

/** One service for each frontend; PROXY on all services of a load balancer or on none. */
function checkSharing(model: ResourceModel, findings: ProblemSink): void {
  const frontendOwners = new Map<string, string>();
  const byBalancer = new Map<string, PrivateLinkService[]>();
  for (const service of model.privateLinkServices.values()) {
    const target = service.loadBalancerFrontend;
    if (target === null || !model.loadBalancers.has(target.loadBalancer)) continue;
    const frontend = `${target.loadBalancer}/${target.frontend}`;
    const owner = frontendOwners.get(frontend);
    if (owner === undefined) frontendOwners.set(frontend, service.name);
    else findings.add(['privateLinkServices', service.name], [frontendInUse(frontend, owner)]);
    byBalancer.set(target.loadBalancer, [...(byBalancer.get(target.loadBalancer) ?? []), service]);
  }
  for (const [name, services] of byBalancer) {
    const mixed = mixedProxy(name, services);
    if (mixed !== null)
      findings.add(['privateLinkServices', mixed.service.name, 'enableProxyProtocol'], [mixed.problem]);
  }
}

function checkLimits(model: ResourceModel, findings: ProblemSink): void {
  const check = <T extends PrivateEndpoint | PrivateLinkService>(
    section: 'privateEndpoints' | 'privateLinkServices',
    code: RuleCode,
    limit: number,
    items: Iterable<T>,
    keyOf: (item: T) => string | null,
    what: (key: string) => string,
  ): void => {
    for (const { item, key, count } of firstBeyond(items, limit, keyOf)) {
      const message = `${what(key)} has ${String(count)}; at most ${String(limit)} are allowed, and this is the first beyond`;
      findings.add([section, item.name], [error(code, message)]);
    }
  };
  const services = [...model.privateLinkServices.values()];
  const endpoints = [...model.privateEndpoints.values()];
  const location = (service: PrivateLinkService): string => `'${service.subscription}' in '${service.location}'`;
  check(
    'privateLinkServices',
    'LOAD_BALANCER_SERVICE_LIMIT',
    maxServicesPerLoadBalancer,
    services,
    balancerOf,
    (key) => {
      return `number of private link services: load balancer '${key}'`;
    },
  );
  check(
    'privateLinkServices',
    'DIRECT_CONNECT_LIMIT',
    maxDirectConnectServices,
    services,
    (service) => (service.destinationIPAddress === null ? null : location(service)),
    (key) => `number of Direct Connect services: subscription ${key}`,
  );
  check(
    'privateLinkServices',
    'SUBSCRIPTION_SERVICE_LIMIT',
    maxServicesPerSubscription,
    services,
    (service) => service.subscription,
    (key) => `number of private link services: subscription '${key}'`,
  );
  check(
    'privateEndpoints',
    'SERVICE_ENDPOINT_LIMIT',
    maxEndpointsPerService,
    endpoints,
    (endpoint) => endpoint.privateLinkService,
    (key) => `number of private endpoints: private link service '${key}'`,
  );
  check(
    'privateEndpoints',
    'NETWORK_ENDPOINT_LIMIT',
    maxEndpointsPerNetwork,
    endpoints,
    (endpoint) => endpoint.virtualNetwork,
    (key) => `number of private endpoints: virtual network '${key}'`,
  );
}

export function checkModel(model: ResourceModel, findings: ProblemSink): void {
  const interfaces = interfacePlaces(model);
  for (const group of model.networkSecurityGroups.values()) {
    findings.add(['networkSecurityGroups', group.name], checkNetworkSecurityGroup(group));
  }
  for (const network of model.virtualNetworks.values()) {
    findings.add(['virtualNetworks', network.name], checkVirtualNetwork(network));
  }
  for (const balancer of model.loadBalancers.values()) {
    const network = balancer.virtualNetwork;
    const isInterface = (address: number): boolean => interfaces.has(placeOf(network, address));
    const problems = checkLoadBalancer(balancer, model.virtualNetworks.get(network), isInterface);
    findings.add([], under(['loadBalancers', balancer.name], problems));
  }
  for (const nic of model.networkInterfaces.values()) {
    findings.add(['networkInterfaces', nic.name], checkNetworkInterface(nic, model));
  }
  for (const service of model.privateLinkServices.values()) checkService(service, model, findings);
  for (const endpoint of model.privateEndpoints.values()) checkEndpoint(endpoint, model, findings);
  checkAddressUse(model, interfaces, findings);
  checkSharing(model, findings);
  checkLimits(model, findings);
}
