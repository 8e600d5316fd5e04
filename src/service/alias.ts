/** The alias under which a consumer asks for a service it cannot name: `prefix.GUID.location.azure.privatelinkservice`. */
import { seededGuid } from './seeded.js';
import { error } from './problem.js';
import type { Problem } from './problem.js';

const SUFFIX = 'azure.privatelinkservice';
const GUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
const ALIAS = new RegExp(`^(.+)\\.(${GUID})\\.([a-z0-9]+)\\.azure\\.privatelinkservice$`, 'i');
const PREFIX = /^[a-z0-9]([a-z0-9_.-]{0,78}[a-z0-9_])?$/i;

export interface Alias {
  readonly prefix: string;
  readonly guid: string;
  readonly location: string;
}

export const formatAlias = ({ prefix, guid, location }: Alias): string => `${prefix}.${guid}.${location}.${SUFFIX}`;

/** The parts of an alias, or null; compared case-insensitively as Azure does, with the case kept. */
export function parseAlias(text: string): Alias | null {
  const parts = ALIAS.exec(text);
  return parts === null ? null : { prefix: parts[1]!, guid: parts[2]!, location: parts[3]! };
}

/** An alias for a new service; the same seed, location and prefix give the same alias. */
export const createAlias = (prefix: string, location: string, seed: number): string =>
  formatAlias({ prefix, guid: seededGuid(seed, 'alias', location, prefix), location });

/** An alias for a new service of the management interface, which nobody can guess. */
export const createRandomAlias = (prefix: string, location: string, guid: string): string =>
  formatAlias({ prefix, guid, location });

/** The prefix follows Azure's rule for resource names, since it is one. */
export const checkAliasPrefix = (prefix: string): Problem[] =>
  PREFIX.test(prefix)
    ? []
    : [
        error(
          'ALIAS_PREFIX_INVALID',
          `'${prefix}' cannot begin an alias: use 1 to 80 letters, digits, '_', '.', '-', a letter or digit first, not '.' or '-' last`,
        ),
      ];
