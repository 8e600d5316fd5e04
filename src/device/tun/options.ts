/** What a TUN device is opened with, and what is wrong with it. */
import { CulvertError } from '../../errors.js';

export interface TunOptions {
  /** Interface name, 1 to 15 octets; `%d` becomes the first free number. Left out: the kernel chooses. */
  readonly name?: string;
  /** Octets, 68 to 65535 (RFC 791); 1500 when left out. */
  readonly mtu?: number;
  /**
   * Packets that the kernel keeps for us until they are read, 1 to 1000000; 4096 when left out. The kernel's own 500 are
   * gone in the time of one pause, and what finds no place is lost.
   */
  readonly queueLength?: number;
  /** Virtio-net headers, and all of checksum, TSO and USO offload that the kernel has. */
  readonly offload?: boolean;
  /** Name of an existing network namespace that the interface is moved into. */
  readonly netns?: string;
  /** Addresses of the kernel's side of the interface, as `10.0.0.1/24`. */
  readonly addresses?: readonly string[];
  /** Destinations that the kernel sends into the interface, as `10.9.0.0/16` or `default`. */
  readonly routes?: readonly string[];
}

export const DEFAULT_MTU = 1500;
export const DEFAULT_QUEUE_LENGTH = 4096;
const MIN_MTU = 68;
const MAX_MTU = 65535;
const MAX_QUEUE_LENGTH = 1_000_000;
const MAX_NAME_OCTETS = 15; // IFNAMSIZ without its final zero

const NAME = /^[^\s/:]+$/;
const NETNS = /^[^/\s-][^/\s]*$/;
// Only what cannot be taken for an option of `ip` or for more than one word; `ip` itself judges the rest.
const PREFIX = /^[0-9a-fA-F.:]+(\/[0-9]{1,3})?$/;

/** @throws CulvertError TUN_OPTION_INVALID */
export function checkOptions(options: TunOptions): void {
  const { name, mtu, queueLength, netns, addresses = [], routes = [] } = options;
  if (name !== undefined) {
    if (Buffer.byteLength(name) > MAX_NAME_OCTETS) invalid('name', name, `at most ${MAX_NAME_OCTETS} octets`);
    if (!NAME.test(name) || name === '.' || name === '..') invalid('name', name, 'no spaces, slashes or colons');
  }
  checkRange('mtu', mtu, MIN_MTU, MAX_MTU);
  checkRange('queueLength', queueLength, 1, MAX_QUEUE_LENGTH);
  if (netns !== undefined && !NETNS.test(netns)) invalid('netns', netns, 'the name of a namespace, not a path');
  for (const each of addresses) if (!PREFIX.test(each)) invalid('addresses', each, 'such as 10.0.0.1/24');
  for (const each of routes)
    if (each !== 'default' && !PREFIX.test(each)) invalid('routes', each, 'such as 10.9.0.0/16 or default');
}

function checkRange(option: string, value: number | undefined, least: number, most: number): void {
  if (value !== undefined && !(Number.isInteger(value) && value >= least && value <= most))
    invalid(option, value, `a whole number from ${least} to ${most}`);
}

function invalid(option: string, value: string | number, wanted: string): never {
  throw new CulvertError('TUN_OPTION_INVALID', `TUN device: ${option} is ${JSON.stringify(value)}; wanted: ${wanted}`, {
    path: option,
  });
}
