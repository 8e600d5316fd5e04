/** What `culvert plan` reckons: plain data, for people (plan-text.ts) and for `--json`. */
import type { LabCapacity } from '../config/capacity.js';
import { connectionsOf, flowsNeeded, forecast } from '../service/capacity.js';
import type { CapacitySource, Demand, Forecast } from '../service/capacity.js';

export interface PlanReport {
  readonly services: readonly (CapacitySource & { readonly connections: number; readonly forecast: Forecast | null })[];
  /** Of all services, TCP and UDP together; the flow table holds no more than `maxFlows`. */
  readonly connections: number;
  readonly maxFlows: number;
  readonly usePercent: number;
  readonly demand: Demand | null;
  /** Flows in the table at a time; null without a demand. */
  readonly flowsNeeded: number | null;
}

export function reckon({ sources, maxFlows, usePercent }: LabCapacity, demand: Demand | null): PlanReport {
  const services = sources.map((source) => ({
    ...source,
    connections: connectionsOf(source),
    forecast: demand === null ? null : forecast(source, demand, usePercent),
  }));
  return {
    services,
    connections: services.reduce((sum, { connections }) => sum + connections, 0),
    maxFlows,
    usePercent,
    demand,
    flowsNeeded: demand === null ? null : flowsNeeded(sources, demand),
  };
}

/** No connection fails, however long it goes on. */
export const lasts = ({ services, flowsNeeded: needed, maxFlows }: PlanReport): boolean =>
  (needed ?? 0) <= maxFlows && services.every((each) => (each.forecast?.exhaustedAfterSeconds ?? null) === null);
