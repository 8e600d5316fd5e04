/** Collects what is wrong with a lab file and gives each finding its place. */
import { CulvertError } from '../errors.js';
import type { ErrorPlace } from '../errors.js';
import type { Problem, PropertyPath } from '../service/problem.js';
import { under } from '../service/problem.js';
import type { Source } from './source.js';
import type { ShapeResult } from './shape.js';

const where = ({ file, line, column }: ErrorPlace): string =>
  [file, line, column].filter((part) => part !== undefined).join(':');

/** `file:line:column: CODE path: message`, the form that editors and terminals make links of. */
export function formatFinding(finding: CulvertError): string {
  const path = finding.place.path === undefined || finding.place.path === '' ? '' : ` ${finding.place.path}`;
  const place = where(finding.place);
  return `${place === '' ? '' : `${place}: `}${finding.code}${path}: ${finding.message}`;
}

/** A lab file with mistakes. The message lists them all; `problems` has each with its own code and place. */
export class ConfigError extends CulvertError {
  readonly problems: readonly CulvertError[];

  constructor(file: string, problems: readonly CulvertError[]) {
    const count = `${String(problems.length)} ${problems.length === 1 ? 'mistake' : 'mistakes'}`;
    super('CONFIG_INVALID', `${file} has ${count}:\n${problems.map((p) => `  ${formatFinding(p)}`).join('\n')}`, {
      file,
    });
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

export class Findings {
  readonly #source: Source;
  readonly #shape: ShapeResult;
  readonly #errors: CulvertError[] = [];
  readonly #warnings: CulvertError[] = [];

  constructor(source: Source, shape: ShapeResult) {
    this.#source = source;
    this.#shape = shape;
    this.#errors.push(...source.problems);
    for (const { code, message, path, at } of shape.problems) {
      this.#errors.push(new CulvertError(code, message, this.#place(path, at)));
    }
  }

  get errors(): CulvertError[] {
    return inOrder(this.#errors);
  }

  get warnings(): CulvertError[] {
    return inOrder(this.#warnings);
  }

  #place(path: PropertyPath, at: 'key' | 'value'): ErrorPlace {
    return this.#source.place(this.#shape.sourcePath(path), at);
  }

  /** A mistake in the file; ignored at a place whose value was wrong already. */
  error(code: string, message: string, path: PropertyPath): void {
    if (!this.#shape.isRepaired(path)) this.#errors.push(new CulvertError(code, message, this.#place(path, 'value')));
  }

  /** What rules of the service model found, seen from the resource at `prefix`. */
  add(prefix: PropertyPath, problems: readonly Problem[]): void {
    for (const { code, severity, message, path } of under(prefix, problems)) {
      if (severity === 'error') this.error(code, message, path);
      else if (!this.#shape.isRepaired(path)) {
        this.#warnings.push(new CulvertError(code, message, this.#place(path, 'value')));
      }
    }
  }
}

const inOrder = (findings: readonly CulvertError[]): CulvertError[] =>
  findings.toSorted(
    (a, b) => (a.place.line ?? 0) - (b.place.line ?? 0) || (a.place.column ?? 0) - (b.place.column ?? 0),
  );
