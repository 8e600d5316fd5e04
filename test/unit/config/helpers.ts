import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ConfigError, parseLab } from '../../../src/config/index.js';
import type { LabConfig } from '../../../src/config/index.js';

/** A file of the repository, from dist/test/unit/config/. */
export const repositoryFile = (name: string): string => fileURLToPath(new URL(`../../../../${name}`, import.meta.url));

export const exampleFile = repositoryFile('fixtures/labs/two-consumers.yaml');
export const example = readFileSync(exampleFile, 'utf8');

/** The example with texts replaced, each of which must be there. */
export function edited(...edits: readonly (readonly [string, string])[]): string {
  let text = example;
  for (const [from, to] of edits) {
    assert.ok(text.includes(from), `the example has no '${from}'`);
    text = text.replace(from, to);
  }
  return text;
}

/** Codes of all mistakes, in the order of the file; empty if the lab is good. */
export function mistakes(
  text: string,
): { code: string; line: number | undefined; path: string | undefined; message: string }[] {
  try {
    parseLab(text, 'lab.yaml');
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ code, message, place }) => ({ code, line: place.line, path: place.path, message }));
  }
}

/** The one mistake of a text. */
export function only(text: string): {
  code: string;
  line: number | undefined;
  path: string | undefined;
  message: string;
} {
  const found = mistakes(text);
  assert.equal(found.length, 1, JSON.stringify(found, null, 1));
  return found[0]!;
}

export const warningsOf = (text: string): string[] => good(text).warnings.map((warning) => warning.code);

export const good = (text: string): LabConfig => parseLab(text, 'lab.yaml');
