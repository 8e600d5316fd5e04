/** What a private link service leads to: exactly one of a load-balancer frontend and a destination address. */
import { error, warning } from './problem.js';
import type { Problem } from './problem.js';
import type { LoadBalancer, PrivateLinkService } from './resources.js';

export function checkTarget(service: PrivateLinkService): Problem[] {
  const hasFrontend = service.loadBalancerFrontend !== null;
  const hasDestination = service.destinationIPAddress !== null;
  if (hasFrontend !== hasDestination) return [];
  const what = hasFrontend
    ? 'loadBalancerFrontend and destinationIPAddress are both given; a service leads to one of them: remove the other'
    : 'a service leads somewhere: give loadBalancerFrontend (load-balancer/frontend) or destinationIPAddress (Direct Connect)';
  return [error('SERVICE_TARGET', what, hasFrontend ? ['destinationIPAddress'] : [])];
}

/** The load balancer is a Standard one, and some rule uses the frontend. */
export function checkFrontend(service: PrivateLinkService, balancer: LoadBalancer): Problem[] {
  const frontend = service.loadBalancerFrontend?.frontend;
  const path = ['loadBalancerFrontend'];
  const problems: Problem[] = [];
  if (balancer.sku !== 'Standard') {
    const what = `load balancer '${balancer.name}' has sku ${balancer.sku}; a private link service needs sku: Standard`;
    problems.push(error('LOAD_BALANCER_SKU', what, path));
  }
  if (!balancer.rules.some((rule) => rule.frontend === frontend)) {
    const what = `no rule of load balancer '${balancer.name}' uses frontend '${frontend ?? ''}': every packet for the service is dropped`;
    problems.push(warning('FRONTEND_WITHOUT_RULES', what, path));
  }
  return problems;
}

/** The load balancer is in the service's own network. */
export function checkFrontendNetwork(service: PrivateLinkService, balancer: LoadBalancer): Problem[] {
  if (balancer.virtualNetwork === service.virtualNetwork) return [];
  const what =
    `load balancer '${balancer.name}' is in virtual network '${balancer.virtualNetwork}', ` +
    `the service in '${service.virtualNetwork}'; both belong in one network`;
  return [error('LOAD_BALANCER_OTHER_NETWORK', what, ['loadBalancerFrontend'])];
}

/** @param owner the service that has the frontend already */
export const frontendInUse = (frontend: string, owner: string): Problem =>
  error(
    'FRONTEND_IN_USE',
    `frontend '${frontend}' is private link service '${owner}''s already; a frontend has one service`,
    ['loadBalancerFrontend'],
  );
