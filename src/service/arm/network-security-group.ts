/** Network security groups and their rules. */
import { documentOf } from './documents.js';
import type { Change } from './documents.js';
import { formatResourceId } from './resource-id.js';
import { draftOf, withIds } from './request.js';
import type { PutRequest } from './request.js';

export function putNetworkSecurityGroup(request: PutRequest): Change {
  const before = documentOf(request.documents, formatResourceId(request.id), 'networkSecurityGroups');
  const draft = draftOf(request, 'networkSecurityGroups', before);
  const securityRules = withIds(draft.id, 'securityRules', draft.properties.securityRules);
  return { put: [{ ...draft, properties: { ...draft.properties, securityRules } }], remove: [] };
}
