/**
 * Text of a lab file to plain values, with the place of every key and value.
 *
 * Theory of operation. JSON is read as YAML 1.2, of which it is a part. The text goes through the yaml package in two
 * steps: its parser makes tokens without recursion, whose depth is bounded here, and only then its composer, which does
 * recurse, makes nodes. The nodes are turned into plain values by our own walk instead of the package's, because the walk
 * notes where each value came from, counts what aliases expand to, and refuses keys that are not names. Mistakes are
 * collected; those that leave a usable tree (a key given twice) do not end the run.
 */
import { Composer, LineCounter, Parser, isAlias, isMap, isPair, isScalar, isSeq } from 'yaml';
import type { CST, Document, ParsedNode, Scalar, YAMLError } from 'yaml';
import { CulvertError } from '../errors.js';
import type { ErrorPlace } from '../errors.js';
import type { PropertyPath } from '../service/problem.js';

/** Levels of mappings and lists; a lab needs seven. */
const MAX_DEPTH = 64;
const MAX_ALIASES = 1000;
const MAX_NODES = 1_000_000;

interface Range {
  readonly key: number | null;
  readonly value: number;
}

export interface Source {
  /** Plain objects, arrays and scalars; undefined if the text could not be read at all. */
  readonly value: unknown;
  readonly problems: readonly CulvertError[];
  /** Where a value is, or the nearest enclosing one if there is none at the path. */
  place(path: PropertyPath, at?: 'key' | 'value'): ErrorPlace;
}

/** `a.b[1]`; a name that is not plain is quoted. */
export function formatPath(path: PropertyPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${String(part)}]`;
    else if (/^[\w-]+$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part)}]`;
  }
  return text;
}

const keyOf = (path: PropertyPath): string => JSON.stringify(path);

/** A key as it is written: a number such as 1.0 would lose its form. */
function nameOf({ value, source }: Scalar): string | null {
  if (typeof value === 'string') return value;
  return value === null || source === undefined ? null : source;
}

class TooMuch extends Error {}

/** Depth of the parser's tokens, found with a stack of our own. */
function depthOf(tokens: readonly CST.Token[]): number {
  const stack: [unknown, number][] = tokens.map((token) => [token, 0]);
  let deepest = 0;
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const [token, depth] = next;
    deepest = Math.max(deepest, depth);
    if (depth > MAX_DEPTH) return depth;
    if (typeof token !== 'object' || token === null) continue;
    const { items, value, key } = token as { items?: unknown[]; value?: unknown; key?: unknown };
    if (Array.isArray(items)) for (const item of items) stack.push([item, depth + 1]);
    if (value !== undefined) stack.push([value, depth]);
    if (key !== undefined) stack.push([key, depth]);
  }
  return deepest;
}

const hints: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'a tab cannot indent YAML; use spaces',
  BAD_ALIAS: "'*' begins an alias in YAML; to mean everyone, quote it: '*'",
  MULTIPLE_DOCS: 'the file has more than one document; keep one',
};

const syntaxError = (error: YAMLError, place: ErrorPlace): CulvertError =>
  new CulvertError('CONFIG_SYNTAX', hints[error.code] ?? `${error.message} (not valid YAML or JSON)`, place);

class Reader implements Source {
  readonly problems: CulvertError[] = [];
  value: unknown = undefined;
  readonly #file: string;
  readonly #lines: LineCounter;
  readonly #ranges = new Map<string, Range>();
  #document: Document.Parsed | null = null;
  #aliases = 0;
  #nodes = 0;

  constructor(file: string, lines: LineCounter) {
    this.#file = file;
    this.#lines = lines;
  }

