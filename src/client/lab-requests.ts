/** New endpoints of a lab file that asked for their connection before their service's lists were what they are. */
import { documentOf } from '../service/arm/documents.js';
import type { Documents } from '../service/arm/documents.js';
import type { Entry, Ref } from '../service/arm/entries.js';
import { audienceOf } from '../service/arm/model.js';
import { keyOf } from '../service/arm/resource-id.js';
import { isAutoApproved } from '../service/visibility.js';

/**
 * Those of subscriptions that are outside visibility by now, and those that wait though auto-approval would grant them.
 *
 * @param there entries of the state
 * @param asked entries of the file
 * @returns by the service's key: the subscriptions that are to be let in
 */
export function lateRequests(
  wanted: Documents,
  there: ReadonlyMap<string, Entry>,
  asked: ReadonlyMap<string, Entry>,
): Map<string, readonly string[]> {
  const late = new Map<string, readonly string[]>();
  for (const [key, { section, id, value }] of asked) {
    if (section !== 'privateEndpoints' || there.has(key)) continue;
    const { key: service } = value['privateLinkService'] as Ref;
    const subscription = id.split('/')[2] ?? '';
    const isOutside = value['outsideVisibility'] === true;
    const waits = value['status'] === 'Pending' && grants(wanted, service, subscription);
    if (isOutside || waits) late.set(service, [...(late.get(service) ?? []), ...(isOutside ? [subscription] : [])]);
  }
  return late;
}

function grants(documents: Documents, service: string, subscription: string): boolean {
  const document = documentOf(documents, service, 'privateLinkServices');
  return document !== undefined && isAutoApproved(audienceOf(document), keyOf(subscription));
}
