/** Which backends of a lab are probed: those of each rule that names a probe, once a probe. */
import { probeName } from '../../service/load-balancer.js';
import { probesCarryHeader } from '../../service/proxy-protocol.js';
import type { ResourceModel } from '../../service/resources.js';
import { probeDenial } from '../../service/service-security.js';
import type { Probed } from './attempt.js';

export interface Target extends Probed {
  /** As `ProbeRef.name` of the topology. */
  readonly name: string;
  readonly loadBalancer: string;
  /** Virtual network. */
  readonly network: string;
  /** What denies these probes on their way, in words: they are not sent, and fail; null: nothing. */
  readonly denied: string | null;
}

/** @returns by a key that names probe and backend */
export function targetsOf(model: ResourceModel): Map<string, Target> {
  const targets = new Map<string, Target>();
  const services = [...model.privateLinkServices.values()];
  for (const balancer of model.loadBalancers.values()) {
    const header = probesCarryHeader(balancer.name, services);
    for (const rule of balancer.rules) {
      const probe = balancer.probes.get(rule.probe ?? '');
      if (probe === undefined) continue;
      const name = probeName(balancer.name, probe.name);
      for (const backend of balancer.backendPools.get(rule.backendPool) ?? []) {
        const denied = probeDenial(balancer, probe, backend, model);
        targets.set(`${name} ${String(backend)}`, {
          ...{ name, loadBalancer: balancer.name, network: balancer.virtualNetwork, denied },
          ...{ probe, backend, header },
        });
      }
    }
  }
  return targets;
}
