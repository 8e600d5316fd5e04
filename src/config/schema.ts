/**
 * The shape of a lab file: names, types and defaults. Ranges and everything that depends on two values are rules of the
 * service model, not of the shape, so that one wrong number does not hide what else is wrong; `meta` repeats the ranges
 * for the published JSON schema only.
 */
import { namePattern } from '../service/names.js';
import { z } from 'zod';
import { defaultRuleIdleMinutes, defaultServiceIdleSeconds } from '../service/idle.js';

const name = z.string().regex(namePattern);
const named = <T extends z.ZodType>(value: T): z.ZodRecord<typeof name, T> => z.record(name, value);
const address = z.string().meta({ description: 'An IPv4 address, as in 10.0.0.4.' });
const cidr = z.string().meta({ description: 'An IPv4 block, as in 10.0.0.0/24.' });
const whole = (minimum: number, maximum: number, description: string): z.ZodNumber =>
  z.number().meta({ type: 'integer', minimum, maximum, description });
const seconds = (description: string): z.ZodOptional<z.ZodNumber> =>
  z
    .number()
    .meta({ minimum: 0, maximum: 31_536_000, description: `${description} In seconds.` })
    .optional();

const resourceId = z
  .string()
  .meta({ description: 'Its id on the management interface; absent: its name in the resource group culvert.' })
  .optional();

const subscription = z
  .strictObject({
    features: z.array(z.string()).default([]).meta({ description: 'Registered feature flags.' }),
  })
  .nullable()
  .transform((value) => value ?? { features: [] });

const subnet = z.union([
  cidr,
  z.strictObject({
    addressPrefix: cidr,
    privateLinkServiceNetworkPolicies: z
      .enum(['Enabled', 'Disabled'])
      .default('Enabled')
      .meta({ description: 'Must be Disabled where NAT addresses live.' }),
    networkSecurityGroup: z.string().optional().meta({ description: 'The group that judges new connections.' }),
  }),
]);

const virtualNetwork = z.strictObject({
  id: resourceId,
  subscription: z.string().default('default').meta({ description: 'The subscription that owns the network.' }),
  location: z
    .string()
    .regex(/^[a-z0-9]+$/)
    .default('local')
    .meta({ description: 'The Azure region, as in westeurope.' }),
  addressSpace: z.array(cidr),
  subnets: named(subnet),
  namespace: z
    .string()
    .optional()
    .meta({ description: 'culvert up: the network namespace with the hosts of the network; made if it is not there.' }),
  hosts: z
    .array(address)
    .default([])
    .meta({ description: 'culvert up: the addresses that the namespace itself has, of clients or of backends.' }),
  mtu: whole(576, 65535, 'culvert up: octets of the longest packet on the interface.').default(1500),
  device: z.string().optional().meta({ description: 'culvert up: the name of the interface; absent: cv-NAME.' }),
});

const prefix = z.string().meta({
  description: "An address, a block, a service tag (VirtualNetwork, AzureLoadBalancer, Internet), or '*'.",
});
const portRange = z.string().meta({ description: "A port as text ('443'), a range ('8000-8100'), or '*'." });

const securityRule = z.strictObject({
  name,
  priority: whole(100, 4096, 'Lower goes first; unique in each direction.'),
  direction: z.enum(['Inbound', 'Outbound']),
  access: z.enum(['Allow', 'Deny']),
  protocol: z.enum(['Tcp', 'Udp', 'Icmp', 'Esp', 'Ah', '*']).default('*'),
  sourceAddressPrefix: prefix.optional(),
  sourceAddressPrefixes: z.array(prefix).optional(),
  sourcePortRange: portRange.optional(),
  sourcePortRanges: z.array(portRange).optional(),
  destinationAddressPrefix: prefix.optional(),
  destinationAddressPrefixes: z.array(prefix).optional(),
  destinationPortRange: portRange.optional(),
  destinationPortRanges: z.array(portRange).optional(),
});

const networkSecurityGroup = z.strictObject({ id: resourceId, securityRules: z.array(securityRule).default([]) });

