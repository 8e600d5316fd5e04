/** Which interface of the state is which of a lab file, and what becomes of it. */
import { allOf } from '../service/arm/documents.js';
import type { ArmDocument, Documents } from '../service/arm/documents.js';
import type { Entry } from '../service/arm/entries.js';
import { isSystemInterface } from '../service/arm/network-interface.js';
import { documentKey, keyOf, parseResourceId } from '../service/arm/resource-id.js';
import type { Shapes } from '../service/arm/shapes.js';

type Nic = ArmDocument<Shapes['networkInterfaces']>;
type NicConfiguration = Nic['properties']['ipConfigurations'][number];

export const parentKey = (id: string): string => {
  const parsed = parseResourceId(id);
  return parsed === null ? '' : documentKey(parsed);
};

/** The network and the address of a configuration: what a backend is known by. */
export function placeOf(nic: Nic, index: number): string {
  const properties = nic.properties.ipConfigurations[index]?.properties;
  return `${parentKey(properties?.subnet.id ?? '')} ${properties?.privateIPAddress ?? ''}`;
}

/** The interfaces that the file's plain addresses stand for, by place; the others are in its entries. */
export const plainBackends = (wanted: Documents, asked: ReadonlyMap<string, Entry>): Map<string, Nic> =>
  new Map(
    allOf(wanted, 'networkInterfaces')
      .filter((nic) => !isSystemInterface(nic) && !asked.has(keyOf(nic.id)))
      .map((nic) => [placeOf(nic, 0), nic]),
  );

/**
 * Puts a configuration into the pools of the file's load balancers that the file says, and into no other of theirs, nor of
 * those that go; the configuration itself comes back if it is in the right ones already.
 *
 * @param gone keys of what is deleted
 */
export function repooler(
  documents: Documents,
  gone: ReadonlySet<string>,
): (there: NicConfiguration, wanted: NicConfiguration | undefined) => NicConfiguration {
  const balancers = new Set([...allOf(documents, 'loadBalancers').map(({ id }) => keyOf(id)), ...gone]);
  return (there, wanted) => {
    const now = there.properties.loadBalancerBackendAddressPools ?? [];
    const own = wanted?.properties.loadBalancerBackendAddressPools ?? [];
    const next = [...now.filter((pool) => !balancers.has(parentKey(pool.id))), ...own];
    const same = new Set(now.map(({ id }) => keyOf(id)));
    if (same.size === next.length && next.every(({ id }) => same.has(keyOf(id)))) return there;
    return { ...there, properties: { ...there.properties, loadBalancerBackendAddressPools: next } };
  };
}

/** An interface's configuration where the file has it; its pools and whether the address was asked for stay. */
export function moved(old: NicConfiguration, wanted: NicConfiguration): NicConfiguration {
  const { privateIPAddress, subnet, primary } = wanted.properties;
  const stays = privateIPAddress === old.properties.privateIPAddress;
  const method = stays ? {} : { privateIPAllocationMethod: 'Static' };
  return { ...old, properties: { ...old.properties, privateIPAddress, subnet, primary, ...method } };
}
