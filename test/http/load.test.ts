import { once } from 'node:events'
import { Agent, createServer, type Server } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { watchLoad } from '../../src/http/limits/load.js'
import { createGatewayServer } from '../../src/http/server.js'
import { sendRequest } from '../support/http-client.js'
import { startTestGateway } from '../support/gateway.js'
import { valueOf } from '../support/scrape.js'
import { until } from '../support/until.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A connection that is there, and sends what it is told to. */
async function connect(url: string): Promise<net.Socket> {
  const socket = net.connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  cleanups.push(() => socket.destroy())
  return socket
}

describe('a gateway with as many connections as it may have', () => {
  it('refuses more with 503 overloaded, admits monitoring, and serves again when there is room', async () => {
    const gateway = await startTestGateway({ environment: { MAX_CONNECTIONS: '3' } })
    cleanups.push(() => gateway.stop())
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    cleanups.push(() => agent.destroy())
    expect((await sendRequest(gateway.url, '/auth/me', { agent })).status).toBe(401)
    const [second] = [await connect(gateway.url), await connect(gateway.url)]
    await until(
      async () =>
        valueOf(
          (await sendRequest(gateway.url, '/metrics', { agent })).text,
          'gateway_client_connections',
        ) === 3 || undefined,
    )

    const refused = await sendRequest(gateway.url, '/auth/me')
    expect([refused.status, JSON.parse(refused.text).code, refused.headers['retry-after']]).toEqual([
      503,
      'overloaded',
      expect.any(String),
    ])
    expect(refused.headers.connection).toBe('close')
    expect((await sendRequest(gateway.url, '/healthz')).status).toBe(200)
    expect((await sendRequest(gateway.url, '/auth/me', { agent })).status).toBe(401) // who is in is served
    second.destroy()
    await until(async () => (await sendRequest(gateway.url, '/auth/me')).status === 401 || undefined)
    expect(
      valueOf((await sendRequest(gateway.url, '/metrics')).text, 'gateway_overload_refusals_total'),
    ).toBeGreaterThanOrEqual(1)
  })
})

describe('a gateway whose memory is full', () => {
  it('refuses requests before it is out of memory, and serves again when there is some', async () => {
    let bytes = 0
    const load = watchLoad({
      maxConnections: 100,
      maxMemoryMb: 100,
      memoryInUse: () => bytes,
      lookEveryMs: 5,
    })
    cleanups.push(() => load.stop())
    const server = createServer((req, res) => {
      const step = load.refuse as unknown as (...given: unknown[]) => void
      step(req, res, (error?: { code: string }) => res.writeHead(error ? 503 : 200).end(error?.code))
    })
    const url = await listen(server)
    expect((await sendRequest(url, '/x')).status).toBe(200)
    bytes = 101 * 1024 * 1024
    await until(async () => (await sendRequest(url, '/x')).text === 'overloaded' || undefined)
    expect((await sendRequest(url, '/healthz')).status).toBe(200)
    bytes = 99 * 1024 * 1024
    await until(async () => (await sendRequest(url, '/x')).status === 200 || undefined)
  })
})

describe('clients that send slowly, or not at all', () => {
  const start = () =>
    listen(
      createGatewayServer((_req, res) => res.end('served'), {
        headersTimeoutMs: 300,
        keepAliveTimeoutMs: 200,
        lookEveryMs: 50,
      }),
    )

  it('are given up when a head does not come to its end, however steadily it comes', async () => {
    const socket = await connect(await start())
    let answer = ''
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString()
    })
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n')
    const drip = setInterval(() => {
      if (socket.writable) socket.write('X-Slow: x\r\n')
    }, 40)
    await once(socket, 'close')
    clearInterval(drip)
    expect(answer).toMatch(/^HTTP\/1.1 400 /)
    expect(answer).toContain('took too long')
  })

  it('are given up when they say nothing', async () => {
    const socket = await connect(await start())
    socket.resume()
    await once(socket, 'close')
  })

  it('are given up when they keep a connection and do not use it', async () => {
    const socket = await connect(await start())
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toContain('served')
    await once(socket, 'close')
  })
})
