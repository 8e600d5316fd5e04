/** What the translator is told: plain data, addresses as unsigned 32-bit integers in host order. */
export interface Topology {
  /** Names of the consumer networks; an endpoint's `network` is an index into this list. */
  readonly networks: readonly string[];
  readonly links: readonly LinkSpec[];
}

/** How many parts of the consumer's tuple choose the backend: 5 (`Default`), 2 (`SourceIP`), 3 (`SourceIPProtocol`). */
export type Distribution = 'Default' | 'SourceIP' | 'SourceIPProtocol';

/** How a rule's backends are probed (Azure: a load balancer's `probes`). */
export interface ProbeRef {
  /** Unique in the topology; what the health of backends is told by. */
  readonly name: string;
  /** With no healthy backend: `AllProbedDown` opens no new flows, `AllProbedUp` opens them to all backends. */
  readonly noHealthyBackends: 'AllProbedDown' | 'AllProbedUp';
}

export interface RuleSpec {
  readonly protocol: 6 | 17;
  /** 0: all ports, backendPort ignored. */
  readonly frontendPort: number;
  readonly backendPort: number;
  readonly backends: readonly number[];
  readonly distribution: Distribution;
  readonly idleTimeoutMs: number;
  /** Whether both sides get a RST when the flow ends for idleness. */
  readonly tcpReset: boolean;
  /** Absent: its backends are always healthy. */
  readonly probe?: ProbeRef;
}

export interface EndpointSpec {
  readonly name: string;
  /** Index into `Topology.networks`. */
  readonly network: number;
  readonly address: number;
  /** The number that the PROXY header tells, 1 to 2^32-1. */
  readonly linkId: number;
  /** Only an approved endpoint passes packets. */
  readonly approved: boolean;
}

/** Addresses or ports, both ends included. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

/** One rule of a network security group; it matches where each of its lists has a range that holds the value. */
export interface SecurityRuleSpec {
  readonly allow: boolean;
  /** IP protocol number; 0: every one. */
  readonly protocol: number;
  readonly sources: readonly Range[];
  readonly sourcePorts: readonly Range[];
  readonly destinations: readonly Range[];
  readonly destinationPorts: readonly Range[];
}

/** The rules that judge an address's packets, in their order: the first that matches decides; none that matches denies. */
export interface SecurityList {
  readonly address: number;
  readonly rules: readonly SecurityRuleSpec[];
}

/** Network security groups on the way from the NAT addresses to the backends. An address that has no list has no group. */
export interface LinkSecurity {
  /** The load balancer's frontend, under which inbound rules know the traffic as well as under the NAT address; or null. */
  readonly frontend: number | null;
  /** By NAT address. */
  readonly outbound: readonly SecurityList[];
  /** By backend. */
  readonly inbound: readonly SecurityList[];
}

export interface LinkSpec {
  readonly name: string;
  readonly natAddresses: readonly number[];
  readonly natPortFirst: number;
  readonly natPortCount: number;
  readonly proxy: ProxySpec | null;
  /** Empty for Direct Connect. */
  readonly rules: readonly RuleSpec[];
  /** Direct Connect. */
  readonly destination: number | null;
  /** For Direct Connect; a rule has its own. */
  readonly tcpIdleTimeoutMs: number;
  readonly udpIdleTimeoutMs: number;
  readonly endpoints: readonly EndpointSpec[];
  /** Direct Connect: bits a second, in each direction. Absent: no limit. */
  readonly bitsPerSecond?: number;
  /** Absent: no network security group judges this link's flows. */
  readonly security?: LinkSecurity;
}

export type ProxySpec =
  | { readonly dialect: 'azure' }
  /** An empty endpointId stands for {@link derivedVpcEndpointId} of each endpoint's own linkId. */
  | { readonly dialect: 'aws'; readonly endpointId: string }
  | { readonly dialect: 'gcp' }
  | {
      readonly dialect: 'custom';
      readonly tlvs: readonly { readonly type: number; readonly value: Uint8Array }[];
      readonly crc32c: boolean;
    };

/** The VPC endpoint id (AWS form: `vpce-` and 17 hexadecimal digits) that stands for a linkId: its value, zero-padded. */
export const derivedVpcEndpointId = (linkId: number): string => `vpce-${linkId.toString(16).padStart(17, '0')}`;
