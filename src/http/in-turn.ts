import { ServerResponse, type RequestListener } from 'node:http'
import type { Socket } from 'node:net'

/** Requests that may wait on one connection. No well-behaved client sends so many. */
const mostWaiting = 100

/** The code of Node's error for a paused parser. */
export const pausedCode = 'HPE_PAUSED'

/** Reads no more requests from a connection, not even from received bytes. Responses are still sent. */
function stopReading(socket: Socket): void {
  const parser = Reflect.get(socket, 'parser') as { pause?: () => void } | null | undefined
  parser?.pause?.()
  socket.pause()
}

/** The response that is being sent on a connection, if any. */
export function runningResponse(socket: Socket): ServerResponse | undefined {
  const running: unknown = Reflect.get(socket, '_httpMessage') // as Node's own handlers ask
  return running instanceof ServerResponse ? running : undefined
}

/**
 * Begins the requests of one connection in turn (RFC 9112 §9.3.2), because Node hands over all pipelined ones
 * at once. A request after a response that ends the connection is never begun: its sender cannot know where
 * it would have begun. When more than `mostWaiting` wait, the first of them are answered, and the connection
 * ends after them.
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
      if (line) line.last.shouldKeepAlive = false // Node closes the connection after the response
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
