/** Private endpoints: the request for a connection, and the end of one. */
import { parseAlias } from '../alias.js';
import { checkLinkIdentifier, drawRandomLinkIdentifier, linkIdentifierInUse } from '../link-identifier.js';
import { checkRequest, initialStatus } from '../visibility.js';
import { Addresses } from './addresses.js';
import { allOf, connectionOf, connectionType, connectionWith, documentOf } from './documents.js';
import type { ArmDocument, Change, Documents, Draw } from './documents.js';
import { audienceOf } from './model.js';
import { systemInterface } from './network-interface.js';
import { refuseApplicationSecurityGroups } from './network-security-group.js';
import { formatResourceId, keyOf, lastName, parseResourceId, sameText } from './resource-id.js';
import { bare, changeNotAllowed, checkName, checkSameLocation, draftOf, newEtag, without } from './request.js';
import type { PutRequest } from './request.js';
import { armCode, Refusal, refuse, unknownReference } from './refusal.js';
import type { Shapes } from './shapes.js';

type Endpoint = Shapes['privateEndpoints'];
type ServiceDocument = ArmDocument<Shapes['privateLinkServices']>;

interface Wish {
  /** Of the service, or its alias. */
  readonly id: string;
  readonly message: string;
  readonly linkIdentifier: string | undefined;
  readonly manual: boolean;
}

const wishesOf = (endpoint: Endpoint): Wish[] =>
  (['privateLinkServiceConnections', 'manualPrivateLinkServiceConnections'] as const).flatMap((list) =>
    (endpoint[list] ?? []).map(({ properties }) => ({
      id: properties.privateLinkServiceId,
      message: properties.requestMessage ?? '',
      linkIdentifier: properties.linkIdentifier,
      manual: list.startsWith('manual'),
    })),
  );

/** The service that an endpoint asked for, by id or alias, whether or not it is still there. */
export const wishOf = (endpoint: Endpoint): string => wishesOf(endpoint)[0]?.id ?? '';

/** @throws Refusal InvalidResourceReference, PrivateLinkServiceAliasNotFound */
function serviceFor(wish: { id: string; manual: boolean }, documents: Documents, from: string): ServiceDocument {
  const byId = parseResourceId(wish.id);
  if (byId !== null) {
    const service = documentOf(documents, wish.id, 'privateLinkServices');
    if (service === undefined) throw unknownReference(wish.id, from);
    return service;
  }
  if (!wish.manual) {
    const what =
      `privateLinkServiceId '${wish.id}' is no resource id: by alias a connection can only be asked for in ` +
      `manualPrivateLinkServiceConnections.`;
    throw refuse(400, 'InvalidRequestFormat', what, wish.id);
  }
  const service = serviceByAlias(documents, wish.id);
  if (service !== undefined) return service;
  const form =
    parseAlias(wish.id) === null ? ' It is not of the form prefix.GUID.region.azure.privatelinkservice.' : '';
  const what = `No private link service has the alias '${wish.id}'.${form} Ask the provider for its alias or resource id.`;
  throw refuse(404, 'PrivateLinkServiceAliasNotFound', what, wish.id);
}

export const serviceByAlias = (documents: Documents, alias: string): ServiceDocument | undefined =>
  allOf(documents, 'privateLinkServices').find((service) => sameText(service.properties.alias ?? '', alias));

export function putPrivateEndpoint(request: PutRequest): Change {
  const { documents, draw } = request;
  const before = documentOf(documents, formatResourceId(request.id), 'privateEndpoints');
  const draft = draftOf(request, 'privateEndpoints', before);
  const { id } = draft;
  const wishes = wishesOf(draft.properties);
  const wish = wishes[0];
  if (wish === undefined || wishes.length > 1) {
    const what = `Private endpoint ${id} names ${String(wishes.length)} private link services: name exactly one`;
    const where = 'in privateLinkServiceConnections or manualPrivateLinkServiceConnections';
    throw refuse(400, 'PrivateEndpointConnectionCount', `${what}, ${where}.`, id);
  }
  checkSameLocation(draft, draft.properties.subnet.id, documents);
  refuseApplicationSecurityGroups(draft.properties['applicationSecurityGroups'], id, 'applicationSecurityGroups');
  if (before !== undefined) checkFixed(before, draft, wish.id);
  const nic = interfaceOf(request, draft, before);
  const properties = {
    ...without(draft.properties, 'customDnsConfigs'),
    ...named(draft.properties, id),
    subnet: bare(draft.properties.subnet),
    networkInterfaces: [{ id: nic.id }],
  };
  const endpoint = { ...draft, properties };
  // An endpoint keeps its connection, or the loss of it, for its life.
  if (before !== undefined) return { put: [endpoint, nic], remove: [] };
  const service = serviceFor(wish, documents, id);
  const audience = audienceOf(service);
  const consumer = request.id.subscription.toLowerCase();
  const outside = checkRequest({ ...audience, name: service.id }, consumer)[0];
  if (outside !== undefined) throw new Refusal(403, armCode(outside.code), outside.message, service.id);
  const status = initialStatus(audience, consumer);
  return { put: [endpoint, nic, connectionFor(endpoint, service, status, wish, documents, draw)], remove: [] };
}

