/** Objects of a template; names in them are found without regard to case. */

export type Json = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function entryOf(object: unknown, name: string): [string, unknown] | undefined {
  if (!isObject(object)) return undefined;
  return Object.entries(object).find(([each]) => each.toLowerCase() === name.toLowerCase());
}

/** Whether lists and objects stand in one another over more than so many levels: a file can have more than the stack takes. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  let level = [value];
  for (let n = 0; n <= levels && level.length > 0; n++) {
    level = level.flatMap((each) =>
      typeof each === 'object' && each !== null ? (Object.values(each) as unknown[]) : [],
    );
  }
  return level.length > 0;
}
