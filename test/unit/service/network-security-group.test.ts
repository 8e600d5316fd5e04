import assert from 'node:assert/strict';
import {
  checkNetworkSecurityGroup,
  decidingRule,
  defaultSecurityRules,
  type JudgedFlow,
} from '../../../src/service/network-security-group.js';
import type { NetworkSecurityGroup, SecurityRule } from '../../../src/service/resources.js';
import { parseAddress } from '../../../src/wire/address.js';

const rule = (fields: Partial<SecurityRule> = {}): SecurityRule => ({
  name: 'rule',
  priority: 100,
  direction: 'Inbound',
  access: 'Allow',
  protocol: '*',
  sourceAddressPrefixes: ['*'],
  sourcePortRanges: ['*'],
  destinationAddressPrefixes: ['*'],
  destinationPortRanges: ['*'],
  ...fields,
});
const group = (...securityRules: SecurityRule[]): NetworkSecurityGroup => ({ name: 'group', securityRules });
const SPACE = [{ first: parseAddress('10.200.0.0'), last: parseAddress('10.200.255.255') }];

interface Asked {
  readonly from?: string;
  readonly to?: string;
  readonly port?: number;
  readonly protocol?: 'Tcp' | 'Udp';
}

function decides(g: NetworkSecurityGroup, asked: Asked = {}, direction: 'Inbound' | 'Outbound' = 'Inbound'): string {
  const flow: JudgedFlow = {
    protocol: asked.protocol ?? 'Tcp',
    sources: [parseAddress(asked.from ?? '10.200.1.4')],
    sourcePort: 2000,
    destination: parseAddress(asked.to ?? '10.200.2.4'),
    destinationPort: asked.port ?? 443,
  };
  return decidingRule(g, direction, SPACE, flow).name;
}

describe('a network security group', () => {
  it('without rules does what Azure’s default rules say', () => {
    assert.equal(decides(group()), 'AllowVnetInBound');
    assert.equal(decides(group(), { from: '168.63.129.16', to: '203.0.113.9' }), 'AllowAzureLoadBalancerInBound');
    assert.equal(decides(group(), { from: '203.0.113.9' }), 'DenyAllInBound');
    assert.equal(decides(group(), {}, 'Outbound'), 'AllowVnetOutBound');
    assert.equal(decides(group(), { to: '203.0.113.9' }, 'Outbound'), 'AllowInternetOutBound');
    assert.equal(decides(group(), { to: '192.168.7.7' }, 'Outbound'), 'DenyAllOutBound');
  });

  it('has six default rules behind its own, as Azure names and numbers them', () => {
    assert.deepEqual(
      defaultSecurityRules.map((each) => `${each.direction} ${String(each.priority)} ${each.access} ${each.name}`),
      [
        'Inbound 65000 Allow AllowVnetInBound',
        'Inbound 65001 Allow AllowAzureLoadBalancerInBound',
        'Inbound 65500 Deny DenyAllInBound',
        'Outbound 65000 Allow AllowVnetOutBound',
        'Outbound 65001 Allow AllowInternetOutBound',
        'Outbound 65500 Deny DenyAllOutBound',
      ],
    );
  });

  it('asks its rules by priority, whatever their order, and only those of the direction', () => {
    const g = group(
      rule({ name: 'later', priority: 300, access: 'Deny' }),
      rule({ name: 'out', priority: 150, direction: 'Outbound', access: 'Deny' }),
      rule({ name: 'sooner', priority: 200 }),
    );
    assert.equal(decides(g), 'sooner');
    assert.equal(decides(g, {}, 'Outbound'), 'out');
  });

  it('matches lists of blocks, addresses and tags, in any case', () => {
    const g = group(rule({ sourceAddressPrefixes: ['192.168.0.0/16', '203.0.113.9', 'virtualNETWORK'] }));
    for (const from of ['192.168.255.255', '203.0.113.9', '10.200.255.255', '168.63.129.16']) {
      assert.equal(decides(g, { from, to: '10.200.2.4' }), 'rule', from);
    }
    for (const from of ['192.169.0.0', '203.0.113.8', '10.201.0.0']) {
      assert.equal(decides(g, { from }), 'DenyAllInBound', from);
    }
  });

  it('takes the Internet to be what is neither private nor the network’s', () => {
    const g = group(rule({ sourceAddressPrefixes: ['Internet'] }));
    for (const from of ['1.0.0.0', '8.8.8.8', '9.255.255.255', '11.0.0.0', '172.15.0.1', '223.255.255.255']) {
      assert.equal(decides(g, { from }), 'rule', from);
    }
    const others = ['0.1.2.3', '10.0.0.1', '100.64.0.1', '127.0.0.1', '169.254.1.1', '172.31.0.1', '192.168.1.1'];
    for (const from of [...others, '224.0.0.1', '255.255.255.255']) {
      assert.equal(decides(g, { from }), 'DenyAllInBound', from);
    }
  });

  it('matches ports and ranges at both ends, and the protocol', () => {
    const g = group(rule({ destinationPortRanges: ['443', '8000-8100'], protocol: 'Tcp' }));
    for (const port of [443, 8000, 8100]) assert.equal(decides(g, { port, from: '8.8.8.8' }), 'rule', String(port));
    for (const port of [442, 444, 7999, 8101]) assert.equal(decides(g, { port, from: '8.8.8.8' }), 'DenyAllInBound');
    assert.equal(decides(g, { port: 443, from: '8.8.8.8', protocol: 'Udp' }), 'DenyAllInBound');
  });

  it('is checked to its edges', () => {
    const codes = (...rules: SecurityRule[]): string[] =>
      checkNetworkSecurityGroup(group(...rules)).map(({ code, path }) => `${code} ${path.slice(1).join('.')}`);
    assert.deepEqual(codes(rule({ priority: 100 }), rule({ priority: 4096 })), []);
    assert.deepEqual(codes(rule({ priority: 100 }), rule({ priority: 100, direction: 'Outbound' })), []);
    assert.deepEqual(codes(rule({ destinationPortRanges: ['0', '65535', '0-65535', '*'] })), []);
    for (const priority of [99, 4097, 100.5]) {
      assert.deepEqual(codes(rule({ priority })), ['SecurityRuleInvalidPriority 0.priority']);
    }
    for (const text of ['65536', '5-4', '80,443', '', 'x', '-1', '1-2-3']) {
      assert.deepEqual(codes(rule({ sourcePortRanges: ['1', text] })), [
        'SecurityRuleInvalidPortRange 0.sourcePortRanges.1',
      ]);
    }
    const prefix = (text: string): string[] => codes(rule({ destinationAddressPrefixes: [text] }));
    assert.deepEqual(prefix('Storage'), ['SecurityRuleInvalidAddressPrefix 0.destinationAddressPrefixes.0']);
    assert.deepEqual(prefix('10.0.0.1/24'), ['CIDR_HOST_BITS 0.destinationAddressPrefixes.0']);
    assert.deepEqual(prefix('10.0.0.256'), ['ADDRESS_INVALID 0.destinationAddressPrefixes.0']);
    assert.deepEqual(prefix('fd00::/8'), ['IPV4_ONLY 0.destinationAddressPrefixes.0']);
    assert.deepEqual(codes(rule({ sourceAddressPrefixes: [] })), [
      'SecurityRuleInvalidAddressPrefix 0.sourceAddressPrefixes',
    ]);
    assert.deepEqual(codes(rule({ destinationPortRanges: [] })), [
      'SecurityRuleInvalidPortRange 0.destinationPortRanges',
    ]);
  });
});
