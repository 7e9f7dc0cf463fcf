import { once } from 'node:events'
import type { Server } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { loadConfig } from '../../src/config.js'
import { createGatewayServer } from '../../src/http/server.js'
import { sendRequest } from '../support/http-client.js'
import { startTestGateway } from '../support/gateway.js'
import { until } from '../support/until.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(environment: Record<string, string>) {
  const gateway = await startTestGateway({ environment })
  cleanups.push(() => gateway.stop())
  return gateway
}

/** Opens connections that say nothing, and waits until the server has them. */
async function openSilent(
  server: Server,
  url: string,
  count: number,
  from = '127.0.0.1',
): Promise<net.Socket[]> {
  const sockets: net.Socket[] = []
  for (let index = 0; index < count; index += 1) {
    const accepted = once(server, 'connection')
    const socket = net.connect({ port: Number(new URL(url).port), host: '127.0.0.1', localAddress: from })
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    await accepted
    cleanups.push(() => socket.destroy())
    sockets.push(socket)
  }
  return sockets
}

describe('connections of one address', () => {
  it('are bounded: one too many is refused, other addresses and health are served', async () => {
    const { url, server } = await start({ MAX_CONNECTIONS_ADDRESS: '5' })
    const [first] = await openSilent(server, url, 5)
    const refused = await sendRequest(url, '/auth/me')
    expect([
      refused.status,
      JSON.parse(refused.text).code,
      refused.headers['retry-after'],
      refused.headers.connection,
    ]).toEqual([429, 'rate_limited', '1', 'close'])
    expect((await sendRequest(url, '/auth/me', { from: '127.0.0.2' })).status).toBe(401)
    expect((await sendRequest(url, '/healthz')).status).toBe(200)
    first?.destroy()
    await until(async () => (await sendRequest(url, '/auth/me')).status === 401 || undefined)
  })

  it('do not keep others from a node: ten thousand, of which one address may have a tenth', () => {
    expect(loadConfig({}).MAX_CONNECTIONS_ADDRESS).toBe(1000)
    expect(loadConfig({ MAX_CONNECTIONS: '600' }).MAX_CONNECTIONS_ADDRESS).toBe(100)
    expect(loadConfig({ MAX_CONNECTIONS_ADDRESS: '7' }).MAX_CONNECTIONS_ADDRESS).toBe(7)
  })

  it('are not bounded behind a proxy, whose address they all have', async () => {
    const { url, server } = await start({ MAX_CONNECTIONS_ADDRESS: '5', TRUST_PROXY: '1' })
    await openSilent(server, url, 8)
    expect((await sendRequest(url, '/auth/me')).status).toBe(401)
  })
})

describe('a node that has all the connections it may', () => {
  it('serves health beside any number of silent ones, and responds busy to all others', async () => {
    const { url, server } = await start({ MAX_CONNECTIONS: '10' })
    await openSilent(server, url, 40)
    expect((await sendRequest(url, '/healthz')).status).toBe(200)
    const refused = await sendRequest(url, '/auth/me')
    expect([refused.status, JSON.parse(refused.text).code]).toEqual([503, 'overloaded'])
    const open = await new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count)))
    expect(open).toBeLessThanOrEqual(13) // ten, and room for those who are told
  })
})

describe('an answer that its client', () => {
  const size = 32 * 1024 * 1024
  /** A server whose answers are larger than all buffers of a connection, or never end. */
  async function serve() {
    const server = createGatewayServer(
      (req, res) => {
        if (req.url === '/events') res.write('data: hello\n\n')
        else res.end(Buffer.alloc(size, 'x'))
      },
      { unreadMs: 600 },
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    cleanups.push(() => {
      server.closeAllConnections()
      server.close()
    })
    return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  }
  const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`

  it('never reads is given up', async () => {
    const { server, url } = await serve()
    const accepted = once(server, 'connection') as Promise<[net.Socket]>
    const [socket] = [...(await openSilent(server, url, 1))]
    const [theirs] = await accepted
    socket?.pause()
    socket?.write(request('/large'))
    await once(theirs, 'close', { signal: AbortSignal.timeout(10_000) })
  })

  it('reads slowly arrives whole', async () => {
    const { server, url } = await serve()
    const [socket] = await openSilent(server, url, 1)
    let bytes = 0
    socket?.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      socket.pause()
      setTimeout(() => socket.resume(), 2)
    })
    const begun = performance.now()
    socket?.write(request('/large'))
    await until(() => Promise.resolve(bytes >= size || undefined))
    expect(performance.now() - begun).toBeGreaterThan(600)
  })

  it('reads whole, and that then stays silent, stays open', async () => {
    const { server, url } = await serve()
    const [socket] = await openSilent(server, url, 1)
    let isClosed = false
    socket?.once('close', () => {
      isClosed = true
    })
    socket?.write(request('/events'))
    const [chunk] = (await once(socket!, 'data')) as [Buffer]
    expect(chunk.toString()).toContain('hello')
    const accepted = once(server, 'connection') as Promise<[net.Socket]>
    const [other] = await openSilent(server, url, 1)
    const [theirs] = await accepted
    other?.pause()
    other?.write(request('/large'))
    // as long as that, the first was silent too
    await once(theirs, 'close', { signal: AbortSignal.timeout(10_000) })
    expect(isClosed).toBe(false)
  })
})
