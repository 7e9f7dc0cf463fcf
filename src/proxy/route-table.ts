import { readFile } from 'node:fs/promises'
import { hasCode } from '../errors.js'
import { readYaml } from '../domain/yaml-faults.js'
import { createMatcher, type MatchRoute } from './match-route.js'
import type { Route } from './route.js'
import { coversOwnPaths, routeTableSchema, type RouteFile } from './route-schema.js'

export type { Route } from './route.js'

/** A route file cannot be used; `faults` lists everything wrong with it, by file and line. */
export class RouteTableError extends Error {
  constructor(readonly faults: string[]) {
    super(`The route table cannot be used:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
    this.name = 'RouteTableError'
  }
}

/** The routes and upstreams of one version of the route file. */
export interface RouteTable {
  upstreams: RouteFile['upstreams']
  routes: Route[]
  /** Headers of clients that reach no upstream, beside those that the gateway always drops. */
  dropRequestHeaders: string[]
  match: MatchRoute
}

/** Parses a route table. Throws a RouteTableError that lists every fault with `file` and line. */
export function parseRouteTable(text: string, file: string): RouteTable {
  const read = readYaml(text, file, routeTableSchema)
  if ('faults' in read) throw new RouteTableError(read.faults)
  return tableOf(read.data)
}

function tableOf(file: RouteFile): RouteTable {
  const routes = Object.entries(file.routes).flatMap(([prefix, at]) =>
    at.map((route): Route => ({
      ...route,
      prefix,
      name: (route.host?.join(',') ?? '') + prefix,
      coversOwn: coversOwnPaths(prefix),
    })),
  )
  return {
    upstreams: file.upstreams,
    routes,
    dropRequestHeaders: file.dropRequestHeaders,
    match: createMatcher(routes),
  }
}

/**
 * Reads the route table from `file`. With `mayBeMissing` a missing file is a table without routes. Throws a
 * RouteTableError.
 */
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
