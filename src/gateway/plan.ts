/** From a lab to what the gateway has to make on this machine: one interface for each network that takes part. */
import type { LabConfig } from '../config/index.js';
import { CulvertError } from '../errors.js';
import { cidrsOverlap, formatAddress, formatCidr } from '../wire/address.js';
import type { Cidr } from '../wire/address.js';
import { targetsOf } from './probes/targets.js';
import { PROBE_ROUTE } from './probes/tcp-stack.js';

export interface NetworkPlan {
  /** Name of the virtual network. */
  readonly name: string;
  /** Index of the network in the topology of the lab that this was planned from. */
  readonly index: number;
  /** Has private endpoints. */
  readonly consumer: boolean;
  /** NAT addresses (int32) of the services in it; empty: it provides none. */
  readonly natAddresses: Int32Array;
  /** Null: the gateway's own namespace. */
  readonly namespace: string | null;
  readonly device: string;
  readonly mtu: number;
  /** Addresses of the namespace itself, as `10.0.0.5/32`. */
  readonly addresses: readonly string[];
  /** What is sent into the interface, as `10.0.0.0/16`. */
  readonly routes: readonly string[];
}

/**
 * @throws CulvertError GATEWAY_NETWORKS_OVERLAP when networks without a namespace have the same addresses,
 *   GATEWAY_NAT_ADDRESS_TWICE when two provider networks do, GATEWAY_PROBES_OVERLAP when two of them are probed in one
 *   namespace
 */
export function planNetworks(lab: LabConfig): NetworkPlan[] {
  const { model, topology, gateway } = lab;
  const consumers = new Set([...model.privateEndpoints.values()].map((e) => e.virtualNetwork));
  const plans: NetworkPlan[] = [];
  topology.networks.forEach((name, index) => {
    const nat = [...model.privateLinkServices.values()].flatMap((s) =>
      s.virtualNetwork === name ? s.ipConfigurations : [],
    );
    if (nat.length === 0 && !consumers.has(name)) return;
    const { namespace, device, mtu, hosts } = gateway.networks.get(name)!;
    plans.push({
      name,
      index,
      consumer: consumers.has(name),
      natAddresses: Int32Array.from(nat),
      namespace,
      device,
      mtu,
      addresses: hosts.map((address) => `${formatAddress(address)}/32`),
      routes: [...blocksOf(lab, name).map(formatCidr), ...probeRoute(lab, name, nat.length > 0)],
    });
  });
  refuseOverlap(lab, plans);
  refuseSharedNat(plans);
  return shareProbeRoute(lab, plans);
}

/**
 * Where backends send their answers to probes. In the gateway's own namespace only where something is probed: on a
 * machine in Azure that address is the platform's.
 */
function probeRoute(lab: LabConfig, name: string, provides: boolean): string[] {
  const { model, gateway } = lab;
  const apart = gateway.networks.get(name)!.namespace !== null;
  const probed = [...targetsOf(model).values()].some((target) => target.network === name);
  return provides && (apart || probed) ? [PROBE_ROUTE] : [];
}

const blocksOf = (lab: LabConfig, name: string): Cidr[] =>
  lab.model.virtualNetworks.get(name)!.addressSpace.filter((block) => block !== null);

function refuseOverlap(lab: LabConfig, plans: readonly NetworkPlan[]): void {
  const here = plans.filter((plan) => plan.namespace === null);
  here.forEach((plan, i) => {
    for (const other of here.slice(0, i)) {
      const clash = blocksOf(lab, plan.name).find((a) => blocksOf(lab, other.name).some((b) => cidrsOverlap(a, b)));
      if (clash === undefined) continue;
      throw new CulvertError(
        'GATEWAY_NETWORKS_OVERLAP',
        `networks '${other.name}' and '${plan.name}' both have ${formatCidr(clash)} and no namespace: ` +
          `one machine can route it to one of them only; give each a 'namespace' in virtualNetworks`,
      );
    }
  });
}

/** The provider's side is one address space to the translator. */
function refuseSharedNat(plans: readonly NetworkPlan[]): void {
  const owners = new Map<number, string>();
  for (const { name, natAddresses } of plans) {
    for (const address of natAddresses) {
      const owner = owners.get(address);
      if (owner !== undefined && owner !== name) {
        throw new CulvertError(
          'GATEWAY_NAT_ADDRESS_TWICE',
          `${formatAddress(address >>> 0)} is a NAT address in networks '${owner}' and '${name}': ` +
            `one gateway tells provider networks apart by their NAT addresses; choose another, or run two gateways`,
        );
      }
      owners.set(address, name);
    }
  }
}

/** A namespace has one way back to the probes' address: it is for the network that is probed. */
function shareProbeRoute(lab: LabConfig, plans: readonly NetworkPlan[]): NetworkPlan[] {
  const probed = new Set([...targetsOf(lab.model).values()].map((target) => target.network));
  const owners = new Map<string | null, NetworkPlan>();
  for (const plan of plans.filter(({ routes }) => routes.includes(PROBE_ROUTE))) {
    const owner = owners.get(plan.namespace);
    if (owner !== undefined && probed.has(owner.name) && probed.has(plan.name)) {
      throw new CulvertError(
        'GATEWAY_PROBES_OVERLAP',
        `the backends of networks '${owner.name}' and '${plan.name}' are probed in one namespace, which has one route ` +
          `back to the probes' address: give each network a namespace of its own`,
      );
    }
    if (owner === undefined || probed.has(plan.name)) owners.set(plan.namespace, plan);
  }
  return plans.map((plan) =>
    owners.get(plan.namespace) === plan
      ? plan
      : { ...plan, routes: plan.routes.filter((route) => route !== PROBE_ROUTE) },
  );
}

/** The two ask for the same interface, set up in the same way. */
export const sameInterface = (a: NetworkPlan, b: NetworkPlan): boolean =>
  a.namespace === b.namespace &&
  a.device === b.device &&
  a.mtu === b.mtu &&
  a.addresses.join() === b.addresses.join() &&
  a.routes.join() === b.routes.join();
