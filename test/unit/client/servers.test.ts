import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { announceServer, findServer } from '../../../src/client/servers.js';

describe('records of management interfaces', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-servers-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const record = { url: 'http://127.0.0.1:1', certificate: null, tokenFile: null };

  it('lead to the server that runs, until it takes its own back', () => {
    const withdraw = announceServer(record, folder)!;
    assert.equal(findServer(folder).url, record.url);
    withdraw();
    assert.throws(() => findServer(folder), { code: 'CLIENT_NO_SERVER' });
  });

  it('of servers that were killed count for nothing, and go when another starts', () => {
    mkdirSync(path.join(folder, 'api'));
    // This process's number, but not its start time: the number has come back.
    writeFileSync(path.join(folder, 'api', '1.json'), JSON.stringify({ ...record, pid: process.pid, startTime: '1' }));
    const withdraw = announceServer(record, folder)!;
    assert.deepEqual(readdirSync(path.join(folder, 'api')), [`${String(process.pid)}.json`]);
    withdraw();
  });
});
