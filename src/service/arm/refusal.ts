/** Why a change is refused: an HTTP status, a code, and a message that says what to do. */
import { CulvertError } from '../../errors.js';
import type { RuleCode } from '../problem.js';

/** Codes of refusals that are no rule of the service model; those that Azure publishes have its spelling. */
export const refusalCodes = [
  'ApplicationSecurityGroupsNotSupported',
  'CannotModifySystemResource',
  'ConnectionNotFound',
  'ConnectionTransition',
  'InUseResourceCannotBeDeleted',
  'InUseNetworkSecurityGroupCannotBeDeleted',
  'InUseSubnetCannotBeDeleted',
  'InvalidRequestFormat',
  'InvalidResourceGroupLocation',
  'InvalidResourceName',
  'InvalidResourceReference',
  'LocationRequired',
  'NicInUseWithPrivateEndpoint',
  'ParentResourceNotFound',
  'PreconditionFailed',
  'PrivateEndpointConnectionCount',
  'PrivateLinkServiceAliasNotFound',
  'PrivateLinkServiceHasConnections',
  'PrivateLinkServiceNeedsNicBackendPool',
  'PropertyChangeNotAllowed',
  'ResourceGroupNotFound',
  'ResourceNotFound',
  'SubnetIsFull',
] as const;

export type RefusalCode = (typeof refusalCodes)[number];

export interface RefusalDetail {
  readonly code: string;
  readonly message: string;
  readonly target?: string;
}

export class Refusal extends CulvertError {
  /** HTTP status. */
  readonly status: number;
  /** The resource or the property at fault. */
  readonly target: string | undefined;
  readonly details: readonly RefusalDetail[];

  constructor(status: number, code: string, message: string, target?: string, details: readonly RefusalDetail[] = []) {
    super(code, message);
    this.name = 'Refusal';
    this.status = status;
    this.target = target;
    this.details = details;
  }
}

export const refuse = (status: number, code: RefusalCode, message: string, target?: string): Refusal =>
  new Refusal(status, code, message, target);

export const notFound = (id: string): Refusal =>
  refuse(404, 'ResourceNotFound', `The resource '${id}' was not found: check the name, or create it first.`, id);

/** In the words of Azure's own message, since people search for it. */
export const unknownReference = (target: string, from: string): Refusal =>
  refuse(
    400,
    'InvalidResourceReference',
    `Resource ${target} referenced by resource ${from} was not found. ` +
      `Please make sure that the referenced resource exists, and that both resources are in the same region.`,
    target,
  );

/** Where Azure publishes a code for what one of our rules says. */
const published: Partial<Record<RuleCode, string>> = {
  ADDRESS_IN_USE: 'PrivateIPAddressInUse',
  ADDRESS_OUTSIDE_SUBNET: 'PrivateIPAddressNotInSubnet',
  SUBNETS_OVERLAP: 'NetcfgSubnetRangesOverlap',
  SUBNET_OUTSIDE_ADDRESS_SPACE: 'NetcfgSubnetRangeOutsideVnet',
};

/** A rule's code in the style of the management interface: `NAT_IP_COUNT` is `NatIpCount` there. */
export function armCode(code: string): string {
  const known = published[code as RuleCode];
  if (known !== undefined) return known;
  if (!/^[A-Z0-9_]+$/.test(code)) return code;
  return code
    .toLowerCase()
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}
