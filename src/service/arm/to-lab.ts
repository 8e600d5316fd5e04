/**
 * Documents as a lab file would declare them: the other way of from-model.ts.
 *
 * Theory of operation. Each document becomes an entry in which other resources are named by their keys (ids in lower
 * case) and every default is left out or written one way only, so that two documents that mean the same give equal
 * entries, whichever way they came to be. `entriesOf` is what `culvert apply` compares; `labOf` gives each entry its name
 * in a file. What a lab file cannot say (tags, descriptions, names of ipConfigurations) is not in an entry.
 */
import { defaultBandwidthInMbps } from '../direct-connect.js';
import { defaultRuleIdleMinutes, defaultServiceIdleSeconds } from '../idle.js';
import { allOf, connectionOf, documentOf, featureType, partNamed, plainLocation } from './documents.js';
import type { ArmDocument, Documents } from './documents.js';
import { labGroup } from './from-model.js';
import { audienceOf } from './model.js';
import { serviceByAlias, wishOf } from './private-endpoint.js';
import { defaultDevice, deviceNames } from '../device-names.js';
import { isName } from '../names.js';
import { labSections } from '../lab-sections.js';
import { mayRequest } from '../visibility.js';
import type { LabSection } from '../lab-sections.js';
import { statusOf } from './private-link-service.js';
import { prefixOf } from './addresses.js';
import { documentKey, formatResourceId, keyOf, lastName, parseResourceId } from './resource-id.js';
import type { DocumentType } from './resource-id.js';
import * as enumerations from './shapes.js';
import { spelled } from './shapes.js';
import type { Shapes } from './shapes.js';
import { deviceTag, hostTag, mtuTag, namespaceTag } from './tags.js';

/** An entry of a section; references in it are {@link Ref}s. */
export interface Entry {
  readonly section: LabSection;
  /** With the case that it was made with. */
  readonly id: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** Another resource, or a part of it, by their keys, in the place of `name` or `name/part`. */
export class Ref {
  readonly key: string;
  readonly part: string | null;

  constructor(key: string, part: string | null = null) {
    this.key = key;
    this.part = part;
  }
}

type Typed<T extends keyof Shapes> = ArmDocument<Shapes[T]>;

const subscriptionOf = (id: string): string => id.split('/')[2] ?? '';

/** Leaves out what is undefined. */
const given = (value: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined));

const unless = <T>(value: T, otherwise: T): T | undefined => (value === otherwise ? undefined : value);

function refOf(id: string | undefined): Ref | undefined {
  const parsed = parseResourceId(id ?? '');
  return parsed === null
    ? undefined
    : new Ref(documentKey(parsed), parsed.part === null ? null : keyOf(parsed.part.name));
}

const several = (list: readonly string[] | undefined, one: string | undefined): readonly string[] =>
  list !== undefined && list.length > 0 ? list : [one ?? '*'];

/** A list of one is written as its value. */
const prefixes = (single: string, list: string, values: readonly string[]): Record<string, unknown> => {
  if (values.length === 1) return values[0] === '*' ? {} : { [single]: values[0] };
  return { [list]: values };
};

const groupEntry = ({ properties }: Typed<'networkSecurityGroups'>): Record<string, unknown> => ({
  securityRules: (properties.securityRules ?? []).map(({ name, properties: p }) => ({
    name,
    priority: p.priority,
    direction: spelled(enumerations.directions, p.direction, 'Inbound'),
    access: spelled(enumerations.accesses, p.access, 'Deny'),
    protocol: spelled(enumerations.securityProtocols, p.protocol, '*'),
    ...prefixes(
      'sourceAddressPrefix',
      'sourceAddressPrefixes',
      several(p.sourceAddressPrefixes, p.sourceAddressPrefix),
    ),
    ...prefixes('sourcePortRange', 'sourcePortRanges', several(p.sourcePortRanges, p.sourcePortRange)),
    ...prefixes(
      'destinationAddressPrefix',
      'destinationAddressPrefixes',
      several(p.destinationAddressPrefixes, p.destinationAddressPrefix),
    ),
    ...prefixes(
      'destinationPortRange',
      'destinationPortRanges',
      several(p.destinationPortRanges, p.destinationPortRange),
    ),
  })),
});

const DEFAULT_MTU = '1500';

