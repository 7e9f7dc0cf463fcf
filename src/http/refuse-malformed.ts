import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../errors.js'
import type { Middleware } from './chain.js'

/** Header lines of one request. */
const maxHeaderLines = 200

function faultOf({ rawHeaders, headers, httpVersion }: IncomingMessage): GatewayError | undefined {
  const coding = headers['transfer-encoding']
  if (rawHeaders.length > 2 * maxHeaderLines) return new GatewayError('headers_too_large', `The request has more than ${maxHeaderLines} header lines`)
  if (headers.host === undefined && httpVersion === '1.1') return new GatewayError('request_malformed', 'The request has no Host header')
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') return new GatewayError('request_malformed', 'The only Transfer-Encoding that is taken is chunked')
  if (headers.expect !== undefined && headers.expect.toLowerCase() !== '100-continue') return new GatewayError('expectation_failed', 'The only Expect that is understood is 100-continue')
  return undefined
}

/** Refuses what Node's parser lets pass and another program might read differently. */
export const refuseMalformed: Middleware = (req, _res, next) => next(faultOf(req))
