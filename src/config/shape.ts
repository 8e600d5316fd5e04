/**
 * Checks the shape of a lab and goes on after a mistake.
 *
 * Theory of operation. Everything wrong with the shape is reported in the first pass; then each mistake is repaired in a
 * copy (a misspelt key gets the name that was meant, another unknown key goes, a wrong or missing value is replaced by an
 * empty one of the right type) and the copy is checked again, until it has the shape. So the rules of the service model
 * can still look at all the rest. What they say about a repaired value is noise: `isRepaired` tells it apart.
 */
import type { z } from 'zod';
import type { PropertyPath } from '../service/problem.js';
import { nearMiss } from './near-miss.js';
import { labSchema } from './schema.js';
import type { LabShape } from './schema.js';

type Issue = z.core.$ZodIssue;

export interface ShapeProblem {
  readonly code: string;
  readonly message: string;
  readonly path: PropertyPath;
  readonly at: 'key' | 'value';
}

export interface ShapeResult {
  /** Null if even the repaired copy does not have the shape. */
  readonly shape: LabShape | null;
  readonly problems: readonly ShapeProblem[];
  isRepaired(path: PropertyPath): boolean;
  /** The path as the file has it: with a misspelt key in place of the one that was meant. */
  sourcePath(path: PropertyPath): PropertyPath;
}

const MAX_ROUNDS = 12;

type Container = Record<string | number, unknown>;

const isContainer = (value: unknown): value is Container => typeof value === 'object' && value !== null;

function valueAt(root: unknown, path: PropertyPath): unknown {
  let value = root;
  for (const part of path) {
    if (!isContainer(value) || !Object.hasOwn(value, part)) return undefined;
    value = value[part];
  }
  return value;
}

/** Zod's paths may hold symbols by type; lab files have none. */
const pathOf = (issue: Issue): PropertyPath =>
  issue.path.map((part) => (typeof part === 'number' ? part : String(part)));

const wording: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

function describe(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return value.length > 60 ? 'a long text' : `the text '${value}'`;
  // eslint-disable-next-line @typescript-eslint/no-base-to-string -- objects are handled above
  return `${typeof value === 'number' ? 'the number ' : ''}${String(value)}`;
}

const emptyOf: Readonly<Record<string, () => unknown>> = {
  string: () => '',
  number: () => 0,
  boolean: () => false,
  array: () => [],
  object: () => ({}),
  record: () => ({}),
};

/** A misspelt key makes its proper name missing too: with the name put right, the next round sees what is really missing. */
function unknownKeysFirst(issues: readonly Issue[]): readonly Issue[] {
  const unknown = issues.filter((issue) => issue.code === 'unrecognized_keys');
  return unknown.length > 0 ? unknown : issues;
}

class Repairer {
  readonly problems: ShapeProblem[] = [];
  readonly repaired = new Set<string>();
  readonly #root: { value: unknown };
  readonly #misspelt = new Map<string, string>();

  constructor(raw: unknown) {
    this.#root = { value: structuredClone(raw) };
  }

  get copy(): unknown {
    return this.#root.value;
  }

  isRepaired(path: PropertyPath): boolean {
    for (let length = 0; length <= path.length; length++) {
      if (this.repaired.has(JSON.stringify(path.slice(0, length)))) return true;
    }
    return false;
  }

  sourcePath(path: PropertyPath): PropertyPath {
    if (this.#misspelt.size === 0) return path;
    return path.map((part, index) => this.#misspelt.get(JSON.stringify(path.slice(0, index + 1))) ?? part);
  }

  #report(code: string, message: string, path: PropertyPath, at: 'key' | 'value' = 'value'): void {
    if (!this.isRepaired(path)) this.problems.push({ code, message, path, at });
  }

  #replace(path: PropertyPath, value: unknown): void {
    const last = path.at(-1);
    if (last === undefined) this.#root.value = value;
    else {
      const parent = valueAt(this.#root.value, path.slice(0, -1));
      if (isContainer(parent)) parent[last] = value;
    }
    this.repaired.add(JSON.stringify(path));
  }

  #remove(path: PropertyPath): unknown {
    const parent = valueAt(this.#root.value, path.slice(0, -1));
    const last = path.at(-1);
    if (!isContainer(parent) || last === undefined) return undefined;
    const value = parent[last];
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- a plain object read from a file
    delete parent[last];
    return value;
  }

  handle(issue: Issue): void {
    const path = pathOf(issue);
    switch (issue.code) {
      case 'unrecognized_keys':
        for (const key of issue.keys) this.#unknownKey(path, key);
        return;
      case 'invalid_type':
        this.#wrongType(path, issue.expected);
        return;
      case 'invalid_value':
        this.#wrongValue(path, issue.values.map(String));
        return;
      case 'invalid_union':
        this.#wrongUnion(path, issue);
        return;
      case 'invalid_key':
      case 'invalid_format': {
        const text = describe(issue.code === 'invalid_key' ? path.at(-1) : valueAt(this.copy, path));
        const rule =
          path.at(-1) === 'location'
            ? 'a location is lower-case letters and digits, as in westeurope'
            : "a name is 1 to 80 letters, digits, '_', '.', '-', and begins with a letter, digit or '_', as it ends";
        this.#report(
          'CONFIG_NAME',
          `${text} is no proper name: ${rule}`,
          path,
          issue.code === 'invalid_key' ? 'key' : 'value',
        );
        if (issue.code === 'invalid_key') this.#remove(path);
        else this.#replace(path, 'unnamed');
        return;
      }
      default:
        this.#report('CONFIG_VALUE', issue.message, path);
        this.#remove(path);
    }
  }

