/** The management interface over http or https: reads requests with bounds, finds their handler, answers. */
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { CulvertError } from '../errors.js';
import type { Log } from '../gateway/log.js';
import { Refusal } from '../service/arm/refusal.js';
import type { Answer } from './answer.js';
import { conflictAnswer, HttpError, httpErrorAnswer, refusalAnswer } from './answer.js';
import { checkApiVersion } from './api-version.js';
import type { Call, Handler } from './call.js';
import type { Caller } from './caller.js';
import { asCaller } from './caller.js';
import { EventHub } from './events.js';
import { streamEvents } from './event-stream.js';
import { culvertRoutes } from './culvert-routes.js';
import type { ResourceManager } from './manager.js';
import { networkRoutes } from './network-routes.js';
import { Operations } from './operations.js';
import { pathOf, readBody } from './read-request.js';
import { Router } from './router.js';
import { subscriptionRoutes } from './subscription-routes.js';
import type { Certificate } from './tls.js';

export interface ApiOptions {
  readonly manager: ResourceManager;
  readonly log: Log;
  /** 0: any free one. */
  readonly port: number;
  /** Address to listen on; absent: 127.0.0.1. */
  readonly listen?: string | undefined;
  /** Bearer token that every request must have. */
  readonly token?: string | undefined;
  /** Absent: plain http. */
  readonly certificate?: Certificate | undefined;
  /** How long operations take; absent: no time. */
  readonly operationMs?: number | undefined;
  /** What happens, for those who listen; absent: nothing is told. */
  readonly events?: EventHub | undefined;
}

/** Of requests to routes of our own, which have many resources in one. */
const MAX_OWN_BODY_OCTETS = 16 << 20;

const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|localhost)$/i;

export const isLoopback = (host: string): boolean => LOOPBACK.test(host);

const router = new Router<Handler>([...networkRoutes, ...subscriptionRoutes, ...culvertRoutes]);

/** Every route, for the documentation and its test. */
export const { routes } = router;

export class ApiServer {
  private readonly options: ApiOptions;
  private readonly operations: Operations;
  private readonly events: EventHub;
  private readonly server: http.Server;
  private readonly tokenDigest: Buffer | null;

