/** Who may ask for a connection (visibility) and whose request is granted at once (auto-approval). */
import { maxSubscriptionsPerList } from './limits.js';
import { error } from './problem.js';
import type { Problem } from './problem.js';
import type { ConnectionStatus, PrivateLinkService } from './resources.js';

type Audience = Pick<PrivateLinkService, 'subscription' | 'visibility' | 'autoApproval' | 'roleAssignments'>;

const ANYONE = '*';

/**
 * Whether a subscription may ask for a connection. Azure says that an empty list leaves role-based access only; ours:
 * the provider's own subscription and those with an explicit role assignment have that access whatever the list is.
 */
export const mayRequest = (service: Audience, subscription: string): boolean =>
  service.visibility.includes(ANYONE) ||
  service.visibility.includes(subscription) ||
  service.roleAssignments.includes(subscription) ||
  service.subscription === subscription;

/** Whether a request from the subscription is approved without waiting. Auto-approval cannot widen visibility. */
export const isAutoApproved = (service: Audience, subscription: string): boolean =>
  mayRequest(service, subscription) &&
  (service.autoApproval.includes(ANYONE) || service.autoApproval.includes(subscription));

/** The state in which a new connection starts. */
export const initialStatus = (service: Audience, subscription: string): ConnectionStatus =>
  isAutoApproved(service, subscription) ? 'Approved' : 'Pending';

/** Paths are `['visibility', index?]` and `['autoApproval', index?]`. */
export function checkVisibility(service: Audience): Problem[] {
  const problems: Problem[] = [];
  for (const list of ['visibility', 'autoApproval'] as const) {
    const entries = service[list];
    if (entries.length > maxSubscriptionsPerList) {
      const what = `${list} has ${String(entries.length)} subscriptions; at most ${String(maxSubscriptionsPerList)} are allowed`;
      problems.push(error('SUBSCRIPTION_LIST_LIMIT', `${what}: use ['*'] for everyone`, [list]));
    }
    if (entries.includes(ANYONE) && entries.length > 1) {
      const what = `'*' means every subscription and stands alone: write ['*'], or leave '*' out`;
      problems.push(error('VISIBILITY_WILDCARD', what, [list, entries.indexOf(ANYONE)]));
    }
  }
  service.autoApproval.forEach((subscription, index) => {
    const visible = subscription === ANYONE ? service.visibility.includes(ANYONE) : mayRequest(service, subscription);
    if (visible) return;
    const what = `'${subscription}' is auto-approved but may not ask: auto-approval is a subset of visibility`;
    problems.push(error('AUTO_APPROVAL_NOT_VISIBLE', `${what}; add it to visibility too`, ['autoApproval', index]));
  });
  return problems;
}

/** A request from a subscription outside visibility is refused. */
export function checkRequest(service: Audience & { readonly name: string }, subscription: string): Problem[] {
  if (mayRequest(service, subscription)) return [];
  return [
    error(
      'ENDPOINT_NOT_VISIBLE',
      `subscription '${subscription}' cannot see private link service '${service.name}': ` +
        `add it to the service's visibility (now ${JSON.stringify(service.visibility)})`,
    ),
  ];
}
