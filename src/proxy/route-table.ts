import { readFile } from 'node:fs/promises'
import { LineCounter, isMap, isNode, isSeq, parseDocument, type Document } from 'yaml'
import { hasCode } from '../errors.js'
import { createMatcher, type MatchRoute } from './match-route.js'
import { coversOwnPaths, messageOf, routeTableSchema, type RouteFile } from './route-schema.js'

/** A route file cannot be used; `faults` lists everything wrong with it, by file and line. */
export class RouteTableError extends Error {
  constructor(readonly faults: string[]) {
    super(`The route table cannot be used:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
    this.name = 'RouteTableError'
  }
}

/** One route, with its prefix. */
export type Route = RouteFile['routes'][string][number] & {
  prefix: string
  /** The prefix, behind the host where it has one: what logs and limits call it. */
  name: string
  /** True where some paths below the prefix are the gateway's own all the same. */
  coversOwn: boolean
}

/** The routes and upstreams of one version of the route file. */
export interface RouteTable {
  upstreams: RouteFile['upstreams']
  routes: Route[]
  /** Headers of clients that reach no upstream, beside those that the gateway knows of. */
  dropRequestHeaders: string[]
  match: MatchRoute
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
      return `${file}:${lineOf(document, lines, issue.path)}: ${place}${messageOf(issue)}`
    }))
  }
  return tableOf(parsed.data)
}

function tableOf(file: RouteFile): RouteTable {
  const routes = Object.entries(file.routes).flatMap(([prefix, at]) => at.map((route): Route =>
    ({ ...route, prefix, name: (route.host?.join(',') ?? '') + prefix, coversOwn: coversOwnPaths(prefix) })))
  return { upstreams: file.upstreams, routes, dropRequestHeaders: file.dropRequestHeaders, match: createMatcher(routes) }
}

/** Reads the route table from `file`. With `mayBeMissing` a missing file is a table without routes. Throws a RouteTableError. */
export async function loadRouteTable(file: string, { mayBeMissing = false } = {}): Promise<RouteTable> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (mayBeMissing && hasCode(error, 'ENOENT')) return parseRouteTable('upstreams: {}\nroutes: {}', file)
    const reason = hasCode(error, 'ENOENT') ? 'there is no such file' : String(error)
    throw new RouteTableError([`${file}: ${reason}`])
  }
  return parseRouteTable(text, file)
}
