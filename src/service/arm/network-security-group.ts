/** Network security groups and their rules. */
import { allOf, documentOf } from './documents.js';
import type { ArmDocument, Change, Documents } from './documents.js';
import { formatResourceId } from './resource-id.js';
import { draftOf, withIds } from './request.js';
import type { PutRequest } from './request.js';
import { refuse } from './refusal.js';
import type { RefusalDetail } from './refusal.js';
import type { Shapes } from './shapes.js';

const sides = ['sourceApplicationSecurityGroups', 'destinationApplicationSecurityGroups'] as const;

const isNamed = (groups: unknown): groups is readonly unknown[] => Array.isArray(groups) && groups.length > 0;

/**
 * Application security groups are not there. Properties that are not known are kept, but these must not be: a rule that
 * loses them is one for all addresses.
 * @throws Refusal ApplicationSecurityGroupsNotSupported
 */
export function refuseApplicationSecurityGroups(groups: unknown, id: string, property: string): void {
  if (!isNamed(groups)) return;
  const what =
    `${id} names application security groups in ${property}, which are not supported here: ` +
    `write the addresses in sourceAddressPrefixes and destinationAddressPrefixes of the security rules.`;
  throw refuse(400, 'ApplicationSecurityGroupsNotSupported', what, `${id}/${property}`);
}

type Group = ArmDocument<Shapes['networkSecurityGroups']>;
type Rule = NonNullable<Group['properties']['securityRules']>[number];

const namesGroups = ({ properties }: Rule): boolean => sides.some((side) => isNamed(properties[side]));

/**
 * The rules that packets are judged by. A state of an older version may have some with application security groups:
 * nothing is in those here, so they match no packet.
 */
export const rulesOf = ({ properties }: Group): readonly Rule[] =>
  (properties.securityRules ?? []).filter((rule) => !namesGroups(rule));

/** Ids of the rules that match no packet. */
export const deadRules = ({ id, properties }: Group): readonly string[] =>
  (properties.securityRules ?? []).filter(namesGroups).map(({ name }) => `${id}/securityRules/${name}`);

export const warnOfDeadRules = (documents: Documents): readonly RefusalDetail[] =>
  allOf(documents, 'networkSecurityGroups')
    .flatMap(deadRules)
    .map((target) => ({
      code: 'ApplicationSecurityGroupsNotSupported',
      message:
        `${target} names application security groups, which are not supported here, and matches no packet: ` +
        `write the addresses in sourceAddressPrefixes and destinationAddressPrefixes.`,
      target,
    }));

export function putNetworkSecurityGroup(request: PutRequest): Change {
  const before = documentOf(request.documents, formatResourceId(request.id), 'networkSecurityGroups');
  const draft = draftOf(request, 'networkSecurityGroups', before);
  for (const { name, properties } of draft.properties.securityRules ?? []) {
    for (const side of sides) {
      refuseApplicationSecurityGroups(properties[side], `${draft.id}/securityRules/${name}`, side);
    }
  }
  const securityRules = withIds(draft.id, 'securityRules', draft.properties.securityRules);
  return { put: [{ ...draft, properties: { ...draft.properties, securityRules } }], remove: [] };
}
