/**
 * ARM templates, as Bicep compiles them: parameters, variables, loops and expressions to resources with ids and bodies,
 * in an order in which each comes after what it depends on.
 */
import { documentTypes, keyOf, partTypeOf } from '../../service/arm/resource-id.js';
import type { DocumentType } from '../../service/arm/resource-id.js';
import { isWritable } from '../../service/arm/manage.js';
import { countOf, evaluate, withResourceLoop } from './evaluate.js';
import type { Call, Context } from './evaluate.js';
import { templateError } from './expression.js';
import type { Value } from './functions.js';

/** Where a template is deployed to. */
export interface Target {
  readonly subscription: string;
  readonly resourceGroup: string;
  readonly location: string;
}

export interface TemplateResource {
  readonly id: string;
  readonly body: Readonly<Record<string, unknown>>;
}

type Json = Readonly<Record<string, unknown>>;

interface Declared extends TemplateResource {
  readonly path: string;
  readonly dependsOn: readonly string[];
  /** What others may call it: id, type/name, name, its loop, its symbolic name; in lower case. */
  readonly names: readonly string[];
}

/** Azure's limit of resources in a template. */
const MAX_RESOURCES = 800;
/** Of parameters and variables that need each other; Azure's limit of either. */
const MAX_CHAIN = 256;
const NAMESPACE = 'Microsoft.Network';

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether a parsed file is an ARM template and no lab file. */
export const isTemplate = (value: unknown): boolean =>
  isObject(value) && /deploymentTemplate\.json#?$/i.test(String(value['$schema']));

const kinds: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  securestring: (value) => typeof value === 'string',
  int: (value) => Number.isInteger(value),
  bool: (value) => typeof value === 'boolean',
  array: Array.isArray,
  object: isObject,
  secureobject: isObject,
};

class Template {
  readonly #template: Json;
  readonly #target: Target;
  readonly #given: ReadonlyMap<string, unknown>;
  readonly #parameters = new Map<string, Value>();
  readonly #variables = new Map<string, Value>();
  readonly #running = new Set<string>();
  readonly #declared: Declared[] = [];
  readonly #context: Context;

