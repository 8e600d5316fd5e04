/** Entries as a lab file would declare them: the other way of from-model.ts. Each gets its name in the file. */
import { defaultDevice } from '../device-names.js';
import { labSections } from '../lab-sections.js';
import { isName } from '../names.js';
import { featureType } from './documents.js';
import type { Documents } from './documents.js';
import { entriesOf, placeOf, Ref, subscriptionOf } from './entries.js';
import type { ConfigurationEntry, Entry, Pools } from './entries.js';
import { labGroup } from './from-model.js';
import { formatResourceId, keyOf, lastName } from './resource-id.js';
import type { DocumentType } from './resource-id.js';

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

/** Whether the id is the one that a file without it gives: in the subscription of its network. */
function isDefaultId({ section, id, value }: Entry, name: string): boolean {
  const [first] = (value['ipConfigurations'] ?? []) as readonly Partial<ConfigurationEntry>[];
  const network = [value['virtualNetwork'], value['subnet'], first?.subnet].find((each) => each instanceof Ref);
  const subscription = subscriptionOf(id);
  if (network !== undefined && keyOf(subscription) !== subscriptionOf(network.key)) return false;
  return (
    id ===
    formatResourceId({
      subscription,
      resourceGroup: labGroup,
      type: section satisfies DocumentType,
      name,
      part: null,
    })
  );
}

interface Subnet {
  readonly networkSecurityGroup?: Ref;
}

/** Interfaces' ipConfigurations as a pool names them, by place. */
function memberNames(entries: ReadonlyMap<string, Entry>, names: ReadonlyMap<string, string>): Map<string, string> {
  const members = new Map<string, string>();
  for (const [key, { section, value }] of entries) {
    if (section !== 'networkInterfaces') continue;
    for (const { name, subnet, address } of value['ipConfigurations'] as readonly ConfigurationEntry[]) {
      members.set(placeOf(subnet.key, address), `${names.get(key)!}/${name}`);
    }
  }
  return members;
}

/** Pools with names in the place of the addresses that interfaces have. */
const namedPools = (pools: Pools, network: Ref, members: ReadonlyMap<string, string>): Pools =>
  Object.fromEntries(
    Object.entries(pools).map(([pool, addresses]) => [
      pool,
      addresses.map((address) => members.get(placeOf(network.key, address)) ?? address),
    ]),
  );

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

/**
 * Groups that need no id in a file, where a group is in the subscription of each network that names it: they are named, and
 * by networks of their own subscription alone.
 */
function groupsInPlace(entries: ReadonlyMap<string, Entry>): Set<string> {
  const users = new Map<string, string[]>();
  for (const [network, { value }] of entries) {
    for (const { networkSecurityGroup: group } of Object.values((value['subnets'] ?? {}) as Record<string, Subnet>)) {
      if (group !== undefined) users.set(group.key, [...(users.get(group.key) ?? []), subscriptionOf(network)]);
    }
  }
  const inPlace = [...users].filter(([key, subscriptions]) =>
    subscriptions.every((each) => each === subscriptionOf(key)),
  );
  return new Set(inPlace.map(([key]) => key));
}

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
  const inPlace = groupsInPlace(entries);
  const members = memberNames(entries, names);
  for (const section of labSections) {
    for (const [key, entry] of entries) {
      if (entry.section !== section) continue;
      const name = names.get(key)!;
      const value = named(entry.value, names, parts) as Record<string, unknown>;
      for (const list of ['subscription', 'visibility', 'autoApproval', 'roleAssignments']) {
        if (value[list] !== undefined) value[list] = respelled(value[list]);
      }
      if (section === 'loadBalancers') {
        const { backendPools, virtualNetwork } = entry.value;
        value['backendPools'] = namedPools(backendPools as Pools, virtualNetwork as Ref, members);
      }
      // By its name in the file, which is not always its own.
      if (value['device'] === defaultDevice(name)) delete value['device'];
      sections[section] ??= {};
      sections[section][name] =
        isDefaultId(entry, name) && (section !== 'networkSecurityGroups' || inPlace.has(key))
          ? value
          : { id: entry.id, ...value };
    }
  }
  return { lab: { subscriptions: known, virtualNetworks: {}, ...sections }, left };
}
