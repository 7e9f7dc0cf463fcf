import { randomUUID } from 'node:crypto'
import { STATUS_CODES, createServer, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { GatewayError } from '../errors.js'
import { inTurn, pausedCode, runningResponse } from './in-turn.js'
import { problemDocument, statusOf } from './problem.js'
import { GatewayRequest, listenToUpgrades } from './upgrade.js'

/** Bytes of a request's head; a token alone may take 8 KiB. */
const maxHeaderBytes = 32 * 1024
/** Idle keep-alive connections are kept for longer than the 60 s of common proxies in front, so that they close first. */
const usualPatience: Patience = { headersTimeoutMs: 15_000, keepAliveTimeoutMs: 65_000, lookEveryMs: 2000 }

/** What Node's parser refused never became a request: it is answered here, in the same form as everything else. */
function answerMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === pausedCode) return // too many requests wait: the connection ends with their answers
  const running = runningResponse(socket)
  if (running?.req.complete === true && !running.headersSent && socket.writable && error.code !== 'ECONNRESET') {
    // What is malformed came behind a request that was not: that gets its own answer first.
    running.once('close', () => { if (!socket.destroyed) answerMalformed(error, socket) })
    return
  }
  if (!socket.writable || error.code === 'ECONNRESET' || running?.headersSent === true) {
    socket.destroy()
    return
  }
  const problem = error.code === 'HPE_HEADER_OVERFLOW'
    ? new GatewayError('headers_too_large', `The request's headers are larger than ${maxHeaderBytes} bytes`)
    : new GatewayError('request_malformed', error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'The request took too long to arrive' : 'The request is not valid HTTP')
  const status = statusOf[problem.code]
  const id = randomUUID()
  const body = JSON.stringify(problemDocument(problem, id))
  socket.end([
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    `X-Request-Id: ${id}`,
    'X-Content-Type-Options: nosniff',
    'Connection: close', '', body,
  ].join('\r\n'))
}

/** How slowly clients may send, and how often that is looked at. */
interface Patience {
  headersTimeoutMs: number
  keepAliveTimeoutMs: number
  lookEveryMs: number
}

/** An HTTP server with limits on what a client may send and how slowly. */
export function createGatewayServer(gateway: RequestListener, { headersTimeoutMs, keepAliveTimeoutMs, lookEveryMs }: Patience = usualPatience): Server {
  const listener = inTurn(gateway)
  const server = createServer({
    IncomingMessage: GatewayRequest,
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headersTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    connectionsCheckingInterval: lookEveryMs, // Node's own 30 s would let a slow head live for as much longer
    requireHostHeader: false, // `identifyRequest` refuses it in our own words
    requestTimeout: 0, // bodies may be long; a route's own time limit holds
    noDelay: true,
  }, listener)
  server.maxHeadersCount = 0 // Node would drop the lines past its count without a word; `identifyRequest` refuses them
  // Without a listener Node sends 100 at once; with one the body is asked for when the decision has been made.
  server.on('checkContinue', listener)
  server.on('checkExpectation', listener)
  listenToUpgrades(server, gateway)
  server.on('connect', (_req, socket: Socket) => {
    socket.on('error', () => undefined) // Node has taken its own listeners away
    if (runningResponse(socket)) {
      socket.destroy()
      return
    }
    answerMalformed(new Error('CONNECT is not served'), socket)
    socket.destroySoon()
  })
  server.on('clientError', answerMalformed)
  return server
}
