/**
 * What brings a management interface to the resources of a lab file, as steps.
 *
 * Theory of operation. File and state are both written as the entries of entries.ts, in which what means the same is
 * equal; a resource is sent only where its entries differ. A lab file says less than the state can hold: what it does not
 * say (tags, domain names, whether an address was asked for) stays as it is, so a change is sent as the resource that is
 * there with the file's properties in it. Backends are network interfaces in the state: for one that the file gives as an
 * address, any interface with that address serves, whatever its name.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { LabConfig } from '../config/index.js';
import type { ConnectionStatus } from '../service/resources.js';
import { defaultBandwidthInMbps } from '../service/direct-connect.js';
import {
  connectionOf,
  allOf,
  connectionType,
  documentOf,
  featureType,
  partNamed,
  resourceType,
} from '../service/arm/documents.js';
import type { ArmDocument, Documents } from '../service/arm/documents.js';
import { documentsOf } from '../service/arm/from-model.js';
import { isSystemInterface } from '../service/arm/network-interface.js';
import { wishOf } from '../service/arm/private-endpoint.js';
import { without } from '../service/arm/request.js';
import { keyOf } from '../service/arm/resource-id.js';
import type { DocumentType } from '../service/arm/resource-id.js';
import type { Shapes } from '../service/arm/shapes.js';
import type { Step } from '../service/arm/steps.js';
import { entriesOf } from '../service/arm/entries.js';
import type { Entry } from '../service/arm/entries.js';
import { moved, parentKey, placeOf, plainBackends, repooler } from './lab-interfaces.js';
import { lateRequests } from './lab-requests.js';
import { deviceTag, hostTag, mtuTag, namespaceTag } from '../service/arm/tags.js';

/** Dependents first. */
export const deleteOrder: readonly DocumentType[] = [
  'privateEndpoints',
  'privateLinkServices',
  'networkInterfaces',
  'loadBalancers',
  'virtualNetworks',
  'networkSecurityGroups',
];

export interface LabPlan {
  readonly steps: readonly Step[];
  /** Ids of resources that the file does not declare, and that stay. */
  readonly kept: readonly string[];
  /** What the file says and cannot be had. */
  readonly notes: readonly string[];
}

const draw = { guid: () => randomUUID(), uint32: () => randomBytes(4).readUInt32BE(0) };

/** The service gives these, or decides of them with other requests. */
const notCompared = ['alias', 'status', 'linkIdentifier', 'outsideVisibility'];

/** Case does not count in subscriptions, nor in the name of a network, of which its interface's is made. */
const caseless = ['subscription', 'visibility', 'autoApproval', 'roleAssignments', 'device'];

