/**
 * Resource ids of the management interface, such as
 * `/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/virtualNetworks/V/subnets/N`. They are compared without
 * regard to case and kept as the client wrote them.
 */

export const networkProvider = 'Microsoft.Network';

/** Types that are held as documents of their own. */
export const documentTypes = [
  'virtualNetworks',
  'loadBalancers',
  'networkInterfaces',
  'networkSecurityGroups',
  'privateLinkServices',
  'privateEndpoints',
] as const;

export type DocumentType = (typeof documentTypes)[number];

/** Parts of such documents that have an id of their own, by the property that holds them. */
const partTypes: Readonly<Record<DocumentType, readonly string[]>> = {
  virtualNetworks: ['subnets'],
  loadBalancers: ['frontendIPConfigurations', 'backendAddressPools', 'loadBalancingRules', 'probes'],
  networkInterfaces: ['ipConfigurations'],
  networkSecurityGroups: ['securityRules'],
  privateLinkServices: ['ipConfigurations', 'privateEndpointConnections'],
  privateEndpoints: ['privateLinkServiceConnections', 'manualPrivateLinkServiceConnections'],
};

export interface ResourceId {
  readonly subscription: string;
  readonly resourceGroup: string;
  readonly type: DocumentType;
  readonly name: string;
  /** A part of the document, for example a subnet. */
  readonly part: { readonly type: string; readonly name: string } | null;
}

const MAX_SEGMENT = 150;

/** Why a text is no segment of an id, or null. */
export function segmentFault(text: string): string | null {
  if (text === '' || text === '.' || text === '..') return "segments are neither empty nor '.' nor '..'";
  if (text.length > MAX_SEGMENT) return `a segment has at most ${String(MAX_SEGMENT)} characters`;
  if (!/^[A-Za-z0-9_.()-]+$/.test(text)) return "segments have letters, digits, '_', '.', '-' and brackets";
  return null;
}

export const sameText = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** What an id is looked up by. */
export const keyOf = (id: string): string => id.toLowerCase();

export const typeOf = (text: string): DocumentType | undefined => documentTypes.find((type) => sameText(type, text));

export const partTypeOf = (type: DocumentType, text: string): string | undefined =>
  partTypes[type].find((part) => sameText(part, text));

export function formatResourceId(id: ResourceId): string {
  const group = `/subscriptions/${id.subscription}/resourceGroups/${id.resourceGroup}`;
  const document = `${group}/providers/${networkProvider}/${id.type}/${id.name}`;
  return id.part === null ? document : `${document}/${id.part.type}/${id.part.name}`;
}

/** The parts of an id of one of our types, or null. */
export function parseResourceId(text: string): ResourceId | null {
  const [empty, subscriptions, subscription, groups, resourceGroup, providers, provider, types, name, ...rest] =
    text.split('/');
  const type = typeOf(types ?? '');
  const literal =
    empty === '' &&
    sameText(subscriptions ?? '', 'subscriptions') &&
    sameText(groups ?? '', 'resourceGroups') &&
    sameText(providers ?? '', 'providers') &&
    sameText(provider ?? '', networkProvider);
  if (!literal || type === undefined || !subscription || !resourceGroup || !name) return null;
  const id = { subscription, resourceGroup, type, name, part: null };
  if (rest.length === 0) return id;
  const [part, partName] = rest;
  const partType = partTypeOf(type, part ?? '');
  if (rest.length !== 2 || partType === undefined || !partName) return null;
  return { ...id, part: { type: partType, name: partName } };
}

/** The document that an id is of, or is a part of. */
export const documentKey = (id: ResourceId): string => keyOf(formatResourceId({ ...id, part: null }));

/** The last part of an id: a resource's name. */
export const lastName = (id: string): string => id.slice(id.lastIndexOf('/') + 1);
