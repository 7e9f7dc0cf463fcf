import type { Duplex } from 'node:stream'
import { errors, type Dispatcher } from 'undici'
import { tokenExpired } from '../authentication/verify-token.js'
import type { Passage } from '../coherence/streams.js'
import { GatewayError } from '../errors.js'
import { writeHead } from '../http/head.js'
import { decideAgain, endInTime, openPassage, refuseLess, toldOf, type Exchange } from './exchange.js'
import { responseHeaders, responseTrailers, type UpstreamHeaders } from './response-headers.js'
import type { Share } from './callers.js'
import type { Outcome } from './circuit-breaker.js'
import type { Target } from './upstreams.js'

const timeouts = [errors.HeadersTimeoutError, errors.BodyTimeoutError, errors.ConnectTimeoutError]

/** Returns the caller's error of a failure beyond the gateway. The upstream's own words stay inside. */
function upstreamError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  return timeouts.some((kind) => error instanceof kind)
    ? new GatewayError('upstream_timeout', 'The service behind the gateway did not answer in time', {
        cause: error,
      })
    : new GatewayError('upstream_failed', 'The service behind the gateway failed to answer', { cause: error })
}

/** A request that undici refuses to send says nothing about the target. */
const neverSent = [
  errors.InvalidArgumentError,
  errors.NotSupportedError,
  errors.RequestContentLengthMismatchError,
]

/** A response of up to this many bytes that comes in one piece is sent in one piece. */
const smallBytes = 8192
/** A client that reads nothing for this long is given up. */
const stalledMs = 60_000
/** RFC 9110 §9.2.2: repeating these methods has no further effect. */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])
const maxRetries = 2
const bodiless = new Set([204, 304])
/**
 * Types of responses without an end: events, and pictures that replace each other. Any other response may be
 * a download, which does not end with its token.
 */
const endless = /^(?:text\/event-stream|multipart\/x-mixed-replace)\b/i

/** Errors of a kept connection that its other side closed at that moment. */
const isStale = (error: Error) =>
  error instanceof errors.SocketError
    ? error.message === 'other side closed'
    : 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')

/**
 * Sends a request to a target and writes the response to the client as it comes, no faster than the client
 * reads.
 */
export class Relay implements Dispatcher.DispatchHandler {
  private controller: Dispatcher.DispatchController | undefined = undefined
  protected isDone = false
  private isGivenUp = false
  /** Whether the target has begun to respond. */
  private isAnswered = false
  private retries = 0
  private tried: Set<Target> | undefined = undefined
  /**
   * The response's head, until its first bytes are there. Up to then, a failure can still become a problem
   * response.
   */
  private head: { status: number; headers: UpstreamHeaders; length: number } | undefined = undefined
  private stopWaiting: (() => void) | undefined = undefined
  private stalled: NodeJS.Timeout | undefined = undefined
  private isEndless = false
  /** Whether it counts as a stream, and no longer as a waiting request. */
  private isStream = false

  constructor(
    protected readonly exchange: Exchange,
    private target: Target,
    private readonly share: Share,
    private readonly options: Dispatcher.DispatchOptions,
    protected passage: Passage | undefined,
  ) {
    exchange.res.on('close', () => {
      clearTimeout(this.stalled)
      // The client is gone before the end, so the upstream need not go on.
      if (!this.isDone) this.giveUp(new Error('the client went away'))
    })
  }

  send(): void {
    this.target.begin()
    this.target.pool.dispatch(this.options, this)
  }

  /** The caller may not go on. */
  cut(refusal: unknown): void {
    const { req, res, next } = this.exchange
    this.giveUp(new Error('the caller may not go on'))
    if (res.headersSent) {
      req.state.refusal = refusal instanceof GatewayError ? refusal.code : 'internal_error'
      res.destroy()
    } else if (!res.destroyed) next(refusal)
  }

  /** The process stops. A response with an end may reach it. */
  drain(): void {
    if (!this.isEndless) return
    this.giveUp(new Error('the gateway is about to end'))
    this.exchange.res.end()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    if (this.isGivenUp || this.exchange.res.destroyed)
      controller.abort(new Error('nobody waits for the answer'))
  }

