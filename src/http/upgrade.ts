import { IncomingMessage, ServerResponse, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { runningResponse } from './in-turn.js'
import { hasBody } from './unfinished-body.js'

/**
 * A request of our server. Node hands over every connection that asks for any upgrade and then neither reads
 * a body nor another request from it; so only what can become a WebSocket counts as one. Whoever asks for
 * something else (h2c) is served in HTTP/1.1, as RFC 9110 §7.8 allows.
 */
export class GatewayRequest extends IncomingMessage {
  private asksForUpgrade = false
  private isUpgrade: boolean | undefined = undefined

  /**
   * Node sets it when it has read the head, and again when it has looked for a listener; and asks once more
   * when handlers have run.
   */
  get upgrade(): boolean {
    return this.asksForUpgrade && (this.isUpgrade ??= this.method === 'CONNECT' || mayBecomeWebSocket(this))
  }

  set upgrade(asked: boolean | null) {
    this.asksForUpgrade = asked === true
  }
}

function mayBecomeWebSocket(req: IncomingMessage): boolean {
  return (
    req.method === 'GET' &&
    req.httpVersion === '1.1' &&
    req.headers.upgrade?.toLowerCase() === 'websocket' &&
    !hasBody(req)
  )
}

/** A request whose connection may be taken over: it is not flowing, and the client may have sent more. */
type UpgradeRequest = IncomingMessage & { takeUpgrade?: () => Buffer }

/**
 * Returns the function that hands over the connection, and with it what the client sent meanwhile; undefined
 * for a request that cannot become a WebSocket.
 */
export const takeUpgradeOf = ({ takeUpgrade }: UpgradeRequest) => takeUpgrade

/** What a client may send before it is answered. */
const maxEarlyBytes = 64 * 1024

/**
 * Reads on while the upgrade is decided on, else it would not be noticed that the client goes. Answers how to
 * stop, and with what was read.
 */
function readOn(socket: Socket, head: Buffer): () => Buffer {
  const early = [head]
  let bytes = head.length
  const keep = (chunk: Buffer) => {
    early.push(chunk)
    bytes += chunk.length
    if (bytes > maxEarlyBytes) socket.pause()
  }
  const leave = () => {
    socket.destroy()
  }
  socket.on('data', keep)
  socket.on('end', leave)
  return () => {
    socket.off('data', keep)
    socket.off('end', leave)
    socket.pause()
    return Buffer.concat(early)
  }
}

/**
 * Sends upgrades through the same listener as every other request: until somebody takes the socket, they can
 * be answered like one.
 */
export function listenToUpgrades(server: Server, listener: RequestListener): void {
  server.on('upgrade', (req: UpgradeRequest, socket: Socket, head: Buffer) => {
    socket.on('error', () => undefined) // 'close' follows
    if (runningResponse(socket)) {
      socket.destroy() // two answers at once would mix
      return
    }
    socket.setTimeout(0)
    const res = new ServerResponse(req)
    res.shouldKeepAlive = false
    res.assignSocket(socket)
    // Node has taken its own listener away
    socket.on('drain', () => {
      if (res.socket === socket) res.emit('drain')
    })
    res.on('finish', () => {
      if (res.socket !== null) socket.destroySoon()
    })
    req.takeUpgrade = readOn(socket, head)
    listener(req, res)
  })
}
