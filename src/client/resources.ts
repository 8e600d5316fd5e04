/** Resources of a management interface, found by what people call them. */
import { CulvertError } from '../errors.js';
import type { Part } from '../service/arm/documents.js';
import { keyOf, lastName, parseResourceId, sameText } from '../service/arm/resource-id.js';
import type { DocumentType } from '../service/arm/resource-id.js';
import type { Shapes } from '../service/arm/shapes.js';
import type { ApiClient, Json } from './api-client.js';

/** Where to look; absent: everywhere. */
export interface Scope {
  readonly subscription?: string | undefined;
  readonly resourceGroup?: string | undefined;
}

/** A resource as the interface shows it. */
export interface Resource<P = Json> {
  readonly id: string;
  readonly name: string;
  readonly location?: string;
  readonly properties: P;
}

export type Connection = Resource<Shapes['privateLinkServices/privateEndpointConnections']>;
export type Service = Resource<Shapes['privateLinkServices'] & { readonly privateEndpointConnections: Connection[] }>;
export type Endpoint = Resource<Shapes['privateEndpoints']>;
export type NetworkInterface = Resource<Shapes['networkInterfaces']>;

const kinds: Readonly<Record<DocumentType, string>> = {
  virtualNetworks: 'virtual network',
  loadBalancers: 'load balancer',
  networkInterfaces: 'network interface',
  networkSecurityGroups: 'network security group',
  privateLinkServices: 'private link service',
  privateEndpoints: 'private endpoint',
};

export async function subscriptionsOf(client: ApiClient): Promise<string[]> {
  return (await client.list('/subscriptions')).map((each) => String(each['subscriptionId']));
}

/** All resources of a type in a scope. */
export async function listResources<R extends Resource>(
  client: ApiClient,
  type: DocumentType,
  { subscription, resourceGroup }: Scope = {},
): Promise<R[]> {
  const subscriptions = subscription === undefined ? await subscriptionsOf(client) : [subscription];
  const lists = await Promise.all(
    subscriptions.map((each) => client.list(`/subscriptions/${each}/providers/Microsoft.Network/${type}`)),
  );
  const all = lists.flat() as unknown as R[];
  return resourceGroup === undefined ? all : all.filter(({ id }) => sameText(groupOf(id), resourceGroup));
}

export const subscriptionOf = (id: string): string => id.split('/')[2] ?? '';
export const groupOf = (id: string): string => id.split('/')[4] ?? '';

/**
 * The one resource of that name, or with that id.
 * @throws CulvertError CLIENT_NOT_FOUND, CLIENT_AMBIGUOUS; ApiError
 */
export async function findResource<R extends Resource>(
  client: ApiClient,
  type: DocumentType,
  name: string,
  scope: Scope,
): Promise<R> {
  if (name.startsWith('/')) {
    if (parseResourceId(name)?.type !== type) {
      throw new CulvertError('CLIENT_NOT_FOUND', `'${name}' is no id of a ${kinds[type]}`);
    }
    return (await client.get(name)) as unknown as R;
  }
  const all = await listResources<R>(client, type, scope);
  return theOne(
    all.filter((each) => sameText(each.name, name)),
    kinds[type],
    name,
    all.map((each) => each.name),
  );
}

/** The only one of those found. @throws CulvertError CLIENT_NOT_FOUND, CLIENT_AMBIGUOUS */
export function theOne<T extends { readonly id: string }>(
  found: readonly T[],
  kind: string,
  name: string,
  known: readonly string[],
): T {
  const [first, second] = found;
  if (first === undefined) {
    const there = known.length === 0 ? 'there is none' : `there is ${known.slice(0, 10).join(', ')}`;
    throw new CulvertError('CLIENT_NOT_FOUND', `no ${kind} '${name}': ${there}${known.length > 10 ? ', ...' : ''}`);
  }
  if (second === undefined) return first;
  const ids = found.map(({ id }) => `  ${id}`).join('\n');
  throw new CulvertError('CLIENT_AMBIGUOUS', `several have the name '${name}': give one's id, or its scope\n${ids}`);
}

/** A subnet by `network/subnet` or its id, with its network. @throws CulvertError CLIENT_*; ApiError */
export async function findSubnet(
  client: ApiClient,
  text: string,
  scope: Scope,
): Promise<{ readonly id: string; readonly network: Resource }> {
  const { parent, part } = await findPart(client, 'virtualNetworks', 'subnets', text, scope);
  return { id: `${parent.id}/subnets/${part}`, network: parent };
}

/** A part of a resource by `name/part` or its id. @throws CulvertError CLIENT_*; ApiError */
export async function findPart(
  client: ApiClient,
  type: DocumentType,
  partType: string,
  text: string,
  scope: Scope,
): Promise<{ readonly parent: Resource; readonly part: string }> {
  const id = text.startsWith('/') ? text.split('/').slice(0, -2).join('/') : text.split('/')[0]!;
  const parent = await findResource(client, type, id, scope);
  const parts = (parent.properties[partType] ?? []) as Part[];
  const name = lastName(text);
  const part = text.includes('/') ? parts.find((each) => sameText(each.name, name)) : undefined;
  if (part !== undefined) return { parent, part: part.name };
  const known = parts.map((each) => `${parent.name}/${each.name}`).join(', ');
  const there = known === '' ? `${parent.name} has none` : `there is ${known}`;
  throw new CulvertError('CLIENT_NOT_FOUND', `'${text}' is none of ${partType}: ${there}`);
}

/** Connections of all services of a scope, with their services. */
export async function listConnections(
  client: ApiClient,
  scope: Scope,
): Promise<{ readonly service: Service; readonly connection: Connection }[]> {
  const services = await listResources<Service & Resource>(client, 'privateLinkServices', scope);
  return services.flatMap((service) =>
    service.properties.privateEndpointConnections.map((connection) => ({ service, connection })),
  );
}

/**
 * A connection by its name, its endpoint's name, its LINKID or its id.
 * @throws CulvertError CLIENT_NOT_FOUND, CLIENT_AMBIGUOUS; ApiError
 */
export async function findConnection(
  client: ApiClient,
  text: string,
  service: string | undefined,
  scope: Scope,
): Promise<Connection> {
  const all = (await listConnections(client, scope)).filter(
    ({ service: each }) => service === undefined || sameText(each.name, service) || sameText(each.id, service),
  );
  const found = all.filter(({ connection: { id, name, properties } }) => {
    const endpoint = lastName(properties.privateEndpoint?.id ?? '');
    return sameText(id, text) || sameText(name, text) || sameText(endpoint, text) || properties.linkIdentifier === text;
  });
  const connections = found.map(({ connection }) => connection);
  const known = all.map(({ connection }) => lastName(connection.properties.privateEndpoint?.id ?? ''));
  return theOne(connections, 'connection', text, known);
}

/** The address of each private endpoint, by its key. */
export async function endpointAddresses(client: ApiClient, scope: Scope): Promise<Map<string, string>> {
  const interfaces = await listResources<NetworkInterface & Resource>(client, 'networkInterfaces', scope);
  return new Map(
    interfaces.flatMap(({ properties: { privateEndpoint, ipConfigurations } }) =>
      privateEndpoint === undefined
        ? []
        : [[keyOf(privateEndpoint.id), ipConfigurations[0]?.properties.privateIPAddress ?? '']],
    ),
  );
}
