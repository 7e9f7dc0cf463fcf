import { GatewayError } from '../errors.js'
import { forgivingReadings } from './path-readings.js'
import { isOwnPath, mayBePortals } from './route-schema.js'
import type { Route } from './route.js'

/** Returns the route of a normalised path and of the requested host. Throws `path_ambiguous`. */
export type MatchRoute = (pathname: string, host?: string) => Route | undefined

/** One route under one of its hosts. */
interface Entry {
  route: Route
  prefix: string
  /** In lower case. */
  folded: string
  /** A host, or `.example.com` for all below it; undefined is every host. */
  host: string | undefined
}

/** A parameter of a segment, which some programs remove. Double encoding was refused before. */
const parameter = /;|%3B/
const parameters = /(?:;|%3B)[^/]*/g

/**
 * Characters that a lenient router may read differently: capitals, escapes, parameters, and a dot at the end
 * of a segment.
 */
const unusual = /[^a-z0-9\-_~/.!$&'()*+,=:@]|\.(?:\/|$)/
/**
 * Segments that may lead out of the route's prefix: those that begin like `..`, also with dots escaped twice
 * or in other forms.
 */
const mayClimb = /\/\.\.|%(?:25|E[2F])/

const isWithin = (path: string, prefix: string) =>
  prefix === '/' ||
  (path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === 0x2f))

/** Returns a host in lower case, without its port and its final dot. */
function plainHost(host: string | undefined): string {
  return (host ?? '').toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '')
}

/** Exact hosts come before wildcards, longer wildcards before shorter ones, and routes of every host last. */
const hostRank = ({ host }: Entry) => (host === undefined ? 0 : host.startsWith('.') ? host.length : 1000)

function entriesOf(route: Route): Entry[] {
  const folded = route.prefix.toLowerCase()
  return (route.host ?? [undefined]).map((host) => ({
    route,
    prefix: route.prefix,
    folded,
    host: host?.replace(/^\*/, '').toLowerCase(),
  }))
}

/** A segment of the routes' prefixes: what lies below it, and the entries whose prefix ends here. */
interface Segment {
  below: Map<string, Segment>
  entries: Entry[]
}

const emptySegment = (): Segment => ({ below: new Map(), entries: [] })

/** Returns the tree of prefixes, by segment. Entries of one prefix keep their order. */
function treeOf(entries: Entry[], form: 'prefix' | 'folded'): Segment {
  const root = emptySegment()
  for (const entry of entries) {
    let at = root
    for (const name of entry[form] === '/' ? [] : entry[form].slice(1).split('/')) {
      const below = at.below.get(name) ?? emptySegment()
      at.below.set(name, below)
      at = below
    }
    at.entries.push(entry)
  }
  return root
}

/**
 * Returns the first entry of the longest prefix that contains a path and takes its host. The work grows with
 * the segments of the matching prefix, not with the number of routes.
 */
function longestIn(
  root: Segment,
  path: string,
  takes: ((entry: Entry) => boolean) | undefined,
): Entry | undefined {
  const choose = ({ entries }: Segment) => (takes ? entries.find(takes) : entries[0])
  let found = choose(root)
  let at: Segment | undefined = root
  let start = path.startsWith('/') ? 1 : Infinity
  while (start <= path.length && at.below.size > 0) {
    const slash = path.indexOf('/', start)
    const end = slash < 0 ? path.length : slash
    at = at.below.get(path.slice(start, end))
    if (!at) break
    found = choose(at) ?? found
    start = end + 1
  }
  return found
}

const takesHost = (entry: Entry, host: string) =>
  entry.host === undefined ||
  entry.host === host ||
  (entry.host.startsWith('.') && host.endsWith(entry.host) && host.length > entry.host.length)

/**
 * Returns, for each route, whether a matching path must be read again. Everything that is known before a
 * request is computed here.
 */
function doubtsOf(entries: Entry[]): (route: Route, pathname: string) => boolean {
  const doubts = new Map<Route, RegExp>()
  for (const { route, folded } of entries) {
    const nested = entries.filter((other) => other.folded !== folded && isWithin(other.folded, folded))
    const anyPath = nested.some((other) => other.folded !== other.prefix)
    doubts.set(route, anyPath ? /^/ : nested.length > 0 ? unusual : mayClimb)
  }
  return (route, pathname) => doubts.get(route)?.test(pathname) === true
}

/**
 * Creates the matcher of a table. The longest prefix of whole segments wins, then the most specific host. It
 * refuses a path that a common router would take for another route's: ignoring case, `;` parameters, blanks
 * and dots at a segment's end, or decoding once more.
 */
export function createMatcher(routes: Route[]): MatchRoute {
  const entries = routes
    .flatMap(entriesOf)
    .sort((a, b) => b.prefix.length - a.prefix.length || hostRank(b) - hostRank(a))
  const byHost = entries.some(({ host }) => host !== undefined)
  const inDoubt = doubtsOf(entries)
  const trees = { prefix: treeOf(entries, 'prefix'), folded: treeOf(entries, 'folded') }
  const longest = (path: string, host: string, form: 'prefix' | 'folded') =>
    longestIn(trees[form], path, byHost ? (entry) => takesHost(entry, host) : undefined)?.route

  return (pathname, requestedHost) => {
    const host = byHost ? plainHost(requestedHost) : ''
    const route = longest(pathname, host, 'prefix')
    if (parameter.test(pathname) && longest(pathname.replace(parameters, ''), host, 'prefix') !== route) {
      throw new GatewayError(
        'path_ambiguous',
        'The path holds a parameter after ; that some programs would leave out',
      )
    }
    if (!route) return undefined
    if (
      inDoubt(route, pathname) &&
      forgivingReadings(pathname).some((reading) => longest(reading, host, 'folded') !== route)
    ) {
      throw new GatewayError(
        'path_ambiguous',
        'The path belongs to another route for programs that ignore letter case, blanks or dots ' +
          'at the end of a segment, or that decode it again',
      )
    }
    if (!route.coversOwn || !isOwnPath(pathname)) return route
    return mayBePortals(route.prefix) ? route : undefined
  }
}
