import { randomUUID } from 'node:crypto'
import { STATUS_CODES, type IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { GatewayError } from '../errors.js'
import type { CorsHeaders } from './cors.js'
import { pausedCode, runningResponse } from './in-turn.js'
import { noteForm, refusalOf, type Refused } from './endpoint/problem.js'

/** An error of Node's parser, which refused a request. */
export interface ParserError extends Error {
  code?: string
  /** The packet that was being read, and how much of it was read. */
  rawPacket?: Buffer
  bytesParsed?: number
}

/** The known parts of a request that the parser refused. */
interface Known extends Refused {
  method: string
  url: string
}

/** Headers that change the form of a refusal. */
const read = new Set(['origin', 'accept', 'accept-language', 'sec-fetch-mode'])

/** Header lines beyond the first few are no longer in the packets: Node keeps them in its parser. */
function headSoFar(socket: Socket): { url: string; lines: string[] } {
  const parser: unknown = Reflect.get(socket, 'parser')
  if (typeof parser !== 'object' || parser === null) return { url: '', lines: [] }
  const url: unknown = Reflect.get(parser, '_url')
  const headers: unknown = Reflect.get(parser, '_headers')
  const pairs = Array.isArray(headers) ? headers.map(String) : []
  return {
    url: typeof url === 'string' ? url : '',
    lines: pairs.flatMap((name, index) => (index % 2 === 0 ? [`${name}:${pairs[index + 1] ?? ''}`] : [])),
  }
}

function headersIn(lines: string[]): IncomingHttpHeaders {
  const headers: IncomingHttpHeaders = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    if (colon > 0 && read.has(name)) headers[name] ??= line.slice(colon + 1).trim()
  }
  return headers
}

/**
 * Returns the readable part of a refused head. Its packet begins with it, unless other requests or parts of
 * it came before.
 */
function readHead(error: ParserError, socket: Socket): Omit<Known, 'state'> {
  const packet = error.rawPacket?.toString('latin1') ?? ''
  const end = packet.indexOf('\r\n\r\n')
  const isOfAnother = end !== -1 && end + 4 <= (error.bytesParsed ?? 0)
  if (isOfAnother) return { method: '', url: '', headers: {} }
  const { url, lines } = headSoFar(socket)
  const [first = '', ...rest] = (end === -1 ? packet : packet.slice(0, end)).split('\r\n')
  const [method = '', target = ''] = /^[\r\n]*[A-Z-]+ \S/.test(first) ? first.trim().split(' ') : []
  return { method, url: url || target, headers: headersIn([...lines, ...rest]) }
}

function problemOf({ code }: ParserError, maxHeaderBytes: number): GatewayError {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new GatewayError(
      'headers_too_large',
      `The request's headers are larger than ${maxHeaderBytes} bytes`,
    )
  return new GatewayError(
    'request_malformed',
    code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? 'The request took too long to arrive'
      : 'The request is not valid HTTP',
  )
}

/**
 * Creates the handler of requests that Node's parser refused. It responds in the same form as every refusal,
 * as far as the request is known: 403 to another proxy that asks, CORS headers to a page of another origin, a
 * page to a person.
 */
export function answerMalformed({
  corsHeaders,
  maxHeaderBytes,
}: {
  corsHeaders: CorsHeaders
  maxHeaderBytes: number
}): (error: ParserError, socket: Socket) => void {
  const answer = (error: ParserError, socket: Socket): void => {
    if (error.code === pausedCode) return // too many requests wait: the connection ends after their responses
    const running = runningResponse(socket)
    if (
      running?.req.complete === true &&
      !running.headersSent &&
      socket.writable &&
      error.code !== 'ECONNRESET'
    ) {
      // The malformed request came after a valid one, which is answered first.
      running.once('close', () => {
        if (!socket.destroyed) answer(error, socket)
      })
      return
    }
    if (!socket.writable || error.code === 'ECONNRESET' || running?.headersSent === true) {
      socket.destroy()
      return
    }
    const known: Known = {
      state: { id: randomUUID(), errorForm: undefined, settledPathname: undefined, settledSearch: undefined },
      ...(running
        ? { method: running.req.method ?? '', url: running.req.url ?? '', headers: running.req.headers }
        : readHead(error, socket)),
    }
    noteForm(known, known.url)
    const { status, headers, body } = refusalOf(known, problemOf(error, maxHeaderBytes))
    const all = [
      'X-Request-Id',
      known.state.id,
      'X-Content-Type-Options',
      'nosniff',
      ...corsHeaders(known.headers.origin),
      ...headers,
      'Connection',
      'close',
    ]
    const lines = all.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${all[index + 1] ?? ''}`] : []))
    socket.write([`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...lines, '', ''].join('\r\n'))
    socket.end(known.method === 'HEAD' ? '' : body)
  }
  return answer
}