  constructor(template: Json, target: Target, given: ReadonlyMap<string, unknown>) {
    this.#template = template;
    this.#target = target;
    this.#given = new Map([...given].map(([name, value]) => [keyOf(name), value]));
    this.#context = {
      loops: new Map(),
      calls: new Map<string, Call>([
        ['parameters', ([name], path) => this.#once('parameters', this.#parameters, String(name), path)],
        ['variables', ([name], path) => this.#once('variables', this.#variables, String(name), path)],
        ['subscription', () => ({ id: `/subscriptions/${target.subscription}`, subscriptionId: target.subscription })],
        ['resourcegroup', () => ({ id: this.#group(), name: target.resourceGroup, location: target.location })],
        ['resourceid', (args, path) => this.#resourceId(args, path)],
        ['reference', ([name], path) => this.#reference(String(name), path)],
      ]),
    };
  }

  resources(): TemplateResource[] {
    const { parameters } = this.#template;
    const known = new Set(Object.keys(isObject(parameters) ? parameters : {}).map(keyOf));
    for (const name of this.#given.keys()) {
      if (!known.has(name))
        throw templateError('PARAMETER', `parameters.${name}`, 'the template has no such parameter');
    }
    for (const name of known) this.#once('parameters', this.#parameters, name, `parameters.${name}`);
    this.#declareAll(this.#template['resources'], 'resources', null, this.#context);
    return sorted(this.#declared).map(({ id, body }) => ({ id, body }));
  }

  #group({ subscription, resourceGroup } = this.#target): string {
    return `/subscriptions/${subscription}/resourceGroups/${resourceGroup}`;
  }

  /** A parameter or variable: evaluated when it is first asked for, and never while it is being evaluated. */
  #once(section: 'parameters' | 'variables', values: Map<string, Value>, name: string, path: string): Value {
    const key = keyOf(name);
    if (values.has(key)) return values.get(key);
    if (this.#running.has(`${section} ${key}`)) throw templateError('CYCLE', path, `${section} '${name}' needs itself`);
    if (this.#running.size >= MAX_CHAIN) {
      throw templateError('TOO_DEEP', path, `values need each other over more than ${String(MAX_CHAIN)} steps`);
    }
    this.#running.add(`${section} ${key}`);
    const value = section === 'parameters' ? this.#parameter(name, path) : this.#variable(name, path);
    this.#running.delete(`${section} ${key}`);
    values.set(key, value);
    return value;
  }

  #entry(section: string, name: string): [string, unknown] | undefined {
    const all = this.#template[section];
    return isObject(all) ? Object.entries(all).find(([each]) => keyOf(each) === keyOf(name)) : undefined;
  }

  #parameter(name: string, path: string): Value {
    const declared = this.#entry('parameters', name)?.[1];
    if (!isObject(declared)) throw templateError('PARAMETER', path, `there is no parameter '${name}'`);
    const at = `parameters.${name}`;
    const given = this.#given.get(keyOf(name));
    if (given === undefined && declared['defaultValue'] === undefined) {
      throw templateError('PARAMETER', at, 'it has no default value: give one with --parameter or --parameters');
    }
    const value = given ?? evaluate(declared['defaultValue'], this.#context, `${at}.defaultValue`);
    const type = String(declared['type']);
    const fits = kinds[type.toLowerCase()];
    if (fits === undefined) throw templateError('PARAMETER', `${at}.type`, `'${type}' is no type of a parameter`);
    if (!fits(value)) throw templateError('PARAMETER', at, `${JSON.stringify(value)} is no ${type}`);
    const { allowedValues } = declared;
    if (Array.isArray(allowedValues) && !allowedValues.some((each) => JSON.stringify(each) === JSON.stringify(value))) {
      throw templateError('PARAMETER', at, `${JSON.stringify(value)} is not one of ${JSON.stringify(allowedValues)}`);
    }
    return value;
  }

  #variable(name: string, path: string): Value {
    const found = this.#entry('variables', name);
    if (found !== undefined && keyOf(name) !== 'copy')
      return evaluate(found[1], this.#context, `variables.${found[0]}`);
    const loops = this.#entry('variables', 'copy')?.[1];
    const loop = Array.isArray(loops)
      ? (loops as Json[]).find((each) => isObject(each) && keyOf(String(each['name'])) === keyOf(name))
      : undefined;
    if (loop === undefined) throw templateError('VARIABLE', path, `there is no variable '${name}'`);
    const made = evaluate({ copy: [loop] }, this.#context, 'variables') as Record<string, Value>;
    return made[String(loop['name'])];
  }

  /** `resourceId([subscription], [group], type, names...)` */
  #resourceId(args: readonly Value[], path: string): string {
    const texts = args.map(String);
    const at = texts.findIndex((each) => each.includes('/'));
    const type = texts[at]?.split('/') ?? [];
    const names = texts.slice(at + 1);
    if (at < 0 || at > 2 || names.length === 0 || names.length !== type.length - 1) {
      const what =
        'resourceId takes [subscription], [resource group], a type such as Microsoft.Network/loadBalancers, and a name for each part of the type';
      throw templateError('EXPRESSION', path, what);
    }
    const { subscription, resourceGroup } = this.#target;
    const group = this.#group({
      ...this.#target,
      subscription: at === 2 ? texts[0]! : subscription,
      resourceGroup: at >= 1 ? texts[at - 1]! : resourceGroup,
    });
    return `${group}/providers/${type[0]!}/${names.map((name, i) => `${type[i + 1]!}/${name}`).join('/')}`;
  }

  /** What the template itself says of one of its resources; what only the server knows is not there yet. */
  #reference(name: string, path: string): Value {
    const found = this.#declared.find((each) => each.names.includes(keyOf(name)));
    if (found !== undefined)
      return { ...(found.body['properties'] as Json), id: found.id, name: found.id.split('/').at(-1) };
    const what = `reference('${name}') names no resource that the template declares before this one`;
    throw templateError('REFERENCE', path, `${what}: what only the server knows cannot be had`);
  }

  #declareAll(resources: unknown, path: string, parent: Declared | null, context: Context): void {
    const list: [string | null, string, unknown][] = Array.isArray(resources)
      ? resources.map((each, index) => [null, `${path}[${String(index)}]`, each])
      : Object.entries(resources ?? {}).map(([name, each]) => [name, `${path}.${name}`, each]);
    for (const [symbol, at, resource] of list) {
      if (!isObject(resource)) throw templateError('RESOURCE', at, 'a resource is an object');
      if (resource['existing'] === true) continue;
      const copy = resource['copy'];
      if (!isObject(copy)) this.#declare(resource, at, parent, context, symbol === null ? [] : [symbol]);
      else {
        const name = String(copy['name']);
        const count = countOf(copy['count'], context, `${at}.copy`);
        for (let index = 0; index < count; index++) {
          const names = [name, ...(symbol === null ? [] : [symbol, `${symbol}[${String(index)}]`])];
          this.#declare(resource, at, parent, withResourceLoop(context, name, index), names);
        }
      }
    }
  }

  #declare(resource: Json, path: string, parent: Declared | null, context: Context, names: readonly string[]): void {
    const { condition, type, name, dependsOn = [], resources, ...rest } = resource;
    if (condition !== undefined && evaluate(condition, context, `${path}.condition`) !== true) return;
    if (this.#declared.length >= MAX_RESOURCES) {
      throw templateError('RESOURCE', path, `a template has at most ${String(MAX_RESOURCES)} resources`);
    }
    const named = String(evaluate(name, context, `${path}.name`));
    const id = this.#idOf(String(type), named, parent, path);
    const body: Record<string, unknown> = {};
    for (const key of ['location', 'tags', 'sku', 'properties']) {
      if (rest[key] !== undefined) body[key] = evaluate(rest[key], context, `${path}.${key}`);
    }
    const declared: Declared = {
      id,
      body,
      path,
      dependsOn: [
        ...((evaluate(dependsOn, context, `${path}.dependsOn`) as string[]).map(keyOf) satisfies string[]),
        ...(parent === null ? [] : [keyOf(parent.id)]),
      ],
      names: [id, id.split('/providers/').at(-1)!, ...shortNames(id), ...names].map(keyOf),
    };
    const twin = this.#declared.find((each) => keyOf(each.id) === keyOf(id));
    if (twin !== undefined) throw templateError('RESOURCE', path, `${twin.path} has the same type and name already`);
    this.#declared.push(declared);
    if (resources !== undefined) this.#declareAll(resources, `${path}.resources`, declared, context);
  }

