/** The NAT addresses of a private link service. */
import { formatAddress } from '../wire/address.js';
import { checkReserved, subnetOf } from './addresses.js';
import { error } from './problem.js';
import type { Problem } from './problem.js';
import type { PrivateLinkService, VirtualNetwork } from './resources.js';

export const maxNatIps = 8;

/** How many: 1 to 8, for Direct Connect an even number from 2 to 8. */
export function checkNatIpCount(count: number, directConnect: boolean): Problem[] {
  const path = ['ipConfigurations'];
  if (directConnect && (count < 2 || count > maxNatIps || count % 2 !== 0)) {
    const what = `Direct Connect needs 2, 4, 6 or 8 NAT addresses; there ${count === 1 ? 'is' : 'are'} ${String(count)}`;
    return [error('NAT_IP_COUNT', what, path)];
  }
  if (count < 1 || count > maxNatIps) {
    return [
      error(
        'NAT_IP_COUNT',
        `a private link service has 1 to ${String(maxNatIps)} NAT addresses; there are ${String(count)}`,
        path,
      ),
    ];
  }
  return [];
}

/**
 * Where: in any subnet of the provider's virtual network whose private-link-service network policies are disabled.
 * Paths are `['ipConfigurations', index]`.
 */
export function checkNatIpPlaces(service: PrivateLinkService, network: VirtualNetwork): Problem[] {
  const problems: Problem[] = [];
  const someSubnetUnread = [...network.subnets.values()].some((subnet) => subnet.addressPrefix === null);
  service.ipConfigurations.forEach((address, index) => {
    if (address < 0) return;
    const path = ['ipConfigurations', index];
    const text = formatAddress(address);
    if (service.ipConfigurations.indexOf(address) < index) {
      problems.push(error('NAT_IP_IN_USE', `${text} is in the list twice; each NAT address counts once`, path));
      return;
    }
    const subnet = subnetOf(network, address);
    if (subnet === undefined) {
      if (someSubnetUnread) return;
      const what = `NAT address ${text} is in no subnet of the provider's virtual network '${network.name}'`;
      problems.push(error('NAT_IP_OUTSIDE_NETWORK', what, path));
      return;
    }
    if (subnet.privateLinkServiceNetworkPolicies !== 'Disabled') {
      problems.push(
        error(
          'PrivateLinkServiceCannotBeCreatedInSubnetThatHasNetworkPoliciesEnabled',
          `NAT address ${text} is in subnet '${subnet.name}', whose network policies are enabled: ` +
            `set privateLinkServiceNetworkPolicies: Disabled on that subnet`,
          path,
        ),
      );
    }
    if (subnet.addressPrefix !== null) {
      for (const problem of checkReserved(address, subnet.addressPrefix)) problems.push({ ...problem, path });
    }
  });
  return problems;
}
