import { isIP, type LookupFunction, type Socket } from 'node:net'
import { buildConnector } from 'undici'
import { lookupBy, resolverOf } from './addresses.js'
import type { UpstreamSettings } from './upstream-schema.js'

/** Where a target is. */
export interface Place {
  /** Its origin, from which `Host` and the name of its certificate are taken. */
  origin: string
  /** The address that is connected to, where the origin has a name that was looked up. */
  address?: string
  /** The path of a Unix socket, in place of an address. */
  socketPath?: string
}

/** Returns the address or socket of a target. */
export function placeOf(target: string): Place {
  return target.startsWith('unix:')
    ? { origin: 'http://localhost', socketPath: target.slice('unix:'.length) }
    : { origin: new URL(target).origin }
}

const bareHost = (url: URL) => url.hostname.replace(/^\[|\]$/g, '')

/** Returns `host:port`, or the socket's path, for logs. */
export function labelOf({ origin, address, socketPath }: Place): string {
  if (socketPath !== undefined) return `unix:${socketPath}`
  const url = new URL(origin)
  const host = address === undefined ? url.hostname : isIP(address) === 6 ? `[${address}]` : address
  return `${host}:${url.port || (url.protocol === 'https:' ? '443' : '80')}`
}

/** Returns the name to resolve; undefined for addresses, sockets, and this machine. */
export function nameOf({ origin, socketPath }: Place): string | undefined {
  const host = bareHost(new URL(origin))
  const isLocal = host === 'localhost' || host.endsWith('.localhost')
  return socketPath !== undefined || isIP(host) !== 0 || isLocal ? undefined : host
}

/**
 * Lets a response be read that came before the whole request was sent. A service that responds early (413,
 * 401) and closes makes the next write fail, and Node would destroy the socket with the response unread.
 * Reading meets the same end after the response, so a failed write need not be reported.
 */
export function readBeforeWriteErrors(socket: Socket): void {
  type Done = (error?: Error | null) => void
  const unlessFailed =
    (done: Done): Done =>
    (error) => {
      if (!error) done()
    }
  const write = socket._write.bind(socket)
  socket._write = (chunk, encoding, done) => write(chunk, encoding, unlessFailed(done))
  if (!socket._writev) return
  const writeMany = socket._writev.bind(socket)
  socket._writev = (chunks, done) => writeMany(chunks, unlessFailed(done))
}

/** Returns the look-up of an upstream with its own DNS server. */
export function lookupOf({ resolve }: UpstreamSettings): { lookup?: LookupFunction } {
  const resolver = resolverOf(resolve)
  return resolver ? { lookup: lookupBy(resolver) } : {}
}

/** Returns the TLS options: the trusted authorities, the expected name, and the gateway's own certificate. */
export function tlsOptions(
  { origin }: Place,
  { tls = {} }: UpstreamSettings,
): { servername: string; ca?: string; cert?: string; key?: string } {
  const host = bareHost(new URL(origin))
  const { serverName = isIP(host) === 0 ? host : '', ca, cert, key } = tls
  return {
    servername: serverName,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  }
}

/** Returns the function that opens HTTP/1.1 connections. It gives up after `timeoutMs`. */
export function connectorTo(
  place: Place,
  settings: UpstreamSettings,
  timeoutMs: number,
): buildConnector.connector {
  const { address, socketPath } = place
  const secured = tlsOptions(place, settings)
  const connect = buildConnector({
    timeout: timeoutMs,
    allowH2: false,
    ...(socketPath === undefined ? {} : { socketPath }),
    ...lookupOf(settings),
    ...secured,
  })
  return (options, callback) =>
    connect(
      { ...options, hostname: address ?? options.hostname, servername: secured.servername },
      (...result) => {
        const [, socket] = result
        if (socket) readBeforeWriteErrors(socket)
        callback(...result)
      },
    )
}

/** How a socket reads without a stream: into one buffer, with a callback for each piece. */
export interface ReadInto {
  buffer: Buffer
  /** Returns whether more may be read now. */
  callback: (count: number, buffer: Buffer) => boolean
}

/**
 * Returns the function that opens an unencrypted connection, which reads by `onread`. It gives up after
 * `timeoutMs`. Returns undefined for a target that is reached by TLS.
 */
export function openPlainSocket(place: Place, settings: UpstreamSettings, timeoutMs: number) {
  const { origin, address, socketPath } = place
  const { protocol, hostname, port } = new URL(origin)
  if (protocol !== 'http:') return undefined
  const shared = {
    timeout: timeoutMs,
    allowH2: false,
    ...(socketPath === undefined ? {} : { socketPath }),
    ...lookupOf(settings),
  }
  return (onread: ReadInto, done: buildConnector.Callback) =>
    buildConnector({ ...shared, onread })(
      { hostname: address ?? hostname, protocol, port: port || '80' },
      (...result) => {
        const [, socket] = result
        if (socket) readBeforeWriteErrors(socket)
        done(...result)
      },
    )
}
