import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../errors.js'

/**
 * Methods of other protocols that Node's parser accepts: RTSP's own (RFC 2326 §10), and the only one of ICE
 * (Icecast).
 */
const foreignMethods = new Set([
  'DESCRIBE',
  'ANNOUNCE',
  'SETUP',
  'PLAY',
  'PAUSE',
  'TEARDOWN',
  'GET_PARAMETER',
  'SET_PARAMETER',
  'REDIRECT',
  'RECORD',
  'FLUSH',
  'SOURCE',
])

/** The longest head. */
const maxBytes = 32 * 1024

interface Parser {
  getCurrentBuffer?: () => Buffer
}

/** Returns the bytes that Node's parser is reading now: those that arrived with the end of the head. */
function bytesBeingParsed({ socket }: IncomingMessage): string {
  const parser = Reflect.get(socket, 'parser') as Parser | null | undefined
  return parser?.getCurrentBuffer?.().toString('latin1', 0, maxBytes) ?? ''
}

/** A request line that Node's parser accepts: three words, with any protocol and any number of blanks. */
const lenientLine = /^[\r\n]*([A-Z_-]+) +([^ \r\n]+) +([A-Z]+\/\d\.\d)\r?\n/

/**
 * Returns the fault of a request line that is not `method SP target SP HTTP-version` (RFC 9112 §3), else
 * undefined. Node's parser also accepts the protocols RTSP and ICE, and several blanks, without telling.
 * Methods are checked on every request. The rest is read on the first request of a connection only, because a
 * copy of the bytes costs 3 µs. A line that arrived in several packets is not read.
 */
export function requestLineFault(req: IncomingMessage): GatewayError | undefined {
  const notHttp = () =>
    new GatewayError(
      'request_malformed',
      'The request line must be a method, a path and HTTP/1.1, with one blank between them',
    )
  if (foreignMethods.has(req.method ?? '')) return notHttp()
  if (req.socket.bytesWritten !== 0) return undefined
  const [line, method, target] = lenientLine.exec(bytesBeingParsed(req)) ?? []
  // not where the line is
  if (line === undefined || method !== req.method || target !== req.url) return undefined
  return line.trim() === `${method} ${target} HTTP/${req.httpVersion}` ? undefined : notHttp()
}
