/** Network namespaces of a test's own: named after its process, and removed with all that is in them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { ip } from '../../src/device/tun/ip-command.js';
import { repositoryRoot } from './machine.js';

/** Where ip-netns(8) binds them. */
const FOLDER = '/run/netns';

let made = 0;
let swept = false;

/**
 * Removes what a test process left that was killed before it could clean up. Nothing of this process is there yet: what has
 * its number was left by another, whose number came again.
 */
function sweep(): void {
  if (swept || process.geteuid?.() !== 0 || !existsSync(FOLDER)) return;
  swept = true;
  for (const name of readdirSync(FOLDER)) {
    const pid = /^culvert-test-(\d+)-\d+$/.exec(name)?.[1];
    if (pid !== undefined && (Number(pid) === process.pid || !existsSync(`/proc/${pid}`))) ip('netns', 'delete', name);
  }
}

export class Namespaces {
  constructor() {
    sweep();
  }

  private readonly names: string[] = [];
  private readonly children = new Set<ChildProcess>();

  /** @returns the name of a new one */
  add(): string {
    const name = `culvert-test-${process.pid}-${made++}`;
    ip('netns', 'add', name);
    this.names.push(name);
    return name;
  }

  /** Ends what runs in them and removes them. */
  remove(): void {
    for (const child of this.children) child.kill('SIGKILL');
    this.children.clear();
    for (const name of this.names.splice(0)) ip('netns', 'delete', name);
  }

  /** Interfaces inside, by name, `lo` left out. */
  interfaces(name: string): { name: string; mtu: number; queue: number; up: boolean; addresses: string[] }[] {
    interface Listed {
      ifname?: string;
      mtu: number;
      txqlen: number;
      flags: string[];
      addr_info: { local: string; prefixlen: number }[];
    }
    return (JSON.parse(ip('-n', name, '-json', 'address', 'show')) as Listed[])
      .filter((each) => each.ifname !== undefined && each.ifname !== 'lo')
      .map((each) => ({
        name: each.ifname ?? '',
        mtu: each.mtu,
        queue: each.txqlen,
        up: each.flags.includes('UP'),
        addresses: each.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
      }));
  }

  /** Runs a program inside, and gives what it printed once it has ended well. */
  async run(name: string, program: string, ...args: readonly string[]): Promise<string> {
    const child = this.spawn(name, program, ...args);
    return await child.finished;
  }

  /** The same for a program that goes on: `line` waits for what it prints next. */
  spawn(name: string, program: string, ...args: readonly string[]): Running {
    const child = spawn('ip', ['netns', 'exec', name, program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.children.add(child);
    child.once('exit', () => this.children.delete(child));
    return new Running(child, [program, ...args].join(' '));
  }

  /** A program of ours: `dist/test/support/<script>.js`. */
  node(name: string, script: string, ...args: readonly string[]): Running {
    const file = path.join(repositoryRoot, 'dist', 'test', 'support', `${script}.js`);
    return this.spawn(name, process.execPath, file, ...args);
  }
}

export class Running {
  readonly pid: number;
  /** Standard output, once the program has ended well. */
  readonly finished: Promise<string>;
  private readonly child: ChildProcess;
  private output = '';
  private read = 0;
  private readonly waiting: (() => void)[] = [];
  private ended = false;

  constructor(child: ChildProcess, what: string) {
    this.child = child;
    this.pid = child.pid ?? -1;
    let errors = '';
    child.stderr?.on('data', (part: Buffer) => (errors += part.toString()));
    child.stdout?.on('data', (part: Buffer) => {
      this.output += part.toString();
      for (const wake of this.waiting.splice(0)) wake();
    });
    this.finished = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        this.ended = true;
        for (const wake of this.waiting.splice(0)) wake();
        if (code === 0) resolve(this.output);
        else reject(new Error(`${what}: ${signal ?? `exit code ${String(code)}`}\n${errors}`));
      });
    });
    // Whoever waits for it sees the failure; a program that is killed in the end may have nobody.
    this.finished.catch(() => undefined);
  }

  /** The next line that it prints. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.output.indexOf('\n', this.read);
      if (end >= 0) {
        const line = this.output.slice(this.read, end);
        this.read = end + 1;
        return line;
      }
      if (this.ended) {
        await this.finished;
        throw new Error('it ended without another line');
      }
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  /** All whole lines so far. */
  get lines(): string[] {
    return this.output.split('\n').slice(0, -1);
  }

  /** All of its standard output so far. */
  get said(): string {
    return this.output;
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.child.kill(signal);
  }

  /** Asks it to end, and waits until it has. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    await this.finished.catch(() => undefined);
  }
}
