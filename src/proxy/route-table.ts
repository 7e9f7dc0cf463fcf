import { readFile } from 'node:fs/promises'
import { LineCounter, isMap, isNode, isSeq, parseDocument, type Document } from 'yaml'
import { GatewayError, hasCode } from '../errors.js'
import { coversOwnPaths, isOwnPath, mayBePortals, routeTableSchema, type RouteFile } from './route-schema.js'

/** A route file cannot be used; `faults` lists everything wrong with it, by file and line. */
export class RouteTableError extends Error {
  constructor(readonly faults: string[]) {
    super(`The route table cannot be used:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
    this.name = 'RouteTableError'
  }
}

/** One route, with its prefix. */
export type Route = RouteFile['routes'][string] & {
  prefix: string
  /** True where some paths below the prefix are the gateway's own all the same. */
  coversOwn: boolean
}

/** The routes and upstreams of one version of the route file. */
export interface RouteTable {
  upstreams: RouteFile['upstreams']
  routes: Route[]
  /** The route whose prefix is the longest, on whole segments, of a normalised path. Throws `path_ambiguous`. */
  match: (pathname: string) => Route | undefined
}

/** The line that a fault is on: of the place itself, else of the nearest thing around it that is there. */
function lineOf(document: Document, lines: LineCounter, path: PropertyKey[]): number {
  for (let depth = path.length; depth > 0; depth -= 1) {
    const around = document.getIn(path.slice(0, depth - 1), true)
    const name = String(path[depth - 1])
    const there = isMap(around) ? around.items.find(({ key }) => String(key) === name)?.key : isSeq(around) ? around.items[Number(name)] : undefined
    if (isNode(there) && there.range) return lines.linePos(there.range[0]).line
  }
  return 1
}

/** Aliases are resolved, but not so many that a small file becomes a huge table. */
function plainValue(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    throw new RouteTableError([`${file}:1: ${error instanceof Error ? error.message : String(error)}`])
  }
}

/** Parses a route table. Throws a RouteTableError that lists every fault with `file` and line. */
export function parseRouteTable(text: string, file: string): RouteTable {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false })
  if (document.errors.length > 0) {
    throw new RouteTableError(document.errors.map((error) => `${file}:${lines.linePos(error.pos[0]).line}: ${error.message}`))
  }
  const parsed = routeTableSchema.safeParse(plainValue(document, file))
  if (!parsed.success) {
    throw new RouteTableError(parsed.error.issues.map((issue) => {
      const place = issue.path.length > 0 ? `${issue.path.map(String).join(' › ')}: ` : ''
      return `${file}:${lineOf(document, lines, issue.path)}: ${place}${issue.message}`
    }))
  }
  return tableOf(parsed.data)
}

/** What some programs take for a parameter of a segment, and leave out. Encoded twice it is refused before. */
const parameter = /;|%3B/
const parameters = /(?:;|%3B)[^/]*/g

function tableOf(file: RouteFile): RouteTable {
  const routes = Object.entries(file.routes).map(([prefix, route]) => ({ ...route, prefix, coversOwn: coversOwnPaths(prefix) }))
  const byLength = [...routes].sort((a, b) => b.prefix.length - a.prefix.length)
  const longest = (pathname: string) => byLength.find(({ prefix }) => prefix === '/' || pathname === prefix || pathname.startsWith(`${prefix}/`))
  return {
    upstreams: file.upstreams,
    routes,
    match: (pathname) => {
      const route = longest(pathname)
      if (parameter.test(pathname) && longest(pathname.replace(parameters, '')) !== route) {
        throw new GatewayError('path_ambiguous', 'The path holds a parameter after ; that some programs would leave out')
      }
      if (route?.coversOwn !== true || !isOwnPath(pathname)) return route
      return mayBePortals(route.prefix) ? route : undefined
    },
  }
}

/** Reads the route table from `file`. Throws a RouteTableError. */
export async function loadRouteTable(file: string): Promise<RouteTable> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const reason = hasCode(error, 'ENOENT') ? 'there is no such file' : String(error)
    throw new RouteTableError([`${file}: ${reason}`])
  }
  return parseRouteTable(text, file)
}
