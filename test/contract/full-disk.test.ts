/** A disk that takes no more, as a limit of the kernel on the length of the server's files. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { needsCommand } from '../support/machine.js';
import { API_VERSION, LOCATION } from './sdk.js';
import { ServeProcess } from './serve-process.js';

const GROUP = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkSecurityGroups';

describe('a server whose disk is full', () => {
  let server: ServeProcess;

  before(function () {
    needsCommand(this, 'prlimit');
  });
  beforeEach(async () => {
    server = await ServeProcess.start();
  });
  afterEach(() => server.stop());

  const send = async (method: string, name: string, octets: number): Promise<{ status: number; code: string }> => {
    const body = { location: LOCATION, tags: { text: 'x'.repeat(octets) }, properties: {} };
    const response = await fetch(`${server.url}${GROUP}${name}?api-version=${API_VERSION}`, {
      method,
      ...(method === 'GET' ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    await response.arrayBuffer();
    return { status: response.status, code: response.headers.get('x-ms-error-code') ?? '' };
  };

  /** No file of the server gets longer than that. */
  const limit = (octets: number | 'unlimited'): void => {
    execFileSync('prlimit', ['--pid', String(server.pid), `--fsize=${String(octets)}:unlimited`]);
  };

  const names = async (): Promise<string[]> => {
    const response = await fetch(`${server.url}${GROUP}?api-version=${API_VERSION}`);
    return ((await response.json()) as { value: { name: string }[] }).value.map(({ name }) => name);
  };

  it('refuses changes, stays, loses nothing, and takes changes again when there is space', async () => {
    limit(statSync(path.join(server.folder, 'state')).size + 60_000);
    const made: string[] = [];
    let refused = 0;
    for (let i = 0; i < 20; i++) {
      const { status, code } = await send('PUT', `/n${String(i)}`, 10_000);
      if (status === 201) made.push(`n${String(i)}`);
      else {
        assert.deepEqual({ status, code }, { status: 507, code: 'InsufficientStorage' });
        refused++;
      }
    }
    assert.ok(made.length > 0 && refused > 5, `${String(made.length)} made, ${String(refused)} refused`);
    assert.deepEqual((await names()).toSorted(), made.toSorted());
    limit('unlimited');
    assert.equal((await send('PUT', '/later', 10_000)).status, 201);
    await server.crashAndRestart(['--port', new URL(server.url).port]);
    assert.deepEqual((await names()).toSorted(), [...made, 'later'].toSorted());
  });

  it('has every change in its audit log, each line whole and once, when there is space', async () => {
    const file = path.join(server.folder, 'state.audit.jsonl');
    // The log grows with each change of a resource, the state does not.
    for (let i = 0; i < 30; i++) await send('PUT', '/one', 20_000 + i);
    const room = statSync(file).size + 500;
    assert.ok(room > statSync(path.join(server.folder, 'state')).size + 200_000);
    limit(room);
    for (let i = 0; i < 3; i++) {
      assert.equal((await send('PUT', '/one', 1000 + i)).status, 200);
      assert.equal(statSync(file).size, room);
    }
    limit('unlimited');
    assert.equal((await send('PUT', '/one', 2000)).status, 200);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const numbers = lines.map((line) => (JSON.parse(line) as { number: number }).number);
    assert.deepEqual(
      numbers,
      Array.from({ length: 1 + 30 + 3 + 1 }, (_, index) => index + 1),
    );
  });

  it('ends in order', async () => {
    limit(statSync(path.join(server.folder, 'state')).size);
    assert.equal((await send('PUT', '/n', 100_000)).status, 507);
    assert.equal(await server.end(), 0);
  });
});
