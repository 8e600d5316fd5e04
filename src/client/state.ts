/** Everything that a management interface holds, read over its own lists. */
import { featureType, groupType, resourceType } from '../service/arm/documents.js';
import type { ArmDocument } from '../service/arm/documents.js';
import { documentTypes, keyOf } from '../service/arm/resource-id.js';
import type { ApiClient } from './api-client.js';
import { subscriptionsOf } from './resources.js';
import type { Service } from './resources.js';

/** Documents as the interface shows them, by key. @throws ApiError; CulvertError CLIENT_* */
export async function readState(client: ApiClient): Promise<Map<string, ArmDocument>> {
  const documents = new Map<string, ArmDocument>();
  const take = (document: ArmDocument): void => {
    documents.set(keyOf(document.id), document);
  };
  for (const subscription of await subscriptionsOf(client)) {
    const scope = `/subscriptions/${subscription}`;
    for (const type of documentTypes) {
      for (const item of await client.list(`${scope}/providers/Microsoft.Network/${type}`)) {
        take({ ...(item as unknown as ArmDocument), type: resourceType(type) });
      }
    }
    for (const group of await client.list(`${scope}/resourceGroups`)) {
      take({ ...(group as unknown as ArmDocument), type: groupType });
    }
    for (const feature of await client.list(`${scope}/providers/Microsoft.Features/features`)) {
      take({ ...(feature as unknown as ArmDocument), type: featureType });
    }
  }
  for (const document of [...documents.values()]) {
    if (document.type !== resourceType('privateLinkServices')) continue;
    for (const connection of (document as unknown as Service).properties.privateEndpointConnections) {
      take(connection as unknown as ArmDocument);
    }
  }
  return documents;
}
