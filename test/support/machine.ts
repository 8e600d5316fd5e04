/**
 * What a test needs of the machine. Outside continuous integration a test whose need is not met is skipped, and the
 * summary says why. With `CI=true` it fails instead, so that a machine that lacks something never passes for a
 * tested one. Only the shared folder, which is no part of the repository, may be absent even there.
 *
 * Call these first thing in a test or in a `before` hook: `before(function () { needsTun(this); });`
 */
import { accessSync, closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Context } from 'mocha';
import { loadAddon } from '../../src/device/tun/addon.js';

/** The repository's root folder; this file runs from `dist/test/support/`. */
export const repositoryRoot = fileURLToPath(new URL('../../../', import.meta.url));

const CAP_NET_ADMIN = 12; // capabilities(7)

/** Where the reporter finds why something was skipped; mocha itself keeps no reason. */
interface Skippable {
  skipReason?: string;
}

/**
 * Skips the running test, or every test of the suite when called from its `before` hook, and keeps the reason for
 * the summary.
 */
export function skipBecause(context: Context, reason: string): never {
  const runnable = context.runnable();
  // mocha's types leave out that a hook has the type `hook`.
  const inHook = 'type' in runnable && runnable.type === 'hook';
  const subject = (inHook ? runnable.parent : runnable) as Skippable;
  subject.skipReason = reason;
  return context.skip();
}

function unmet(context: Context, reason: string): never {
  if (process.env['CI'] === 'true') throw new Error(`${reason}, and nothing may be skipped for that with CI=true`);
  return skipBecause(context, reason);
}

/** Needs the root user. */
export function needsRoot(context: Context): void {
  if (process.geteuid?.() !== 0) unmet(context, 'needs root');
}

/** Needs a command in PATH or in an sbin folder; the names and their packages are in scripts/os-packages.txt. */
export function needsCommand(context: Context, command: string): void {
  if (!hasCommand(command)) unmet(context, `needs the command ${command}`);
}

/** Needs to be able to make TUN devices and network namespaces. */
export function needsTun(context: Context): void {
  needsRoot(context);
  if (!hasCapability(CAP_NET_ADMIN)) unmet(context, 'needs CAP_NET_ADMIN');
  if (!canOpen('/dev/net/tun')) unmet(context, 'needs /dev/net/tun');
}

/** Needs a TUN device of ours: the kernel's, and the native part that set-up builds where there is a compiler. */
export function needsTunDevice(context: Context): void {
  needsTun(context);
  needsCommand(context, 'ip');
  try {
    loadAddon();
  } catch (error) {
    unmet(
      context,
      `needs the native part of the TUN device (${error instanceof Error ? error.message : String(error)})`,
    );
  }
}

/**
 * Needs the shared folder, or something in it.
 * @param inside path below the shared folder, for example `captures`
 * @returns the absolute path of `inside`
 */
export function needsShared(context: Context, inside = ''): string {
  const wanted = path.join(sharedDirectory(), inside);
  if (!existsSync(wanted)) skipBecause(context, `needs the shared folder${inside === '' ? '' : `'s ${inside}`}`);
  return wanted;
}

/**
 * The folder of captures and of the independent checker (`captures/`, `oracle/`): `CULVERT_SHARED`, or `shared` beside
 * the repository. It may be absent.
 */
export function sharedDirectory(): string {
  const given = process.env['CULVERT_SHARED'];
  return path.resolve(given === undefined || given === '' ? path.join(repositoryRoot, '..', 'shared') : given);
}

function hasCommand(command: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(path.join(folder, command), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}

function hasCapability(bit: number): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> BigInt(bit)) & 1n) === 1n;
}

function canOpen(file: string): boolean {
  try {
    closeSync(openSync(file, 'r+'));
    return true;
  } catch {
    return false;
  }
}
