/** Direct Connect: a private link service that leads to one address instead of a load balancer. */
import { cidrContains, formatAddress, parseCidr } from '../wire/address.js';
import { error, warning } from './problem.js';
import type { Problem } from './problem.js';
import type { PrivateEndpoint, PrivateLinkService, Subscription } from './resources.js';

export const directConnectFeature = 'Microsoft.Network/AllowPrivateLinkserviceUDR';

/** RFC 1918, and RFC 6598's shared space, which Azure routes as private too. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'].map((text) => parseCidr(text)!);

const path = ['destinationIPAddress'];

/** Azure's 10 Gbit/s for each service instance. */
export const defaultBandwidthInMbps = 10_000;
const maxBandwidthInMbps = 100_000;
const BITS_PER_MEGABIT = 1_000_000;

/** Bits a second in each direction; null: no limit. */
export function directConnectBandwidth(service: PrivateLinkService): number | null {
  if (service.destinationIPAddress === null) return null;
  return (service.bandwidthInMbps ?? defaultBandwidthInMbps) * BITS_PER_MEGABIT || null;
}

/** Only Direct Connect has a limit of its own; ours: it can be set. */
export function checkBandwidth(service: PrivateLinkService): Problem[] {
  const value = service.bandwidthInMbps;
  if (value === undefined) return [];
  const at = ['bandwidthInMbps'];
  if (service.destinationIPAddress === null) {
    const what =
      'bandwidthInMbps is for Direct Connect (destinationIPAddress); behind a load balancer there is no limit';
    return [error('DIRECT_CONNECT_BANDWIDTH', what, at)];
  }
  if (Number.isInteger(value) && value >= 0 && value <= maxBandwidthInMbps) return [];
  const what = `bandwidthInMbps is ${String(value)}; it must be a whole number, 0 (no limit) to ${String(maxBandwidthInMbps)}`;
  return [error('DIRECT_CONNECT_BANDWIDTH', what, at)];
}

/** The destination is a private IPv4 address and not a private endpoint of the same network. */
export function checkDestination(service: PrivateLinkService, endpoints: Iterable<PrivateEndpoint>): Problem[] {
  const address = service.destinationIPAddress;
  if (address === null || address < 0) return [];
  const text = formatAddress(address);
  if (!PRIVATE.some((block) => cidrContains(block, address))) {
    const what = `destination ${text} is not a private address; use one of RFC 1918 or 100.64.0.0/10`;
    return [error('DESTINATION_NOT_PRIVATE', what, path)];
  }
  for (const endpoint of endpoints) {
    if (endpoint.address === address && endpoint.virtualNetwork === service.virtualNetwork) {
      const what = `destination ${text} is private endpoint '${endpoint.name}'; Direct Connect cannot lead to a private endpoint`;
      return [error('DESTINATION_IS_ENDPOINT', what, path)];
    }
  }
  return [];
}

/** The subscription has the preview's feature flag. */
export const checkDirectConnectFeature = (subscription: Subscription): Problem[] =>
  subscription.features.some((feature) => feature.toLowerCase() === directConnectFeature.toLowerCase())
    ? []
    : [
        error(
          'DIRECT_CONNECT_NOT_REGISTERED',
          `Direct Connect needs feature ${directConnectFeature} registered on subscription '${subscription.name}': ` +
            `add it to that subscription's features`,
          path,
        ),
      ];

/** Azure says nothing about PROXY v2 with Direct Connect; ours: it works, with a warning. */
export const checkDirectConnectProxy = (service: PrivateLinkService): Problem[] =>
  service.destinationIPAddress !== null && service.proxy !== null
    ? [
        warning(
          'PROXY_WITH_DIRECT_CONNECT',
          'Azure does not document the PROXY header with Direct Connect; it works here, do not count on it there',
          ['enableProxyProtocol'],
        ),
      ]
    : [];

/** A Direct Connect service is reached from its own location only. */
export const checkDirectConnectLocation = (service: PrivateLinkService, endpoint: PrivateEndpoint): Problem[] =>
  service.destinationIPAddress === null || service.location === endpoint.location
    ? []
    : [
        error(
          'DIRECT_CONNECT_OTHER_LOCATION',
          `private link service '${service.name}' is Direct Connect in '${service.location}' and is reached from there only; ` +
            `this endpoint is in '${endpoint.location}'`,
        ),
      ];
