import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { GatewayError } from '../errors.js'
import { addressOf } from './client-address.js'
import { networkOf } from './limit-rate.js'

interface Limits {
  /** Connections of this process. */
  maxConnections: number
  /** Connections of one address (an IPv6 network of 64 bits); undefined where peers are proxies, which carry everybody. */
  maxPerAddress: number | undefined
}

/** The connections of one process, and which of them are too many. */
export interface Connections {
  watch: (server: Server) => void
  /** Returns why requests of this connection are refused, or undefined. */
  refusalFor: (socket: Socket) => GatewayError | undefined
  count: () => number
}

/** Beyond the ceiling, this share of it is let in to be told so, and for whoever watches over the process. */
const roomForRefusals = 0.1

const tooManyHere = () => new GatewayError('overloaded', 'This node has as many connections as it may. Try again shortly.')
const tooManyOfAddress = (most: number) => new GatewayError('rate_limited',
  `This address has ${most} connections, which is as many as it may. Close some, or send more requests over each.`, { headers: { 'Retry-After': '1' } })

/**
 * Counts connections, in all and by address. One too many is let in to be told so. When too many of those wait, the one that has
 * waited longest is closed: so a newcomer is always heard, and `/healthz` is answered however many connections somebody holds.
 */
export function countConnections({ maxConnections, maxPerAddress }: Limits): Connections {
  const room = Math.ceil(maxConnections * roomForRefusals) + 1
  const surplus = new Map<Socket, GatewayError>()
  const ofAddress = new Map<string, number>()
  let connections = 0

  const enter = (socket: Socket): number => {
    const key = networkOf(addressOf(socket))
    const count = (ofAddress.get(key) ?? 0) + 1
    ofAddress.set(key, count)
    socket.once('close', () => {
      const left = (ofAddress.get(key) ?? 1) - 1
      if (left > 0) ofAddress.set(key, left)
      else ofAddress.delete(key)
    })
    return count
  }
  const onConnection = (socket: Socket) => {
    connections += 1
    socket.once('close', () => {
      connections -= 1
      surplus.delete(socket)
    })
    const count = maxPerAddress === undefined ? 0 : enter(socket)
    if (connections - surplus.size > maxConnections) surplus.set(socket, tooManyHere())
    else if (maxPerAddress !== undefined && count > maxPerAddress) surplus.set(socket, tooManyOfAddress(maxPerAddress))
    const [oldest] = surplus.size > room ? surplus.keys() : []
    if (oldest) {
      surplus.delete(oldest)
      oldest.destroy()
    }
  }
  return {
    watch: (server) => { server.on('connection', onConnection) },
    refusalFor: (socket) => surplus.size === 0 ? undefined : surplus.get(socket),
    count: () => connections,
  }
}
