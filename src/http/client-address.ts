import type { IncomingMessage } from 'node:http'
import { isIP, type Socket } from 'node:net'

/**
 * Returns the addresses that a request came through: the client first, the socket's peer last. With
 * `trustProxy` proxies in front, only that many entries of `X-Forwarded-For` can be trusted.
 */
export function trustedAddresses(req: IncomingMessage, trustProxy: number): string[] {
  const peer = peerAddress(req)
  if (trustProxy === 0) return [peer]
  const forwarded = req.headers['x-forwarded-for']
  // Entries are counted first, because a proxy wrote each of them, even one that is no address.
  const written = (Array.isArray(forwarded) ? forwarded.join(',') : (forwarded ?? ''))
    .split(',')
    .slice(-trustProxy)
  return [...written.map(withoutPort).filter((entry) => isIP(entry) !== 0), peer]
}

/** Returns the client's address, as the outermost trusted proxy saw it. */
export function clientAddress(req: IncomingMessage, trustProxy: number): string {
  return trustProxy === 0 ? peerAddress(req) : (trustedAddresses(req, trustProxy)[0] ?? peerAddress(req))
}

/**
 * Some proxies write `203.0.113.7:4711` or `[2001:db8::1]:4711`. With the port, each connection would count
 * as another client.
 */
function withoutPort(entry: string): string {
  const trimmed = entry.trim()
  return /^\[(.+)\](?::\d+)?$/.exec(trimmed)?.[1] ?? /^([\d.]+):\d+$/.exec(trimmed)?.[1] ?? trimmed
}

/** Returns the peer's address. An IPv4 address in IPv6 form becomes the IPv4 address. */
export function addressOf({ remoteAddress = '' }: Pick<Socket, 'remoteAddress'>): string {
  return remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress
}

const peerAddress = (req: IncomingMessage) => addressOf(req.socket)

/** Returns the last value of a forwarding header: the one that the nearest proxy wrote. */
export function lastOf(header: string | string[] | undefined): string | undefined {
  return (Array.isArray(header) ? header.join(',') : header)?.split(',').at(-1)?.trim() || undefined
}

const isLoopback = (address: string) => address === '::1' || /^127(?:\.\d{1,3}){3}$/.test(address)

/**
 * Returns whether the client runs on this machine, as far as can be known: the socket's peer does, and no
 * proxy, trusted or not, says that it forwarded a request from elsewhere.
 */
export function isLocalClient(req: IncomingMessage): boolean {
  if (!isLoopback(peerAddress(req)) || req.headers.forwarded !== undefined || req.headers.via !== undefined)
    return false
  const told = ['x-forwarded-for', 'x-real-ip']
    .flatMap((name) => String(req.headers[name] ?? '').split(','))
    .map(withoutPort)
  return told.every((entry) => entry === '' || isLoopback(entry))
}