const gateway = z.strictObject({
  metricsPort: whole(0, 65535, 'Port on 127.0.0.1 for /metrics and /healthz; 0: any free one.').optional(),
  socket: z.string().optional().meta({ description: 'Path of the control socket.' }),
  offload: z.boolean().default(true).meta({ description: 'Checksum and segmentation offload of the TUN devices.' }),
  workers: whole(1, 32, 'Threads that move packets; 1: the one that does all the rest too.').default(1),
  natPortsWarningPercent: whole(
    0,
    100,
    'Warn when so many of the NAT ports towards a backend are taken; 0: never.',
  ).default(80),
});

const probe = z.strictObject({
  protocol: z.enum(['Tcp', 'Http', 'Https']),
  port: whole(1, 65535, 'The port to probe.'),
  requestPath: z.string().optional().meta({ description: 'Http and Https only.' }),
  intervalInSeconds: whole(5, 2_147_483, 'Time between probes.').default(15),
  numberOfProbes: whole(1, 100, 'Probes in a row without an answer that take a backend out.').default(2),
  probeThreshold: whole(
    1,
    100,
    'Failures in a row that take a backend out, and successes in a row that bring it back.',
  ).optional(),
  noHealthyBackendsBehavior: z
    .enum(['AllProbedDown', 'AllProbedUp'])
    .default('AllProbedDown')
    .meta({ description: 'With no healthy backend: no new flows, or new flows to all.' }),
});

const rule = z.strictObject({
  name,
  frontend: z.string(),
  protocol: z.enum(['Tcp', 'Udp', 'All']),
  frontendPort: whole(0, 65535, '0 with protocol All: every port.'),
  backendPool: z.string(),
  backendPort: whole(0, 65535, '0 with protocol All: every port.'),
  loadDistribution: z.enum(['Default', 'SourceIP', 'SourceIPProtocol']).default('Default'),
  idleTimeoutInMinutes: whole(4, 30, 'The smaller of this and the idle time of the service counts.').default(
    defaultRuleIdleMinutes,
  ),
  enableTcpReset: z
    .boolean()
    .default(false)
    .meta({ description: 'Send a RST both ways when a flow ends for idleness.' }),
  probe: z.string().optional(),
});

const loadBalancer = z.strictObject({
  id: resourceId,
  virtualNetwork: z.string(),
  sku: z.enum(['Basic', 'Standard', 'Gateway']).default('Standard'),
  frontends: named(address),
  backendPools: named(
    z.array(z.string().meta({ description: 'An IPv4 address, or interface/ipConfiguration of networkInterfaces.' })),
  ),
  probes: named(probe).default({}),
  rules: z.array(rule),
});

const networkInterface = z.strictObject({
  id: resourceId,
  ipConfigurations: z
    .array(
      z.strictObject({
        name,
        subnet: z.string().meta({ description: 'network/subnet.' }),
        address,
        primary: z.boolean().optional().meta({ description: 'One of them is; absent on all: the first.' }),
      }),
    )
    .meta({ minItems: 1 }),
});

const tlv = z.strictObject({
  type: whole(0, 255, 'The type octet.'),
  hex: z.string().optional().meta({ description: 'The value, two hexadecimal digits an octet.' }),
  text: z.string().optional().meta({ description: 'The value as UTF-8 text.' }),
});

const proxyProtocol = z.strictObject({
  dialect: z.enum(['azure', 'aws', 'gcp', 'custom']).default('azure'),
  endpointId: z.string().optional().meta({ description: 'aws only; absent: made from each linkIdentifier.' }),
  tlvs: z.array(tlv).optional().meta({ description: 'custom only.' }),
  crc32c: z.boolean().optional().meta({ description: 'custom only: add the CRC32C TLV.' }),
});