  onRequestUpgrade(
    _controller: Dispatcher.DispatchController,
    _status: number,
    _headers: UpstreamHeaders,
    socket: Duplex,
  ): void {
    socket.destroy() // no caller was identified
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: UpstreamHeaders): void {
    if (status < 200) return
    const coding = headers['transfer-encoding']
    if (coding !== undefined && String(coding).toLowerCase() !== 'chunked') {
      controller.abort(
        new GatewayError(
          'upstream_failed',
          'The service behind the gateway answered in a transfer coding that nobody undoes',
        ),
      )
      return
    }
    this.isAnswered = true
    this.target.answered()
    const length = headers['content-length']
    this.head = { status, headers, length: Number(length) }
    // A stream may begin long before its first byte. A response with a length is sent together with its head.
    if (length !== undefined) return
    this.watch(endless.test(String(headers['content-type'])))
    this.begin()
    this.exchange.res.write('', 'latin1') // the head alone; `flushHeaders` would write it as UTF-8
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    // undici's parser goes on after a pause between two chunks. To pause at that once more would never end.
    if (chunk.length === 0) return
    if (this.head?.length === chunk.length && chunk.length <= smallBytes) {
      this.begin()
      // As a string it is one write with the head, as a buffer it would be a second.
      this.exchange.res.end(chunk.toString('latin1'), 'latin1')
      return
    }
    this.watch(false)
    if (this.passage?.isOpen() !== false) {
      this.write(controller, chunk)
      return
    }
    controller.pause()
    this.passage
      .wait()
      .then(() => {
        if (this.isGivenUp) return
        if (this.write(controller, chunk)) controller.resume()
      })
      .catch((refusal: unknown) => {
        if (!this.isGivenUp) this.cut(refusal)
      })
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: UpstreamHeaders): void {
    const { req, res } = this.exchange
    this.begin()
    this.finish('answered')
    if (res.writableEnded || res.destroyed) return
    if (req.headers.te !== undefined) res.addTrailers(responseTrailers(trailers, req))
    res.end()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.isDone) return
    const { req, res, next } = this.exchange
    if (
      this.head &&
      bodiless.has(this.head.status) &&
      error instanceof errors.ResponseContentLengthMismatchError
    ) {
      // The length belongs to the response of another method (RFC 9110 §8.6), and undici waited for it.
      this.onResponseEnd(_controller, {})
      return
    }
    const isLate = error instanceof errors.HeadersTimeoutError
    const isOurs =
      this.isGivenUp ||
      error instanceof GatewayError ||
      req.errored !== null ||
      neverSent.some((kind) => error instanceof kind)
    const other = isOurs || res.destroyed ? undefined : this.targetForRetry(error)
    // A kept connection may have been closed just then. That says nothing about the target.
    this.finish(
      isOurs || other === this.target ? 'cut' : this.isAnswered ? 'answered' : isLate ? 'late' : 'failed',
      other !== undefined,
    )
    if (res.destroyed) req.state.refusal ??= 'client_closed'
    if (other) this.retry(other)
    else if (!this.isGivenUp && !res.destroyed) next(upstreamError(error))
  }

  /**
   * Returns where the request may be sent again. If nothing was sent, because there was no connection, any
   * other target will do. If something may have arrived, the method must be safe to repeat, and the budget
   * must allow it.
   */
  private targetForRetry(error: Error): Target | undefined {
    const {
      exchange: {
        req,
        lane: { route, upstreams },
      },
      options,
    } = this
    if (this.controller === undefined && !(error instanceof errors.ConnectTimeoutError))
      return this.otherTarget()
    if (this.retries >= maxRetries) return undefined
    if (this.controller === undefined) return this.otherTarget()
    if (
      this.isAnswered ||
      error instanceof errors.HeadersTimeoutError ||
      options.body !== null ||
      options.upgrade !== undefined ||
      !idempotent.has(req.method)
    )
      return undefined
    const target = this.otherTarget() ?? (isStale(error) && this.retries === 0 ? this.target : undefined)
    return target && upstreams.mayRetry(route.upstream) ? target : undefined
  }

  private otherTarget(): Target | undefined {
    const { route, upstreams } = this.exchange.lane
    try {
      return upstreams.next(route.upstream, route, (this.tried ??= new Set()).add(this.target))
    } catch {
      return undefined // the first failure says more than that there is no other target
    }
  }

  /** By then the caller may not be allowed to go on. */
  private retry(target: Target): void {
    this.target = target
    target.begin()
    this.controller = undefined
    this.retries += 1
    this.isDone = false
    const told = toldOf(this.exchange.req)
    decideAgain(this.exchange)
      .then(() => {
        refuseLess(told, this.exchange.req)
        if (this.exchange.res.destroyed) this.finish('cut')
        else target.pool.dispatch(this.options, this, true)
      })
      .catch((refusal: unknown) => {
        this.finish('cut')
        this.exchange.next(refusal)
      })
  }

  /** Makes a response of more than one piece end with its admission. */
  private watch(isEndless: boolean): void {
    this.isEndless ||= isEndless
    this.passage ??= openPassage(this.exchange, this)
    this.countAsStream()
    if (isEndless) this.stopWaiting ??= endInTime(this.exchange, this.passage, () => this.cut(tokenExpired()))
  }

  /** Returns whether the client can take more at once. */
  private write(controller: Dispatcher.DispatchController, chunk: Buffer): boolean {
    const { res } = this.exchange
    this.begin()
    if (res.write(chunk)) return true
    controller.pause()
    this.stalled = setTimeout(() => res.destroy(), stalledMs)
    res.once('drain', () => {
      clearTimeout(this.stalled)
      controller.resume()
    })
    return false
  }

  protected begin(): void {
    if (!this.head) return
    const { status, headers } = this.head
    this.head = undefined
    const {
      req,
      res,
      lane: { answers },
    } = this.exchange
    writeHead(
      res,
      status,
      responseHeaders(
        status === 204 ? { ...headers, 'content-length': undefined } : headers,
        req,
        res,
        answers,
      ),
    )
  }

  private giveUp(reason: Error): void {
    this.isGivenUp = true
    if (this.controller) this.controller.abort(reason)
    this.passage?.close()
    this.stopWaiting?.()
  }

  /**
   * A long response takes the place of a stream, of which there may be more than requests. If there are too
   * many streams, it stays a request.
   */
  protected countAsStream(): void {
    const {
      exchange: {
        lane: { callers },
      },
      share,
    } = this
    if (this.isStream || !callers.mayStream(share) || !this.target.stream()) return
    callers.stream(share)
    this.isStream = true
  }

  /** The request has ended, for this target at least. */
  protected finish(outcome: Outcome, isRetried = false): void {
    this.isDone = true
    this.exchange.req.state.span?.forwarded(outcome === 'late' ? 'failed' : outcome)
    this.leave(outcome, isRetried)
    if (isRetried) return
    this.stopWaiting?.()
    this.passage?.close()
  }

  /** Gives back the places that it took at the upstream. */
  protected leave(outcome: Outcome, isRetried = false): void {
    this.target.end(this.isAnswered ? undefined : outcome, this.isStream)
    if (!isRetried) this.exchange.lane.callers.leave(this.share, this.isStream)
  }
}
