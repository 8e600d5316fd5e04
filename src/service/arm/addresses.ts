/** Who has which address in each virtual network, and the next free one of a subnet. */
import { cidrContains, cidrLast, formatAddress, formatCidr, parseAddress, parseCidr } from '../../wire/address.js';
import type { Cidr } from '../../wire/address.js';
import { addressInUse, checkAddressText } from '../addresses.js';
import { allOf, partNamed, subnetAt } from './documents.js';
import type { ArmDocument, Documents } from './documents.js';
import { documentKey, keyOf, parseResourceId, sameText } from './resource-id.js';
import { armCode, Refusal, refuse, unknownReference } from './refusal.js';
import type { Shapes } from './shapes.js';
import { hostTag } from './tags.js';

interface AddressHolder {
  readonly name: string;
  readonly properties: {
    readonly privateIPAddress?: string | undefined;
    readonly privateIPAllocationMethod?: string | undefined;
    readonly privateIPAddressVersion?: string | undefined;
    readonly subnet?: { readonly id: string } | undefined;
  };
}

/** An address, or where to find a free one. */
interface Wanted {
  readonly address: string | undefined;
  readonly network: string;
  readonly prefix: Cidr;
  readonly subnetId: string;
}

/** The prefix of a subnet, whichever of Azure's two properties has it. */
export const prefixOf = (subnet: Shapes['subnets']): string =>
  subnet.addressPrefix ?? subnet.addressPrefixes?.[0] ?? '';

const networkKeyOf = (subnetId: string): string => {
  const id = parseResourceId(subnetId);
  return id === null ? '' : documentKey(id);
};

/** Whose interface it is: a private endpoint's or service's own one counts as theirs. */
const ownerOfInterface = (nic: ArmDocument<Shapes['networkInterfaces']>): string =>
  nic.properties.privateEndpoint?.id ?? nic.properties.privateLinkService?.id ?? nic.id;

export class Addresses {
  readonly #documents: Documents;
  readonly #self: string;
  /** By network and address; the owner's id. */
  readonly #owners = new Map<string, string>();
  /** Addresses of hosts in the gateway's namespaces: taken, but not by a resource. */
  readonly #hosts = new Set<string>();

  /** @param self the resource that asks: what it has already is its own to keep */
  constructor(documents: Documents, self: string) {
    this.#documents = documents;
    this.#self = keyOf(self);
    for (const nic of allOf(documents, 'networkInterfaces')) {
      this.#claimAll(nic.properties.ipConfigurations, ownerOfInterface(nic));
    }
    for (const balancer of allOf(documents, 'loadBalancers')) {
      this.#claimAll(balancer.properties.frontendIPConfigurations, balancer.id);
    }
    for (const service of allOf(documents, 'privateLinkServices')) {
      this.#claimAll(service.properties.ipConfigurations, service.id);
    }
    for (const network of allOf(documents, 'virtualNetworks')) {
      for (const host of (network.tags?.[hostTag] ?? '').split(/[\s,]+/)) {
        this.#hosts.add(`${keyOf(network.id)} ${String(parseAddress(host))}`);
      }
    }
  }

  #claimAll(holders: readonly AddressHolder[] | undefined, owner: string): void {
    if (keyOf(owner) === this.#self) return;
    for (const { properties } of holders ?? []) {
      if (properties.subnet === undefined) continue;
      this.#claim(networkKeyOf(properties.subnet.id), parseAddress(properties.privateIPAddress ?? ''), owner);
    }
  }

  #claim(network: string, address: number, owner: string): void {
    if (address >= 0) this.#owners.set(`${network} ${String(address)}`, owner);
  }

  /**
   * The addresses of some configurations: as asked for, as they were, or the first free ones of their subnets.
   * @param before what the resource had: a configuration keeps its address by its name
   * @throws Refusal InvalidResourceReference, SubnetIsFull, and what is wrong with an address
   */
  assign(holders: readonly (AddressHolder & { readonly id: string })[], before: readonly AddressHolder[]): string[] {
    // What is named or kept is taken first, so that no new one gets it.
    const wanted = holders.map((holder) => this.#wanted(holder, partNamed(before, holder.name)));
    return wanted.map(({ address, network, prefix, subnetId }) => address ?? this.#free(network, prefix, subnetId));
  }

  #wanted(holder: AddressHolder & { readonly id: string }, before: AddressHolder | undefined): Wanted {
    const { privateIPAddress: asked, subnet: reference, privateIPAllocationMethod: method } = holder.properties;
    const subnetId = reference?.id ?? '';
    const found = subnetAt(this.#documents, subnetId);
    const prefix = parseCidr(found === undefined ? '' : prefixOf(found.subnet.properties));
    if (found === undefined || prefix === null) throw unknownReference(subnetId, holder.id);
    const network = keyOf(found.network.id);
    const dynamic = method === undefined ? asked === undefined : sameText(method, 'Dynamic');
    const kept = sameText(before?.properties.subnet?.id ?? '', subnetId)
      ? before?.properties.privateIPAddress
      : undefined;
    const address = dynamic ? kept : asked;
    if (address !== undefined) this.#take(address, prefix, found.network, holder.id);
    else if (!dynamic) {
      throw refuse(400, 'InvalidRequestFormat', `${holder.id}: allocation Static needs privateIPAddress`, holder.id);
    }
    return { address, network, prefix, subnetId };
  }

  #take(text: string, prefix: Cidr, { id, name }: { readonly id: string; readonly name: string }, place: string): void {
    const fault = checkAddressText(text)[0];
    if (fault !== undefined) throw new Refusal(400, armCode(fault.code), `${place}: ${fault.message}`, place);
    const address = parseAddress(text);
    if (!cidrContains(prefix, address)) {
      const what = `${place}: ${text} is outside its subnet, ${formatCidr(prefix)}: choose an address inside it`;
      throw new Refusal(400, armCode('ADDRESS_OUTSIDE_SUBNET'), what, place);
    }
    const network = keyOf(id);
    const owner = this.#owners.get(`${network} ${String(address)}`);
    if (owner !== undefined) {
      const { code, message } = addressInUse(address, name, owner);
      throw new Refusal(400, armCode(code), message, place);
    }
    this.#claim(network, address, this.#self);
  }

  /** Azure keeps the first four addresses and the last one of each subnet. */
  #free(network: string, prefix: Cidr, subnetId: string): string {
    for (let address = prefix.base + 4; address < cidrLast(prefix); address++) {
      const key = `${network} ${String(address)}`;
      if (this.#owners.has(key) || this.#hosts.has(key)) continue;
      this.#owners.set(key, this.#self);
      return formatAddress(address);
    }
    const what = `Subnet ${subnetId} has no free address left: use a larger subnet, or remove what is not needed.`;
    throw refuse(400, 'SubnetIsFull', what, subnetId);
  }
}
