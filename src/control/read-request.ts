/** Path, query and body of a request, bounded and checked. */
import type { IncomingMessage } from 'node:http';
import { segmentFault } from '../service/arm/resource-id.js';
import { HttpError } from './answer.js';

const MAX_BODY_OCTETS = 1 << 20;
/** Of all requests that are being read. */
const MAX_HELD_OCTETS = 64 << 20;
let heldOctets = 0;

const MAX_DEPTH = 64;

const badUri = (what: string): HttpError =>
  new HttpError(400, 'InvalidRequestUri', `The request URI is invalid: ${what}.`);

/**
 * The decoded segments of a path. Nothing is resolved: `..`, empty segments and encoded slashes are refused.
 * @throws HttpError InvalidRequestUri
 */
export function pathOf(url: string): { path: string[]; query: URLSearchParams } {
  const [raw = '', ...rest] = url.split('?');
  if (!raw.startsWith('/')) throw badUri('it begins with a slash');
  const path = raw.replace(/\/$/, '').split('/').slice(1).map(segmentOf);
  return { path, query: new URLSearchParams(rest.join('?')) };
}

function segmentOf(encoded: string): string {
  let text: string;
  try {
    text = decodeURIComponent(encoded);
  } catch {
    throw badUri('a percent sign is followed by two hexadecimal digits of UTF-8');
  }
  const fault = segmentFault(text);
  if (fault !== null) throw badUri(fault);
  return text;
}

/**
 * The JSON of a request, or undefined if it has no body.
 * @throws HttpError RequestEntityTooLarge, ServiceUnavailable, UnsupportedMediaType, InvalidRequestContent
 */
export async function readBody(request: IncomingMessage, maxOctets = MAX_BODY_OCTETS): Promise<unknown> {
  const tooLarge = new HttpError(
    413,
    'RequestEntityTooLarge',
    `The request content is too large: at most ${String(maxOctets)} octets are read.`,
  );
  if (Number(request.headers['content-length'] ?? 0) > maxOctets) throw tooLarge;
  const chunks: Buffer[] = [];
  let octets = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      octets += chunk.length;
      heldOctets += chunk.length;
      if (octets > maxOctets) throw tooLarge;
      if (heldOctets > MAX_HELD_OCTETS) {
        const what = 'Too much is being sent at one time: send it again later.';
        throw new HttpError(503, 'ServiceUnavailable', what, { 'Retry-After': '1' });
      }
      chunks.push(chunk);
    }
  } finally {
    heldOctets -= octets;
  }
  if (octets === 0) return undefined;
  const type = request.headers['content-type'] ?? '';
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (!/^application\/json\b/i.test(type) || encoding !== 'identity') {
    const what = `The content is '${type.slice(0, 60)}' (${encoding.slice(0, 20)}): send application/json, not compressed.`;
    throw new HttpError(415, 'UnsupportedMediaType', what);
  }
  return parse(Buffer.concat(chunks));
}

function parse(octets: Buffer): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(octets));
  } catch (error) {
    const what = `The request content was invalid and could not be deserialized: ${(error as Error).message}`;
    throw new HttpError(400, 'InvalidRequestContent', what);
  }
  if (depth(value) <= MAX_DEPTH) return value;
  throw new HttpError(
    400,
    'InvalidRequestContent',
    `The request content is nested deeper than ${String(MAX_DEPTH)} levels.`,
  );
}

/** Levels of nesting, counted without recursion and no further than needed. */
function depth(value: unknown): number {
  let level: unknown[] = [value];
  for (let count = 0; ; count++) {
    level = level.flatMap((each) =>
      typeof each === 'object' && each !== null ? (Object.values(each) as unknown[]) : [],
    );
    if (level.length === 0 || count > MAX_DEPTH) return count;
  }
}
