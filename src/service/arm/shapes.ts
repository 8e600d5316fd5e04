/**
 * The shapes of what clients send: types only, ranges are rules of the service model. Unknown properties are kept, and
 * the values of enumerations are told without regard to case and kept as they came.
 */
import { isName, nameRule } from '../names.js';
import { z } from 'zod';

const reference = z.looseObject({ id: z.string() });

/** @returns the value in its proper spelling */
export function spelled<T extends string>(values: readonly T[], text: string | undefined, otherwise: T): T {
  return values.find((value) => value.toLowerCase() === text?.toLowerCase()) ?? otherwise;
}

const choice = (values: readonly string[]): z.ZodString =>
  z.string().refine((text) => values.some((value) => value.toLowerCase() === text.toLowerCase()), {
    error: (issue) => `'${String(issue.input)}' is not one of ${values.join(', ')}`,
  });

/** Clients leave out properties that would be empty. */
const part = <T extends z.ZodObject<z.ZodRawShape, z.core.$loose>>(
  properties: T,
): z.ZodObject<{ name: z.ZodString; properties: z.ZodPrefault<T> }, z.core.$loose> =>
  z.looseObject({ name: z.string(), properties: properties.prefault({} as z.input<T>) });

const subscription = z.string().refine((text) => text === '*' || isName(text), {
  error: (issue) => `'${String(issue.input).slice(0, 100)}' is no name for a subscription: use ${nameRule}`,
});
const subscriptions = z.looseObject({ subscriptions: z.array(subscription).optional() }).optional();

export const allocationMethods = ['Static', 'Dynamic'] as const;
export const networkPolicies = ['Enabled', 'Disabled'] as const;
export const skus = ['Basic', 'Standard', 'Gateway'] as const;
export const probeProtocols = ['Tcp', 'Http', 'Https'] as const;
export const probeBehaviours = ['AllProbedDown', 'AllProbedUp'] as const;
export const ruleProtocols = ['Tcp', 'Udp', 'All'] as const;
export const distributions = ['Default', 'SourceIP', 'SourceIPProtocol'] as const;
export const securityProtocols = ['*', 'Tcp', 'Udp', 'Icmp', 'Esp', 'Ah'] as const;
export const accesses = ['Allow', 'Deny'] as const;
export const directions = ['Inbound', 'Outbound'] as const;
export const connectionStates = ['Pending', 'Approved', 'Rejected', 'Disconnected'] as const;

const subnet = z.looseObject({
  addressPrefix: z.string().optional(),
  addressPrefixes: z.array(z.string()).optional(),
  privateLinkServiceNetworkPolicies: choice(networkPolicies).optional(),
  networkSecurityGroup: reference.optional(),
});

const address = {
  privateIPAddress: z.string().optional(),
  privateIPAllocationMethod: choice(allocationMethods).optional(),
  privateIPAddressVersion: choice(['IPv4', 'IPv6']).optional(),
};

const connectionState = z.looseObject({
  status: z.string().optional(),
  description: z.string().optional(),
  actionsRequired: z.string().optional(),
});

const endpointConnection = part(
  z.looseObject({
    privateLinkServiceId: z.string(),
    requestMessage: z.string().optional(),
    /** Ours: the LINKID that a new connection shall have. */
    linkIdentifier: z.string().optional(),
    privateLinkServiceConnectionState: connectionState.optional(),
  }),
);

const tlv = z.looseObject({ type: z.number(), hex: z.string().optional(), text: z.string().optional() });

