/**
 * Addresses, routes, MTU and namespaces through the `ip` command of iproute2, each call with its own list of arguments,
 * never through a shell. Control side: each call waits for the command, some milliseconds.
 */
import { spawnSync } from 'node:child_process';
import { CulvertError } from '../../errors.js';
import { DEFAULT_MTU, DEFAULT_QUEUE_LENGTH, type TunOptions } from './options.js';

const TIMEOUT_MS = 10_000;
// A plain user's PATH on Debian leaves out where `ip` lives.
const PATH = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;

/**
 * Runs `ip` with these arguments.
 * @returns its standard output
 * @throws CulvertError IP_COMMAND_MISSING, or IP_COMMAND_FAILED with the command and what it said
 */
export function ip(...args: readonly string[]): string {
  const { status, signal, error, stdout, stderr } = spawnSync('ip', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    env: { ...process.env, PATH },
  });
  const command = `ip ${args.join(' ')}`;
  if (error !== undefined && 'code' in error && error.code === 'ENOENT')
    throw new CulvertError('IP_COMMAND_MISSING', `${command}: there is no ip command; install the package iproute2`);
  if (status !== 0) {
    const said =
      stderr.trim() || error?.message || (signal === null ? `exit code ${String(status)}` : `ended by ${signal}`);
    throw new CulvertError('IP_COMMAND_FAILED', `${command}: ${said}`);
  }
  return stdout;
}

/**
 * Moves an interface to its namespace and sets it up there.
 * @param name its name, which a move keeps
 */
export function configureInterface(name: string, options: TunOptions): void {
  const { netns, mtu = DEFAULT_MTU, queueLength = DEFAULT_QUEUE_LENGTH, addresses = [], routes = [] } = options;
  // First the move: it takes the addresses and routes away.
  if (netns !== undefined) ip('link', 'set', 'dev', name, 'netns', netns);
  const within = netns === undefined ? [] : ['-n', netns];
  withoutLinkLocal(within, name);
  ip(...within, 'link', 'set', 'dev', name, 'mtu', String(mtu), 'txqueuelen', String(queueLength), 'up');
  for (const address of addresses) ip(...within, 'address', 'add', address, 'dev', name);
  for (const route of routes) ip(...within, 'route', 'add', route, 'dev', name);
}

// The kernel's own IPv6 chatter (router solicitations, MLD) would wake an idle gateway, which takes IPv4 only. A
// kernel without IPv6 refuses, and has no chatter.
function withoutLinkLocal(within: readonly string[], name: string): void {
  try {
    ip(...within, 'link', 'set', 'dev', name, 'addrgenmode', 'none');
  } catch (error) {
    if (!(error instanceof CulvertError) || error.code !== 'IP_COMMAND_FAILED') throw error;
  }
}
