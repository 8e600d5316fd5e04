/** What brings a resource group to an ARM template, as steps: Azure's incremental mode, or with pruning its complete mode. */
import { allOf, resourceType } from '../service/arm/documents.js';
import type { ArmDocument, Documents } from '../service/arm/documents.js';
import { keyOf } from '../service/arm/resource-id.js';
import type { DocumentType } from '../service/arm/resource-id.js';
import type { Step } from '../service/arm/steps.js';
import { deleteOrder } from './lab-plan.js';
import type { LabPlan } from './lab-plan.js';
import { resourcesOf } from './template/template.js';
import type { Target } from './template/template.js';

/**
 * @param prune delete what is in the resource group and not in the template
 * @throws CulvertError TEMPLATE_*
 */
export function planTemplate(
  template: unknown,
  parameters: ReadonlyMap<string, unknown>,
  target: Target,
  state: Documents,
  prune = false,
): LabPlan {
  const resources = resourcesOf(template, target, parameters);
  const declared = new Set(resources.map(({ id }) => keyOf(id)));
  const deletes = prune
    ? othersIn(target, state, declared).map(({ id, etag }): Step => ({ op: 'delete', id, expect: etag }))
    : [];
  const sent = new Set<string>();
  const puts = resources.map(({ id, body }): Step => {
    const whole = id.split('/').slice(0, 9).join('/');
    const key = keyOf(whole);
    // With its first step a resource, or the one that it is a part of, is no longer what the plan was made from.
    const expected = sent.has(key) ? {} : { expect: state.get(key)?.etag ?? '' };
    sent.add(key);
    // Most templates leave the region to the resource group.
    return { op: 'put', id, body: id === whole ? { location: target.location, ...body } : { ...body }, ...expected };
  });
  return { steps: [...deletes, ...puts], kept: [], notes: [] };
}

function othersIn(target: Target, state: Documents, declared: ReadonlySet<string>): ArmDocument[] {
  const group = keyOf(`/subscriptions/${target.subscription}/resourceGroups/${target.resourceGroup}/`);
  const owned = new Set(
    allOf(state, 'networkInterfaces')
      .filter(({ properties: p }) => p.privateEndpoint !== undefined || p.privateLinkService !== undefined)
      .map(({ id }) => id),
  );
  return deleteOrder.flatMap((type: DocumentType) =>
    [...state.values()].filter(
      ({ id, type: each }) =>
        each === resourceType(type) && keyOf(id).startsWith(group) && !declared.has(keyOf(id)) && !owned.has(id),
    ),
  );
}
