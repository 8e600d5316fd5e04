/** Reading addresses and blocks of resources, and the rules that hold for every address of a virtual network. */
import {
  cidrContains,
  cidrLast,
  formatAddress,
  formatCidr,
  looksLikeIpv6,
  parseAddress,
  parseCidr,
} from '../wire/address.js';
import type { Cidr } from '../wire/address.js';
import { error, warning } from './problem.js';
import type { Problem } from './problem.js';
import type { Subnet, VirtualNetwork } from './resources.js';

const ipv6 = (text: string): Problem =>
  error('IPV4_ONLY', `'${text}' is IPv6; only IPv4 is supported here, write an IPv4 value such as 10.0.0.4`);

/** Problems of a text that should be one IPv4 address. */
export function checkAddressText(text: string): Problem[] {
  if (parseAddress(text) >= 0) return [];
  if (looksLikeIpv6(text)) return [ipv6(text)];
  const hint = /(^|\.)0\d/.test(text) ? ', without leading zeros' : '';
  return [
    error('ADDRESS_INVALID', `'${text}' is not an IPv4 address: write four decimal parts, as in 10.0.0.4${hint}`),
  ];
}

/** Problems of a text that should be one IPv4 block with its host bits clear. */
export function checkCidrText(text: string): Problem[] {
  const cidr = parseCidr(text);
  if (cidr !== null) {
    const proper = formatCidr(cidr);
    if (proper === text) return [];
    return [error('CIDR_HOST_BITS', `'${text}' has bits set after the prefix: did you mean ${proper}?`)];
  }
  if (looksLikeIpv6(text)) return [ipv6(text)];
  return [error('CIDR_INVALID', `'${text}' is not an IPv4 block: write address and prefix length, as in 10.0.0.0/24`)];
}

/** The subnet that holds the address, or undefined. */
export function subnetOf(network: VirtualNetwork, address: number): Subnet | undefined {
  for (const subnet of network.subnets.values()) {
    if (subnet.addressPrefix !== null && cidrContains(subnet.addressPrefix, address)) return subnet;
  }
  return undefined;
}

const describe = (network: VirtualNetwork): string =>
  [...network.subnets.values()]
    .map((subnet) => `${subnet.name} ${subnet.addressPrefix === null ? '' : formatCidr(subnet.addressPrefix)}`.trim())
    .join(', ') || 'none';

/**
 * Azure keeps the first four and the last address of each subnet: network, gateway, two for DNS, broadcast. Here they
 * work, so that this is a warning: the same resources would be refused in Azure.
 */
export function checkReserved(address: number, prefix: Cidr): Problem[] {
  const last = cidrLast(prefix);
  if (!cidrContains(prefix, address) || (address > prefix.base + 3 && address !== last)) return [];
  return [
    warning(
      'ADDRESS_RESERVED',
      `${formatAddress(address)} is one of the five addresses that Azure reserves in ${formatCidr(prefix)} ` +
        `(the first four and the last); it works here, but Azure would refuse it`,
    ),
  ];
}

/** The address must lie in some subnet of the network. */
export function checkInNetwork(address: number, network: VirtualNetwork): Problem[] {
  // A subnet that could not be read may be the right one: one mistake, one message.
  if (address < 0 || [...network.subnets.values()].some((subnet) => subnet.addressPrefix === null)) return [];
  const subnet = subnetOf(network, address);
  if (subnet?.addressPrefix) return checkReserved(address, subnet.addressPrefix);
  return [
    error(
      'ADDRESS_OUTSIDE_SUBNET',
      `${formatAddress(address)} is in no subnet of virtual network '${network.name}' (its subnets: ${describe(network)})`,
    ),
  ];
}

/** The address must lie in this subnet. */
export function checkInSubnet(address: number, subnet: Subnet): Problem[] {
  if (address < 0 || subnet.addressPrefix === null) return [];
  if (cidrContains(subnet.addressPrefix, address)) return checkReserved(address, subnet.addressPrefix);
  return [
    error(
      'ADDRESS_OUTSIDE_SUBNET',
      `${formatAddress(address)} is outside subnet '${subnet.name}', ${formatCidr(subnet.addressPrefix)}`,
    ),
  ];
}

/** Who has which address in each virtual network: one address, one owner. */
export class AddressBook {
  readonly #owners = new Map<string, string>();

  /**
   * Takes the address for `owner`. Nothing happens if it could not be read or is the same owner's already.
   * @returns the owner that has it already, or null
   */
  claim(network: string, address: number, owner: string): string | null {
    if (address < 0) return null;
    const key = `${String(address)} ${network}`;
    const before = this.#owners.get(key);
    if (before === undefined) this.#owners.set(key, owner);
    return before === undefined || before === owner ? null : before;
  }
}

export const addressInUse = (address: number, network: string, owner: string): Problem =>
  error(
    'ADDRESS_IN_USE',
    `${formatAddress(address)} is ${owner} already; an address has one use in virtual network '${network}'`,
  );
