import assert from 'node:assert/strict';
import { ruleCodes } from '../../../src/service/problem.js';
import type { RuleCode } from '../../../src/service/problem.js';
import { edited, good, mistakes } from './helpers.js';

type Edit = readonly [string, string];

/** One edit of the example that breaks one rule, and where that must be reported. */
interface Row {
  readonly code: RuleCode;
  readonly what: string;
  readonly edits: readonly Edit[];
  readonly path: string;
}

const row = (code: RuleCode, what: string, path: string, ...edits: readonly Edit[]): Row => ({
  code,
  what,
  edits,
  path,
});
const many = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join('');
const webNat = 'ipConfigurations: [10.200.1.4, 10.200.1.5]';
const databaseNat = 'ipConfigurations: [10.200.1.6, 10.200.1.7]';
const dialect = '{ dialect: azure }';
const secondRule = (text: string): Edit => ['        probe: web\n', `        probe: web\n      - { ${text} }\n`];
const anotherService = (text: string): Edit => ['privateLinkServices:\n', `privateLinkServices:\n${text}`];
const anotherEndpoint = (text: string): Edit => ['\ntranslation:', `${text}\ntranslation:`];
const provider = (names: string): Edit => ["visibility: ['*']", `visibility: ${names}`];

const securityRule = (name: string, more = 'protocol: Tcp'): string =>
  `{ name: ${name}, priority: 100, direction: Inbound, access: Allow, ${more} }`;
const securityRules = (text: string): Edit => [
  'virtualNetworks:\n',
  `networkSecurityGroups: { g: { securityRules: [${text}] } }\nvirtualNetworks:\n`,
];

/** As many as there are numbers, with two NAT addresses each from `prefix`. */
const directConnects = (count: number, subnet: string, prefix: string, destination: string): string =>
  many(count, (i) => {
    const nat = `[${prefix}.${String(20 + 2 * i)}, ${prefix}.${String(21 + 2 * i)}]`;
    const name = `${subnet.replace('/', '-')}-${String(i)}`;
    return `  ${name}: { subnet: ${subnet}, ipConfigurations: ${nat}, destinationIPAddress: ${destination} }\n`;
  });
const natIps = (count: number): Edit => [
  webNat,
  `ipConfigurations: [${many(count, (i) => `10.200.1.${String(20 + i)},`)}]`,
];
const publicDestination = (address: string): Row =>
  row('DESTINATION_NOT_PRIVATE', `destination ${address}`, 'privateLinkServices.database.destinationIPAddress', [
    '10.200.3.4',
    address,
  ]);

const privateDestination = (address: string): readonly [string, Edit] => [
  `destination ${address}`,
  ['10.200.3.4', address],
];
/** A network of the provider's in another location. */
const FAR = `  far:
    subscription: provider
    location: far
    addressSpace: [10.9.0.0/16]
    subnets: { nat: { addressPrefix: 10.9.1.0/24, privateLinkServiceNetworkPolicies: Disabled } }
`;

/** Interfaces, each as flow text. */
const interfaces = (text: string): Edit => [
  'privateLinkServices:\n',
  `networkInterfaces: ${text}\nprivateLinkServices:\n`,
];
const configuration = (name: string, subnet: string, address: string): string =>
  `{ name: ${name}, subnet: ${subnet}, address: ${address} }`;
const nic = (...configurations: readonly string[]): Edit =>
  interfaces(`{ nic: { ipConfigurations: [${configurations.join(', ')}] } }`);
const members = (text: string): Edit => ['web: [10.200.2.4, 10.200.2.5]', `web: [${text}]`];

