import { unwatchFile, watchFile } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from '../observability/logger.js'
import type { LiveRoutes } from './live-routes.js'
import { RouteTableError, loadRouteTable, type RouteTable } from './route-table.js'

/**
 * How often a watched file is looked at. Events would miss mounted config maps, where a link above the file
 * changes, and network drives.
 */
const lookEveryMs = 500

/**
 * A file that changed is read when one look after that found it as it was: whoever still writes it is left to
 * finish.
 */
const quietMs = 600

interface Reloading {
  file: string
  /** Whether a missing file is a table without routes. */
  mayBeMissing: boolean
  routes: LiveRoutes
  logger: Logger
  /** Whether a change of the file is enough, without SIGHUP. */
  watch: boolean
}

const isSame = (one: RouteTable, other: RouteTable) =>
  isDeepStrictEqual({ ...one, match: undefined }, { ...other, match: undefined })

/**
 * Runs `work`, never twice at once: who asks during a run gets one that begins after it, so that what was
 * read last is what stays.
 */
function oneAtATime(work: () => Promise<void>): () => void {
  let running = false
  let wanted = false
  const run = async () => {
    running = true
    while (wanted) {
      wanted = false
      await work()
    }
    running = false
  }
  return () => {
    wanted = true
    if (!running) void run()
  }
}

/**
 * Reads the route file anew at SIGHUP and, with `watch`, some moments after it has changed. A table with
 * faults changes nothing, and the log says why. Answers what ends it.
 */
export function reloadRoutes({ file, mayBeMissing, routes, logger, watch }: Reloading): () => Promise<void> {
  let stopped = false
  const reload = oneAtATime(async () => {
    try {
      const table = await loadRouteTable(file, { mayBeMissing })
      if (stopped) return
      const changed = !isSame(table, routes.current().table)
      // the same one again would only cost connections and begin limits anew
      if (changed) routes.replace(table)
      logger.info('the route table was read anew', { file, routes: table.routes.length, changed })
    } catch (error) {
      logger.error('the route table was not changed: the old one stays in force', {
        faults: error instanceof RouteTableError ? error.faults : String(error),
      })
    }
  })
  // stays to the end: without it the signal would cut a stop short
  process.on('SIGHUP', () => {
    if (!stopped) reload()
  })

  // The first time without a change: the file may have been written between being read and being watched.
  const timer = watch ? setTimeout(reload, quietMs).unref() : undefined
  const wait = () => {
    timer?.refresh()
  }
  if (watch) watchFile(file, { interval: lookEveryMs, persistent: false }, wait)
  return () => {
    stopped = true
    clearTimeout(timer)
    unwatchFile(file, wait)
    return Promise.resolve()
  }
}
