/** What a lab file becomes. */
import type { CulvertError } from '../errors.js';
import type { ResourceModel } from '../service/resources.js';
import type { TIMEOUT_PROFILES } from '../translate/options.js';
import type { Topology } from '../translate/topology.js';

export type TimeoutProfile = keyof typeof TIMEOUT_PROFILES;

/** The `translation` section with every default filled in. Times are in milliseconds. */
export interface TranslationSettings {
  /** First NAT port, and how many there are for each NAT address, backend and protocol. */
  readonly natPortFirst: number;
  readonly natPortCount: number;
  readonly timeoutProfile: TimeoutProfile;
  /** Idle time of established TCP flows for all services; null: as each service and rule says. */
  readonly tcpEstablishedMs: number | null;
  readonly tcpHalfOpenMs: number;
  readonly tcpClosingMs: number;
  /** Idle time of UDP flows for all services; null: as each service and rule says. */
  readonly udpMs: number | null;
  readonly fragmentMs: number;
  /** How long a TCP port rests after its flow has ended. */
  readonly portHoldMs: number;
  /** What becomes of TCP flows whose start was not seen. */
  readonly midstream: 'drop' | 'translate';
  /** Whether TCP Fast Open is blanked out of a SYN or carried. */
  readonly fastOpen: 'strip' | 'carry';
  readonly maxFlows: number;
  /** What generated identifiers depend on; unsigned, 32 bits. */
  readonly seed: number;
}

/** What `culvert up` makes for a virtual network that takes part. */
export interface NetworkAttachment {
  /** Network namespace of the hosts; null: the gateway's own. */
  readonly namespace: string | null;
  /** Name of the interface. */
  readonly device: string;
  /** Octets. */
  readonly mtu: number;
  /** Addresses that the namespace itself has. */
  readonly hosts: readonly number[];
}

/** The `gateway` section, and what the networks say of their interfaces. */
export interface GatewaySettings {
  /** Port on 127.0.0.1, 0 for any; null: no metrics. */
  readonly metricsPort: number | null;
  /** Path of the control socket; null: beside the state file. */
  readonly socket: string | null;
  readonly offload: boolean;
  /** Threads that move packets, 1 to 32. */
  readonly workers: number;
  /** Use of the NAT ports towards a backend that is warned of, in percent; 0: no warning. */
  readonly natPortsWarningPercent: number;
  /** By the network's name. */
  readonly networks: ReadonlyMap<string, NetworkAttachment>;
}

export interface LabConfig {
  readonly model: ResourceModel;
  readonly topology: Topology;
  readonly settings: TranslationSettings;
  readonly gateway: GatewaySettings;
  readonly warnings: readonly CulvertError[];
}
