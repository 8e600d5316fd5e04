/**
 * Several changes made as one: each step is planned from the documents as the one before left them, and what all of them
 * come to is judged once, so that no step has to be right without the next. A resource that a step leaves as it was is
 * not touched: it keeps its etag.
 */
import { directConnectFeature } from '../direct-connect.js';
import { deleteResource, decideConnection, featureDocument, isWritablePart, putResource } from './manage.js';
import { AddressIndex } from './addresses.js';
import { connectionOf, applyTo } from './documents.js';
import type { ArmDocument, Change, Documents, Draw } from './documents.js';
import { statusOf } from './private-link-service.js';
import { documentKey, formatResourceId, keyOf, parseResourceId, sameText, segmentFault } from './resource-id.js';
import type { Refusal } from './refusal.js';
import { refuse } from './refusal.js';
import { withoutNulls } from './request.js';
import { z } from 'zod';

export const stepSchema = z.discriminatedUnion('op', [
  z.strictObject({
    op: z.literal('put'),
    id: z.string(),
    body: z.looseObject({}),
    /** What the resource must still be: its etag, or '' if it must not be there. */
    expect: z.string().optional(),
  }),
  z.strictObject({ op: z.literal('delete'), id: z.string(), expect: z.string().optional() }),
  /** What its provider decides of an endpoint's connection. */
  z.strictObject({
    op: z.literal('decide'),
    endpoint: z.string(),
    status: z.enum(['Approved', 'Rejected', 'Disconnected']),
  }),
  z.strictObject({
    op: z.literal('register'),
    subscription: z.string().regex(/^[\w.()-]{1,100}$/),
    feature: z.string(),
  }),
]);

export type Step = z.output<typeof stepSchema>;

export interface Effect {
  readonly id: string;
  readonly action: 'create' | 'change' | 'delete' | 'none';
  /** Null: it was not there. */
  readonly before: ArmDocument | null;
  /** Null: it is gone. */
  readonly after: ArmDocument | null;
}

/** What a document says, without what changes with every request. */
const meaning = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(meaning);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, inner]) => name !== 'etag' && inner !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => [name, meaning(inner)]),
  );
};

const means = (a: ArmDocument, b: ArmDocument): boolean => JSON.stringify(meaning(a)) === JSON.stringify(meaning(b));

const unknownId = (text: string): Refusal =>
  refuse(400, 'InvalidRequestFormat', `'${text}' is no id of a resource that can be changed here.`, text);

/** An id in a body keeps the rules that the path of a request keeps. @throws Refusal */
function checkSegments(id: string): void {
  for (const segment of id.split('/').slice(1)) {
    const fault = segmentFault(segment);
    if (fault === null) continue;
    const shown = id.slice(0, 200);
    throw refuse(400, 'InvalidRequestFormat', `'${shown}' is no id of a resource: ${fault}.`, shown);
  }
}

function checkExpected(step: { readonly expect?: string | undefined }, document: ArmDocument | undefined): void {
  if (step.expect === undefined || step.expect === (document?.etag ?? '')) return;
  const what = 'it has been changed, made or removed since the change was planned: plan anew';
  throw refuse(412, 'PreconditionFailed', `${document?.id ?? 'A resource'}: ${what}.`, document?.id);
}

/** @throws Refusal */
function changeOf(
  step: Step,
  documents: Documents,
  draw: Draw,
  addresses: AddressIndex,
): { id: string; change: Change } {
  switch (step.op) {
    case 'put': {
      const id = parseResourceId(step.id);
      if (id === null || (id.part !== null && !isWritablePart(id))) throw unknownId(step.id);
      checkSegments(step.id);
      const before = documents.get(documentKey(id));
      checkExpected(step, before);
      const body = withoutNulls(step.body) as Record<string, unknown>;
      const whole = formatResourceId({ ...id, part: null });
      return { id: before?.id ?? whole, change: putResource({ id, body, documents, draw, addresses }) };
    }
    case 'delete': {
      const id = parseResourceId(step.id);
      if (id?.part !== null) throw unknownId(step.id);
      checkExpected(step, documents.get(keyOf(step.id)));
      return { id: step.id, change: deleteResource(id, documents, draw) };
    }
    case 'register': {
      if (!sameText(step.feature, directConnectFeature)) {
        const what = `The feature '${step.feature.slice(0, 100)}' could not be found; there is ${directConnectFeature}.`;
        throw refuse(404, 'ResourceNotFound', what);
      }
      checkSegments(`/${step.subscription}`);
      const [namespace = '', name = ''] = directConnectFeature.split('/');
      const id = `/subscriptions/${step.subscription}/providers/Microsoft.Features/providers/${namespace}/features/${name}`;
      return { id, change: { put: [featureDocument(id, 'Registered', draw)], remove: [] } };
    }
    case 'decide': {
      const connection = connectionOf(documents, step.endpoint);
      if (connection === undefined) {
        if (step.status === 'Disconnected') return { id: step.endpoint, change: { put: [], remove: [] } };
        const what = `'${step.endpoint}' has no connection that could become ${step.status}: delete the endpoint first.`;
        throw refuse(409, 'ConnectionNotFound', what, step.endpoint);
      }
      const { id } = connection;
      if (sameText(statusOf(connection), step.status)) return { id: step.endpoint, change: { put: [], remove: [] } };
      if (step.status === 'Disconnected') return { id, change: { put: [], remove: [keyOf(id)] } };
      const body = { properties: { privateLinkServiceConnectionState: { status: step.status } } };
      return { id, change: decideConnection({ id: parseResourceId(id)!, body, documents, draw }) };
    }
  }
}

/** Of the document that an id is, or is a part of. */
const wholeKey = (text: string): string => {
  const id = parseResourceId(text);
  return id === null ? keyOf(text) : documentKey(id);
};

/** What all steps together come to, one effect for each resource. @throws Refusal of the first step that cannot be */
export function runSteps(
  steps: readonly Step[],
  documents: Documents,
  draw: Draw,
): { readonly change: Change; readonly effects: readonly Effect[] } {
  const working = new Map(documents);
  const addresses = new AddressIndex(documents);
  const ids = new Map<string, string>();
  for (const step of steps) if (step.op === 'put') addresses.moving.add(wholeKey(step.id));
  for (const step of steps) {
    if (step.op === 'put') addresses.moving.delete(wholeKey(step.id));
    const { id, change } = changeOf(step, working, draw, addresses);
    ids.set(keyOf(id), id);
    addresses.follow(working, change);
    applyTo(working, change);
  }
  const put = [...working].filter(([key, document]) => !isSame(documents.get(key), document)).map(([, each]) => each);
  const remove = [...documents.keys()].filter((key) => !working.has(key));
  const effects = [...ids].map(([key, id]) => effectOf(id, documents.get(key) ?? null, working.get(key) ?? null));
  return { change: { put, remove }, effects };
}

/** Whether a document says what it said before, whatever its etag. */
export const isSame = (before: ArmDocument | undefined, after: ArmDocument): boolean =>
  before === after || (before !== undefined && means(before, after));

function effectOf(id: string, before: ArmDocument | null, after: ArmDocument | null): Effect {
  if (before === null && after === null) return { id, action: 'none', before, after };
  const action = before === null ? 'create' : after === null ? 'delete' : isSame(before, after) ? 'none' : 'change';
  return { id: formatted(after?.id ?? before?.id ?? id), action, before, after };
}

const formatted = (id: string): string => {
  const parsed = parseResourceId(id);
  return parsed === null ? id : formatResourceId(parsed);
};
