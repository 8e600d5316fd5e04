/** The plan of `culvert apply`, for people. */
import { connectionType } from '../service/arm/documents.js';
import type { ArmDocument } from '../service/arm/documents.js';
import type { Effect } from '../service/arm/steps.js';

export interface ShownPlan {
  readonly changes: readonly Effect[];
  readonly kept: readonly string[];
  readonly notes: readonly string[];
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

/** Properties of one resource that are told of. */
const MAX_LINES = 12;
const MAX_VALUE = 100;
const MAX_KEPT = 10;

const signs = { create: '+', change: '~', delete: '-', none: ' ' } as const;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** What a client neither says nor wants to know. */
const notShown = new Set(['etag', 'provisioningState', 'id', 'type', 'name']);

function* differences(before: unknown, after: unknown, path: string): Generator<string> {
  if (JSON.stringify(before) === JSON.stringify(after)) return;
  if (!isObject(before) || !isObject(after)) {
    yield `${path}: ${short(before)} -> ${short(after)}`;
    return;
  }
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (notShown.has(name)) continue;
    const step = Array.isArray(before) ? `[${name}]` : path === '' ? name : `.${name}`;
    yield* differences(before[name], after[name], `${path}${step}`);
  }
}

function short(value: unknown): string {
  const text = value === undefined ? 'none' : JSON.stringify(meaningful(value));
  return text.length <= MAX_VALUE ? text : `${text.slice(0, MAX_VALUE)}...`;
}

const meaningful = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(meaningful);
  if (!isObject(value)) return value;
  const names = Object.keys(value).filter((name) => name === 'id' || name === 'name' || !notShown.has(name));
  return Object.fromEntries(names.map((name) => [name, meaningful(value[name])]));
};

const shownParts = ({ location, tags, sku, properties }: ArmDocument): unknown => ({
  location,
  tags,
  sku,
  ...properties,
});

function linesOf({ id, action, before, after }: Effect): string[] {
  const status = (document: ArmDocument | null, otherwise: string): string =>
    (document?.properties['privateLinkServiceConnectionState'] as { status?: string } | undefined)?.status ?? otherwise;
  if ((before ?? after)?.type === connectionType) {
    return [`${signs[action]} ${id}: ${status(before, 'new')} -> ${status(after, 'ended')}`];
  }
  const head = `${signs[action]} ${action} ${id}`;
  if (before === null || after === null) return [head];
  const all = [...differences(shownParts(before), shownParts(after), '')];
  const more = all.length > MAX_LINES ? [`      and ${String(all.length - MAX_LINES)} more`] : [];
  return [head, ...all.slice(0, MAX_LINES).map((line) => `      ${line}`), ...more];
}

const some = (title: string, items: readonly string[]): string[] =>
  items.length === 0
    ? []
    : [
        title,
        ...items.slice(0, MAX_KEPT).map((item) => `  ${item}`),
        ...(items.length > MAX_KEPT ? [`  and ${String(items.length - MAX_KEPT)} more`] : []),
      ];

export function planText({ changes, kept, notes, warnings }: ShownPlan): string {
  const count = (action: Effect['action']): string => String(changes.filter((each) => each.action === action).length);
  const total = `${count('create')} to create, ${count('change')} to change, ${count('delete')} to delete`;
  return [
    ...changes.flatMap(linesOf),
    changes.length === 0 ? 'nothing to do' : total,
    ...some('not in the file, and kept (--prune deletes):', kept),
    ...notes.map((note) => `note: ${note}`),
    ...warnings.map(({ code, message }) => `warning: ${code}: ${message}`),
    '',
  ].join('\n');
}
