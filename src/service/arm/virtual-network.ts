/** Virtual networks and their subnets. */
import { defaultDevice, deviceNames } from '../device-names.js';
import { allOf, documentOf } from './documents.js';
import type { ArmDocument, Change, Documents } from './documents.js';
import { formatResourceId, keyOf } from './resource-id.js';
import { bare, draftOf, withIds, without } from './request.js';
import type { PutRequest } from './request.js';
import type { Shapes } from './shapes.js';
import { deviceTag } from './tags.js';

type Network = ArmDocument<Shapes['virtualNetworks']>;

/** The interface that a network keeps; undefined: the one of its name. */
export const deviceOf = ({ tags, properties }: Network): string | undefined => tags?.[deviceTag] ?? properties.device;

/** One that was numbered stays with its network, whatever networks come and go, and in whatever order they are read. */
function keptDevice(network: Network, before: Network | undefined, documents: Documents): { device?: string } {
  if (network.tags?.[deviceTag] !== undefined) return {};
  if (before?.properties.device !== undefined) return { device: before.properties.device };
  const own = keyOf(network.id);
  const written = new Map(allOf(documents, 'virtualNetworks').map((each) => [keyOf(each.id), deviceOf(each)]));
  const device = deviceNames(written.set(own, undefined)).get(own)!;
  return device === defaultDevice(own.slice(own.lastIndexOf('/') + 1)) ? {} : { device };
}

/** Subnets stay as they are when the request does not name them at all, as in Azure's newer api-versions. */
export function putVirtualNetwork(request: PutRequest): Change {
  const before = documentOf(request.documents, formatResourceId(request.id), 'virtualNetworks');
  const draft = draftOf(request, 'virtualNetworks', before);
  const subnets = withIds(draft.id, 'subnets', draft.properties.subnets ?? before?.properties.subnets).map((subnet) => {
    const { networkSecurityGroup: group } = subnet.properties;
    return {
      ...subnet,
      etag: draft.etag,
      properties: {
        privateEndpointNetworkPolicies: 'Disabled',
        ...without(subnet.properties, 'ipConfigurations', 'privateEndpoints'),
        privateLinkServiceNetworkPolicies: subnet.properties.privateLinkServiceNetworkPolicies ?? 'Enabled',
        ...(group === undefined ? {} : { networkSecurityGroup: bare(group) }),
      },
    };
  });
  const { resourceGuid } = (before?.properties ?? {}) as { resourceGuid?: string };
  const properties = {
    ...without(draft.properties, 'device'),
    resourceGuid: resourceGuid ?? request.draw.guid(),
    subnets,
    ...keptDevice(draft, before, request.documents),
  };
  return { put: [{ ...draft, properties }], remove: [] };
}
