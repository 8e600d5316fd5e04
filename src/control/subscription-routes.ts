/** Routes around the resources: subscriptions, resource groups, resource providers, features. */
import type { ArmDocument } from '../service/arm/documents.js';
import { deleteGroup, featureDocument, putGroup } from '../service/arm/manage.js';
import { without } from '../service/arm/request.js';
import { refuse } from '../service/arm/refusal.js';
import { documentTypes, keyOf, networkProvider, sameText } from '../service/arm/resource-id.js';
import { directConnectFeature } from '../service/direct-connect.js';
import type { Answer } from './answer.js';
import { HttpError } from './answer.js';
import { checkPreconditions, isGroup, machineDraw, objectBody, operationHeaders, page } from './call.js';
import type { Call, Handler } from './call.js';
import type { Route } from './router.js';

interface Shown {
  readonly id: string;
  readonly [name: string]: unknown;
}

const subscriptionView = (subscription: string): Shown => ({
  id: `/subscriptions/${subscription}`,
  subscriptionId: subscription,
  displayName: subscription,
  state: 'Enabled',
});

/** Those that own something; any other exists as soon as something is made in it. */
const subscriptions: Handler = (call) => {
  const names = new Map<string, string>();
  for (const { id } of call.manager.documents.values()) {
    const name = id.split('/')[2] ?? '';
    if (!names.has(name.toLowerCase())) names.set(name.toLowerCase(), name);
  }
  return page(call, '/subscriptions', [...names.values()].map(subscriptionView), (each) => each);
};

const groupId = ({ params: { subscription = '', group = '' } }: Call): string =>
  `/subscriptions/${subscription}/resourceGroups/${group}`;

function groupOf(call: Call): ArmDocument {
  const group = call.manager.documents.get(keyOf(groupId(call)));
  if (group !== undefined) return group;
  const name = call.params['group'] ?? '';
  throw refuse(404, 'ResourceGroupNotFound', `Resource group '${name}' could not be found: create it first.`, name);
}

/** Azure's groups have no etag in them. */
const groupView = (group: ArmDocument): object => without(group, 'etag', 'locationGiven');

const shownGroup = (status: number, group: ArmDocument): Answer => ({
  status,
  headers: { ETag: group.etag },
  body: groupView(group),
});

const getGroup: Handler = (call) => shownGroup(200, groupOf(call));

const headGroup: Handler = (call) => {
  return call.manager.documents.has(keyOf(groupId(call))) ? { status: 204 } : { status: 404 };
};

const listGroups: Handler = (call) => {
  const scope = `/subscriptions/${call.params['subscription']!}/resourceGroups`;
  const groups = [...call.manager.documents.values()].filter(
    (document) => isGroup(document) && keyOf(document.id).startsWith(`${keyOf(scope)}/`),
  );
  return page(call, scope, groups, groupView);
};

const createGroup: Handler = async (call) => {
  const body = objectBody(call);
  const { before } = await call.manager.change((documents) => {
    const old = documents.get(keyOf(groupId(call)));
    checkPreconditions(call, old);
    return { put: [putGroup(groupId(call), body, old, machineDraw)], remove: [] };
  });
  return shownGroup(before.has(keyOf(groupId(call))) ? 200 : 201, groupOf(call));
};

const removeGroup: Handler = async (call) => {
  await call.manager.change((documents) => {
    checkPreconditions(call, groupOf(call));
    return deleteGroup(groupId(call), documents);
  });
  const { header, location } = operationHeaders(call, call.params['subscription']!, keyOf(groupId(call)));
  return { status: 202, headers: { ...header, Location: location } };
};

const resourcesIn: Handler = (call) => {
  const prefix = `${keyOf(groupOf(call).id)}/providers/`;
  const resources = [...call.manager.documents.values()].filter(
    (document) => keyOf(document.id).startsWith(prefix) && document.type.split('/').length === 2,
  );
  return page(call, `${groupId(call)}/resources`, resources, ({ id, name, type, location, tags }) => ({
    id,
    name,
    type,
    location,
    ...(tags === undefined ? {} : { tags }),
  }));
};

const namespaces = [networkProvider, 'Microsoft.Resources', 'Microsoft.Features'];

