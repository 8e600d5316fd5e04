/** Resources of the management interface, for people. */
import type { Connection, Endpoint, Resource, Service } from '../client/resources.js';
import { lastName } from '../service/arm/resource-id.js';
import type { Shapes } from '../service/arm/shapes.js';

/** Lines of names and values; those without a value are left out. */
function lines(rows: readonly (readonly [string, string | undefined])[]): string {
  const there = rows.filter(([, value]) => value !== undefined && value !== '');
  const width = Math.max(...there.map(([name]) => name.length));
  return there.map(([name, value]) => `${name.padEnd(width)}  ${value!}\n`).join('');
}

export function targetText(service: Shapes['privateLinkServices']): string {
  const frontend = service.loadBalancerFrontendIpConfigurations?.[0]?.id;
  return frontend === undefined ? (service.destinationIPAddress ?? '') : partText(frontend);
}

/** A part of a resource as `resource/part`. */
const partText = (id: string): string => `${id.split('/').at(-3) ?? ''}/${lastName(id)}`;

export function serviceText({ id, location, properties: p }: Service & Resource): string {
  return lines([
    ['id', id],
    ['location', location],
    ['alias', p.alias],
    ['to', targetText(p)],
    ['NAT addresses', p.ipConfigurations?.map((each) => each.properties.privateIPAddress ?? '').join(', ')],
    ['PROXY v2', p.enableProxyProtocol === true ? 'yes' : 'no'],
    ['visibility', p.visibility?.subscriptions?.join(', ')],
    ['auto-approval', p.autoApproval?.subscriptions?.join(', ')],
    ...p.privateEndpointConnections.map(({ properties: c }, index): [string, string] => [
      index === 0 ? 'connections' : ' ',
      `${lastName(c.privateEndpoint?.id ?? '')}  ${statusOf(c)}  LINKID ${c.linkIdentifier ?? ''}`,
    ]),
  ]);
}

const statusOf = (connection: Connection['properties']): string =>
  connection.privateLinkServiceConnectionState?.status ?? '';

/** The service that an endpoint asked for, and what became of it. */
export function statusOfEndpoint({ properties: p }: Endpoint): [string, string] {
  const wish = [...(p.privateLinkServiceConnections ?? []), ...(p.manualPrivateLinkServiceConnections ?? [])][0];
  const status = wish?.properties.privateLinkServiceConnectionState?.status ?? '';
  return [lastName(wish?.properties.privateLinkServiceId ?? ''), status];
}

export function endpointText(endpoint: Endpoint & Resource, address: string): string {
  const [service, status] = statusOfEndpoint(endpoint);
  return lines([
    ['id', endpoint.id],
    ['location', endpoint.location],
    ['subnet', partText(endpoint.properties.subnet.id)],
    ['address', address],
    ['service', service],
    ['status', status],
  ]);
}

export function connectionText({ id, properties: p }: Connection): string {
  return lines([
    ['id', id],
    ['endpoint', p.privateEndpoint?.id],
    ['status', statusOf(p)],
    ['LINKID', p.linkIdentifier],
    ['description', p.privateLinkServiceConnectionState?.description],
  ]);
}
