/** Azure's published limits of Private Link, and one way to find what lies beyond a limit. */

export const maxEndpointsPerService = 1000;
export const maxEndpointsPerNetwork = 1000;
export const maxServicesPerSubscription = 800;
export const maxServicesPerLoadBalancer = 8;
/** Per subscription and location. */
export const maxDirectConnectServices = 10;
/** In each network security group. */
export const maxSecurityRules = 1000;
/** In each of visibility and auto-approval. */
export const maxSubscriptionsPerList = 100;

/**
 * The first item of each group that is one too many, so that a limit is reported once, at the item that breaks it.
 * @param keyOf the group an item counts in; null: in none
 */
export function firstBeyond<T>(
  items: Iterable<T>,
  limit: number,
  keyOf: (item: T) => string | null,
): { readonly item: T; readonly key: string; readonly count: number }[] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    if (key === null) continue;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  const beyond: { item: T; key: string; count: number }[] = [];
  for (const [key, group] of groups) {
    const item = group[limit];
    if (item !== undefined) beyond.push({ item, key, count: group.length });
  }
  return beyond;
}
