/**
 * Programs inside the lab's namespaces. Whatever runs in a namespace that the lab made is the lab's, also what a server
 * forks: that is how all of it is found and ended, after a kill -9 of the lab too.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ip } from '../device/tun/ip-command.js';
import { CulvertError } from '../errors.js';
import { ENVIRONMENT } from './programs.js';

/** Time that programs get to end by themselves. */
const GRACE_MS = 3000;

export interface Finished {
  /** Octets as they came, one character each (latin1). */
  readonly output: string;
  readonly errors: string;
  /** Null: ended by a signal, as when its time was over. */
  readonly code: number | null;
}

export class Processes {
  private closed = false;

  /**
   * Runs a program to its end.
   * @param timeoutMs after that it is killed
   */
  async run(
    namespace: string,
    command: readonly string[],
    { input = '', timeoutMs = 60_000 }: { readonly input?: string; readonly timeoutMs?: number } = {},
  ): Promise<Finished> {
    const child = this.start(namespace, command);
    child.stdin!.on('error', () => undefined); // one that ends without reading it
    child.stdin!.end(input);
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    const [output, errors] = [child.stdout!, child.stderr!].map((stream) => {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      return (): string => Buffer.concat(parts).toString('latin1');
    });
    try {
      const code = await new Promise<number | null>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', resolve);
      });
      return { output: output!(), errors: errors!(), code };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Starts a program with pipes to it. */
  start(namespace: string, command: readonly string[]): ChildProcess {
    return this.spawn(namespace, command, ['pipe', 'pipe', 'pipe']);
  }

  /** Starts a program that writes to a file. */
  serve(namespace: string, command: readonly string[], logFile: string): ChildProcess {
    const log = openSync(logFile, 'a', 0o600);
    try {
      return this.spawn(namespace, command, ['ignore', log, log]);
    } finally {
      closeSync(log);
    }
  }

  /** Nothing can be started any more. */
  close(): void {
    this.closed = true;
  }

  private spawn(namespace: string, command: readonly string[], stdio: ('pipe' | 'ignore' | number)[]): ChildProcess {
    if (this.closed) throw new CulvertError('LAB_ENDS', 'the lab is being removed');
    // A group of its own: Ctrl-C is for the lab, which ends what it started in order.
    const options = { stdio, detached: true, env: ENVIRONMENT };
    const child = spawn('ip', ['netns', 'exec', namespace, ...command], options);
    child.on('error', () => undefined); // shows as a server that never listens, or is told by run
    return child;
  }
}

const pidsIn = (namespace: string): number[] => ip('netns', 'pids', namespace).split('\n').filter(Boolean).map(Number);

/** Ends all that runs in these namespaces, which must be the lab's own. */
export async function endProcesses(namespaces: readonly string[]): Promise<void> {
  const running = (): number[] => namespaces.flatMap(pidsIn);
  for (const pid of running()) signal(pid, 'SIGTERM');
  const deadline = performance.now() + GRACE_MS;
  while (running().length > 0) {
    if (performance.now() > deadline) for (const pid of running()) signal(pid, 'SIGKILL');
    await sleep(20);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

/**
 * Whether a socket waits at `address:port`, seen from a process's namespace, without connecting to it.
 * @param pid of a process inside
 */
export function listens(pid: number, address: string, port: number, protocol: 'tcp' | 'udp'): boolean {
  // proc(5): the address as the machine's 32-bit number in hexadecimal, the port in network order.
  const octets = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  const local = `${octets.reverse().join('')}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
  const waiting = protocol === 'tcp' ? '0A' : '07';
  try {
    return readFileSync(`/proc/${pid}/net/${protocol}`, 'latin1')
      .split('\n')
      .some((line) => {
        const fields = line.trim().split(/\s+/);
        return fields[1] === local && fields[3] === waiting;
      });
  } catch {
    return false; // it has ended
  }
}
