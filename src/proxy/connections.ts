import type { EventEmitter } from 'node:events'
import { Dispatcher, errors } from 'undici'

/**
 * Who carries a request: the own client, or undici, which carries what the own one does not: bodies and
 * upgrades.
 */
type Carrier = 'own' | 'undici'

/**
 * One connection, which carries one request at a time. Its events are those of undici's `Client`: `connect`,
 * `drain`, `disconnect` and `connectionError`.
 */
export interface OneConnection extends Pick<EventEmitter, 'on'> {
  readonly closed: boolean
  /** `pending` counts requests that were not written yet. */
  readonly stats: { connected: boolean; pending: number }
  dispatch: Dispatcher['dispatch']
  close: () => Promise<void>
  destroy: () => Promise<void>
}

interface Connection {
  client: OneConnection
  carrier: Carrier
  /** Nobody uses it, and it is among the free ones. */
  isFree: boolean
  /** Takes no further request: it is too old, or its target is not used any more. */
  isLast: boolean
  life?: NodeJS.Timeout
}

interface Options {
  /** Makes a client, which connects when it is sent its first request. */
  openClient: () => OneConnection
  /** Makes an own client; undefined for a target that only undici reaches. */
  openOwn: (() => OneConnection) | undefined
  /** Connections at a time; one more request waits for the next that is free. */
  most: number
  /** How long a connection is given new requests. */
  lifeMs: number
  /** There is a connection. */
  onConnect: () => void
  onConnectError: (error: Error) => void
}

/**
 * The random share of its life by which a connection may end earlier, so that they do not all end at once.
 */
const jitter = 0.1

/**
 * The connections to one target. Each carries one request at a time; the most recently used one is used
 * first. Unlike undici's pool, it opens none for a request that was given up, and limits each connection's
 * life.
 */
export class Connections extends Dispatcher {
  private readonly all = new Set<Connection>()
  private readonly free: Record<Carrier, Connection[]> = { own: [], undici: [] }
  private readonly waiting: [Dispatcher.DispatchOptions, Dispatcher.DispatchHandler][] = []
  private isClosing = false
  destroyed = false

  constructor(private readonly options: Options) {
    super()
  }

  /**
   * Sends a request on a free connection, or on a new one after a kept one has just failed it. The handler
   * receives every failure.
   */
  override dispatch(
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
    isForNew = false,
  ): boolean {
    if (this.isClosing) {
      const client = this.options.openClient()
      void client.destroy()
      return client.dispatch(options, handler) // tells the handler
    }
    const carrier = this.carrierOf(options)
    const kept = isForNew ? undefined : this.free[carrier].pop()
    const connection = kept ?? this.another(carrier)
    if (!connection) {
      this.waiting.push([options, handler])
      return false
    }
    connection.isFree = false
    return connection.client.dispatch(options, handler)
  }

  private carrierOf({ body, upgrade }: Dispatcher.DispatchOptions): Carrier {
    return this.options.openOwn && body === null && upgrade === undefined ? 'own' : 'undici'
  }

  /** Returns a new connection, or a free one where there may be no more; undefined when all are in use. */
  private another(carrier: Carrier): Connection | undefined {
    if (this.all.size < this.options.most) return this.open(carrier)
    const free = this.free[carrier].pop()
    if (free) return free
    const other = this.free[carrier === 'own' ? 'undici' : 'own'].at(-1)
    if (!other) return undefined
    this.forget(other)
    return this.open(carrier)
  }

  /** Waits until open requests have ended, then closes the connections. */
  override async close(): Promise<void> {
    this.isClosing = true
    for (const [options, handler] of this.waiting.splice(0)) this.dispatch(options, handler)
    this.free.own.length = 0
    this.free.undici.length = 0
    await Promise.all(
      [...this.all].map(async ({ client }) => {
        if (!client.closed) await client.close()
      }),
    )
    this.destroyed = true
  }

  /** Cuts open requests and closes the connections. */
  override async destroy(): Promise<void> {
    this.isClosing = true
    for (const [options, handler] of this.waiting.splice(0)) this.dispatch(options, handler)
    this.free.own.length = 0
    this.free.undici.length = 0
    await Promise.all([...this.all].map(({ client }) => client.destroy()))
    this.destroyed = true
  }

  private open(carrier: Carrier): Connection {
    const { openClient, openOwn, lifeMs, onConnect, onConnectError } = this.options
    const client = carrier === 'own' && openOwn ? openOwn() : openClient()
    const connection: Connection = { client, carrier, isFree: false, isLast: false }
    this.all.add(connection)
    client
      .on('connect', () => {
        connection.life = setTimeout(
          () => this.outlive(connection),
          lifeMs * (1 - Math.random() * jitter),
        ).unref()
        onConnect()
      })
      .on('drain', () => this.release(connection))
      .on('disconnect', (_origin: unknown, _targets: unknown, error: Error) =>
        this.disconnected(connection, error),
      )
      .on('connectionError', (_origin: unknown, _targets: unknown, error: Error) => {
        onConnectError(error)
        this.forget(connection)
      })
    return connection
  }

  /** Its request has ended, and it can take the next. */
  private release(connection: Connection): void {
    if (connection.isFree || !this.all.has(connection) || this.isClosing) return
    if (!connection.client.stats.connected) return // it is about to end
    if (connection.isLast) {
      this.forget(connection)
      return
    }
    const next = this.waiting.shift()
    if (next && this.carrierOf(next[0]) === connection.carrier) {
      connection.client.dispatch(...next)
      return
    }
    connection.isFree = true
    this.free[connection.carrier].push(connection)
    if (next) this.dispatch(...next)
  }

  private outlive(connection: Connection): void {
    connection.isLast = true
    if (connection.isFree) this.forget(connection)
  }

  /**
   * A kept connection may end before its next request is written. undici would connect again for it, even for
   * one that was given up.
   */
  private disconnected(connection: Connection, error: Error): void {
    clearTimeout(connection.life)
    const isGivenUp = error instanceof errors.InformationalError && error.message === 'aborted'
    if (isGivenUp || connection.client.stats.pending === 0) this.forget(connection)
  }

  /** Ends a connection for good. */
  private forget(connection: Connection): void {
    if (!this.all.delete(connection)) return
    clearTimeout(connection.life)
    if (connection.isFree) {
      const free = this.free[connection.carrier]
      free.splice(free.indexOf(connection), 1)
    }
    void connection.client.destroy()
    const next = this.waiting.shift()
    if (next) this.dispatch(...next)
  }
}
