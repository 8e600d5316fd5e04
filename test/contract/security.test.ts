import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ApiServer } from '../../src/control/api-server.js';
import { repositoryRoot } from '../support/machine.js';
import { PATIENCE_MS, until } from '../support/until.js';
import { API_VERSION, clientOf, LOCATION, refused, startServer } from './sdk.js';
import type { TestServer } from './sdk.js';

const G = '/subscriptions/s/resourceGroups/g';
const NSG = `${G}/providers/Microsoft.Network/networkSecurityGroups/one`;
const group = (tag = 'a'): object => ({ location: LOCATION, tags: { tag }, properties: {} });
const exec = promisify(execFile);

/** Sends octets as they are, and gives the first line of the answer and its body. */
async function raw(url: string, octets: string): Promise<{ status: number; body: string }> {
  const socket = net.connect(Number(new URL(url).port), '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => (text += part));
  socket.on('error', () => undefined);
  socket.write(octets);
  await Promise.race([once(socket, 'close'), once(socket, 'end')]);
  const [head = '', body = ''] = text.split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), body };
}

const codeOf = (body: string): string => (JSON.parse(body) as { error: { code: string } }).error.code;

describe('the management interface refuses', () => {
  let server: TestServer;
  /** Everything that is held, to see that a refusal changed nothing. */
  let first: string;
  const held = (): string => JSON.stringify([...server.manager.documents]);

  before(async () => {
    server = await startServer();
    assert.equal((await server.send('PUT', NSG, group())).status, 201);
  });
  after(() => server.close());
  beforeEach(() => {
    first = held();
  });
  afterEach(() => {
    assert.equal(held(), first, 'something was changed');
  });

  const refuses = async (
    status: number,
    code: string,
    method: string,
    where: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<void> => {
    const reply = await server.send(method, where, body, headers);
    assert.equal(reply.body.error?.code, code, `${method} ${where}`);
    assert.equal(reply.status, status);
    assert.ok(reply.body.error.message.length > 20, reply.body.error.message);
  };

  it('bodies that are no JSON, no object, too deep, no UTF-8 or none at all', async () => {
    const depth = `${'['.repeat(70)}${']'.repeat(70)}`;
    for (const body of ['{', '{"a":1}}', '[]', '"text"', '1', 'null', `{"properties":${depth}}`, '[{]}']) {
      await refuses(400, 'InvalidRequestContent', 'PUT', NSG, body);
    }
    await refuses(400, 'InvalidRequestContent', 'PUT', NSG);
    const latin = await fetch(`${server.url}${NSG}?api-version=${API_VERSION}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]),
    });
    assert.equal(latin.status, 400);
  });

  it('a body that is very deep, without running out of stack', async () => {
    await refuses(400, 'InvalidRequestContent', 'PUT', NSG, `${'['.repeat(500_000)}${']'.repeat(500_000)}`);
  });

  it('bodies of other types', async () => {
    await refuses(415, 'UnsupportedMediaType', 'PUT', NSG, '{}', { 'content-type': 'text/plain' });
    await refuses(415, 'UnsupportedMediaType', 'PUT', NSG, '{}', { 'content-encoding': 'gzip' });
  });

  it('bodies that are too long, told beforehand or not', async () => {
    const start = `PUT ${NSG}?api-version=${API_VERSION} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
    const told = await raw(server.url, `${start}Content-Length: 2000000\r\n\r\n{`);
    assert.equal(told.status, 413);
    assert.equal(codeOf(told.body), 'RequestEntityTooLarge');
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
    const untold = await raw(server.url, `${start}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(17)}`);
    assert.equal(untold.status, 413);
  });

  it('properties of the wrong kind, and says where they are', async () => {
    const network = `${G}/providers/Microsoft.Network/virtualNetworks/net`;
    const reply = await server.send('PUT', network, { location: LOCATION, properties: { addressSpace: 'all' } });
    assert.equal(reply.body.error?.code, 'InvalidRequestFormat');
    assert.match(reply.body.error.message, /properties\.addressSpace: .*expected object/);
    await refuses(400, 'InvalidRequestFormat', 'PUT', network, { location: 5, properties: {} });
    await refuses(400, 'InvalidRequestFormat', 'PUT', NSG, { ...group(), tags: { a: 1 } });
    await refuses(400, 'LocationRequired', 'PUT', `${NSG}2`, { properties: {} });
  });

  it('prototypes in the place of properties', async () => {
    const proto = `{"location":"${LOCATION}","__proto__":{"polluted":true},"properties":{"__proto__":{"securityRules":5},"other":{"__proto__":{"polluted":true}}}}`;
    const put = await server.send('PUT', `${NSG}-proto`, proto);
    assert.equal(put.status, 201);
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
    assert.ok(!JSON.stringify(put.body).includes('polluted'));
    assert.equal((await server.send('DELETE', `${NSG}-proto`)).status, 202);
  });

  it('paths that would lead elsewhere', async () => {
    const send = async (target: string): Promise<void> => {
      const reply = await raw(
        server.url,
        `DELETE ${target}?api-version=${API_VERSION} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
      );
      assert.equal(reply.status, 400, target);
      assert.equal(codeOf(reply.body), 'InvalidRequestUri', target);
    };
    for (const name of [
      '..',
      '%2e%2e',
      '.',
      '',
      'a%2Fb',
      'a%5Cb',
      'a%00',
      '%',
      '%zz',
      '%ff',
      'a;b',
      '%c3%a9',
      'x'.repeat(151),
    ]) {
      await send(`${G}/providers/Microsoft.Network/networkSecurityGroups/${name}/securityRules`);
    }
    await refuses(
      400,
      'InvalidResourceName',
      'PUT',
      `${G}/providers/Microsoft.Network/networkSecurityGroups/a.`,
      group(),
    );
  });

  it('subscriptions that no lab file can name, whatever comes first in them', async () => {
    for (const name of ['(bad)', '__proto__', '-s']) {
      const bad = `/subscriptions/${name}`;
      const feature = 'features/AllowPrivateLinkserviceUDR/register';
      const path = `${bad}/resourceGroups/g`;
      await refuses(400, 'InvalidResourceName', 'PUT', path, { location: 'w' });
      await refuses(
        400,
        'InvalidResourceName',
        'PUT',
        `${path}/providers/Microsoft.Network/networkSecurityGroups/a`,
        group(),
      );
      await refuses(
        400,
        'InvalidResourceName',
        'POST',
        `${bad}/providers/Microsoft.Features/providers/Microsoft.Network/${feature}`,
      );
    }
  });

  it('what it does not know, as Azure tells it', async () => {
    await refuses(404, 'InvalidResourceType', 'GET', `${G}/providers/Microsoft.Network/expressRouteCircuits`);
    await refuses(404, 'InvalidResourceType', 'GET', `${G}/providers/Microsoft.Network/virtualNetworks/a/peerings`);
    await refuses(404, 'InvalidResourceType', 'GET', `${G}/providers/Microsoft.Network/a/b/c/d/e/f`);
    await refuses(404, 'InvalidResourceNamespace', 'GET', `${G}/providers/Microsoft.Compute/virtualMachines`);
    await refuses(404, 'InvalidResourceNamespace', 'GET', '/subscriptions/s/providers/Microsoft.Compute');
    await refuses(404, 'NotFound', 'GET', '/');
    await refuses(404, 'NotFound', 'GET', '/metadata/identity');
    await refuses(404, 'ResourceNotFound', 'GET', `${NSG}x`);
    await refuses(404, 'ResourceGroupNotFound', 'GET', `${G}x`);
    await refuses(404, 'ParentResourceNotFound', 'PUT', `${NSG}x/securityRules/a`, { properties: {} });
    await refuses(405, 'MethodNotAllowed', 'POST', NSG, {});
    await refuses(405, 'MethodNotAllowed', 'PUT', `${G}/providers/Microsoft.Network/loadBalancers/lb/probes/p`, {});
  });

  it('api-versions that are none', async () => {
    await refuses(400, 'MissingApiVersionParameter', 'GET', `${NSG}?x=1`);
    for (const version of ['2018-12-31', '2025-13-01', '2025-02-30', 'latest', '20250501', '2025-05-01-x']) {
      await refuses(400, 'InvalidApiVersionParameter', 'GET', `${NSG}?api-version=${version}`);
    }
    for (const version of ['2019-04-01', '2025-05-01', '2030-01-01-preview']) {
      assert.equal((await server.send('GET', `${NSG}?api-version=${version}`)).status, 200, version);
    }
  });

  it('a change of what somebody else has changed meanwhile', async () => {
    const etag = (await server.send('GET', NSG)).headers.get('etag')!;
    assert.match(etag, /^W\/"[0-9a-f-]{36}"$/);
    await refuses(412, 'PreconditionFailed', 'PUT', NSG, group('b'), { 'if-match': 'W/"other"' });
    await refuses(412, 'PreconditionFailed', 'DELETE', NSG, undefined, { 'if-match': '"other"' });
    await refuses(412, 'PreconditionFailed', 'PUT', NSG, group('b'), { 'if-none-match': '*' });
    await refuses(412, 'PreconditionFailed', 'PUT', `${NSG}x`, group('b'), { 'if-match': '*' });
    await refuses(412, 'PreconditionFailed', 'DELETE', `${NSG}x`, undefined, { 'if-match': '*' });
  });

  it('requests to a name that is not this machine’s, as a rebound web page sends them', async () => {
    for (const host of ['evil.example', 'evil.example:80', '127.0.0.1.evil.example', '', 'a b', '[::2]']) {
      const reply = await raw(
        server.url,
        `GET ${NSG}?api-version=${API_VERSION} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      );
      assert.equal(reply.status, 400, host);
      assert.equal(codeOf(reply.body), 'InvalidHost', host);
    }
  });

  it('changes that a page of another site asks for, even without a body', async () => {
    const F = '/subscriptions/s/providers/Microsoft.Features/providers/Microsoft.Network/features';
    const register = `${F}/AllowPrivateLinkserviceUDR/register`;
    const foreign: Record<string, string>[] = [
      { origin: 'http://evil.example' },
      { origin: 'null' },
      { origin: 'http://127.0.0.1:1' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ];
    for (const headers of foreign) {
      await refuses(403, 'InvalidOrigin', 'POST', register, undefined, headers);
      await refuses(403, 'InvalidOrigin', 'DELETE', NSG, undefined, headers);
      assert.equal((await server.send('GET', NSG, undefined, headers)).status, 200);
    }
    const own = { origin: server.url, 'sec-fetch-site': 'same-origin' };
    assert.equal((await server.send('DELETE', `${NSG}x`, undefined, own)).status, 204);
  });

  it('ids and features in a list of changes that a path could not have', async () => {
    const changes = (step: object): Promise<void> =>
      refuses(400, 'InvalidRequestFormat', 'POST', '/culvert/changes', { steps: [step] });
    for (const id of [
      '/subscriptions/a b/resourceGroups/g',
      '/subscriptions/s/resourceGroups/..',
      `/subscriptions/s/resourceGroups/${'g'.repeat(151)}`,
    ]) {
      await changes({ op: 'put', id: `${id}/providers/Microsoft.Network/networkSecurityGroups/two`, body: group() });
    }
    await changes({ op: 'register', subscription: '..', feature: 'Microsoft.Network/AllowPrivateLinkserviceUDR' });
    const unknown = { steps: [{ op: 'register', subscription: 's', feature: 'nonsense' }] };
    await refuses(404, 'ResourceNotFound', 'POST', '/culvert/changes', unknown);
  });

  it('a name that is no key of an object', async () => {
    const types = `${G}/providers/Microsoft.Network`;
    await refuses(400, 'InvalidResourceName', 'PUT', `${types}/networkSecurityGroups/__proto__`, group());
    await refuses(400, 'InvalidResourceName', 'PUT', `${NSG}/securityRules/__proto__`, { properties: {} });
  });

  it('a change of a part by what the part is, not its resource', async () => {
    const N = `${G}/providers/Microsoft.Network/loadBalancers`;
    const [lb, pools] = [`${N}/lb`, `${N}/lb/backendAddressPools`];
    assert.equal((await server.send('PUT', lb, group())).status, 201);
    assert.equal((await server.send('PUT', `${pools}/a`, {}, { 'if-none-match': '*' })).status, 201);
    first = held();
    await refuses(412, 'PreconditionFailed', 'PUT', `${pools}/a`, {}, { 'if-none-match': '*' });
    await refuses(412, 'PreconditionFailed', 'PUT', `${pools}/b`, {}, { 'if-match': '*' });
    await refuses(412, 'PreconditionFailed', 'DELETE', `${pools}/b`, undefined, { 'if-match': '*' });
    const { headers } = await server.send('GET', `${pools}/a`);
    const again = await server.send('PUT', `${pools}/a`, {}, { 'if-match': headers.get('etag')! });
    assert.equal(again.status, 200);
    assert.equal((await server.send('DELETE', lb)).status, 202);
    first = held();
  });

  it('targets that are no path', async () => {
    for (const target of ['subscriptions', '*', 'http://localhost/subscriptions', '//']) {
      const reply = await raw(server.url, `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      assert.equal(reply.status, 400, target);
    }
  });
});

describe('the management interface, when something breaks', () => {
  it('says that it is its fault and where to look, and nothing of what it was', async () => {
    const server = await startServer();
    try {
      server.manager.change = () => Promise.reject(new Error('disk on fire at /secret'));
      const reply = await server.send('PUT', NSG, group());
      assert.equal(reply.status, 500);
      assert.equal(reply.body.error?.code, 'InternalServerError');
      assert.ok(!JSON.stringify(reply.body).includes('secret'));
      const [logged] = server.faults.splice(0);
      assert.match(logged ?? '', /disk on fire/);
      assert.ok(logged?.includes(reply.headers.get('x-ms-request-id')!));
    } finally {
      await server.close();
    }
  });
});

describe('the management interface, whatever it is sent', () => {
  let server: TestServer;

  beforeEach(async () => {
    server = await startServer();
  });
  afterEach(() => server.close());

  it('gives a part its own id, type and etag, and goes on when it can send none', async () => {
    const lb = `${G}/providers/Microsoft.Network/loadBalancers/lb`;
    await server.send('PUT', lb, group());
    const evil = { id: 5, type: 'x', etag: 'x\r\ny', properties: {} };
    const put = await server.send('PUT', `${lb}/backendAddressPools/p`, evil);
    assert.equal(put.status, 201);
    const { body, headers } = await server.send('GET', `${lb}/backendAddressPools/p`);
    const { etag } = (await server.send('GET', lb)).body;
    assert.deepEqual([body['etag'], headers.get('etag')], [etag, etag]);
    assert.deepEqual(
      [body['id'], body['type']],
      [`${lb}/backendAddressPools/p`, 'Microsoft.Network/loadBalancers/backendAddressPools'],
    );
    // As a state that was written before this was refused.
    const document = server.manager.documents.get(lb.toLowerCase())!;
    await server.manager.change(() => ({ put: [{ ...document, etag: 'x\r\ny' }], remove: [] }));
    assert.equal((await server.send('GET', lb)).status, 500);
    assert.match(server.faults.splice(0).join(), /ERR_INVALID_CHAR/);
    assert.equal((await server.send('PUT', lb, group())).status, 200);
    assert.equal((await server.send('GET', lb)).status, 200);
  });

  it('keeps lists that it does not know, with ids of any kind', async () => {
    for (const foo of [[{ name: 'x', id: 5 }, 7, 'x', []], []]) {
      const { status } = await server.send('PUT', NSG, { ...group(), properties: { foo } });
      assert.ok(status === 200 || status === 201, String(status));
    }
    assert.equal((await server.send('DELETE', NSG)).status, 202);
  });

  it('holds no more than 64 MiB of bodies that do not end', async () => {
    const head =
      'POST /culvert/changes?api-version=2025-05-01 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json';
    const body = ' '.repeat(15 << 20);
    const answers: string[] = [];
    const sockets = Array.from({ length: 5 }, () => {
      const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1');
      socket.on('data', (part: Buffer) => answers.push(part.toString())).on('error', () => undefined);
      socket.write(`${head}\r\nContent-Length: ${String(16 << 20)}\r\n\r\n${body}`);
      return socket;
    });
    const first = await until('an answer', () => answers[0]);
    assert.match(first, /^HTTP\/1\.1 503 /);
    assert.equal(codeOf(first.split('\r\n\r\n')[1] ?? ''), 'ServiceUnavailable');
    for (const socket of sockets) socket.destroy();
    // The server hears of that in its own time.
    await until(
      'room for a body',
      async () => (await server.send('POST', '/culvert/changes', { steps: [] })).status === 200,
    );
  });

  it('takes no fault in a client that hangs up in its request', async () => {
    const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1');
    const head = `PUT ${NSG}?api-version=${API_VERSION} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json`;
    socket.write(`${head}\r\nContent-Length: 100\r\n\r\n{`);
    await sleep(100);
    socket.destroy();
    await sleep(100);
    assert.equal((await server.send('GET', '/subscriptions')).status, 200);
    assert.deepEqual(server.faults, []);
  });
});

describe('the management interface, many at once', () => {
  it('lets one of many changes with the same ETag through', async () => {
    const server = await startServer();
    try {
      await server.send('PUT', NSG, group());
      const { headers } = await server.send('GET', NSG);
      const replies = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          server.send('PUT', NSG, group(String(i)), { 'if-match': headers.get('etag')! }),
        ),
      );
      const won = replies.flatMap(({ status }, i) => (status === 200 ? [i] : []));
      assert.equal(won.length, 1);
      assert.equal(replies.filter(({ status }) => status === 412).length, 19);
      assert.deepEqual((await server.send('GET', NSG)).body['tags'], { tag: String(won[0]) });
    } finally {
      await server.close();
    }
  });

  it('gives each of many endpoints at once its own address and LINKID', async () => {
    const server = await startServer();
    const N = `${G}/providers/Microsoft.Network`;
    try {
      const put = async (type: string, body: object): Promise<void> => {
        const { status, body: answer } = await server.send('PUT', `${N}/${type}`, { location: LOCATION, ...body });
        assert.equal(status, 201, JSON.stringify(answer));
      };
      const subnet = { id: `${N}/virtualNetworks/net/subnets/a` };
      await put('virtualNetworks/net', {
        properties: {
          addressSpace: { addressPrefixes: ['10.0.0.0/16'] },
          subnets: [
            { name: 'a', properties: { addressPrefix: '10.0.0.0/24', privateLinkServiceNetworkPolicies: 'Disabled' } },
          ],
        },
      });
      await put('loadBalancers/lb', {
        properties: { frontendIPConfigurations: [{ name: 'f', properties: { subnet } }] },
      });
      await put('privateLinkServices/web', {
        properties: {
          loadBalancerFrontendIpConfigurations: [{ id: `${N}/loadBalancers/lb/frontendIPConfigurations/f` }],
          ipConfigurations: [{ name: 'nat', properties: { subnet } }],
        },
      });
      const wish = { name: 'web', properties: { privateLinkServiceId: `${N}/privateLinkServices/web` } };
      await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          put(`privateEndpoints/e${String(i)}`, { properties: { subnet, privateLinkServiceConnections: [wish] } }),
        ),
      );
      const { privateEndpoints } = server.manager.lab().model;
      const addresses = new Set([...privateEndpoints.values()].map(({ address }) => address));
      const links = new Set([...privateEndpoints.values()].map(({ linkIdentifier }) => linkIdentifier));
      assert.deepEqual([addresses.size, links.size], [40, 40]);
    } finally {
      await server.close();
    }
  });
});

describe('the management interface with a token', () => {
  const token = 'a-secret-of-this-test';

  it('answers nothing without it, not even what there is', async () => {
    const server = await startServer({ token });
    try {
      const headers = [
        {},
        { authorization: 'Bearer wrong' },
        { authorization: `Basic ${token}` },
        { authorization: token },
      ];
      for (const each of headers as Record<string, string>[]) {
        for (const where of [NSG, '/subscriptions', '/nothing/at/all']) {
          const reply = await server.send('GET', where, undefined, each);
          assert.equal(reply.status, 401);
          assert.equal(reply.body.error?.code, 'AuthenticationFailed');
          assert.match(reply.headers.get('www-authenticate') ?? '', /^Bearer/);
        }
        assert.equal((await server.send('PUT', NSG, group(), each)).status, 401);
      }
      assert.equal(server.manager.documents.size, 0);
      assert.equal((await server.send('PUT', NSG, group(), { authorization: `Bearer ${token}` })).status, 201);
    } finally {
      await server.close();
    }
  });

  it('is asked for by Azure’s client over https, which takes no for an answer', async () => {
    const server = await startServer({ token, tls: true });
    try {
      const ca = readFileSync(`${server.stateFile}.crt`, 'utf8');
      const list = async (secret: string): Promise<number> => {
        const all: unknown[] = [];
        for await (const each of clientOf(server.url, 's', ca, secret).virtualNetworks.listAll()) all.push(each);
        return all.length;
      };
      assert.equal(await list(token), 0);
      await refused(list('another-one'), 401, 'AuthenticationFailed', /not the right one/);
    } finally {
      await server.close();
    }
  });

  it('is needed where other machines can come', async () => {
    const server = await startServer();
    const { manager } = server;
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    try {
      for (const listen of ['0.0.0.0', '::', '10.1.2.3']) {
        await assert.rejects(ApiServer.listen({ manager, log, port: 0, listen }), { code: 'API_TOKEN_REQUIRED' });
      }
    } finally {
      await server.close();
    }
  });
});

describe('culvert serve: the command', () => {
  const command = path.join(repositoryRoot, 'dist', 'bin', 'culvert.cjs');
  let folder = '';

  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-serve-'));
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  async function failure(...args: string[]): Promise<{ code: number; stderr: string }> {
    try {
      await exec(process.execPath, [command, 'serve', ...args], { timeout: PATIENCE_MS });
    } catch (error) {
      return error as { code: number; stderr: string };
    }
    throw new Error('it ended well');
  }

  it('says what is wrong with its command line, its token and its state', async () => {
    const state = path.join(folder, 'state');
    writeFileSync(path.join(folder, 'short'), 'abc\n');
    writeFileSync(path.join(folder, 'garbage'), Buffer.alloc(50_000, 'no state '));
    const cases: [number, RegExp, ...string[]][] = [
      [2, /--port and --state go together/, '--port', '0'],
      [2, /--port is a whole number, 0 to 65535/, '--port', '70000', '--state', state],
      [7, /API_TOKEN_REQUIRED: 0\.0\.0\.0 can be reached/, '--port', '0', '--state', state, '--listen', '0.0.0.0'],
      [
        7,
        /API_TOKEN_FILE: .* holds no token/,
        '--port',
        '0',
        '--state',
        state,
        '--token-file',
        path.join(folder, 'short'),
      ],
      [7, /STATE_UNREADABLE: .* another kind of file/, '--port', '0', '--state', path.join(folder, 'garbage')],
      [5, /CONFIG_UNREADABLE/, '--port', '0', '--state', state, '--config', path.join(folder, 'none.yaml')],
    ];
    for (const [code, message, ...args] of cases) {
      const ended = await failure(...args);
      assert.equal(ended.code, code, ended.stderr);
      assert.match(ended.stderr, message);
    }
  });

  it('keeps its state, key and certificate from others, holds the state alone, and ends by SIGTERM', async () => {
    const state = path.join(folder, 'kept');
    const args = [command, 'serve', '--port', '0', '--state', state, '--tls'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    child.stderr.on('data', (part: Buffer) => (log += part.toString()));
    while (!log.includes('management interface')) await once(child.stderr, 'data');
    assert.match(log, /url=https:\/\/127\.0\.0\.1:\d+/);
    for (const file of [state, `${state}.key`]) assert.equal(statSync(file).mode & 0o077, 0, file);
    const { code, stderr } = await failure('--port', '0', '--state', state);
    assert.equal(code, 7);
    assert.match(stderr, new RegExp(`STATE_IN_USE: .* is in use by process ${String(child.pid)}`));
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'close'), [0, null]);
  });
});
