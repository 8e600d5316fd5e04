/**
 * What a template may cost: a few lines of loops, or of lists of lists, can ask for more than any machine has.
 *
 * Theory of operation. A value may have the same part many times (variables are evaluated once), so it can be small in
 * memory and immense once written. Its weight counts such a part each time: about the characters of the value as JSON.
 * Values never change, so weights are kept by object, and measuring what is made of measured values takes no longer than
 * making it. Values that are too heavy are refused where they are made; what loops do again and again is bounded by the
 * sum of it.
 */
import { templateError } from './expression.js';
import type { Value } from './functions.js';
import { isDeeperThan } from './json.js';

/** Of one value, in characters; Azure's limit of one resource is 1 MB. */
const MAX_VALUE = 1 << 20;
/** Of all resources, in characters; Azure's limit of a template after its loops is 4 MB. */
const MAX_RESOURCES = 4 << 20;
/** Of all that is done: in characters read or written by functions. A few seconds. */
const MAX_WORK = 1 << 28;
const MAX_DEPTH = 64;
/** Of expressions and literals in one another, over all variables and parameters that need each other: the stack's size. */
const MAX_LEVELS = 1000;
/** Of lists and objects in a template or a parameter's value, as they come from a file: more than any can use. */
const MAX_NESTING = 256;
/** Weight of a number, a truth value, or of an item's place in a list or object. */
const ITEM = 8;
/** Work of a value or expression, beside that of its characters. */
const NODE = 64;
/** Work of parsing a character. */
const PARSED = 8;

interface Measure {
  readonly weight: number;
  /** Levels of lists and objects. */
  readonly height: number;
}

export class Work {
  readonly #measures = new WeakMap<object, Measure>();
  #done = 0;
  #levels = 0;
  #resources = 0;

  /** Nothing leaves after a mistake: it ends the evaluation. */
  enter(path: string): void {
    if (++this.#levels <= MAX_LEVELS) return;
    throw templateError('TOO_DEEP', path, `values need each other over more than ${String(MAX_LEVELS)} levels`);
  }

  leave(): void {
    this.#levels--;
  }

  /** Counts one value of the template itself. */
  node(value: unknown, path: string): void {
    this.#spend(NODE + (typeof value === 'string' ? PARSED * value.length : 0), path);
  }

  /** Counts values that a function reads or makes. */
  use(values: readonly Value[], path: string): void {
    this.#spend(this.#measure(values, path).weight, path);
  }

  /** The value, unless it is too large. */
  bounded(value: Value, path: string): Value {
    const { weight, height } = this.#measure(value, path);
    if (height > MAX_DEPTH) throw templateError('TOO_DEEP', path, `nested deeper than ${String(MAX_DEPTH)} levels`);
    if (weight > MAX_VALUE) throw tooLarge(path, `a value has at most ${String(MAX_VALUE)} characters`);
    return value;
  }

  resource(body: unknown, path: string): void {
    this.#resources += this.#measure(body, path).weight;
    if (this.#resources > MAX_RESOURCES) {
      throw tooLarge(path, `all resources together have at most ${String(MAX_RESOURCES)} characters`);
    }
  }

  #spend(amount: number, path: string): void {
    this.#done += amount;
    if (this.#done > MAX_WORK) throw tooLarge(path, 'evaluating the template up to here takes too much work');
  }

  #measure(value: Value, path: string, depth = 0): Measure {
    if (typeof value === 'string') return { weight: value.length + 2, height: 0 };
    if (typeof value !== 'object' || value === null) return { weight: ITEM, height: 0 };
    const known = this.#measures.get(value);
    if (known !== undefined) return known;
    // What comes from a parameters file has been measured by nobody.
    if (depth > MAX_DEPTH) throw templateError('TOO_DEEP', path, `nested deeper than ${String(MAX_DEPTH)} levels`);
    let [weight, height] = [2, 0];
    const take = (inner: Value, more: number): void => {
      const measure = this.#measure(inner, path, depth + 1);
      weight += measure.weight + more;
      height = Math.max(height, measure.height);
    };
    if (Array.isArray(value)) for (const item of value) take(item, ITEM);
    else for (const [name, item] of Object.entries(value)) take(item, ITEM + name.length);
    const measure = { weight, height: height + 1 };
    this.#measures.set(value, measure);
    return measure;
  }
}

/** To be called before anything recurs into what a file has. @throws CulvertError TEMPLATE_TOO_DEEP */
export function checkNesting(value: unknown, path: string): void {
  if (!isDeeperThan(value, MAX_NESTING)) return;
  throw templateError(
    'TOO_DEEP',
    path,
    `lists and objects in one another over more than ${String(MAX_NESTING)} levels`,
  );
}

const tooLarge = (path: string, what: string): Error => templateError('TOO_LARGE', path, what);
