/** Whether the documents after a change are all right together: references lead somewhere, and every rule holds. */
import { checkModel } from '../rules.js';
import type { FindingSink, Problem, PropertyPath } from '../problem.js';
import { under } from '../problem.js';
import type { ResourceModel } from '../resources.js';
import { allOf, applied, exists, partNamed } from './documents.js';
import type { ArmDocument, Change, Documents } from './documents.js';
import { modelOf } from './model.js';
import { warnOfDeadRules } from './network-security-group.js';
import { documentKey, keyOf, lastName, parseResourceId, sameText } from './resource-id.js';
import { checkName } from './request.js';
import type { RefusalCode, RefusalDetail } from './refusal.js';
import { armCode, Refusal, refuse, unknownReference } from './refusal.js';

export interface Judged {
  readonly documents: Documents;
  readonly model: ResourceModel;
  readonly warnings: readonly RefusalDetail[];
}

/** Collects what the rules find, in the words and codes of the management interface. */
export class Verdict implements FindingSink {
  readonly errors: RefusalDetail[] = [];
  readonly warnings: RefusalDetail[] = [];
  readonly #documents: Documents;

  constructor(documents: Documents) {
    this.#documents = documents;
  }

  error(code: string, message: string, path: PropertyPath): void {
    this.errors.push(this.#detail(code, message, path));
  }

  add(prefix: PropertyPath, problems: readonly Problem[]): void {
    for (const { code, severity, message, path } of under(prefix, problems)) {
      (severity === 'error' ? this.errors : this.warnings).push(this.#detail(code, message, path));
    }
  }

  #detail(code: string, message: string, path: PropertyPath): RefusalDetail {
    const [section, key, ...rest] = path;
    const id = this.#documents.get(String(key))?.id ?? `${String(section)}/${String(key)}`;
    return { code: armCode(code), message: this.#spelled(message), target: [id, ...rest].join('/') };
  }

  /** Rules know resources by lower-case ids; people by what they wrote. */
  #spelled(message: string): string {
    if (!message.includes('/subscriptions/')) return message;
    let text = message;
    for (const [key, { id }] of this.#documents)
      if (text.includes(`'${key}'`)) text = text.replaceAll(`'${key}'`, `'${id}'`);
    return text;
  }

  /** @throws Refusal with the first error, the others as its details */
  throwErrors(): void {
    const [first, ...more] = this.errors;
    if (first === undefined) return;
    throw new Refusal(400, first.code, first.message, first.target, more.length > 0 ? this.errors : []);
  }
}

/** A new resource is in a subscription with a proper name; one of an older version may have another, and may go. */
function checkSubscriptions(change: Change, before: Documents): void {
  for (const { id } of change.put) if (!before.has(keyOf(id))) checkName(id.split('/')[2] ?? '', 'a subscription');
}

/** Every id that a document names, but for its own parts. */
function* referencesIn(document: ArmDocument): Generator<string> {
  const own = `${keyOf(document.id)}/`;
  const stack: unknown[] = [document.properties];
  while (stack.length > 0) {
    const value = stack.pop();
    if (typeof value !== 'object' || value === null) continue;
    const { id } = value as { id?: unknown };
    // A part has a name beside its id; what has an id alone is a reference, to a part of the same document too.
    if (typeof id === 'string' && !('name' in value && keyOf(id).startsWith(own))) yield id;
    stack.push(...(Object.values(value) as unknown[]));
  }
}

function checkReferences(change: Change, before: Documents, after: Documents): void {
  for (const document of change.put) {
    for (const reference of referencesIn(document)) {
      const id = parseResourceId(reference);
      if (id !== null && !exists(after, id)) throw unknownReference(reference, document.id);
    }
  }
  const gone = goneWith(change, before);
  if (gone.size === 0) return;
  const put = new Set(change.put.map((document) => keyOf(document.id)));
  for (const [key, document] of after) {
    if (put.has(key)) continue;
    for (const reference of referencesIn(document)) {
      const id = parseResourceId(reference);
      if (id !== null && (gone.has(keyOf(reference)) || gone.has(documentKey(id)))) throw inUse(reference, document);
    }
  }
}

/** Keys of the documents and parts that are no more after a change. */
function goneWith(change: Change, before: Documents): ReadonlySet<string> {
  const gone = new Set(change.remove);
  for (const document of change.put) {
    const old = before.get(keyOf(document.id));
    if (old === undefined) continue;
    for (const id of partIds(old)) gone.add(id);
    for (const id of partIds(document)) gone.delete(id);
  }
  return gone;
}

/** A list that no shape knows may hold anything. */
const partId = ({ name, id }: { readonly name?: unknown; readonly id?: unknown }): string[] =>
  name !== undefined && typeof id === 'string' ? [keyOf(id)] : [];

const partIds = (document: ArmDocument): string[] =>
  Object.values(document.properties).flatMap((list) => (Array.isArray(list) ? list.flatMap(partId) : []));

function inUse(reference: string, by: ArmDocument): Refusal {
  const id = parseResourceId(reference)!;
  const codes: Readonly<Record<string, RefusalCode>> = {
    subnets: 'InUseSubnetCannotBeDeleted',
    virtualNetworks: 'InUseSubnetCannotBeDeleted',
    networkSecurityGroups: 'InUseNetworkSecurityGroupCannotBeDeleted',
  };
  const ofEndpoint = id.type === 'networkInterfaces' && sameText(by.type, 'Microsoft.Network/privateEndpoints');
  const code = ofEndpoint
    ? 'NicInUseWithPrivateEndpoint'
    : (codes[id.part?.type ?? id.type] ?? 'InUseResourceCannotBeDeleted');
  const what = `${reference} is in use by ${by.id} and cannot be deleted: delete or change that resource first.`;
  return refuse(400, code, what, reference);
}

/** Azure lets a service lead to pools of network interfaces only, not to pools of plain addresses. */
function checkPools(documents: Documents): void {
  for (const service of allOf(documents, 'privateLinkServices')) {
    const frontend = parseResourceId(service.properties.loadBalancerFrontendIpConfigurations?.[0]?.id ?? '');
    if (frontend === null) continue;
    for (const balancer of allOf(documents, 'loadBalancers')) {
      if (keyOf(balancer.id) !== documentKey(frontend)) continue;
      for (const { properties: rule } of balancer.properties.loadBalancingRules ?? []) {
        if (!sameText(lastName(rule.frontendIPConfiguration.id), frontend.part?.name ?? '')) continue;
        const poolId = rule.backendAddressPool?.id ?? rule.backendAddressPools?.[0]?.id ?? '';
        const pool = partNamed(balancer.properties.backendAddressPools, lastName(poolId));
        if (!pool?.properties.loadBalancerBackendAddresses?.some((each) => each.properties.ipAddress !== undefined))
          continue;
        const what =
          `Backend pool ${poolId} has plain IP addresses; private link service ${service.id} needs a pool of network ` +
          `interfaces: remove loadBalancerBackendAddresses and put the pool into the interfaces' ipConfigurations.`;
        throw refuse(400, 'PrivateLinkServiceNeedsNicBackendPool', what, service.id);
      }
    }
  }
}

/**
 * Judges a change.
 * @throws Refusal
 */
export function judge(before: Documents, change: Change): Judged {
  const documents = applied(before, change);
  checkSubscriptions(change, before);
  checkReferences(change, before, documents);
  checkPools(documents);
  const verdict = new Verdict(documents);
  const model = modelOf(documents, verdict);
  checkModel(model, verdict);
  verdict.throwErrors();
  return { documents, model, warnings: [...verdict.warnings, ...warnOfDeadRules(documents)] };
}
