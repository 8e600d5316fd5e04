/** What the gateway asks of the machine it runs on; a test gives another. */
import { existsSync } from 'node:fs';
import type { PacketDevice } from '../device/device.js';
import { ip } from '../device/tun/ip-command.js';
import { TunDevice } from '../device/tun/tun-device.js';
import type { NetworkPlan } from './plan.js';

export interface Machine {
  hasNamespace(name: string): boolean;
  /** Makes a network namespace with its loopback interface up. */
  addNamespace(name: string): void;
  /** Processes in it keep it alive, without its name. */
  removeNamespace(name: string): void;
  openDevice(plan: NetworkPlan, offload: boolean): PacketDevice;
  /** Sends a destination into a device that is open, from another one's if need be. @param namespace null: our own */
  addRoute(namespace: string | null, device: string, route: string): void;
  removeRoute(namespace: string | null, device: string, route: string): void;
}

const within = (namespace: string | null): string[] => (namespace === null ? [] : ['-n', namespace]);

export const thisMachine: Machine = {
  // Where ip-netns(8) binds them.
  hasNamespace: (name) => existsSync(`/run/netns/${name}`),
  addNamespace: (name) => {
    ip('netns', 'add', name);
    ip('-n', name, 'link', 'set', 'dev', 'lo', 'up');
  },
  removeNamespace: (name) => {
    ip('netns', 'delete', name);
  },
  openDevice: (plan, offload) =>
    TunDevice.open({
      name: plan.device,
      mtu: plan.mtu,
      offload,
      addresses: plan.addresses,
      routes: plan.routes,
      ...(plan.namespace === null ? {} : { netns: plan.namespace }),
    }),
  addRoute: (namespace, device, route) => {
    ip(...within(namespace), 'route', 'replace', route, 'dev', device);
  },
  removeRoute: (namespace, device, route) => {
    ip(...within(namespace), 'route', 'del', route, 'dev', device);
  },
};
