/** Routes of Microsoft.Network: resources, their parts, connections, and what consumers ask before they connect. */
import { allOf, exists, plainLocation, resourceType } from '../service/arm/documents.js';
import type { ArmDocument, Documents } from '../service/arm/documents.js';
import { decideConnection, deleteResource, isWritablePart, patchTags, putResource } from '../service/arm/manage.js';
import { audienceOf } from '../service/arm/model.js';
import { connectionsOf } from '../service/arm/private-link-service.js';
import { serviceByAlias } from '../service/arm/private-endpoint.js';
import { notFound, refuse } from '../service/arm/refusal.js';
import {
  documentKey,
  formatResourceId,
  keyOf,
  networkProvider,
  partTypeOf,
  typeOf,
} from '../service/arm/resource-id.js';
import type { DocumentType, ResourceId } from '../service/arm/resource-id.js';
import { partListOf, partViewOf, viewOf } from '../service/arm/view.js';
import { isAutoApproved, mayRequest } from '../service/visibility.js';
import type { Answer } from './answer.js';
import { HttpError } from './answer.js';
import { checkPreconditions, machineDraw, objectBody, operationHeaders, page } from './call.js';
import type { Call, Handler } from './call.js';
import type { Route } from './router.js';

function typeIn(call: Call): DocumentType {
  const text = call.params['type'] ?? '';
  const type = typeOf(text);
  if (type !== undefined) return type;
  const what = `The resource type '${text}' could not be found in the namespace 'Microsoft.Network' here.`;
  throw new HttpError(404, 'InvalidResourceType', what);
}

function idIn(call: Call): ResourceId {
  const { subscription = '', group = '', name = '', part, partName = '' } = call.params;
  const type = typeIn(call);
  const id = { subscription, resourceGroup: group, type, name, part: null };
  if (part === undefined) return id;
  const partType = partTypeOf(type, part);
  if (partType === undefined) {
    const what = `The resource type '${type}/${part}' could not be found in the namespace 'Microsoft.Network' here.`;
    throw new HttpError(404, 'InvalidResourceType', what);
  }
  return { ...id, part: { type: partType, name: partName } };
}

/** The document, with the state of an operation that still runs. */
function shown(call: Call, document: ArmDocument): Record<string, unknown> {
  const view = viewOf(document, call.manager.documents);
  if (!call.operations.isRunning(keyOf(document.id))) return view;
  return { ...view, properties: { ...(view['properties'] as object), provisioningState: 'Updating' } };
}

function found(call: Call, id: ResourceId): ArmDocument {
  const document = call.manager.documents.get(documentKey(id));
  if (document === undefined) throw notFound(formatResourceId({ ...id, part: null }));
  return document;
}

/** The document that has what an id names: a connection's own one, any other part's parent's; undefined if it is not there. */
const documentAt = (documents: Documents, id: ResourceId): ArmDocument | undefined =>
  exists(documents, id)
    ? documents.get(id.part?.type === 'privateEndpointConnections' ? keyOf(formatResourceId(id)) : documentKey(id))
    : undefined;

function shownPart(call: Call, id: ResourceId): Record<string, unknown> {
  const view = partViewOf(id, found(call, id), call.manager.documents);
  if (view === undefined) throw notFound(formatResourceId(id));
  return view;
}

const get: Handler = (call) => {
  const document = found(call, idIn(call));
  return { status: 200, headers: { ETag: document.etag }, body: shown(call, document) };
};

const getPart: Handler = (call) => {
  const view = shownPart(call, idIn(call));
  return { status: 200, headers: { ETag: String(view['etag']) }, body: view };
};

const list: Handler = (call) => {
  const { subscription = '', group } = call.params;
  const type = typeIn(call);
  const scope = `/subscriptions/${subscription}${group === undefined ? '' : `/resourceGroups/${group}`}`;
  const all = [...call.manager.documents.values()].filter(
    (document) => document.type === resourceType(type) && keyOf(document.id).startsWith(`${keyOf(scope)}/`),
  );
  return page(call, `${scope}/providers/${networkProvider}/${type}`, all, (document) => shown(call, document));
};

