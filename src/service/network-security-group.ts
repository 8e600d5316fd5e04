/**
 * Network security groups: their rules as resources, Azure's default rules, service tags, and how a packet is judged.
 *
 * What a private link service's traffic is to them. The groups judge new flows, as the packets leave culvert: from a NAT
 * address to a backend. The NAT subnet's outbound rules come first, the inbound rules of the backend's subnet second;
 * replies belong to the flow and are not judged. Azure's documents disagree about the source that a backend's group sees
 * behind a load balancer, the NAT address or the frontend; ours: a rule for either matches.
 */
import { cidrLast, parseCidr } from '../wire/address.js';
import type { Cidr } from '../wire/address.js';
import type { Range, SecurityRuleSpec } from '../translate/topology.js';
import { checkAddressText, checkCidrText } from './addresses.js';
import { maxSecurityRules } from './limits.js';
import { probeSource } from './load-balancer.js';
import { error, under } from './problem.js';
import type { Problem } from './problem.js';
import type { NetworkSecurityGroup, SecurityProtocol, SecurityRule } from './resources.js';

const EVERY_ADDRESS: Range = { first: 0, last: 0xffff_ffff };
const EVERY_PORT: Range = { first: 0, last: 0xffff };

const rangeOf = (block: Cidr): Range => ({ first: block.base, last: cidrLast(block) });

/** The address of the host, which health probes come from. */
const HOST: Range = { first: probeSource, last: probeSource };

/** What no packet from or to the Internet has: "this" network, private, shared, loopback, link-local and multicast blocks. */
const NOT_INTERNET = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '224.0.0.0/3',
].map((text) => rangeOf(parseCidr(text)!));

/** What the tag VirtualNetwork stands for, beside the host: the network's address space and what is connected to it. */
export type NetworkSpace = readonly Range[];

/** The part of the address space that none of the ranges holds. */
function complement(ranges: readonly Range[]): Range[] {
  const rest: Range[] = [];
  let next = 0;
  for (const { first, last } of ranges.toSorted((a, b) => a.first - b.first)) {
    if (first > next) rest.push({ first: next, last: first - 1 });
    next = Math.max(next, last + 1);
  }
  if (next <= EVERY_ADDRESS.last) rest.push({ first: next, last: EVERY_ADDRESS.last });
  return rest;
}

/** Service tags by their name in lower case. */
const TAGS: ReadonlyMap<string, (space: NetworkSpace) => readonly Range[]> = new Map([
  ['*', (): readonly Range[] => [EVERY_ADDRESS]],
  ['virtualnetwork', (space: NetworkSpace): readonly Range[] => [...space, HOST]],
  ['azureloadbalancer', (): readonly Range[] => [HOST]],
  ['internet', (space: NetworkSpace): readonly Range[] => complement([...space, HOST, ...NOT_INTERNET])],
]);

/** The ranges of an address, a block or a service tag; none for a text that is none of them. */
function addressRanges(text: string, space: NetworkSpace): readonly Range[] {
  const tag = TAGS.get(text.toLowerCase());
  if (tag !== undefined) return tag(space);
  const block = parseCidr(text.includes('/') ? text : `${text}/32`);
  return block === null ? [] : [rangeOf(block)];
}

/** The range of `443`, `8000-8100` or `*`; null if malformed. */
function portRange(text: string): Range | null {
  if (text === '*') return EVERY_PORT;
  const parts = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (parts === null) return null;
  const first = Number(parts[1]);
  const last = Number(parts[2] ?? first);
  return first <= last && last <= EVERY_PORT.last ? { first, last } : null;
}

const defaultRule = (
  name: string,
  priority: number,
  direction: SecurityRule['direction'],
  access: SecurityRule['access'],
  source: string,
  destination: string,
): SecurityRule => ({
  name,
  priority,
  direction,
  access,
  protocol: '*',
  sourceAddressPrefixes: [source],
  sourcePortRanges: ['*'],
  destinationAddressPrefixes: [destination],
  destinationPortRanges: ['*'],
});

/** What Azure puts behind the rules of every group. */
export const defaultSecurityRules: readonly SecurityRule[] = [
  defaultRule('AllowVnetInBound', 65000, 'Inbound', 'Allow', 'VirtualNetwork', 'VirtualNetwork'),
  defaultRule('AllowAzureLoadBalancerInBound', 65001, 'Inbound', 'Allow', 'AzureLoadBalancer', '*'),
  defaultRule('DenyAllInBound', 65500, 'Inbound', 'Deny', '*', '*'),
  defaultRule('AllowVnetOutBound', 65000, 'Outbound', 'Allow', 'VirtualNetwork', 'VirtualNetwork'),
  defaultRule('AllowInternetOutBound', 65001, 'Outbound', 'Allow', '*', 'Internet'),
  defaultRule('DenyAllOutBound', 65500, 'Outbound', 'Deny', '*', '*'),
];

/** A group's rules of one direction and the default ones, in the order in which they are asked. */
const rulesInOrder = (group: NetworkSecurityGroup, direction: SecurityRule['direction']): SecurityRule[] =>
  [...group.securityRules, ...defaultSecurityRules]
    .filter((rule) => rule.direction === direction)
    .sort((a, b) => a.priority - b.priority);

/** By IP protocol number, as IANA gives them; 0 stands for every one. */
const PROTOCOLS: Readonly<Record<SecurityProtocol, number>> = { '*': 0, Icmp: 1, Tcp: 6, Udp: 17, Esp: 50, Ah: 51 };

