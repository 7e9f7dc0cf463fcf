import type { RouteFile } from './route-schema.js'

/** One route, with its prefix. */
export type Route = RouteFile['routes'][string][number] & {
  prefix: string
  /** The prefix, after the host if it has one. Logs and limits use this name. */
  name: string
  /** True when some paths below the prefix belong to the gateway. */
  coversOwn: boolean
}
