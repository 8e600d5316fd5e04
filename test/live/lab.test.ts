import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ip } from '../../src/device/tun/ip-command.js';
import { PROGRAMS } from '../../src/lab/programs.js';
import type { LabReport } from '../../src/lab/run.js';
import { needsCommand, needsTunDevice, repositoryRoot } from '../support/machine.js';
import { until } from '../support/until.js';

const command = path.join(repositoryRoot, 'dist', 'bin', 'culvert.cjs');
/** Of this run alone; that of a run that was killed is swept by a later one. */
const PREFIX = 'test-';
const name = `${PREFIX}${process.pid}`;

const namespaces = (): string[] => (existsSync('/run/netns') ? readdirSync('/run/netns') : []);
const ours = (): string[] => namespaces().filter((each) => each.startsWith(`culvert-${name}-`));

class Command {
  output = '';
  errors = '';
  readonly ended: Promise<number | NodeJS.Signals>;
  private readonly child: ChildProcess;

  constructor(temporary: string, ...args: readonly string[]) {
    this.child = spawn(process.execPath, [command, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: temporary },
    });
    this.child.stdout!.on('data', (part: Buffer) => (this.output += part.toString()));
    this.child.stderr!.on('data', (part: Buffer) => (this.errors += part.toString()));
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code, signal) => resolve(signal ?? code ?? 0));
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async says(text: string): Promise<void> {
    await until(
      () => `'${text}' of: ${this.errors}`,
      () => this.errors.includes(text),
    );
  }
}

