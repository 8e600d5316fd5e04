import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { needsCommand, repositoryRoot } from '../../support/machine.js';

const NATIVE = path.join(repositoryRoot, 'src', 'device', 'tun', 'native');
const SOURCES = [
  path.join(repositoryRoot, 'test', 'unit', 'device', 'queue-faults.c'),
  path.join(NATIVE, 'queue.c'),
  path.join(NATIVE, 'coalesce.c'),
];

describe('a burst that the kernel does not take whole', function () {
  this.timeout(60_000);
  let folder: string;
  let program: string;

  before(function () {
    needsCommand(this, 'g++'); // which brings cc
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-queue-'));
    program = path.join(folder, 'queue-faults');
    const fakes = ['-Dwrite=fake_write', '-Dwritev=fake_writev'];
    const traps = ['-fsanitize=undefined', '-fsanitize-undefined-trap-on-error'];
    const flags = ['-std=c11', '-D_GNU_SOURCE', '-O1', '-Wall', '-Wextra', ...fakes, ...traps, '-I', NATIVE];
    execFileSync('cc', [...flags, '-o', program, ...SOURCES]);
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('has each packet delivered, refused or left over, once, each flow in order, and counts them so', () => {
    const { status, stdout } = spawnSync(program, ['1', '20000'], { encoding: 'utf8' });
    assert.equal(status, 0, stdout);
    const counts = [...stdout.matchAll(/(\w+)=(\d+)/g)].map(([, name, n]) => [name, Number(n)] as const);
    assert.equal(counts.length, 9, stdout);
    for (const [name, n] of counts) assert.ok(n > 100, `${name!}: ${stdout}`);
  });
});
