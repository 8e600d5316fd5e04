/** `culvert up` as a process of its own, its JSON log read line by line. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { repositoryRoot } from '../support/machine.js';
import { PATIENCE_MS } from '../support/until.js';
import { ControlClient, findSocket } from '../../src/gateway/control-client.js';
import type { GatewayStatus } from '../../src/gateway/status.js';

const command = path.join(repositoryRoot, 'dist', 'bin', 'culvert.cjs');
const exec = promisify(execFile);

export interface Logged {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export class GatewayProcess {
  readonly log: Logged[] = [];
  readonly ended: Promise<number | NodeJS.Signals>;
  errors = '';
  private readonly child: ChildProcess;
  private readonly lab: string;
  private readonly runDirectory: string;
  private partial = '';
  private waiting: (() => void)[] = [];

  constructor(lab: string, runDirectory: string, ...more: readonly string[]) {
    this.lab = lab;
    this.runDirectory = runDirectory;
    this.child = spawn(process.execPath, [command, 'up', lab, '--json', '--run-dir', runDirectory, ...more], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout!.on('data', (chunk: Buffer) => this.read(chunk.toString()));
    this.child.stderr!.on('data', (chunk: Buffer) => (this.errors += chunk.toString()));
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code, signal) => {
        resolve(signal ?? code ?? 0);
        this.wake();
      });
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Waits for a line of the log after the first `after` ones. */
  async logged(msg: string, after = 0): Promise<Logged> {
    const deadline = performance.now() + PATIENCE_MS;
    const timer = setTimeout(() => {
      this.wake();
    }, PATIENCE_MS + 1);
    try {
      for (;;) {
        const found = this.log.slice(after).find((line) => line.msg.startsWith(msg));
        if (found !== undefined) return found;
        const alive = this.child.exitCode === null && this.child.signalCode === null;
        const said = `${JSON.stringify(this.log)}\n${this.errors}`;
        assert.ok(alive && performance.now() < deadline, `no '${msg}' in the log: ${said}`);
        await new Promise<void>((resolve) => this.waiting.push(resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  async stop(): Promise<number | NodeJS.Signals> {
    this.signal('SIGTERM');
    return this.ended;
  }

  async ask(...args: readonly string[]): Promise<string> {
    const { stdout } = await exec(process.execPath, [command, ...args, this.lab, '--run-dir', this.runDirectory]);
    return stdout;
  }

  async status(): Promise<GatewayStatus> {
    const client = await ControlClient.connect(findSocket(this.lab, this.runDirectory));
    try {
      return (await client.ask({ command: 'status' })) as GatewayStatus;
    } finally {
      client.close();
    }
  }

  /** Processor time so far in milliseconds, of all threads, by the kernel's scheduler. */
  cpuMs(): number {
    const tasks = `/proc/${String(this.pid)}/task`;
    return readdirSync(tasks)
      .map((task) => Number(readFileSync(path.join(tasks, task, 'schedstat'), 'latin1').split(' ')[0]) / 1e6)
      .reduce((sum, ms) => sum + ms, 0);
  }

  private read(text: string): void {
    const lines = (this.partial + text).split('\n');
    this.partial = lines.pop() ?? '';
    for (const line of lines) this.log.push(JSON.parse(line) as Logged);
    this.wake();
  }

  private wake(): void {
    for (const each of this.waiting.splice(0)) each();
  }
}
