/**
 * Network security groups, asked once a flow. The rules of a list lie one after the other in an Int32Array: a head, then
 * the ranges of its four lists; a list that holds everything has no ranges. Addresses are stored with their highest bit
 * flipped, so that signed comparison puts them in the order of unsigned ones.
 */
import type { LinkSecurity, Range, SecurityList, SecurityRuleSpec } from './topology.js';

// The head of a rule.
/** 256 to allow, 0 to deny, plus the protocol; protocol 0 stands for all. */
const WHAT = 0;
/** Index of the next rule's head. */
const NEXT = 1;
/** Ranges of the sources; of the source ports, the destinations and the destination ports in the next three. */
const COUNTS = 2;
const HEAD = 6;

const ALLOW = 256;
const LAST_ADDRESS = 0xffff_ffff;
const LAST_PORT = 0xffff;
const flipped = (address: number): number => (address ^ 0x8000_0000) | 0;

export interface Security {
  /** int32; 0: none. */
  readonly frontend: number;
  /** Flat rules by NAT address and by backend (int32); null: none at all. */
  readonly outbound: ReadonlyMap<number, Int32Array> | null;
  readonly inbound: ReadonlyMap<number, Int32Array> | null;
}

function flatten(rules: readonly SecurityRuleSpec[]): Int32Array {
  const flat: number[] = [];
  for (const rule of rules) {
    const lists = [
      ranges(rule.sources, LAST_ADDRESS, flipped),
      ranges(rule.sourcePorts, LAST_PORT),
      ranges(rule.destinations, LAST_ADDRESS, flipped),
      ranges(rule.destinationPorts, LAST_PORT),
    ];
    // What can never match is no rule.
    if (lists.includes(null)) continue;
    const octets = lists.reduce((sum, list) => sum + list!.length, 0);
    flat.push((rule.allow ? ALLOW : 0) | rule.protocol, flat.length + HEAD + octets);
    flat.push(...lists.map((list) => list!.length / 2), ...lists.flatMap((list) => list!));
  }
  return Int32Array.from(flat);
}

/** Pairs of first and last; empty: everything; null: nothing. */
function ranges(list: readonly Range[], most: number, stored = (value: number): number => value): number[] | null {
  if (list.length === 0) return null;
  if (list.some(({ first, last }) => first <= 0 && last >= most)) return [];
  return list.flatMap(({ first, last }) => [stored(first), stored(last)]);
}

export function compileSecurity(spec: LinkSecurity | undefined): Security | null {
  if (spec === undefined) return null;
  // Addresses of one subnet share its rules.
  const known = new Map<readonly SecurityRuleSpec[], Int32Array>();
  const compile = (lists: readonly SecurityList[]): Map<number, Int32Array> | null => {
    if (lists.length === 0) return null;
    return new Map(
      lists.map(({ address, rules }) => {
        const flat = known.get(rules) ?? flatten(rules);
        known.set(rules, flat);
        return [address | 0, flat];
      }),
    );
  };
  return { frontend: (spec.frontend ?? 0) | 0, outbound: compile(spec.outbound), inbound: compile(spec.inbound) };
}

/** Whether a flow may begin. Addresses are int32. */
export function permits(
  s: Security,
  protocol: number,
  nat: number,
  natPort: number,
  backend: number,
  backendPort: number,
): boolean {
  const out = s.outbound?.get(nat);
  if (out !== undefined && !allows(out, protocol, nat, nat, natPort, backend, backendPort)) return false;
  const into = s.inbound?.get(backend);
  if (into === undefined) return true;
  return allows(into, protocol, nat, s.frontend === 0 ? nat : s.frontend, natPort, backend, backendPort);
}

/** @param alias the other address that a rule may know the source by; the same where there is none */
function allows(
  rules: Int32Array,
  protocol: number,
  source: number,
  alias: number,
  sourcePort: number,
  destination: number,
  destinationPort: number,
): boolean {
  const from = flipped(source);
  const orFrom = flipped(alias);
  const to = flipped(destination);
  for (let at = 0; at < rules.length; at = rules[at + NEXT]!) {
    const what = rules[at + WHAT]!;
    if ((what & 0xff) !== 0 && (what & 0xff) !== protocol) continue;
    const sources = at + HEAD;
    const sourcePorts = sources + 2 * rules[at + COUNTS]!;
    const destinations = sourcePorts + 2 * rules[at + COUNTS + 1]!;
    const destinationPorts = destinations + 2 * rules[at + COUNTS + 2]!;
    const end = destinationPorts + 2 * rules[at + COUNTS + 3]!;
    if (
      holds(rules, destinationPorts, end, destinationPort) &&
      (holds(rules, sources, sourcePorts, from) || holds(rules, sources, sourcePorts, orFrom)) &&
      holds(rules, destinations, destinationPorts, to) &&
      holds(rules, sourcePorts, destinations, sourcePort)
    ) {
      return what >= ALLOW;
    }
  }
  return false;
}

function holds(rules: Int32Array, from: number, to: number, value: number): boolean {
  if (from === to) return true;
  for (let i = from; i < to; i += 2) if (value >= rules[i]! && value <= rules[i + 1]!) return true;
  return false;
}
