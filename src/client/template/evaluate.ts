/** Values of a template: texts that are expressions become what they say, in place of each. */
import { isExpression, parseExpression, templateError, unescaped } from './expression.js';
import type { Expression } from './expression.js';
import { CallError, functions } from './functions.js';
import type { Value } from './functions.js';
import { entryOf } from './json.js';
import type { Json } from './json.js';
import type { Work } from './work.js';

const MAX_DEPTH = 64;
/** Azure's limit of one loop. */
export const MAX_COPIES = 800;

export type Call = (args: readonly Value[], path: string) => Value;

/** What expressions may ask for besides their arguments. */
export interface Context {
  /** By name in lower case: parameters, resourceId, copyIndex and such. */
  readonly calls: ReadonlyMap<string, Call>;
  /** Of loops around, by name in lower case; the resource's own under ''. */
  readonly loops: ReadonlyMap<string, number>;
  readonly work: Work;
}

const withLoop = (context: Context, name: string, index: number): Context => ({
  ...context,
  loops: new Map([...context.loops, [name.toLowerCase(), index]]),
});

export const withResourceLoop = (context: Context, name: string, index: number): Context =>
  withLoop(withLoop(context, name, index), '', index);

const supported = (context: Context): string =>
  [...functions.keys(), ...context.calls.keys(), 'if', 'copyindex'].toSorted().join(', ');

function copyIndex(args: readonly Value[], context: Context, path: string): number {
  const [first, second] = args;
  const name = typeof first === 'string' ? first : '';
  const offset = Number(typeof first === 'number' ? first : (second ?? 0));
  const index = context.loops.get(name.toLowerCase());
  if (index !== undefined) return index + offset;
  throw templateError(
    'EXPRESSION',
    path,
    name === ''
      ? "copyIndex without a loop's name stands in no loop of resources: loops of properties and variables are named"
      : `there is no loop '${name}' here`,
  );
}

function run(expression: Expression, context: Context, path: string): Value {
  context.work.enter(path);
  const value = resultOf(expression, context, path);
  context.work.leave();
  return value;
}

function resultOf(expression: Expression, context: Context, path: string): Value {
  if (expression.kind === 'literal') return expression.value;
  if (expression.kind === 'index')
    return member(run(expression.of, context, path), run(expression.by, context, path), path);
  const name = expression.name.toLowerCase();
  if (name === 'if') {
    const [condition, yes, no] = expression.args;
    if (condition === undefined || yes === undefined || no === undefined || expression.args.length > 3) {
      throw templateError('EXPRESSION', path, 'if takes a condition and two values');
    }
    const which = run(condition, context, path);
    if (typeof which !== 'boolean') throw templateError('EXPRESSION', path, 'if takes true or false as its condition');
    // Only the one that counts may be wrong.
    return run(which ? yes : no, context, path);
  }
  const args: Value[] = []; // no closure: each level of an expression costs stack
  for (const each of expression.args) args.push(run(each, context, path));
  if (name === 'copyindex') return copyIndex(args, context, path);
  context.work.use(args, path);
  const own = context.calls.get(name);
  if (own !== undefined) return context.work.bounded(own(args, path), path);
  const entry = functions.get(name);
  if (entry === undefined) {
    const what = `the function '${expression.name}' is not supported; there is ${supported(context)}`;
    throw templateError('FUNCTION', path, what);
  }
  const [least, most, call] = entry;
  if (args.length < least || args.length > most) {
    const count = least === most ? String(least) : `${String(least)} or more`;
    throw templateError('EXPRESSION', path, `${expression.name} takes ${count} arguments, not ${String(args.length)}`);
  }
  try {
    const result = context.work.bounded(call(...args), path);
    context.work.use([result], path);
    return result;
  } catch (error) {
    if (error instanceof CallError) throw templateError('EXPRESSION', path, `${expression.name}: ${error.message}`);
    throw error;
  }
}

function member(value: Value, by: Value, path: string): Value {
  if (Array.isArray(value) && typeof by === 'number') {
    if (by >= 0 && by < value.length) return value[by] as Value;
    throw templateError('EXPRESSION', path, `the array has ${String(value.length)} items, and none at ${String(by)}`);
  }
  if (typeof value === 'object' && value !== null && typeof by === 'string') {
    const found = entryOf(value, by);
    if (found !== undefined) return found[1];
    const there = Object.keys(value).slice(0, 12).join(', ');
    throw templateError('EXPRESSION', path, `there is no property '${by}'${there === '' ? '' : `; there is ${there}`}`);
  }
  throw templateError('EXPRESSION', path, `there is nothing at '${String(by)}': the value is neither object nor array`);
}

/** @throws CulvertError TEMPLATE_* */
export function evaluate(value: unknown, context: Context, path: string, depth = 0): Value {
  if (depth > MAX_DEPTH) throw templateError('TOO_DEEP', path, `nested deeper than ${String(MAX_DEPTH)} levels`);
  context.work.node(value, path);
  if (typeof value === 'string') {
    return isExpression(value) ? run(parseExpression(value, path), context, path) : unescaped(value);
  }
  if (typeof value !== 'object' || value === null) return value;
  context.work.enter(path);
  const result = Array.isArray(value)
    ? value.map((each, index) => evaluate(each, context, `${path}[${String(index)}]`, depth + 1))
    : evaluateObject(value as Json, context, path, depth);
  context.work.leave();
  return context.work.bounded(result, path);
}

function evaluateObject(value: Json, context: Context, path: string, depth: number): Value {
  const { copy, ...rest } = value;
  const result: [string, Value][] = [];
  for (const [name, inner] of Object.entries(Array.isArray(copy) ? rest : value)) {
    if (name === '__proto__') continue;
    const at = `${path}.${name}`;
    result.push([String(evaluate(name, context, at)), evaluate(inner, context, at, depth + 1)]);
  }
  if (Array.isArray(copy)) result.push(...propertyLoops(copy, context, `${path}.copy`, depth));
  return Object.fromEntries(result);
}

/** `"copy": [{"name", "count", "input"}]` in an object: properties that are lists. */
function propertyLoops(loops: readonly unknown[], context: Context, path: string, depth: number): [string, Value][] {
  return loops.map((loop, number) => {
    const at = `${path}[${String(number)}]`;
    const { name, count, input } = (loop ?? {}) as { name?: unknown; count?: unknown; input?: unknown };
    if (typeof name !== 'string') throw templateError('COPY', at, 'a loop has a name, a count and an input');
    const items = countOf(count, context, at);
    return [
      name,
      Array.from({ length: items }, (_, index) =>
        evaluate(input, withLoop(context, name, index), `${at}.input`, depth + 1),
      ),
    ];
  });
}

/** @throws CulvertError TEMPLATE_COPY */
export function countOf(count: unknown, context: Context, path: string): number {
  const value = evaluate(count, context, `${path}.count`);
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_COPIES) return value;
  throw templateError(
    'COPY',
    path,
    `count is a whole number, 0 to ${String(MAX_COPIES)}, not ${JSON.stringify(value)}`,
  );
}
