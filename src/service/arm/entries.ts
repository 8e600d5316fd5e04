/**
 * Documents as entries, which is what `culvert apply` compares, and what an export names and writes.
 *
 * Theory of operation. Each document becomes an entry in which other resources are named by their keys (ids in lower
 * case) and every default is left out or written one way only, so that two documents that mean the same give equal
 * entries, whichever way they came to be. What a lab file cannot say (tags, descriptions) is not in an entry. Pools have
 * addresses, whoever has those; the interface that a plain address of a lab file becomes is no entry.
 */
import { defaultBandwidthInMbps } from '../direct-connect.js';
import { defaultRuleIdleMinutes, defaultServiceIdleSeconds } from '../idle.js';
import { allOf, connectionOf, documentOf, partNamed, plainLocation } from './documents.js';
import type { ArmDocument, Documents } from './documents.js';
import { backendConfiguration, backendId } from './backends.js';
import { audienceOf } from './model.js';
import { isSystemInterface } from './network-interface.js';
import { deadRules, rulesOf } from './network-security-group.js';
import { serviceByAlias, wishOf } from './private-endpoint.js';
import { deviceNames } from '../device-names.js';
import { isName } from '../names.js';
import { mayRequest } from '../visibility.js';
import type { LabSection } from '../lab-sections.js';
import { statusOf } from './private-link-service.js';
import { prefixOf } from './addresses.js';
import { documentKey, keyOf, lastName, parseResourceId } from './resource-id.js';
import * as enumerations from './shapes.js';
import { spelled } from './shapes.js';
import type { Shapes } from './shapes.js';
import { hostTag, mtuTag, namespaceTag } from './tags.js';
import { deviceOf } from './virtual-network.js';

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

export const subscriptionOf = (id: string): string => id.split('/')[2] ?? '';

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

const groupEntry = (group: Typed<'networkSecurityGroups'>): Record<string, unknown> => ({
  securityRules: rulesOf(group).map(({ name, properties: p }) => ({
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

/** Where an ipConfiguration, or a backend, is. */
export const placeOf = (network: string, address: unknown): string => `${network} ${String(address)}`;

export interface ConfigurationEntry {
  readonly name: string;
  readonly subnet: Ref;
  readonly address: string;
  readonly primary?: true;
}

const configurationsOf = ({ properties }: Typed<'networkInterfaces'>): ConfigurationEntry[] =>
  properties.ipConfigurations.map(({ name, properties: p }, index) => ({
    name,
    subnet: refOf(p.subnet.id)!,
    address: p.privateIPAddress ?? '',
    ...(p.primary === true && index > 0 ? { primary: true } : {}),
  }));

/** Null for one that a plain address in a pool stands for. @param pooled the places of all backends */
function interfaceEntry(
  nic: Typed<'networkInterfaces'>,
  pooled: ReadonlySet<string>,
): { ipConfigurations: readonly ConfigurationEntry[] } | null {
  const ipConfigurations = configurationsOf(nic);
  const { name, subnet, address } = ipConfigurations[0]!;
  const isPlain =
    ipConfigurations.length === 1 &&
    name === backendConfiguration &&
    keyOf(nic.id) === keyOf(backendId(subnet.key, address)) &&
    pooled.has(placeOf(subnet.key, address));
  return isPlain ? null : { ipConfigurations };
}

/** The places of all addresses in backend pools. */
const pooledPlaces = (entries: ReadonlyMap<string, Entry>): Set<string> =>
  new Set(
    [...entries.values()]
      .filter(({ section }) => section === 'loadBalancers')
      .flatMap(({ value }) =>
        Object.values(value['backendPools'] as Pools)
          .flat()
          .map((address) => placeOf((value['virtualNetwork'] as Ref).key, address)),
      ),
  );

export type Pools = Readonly<Record<string, readonly string[]>>;

const isDeclarable = (subscription: string): boolean => subscription === '*' || isName(subscription);

/** A list of subscriptions as a lab file can have it; a state of an older version may have names that are none. */
function listOf(list: readonly string[] | undefined): readonly string[] | undefined {
  const names = list?.filter(isDeclarable) ?? [];
  return names.length === 0 ? undefined : names;
}

/** What {@link listOf} leaves out. */
const undeclarable = ({ id, properties: p }: Typed<'privateLinkServices'>): string[] =>
  Object.entries({
    visibility: p.visibility?.subscriptions,
    autoApproval: p.autoApproval?.subscriptions,
    roleAssignments: p.roleAssignments,
  }).flatMap(([list, names = []]) =>
    names.filter((name) => !isDeclarable(name)).map((name) => `${id}/${list}/${JSON.stringify(name)}`),
  );

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

/** Every resource as an entry, by key; and the ids of those, and of parts, that no lab file can declare. */
export function entriesOf(documents: Documents): { entries: Map<string, Entry>; left: readonly string[] } {
  const entries = new Map<string, Entry>();
  const left: string[] = [];
  const take = (section: LabSection, id: string, value: Record<string, unknown> | null): void => {
    if (value === null) left.push(id);
    else entries.set(keyOf(id), { section, id, value });
  };
  const members = poolMembers(documents);
  for (const each of allOf(documents, 'networkSecurityGroups')) {
    take('networkSecurityGroups', each.id, groupEntry(each));
    left.push(...deadRules(each));
  }
  const networks = allOf(documents, 'virtualNetworks');
  const devices = deviceNames(new Map(networks.map((each) => [keyOf(each.id), deviceOf(each)])));
  for (const each of networks) take('virtualNetworks', each.id, networkEntry(each, devices.get(keyOf(each.id))));
  for (const each of allOf(documents, 'loadBalancers')) take('loadBalancers', each.id, balancerEntry(each, members));
  const pooled = pooledPlaces(entries);
  for (const each of allOf(documents, 'networkInterfaces')) {
    const entry = isSystemInterface(each) ? null : interfaceEntry(each, pooled);
    if (entry !== null) take('networkInterfaces', each.id, { ...entry });
  }
  for (const each of allOf(documents, 'privateLinkServices')) {
    take('privateLinkServices', each.id, serviceEntry(each));
    left.push(...undeclarable(each));
  }
  for (const each of allOf(documents, 'privateEndpoints')) {
    take('privateEndpoints', each.id, endpointEntry(each, documents));
  }
  return { entries, left };
}
