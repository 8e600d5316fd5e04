/**
 * The expressions of ARM templates: `[concat('a', parameters('b')[0].c)]`. Parsed to a tree, bounded in length and depth
 * as Azure's are, so that no template can exhaust the stack.
 */
import { CulvertError } from '../../errors.js';

export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: 'index'; readonly of: Expression; readonly by: Expression };

/** Azure's limit of characters in one expression. */
const MAX_LENGTH = 24_576;
const MAX_DEPTH = 64;

/** @param path where in the template it stands */
export const templateError = (code: string, path: string, what: string): CulvertError =>
  new CulvertError(`TEMPLATE_${code}`, `${path}: ${what}`, { path });

export const isExpression = (text: string): boolean =>
  text.startsWith('[') && text.endsWith(']') && !text.startsWith('[[');

/** A text that only looks like an expression begins with two brackets. */
export const unescaped = (text: string): string => (text.startsWith('[[') ? text.slice(1) : text);

class Parser {
  readonly #text: string;
  readonly #path: string;
  #at = 0;

  constructor(text: string, path: string) {
    this.#text = text;
    this.#path = path;
  }

  whole(): Expression {
    const expression = this.#expression(0);
    this.#space();
    if (this.#at < this.#text.length) throw this.#error(`unexpected '${this.#text.slice(this.#at, this.#at + 10)}'`);
    return expression;
  }

  #error(what: string): CulvertError {
    return templateError(
      'EXPRESSION',
      this.#path,
      `${what} at character ${String(this.#at + 1)} of '${this.#shown()}'`,
    );
  }

  #shown(): string {
    return this.#text.length <= 100 ? this.#text : `${this.#text.slice(0, 100)}...`;
  }

  #space(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at++;
  }

  #match(pattern: RegExp): string | null {
    this.#space();
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) return null;
    this.#at += found.length;
    return found;
  }

  #expect(text: string): void {
    this.#space();
    if (!this.#text.startsWith(text, this.#at)) throw this.#error(`'${text}' is missing`);
    this.#at += text.length;
  }

  #expression(depth: number): Expression {
    if (depth > MAX_DEPTH) throw this.#error(`nested deeper than ${String(MAX_DEPTH)} levels`);
    let expression = this.#primary(depth);
    for (let steps = 0; ; steps++) {
      if (steps > MAX_DEPTH) throw this.#error(`more than ${String(MAX_DEPTH)} steps into a value`);
      if (this.#match(/\./y) !== null) {
        const name = this.#match(/[A-Za-z_]\w*/y);
        if (name === null) throw this.#error("a property's name is missing");
        expression = { kind: 'index', of: expression, by: { kind: 'literal', value: name } };
      } else if (this.#match(/\[/y) !== null) {
        expression = { kind: 'index', of: expression, by: this.#expression(depth + 1) };
        this.#expect(']');
      } else return expression;
    }
  }

  #primary(depth: number): Expression {
    const text = this.#match(/'(?:[^']|'')*'/y);
    if (text !== null) return { kind: 'literal', value: text.slice(1, -1).replaceAll("''", "'") };
    const number = this.#match(/-?\d+/y);
    if (number !== null) return { kind: 'literal', value: Number(number) };
    const name = this.#match(/[A-Za-z_][\w.]*(?=\s*\()/y);
    if (name === null) throw this.#error('a function, a text in single quotes or a number is expected');
    this.#expect('(');
    const args: Expression[] = [];
    if (this.#match(/\)/y) !== null) return { kind: 'call', name, args };
    do args.push(this.#expression(depth + 1));
    while (this.#match(/,/y) !== null);
    this.#expect(')');
    return { kind: 'call', name, args };
  }
}

/**
 * @param text with its brackets
 * @throws CulvertError TEMPLATE_EXPRESSION
 */
export function parseExpression(text: string, path: string): Expression {
  if (text.length > MAX_LENGTH) {
    throw templateError('EXPRESSION', path, `an expression has at most ${String(MAX_LENGTH)} characters`);
  }
  return new Parser(text.slice(1, -1), path).whole();
}
