/** Requests to a management interface: JSON in and out, bounded, errors with the code that the server gave. */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { setTimeout } from 'node:timers/promises';
import { CulvertError } from '../errors.js';
import { ApiError } from './api-error.js';
import type { ApiErrorDetail } from './api-error.js';

export interface ClientOptions {
  /** Scheme, host and port, as in http://127.0.0.1:8430. */
  readonly url: string;
  /** File with the bearer token. */
  readonly tokenFile?: string | undefined;
  /** File with the certificate that https is trusted by, in place of the machine's. */
  readonly ca?: string | undefined;
  /** Trust any certificate. */
  readonly insecure?: boolean | undefined;
}

/** Any JSON object of the interface. */
export type Json = Readonly<Record<string, unknown>>;

const API_VERSION = '2025-05-01';
const TIMEOUT_MS = 60_000;
const MAX_ANSWER_OCTETS = 256 << 20;
/** Longest life of an operation that is waited for. */
const MAX_WAIT_MS = 3_600_000;
/** A server may name a longer pause; nobody at a terminal wants it. */
const MAX_PAUSE_MS = 5000;

interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Json | null;
}

function readNamed(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CulvertError('CLIENT_FILE', `${option} ${file}: ${(error as Error).message}`, {}, { cause: error });
  }
}

export class ApiClient {
  readonly #base: URL;
  readonly #options: https.RequestOptions;

