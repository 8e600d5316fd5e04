/** What every benchmark needs: medians, a child's cost, the machine in words, a table. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import * as os from 'node:os';

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** What figures are worth is told by where they were taken. */
export function machine(): { cpu: string; cores: number; kernel: string; node: string; v8: string } {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model ?? 'unknown',
    cores: cpus.length,
    kernel: os.release(),
    node: process.version,
    v8: process.versions.v8,
  };
}

/** The cost of one run of a program, start-up included. */
export interface Cost {
  readonly wallS: number;
  /** User and system time, to 10 ms. */
  readonly cpuS: number;
  /** Most resident memory, in octets, as far as it was seen within 50 ms of its end. */
  readonly peakRss: number;
}

const TICKS_PER_SECOND = 100; // USER_HZ, which Linux never changes towards programs
const POLL_MS = 50; // more often, and the measuring takes a core from the program

/** CPU seconds of the children that have ended, from proc(5): cutime and cstime. */
function childrenCpu(): number {
  const text = readFileSync('/proc/self/stat', 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}

function highWater(pid: number): number {
  try {
    const kib = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${String(pid)}/status`, 'latin1'))?.[1];
    return kib === undefined ? 0 : Number(kib) * 1024;
  } catch {
    return 0; // it has just ended
  }
}

/** Runs a program to its end, alone. @throws Error when it fails, with what it said */
export async function cost(program: string, args: readonly string[]): Promise<Cost> {
  const before = childrenCpu();
  const started = process.hrtime.bigint();
  // With it, Node reads a file of certificates at each start: 10 ms that are the machine's, not the program's.
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: undefined };
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  let peakRss = 0;
  const timer = setInterval(() => {
    if (child.pid !== undefined) peakRss = Math.max(peakRss, highWater(child.pid));
  }, POLL_MS);
  let wallS = 0;
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => {
      wallS = Number(process.hrtime.bigint() - started) / 1e9;
    });
    child.on('close', resolve);
  }).finally(() => {
    clearInterval(timer);
  });
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${String(code)}: ${said.slice(-2000)}`);
  return { wallS, cpuS: childrenCpu() - before, peakRss };
}

/** The medians of several runs' costs. */
export const medianCost = (runs: readonly Cost[]): Cost => ({
  wallS: median(runs.map((r) => r.wallS)),
  cpuS: median(runs.map((r) => r.cpuS)),
  peakRss: median(runs.map((r) => r.peakRss)),
});

/** Rows of cells as aligned text; the first row is the head, the first column text. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '))
    .join('\n');
}

/** Three significant digits. */
export const digits = (n: number): string => (n >= 1000 ? String(Math.round(n)) : String(Number(n.toPrecision(3))));

/** A whole number from the command line, `--name=value`. */
export function option(name: string, otherwise: number): number {
  const text = textOption(name, '');
  if (text === '') return otherwise;
  const n = Number(text);
  if (!Number.isInteger(n) || n <= 0) throw new Error(`--${name}=${text}: want a positive whole number`);
  return n;
}

/** A word from the command line, `--name=value`. */
export function textOption(name: string, otherwise: string): string {
  const start = `--${name}=`;
  return process.argv.find((argument) => argument.startsWith(start))?.slice(start.length) ?? otherwise;
}

/** The run's answer: for people a table on standard error, for programs JSON on standard output. */
export function report(rows: readonly (readonly string[])[], result: object): void {
  process.stderr.write(`${table(rows)}\n`);
  process.stdout.write(`${JSON.stringify({ machine: machine(), ...result }, null, 1)}\n`);
}
