/** What `culvert up` needs to know: the `gateway` section, and the interface of each virtual network. */
import { addressInUse, checkAddressText, checkInNetwork } from '../service/addresses.js';
import { deviceNames, maxDeviceOctets } from '../service/device-names.js';
import type { FindingSink } from '../service/problem.js';
import type { ResourceModel } from '../service/resources.js';
import { cidrsOverlap, formatCidr, parseAddress } from '../wire/address.js';
import type { GatewaySettings, NetworkAttachment } from './model.js';
import type { LabShape } from './schema.js';

/** What a network says of its interface. */
export interface AttachmentShape {
  readonly namespace?: string | undefined;
  readonly device?: string | undefined;
  readonly mtu: number;
  readonly hosts: readonly string[];
}

/** By the network's key in the model. */
export type AttachmentShapes = Readonly<Record<string, AttachmentShape>>;

/** Linux's IFNAMSIZ without its final zero. */
const DEVICE = /^[^\s/:%]+$/;
const NAMESPACE = /^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,79}$/;
/** What every IPv4 host takes (RFC 791) and what the total length can tell. */
const MIN_MTU = 576;
const MAX_MTU = 65535;
const MAX_WORKERS = 32;

/** Addresses that the gateway itself answers for; a host with one of them would swallow the packets. */
function takenAddresses(model: ResourceModel): Map<string, Map<number, string>> {
  const taken = new Map<string, Map<number, string>>();
  const claim = (network: string, address: number, owner: string): void => {
    const map = taken.get(network) ?? new Map<number, string>();
    if (!map.has(address)) map.set(address, owner);
    taken.set(network, map);
  };
  for (const balancer of model.loadBalancers.values()) {
    for (const [name, address] of balancer.frontends) {
      claim(balancer.virtualNetwork, address, `frontend '${name}' of load balancer '${balancer.name}'`);
    }
  }
  for (const service of model.privateLinkServices.values()) {
    for (const address of service.ipConfigurations) {
      claim(service.virtualNetwork, address, `a NAT address of private link service '${service.name}'`);
    }
  }
  for (const endpoint of model.privateEndpoints.values()) {
    claim(endpoint.virtualNetwork, endpoint.address, `private endpoint '${endpoint.name}'`);
  }
  return taken;
}

function checkHosts(shapes: AttachmentShapes, model: ResourceModel, findings: FindingSink): void {
  const taken = takenAddresses(model);
  for (const [name, { hosts }] of Object.entries(shapes)) {
    const network = model.virtualNetworks.get(name)!;
    const seen = new Set<number>();
    hosts.forEach((text, index) => {
      const path = ['virtualNetworks', name, 'hosts', index];
      const address = parseAddress(text);
      findings.add(path, checkAddressText(text));
      if (address < 0) return;
      findings.add(path, checkInNetwork(address, network));
      const owner = seen.has(address) ? 'a host' : taken.get(name)?.get(address);
      if (owner !== undefined) findings.add(path, [addressInUse(address, name, owner)]);
      seen.add(address);
    });
  }
}

/** Names that the kernel would refuse, or that two networks would share. */
function checkNames(shapes: AttachmentShapes, findings: FindingSink): void {
  const owners = new Map<string, string>();
  for (const [name, network] of Object.entries(shapes)) {
    const at = ['virtualNetworks', name];
    const { namespace, mtu, device } = network;
    if (namespace !== undefined && !NAMESPACE.test(namespace)) {
      const what = `'${namespace}' is no name of a network namespace: letters, digits, '_', '.', '-', at most 80`;
      findings.error('CONFIG_NAME', what, [...at, 'namespace']);
    }
    if (device !== undefined) {
      if (Buffer.byteLength(device) > maxDeviceOctets || !DEVICE.test(device) || /^\.\.?$/.test(device)) {
        const what = `'${device}' is no name of an interface: 1 to 15 octets, no space, slash, colon or percent sign`;
        findings.error('CONFIG_NAME', what, [...at, 'device']);
      }
      const owner = owners.get(device);
      if (owner === undefined) owners.set(device, name);
      else
        findings.error('CONFIG_NAME', `'${device}' is the interface of network '${owner}' already`, [...at, 'device']);
    }
    if (!Number.isInteger(mtu) || mtu < MIN_MTU || mtu > MAX_MTU) {
      const what = `mtu is ${String(mtu)}; it must be a whole number, ${String(MIN_MTU)} to ${String(MAX_MTU)}`;
      findings.error('SETTING_RANGE', what, [...at, 'mtu']);
    }
  }
}

