import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { getHeapStatistics } from 'node:v8'
import { GatewayError } from '../errors.js'
import type { Middleware } from './chain.js'

/** How much this process carries, and whether that is more than it may. */
export interface Load {
  /** Counts the connections of a server. */
  watch: (server: Server) => void
  /** Refuses requests while there is too much memory in use, and those of connections that are too many: 503 before collapse. */
  refuse: Middleware
  counts: () => { connections: number; refused: number }
  stop: () => void
}

interface Options {
  maxConnections: number
  /** Of the heap and what hangs on it; undefined: as much as leaves V8 some room. */
  maxMemoryMb: number | undefined
  /** Bytes in use, as far as a collector would not take them away. */
  memoryInUse?: () => number
  lookEveryMs?: number
}

/** Beyond the ceiling so many more are let in to be told so; what comes then is closed without a word. */
const roomForRefusals = 0.1
const shareOfHeap = 0.92

function heapInUse(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Whoever watches over the process must get through. */
const alwaysServed = new Set(['/healthz', '/metrics'])

/** Watches over what this process carries. */
export function watchLoad({ maxConnections, maxMemoryMb, memoryInUse = heapInUse, lookEveryMs = 250 }: Options): Load {
  const maxBytes = maxMemoryMb === undefined ? getHeapStatistics().heap_size_limit * shareOfHeap : maxMemoryMb * 1024 * 1024
  const tooMany = new WeakSet<Socket>()
  let connections = 0
  let refused = 0
  let isFull = false
  let mayBeTooMany = false
  const look = setInterval(() => { isFull = memoryInUse() > maxBytes }, lookEveryMs)
  look.unref()

  const onConnection = (socket: Socket) => {
    connections += 1
    if (connections > maxConnections) {
      tooMany.add(socket)
      mayBeTooMany = true
    }
    socket.once('close', () => { connections -= 1 })
  }
  return {
    watch: (server) => {
      server.maxConnections = Math.ceil(maxConnections * (1 + roomForRefusals)) + 1
      server.on('connection', onConnection)
    },
    refuse: (req, res, next) => {
      if ((!isFull && !(mayBeTooMany && tooMany.has(req.socket))) || alwaysServed.has(req.url.split('?', 1)[0] ?? '')) {
        next()
        return
      }
      refused += 1
      res.shouldKeepAlive = false
      next(new GatewayError('overloaded', isFull ? 'This node has no memory left for more requests. Try again shortly.' : 'This node has as many connections as it may. Try again shortly.'))
    },
    counts: () => ({ connections, refused }),
    stop: () => clearInterval(look),
  }
}