  #unknownKey(path: PropertyPath, key: string): void {
    const there = valueAt(this.copy, path);
    const known = knownKeys(path).filter((name) => !isContainer(there) || !Object.hasOwn(there, name));
    const near = nearMiss(key, known);
    const hint = near === null ? `; known here: ${known.join(', ') || 'no more'}` : `: did you mean '${near}'?`;
    const keyPath = [...path, key];
    this.#report('CONFIG_UNKNOWN_KEY', `unknown key '${key}'${hint}`, keyPath, 'key');
    const value = this.#remove(keyPath);
    if (near === null || !isContainer(there)) return;
    there[near] = value;
    this.#misspelt.set(JSON.stringify([...path, near]), key);
  }

  #wrongType(path: PropertyPath, expected: string): void {
    const value = valueAt(this.copy, path);
    const want = wording[expected] ?? expected;
    const name = path.at(-1);
    if (value === undefined) {
      this.#report('CONFIG_MISSING_KEY', `'${String(name)}' is missing: ${want} is needed here`, path, 'key');
    } else {
      const hint =
        expected === 'string' && (typeof value === 'number' || typeof value === 'boolean') ? '; quote it' : '';
      const place =
        name === undefined ? 'the file' : typeof name === 'number' ? `item ${String(name + 1)}` : `'${name}'`;
      this.#report('CONFIG_TYPE', `${place} is ${describe(value)}; ${want} is needed here${hint}`, path);
    }
    this.#replace(path, (emptyOf[expected] ?? ((): null => null))());
  }

  #wrongValue(path: PropertyPath, values: readonly string[]): void {
    const value = valueAt(this.copy, path);
    const name = String(path.at(-1));
    if (value === undefined) {
      this.#report(
        'CONFIG_MISSING_KEY',
        `'${name}' is missing: one of ${values.join(', ')} is needed here`,
        path,
        'key',
      );
    } else {
      const near = typeof value === 'string' ? nearMiss(value, values) : null;
      const hint = near === null ? '' : `: did you mean '${near}'?`;
      this.#report('CONFIG_VALUE', `'${name}' is ${describe(value)}; it is one of ${values.join(', ')}${hint}`, path);
    }
    this.#replace(path, (typeof value === 'string' ? nearMiss(value, values) : null) ?? values[0]);
  }

  /** Only a subnet is of two kinds: a text, or a mapping, whose own issues are then the ones to tell. */
  #wrongUnion(path: PropertyPath, issue: Extract<Issue, { code: 'invalid_union' }>): void {
    const value = valueAt(this.copy, path);
    if (isContainer(value) && !Array.isArray(value)) {
      for (const inner of unknownKeysFirst(issue.errors[1] ?? []))
        this.handle({ ...inner, path: [...path, ...inner.path] });
      return;
    }
    const what = `'${String(path.at(-1))}' is ${describe(value)}; a block such as 10.0.0.0/24, or a mapping with addressPrefix, is needed here`;
    this.#report('CONFIG_TYPE', what, path);
    this.#replace(path, '');
  }
}

/** Keys that the schema knows at a path, found by walking the schema. */
function knownKeys(path: PropertyPath): string[] {
  let schema: unknown = labSchema;
  const unwrapped = (): Def => {
    for (;;) {
      const def = (schema as { _zod: { def: Def } })._zod.def;
      if (def.type === 'pipe') schema = def.in;
      else if (def.innerType !== undefined) schema = def.innerType;
      else if (def.type === 'union') schema = def.options?.[1];
      else return def;
    }
  };
  for (const part of path) {
    const def = unwrapped();
    schema = def.shape?.[part] ?? def.valueType ?? def.element;
    if (schema === undefined) return [];
  }
  return Object.keys(unwrapped().shape ?? {}).filter((key) => key !== '$schema');
}

interface Def {
  readonly type: string;
  readonly in?: unknown;
  readonly innerType?: unknown;
  readonly options?: readonly unknown[];
  readonly shape?: Record<string, unknown>;
  readonly valueType?: unknown;
  readonly element?: unknown;
}

export function checkShape(raw: unknown): ShapeResult {
  const repairer = new Repairer(raw);
  const outcome = {
    problems: repairer.problems,
    isRepaired: (path: PropertyPath): boolean => repairer.isRepaired(path),
    sourcePath: (path: PropertyPath): PropertyPath => repairer.sourcePath(path),
  };
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const result = labSchema.safeParse(repairer.copy);
    if (result.success) return { shape: result.data, ...outcome };
    for (const issue of unknownKeysFirst(result.error.issues)) repairer.handle(issue);
  }
  return { shape: null, ...outcome };
}
