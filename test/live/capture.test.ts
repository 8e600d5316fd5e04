import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { ip } from '../../src/device/tun/ip-command.js';
import { needsCommand, needsTun, repositoryRoot, skipBecause } from '../support/machine.js';
import { Namespaces, type Running } from '../support/namespaces.js';

const command = path.join(repositoryRoot, 'dist', 'bin', 'culvert.cjs');
const exec = promisify(execFile);
const PORT = '5399';

describe('culvert capture, on real interfaces', () => {
  const spaces = new Namespaces();
  let folder = '';
  let space = '';

  before(async function () {
    needsTun(this);
    needsCommand(this, 'ip');
    try {
      createRequire(import.meta.url)('cap');
    } catch (error) {
      // An optional dependency: where libpcap-dev is, it has been built.
      if (existsSync('/usr/include/pcap.h')) throw error;
      skipBecause(this, 'needs the optional package cap, which needs libpcap-dev');
    }
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-capture-'));
    space = spaces.add();
    ip('-n', space, 'link', 'set', 'lo', 'up');
    const echo = spaces.node(space, 'net-peer', 'serve', '127.0.0.1', PORT);
    assert.equal(await echo.line(), 'ready');
  });

  after(() => {
    if (folder === '') return;
    spaces.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const file = (name: string): string => path.join(folder, name);

  /** Begins to capture in the namespace; what it says goes to standard error. */
  async function capture(device: string, ...args: readonly string[]): Promise<Running> {
    const line = [process.execPath, command, 'capture', device, ...args].map((each) => `'${each}'`).join(' ');
    const running = spaces.spawn(space, 'sh', '-c', `exec ${line} 2>&1`);
    assert.equal(await running.line(), `capturing ${device}; Ctrl-C ends it`);
    return running;
  }

  const send = (...sizes: readonly number[]): Promise<string> =>
    spaces.node(space, 'net-peer', 'udp', '127.0.0.1', PORT, ...sizes.map(String)).finished;

  const inspect = async (capturing: string): Promise<string[]> =>
    (await exec(process.execPath, [command, 'inspect', capturing])).stdout.trim().split('\n');

  it('writes what its filter takes, up to a count', async () => {
    const running = await capture('lo', `udp dst port ${PORT}`, '-w', file('count.pcapng'), '-c', '3');
    await send(11, 22, 33, 44);
    assert.equal((await running.finished).trim().split('\n').at(-1), '3 packets');
    const lines = await inspect(file('count.pcapng'));
    assert.equal(lines.length, 3);
    for (const line of lines)
      assert.match(line, new RegExp(`UDP 127\\.0\\.0\\.1:\\d+ > 127\\.0\\.0\\.1:${PORT} len \\d+`));
  });

  it('cuts packets, begins other files, and ends by a signal', async () => {
    const rotate = ['--snaplen', '96', '--rotate-size', '1K', '--rotate-count', '2'];
    const running = await capture('lo', 'udp', '-w', file('rotated.pcap'), ...rotate);
    const rotated = (): string[] => readdirSync(folder).filter((name) => name.startsWith('rotated'));
    // Eight packets fill a file.
    while (!rotated().some((name) => name >= 'rotated-00006')) await send(...Array.from({ length: 20 }, () => 500));
    running.kill('SIGINT');
    const packets = Number(/(\d+) packets/.exec(await running.finished)?.[1]);
    assert.ok(packets > 40, `${packets} packets`);
    const files = rotated();
    assert.equal(files.length, 2);
    for (const name of files) for (const line of await inspect(file(name))) assert.match(line, /len 500/);
  });

  it('is read through a pipe while it captures', async () => {
    const own = [process.execPath, command].join(' ');
    const pipe = `${own} capture lo 'udp dst port ${PORT}' -w - --count 500 2>/dev/null | ${own} inspect -`;
    const running = spaces.spawn(space, 'sh', '-c', pipe);
    let sent = false;
    const line = running.line().finally(() => (sent = true));
    while (!sent) await send(77);
    assert.match(await line, /UDP .* len 77/);
    assert.ok(running.lines.length < 500);
    let ended = false;
    const end = running.finished.finally(() => (ended = true));
    while (!ended) await send(...Array.from({ length: 100 }, () => 77));
    await end;
  });

  it('says what is refused: an interface, a filter', async () => {
    for (const [args, why] of [
      [['nope'], /LIVE_CAPTURE_REFUSED: nope: No such device/],
      [['lo', 'what is this'], /LIVE_CAPTURE_REFUSED: lo: can't parse filter/],
    ] as const) {
      const line = [
        'netns',
        'exec',
        space,
        process.execPath,
        command,
        'capture',
        ...args,
        '-w',
        file('refused.pcapng'),
      ];
      await assert.rejects(exec('ip', line), (error: { code?: number; stderr?: string }) => {
        assert.equal(error.code, 7);
        assert.match(error.stderr ?? '', why);
        return true;
      });
    }
    assert.equal(existsSync(file('refused.pcapng')), false);
  });

  it('writes a whole file when the interface is removed', async () => {
    ip('-n', space, 'link', 'add', 'gone0', 'type', 'veth', 'peer', 'name', 'gone1');
    ip('-n', space, 'link', 'set', 'gone0', 'up');
    const running = await capture('gone0', '-w', file('gone.pcapng'));
    ip('-n', space, 'link', 'delete', 'gone0');
    await assert.rejects(running.finished, /exit code 7/);
    assert.match(running.said, /LIVE_CAPTURE_ENDED: gone0: was removed/);
    assert.equal(existsSync(file('gone.pcapng')), true);
    await exec(process.execPath, [command, 'inspect', file('gone.pcapng')]);
  });
});
