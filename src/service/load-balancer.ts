/** Rules of a load balancer: its addresses, its load-balancing rules, its probes. */
import { parseAddress } from '../wire/address.js';
import { checkInNetwork } from './addresses.js';
import { checkRuleIdle } from './idle.js';
import { error, under, warning } from './problem.js';
import type { Problem } from './problem.js';
import type { LoadBalancer, LoadBalancingRule, Probe, VirtualNetwork } from './resources.js';

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65535;

const portRange = (name: string, value: number): Problem[] =>
  isPort(value)
    ? []
    : [error('PORT_RANGE', `${name} is ${String(value)}; it must be a whole number, 1 to 65535`, [name])];

/** Where Azure's probes come from, 168.63.129.16 (Azure, "What is IP address 168.63.129.16?"). */
export const probeSource = parseAddress('168.63.129.16');

/** A probe's name among those of all load balancers. */
export const probeName = (loadBalancer: string, probe: string): string => `${loadBalancer}/${probe}`;

/** What a request line can hold: printable ASCII without spaces (RFC 9112 section 3.2). */
const REQUEST_TARGET = /^[\x21-\x7e]*$/;
/** Seconds: what a timer can wait. */
const MAX_INTERVAL = 2_147_483;

/** HTTP and HTTPS probes ask for a path, TCP probes have none; interval 5 s and more (Azure's limits). */
export function checkProbe(probe: Probe): Problem[] {
  const problems = portRange('port', probe.port);
  if (!(probe.intervalInSeconds >= 5)) {
    const what = `intervalInSeconds is ${String(probe.intervalInSeconds)}; a probe waits 5 seconds or more`;
    problems.push(error('PROBE_INTERVAL_RANGE', what, ['intervalInSeconds']));
  }
  if (probe.intervalInSeconds > MAX_INTERVAL) {
    const what = `intervalInSeconds is ${String(probe.intervalInSeconds)}; a probe waits ${String(MAX_INTERVAL)} seconds or less`;
    problems.push(error('PROBE_INTERVAL_RANGE', what, ['intervalInSeconds']));
  }
  for (const name of ['numberOfProbes', 'probeThreshold'] as const) {
    const value = probe[name];
    if (value === null || (Number.isInteger(value) && value >= 1)) continue;
    const what = `${name} is ${String(value)}; it must be a whole number, 1 or more`;
    problems.push(error('PROBE_THRESHOLD_RANGE', what, [name]));
  }
  if (probe.protocol === 'Tcp' && probe.requestPath !== null) {
    problems.push(
      error('PROBE_PATH', 'a Tcp probe asks for no path: remove requestPath or set protocol: Http', ['requestPath']),
    );
  } else if (probe.protocol !== 'Tcp' && probe.requestPath === null) {
    const what = `a probe with protocol ${probe.protocol} needs requestPath, for example requestPath: /`;
    problems.push(error('PROBE_PATH', what, []));
  } else if (probe.requestPath !== null && !probe.requestPath.startsWith('/')) {
    problems.push(error('PROBE_PATH', `requestPath is '${probe.requestPath}'; it begins with '/'`, ['requestPath']));
  } else if (!REQUEST_TARGET.test(probe.requestPath ?? '')) {
    const what = 'requestPath holds a space or another character that a request cannot: write it percent-encoded';
    problems.push(error('PROBE_PATH', what, ['requestPath']));
  }
  return problems;
}

/** Ports: 1 to 65535, or 0 on both sides with protocol All (Azure's high-availability ports). */
export function checkRule(rule: LoadBalancingRule): Problem[] {
  const problems: Problem[] = [];
  const allPorts = rule.frontendPort === 0 && rule.backendPort === 0;
  if (rule.protocol === 'All') {
    if (!allPorts) {
      const what = 'protocol All balances every port: set frontendPort: 0 and backendPort: 0, or name Tcp or Udp';
      problems.push(error('RULE_PORTS', what, ['frontendPort']));
    }
  } else if (rule.frontendPort === 0) {
    problems.push(error('RULE_PORTS', 'frontendPort 0 means every port and needs protocol: All', ['frontendPort']));
  } else {
    problems.push(...portRange('frontendPort', rule.frontendPort), ...portRange('backendPort', rule.backendPort));
  }
  return [...problems, ...under(['idleTimeoutInMinutes'], checkRuleIdle(rule.idleTimeoutInMinutes))];
}

const overlap = (a: LoadBalancingRule, b: LoadBalancingRule): boolean =>
  a.frontend === b.frontend &&
  (a.protocol === 'All' || b.protocol === 'All' || (a.protocol === b.protocol && a.frontendPort === b.frontendPort));

/** Two rules never claim the same packets. Paths are `['rules', index]`. */
export function checkRuleConflicts(rules: readonly LoadBalancingRule[]): Problem[] {
  const problems: Problem[] = [];
  rules.forEach((rule, index) => {
    const other = rules.slice(0, index).find((earlier) => overlap(earlier, rule));
    if (other === undefined) return;
    const what =
      `rule '${rule.name}' takes packets that rule '${other.name}' takes already ` +
      `(frontend '${rule.frontend}', ${rule.protocol} ${String(rule.frontendPort)}): give it another port or frontend`;
    problems.push(error('RULE_CONFLICT', what, ['rules', index, 'frontendPort']));
  });
  return problems;
}

/**
 * Everything about one load balancer. Paths start at the load balancer.
 * @param isInterface whether an interface has the address, and so the rules of interfaces look at where it is
 */
export function checkLoadBalancer(
  balancer: LoadBalancer,
  network: VirtualNetwork | undefined,
  isInterface: (address: number) => boolean,
): Problem[] {
  const problems: Problem[] = [];
  for (const [name, address] of balancer.frontends) {
    if (network !== undefined) problems.push(...under(['frontends', name], checkInNetwork(address, network)));
  }
  for (const [name, backends] of balancer.backendPools) {
    if (backends.length === 0) {
      const what = `backend pool '${name}' is empty: every packet for it is dropped`;
      problems.push(warning('BACKEND_POOL_EMPTY', what, ['backendPools', name]));
    }
    backends.forEach((address, index) => {
      const path = ['backendPools', name, index];
      if (address >= 0 && backends.indexOf(address) < index) {
        problems.push(error('ADDRESS_IN_USE', `this backend is in pool '${name}' twice; name it once`, path));
      } else if (network !== undefined && !isInterface(address)) {
        problems.push(...under(path, checkInNetwork(address, network)));
      }
    });
  }
  for (const [name, probe] of balancer.probes) problems.push(...under(['probes', name], checkProbe(probe)));
  balancer.rules.forEach((rule, index) => problems.push(...under(['rules', index], checkRule(rule))));
  return [...problems, ...checkRuleConflicts(balancer.rules)];
}
