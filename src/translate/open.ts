/** How a flow begins: endpoint, rule, backend, NAT address and port, security groups, in this order, each with its own refusal. */
import * as F from '../flow/flow-table.js';
import { mix } from '../flow/hash.js';
import { TO_PROVIDER } from '../packet/outbox.js';
import { drop } from '../packet/verdict.js';
import { delta32, fold } from '../wire/checksum.js';
import type { Core } from './core.js';
import type { Rule } from './rules.js';
import { permits } from './security.js';
import { BANDWIDTH_EXCEEDED } from './send.js';
import type { Link } from './tables.js';

const NOT_UNICAST = drop('not-unicast');
const NO_ENDPOINT = drop('no-endpoint');
const SERVICE_LIMIT = drop('service-limit');
const NOT_APPROVED = drop('not-approved');
const NO_RULE = drop('no-rule');
const NO_BACKEND = drop('no-backend');
const NO_HEALTHY_BACKEND = drop('no-healthy-backend');
const NSG_DENIED = drop('nsg-denied');
const NAT_EXHAUSTED = drop('nat-exhausted');
const FLOW_LIMIT = drop('flow-limit');

/** Neither 0.0.0.0/8 nor multicast nor above (RFC 1122 section 3.2.1.3). */
const isUnicast = (address: number): boolean => {
  const first = address >>> 24;
  return first !== 0 && first < 224;
};

/**
 * Opens a flow for a consumer's tuple.
 * @param ports consumer's port << 16 | endpoint's port
 * @param state its first state
 * @returns the flow's index, or a drop verdict
 */
export function openFlow(
  c: Core,
  network: number,
  protocol: number,
  source: number,
  destination: number,
  ports: number,
  state: number,
): number {
  if (!isUnicast(source) || !isUnicast(destination)) return NOT_UNICAST;
  let endpoint = c.tables.endpointAt(network, destination);
  if (endpoint === undefined) {
    if (c.adopt === null) return NO_ENDPOINT;
    endpoint = c.adopt(network, destination);
    if (endpoint === undefined) return SERVICE_LIMIT;
  }
  if (!endpoint.approved) return NOT_APPROVED;
  const { link } = endpoint;
  const port = ports & 0xffff;
  const rule = c.tables.rule(link, protocol, port);
  if (rule === undefined) return NO_RULE;
  if (rule.backends.length === 0) return NO_BACKEND;
  if (rule.closed) return NO_HEALTHY_BACKEND;
  const backend = c.tables.backend(rule, endpoint, protocol, source, ports >>> 16, port);

  const flows = c.flows;
  if (flows.count >= flows.capacity) return FLOW_LIMIT;
  // One consumer keeps to one NAT address while it has ports (RFC 4787 REQ-2, "paired").
  const count = link.natAddresses.length;
  const preferred = (mix(source ^ mix(network + 1)) >>> 0) % count;
  let nat = preferred;
  let pool = c.tables.pool(link, nat, backend, protocol);
  let natPort = pool.allocate(c.now);
  for (let i = 1; natPort < 0 && i < count; i++) {
    nat = (preferred + i) % count;
    pool = c.tables.pool(link, nat, backend, protocol);
    natPort = pool.allocate(c.now);
  }
  if (natPort < 0) return NAT_EXHAUSTED;

  const backendPort = rule.backendPort === 0 ? port : rule.backendPort;
  const natAddress = link.natAddresses[nat]!;
  const { security } = link;
  if (security !== null && !permits(security, protocol, natAddress, natPort, backend, backendPort)) {
    pool.free(natPort, c.now);
    return NSG_DENIED;
  }
  if (!c.admits(link.policer, TO_PROVIDER)) {
    pool.free(natPort, c.now);
    return BANDWIDTH_EXCEEDED;
  }

  const f = flows.allocate();
  const at = f * F.STRIDE;
  const r = c.r;
  const providerPorts = (natPort << 16) | backendPort;
  r[at + F.CONSUMER] = source;
  r[at + F.ENDPOINT_ADDRESS] = destination;
  r[at + F.CONSUMER_PORTS] = ports;
  r[at + F.CONSUMER_SCOPE] = (network << 8) | protocol;
  r[at + F.NAT_ADDRESS] = natAddress;
  r[at + F.BACKEND] = backend;
  r[at + F.PROVIDER_PORTS] = providerPorts;
  r[at + F.ENDPOINT] = endpoint.index;
  endpoint.flows++;
  r[at + F.POOL] = pool.number;
  r[at + F.DELTAS] =
    (fold(delta32(source, natAddress) + delta32(destination, backend)) << 16) | fold(delta32(ports, providerPorts));
  r[at + F.IDLE_MS] = rule.idleMs;
  r[at + F.SEEN] = c.now | 0;
  const headerLength = state === F.SYN_SENT && endpoint.header !== null ? endpoint.header.octets.length : 0;
  r[at + F.STATUS] = state | termsOf(link, rule) | (headerLength << F.HEADER_SHIFT);
  flows.link(f);
  flows.wheel.set(f, c.now + c.limitMs(f));
  if (protocol === 17) {
    r[at + F.HEALTH] = c.tables.healthGeneration;
    c.counters.flowsUdp++;
  } else if (state === F.MIDSTREAM) c.counters.flowsMidstream++;
  else c.counters.flowsTcp++;
  return f;
}