export const shapes = {
  subnets: subnet,
  virtualNetworks: z.looseObject({
    addressSpace: z.looseObject({ addressPrefixes: z.array(z.string()) }),
    subnets: z.array(part(subnet)).optional(),
    /** Filled in by the service: its interface on this machine, where it is not the one of its name. */
    device: z.string().optional(),
  }),
  networkInterfaces: z.looseObject({
    ipConfigurations: z
      .array(
        part(
          z.looseObject({
            ...address,
            subnet: reference,
            primary: z.boolean().optional(),
            loadBalancerBackendAddressPools: z.array(reference).optional(),
          }),
        ),
      )
      .min(1, 'a network interface has at least one ipConfiguration'),
    /** Filled in by the service: whose interface it is. */
    privateEndpoint: reference.optional(),
    privateLinkService: reference.optional(),
  }),
  loadBalancers: z.looseObject({
    frontendIPConfigurations: z.array(part(z.looseObject({ ...address, subnet: reference.optional() }))).optional(),
    backendAddressPools: z
      .array(
        part(
          z.looseObject({
            loadBalancerBackendAddresses: z.array(part(z.looseObject({ ipAddress: z.string().optional() }))).optional(),
          }),
        ),
      )
      .optional(),
    probes: z
      .array(
        part(
          z.looseObject({
            protocol: choice(probeProtocols),
            port: z.number(),
            intervalInSeconds: z.number().optional(),
            numberOfProbes: z.number().optional(),
            probeThreshold: z.number().optional(),
            noHealthyBackendsBehavior: choice(probeBehaviours).optional(),
            requestPath: z.string().optional(),
          }),
        ),
      )
      .optional(),
    loadBalancingRules: z
      .array(
        part(
          z.looseObject({
            frontendIPConfiguration: reference,
            backendAddressPool: reference.optional(),
            backendAddressPools: z.array(reference).optional(),
            probe: reference.optional(),
            protocol: choice(ruleProtocols),
            frontendPort: z.number(),
            backendPort: z.number(),
            loadDistribution: choice(distributions).optional(),
            idleTimeoutInMinutes: z.number().optional(),
            enableTcpReset: z.boolean().optional(),
          }),
        ),
      )
      .optional(),
  }),
  networkSecurityGroups: z.looseObject({
    securityRules: z
      .array(
        part(
          z.looseObject({
            protocol: choice(securityProtocols),
            access: choice(accesses),
            direction: choice(directions),
            priority: z.number(),
            sourceAddressPrefix: z.string().optional(),
            sourceAddressPrefixes: z.array(z.string()).optional(),
            destinationAddressPrefix: z.string().optional(),
            destinationAddressPrefixes: z.array(z.string()).optional(),
            sourcePortRange: z.string().optional(),
            sourcePortRanges: z.array(z.string()).optional(),
            destinationPortRange: z.string().optional(),
            destinationPortRanges: z.array(z.string()).optional(),
          }),
        ),
      )
      .optional(),
  }),
  privateLinkServices: z.looseObject({
    loadBalancerFrontendIpConfigurations: z.array(reference).optional(),
    destinationIPAddress: z.string().optional(),
    ipConfigurations: z
      .array(part(z.looseObject({ ...address, subnet: reference, primary: z.boolean().optional() })))
      .optional(),
    enableProxyProtocol: z.boolean().optional(),
    fqdns: z.array(z.string()).optional(),
    visibility: subscriptions,
    autoApproval: subscriptions,
    alias: z.string().optional(),
    networkInterfaces: z.array(reference).optional(),
    /** Ours, as in a lab file. */
    idleTimeoutInSeconds: z.number().optional(),
    bandwidthInMbps: z.number().optional(),
    roleAssignments: z.array(subscription).optional(),
    proxyProtocol: z
      .strictObject({
        dialect: choice(['azure', 'aws', 'gcp', 'custom']).optional(),
        endpointId: z.string().optional(),
        tlvs: z.array(tlv).optional(),
        crc32c: z.boolean().optional(),
      })
      .optional(),
  }),
  privateEndpoints: z.looseObject({
    subnet: reference,
    privateLinkServiceConnections: z.array(endpointConnection).optional(),
    manualPrivateLinkServiceConnections: z.array(endpointConnection).optional(),
    ipConfigurations: z
      .array(z.looseObject({ properties: z.looseObject({ privateIPAddress: z.string() }) }))
      .max(1, 'an endpoint of a private link service has one address')
      .optional(),
    customNetworkInterfaceName: z.string().optional(),
    networkInterfaces: z.array(reference).optional(),
  }),
  'privateLinkServices/privateEndpointConnections': z.looseObject({
    privateEndpoint: reference.optional(),
    privateLinkServiceConnectionState: connectionState.optional(),
    linkIdentifier: z.string().optional(),
  }),
} as const;

export type Shapes = { readonly [T in keyof typeof shapes]: z.output<(typeof shapes)[T]> };

/** What every resource has around its properties. */
export const envelope = z.looseObject({
  location: z.string().optional(),
  tags: z.record(z.string(), z.string()).optional(),
  managedBy: z.string().optional(),
  sku: z.looseObject({ name: choice(skus).optional() }).optional(),
  properties: z.looseObject({}).default({}),
});
