import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { errors, type Dispatcher } from 'undici'
import { requestText } from './request-text.js'
import { ResponseParser, type ResponseHead } from './response-parser.js'
import type { OneConnection } from './connections.js'
import type { UpstreamHeaders } from './response-headers.js'

/** How a connection is opened, and when it is given up. Times are milliseconds; 0 is no limit. */
interface Options {
  /** Opens a socket that reads by `onread`. Calls back once it is connected, or cannot be. */
  openSocket: (
    onread: { buffer: Buffer; callback: (count: number, buffer: Buffer) => boolean },
    done: (error: Error | null, socket: Socket | null) => void,
  ) => void
  /** The value of `Host`. */
  host: string
  headersMs: number
  bodyMs: number
  keepAliveMs: number
}

/** libuv reads into it and calls back at once, so one is enough for all connections. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024)

const nothing = Buffer.alloc(0)

/** A target may end a kept connection this much before the time that it names. */
const keepAliveMarginMs = 2000

/** One request with its response. The handler controls it. */
class Call implements Dispatcher.DispatchController {
  paused = false
  aborted = false
  reason: Error | null = null
  rawHeaders = null
  rawTrailers = null
  isSent = false

  constructor(
    private readonly connection: UpstreamConnection,
    readonly options: Dispatcher.DispatchOptions,
    readonly handler: Dispatcher.DispatchHandler,
    readonly text: string,
  ) {}

  pause(): void {
    this.paused = true
    this.connection.pause(this)
  }

  resume(): void {
    this.paused = false
    this.connection.resume(this)
  }

  abort(reason: Error): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    this.connection.abort(this, reason)
  }
}

/** The controller of a request that was never sent. */
const noController: Dispatcher.DispatchController = {
  aborted: true,
  paused: false,
  reason: null,
  abort: () => undefined,
  pause: () => undefined,
  resume: () => undefined,
}

/** Reports a failure to a handler. */
const fail = (handler: Dispatcher.DispatchHandler, error: Error, call?: Call) =>
  handler.onResponseError?.(call ?? noController, error)

/**
 * Runs work at the end of the current turn of the event loop. One timer serves all connections, so that a
 * turn costs little however many there are.
 */
let atTurnEnd: (() => void)[] = []

function runAtTurnEnd(): void {
  const works = atTurnEnd
  atTurnEnd = []
  for (const work of works) work()
}

function afterTurn(work: () => void): void {
  if (atTurnEnd.push(work) === 1) setImmediate(runAtTurnEnd)
}

/** The value of `Keep-Alive: timeout=`, in milliseconds. */
function keepAliveHint(headers: UpstreamHeaders): number | undefined {
  const hint = headers['keep-alive']
  const seconds = typeof hint === 'string' ? /\btimeout=(\d{1,9})/.exec(hint)?.[1] : undefined
  return seconds === undefined ? undefined : Number(seconds) * 1000
}

/**
 * One HTTP/1.1 connection to a target, for one request without a body at a time. It behaves like undici's
 * `Client`, with the same events and errors, at about half the cost: it reads into one shared buffer, writes
 * the head as one string, and arms one timer for many requests. It never sends a request twice.
 */
export class UpstreamConnection extends EventEmitter implements OneConnection {
  closed = false
  private isDestroyed = false
  private socket: Socket | undefined
  private call: Call | undefined
  private isConnecting = false
  /** It must not carry another request. */
  private isLast = false
  private keepAliveMs: number
  /** What came while the response was paused. */
  private held = nothing
  /** The other side has ended the connection, and what came before was not read yet. */
  private hasEnded = false
  private readonly parser = new ResponseParser(this)
  private timer: NodeJS.Timeout | undefined
  private timerAtMs = 0
  private deadlineMs = Infinity
  private error: Error | undefined
  private onIdle: (() => void) | undefined

  constructor(private readonly options: Options) {
    super()
    this.keepAliveMs = options.keepAliveMs
  }

  /** `pending` counts the request that was not written yet. */
  get stats(): { connected: boolean; pending: number } {
    return {
      connected: this.socket !== undefined && !this.socket.destroyed,
      pending: this.call && !this.call.isSent ? 1 : 0,
    }
  }

