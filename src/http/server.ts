import { createServer, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { answerMalformed } from './answer-malformed.js'
import type { CorsHeaders } from './cors.js'
import { inTurn, runningResponse } from './in-turn.js'
import { closeUnread } from './limits/unread-answers.js'
import { GatewayRequest, listenToUpgrades } from './upgrade.js'

/** Bytes of a request's head; a token alone may take 8 KiB. */
const maxHeaderBytes = 32 * 1024
/**
 * Idle keep-alive connections are kept for longer than the 60 s of common proxies in front, so that the
 * proxies close first.
 */
const usualPatience: Patience = {
  headersTimeoutMs: 15_000,
  keepAliveTimeoutMs: 65_000,
  lookEveryMs: 2000,
  unreadMs: 60_000,
}

/** How slowly clients may send, and how often that is checked. */
interface Patience {
  headersTimeoutMs: number
  keepAliveTimeoutMs: number
  lookEveryMs: number
  /** A client that reads nothing of its response for this long is given up. */
  unreadMs: number
}

interface ServerOptions extends Partial<Patience> {
  /** The CORS headers of refusals before a request exists. */
  corsHeaders?: CorsHeaders
}

/** Creates an HTTP server with limits on what clients may send, and how slowly. */
export function createGatewayServer(
  gateway: RequestListener,
  { corsHeaders = () => [], ...patience }: ServerOptions = {},
): Server {
  const { headersTimeoutMs, keepAliveTimeoutMs, lookEveryMs, unreadMs } = { ...usualPatience, ...patience }
  const listener = inTurn(gateway)
  const refuse = answerMalformed({ corsHeaders, maxHeaderBytes })
  const server = createServer(
    {
      IncomingMessage: GatewayRequest,
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: headersTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      connectionsCheckingInterval: lookEveryMs, // Node's default of 30 s would let a slow head live for as much longer
      requireHostHeader: false, // `identifyRequest` refuses it with a problem document
      requestTimeout: 0, // bodies may be long; a route has its own time limit
      noDelay: true,
    },
    listener,
  )
  server.maxHeadersCount = 0 // Node would silently drop the lines past its limit; `identifyRequest` refuses them
  server.on('checkContinue', listener)
  server.on('checkExpectation', listener)
  listenToUpgrades(server, gateway)
  closeUnread(server, { unreadMs })
  server.on('connect', (_req, socket: Socket) => {
    socket.on('error', () => undefined) // Node has removed its own listeners
    if (runningResponse(socket)) {
      socket.destroy()
      return
    }
    refuse(new Error('CONNECT is not served'), socket)
    socket.destroySoon()
  })
  server.on('clientError', refuse)
  return server
}
