/** Names of other resources, looked up; one that leads nowhere is reported with the name that may be meant. */
import type { PropertyPath } from '../service/problem.js';
import type { Findings } from './findings.js';
import { suggestion } from './near-miss.js';
import type { LabShape } from './schema.js';

export class References {
  readonly #shape: LabShape;
  readonly #findings: Findings;

  constructor(shape: LabShape, findings: Findings) {
    this.#shape = shape;
    this.#findings = findings;
  }

  one(kind: string, name: string, candidates: readonly string[], path: PropertyPath): void {
    if (candidates.includes(name)) return;
    this.#findings.error('CONFIG_UNKNOWN_REFERENCE', `no ${kind} '${name}'${suggestion(name, candidates)}`, path);
  }

  /** `outer/inner`, both looked up. */
  pair(
    text: string,
    kinds: readonly [string, string],
    outers: Readonly<Record<string, unknown>>,
    innersOf: (outer: string) => readonly string[],
    path: PropertyPath,
  ): readonly [string, string] {
    const parts = text.split('/');
    const [outer, inner] = parts;
    if (parts.length !== 2 || outer === undefined || inner === undefined) {
      const what = `'${text}' is not of the form ${kinds[0]}/${kinds[1]}`.replaceAll('virtual network', 'network');
      this.#findings.error('CONFIG_REFERENCE', what, path);
      return ['', ''];
    }
    if (Object.hasOwn(outers, outer)) this.one(`${kinds[1]} in ${kinds[0]} '${outer}':`, inner, innersOf(outer), path);
    else this.one(kinds[0], outer, Object.keys(outers), path);
    return [outer, inner];
  }

  subnet(text: string, path: PropertyPath): readonly [string, string] {
    const networks = this.#shape.virtualNetworks;
    const subnets = (network: string): string[] => Object.keys(networks[network]?.subnets ?? {});
    return this.pair(text, ['virtual network', 'subnet'], networks, subnets, path);
  }
}