const text = ({ value }: Entry): string =>
  JSON.stringify(
    Object.entries(value)
      .filter(([name]) => !notCompared.includes(name))
      .map(([name, inner]) => [name, caseless.includes(name) ? keyOf(JSON.stringify(inner)) : inner] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );

/**
 * @param written LINKIDs that the file itself gives, by the endpoint's name in it: others are drawn
 * @param prune delete what the file does not declare
 */
export function planLab(
  lab: LabConfig,
  written: ReadonlyMap<string, number>,
  state: Documents,
  prune: boolean,
): LabPlan {
  const wanted = new Map(
    documentsOf(lab.model, lab.gateway.networks, draw).map((document) => [keyOf(document.id), document]),
  );
  return new Planner(written, state, wanted).plan(prune);
}

class Planner {
  readonly #written: ReadonlyMap<string, number>;
  readonly #state: Documents;
  readonly #wanted: Documents;
  readonly #puts: Step[] = [];
  readonly #decisions: Step[] = [];
  readonly #notes: string[] = [];

  constructor(written: ReadonlyMap<string, number>, state: Documents, wanted: Documents) {
    this.#written = written;
    this.#state = state;
    this.#wanted = wanted;
  }

  plan(prune: boolean): LabPlan {
    const there = entriesOf(this.#state).entries;
    const asked = entriesOf(this.#wanted).entries;
    const differs = (key: string, entry: Entry): boolean => {
      const old = there.get(key);
      return old === undefined || text(old) !== text(entry);
    };
    this.#features();
    for (const [key, entry] of asked) {
      if (entry.section === 'privateLinkServices') break;
      if (entry.section !== 'networkInterfaces' && differs(key, entry)) this.#put(key);
    }
    const others = this.#others(asked);
    const gone = new Set(prune ? others.map(({ id }) => keyOf(id)) : []);
    this.#interfaces(asked, differs, gone);
    const late = lateRequests(this.#wanted, there, asked);
    const reopened: Step[] = [];
    for (const [key, entry] of asked) {
      if (entry.section !== 'privateLinkServices') continue;
      const changes = differs(key, entry);
      if (late.has(key)) reopened.push(this.#open(key, late.get(key)!, changes));
      else if (changes) this.#put(key);
    }
    for (const [key, entry] of asked) {
      if (entry.section === 'privateEndpoints' && differs(key, entry)) this.#put(key);
    }
    this.#puts.push(...reopened);
    this.#decide(there, asked);
    const deletes = prune ? others.map(({ id, etag }): Step => ({ op: 'delete', id, expect: etag })) : [];
    return {
      // Deleted first: what they held is free for what comes.
      steps: [...deletes, ...this.#puts, ...this.#decisions],
      kept: prune ? [] : others.map(({ id }) => id),
      notes: this.#notes,
    };
  }

  #features(): void {
    for (const document of this.#wanted.values()) {
      if (document.type !== featureType) continue;
      if (this.#state.get(keyOf(document.id))?.properties['state'] === 'Registered') continue;
      this.#puts.push({ op: 'register', subscription: document.id.split('/')[2]!, feature: document.name });
    }
  }

  /**
   * Lets those ask who could once, and grants nothing, as each decision is a step of its own; it is one change with the steps
   * that follow, so nobody else ever can, or waits. By visibility and auto-approval, as these are never kept from before: other
   * lists that a request leaves out are.
   *
   * @param changes whether the file says something else of the service than the state
   * @returns the step that makes it what it shall be
   */
  #open(key: string, subscriptions: readonly string[], changes: boolean): Step {
    const [{ id }, old] = [this.#wanted.get(key)!, this.#state.get(key)];
    const body: Record<string, unknown> =
      old === undefined || changes ? this.#merged(this.#wanted.get(key)!, old) : { ...old };
    const properties = body['properties'] as Partial<Shapes['privateLinkServices']>;
    const visibility = { subscriptions: [...(properties.visibility?.subscriptions ?? []), ...subscriptions] };
    this.#send(id, { ...body, properties: { ...properties, visibility, autoApproval: { subscriptions: [] } } }, old);
    return { op: 'put', id, body };
  }

  #put(key: string): void {
    const document = this.#wanted.get(key)!;
    this.#send(document.id, this.#merged(document, this.#state.get(key)), this.#state.get(key));
  }

  #send(id: string, body: Record<string, unknown>, before: ArmDocument | undefined): void {
    this.#puts.push({ op: 'put', id, body, expect: before?.etag ?? '' });
  }

  /** The body of a request: the file's properties in the resource that is there. */
  #merged(wanted: ArmDocument, old: ArmDocument | undefined): Record<string, unknown> {
    if (wanted.type === resourceType('privateEndpoints')) return this.#endpoint(wanted, old);
    const own: Record<string, unknown> = without(wanted.properties, 'networkInterfaces', 'alias');
    const { location, tags, sku } = wanted;
    if (old === undefined) return { location, ...given({ tags, sku }), properties: own };
    delete own['fqdns']; // no lab file has them
    for (const [list, merge] of Object.entries(lists)) {
      const [asked, there] = [own[list], old.properties[list]] as (Configuration[] | undefined)[];
      if (asked !== undefined) own[list] = merge(asked, there ?? []);
    }
    const otherTags = without(old.tags ?? {}, namespaceTag, deviceTag, mtuTag, hostTag);
    return {
      ...old,
      tags: { ...otherTags, ...tags },
      ...(sku === undefined ? {} : { sku: { ...old.sku, ...sku } }),
      properties: { ...without(old.properties, ...targets), ...defaults(old.properties), ...own },
    };
  }

  #endpoint({ id, location, properties: own }: ArmDocument, old: ArmDocument | undefined): Record<string, unknown> {
    const wishes = own['privateLinkServiceConnections'] as Configuration[];
    const wish = wishes[0]!;
    const linkIdentifier = connectionOf(this.#wanted, id)?.properties.linkIdentifier;
    const address = addressOf(this.#wanted, id);
    const asked =
      address === undefined || address === addressOf(this.#state, id)
        ? {}
        : { ipConfigurations: [{ name: 'ipconfig', properties: { privateIPAddress: address } }] };
    const connections =
      linkIdentifier === undefined ? wishes : [{ ...wish, properties: { ...wish.properties, linkIdentifier } }];
    if (old === undefined) {
      return {
        location,
        properties: { subnet: own['subnet'], privateLinkServiceConnections: connections, ...asked },
      };
    }
    const keeps = this.#serviceOf(old) === keyOf(String(wish.properties['privateLinkServiceId']));
    return {
      ...old,
      properties: {
        ...old.properties,
        subnet: own['subnet'],
        ...asked,
        ...(keeps ? {} : { privateLinkServiceConnections: wishes, manualPrivateLinkServiceConnections: [] }),
      },
    };
  }

  /** Key of the service that an endpoint leads to, or asked for. */
  #serviceOf(endpoint: ArmDocument): string {
    const connection = connectionOf(this.#state, endpoint.id);
    if (connection !== undefined) return parentKey(connection.id);
    return keyOf(wishOf(endpoint.properties as Shapes['privateEndpoints']));
  }

  /** @param gone keys of what is deleted */
  #interfaces(
    asked: ReadonlyMap<string, Entry>,
    differs: (key: string, entry: Entry) => boolean,
    gone: ReadonlySet<string>,
  ): void {
    const plain = plainBackends(this.#wanted, asked);
    const repool = repooler(this.#wanted, gone);
    for (const nic of allOf(this.#state, 'networkInterfaces')) {
      const key = keyOf(nic.id);
      if (isSystemInterface(nic) || gone.has(key)) continue;
      const entry = asked.get(key);
      const { ipConfigurations: there } = nic.properties;
      const declared = documentOf(this.#wanted, nic.id, 'networkInterfaces')?.properties.ipConfigurations;
      const ipConfigurations =
        entry === undefined || declared === undefined
          ? there.map((configuration, index) => {
              const place = placeOf(nic, index);
              const wanted = plain.get(place)?.properties.ipConfigurations[0];
              plain.delete(place);
              return repool(configuration, wanted);
            })
          : declared.map((wanted) => {
              const old = partNamed(there, wanted.name);
              return old === undefined ? wanted : repool(differs(key, entry) ? moved(old, wanted) : old, wanted);
            });
      const { length } = there;
      if (ipConfigurations.length === length && ipConfigurations.every((each, index) => each === there[index]))
        continue;
      const { id, location, tags, properties } = nic;
      this.#send(id, { location, ...given({ tags }), properties: { ...properties, ipConfigurations } }, nic);
    }
    for (const [key, { section }] of asked) {
      if (section !== 'networkInterfaces') continue;
      const old = documentOf(this.#state, key, 'networkInterfaces');
      if (old === undefined || isSystemInterface(old)) this.#put(key);
    }
    for (const { id, location, properties } of plain.values()) this.#send(id, { location, properties }, undefined);
  }

  #decide(there: ReadonlyMap<string, Entry>, asked: ReadonlyMap<string, Entry>): void {
    for (const [key, { section, id, value }] of asked) {
      if (section !== 'privateEndpoints') continue;
      const old = there.get(key)?.value as ConnectionValue | undefined;
      const { status } = value as unknown as ConnectionValue;
      if (status === 'Pending') {
        const was = old?.status;
        if (was !== undefined && was !== 'Pending') this.#notes.push(`${id} stays ${was}: nobody can undecide`);
      } else if (old?.status !== status) {
        this.#decisions.push({
          op: 'decide',
          endpoint: id,
          status,
        });
      }
      const wish = (this.#wanted.get(key)!.properties['privateLinkServiceConnections'] as Configuration[])[0]!;
      const identifier = this.#written.get(wish.name);
      const has = old?.linkIdentifier;
      if (identifier !== undefined && has !== undefined && has !== identifier) {
        this.#notes.push(`${id} keeps its LINKID ${String(has)}: delete the endpoint to give it ${String(identifier)}`);
      }
    }
  }

  /** What the state has and the file does not declare, dependents first. */
  #others(asked: ReadonlyMap<string, Entry>): ArmDocument[] {
    const plain = plainBackends(this.#wanted, asked);
    const declared = (document: ArmDocument): boolean => {
      if (asked.has(keyOf(document.id))) return true;
      const nic = documentOf(this.#state, document.id, 'networkInterfaces');
      if (nic === undefined) return false;
      return (
        isSystemInterface(nic) || nic.properties.ipConfigurations.some((_, index) => plain.has(placeOf(nic, index)))
      );
    };
    return deleteOrder.flatMap((type) =>
      [...this.#state.values()].filter(
        (document) => document.type === resourceType(type) && document.type !== connectionType && !declared(document),
      ),
    );
  }
}

interface ConnectionValue {
  readonly status: ConnectionStatus;
  readonly linkIdentifier?: number;
}

interface Configuration {
  readonly name: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** A service leads to one of them. */
const targets = ['destinationIPAddress', 'loadBalancerFrontendIpConfigurations'];

/** What a service has and the file leaves out: left out of a request, it would stay. */
const defaults = (old: Readonly<Record<string, unknown>>): object => ({
  ...(old['bandwidthInMbps'] === undefined ? {} : { bandwidthInMbps: defaultBandwidthInMbps }),
  ...(old['proxyProtocol'] === undefined ? {} : { proxyProtocol: { dialect: 'azure' } }),
});

/** Properties of parts that a file leaves out where they have no value. */
const optionalInParts = [
  'networkSecurityGroup',
  'probe',
  'requestPath',
  'probeThreshold',
  'backendAddressPools',
  'sourceAddressPrefix',
  'sourcePortRange',
  'destinationAddressPrefix',
  'destinationPortRange',
];

type Merge = (asked: readonly Configuration[], there: readonly Configuration[]) => Configuration[];

const byName: Merge = (asked, there) =>
  asked.map((each) => {
    const old = partNamed(there, each.name);
    if (old === undefined) return each;
    return { ...old, properties: { ...without(old.properties, ...optionalInParts), ...each.properties } };
  });

/** The names stay, and whether the address was asked for. */
const byAddress: Merge = (asked, there) =>
  asked.map((each) => {
    const { privateIPAddress: address, primary } = each.properties;
    const old = there.find((other) => other.properties['privateIPAddress'] === address);
    if (old !== undefined) return { ...old, properties: { ...old.properties, primary } };
    // A name that another one has would give it that one's address.
    return { ...each, name: `nat-${String(address).replaceAll('.', '-')}` };
  });

const lists: Readonly<Record<string, Merge>> = {
  subnets: byName,
  securityRules: byName,
  backendAddressPools: byName,
  probes: byName,
  loadBalancingRules: byName,
  frontendIPConfigurations: byName,
  ipConfigurations: byAddress,
};

const given = (value: Readonly<Record<string, unknown>>): object =>
  Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined));

function addressOf(documents: Documents, endpointId: string): string | undefined {
  const nic = allOf(documents, 'networkInterfaces').find(
    (each) => keyOf(each.properties.privateEndpoint?.id ?? '') === keyOf(endpointId),
  );
  return nic?.properties.ipConfigurations[0]?.properties.privateIPAddress;
}
