/** Rules of a virtual network: its subnets lie in its address space and do not overlap. */
import { cidrWithin, cidrsOverlap, formatCidr } from '../wire/address.js';
import type { Cidr } from '../wire/address.js';
import { error } from './problem.js';
import type { Problem } from './problem.js';
import type { VirtualNetwork } from './resources.js';

/** Paths are `['addressSpace', index]` and `['subnets', name]`. */
export function checkVirtualNetwork(network: VirtualNetwork): Problem[] {
  const problems: Problem[] = [];
  network.addressSpace.forEach((block, index) => {
    const other = network.addressSpace
      .slice(0, index)
      .find((b) => b !== null && block !== null && cidrsOverlap(b, block));
    if (block === null || other === undefined || other === null) return;
    problems.push(
      error(
        'SUBNETS_OVERLAP',
        `${formatCidr(block)} overlaps ${formatCidr(other)} of the same address space; name each range once`,
        ['addressSpace', index],
      ),
    );
  });
  if (network.addressSpace.length === 0) {
    problems.push(error('ADDRESS_SPACE_EMPTY', 'a virtual network has at least one address range', ['addressSpace']));
  }
  const spaceIsKnown = network.addressSpace.length > 0 && !network.addressSpace.includes(null);
  const space = network.addressSpace.filter((block): block is Cidr => block !== null);
  const before: { name: string; prefix: Cidr }[] = [];
  for (const { name, addressPrefix: prefix } of network.subnets.values()) {
    if (prefix === null) continue;
    const path = ['subnets', name];
    if (spaceIsKnown && !space.some((block) => cidrWithin(prefix, block))) {
      const text = space.map(formatCidr).join(', ');
      const what = `subnet '${name}', ${formatCidr(prefix)}, is outside the address space of the network (${text})`;
      problems.push(error('SUBNET_OUTSIDE_ADDRESS_SPACE', what, path));
    }
    const other = before.find((subnet) => cidrsOverlap(subnet.prefix, prefix));
    if (other !== undefined) {
      const what = `subnet '${name}', ${formatCidr(prefix)}, overlaps subnet '${other.name}', ${formatCidr(other.prefix)}`;
      problems.push(error('SUBNETS_OVERLAP', what, path));
    }
    before.push({ name, prefix });
  }
  return problems;
}