/** A group's rules of one direction as the packet path takes them. */
export function securityRuleSpecs(
  group: NetworkSecurityGroup,
  direction: SecurityRule['direction'],
  space: NetworkSpace,
): SecurityRuleSpec[] {
  const addresses = (texts: readonly string[]): Range[] => texts.flatMap((text) => addressRanges(text, space));
  const ports = (texts: readonly string[]): Range[] => texts.flatMap((text) => portRange(text) ?? []);
  return rulesInOrder(group, direction).map((rule) => ({
    allow: rule.access === 'Allow',
    protocol: PROTOCOLS[rule.protocol],
    sources: addresses(rule.sourceAddressPrefixes),
    sourcePorts: ports(rule.sourcePortRanges),
    destinations: addresses(rule.destinationAddressPrefixes),
    destinationPorts: ports(rule.destinationPortRanges),
  }));
}

/** A new flow as a group sees it; addresses are unsigned. */
export interface JudgedFlow {
  readonly protocol: 'Tcp' | 'Udp';
  /** All addresses that a rule may know the source by. */
  readonly sources: readonly number[];
  readonly sourcePort: number;
  readonly destination: number;
  readonly destinationPort: number;
}

/** The rule that decides about a flow: rule by rule from their texts, without the packet path's tables. */
export function decidingRule(
  group: NetworkSecurityGroup,
  direction: SecurityRule['direction'],
  space: NetworkSpace,
  flow: JudgedFlow,
): SecurityRule {
  const holds = (range: Range | null, value: number): boolean =>
    range !== null && value >= range.first && value <= range.last;
  const address = (texts: readonly string[], value: number): boolean =>
    texts.some((text) => addressRanges(text, space).some((range) => holds(range, value)));
  const port = (texts: readonly string[], value: number): boolean =>
    texts.some((text) => holds(portRange(text), value));
  // The last default rule matches everything.
  return rulesInOrder(group, direction).find(
    (rule) =>
      (rule.protocol === '*' || rule.protocol === flow.protocol) &&
      flow.sources.some((source) => address(rule.sourceAddressPrefixes, source)) &&
      port(rule.sourcePortRanges, flow.sourcePort) &&
      address(rule.destinationAddressPrefixes, flow.destination) &&
      port(rule.destinationPortRanges, flow.destinationPort),
  )!;
}

/** An address, a block with its host bits clear, or a service tag that is known here. */
function checkPrefixText(text: string): Problem[] {
  if (TAGS.has(text.toLowerCase())) return [];
  if (text.includes('/')) return checkCidrText(text);
  if (/^[\d.]+$/.test(text) || text.includes(':')) return checkAddressText(text);
  const what =
    `'${text}' is neither an address, a block nor a service tag that is known here ` +
    `(VirtualNetwork, AzureLoadBalancer, Internet, '*')`;
  return [error('SecurityRuleInvalidAddressPrefix', what)];
}

function checkSecurityRule(rule: SecurityRule): Problem[] {
  const problems: Problem[] = [];
  const { priority } = rule;
  if (!Number.isInteger(priority) || priority < 100 || priority > 4096) {
    const what = `priority is ${String(priority)}; it must be a whole number, 100 to 4096`;
    problems.push(error('SecurityRuleInvalidPriority', what, ['priority']));
  }
  for (const list of ['sourceAddressPrefixes', 'destinationAddressPrefixes'] as const) {
    if (rule[list].length === 0) {
      const what = `the list is empty, so that the rule matches nothing; for every address write '*'`;
      problems.push(error('SecurityRuleInvalidAddressPrefix', what, [list]));
    }
    rule[list].forEach((text, index) => problems.push(...under([list, index], checkPrefixText(text))));
  }
  for (const list of ['sourcePortRanges', 'destinationPortRanges'] as const) {
    if (rule[list].length === 0) {
      const what = `the list is empty, so that the rule matches nothing; for every port write '*'`;
      problems.push(error('SecurityRuleInvalidPortRange', what, [list]));
    }
    rule[list].forEach((text, index) => {
      if (portRange(text) !== null) return;
      const what = `'${text}' is no port range: write a port 0 to 65535, a range such as 8000-8100, or '*'`;
      problems.push(error('SecurityRuleInvalidPortRange', what, [list, index]));
    });
  }
  return problems;
}

/** Everything about one group. Paths are `['securityRules', index, ...]`, with the names of the lists. */
export function checkNetworkSecurityGroup(group: NetworkSecurityGroup): Problem[] {
  const problems: Problem[] = [];
  group.securityRules.forEach((rule, index) => {
    const path = ['securityRules', index];
    problems.push(...under(path, checkSecurityRule(rule)));
    const twin = group.securityRules
      .slice(0, index)
      .find((other) => other.priority === rule.priority && other.direction === rule.direction);
    if (twin !== undefined) {
      const what =
        `rule '${rule.name}' has priority ${String(rule.priority)}, which rule '${twin.name}' has already ` +
        `(both ${rule.direction}): give each its own`;
      problems.push(error('SecurityRuleConflict', what, [...path, 'priority']));
    }
  });
  if (group.securityRules.length > maxSecurityRules) {
    const what = `a network security group has at most ${String(maxSecurityRules)} rules; there are ${String(group.securityRules.length)}`;
    problems.push(error('SECURITY_RULE_LIMIT', what, ['securityRules', maxSecurityRules]));
  }
  return problems;
}
