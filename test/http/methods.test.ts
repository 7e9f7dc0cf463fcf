import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines } from '../support/raw-http.js'

const endpoints: [string, string[]][] = [
  ['/healthz', ['GET', 'HEAD']],
  ['/readyz', ['GET', 'HEAD']],
  ['/auth/login', ['POST']],
  ['/auth/logout', ['POST']],
  ['/auth/token', ['POST']],
  ['/auth/me', ['GET', 'HEAD']],
  ['/auth/context', ['GET', 'HEAD']],
  ['/auth/permissions', ['GET', 'HEAD']],
  ['/admin/users', ['GET', 'HEAD', 'POST']],
  ['/system/nodes', ['GET', 'HEAD']],
]

describe('without a token', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway()
  })
  afterAll(async () => {
    await gateway.stop()
  })

  const allowed = (value: string[] | undefined) =>
    (value ?? [])
      .join(',')
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== 'OPTIONS')
      .sort()

  it.each(endpoints)('%s answers other methods 405 with Allow', async (path, methods) => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND'].filter(
      (one) => !methods.includes(one),
    )) {
      const answer = await sendLines(gateway.url, `${method} ${path}`)
      expect([method, answer.status, codeOf(answer)]).toEqual([method, 405, 'method_not_allowed'])
      expect(allowed(answer.headers.allow)).toEqual([...methods].sort())
    }
  })

  it.each(endpoints)('%s answers OPTIONS with Allow', async (path, methods) => {
    const answer = await sendLines(gateway.url, `OPTIONS ${path}`)
    expect([answer.status, answer.body]).toEqual([204, ''])
    expect(allowed(answer.headers.allow)).toEqual([...methods].sort())
  })

  it.each([
    '/nothing',
    '/auth',
    '/auth/',
    '/auth/login/',
    '/auth/nothing',
    '/AUTH/LOGIN',
    '/Auth/me',
    '/admin',
    '/admin/users/',
    '/system',
    '/healthz/',
    '/mandate',
    '/api',
    '/api/crmx',
    '/favicon.ico',
  ])('%s is 404, by any method', async (path) => {
    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
      const answer = await sendLines(gateway.url, `${method} ${path}`)
      expect([method, answer.status, codeOf(answer)]).toEqual([method, 404, 'not_found'])
    }
  })

  it('an escaped spelling of an endpoint is that endpoint', async () => {
    expect((await sendLines(gateway.url, 'GET /%68ealthz')).status).toBe(200)
    expect((await sendLines(gateway.url, 'GET /auth/%6de')).status).toBe(401)
  })

  it('a good token opens no path that does not exist', async () => {
    const { token } = await tokenFor(gateway.database, 'root')
    expect(
      (await sendLines(gateway.url, 'GET /admin/nothing', [`Authorization: Bearer ${token}`])).status,
    ).toBe(404)
  })

  it('HEAD is GET without the body', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    for (const path of ['/healthz', '/auth/me', '/auth/context']) {
      const [got, head] = [
        await sendLines(gateway.url, `GET ${path}`, [`Authorization: Bearer ${token}`]),
        await sendLines(gateway.url, `HEAD ${path}`, [`Authorization: Bearer ${token}`]),
      ]
      expect([head.status, head.body]).toEqual([200, ''])
      expect(head.headers['content-length']).toEqual(got.headers['content-length'])
      expect(head.headers['content-type']).toEqual(got.headers['content-type'])
    }
    expect((await sendLines(gateway.url, 'HEAD /auth/me')).status).toBe(401)
  })
})