const listParts: Handler = (call) => {
  const id = idIn(call);
  const document = found(call, id);
  const { type } = id.part!;
  const parts =
    type === 'privateEndpointConnections'
      ? connectionsOf(call.manager.documents, document.id)
      : (partListOf(type, document, call.manager.documents) as { id: string }[]);
  return page(call, `${document.id}/${type}`, parts, (part) => part);
};

const put: Handler = async (call) => {
  const id = idIn(call);
  const body = objectBody(call);
  if (id.part !== null && !isWritablePart(id)) throw notWritable(id);
  const { before } = await call.manager.change((documents) => {
    checkPreconditions(call, documentAt(documents, id));
    return putResource({ id, body, documents, draw: machineDraw });
  });
  const old = before.get(documentKey(id));
  const existed = id.part === null ? old !== undefined : old !== undefined && partViewOf(id, old, before) !== undefined;
  const { header } = operationHeaders(call, id.subscription, documentKey(id));
  const view = id.part === null ? shown(call, found(call, id)) : shownPart(call, id);
  return { status: existed ? 200 : 201, headers: { ...header, ETag: String(view['etag']) }, body: view };
};

const notWritable = (id: ResourceId): HttpError =>
  new HttpError(
    405,
    'MethodNotAllowed',
    `A ${id.part?.type ?? ''} is changed with its ${id.type} as a whole: PUT that.`,
    {
      Allow: 'GET',
    },
  );

/** The provider decides at once, without an operation. */
const decide: Handler = async (call) => {
  const id = connectionId(call);
  const body = objectBody(call);
  await call.manager.change((documents) => {
    checkPreconditions(call, documentAt(documents, id));
    return decideConnection({ id, body, documents, draw: machineDraw });
  });
  const document = documentAt(call.manager.documents, id)!;
  return { status: 200, headers: { ETag: document.etag }, body: document };
};

const patch: Handler = async (call) => {
  const id = idIn(call);
  const body = objectBody(call);
  await call.manager.change((documents) => {
    checkPreconditions(call, documentAt(documents, id));
    return patchTags({ id, body, documents, draw: machineDraw });
  });
  const document = found(call, id);
  return { status: 200, headers: { ETag: document.etag }, body: shown(call, document) };
};

const remove = async (call: Call, id: ResourceId): Promise<Answer> => {
  if (id.part !== null && id.part.type !== 'privateEndpointConnections' && !isWritablePart(id)) throw notWritable(id);
  const { change } = await call.manager.change((documents) => {
    const document = documentAt(documents, id);
    if (document !== undefined || call.ifMatch !== undefined) checkPreconditions(call, document);
    return deleteResource(id, documents, machineDraw);
  });
  if (change.put.length === 0 && change.remove.length === 0) return { status: 204 };
  const { header, location } = operationHeaders(call, id.subscription, documentKey(id));
  return { status: 202, headers: { ...header, Location: location } };
};

const connectionId = (call: Call): ResourceId =>
  idIn({ ...call, params: { ...call.params, type: 'privateLinkServices', part: 'privateEndpointConnections' } });

const getConnection: Handler = (call) => {
  const id = connectionId(call);
  found(call, id);
  const document = documentAt(call.manager.documents, id);
  if (document === undefined) throw notFound(formatResourceId(id));
  return { status: 200, headers: { ETag: document.etag }, body: document };
};

const checkVisibility: Handler = (call) => {
  const { privateLinkServiceAlias: alias } = objectBody(call);
  if (typeof alias !== 'string') {
    throw refuse(400, 'InvalidRequestFormat', 'privateLinkServiceAlias is missing: send the alias of a service.');
  }
  const service = serviceByAlias(call.manager.documents, alias);
  const subscription = call.params['subscription']!.toLowerCase();
  return { status: 200, body: { visible: service !== undefined && mayRequest(audienceOf(service), subscription) } };
};

