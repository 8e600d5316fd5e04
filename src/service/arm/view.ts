/** What clients are shown: documents with what follows from others, such as the connections of a service. */
import { allOf, connectionOf, documentOf } from './documents.js';
import type { ArmDocument, Documents, Part } from './documents.js';
import { connectionsOf, statusOf } from './private-link-service.js';
import { keyOf, lastName, sameText } from './resource-id.js';
import type { ResourceId } from './resource-id.js';
import { prefixOf } from './addresses.js';

type View = Record<string, unknown>;

const reference = (id: string): { id: string } => ({ id });

/** Ids of ipConfigurations that use a subnet, or are in a backend pool. */
function* configurations(documents: Documents): Generator<{ id: string; subnet: string; pools: readonly string[] }> {
  for (const nic of allOf(documents, 'networkInterfaces')) {
    for (const { name, properties } of nic.properties.ipConfigurations) {
      const pools = (properties.loadBalancerBackendAddressPools ?? []).map((pool) => keyOf(pool.id));
      yield { id: `${nic.id}/ipConfigurations/${name}`, subnet: keyOf(properties.subnet.id), pools };
    }
  }
  for (const balancer of allOf(documents, 'loadBalancers')) {
    for (const { name, properties } of balancer.properties.frontendIPConfigurations ?? []) {
      const id = `${balancer.id}/frontendIPConfigurations/${name}`;
      yield { id, subnet: keyOf(properties.subnet?.id ?? ''), pools: [] };
    }
  }
}

/** Adds a list to a part's properties, but no empty one: Azure leaves those out. */
const withList = (part: Part, lists: Readonly<Record<string, readonly unknown[]>>): Part => ({
  ...part,
  properties: {
    ...part.properties,
    ...Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0)),
  },
});

function networkView(document: ArmDocument, documents: Documents): View {
  const used = [...configurations(documents)];
  const endpoints = allOf(documents, 'privateEndpoints');
  const subnets = (document.properties['subnets'] ?? []) as Part[];
  return {
    ...document.properties,
    subnets: subnets.map((subnet) => {
      const key = `${keyOf(document.id)}/subnets/${keyOf(subnet.name)}`;
      const prefix = prefixOf(subnet.properties);
      return withList(
        prefix === '' ? subnet : { ...subnet, properties: { ...subnet.properties, addressPrefix: prefix } },
        {
          ipConfigurations: used.filter((each) => each.subnet === key).map(({ id }) => reference(id)),
          privateEndpoints: endpoints
            .filter((each) => keyOf(each.properties.subnet.id) === key)
            .map(({ id }) => reference(id)),
        },
      );
    }),
  };
}

function balancerView(document: ArmDocument, documents: Documents): View {
  const balancer = documentOf(documents, document.id, 'loadBalancers')!;
  const { properties } = balancer;
  const rules = properties.loadBalancingRules ?? [];
  const rulesWith = (
    uses: (rule: (typeof rules)[number]['properties']) => string | undefined,
    name: string,
  ): object[] =>
    rules
      .filter((rule) => sameText(lastName(uses(rule.properties) ?? ''), name))
      .map((rule) => reference(`${document.id}/loadBalancingRules/${rule.name}`));
  const members = [...configurations(documents)];
  return {
    ...properties,
    frontendIPConfigurations: (properties.frontendIPConfigurations ?? []).map((each) =>
      withList(each, { loadBalancingRules: rulesWith((rule) => rule.frontendIPConfiguration.id, each.name) }),
    ),
    backendAddressPools: (properties.backendAddressPools ?? []).map((each) => {
      const key = `${keyOf(document.id)}/backendaddresspools/${keyOf(each.name)}`;
      return withList(each, {
        backendIPConfigurations: members.filter(({ pools }) => pools.includes(key)).map(({ id }) => reference(id)),
        loadBalancingRules: rulesWith(
          (rule) => rule.backendAddressPool?.id ?? rule.backendAddressPools?.[0]?.id,
          each.name,
        ),
      });
    }),
    probes: (properties.probes ?? []).map((each) =>
      withList(each, { loadBalancingRules: rulesWith((rule) => rule.probe?.id, each.name) }),
    ),
  };
}

function endpointView(document: ArmDocument, documents: Documents): View {
  const connection = connectionOf(documents, document.id);
  const state =
    connection === undefined
      ? { status: 'Disconnected', description: 'The provider ended the connection', actionsRequired: 'None' }
      : { ...connection.properties.privateLinkServiceConnectionState, status: statusOf(connection) };
  const lists = ['privateLinkServiceConnections', 'manualPrivateLinkServiceConnections'];
  const properties = Object.fromEntries(
    lists.map((list) => [
      list,
      ((document.properties[list] ?? []) as Part[]).map((wish) => ({
        ...wish,
        properties: { ...wish.properties, privateLinkServiceConnectionState: state },
      })),
    ]),
  );
  return { ...document.properties, ...properties, customDnsConfigs: namesOf(document, documents) };
}

/** The names under which the service may be known, at the endpoint's address. */
function namesOf(document: ArmDocument, documents: Documents): object[] {
  const endpoint = documentOf(documents, document.id, 'privateEndpoints')!;
  const connection = connectionOf(documents, document.id);
  const service = documentOf(
    documents,
    connection?.id.split('/privateEndpointConnections/')[0] ?? '',
    'privateLinkServices',
  );
  const nic = documentOf(documents, endpoint.properties.networkInterfaces?.[0]?.id ?? '', 'networkInterfaces');
  const address = nic?.properties.ipConfigurations[0]?.properties.privateIPAddress;
  return (service?.properties.fqdns ?? []).map((fqdn) => ({
    fqdn,
    ipAddresses: address === undefined ? [] : [address],
  }));
}

/** A document as clients see it. */
export function viewOf(document: ArmDocument, documents: Documents): View {
  const shown = (properties: View): View => ({ ...document, properties });
  switch (document.type) {
    case 'Microsoft.Network/virtualNetworks':
      return shown(networkView(document, documents));
    case 'Microsoft.Network/loadBalancers':
      return shown(balancerView(document, documents));
    case 'Microsoft.Network/privateEndpoints':
      return shown(endpointView(document, documents));
    case 'Microsoft.Network/privateLinkServices':
      return shown({ ...document.properties, privateEndpointConnections: connectionsOf(documents, document.id) });
    default:
      return { ...document };
  }
}

/** A part of a document as clients see it, or undefined. */
export function partViewOf(id: ResourceId, document: ArmDocument, documents: Documents): View | undefined {
  return partListOf(id.part?.type ?? '', document, documents).find((part) =>
    sameText(String(part['name']), id.part?.name ?? ''),
  );
}

/** All parts of one type of a document. */
export function partListOf(type: string, document: ArmDocument, documents: Documents): View[] {
  const { properties } = viewOf(document, documents) as { properties: Record<string, View[] | undefined> };
  return (properties[type] ?? []).map((part) => ({ ...part, etag: document.etag }));
}
