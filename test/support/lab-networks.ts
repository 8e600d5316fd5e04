/** Networks as lab files of tests have them, indented as parts of `virtualNetworks`. */
export interface Side {
  readonly name: string;
  readonly namespace: string;
  /** Addresses of the hosts behind it. */
  readonly hosts?: readonly string[];
  readonly device?: string;
}

const place = ({ namespace, hosts, device }: Side): string =>
  [
    `    namespace: ${namespace}`,
    ...(hosts === undefined ? [] : [`    hosts: [${hosts.join(', ')}]`]),
    ...(device === undefined ? [] : [`    device: ${device}`]),
  ].join('\n');

/** All consumers have the same addresses, 10.0.0.0/24. */
export const consumerNetwork = (side: Side): string => `  ${side.name}:
    addressSpace: [10.0.0.0/16]
    subnets: { default: 10.0.0.0/24 }
${place(side)}`;

/** Frontends in 10.200.0.0/24, NAT addresses in 10.200.1.0/24, backends in 10.200.2.0/24. */
export const providerNetwork = (side: Side): string => `  ${side.name}:
    addressSpace: [10.200.0.0/16]
    subnets:
      frontend: 10.200.0.0/24
      nat: { addressPrefix: 10.200.1.0/24, privateLinkServiceNetworkPolicies: Disabled }
      backend: 10.200.2.0/24
${place(side)}`;
