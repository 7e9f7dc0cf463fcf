import type { Language } from '../domain/languages.js'
import type { RouteTable } from './route-table.js'

/** What a route is called without a title of its own: the last segment of its prefix. */
function nameOf(prefix: string): string {
  const segment = prefix
    .slice(prefix.lastIndexOf('/') + 1)
    .replace(/[-_.~]+/g, ' ')
    .trim()
  return segment.charAt(0).toUpperCase() + segment.slice(1)
}

/**
 * Where the routes with `auth: portal` lead to: their prefixes, and `project` in the query, by which a
 * service knows what is asked about.
 */
export function portalPlaces(
  { routes }: Pick<RouteTable, 'routes'>,
  projectId: string,
  language: Language,
): { href: string; title: string }[] {
  return routes
    .filter(({ auth }) => auth === 'portal')
    .map(({ prefix, title }) => ({
      href: `${prefix}?project=${projectId}`,
      title: title?.[language] ?? nameOf(prefix),
    }))
}
