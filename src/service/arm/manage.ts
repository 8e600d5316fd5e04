/** Every change that the management interface knows: documents and a request in, a change or a refusal out. */
import {
  connectionOf,
  connectionType,
  documentOf,
  exists,
  featureType,
  groupType,
  plainLocation,
} from './documents.js';
import type { ArmDocument, Change, Connection, Documents, Draw, Part } from './documents.js';
import { decisions, refusedDecision } from './connection.js';
import { putLoadBalancer } from './load-balancer.js';
import { putNetworkInterface } from './network-interface.js';
import { putNetworkSecurityGroup } from './network-security-group.js';
import { deletePrivateEndpoint, putPrivateEndpoint } from './private-endpoint.js';
import { deletePrivateLinkService, putPrivateLinkService, statusOf } from './private-link-service.js';
import { checkName, envelopeOf, newEtag, propertiesOf } from './request.js';
import type { PutRequest } from './request.js';
import { documentKey, formatResourceId, keyOf, sameText } from './resource-id.js';
import type { DocumentType, ResourceId } from './resource-id.js';
import { notFound, refuse } from './refusal.js';
import { putVirtualNetwork } from './virtual-network.js';

const NOTHING: Change = { put: [], remove: [] };

const put: Readonly<Record<DocumentType, (request: PutRequest) => Change>> = {
  virtualNetworks: putVirtualNetwork,
  loadBalancers: putLoadBalancer,
  networkInterfaces: putNetworkInterface,
  networkSecurityGroups: putNetworkSecurityGroup,
  privateLinkServices: putPrivateLinkService,
  privateEndpoints: putPrivateEndpoint,
};

/** Parts that can be changed by themselves. */
const writableParts: Readonly<Record<string, readonly string[]>> = {
  virtualNetworks: ['subnets'],
  loadBalancers: ['backendAddressPools'],
  networkSecurityGroups: ['securityRules'],
};

/** Whether parts of that type can be changed by themselves. */
export const isWritable = (type: DocumentType, part: string): boolean => writableParts[type]?.includes(part) ?? false;

export const isWritablePart = (id: ResourceId): boolean => id.part !== null && isWritable(id.type, id.part.type);

/** Creates or replaces a resource, or a part of one. @throws Refusal */
export function putResource(request: PutRequest): Change {
  checkName(request.id.part?.name ?? request.id.name, request.id.part?.type ?? request.id.type);
  const group = groupFor(request);
  const change = request.id.part === null ? put[request.id.type](request) : putPart(request, request.id.part);
  return group === null ? change : { ...change, put: [group, ...change.put] };
}

/** The group of a resource comes with it: clients of the network API alone have no way to make one. */
function groupFor({ id, documents, body, draw }: PutRequest): ArmDocument | null {
  const groupId = `/subscriptions/${id.subscription}/resourceGroups/${id.resourceGroup}`;
  if (documents.has(keyOf(groupId))) return null;
  checkName(id.resourceGroup, 'a resource group');
  const location = typeof body['location'] === 'string' ? body['location'] : 'local';
  return groupDocument(groupId, { location }, draw);
}

/**
 * Creates or replaces a resource group. Its location is fixed by the first request for the group itself: one that came
 * with a resource has that resource's, which nobody chose for it.
 * @param before the group, if it is there
 * @throws Refusal InvalidRequestFormat, InvalidResourceGroupLocation, InvalidResourceName, LocationRequired
 */
export function putGroup(
  id: string,
  body: Readonly<Record<string, unknown>>,
  before: ArmDocument | undefined,
  draw: Draw,
): ArmDocument {
  const name = id.slice(id.lastIndexOf('/') + 1);
  checkName(name, 'a resource group');
  const { location } = envelopeOf(body, id);
  if (location === undefined || location === '') {
    throw refuse(400, 'LocationRequired', `The location property is required for '${id}': name the region.`, id);
  }
  const old = before?.locationGiven === true ? before.location! : location;
  if (plainLocation(old) !== plainLocation(location)) {
    const what =
      `Invalid resource group location '${location}'. The resource group '${name}' already exists in location '${old}': ` +
      `name that one, or choose another name for the group.`;
    throw refuse(409, 'InvalidResourceGroupLocation', what, 'location');
  }
  return { ...groupDocument(before?.id ?? id, body, draw), locationGiven: true };
}

export const groupDocument = (id: string, body: Readonly<Record<string, unknown>>, draw: Draw): ArmDocument => ({
  ...body,
  id,
  name: id.slice(id.lastIndexOf('/') + 1),
  type: groupType,
  etag: newEtag(draw),
  properties: { provisioningState: 'Succeeded' },
});

export const featureDocument = (id: string, state: 'Registered' | 'Unregistered', draw: Draw): ArmDocument => ({
  id,
  name: `Microsoft.Network/${id.slice(id.lastIndexOf('/') + 1)}`,
  type: featureType,
  etag: newEtag(draw),
  properties: { state },
});

/** A part is changed as its whole document with that part in it. */
function putPart(request: PutRequest, part: { readonly type: string; readonly name: string }): Change {
  const id = { ...request.id, part: null };
  const parent = request.documents.get(documentKey(id));
  if (parent === undefined) throw parentNotFound(request.id);
  const parts = partsOf(parent, part.type);
  const asked = { ...request.body, name: part.name, properties: request.body['properties'] ?? {} };
  const index = parts.findIndex((each) => sameText(each.name, part.name));
  // The name's case is the first one's.
  const next = index < 0 ? [...parts, asked] : parts.with(index, { ...asked, name: parts[index]!.name });
  return put[id.type]({ ...request, id, body: bodyOf(parent, part.type, next) });
}

