/** What `culvert pls`, `culvert pe` and `culvert connections` do: requests of the management interface, and tables. */
import type { ApiClient, Json } from '../client/api-client.js';
import {
  endpointAddresses,
  findConnection,
  findPart,
  findResource,
  findSubnet,
  groupOf,
  listConnections,
  listResources,
  theOne,
  subscriptionOf,
} from '../client/resources.js';
import type { Connection, Endpoint, Resource, Scope, Service } from '../client/resources.js';
import { formatResourceId, keyOf, lastName, parseResourceId, sameText } from '../service/arm/resource-id.js';
import type { DocumentType } from '../service/arm/resource-id.js';
import { clientOf, printJson, scopeOf } from './client-flags.js';
import type { ClientFlags, ScopeFlags } from './client-flags.js';
import { CulvertError } from '../errors.js';
import { UsageError } from './failure.js';
import { columns } from './columns.js';
import { print } from './print.js';
import { connectionText, endpointText, serviceText, statusOfEndpoint, targetText } from './resources-text.js';

export type ResourceFlags = ClientFlags & ScopeFlags;

export interface CreateServiceFlags extends ResourceFlags {
  readonly frontend?: string;
  readonly destination?: string;
  readonly subnet?: string;
  readonly natIp?: readonly string[];
  readonly natIps?: string;
  readonly proxyProtocol?: boolean;
  readonly visibility?: readonly string[];
  readonly autoApproval?: readonly string[];
  readonly location?: string;
}

export interface CreateEndpointFlags extends ResourceFlags {
  readonly subnet: string;
  readonly service: string;
  readonly address?: string;
  readonly message?: string;
  readonly location?: string;
}

export interface DecideFlags extends ResourceFlags {
  readonly service?: string;
  readonly description?: string;
}

/** Prints a table, or what the interface answered as JSON. */
function printList(flags: ClientFlags, items: readonly unknown[], head: readonly string[], rows: string[][]): void {
  if (flags.json === true) printJson(items);
  else print(items.length === 0 ? 'there are none\n' : `${columns(head, rows)}\n`);
}

const printOne = (flags: ClientFlags, item: unknown, text: string): void => {
  if (flags.json === true) printJson(item);
  else print(text);
};

async function listServices(flags: ResourceFlags): Promise<void> {
  const services = await listResources<Service & Resource>(
    await clientOf(flags),
    'privateLinkServices',
    scopeOf(flags),
  );
  const rows = services.map(({ id, name, location = '', properties: p }) => [
    name,
    groupOf(id),
    subscriptionOf(id),
    location,
    targetText(p),
    String(p.ipConfigurations?.length ?? 0),
    p.enableProxyProtocol === true ? 'v2' : '-',
    String(p.privateEndpointConnections.length),
    p.alias ?? '',
  ]);
  const head = ['NAME', 'GROUP', 'SUBSCRIPTION', 'LOCATION', 'TO', 'NAT IPS', 'PROXY', 'CONNECTIONS', 'ALIAS'];
  printList(flags, services, head, rows);
}

async function listEndpoints(flags: ResourceFlags): Promise<void> {
  const client = await clientOf(flags);
  const scope = scopeOf(flags);
  const [endpoints, addresses] = await Promise.all([
    listResources<Endpoint & Resource>(client, 'privateEndpoints', scope),
    endpointAddresses(client, scope),
  ]);
  const rows = endpoints.map((endpoint) => [
    endpoint.name,
    groupOf(endpoint.id),
    subscriptionOf(endpoint.id),
    addresses.get(keyOf(endpoint.id)) ?? '',
    ...statusOfEndpoint(endpoint),
  ]);
  printList(flags, endpoints, ['NAME', 'GROUP', 'SUBSCRIPTION', 'ADDRESS', 'SERVICE', 'STATUS'], rows);
}

const remover =
  (type: DocumentType) =>
  async (name: string, flags: ResourceFlags): Promise<void> => {
    const client = await clientOf(flags);
    const { id } = await findResource(client, type, name, scopeOf(flags));
    await client.change('DELETE', id);
    printOne(flags, { deleted: id }, `deleted ${id}\n`);
  };

async function showService(name: string, flags: ResourceFlags): Promise<void> {
  const client = await clientOf(flags);
  const service = await findResource<Service & Resource>(client, 'privateLinkServices', name, scopeOf(flags));
  printOne(flags, service, serviceText(service));
}

