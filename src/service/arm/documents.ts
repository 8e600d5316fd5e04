/**
 * What the management interface holds: one document for each resource, as the client sent it, with what the service
 * fills in (ids, addresses, aliases, states). Keys are ids in lower case.
 */
import { documentKey, keyOf, parseResourceId, sameText } from './resource-id.js';
import type { DocumentType, ResourceId } from './resource-id.js';
import type { Shapes } from './shapes.js';

export type Properties = Record<string, unknown>;

/** A resource of one type. Unknown properties stay in it. */
export interface ArmDocument<P = Properties> {
  readonly id: string;
  readonly name: string;
  /** For example `Microsoft.Network/privateEndpoints`. */
  readonly type: string;
  readonly location?: string | undefined;
  /** Of a resource group: a client chose the location. Ours; no view has it. */
  readonly locationGiven?: boolean;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly sku?: { readonly name?: string | undefined } | undefined;
  readonly etag: string;
  readonly properties: P;
}

/** A part of a document that has an id: a subnet, a frontend, a rule. */
export interface Part<P = Properties> {
  readonly name: string;
  readonly id?: string;
  readonly properties: P;
}

/** By key, in the order in which they came. */
export type Documents = ReadonlyMap<string, ArmDocument>;

/** What a request does to the documents. */
export interface Change {
  readonly put: readonly ArmDocument[];
  /** Keys. */
  readonly remove: readonly string[];
}

/** Identifiers that are new each time: the machine's randomness, or a test's sequence. */
export interface Draw {
  /** A GUID in lower case. */
  guid(): string;
  /** 0 to 2^32-1. */
  uint32(): number;
}

export function applied(documents: Documents, change: Change): Map<string, ArmDocument> {
  const after = new Map(documents);
  applyTo(after, change);
  return after;
}

/** Makes a change in the documents themselves; nothing else does. */
export function applyTo(documents: Map<string, ArmDocument>, change: Change): void {
  const connections = connectionsOfMaps.get(documents);
  for (const key of [...change.remove, ...change.put.map(({ id }) => keyOf(id))])
    connections?.remove(documents.get(key));
  for (const key of change.remove) documents.delete(key);
  for (const document of change.put) {
    documents.set(keyOf(document.id), document);
    connections?.add(document);
  }
}

const typeText = (type: string): string => `Microsoft.Network/${type}`;

export const resourceType = (type: DocumentType): string => typeText(type);
export const connectionType = typeText('privateLinkServices/privateEndpointConnections');
export const featureType = 'Microsoft.Features/features';
export const groupType = 'Microsoft.Resources/resourceGroups';

type TypedDocument<T extends keyof Shapes> = ArmDocument<Shapes[T]>;
export type Connection = TypedDocument<'privateLinkServices/privateEndpointConnections'>;

export const hasType = <T extends keyof Shapes>(document: ArmDocument, type: T): document is TypedDocument<T> =>
  document.type === typeText(type);

/** All documents of a type; what is held has passed its type's shape. */
export function allOf<T extends keyof Shapes>(documents: Documents, type: T): TypedDocument<T>[] {
  return [...documents.values()].filter((document) => hasType(document, type));
}

export function documentOf<T extends keyof Shapes>(
  documents: Documents,
  id: string,
  type: T,
): TypedDocument<T> | undefined {
  const document = documents.get(keyOf(id));
  return document !== undefined && hasType(document, type) ? document : undefined;
}

export const partNamed = <P extends { readonly name: string }>(
  parts: readonly P[] | undefined,
  name: string,
): P | undefined => parts?.find((part) => sameText(part.name, name));

/** Whether what an id of ours names is there. */
export function exists(documents: Documents, id: ResourceId): boolean {
  const document = documents.get(documentKey(id));
  if (document === undefined || id.part === null) return document !== undefined;
  if (id.part.type === 'privateEndpointConnections') {
    return documents.has(`${documentKey(id)}/privateendpointconnections/${keyOf(id.part.name)}`);
  }
  const parts = (document.properties as Record<string, Part[] | undefined>)[id.part.type];
  return partNamed(parts, id.part.name) !== undefined;
}

/** The network and the subnet that a subnet's id names. */
export function subnetAt(
  documents: Documents,
  id: string,
): { network: TypedDocument<'virtualNetworks'>; subnet: Part<Shapes['subnets']> } | undefined {
  const parsed = parseResourceId(id);
  if (parsed?.part?.type !== 'subnets') return undefined;
  const network = documentOf(documents, documentKey(parsed), 'virtualNetworks');
  const subnet = partNamed(network?.properties.subnets, parsed.part.name);
  return network === undefined || subnet === undefined ? undefined : { network, subnet };
}

/**
 * Connections by their endpoint and by their LINKID, made when somebody first asks for one; it follows the documents, so
 * that many look-ups, and many changes, need not look at all of them each.
 */
class Connections {
  readonly byEndpoint = new Map<string, Connection>();
  readonly byIdentifier = new Map<string, Connection>();

  constructor(documents: Documents) {
    for (const document of documents.values()) this.add(document);
  }

  add(document: ArmDocument): void {
    if (!hasType(document, 'privateLinkServices/privateEndpointConnections')) return;
    const { privateEndpoint, linkIdentifier = '' } = document.properties;
    this.byEndpoint.set(keyOf(privateEndpoint?.id ?? ''), document);
    this.byIdentifier.set(linkIdentifier, document);
  }

  remove(document: ArmDocument | undefined): void {
    if (document === undefined || !hasType(document, 'privateLinkServices/privateEndpointConnections')) return;
    const { privateEndpoint, linkIdentifier = '' } = document.properties;
    this.byEndpoint.delete(keyOf(privateEndpoint?.id ?? ''));
    this.byIdentifier.delete(linkIdentifier);
  }
}

const connectionsOfMaps = new WeakMap<Documents, Connections>();

function connectionsIn(documents: Documents): Connections {
  let connections = connectionsOfMaps.get(documents);
  if (connections === undefined) connectionsOfMaps.set(documents, (connections = new Connections(documents)));
  return connections;
}

/** The connection of an endpoint; undefined when the provider has ended it. */
export const connectionOf = (documents: Documents, endpointId: string): Connection | undefined =>
  connectionsIn(documents).byEndpoint.get(keyOf(endpointId));

/** The connection that has a LINKID. */
export const connectionWith = (documents: Documents, linkIdentifier: string): Connection | undefined =>
  connectionsIn(documents).byIdentifier.get(linkIdentifier);

/** A location as it is compared: `West Europe` is `westeurope`. */
export const plainLocation = (location: string): string => location.toLowerCase().replaceAll(' ', '');
