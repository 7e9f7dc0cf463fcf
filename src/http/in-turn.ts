import { ServerResponse, type RequestListener } from 'node:http'
import type { Socket } from 'node:net'

/** The response that is going out on a connection, if there is one. */
export function runningResponse(socket: Socket): ServerResponse | undefined {
  const running: unknown = Reflect.get(socket, '_httpMessage') // as Node's own handlers ask
  return running instanceof ServerResponse ? running : undefined
}

/**
 * Begins the requests of one connection in turn (RFC 9112 §9.3.2): Node hands over all that were pipelined at once. What stands behind an answer
 * that ends the connection is never begun: whoever sent it cannot know where it would have been taken to begin.
 */
export function inTurn(listener: RequestListener): RequestListener {
  const last = new WeakMap<Socket, ServerResponse>()
  return (req, res) => {
    const { socket } = req
    if (res.socket !== null) {
      if (socket.writable) listener(req, res)
      return
    }
    const known = last.get(socket)
    const before = known && !known.closed ? known : runningResponse(socket)
    last.set(socket, res)
    before?.once('close', () => {
      if (res.socket !== null && !socket.destroyed) listener(req, res)
    })
  }
}
