/**
 * The resources of a lab, with Azure's property names where Azure has them. Addresses are unsigned 32-bit integers in
 * host order; -1 stands for a text that could not be read, which is reported where it was read and which every rule
 * passes over, so that one mistake does not hide the others. A resource refers to another by name, and a rule passes
 * over a name that leads nowhere for the same reason.
 */
import type { Distribution, ProxySpec } from '../translate/topology.js';
import type { Cidr } from '../wire/address.js';

interface Identified {
  /** On the management interface, where a lab file says it. */
  readonly id?: string;
}

export interface Subscription {
  readonly name: string;
  /** Registered feature flags, for example `Microsoft.Network/AllowPrivateLinkserviceUDR`. */
  readonly features: readonly string[];
}

export type NetworkPolicies = 'Enabled' | 'Disabled';

export type SecurityProtocol = 'Tcp' | 'Udp' | 'Icmp' | 'Esp' | 'Ah' | '*';

export interface SecurityRule {
  readonly name: string;
  /** 100 to 4096; lower goes first. The default rules have 65000 and more. */
  readonly priority: number;
  readonly direction: 'Inbound' | 'Outbound';
  readonly access: 'Allow' | 'Deny';
  readonly protocol: SecurityProtocol;
  /** Addresses, blocks, service tags, or `*`. */
  readonly sourceAddressPrefixes: readonly string[];
  /** `443`, `8000-8100` or `*`. */
  readonly sourcePortRanges: readonly string[];
  readonly destinationAddressPrefixes: readonly string[];
  readonly destinationPortRanges: readonly string[];
}

export interface NetworkSecurityGroup extends Identified {
  readonly name: string;
  readonly securityRules: readonly SecurityRule[];
}

export interface Subnet {
  readonly name: string;
  /** Null: could not be read. */
  readonly addressPrefix: Cidr | null;
  readonly privateLinkServiceNetworkPolicies: NetworkPolicies;
  /** Name of the group that judges the subnet's traffic, or null. */
  readonly networkSecurityGroup: string | null;
}

export interface VirtualNetwork extends Identified {
  readonly name: string;
  readonly subscription: string;
  readonly location: string;
  readonly addressSpace: readonly (Cidr | null)[];
  readonly subnets: ReadonlyMap<string, Subnet>;
}

export interface Probe {
  readonly name: string;
  readonly protocol: 'Tcp' | 'Http' | 'Https';
  readonly port: number;
  readonly requestPath: string | null;
  readonly intervalInSeconds: number;
  /** Probes in a row without an answer that take a backend out. */
  readonly numberOfProbes: number;
  /** Failures in a row that take it out, and successes in a row that bring it back; null: as `numberOfProbes` says, and one. */
  readonly probeThreshold: number | null;
  /** What becomes of new flows when no backend is healthy. */
  readonly noHealthyBackendsBehavior: 'AllProbedDown' | 'AllProbedUp';
}

export interface LoadBalancingRule {
  readonly name: string;
  readonly frontend: string;
  readonly protocol: 'Tcp' | 'Udp' | 'All';
  /** 0 with protocol `All`: every port. */
  readonly frontendPort: number;
  readonly backendPool: string;
  readonly backendPort: number;
  readonly loadDistribution: Distribution;
  readonly idleTimeoutInMinutes: number;
  readonly enableTcpReset: boolean;
  readonly probe: string | null;
}

export interface LoadBalancer extends Identified {
  readonly name: string;
  readonly virtualNetwork: string;
  readonly sku: 'Basic' | 'Standard' | 'Gateway';
  readonly frontends: ReadonlyMap<string, number>;
  readonly backendPools: ReadonlyMap<string, readonly number[]>;
  readonly probes: ReadonlyMap<string, Probe>;
  readonly rules: readonly LoadBalancingRule[];
}

export interface InterfaceConfiguration {
  readonly name: string;
  readonly virtualNetwork: string;
  readonly subnet: string;
  readonly address: number;
  readonly primary: boolean;
  /** Names of those that have it in a pool. */
  readonly loadBalancers: readonly string[];
}

/** One of its own, not one that an endpoint or a service has. */
export interface NetworkInterface extends Identified {
  readonly name: string;
  readonly subscription: string;
  readonly ipConfigurations: readonly InterfaceConfiguration[];
}

export interface FrontendReference {
  readonly loadBalancer: string;
  readonly frontend: string;
}

export interface PrivateLinkService extends Identified {
  readonly name: string;
  /** `prefix.GUID.location.azure.privatelinkservice`. */
  readonly alias: string;
  /** Of the provider, as its virtual network has it. */
  readonly subscription: string;
  readonly location: string;
  readonly virtualNetwork: string;
  /** The NAT addresses, the first is the primary one. */
  readonly ipConfigurations: readonly number[];
  readonly loadBalancerFrontend: FrontendReference | null;
  /** Direct Connect; null for a service behind a load balancer. */
  readonly destinationIPAddress: number | null;
  /** Direct Connect: in each direction; 0: no limit; absent: Azure's 10,000. */
  readonly bandwidthInMbps?: number;
  /** Null: the PROXY header is off. */
  readonly proxy: ProxySpec | null;
  readonly visibility: readonly string[];
  readonly autoApproval: readonly string[];
  /** Subscriptions with an explicit role on the service; ours, in the place of role assignments. */
  readonly roleAssignments: readonly string[];
  readonly idleTimeoutInSeconds: number;
}

export type ConnectionStatus = 'Pending' | 'Approved' | 'Rejected' | 'Disconnected';

export interface PrivateEndpoint extends Identified {
  readonly name: string;
  readonly subscription: string;
  readonly location: string;
  readonly virtualNetwork: string;
  readonly subnet: string;
  readonly address: number;
  readonly privateLinkService: string;
  readonly status: ConnectionStatus;
  /** 1 to 2^32-1, unique over the whole gateway. */
  readonly linkIdentifier: number;
  /** Its connection was asked for when that was allowed: visibility is not looked at again. */
  readonly outsideVisibility: boolean;
}

export interface ResourceModel {
  readonly subscriptions: ReadonlyMap<string, Subscription>;
  readonly networkSecurityGroups: ReadonlyMap<string, NetworkSecurityGroup>;
  readonly virtualNetworks: ReadonlyMap<string, VirtualNetwork>;
  readonly loadBalancers: ReadonlyMap<string, LoadBalancer>;
  readonly networkInterfaces: ReadonlyMap<string, NetworkInterface>;
  readonly privateLinkServices: ReadonlyMap<string, PrivateLinkService>;
  readonly privateEndpoints: ReadonlyMap<string, PrivateEndpoint>;
}
