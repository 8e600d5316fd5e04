import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { repositoryRoot } from '../../support/machine.js';

interface OsPackage {
  readonly name: string;
  readonly proof: string;
  readonly service: string | null;
  readonly neededFor: string;
}

interface Setup {
  parseOsPackages(text: string): OsPackage[];
  nodePackagesCurrent(folder: string): boolean;
}

describe('set-up', () => {
  let setup: Setup;
  let folder: string;

  before(async () => {
    setup = (await import(path.join(repositoryRoot, 'scripts', 'setup.mjs'))) as Setup;
  });

  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-setup-'));
    mkdirSync(path.join(folder, 'node_modules'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const lock = (packages: object) => JSON.stringify({ lockfileVersion: 3, packages });
  const wanted = {
    '': { name: 'the project itself' },
    'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
    'node_modules/other-platform': { version: '1.0.0', integrity: 'sha512-o', optional: true },
  };
  const write = (installed: object | null) => {
    writeFileSync(path.join(folder, 'package-lock.json'), lock(wanted));
    if (installed !== null) writeFileSync(path.join(folder, 'node_modules', '.package-lock.json'), lock(installed));
  };

  it('finds the npm packages current when what is installed is what the lock names', () => {
    write({ 'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' } });
    assert.equal(setup.nodePackagesCurrent(folder), true);
  });

  it('finds them stale when a version or its content is another', () => {
    write({ 'node_modules/a': { version: '1.0.1', integrity: 'sha512-a' } });
    assert.equal(setup.nodePackagesCurrent(folder), false);
    write({ 'node_modules/a': { version: '1.0.0', integrity: 'sha512-b' } });
    assert.equal(setup.nodePackagesCurrent(folder), false);
  });

  it('finds them stale when one is missing or one too many', () => {
    write({});
    assert.equal(setup.nodePackagesCurrent(folder), false);
    write({ 'node_modules/a': wanted['node_modules/a'], 'node_modules/gone': { version: '1.0.0' } });
    assert.equal(setup.nodePackagesCurrent(folder), false);
  });

  it('finds them stale after an installation that was interrupted', () => {
    write(null);
    assert.equal(setup.nodePackagesCurrent(folder), false);
  });

  it('knows of each OS package what proves it present and what needs it', () => {
    const listed = setup.parseOsPackages(readFileSync(path.join(repositoryRoot, 'scripts', 'os-packages.txt'), 'utf8'));
    assert.equal(new Set(listed.map(({ name }) => name)).size, listed.length);
    assert.ok(listed.length > 0);
    for (const { name, proof, neededFor } of listed) {
      assert.match(name, /^[a-z0-9][a-z0-9+.-]+$/);
      assert.match(proof, /^(\/\S+|[a-z][a-z0-9+-]*)$/);
      assert.notEqual(neededFor, '', `${name} is needed for nothing`);
    }
    assert.deepEqual(setup.parseOsPackages('# comment\n\nnginx  nginx  nginx  live tests: a server\n'), [
      { name: 'nginx', proof: 'nginx', service: 'nginx', neededFor: 'live tests: a server' },
    ]);
  });
});
