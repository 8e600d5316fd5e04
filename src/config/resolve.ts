/**
 * Shape to resources: texts become addresses, references are looked up, defaults that depend on other values are filled
 * in. What cannot be read becomes -1 or stays a dangling name (see service/resources.ts) and is reported once, here.
 */
import { checkAddressText, checkCidrText } from '../service/addresses.js';
import { createAlias, parseAlias } from '../service/alias.js';
import { keyOf, parseResourceId } from '../service/arm/resource-id.js';
import type { DocumentType } from '../service/arm/resource-id.js';
import { checkLinkIdentifier, drawLinkIdentifier, linkIdentifierInUse } from '../service/link-identifier.js';
import { warning } from '../service/problem.js';
import type { PropertyPath } from '../service/problem.js';
import type {
  LoadBalancer,
  LoadBalancingRule,
  NetworkInterface,
  NetworkSecurityGroup,
  PrivateEndpoint,
  PrivateLinkService,
  Probe,
  ResourceModel,
  Subnet,
  Subscription,
  VirtualNetwork,
} from '../service/resources.js';
import { labSections } from '../service/lab-sections.js';
import { resolveProxy } from '../service/proxy-section.js';
import { initialStatus } from '../service/visibility.js';
import { looksLikeIpv6, parseAddress, parseCidr } from '../wire/address.js';
import type { Cidr } from '../wire/address.js';
import type { Findings } from './findings.js';
import { References } from './references.js';
import { resolveSecurityGroup } from './security.js';
import type { LabShape, ServiceShape } from './schema.js';

const mapOf = <T, U>(record: Readonly<Record<string, T>>, make: (name: string, value: T) => U): Map<string, U> =>
  new Map(Object.entries(record).map(([name, value]) => [name, make(name, value)]));

/** A subscription that is in no list is known by its id. */
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

class Resolver {
  readonly #shape: LabShape;
  readonly #findings: Findings;
  readonly #seed: number;
  readonly #references: References;
  readonly #ids = new Map<string, string>();
  readonly #aliases = new Set<string>();
  /** Load balancers with an ipConfiguration in a pool, by `interface/ipConfiguration`. */
  readonly #balancersOf = new Map<string, string[]>();

  constructor(shape: LabShape, findings: Findings) {
    this.#shape = shape;
    this.#findings = findings;
    this.#seed = shape.translation.seed;
    this.#references = new References(shape, findings);
  }

