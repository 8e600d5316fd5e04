import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { AuditLog } from '../../../src/control/audit.js';
import type { AuditEntry } from '../../../src/control/audit.js';

const entry = (id: string): AuditEntry => ({
  time: '2026-01-01T00:00:00.000Z',
  who: null,
  action: 'create',
  id,
  before: null,
  after: { id, name: id, type: 'T', etag: 'e', properties: {} },
});

describe('the audit log', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-audit-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const idsIn = (file: string): string[] =>
    readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as AuditEntry).id);

  it('has a line for each entry, for its owner alone, and goes on where it was', () => {
    const file = path.join(folder, 'log');
    for (const id of ['a', 'b']) {
      const log = new AuditLog(file);
      log.append([entry(id), entry(`${id}2`)]);
      log.close();
    }
    assert.deepEqual(idsIn(file), ['a', 'a2', 'b', 'b2']);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  it('begins a new file when one is full, and keeps so many', () => {
    const file = path.join(folder, 'log');
    const log = new AuditLog(file, { maxOctets: 1, kept: 2 });
    for (const id of ['a', 'b', 'c']) log.append([entry(id)]);
    log.close();
    assert.deepEqual(idsIn(`${file}.1`), ['c']);
    assert.deepEqual(idsIn(`${file}.2`), ['b']);
    assert.ok(!existsSync(`${file}.3`));
    assert.ok(!existsSync(file));
  });
});