/** @param device the name of its interface, whether a tag says so or not */
function networkEntry(
  { id, location, tags = {}, properties }: Typed<'virtualNetworks'>,
  device: string | undefined,
): Record<string, unknown> {
  const hosts = (tags[hostTag] ?? '').split(/[\s,]+/).filter((text) => text !== '');
  const mtu = tags[mtuTag] ?? DEFAULT_MTU;
  return given({
    subscription: subscriptionOf(id),
    location: plainLocation(location ?? 'local'),
    addressSpace: properties.addressSpace.addressPrefixes,
    subnets: Object.fromEntries(
      (properties.subnets ?? []).map((subnet) => [
        subnet.name,
        given({
          addressPrefix: prefixOf(subnet.properties),
          privateLinkServiceNetworkPolicies: unless(
            spelled(
              enumerations.networkPolicies,
              subnet.properties.privateLinkServiceNetworkPolicies,
              'Enabled',
            ) as string,
            'Enabled',
          ),
          networkSecurityGroup: refOf(subnet.properties.networkSecurityGroup?.id),
        }),
      ]),
    ),
    namespace: tags[namespaceTag],
    hosts: hosts.length === 0 ? undefined : hosts,
    mtu: mtu === DEFAULT_MTU ? undefined : Number(mtu),
    device,
  });
}

/** Addresses in each backend pool, by the pool's key. */
function poolMembers(documents: Documents): Map<string, string[]> {
  const members = new Map<string, string[]>();
  for (const nic of allOf(documents, 'networkInterfaces')) {
    for (const { properties } of nic.properties.ipConfigurations) {
      for (const pool of properties.loadBalancerBackendAddressPools ?? []) {
        const list = members.get(keyOf(pool.id)) ?? [];
        list.push(properties.privateIPAddress ?? '');
        members.set(keyOf(pool.id), list);
      }
    }
  }
  return members;
}

/** The name of a part as the part itself spells it. */
const spelling = (parts: readonly { readonly name: string }[] | undefined, id: string): string =>
  partNamed(parts, lastName(id))?.name ?? lastName(id);

/** Null for one without frontends, which is in no network. */
function balancerEntry(
  { id, sku, properties: p }: Typed<'loadBalancers'>,
  members: ReadonlyMap<string, readonly string[]>,
): Record<string, unknown> | null {
  const { frontendIPConfigurations: frontends = [], backendAddressPools: pools = [] } = p;
  const network = refOf(frontends[0]?.properties.subnet?.id);
  if (network === undefined) return null;
  return {
    virtualNetwork: new Ref(network.key),
    sku: spelled(enumerations.skus, sku?.name, 'Standard'),
    frontends: Object.fromEntries(frontends.map((each) => [each.name, each.properties.privateIPAddress])),
    backendPools: Object.fromEntries(
      pools.map((pool) => [
        pool.name,
        [
          ...(members.get(`${keyOf(id)}/backendaddresspools/${keyOf(pool.name)}`) ?? []),
          ...(pool.properties.loadBalancerBackendAddresses ?? []).flatMap((each) => each.properties.ipAddress ?? []),
        ].toSorted(),
      ]),
    ),
    probes: Object.fromEntries(
      (p.probes ?? []).map(({ name, properties: probe }) => [
        name,
        given({
          protocol: spelled(enumerations.probeProtocols, probe.protocol, 'Tcp'),
          port: probe.port,
          requestPath: probe.requestPath,
          intervalInSeconds: probe.intervalInSeconds ?? 15,
          numberOfProbes: probe.numberOfProbes ?? 2,
          probeThreshold: probe.probeThreshold,
          noHealthyBackendsBehavior: unless<string>(
            spelled(enumerations.probeBehaviours, probe.noHealthyBackendsBehavior, 'AllProbedDown'),
            'AllProbedDown',
          ),
        }),
      ]),
    ),
    rules: (p.loadBalancingRules ?? []).map(({ name, properties: rule }) =>
      given({
        name,
        frontend: spelling(frontends, rule.frontendIPConfiguration.id),
        protocol: spelled(enumerations.ruleProtocols, rule.protocol, 'Tcp'),
        frontendPort: rule.frontendPort,
        backendPool: spelling(pools, rule.backendAddressPool?.id ?? rule.backendAddressPools?.[0]?.id ?? ''),
        backendPort: rule.backendPort,
        loadDistribution: unless<string>(
          spelled(enumerations.distributions, rule.loadDistribution, 'Default'),
          'Default',
        ),
        idleTimeoutInMinutes: rule.idleTimeoutInMinutes ?? defaultRuleIdleMinutes,
        enableTcpReset: unless(rule.enableTcpReset ?? false, false),
        probe: rule.probe === undefined ? undefined : spelling(p.probes, rule.probe.id),
      }),
    ),
  };
}

const listOf = (list: readonly string[] | undefined): readonly string[] | undefined =>
  list === undefined || list.length === 0 ? undefined : list;

