/**
 * What a rule of the service model found. Rules are pure: they take plain values and return problems, which the
 * configuration places in its file and a management interface answers with.
 */

/** Codes of all rules. Stable: never renamed. Where Azure publishes a code for the case, it is Azure's own spelling. */
export const ruleCodes = [
  'IPV4_ONLY',
  'ADDRESS_INVALID',
  'ADDRESS_IN_USE',
  'ADDRESS_OUTSIDE_SUBNET',
  'ADDRESS_RESERVED',
  'ADDRESS_SPACE_EMPTY',
  'ALIAS_PREFIX_INVALID',
  'AUTO_APPROVAL_NOT_VISIBLE',
  'BACKEND_POOL_EMPTY',
  'CIDR_HOST_BITS',
  'CIDR_INVALID',
  'DESTINATION_IS_ENDPOINT',
  'DESTINATION_NOT_PRIVATE',
  'DIRECT_CONNECT_BANDWIDTH',
  'DIRECT_CONNECT_LIMIT',
  'DIRECT_CONNECT_NOT_REGISTERED',
  'DIRECT_CONNECT_OTHER_LOCATION',
  'ENDPOINT_NOT_APPROVED',
  'ENDPOINT_NOT_VISIBLE',
  'FRONTEND_IN_USE',
  'FRONTEND_WITHOUT_RULES',
  'IDLE_TIMEOUT_RANGE',
  'INTERFACE_OTHER_NETWORK',
  'LINK_IDENTIFIER_IN_USE',
  'LINK_IDENTIFIER_RANGE',
  'LOAD_BALANCER_OTHER_NETWORK',
  'LOAD_BALANCER_SERVICE_LIMIT',
  'LOAD_BALANCER_SKU',
  'NAT_IP_COUNT',
  'NAT_IP_IN_USE',
  'NAT_IP_OUTSIDE_NETWORK',
  'NETWORK_ENDPOINT_LIMIT',
  'PORT_RANGE',
  'PROBE_INTERVAL_RANGE',
  'PROBE_PATH',
  'PROBE_THRESHOLD_RANGE',
  'PROXY_HEADER_SIZE',
  'PROXY_MIXED_ON_LOAD_BALANCER',
  'PROXY_TLV_INVALID',
  'PROXY_WITH_DIRECT_CONNECT',
  'PrivateLinkServiceCannotBeCreatedInSubnetThatHasNetworkPoliciesEnabled',
  'RULE_CONFLICT',
  'RULE_PORTS',
  'SECURITY_RULE_LIMIT',
  'SERVICE_DENIED',
  'SERVICE_ENDPOINT_LIMIT',
  'SERVICE_TARGET',
  'SUBNETS_OVERLAP',
  'SUBNET_OUTSIDE_ADDRESS_SPACE',
  'SUBSCRIPTION_LIST_LIMIT',
  'SUBSCRIPTION_SERVICE_LIMIT',
  'SecurityRuleConflict',
  'SecurityRuleInvalidAddressPrefix',
  'SecurityRuleInvalidPortRange',
  'SecurityRuleInvalidPriority',
  'VISIBILITY_WILDCARD',
] as const;

export type RuleCode = (typeof ruleCodes)[number];

/** Keys and indexes from the resource that was checked down to the value at fault. */
export type PropertyPath = readonly (string | number)[];

export interface Problem {
  readonly code: RuleCode;
  /** A warning leaves the resource usable. */
  readonly severity: 'error' | 'warning';
  /** What is wrong and what would be right. */
  readonly message: string;
  readonly path: PropertyPath;
}

export const error = (code: RuleCode, message: string, path: PropertyPath = []): Problem => ({
  code,
  severity: 'error',
  message,
  path,
});

export const warning = (code: RuleCode, message: string, path: PropertyPath = []): Problem => ({
  code,
  severity: 'warning',
  message,
  path,
});

/** The same problems, seen from an enclosing resource. */
export const under = (prefix: PropertyPath, problems: readonly Problem[]): Problem[] =>
  problems.map((problem) => ({ ...problem, path: [...prefix, ...problem.path] }));

/** Where the rules over all resources tell what they find. */
export interface ProblemSink {
  /** @param prefix section and key of the resource, for example `['privateLinkServices', 'web']` */
  add(prefix: PropertyPath, problems: readonly Problem[]): void;
}

/** The same, for what is read and checked in one. */
export interface FindingSink extends ProblemSink {
  error(code: string, message: string, path: PropertyPath): void;
}