async function showEndpoint(name: string, flags: ResourceFlags): Promise<void> {
  const client = await clientOf(flags);
  const scope = scopeOf(flags);
  const [endpoint, addresses] = await Promise.all([
    findResource<Endpoint & Resource>(client, 'privateEndpoints', name, scope),
    endpointAddresses(client, scope),
  ]);
  printOne(flags, endpoint, endpointText(endpoint, addresses.get(keyOf(endpoint.id)) ?? ''));
}

export const pls = { list: listServices, show: showService, remove: remover('privateLinkServices') };
export const pe = { list: listEndpoints, show: showEndpoint, remove: remover('privateEndpoints') };

/** Where a new resource goes: as asked, else beside its network. */
const placeOf = (flags: ResourceFlags, type: DocumentType, name: string, network: Resource): string =>
  formatResourceId({
    subscription: scopeOf(flags).subscription ?? subscriptionOf(network.id),
    resourceGroup: flags.resourceGroup ?? groupOf(network.id),
    type,
    name,
    part: null,
  });

/** Names are looked for everywhere: what a new resource refers to may be in another group or subscription. */
const EVERYWHERE: Scope = {};

export async function createService(name: string, flags: CreateServiceFlags): Promise<void> {
  const client = await clientOf(flags);
  const scope = scopeOf(flags);
  const old = await serviceToChange(client, name, scope);
  const nat = await natOf(client, flags, old);
  const frontend =
    flags.frontend === undefined
      ? undefined
      : await findPart(client, 'loadBalancers', 'frontendIPConfigurations', flags.frontend, EVERYWHERE);
  if (old === undefined && (nat === null || (frontend === undefined && flags.destination === undefined))) {
    throw new UsageError(
      'a new service needs --subnet with --nat-ip or --nat-ips, and --frontend or --destination that it leads to',
    );
  }
  const properties: Json = {
    ...old?.properties,
    ...(nat === null ? {} : { ipConfigurations: nat.configurations }),
    ...(frontend === undefined
      ? {}
      : {
          loadBalancerFrontendIpConfigurations: [
            { id: `${frontend.parent.id}/frontendIPConfigurations/${frontend.part}` },
          ],
        }),
    ...(flags.destination === undefined ? {} : { destinationIPAddress: flags.destination }),
    ...(flags.proxyProtocol === undefined ? {} : { enableProxyProtocol: flags.proxyProtocol }),
    ...(flags.visibility === undefined ? {} : { visibility: { subscriptions: flags.visibility } }),
    ...(flags.autoApproval === undefined ? {} : { autoApproval: { subscriptions: flags.autoApproval } }),
  };
  const id = old?.id ?? (name.startsWith('/') ? name : placeOf(flags, 'privateLinkServices', name, nat!.network));
  const location = flags.location ?? old?.location ?? nat?.network.location;
  const made = (await client.change('PUT', id, { location, properties })) as unknown as Service & Resource;
  printOne(flags, made, serviceText(made));
}

/** The service of that name or id, if there is one. @throws CulvertError CLIENT_AMBIGUOUS, CLIENT_NOT_FOUND */
async function serviceToChange(
  client: ApiClient,
  name: string,
  scope: Scope,
): Promise<(Service & Resource) | undefined> {
  const byId = name.startsWith('/');
  if (byId && parseResourceId(name)?.type !== 'privateLinkServices') {
    throw new CulvertError('CLIENT_NOT_FOUND', `'${name}' is no id of a private link service`);
  }
  const all = await listResources<Service & Resource>(client, 'privateLinkServices', byId ? EVERYWHERE : scope);
  const found = all.filter((each) => sameText(byId ? each.id : each.name, name));
  return found.length === 0 ? undefined : theOne(found, 'private link service', name, []);
}

