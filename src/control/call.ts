/** One request as the handlers see it, and what many of them do. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { ArmDocument, Draw } from '../service/arm/documents.js';
import { groupType } from '../service/arm/documents.js';
import { withoutNulls } from '../service/arm/request.js';
import { refuse } from '../service/arm/refusal.js';
import type { Answer } from './answer.js';
import { HttpError } from './answer.js';
import type { EventHub } from './events.js';
import type { ResourceManager } from './manager.js';
import type { Operations } from './operations.js';

export interface Call {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Parsed JSON; undefined: there was none. */
  readonly body: unknown;
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: string | undefined;
  /** Scheme and host that the client knows us by, for links. */
  readonly origin: string;
  readonly manager: ResourceManager;
  readonly operations: Operations;
  readonly events: EventHub;
  /** The last event that the client has seen. */
  readonly lastEventId: string | undefined;
}

export type Handler = (call: Call) => Answer | Promise<Answer>;

export const machineDraw: Draw = {
  guid: () => randomUUID(),
  uint32: () => randomBytes(4).readUInt32BE(0),
};

/** @throws HttpError InvalidRequestContent */
export function objectBody({ body }: Call): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new HttpError(400, 'InvalidRequestContent', 'The request content is missing or no JSON object: send one.');
  }
  return withoutNulls(body) as Record<string, unknown>;
}

const opaque = (etag: string): string => etag.trim().replace(/^W\//, '').replaceAll('"', '');

/** If-Match and If-None-Match (RFC 9110 section 13), compared weakly. @throws Refusal PreconditionFailed */
export function checkPreconditions({ ifMatch, ifNoneMatch }: Call, document: ArmDocument | undefined): void {
  const matches = (header: string): boolean =>
    document !== undefined &&
    header.split(',').some((tag) => tag.trim() === '*' || opaque(tag) === opaque(document.etag));
  const failed = (what: string): Error =>
    refuse(412, 'PreconditionFailed', `Precondition failed: ${what}. Read the resource again and repeat the change.`);
  if (ifMatch !== undefined && !matches(ifMatch)) {
    const state = document === undefined ? 'there is no such resource' : `its etag is ${document.etag}`;
    throw failed(`If-Match is ${ifMatch}, ${state}`);
  }
  if (ifNoneMatch !== undefined && matches(ifNoneMatch))
    throw failed(`If-None-Match is ${ifNoneMatch}, and it is there`);
}

/** Items on a page of a list. */
const PAGE = 100;

/** A list, in pages: in the order of ids, each page telling where the next begins. */
export function page<T extends { readonly id: string }>(
  call: Call,
  path: string,
  items: readonly T[],
  show: (item: T) => unknown,
): Answer {
  const top = Number(call.query.get('$top') ?? PAGE);
  const size = Number.isInteger(top) && top >= 1 ? Math.min(top, PAGE) : PAGE;
  const sorted = items.toSorted((a, b) => (a.id.toLowerCase() < b.id.toLowerCase() ? -1 : 1));
  const after = Buffer.from(call.query.get('$skiptoken') ?? '', 'base64url').toString();
  const rest = after === '' ? sorted : sorted.filter((item) => item.id.toLowerCase() > after);
  const value = rest.slice(0, size);
  if (rest.length <= size) return { status: 200, body: { value: value.map(show) } };
  const query = new URLSearchParams(call.query);
  query.set('$skiptoken', Buffer.from(value.at(-1)!.id.toLowerCase()).toString('base64url'));
  return { status: 200, body: { value: value.map(show), nextLink: `${call.origin}${path}?${query.toString()}` } };
}

export const isGroup = (document: ArmDocument): boolean => document.type === groupType;

/** Headers that lead to an operation. */
export function operationHeaders(
  call: Call,
  subscription: string,
  key: string,
): { header: Record<string, string>; location: string } {
  const id = call.operations.begin(key);
  const version = encodeURIComponent(call.query.get('api-version') ?? '');
  const base = `${call.origin}/subscriptions/${subscription}/providers/Microsoft.Network/locations/local`;
  return {
    header: { 'Azure-AsyncOperation': `${base}/operations/${id}?api-version=${version}`, 'Retry-After': '1' },
    location: `${base}/operationResults/${id}?api-version=${version}`,
  };
}
