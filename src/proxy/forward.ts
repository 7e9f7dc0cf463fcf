import type { Request, Response } from 'express'
import { errors, type Dispatcher } from 'undici'
import { GatewayError } from '../errors.js'
import type { Middleware } from '../http/chain.js'
import { writeHead } from '../http/head.js'
import { hasBody } from '../http/unfinished-body.js'
import { limitedBody } from './limited-body.js'
import { upstreamHeaders } from './request-headers.js'
import { responseHeaders } from './response-headers.js'
import type { Route } from './route-table.js'
import type { Target, Upstreams } from './upstreams.js'

const timeouts = [errors.HeadersTimeoutError, errors.BodyTimeoutError, errors.ConnectTimeoutError]

/** What went wrong beyond the gateway, as the caller hears it: what the upstream said of itself stays inside. */
function upstreamError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  return timeouts.some((kind) => error instanceof kind)
    ? new GatewayError('upstream_timeout', 'The service behind the gateway did not answer in time', { cause: error })
    : new GatewayError('upstream_failed', 'The service behind the gateway failed to answer', { cause: error })
}

const smallBytes = 4096

/** Writes an upstream's answer to the client as it comes, no faster than the client reads. */
function relay(req: Request, res: Response, isPrivate: boolean, target: Target, next: (error: unknown) => void): Dispatcher.DispatchHandler {
  let controller: Dispatcher.DispatchController | undefined
  let done = false
  /** Writes the answer's head; until something of the answer is there to go with it, a failure still can become a problem of its own. */
  let begin: (() => void) | undefined
  res.on('close', () => {
    // The client is gone before the end: the upstream need not go on.
    if (!done) controller?.abort(new Error('the client went away'))
  })
  res.on('drain', () => controller?.resume())
  return {
    onRequestStart: (started) => {
      controller = started
      if (res.destroyed) started.abort(new Error('the client went away'))
    },
    onResponseStart: (_controller, status, headers) => {
      if (status < 200) return
      begin = () => {
        begin = undefined
        writeHead(res, status, responseHeaders(headers, res, isPrivate))
      }
      // A stream may begin long before its first byte; what has a length goes out with it, in one write.
      if (headers['content-length'] !== undefined) return
      begin()
      res.flushHeaders()
    },
    onResponseData: (started, chunk) => {
      // A small first part goes out in one write with the head, if it is a string as the head is.
      const whole = begin !== undefined && chunk.length <= smallBytes
      begin?.()
      if (!(whole ? res.write(chunk.toString('latin1'), 'latin1') : res.write(chunk))) started.pause()
    },
    onResponseEnd: () => {
      done = true
      target.end()
      begin?.()
      res.end()
    },
    onResponseError: (_controller, error) => {
      done = true
      target.end()
      if (!res.destroyed) next(upstreamError(error))
      else req.refusal ??= 'client_closed'
    },
  }
}

function pathOf(req: Request, route: Route): string {
  const rest = route.strip && route.prefix !== '/' ? req.pathname.slice(route.prefix.length) || '/' : req.pathname
  return rest + req.search
}

/** Sends the request on to its route's upstream, as a stream in both directions. */
export function forwardTo(route: Route, upstreams: Upstreams, trustProxy: number): Middleware {
  const isPrivate = route.auth !== 'public'
  return (req, res, next) => {
    const target = upstreams.next(route.upstream)
    const body = hasBody(req) ? limitedBody(req, route.bodyLimit) : null
    if (body && req.headers.expect !== undefined && req.httpVersion !== '1.0') res.writeContinue()
    target.begin()
    target.pool.dispatch({
      method: req.method,
      path: pathOf(req, route),
      headers: upstreamHeaders(req, { trustProxy, keepAuthorization: route.auth === 'public' }),
      body,
      ...(route.timeoutMs === undefined ? {} : { headersTimeout: route.timeoutMs, bodyTimeout: route.timeoutMs }),
    }, relay(req, res, isPrivate, target, next))
  }
}
