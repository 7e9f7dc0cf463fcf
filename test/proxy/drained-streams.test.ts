import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { tokenFor } from '../support/demo.js'
import { testSecret } from '../support/gateway.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'
import { until } from '../support/until.js'
import { startUpstream, type Upstream } from '../support/upstream.js'
import { openWebSocket, startSocketUpstream, type SocketUpstream } from '../support/web-sockets.js'
import { within } from '../support/within.js'

describe('a gateway process that is told to end', () => {
  let database: TestDatabase
  let upstream: Upstream
  let sockets: SocketUpstream
  let directory: string
  let headers: Record<string, string>
  beforeAll(async () => {
    ;[database, upstream, sockets] = [
      await createTestDatabase(),
      await startUpstream(),
      await startSocketUpstream(),
    ]
    directory = await mkdtemp(path.join(tmpdir(), 'drained-'))
    await writeFile(
      path.join(directory, 'routes.yaml'),
      `
upstreams:
  own: { targets: ['${upstream.url}'] }
  sockets: { targets: ['${sockets.url}'] }
routes:
  /api: { upstream: own }
  /ws: { upstream: sockets }
  /public: { upstream: own, auth: public }
  /public/ws: { upstream: sockets, auth: public }
`,
    )
    headers = { Authorization: `Bearer ${(await tokenFor(database, 'alice')).token}` }
  })
  afterAll(async () => {
    await cleanUpProcesses()
    await Promise.all([upstream.stop(), sockets.stop()])
    await database.drop()
    await rm(directory, { recursive: true })
  })

  const start = async () =>
    startGatewayProcess({
      DATA_DIR: await makeDataDir(),
      DATABASE_URL: database.url,
      DATABASE_MIGRATION_URL: database.ownerUrl,
      APP_JWT_KEY_SECRET: testSecret,
      SECRET_KEY: `${testSecret}-portal`,
      SEED_DEMO: 'false',
      GATEWAY_ROUTES: path.join(directory, 'routes.yaml'),
    })

  /** Begins a request, whose answer the test writes. */
  async function begin(url: string) {
    const asked = new Promise<ServerResponse>((resolve) => upstream.answerWith((_req, res) => resolve(res)))
    const req = httpRequest(url, { headers, agent: false })
    req.on('error', () => undefined)
    const response = once(req, 'response').then(([res]) => res as IncomingMessage)
    req.end()
    return { theirs: await asked, response, req }
  }

  /** Whether an answer came to its end, and its text. */
  async function outcome(response: Promise<IncomingMessage>): Promise<[boolean, string]> {
    const res = await response
    let text = ''
    res.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    res.on('error', () => undefined)
    await new Promise((resolve) => res.once('close', resolve))
    return [res.complete, text]
  }

  const sse = { 'Content-Type': 'text/event-stream' }

  it('closes WebSockets with 1001, ends events properly, and lets downloads come to their end', async () => {
    const gateway = await start()
    const url = await gateway.url()
    const client = await openWebSocket(`${url}/ws`, headers)
    const [events, download] = [await begin(`${url}/api`), await begin(`${url}/api`)]
    events.theirs.writeHead(200, sse).write('data: 1\n\n')
    download.theirs.writeHead(200).write('half ')
    const ends = Promise.all([outcome(events.response), outcome(download.response)])
    await Promise.all([events.response, download.response])
    const gone = once(events.theirs, 'close')
    gateway.child.kill('SIGTERM')
    expect((await within(1000, client.closed))[0]).toBe(1001)
    await within(1000, gone)
    download.theirs.end('and half')
    expect(await ends).toEqual([
      [true, 'data: 1\n\n'],
      [true, 'half and half'],
    ])
    expect(await within(3000, gateway.ended)).toBe(0)
  })

  it('ends also while a client of a public route keeps its WebSocket busy, and one its events', async () => {
    const gateway = await start()
    const url = await gateway.url()
    const client = await openWebSocket(`${url}/public/ws`)
    const events = await begin(`${url}/public`)
    events.theirs.writeHead(200, sse).write('data: 1\n\n')
    const end = outcome(events.response)
    await events.response
    const busy = setInterval(() => {
      if (client.socket.readyState === client.socket.OPEN) client.socket.ping()
      events.theirs.write('data: 1\n\n')
    }, 20)
    gateway.child.kill('SIGTERM')
    try {
      expect((await within(2000, client.closed))[0]).toBe(1001)
      expect((await within(2000, end))[0]).toBe(true)
      expect(await within(3000, gateway.ended)).toBe(0)
    } finally {
      clearInterval(busy)
      client.socket.terminate()
      events.req.destroy()
      gateway.child.kill('SIGKILL')
    }
  })

  it('ends events that begin only then', async () => {
    const gateway = await start()
    const url = await gateway.url()
    const events = await begin(`${url}/api`)
    gateway.child.kill('SIGTERM')
    await until(
      async () =>
        await fetch(`${url}/healthz`).then(
          () => undefined,
          () => true,
        ),
    )
    events.theirs.writeHead(200, sse).write('data: 1\n\n')
    const end = outcome(events.response)
    try {
      expect((await within(1000, end))[0]).toBe(true)
      expect(await within(3000, gateway.ended)).toBe(0)
    } finally {
      events.req.destroy()
      gateway.child.kill('SIGKILL')
    }
  })
})
