/** Private link services: alias, target, NAT addresses; and the end of one. */
import { createRandomAlias } from '../alias.js';
import { Addresses } from './addresses.js';
import { blocksDeletion } from './connection.js';
import { allOf, documentOf, plainLocation } from './documents.js';
import type { ArmDocument, Change, Connection, Documents } from './documents.js';
import { methodOf, primaryOf, systemInterface } from './network-interface.js';
import { formatResourceId, keyOf } from './resource-id.js';
import { bare, changeNotAllowed, checkSameLocation, draftOf, withIds, without } from './request.js';
import type { PutRequest } from './request.js';
import { refuse } from './refusal.js';
import { connectionStates, spelled } from './shapes.js';
import type { Shapes } from './shapes.js';

type Service = Shapes['privateLinkServices'];

/** What a service leads to; fixed for its life. */
const targetOf = (service: Service): string =>
  service.destinationIPAddress ?? service.loadBalancerFrontendIpConfigurations?.[0]?.id ?? 'nothing';

export function putPrivateLinkService(request: PutRequest): Change {
  const { documents, draw } = request;
  const before = documentOf(documents, formatResourceId(request.id), 'privateLinkServices');
  const draft = draftOf(request, 'privateLinkServices', before);
  const { id } = draft;
  const asked = draft.properties;
  if (before !== undefined && keyOf(targetOf(before.properties)) !== keyOf(targetOf(asked))) {
    throw changeNotAllowed(id, targetName(before.properties), targetOf(before.properties), targetOf(asked));
  }
  if ((asked.loadBalancerFrontendIpConfigurations?.length ?? 0) > 1) {
    const what = `Private link service ${id} names several load balancer frontends: it leads to exactly one.`;
    throw refuse(400, 'InvalidRequestFormat', what, 'properties.loadBalancerFrontendIpConfigurations');
  }
  const configured = withIds(id, 'ipConfigurations', asked.ipConfigurations);
  const addresses = new Addresses(documents, id, request.addresses).assign(
    configured,
    before?.properties.ipConfigurations ?? [],
  );
  const primary = primaryOf(id, configured);
  const ipConfigurations = configured.map((configuration, index) => {
    const { properties } = configuration;
    checkSameLocation(draft, properties.subnet.id, documents);
    return {
      ...configuration,
      etag: draft.etag,
      properties: {
        ...properties,
        privateIPAddress: addresses[index]!,
        privateIPAllocationMethod: methodOf(properties),
        privateIPAddressVersion: properties.privateIPAddressVersion ?? 'IPv4',
        subnet: bare(properties.subnet),
        primary: configuration === primary,
      },
    };
  });
  const old = before?.properties;
  const nicId =
    old?.networkInterfaces?.[0]?.id ??
    formatResourceId({ ...request.id, type: 'networkInterfaces', name: `${draft.name}.nic.${draw.guid()}` });
  const frontends = asked.loadBalancerFrontendIpConfigurations;
  const properties = {
    // Azure's clients drop what is ours from a request: what is absent stays as it was.
    ...ownOf(old),
    ...without(asked, 'privateEndpointConnections'),
    ...(frontends === undefined ? {} : { loadBalancerFrontendIpConfigurations: frontends.map(bare) }),
    alias: old?.alias ?? createRandomAlias(draft.name, plainLocation(draft.location ?? ''), draw.guid()),
    enableProxyProtocol: asked.enableProxyProtocol ?? false,
    visibility: asked.visibility ?? { subscriptions: [] },
    autoApproval: asked.autoApproval ?? { subscriptions: [] },
    fqdns: asked.fqdns ?? [],
    ipConfigurations,
    networkInterfaces: [{ id: nicId }],
  };
  const service = { ...draft, properties };
  const configurations = ipConfigurations.map(({ name, properties: { privateIPAddress, subnet } }) => ({
    name,
    address: privateIPAddress,
    subnet: subnet.id,
  }));
  return { put: [service, systemInterface(service, 'privateLinkService', nicId, configurations, draw)], remove: [] };
}

/** Properties that Azure does not have. */
const ownOf = (service: Service | undefined): Partial<Service> =>
  Object.fromEntries(
    (['idleTimeoutInSeconds', 'bandwidthInMbps', 'roleAssignments', 'proxyProtocol'] as const).flatMap((name) =>
      service?.[name] === undefined ? [] : [[name, service[name]]],
    ),
  );

const targetName = (service: Service): string =>
  service.destinationIPAddress === undefined ? 'loadBalancerFrontendIpConfigurations' : 'destinationIPAddress';

/** The connections of a service, by its id. */
export const connectionsOf = (documents: Documents, serviceId: string): Connection[] =>
  allOf(documents, 'privateLinkServices/privateEndpointConnections').filter((connection) =>
    keyOf(connection.id).startsWith(`${keyOf(serviceId)}/privateendpointconnections/`),
  );

export const statusOf = (connection: Connection): (typeof connectionStates)[number] =>
  spelled(connectionStates, connection.properties.privateLinkServiceConnectionState?.status, 'Pending');

/** @throws Refusal PrivateLinkServiceHasConnections */
export function deletePrivateLinkService(service: ArmDocument<Service>, documents: Documents): Change {
  const connections = connectionsOf(documents, service.id);
  const live = connections.filter((connection) => blocksDeletion(statusOf(connection)));
  if (live.length > 0) {
    const names = live.slice(0, 5).map((connection) => `'${connection.name}' (${statusOf(connection)})`);
    const more = live.length > 5 ? ` and ${String(live.length - 5)} more` : '';
    throw refuse(
      409,
      'PrivateLinkServiceHasConnections',
      `Private link service ${service.id} has ${String(live.length)} connections that are Pending or Approved: ` +
        `${names.join(', ')}${more}. Reject or delete them first.`,
      service.id,
    );
  }
  const interfaces = (service.properties.networkInterfaces ?? []).map((nic) => nic.id);
  return { put: [], remove: [service.id, ...interfaces, ...connections.map((each) => each.id)].map(keyOf) };
}