  /** @throws CulvertError CLIENT_URL, CLIENT_FILE */
  constructor({ url, tokenFile, ca, insecure }: ClientOptions) {
    const base = URL.canParse(url) ? new URL(url) : null;
    if (base === null || !/^https?:$/.test(base.protocol) || base.username !== '') {
      throw new CulvertError('CLIENT_URL', `'${url}' is no URL of a management interface, as http://127.0.0.1:8430 is`);
    }
    this.#base = base;
    const token = tokenFile === undefined ? undefined : readNamed('--token-file', tokenFile).trim();
    if (token !== undefined && !/^\S{1,4096}$/.test(token)) {
      throw new CulvertError(
        'CLIENT_FILE',
        `--token-file ${String(tokenFile)} holds no token: one line without spaces`,
      );
    }
    this.#options = {
      headers: { 'User-Agent': 'culvert', ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }) },
      ...(ca === undefined ? {} : { ca: readNamed('--ca', ca) }),
      ...(insecure === true ? { rejectUnauthorized: false } : {}),
    };
  }

  /** Where the client asks. */
  get url(): string {
    return this.#base.origin;
  }

  /** The whole answer to a GET. @throws ApiError; CulvertError CLIENT_* */
  async get(path: string): Promise<Json> {
    return (await this.#ask('GET', path)).body ?? {};
  }

  /** Every item of a list, over all its pages. @throws ApiError; CulvertError CLIENT_* */
  async list(path: string): Promise<Json[]> {
    const items: Json[] = [];
    let next: string | undefined = path;
    while (next !== undefined) {
      const answer: Json = await this.get(next);
      items.push(...(answer['value'] as Json[]));
      next = answer['nextLink'] as string | undefined;
    }
    return items;
  }

  /** A change; its operation has ended when this answers. @throws ApiError; CulvertError CLIENT_* */
  async change(method: 'PUT' | 'POST' | 'DELETE', path: string, body?: Json): Promise<Json> {
    const reply = await this.#ask(method, path, body);
    const operation = reply.headers['azure-asyncoperation'];
    if (typeof operation !== 'string') return reply.body ?? {};
    await this.#wait(operation);
    return method === 'PUT' ? this.get(path) : (reply.body ?? {});
  }

  async #wait(operation: string): Promise<void> {
    const end = Date.now() + MAX_WAIT_MS;
    while (Date.now() < end) {
      const { headers, body } = await this.#ask('GET', operation);
      if (body?.['status'] === 'Succeeded') return;
      if (body?.['status'] !== 'InProgress') throw errorOf(500, body);
      const pause = Number(headers['retry-after'] ?? 1) * 1000;
      await setTimeout(Math.min(Number.isFinite(pause) ? pause : 1000, MAX_PAUSE_MS));
    }
    throw new CulvertError('CLIENT_TIMEOUT', `the operation ${operation} has not ended in an hour`);
  }

  async #ask(method: string, path: string, body?: Json): Promise<Reply> {
    const response = await this.#send(method, path, body);
    const chunks: Buffer[] = [];
    let octets = 0;
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        octets += chunk.length;
        if (octets > MAX_ANSWER_OCTETS) throw new Error(`the answer has more than ${String(MAX_ANSWER_OCTETS)} octets`);
        chunks.push(chunk);
      }
    } catch (error) {
      throw this.#unreachable(error as Error);
    }
    const status = response.statusCode ?? 0;
    const json = this.#parsed(Buffer.concat(chunks).toString('utf8'), status);
    if (status >= 400) throw errorOf(status, json);
    return { status, headers: response.headers, body: json };
  }

  /**
   * A server-sent stream.
   * @throws ApiError; CulvertError CLIENT_*
   */
  async stream(
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<http.IncomingMessage> {
    const response = await this.#send('GET', path, undefined, { Accept: 'text/event-stream', ...headers }, signal);
    if (response.statusCode === 200) return response;
    const text = (await response.toArray()).join('');
    throw errorOf(response.statusCode ?? 0, this.#parsed(text, response.statusCode ?? 0));
  }

  /** Links of the server lead back to it whatever host they name: the token goes nowhere else. */
  #urlOf(path: string): URL {
    const link = new URL(path, this.#base);
    const url = new URL(this.#base);
    url.pathname = link.pathname;
    url.search = link.search;
    if (!url.searchParams.has('api-version')) url.searchParams.set('api-version', API_VERSION);
    return url;
  }

  #send(
    method: string,
    path: string,
    body: Json | undefined,
    headers: Readonly<Record<string, string>> = {},
    signal?: AbortSignal,
  ): Promise<http.IncomingMessage> {
    const url = this.#urlOf(path);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const { request } = url.protocol === 'https:' ? https : http;
    return new Promise((resolve, reject) => {
      const options: https.RequestOptions = {
        ...this.#options,
        method,
        headers: {
          ...(this.#options.headers as http.OutgoingHttpHeaders),
          ...headers,
          ...(text === undefined
            ? {}
            : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }),
        },
        ...(signal === undefined ? { timeout: TIMEOUT_MS } : { signal }),
      };
      const sent = request(url, options, resolve);
      sent.on('timeout', () => sent.destroy(new Error(`no answer in ${String(TIMEOUT_MS / 1000)} s`)));
      sent.on('error', (error) => {
        reject(this.#unreachable(error));
      });
      sent.end(text);
    });
  }

  #parsed(text: string, status: number): Json | null {
    if (text === '') return null;
    try {
      return JSON.parse(text) as Json;
    } catch (error) {
      const what = `${this.url} answered ${String(status)} with something that is not JSON: is it a management interface?`;
      throw new CulvertError('CLIENT_ANSWER', what, {}, { cause: error });
    }
  }

  #unreachable(error: Error & { code?: string }): CulvertError {
    const hints: Readonly<Record<string, string>> = {
      ECONNREFUSED: 'nothing listens there; is culvert serve running?',
      DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed: give --ca STATE.crt, or --insecure',
      ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name: use that, or --insecure',
      EPROTO: 'it does not speak TLS there; is it http?',
      ECONNRESET: 'the connection was cut; is it https?',
    };
    const why = hints[error.code ?? ''] ?? error.message;
    return new CulvertError('CLIENT_UNREACHABLE', `${this.url}: ${why}`, {}, { cause: error });
  }
}

function errorOf(status: number, body: Json | null): ApiError {
  const error = (body?.['error'] ?? {}) as { code?: string; message?: string; details?: ApiErrorDetail[] };
  const code = error.code ?? `HTTP_${String(status)}`;
  return new ApiError(status, code, error.message ?? `the server answered ${String(status)}`, error.details ?? []);
}
