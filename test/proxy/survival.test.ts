import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import {
  cleanUpProcesses,
  makeDataDir,
  startGatewayProcess,
  type GatewayProcess,
} from '../support/gateway-process.js'
import { codeOf, openSocket, parseResponse, sendLines } from '../support/raw-http.js'

describe('a process whose upstream reads no body', () => {
  let database: TestDatabase
  let gateway: GatewayProcess
  let url: string
  beforeAll(async () => {
    const [dataDir, created] = await Promise.all([makeDataDir(), createTestDatabase()])
    database = created
    const file = path.join(dataDir, 'routes.yaml')
    await writeFile(
      file,
      `
upstreams: { none: { targets: [demo] }, refused: { targets: ['http://127.0.0.1:1'] } }
routes:
  /none: { upstream: none, auth: public, bodyLimit: 1000 }
  /refused: { upstream: refused, auth: public, bodyLimit: 1000 }
  /unlimited: { upstream: none, auth: public }
`,
    )
    gateway = startGatewayProcess({
      DATA_DIR: dataDir,
      DATABASE_URL: database.url,
      DATABASE_MIGRATION_URL: database.ownerUrl,
      SEED_DEMO: 'false',
      GATEWAY_ROUTES: file,
      RATE_LIMIT_ADDRESS: 'off',
      RATE_LIMIT_USER: 'off',
      RATE_LIMIT_LOGIN: 'off',
    })
    url = await gateway.url()
  }, 60_000)
  afterAll(async () => {
    await cleanUpProcesses()
    await database.drop()
  })

  async function expectAlive() {
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    expect([gateway.child.exitCode, gateway.child.signalCode, gateway.errors()]).toEqual([null, null, ''])
  }

  it.each([
    ['/none', 503],
    ['/unlimited', 503],
    ['/refused', 502],
  ])('outlives a chunked body that is larger than the route takes (%s)', async (route, status) => {
    const body = 'x'.repeat(4095)
    const answer = await sendLines(
      url,
      `POST ${route}`,
      ['Transfer-Encoding: chunked'],
      `fff\r\n${body}\r\n0\r\n\r\n`,
    )
    expect([status, 413]).toContain(answer.status)
    if (route === '/none') expect(codeOf(answer)).toBe('upstream_unavailable')
    await expectAlive()
  })

  it.each(['/none', '/unlimited', '/refused'])(
    'outlives a client that breaks its connection in the middle of a body (%s)',
    async (route) => {
      for (let round = 0; round < 10; round += 1) {
        const socket = await openSocket(url)
        socket.write(
          `POST ${route} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n100\r\n${'x'.repeat(256)}\r\n`,
        )
        if (round % 2 === 0) {
          const [chunk] = (await once(socket, 'data')) as [Buffer]
          expect(parseResponse(chunk.toString('latin1')).status).toBeGreaterThanOrEqual(502)
        }
        socket.resetAndDestroy()
        await once(socket, 'close')
      }
      await expectAlive()
    },
  )
})