/** In one namespace an address is in one place: its networks must not overlap. */
function checkNamespaces(shapes: AttachmentShapes, model: ResourceModel, findings: FindingSink): void {
  const networks = Object.entries(shapes).filter(([, network]) => network.namespace !== undefined);
  networks.forEach(([name, network], index) => {
    for (const [other] of networks.slice(0, index).filter(([, before]) => before.namespace === network.namespace)) {
      const blocks = model.virtualNetworks.get(name)!.addressSpace;
      const others = model.virtualNetworks.get(other)!.addressSpace;
      const clash = blocks.find((a) => a !== null && others.some((b) => b !== null && cidrsOverlap(a, b)));
      if (clash === undefined || clash === null) continue;
      const what =
        `network '${other}' is in namespace '${network.namespace!}' too, and ${formatCidr(clash)} overlaps it: ` +
        `networks with the same addresses need a namespace each`;
      findings.error('NAMESPACE_OVERLAP', what, ['virtualNetworks', name, 'namespace']);
    }
  });
}

/** Checks and reads; mistakes go to the findings. */
export function resolveGateway(
  gateway: LabShape['gateway'],
  shapes: AttachmentShapes,
  model: ResourceModel,
  findings: FindingSink,
): GatewaySettings {
  checkHosts(shapes, model, findings);
  checkNames(shapes, findings);
  checkNamespaces(shapes, model, findings);
  const { metricsPort = null, socket = null, offload, workers, natPortsWarningPercent } = gateway;
  if (metricsPort !== null && !(Number.isInteger(metricsPort) && metricsPort >= 0 && metricsPort <= 65535)) {
    const what = `metricsPort is ${String(metricsPort)}; it must be a whole number, 0 to 65535`;
    findings.error('SETTING_RANGE', what, ['gateway', 'metricsPort']);
  }
  if (!(Number.isInteger(natPortsWarningPercent) && natPortsWarningPercent >= 0 && natPortsWarningPercent <= 100)) {
    const what = `natPortsWarningPercent is ${String(natPortsWarningPercent)}; it must be a whole number, 0 to 100`;
    findings.error('SETTING_RANGE', what, ['gateway', 'natPortsWarningPercent']);
  }
  if (!(Number.isInteger(workers) && workers >= 1 && workers <= MAX_WORKERS)) {
    const what = `workers is ${String(workers)}; it must be a whole number, 1 to ${String(MAX_WORKERS)}`;
    findings.error('SETTING_RANGE', what, ['gateway', 'workers']);
  }
  // The kernel keeps 108 octets for a socket's path, the final zero included.
  if (socket !== null && (socket === '' || Buffer.byteLength(socket) > 107)) {
    findings.error('SETTING_RANGE', 'socket is a path of 1 to 107 octets', ['gateway', 'socket']);
  }
  const devices = deviceNames(new Map(Object.entries(shapes).map(([network, { device }]) => [network, device])));
  const networks = new Map(
    Object.entries(shapes).map(([name, network]): [string, NetworkAttachment] => [
      name,
      {
        namespace: network.namespace ?? null,
        device: devices.get(name)!,
        mtu: network.mtu,
        hosts: network.hosts.map(parseAddress),
      },
    ]),
  );
  return { metricsPort, socket, offload, workers, natPortsWarningPercent, networks };
}
