/** Load balancers: frontends with private addresses, pools, probes, rules. */
import { Addresses } from './addresses.js';
import { documentOf } from './documents.js';
import type { Change } from './documents.js';
import { methodOf } from './network-interface.js';
import { documentKey, formatResourceId, keyOf, parseResourceId } from './resource-id.js';
import { bare, changeNotAllowed, checkSameLocation, draftOf, withIds, without } from './request.js';
import type { PutRequest } from './request.js';
import { refuse } from './refusal.js';

export function putLoadBalancer(request: PutRequest): Change {
  const { documents } = request;
  const before = documentOf(documents, formatResourceId(request.id), 'loadBalancers');
  const draft = draftOf(request, 'loadBalancers', before);
  const { id } = draft;
  // Azure retired Basic in 2025; a request without a sku is meant for Standard.
  const sku = { ...draft.sku, name: draft.sku?.name ?? before?.sku?.name ?? 'Standard' };
  const skuBefore = before?.sku?.name;
  if (skuBefore !== undefined && skuBefore.toLowerCase() !== sku.name.toLowerCase()) {
    throw changeNotAllowed(id, 'sku.name', skuBefore, sku.name);
  }
  const frontends = withIds(id, 'frontendIPConfigurations', draft.properties.frontendIPConfigurations);
  for (const { name, id: place, properties } of frontends) {
    if (properties.subnet !== undefined) continue;
    const what = `frontend '${name}' has no subnet: only private frontends can be had here, name a subnet`;
    throw refuse(400, 'InvalidRequestFormat', what, place);
  }
  const addresses = new Addresses(documents, id, request.addresses).assign(
    frontends,
    before?.properties.frontendIPConfigurations ?? [],
  );
  const frontendIPConfigurations = frontends.map((frontend, index) => {
    const { properties } = frontend;
    const subnet = properties.subnet!;
    checkSameLocation(draft, subnet.id, documents);
    return {
      ...frontend,
      properties: {
        ...without(properties, 'loadBalancingRules'),
        privateIPAddress: addresses[index]!,
        privateIPAllocationMethod: methodOf(properties),
        privateIPAddressVersion: properties.privateIPAddressVersion ?? 'IPv4',
        subnet: bare(subnet),
      },
    };
  });
  const properties = {
    ...draft.properties,
    frontendIPConfigurations,
    backendAddressPools: withIds(id, 'backendAddressPools', draft.properties.backendAddressPools).map(plain),
    probes: withIds(id, 'probes', draft.properties.probes).map(plain),
    loadBalancingRules: withIds(id, 'loadBalancingRules', draft.properties.loadBalancingRules).map((rule) => {
      const { frontendIPConfiguration, backendAddressPool, backendAddressPools, probe } = rule.properties;
      checkOwn(id, rule.id, 'frontendIPConfigurations', [frontendIPConfiguration]);
      checkOwn(id, rule.id, 'backendAddressPools', [backendAddressPool, ...(backendAddressPools ?? [])]);
      checkOwn(id, rule.id, 'probes', [probe]);
      return {
        ...rule,
        properties: {
          ...rule.properties,
          frontendIPConfiguration: bare(frontendIPConfiguration),
          ...(backendAddressPool === undefined ? {} : { backendAddressPool: bare(backendAddressPool) }),
          ...(backendAddressPools === undefined ? {} : { backendAddressPools: backendAddressPools.map(bare) }),
          ...(probe === undefined ? {} : { probe: bare(probe) }),
        },
      };
    }),
  };
  return { put: [{ ...draft, sku, properties }], remove: [] };
}

/** A rule joins parts of its own load balancer. @throws Refusal InvalidResourceReference */
function checkOwn(
  balancer: string,
  rule: string,
  type: string,
  references: readonly ({ readonly id: string } | undefined)[],
): void {
  for (const reference of references) {
    if (reference === undefined) continue;
    const parsed = parseResourceId(reference.id);
    if (parsed?.part?.type === type && documentKey(parsed) === keyOf(balancer)) continue;
    const what = `${reference.id}, which ${rule} refers to, is none of ${type} of ${balancer}: name one of its own.`;
    throw refuse(400, 'InvalidResourceReference', what, rule);
  }
}

/** Without the lists of who uses it. */
const plain = <P extends { readonly properties: object }>(part: P): P => ({
  ...part,
  properties: without(part.properties, 'loadBalancingRules', 'backendIPConfigurations'),
});
