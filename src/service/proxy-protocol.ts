/** The PROXY header of a private link service: what a custom one may hold, and what it does to health probes. */
import type { ProxySpec } from '../translate/topology.js';
import { error, warning } from './problem.js';
import type { Problem } from './problem.js';
import type { PrivateLinkService } from './resources.js';

/** Signature, version, family, length and the IPv4 address block (PROXY protocol specification, section 2.2). */
const FIXED_OCTETS = 28;
const CRC32C_OCTETS = 7;
const CRC32C_TYPE = 0x03;
const UNIQUE_ID_TYPE = 0x05;
const MAX_UNIQUE_ID = 128;
/** A header is never split over two segments: the payload of a full Ethernet segment, and the MSS every host takes. */
const MAX_OCTETS = 1460;
const SAFE_OCTETS = 536;

/** Octets of the whole header. */
export function proxyHeaderOctets(proxy: ProxySpec): number {
  switch (proxy.dialect) {
    case 'azure':
      return FIXED_OCTETS + 8;
    case 'aws':
      return FIXED_OCTETS + 4 + (proxy.endpointId.length || 22);
    case 'gcp':
      return FIXED_OCTETS + 11;
    case 'custom':
      return proxy.tlvs.reduce(
        (sum, tlv) => sum + 3 + tlv.value.length,
        FIXED_OCTETS + (proxy.crc32c ? CRC32C_OCTETS : 0),
      );
  }
}

/** Paths start at the `proxyProtocol` section. */
export function checkProxy(proxy: ProxySpec): Problem[] {
  const problems: Problem[] = [];
  if (proxy.dialect === 'aws' && !/^[\x21-\x7e]*$/.test(proxy.endpointId)) {
    problems.push(
      error('PROXY_TLV_INVALID', 'endpointId is printable ASCII without spaces, as in vpce-0123456789abcdef0', [
        'endpointId',
      ]),
    );
  }
  if (proxy.dialect === 'custom') {
    proxy.tlvs.forEach(({ type, value }, index) => {
      const fault = (what: string): number => problems.push(error('PROXY_TLV_INVALID', what, ['tlvs', index]));
      if (!Number.isInteger(type) || type < 0 || type > 255)
        fault(`TLV type ${String(type)} is not one octet: 0 to 255 (0x00 to 0xFF)`);
      else if (type === CRC32C_TYPE)
        fault('TLV type 0x03 is the checksum, which depends on the connection: use crc32c: true');
      else if (type === UNIQUE_ID_TYPE && value.length > MAX_UNIQUE_ID) {
        fault(`a UNIQUE_ID has at most ${String(MAX_UNIQUE_ID)} octets; this one has ${String(value.length)}`);
      }
    });
  }
  const octets = proxyHeaderOctets(proxy);
  const size = `the header has ${String(octets)} octets and is sent in one segment`;
  if (octets > MAX_OCTETS) {
    problems.push(error('PROXY_HEADER_SIZE', `${size}: at most ${String(MAX_OCTETS)} fit; shorten it`));
  } else if (octets > SAFE_OCTETS) {
    problems.push(
      warning(
        'PROXY_HEADER_SIZE',
        `${size}: connections whose backend has a smaller MSS (${String(SAFE_OCTETS)} is the default) are refused`,
      ),
    );
  }
  return problems;
}

/**
 * Whether the probes of a load balancer begin with a PROXY header without client information: all of them do as soon as
 * one service on it has the header (Azure, "TCP proxy v2").
 * @param services all services there are
 */
export const probesCarryHeader = (loadBalancer: string, services: readonly PrivateLinkService[]): boolean =>
  services.some((service) => service.proxy !== null && service.loadBalancerFrontend?.loadBalancer === loadBalancer);

/**
 * One service with the header makes all HTTP and TCP probes of its load balancer carry one, so that the backends of its
 * other services, which expect none, fail their probes.
 * @param services all services of one load balancer
 * @returns the warning and the first service without the header, or null
 */
export function mixedProxy(
  loadBalancer: string,
  services: readonly PrivateLinkService[],
): { readonly service: PrivateLinkService; readonly problem: Problem } | null {
  const on = services.find((service) => service.proxy !== null);
  const off = services.find((service) => service.proxy === null);
  if (on === undefined || off === undefined) return null;
  const what =
    `private link services '${on.name}' (PROXY header) and '${off.name}' (none) share load balancer '${loadBalancer}': ` +
    `its probes all carry a PROXY header, so backends of '${off.name}' that do not expect one go down; use a load balancer each`;
  return { service: off, problem: warning('PROXY_MIXED_ON_LOAD_BALANCER', what) };
}
