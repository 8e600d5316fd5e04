/**
 * ARM templates, as Bicep compiles them: parameters, variables, loops and expressions to resources with ids and bodies,
 * in an order in which each comes after what it depends on.
 *
 * Theory of operation. All resources are declared first: their conditions, loops, names and what they say that they
 * depend on. Then their bodies are evaluated, each when it is its turn or when another one refers to it, so that
 * `reference` finds resources wherever they stand; who refers to a resource depends on it, as in Azure.
 */
import { documentTypes, keyOf, partTypeOf } from '../../service/arm/resource-id.js';
import { isWritable } from '../../service/arm/manage.js';
import { countOf, evaluate, withResourceLoop } from './evaluate.js';
import type { Call, Context } from './evaluate.js';
import { templateError } from './expression.js';
import type { Value } from './functions.js';
import { entryOf, isObject } from './json.js';
import type { Json } from './json.js';
import { namesOfId, sorted, symbolHint } from './order.js';
import type { Dependent } from './order.js';
import { ParameterTypes } from './parameters.js';
import { checkNesting, Work } from './work.js';

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

interface Declared extends Dependent {
  /** As written, but for what is evaluated when it is declared. */
  readonly written: Json;
  readonly context: Context;
  /** Once it is evaluated. */
  body: Json | null;
  /** Ids, in lower case, of resources that expressions in it refer to. */
  readonly refersTo: Set<string>;
}

/** What a resource is called beside its id and name. */
interface Called {
  /** Its symbolic name, and that of its turn in a loop. */
  readonly symbols: readonly string[];
  readonly loops: readonly string[];
}

/** A resource that others stand inside of. */
type Parent = Pick<Declared, 'id'>;

/** Azure's limit of resources in a template. */
const MAX_RESOURCES = 800;
/** Of parameters and variables that need each other; Azure's limit of either. */
const MAX_CHAIN = 256;
const NAMESPACE = 'Microsoft.Network';

/** Whether a parsed file is an ARM template and no lab file. */
export const isTemplate = (value: unknown): boolean =>
  isObject(value) && /deploymentTemplate\.json#?$/i.test(String(value['$schema']));

class Template {
  readonly #template: Json;
  readonly #target: Target;
  readonly #given: ReadonlyMap<string, unknown>;
  readonly #types: ParameterTypes;
  readonly #parameters = new Map<string, Value>();
  readonly #variables = new Map<string, Value>();
  readonly #running = new Set<string>();
  readonly #declared: Declared[] = [];
  /** Being evaluated: each one, but for the first, is referred to by the one before it. */
  readonly #making: Declared[] = [];
  #allDeclared = false;
  /** Names of resources whose condition is false, of loops, and of resources that are there already, where asked for. */
  readonly #leftOut: (() => readonly string[])[] = [];
  readonly #context: Context;

