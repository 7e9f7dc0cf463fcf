import type { Route } from './route-table.js'

/** The path and query that a route's upstream is asked for. */
export function sentPath(route: Route, pathname: string, search: string): string {
  const rest = route.strip && route.prefix !== '/' ? pathname.slice(route.prefix.length) || '/' : pathname
  return rest + search
}
