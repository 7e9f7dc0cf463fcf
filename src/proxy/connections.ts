import { Dispatcher, errors, type Client } from 'undici'

interface Connection {
  client: Client
  /** Nobody uses it, and it is among the free ones. */
  isFree: boolean
  /** Takes no further request: it is too old, or its target is not used any more. */
  isLast: boolean
  life?: NodeJS.Timeout
}

interface Options {
  /** Makes a client, which connects when it is sent its first request. */
  openClient: () => Client
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
  private readonly free: Connection[] = []
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
    const kept = isForNew ? undefined : this.free.pop()
    const connection = kept ?? (this.all.size < this.options.most ? this.open() : this.free.pop())
    if (!connection) {
      this.waiting.push([options, handler])
      return false
    }
    connection.isFree = false
    return connection.client.dispatch(options, handler)
  }

  /** Waits until open requests have ended, then closes the connections. */
  override async close(): Promise<void> {
    this.isClosing = true
    for (const [options, handler] of this.waiting.splice(0)) this.dispatch(options, handler)
    this.free.length = 0
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
    this.free.length = 0
    await Promise.all([...this.all].map(({ client }) => client.destroy()))
    this.destroyed = true
  }

  private open(): Connection {
    const { openClient, lifeMs, onConnect, onConnectError } = this.options
    const connection: Connection = { client: openClient(), isFree: false, isLast: false }
    this.all.add(connection)
    connection.client
      .on('connect', () => {
        connection.life = setTimeout(
          () => this.outlive(connection),
          lifeMs * (1 - Math.random() * jitter),
        ).unref()
        onConnect()
      })
      .on('drain', () => this.release(connection))
      .on('disconnect', (_origin, _targets, error) => this.disconnected(connection, error))
      .on('connectionError', (_origin, _targets, error) => {
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
    if (next) {
      connection.client.dispatch(...next)
      return
    }
    connection.isFree = true
    this.free.push(connection)
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
    if (connection.isFree) this.free.splice(this.free.indexOf(connection), 1)
    void connection.client.destroy()
    const next = this.waiting.shift()
    if (next) this.dispatch(...next)
  }
}
