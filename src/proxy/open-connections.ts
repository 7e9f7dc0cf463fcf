import { Client } from 'undici'
import type { Logger } from '../observability/logger.js'
import { connectorTo, labelOf, openPlainSocket, type Place } from './connect.js'
import { Connections } from './connections.js'
import { UpstreamConnection } from './upstream-connection.js'
import type { UpstreamSettings } from './upstream-schema.js'

interface Options {
  /** The name of its upstream, for logs. */
  upstream: string
  place: Place
  settings: UpstreamSettings
  logger: Logger
}

/** The reason, also of several failures with the same reason. */
function reasonOf(error: Error): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error
  return first instanceof Error ? first.message : String(first)
}

/**
 * Returns the connections to a target. The first request opens the first one. Each reason for a failure is
 * logged once.
 */
export function openConnections({ upstream, place, settings, logger }: Options): Connections {
  const { timeouts, limits } = settings
  const connect = connectorTo(place, settings, timeouts.connectMs)
  const openSocket = openPlainSocket(place, settings, timeouts.connectMs)
  let told = ''
  return new Connections({
    openClient: () =>
      new Client(place.origin, {
        connect,
        headersTimeout: timeouts.headersMs,
        bodyTimeout: timeouts.bodyMs,
        keepAliveTimeout: timeouts.keepAliveMs,
        // Else a target could ask for longer.
        keepAliveMaxTimeout: timeouts.keepAliveMs,
        maxHeaderSize: 32 * 1024,
        allowH2: false,
      }),
    openOwn:
      openSocket &&
      (() =>
        new UpstreamConnection({
          openSocket,
          host: new URL(place.origin).host,
          headersMs: timeouts.headersMs,
          bodyMs: timeouts.bodyMs,
          keepAliveMs: timeouts.keepAliveMs,
        })),
    most: limits.connections ?? limits.requests + limits.streams,
    lifeMs: timeouts.connectionMs,
    onConnect: () => {
      if (told !== '')
        logger.info('a target that could not be connected to is in use again', {
          upstream,
          address: labelOf(place),
        })
      told = ''
    },
    onConnectError: (error) => {
      const reason = reasonOf(error)
      if (reason === told) return
      told = reason
      logger.warn('a target cannot be connected to', { upstream, address: labelOf(place), reason })
    },
  })
}
