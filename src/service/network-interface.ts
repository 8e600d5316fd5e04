/** Rules of a network interface: its addresses, and the one virtual network that it and its load balancers are in. */
import { checkInSubnet } from './addresses.js';
import { error, under } from './problem.js';
import type { Problem } from './problem.js';
import type { NetworkInterface, ResourceModel } from './resources.js';

/** Paths start at the interface. */
export function checkNetworkInterface(nic: NetworkInterface, model: ResourceModel): Problem[] {
  const home = nic.ipConfigurations[0]?.virtualNetwork ?? '';
  return nic.ipConfigurations.flatMap((configuration, index) => {
    const { name, virtualNetwork, subnet, address } = configuration;
    const at = ['ipConfigurations', index];
    const place = model.virtualNetworks.get(virtualNetwork)?.subnets.get(subnet);
    const problems = place === undefined ? [] : under([...at, 'address'], checkInSubnet(address, place));
    const elsewhere = (what: string, network: string): void => {
      if (network === virtualNetwork || ![network, virtualNetwork].every((each) => model.virtualNetworks.has(each)))
        return;
      const message =
        `${what} is in virtual network '${network}', ipConfiguration '${name}' in '${virtualNetwork}'; ` +
        `an interface and its load balancers belong in one network`;
      problems.push(error('INTERFACE_OTHER_NETWORK', message, [...at, 'subnet']));
    };
    elsewhere(`ipConfiguration '${nic.ipConfigurations[0]?.name ?? ''}'`, home);
    for (const balancer of new Set(configuration.loadBalancers)) {
      elsewhere(`load balancer '${balancer}'`, model.loadBalancers.get(balancer)?.virtualNetwork ?? '');
    }
    return problems;
  });
}
