/** The command's launcher: with its code cache, without it, and with one that is damaged. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { repositoryRoot } from '../../support/machine.js';

const REJECTED = `process.on('exit', () => console.log(String(require(process.argv[1]).script.cachedDataRejected)));require(process.argv[1]);`;

const manifest = JSON.parse(readFileSync(path.join(repositoryRoot, 'package.json'), 'utf8')) as { version: string };

describe('launcher', () => {
  let folder = '';
  const bin = (): string => path.join(folder, 'dist', 'bin');

  /** What `culvert --version` prints, and after it whether V8 would not take the cache. */
  const version = (): string[] =>
    execFileSync(process.execPath, ['-e', REJECTED, path.join(bin(), 'culvert.cjs'), '--version'], { encoding: 'utf8' })
      .trim()
      .split('\n');

  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-launcher-'));
    mkdirSync(path.join(folder, 'dist'));
    cpSync(path.join(repositoryRoot, 'dist', 'bin'), bin(), { recursive: true });
    cpSync(path.join(repositoryRoot, 'package.json'), path.join(folder, 'package.json'));
    symlinkSync(path.join(repositoryRoot, 'node_modules'), path.join(folder, 'node_modules'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('starts from the code cache that the build made', () => {
    assert.deepEqual(version(), [manifest.version, 'false']);
  });

  it('starts without a cache', () => {
    rmSync(path.join(bin(), 'command.cache'));
    assert.deepEqual(version(), [manifest.version, 'undefined']);
  });

  it('starts with a cache that is damaged, be it in one bit', () => {
    const file = path.join(bin(), 'command.cache');
    const cache = readFileSync(file);
    for (const at of [3, 20, 1000, cache.length >> 1, cache.length - 1]) {
      const damaged = Buffer.from(cache);
      damaged[at]! ^= 0x10;
      writeFileSync(file, damaged);
      assert.deepEqual(version(), [manifest.version, 'undefined'], `octet ${at}`);
    }
    for (const length of [0, 10, cache.length - 1]) {
      writeFileSync(file, cache.subarray(0, length));
      assert.deepEqual(version(), [manifest.version, 'undefined'], `${length} octets`);
    }
  });

  it('says so where it was taken out of its package', () => {
    rmSync(path.join(folder, 'package.json'));
    const { status, stderr } = spawnSync(process.execPath, [path.join(bin(), 'culvert.cjs'), '--version'], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.match(stderr, /^culvert: INSTALLATION_INCOMPLETE: no package\.json in /);
    assert.equal(status, 7);
  });

  it('does not run the code that a changed bundle had before', () => {
    const file = path.join(bin(), 'command.cjs');
    const before = readFileSync(file, 'latin1');
    const after = before.replace('.exitOverride().configureOutput(', '.exitOverride().configureOutpup(');
    assert.notEqual(after, before);
    writeFileSync(file, after);
    assert.throws(version, /configureOutpup is not a function/);
  });

  it('starts a replay from a bundle of its own, with a cache of its own', () => {
    const capture = path.join(repositoryRoot, 'fixtures', 'http', 'in.pcap');
    // Commander takes its arguments otherwise from `node -e`.
    const asking = path.join(folder, 'asking.cjs');
    writeFileSync(
      asking,
      `const { script, bundle } = require('./dist/bin/culvert.cjs');
process.on('exit', () => console.error(JSON.stringify([script.cachedDataRejected, bundle])));`,
    );
    const loaded = (...args: string[]): [rejected: unknown, bundle: string] => {
      const { stderr } = spawnSync(process.execPath, [asking, ...args], { encoding: 'utf8' });
      const [rejected, bundle] = JSON.parse(stderr) as [unknown, string];
      return [rejected, path.basename(bundle)];
    };
    assert.deepEqual(loaded('replay', capture, '--adopt', '--quiet'), [false, 'replay']);
    assert.deepEqual(loaded('inspect', capture), [false, 'command']);
    const file = path.join(bin(), 'replay.cache');
    const damaged = readFileSync(file);
    damaged[damaged.length >> 1]! ^= 1;
    writeFileSync(file, damaged);
    assert.deepEqual(loaded('replay', capture, '--adopt', '--quiet'), [null, 'replay']);
  });
});
