/** The functions of ARM templates that need nothing but their arguments, by name in lower case. */

export type Value = unknown;

/** What is wrong with a call; the place is known to who calls. */
export class CallError extends Error {}

/** Characters that one text may grow to: texts that double each other must end somewhere. */
const MAX_TEXT = 1 << 20;
const MAX_ITEMS = 10_000;

const kindOf = (value: Value): string =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'an array'
      : typeof value === 'object'
        ? 'an object'
        : `a ${typeof value}`;

function text(value: Value): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new CallError(`a text is expected, not ${kindOf(value)}`);
}

function whole(value: Value): number {
  const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isSafeInteger(number)) return number;
  throw new CallError(`a whole number is expected, not ${kindOf(value)}`);
}

function list(value: Value): readonly Value[] {
  if (Array.isArray(value)) return value;
  throw new CallError(`an array is expected, not ${kindOf(value)}`);
}

function truth(value: Value): boolean {
  if (typeof value === 'boolean') return value;
  throw new CallError(`true or false is expected, not ${kindOf(value)}`);
}

/** Its length is known before it is made. */
function joined(parts: readonly string[], separator = ''): string {
  const length = parts.reduce((sum, part) => sum + part.length, separator.length * Math.max(0, parts.length - 1));
  if (length > MAX_TEXT) throw new CallError(`a text has at most ${String(MAX_TEXT)} characters`);
  return parts.join(separator);
}

function concat(...args: readonly Value[]): Value {
  if (!args.some(Array.isArray)) return joined(args.map(text));
  const all = args.flatMap(list);
  if (all.length > MAX_ITEMS) throw new CallError(`an array has at most ${String(MAX_ITEMS)} items`);
  return all;
}

/** `{0}`, and `{0:D3}` for numbers with leading zeros. */
function format(pattern: Value, ...args: readonly Value[]): string {
  const parts = text(pattern).split(/(\{\{|\}\}|\{\d+(?::[^}]*)?\})/);
  return joined(parts.map((part, index) => (index % 2 === 0 ? part : placed(part, args))));
}

function placed(placeholder: string, args: readonly Value[]): string {
  const [, index, form] = /^\{(\d+)(?::(.*))?\}$/s.exec(placeholder) ?? [];
  if (index === undefined) return placeholder[0]!;
  if (Number(index) >= args.length) throw new CallError(`there is no argument for {${index}}`);
  const value = args[Number(index)];
  if (form === undefined || form === '') return text(value);
  const digits = /^[Dd](\d{1,2})$/.exec(form)?.[1];
  if (digits !== undefined) return String(whole(value)).padStart(Number(digits), '0');
  throw new CallError(`the form '${form}' is not supported: D and a count of digits is`);
}

function range(start: Value, count: Value): number[] {
  const length = whole(count);
  if (length < 0 || length > MAX_ITEMS) throw new CallError(`range makes 0 to ${String(MAX_ITEMS)} numbers`);
  return Array.from({ length }, (_, index) => whole(start) + index);
}

function divisor(value: Value): number {
  const number = whole(value);
  if (number !== 0) return number;
  throw new CallError('nothing can be divided by 0');
}

function lengthOf(value: Value): number {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return Object.keys(value).length;
  return typeof value === 'string' ? value.length : list(value).length;
}

function contains(container: Value, item: Value): boolean {
  if (typeof container === 'string') return container.includes(text(item));
  if (Array.isArray(container)) {
    const wanted = JSON.stringify(item);
    return container.some((each) => JSON.stringify(each) === wanted);
  }
  if (typeof container === 'object' && container !== null) return Object.hasOwn(container, text(item));
  throw new CallError('contains takes a text, an array or an object');
}

/** Texts compare with regard to case. */
const same = (a: Value, b: Value): boolean => JSON.stringify(a) === JSON.stringify(b);

function createObject(...args: readonly Value[]): Value {
  if (args.length % 2 !== 0) throw new CallError('createObject takes names and values in turn');
  return Object.fromEntries(
    Array.from({ length: args.length / 2 }, (_, index) => [text(args[2 * index]), args[2 * index + 1]]),
  );
}

/** With the least and the most count of arguments. */
type Entry = readonly [least: number, most: number, call: (...args: readonly Value[]) => Value];

export const functions: ReadonlyMap<string, Entry> = new Map<string, Entry>([
  ['concat', [1, Infinity, concat]],
  ['format', [1, Infinity, format]],
  ['tolower', [1, 1, (value) => text(value).toLowerCase()]],
  ['toupper', [1, 1, (value) => text(value).toUpperCase()]],
  ['string', [1, 1, (value) => (typeof value === 'string' ? value : JSON.stringify(value))]],
  ['int', [1, 1, whole]],
  ['length', [1, 1, lengthOf]],
  ['empty', [1, 1, (value) => value === null || lengthOf(value) === 0]],
  ['first', [1, 1, (value) => (typeof value === 'string' ? value.slice(0, 1) : list(value)[0])]],
  ['last', [1, 1, (value) => (typeof value === 'string' ? value.slice(-1) : list(value).at(-1))]],
  ['contains', [2, 2, contains]],
  ['equals', [2, 2, same]],
  ['not', [1, 1, (value) => !truth(value)]],
  ['and', [2, Infinity, (...args) => args.every(truth)]],
  ['or', [2, Infinity, (...args) => args.some(truth)]],
  ['true', [0, 0, () => true]],
  ['false', [0, 0, () => false]],
  ['null', [0, 0, () => null]],
  ['add', [2, 2, (a, b) => whole(a) + whole(b)]],
  ['sub', [2, 2, (a, b) => whole(a) - whole(b)]],
  ['mul', [2, 2, (a, b) => whole(a) * whole(b)]],
  ['div', [2, 2, (a, b) => Math.trunc(whole(a) / divisor(b))]],
  ['mod', [2, 2, (a, b) => whole(a) % divisor(b)]],
  ['range', [2, 2, range]],
  ['createarray', [0, Infinity, (...args) => args]],
  ['createobject', [0, Infinity, createObject]],
  ['split', [2, 2, (value, by) => text(value).split(text(by))]],
  ['join', [2, 2, (value, by) => joined(list(value).map(text), text(by))]],
  ['replace', [3, 3, (value, from, to) => joined(text(value).split(text(from)), text(to))]],
]);
