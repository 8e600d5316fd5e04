import assert from 'node:assert/strict';
import { edited, good, mistakes, only, warningsOf } from './helpers.js';

const GROUPS = `networkSecurityGroups:
  backend:
    securityRules:
      - name: AllowWeb
        priority: 100
        direction: Inbound
        access: Allow
        protocol: Tcp
        sourceAddressPrefix: VirtualNetwork
        destinationPortRanges: ['8080', '9000-9100']
      - { name: DenyRest, priority: 4096, direction: Inbound, access: Deny }
  nat:
    securityRules:
      - { name: DenyUdp, priority: 200, direction: Outbound, access: Deny, protocol: Udp }

virtualNetworks:
`;
const withGroups = (...more: (readonly [string, string])[]): string =>
  edited(
    ['virtualNetworks:\n', GROUPS],
    ['backend: 10.200.2.0/24', 'backend: { addressPrefix: 10.200.2.0/24, networkSecurityGroup: backend }'],
    [
      'privateLinkServiceNetworkPolicies: Disabled }',
      'privateLinkServiceNetworkPolicies: Disabled, networkSecurityGroup: nat }',
    ],
    ...more,
  );

describe('config: network security groups', () => {
  it('come with the links whose NAT addresses or backends they judge, default rules included', () => {
    const { topology } = good(withGroups());
    const [web, database] = topology.links;
    assert.equal(web!.security!.frontend, 0x0ac8000a);
    assert.deepEqual(
      web!.security!.outbound.map(({ address, rules }) => [address, rules.length]),
      [
        [0x0ac80104, 4],
        [0x0ac80105, 4],
      ],
    );
    const [first, second] = web!.security!.inbound;
    assert.deepEqual([first!.address, second!.address], [0x0ac80204, 0x0ac80205]);
    assert.equal(first!.rules, second!.rules, 'one subnet, one list');
    assert.deepEqual(first!.rules[0], {
      allow: true,
      protocol: 6,
      sources: [
        { first: 0x0ac80000, last: 0x0ac8ffff },
        { first: 0xa83f8110, last: 0xa83f8110 },
      ],
      sourcePorts: [{ first: 0, last: 65535 }],
      destinations: [{ first: 0, last: 0xffff_ffff }],
      destinationPorts: [
        { first: 8080, last: 8080 },
        { first: 9000, last: 9100 },
      ],
    });
    assert.deepEqual([database!.security!.frontend, database!.security!.inbound], [null, []]);
    assert.equal(database!.security!.outbound.length, 2);
  });

  it('are not there for a lab without them', () => {
    assert.ok(good(edited()).topology.links.every((link) => link.security === undefined));
  });

  it('count a Direct Connect destination outside the network as the network’s', () => {
    const { topology } = good(withGroups(['10.200.3.4', '192.168.9.9']));
    const [rule] = topology.links[1]!.security!.outbound[0]!.rules.slice(1);
    assert.ok(rule!.destinations.some(({ first, last }) => first === 0xc0a80909 && last === 0xc0a80909));
  });

  it('are known by name', () => {
    const found = only(withGroups(['networkSecurityGroup: nat', 'networkSecurityGroup: natt']));
    assert.equal(found.code, 'CONFIG_UNKNOWN_REFERENCE');
    assert.equal(found.path, 'virtualNetworks.provider.subnets.nat.networkSecurityGroup');
    assert.match(found.message, /did you mean 'nat'/);
  });

  it('name their mistakes where they stand, also in the form for one value', () => {
    const at = (from: string, to: string): string[] =>
      mistakes(withGroups([from, to])).map((m) => `${m.code} ${m.path!}`);
    const rule = 'networkSecurityGroups.backend.securityRules[0]';
    assert.deepEqual(at('sourceAddressPrefix: VirtualNetwork', 'sourceAddressPrefix: Sql'), [
      `SecurityRuleInvalidAddressPrefix ${rule}.sourceAddressPrefix`,
    ]);
    assert.deepEqual(at("'9000-9100'", "'9100-9000'"), [
      `SecurityRuleInvalidPortRange ${rule}.destinationPortRanges[1]`,
    ]);
    assert.deepEqual(at('priority: 4096', 'priority: 100'), [
      'SecurityRuleConflict networkSecurityGroups.backend.securityRules[1].priority',
    ]);
    assert.deepEqual(at('name: DenyRest', 'name: AllowWeb'), [
      'CONFIG_NAME networkSecurityGroups.backend.securityRules[1].name',
    ]);
    assert.deepEqual(at('sourceAddressPrefix:', "sourceAddressPrefixes: ['*']\n        sourceAddressPrefix:"), [
      `CONFIG_VALUE ${rule}.sourceAddressPrefixes`,
    ]);
    assert.deepEqual(at('access: Allow', 'access: allow'), [`CONFIG_VALUE ${rule}.access`]);
    const line =
      withGroups()
        .split('\n')
        .findIndex((text) => text.includes('VirtualNetwork')) + 1;
    assert.equal(only(withGroups(['Prefix: VirtualNetwork', 'Prefix: 10.0.0.1/8'])).line, line);
  });

  it('warn when they deny all that a service sends', () => {
    assert.deepEqual(warningsOf(withGroups()), []);
    const found = good(withGroups(["'8080', '9000-9100'", "'8081'"])).warnings;
    assert.deepEqual(
      found.map(({ code, place }) => `${code} ${place.path ?? ''}`),
      ['SERVICE_DENIED privateLinkServices.web'],
    );
    assert.match(found[0]!.message, /'backend' denies .*'web' .*Tcp to 10\.200\.2\.4:8080.*rule 'DenyRest'/);
    assert.deepEqual(warningsOf(withGroups(['protocol: Udp', 'protocol: Tcp'])), ['SERVICE_DENIED']);
    const some = withGroups(['sourceAddressPrefix: VirtualNetwork', 'sourceAddressPrefix: 10.200.1.4']);
    assert.deepEqual(warningsOf(some), [], 'some connections are let through');
  });
});
