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

/** A changed file is read when the next look finds it unchanged, so that a writer can finish. */
const quietMs = 600

interface Reloading {
  file: string
  /** Whether a missing file means that there are no routes. */
  mayBeMissing: boolean
  routes: LiveRoutes
  logger: Logger
  /** Whether a change of the file is enough, without SIGHUP. */
  watch: boolean
}

const isSame = (one: RouteTable, other: RouteTable) =>
  isDeepStrictEqual({ ...one, match: undefined }, { ...other, match: undefined })

/**
 * Runs `work`, never twice at once. A call during a run causes another run after it, so that the last reading
 * stays.
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
 * Reads the route file again at SIGHUP and, with `watch`, shortly after it has changed. A table with faults
 * changes nothing, and the log says why. Returns the function that ends it.
 */
export function reloadRoutes({ file, mayBeMissing, routes, logger, watch }: Reloading): () => Promise<void> {
  let stopped = false
  const reload = oneAtATime(async () => {
    try {
      const table = await loadRouteTable(file, { mayBeMissing })
      if (stopped) return
      const changed = !isSame(table, routes.current().table)
      // replacing a table by the same one would only cost connections and reset limits
      if (changed) routes.replace(table)
      logger.info('the route table was read anew', { file, routes: table.routes.length, changed })
    } catch (error) {
      logger.error('the route table was not changed: the old one stays in force', {
        faults: error instanceof RouteTableError ? error.faults : String(error),
      })
    }
  })
  // The listener stays: without one the signal would end the process before it has drained.
  process.on('SIGHUP', () => {
    if (!stopped) reload()
  })

  // The file may have changed between being read and being watched, so it is read once more.
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