const privateLinkService = z.strictObject({
  id: resourceId,
  alias: z
    .string()
    .optional()
    .meta({ description: 'prefix.GUID.location.azure.privatelinkservice; absent: made from the seed.' }),
  subnet: z.string().meta({ description: 'network/subnet of the primary NAT address.' }),
  ipConfigurations: z.array(address).meta({ description: 'NAT addresses, the primary one first.' }),
  loadBalancerFrontend: z.string().optional().meta({ description: 'load-balancer/frontend.' }),
  destinationIPAddress: address.optional().meta({ description: 'Direct Connect, in place of a frontend.' }),
  bandwidthInMbps: whole(0, 100_000, 'Direct Connect: in each direction; 0 or null: no limit; absent: 10000.')
    .nullable()
    .optional(),
  enableProxyProtocol: z.boolean().default(false),
  proxyProtocol: proxyProtocol.optional(),
  visibility: z.array(z.string()).default([]).meta({ description: "Subscriptions that may ask, or ['*']." }),
  autoApproval: z.array(z.string()).default([]).meta({ description: 'A subset of visibility.' }),
  roleAssignments: z.array(z.string()).default([]).meta({ description: 'Subscriptions with role-based access.' }),
  idleTimeoutInSeconds: whole(1, 86_400, 'Idle time of a flow.').default(defaultServiceIdleSeconds),
});

const privateEndpoint = z.strictObject({
  id: resourceId,
  subnet: z.string().meta({ description: 'network/subnet.' }),
  address,
  privateLinkService: z.string(),
  status: z
    .enum(['Pending', 'Approved', 'Rejected', 'Disconnected'])
    .optional()
    .meta({ description: 'Absent: Approved if auto-approved, else Pending.' }),
  linkIdentifier: whole(1, 0xffff_ffff, 'Absent: drawn from the seed.').optional(),
  outsideVisibility: z.boolean().default(false).meta({
    description: 'The connection was asked for while the service could be seen; it is outside visibility now.',
  }),
});

const timeouts = z.strictObject({
  profile: z.enum(['azure', 'rfc', 'capture']).default('azure'),
  tcpEstablished: seconds('Idle time of an established TCP flow, in place of the service and the rule.'),
  tcpHalfOpen: seconds('Until a TCP flow is established.'),
  tcpClosing: seconds('After a FIN or RST.'),
  udp: seconds('Idle time of a UDP flow, in place of the service and the rule.'),
  fragment: seconds('How long fragments wait for the first one.'),
  portHold: seconds('How long a freed TCP port rests.'),
});

const translation = z.strictObject({
  natPorts: z
    .strictObject({
      first: whole(1, 65535, 'The first NAT port.').default(1024),
      count: whole(1, 65535, 'Ports for each NAT address, backend and protocol.').default(64_000),
    })
    .prefault({}),
  timeouts: timeouts.prefault({}),
  midstream: z.enum(['drop', 'translate']).default('drop').meta({ description: 'TCP flows whose start was not seen.' }),
  fastOpen: z.enum(['strip', 'carry']).default('strip').meta({ description: 'TCP Fast Open on SYN.' }),
  maxFlows: whole(1, 67_108_864, 'Flows at one time.').default(1_048_576),
  seed: whole(0, 0xffff_ffff, 'What identifiers are drawn from.').default(1),
});

export const labSchema = z.strictObject({
  $schema: z.string().optional().meta({ description: 'For editors.' }),
  subscriptions: named(subscription).optional(),
  networkSecurityGroups: named(networkSecurityGroup).default({}),
  virtualNetworks: named(virtualNetwork),
  loadBalancers: named(loadBalancer).default({}),
  networkInterfaces: named(networkInterface).default({}),
  privateLinkServices: named(privateLinkService).default({}),
  privateEndpoints: named(privateEndpoint).default({}),
  translation: translation.prefault({}),
  gateway: gateway.prefault({}),
});

export type LabShape = z.output<typeof labSchema>;
export type ServiceShape = LabShape['privateLinkServices'][string];
export type SecurityGroupShape = LabShape['networkSecurityGroups'][string];
export type TranslationShape = LabShape['translation'];

/** The published JSON schema of lab files (draft 7, which editors know best). */
export function labJsonSchema(): Record<string, unknown> {
  return {
    ...z.toJSONSchema(labSchema, { io: 'input', target: 'draft-7' }),
    title: 'Culvert lab file',
    description: 'Networks, load balancers, private link services and private endpoints of one lab.',
  };
}
