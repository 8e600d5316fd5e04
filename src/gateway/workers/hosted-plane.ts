/** A worker's data plane: its share of the flows, and what it tells the control side unasked. */
import type { PacketDevice } from '../../device/device.js';
import { countOf } from '../../flow/share.js';
import { DEFAULT_OPTIONS } from '../../translate/options.js';
import { drop } from '../../packet/verdict.js';
import type { Topology } from '../../translate/topology.js';
import type { NetworkRole } from '../data-plane.js';
import { LocalPlane } from '../local-plane.js';
import type { NetworkPlan } from '../plan.js';
import { type Asked, owedFor, type ThreadData, type Told } from './plane-calls.js';
import { SharingPump } from './sharing-pump.js';

const PROBE_LIMIT = drop('probe-limit');
/** Of a worker's packets for the probes that wait: 16 super-packets, or thousands of small packets. */
const MAX_OWED = 1 << 20;
/** Time is told of no more often: each time wakes all workers. */
const TICK_MS = 1000;

export interface Hosting {
  readonly openQueue: (plan: NetworkPlan, offload: boolean, first: boolean) => PacketDevice;
  readonly wake: (worker: number) => void;
  /** As Machine.clock gives it. */
  readonly clock: () => number;
  readonly tell: (what: Told) => void;
}

export interface HostedPlane {
  readonly plane: LocalPlane;
  readonly pump: SharingPump;
  readonly ask: (what: Asked, args: readonly unknown[]) => unknown;
}

/** A limited bandwidth is spread evenly: each worker polices its part by itself. */
function shareOf(topology: Topology, workers: number): Topology {
  const links = topology.links.map((link) =>
    link.bitsPerSecond === undefined
      ? link
      : { ...link, bitsPerSecond: Math.max(1, Math.floor(link.bitsPerSecond / workers)) },
  );
  return { ...topology, links };
}

export function hostedPlane(data: ThreadData, { openQueue, wake, clock, tell }: Hosting): HostedPlane {
  const { index, workers, memory, topology, options } = data;
  const owed = new Int32Array(data.owed);
  const share = { index, of: workers };
  const maxFlows = countOf(0, options.maxFlows ?? DEFAULT_OPTIONS.maxFlows, share);
  const pump = new SharingPump(
    shareOf(topology, workers),
    { ...options, share, maxFlows },
    (port) => {
      tell({ told: 'lost', device: port.device.name });
    },
    { index, workers, memory, wake },
    clock,
  );
  const plane = new LocalPlane(pump, (plan, offload) => openQueue(plan, offload, index === 0));
  let toldAt = -Infinity;
  let telling: NodeJS.Timeout | null = null;
  const tellTick = (): void => {
    telling = null;
    toldAt = pump.now;
    tell({ told: 'tick' });
  };
  plane.events = {
    ...plane.events,
    tick: () => {
      // Late rather than not at all: the pump's next one may be minutes away.
      telling ??= setTimeout(tellTick, Math.max(0, toldAt + TICK_MS - pump.now)).unref();
    },
  };
  /** What needs more than the plane itself; the rest of it is asked as it is. */
  const own: Partial<Record<Asked, (...args: never[]) => unknown>> = {
    attach: (plan: NetworkPlan, offload: boolean, number: number) => {
      const device = plane.attach(plan, offload, number);
      plane.listen(plan.name, {
        receive: (b, ip, end, partial) => {
          // The control side may have no time for a while, and nothing else would bound what waits for it.
          if (Atomics.load(owed, index) >= MAX_OWED) {
            pump.translator.drops.add(PROBE_LIMIT);
            return true;
          }
          const packet = Uint8Array.prototype.slice.call(b, ip, end);
          Atomics.add(owed, index, owedFor(packet));
          tell({ told: 'own', network: plan.name, packet, partial });
          return true;
        },
      });
      return device;
    },
    // What a message brings is no Buffer.
    send: (network: string, packet: Uint8Array) => plane.send(network, Buffer.from(packet)),
    apply: (next: Topology, moved: readonly number[], roles: readonly NetworkRole[]) =>
      plane.apply(shareOf(next, workers), moved, roles),
  };
  const others = plane as unknown as Record<Asked, (...args: readonly unknown[]) => unknown>;
  const ask = (what: Asked, args: readonly unknown[]): unknown => {
    const special = own[what];
    return special === undefined ? others[what](...args) : special(...(args as never[]));
  };
  return { plane, pump, ask };
}
