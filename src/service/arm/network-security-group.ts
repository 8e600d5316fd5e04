/** Network security groups and their rules. */
import { documentOf } from './documents.js';
import type { Change } from './documents.js';
import { formatResourceId } from './resource-id.js';
import { draftOf, withIds } from './request.js';
import type { PutRequest } from './request.js';
import { refuse } from './refusal.js';

/**
 * Application security groups are not there. Properties that are not known are kept, but these must not be: a rule that
 * loses them is one for all addresses.
 * @throws Refusal ApplicationSecurityGroupsNotSupported
 */
export function refuseApplicationSecurityGroups(groups: unknown, id: string, property: string): void {
  if (!Array.isArray(groups) || groups.length === 0) return;
  const what =
    `${id} names application security groups in ${property}, which are not supported here: ` +
    `write the addresses in sourceAddressPrefixes and destinationAddressPrefixes of the security rules.`;
  throw refuse(400, 'ApplicationSecurityGroupsNotSupported', what, `${id}/${property}`);
}

export function putNetworkSecurityGroup(request: PutRequest): Change {
  const before = documentOf(request.documents, formatResourceId(request.id), 'networkSecurityGroups');
  const draft = draftOf(request, 'networkSecurityGroups', before);
  for (const { name, properties } of draft.properties.securityRules ?? []) {
    for (const side of ['sourceApplicationSecurityGroups', 'destinationApplicationSecurityGroups']) {
      refuseApplicationSecurityGroups(properties[side], `${draft.id}/securityRules/${name}`, side);
    }
  }
  const securityRules = withIds(draft.id, 'securityRules', draft.properties.securityRules);
  return { put: [{ ...draft, properties: { ...draft.properties, securityRules } }], remove: [] };
}
