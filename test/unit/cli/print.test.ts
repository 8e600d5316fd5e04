/** What the command prints is whole, or the exit code says that it is not. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { commandFile } from '../../cli/command.js';
import { repositoryRoot } from '../../support/machine.js';

const CAPTURE = path.join(repositoryRoot, 'fixtures', 'http', 'in.pcap');
const LAB = path.join(repositoryRoot, 'fixtures', 'labs', 'two-consumers.yaml');
const moduleUrl = (name: string): string =>
  pathToFileURL(path.join(repositoryRoot, 'dist', 'src', 'cli', `${name}.js`)).href;
/** Octets of a file at the most, under `ulimit -f 1`: a block has 512 of them by POSIX, 1024 in bash. */
const LIMIT = 1024;

describe('what the command prints', () => {
  let dir = '';
  beforeEach(() => {
    dir = mkdtempSync(path.join(os.tmpdir(), 'culvert-print-'));
  });
  afterEach(() => {
    rmSync(dir, { recursive: true, force: true });
  });

  for (const args of [
    ['replay', CAPTURE, '--adopt', '--json'],
    ['replay', '--help'],
    ['inspect', CAPTURE],
    ['replay', CAPTURE, '--config', LAB, '--network', 'red', '--json'],
  ]) {
    it(`ends with 6 where a file takes a part of it only: culvert ${args[0]!} ${args
      .filter((each) => !each.includes('/'))
      .slice(1)
      .join(' ')}`, () => {
      const whole = spawnSync(process.execPath, [commandFile, ...args]).stdout;
      assert.ok(whole.length > LIMIT, `${String(whole.length)} octets prove nothing`);
      const file = path.join(dir, 'out');
      const { status, stderr } = spawnSync(
        'sh',
        ['-c', 'ulimit -f 1; exec "$@" > "$OUT"', 'sh', process.execPath, commandFile, ...args],
        { encoding: 'utf8', env: { ...process.env, OUT: file } },
      );
      const { size } = statSync(file);
      assert.ok(size > 0 && size <= LIMIT, `${String(size)} octets: it was to be cut short`);
      assert.match(stderr, /^culvert: CAPTURE_WRITE_FAILED: standard output: EFBIG/);
      assert.equal(status, 6);
    });
  }

  it('waits for the reader of a pipe that does not block', async () => {
    const length = 300_000;
    // Node's stream, once made, sets the pipe to that mode.
    const script = `import { print } from ${JSON.stringify(moduleUrl('print'))};
      process.stdout.writable; print('${'x'.repeat(9)}\\n'.repeat(${String(length / 10)}));`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stderr.on('data', (part: Buffer) => (said += part.toString()));
    const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
    await sleep(500);
    let got = 0;
    child.stdout.on('data', (part: Buffer) => (got += part.length));
    assert.equal(await closed, 0, said);
    assert.equal(got, length);
  });

  it('says what became of the input, though the reader of the report has gone', async () => {
    const cut = path.join(dir, 'cut.pcap');
    writeFileSync(cut, readFileSync(CAPTURE));
    truncateSync(cut, statSync(cut).size - 1);
    const child = spawn(process.execPath, [commandFile, 'replay', cut, '--adopt', '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.destroy();
    let said = '';
    child.stderr.on('data', (part: Buffer) => (said += part.toString()));
    assert.equal(await new Promise((resolve) => child.on('close', resolve)), 4);
    assert.match(said, /^culvert: CAPTURE_TRUNCATED: [^\n]*\n$/);
  });

  it('says that a plan does not last, though the reader of it has gone', async () => {
    const args = ['plan', LAB, '--rate', '1000000', '--life', '1000'];
    assert.equal(spawnSync(process.execPath, [commandFile, ...args]).status, 1, 'the control');
    const child = spawn(process.execPath, [commandFile, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
    child.stdout.destroy();
    assert.equal(await new Promise((resolve) => child.on('close', resolve)), 1);
  });

  for (const [kind, redirection] of [
    ['jsonLog', '>'],
    ['textLog', '2>'],
  ] as const) {
    it(`does not end for a log that cannot be written (${kind})`, () => {
      const script = `import { ${kind} } from ${JSON.stringify(moduleUrl('log'))};
        const log = ${kind}(); log.info('up'); setTimeout(() => { log.warn('still there'); process.exitCode = 42; }, 10);`;
      const { status, stderr } = spawnSync(
        'sh',
        ['-c', `exec "$@" ${redirection} /dev/full`, 'sh', process.execPath, '--input-type=module', '-e', script],
        { encoding: 'utf8' },
      );
      assert.equal(status, 42, stderr);
    });

    it(`keeps nobody waiting for a log that nobody reads, and loses no line of it (${kind})`, async () => {
      const lines = 3000;
      const script = `import { ${kind} } from ${JSON.stringify(moduleUrl('log'))};
        import { writeSync } from 'node:fs';
        const log = ${kind}(); for (let i = 0; i < ${String(lines)}; i++) log.info('${'x'.repeat(300)}');
        writeSync(3, 'went on');`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      });
      const closed = new Promise((resolve) => child.on('close', resolve));
      await once(child.stdio[3] as Readable, 'data');
      let got = '';
      child[kind === 'jsonLog' ? 'stdout' : 'stderr']!.on('data', (part: Buffer) => (got += part.toString()));
      assert.equal(await closed, 0);
      assert.equal(got.split('\n').length - 1, lines);
    });
  }
});
