/** Azure's own client, unchanged, against a server of ours in this process. */
import { NetworkManagementClient } from '@azure/arm-network';
import { bearerTokenAuthenticationPolicyName, RestError } from '@azure/core-rest-pipeline';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ApiServer } from '../../src/control/api-server.js';
import { defaultBase } from '../../src/control/lab.js';
import { ResourceManager } from '../../src/control/manager.js';
import { Store } from '../../src/control/store.js';
import { certificateFor } from '../../src/control/tls.js';
import type { Log } from '../../src/gateway/log.js';

export const LOCATION = 'westeurope';
export const API_VERSION = '2025-05-01';
/** Polls at once: what the tests wait for is done when it is first asked after. */
export const QUICK = { updateIntervalInMs: 5 };

export interface TestServer {
  readonly url: string;
  readonly manager: ResourceManager;
  readonly stateFile: string;
  /** What the server logged as a fault. */
  readonly faults: string[];
  client(subscription: string): NetworkManagementClient;
  /** A request by hand, with JSON in and out. */
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>;
  close(): Promise<void>;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: { readonly error?: { readonly code: string; readonly message: string } } & Record<string, unknown>;
}

interface ServerOptions {
  readonly tls?: boolean;
  readonly token?: string;
  readonly operationMs?: number;
}

export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-api-'));
  const stateFile = path.join(folder, 'state');
  const faults: string[] = [];
  const log: Log = {
    info: () => undefined,
    warn: () => undefined,
    error: (message, fields) => faults.push(`${message} ${JSON.stringify(fields)}`),
  };
  const manager = new ResourceManager({ store: Store.open(stateFile), base: defaultBase() });
  const certificate = options.tls === true ? certificateFor(stateFile, '127.0.0.1') : undefined;
  const { token, operationMs } = options;
  const api = await ApiServer.listen({ manager, log, port: 0, certificate, token, operationMs });
  return {
    url: api.url,
    manager,
    stateFile,
    faults,
    client: (subscription) => clientOf(api.url, subscription, certificate?.cert, token),
    send: (method, where, body, headers) => send(api.url, method, where, body, headers),
    close: async () => {
      await api.close();
      await manager.close();
      rmSync(folder, { recursive: true, force: true });
      assert.deepEqual(faults, []);
    },
  };
}

export function clientOf(url: string, subscription: string, ca?: string, token = 'any'): NetworkManagementClient {
  const credential = { getToken: () => Promise.resolve({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) };
  const client = new NetworkManagementClient(credential, subscription, {
    endpoint: url,
    allowInsecureConnection: ca === undefined,
    ...(ca === undefined ? {} : { tlsOptions: { ca } }),
  });
  // The client sends no token over plain http; it asks for the policy to be removed then.
  if (ca === undefined) client.pipeline.removePolicy({ name: bearerTokenAuthenticationPolicyName });
  return client;
}

async function send(
  url: string,
  method: string,
  where: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const query = where.includes('?') ? '' : `?api-version=${API_VERSION}`;
  const response = await fetch(`${url}${where}${query}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: (text === '' ? {} : JSON.parse(text)) as Reply['body'],
  };
}

/** The request is refused with this status, this code, and a message that fits. */
export async function refused(work: Promise<unknown>, status: number, code: string, message: RegExp): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof RestError, String(error));
    assert.equal(error.code, code, error.message);
    assert.equal(error.statusCode, status);
    assert.match(error.message, message);
    return true;
  });
}