const autoApproved: Handler = (call) => {
  const { subscription = '', location = '' } = call.params;
  const services = allOf(call.manager.documents, 'privateLinkServices').filter(
    (service) =>
      plainLocation(service.location ?? '') === plainLocation(location) &&
      isAutoApproved(audienceOf(service), subscription.toLowerCase()),
  );
  const path = `/subscriptions/${subscription}/providers/${networkProvider}/locations/${location}/autoApprovedPrivateLinkServices`;
  return page(call, path, services, ({ id }) => ({ privateLinkService: id }));
};

const operation: Handler = (call) => {
  const status = call.operations.status(call.params['operation']!);
  if (status === undefined) throw notFound(call.params['operation']!);
  return { status: 200, ...(status === 'Succeeded' ? {} : { headers: { 'Retry-After': '1' } }), body: { status } };
};

const operationResult: Handler = (call) => {
  const status = call.operations.status(call.params['operation']!);
  if (status === undefined) throw notFound(call.params['operation']!);
  return status === 'Succeeded' ? { status: 204 } : { status: 202, headers: { 'Retry-After': '1' } };
};

const endpointTypes: Handler = (call) => {
  const name = `${networkProvider}.privateLinkServices`;
  const { subscription = '', location = '' } = call.params;
  const id = `/subscriptions/${subscription}/providers/${networkProvider}/AvailablePrivateEndpointTypes/${name}`;
  const type = {
    name,
    id,
    type: `${networkProvider}/AvailablePrivateEndpointTypes`,
    resourceName: `${networkProvider}/privateLinkServices`,
  };
  return page(
    call,
    `/subscriptions/${subscription}/providers/${networkProvider}/locations/${location}/availablePrivateEndpointTypes`,
    [type],
    (each) => each,
  );
};

const S = '/subscriptions/{subscription}';
const G = `${S}/resourceGroups/{group}`;
const N = `providers/${networkProvider}`;
const connection = `${G}/${N}/privateLinkServices/{name}/privateEndpointConnections/{partName}`;

/** A route with the more literal path comes before one that takes it too. */
export const networkRoutes: readonly Route<Handler>[] = [
  ...[S, G].flatMap((scope): Route<Handler>[] => [
    {
      method: 'POST',
      path: `${scope}/${N}/locations/{location}/checkPrivateLinkServiceVisibility`,
      handler: checkVisibility,
    },
    {
      method: 'GET',
      path: `${scope}/${N}/locations/{location}/autoApprovedPrivateLinkServices`,
      handler: autoApproved,
    },
    { method: 'GET', path: `${scope}/${N}/locations/{location}/availablePrivateEndpointTypes`, handler: endpointTypes },
  ]),
  { method: 'GET', path: `${S}/${N}/locations/{location}/operations/{operation}`, handler: operation },
  { method: 'GET', path: `${S}/${N}/locations/{location}/operationResults/{operation}`, handler: operationResult },
  { method: 'GET', path: connection, handler: getConnection },
  { method: 'PUT', path: connection, handler: decide },
  { method: 'DELETE', path: connection, handler: (call) => remove(call, connectionId(call)) },
  { method: 'GET', path: `${S}/${N}/{type}`, handler: list },
  { method: 'GET', path: `${G}/${N}/{type}`, handler: list },
  { method: 'GET', path: `${G}/${N}/{type}/{name}`, handler: get },
  { method: 'PUT', path: `${G}/${N}/{type}/{name}`, handler: put },
  { method: 'PATCH', path: `${G}/${N}/{type}/{name}`, handler: patch },
  { method: 'DELETE', path: `${G}/${N}/{type}/{name}`, handler: (call) => remove(call, idIn(call)) },
  { method: 'GET', path: `${G}/${N}/{type}/{name}/{part}`, handler: listParts },
  { method: 'GET', path: `${G}/${N}/{type}/{name}/{part}/{partName}`, handler: getPart },
  { method: 'PUT', path: `${G}/${N}/{type}/{name}/{part}/{partName}`, handler: put },
  { method: 'DELETE', path: `${G}/${N}/{type}/{name}/{part}/{partName}`, handler: (call) => remove(call, idIn(call)) },
];