const errors: readonly Row[] = [
  row(
    'INTERFACE_OTHER_NETWORK',
    'an interface in two networks',
    'networkInterfaces.nic.ipConfigurations[1].subnet',
    nic(configuration('a', 'provider/backend', '10.200.2.9'), configuration('b', 'blue/default', '10.0.0.9')),
  ),
  row(
    'INTERFACE_OTHER_NETWORK',
    "an interface in a pool of another network's load balancer",
    'networkInterfaces.nic.ipConfigurations[0].subnet',
    nic(configuration('a', 'blue/default', '10.0.0.9')),
    members('10.200.2.4, nic/a'),
  ),
  row(
    'ADDRESS_OUTSIDE_SUBNET',
    'an interface outside its subnet',
    'networkInterfaces.nic.ipConfigurations[0].address',
    nic(configuration('a', 'provider/backend', '10.200.9.9')),
    members('10.200.2.4, nic/a'),
  ),
  row(
    'ADDRESS_IN_USE',
    'two interfaces with one address',
    'networkInterfaces.nic.ipConfigurations[1].address',
    nic(configuration('a', 'provider/backend', '10.200.2.9'), configuration('b', 'provider/backend', '10.200.2.9')),
  ),
  row(
    'ADDRESS_IN_USE',
    'an interface with the address of a frontend',
    'loadBalancers.lb.frontends.web',
    nic(configuration('a', 'provider/frontend', '10.200.0.10')),
  ),
  row(
    'ADDRESS_IN_USE',
    'an interface in a pool twice, by its name and by its address',
    'loadBalancers.lb.backendPools.web[1]',
    nic(configuration('a', 'provider/backend', '10.200.2.4')),
    members('10.200.2.4, nic/a'),
  ),
  row('IPV4_ONLY', 'an IPv6 endpoint', 'privateEndpoints.red-web.address', ['address: 10.0.0.4', 'address: "fd00::4"']),
  row('ADDRESS_INVALID', 'a destination with a part too many', 'privateLinkServices.database.destinationIPAddress', [
    '10.200.3.4',
    '10.200.3.4.5',
  ]),
  row('ADDRESS_OUTSIDE_SUBNET', 'address 0.0.0.0', 'privateEndpoints.red-web.address', [
    'address: 10.0.0.4',
    'address: 0.0.0.0',
  ]),
  row('ADDRESS_INVALID', 'leading zeros', 'privateEndpoints.red-web.address', [
    'address: 10.0.0.4',
    'address: 10.0.0.04',
  ]),
  row('CIDR_INVALID', 'a prefix of 33', 'virtualNetworks.red.addressSpace[0]', ['[10.0.0.0/16]', '[10.0.0.0/33]']),
  row('CIDR_HOST_BITS', 'host bits', 'virtualNetworks.red.subnets.default', [
    'default: 10.0.0.0/24',
    'default: 10.0.0.1/24',
  ]),
  row('ADDRESS_SPACE_EMPTY', 'no address range', 'virtualNetworks.red.addressSpace', ['[10.0.0.0/16]', '[]']),
  row('SUBNET_OUTSIDE_ADDRESS_SPACE', 'a subnet outside its network', 'virtualNetworks.provider.subnets.database', [
    'database: 10.200.3.0/24',
    'database: 10.201.3.0/24',
  ]),
  row('SUBNETS_OVERLAP', 'subnets that overlap', 'virtualNetworks.provider.subnets.database', [
    'database: 10.200.3.0/24',
    'database: 10.200.2.128/25',
  ]),
  row('SUBNETS_OVERLAP', 'address ranges that overlap', 'virtualNetworks.provider.addressSpace[1]', [
    '[10.200.0.0/16]',
    '[10.200.0.0/16, 10.200.9.0/24]',
  ]),
  row('ADDRESS_OUTSIDE_SUBNET', 'an endpoint outside its subnet', 'privateEndpoints.red-web.address', [
    'address: 10.0.0.4',
    'address: 10.0.1.4',
  ]),
  row('ADDRESS_OUTSIDE_SUBNET', 'a backend outside every subnet', 'loadBalancers.lb.backendPools.web[1]', [
    '10.200.2.5]',
    '10.200.9.5]',
  ]),
  row('ADDRESS_IN_USE', 'two endpoints with one address in one network', 'privateEndpoints.red-database.address', [
    'address: 10.0.0.5',
    'address: 10.0.0.4',
  ]),
  row('ADDRESS_IN_USE', 'a backend named twice in a pool', 'loadBalancers.lb.backendPools.web[1]', [
    '10.200.2.5]',
    '10.200.2.4]',
  ]),
  row('ADDRESS_IN_USE', 'a NAT address of another service', 'privateLinkServices.database.ipConfigurations[0]', [
    databaseNat,
    'ipConfigurations: [10.200.1.4, 10.200.1.7]',
  ]),
  row('NAT_IP_COUNT', 'no NAT address', 'privateLinkServices.web.ipConfigurations', [webNat, 'ipConfigurations: []']),
  row('NAT_IP_COUNT', 'nine NAT addresses', 'privateLinkServices.web.ipConfigurations', natIps(9)),
  row('NAT_IP_COUNT', 'an odd number with Direct Connect', 'privateLinkServices.database.ipConfigurations', [
    databaseNat,
    'ipConfigurations: [10.200.1.6, 10.200.1.7, 10.200.1.8]',
  ]),
  row('NAT_IP_IN_USE', 'a NAT address named twice', 'privateLinkServices.web.ipConfigurations[1]', [
    webNat,
    'ipConfigurations: [10.200.1.4, 10.200.1.4]',
  ]),
  row('NAT_IP_OUTSIDE_NETWORK', 'a NAT address of the consumer', 'privateLinkServices.web.ipConfigurations[1]', [
    webNat,
    'ipConfigurations: [10.200.1.4, 10.0.0.9]',
  ]),
  row(
    'PrivateLinkServiceCannotBeCreatedInSubnetThatHasNetworkPoliciesEnabled',
    'a NAT address in a subnet with network policies',
    'privateLinkServices.web.ipConfigurations[1]',
    [webNat, 'ipConfigurations: [10.200.1.4, 10.200.2.9]'],
  ),
  row(
    'ALIAS_PREFIX_INVALID',
    'a name that begins with _',
    'privateLinkServices._x',
    ['  database:\n', '  _x:\n'],
    ['privateLinkService: database', 'privateLinkService: _x'],
  ),
  row('SERVICE_TARGET', 'frontend and destination', 'privateLinkServices.web.destinationIPAddress', [
    'loadBalancerFrontend: lb/web',
    'loadBalancerFrontend: lb/web\n    destinationIPAddress: 10.200.3.9',
  ]),
  row('SERVICE_TARGET', 'neither frontend nor destination', 'privateLinkServices.web', [
    '    loadBalancerFrontend: lb/web\n',
    '',
  ]),
  row('FRONTEND_IN_USE', 'two services on one frontend', 'privateLinkServices.web.loadBalancerFrontend', [
    'privateLinkServices:\n',
    'privateLinkServices:\n  first: { subnet: provider/nat, ipConfigurations: [10.200.1.9], loadBalancerFrontend: lb/web, enableProxyProtocol: true }\n',
  ]),
  row('LOAD_BALANCER_SKU', 'a Basic load balancer', 'privateLinkServices.web.loadBalancerFrontend', [
    'sku: Standard',
    'sku: Basic',
  ]),
  row(
    'LOAD_BALANCER_OTHER_NETWORK',
    'a load balancer in another network',
    'privateLinkServices.web.loadBalancerFrontend',
    ['virtualNetwork: provider', 'virtualNetwork: blue'],
    ['{ web: 10.200.0.10 }', '{ web: 10.0.0.10 }'],
    ['[10.200.2.4, 10.200.2.5]', '[10.0.0.20, 10.0.0.21]'],
  ),
  ...['8.8.8.8', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0'].map(publicDestination),
  ...['172.15.255.255', '172.32.0.0', '192.167.255.255', '192.169.0.0'].map(publicDestination),
  row(
    'DESTINATION_IS_ENDPOINT',
    'a destination that is a private endpoint',
    'privateLinkServices.database.destinationIPAddress',
    anotherEndpoint('  inner: { subnet: provider/database, address: 10.200.3.4, privateLinkService: web }\n'),
    ['autoApproval: [consumer]', 'autoApproval: [consumer, provider]'],
  ),
  row('DIRECT_CONNECT_BANDWIDTH', 'half a megabit', 'privateLinkServices.database.bandwidthInMbps', [
    'destinationIPAddress: 10.200.3.4',
    'destinationIPAddress: 10.200.3.4\n    bandwidthInMbps: 0.5',
  ]),
  row('DIRECT_CONNECT_BANDWIDTH', 'more than 100 Gbit/s', 'privateLinkServices.database.bandwidthInMbps', [
    'destinationIPAddress: 10.200.3.4',
    'destinationIPAddress: 10.200.3.4\n    bandwidthInMbps: 100001',
  ]),
  row('DIRECT_CONNECT_BANDWIDTH', 'a bandwidth behind a load balancer', 'privateLinkServices.web.bandwidthInMbps', [
    'loadBalancerFrontend: lb/web',
    'loadBalancerFrontend: lb/web\n    bandwidthInMbps: 10',
  ]),
  row('DIRECT_CONNECT_NOT_REGISTERED', 'no feature flag', 'privateLinkServices.database.destinationIPAddress', [
    '[Microsoft.Network/AllowPrivateLinkserviceUDR]',
    '[]',
  ]),
  row(
    'DIRECT_CONNECT_OTHER_LOCATION',
    'an endpoint in another location',
    'privateEndpoints.red-database.privateLinkService',
    ['  red:\n', '  red:\n    location: westeurope\n'],
  ),
  row(
    'AUTO_APPROVAL_NOT_VISIBLE',
    'auto-approval outside visibility',
    'privateLinkServices.web.autoApproval[0]',
    provider('[]'),
    ['privateLinkService: web, linkIdentifier: 1001', 'privateLinkService: database'],
    ['privateLinkService: web, linkIdentifier: 1002', 'privateLinkService: database'],
  ),
  row('ENDPOINT_NOT_VISIBLE', 'an endpoint outside visibility', 'privateEndpoints.red-database.privateLinkService', [
    'visibility: [consumer]\n    autoApproval: [consumer]',
    'visibility: []',
  ]),
  row(
    'VISIBILITY_WILDCARD',
    "'*' beside another",
    'privateLinkServices.web.visibility[1]',
    provider("[consumer, '*']"),
  ),
  row('VISIBILITY_WILDCARD', "'*' beside another in autoApproval", 'privateLinkServices.web.autoApproval[1]', [
    "visibility: ['*']\n    autoApproval: [consumer]",
    "visibility: ['*']\n    autoApproval: [consumer, '*']",
  ]),
  row(
    'SUBSCRIPTION_LIST_LIMIT',
    '101 subscriptions in visibility',
    'privateLinkServices.web.visibility',
    provider(`[${'consumer, '.repeat(101)}]`),
  ),
  row('LINK_IDENTIFIER_RANGE', 'linkIdentifier 2^32', 'privateEndpoints.red-web.linkIdentifier', [
    '1001',
    '4294967296',
  ]),
  row('LINK_IDENTIFIER_RANGE', 'linkIdentifier 1.5', 'privateEndpoints.red-web.linkIdentifier', ['1001', '1.5']),
  row('LINK_IDENTIFIER_IN_USE', 'a linkIdentifier twice', 'privateEndpoints.blue-web.linkIdentifier', ['1002', '1001']),
  row('IDLE_TIMEOUT_RANGE', '3 minutes', 'loadBalancers.lb.rules[0].idleTimeoutInMinutes', [
    'Minutes: 4',
    'Minutes: 3',
  ]),
  row('IDLE_TIMEOUT_RANGE', '31 minutes', 'loadBalancers.lb.rules[0].idleTimeoutInMinutes', [
    'Minutes: 4',
    'Minutes: 31',
  ]),
  row('IDLE_TIMEOUT_RANGE', '0 seconds', 'privateLinkServices.web.idleTimeoutInSeconds', [
    'Seconds: 300',
    'Seconds: 0',
  ]),
  row('IDLE_TIMEOUT_RANGE', 'a day and a second', 'privateLinkServices.web.idleTimeoutInSeconds', [
    'Seconds: 300',
    'Seconds: 86401',
  ]),
  row('PORT_RANGE', 'port 65536', 'loadBalancers.lb.rules[0].backendPort', ['backendPort: 8080', 'backendPort: 65536']),
  row('PORT_RANGE', 'port 0.5', 'loadBalancers.lb.probes.web.port', ['port: 8080', 'port: 0.5']),
  row('RULE_PORTS', 'port 0 with Tcp', 'loadBalancers.lb.rules[0].frontendPort', [
    'frontendPort: 80',
    'frontendPort: 0',
  ]),
  row(
    'RULE_PORTS',
    'protocol All with a backend port',
    'loadBalancers.lb.rules[0].frontendPort',
    ['protocol: Tcp\n', 'protocol: All\n'],
    ['frontendPort: 80', 'frontendPort: 0'],
  ),
  row('RULE_PORTS', 'protocol All with a port', 'loadBalancers.lb.rules[0].frontendPort', [
    'protocol: Tcp\n',
    'protocol: All\n',
  ]),
  row(
    'RULE_CONFLICT',
    'two rules for one port',
    'loadBalancers.lb.rules[1].frontendPort',
    secondRule('name: b, frontend: web, protocol: Tcp, frontendPort: 80, backendPool: web, backendPort: 81'),
  ),
  row(
    'RULE_CONFLICT',
    'a rule beside one for every port',
    'loadBalancers.lb.rules[1].frontendPort',
    secondRule('name: b, frontend: web, protocol: All, frontendPort: 0, backendPool: web, backendPort: 0'),
  ),
  row('PROBE_INTERVAL_RANGE', 'a probe every 4 s', 'loadBalancers.lb.probes.web.intervalInSeconds', [
    'InSeconds: 5',
    'InSeconds: 4',
  ]),
  row('PROBE_THRESHOLD_RANGE', 'no failure allowed', 'loadBalancers.lb.probes.web.numberOfProbes', [
    'OfProbes: 2',
    'OfProbes: 0',
  ]),
  row('PROBE_PATH', 'an HTTP probe without path', 'loadBalancers.lb.probes.web', [' requestPath: /,', '']),
  row('PROBE_PATH', 'a TCP probe with path', 'loadBalancers.lb.probes.web.requestPath', [
    'protocol: Http',
    'protocol: Tcp',
  ]),
  row('PROBE_PATH', 'a probe path without /', 'loadBalancers.lb.probes.web.requestPath', [
    'requestPath: /',
    'requestPath: x',
  ]),
  row('PROBE_PATH', 'a probe path with a space', 'loadBalancers.lb.probes.web.requestPath', [
    'requestPath: /',
    "requestPath: '/a b'",
  ]),
  row('PROBE_THRESHOLD_RANGE', 'half a success', 'loadBalancers.lb.probes.web.probeThreshold', [
    'OfProbes: 2',
    'OfProbes: 2, probeThreshold: 0.5',
  ]),
  row('PROBE_INTERVAL_RANGE', 'a probe a month', 'loadBalancers.lb.probes.web.intervalInSeconds', [
    'InSeconds: 5',
    'InSeconds: 2678400',
  ]),
  row('PROXY_TLV_INVALID', 'a UNIQUE_ID of 129 octets', 'privateLinkServices.web.proxyProtocol.tlvs[0]', [
    dialect,
    `{ dialect: custom, tlvs: [{ type: 5, text: ${'a'.repeat(129)} }] }`,
  ]),
  row('PROXY_TLV_INVALID', 'an endpoint id with a space', 'privateLinkServices.web.proxyProtocol.endpointId', [
    dialect,
    '{ dialect: aws, endpointId: "vpce 1" }',
  ]),
  row('PROXY_TLV_INVALID', 'TLV type 256', 'privateLinkServices.web.proxyProtocol.tlvs[0]', [
    dialect,
    '{ dialect: custom, tlvs: [{ type: 256, text: a }] }',
  ]),
  row('PROXY_TLV_INVALID', 'a CRC32C by hand', 'privateLinkServices.web.proxyProtocol.tlvs[0]', [
    dialect,
    '{ dialect: custom, tlvs: [{ type: 3, hex: "00000000" }] }',
  ]),
  row('PROXY_TLV_INVALID', 'half an octet', 'privateLinkServices.web.proxyProtocol.tlvs[0].hex', [
    dialect,
    '{ dialect: custom, tlvs: [{ type: 9, hex: "123" }] }',
  ]),
  row('PROXY_HEADER_SIZE', 'a header beyond one segment', 'privateLinkServices.web.proxyProtocol', [
    dialect,
    `{ dialect: custom, tlvs: [{ type: 9, text: ${'a'.repeat(1500)} }] }`,
  ]),
  row(
    'LOAD_BALANCER_SERVICE_LIMIT',
    'nine services on one load balancer',
    'privateLinkServices.web',
    ['frontends: { ', `frontends: { ${many(8, (i) => `f${String(i)}: 10.200.0.${String(20 + i)}, `)}`],
    anotherService(
      many(8, (i) => {
        const target = `loadBalancerFrontend: lb/f${String(i)}, enableProxyProtocol: true`;
        return `  s${String(i)}: { subnet: provider/nat, ipConfigurations: [10.200.1.${String(20 + i)}], ${target} }\n`;
      }),
    ),
  ),
  row(
    'DIRECT_CONNECT_LIMIT',
    'eleven Direct Connect services in one location',
    'privateLinkServices.database',
    anotherService(directConnects(10, 'provider/nat', '10.200.1', '10.200.3.9')),
  ),
  row(
    'SERVICE_ENDPOINT_LIMIT',
    '1001 endpoints on one service',
    'privateEndpoints.e999',
    ['default: 10.0.0.0/24 }\n  blue', 'default: 10.0.0.0/24, more: 10.0.16.0/20 }\n  blue'],
    [
      '    subnets: { default: 10.0.0.0/24 }\n  provider',
      '    subnets: { default: 10.0.0.0/24, more: 10.0.16.0/20 }\n  provider',
    ],
    anotherEndpoint(
      many(1000, (i) => {
        const network = i % 2 === 0 ? 'red' : 'blue';
        const address = `10.0.${String(16 + (i >> 7))}.${String(4 + (i & 127))}`;
        return `  e${String(i)}: { subnet: ${network}/more, address: ${address}, privateLinkService: web }\n`;
      }),
    ),
    ['privateLinkService: web, linkIdentifier: 1002', 'privateLinkService: database'],
  ),
  row(
    'NETWORK_ENDPOINT_LIMIT',
    '1001 endpoints in one network',
    'privateEndpoints.e998',
    ['default: 10.0.0.0/24 }\n  blue', 'default: 10.0.0.0/24, more: 10.0.16.0/20 }\n  blue'],
    anotherEndpoint(
      many(999, (i) => {
        const address = `10.0.${String(16 + (i >> 7))}.${String(4 + (i & 127))}`;
        const service = i % 2 === 0 ? 'web' : 'database';
        return `  e${String(i)}: { subnet: red/more, address: ${address}, privateLinkService: ${service} }\n`;
      }),
    ),
  ),
  row(
    'SUBSCRIPTION_SERVICE_LIMIT',
    '801 services in one subscription',
    'privateLinkServices.database',
    ['{ addressPrefix: 10.200.1.0/24', '{ addressPrefix: 10.200.64.0/18'],
    [webNat, 'ipConfigurations: [10.200.64.5]'],
    [databaseNat, 'ipConfigurations: [10.200.64.6, 10.200.64.7]'],
    [
      'loadBalancers:\n',
      `loadBalancers:\n${many(799, (i) => {
        const frontend = `10.200.${String(80 + (i >> 7))}.${String(4 + (i & 127))}`;
        const rule = '{ name: r, frontend: f, protocol: Tcp, frontendPort: 80, backendPool: p, backendPort: 80 }';
        const pool = 'backendPools: { p: [10.200.2.9] }';
        return `  lb${String(i)}: { virtualNetwork: provider, frontends: { f: ${frontend} }, ${pool}, rules: [${rule}] }\n`;
      })}`,
    ],
    anotherService(
      many(799, (i) => {
        const nat = `10.200.${String(96 + (i >> 7))}.${String(4 + (i & 127))}`;
        return `  s${String(i)}: { subnet: provider/nat, ipConfigurations: [${nat}], loadBalancerFrontend: lb${String(i)}/f }\n`;
      }),
    ),
  ),
  row(
    'SecurityRuleConflict',
    'two security rules of one priority and direction',
    'networkSecurityGroups.g.securityRules[1].priority',
    securityRules(`${securityRule('a')}, ${securityRule('b')}`),
  ),
  row(
    'SecurityRuleInvalidPriority',
    'priority 99',
    'networkSecurityGroups.g.securityRules[0].priority',
    securityRules(securityRule('a').replace('100', '99')),
  ),
  row(
    'SecurityRuleInvalidPriority',
    'priority 4097',
    'networkSecurityGroups.g.securityRules[0].priority',
    securityRules(securityRule('a').replace('100', '4097')),
  ),
  row(
    'SecurityRuleInvalidAddressPrefix',
    'a service tag that is not known here',
    'networkSecurityGroups.g.securityRules[0].sourceAddressPrefix',
    securityRules(securityRule('a', 'sourceAddressPrefix: Storage')),
  ),
  row(
    'SecurityRuleInvalidPortRange',
    'a port range backwards',
    'networkSecurityGroups.g.securityRules[0].destinationPortRanges[1]',
    securityRules(securityRule('a', "destinationPortRanges: ['1', 5-4]")),
  ),
  row(
    'SECURITY_RULE_LIMIT',
    '1001 security rules',
    'networkSecurityGroups.g.securityRules[1000]',
    securityRules(
      many(1001, (i) => `${securityRule(`r${String(i)}`).replace('priority: 100', `priority: ${String(100 + i)}`)}, `),
    ),
  ),
];

const warnings: readonly Row[] = [
  row('ADDRESS_RESERVED', "a subnet's third address", 'privateEndpoints.red-web.address', [
    'address: 10.0.0.4',
    'address: 10.0.0.3',
  ]),
  row('ADDRESS_RESERVED', 'a broadcast address', 'privateLinkServices.web.ipConfigurations[1]', [
    '10.200.1.5]',
    '10.200.1.255]',
  ]),
  row('BACKEND_POOL_EMPTY', 'an empty pool', 'loadBalancers.lb.backendPools.web', ['[10.200.2.4, 10.200.2.5]', '[]']),
  row(
    'FRONTEND_WITHOUT_RULES',
    'a frontend that no rule uses',
    'privateLinkServices.web.loadBalancerFrontend',
    ['frontends: { ', 'frontends: { idle: 10.200.0.11, '],
    ['lb/web', 'lb/idle'],
  ),
  row('PROXY_WITH_DIRECT_CONNECT', 'PROXY with Direct Connect', 'privateLinkServices.database.enableProxyProtocol', [
    'destinationIPAddress: 10.200.3.4',
    'destinationIPAddress: 10.200.3.4\n    enableProxyProtocol: true',
  ]),
  row('PROXY_HEADER_SIZE', 'a header beyond the default MSS', 'privateLinkServices.web.proxyProtocol', [
    dialect,
    `{ dialect: custom, tlvs: [{ type: 9, text: ${'a'.repeat(600)} }] }`,
  ]),
  row(
    'PROXY_MIXED_ON_LOAD_BALANCER',
    'PROXY on one service of a load balancer only',
    'privateLinkServices.plain.enableProxyProtocol',
    ['frontends: { ', 'frontends: { plain: 10.200.0.11, '],
    secondRule('name: plain, frontend: plain, protocol: Tcp, frontendPort: 80, backendPool: web, backendPort: 81'),
    anotherService(
      '  plain: { subnet: provider/nat, ipConfigurations: [10.200.1.9], loadBalancerFrontend: lb/plain }\n',
    ),
  ),
  row(
    'SERVICE_DENIED',
    'a security group that denies a service',
    'privateLinkServices.web',
    securityRules(securityRule('a').replace('Allow', 'Deny')),
    ['backend: 10.200.2.0/24', 'backend: { addressPrefix: 10.200.2.0/24, networkSecurityGroup: g }'],
  ),
  row('ENDPOINT_NOT_APPROVED', 'an endpoint that nobody approves', 'privateEndpoints.red-database', [
    'visibility: [consumer]\n    autoApproval: [consumer]',
    'visibility: [consumer]',
  ]),
];

describe('config: rules of the service model', () => {
  for (const { code, what, edits, path } of errors) {
    it(`refuses ${what} (${code})`, () => {
      const found = mistakes(edited(...edits)).map((mistake) => `${mistake.code} ${mistake.path ?? ''}`);
      assert.deepEqual(found, [`${code} ${path}`]);
    });
  }

  for (const { code, what, edits, path } of warnings) {
    it(`warns of ${what} (${code})`, () => {
      const found = good(edited(...edits)).warnings.map((warning) => `${warning.code} ${warning.place.path ?? ''}`);
      assert.deepEqual(found, [`${code} ${path}`]);
    });
  }

  it('has a case above for every code', () => {
    const covered = new Set([...errors, ...warnings].map(({ code }) => code));
    assert.deepEqual(
      ruleCodes.filter((code) => !covered.has(code)),
      [],
    );
  });

  const allowed: readonly (readonly [string, ...Edit[]])[] = [
    ['an idle time of 1 s', ['Seconds: 300', 'Seconds: 1']],
    ['an idle time of a day', ['Seconds: 300', 'Seconds: 86400']],
    ['an idle time of 30 minutes', ['Minutes: 4', 'Minutes: 30']],
    ['port 1', ['backendPort: 8080', 'backendPort: 1']],
    ['a bandwidth of 100 Gbit/s', ['IPAddress: 10.200.3.4', 'IPAddress: 10.200.3.4\n    bandwidthInMbps: 100000']],
    ['port 65535', ['backendPort: 8080', 'backendPort: 65535']],
    ['100 subscriptions in visibility', provider(`[${'consumer, '.repeat(100)}]`)],
    ['TLV types 0 and 255', [dialect, '{ dialect: custom, tlvs: [{ type: 0, hex: "" }, { type: 0xFF, hex: "" }] }']],
    ['a UNIQUE_ID of 128 octets', [dialect, `{ dialect: custom, tlvs: [{ type: 5, text: ${'a'.repeat(128)} }] }`]],
    ['linkIdentifier 2^32-1', ['1001', '4294967295']],
    ['eight NAT addresses', natIps(8)],
    ...['10.0.0.0', '10.255.255.255', '100.64.0.0', '100.127.255.255'].map(privateDestination),
    ...['172.16.0.0', '172.31.255.255', '192.168.0.0', '192.168.255.255'].map(privateDestination),
    ['priority 4096', securityRules(securityRule('a').replace('100', '4096'))],
    [
      'one priority in both directions',
      securityRules(`${securityRule('a')}, ${securityRule('b').replace('Inbound', 'Outbound')}`),
    ],
    [
      'ten Direct Connect services in each of two locations',
      anotherService(
        directConnects(9, 'provider/nat', '10.200.1', '10.200.3.9') +
          directConnects(10, 'far/nat', '10.9.1', '10.9.2.9'),
      ),
      ['  provider:\n    subscription: provider\n', `${FAR}  provider:\n    subscription: provider\n`],
    ],
  ];
  for (const [what, ...edits] of allowed) {
    it(`allows ${what}`, () => {
      assert.deepEqual(mistakes(edited(...edits)), []);
    });
  }

  it('allows the same address in two networks, and a backend in two pools', () => {
    const text = edited(['backendPools: { ', 'backendPools: { again: [10.200.2.4], ']);
    assert.deepEqual(mistakes(text), []);
  });

  it("lets the provider's own subscription and those with a role ask, whatever visibility says", () => {
    const hidden: Edit = [
      'visibility: [consumer]\n    autoApproval: [consumer]',
      'visibility: []\n    roleAssignments: [consumer]',
    ];
    assert.deepEqual(mistakes(edited(hidden)), []);
    const own: Edit = ['  red:\n    subscription: consumer', '  red:\n    subscription: provider'];
    const unseen: Edit = ['visibility: [consumer]\n    autoApproval: [consumer]', 'visibility: []'];
    assert.deepEqual(mistakes(edited(own, unseen)), []);
  });

  it('lets a connection go on that was asked for before visibility shrank', () => {
    const unseen: Edit = ['visibility: [consumer]\n    autoApproval: [consumer]', 'visibility: []'];
    const asked: Edit = ['privateLinkService: database', 'privateLinkService: database, outsideVisibility: true'];
    assert.deepEqual(mistakes(edited(unseen, asked)), []);
  });

  it('allows a destination that is a private endpoint of another network only', () => {
    assert.deepEqual(mistakes(edited(['10.200.3.4', '10.0.0.4'])), []);
  });

  it('takes a header that just fits, and refuses the next octet', () => {
    const header = (octets: number): string =>
      `{ dialect: custom, tlvs: [{ type: 9, text: ${'a'.repeat(octets - 31)} }] }`;
    const codes = (octets: number): string[] => mistakes(edited([dialect, header(octets)])).map(({ code }) => code);
    assert.deepEqual([codes(1460), codes(1461)], [[], ['PROXY_HEADER_SIZE']]);
    assert.equal(good(edited([dialect, header(536)])).warnings.length, 0);
    assert.equal(good(edited([dialect, header(537)])).warnings.length, 1);
  });

  it('refuses options of another PROXY dialect and TLVs without exactly one value', () => {
    const codes = (text: string): string[] => mistakes(edited([dialect, text])).map(({ code }) => code);
    assert.deepEqual(codes('{ dialect: azure, endpointId: vpce-1 }'), ['PROXY_DIALECT_OPTION']);
    assert.deepEqual(codes('{ dialect: aws, crc32c: true }'), ['PROXY_DIALECT_OPTION']);
    assert.deepEqual(codes('{ dialect: custom, tlvs: [{ type: 9 }] }'), ['PROXY_TLV_INVALID']);
    assert.deepEqual(codes('{ dialect: custom, tlvs: [{ type: 9, hex: "00", text: a }] }'), ['PROXY_TLV_INVALID']);
  });

  it('reports each link identifier out of range for itself', () => {
    const found = mistakes(edited(['1001', '0'], ['1002', '0'])).map(({ code }) => code);
    assert.deepEqual(found, ['LINK_IDENTIFIER_RANGE', 'LINK_IDENTIFIER_RANGE']);
  });

  it('keeps the translation section in range, at both edges', () => {
    const codes = (from: string, to: string): string[] => mistakes(edited([from, to])).map(({ code }) => code);
    const ports = '{ first: 1024, count: 64000 }';
    for (const fits of ['{ first: 1536, count: 64000 }', '{ first: 1, count: 65535 }', '{ first: 65535, count: 1 }']) {
      assert.deepEqual(codes(ports, fits), [], fits);
    }
    for (const wrong of [
      '{ first: 1537, count: 64000 }',
      '{ first: 0 }',
      '{ first: 1.5 }',
      '{ count: 0 }',
      '{ count: 65536 }',
    ]) {
      assert.deepEqual(codes(ports, wrong), ['SETTING_RANGE'], wrong);
    }
    for (const seed of ['0', '4294967295']) assert.deepEqual(codes('seed: 1', `seed: ${seed}`), [], seed);
    for (const seed of ['-1', '4294967296', '0.5'])
      assert.deepEqual(codes('seed: 1', `seed: ${seed}`), ['SETTING_RANGE'], seed);
    assert.deepEqual(codes('maxFlows: 1048576', 'maxFlows: 0'), ['SETTING_RANGE']);
    assert.deepEqual(codes('profile: azure', 'fragment: 31536001'), ['SETTING_RANGE']);
    assert.deepEqual(codes('profile: azure', 'fragment: 0'), []);
  });

  it('does not pile further mistakes on a value that is wrong already', () => {
    assert.equal(mistakes(edited(['[10.200.0.0/16]', '[10.200.0.0/166]'])).length, 1);
    assert.equal(mistakes(edited(['frontendPort: 80', 'frontendPort: x'])).length, 1);
    assert.equal(mistakes(edited(['    virtualNetwork: provider\n', ''])).length, 1);
    assert.equal(mistakes(edited(['    subnet: provider/nat\n', ''])).length, 1);
    assert.equal(mistakes(edited(['loadBalancerFrontend:', 'loadBalancerFrontent:'])).length, 1);
    assert.equal(mistakes(edited(['subscription: consumer', 'subscription: customer'])).length, 1);
  });
});
