/** Who has which address in each virtual network, and the next free one of a subnet. */
import { cidrContains, cidrLast, formatAddress, formatCidr, parseAddress, parseCidr } from '../../wire/address.js';
import type { Cidr } from '../../wire/address.js';
import { addressInUse, checkAddressText } from '../addresses.js';
import { hasType, partNamed, subnetAt } from './documents.js';
import type { ArmDocument, Change, Documents } from './documents.js';
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

/** Azure keeps the first four addresses and the last one of each subnet. */
const RESERVED = 4;

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

/** Who has which address; it follows the documents, so that many changes need not look at all of them each. */
export class AddressIndex {
  /** By network and address; the owner's id. */
  readonly owners = new Map<string, string>();
  /** Keys of owners of whom a later step says what they have: whoever asks for one of their addresses by name gets it. */
  readonly moving = new Set<string>();
  /** Addresses of hosts in the gateway's namespaces: taken, but not by a resource. */
  readonly hosts = new Set<string>();
  /** By network and prefix: the first address that may be free; all before it are taken. */
  readonly #taken = new Map<string, number>();

  constructor(documents: Documents) {
    for (const document of documents.values()) this.#add(document);
  }

  /** @param documents as they are before the change */
  follow(documents: Documents, { put, remove }: Change): void {
    for (const key of [...remove, ...put.map(({ id }) => keyOf(id))]) {
      const old = documents.get(key);
      if (old === undefined) continue;
      for (const [place, owner] of claimsOf(old))
        if (this.owners.get(place) === owner) this.#release(this.owners, place);
      for (const place of hostsOf(old)) this.#release(this.hosts, place);
    }
    for (const document of put) this.#add(document);
  }

  #release(places: { delete(place: string): boolean }, place: string): void {
    if (places.delete(place)) this.#taken.clear();
  }

  /** The first address of a subnet that nobody has, not counting Azure's own first four; perhaps behind its end. */
  firstFree(network: string, prefix: Cidr): number {
    const key = `${network} ${formatCidr(prefix)}`;
    let address = this.#taken.get(key) ?? prefix.base + RESERVED;
    for (; address < cidrLast(prefix); address++) {
      const place = placeOf(network, address);
      if (!this.owners.has(place) && !this.hosts.has(place)) break;
    }
    this.#taken.set(key, address);
    return address;
  }

  #add(document: ArmDocument): void {
    for (const [place, owner] of claimsOf(document)) this.owners.set(place, owner);
    for (const place of hostsOf(document)) this.hosts.add(place);
  }
}

const placeOf = (network: string, address: number): string => `${network} ${String(address)}`;

/** What a document has: network and address, and the owner's id. */
function claimsOf(document: ArmDocument): [string, string][] {
  if (hasType(document, 'networkInterfaces'))
    return claims(document.properties.ipConfigurations, ownerOfInterface(document));
  if (hasType(document, 'loadBalancers')) return claims(document.properties.frontendIPConfigurations, document.id);
  if (hasType(document, 'privateLinkServices')) return claims(document.properties.ipConfigurations, document.id);
  return [];
}

const claims = (holders: readonly AddressHolder[] | undefined, owner: string): [string, string][] =>
  (holders ?? []).flatMap(({ properties }): [string, string][] => {
    const address = parseAddress(properties.privateIPAddress ?? '');
    if (properties.subnet === undefined || address < 0) return [];
    return [[placeOf(networkKeyOf(properties.subnet.id), address), owner]];
  });

const hostsOf = (document: ArmDocument): string[] =>
  hasType(document, 'virtualNetworks')
    ? (document.tags?.[hostTag] ?? '').split(/[\s,]+/).map((host) => placeOf(keyOf(document.id), parseAddress(host)))
    : [];

export class Addresses {
  readonly #documents: Documents;
  readonly #self: string;
  readonly #index: AddressIndex;
  /** Taken by this request. */
  readonly #taken = new Set<string>();

  /** @param self the resource that asks: what it has already is its own to keep */
  constructor(documents: Documents, self: string, index = new AddressIndex(documents)) {
    this.#documents = documents;
    this.#self = keyOf(self);
    this.#index = index;
  }

  #ownerOf(place: string): string | undefined {
    if (this.#taken.has(place)) return this.#self;
    const owner = this.#index.owners.get(place);
    return owner === undefined || keyOf(owner) === this.#self ? undefined : owner;
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
    const { privateIPAddressVersion: version = 'IPv4' } = holder.properties;
    if (!sameText(version, 'IPv4')) {
      const what = `${holder.id}: privateIPAddressVersion is ${version}, and addresses are IPv4 only: leave it out.`;
      throw new Refusal(400, armCode('IPV4_ONLY'), what, holder.id);
    }
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

  #take(
    text: string,
    prefix: Cidr,
    { id, name }: { readonly id: string; readonly name: string },
    holder: string,
  ): void {
    const fault = checkAddressText(text)[0];
    if (fault !== undefined) throw new Refusal(400, armCode(fault.code), `${holder}: ${fault.message}`, holder);
    const address = parseAddress(text);
    if (!cidrContains(prefix, address)) {
      const what = `${holder}: ${text} is outside its subnet, ${formatCidr(prefix)}: choose an address inside it`;
      throw new Refusal(400, armCode('ADDRESS_OUTSIDE_SUBNET'), what, holder);
    }
    const place = placeOf(keyOf(id), address);
    const owner = this.#ownerOf(place);
    if (owner !== undefined && !this.#index.moving.has(keyOf(owner))) {
      const { code, message } = addressInUse(address, name, owner);
      throw new Refusal(400, armCode(code), message, holder);
    }
    this.#taken.add(place);
  }

  #free(network: string, prefix: Cidr, subnetId: string): string {
    // Who is there already may get what it has itself.
    const isNew = !this.#documents.has(this.#self);
    const first = isNew ? this.#index.firstFree(network, prefix) : prefix.base + RESERVED;
    for (let address = first; address < cidrLast(prefix); address++) {
      const place = placeOf(network, address);
      if (this.#ownerOf(place) !== undefined || this.#index.hosts.has(place)) continue;
      this.#taken.add(place);
      return formatAddress(address);
    }
    const what = `Subnet ${subnetId} has no free address left: use a larger subnet, or remove what is not needed.`;
    throw refuse(400, 'SubnetIsFull', what, subnetId);
  }
}