  /** Sends a request, at once or when it is connected. The handler receives every failure. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (this.closed || this.call) {
      fail(handler, new errors.ClientDestroyedError())
      return false
    }
    const call = this.callOf(options, handler)
    if (!call) {
      this.emit('drain')
      return false
    }
    this.call = call
    if (!this.socket) this.open()
    // What came on an idle connection is read before the next request is written, so that an answer that
    // nobody asked for is not taken for the answer of this request.
    else afterTurn(this.writeWaiting)
    return false
  }

  /** Waits until the request has ended, then closes the connection. */
  async close(): Promise<void> {
    this.closed = true
    if (this.call) {
      await new Promise<void>((resolve) => {
        this.onIdle = resolve
      })
    }
    this.socket?.destroy()
  }

  /** Cuts the request and closes the connection. */
  destroy(): Promise<void> {
    this.closed = true
    this.isDestroyed = true
    this.end(new errors.ClientDestroyedError())
    return Promise.resolve()
  }

  private readonly writeWaiting = () => this.write()
  private readonly offerAgain = () => {
    if (this.socket && !this.call) this.emit('drain')
  }

  /** Writes the request that waits. */
  private write(): void {
    const { call, socket } = this
    if (!call || call.isSent || !socket || socket.destroyed) return
    call.isSent = true
    call.handler.onRequestStart?.(call, {})
    if (call.aborted) return
    this.parser.begin(call.options.method)
    socket.write(call.text, 'latin1')
    this.limitTo(call.options.headersTimeout ?? this.options.headersMs)
  }

  pause(call: Call): void {
    if (call !== this.call) return
    this.parser.pause()
    this.limitTo(0)
  }

  resume(call: Call): void {
    const { socket } = this
    if (call !== this.call || !socket) return
    this.parser.resume()
    this.limitTo(call.options.bodyTimeout ?? this.options.bodyMs)
    const { held } = this
    this.held = nothing
    this.read(held)
    if (this.isPaused()) return
    if (this.hasEnded) this.ended()
    else socket.resume()
  }

  private isPaused(): boolean {
    return this.call?.paused === true
  }

  abort(call: Call, reason: Error): void {
    if (call !== this.call) return
    this.takeCall()
    fail(call.handler, reason, call)
    this.end(new errors.InformationalError('aborted'))
  }

  onInterim(): void {
    this.limitTo(this.call?.options.headersTimeout ?? this.options.headersMs)
  }

  onHead({ status, headers, keepAlive }: ResponseHead): void {
    const { call } = this
    if (!call) return
    const hint = keepAliveHint(headers)
    const most = this.options.keepAliveMs
    this.keepAliveMs = hint === undefined ? most : Math.min(hint - keepAliveMarginMs, most)
    this.isLast = !keepAlive || call.options.method === 'HEAD' || this.keepAliveMs <= 0
    this.limitTo(call.options.bodyTimeout ?? this.options.bodyMs)
    call.handler.onResponseStart?.(call, status, headers)
  }

  onBody(piece: Buffer): void {
    const { call } = this
    if (!call) return
    this.limitTo(call.options.bodyTimeout ?? this.options.bodyMs)
    call.handler.onResponseData?.(call, Buffer.from(piece))
  }

  onEnd(trailers: UpstreamHeaders): void {
    const call = this.takeCall()
    call?.handler.onResponseEnd?.(call, trailers)
  }

  /** Returns the call of a request. A request that cannot be sent fails. */
  private callOf(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): Call | undefined {
    try {
      const headers = Array.isArray(options.headers) ? options.headers : []
      return new Call(this, options, handler, requestText(options, headers, this.options.host))
    } catch (error) {
      fail(handler, error instanceof Error ? error : new Error(String(error)))
      return undefined
    }
  }

  private open(): void {
    this.isConnecting = true
    this.isLast = false
    this.error = undefined
    const callback = (count: number, buffer: Buffer) => this.read(buffer.subarray(0, count))
    this.options.openSocket({ buffer: readBuffer, callback }, (error, socket) => {
      this.isConnecting = false
      if (error || !socket) {
        this.refused(error ?? new errors.SocketError('there is no connection'))
        return
      }
      if (this.closed && !this.call) {
        socket.destroy()
        return
      }
      this.use(socket)
    })
  }

