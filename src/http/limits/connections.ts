import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { GatewayError } from '../../errors.js'
import { addressOf } from '../client-address.js'
import { networkOf, wideNetworkOf } from './limit-rate.js'

interface Limits {
  /** Connections of this process. */
  maxConnections: number
  /**
   * Connections of one address (an IPv6 network of /64; a /48 may hold half of all); undefined when peers are
   * proxies, which carry all clients.
   */
  maxPerAddress: number | undefined
}

/** The connections of one process, and which of them are too many. */
export interface Connections {
  watch: (server: Server) => void
  /** Returns why requests of this connection are refused, or undefined. */
  refusalFor: (socket: Socket) => GatewayError | undefined
  count: () => number
}

/** Beyond the limit, this share of it is accepted to be refused with a response, and for monitoring. */
const roomForRefusals = 0.1

/**
 * The share of all connections that an IPv6 network of /48, which one customer may have, can hold. Others
 * still get in.
 */
const shareOfWideNetwork = 0.5

const tooManyHere = () =>
  new GatewayError('overloaded', 'This node has as many connections as it may. Try again shortly.')
const tooManyOfAddress = (most: number) =>
  new GatewayError(
    'rate_limited',
    `This address has ${most} connections, which is as many as it may. Close some, or send more requests over each.`,
    { headers: { 'Retry-After': '1' } },
  )

/**
 * Counts connections, in all and by address. A connection too many is accepted to be refused. When too many
 * of those wait, the one that has waited longest is closed. So a newcomer always gets a response, and
 * `/healthz` responds however many connections one client holds.
 */
export function countConnections({ maxConnections, maxPerAddress }: Limits): Connections {
  const room = Math.ceil(maxConnections * roomForRefusals) + 1
  const surplus = new Map<Socket, GatewayError>()
  const ofAddress = new Map<string, number>()
  let connections = 0

  /** Counts a connection for its network. Returns the limit that it exceeds, if any. */
  const enter = (socket: Socket, most: number): number | undefined => {
    const address = addressOf(socket)
    const networks = new Map([
      [wideNetworkOf(address), Math.max(most, Math.ceil(maxConnections * shareOfWideNetwork))],
      [networkOf(address), most],
    ])
    const exceeded: number[] = []
    for (const [key, allowed] of networks) {
      const count = (ofAddress.get(key) ?? 0) + 1
      ofAddress.set(key, count)
      if (count > allowed) exceeded.push(allowed)
      socket.once('close', () => {
        const left = (ofAddress.get(key) ?? 1) - 1
        if (left > 0) ofAddress.set(key, left)
        else ofAddress.delete(key)
      })
    }
    return exceeded.at(-1)
  }
  const onConnection = (socket: Socket) => {
    connections += 1
    socket.once('close', () => {
      connections -= 1
      surplus.delete(socket)
    })
    const exceeded = maxPerAddress === undefined ? undefined : enter(socket, maxPerAddress)
    if (connections - surplus.size > maxConnections) surplus.set(socket, tooManyHere())
    else if (exceeded !== undefined) surplus.set(socket, tooManyOfAddress(exceeded))
    const [oldest] = surplus.size > room ? surplus.keys() : []
    if (oldest) {
      surplus.delete(oldest)
      oldest.destroy()
    }
  }
  return {
    watch: (server) => {
      server.on('connection', onConnection)
    },
    refusalFor: (socket) => (surplus.size === 0 ? undefined : surplus.get(socket)),
    count: () => connections,
  }
}
