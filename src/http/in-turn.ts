import { ServerResponse, type RequestListener } from 'node:http'
import type { Socket } from 'node:net'

/** Requests that may wait on one connection: no client that means well sends so many. */
const mostWaiting = 100

/** The code of the error that Node reports for a parser that was paused. */
export const pausedCode = 'HPE_PAUSED'

/**
 * Reads no more requests from a connection, not even from the bytes that have arrived. Answers still go out.
 */
function stopReading(socket: Socket): void {
  const parser = Reflect.get(socket, 'parser') as { pause?: () => void } | null | undefined
  parser?.pause?.()
  socket.pause()
}

/** The response that is going out on a connection, if there is one. */
export function runningResponse(socket: Socket): ServerResponse | undefined {
  const running: unknown = Reflect.get(socket, '_httpMessage') // as Node's own handlers ask
  return running instanceof ServerResponse ? running : undefined
}

/**
 * Begins the requests of one connection in turn (RFC 9112 §9.3.2): Node hands over all that were pipelined at
 * once. What stands behind an answer that ends the connection is never begun: whoever sent it cannot know
 * where it would have been taken to begin. When more than `mostWaiting` wait, the first of them are answered,
 * and the connection ends with the last of those.
 */
export function inTurn(listener: RequestListener): RequestListener {
  const lines = new WeakMap<Socket, { last: ServerResponse; waiting: number }>()
  return (req, res) => {
    const { socket } = req
    if (res.socket !== null) {
      if (socket.writable) listener(req, res)
      return
    }
    const line = lines.get(socket)
    const before = line && !line.last.closed ? line.last : runningResponse(socket)
    const waiting = (line?.waiting ?? 0) + 1
    if (waiting > mostWaiting) {
      if (line) line.last.shouldKeepAlive = false // Node closes the connection when it has been answered
      stopReading(socket)
      return
    }
    const own = { last: res, waiting }
    if (line) Object.assign(line, own)
    else lines.set(socket, own)
    before?.once('close', () => {
      const now = lines.get(socket)
      if (now) now.waiting -= 1
      if (res.socket !== null && !socket.destroyed) listener(req, res)
    })
  }
}
