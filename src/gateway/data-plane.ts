/**
 * What the gateway's control side asks of the side that moves packets. All that goes in and out is plain data, so that
 * the packets may be moved in this thread (local-plane.ts) or in others.
 */
import type { Offload } from '../device/device.js';
import type { CulvertError } from '../errors.js';
import type { Topology } from '../translate/topology.js';
import type { FlowQuery, FlowReport } from './flow-report.js';
import type { NetworkPlan } from './plan.js';
import type { PlaneReport } from './plane-report.js';
import type { BackendPortUse } from './port-use.js';
import type { OwnPackets } from './pump.js';
import type { TapOptions, TapReader } from './tap/tap.js';

/** An interface that is open. */
export interface AttachedDevice {
  readonly name: string;
  /** Octets of the longest packet that is no super-packet. */
  readonly mtu: number;
  readonly offload: Offload;
}

/** NAT addresses (int32) of all services. */
export interface NatAddresses {
  /** New flows may get these. */
  readonly given: readonly number[];
  /** These were taken out, and serve live flows to their end; another service may give them meanwhile. */
  readonly draining: readonly number[];
}

/** Whose packets come from a network: those of consumers, replies to these NAT addresses (int32), both, or nobody's. */
export interface NetworkRole {
  readonly network: string;
  readonly consumer: boolean;
  readonly natAddresses: Int32Array;
}

export interface DrainedAddress {
  /** Name of the service that had it. */
  readonly service: string;
  /** int32. */
  readonly address: number;
}

export interface PlaneEvents {
  /** An interface was removed while it was used. @param device its name */
  lost(device: string): void;
  /** Time went on while there are flows, and once more when there are none. */
  tick(): void;
  /** No packet moves any more. */
  failed(error: CulvertError): void;
}

export const NO_EVENTS: PlaneEvents = { lost: () => undefined, tick: () => undefined, failed: () => undefined };

/** Networks are told by name. */
export interface DataPlane {
  /** Who is told; nobody at first. */
  events: PlaneEvents;
  /** Opens the interface of a network and begins to read it; its packets are for nobody yet. @throws CulvertError TUN_*, IP_* */
  attach(plan: NetworkPlan, offload: boolean): AttachedDevice;
  detach(network: string): void;
  assign(roles: readonly NetworkRole[]): void;
  /** Gives what a network sends to the probes' address to `probes`. */
  listen(network: string, probes: OwnPackets): void;
  /** Sends a packet of the gateway's own, of at most 1500 octets. */
  send(network: string, packet: Buffer): void;

  /**
   * Takes a topology for new flows, ends the flows of NAT addresses that move, and assigns networks: no packet comes in
   * between, since it would go into a network that its NAT address is no more, or not yet, of.
   * @param moved NAT addresses (int32)
   * @returns how many flows ended
   */
  apply(topology: Topology, moved: readonly number[], roles: readonly NetworkRole[]): number;
  natAddresses(): NatAddresses;
  /** Lets drained addresses go, and what nobody needs any more of the port pools. */
  settle(): DrainedAddress[];
  /** As Tables.setHealth. */
  setHealth(probe: string, backend: number, up: boolean): void;
  /** As Tables.serves. */
  serves(backend: number): boolean;
  /** Whether a service's rule for a protocol and port opens new flows to a backend; true where there is none. */
  takesFlows(service: string, protocol: number, frontendPort: number, backend: number): boolean;

  liveFlows(): number;
  /** As `backendPortUse`. */
  portUse(from: number): BackendPortUse[];
  report(): PlaneReport;
  flows(query: FlowQuery): Promise<FlowReport>;
  /**
   * Gives packets of both sides to a reader, as pcapng, from now on.
   * @returns what ends it
   * @throws CulvertError CONTROL_REQUEST for names that are not there; CONTROL_REFUSED
   */
  tap(options: TapOptions, reader: TapReader): () => void;

  /** No packet moves any more; interfaces stay until they are detached. */
  close(): void;
  /** After that: nothing of it is left. */
  end(): Promise<void>;
}
