import { checkQuery, normalisePath } from '../http/normalise-path.js'

const home = '/portal'

/**
 * Where to go after signing in: what was asked for if it lies inside the portal and can be read in one way
 * only, else the portal's first page.
 */
export function destinationOf(next: string): string {
  const query = next.indexOf('?')
  const [path, search] = query === -1 ? [next, ''] : [next.slice(0, query), next.slice(query)]
  try {
    const normalised = normalisePath(path)
    checkQuery(search)
    return normalised === home || normalised.startsWith(`${home}/`) ? normalised + search : home
  } catch {
    return home // not a path that this gateway would serve
  }
}