function serviceEntry({ properties: p }: Typed<'privateLinkServices'>): Record<string, unknown> {
  const configurations = p.ipConfigurations ?? [];
  const primaryFirst = [
    ...configurations.filter((each) => each.properties.primary === true),
    ...configurations.filter((each) => each.properties.primary !== true),
  ];
  const { dialect = 'azure', ...rest } = p.proxyProtocol ?? {};
  const usual = dialect.toLowerCase() === 'azure' && Object.keys(rest).length === 0;
  return given({
    subnet: refOf(primaryFirst[0]?.properties.subnet.id),
    ipConfigurations: primaryFirst.map((each) => each.properties.privateIPAddress),
    loadBalancerFrontend: refOf(p.loadBalancerFrontendIpConfigurations?.[0]?.id),
    destinationIPAddress: p.destinationIPAddress,
    bandwidthInMbps: unless(p.bandwidthInMbps ?? defaultBandwidthInMbps, defaultBandwidthInMbps as number),
    enableProxyProtocol: p.enableProxyProtocol ?? false,
    proxyProtocol: usual ? undefined : given({ dialect, ...rest }),
    visibility: listOf(p.visibility?.subscriptions),
    autoApproval: listOf(p.autoApproval?.subscriptions),
    roleAssignments: listOf(p.roleAssignments),
    idleTimeoutInSeconds: unless(
      p.idleTimeoutInSeconds ?? defaultServiceIdleSeconds,
      defaultServiceIdleSeconds as number,
    ),
    alias: p.alias,
  });
}

function isVisible(service: string, endpoint: string, documents: Documents): boolean {
  const document = documentOf(documents, service, 'privateLinkServices');
  return document === undefined || mayRequest(audienceOf(document), keyOf(subscriptionOf(endpoint)));
}

/** Null for one whose service is gone. */
function endpointEntry(document: Typed<'privateEndpoints'>, documents: Documents): Record<string, unknown> | null {
  const { id, properties } = document;
  const connection = connectionOf(documents, id);
  const wish = wishOf(properties);
  const wished =
    connection === undefined
      ? (documentOf(documents, wish, 'privateLinkServices') ?? serviceByAlias(documents, wish))?.id
      : connection.id;
  const service = refOf(wished);
  if (service === undefined) return null;
  const nic = documentOf(documents, properties.networkInterfaces?.[0]?.id ?? '', 'networkInterfaces');
  return given({
    subnet: refOf(properties.subnet.id),
    address: nic?.properties.ipConfigurations[0]?.properties.privateIPAddress,
    privateLinkService: new Ref(service.key),
    status: connection === undefined ? 'Disconnected' : statusOf(connection),
    linkIdentifier: connection === undefined ? undefined : Number(connection.properties.linkIdentifier),
    outsideVisibility: isVisible(service.key, id, documents) ? undefined : true,
  });
}

/** Every resource as an entry, by key; and the ids of those that no lab file can declare. */
export function entriesOf(documents: Documents): { entries: Map<string, Entry>; left: readonly string[] } {
  const entries = new Map<string, Entry>();
  const left: string[] = [];
  const take = (section: LabSection, id: string, value: Record<string, unknown> | null): void => {
    if (value === null) left.push(id);
    else entries.set(keyOf(id), { section, id, value });
  };
  const members = poolMembers(documents);
  for (const each of allOf(documents, 'networkSecurityGroups'))
    take('networkSecurityGroups', each.id, groupEntry(each));
  const networks = allOf(documents, 'virtualNetworks');
  const devices = deviceNames(new Map(networks.map(({ id, tags }) => [keyOf(id), tags?.[deviceTag]])));
  for (const each of networks) take('virtualNetworks', each.id, networkEntry(each, devices.get(keyOf(each.id))));
  for (const each of allOf(documents, 'loadBalancers')) take('loadBalancers', each.id, balancerEntry(each, members));
  for (const each of allOf(documents, 'privateLinkServices')) take('privateLinkServices', each.id, serviceEntry(each));
  for (const each of allOf(documents, 'privateEndpoints')) {
    take('privateEndpoints', each.id, endpointEntry(each, documents));
  }
  left.push(...strayConfigurations(documents));
  return { entries, left };
}

/** A lab file has the addresses in backend pools, and no other interfaces. */
const strayConfigurations = (documents: Documents): string[] =>
  allOf(documents, 'networkInterfaces')
    .filter(({ properties: p }) => p.privateEndpoint === undefined && p.privateLinkService === undefined)
    .flatMap(({ id, properties }) => {
      const stray = properties.ipConfigurations.filter(
        (each) => (each.properties.loadBalancerBackendAddressPools ?? []).length === 0,
      );
      if (stray.length === properties.ipConfigurations.length) return [id];
      return stray.map(({ name }) => `${id}/ipConfigurations/${name}`);
    });