  #idOf(type: string, name: string, parent: Declared | null, path: string): string {
    const full = parent !== null && !type.includes('/') ? `${typeOfId(parent.id)}/${type}` : type;
    const [namespace = '', ...types] = full.split('/');
    const own = parent !== null && !name.includes('/') ? [...namesOfId(parent.id), name] : name.split('/');
    const known = documentTypes.find((each) => keyOf(each) === keyOf(types[0] ?? ''));
    const part = known === undefined || types[1] === undefined ? undefined : partTypeOf(known, types[1]);
    const fits = types.length === 1 || (types.length === 2 && part !== undefined && isWritable(known!, part));
    if (keyOf(namespace) !== keyOf(NAMESPACE) || known === undefined || !fits) {
      const all = documentTypes.map((each) => `${NAMESPACE}/${each}`).join(', ');
      const parts = 'virtualNetworks/subnets, loadBalancers/backendAddressPools, networkSecurityGroups/securityRules';
      throw templateError('TYPE', `${path}.type`, `'${full}' cannot be had here; there is ${all}, and ${parts}`);
    }
    if (own.length !== types.length) {
      throw templateError('RESOURCE', `${path}.name`, `'${name}' has not one name for each part of the type '${full}'`);
    }
    const base = `${this.#group()}/providers/${NAMESPACE}/${known}/${own[0]!}`;
    return part === undefined ? base : `${base}/${part}/${own[1]!}`;
  }
}

const tailOf = (id: string): string[] => id.split('/').slice(7);
const typeOfId = (id: string): string =>
  `${NAMESPACE}/${tailOf(id)
    .filter((_, index) => index % 2 === 0)
    .join('/')}`;
const namesOfId = (id: string): string[] => tailOf(id).filter((_, index) => index % 2 === 1);
const shortNames = (id: string): string[] => [namesOfId(id).join('/'), `${typeOfId(id)}/${namesOfId(id).join('/')}`];

/** What needs nothing of the others first. */
const rank: readonly DocumentType[] = [
  'networkSecurityGroups',
  'virtualNetworks',
  'loadBalancers',
  'networkInterfaces',
  'privateLinkServices',
  'privateEndpoints',
];

const rankOf = ({ id }: Declared): number => rank.indexOf(tailOf(id)[0] as DocumentType);

/** Each after what it depends on; where that leaves a choice, networks come before what is in them. */
function sorted(all: readonly Declared[]): Declared[] {
  const needs = new Map(
    all.map((each) => [
      each,
      new Set(
        each.dependsOn.flatMap((name) => {
          const found = all.filter((other) => other !== each && other.names.includes(name));
          if (found.length > 0) return found;
          throw templateError('DEPENDENCY', `${each.path}.dependsOn`, `'${name}' is no resource of this template`);
        }),
      ),
    ]),
  );
  const done = new Set<Declared>();
  const order: Declared[] = [];
  const waiting = all.toSorted((a, b) => rankOf(a) - rankOf(b));
  while (waiting.length > 0) {
    const index = waiting.findIndex((each) => [...needs.get(each)!].every((other) => done.has(other)));
    if (index < 0) {
      const paths = waiting.map(({ path }) => path).join(', ');
      throw templateError('CYCLE', paths, 'these resources depend on each other');
    }
    const [next] = waiting.splice(index, 1);
    done.add(next!);
    order.push(next!);
  }
  return order;
}

/**
 * @param given values of parameters, by name
 * @throws CulvertError TEMPLATE_*
 */
export const resourcesOf = (
  template: unknown,
  target: Target,
  given: ReadonlyMap<string, unknown>,
): TemplateResource[] => new Template(template as Json, target, given).resources();