/** What a flow's status tells of its link and rule. */
const termsOf = (link: Link, rule: Rule): number =>
  (link.spec.destination === null ? 0 : F.POLICED) | (rule.tcpReset ? F.RESET_ON_IDLE : 0);

/**
 * The backend of a flow takes no new ones: it is down by its probes, or no rule leads there any more. What is not bound to
 * it by an answer, UDP above all, goes elsewhere, by a flow of its own.
 */
export function hasLostBackend(c: Core, f: number): boolean {
  const { r, tables } = c;
  const at = f * F.STRIDE;
  const { link } = tables.endpoints[r[at + F.ENDPOINT]!]!;
  const rule = tables.rule(link, r[at + F.CONSUMER_SCOPE]! & 0xff, r[at + F.CONSUMER_PORTS]! & 0xffff);
  return rule === undefined || !tables.takesFlows(rule, r[at + F.BACKEND]!);
}

/**
 * A flow could not be opened now as it is: the health of its backend or the topology has changed since. A connection that
 * begins anew on its tuple gets a flow of its own, by what holds now.
 */
export function isOutdated(c: Core, f: number): boolean {
  const { r, tables } = c;
  const at = f * F.STRIDE;
  const endpoint = tables.endpoints[r[at + F.ENDPOINT]!]!;
  const scope = r[at + F.CONSUMER_SCOPE]!;
  if (!endpoint.approved || tables.endpointAt(scope >>> 8, r[at + F.ENDPOINT_ADDRESS]!) !== endpoint) return true;
  const { link } = endpoint;
  const port = r[at + F.CONSUMER_PORTS]! & 0xffff;
  const rule = tables.rule(link, scope & 0xff, port);
  if (rule === undefined) return true;
  const backend = r[at + F.BACKEND]!;
  const backendPort = r[at + F.PROVIDER_PORTS]! & 0xffff;
  if (!tables.takesFlows(rule, backend) || backendPort !== (rule.backendPort === 0 ? port : rule.backendPort))
    return true;
  const terms = r[at + F.STATUS]! & (F.POLICED | F.RESET_ON_IDLE);
  if (r[at + F.IDLE_MS] !== rule.idleMs || terms !== termsOf(link, rule)) return true;
  const natAddress = r[at + F.NAT_ADDRESS]!;
  const natPort = r[at + F.PROVIDER_PORTS]! >>> 16;
  const { natPortFirst, natPortCount } = link.spec;
  if (!link.natAddresses.includes(natAddress)) return true;
  if (natPort < natPortFirst || natPort >= natPortFirst + natPortCount) return true;
  const { security } = link;
  return security !== null && !permits(security, scope & 0xff, natAddress, natPort, backend, backendPort);
}
