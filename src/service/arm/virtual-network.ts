/** Virtual networks and their subnets. */
import { documentOf } from './documents.js';
import type { Change } from './documents.js';
import { formatResourceId } from './resource-id.js';
import { bare, draftOf, withIds, without } from './request.js';
import type { PutRequest } from './request.js';

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
  const properties = { ...draft.properties, resourceGuid: resourceGuid ?? request.draw.guid(), subnets };
  return { put: [{ ...draft, properties }], remove: [] };
}
