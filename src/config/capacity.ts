/** What `culvert plan` needs to know of a lab, as plain data: from a file, or over the socket of a running gateway. */
import { capacitySources } from '../service/capacity.js';
import type { CapacitySource } from '../service/capacity.js';
import type { RuleSpec } from '../translate/topology.js';
import type { LabConfig } from './model.js';

export interface LabCapacity {
  readonly sources: readonly CapacitySource[];
  /** Connections in all at one time. */
  readonly maxFlows: number;
  /** The use of ports that is warned of. */
  readonly usePercent: number;
}

/** @param takesFlows as of `capacitySources`, with the service's name */
export function labCapacity(
  { topology, settings, gateway }: LabConfig,
  takesFlows: (service: string, rule: RuleSpec, backend: number) => boolean = () => true,
): LabCapacity {
  return {
    sources: capacitySources(topology.links, settings, (link, rule, backend) => takesFlows(link.name, rule, backend)),
    maxFlows: settings.maxFlows,
    usePercent: gateway.natPortsWarningPercent || 100,
  };
}
