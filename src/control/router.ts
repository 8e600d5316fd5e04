/** Finds the handler of a path. Literal segments compare without regard to case; `{name}` takes any one segment. */

export type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';

export interface Route<H> {
  readonly method: Method;
  /** For example `/subscriptions/{subscription}/resourceGroups/{group}`. */
  readonly path: string;
  readonly handler: H;
}

export type Found<H> =
  | { readonly kind: 'route'; readonly handler: H; readonly params: Readonly<Record<string, string>> }
  /** The path is known, with these methods. */
  | { readonly kind: 'method'; readonly allowed: readonly Method[] }
  | { readonly kind: 'none' };

const isParameter = (segment: string): boolean => segment.startsWith('{');

export class Router<H> {
  readonly routes: readonly Route<H>[];
  /** By count of segments; those with a literal first where both fit. */
  private readonly byLength = new Map<number, { segments: readonly string[]; route: Route<H> }[]>();

  constructor(routes: readonly Route<H>[]) {
    this.routes = routes;
    for (const route of routes) {
      const segments = route.path.split('/').slice(1);
      const list = this.byLength.get(segments.length) ?? [];
      list.push({ segments, route });
      this.byLength.set(segments.length, list);
    }
  }

  find(method: string, path: readonly string[]): Found<H> {
    const fitting = (this.byLength.get(path.length) ?? []).filter(({ segments }) =>
      segments.every((segment, i) => isParameter(segment) || segment.toLowerCase() === path[i]!.toLowerCase()),
    );
    const match = fitting.find(({ route }) => route.method === method);
    if (match === undefined) {
      const allowed = [...new Set(fitting.map(({ route }) => route.method))];
      return allowed.length === 0 ? { kind: 'none' } : { kind: 'method', allowed };
    }
    const params = Object.fromEntries(
      match.segments.flatMap((segment, i) => (isParameter(segment) ? [[segment.slice(1, -1), path[i]!]] : [])),
    );
    return { kind: 'route', handler: match.route.handler, params };
  }
}