/** Names in the file: the resources' own, with the resource group or a number where two are alike. */
function namesOf(entries: ReadonlyMap<string, Entry>): Map<string, string> {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const [key, { section, id }] of entries) {
    const own = lastName(id);
    const group = id.split('/')[4] ?? '';
    let name = own;
    for (let number = 1; taken.has(`${section} ${keyOf(name)}`); number++) {
      const suffix = number === 1 ? `_${group}` : `_${String(number)}`;
      name = `${own.slice(0, 80 - suffix.length)}${suffix}`.slice(0, 80);
    }
    taken.add(`${section} ${keyOf(name)}`);
    names.set(key, name);
  }
  return names;
}

function named(value: unknown, names: ReadonlyMap<string, string>, parts: ReadonlyMap<string, string>): unknown {
  if (value instanceof Ref) {
    const name = names.get(value.key) ?? value.key;
    if (value.part === null) return name;
    return `${name}/${parts.get(`${value.key}/${keyOf(value.part)}`) ?? value.part}`;
  }
  if (Array.isArray(value)) return value.map((inner) => named(inner, names, parts));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, named(inner, names, parts)]));
}

/** Parts as they spell themselves; a reference may have another case. */
function partNames(entries: ReadonlyMap<string, Entry>): Map<string, string> {
  const parts = new Map<string, string>();
  for (const [key, { value }] of entries) {
    const inner = { ...(value['subnets'] as object | undefined), ...(value['frontends'] as object | undefined) };
    for (const part of Object.keys(inner)) parts.set(`${key}/${keyOf(part)}`, part);
  }
  return parts;
}

const isDefaultId = ({ section, id }: Entry, name: string): boolean =>
  id ===
  formatResourceId({
    subscription: subscriptionOf(id),
    resourceGroup: labGroup,
    type: section satisfies DocumentType,
    name,
    part: null,
  });

/** Each subscription that is named anywhere, with its registered features; no resource is in one without a proper name. */
function subscriptions(documents: Documents, entries: ReadonlyMap<string, Entry>): Record<string, unknown> {
  const found = new Map<string, { name: string; features: string[] }>();
  const touch = (name: string): { name: string; features: string[] } => {
    const entry = found.get(keyOf(name)) ?? { name, features: [] };
    found.set(keyOf(name), entry);
    return entry;
  };
  for (const document of documents.values()) {
    const { features } = touch(subscriptionOf(document.id));
    if (document.type === featureType && document.properties['state'] === 'Registered') features.push(document.name);
  }
  for (const { value } of entries.values()) {
    for (const list of ['visibility', 'autoApproval', 'roleAssignments']) {
      for (const name of (value[list] ?? []) as string[]) if (name !== '*') touch(name);
    }
  }
  return Object.fromEntries(
    [...found.values()]
      .filter(({ name }) => isName(name))
      .map(({ name, features }) => [name, features.length === 0 ? {} : { features }]),
  );
}

/** A group that no network names is found in a file by its id alone. */
const groupsInUse = (entries: ReadonlyMap<string, Entry>): Set<string> =>
  new Set(
    [...entries.values()].flatMap(({ value }) =>
      Object.values((value['subnets'] ?? {}) as Record<string, { networkSecurityGroup?: Ref }>).flatMap(
        ({ networkSecurityGroup }) => networkSecurityGroup?.key ?? [],
      ),
    ),
  );

/** The resources as a lab file declares them. */
export function labOf(documents: Documents): { lab: Record<string, unknown>; left: readonly string[] } {
  const { entries, left } = entriesOf(documents);
  const names = namesOf(entries);
  const parts = partNames(entries);
  const known = subscriptions(documents, entries);
  const spelling = new Map(Object.keys(known).map((name) => [keyOf(name), name]));
  const respelled = (value: unknown): unknown =>
    typeof value === 'string' ? (spelling.get(keyOf(value)) ?? value) : (value as string[]).map(respelled);
  const sections: Record<string, Record<string, unknown>> = {};
  const used = groupsInUse(entries);
  for (const section of labSections) {
    for (const [key, entry] of entries) {
      if (entry.section !== section) continue;
      const name = names.get(key)!;
      const value = named(entry.value, names, parts) as Record<string, unknown>;
      for (const list of ['subscription', 'visibility', 'autoApproval', 'roleAssignments']) {
        if (value[list] !== undefined) value[list] = respelled(value[list]);
      }
      // By its name in the file, which is not always its own.
      if (value['device'] === defaultDevice(name)) delete value['device'];
      sections[section] ??= {};
      sections[section][name] =
        isDefaultId(entry, name) && (section !== 'networkSecurityGroups' || used.has(key))
          ? value
          : { id: entry.id, ...value };
    }
  }
  return { lab: { subscriptions: known, virtualNetworks: {}, ...sections }, left };
}
