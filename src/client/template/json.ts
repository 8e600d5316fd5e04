/** Objects of a template; names in them are found without regard to case. */

export type Json = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function entryOf(object: unknown, name: string): [string, unknown] | undefined {
  if (!isObject(object)) return undefined;
  return Object.entries(object).find(([each]) => each.toLowerCase() === name.toLowerCase());
}
