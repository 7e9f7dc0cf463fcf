import type { Route } from './route-table.js'

/**
 * The path and query that a route's upstream is asked for: as they came, with the route's prefix taken off
 * (`strip`) or replaced (`rewrite`).
 */
export function sentPath(
  { prefix, strip, rewrite }: Pick<Route, 'prefix' | 'strip' | 'rewrite'>,
  pathname: string,
  search: string,
): string {
  const base = strip ? '/' : rewrite
  if (base === undefined) return pathname + search
  const rest = prefix === '/' ? pathname : pathname.slice(prefix.length)
  return ((base === '/' ? '' : base) + rest || '/') + search
}