  constructor(template: Json, target: Target, given: ReadonlyMap<string, unknown>) {
    checkNesting(template, 'template');
    this.#template = template;
    this.#target = target;
    this.#types = new ParameterTypes(template['definitions']);
    this.#given = new Map([...given].map(([name, value]) => [keyOf(name), value]));
    this.#context = {
      loops: new Map(),
      work: new Work(),
      calls: new Map<string, Call>([
        ['parameters', ([name], path) => this.#once('parameters', this.#parameters, String(name), path)],
        ['variables', ([name], path) => this.#once('variables', this.#variables, String(name), path)],
        ['subscription', () => ({ id: `/subscriptions/${target.subscription}`, subscriptionId: target.subscription })],
        ['resourcegroup', () => ({ id: this.#group(), name: target.resourceGroup, location: target.location })],
        ['resourceid', (args, path) => this.#resourceId(args, path)],
        ['reference', ([name, , full], path) => this.#reference(String(name), full, path)],
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
    this.#allDeclared = true;
    const made = this.#declared.map((each) => ({ ...each, body: this.#bodyOf(each) }));
    const order = sorted(
      made.map((each) => ({ ...each, dependsOn: [...each.dependsOn, ...each.refersTo] })),
      (name) => this.#leftOut.some((names) => names().includes(name)),
    );
    return order.map(({ id, body }) => ({ id, body }));
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

  #parameter(name: string, path: string): Value {
    const declared = entryOf(this.#template['parameters'], name)?.[1];
    if (!isObject(declared)) throw templateError('PARAMETER', path, `there is no parameter '${name}'`);
    const at = `parameters.${name}`;
    const fallback = (): Value => evaluate(declared['defaultValue'], this.#context, `${at}.defaultValue`);
    return this.#types.valueOf(declared, this.#given.get(keyOf(name)), fallback, at);
  }

  #variable(name: string, path: string): Value {
    const found = entryOf(this.#template['variables'], name);
    if (found !== undefined && keyOf(name) !== 'copy')
      return evaluate(found[1], this.#context, `variables.${found[0]}`);
    const loops = entryOf(this.#template['variables'], 'copy')?.[1];
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

  /**
   * What the template itself says of one of its resources; what only the server knows is not there yet.
   * @param full 'Full': the whole resource, else its properties
   */
  #reference(name: string, full: Value, path: string): Value {
    if (!this.#allDeclared) {
      const what = 'reference is for what is inside of a resource: not for its name, condition, loop or dependsOn';
      throw templateError('REFERENCE', path, what);
    }
    if (this.#running.size > 0) {
      const what = 'reference is for what is inside of a resource: not, as in Azure, for a variable';
      throw templateError('REFERENCE', path, what);
    }
    const [found, ...others] = this.#declared.filter((each) => each.names.includes(keyOf(name)));
    if (found === undefined) {
      const what = `reference('${name}') names no resource that the template makes`;
      const hint = symbolHint(this.#declared, keyOf(name));
      throw templateError('REFERENCE', path, `${what}: ${hint ?? 'what only the server knows cannot be had'}`);
    }
    if (others.length > 0) {
      const ids = [found, ...others].slice(0, 5).map(({ id }) => id);
      const what = `reference('${name}') may mean any of ${ids.join(', ')}: say which one with its id, as resourceId(...)`;
      throw templateError('REFERENCE', path, what);
    }
    this.#making.at(-1)?.refersTo.add(keyOf(found.id));
    const body = this.#bodyOf(found);
    const known = { id: found.id, name: found.id.split('/').at(-1) };
    const properties = partsWithIds(found.id, body);
    return keyOf(String(full)) === 'full' ? { ...body, properties, ...known } : { ...properties, ...known };
  }

  /** @throws CulvertError TEMPLATE_CYCLE */
  #bodyOf(declared: Declared): Json {
    if (declared.body !== null) return declared.body;
    const { path, written, context } = declared;
    if (this.#making.includes(declared)) {
      const paths = [...this.#making.slice(this.#making.indexOf(declared)), declared].map((each) => each.path);
      throw templateError('CYCLE', path, `these resources refer to each other: ${paths.join(' -> ')}`);
    }
    this.#making.push(declared);
    declared.body = evaluatedBody(written, context, path);
    this.#making.pop();
    this.#context.work.resource(declared.body, path);
    return declared.body;
  }

  #declareAll(resources: unknown, path: string, parent: Parent | null, context: Context): void {
    if (!Array.isArray(resources) && !isObject(resources)) {
      throw templateError('RESOURCE', path, 'resources are a list, or an object with symbolic names');
    }
    const list: [string | null, string, unknown][] = Array.isArray(resources)
      ? resources.map((each, index) => [null, `${path}[${String(index)}]`, each])
      : Object.entries(resources).map(([name, each]) => [name, `${path}.${name}`, each]);
    for (const [symbol, at, resource] of list) {
      if (!isObject(resource)) throw templateError('RESOURCE', at, 'a resource is an object');
      const symbols = symbol === null ? [] : [symbol];
      if (resource['existing'] === true) this.#leftOut.push(() => symbols.map(keyOf));
      else if (resource['copy'] === undefined) this.#declare(resource, at, parent, context, { symbols, loops: [] });
      else this.#repeat(resource, at, parent, context, symbols);
    }
  }

  #repeat(resource: Json, path: string, parent: Parent | null, context: Context, symbols: readonly string[]): void {
    const { name, count } = isObject(resource['copy']) ? resource['copy'] : {};
    if (typeof name !== 'string') {
      throw templateError('COPY', `${path}.copy`, "a resource's loop is an object with a name and a count");
    }
    const loops = symbols.length > 0 ? symbols : [name];
    this.#leftOut.push(() => loops.map(keyOf)); // there may be no turn
    const turns = countOf(count, context, `${path}.copy`);
    for (let index = 0; index < turns; index++) {
      const ofTurn = symbols.flatMap((symbol) => [symbol, `${symbol}[${String(index)}]`]);
      const called = { symbols: ofTurn, loops: [name] };
      this.#declare(resource, path, parent, withResourceLoop(context, name, index), called);
    }
  }

  #declare(resource: Json, path: string, parent: Parent | null, context: Context, called: Called): void {
    const { condition = true, type, name, dependsOn = [], resources, ...rest } = resource;
    const wanted = evaluate(condition, context, `${path}.condition`);
    if (typeof wanted !== 'boolean')
      throw templateError('RESOURCE', `${path}.condition`, 'it is neither true nor false');
    const named = (): string => nameOf(name, context, `${path}.name`);
    if (!wanted) {
      const loose = (): string => this.#looseId(String(type), named(), parent);
      this.#leftOut.push(() => allNames(loose(), called));
      // As in Azure, a parent's condition is not its children's.
      if (resources !== undefined) {
        this.#declareAll(resources, `${path}.resources`, { id: loose() }, context);
      }
      return;
    }
    const id = this.#idOf(String(type), named(), parent, path);
    const declared: Declared = {
      id,
      written: rest,
      context,
      body: null,
      refersTo: new Set(),
      path,
      dependsOn: [...dependencies(dependsOn, context, path), ...(parent === null ? [] : [keyOf(parent.id)])],
      names: allNames(id, called),
    };
    this.#add(declared);
    if (resources !== undefined) this.#declareAll(resources, `${path}.resources`, declared, context);
  }

  #add(declared: Declared): void {
    if (this.#declared.length >= MAX_RESOURCES) {
      throw templateError('RESOURCE', declared.path, `a template has at most ${String(MAX_RESOURCES)} resources`);
    }
    const twin = this.#declared.find((each) => keyOf(each.id) === keyOf(declared.id));
    if (twin !== undefined) {
      throw templateError('RESOURCE', declared.path, `${twin.path} has the same type and name already`);
    }
    this.#declared.push(declared);
  }

  #idOf(type: string, name: string, parent: Parent | null, path: string): string {
    const [full, own] = inParent(type, name, parent);
    const [namespace = '', ...types] = full.split('/');
    const known = documentTypes.find((each) => keyOf(each) === keyOf(types[0] ?? ''));
    const part = known === undefined || types[1] === undefined ? undefined : partTypeOf(known, types[1]);
    const fits = types.length === 1 || (types.length === 2 && part !== undefined && isWritable(known!, part));
    if (keyOf(namespace) !== keyOf(NAMESPACE) || known === undefined || !fits) {
      const all = documentTypes.map((each) => `${NAMESPACE}/${each}`).join(', ');
      const parts = 'virtualNetworks/subnets, loadBalancers/backendAddressPools, networkSecurityGroups/securityRules';
      throw templateError('TYPE', `${path}.type`, `'${full}' cannot be had here; there is ${all}, and ${parts}`);
    }
    if (own.length !== types.length || own.includes('')) {
      throw templateError('RESOURCE', `${path}.name`, `'${name}' has not one name for each part of the type '${full}'`);
    }
    return this.#formatId([NAMESPACE, known, ...(part === undefined ? [] : [part])], own);
  }

  /** The id of a resource of any type, whether it can be had here or not. */
  #looseId(type: string, name: string, parent: Parent | null): string {
    const [full, own] = inParent(type, name, parent);
    return this.#formatId(full.split('/'), own);
  }

  #formatId([namespace = '', ...types]: readonly string[], names: readonly string[]): string {
    return `${this.#group()}/providers/${namespace}/${types.map((type, i) => `${type}/${names[i] ?? ''}`).join('/')}`;
  }
}

/** The whole type and all names of a resource that may stand inside another one. */
const inParent = (type: string, name: string, parent: Parent | null): [type: string, names: string[]] => [
  parent !== null && !type.includes('/') ? `${typeOfId(parent.id)}/${type}` : type,
  parent !== null && !name.includes('/') ? [...namesOfId(parent.id), name] : name.split('/'),
];

/** What others may call a resource. As in Azure, its name is none where it has a symbol: it may be another one's symbol. */
const allNames = (id: string, { symbols, loops }: Called): string[] => {
  const names = symbols.length > 0 ? symbols : [namesOfId(id).join('/'), ...loops];
  return [id, id.split('/providers/').at(-1)!, `${typeOfId(id)}/${namesOfId(id).join('/')}`, ...names].map(keyOf);
};

function nameOf(name: unknown, context: Context, path: string): string {
  const value = evaluate(name, context, path);
  if (typeof value === 'string') return value;
  throw templateError('RESOURCE', path, 'a resource has a name: a text');
}

function evaluatedBody(resource: Json, context: Context, path: string): Json {
  const body: Record<string, unknown> = {};
  for (const key of ['location', 'tags', 'sku', 'properties']) {
    if (resource[key] !== undefined) body[key] = evaluate(resource[key], context, `${path}.${key}`);
  }
  return body;
}

function dependencies(dependsOn: unknown, context: Context, path: string): string[] {
  const names = evaluate(dependsOn, context, `${path}.dependsOn`);
  if (Array.isArray(names) && names.every((each) => typeof each === 'string')) return names.map(keyOf);
  throw templateError('DEPENDENCY', `${path}.dependsOn`, "it is a list of resources' ids or names");
}

/** A resource's properties; parts in them have the ids that they will have. */
const partsWithIds = (id: string, body: Json): Json =>
  Object.fromEntries(
    Object.entries(isObject(body['properties']) ? body['properties'] : {}).map(([list, parts]) => [
      list,
      Array.isArray(parts) ? parts.map((part: unknown) => withId(part, `${id}/${list}`)) : parts,
    ]),
  );

const withId = (part: unknown, of: string): unknown =>
  isObject(part) && typeof part['name'] === 'string' ? { ...part, id: `${of}/${part['name']}` } : part;

const typeOfId = (id: string): string =>
  `${NAMESPACE}/${id
    .split('/')
    .slice(7)
    .filter((_, index) => index % 2 === 0)
    .join('/')}`;

/**
 * @param given values of parameters, by name: as JSON has them, or as typed
 * @throws CulvertError TEMPLATE_*
 */
export const resourcesOf = (
  template: unknown,
  target: Target,
  given: ReadonlyMap<string, unknown>,
): TemplateResource[] => new Template(template as Json, target, given).resources();