/** The NAT addresses that are asked for; null: none are. */
async function natOf(
  client: ApiClient,
  flags: CreateServiceFlags,
  old: Service | undefined,
): Promise<{ readonly network: Resource; readonly configurations: readonly Json[] } | null> {
  const { natIp, natIps, subnet } = flags;
  if (natIp === undefined && natIps === undefined) return null;
  if (natIp !== undefined && natIps !== undefined) throw new UsageError('--nat-ip and --nat-ips exclude each other');
  const before = old?.properties.ipConfigurations ?? [];
  const place = subnet ?? before[0]?.properties.subnet.id;
  if (place === undefined) throw new UsageError('--subnet NETWORK/SUBNET tells where the NAT addresses are');
  const { id, network } = await findSubnet(client, place, EVERYWHERE);
  const count = natIp?.length ?? Number(natIps);
  if (!Number.isInteger(count) || count < 1 || count > 64) throw new UsageError('--nat-ips is a whole number, 1 to 64');
  const configurations = Array.from({ length: count }, (_, index): Json => {
    const address = natIp?.[index];
    const kept =
      address === undefined ? before[index] : before.find((each) => each.properties.privateIPAddress === address);
    if (kept !== undefined) return { ...kept, properties: { ...kept.properties, primary: index === 0 } };
    return {
      name: freeName(
        before.map((each) => each.name),
        index,
      ),
      properties: {
        subnet: { id },
        primary: index === 0,
        ...(address === undefined ? {} : { privateIPAddress: address, privateIPAllocationMethod: 'Static' }),
      },
    };
  });
  return { network, configurations };
}

/** A name that no configuration has: of the old ones some may stay, under other numbers. */
function freeName(taken: readonly string[], index: number): string {
  const names = taken.map(keyOf);
  for (let number = index + 1; ; number += 64) {
    const name = `nat-${String(number)}`;
    if (!names.includes(name)) return name;
  }
}

export async function createEndpoint(name: string, flags: CreateEndpointFlags): Promise<void> {
  const client = await clientOf(flags);
  const { id: subnet, network } = await findSubnet(client, flags.subnet, EVERYWHERE);
  const byAlias = flags.service.toLowerCase().endsWith('.privatelinkservice');
  const service = byAlias
    ? flags.service
    : (await findResource(client, 'privateLinkServices', flags.service, EVERYWHERE)).id;
  const list = byAlias ? 'manualPrivateLinkServiceConnections' : 'privateLinkServiceConnections';
  const wish = {
    privateLinkServiceId: service,
    ...(flags.message === undefined ? {} : { requestMessage: flags.message }),
  };
  const id = placeOf(flags, 'privateEndpoints', name, network);
  const made = (await client.change('PUT', id, {
    location: flags.location ?? network.location,
    properties: {
      subnet: { id: subnet },
      [list]: [{ name, properties: wish }],
      ...(flags.address === undefined
        ? {}
        : { ipConfigurations: [{ name: 'ipconfig', properties: { privateIPAddress: flags.address } }] }),
    },
  })) as unknown as Endpoint & Resource;
  const addresses = await endpointAddresses(client, { subscription: subscriptionOf(id) });
  printOne(flags, made, endpointText(made, addresses.get(keyOf(made.id)) ?? ''));
}

export async function listAllConnections(flags: DecideFlags): Promise<void> {
  const all = (await listConnections(await clientOf(flags), scopeOf(flags))).filter(
    ({ service }) =>
      flags.service === undefined || sameText(service.name, flags.service) || sameText(service.id, flags.service),
  );
  const rows = all.map(({ service, connection: { name, properties: p } }) => [
    service.name,
    lastName(p.privateEndpoint?.id ?? ''),
    subscriptionOf(p.privateEndpoint?.id ?? ''),
    p.privateLinkServiceConnectionState?.status ?? '',
    p.linkIdentifier ?? '',
    name,
  ]);
  const connections = all.map(({ connection }) => connection);
  printList(flags, connections, ['SERVICE', 'ENDPOINT', 'SUBSCRIPTION', 'STATUS', 'LINKID', 'NAME'], rows);
}

export async function showConnection(name: string, flags: DecideFlags): Promise<void> {
  const connection = await findConnection(await clientOf(flags), name, flags.service, scopeOf(flags));
  printOne(flags, connection, connectionText(connection));
}

export async function decide(decision: 'approve' | 'reject', name: string, flags: DecideFlags): Promise<void> {
  const client = await clientOf(flags);
  const connection = await findConnection(client, name, flags.service, scopeOf(flags));
  const status = decision === 'approve' ? 'Approved' : 'Rejected';
  const state = { status, ...(flags.description === undefined ? {} : { description: flags.description }) };
  const decided = (await client.change('PUT', connection.id, {
    properties: { privateLinkServiceConnectionState: state },
  })) as unknown as Connection;
  printOne(flags, decided, connectionText(decided));
}

export async function removeConnection(name: string, flags: DecideFlags): Promise<void> {
  const client = await clientOf(flags);
  const { id } = await findConnection(client, name, flags.service, scopeOf(flags));
  await client.change('DELETE', id);
  printOne(flags, { deleted: id }, `deleted ${id}\n`);
}