  #at(offset: number): ErrorPlace {
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.#file, line, column: col };
  }

  place(path: PropertyPath, at: 'key' | 'value' = 'value'): ErrorPlace {
    for (let length = path.length; length >= 0; length--) {
      const range = this.#ranges.get(keyOf(path.slice(0, length)));
      if (range === undefined) continue;
      // What is missing is looked for at the name of what should hold it.
      const useKey = (at === 'key' || length < path.length) && range.key !== null;
      return { ...this.#at(useKey ? range.key : range.value), path: formatPath(path) };
    }
    return { file: this.#file, line: 1, column: 1, path: formatPath(path) };
  }

  fail(code: string, message: string, offset: number, path?: PropertyPath): void {
    const place = this.#at(offset);
    this.problems.push(
      new CulvertError(code, message, path === undefined ? place : { ...place, path: formatPath(path) }),
    );
  }

  read(document: Document.Parsed): void {
    for (const error of [...document.errors, ...document.warnings]) {
      this.problems.push(syntaxError(error, this.#at(error.pos[0])));
    }
    if (document.directives.yaml.version !== '1.2') {
      this.fail('CONFIG_SYNTAX', 'the file asks for YAML 1.1; only YAML 1.2 is read: remove the %YAML line', 0);
    }
    if (this.problems.length > 0) return;
    if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
      this.fail(
        'CONFIG_EMPTY',
        'the file is empty; a lab file has virtualNetworks, privateLinkServices, privateEndpoints',
        0,
      );
      return;
    }
    this.#document = document;
    const value = this.#plain(document.contents, [], null, 0);
    if (this.problems.every((problem) => problem.code !== 'CONFIG_SYNTAX')) this.value = value;
  }

  #plain(node: ParsedNode | null, path: PropertyPath, key: number | null, depth: number): unknown {
    this.#nodes++;
    if (this.#nodes > MAX_NODES || depth > MAX_DEPTH) throw new TooMuch();
    const start = node?.range[0] ?? key ?? 0;
    const id = keyOf(path);
    // Through an alias, the place is where the alias stands: that is the line to look at first.
    if (!this.#ranges.has(id)) this.#ranges.set(id, { key, value: start });
    if (node === null) return null;
    if (isAlias(node)) {
      this.#aliases++;
      if (this.#aliases > MAX_ALIASES) throw new TooMuch();
      const target = node.resolve(this.#document!);
      if (target === undefined) {
        this.fail('CONFIG_SYNTAX', `there is no anchor '&${node.source}' before this alias`, start, path);
        return null;
      }
      return this.#plain(target as ParsedNode, path, key ?? start, depth + 1);
    }
    if (isMap(node)) {
      const entries = new Map<string, unknown>();
      const lines = new Map<string, number>();
      for (const pair of node.items) {
        if (!isPair(pair)) continue;
        const keyNode = pair.key;
        const at = keyNode.range[0];
        const name = isScalar(keyNode) ? nameOf(keyNode) : null;
        if (name === null || name === '__proto__') {
          this.fail('CONFIG_KEY', 'a key is a plain name here', at, path);
        } else if (name === '<<') {
          this.fail('CONFIG_KEY', "merge keys ('<<') are not part of YAML 1.2; write the properties out", at, path);
        } else {
          const first = lines.get(name);
          if (first !== undefined) {
            const what = `'${name}' is given twice; the first is on line ${String(first)}: keep one`;
            this.fail('CONFIG_DUPLICATE_KEY', what, at, [...path, name]);
            continue;
          }
          lines.set(name, this.#lines.linePos(at).line);
          entries.set(name, this.#plain(pair.value, [...path, name], at, depth + 1));
        }
      }
      return Object.fromEntries(entries);
    }
    if (isSeq(node)) return node.items.map((item, index) => this.#plain(item, [...path, index], null, depth + 1));
    return isScalar(node) ? node.value : null;
  }
}

/** Reads the text. Never throws: everything wrong is in `problems`. */
export function readSource(text: string, file: string): Source {
  const lines = new LineCounter();
  const reader = new Reader(file, lines);
  const tooMuch = (): void => {
    const what = `more than ${String(MAX_DEPTH)} levels, ${String(MAX_ALIASES)} aliases or ${String(MAX_NODES)} values`;
    reader.fail('CONFIG_TOO_LARGE', `the file has ${what}; this is no lab file`, 0);
  };
  const tokens = [...new Parser(lines.addNewLine).parse(text)];
  if (depthOf(tokens) > MAX_DEPTH) {
    tooMuch();
    return reader;
  }
  const documents = [
    ...new Composer({
      lineCounter: lines,
      prettyErrors: false,
      version: '1.2',
      uniqueKeys: false,
      // Only what JSON can say: `!!binary` would give octets, which are no value of a lab.
      resolveKnownTags: false,
    }).compose(tokens, true, text.length),
  ];
  const document = documents[0];
  if (document === undefined) return reader;
  if (documents.length > 1) {
    reader.fail('CONFIG_SYNTAX', hints['MULTIPLE_DOCS']!, documents[1]!.range[0]);
    return reader;
  }
  try {
    reader.read(document);
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error;
    tooMuch();
  }
  return reader;
}
