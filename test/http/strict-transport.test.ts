import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest } from '../support/http-client.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

let database: TestDatabase
let upstream: Upstream
let byHttps: TestGateway
let byHttp: TestGateway
beforeAll(async () => {
  database = await createTestDatabase()
  upstream = await startUpstream()
  upstream.answerWith((_req, res) =>
    res.writeHead(200, { 'Strict-Transport-Security': 'max-age=0' }).end('x'),
  )
  const routes = `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes: { /own: { upstream: own, auth: public } }
`
  byHttps = await startTestGateway({
    database,
    routes,
    environment: { PUBLIC_URL: 'https://gateway.example' },
  })
  byHttp = await startTestGateway({ database, routes })
})
afterAll(async () => {
  await byHttps.stop()
  await byHttp.stop()
  await upstream.stop()
  await database.drop()
})

describe('with an https PUBLIC_URL, Strict-Transport-Security is set', () => {
  it.each(['/healthz', '/', '/auth/me', '/nothing', '/a/../b', '/portal', '/own', '/auth/google/login'])(
    'by the answer of %s',
    async (path) => {
      expect((await sendRequest(byHttps.url, path)).headers['strict-transport-security']).toBe(
        'max-age=31536000',
      )
    },
  )
})

it('with an http one it is not set, and no service sets it for the whole host', async () => {
  for (const path of ['/healthz', '/auth/me', '/own'])
    expect((await sendRequest(byHttp.url, path)).headers).not.toHaveProperty('strict-transport-security')
})
