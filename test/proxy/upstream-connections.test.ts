import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { openSocket, parseResponse, sendLines } from '../support/raw-http.js'
import { until } from '../support/until.js'

/** A service of raw sockets that tells how many connections it was ever given. */
async function startService(serve: (socket: Socket, head: string) => void) {
  const sockets: Socket[] = []
  const server = net
    .createServer({ allowHalfOpen: true }, (socket) => {
      sockets.push(socket)
      socket.on('error', () => undefined)
      socket.on('end', () => socket.end())
      socket.on('data', (chunk: Buffer) => serve(socket, chunk.toString('latin1')))
    })
    .listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sockets,
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

describe('the connections to a target', () => {
  const services: Awaited<ReturnType<typeof startService>>[] = []
  let gateway: TestGateway
  let database: TestDatabase
  beforeAll(async () => {
    database = await createTestDatabase()
  })
  afterEach(async () => {
    await gateway.stop()
    await Promise.all(services.splice(0).map(({ stop }) => stop()))
  })
  afterAll(() => database.drop())

  async function start(serve: (socket: Socket, head: string) => void, settings = '') {
    const service = await startService(serve)
    services.push(service)
    gateway = await startTestGateway({
      database,
      routes:
        `{ upstreams: { own: { targets: ['${service.url}'], ${settings} } }, ` +
        'routes: { /a: { upstream: own, auth: public } } }',
    })
    return service
  }
  const circuitIsClosed = () => !gateway.logLines.some((line) => line.includes('a target fails'))

  it('are one for each request: a client that leaves a running answer costs no other one', async () => {
    const service = await start((socket) =>
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n'),
    )
    const open = async () => {
      const socket = await openSocket(gateway.url)
      socket.write('GET /a HTTP/1.1\r\nHost: x\r\n\r\n')
      await once(socket, 'data')
      return socket
    }
    const clients = await Promise.all(Array.from({ length: 50 }, open))
    expect(service.sockets.length).toBe(50)
    for (const client of clients) client.destroy()
    await until(() => Promise.resolve(service.sockets.every(({ destroyed }) => destroyed)))
    // Whatever would be opened for them is there before the answer to a request that comes later.
    const last = await open()
    expect(service.sockets.length).toBe(51)
    last.destroy()
  })

  it('live no longer than the upstream says, while requests go on without a failure', async () => {
    const service = await start((socket) => socket.write(ok), 'timeouts: { connectionMs: 300 }')
    const statuses: number[] = []
    await until(async () => {
      statuses.push((await sendLines(gateway.url, 'GET /a')).status)
      return service.sockets.length >= 4
    })
    expect(statuses).toEqual(statuses.map(() => 200))
    expect(statuses.length).toBeGreaterThan(10)
  })

  it('that a service closes just as the next request comes lose none', async () => {
    const service = await start((socket) => {
      socket.write(ok)
      setTimeout(() => socket.end(), Math.random() * 10)
    })
    const statuses = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const own: number[] = []
        for (let count = 0; count < 50; count += 1) own.push((await sendLines(gateway.url, 'GET /a')).status)
        return own
      }),
    )
    expect(statuses.flat().filter((status) => status !== 200)).toEqual([])
    expect(service.sockets.length).toBeGreaterThan(10)
  })

  it.each([
    [
      'at once, and closes',
      (socket: Socket) =>
        socket.end(
          'HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large',
          () => socket.destroy(),
        ),
    ],
    [
      'and resets the connection',
      (socket: Socket) =>
        socket.write(
          'HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large',
          () => socket.resetAndDestroy(),
        ),
    ],
    [
      'without saying that it will close',
      (socket: Socket) =>
        socket.end('HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large', () =>
          socket.destroy(),
        ),
    ],
    [
      'of no length, up to the end of the connection',
      (socket: Socket) =>
        socket.end('HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n\r\ntoo large', () =>
          socket.destroy(),
        ),
    ],
  ])(
    'lose no early answer to a large upload: a service that answers 413 %s is heard 100 times of 100',
    async (_how, answer) => {
      await start((socket, head) => {
        if (!head.startsWith('POST')) return
        socket.pause()
        answer(socket)
      })
      const upload = async () => {
        const { hostname, port } = new URL(gateway.url)
        const socket = connect(Number(port), hostname)
        socket.on('error', () => undefined)
        let text = ''
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1')
          if (text.includes('too large')) socket.destroy()
        })
        socket.write(
          Buffer.concat([
            Buffer.from('POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n'),
            Buffer.alloc(5_000_000),
          ]),
        )
        await once(socket, 'close')
        return parseResponse(text).status
      }
      const statuses: number[] = []
      for (let round = 0; round < 10; round += 1)
        statuses.push(...(await Promise.all(Array.from({ length: 10 }, upload))))
      expect(statuses.filter((status) => status !== 413)).toEqual([])
      expect(circuitIsClosed()).toBe(true)
    },
  )
})