const providerView = (subscription: string, namespace: string): Shown => ({
  id: `/subscriptions/${subscription}/providers/${namespace}`,
  namespace,
  registrationState: 'Registered',
  registrationPolicy: 'RegistrationRequired',
  resourceTypes: (namespace === networkProvider ? documentTypes : []).map((resourceType) => ({
    resourceType,
    locations: [],
    apiVersions: ['2025-05-01'],
  })),
});

const provider: Handler = (call) => {
  const { subscription = '', namespace = '' } = call.params;
  const known = namespaces.find((each) => sameText(each, namespace));
  if (known !== undefined) return { status: 200, body: providerView(subscription, known) };
  throw new HttpError(404, 'InvalidResourceNamespace', `The resource namespace '${namespace}' is not to be had here.`);
};

const providers: Handler = (call) => {
  const subscription = call.params['subscription']!;
  const all = namespaces.map((namespace) => providerView(subscription, namespace));
  return page(call, `/subscriptions/${subscription}/providers`, all, (each) => each);
};

const featureId = (subscription: string, name: string): string =>
  `/subscriptions/${subscription}/providers/Microsoft.Features/providers/${networkProvider}/features/${name}`;

const KNOWN_FEATURE = directConnectFeature.slice(directConnectFeature.indexOf('/') + 1);

function featureOf(call: Call): { id: string; document: ArmDocument | undefined } {
  const { subscription = '', namespace = '', feature = '' } = call.params;
  if (!sameText(namespace, networkProvider) || !sameText(feature, KNOWN_FEATURE)) {
    const what = `The feature '${namespace}/${feature}' could not be found; there is ${directConnectFeature}.`;
    throw refuse(404, 'ResourceNotFound', what, feature);
  }
  const id = featureId(subscription, KNOWN_FEATURE);
  return { id, document: call.manager.documents.get(keyOf(id)) };
}

const featureView = (id: string, document: ArmDocument | undefined): Shown => ({
  id,
  name: directConnectFeature,
  type: 'Microsoft.Features/providers/features',
  properties: { state: document?.properties['state'] ?? 'NotRegistered' },
});

const getFeature: Handler = (call) => {
  const { id, document } = featureOf(call);
  return { status: 200, body: featureView(id, document) };
};

const setFeature =
  (state: 'Registered' | 'Unregistered'): Handler =>
  async (call) => {
    const { id } = featureOf(call);
    await call.manager.change(() => ({ put: [featureDocument(id, state, machineDraw)], remove: [] }));
    return { status: 200, body: featureView(id, featureOf(call).document) };
  };

const listFeatures: Handler = (call) => {
  const { subscription = '' } = call.params;
  const id = featureId(subscription, KNOWN_FEATURE);
  const all = [featureView(id, call.manager.documents.get(keyOf(id)))];
  return page(call, `/subscriptions/${subscription}/providers/Microsoft.Features/features`, all, (each) => each);
};

const S = '/subscriptions/{subscription}';
const G = `${S}/resourceGroups/{group}`;
const F = `${S}/providers/Microsoft.Features/providers/{namespace}/features`;

export const subscriptionRoutes: readonly Route<Handler>[] = [
  { method: 'GET', path: '/subscriptions', handler: subscriptions },
  {
    method: 'GET',
    path: S,
    handler: (call) => ({ status: 200, body: subscriptionView(call.params['subscription']!) }),
  },
  { method: 'GET', path: `${S}/resourceGroups`, handler: listGroups },
  { method: 'GET', path: G, handler: getGroup },
  { method: 'HEAD', path: G, handler: headGroup },
  { method: 'PUT', path: G, handler: createGroup },
  { method: 'DELETE', path: G, handler: removeGroup },
  { method: 'GET', path: `${G}/resources`, handler: resourcesIn },
  { method: 'GET', path: `${S}/providers`, handler: providers },
  { method: 'GET', path: `${S}/providers/{namespace}`, handler: provider },
  { method: 'POST', path: `${S}/providers/{namespace}/register`, handler: provider },
  { method: 'GET', path: `${S}/providers/Microsoft.Features/features`, handler: listFeatures },
  { method: 'GET', path: F, handler: listFeatures },
  { method: 'GET', path: `${F}/{feature}`, handler: getFeature },
  { method: 'POST', path: `${F}/{feature}/register`, handler: setFeature('Registered') },
  { method: 'POST', path: `${F}/{feature}/unregister`, handler: setFeature('Unregistered') },
];