  private constructor(options: ApiOptions) {
    this.options = options;
    this.events = options.events ?? new EventHub();
    this.operations = new Operations(options.operationMs ?? 0);
    this.tokenDigest = options.token === undefined ? null : digest(options.token);
    const limits = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5000 };
    const serve = (request: http.IncomingMessage, response: http.ServerResponse): void => {
      void this.serve(request, response);
    };
    const { certificate } = options;
    this.server =
      certificate === undefined
        ? http.createServer(limits, serve)
        : https.createServer({ ...limits, key: certificate.key, cert: certificate.cert, minVersion: 'TLSv1.2' }, serve);
  }

  /** @throws CulvertError API_TOKEN_REQUIRED, API_LISTEN_FAILED */
  static async listen(options: ApiOptions): Promise<ApiServer> {
    const { listen = '127.0.0.1', port, token } = options;
    if (token === undefined && !isLoopback(listen)) {
      const what = `${listen} can be reached from other machines: give --token-file, or listen on 127.0.0.1`;
      throw new CulvertError('API_TOKEN_REQUIRED', what);
    }
    const api = new ApiServer(options);
    await new Promise<void>((resolve, reject) => {
      api.server.once('error', (error) => {
        reject(
          new CulvertError(
            'API_LISTEN_FAILED',
            `${listen} port ${String(port)}: ${error.message}`,
            {},
            { cause: error },
          ),
        );
      });
      api.server.listen(port, listen, resolve);
    });
    return api;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    const { listen = '127.0.0.1', certificate } = this.options;
    const host = listen.includes(':') ? `[${listen}]` : listen;
    return `${certificate === undefined ? 'http' : 'https'}://${host}:${String(this.port)}`;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.server.close(() => {
        resolve();
      });
      this.server.closeAllConnections();
    });
  }

  private async serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const requestId = randomUUID();
    try {
      this.write(request, response, await this.answer(request, requestId), requestId);
    } catch (error) {
      // Who hangs up in the middle of a request waits for no answer.
      if (response.destroyed && !request.complete) return;
      const answer = this.failure(error, requestId);
      if (response.headersSent) response.destroy();
      else this.write(request, response, answer, requestId);
    }
  }

  private write(request: http.IncomingMessage, response: http.ServerResponse, answer: Answer, requestId: string): void {
    if (answer.stream !== undefined) {
      streamEvents(response, answer.stream, { 'x-ms-request-id': requestId });
      return;
    }
    const text = answer.body === undefined || request.method === 'HEAD' ? '' : JSON.stringify(answer.body);
    response.writeHead(answer.status, {
      'Cache-Control': 'no-cache',
      'X-Content-Type-Options': 'nosniff',
      'x-ms-request-id': requestId,
      'x-ms-correlation-request-id': correlation(request) ?? requestId,
      ...(text === '' ? {} : { 'Content-Type': 'application/json; charset=utf-8' }),
      // What of the request was not read cannot be told from the next one.
      ...(request.complete ? {} : { Connection: 'close' }),
      'Content-Length': Buffer.byteLength(text),
      ...answer.headers,
    });
    response.end(text);
    if (!request.complete) request.resume();
  }

  private failure(error: unknown, requestId: string): Answer {
    if (error instanceof HttpError) return httpErrorAnswer(error);
    if (error instanceof Refusal) return refusalAnswer(error);
    // The gateway refuses by itself what this machine cannot run.
    if (error instanceof CulvertError && error.code.startsWith('GATEWAY_'))
      return conflictAnswer(error.code, error.message);
    if (error instanceof CulvertError && error.code === 'STATE_NOT_WRITTEN') {
      this.options.log.error('the state cannot be written', { requestId, why: error.message });
      const what = `Nothing was changed: the server's state cannot be written. Free space on its disk, see its log for ${requestId}.`;
      return httpErrorAnswer(new HttpError(507, 'InsufficientStorage', what));
    }
    this.options.log.error('a request failed by a fault of ours', { requestId, why: String((error as Error).stack) });
    const what = `The request failed by a fault of the server, see its log for ${requestId}.`;
    return httpErrorAnswer(new HttpError(500, 'InternalServerError', what));
  }

  private async answer(request: http.IncomingMessage, requestId: string): Promise<Answer> {
    const host = this.checkHost(request);
    this.checkToken(request.headers.authorization);
    checkOrigin(request, host);
    const { path, query } = pathOf(request.url ?? '/');
    const method = request.method ?? 'GET';
    const found = router.find(method, path);
    if (found.kind === 'none') throw unknownRoute(path);
    const isOurs = path[0] === 'culvert';
    if (!isOurs) checkApiVersion(query, path);
    if (found.kind === 'method') {
      const what = `The requested resource does not support http method '${method}': use ${found.allowed.join(', ')}.`;
      throw new HttpError(405, 'MethodNotAllowed', what, { Allow: found.allowed.join(', ') });
    }
    const call: Call = {
      params: found.params,
      query,
      body: await readBody(request, isOurs ? MAX_OWN_BODY_OCTETS : undefined),
      ifMatch: request.headers['if-match'],
      ifNoneMatch: request.headers['if-none-match'],
      origin: `${this.options.certificate === undefined ? 'http' : 'https'}://${host}`,
      manager: this.options.manager,
      operations: this.operations,
      events: this.events,
      // A browser that comes back asks for the same URL, with the header added.
      lastEventId: request.headers['last-event-id']?.toString() ?? query.get('after') ?? undefined,
    };
    return asCaller(this.callerOf(request, requestId), () => found.handler(call));
  }

  private callerOf(request: http.IncomingMessage, requestId: string): Caller {
    const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    return {
      address: request.socket.remoteAddress ?? '',
      token: token === undefined ? null : digest(token).toString('hex').slice(0, 12),
      agent: request.headers['user-agent']?.slice(0, 200) ?? null,
      requestId,
      request: `${request.method ?? ''} ${(request.url ?? '').split('?')[0]!}`,
    };
  }

  /**
   * Without a token the only guard is that requests come from this machine; a web page there must not get in by a name
   * of its own that leads to 127.0.0.1 (DNS rebinding).
   */
  private checkHost(request: http.IncomingMessage): string {
    const host = request.headers.host ?? '';
    const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
    const proper = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/i.test(host);
    if (proper && (this.tokenDigest !== null || isLoopback(name))) return host;
    throw new HttpError(
      400,
      'InvalidHost',
      `Host '${host.slice(0, 100)}' is not this server: without a token, use localhost or 127.0.0.1.`,
    );
  }

  private checkToken(header: string | undefined): void {
    if (this.tokenDigest === null) return;
    const challenge = { 'WWW-Authenticate': 'Bearer' };
    const token = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1];
    if (token === undefined) {
      const what = "Authentication failed. The 'Authorization' header is missing or no bearer token.";
      throw new HttpError(401, 'AuthenticationFailed', what, challenge);
    }
    if (timingSafeEqual(digest(token), this.tokenDigest)) return;
    throw new HttpError(
      401,
      'AuthenticationFailed',
      'Authentication failed. The token is not the right one.',
      challenge,
    );
  }
}

const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** A browser sends a POST without a body for any page that asks for it; only what it cannot read is kept from that page. */
function checkOrigin({ method = 'GET', headers }: http.IncomingMessage, host: string): void {
  if (READING.has(method)) return;
  const { origin } = headers;
  const site = headers['sec-fetch-site'];
  const ours = origin === undefined || origin.replace(/^https?:\/\//i, '').toLowerCase() === host.toLowerCase();
  if (ours && (site === undefined || site === 'same-origin' || site === 'none')) return;
  const what = `A page of '${(origin ?? 'another site').slice(0, 100)}' may not change what is here: ask from outside a browser.`;
  throw new HttpError(403, 'InvalidOrigin', what);
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

function correlation(request: http.IncomingMessage): string | undefined {
  const id = request.headers['x-ms-correlation-request-id'];
  return typeof id === 'string' && /^[\w-]{1,64}$/.test(id) ? id : undefined;
}

/** ARM tells what it does not know: the namespace, the type, or anything of the path. */
function unknownRoute(path: readonly string[]): HttpError {
  const providers = path.findIndex((segment) => segment.toLowerCase() === 'providers');
  const namespace = path[providers + 1];
  const type = path[providers + 2];
  if (providers >= 0 && namespace !== undefined && type !== undefined) {
    if (namespace.toLowerCase() !== 'microsoft.network') {
      const what = `The resource namespace '${namespace}' is not to be had here: there is Microsoft.Network.`;
      return new HttpError(404, 'InvalidResourceNamespace', what);
    }
    const what = `The resource type '${path.slice(providers + 2).join('/')}' could not be found in the namespace 'Microsoft.Network' here.`;
    return new HttpError(404, 'InvalidResourceType', what);
  }
  return new HttpError(404, 'NotFound', `There is nothing at '/${path.join('/')}': paths begin with /subscriptions.`);
}