  /** An id that the file gives, with the subscription in it. */
  #id(
    section: DocumentType,
    name: string,
    text: string | undefined,
  ): { readonly id?: string; readonly subscription?: string } {
    if (text === undefined) return {};
    const path = [section, name, 'id'];
    const id = parseResourceId(text);
    if (id?.type !== section || id.part !== null) {
      const form = `/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/${section}/NAME`;
      this.#findings.error('CONFIG_VALUE', `'${text}' is no id of this resource: write ${form}`, path);
      return {};
    }
    const twin = this.#ids.get(keyOf(text));
    if (twin !== undefined) this.#findings.error('CONFIG_NAME', `'${twin}' has this id too`, path);
    this.#ids.set(keyOf(text), name);
    return { id: text, subscription: id.subscription };
  }

  #alias(text: string, path: PropertyPath): string {
    if (parseAlias(text) === null) {
      const what = `'${text}' is no alias: it has the form prefix.GUID.location.azure.privatelinkservice`;
      this.#findings.error('CONFIG_VALUE', what, path);
    }
    const twin = this.#aliases.has(keyOf(text));
    if (twin) this.#findings.error('CONFIG_VALUE', `'${text}' is the alias of another service too`, path);
    this.#aliases.add(keyOf(text));
    return text;
  }

  #address(text: string, path: PropertyPath): number {
    this.#findings.add(path, checkAddressText(text));
    return parseAddress(text);
  }

  #addresses(texts: readonly string[], path: PropertyPath): number[] {
    return texts.map((text, index) => this.#address(text, [...path, index]));
  }

  #cidr(text: string, path: PropertyPath): Cidr | null {
    this.#findings.add(path, checkCidrText(text));
    return parseCidr(text);
  }

  #virtualNetwork(name: string, shape: LabShape['virtualNetworks'][string]): VirtualNetwork {
    const path = ['virtualNetworks', name];
    const subnets = mapOf(shape.subnets, (subnetName, value): Subnet => {
      const at = [...path, 'subnets', subnetName];
      const whole = typeof value === 'string';
      const group = whole ? undefined : value.networkSecurityGroup;
      if (group !== undefined) {
        const groups = Object.keys(this.#shape.networkSecurityGroups);
        this.#references.one('network security group', group, groups, [...at, 'networkSecurityGroup']);
      }
      return {
        name: subnetName,
        addressPrefix: whole ? this.#cidr(value, at) : this.#cidr(value.addressPrefix, [...at, 'addressPrefix']),
        privateLinkServiceNetworkPolicies: whole ? 'Enabled' : value.privateLinkServiceNetworkPolicies,
        networkSecurityGroup: group ?? null,
      };
    });
    const { subscription = shape.subscription, ...identified } = this.#id('virtualNetworks', name, shape.id);
    if (keyOf(subscription) !== keyOf(shape.subscription)) {
      const what = `the id is of subscription '${subscription}', the network of '${shape.subscription}'`;
      this.#findings.error('CONFIG_VALUE', what, [...path, 'id']);
    }
    return {
      name,
      ...identified,
      subscription: shape.subscription,
      location: shape.location,
      addressSpace: shape.addressSpace.map((text, index) => this.#cidr(text, [...path, 'addressSpace', index])),
      subnets,
    };
  }

  #loadBalancer(name: string, shape: LabShape['loadBalancers'][string]): LoadBalancer {
    const path = ['loadBalancers', name];
    this.#references.one('virtual network', shape.virtualNetwork, Object.keys(this.#shape.virtualNetworks), [
      ...path,
      'virtualNetwork',
    ]);
    const rules = shape.rules.map((rule, index): LoadBalancingRule => {
      const at = [...path, 'rules', index];
      this.#references.one('frontend', rule.frontend, Object.keys(shape.frontends), [...at, 'frontend']);
      this.#references.one('backend pool', rule.backendPool, Object.keys(shape.backendPools), [...at, 'backendPool']);
      if (rule.probe !== undefined)
        this.#references.one('probe', rule.probe, Object.keys(shape.probes), [...at, 'probe']);
      const twin = shape.rules.findIndex((other) => other.name === rule.name);
      if (twin < index)
        this.#findings.error('CONFIG_NAME', `another rule is named '${rule.name}' too`, [...at, 'name']);
      return { ...rule, probe: rule.probe ?? null };
    });
    const { id } = this.#id('loadBalancers', name, shape.id);
    return {
      name,
      ...(id === undefined ? {} : { id }),
      virtualNetwork: shape.virtualNetwork,
      sku: shape.sku,
      frontends: mapOf(shape.frontends, (frontend, text) => this.#address(text, [...path, 'frontends', frontend])),
      backendPools: mapOf(shape.backendPools, (pool, texts) =>
        texts.map((text, index) =>
          this.#backend(text, name, shape.virtualNetwork, [...path, 'backendPools', pool, index]),
        ),
      ),
      probes: mapOf(shape.probes, (probe, value): Probe => ({
        name: probe,
        ...value,
        requestPath: value.requestPath ?? null,
        probeThreshold: value.probeThreshold ?? null,
      })),
      rules,
    };
  }

  /** The address of a backend: as written, or that of an `interface/ipConfiguration`. */
  #backend(text: string, balancer: string, network: string, path: PropertyPath): number {
    const interfaces = this.#shape.networkInterfaces;
    const [outer = ''] = text.split('/');
    const isReference = Object.hasOwn(interfaces, outer)
      ? parseAddress(text) < 0
      : text.includes('/') && parseCidr(text) === null && !looksLikeIpv6(text);
    if (!isReference) return this.#address(text, path);
    const namesOf = (nic: string): string[] => (interfaces[nic]?.ipConfigurations ?? []).map((each) => each.name);
    const [nic, name] = this.#references.pair(
      text,
      ['network interface', 'ipConfiguration'],
      interfaces,
      namesOf,
      path,
    );
    if (!Object.hasOwn(interfaces, nic)) return -1;
    this.#balancersOf.set(text, [...(this.#balancersOf.get(text) ?? []), balancer]);
    const found = interfaces[nic]!.ipConfigurations.find((each) => each.name === name);
    // In another network it is no backend, as the rules will say.
    return found?.subnet.split('/')[0] === network ? parseAddress(found.address) : -1;
  }

  #interface(
    name: string,
    shape: LabShape['networkInterfaces'][string],
    networks: ReadonlyMap<string, VirtualNetwork>,
  ): NetworkInterface {
    const path = ['networkInterfaces', name];
    const list = shape.ipConfigurations;
    if (list.length === 0) {
      const what = 'a network interface has at least one ipConfiguration';
      this.#findings.error('CONFIG_VALUE', what, [...path, 'ipConfigurations']);
    }
    const primary = list.find((each) => each.primary === true) ?? list[0];
    const ipConfigurations = list.map((each, index) => {
      const at = [...path, 'ipConfigurations', index];
      if (list.findIndex((other) => keyOf(other.name) === keyOf(each.name)) < index) {
        const what = `another ipConfiguration is named '${each.name}' too (case does not count)`;
        this.#findings.error('CONFIG_NAME', what, [...at, 'name']);
      }
      if (each.primary === true && each !== primary) {
        const what = `'${primary?.name ?? ''}' is primary too; exactly one ipConfiguration can be`;
        this.#findings.error('CONFIG_VALUE', what, [...at, 'primary']);
      }
      const [virtualNetwork, subnet] = this.#references.subnet(each.subnet, [...at, 'subnet']);
      return {
        name: each.name,
        virtualNetwork,
        subnet,
        address: this.#address(each.address, [...at, 'address']),
        primary: each === primary,
        loadBalancers: this.#balancersOf.get(`${name}/${each.name}`) ?? [],
      };
    });
    const home = networks.get(ipConfigurations[0]?.virtualNetwork ?? '')?.subscription ?? '';
    const { subscription = home, ...identified } = this.#id('networkInterfaces', name, shape.id);
    return { name, ...identified, subscription, ipConfigurations };
  }

  #service(name: string, shape: ServiceShape, networks: ReadonlyMap<string, VirtualNetwork>): PrivateLinkService {
    const path = ['privateLinkServices', name];
    const [virtualNetwork] = this.#references.subnet(shape.subnet, [...path, 'subnet']);
    const network = networks.get(virtualNetwork);
    const location = network?.location ?? 'local';
    const frontendPath = [...path, 'loadBalancerFrontend'];
    const balancers = this.#shape.loadBalancers;
    const frontendsOf = (balancer: string): string[] => Object.keys(balancers[balancer]?.frontends ?? {});
    const target = shape.loadBalancerFrontend;
    const frontend =
      target === undefined
        ? null
        : this.#references.pair(target, ['load balancer', 'frontend'], balancers, frontendsOf, frontendPath);
    return {
      name,
      alias:
        shape.alias === undefined
          ? createAlias(name, location, this.#seed)
          : this.#alias(shape.alias, [...path, 'alias']),
      subscription: network?.subscription ?? '',
      ...this.#id('privateLinkServices', name, shape.id),
      location,
      virtualNetwork,
      ipConfigurations: this.#addresses(shape.ipConfigurations, [...path, 'ipConfigurations']),
      loadBalancerFrontend: frontend === null ? null : { loadBalancer: frontend[0], frontend: frontend[1] },
      destinationIPAddress:
        shape.destinationIPAddress === undefined
          ? null
          : this.#address(shape.destinationIPAddress, [...path, 'destinationIPAddress']),
      ...(shape.bandwidthInMbps === undefined ? {} : { bandwidthInMbps: shape.bandwidthInMbps ?? 0 }),
      proxy: resolveProxy(shape, path, this.#findings),
      visibility: shape.visibility,
      autoApproval: shape.autoApproval,
      roleAssignments: shape.roleAssignments,
      idleTimeoutInSeconds: shape.idleTimeoutInSeconds,
    };
  }

  /** Written identifiers first, so that a drawn one never takes the value of a written one. */
  #linkIdentifiers(): Map<string, number> {
    const owners = new Map<number, string>();
    const values = new Map<string, number>();
    const endpoints = Object.entries(this.#shape.privateEndpoints);
    for (const [name, { linkIdentifier: value }] of endpoints) {
      if (value === undefined) continue;
      const path = ['privateEndpoints', name, 'linkIdentifier'];
      const owner = owners.get(value);
      this.#findings.add(path, owner === undefined ? checkLinkIdentifier(value) : [linkIdentifierInUse(value, owner)]);
      if (owner === undefined && checkLinkIdentifier(value).length === 0) owners.set(value, name);
      values.set(name, value);
    }
    for (const [name] of endpoints) {
      if (values.has(name)) continue;
      const value = drawLinkIdentifier(name, this.#seed, (taken) => owners.has(taken));
      owners.set(value, name);
      values.set(name, value);
    }
    return values;
  }

  #endpoints(
    networks: ReadonlyMap<string, VirtualNetwork>,
    services: ReadonlyMap<string, PrivateLinkService>,
  ): Map<string, PrivateEndpoint> {
    const identifiers = this.#linkIdentifiers();
    return mapOf(this.#shape.privateEndpoints, (name, shape): PrivateEndpoint => {
      const path = ['privateEndpoints', name];
      const [virtualNetwork, subnet] = this.#references.subnet(shape.subnet, [...path, 'subnet']);
      const servicePath = [...path, 'privateLinkService'];
      this.#references.one('private link service', shape.privateLinkService, [...services.keys()], servicePath);
      const network = networks.get(virtualNetwork);
      const service = services.get(shape.privateLinkService);
      const { subscription = network?.subscription ?? '', ...identified } = this.#id(
        'privateEndpoints',
        name,
        shape.id,
      );
      const status = shape.status ?? (service === undefined ? 'Pending' : initialStatus(service, subscription));
      if (shape.status === undefined && service !== undefined && network !== undefined && status === 'Pending') {
        const what =
          `the connection is Pending and passes no packets, since subscription '${subscription}' is not auto-approved: ` +
          `add it to autoApproval of '${service.name}', or write status: Approved (or Pending, if that is meant)`;
        this.#findings.add(path, [warning('ENDPOINT_NOT_APPROVED', what)]);
      }
      return {
        name,
        ...identified,
        subscription,
        location: network?.location ?? 'local',
        virtualNetwork,
        subnet,
        address: this.#address(shape.address, [...path, 'address']),
        privateLinkService: shape.privateLinkService,
        status,
        linkIdentifier: identifiers.get(name) ?? 0,
        outsideVisibility: shape.outsideVisibility,
      };
    });
  }

  /** With a `subscriptions` section the names are those, and ids; without it, those that the networks use. */
  #subscriptions(): Map<string, Subscription> {
    const declared = this.#shape.subscriptions;
    const known = mapOf(declared ?? {}, (name, value): Subscription => ({ name, features: value.features }));
    for (const { subscription: name } of Object.values(this.#shape.virtualNetworks)) {
      if (!known.has(name) && (declared === undefined || GUID.test(name))) known.set(name, { name, features: [] });
    }
    return known;
  }

  /** Azure's names are one whatever their case; two that differ in case alone would be one resource there. */
  #distinctNames(): void {
    for (const section of labSections) {
      const seen = new Map<string, string>();
      for (const name of Object.keys(this.#shape[section])) {
        const twin = seen.get(name.toLowerCase());
        if (twin === undefined) seen.set(name.toLowerCase(), name);
        else
          this.#findings.error('CONFIG_NAME', `'${name}' and '${twin}' are one name: case does not count`, [
            section,
            name,
          ]);
      }
    }
  }

  #subscriptionReferences(known: readonly string[]): void {
    const check = (name: string, path: PropertyPath): void => {
      if (name !== '*' && !GUID.test(name)) this.#references.one('subscription', name, known, path);
    };
    for (const [name, network] of Object.entries(this.#shape.virtualNetworks)) {
      check(network.subscription, ['virtualNetworks', name, 'subscription']);
    }
    for (const [name, service] of Object.entries(this.#shape.privateLinkServices)) {
      for (const list of ['visibility', 'autoApproval', 'roleAssignments'] as const) {
        service[list].forEach((text, index) => {
          check(text, ['privateLinkServices', name, list, index]);
        });
      }
    }
  }

  resolve(): ResourceModel {
    this.#distinctNames();
    const subscriptions = this.#subscriptions();
    this.#subscriptionReferences([...subscriptions.keys()]);
    const networkSecurityGroups = mapOf(this.#shape.networkSecurityGroups, (name, shape): NetworkSecurityGroup => {
      const { id } = this.#id('networkSecurityGroups', name, shape.id);
      return { ...resolveSecurityGroup(name, shape, this.#findings), ...(id === undefined ? {} : { id }) };
    });
    const virtualNetworks = mapOf(this.#shape.virtualNetworks, (name, shape) => this.#virtualNetwork(name, shape));
    const loadBalancers = mapOf(this.#shape.loadBalancers, (name, shape) => this.#loadBalancer(name, shape));
    const networkInterfaces = mapOf(this.#shape.networkInterfaces, (name, shape) =>
      this.#interface(name, shape, virtualNetworks),
    );
    const privateLinkServices = mapOf(this.#shape.privateLinkServices, (name, shape) =>
      this.#service(name, shape, virtualNetworks),
    );
    const privateEndpoints = this.#endpoints(virtualNetworks, privateLinkServices);
    return {
      subscriptions,
      networkSecurityGroups,
      virtualNetworks,
      loadBalancers,
      networkInterfaces,
      privateLinkServices,
      privateEndpoints,
    };
  }
}

export const resolveModel = (shape: LabShape, findings: Findings): ResourceModel =>
  new Resolver(shape, findings).resolve();