describe('culvert lab, with real servers', () => {
  let temporary = '';
  let sampling: NodeJS.Timeout;
  /** All processes that were seen in the lab's namespaces. */
  const seen = new Set<string>();
  const lab = (...args: readonly string[]): Command => new Command(temporary, 'lab', ...args, '--name', name);

  function sample(): void {
    for (const each of ours()) for (const pid of ip('netns', 'pids', each).split('\n').filter(Boolean)) seen.add(pid);
  }

  /** One that has ended may wait for its parent to take notice. */
  function isAlive(pid: string): boolean {
    try {
      return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    } catch {
      return false;
    }
  }

  async function nothingIsLeft(): Promise<void> {
    assert.deepEqual(ours(), []);
    assert.deepEqual(readdirSync(temporary), []);
    // Who is killed ends when it has its turn.
    await until('the end of the processes', () => ![...seen].some(isAlive));
    assert.equal(existsSync(`/run/culvert/culvert-${name}.json`), false);
  }

  before(async function () {
    needsTunDevice(this);
    for (const program of PROGRAMS) needsCommand(this, program);
    temporary = mkdtempSync(path.join(os.tmpdir(), 'culvert-live-lab-'));
    chmodSync(temporary, 0o755); // servers of other users get to their folders through it
    const killed = namespaces().flatMap((each) => /^culvert-(test-(\d+))-red$/.exec(each)?.slice(1, 3) ?? []);
    for (let i = 0; i < killed.length; i += 2) {
      if (killed[i + 1] === String(process.pid) || !existsSync(`/proc/${killed[i + 1]!}`))
        await new Command(temporary, 'lab', 'down', '--name', killed[i]!).ended;
    }
  });

  beforeEach(() => {
    seen.clear();
    sampling = setInterval(() => {
      try {
        sample();
      } catch {
        // A namespace went between the look and the question.
      }
    }, 200);
  });

  afterEach(() => clearInterval(sampling));

  after(async () => {
    if (temporary === '') return;
    if (ours().length > 0) await lab('down').ended;
    rmSync(temporary, { recursive: true, force: true });
  });

  it('shows every server the right consumer, and leaves nothing behind', async () => {
    const run = lab('run', '--json');
    const code = await run.ended;
    const report = JSON.parse(run.output) as LabReport;
    const failures = report.checks.filter((each) => !each.passed);
    assert.deepEqual(failures, []);
    assert.equal(code, 0, run.errors);
    assert.ok(report.passed >= 36, `${report.passed} checks`);
    assert.ok(seen.size > 10, 'servers and clients were seen');
    await nothingIsLeft();
  });

  for (const [signal, when] of [
    ['SIGINT', 'starting the gateway'],
    ['SIGTERM', 'checks: '],
    ['SIGHUP', 'starting the gateway'],
  ] as const) {
    it(`leaves nothing behind when ${signal} ends it while it is at '${when}'`, async () => {
      const run = lab('run');
      await run.says(when);
      if (when !== 'checks: ') await until('namespaces', () => ours().length === 3);
      run.signal(signal);
      // It ends by SIGTERM then, as by a closed terminal.
      assert.equal(await run.ended, signal === 'SIGHUP' ? 'SIGTERM' : signal, run.errors);
      assert.match(run.errors, signal === 'SIGINT' ? /INTERRUPTED/ : /TERMINATED/);
      await nothingIsLeft();
    });
  }

  it('is removed by lab down after kill -9, with servers and clients that went on', async () => {
    const run = lab('run');
    await run.says('checks: ');
    run.signal('SIGKILL');
    assert.equal(await run.ended, 'SIGKILL');
    assert.equal(ours().length, 3);
    sample();
    assert.ok([...seen].filter(isAlive).length > 10, 'servers go on');
    assert.equal(await lab('down').ended, 0);
    await nothingIsLeft();
  });

  it('never starts in another’s namespace, whose processes stay', async () => {
    const namespace = `culvert-${name}-red`;
    ip('netns', 'add', namespace);
    const other = spawn('ip', ['netns', 'exec', namespace, 'sleep', '60'], { stdio: 'ignore' });
    try {
      const up = lab('up');
      assert.notEqual(await up.ended, 0);
      assert.match(up.errors, /LAB_NAMESPACE_EXISTS/);
      assert.notEqual(await lab('down').ended, 0);
      assert.equal(other.exitCode ?? other.signalCode, null);
      assert.deepEqual(ours(), [namespace]);
    } finally {
      other.kill('SIGKILL');
      ip('netns', 'delete', namespace);
    }
    seen.clear();
    await nothingIsLeft();
  });

  it('goes with Ctrl-C while it starts in the background', async () => {
    const up = lab('up');
    await until('namespaces', () => ours().length === 3);
    up.signal('SIGINT');
    assert.equal(await up.ended, 'SIGINT');
    await until('the end', () => !existsSync(`/run/culvert/culvert-${name}.json`));
    await nothingIsLeft();
    // The last that it does is to say why.
    const log = (): string => readFileSync(`/run/culvert/culvert-${name}.log`, 'utf8');
    await until('why', () => log().includes('INTERRUPTED'));
    rmSync(`/run/culvert/culvert-${name}.log`);
  });

  it('stays up until lab down, and tells how to use it', async () => {
    const up = lab('up');
    assert.equal(await up.ended, 0, up.errors);
    const file = path.join(temporary, 'tapped.pcapng');
    const tap = new Command(temporary, 'tap', `culvert-${name}`, '--network', 'red', '--port', '7000', '-w', file);
    await tap.says('tapping');
    const [use] = /ip netns exec \S+ curl --http0.9 \S+/.exec(up.output) ?? [];
    assert.ok(use !== undefined, up.output);
    const [, , , namespace, ...rest] = use.split(' ');
    assert.equal(ip('netns', 'exec', namespace!, ...rest).slice(0, 11), 'LINKID 1001');
    tap.signal('SIGINT');
    assert.equal(await tap.ended, 0, tap.errors);
    const inspect = new Command(temporary, 'inspect', file);
    await inspect.ended;
    assert.match(inspect.output, /\{red\} .* TCP 10\.0\.0\.5:\d+ > 10\.0\.0\.9:7000 \[SYN\]/);
    assert.match(inspect.output, /\{provider\} .* PROXY v2 10\.0\.0\.5:\d+ > 10\.0\.0\.9:7000 LINKID 1001/);
    rmSync(file);
    const second = lab('up');
    assert.equal(await second.ended, 7);
    assert.match(second.errors, /LAB_ALREADY_RUNNING/);
    assert.equal(await lab('down').ended, 0);
    await nothingIsLeft();
    const again = lab('down');
    assert.equal(await again.ended, 8);
    assert.match(again.errors, /LAB_NOT_RUNNING/);
  });
});
