/** What a change did, resource by resource, for the audit log. */
import type { ArmDocument, Change, Documents } from '../service/arm/documents.js';
import { keyOf } from '../service/arm/resource-id.js';
import { isSame } from '../service/arm/steps.js';
import type { Caller } from './caller.js';

export interface AuditEntry {
  readonly time: string;
  /** Null: culvert itself. */
  readonly who: Caller | null;
  readonly action: 'create' | 'change' | 'delete';
  readonly id: string;
  readonly before: ArmDocument | null;
  readonly after: ArmDocument | null;
}

export function entriesOf(
  change: Change,
  before: Documents,
  after: Documents,
  who: Caller | null,
  time = new Date(),
): AuditEntry[] {
  const keys = [...change.remove, ...change.put.map((document) => keyOf(document.id))];
  return [...new Set(keys)].flatMap((key) => {
    const [was, is] = [before.get(key) ?? null, after.get(key) ?? null];
    const { id } = is ?? was ?? { id: undefined };
    // Some requests write what was there before, under a new etag.
    if (id === undefined || (was !== null && is !== null && isSame(was, is))) return [];
    const action = was === null ? 'create' : is === null ? 'delete' : 'change';
    return { time: time.toISOString(), who, action, id, before: was, after: is };
  });
}
