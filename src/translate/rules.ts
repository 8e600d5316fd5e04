/** Load-balancing rules as the packet path knows them, and the look-up tables of their backends. */
import { healthyTable } from '../balance/healthy.js';
import { maglevLength, maglevTable } from '../balance/maglev.js';
import type { Distribution, LinkSpec, ProbeRef, RuleSpec } from './topology.js';

export interface Rule {
  readonly protocol: number;
  /** 0: the port that the consumer sent to. */
  readonly backendPort: number;
  /** int32 addresses. */
  readonly backends: Int32Array;
  /** Indexes into `backends` by hash, whatever their health; null where there is but one. */
  readonly maglev: Uint16Array | null;
  /** The same of those that take new flows. */
  table: Uint16Array | null;
  /** By index: 1 for a backend that takes new flows. */
  readonly up: Uint8Array;
  /** No backend takes new flows. */
  closed: boolean;
  readonly probe: ProbeRef | null;
  readonly distribution: Distribution;
  readonly idleMs: number;
  readonly tcpReset: boolean;
}

/** Healths of one pool whose tables are kept. */
const HEALTHS_KEPT = 8;

/**
 * The look-up tables of pools of backends. To make one takes up to 10 ms, in which no packet moves: so rules with the same
 * backends share it, and a changed topology makes those alone that are new.
 */
export class PoolTables {
  private readonly made = new Map<string, Uint16Array>();
  private readonly healthy = new WeakMap<Uint16Array, Map<string, Uint16Array>>();

  /**
   * @param lengthBefore of the table whose place it takes
   * @returns the table of all, or null where there is but one backend
   */
  of(backends: readonly number[], lengthBefore: number | undefined): Uint16Array | null {
    if (backends.length <= 1) return null;
    const length = maglevLength(backends.length, lengthBefore);
    const key = `${String(length)} ${backends.join(' ')}`;
    let table = this.made.get(key);
    if (table === undefined) this.made.set(key, (table = maglevTable(backends, length)));
    return table;
  }

  /** The table of those that are up, of which there is one. @param all as `of` gave it */
  healthyOf(all: Uint16Array, up: Uint8Array): Uint16Array {
    let tables = this.healthy.get(all);
    if (tables === undefined) this.healthy.set(all, (tables = new Map<string, Uint16Array>()));
    const key = up.join('');
    let table = tables.get(key);
    if (table === undefined) {
      if (tables.size >= HEALTHS_KEPT) tables.clear();
      tables.set(key, (table = healthyTable(all, up)));
    }
    return table;
  }

  /** Forgets the tables that no rule has any more. */
  keep(rules: Iterable<Rule>): void {
    const used = new Set<Uint16Array | null>();
    for (const rule of rules) used.add(rule.maglev);
    for (const [key, table] of this.made) if (!used.has(table)) this.made.delete(key);
  }
}

/**
 * @returns by protocol << 16 | port, port 0 standing for every port
 * @param before the rules that these take the place of
 */
export function compileRules(spec: LinkSpec, pools: PoolTables, before?: ReadonlyMap<number, Rule>): Map<number, Rule> {
  const rules = new Map<number, Rule>();
  const add = (r: RuleSpec): void => {
    const key = (r.protocol << 16) | r.frontendPort;
    rules.set(key, compileRule(r, pools.of(r.backends, before?.get(key)?.maglev?.length)));
  };
  spec.rules.forEach(add);
  if (spec.destination !== null) for (const protocol of [6, 17] as const) add(directRule(spec, protocol));
  return rules;
}

function compileRule(spec: RuleSpec, maglev: Uint16Array | null): Rule {
  return {
    protocol: spec.protocol,
    backendPort: spec.frontendPort === 0 ? 0 : spec.backendPort,
    backends: Int32Array.from(spec.backends),
    maglev,
    table: maglev,
    up: new Uint8Array(spec.backends.length),
    closed: false,
    probe: spec.probe ?? null,
    distribution: spec.distribution,
    idleMs: spec.idleTimeoutMs,
    tcpReset: spec.tcpReset,
  };
}

function directRule(spec: LinkSpec, protocol: 6 | 17): RuleSpec {
  return {
    protocol,
    frontendPort: 0,
    backendPort: 0,
    backends: [spec.destination!],
    distribution: 'Default',
    idleTimeoutMs: protocol === 6 ? spec.tcpIdleTimeoutMs : spec.udpIdleTimeoutMs,
    tcpReset: false,
  };
}
