// Small helpers that every script shares: where the repository is, how commands are found, run and shown.
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** The repository's root folder. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

// A plain user's PATH on Debian leaves these out, and tcpdump, ip and nginx may live there.
const searchPath = [...(process.env['PATH'] ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'].filter(Boolean);

/** What every command run from here sees: the sbin folders are searched too. */
export const environment = { ...process.env, PATH: [...new Set(searchPath)].join(':') };

/** Whether a command, or a file given by its absolute path, is there. */
export function present(proof) {
  if (proof.startsWith('/')) return accessible(proof, constants.R_OK);
  return searchPath.some((folder) => accessible(path.join(folder, proof), constants.X_OK));
}

function accessible(file, mode) {
  try {
    accessSync(file, mode);
    return true;
  } catch {
    return false;
  }
}

/** Whether OS packages can be installed. */
export const isRoot = process.getuid?.() === 0;

/** The script of a development dependency, run by this same Node: `npx` costs a second and may ask questions. */
export const tool = (file) => path.join(root, 'node_modules', file);

/**
 * Runs a command in the repository, without standard input, and waits.
 * @param {string[]} command the program and its arguments
 * @param {{capture?: boolean, env?: Record<string, string>, timeoutMs?: number}} options `capture` keeps the output
 * @returns {{ok: boolean, output: string, why: string}} `why` says how it failed
 */
export function run([program, ...args], { capture = false, env = {}, timeoutMs } = {}) {
  const result = spawnSync(program, args, {
    cwd: root,
    env: { ...environment, ...env },
    stdio: ['ignore', capture ? 'pipe' : 'inherit', capture ? 'pipe' : 'inherit'],
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    ...(timeoutMs === undefined ? {} : { timeout: timeoutMs, killSignal: 'SIGKILL' }),
  });
  const output = capture ? `${result.stdout ?? ''}${result.stderr ?? ''}` : '';
  if (result.error !== undefined) {
    const timedOut = result.error.code === 'ETIMEDOUT';
    return { ok: false, output, why: timedOut ? `stopped after ${timeoutMs / 1000} s` : result.error.message };
  }
  if (result.status === 0) return { ok: true, output, why: '' };
  return {
    ok: false,
    output,
    why: result.signal === null ? `exit code ${result.status}` : `ended by ${result.signal}`,
  };
}

/** Tells the person at the terminal what the script does. */
export const say = (line) => process.stdout.write(`${line}\n`);