  private use(socket: Socket): void {
    this.socket = socket
    socket
      .unref()
      .on('error', (error) => (this.error ??= error))
      .on('end', () => this.ended())
      .on('close', () => this.left(socket))
    this.emit('connect')
    this.write()
  }

  /** There is no connection. */
  private refused(error: Error): void {
    const call = this.takeCall()
    if (call) fail(call.handler, error, call)
    this.emit('connectionError', undefined, undefined, error)
  }

  /** Reads what came. Returns whether more may come now. */
  private read(bytes: Buffer): boolean {
    try {
      // Only what was asked for is an answer.
      if (this.parser.isIdle()) throw new errors.SocketError('bad response')
      const used = this.parser.read(bytes)
      if (this.isPaused()) {
        this.held = used < bytes.length ? Buffer.from(bytes.subarray(used)) : nothing
        return false
      }
      if (this.parser.isIdle()) this.rest(used < bytes.length)
    } catch (error) {
      // It fails when the socket is closed, so that the pieces before are written to the client.
      this.error ??= error instanceof Error ? error : new Error(String(error))
      this.parser.reset()
      this.socket?.destroy()
    }
    return true
  }

  /** The response has ended. `hasSurplus`: more came than the response. */
  private rest(hasSurplus: boolean): void {
    const { socket } = this
    if (!socket || socket.destroyed) return
    if (this.isLast || hasSurplus || this.closed) {
      this.end(new errors.InformationalError('reset'))
      return
    }
    this.limitTo(this.keepAliveMs)
    // More may come right behind the response: it is read before the connection is used again.
    afterTurn(this.offerAgain)
  }

  /** The other side has ended the connection. */
  private ended(): void {
    if (this.isPaused()) this.hasEnded = true
    else if (this.parser.end()) this.end(new errors.InformationalError('reset'))
    else this.end(this.error ?? new errors.SocketError('other side closed'))
  }

  /** The socket is closed. */
  private left(socket: Socket): void {
    if (this.socket === socket && !this.hasEnded) this.end(this.error ?? new errors.SocketError('closed'))
  }

  /** Ends the connection. A request that was not written yet is written to the next one. */
  private end(error: Error): void {
    const { socket } = this
    this.socket = undefined
    this.held = nothing
    this.hasEnded = false
    this.parser.reset()
    this.stopTimer()
    const call = this.isDestroyed || this.call?.isSent === true ? this.takeCall() : undefined
    if (call) fail(call.handler, error, call)
    if (!socket) return
    socket.destroy()
    this.emit('disconnect', undefined, undefined, error)
    if (this.call && !this.isConnecting) this.open()
  }

  private takeCall(): Call | undefined {
    const { call } = this
    this.call = undefined
    this.onIdle?.()
    return call
  }

  /** Sets the time after which the current wait is too long. */
  private limitTo(ms: number): void {
    if (ms === 0) {
      this.deadlineMs = Infinity
      return
    }
    const now = performance.now()
    this.deadlineMs = now + ms
    // A timer that ends earlier looks again; one that ends later would be too late.
    if (this.timer && this.timerAtMs <= this.deadlineMs) return
    this.stopTimer()
    this.armTimer(now, ms)
  }

  private armTimer(now: number, ms: number): void {
    this.timerAtMs = now + ms
    this.timer = setTimeout(() => this.look(), ms).unref()
  }

  private stopTimer(): void {
    clearTimeout(this.timer)
    this.timer = undefined
  }

  /** Looks whether a wait is too long. */
  private look(): void {
    this.timer = undefined
    if (this.deadlineMs === Infinity) return
    const now = performance.now()
    // Timers count whole milliseconds, and may come one too early.
    if (now < this.deadlineMs - 1) this.armTimer(now, Math.ceil(this.deadlineMs - now))
    else this.end(this.lateness())
  }

  private lateness(): Error {
    if (!this.call) return new errors.InformationalError('socket idle timeout')
    return this.parser.isReadingBody() ? new errors.BodyTimeoutError() : new errors.HeadersTimeoutError()
  }
}
