/** A template's parameters file: `{"parameters": {"NAME": {"value": ...}}}`. */
import { CulvertError } from '../../errors.js';
import { isObject } from './json.js';

/**
 * @param json what the file has
 * @param file its name
 * @throws CulvertError TEMPLATE_PARAMETERS
 */
export function parametersOfFile(json: unknown, file: string): Map<string, unknown> {
  const fail = (what: string): CulvertError => new CulvertError('TEMPLATE_PARAMETERS', `${file}: ${what}`);
  const parameters = isObject(json) ? json['parameters'] : undefined;
  if (!isObject(parameters)) {
    throw fail('it is no parameters file: JSON with {"parameters": {"NAME": {"value": ...}}}');
  }
  return new Map(
    Object.entries(parameters).map(([name, entry]) => {
      if (isObject(entry) && entry['value'] !== undefined) return [name, entry['value']];
      if (isObject(entry) && entry['reference'] !== undefined) {
        throw fail(`parameters.${name}: no Key Vault can be asked here: give the value itself`);
      }
      throw fail(`parameters.${name}: an entry is an object with a value`);
    }),
  );
}
