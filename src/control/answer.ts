/** What a request is answered with, and errors in the form of the management interface. */
import type { CulvertEvent } from './events.js';
import type { Refusal, RefusalDetail } from '../service/arm/refusal.js';

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON; absent: no body. */
  readonly body?: unknown;
  /** In place of a body: server-sent events. */
  readonly stream?: EventStream;
}

export interface EventStream {
  /** Where the listener is before the first event, for when its connection breaks; undefined: it knows. */
  readonly place: string | undefined;
  /** Begins; what it returns ends it. */
  readonly listen: (send: (event: CulvertEvent) => void) => () => void;
}

/** Codes of the HTTP layer itself; those that Azure publishes have its spelling. */
export const httpCodes = [
  'AuthenticationFailed',
  'InsufficientStorage',
  'InternalServerError',
  'InvalidApiVersionParameter',
  'InvalidHost',
  'InvalidOrigin',
  'InvalidRequestContent',
  'InvalidRequestUri',
  'InvalidResourceNamespace',
  'InvalidResourceType',
  'MethodNotAllowed',
  'MissingApiVersionParameter',
  'NotFound',
  'RequestEntityTooLarge',
  'ServiceUnavailable',
  'UnsupportedMediaType',
] as const;

export type HttpCode = (typeof httpCodes)[number];

/** An answer that ends a request at once. */
export class HttpError extends Error {
  readonly status: number;
  readonly code: HttpCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: HttpCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = 'HttpError';
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

const errorBody = (code: string, message: string, target?: string, details: readonly RefusalDetail[] = []): object => ({
  error: { code, message, ...(target === undefined ? {} : { target }), details },
});

export const httpErrorAnswer = (error: HttpError): Answer => ({
  status: error.status,
  headers: { ...error.headers, 'x-ms-error-code': error.code },
  body: errorBody(error.code, error.message),
});

export const refusalAnswer = (refusal: Refusal): Answer => ({
  status: refusal.status,
  headers: { 'x-ms-error-code': refusal.code },
  body: errorBody(refusal.code, refusal.message, refusal.target, refusal.details),
});

/** For what is refused by a part that knows nothing of HTTP. */
export const conflictAnswer = (code: string, message: string): Answer => ({
  status: 409,
  headers: { 'x-ms-error-code': code },
  body: errorBody(code, message),
});
