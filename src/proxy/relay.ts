import type { Duplex } from 'node:stream'
import { errors, type Dispatcher } from 'undici'
import { tokenExpired } from '../authentication/verify-token.js'
import type { Passage } from '../coherence/streams.js'
import { GatewayError } from '../errors.js'
import { writeHead } from '../http/head.js'
import { atTokenEnd, decideAgain, openPassage, refuseLess, toldOf, type Exchange } from './exchange.js'
import { responseHeaders, responseTrailers, type UpstreamHeaders } from './response-headers.js'
import type { Share } from './callers.js'
import type { Outcome } from './circuit-breaker.js'
import type { Target } from './upstreams.js'

const timeouts = [errors.HeadersTimeoutError, errors.BodyTimeoutError, errors.ConnectTimeoutError]

/**
 * What went wrong beyond the gateway, as the caller hears it: what the upstream said of itself stays inside.
 */
function upstreamError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  return timeouts.some((kind) => error instanceof kind)
    ? new GatewayError('upstream_timeout', 'The service behind the gateway did not answer in time', {
        cause: error,
      })
    : new GatewayError('upstream_failed', 'The service behind the gateway failed to answer', { cause: error })
}

/** What undici would not send says nothing of the target. */
const neverSent = [
  errors.InvalidArgumentError,
  errors.NotSupportedError,
  errors.RequestContentLengthMismatchError,
]

/** An answer of up to this many bytes that comes in one piece goes out in one piece. */
const smallBytes = 8192
/** A client that reads nothing for this long holds nothing up any longer. */
const stalledMs = 60_000
/** RFC 9110 §9.2.2: doing it twice is doing it once. */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])
const maxRetries = 2
const bodiless = new Set([204, 304])
/**
 * Answers that have no end of their own: events, and pictures that replace each other. Anything else may be a
 * download, which does not end with its token.
 */
const endless = /^(?:text\/event-stream|multipart\/x-mixed-replace)\b/i

/** What a connection ends with that had been kept, and that its other side closed at that moment. */
const isStale = (error: Error) =>
  error instanceof errors.SocketError
    ? error.message === 'other side closed'
    : 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')

/**
 * Sends a request to a target, and writes the answer to the client as it comes, no faster than the client
 * reads.
 */
export class Relay implements Dispatcher.DispatchHandler {
  private controller: Dispatcher.DispatchController | undefined = undefined
  protected isDone = false
  private isGivenUp = false
  /** Whether the target has begun to answer. */
  private isAnswered = false
  private retries = 0
  private tried: Set<Target> | undefined = undefined
  /**
   * The answer's head, until something of the answer is there to go with it: so long a failure still can
   * become a problem of its own.
   */
  private head: { status: number; headers: UpstreamHeaders; length: number } | undefined = undefined
  private stopWaiting: (() => void) | undefined = undefined
  private stalled: NodeJS.Timeout | undefined = undefined
  private isEndless = false
  /** Whether it counts as a stream, and no longer as a request that waits. */
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
      // The client is gone before the end: the upstream need not go on.
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
      req.refusal = refusal instanceof GatewayError ? refusal.code : 'internal_error'
      res.destroy()
    } else if (!res.destroyed) next(refusal)
  }

  /** The process is about to end: what has an end of its own may come to it. */
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
    socket.destroy() // nobody asked for it
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
    // A stream may begin long before its first byte; what has a length goes out with it.
    if (length !== undefined) return
    this.watch(endless.test(String(headers['content-type'])))
    this.begin()
    this.exchange.res.write('', 'latin1') // the head alone; `flushHeaders` would write it as UTF-8
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (chunk.length === 0) return // undici's parser, going on after a pause between two chunks; to pause at that once more would never end
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
      // It said how long another answer would have been (RFC 9110 §8.6), and undici waited for that.
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
    // A connection that had been kept may have been closed just then: that says nothing of the target.
    this.finish(
      isOurs || other === this.target ? 'cut' : this.isAnswered ? 'answered' : isLate ? 'late' : 'failed',
      other !== undefined,
    )
    if (res.destroyed) req.refusal ??= 'client_closed'
    if (other) this.retry(other)
    else if (!this.isGivenUp && !res.destroyed) next(upstreamError(error))
  }

  /**
   * Where the request may be sent once more. One of which nothing was sent, since there was no connection,
   * goes to any other target; one of which something may have arrived only where that changes nothing for the
   * service, and the budget allows it.
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
      return undefined // what went wrong first says more than that there is no other
    }
  }

  /** By then the caller may not be allowed to ask any more. */
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

  /** Lets the answer end with what the request was let in by, once it turns out to be more than one piece. */
  private watch(isEndless: boolean): void {
    this.isEndless ||= isEndless
    this.passage ??= openPassage(this.exchange, this)
    this.countAsStream()
    if (isEndless) this.stopWaiting ??= atTokenEnd(this.exchange.req, () => this.cut(tokenExpired()))
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
   * What goes on for long takes no place of a request, of which there are fewer. Where there are too many
   * streams it stays one.
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
    this.exchange.req.span?.forwarded(outcome === 'late' ? 'failed' : outcome)
    this.leave(outcome, isRetried)
    if (isRetried) return
    this.stopWaiting?.()
    this.passage?.close()
  }

  /** Gives back what it took of the upstream. */
  protected leave(outcome: Outcome, isRetried = false): void {
    this.target.end(this.isAnswered ? undefined : outcome, this.isStream)
    if (!isRetried) this.exchange.lane.callers.leave(this.share, this.isStream)
  }
}
