/** What the gateway asks of the machine it runs on; a test gives another. */
import { existsSync } from 'node:fs';
import type { PacketDevice } from '../device/device.js';
import { deviceClock } from '../device/tun/clock.js';
import { configureInterface, ip } from '../device/tun/ip-command.js';
import type { TunOptions } from '../device/tun/options.js';
import { TunDevice } from '../device/tun/tun-device.js';
import type { NetworkPlan } from './plan.js';
import { startPacketThread } from './workers/packet-thread.js';
import type { StartThread } from './workers/plane-calls.js';

export interface Machine {
  /** Of who moves packets in this thread: monotonic milliseconds, those of performance.now(). */
  clock(): () => number;
  hasNamespace(name: string): boolean;
  /** Makes a network namespace with its loopback interface up. */
  addNamespace(name: string): void;
  /** Processes in it keep it alive, without its name. */
  removeNamespace(name: string): void;
  openDevice(plan: NetworkPlan, offload: boolean): PacketDevice;
  /** Sets up the interface of which each worker has opened a queue. */
  setUp(plan: NetworkPlan): void;
  /** Starts a worker. */
  readonly startThread: StartThread;
  /** Sends a destination into a device that is open, from another one's if need be. @param namespace null: our own */
  addRoute(namespace: string | null, device: string, route: string): void;
  removeRoute(namespace: string | null, device: string, route: string): void;
}

const tunOptions = (plan: NetworkPlan, offload: boolean): TunOptions & { readonly name: string } => ({
  name: plan.device,
  mtu: plan.mtu,
  offload,
  addresses: plan.addresses,
  routes: plan.routes,
  ...(plan.namespace === null ? {} : { netns: plan.namespace }),
});

/** Opens a worker's queue of an interface, to be called in the worker. @param first of its queues */
export const openQueue = (plan: NetworkPlan, offload: boolean, first: boolean): PacketDevice =>
  TunDevice.attachQueue(first, tunOptions(plan, offload));

const within = (namespace: string | null): string[] => (namespace === null ? [] : ['-n', namespace]);

export const thisMachine: Machine = {
  clock: deviceClock,
  // Where ip-netns(8) binds them.
  hasNamespace: (name) => existsSync(`/run/netns/${name}`),
  addNamespace: (name) => {
    ip('netns', 'add', name);
    ip('-n', name, 'link', 'set', 'dev', 'lo', 'up');
  },
  removeNamespace: (name) => {
    ip('netns', 'delete', name);
  },
  openDevice: (plan, offload) => TunDevice.open(tunOptions(plan, offload)),
  setUp: (plan) => {
    configureInterface(plan.device, tunOptions(plan, false));
  },
  startThread: startPacketThread,
  addRoute: (namespace, device, route) => {
    ip(...within(namespace), 'route', 'replace', route, 'dev', device);
  },
  removeRoute: (namespace, device, route) => {
    ip(...within(namespace), 'route', 'del', route, 'dev', device);
  },
};