const parentNotFound = (id: ResourceId): ReturnType<typeof refuse> =>
  refuse(
    404,
    'ParentResourceNotFound',
    `Cannot perform the operation on '${formatResourceId(id)}': ` +
      `its parent '${formatResourceId({ ...id, part: null })}' was not found: create that first.`,
  );

const partsOf = (
  parent: ArmDocument,
  type: string,
): readonly { readonly name: string; readonly properties: object }[] => (parent.properties[type] ?? []) as Part[];

const bodyOf = (parent: ArmDocument, type: string, parts: readonly object[]): Record<string, unknown> => ({
  ...parent,
  properties: { ...parent.properties, [type]: parts },
});

/** New tags, all others as they were. @throws Refusal */
export function patchTags(request: PutRequest): Change {
  const document = request.documents.get(documentKey(request.id));
  if (document === undefined) throw notFound(formatResourceId(request.id));
  const { tags } = request.body;
  return put[request.id.type]({ ...request, body: { ...document, tags: tags ?? {} } });
}

/** Deletes a resource or a part; nothing happens if it is not there. @throws Refusal */
export function deleteResource(id: ResourceId, documents: Documents, draw: Draw): Change {
  if (!exists(documents, id)) return NOTHING;
  if (id.part !== null)
    return id.part.type === 'privateEndpointConnections' ? deleteConnection(id) : deletePart(id, documents, draw);
  const text = formatResourceId(id);
  const service = documentOf(documents, text, 'privateLinkServices');
  if (service !== undefined) return deletePrivateLinkService(service, documents);
  const endpoint = documentOf(documents, text, 'privateEndpoints');
  if (endpoint !== undefined) return deletePrivateEndpoint(endpoint, documents);
  return { put: [], remove: [documentKey(id)] };
}

function deletePart(id: ResourceId, documents: Documents, draw: Draw): Change {
  const part = id.part!;
  const parent = documents.get(documentKey(id))!;
  const rest = partsOf(parent, part.type).filter((each) => !sameText(each.name, part.name));
  return put[id.type]({ id: { ...id, part: null }, documents, draw, body: bodyOf(parent, part.type, rest) });
}

/** The provider ends a connection: its endpoint is disconnected for good. */
const deleteConnection = (id: ResourceId): Change => ({ put: [], remove: [keyOf(formatResourceId(id))] });

/** The provider approves or rejects. @throws Refusal ConnectionNotFound, ConnectionTransition, InvalidRequestFormat */
export function decideConnection({ id, documents, body, draw }: PutRequest): Change {
  const text = formatResourceId(id);
  const connection = documents.get(keyOf(text)) as Connection | undefined;
  if (connection?.type !== connectionType) {
    const what = `There is no connection '${text}': only a consumer makes one, by creating a private endpoint.`;
    throw refuse(404, 'ConnectionNotFound', what, text);
  }
  const asked = propertiesOf('privateLinkServices/privateEndpointConnections', body['properties'], text);
  const state = asked.privateLinkServiceConnectionState;
  const decision = decisions.find((each) => sameText(each, state?.status ?? ''));
  if (decision === undefined) {
    const what =
      `privateLinkServiceConnectionState.status is '${state?.status ?? ''}': a provider sets Approved or Rejected, ` +
      `or deletes the connection.`;
    throw refuse(400, 'InvalidRequestFormat', what, 'properties.privateLinkServiceConnectionState.status');
  }
  const why = refusedDecision(statusOf(connection), decision);
  if (why !== null) {
    throw refuse(409, 'ConnectionTransition', `Connection ${connection.id} is ${statusOf(connection)}: ${why}.`, text);
  }
  const before = connection.properties.privateLinkServiceConnectionState;
  const properties = {
    ...connection.properties,
    privateLinkServiceConnectionState: {
      ...before,
      ...state,
      status: decision,
      description: state?.description ?? before?.description ?? '',
    },
  };
  return { put: [{ ...connection, etag: newEtag(draw), properties }], remove: [] };
}

/** A group goes with all that is in it. @throws Refusal */
export function deleteGroup(groupId: string, documents: Documents): Change {
  const inside = [...documents.keys()].filter((key) => key.startsWith(`${keyOf(groupId)}/`));
  const remove = new Set([keyOf(groupId), ...inside]);
  for (const key of inside) {
    const endpoint = documentOf(documents, key, 'privateEndpoints');
    const connection = endpoint && connectionOf(documents, endpoint.id);
    if (connection !== undefined) remove.add(keyOf(connection.id));
  }
  // Connections of endpoints in the same group end with them; others keep their service alive.
  const rest = new Map(
    [...documents].filter(
      ([key, document]) => document.type !== connectionType || !remove.has(key) || !endsWithGroup(document, remove),
    ),
  );
  for (const key of inside) {
    const service = documentOf(documents, key, 'privateLinkServices');
    if (service !== undefined) deletePrivateLinkService(service, rest);
  }
  return { put: [], remove: [...remove] };
}

const endsWithGroup = (connection: ArmDocument, removed: ReadonlySet<string>): boolean =>
  removed.has(keyOf((connection as Connection).properties.privateEndpoint?.id ?? ''));
