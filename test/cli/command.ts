/** The built command as a process of its own, as its users run it. */
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { repositoryRoot } from '../support/machine.js';

export const commandFile = path.join(repositoryRoot, 'dist', 'bin', 'culvert.cjs');

export interface Ended {
  /** Exit code, or null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
}

export interface StartOptions {
  readonly cwd?: string;
  /** Arguments of Node itself. */
  readonly node?: readonly string[];
}

const LIMIT_MS = 120_000;

/** Starts `culvert ARGS`; its standard streams are pipes. */
export function start(args: readonly string[], options: StartOptions = {}): Running {
  const child = spawn(process.execPath, [...(options.node ?? []), commandFile, ...args], {
    cwd: options.cwd,
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // The command may end before it has read all that it is given.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      resolve({ code, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString('utf8') });
    });
  });
  return { process: child, ended };
}

/** Runs `culvert ARGS` to its end with `input` as its standard input. */
export function run(
  args: readonly string[],
  input: Uint8Array = Buffer.alloc(0),
  options?: StartOptions,
): Promise<Ended> {
  const running = start(args, options);
  running.process.stdin!.end(input);
  return running.ended;
}

/**
 * For Node: says at the end what the process took, in a line `maxRSS KIB cpu MICROSECONDS` on standard error. The memory of
 * getrusage(2) would be at least its starter's: the kernel keeps it over an exec.
 */
export const MEASURED = `--import=data:text/javascript,${encodeURIComponent(
  'import{readFileSync}from"node:fs";process.on("exit",()=>{const{user,system}=process.cpuUsage();process.stderr.write(' +
    '"maxRSS "+/VmHWM:\\s*(\\d+)/.exec(readFileSync("/proc/self/status","latin1"))[1]+" cpu "+(user+system)+"\\n")})',
)}`;

/** What `MEASURED` said, in MB (2^20 octets). */
export const rssMbOf = (stderr: string): number => Number(/maxRSS (\d+)/.exec(stderr)?.[1]) / 1024;

/** What `MEASURED` said, in seconds of processor time. */
export const cpuSecondsOf = (stderr: string): number => Number(/ cpu (\d+)/.exec(stderr)?.[1]) / 1e6;
