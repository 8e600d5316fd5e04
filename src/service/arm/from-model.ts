/**
 * A lab file's resources as documents: the other way of model.ts. Names become ids in the resource group `culvert` of
 * each resource's subscription; addresses of backends become network interfaces.
 */
import { formatAddress, formatCidr } from '../../wire/address.js';
import { subnetOf } from '../addresses.js';
import type {
  InterfaceConfiguration,
  LoadBalancer,
  NetworkSecurityGroup,
  PrivateEndpoint,
  PrivateLinkService,
  ResourceModel,
  VirtualNetwork,
} from '../resources.js';
import { backendConfiguration, backendId, backendKey, backendsOf, interfaceBeside } from './backends.js';
import { connectionType, resourceType } from './documents.js';
import type { ArmDocument, Draw } from './documents.js';
import { featureDocument, groupDocument } from './manage.js';
import { systemInterface } from './network-interface.js';
import { endpointConfiguration } from './private-endpoint.js';
import { newEtag, without, withoutNulls } from './request.js';
import { formatResourceId, keyOf, lastName } from './resource-id.js';
import type { DocumentType } from './resource-id.js';
import { deviceTag, hostTag, mtuTag, namespaceTag } from './tags.js';

/** Where resources of a lab file are. */
export const labGroup = 'culvert';

/** How a network is attached to the machine. */
interface Attachment {
  readonly namespace: string | null;
  readonly device: string;
  readonly mtu: number;
  readonly hosts: readonly number[];
}

class Writer {
  readonly documents: ArmDocument[] = [];
  readonly #model: ResourceModel;
  readonly #draw: Draw;
  /** Those that the lab file gives, by type and name. */
  readonly #ids = new Map<string, string>();

  constructor(model: ResourceModel, draw: Draw) {
    this.#model = model;
    this.#draw = draw;
    const sections = [
      ['virtualNetworks', model.virtualNetworks],
      ['networkSecurityGroups', model.networkSecurityGroups],
      ['loadBalancers', model.loadBalancers],
      ['networkInterfaces', model.networkInterfaces],
      ['privateLinkServices', model.privateLinkServices],
      ['privateEndpoints', model.privateEndpoints],
    ] as const;
    for (const [type, resources] of sections) {
      for (const { name, id } of resources.values()) if (id !== undefined) this.#ids.set(`${type}/${name}`, id);
    }
  }

  id(
    type: DocumentType,
    subscription: string,
    name: string,
    part: { type: string; name: string } | null = null,
  ): string {
    const own = this.#ids.get(`${type}/${name}`);
    if (own === undefined) return formatResourceId({ subscription, resourceGroup: labGroup, type, name, part });
    return part === null ? own : `${own}/${part.type}/${part.name}`;
  }

