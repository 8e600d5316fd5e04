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

export interface LabConfig {
  readonly model: ResourceModel;
  readonly topology: Topology;
  readonly settings: TranslationSettings;
  readonly warnings: readonly CulvertError[];
}
