/** `culvert serve` as a process of its own, and the commands that ask it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { commandFile, run } from '../cli/command.js';
import { PATIENCE_MS } from '../support/until.js';

export interface Asked {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export class ServeProcess {
  readonly url: string;
  /** A folder of the test's own, with the state in `state`. */
  readonly folder: string;
  #process: ChildProcess;

  private constructor(child: ChildProcess, url: string, folder: string) {
    this.#process = child;
    this.url = url;
    this.folder = folder;
  }

  static async start(args: readonly string[] = []): Promise<ServeProcess> {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-serve-'));
    const { child, url } = await launch(folder, args);
    return new ServeProcess(child, url, folder);
  }

  /** Kills the server as no signal handler notices, and starts it anew with the same state and, if given, port. */
  async crashAndRestart(args: readonly string[] = []): Promise<void> {
    await ended(this.#process, 'SIGKILL');
    const { child } = await launch(this.folder, args);
    this.#process = child;
  }

  /** Runs `culvert ARGS` against this server. */
  async ask(...args: readonly string[]): Promise<Asked> {
    return this.askWith('', ...args);
  }

  async askWith(input: string, ...args: readonly string[]): Promise<Asked> {
    const { code, stdout, stderr } = await run([...args, '--run-dir', this.runDirectory], Buffer.from(input));
    return { code, out: stdout.toString('utf8'), err: stderr };
  }

  get pid(): number {
    return this.#process.pid!;
  }

  get runDirectory(): string {
    return path.join(this.folder, 'run');
  }

  /** Asks the server to end. @returns its exit code */
  async end(): Promise<number | null> {
    await ended(this.#process, 'SIGTERM');
    return this.#process.exitCode;
  }

  async stop(): Promise<void> {
    await this.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function launch(folder: string, args: readonly string[]): Promise<{ child: ChildProcess; url: string }> {
  const own = ['--state', path.join(folder, 'state'), '--run-dir', path.join(folder, 'run'), '--json'];
  const port = args.includes('--port') ? [] : ['--port', '0'];
  const child = spawn(process.execPath, [commandFile, 'serve', ...port, ...own, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: string[] = [];
  const url = await new Promise<string>((resolve, reject) => {
    const fail = (why: string): void => {
      reject(new Error(`culvert serve ${why}: ${output.join('')}`));
    };
    const timer = setTimeout(() => fail('did not answer in time'), PATIENCE_MS);
    const take = (chunk: Buffer): void => {
      output.push(chunk.toString('utf8'));
      const found = /"url":"([^"]+)"/.exec(output.join(''));
      if (found === null) return;
      clearTimeout(timer);
      resolve(found[1]!);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.once('exit', () => fail('ended'));
  });
  return { child, url };
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await exit;
}
