import { createServer } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import { countConnections } from '../../src/http/limits/connections.js'

/** A connection from elsewhere: this machine has one IPv6 address only, so its address is put in. */
const socketFrom = (address: string): Socket =>
  Object.defineProperty(new Socket(), 'remoteAddress', { value: address })

describe('connections of one IPv6 customer (a /48)', () => {
  it('hold half of a node at the most, from however many networks they come; others are let in', () => {
    const connections = countConnections({ maxConnections: 100, maxPerAddress: 10 })
    const server = createServer()
    connections.watch(server)
    const open = (address: string) => {
      const socket = socketFrom(address)
      server.emit('connection', socket)
      return connections.refusalFor(socket)?.code
    }
    const customer = Array.from({ length: 60 }, (_, n) => open(`2001:db8:77:${n.toString(16)}::1`))
    expect(customer).toEqual(Array.from({ length: 60 }, (_, n) => (n < 50 ? undefined : 'rate_limited')))
    expect(open('2001:db8:78::1')).toBeUndefined()
  })
})
