/** Network interfaces: those of backends, and those that the service makes for endpoints and services. */
import { Addresses } from './addresses.js';
import { documentOf, resourceType } from './documents.js';
import type { ArmDocument, Change, Draw } from './documents.js';
import { refuseApplicationSecurityGroups } from './network-security-group.js';
import { formatResourceId } from './resource-id.js';
import { bare, checkSameLocation, draftOf, newEtag, withIds } from './request.js';
import type { PutRequest } from './request.js';
import { refuse } from './refusal.js';

export function putNetworkInterface(request: PutRequest): Change {
  const before = documentOf(request.documents, formatResourceId(request.id), 'networkInterfaces');
  if (before !== undefined) refuseSystemInterface(before);
  const draft = draftOf(request, 'networkInterfaces', before);
  const asked = withIds(draft.id, 'ipConfigurations', draft.properties.ipConfigurations);
  const addresses = new Addresses(request.documents, draft.id, request.addresses).assign(
    asked,
    before?.properties.ipConfigurations ?? [],
  );
  const primary = primaryOf(draft.id, asked);
  const ipConfigurations = asked.map((configuration, index) => {
    const { properties } = configuration;
    const groups = 'applicationSecurityGroups';
    refuseApplicationSecurityGroups(properties[groups], configuration.id, groups);
    checkSameLocation(draft, properties.subnet.id, request.documents);
    return {
      ...configuration,
      properties: {
        ...properties,
        privateIPAddress: addresses[index]!,
        privateIPAllocationMethod: methodOf(properties),
        privateIPAddressVersion: properties.privateIPAddressVersion ?? 'IPv4',
        subnet: bare(properties.subnet),
        primary: configuration === primary,
        ...(properties.loadBalancerBackendAddressPools === undefined
          ? {}
          : { loadBalancerBackendAddressPools: properties.loadBalancerBackendAddressPools.map(bare) }),
      },
    };
  });
  const properties = { ...draft.properties, ipConfigurations };
  delete properties.privateEndpoint;
  delete properties.privateLinkService;
  return { put: [{ ...draft, properties }], remove: [] };
}

export const methodOf = (properties: {
  readonly privateIPAddress?: string | undefined;
  readonly privateIPAllocationMethod?: string | undefined;
}): string =>
  properties.privateIPAllocationMethod ?? (properties.privateIPAddress === undefined ? 'Dynamic' : 'Static');

/** The configuration that says that it is primary, or else the first. @throws Refusal InvalidRequestFormat if several say so */
export function primaryOf<
  P extends { readonly name: string; readonly properties: { readonly primary?: boolean | undefined } },
>(owner: string, configurations: readonly P[]): P | undefined {
  const primary = configurations.filter(({ properties }) => properties.primary === true);
  if (primary.length <= 1) return primary[0] ?? configurations[0];
  const names = primary.map(({ name }) => `'${name}'`).join(', ');
  const what = `${owner} has several primary ipConfigurations, ${names}: exactly one can be.`;
  throw refuse(400, 'InvalidRequestFormat', what, 'properties.ipConfigurations');
}

/** Whether an endpoint or a service has it. */
export const isSystemInterface = ({ properties }: ArmDocument): boolean =>
  properties['privateEndpoint'] !== undefined || properties['privateLinkService'] !== undefined;

/** @throws Refusal CannotModifySystemResource */
function refuseSystemInterface(nic: ArmDocument): void {
  const owner = nic.properties['privateEndpoint'] ?? nic.properties['privateLinkService'];
  if (owner === undefined) return;
  const what = `${nic.id} belongs to ${(owner as { id: string }).id}: change that resource instead.`;
  throw refuse(400, 'CannotModifySystemResource', what, nic.id);
}

/** The interface that an endpoint or a service has in its subnet. */
export function systemInterface(
  owner: ArmDocument,
  kind: 'privateEndpoint' | 'privateLinkService',
  id: string,
  configurations: readonly { readonly name: string; readonly address: string; readonly subnet: string }[],
  draw: Draw,
): ArmDocument {
  return {
    id,
    name: id.slice(id.lastIndexOf('/') + 1),
    type: resourceType('networkInterfaces'),
    location: owner.location,
    etag: newEtag(draw),
    properties: {
      provisioningState: 'Succeeded',
      [kind]: { id: owner.id },
      ipConfigurations: configurations.map(({ name, address, subnet }, index) => ({
        name,
        id: `${id}/ipConfigurations/${name}`,
        properties: {
          provisioningState: 'Succeeded',
          privateIPAddress: address,
          privateIPAllocationMethod: 'Dynamic',
          privateIPAddressVersion: 'IPv4',
          subnet: { id: subnet },
          primary: index === 0,
        },
      })),
    },
  };
}
