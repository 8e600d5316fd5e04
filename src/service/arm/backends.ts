/** Backends of a lab file: which address is in which pools, and the interface of one that is given as an address alone. */
import type { LoadBalancer, ResourceModel, VirtualNetwork } from '../resources.js';
import { lastName } from './resource-id.js';

/** Id of an interface in the resource group of another resource. */
export const interfaceBeside = (id: string, name: string): string =>
  `${id.split('/').slice(0, 7).join('/')}/networkInterfaces/${name}`;

/** The interface that a backend has which a lab file gives as an address alone. */
export const backendId = (networkId: string, address: string): string =>
  interfaceBeside(networkId, `${lastName(networkId)}-${address.replaceAll('.', '-')}`);

/** Its only ipConfiguration. */
export const backendConfiguration = 'ipconfig';

interface Backend {
  readonly network: VirtualNetwork;
  readonly address: number;
  /** All that have it. */
  readonly pools: readonly { readonly id: string }[];
}

export const backendKey = (network: string, address: number): string => `${network} ${String(address)}`;

/** All backends, by their keys. @param idOf the id of a pool */
export function backendsOf(
  { loadBalancers, virtualNetworks }: ResourceModel,
  idOf: (balancer: LoadBalancer, pool: string) => string,
): Map<string, Backend> {
  const backends = new Map<string, Backend>();
  for (const balancer of loadBalancers.values()) {
    const network = virtualNetworks.get(balancer.virtualNetwork)!;
    for (const [pool, addresses] of balancer.backendPools) {
      for (const address of addresses) {
        const key = backendKey(network.name, address);
        const pools = [...(backends.get(key)?.pools ?? []), { id: idOf(balancer, pool) }];
        backends.set(key, { network, address, pools });
      }
    }
  }
  return backends;
}
