/** Values of a template's parameters: what is given or the default, held against what the parameter declares. */
import { templateError } from './expression.js';
import type { Value } from './functions.js';
import { entryOf, isObject } from './json.js';
import type { Json } from './json.js';
import { checkNesting } from './work.js';

/** A value as it was typed: the parameter's type says how it is read. */
export class TypedText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const kinds: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  securestring: (value) => typeof value === 'string',
  int: (value) => Number.isInteger(value),
  bool: (value) => typeof value === 'boolean',
  array: Array.isArray,
  object: isObject,
  secureobject: isObject,
};

const typeOf = (declared: Json): string => String(declared['type']).toLowerCase();

const sizeOf = (value: unknown): unknown =>
  typeof value === 'string' || Array.isArray(value) ? value.length : undefined;
const asIs = (value: unknown): unknown => value;

const limits: readonly [string, measure: (value: unknown) => unknown, sign: 1 | -1][] = [
  ['minLength', sizeOf, 1],
  ['maxLength', sizeOf, -1],
  ['minValue', asIs, 1],
  ['maxValue', asIs, -1],
];

/** Of types that Bicep can declare; they would go unchecked. */
const unsupported = ['prefixItems', 'discriminator'];
const MAX_REFERENCES = 32;

/** A secret is never printed; neither is what is inside of one. */
const isSecure = (declared: Json): boolean => typeOf(declared).startsWith('secure');

const shown = (value: unknown): string => {
  const text = JSON.stringify(value ?? null);
  return text.length <= 100 ? text : `${text.slice(0, 100)}...`;
};

const sameJson = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

export class ParameterTypes {
  readonly #definitions: unknown;

  /** @param definitions the template's own types, by name */
  constructor(definitions: unknown) {
    this.#definitions = definitions;
  }

  /**
   * @param given null is as good as nothing
   * @param fallback the default value
   * @throws CulvertError TEMPLATE_PARAMETER, TEMPLATE_TOO_DEEP
   */
  valueOf(declaration: Json, given: unknown, fallback: () => Value, at: string): Value {
    const declared = this.#resolved(declaration, at);
    const value = read(given, declared) ?? (declared['defaultValue'] === undefined ? null : fallback());
    checkNesting(value, at);
    if (value === null && declared['nullable'] !== true) {
      throw templateError('PARAMETER', at, 'it has no default value: give one with --parameter or --parameters');
    }
    this.#check(value, declared, at);
    return value;
  }

  /** With the definition that it refers to. */
  #resolved(declaration: Json, at: string): Json {
    let declared = declaration;
    for (let steps = 0; declared['$ref'] !== undefined; steps++) {
      const { $ref, ...own } = declared;
      const name = typeof $ref === 'string' ? /^#\/definitions\/(.+)$/.exec($ref)?.[1] : undefined;
      const definition = entryOf(this.#definitions, name ?? '')?.[1];
      if (!isObject(definition) || steps > MAX_REFERENCES) {
        throw templateError('PARAMETER', at, `${shown($ref)} leads to no type among the template's definitions`);
      }
      declared = { ...definition, ...own };
    }
    return declared;
  }

  #check(value: unknown, declaration: Json, at: string, inSecret = false): void {
    const declared = this.#resolved(declaration, at);
    const isSecret = inSecret || isSecure(declared);
    const text = (): string => (isSecret ? 'the secret value' : shown(value));
    const fail = (what: string): Error => templateError('PARAMETER', at, what);
    const foreign = unsupported.find((name) => declared[name] !== undefined);
    if (foreign !== undefined) throw fail(`'${foreign}' in a parameter's type is not supported`);
    const fits = kinds[typeOf(declared)];
    if (fits === undefined) throw fail(`'${String(declared['type'])}' is no type of a parameter`);
    if (value === null && declared['nullable'] === true) return;
    if (!fits(value)) throw fail(`${text()} is no ${String(declared['type'])}`);
    const { allowedValues } = declared;
    if (Array.isArray(allowedValues) && !isAllowed(value, allowedValues)) {
      throw fail(`${text()} is not one of ${JSON.stringify(allowedValues)}`);
    }
    for (const [name, measure, sign] of limits) {
      const [limit, size] = [declared[name], measure(value)];
      if (limit === undefined || typeof size !== 'number') continue;
      if (typeof limit !== 'number') throw fail(`${name} is a number, not ${shown(limit)}`);
      if ((size - limit) * sign < 0) throw fail(`${text()} is refused: ${name} is ${String(limit)}`);
    }
    if (Array.isArray(value)) this.#checkItems(value, declared, at, isSecret);
    else if (isObject(value)) this.#checkProperties(value, declared, at, isSecret);
  }

  #checkItems(value: readonly unknown[], { items }: Json, at: string, isSecret: boolean): void {
    if (isObject(items))
      for (const [index, item] of value.entries()) this.#check(item, items, `${at}[${String(index)}]`, isSecret);
  }

  #checkProperties(value: Json, { properties, additionalProperties }: Json, at: string, isSecret: boolean): void {
    for (const [name, inner] of Object.entries(isObject(properties) ? properties : {})) {
      if (isObject(inner)) this.#check(entryOf(value, name)?.[1] ?? null, inner, `${at}.${name}`, isSecret);
    }
    for (const [name, inner] of Object.entries(value)) {
      if (entryOf(properties, name) !== undefined) continue;
      if (additionalProperties === false) throw templateError('PARAMETER', at, `it has no property '${name}'`);
      if (isObject(additionalProperties)) this.#check(inner, additionalProperties, `${at}.${name}`, isSecret);
    }
  }
}

/** A list may have any of them. */
const isAllowed = (value: unknown, allowed: readonly unknown[]): boolean =>
  allowed.some((each) => sameJson(each, value)) ||
  (Array.isArray(value) && value.every((item) => allowed.some((each) => sameJson(each, item))));

function read(given: unknown, declared: Json): unknown {
  if (!(given instanceof TypedText)) return given;
  if (typeOf(declared).endsWith('string')) return given.text;
  try {
    return JSON.parse(given.text) as unknown;
  } catch {
    return given.text;
  }
}