  #add(
    type: DocumentType,
    subscription: string,
    name: string,
    rest: Partial<ArmDocument> & { properties: object },
  ): ArmDocument {
    const id = rest.id ?? this.id(type, subscription, name);
    const document = {
      id,
      name: lastName(id),
      type: resourceType(type),
      etag: newEtag(this.#draw),
      ...rest,
      properties: { provisioningState: 'Succeeded', ...rest.properties },
    };
    this.documents.push(document);
    return document;
  }

  #networkOf(name: string): VirtualNetwork {
    return this.#model.virtualNetworks.get(name)!;
  }

  #subnetId(network: VirtualNetwork, subnet: string): { id: string } {
    return { id: this.id('virtualNetworks', network.subscription, network.name, { type: 'subnets', name: subnet }) };
  }

  /** An ipConfiguration's properties for an address of a network. */
  #at(network: VirtualNetwork, address: number): { privateIPAddress: string; subnet: { id: string } } & object {
    return {
      privateIPAddress: formatAddress(address),
      privateIPAllocationMethod: 'Static',
      privateIPAddressVersion: 'IPv4',
      subnet: this.#subnetId(network, subnetOf(network, address)?.name ?? ''),
    } as { privateIPAddress: string; subnet: { id: string } };
  }

  features(): void {
    for (const { name, features } of this.#model.subscriptions.values()) {
      for (const feature of features) {
        const [namespace = '', short = ''] = feature.split('/');
        const id = `/subscriptions/${name}/providers/Microsoft.Features/providers/${namespace}/features/${short}`;
        this.documents.push(featureDocument(id, 'Registered', this.#draw));
      }
    }
  }

  /** The groups of all that has been written. */
  groups(): void {
    const locations = new Map<string, { id: string; location: string }>();
    for (const { id, location } of this.documents) {
      if (location === undefined) continue;
      const group = id.split('/').slice(0, 5).join('/');
      if (!locations.has(keyOf(group))) locations.set(keyOf(group), { id: group, location });
    }
    for (const { id, location } of locations.values()) {
      this.documents.push(groupDocument(id, { location }, this.#draw));
    }
  }

  network(network: VirtualNetwork, attachment: Attachment | undefined): void {
    const id = this.id('virtualNetworks', network.subscription, network.name);
    const blocks = network.addressSpace.flatMap((block) => (block === null ? [] : [formatCidr(block)]));
    this.#add('virtualNetworks', network.subscription, network.name, {
      location: network.location,
      ...(attachment === undefined ? {} : { tags: tagsOf(attachment) }),
      properties: {
        resourceGuid: this.#draw.guid(),
        addressSpace: { addressPrefixes: blocks },
        subnets: [...network.subnets.values()].map((subnet) => ({
          name: subnet.name,
          id: `${id}/subnets/${subnet.name}`,
          type: resourceType('virtualNetworks/subnets' as DocumentType),
          properties: {
            provisioningState: 'Succeeded',
            addressPrefix: subnet.addressPrefix === null ? '' : formatCidr(subnet.addressPrefix),
            privateLinkServiceNetworkPolicies: subnet.privateLinkServiceNetworkPolicies,
            privateEndpointNetworkPolicies: 'Disabled',
            ...(subnet.networkSecurityGroup === null
              ? {}
              : {
                  networkSecurityGroup: {
                    id: this.id('networkSecurityGroups', network.subscription, subnet.networkSecurityGroup),
                  },
                }),
          },
        })),
      },
    });
  }

  /** A group without an id has no subscription: it goes to each one whose networks name it. */
  securityGroups(): void {
    for (const network of this.#model.virtualNetworks.values()) {
      for (const { networkSecurityGroup: name } of network.subnets.values()) {
        const group = this.#model.networkSecurityGroups.get(name ?? '');
        if (group !== undefined) this.#securityGroup(group, network.subscription, network.location);
      }
    }
    const { location = 'local' } = [...this.#model.virtualNetworks.values()][0] ?? {};
    for (const group of this.#model.networkSecurityGroups.values()) {
      if (group.id !== undefined) this.#securityGroup(group, '', location);
    }
  }

  #securityGroup(group: NetworkSecurityGroup, subscription: string, location: string): void {
    const id = this.id('networkSecurityGroups', subscription, group.name);
    if (this.documents.some((each) => each.id === id)) return;
    this.#add('networkSecurityGroups', subscription, group.name, {
      location,
      properties: {
        securityRules: group.securityRules.map((rule) => ({
          name: rule.name,
          id: `${id}/securityRules/${rule.name}`,
          properties: { provisioningState: 'Succeeded', ...without(rule, 'name') },
        })),
      },
    });
  }

  balancer(balancer: LoadBalancer): void {
    const network = this.#networkOf(balancer.virtualNetwork);
    const { subscription, location } = network;
    const part = (type: string, name: string): { id: string } => ({
      id: this.id('loadBalancers', subscription, balancer.name, { type, name }),
    });
    const parts = <T>(type: string, items: Iterable<readonly [string, T]>, properties: (item: T) => object): object[] =>
      [...items].map(([name, item]) => ({
        name,
        ...part(type, name),
        properties: { provisioningState: 'Succeeded', ...properties(item) },
      }));
    this.#add('loadBalancers', subscription, balancer.name, {
      location,
      sku: { name: balancer.sku },
      properties: {
        frontendIPConfigurations: parts('frontendIPConfigurations', balancer.frontends, (address) =>
          this.#at(network, address),
        ),
        backendAddressPools: parts('backendAddressPools', balancer.backendPools, () => ({})),
        probes: parts('probes', balancer.probes, (probe) => ({
          ...without(withoutNulls(probe) as typeof probe, 'name'),
        })),
        loadBalancingRules: parts(
          'loadBalancingRules',
          balancer.rules.map((rule) => [rule.name, rule] as const),
          (rule) => ({
            ...without(rule, 'name', 'frontend', 'backendPool', 'probe'),
            frontendIPConfiguration: part('frontendIPConfigurations', rule.frontend),
            backendAddressPool: part('backendAddressPools', rule.backendPool),
            ...(rule.probe === null ? {} : { probe: part('probes', rule.probe) }),
          }),
        ),
      },
    });
  }

  /** Those of the model, and one for each other backend address of a network; each in all the pools that have it. */
  interfaces(): void {
    const backends = backendsOf(this.#model, (balancer, name) => {
      const { subscription } = this.#networkOf(balancer.virtualNetwork);
      return this.id('loadBalancers', subscription, balancer.name, { type: 'backendAddressPools', name });
    });
    const ids = new Set<string>();
    for (const { name, subscription, ipConfigurations } of this.#model.networkInterfaces.values()) {
      const id = this.id('networkInterfaces', subscription, name);
      ids.add(keyOf(id));
      this.#interface(id, ipConfigurations, backends);
    }
    const name = backendConfiguration;
    for (const { network, address } of backends.values()) {
      const usual = backendId(this.id('virtualNetworks', network.subscription, network.name), formatAddress(address));
      let id = usual;
      for (let n = 2; ids.has(keyOf(id)); n++) id = `${usual}-${String(n)}`;
      this.#interface(id, [{ name, primary: true, virtualNetwork: network.name, address }], backends);
    }
  }

  /** @param backends those that the interface has leave them */
  #interface(
    id: string,
    configurations: readonly Pick<InterfaceConfiguration, 'name' | 'primary' | 'virtualNetwork' | 'address'>[],
    backends: Map<string, { readonly pools: readonly { id: string }[] }>,
  ): void {
    const ipConfigurations = configurations.map(({ name, primary, virtualNetwork, address }) => {
      const key = backendKey(virtualNetwork, address);
      const backend = backends.get(key);
      backends.delete(key);
      const pools = backend === undefined ? {} : { loadBalancerBackendAddressPools: backend.pools };
      const properties = { ...this.#at(this.#networkOf(virtualNetwork), address), primary, ...pools };
      return { name, id: `${id}/ipConfigurations/${name}`, properties };
    });
    const { location } = this.#networkOf(configurations[0]!.virtualNetwork);
    this.#add('networkInterfaces', '', '', { id, location, properties: { ipConfigurations } });
  }

  service(service: PrivateLinkService): void {
    const network = this.#networkOf(service.virtualNetwork);
    const { subscription, location, name, loadBalancerFrontend: frontend, proxy } = service;
    const id = this.id('privateLinkServices', subscription, name);
    const balancer = this.#model.loadBalancers.get(frontend?.loadBalancer ?? '');
    const configurations = service.ipConfigurations.map((address, index) => {
      const configuration = `nat-${String(index + 1)}`;
      return {
        name: configuration,
        id: `${id}/ipConfigurations/${configuration}`,
        properties: { provisioningState: 'Succeeded', ...this.#at(network, address), primary: index === 0 },
      };
    });
    const nic = interfaceBeside(id, `${lastName(id)}.nic.${this.#draw.guid()}`);
    const target =
      frontend === null
        ? { destinationIPAddress: formatAddress(service.destinationIPAddress ?? 0) }
        : {
            loadBalancerFrontendIpConfigurations: [
              {
                id: this.id(
                  'loadBalancers',
                  this.#networkOf(balancer!.virtualNetwork).subscription,
                  frontend.loadBalancer,
                  {
                    type: 'frontendIPConfigurations',
                    name: frontend.frontend,
                  },
                ),
              },
            ],
          };
    const document = this.#add('privateLinkServices', subscription, name, {
      location,
      properties: {
        alias: service.alias,
        ...target,
        ipConfigurations: configurations,
        enableProxyProtocol: proxy !== null,
        ...(proxy === null || proxy.dialect === 'azure' ? {} : { proxyProtocol: sectionOf(proxy) }),
        visibility: { subscriptions: service.visibility },
        autoApproval: { subscriptions: service.autoApproval },
        roleAssignments: service.roleAssignments,
        idleTimeoutInSeconds: service.idleTimeoutInSeconds,
        ...(service.bandwidthInMbps === undefined ? {} : { bandwidthInMbps: service.bandwidthInMbps }),
        fqdns: [],
        networkInterfaces: [{ id: nic }],
      },
    });
    const own = configurations.map((each) => ({
      name: each.name,
      address: each.properties.privateIPAddress,
      subnet: each.properties.subnet.id,
    }));
    this.documents.push(systemInterface(document, 'privateLinkService', nic, own, this.#draw));
  }

  endpoint(endpoint: PrivateEndpoint): void {
    const network = this.#networkOf(endpoint.virtualNetwork);
    const service = this.#model.privateLinkServices.get(endpoint.privateLinkService)!;
    const serviceId = this.id('privateLinkServices', service.subscription, service.name);
    const { subscription, location, name } = endpoint;
    const subnet = this.#subnetId(network, endpoint.subnet);
    const id = this.id('privateEndpoints', subscription, name);
    const nic = interfaceBeside(id, `${lastName(id)}.nic.${this.#draw.guid()}`);
    const list = 'privateLinkServiceConnections';
    const document = this.#add('privateEndpoints', subscription, name, {
      location,
      properties: {
        subnet,
        [list]: [
          {
            name,
            id: `${id}/${list}/${name}`,
            properties: { provisioningState: 'Succeeded', privateLinkServiceId: serviceId },
          },
        ],
        networkInterfaces: [{ id: nic }],
      },
    });
    const own = { name: endpointConfiguration, address: formatAddress(endpoint.address), subnet: subnet.id };
    this.documents.push(systemInterface(document, 'privateEndpoint', nic, [own], this.#draw));
    if (endpoint.status === 'Disconnected') return;
    const connection = `${lastName(id)}.${this.#draw.guid()}`;
    this.documents.push({
      id: `${serviceId}/privateEndpointConnections/${connection}`,
      name: connection,
      type: connectionType,
      etag: newEtag(this.#draw),
      properties: {
        provisioningState: 'Succeeded',
        privateEndpoint: { id: document.id },
        privateEndpointLocation: location,
        linkIdentifier: String(endpoint.linkIdentifier),
        privateLinkServiceConnectionState: { status: endpoint.status, description: '', actionsRequired: 'None' },
      },
    });
  }
}

const tagsOf = ({ namespace, device, mtu, hosts }: Attachment): Record<string, string> => ({
  ...(namespace === null ? {} : { [namespaceTag]: namespace }),
  [deviceTag]: device,
  [mtuTag]: String(mtu),
  ...(hosts.length === 0 ? {} : { [hostTag]: hosts.map(formatAddress).join(',') }),
});

const sectionOf = (proxy: NonNullable<PrivateLinkService['proxy']>): object =>
  proxy.dialect === 'custom'
    ? { ...proxy, tlvs: proxy.tlvs.map(({ type, value }) => ({ type, hex: Buffer.from(value).toString('hex') })) }
    : proxy;

/** All documents of a model without mistakes. */
export function documentsOf(
  model: ResourceModel,
  attachments: ReadonlyMap<string, Attachment>,
  draw: Draw,
): readonly ArmDocument[] {
  const writer = new Writer(model, draw);
  writer.features();
  writer.securityGroups();
  for (const network of model.virtualNetworks.values()) writer.network(network, attachments.get(network.name));
  for (const balancer of model.loadBalancers.values()) writer.balancer(balancer);
  writer.interfaces();
  for (const service of model.privateLinkServices.values()) writer.service(service);
  for (const endpoint of model.privateEndpoints.values()) writer.endpoint(endpoint);
  writer.groups();
  return writer.documents;
}
