import type { Language } from '../domain/languages.js'
import type { RouteTable } from './route-table.js'

/** Returns the title of a route without one: the last segment of its prefix. */
function nameOf(prefix: string): string {
  const segment = prefix
    .slice(prefix.lastIndexOf('/') + 1)
    .replace(/[-_.~]+/g, ' ')
    .trim()
  return segment.charAt(0).toUpperCase() + segment.slice(1)
}

/**
 * Returns the links to routes with `auth: portal`: their prefixes, with `project` in the query for the
 * service.
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
