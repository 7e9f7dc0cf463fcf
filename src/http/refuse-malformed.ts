import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../errors.js'
import type { Middleware } from './endpoint/chain.js'
import { requestLineFault } from './request-line.js'

/** Header lines of one request. */
const maxHeaderLines = 200

/**
 * A host name or an address, with an optional port (RFC 3986 §3.2.2, without characters that no host has).
 */
const host = /^(?:[\w.~-]+|\[[0-9a-f:.]+\])(?::\d{0,5})?$/i

/**
 * A length that a double holds exactly (RFC 9110 §8.6). A rounded one would be another length to the next
 * program.
 */
const isExactLength = (length: string) =>
  /^\d{1,16}$/.test(length) && Number(length) <= Number.MAX_SAFE_INTEGER

function faultOf(req: IncomingMessage): GatewayError | undefined {
  const { rawHeaders, headers, httpVersion } = req
  const coding = headers['transfer-encoding']
  const length = headers['content-length']
  if (rawHeaders.length > 2 * maxHeaderLines)
    return new GatewayError('headers_too_large', `The request has more than ${maxHeaderLines} header lines`)
  if (httpVersion !== '1.1' && httpVersion !== '1.0')
    return new GatewayError('request_malformed', 'The only versions of HTTP that are served are 1.0 and 1.1')
  if (headers.host === undefined && httpVersion === '1.1')
    return new GatewayError('request_malformed', 'The request has no Host header')
  if (headers.host !== undefined && !host.test(headers.host))
    return new GatewayError(
      'request_malformed',
      'The Host header must be a host name or address, with a port if need be',
    )
  if (coding !== undefined && httpVersion === '1.0')
    return new GatewayError('request_malformed', 'HTTP/1.0 has no Transfer-Encoding')
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return new GatewayError('request_malformed', 'The only Transfer-Encoding that is taken is chunked')
  if (length !== undefined && !isExactLength(length))
    return new GatewayError(
      'request_malformed',
      `The Content-Length must be a number of at most ${Number.MAX_SAFE_INTEGER}`,
    )
  if (headers.expect !== undefined && headers.expect.toLowerCase() !== '100-continue')
    return new GatewayError('expectation_failed', 'The only Expect that is understood is 100-continue')
  return requestLineFault(req)
}

/**
 * Refuses requests that Node's parser accepts and another program might read differently. It reads nothing
 * more from their connection.
 */
export const refuseMalformed: Middleware = (req, res, next) => {
  const fault = faultOf(req)
  if (fault) res.shouldKeepAlive = false
  next(fault)
}
