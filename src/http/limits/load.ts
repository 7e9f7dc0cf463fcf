import type { Server } from 'node:http'
import { getHeapStatistics } from 'node:v8'
import { GatewayError } from '../../errors.js'
import type { Middleware } from '../endpoint/chain.js'
import { countConnections } from './connections.js'

/** How much this process carries, and whether that is more than it may. */
export interface Load {
  /** Counts the connections of a server. */
  watch: (server: Server) => void
  /**
   * Refuses requests while there is too much memory in use, and those of connections that are too many: 503
   * before collapse.
   */
  refuse: Middleware
  counts: () => { connections: number; refused: number }
  stop: () => void
}

interface Options {
  maxConnections: number
  /** Of one address; undefined: as many as the process may have. */
  maxPerAddress?: number | undefined
  /** Of the heap and what hangs on it; undefined: as much as leaves V8 some room. */
  maxMemoryMb: number | undefined
  /** Bytes in use, as far as a collector would not take them away. */
  memoryInUse?: () => number
  lookEveryMs?: number
}

const shareOfHeap = 0.92

function heapInUse(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Whoever watches over the process must get through. */
const alwaysServed = new Set(['/healthz', '/metrics'])

const memoryFull = () =>
  new GatewayError('overloaded', 'This node has no memory left for more requests. Try again shortly.')

/** Watches over what this process carries. */
export function watchLoad({
  maxConnections,
  maxPerAddress,
  maxMemoryMb,
  memoryInUse = heapInUse,
  lookEveryMs = 250,
}: Options): Load {
  const maxBytes =
    maxMemoryMb === undefined ? getHeapStatistics().heap_size_limit * shareOfHeap : maxMemoryMb * 1024 * 1024
  const connections = countConnections({ maxConnections, maxPerAddress })
  let refused = 0
  let isFull = false
  const look = setInterval(() => {
    isFull = memoryInUse() > maxBytes
  }, lookEveryMs)
  look.unref()

  return {
    watch: connections.watch,
    refuse: (req, res, next) => {
      const refusal = isFull ? memoryFull() : connections.refusalFor(req.socket)
      if (!refusal || alwaysServed.has(req.url.split('?', 1)[0] ?? '')) {
        next()
        return
      }
      refused += 1
      res.shouldKeepAlive = false
      next(refusal)
    },
    counts: () => ({ connections: connections.count(), refused }),
    stop: () => clearInterval(look),
  }
}