/** Name of the one ipConfiguration of an endpoint's interface. */
export const endpointConfiguration = 'privateEndpointIpConfig';

/** Subnet, service and interface are an endpoint's for its life. */
function checkFixed(before: ArmDocument<Endpoint>, draft: ArmDocument<Endpoint>, wish: string): void {
  const [old, asked] = [before.properties, draft.properties];
  if (!sameText(old.subnet.id, asked.subnet.id))
    throw changeNotAllowed(draft.id, 'subnet', old.subnet.id, asked.subnet.id);
  if (!sameText(wishOf(old), wish)) throw changeNotAllowed(draft.id, 'privateLinkServiceId', wishOf(old), wish);
  const name = asked.customNetworkInterfaceName;
  const has = lastName(old.networkInterfaces?.[0]?.id ?? '');
  if (name !== undefined && !sameText(name, has)) {
    throw changeNotAllowed(draft.id, 'customNetworkInterfaceName', has, name);
  }
}

function interfaceOf(
  { id, documents, draw, addresses }: PutRequest,
  draft: ArmDocument<Endpoint>,
  old: ArmDocument<Endpoint> | undefined,
): ArmDocument {
  const { subnet, ipConfigurations, customNetworkInterfaceName } = draft.properties;
  if (customNetworkInterfaceName !== undefined) checkName(customNetworkInterfaceName, 'customNetworkInterfaceName');
  const name = customNetworkInterfaceName ?? `${draft.name}.nic.${draw.guid()}`;
  const nicId =
    old?.properties.networkInterfaces?.[0]?.id ?? formatResourceId({ ...id, type: 'networkInterfaces', name });
  const existing = documentOf(documents, nicId, 'networkInterfaces');
  if (existing !== undefined && !sameText(existing.properties.privateEndpoint?.id ?? '', draft.id)) {
    const what = `customNetworkInterfaceName '${name}' is the name of another network interface: choose another.`;
    throw refuse(409, 'PropertyChangeNotAllowed', what, 'customNetworkInterfaceName');
  }
  const asked = ipConfigurations?.[0]?.properties.privateIPAddress;
  const holder = { name: endpointConfiguration, id: draft.id, properties: { subnet, privateIPAddress: asked } };
  const before = existing?.properties.ipConfigurations ?? [];
  const [address = ''] = new Addresses(documents, draft.id, addresses).assign([holder], before);
  const configuration = { name: holder.name, address, subnet: subnet.id };
  return systemInterface(draft, 'privateEndpoint', nicId, [configuration], draw);
}

/** Ids of the requests inside an endpoint. */
function named(endpoint: Endpoint, id: string): Partial<Endpoint> {
  const lists = ['privateLinkServiceConnections', 'manualPrivateLinkServiceConnections'] as const;
  return Object.fromEntries(
    lists.map((list) => [
      list,
      (endpoint[list] ?? []).map((wish) => {
        const properties = without(wish.properties, 'privateLinkServiceConnectionState');
        return {
          ...without(wish, 'etag'),
          id: `${id}/${list}/${wish.name}`,
          type: `Microsoft.Network/privateEndpoints/${list}`,
          properties: { provisioningState: 'Succeeded', ...properties },
        };
      }),
    ]),
  );
}

/** @throws Refusal for a LINKID that is none, or another connection's */
function identifierFor({ linkIdentifier: asked }: Wish, documents: Documents, draw: Draw): string {
  const ownerOf = (identifier: string): string | undefined => connectionWith(documents, identifier)?.id;
  if (asked === undefined) {
    return String(drawRandomLinkIdentifier(draw, (value) => ownerOf(String(value)) !== undefined));
  }
  const value = /^[1-9]\d{0,9}$/.test(asked) ? Number(asked) : NaN;
  const owner = ownerOf(asked);
  const fault = owner === undefined ? checkLinkIdentifier(value)[0] : linkIdentifierInUse(value, owner);
  if (fault !== undefined) throw new Refusal(400, armCode(fault.code), fault.message, 'linkIdentifier');
  return asked;
}

function connectionFor(
  endpoint: ArmDocument,
  service: ServiceDocument,
  status: string,
  wish: Wish,
  documents: Documents,
  draw: Draw,
): ArmDocument {
  const linkIdentifier = identifierFor(wish, documents, draw);
  const name = `${endpoint.name}.${draw.guid()}`;
  return {
    id: `${service.id}/privateEndpointConnections/${name}`,
    name,
    type: connectionType,
    etag: newEtag(draw),
    properties: {
      provisioningState: 'Succeeded',
      privateEndpoint: { id: endpoint.id },
      privateEndpointLocation: endpoint.location,
      linkIdentifier,
      privateLinkServiceConnectionState: {
        status,
        description: status === 'Approved' ? 'Auto-approved' : wish.message,
        actionsRequired: 'None',
      },
    },
  };
}

/** With the endpoint its connection goes, in whatever state. */
export function deletePrivateEndpoint(endpoint: ArmDocument<Endpoint>, documents: Documents): Change {
  const connection = connectionOf(documents, endpoint.id);
  const interfaces = (endpoint.properties.networkInterfaces ?? []).map((nic) => nic.id);
  const ids = [endpoint.id, ...interfaces, ...(connection === undefined ? [] : [connection.id])];
  return { put: [], remove: ids.map(keyOf) };
}
