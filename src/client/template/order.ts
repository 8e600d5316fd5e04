/** The order of a template's resources: each after what it depends on. */
import { labSections, type LabSection } from '../../service/lab-sections.js';
import { templateError } from './expression.js';

export interface Dependent {
  readonly id: string;
  readonly path: string;
  readonly dependsOn: readonly string[];
  /** What others may call it, in lower case: id, type/name, and its symbolic name, else its name and its loop. */
  readonly names: readonly string[];
}

/** What needs nothing of the others first, as in a lab file. */
const rankOf = ({ id }: Dependent): number => labSections.indexOf(id.split('/')[7] as LabSection);

/** A loop's name, of the name of one of its turns, such as `nets[2]`. */
const loopOf = (name: string): string => name.replace(/\[\d+\]$/, '');

export const namesOfId = (id: string): string[] =>
  id
    .split('/')
    .slice(7)
    .filter((_, index) => index % 2 === 1);

/** For who calls a resource by its name, in lower case, though it has a symbolic one. */
export function symbolHint(all: readonly Dependent[], name: string): string | undefined {
  const meant = all.find(({ id, names }) => !names.includes(name) && namesOfId(id).join('/').toLowerCase() === name);
  return meant && `${meant.path} has a symbolic name, call it by that or by its id`;
}

/**
 * Where dependencies leave a choice, networks come before what is in them.
 *
 * @param isAbsent whether a name is of something that the template knows and does not make: it is waited for by none
 * @throws CulvertError TEMPLATE_DEPENDENCY, TEMPLATE_CYCLE
 */
export function sorted<T extends Dependent>(all: readonly T[], isAbsent: (name: string) => boolean): T[] {
  const found = (name: string, of: T): T[] => {
    const others = all.filter((other) => other !== of && other.names.includes(name));
    if (others.length > 0 || isAbsent(loopOf(name))) return others;
    const hint = symbolHint(all, name);
    const what = `'${name}' is no resource of this template${hint === undefined ? '' : `: ${hint}`}`;
    throw templateError('DEPENDENCY', `${of.path}.dependsOn`, what);
  };
  const needs = new Map(all.map((each) => [each, new Set(each.dependsOn.flatMap((name) => found(name, each)))]));
  const done = new Set<T>();
  const order: T[] = [];
  const waiting = all.toSorted((a, b) => rankOf(a) - rankOf(b));
  while (waiting.length > 0) {
    const index = waiting.findIndex((each) => [...needs.get(each)!].every((other) => done.has(other)));
    if (index < 0) {
      const paths = waiting.map(({ path }) => path).join(', ');
      throw templateError('CYCLE', paths, 'these resources depend on each other');
    }
    const [next] = waiting.splice(index, 1);
    done.add(next!);
    order.push(next!);
  }
  return order;
}
