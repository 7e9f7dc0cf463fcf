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

/** An answer of up to this many bytes that comes in one piece goes out in one piece. */
const smallBytes = 8192

/** Writes an upstream's answer to the client as it comes, no faster than the client reads. */
class Relay implements Dispatcher.DispatchHandler {
  private controller: Dispatcher.DispatchController | undefined = undefined
  private isDone = false
  /** The answer's head, until something of the answer is there to go with it: so long a failure still can become a problem of its own. */
  private head: { status: number; headers: Record<string, string | string[] | undefined>; length: number } | undefined = undefined

  constructor(
    private readonly req: Request,
    private readonly res: Response,
    private readonly isPrivate: boolean,
    private readonly target: Target,
    private readonly next: (error: unknown) => void,
  ) {
    res.on('close', () => {
      // The client is gone before the end: the upstream need not go on.
      if (!this.isDone) this.controller?.abort(new Error('the client went away'))
    })
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    if (this.res.destroyed) controller.abort(new Error('the client went away'))
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[] | undefined>): void {
    if (status < 200) return
    const length = headers['content-length']
    this.head = { status, headers, length: Number(length) }
    // A stream may begin long before its first byte; what has a length goes out with it.
    if (length !== undefined) return
    this.begin()
    this.res.flushHeaders()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const isWhole = this.head?.length === chunk.length && chunk.length <= smallBytes
    this.begin()
    if (isWhole) {
      // As a string it is one write with the head, as a buffer it would be a second.
      this.res.end(chunk.toString('latin1'), 'latin1')
    } else if (!this.res.write(chunk)) {
      controller.pause()
      this.res.once('drain', () => controller.resume())
    }
  }

  onResponseEnd(): void {
    this.finish()
    this.begin()
    if (!this.res.writableEnded) this.res.end()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.finish()
    if (!this.res.destroyed) this.next(upstreamError(error))
    else this.req.refusal ??= 'client_closed'
  }

  private begin(): void {
    if (!this.head) return
    const { status, headers } = this.head
    this.head = undefined
    writeHead(this.res, status, responseHeaders(headers, this.res, this.isPrivate))
  }

  private finish(): void {
    this.isDone = true
    this.target.end()
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
    }, new Relay(req, res, isPrivate, target, next))
  }
}
