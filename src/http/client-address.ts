import type { IncomingMessage } from 'node:http'
import { isIP, type Socket } from 'node:net'

/**
 * The addresses a request came through, client first, the peer of our socket last, as far as they can be
 * believed: with `trustProxy` proxies in front, only that many entries of `X-Forwarded-For` were written by
 * them.
 */
export function trustedAddresses(req: IncomingMessage, trustProxy: number): string[] {
  const peer = peerAddress(req)
  if (trustProxy === 0) return [peer]
  const forwarded = req.headers['x-forwarded-for']
  // Counted first: an entry that is no address was written by one of them all the same.
  const written = (Array.isArray(forwarded) ? forwarded.join(',') : (forwarded ?? ''))
    .split(',')
    .slice(-trustProxy)
  return [...written.map(withoutPort).filter((entry) => isIP(entry) !== 0), peer]
}

/** The client's address as the outermost trusted proxy saw it. */
export function clientAddress(req: IncomingMessage, trustProxy: number): string {
  return trustProxy === 0 ? peerAddress(req) : (trustedAddresses(req, trustProxy)[0] ?? peerAddress(req))
}

/**
 * Some proxies write `203.0.113.7:4711` or `[2001:db8::1]:4711`: with its port each connection would be a
 * client of its own.
 */
function withoutPort(entry: string): string {
  const trimmed = entry.trim()
  return /^\[(.+)\](?::\d+)?$/.exec(trimmed)?.[1] ?? /^([\d.]+):\d+$/.exec(trimmed)?.[1] ?? trimmed
}

/** The address of a connection's other end; an IPv4 address in IPv6 form is that IPv4 address. */
export function addressOf({ remoteAddress = '' }: Pick<Socket, 'remoteAddress'>): string {
  return remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress
}

const peerAddress = (req: IncomingMessage) => addressOf(req.socket)

/** The last of a forwarding header's values: the one that the nearest proxy wrote. */
export function lastOf(header: string | string[] | undefined): string | undefined {
  return (Array.isArray(header) ? header.join(',') : header)?.split(',').at(-1)?.trim() || undefined
}

const isLoopback = (address: string) => address === '::1' || /^127(?:\.\d{1,3}){3}$/.test(address)

/**
 * Whether the client runs on this machine, as far as that can be told: the peer of our socket does, and no
 * proxy says that it sent on what came from elsewhere, whether or not that proxy is trusted.
 */
export function isLocalClient(req: IncomingMessage): boolean {
  if (!isLoopback(peerAddress(req)) || req.headers.forwarded !== undefined || req.headers.via !== undefined)
    return false
  const told = ['x-forwarded-for', 'x-real-ip']
    .flatMap((name) => String(req.headers[name] ?? '').split(','))
    .map(withoutPort)
  return told.every((entry) => entry === '' || isLoopback(entry))
}
