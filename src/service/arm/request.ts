/** A request to create or replace a resource, and what all types do alike with it. */
import type { z } from 'zod';
import { isName, nameRule } from '../names.js';
import type { AddressIndex } from './addresses.js';
import type { ArmDocument, Documents, Draw } from './documents.js';
import { plainLocation, resourceType, subnetAt } from './documents.js';
import { formatResourceId, lastName, sameText } from './resource-id.js';
import type { ResourceId } from './resource-id.js';
import { Refusal, refuse, unknownReference } from './refusal.js';
import { envelope, shapes } from './shapes.js';
import type { Shapes } from './shapes.js';

export interface PutRequest {
  /** Of a document, not of a part. */
  readonly id: ResourceId;
  /** JSON without nulls, see {@link withoutNulls}. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly documents: Documents;
  readonly draw: Draw;
  /** Of the documents, where many requests follow each other; absent: it is made for this one. */
  readonly addresses?: AddressIndex;
}

/** Clients send null for what they leave out. `__proto__` is no property of any resource. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => item !== null).map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, inner]) => inner !== null && name !== '__proto__')
      .map(([name, inner]) => [name, withoutNulls(inner)]),
  );
}

const pathText = (path: readonly PropertyKey[]): string =>
  path
    .map((step) => (typeof step === 'number' ? `[${String(step)}]` : `.${String(step)}`))
    .join('')
    .replace(/^\./, '');

function malformed(id: string, issues: readonly z.core.$ZodIssue[], prefix: string): Refusal {
  const details = issues.map((issue) => {
    const target = pathText([...(prefix === '' ? [] : [prefix]), ...issue.path]);
    return { code: 'InvalidRequestFormat', message: `${target}: ${issue.message}`, target };
  });
  const first = details[0]!;
  return new Refusal(
    400,
    'InvalidRequestFormat',
    `Cannot read the request for ${id}: ${first.message}`,
    first.target,
    details.length > 1 ? details : [],
  );
}

/** @throws Refusal InvalidRequestFormat */
export function propertiesOf<T extends keyof Shapes>(type: T, value: unknown, id: string): Shapes[T] {
  const result = shapes[type].safeParse(value ?? {});
  if (!result.success) throw malformed(id, result.error.issues, 'properties');
  return result.data as Shapes[T];
}

/** What every type has beside its properties. @throws Refusal InvalidRequestFormat */
export function envelopeOf(body: unknown, id: string): z.output<typeof envelope> {
  const result = envelope.safeParse(body);
  if (!result.success) throw malformed(id, result.error.issues, '');
  return result.data;
}

export type Draft<T extends keyof Shapes> = ArmDocument<Shapes[T]> & { properties: Shapes[T] };

/**
 * The document as the client sent it, with what every type has; the type's own rules go on from here.
 * @throws Refusal InvalidRequestFormat, LocationRequired, PropertyChangeNotAllowed
 */
export function draftOf<T extends keyof Shapes & ResourceId['type']>(
  request: PutRequest,
  type: T,
  before: ArmDocument | undefined,
): Draft<T> {
  const id = before?.id ?? formatResourceId(request.id);
  const head = envelopeOf(request.body, id);
  const location = head.location ?? before?.location;
  if (location === undefined || location === '') {
    throw refuse(400, 'LocationRequired', `The location property is required for '${id}': name the region.`, id);
  }
  if (before?.location !== undefined && plainLocation(before.location) !== plainLocation(location)) {
    throw changeNotAllowed(id, 'location', before.location, location);
  }
  return {
    ...head,
    id,
    name: lastName(id),
    type: resourceType(type),
    location,
    etag: newEtag(request.draw),
    properties: { ...propertiesOf(type, head.properties, id), provisioningState: 'Succeeded' },
  };
}

export const newEtag = (draw: Draw): string => `W/"${draw.guid()}"`;

export const changeNotAllowed = (id: string, property: string, from: string, to: string): Refusal =>
  refuse(
    400,
    'PropertyChangeNotAllowed',
    `Changing property '${property}' of ${id} is not allowed (from '${from}' to '${to}'): ` +
      `it is fixed when the resource is created; delete the resource and create it anew.`,
    property,
  );

/** Gives each part its id and state, whatever the client says they are; refuses two of one name. */
export function withIds<P extends { readonly name: string; readonly properties: object }>(
  parent: string,
  kind: string,
  parts: readonly P[] | undefined,
): (P & { id: string })[] {
  const seen = new Set<string>();
  return (parts ?? []).map((part) => {
    checkName(part.name, kind);
    if (seen.has(part.name.toLowerCase())) {
      throw refuse(400, 'InvalidRequestFormat', `${kind} has '${part.name}' twice: each name counts once`, kind);
    }
    seen.add(part.name.toLowerCase());
    return {
      ...without(part, 'etag'),
      id: `${parent}/${kind}/${part.name}`,
      type: resourceType(`${parent.split('/').at(-2)!}/${kind}` as ResourceId['type']),
      properties: { ...part.properties, provisioningState: 'Succeeded' },
    };
  });
}

/** @throws Refusal InvalidResourceName */
export function checkName(name: string, what: string): void {
  if (isName(name)) return;
  throw refuse(400, 'InvalidResourceName', `'${name.slice(0, 100)}' is no name for ${what}: use ${nameRule}.`, what);
}

/** A resource is where its network is. @throws Refusal InvalidResourceReference */
export function checkSameLocation(document: ArmDocument, subnetId: string, documents: Documents): void {
  const found = subnetAt(documents, subnetId);
  if (found === undefined) throw unknownReference(subnetId, document.id);
  const [ours, theirs] = [document.location ?? '', found.network.location ?? ''];
  if (sameText(plainLocation(ours), plainLocation(theirs))) return;
  const what = `the resource is in '${ours}', the virtual network in '${theirs}'`;
  throw refuse(400, 'InvalidResourceReference', `${subnetId} cannot be used by ${document.id}: ${what}.`, subnetId);
}

/** A reference is its id alone: clients send empty properties beside it. */
export const bare = ({ id }: { readonly id: string }): { id: string } => ({ id });

/** What the service itself adds to an answer is nothing that a client can set: many send it back. */
export function without<T extends object>(properties: T, ...names: readonly string[]): T {
  return Object.fromEntries(Object.entries(properties).filter(([name]) => !names.includes(name))) as T;
}
