/** The packet path's flat rules, beside a naive reading of the same rules that shares no code with it. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decidingRule, securityRuleSpecs } from '../../src/service/network-security-group.js';
import type { NetworkSecurityGroup, SecurityRule } from '../../src/service/resources.js';
import { compileSecurity, permits } from '../../src/translate/security.js';
import { address } from '../support/gateway.js';

/** Few values, so that rules and packets meet. */
const addresses = [
  '10.200.1.4',
  '10.200.1.5',
  '10.200.2.4',
  '10.200.2.5',
  '192.168.3.3',
  '200.1.1.1',
  '255.255.255.254',
];
const ports = [0, 80, 443, 8080, 65535];
const prefixes = [...addresses, '10.200.1.0/24', '10.200.0.0/16', '128.0.0.0/1', '0.0.0.0/0', '*', 'VirtualNetwork'];
const tags = ['Internet', 'AzureLoadBalancer', '192.168.0.0/16', '200.1.1.0/30'];
const ranges = ['*', '80', '443', '0-79', '400-9000', '8080-65535', '0-65535'];
const SPACE = { first: address('10.200.0.0'), last: address('10.200.255.255') };

const list = (from: readonly string[]): fc.Arbitrary<string[]> =>
  fc.array(fc.constantFrom(...from), { minLength: 1, maxLength: 3 });
const drawnRule = fc.record({
  priority: fc.integer({ min: 100, max: 4096 }),
  access: fc.constantFrom('Allow' as const, 'Deny' as const),
  protocol: fc.constantFrom('Tcp' as const, 'Udp' as const, 'Icmp' as const, '*' as const),
  sourceAddressPrefixes: list([...prefixes, ...tags]),
  sourcePortRanges: list(ranges),
  destinationAddressPrefixes: list([...prefixes, ...tags]),
  destinationPortRanges: list(ranges),
});
const drawnGroup = fc.uniqueArray(drawnRule, { maxLength: 8, selector: (rule) => rule.priority });
const drawnFlow = fc.record({
  protocol: fc.constantFrom('Tcp' as const, 'Udp' as const),
  nat: fc.constantFrom(...addresses),
  natPort: fc.constantFrom(...ports),
  backend: fc.constantFrom(...addresses),
  backendPort: fc.constantFrom(...ports),
  frontend: fc.option(fc.constantFrom(...addresses)),
});

type Flow = (typeof drawnFlow extends fc.Arbitrary<infer T> ? T : never) & { readonly sources: readonly string[] };

const bits = (dotted: string): string =>
  dotted
    .split('.')
    .map((part) => Number(part).toString(2).padStart(8, '0'))
    .join('');

/** By the first bits of addresses written out. */
function inBlock(dotted: string, block: string): boolean {
  const [base, length = '32'] = block.split('/');
  return bits(dotted).slice(0, Number(length)) === bits(base!).slice(0, Number(length));
}

function inPrefix(dotted: string, prefix: string): boolean {
  if (prefix === '*') return true;
  if (prefix === 'AzureLoadBalancer') return dotted === '168.63.129.16';
  if (prefix === 'VirtualNetwork') return inBlock(dotted, '10.200.0.0/16');
  if (prefix === 'Internet') return dotted === '200.1.1.1';
  return inBlock(dotted, prefix);
}

function inRange(port: number, range: string): boolean {
  const [first, last = first] = range === '*' ? ['0', '65535'] : range.split('-');
  return Number(first) <= port && port <= Number(last);
}

/** Rule by rule, from their texts; Azure's default rules told in words. */
function naive(rules: readonly Partial<SecurityRule>[], flow: Flow, outbound: boolean): boolean {
  for (const rule of [...rules].sort((a, b) => a.priority! - b.priority!)) {
    const matches =
      (rule.protocol === '*' || rule.protocol === flow.protocol) &&
      rule.sourceAddressPrefixes!.some((prefix) => flow.sources.some((source) => inPrefix(source, prefix))) &&
      rule.sourcePortRanges!.some((range) => inRange(flow.natPort, range)) &&
      rule.destinationAddressPrefixes!.some((prefix) => inPrefix(flow.backend, prefix)) &&
      rule.destinationPortRanges!.some((range) => inRange(flow.backendPort, range));
    if (matches) return rule.access === 'Allow';
  }
  const within = flow.sources.some((source) => inPrefix(source, 'VirtualNetwork'));
  if (within && inPrefix(flow.backend, 'VirtualNetwork')) return true;
  return outbound && inPrefix(flow.backend, 'Internet');
}

describe('network security groups', () => {
  it('judge every flow as the naive reading of their rules does', () => {
    let allowed = 0;
    let denied = 0;
    const judge = (drawnOut: readonly object[] | null, drawnIn: readonly object[] | null, drawn: object): void => {
      const of = (rules: readonly object[], direction: string): NetworkSecurityGroup => ({
        name: 'group',
        securityRules: rules.map((rule, i) => ({ name: String(i), direction, ...rule }) as SecurityRule),
      });
      const base = drawn as Omit<Flow, 'sources'>;
      const spec = (rules: readonly object[] | null, direction: 'Inbound' | 'Outbound', at: string): object[] =>
        rules === null
          ? []
          : [{ address: address(at), rules: securityRuleSpecs(of(rules, direction), direction, [SPACE]) }];
      const security = compileSecurity({
        frontend: base.frontend === null ? null : address(base.frontend),
        outbound: spec(drawnOut, 'Outbound', base.nat) as never,
        inbound: spec(drawnIn, 'Inbound', base.backend) as never,
      })!;
      const protocol = base.protocol === 'Tcp' ? 6 : 17;
      const [nat, backend] = [address(base.nat) | 0, address(base.backend) | 0];
      const fast = permits(security, protocol, nat, base.natPort, backend, base.backendPort);
      const outFlow = { ...base, sources: [base.nat] };
      const inFlow = { ...base, sources: base.frontend === null ? [base.nat] : [base.nat, base.frontend] };
      const slow =
        (drawnOut === null || naive(drawnOut, outFlow, true)) && (drawnIn === null || naive(drawnIn, inFlow, false));
      assert.equal(fast, slow);
      if (drawnIn !== null && drawnOut === null) {
        const judged = {
          protocol: base.protocol,
          sources: inFlow.sources.map(address),
          sourcePort: base.natPort,
          destination: address(base.backend),
          destinationPort: base.backendPort,
        };
        const rule = decidingRule(of(drawnIn, 'Inbound'), 'Inbound', [SPACE], judged);
        assert.equal(rule.access === 'Allow', slow, 'the rule that the configuration names');
      }
      if (slow) allowed++;
      else denied++;
    };
    fc.assert(fc.property(fc.option(drawnGroup), fc.option(drawnGroup), drawnFlow, judge), { numRuns: 20_000 });
    assert.ok(allowed > 2000 && denied > 2000, `${String(allowed)} allowed, ${String(denied)} denied`);
  });
});
