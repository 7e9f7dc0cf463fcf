import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { startPython } from '../support/python.js'
import { sendLines } from '../support/raw-http.js'

describe('a FastAPI service behind strip', () => {
  let plain: { url: string; stop: () => Promise<void> }
  let aware: { url: string; stop: () => Promise<void> }
  let gateway: TestGateway
  beforeAll(async () => {
    plain = await startPython('fastapi_service.py')
    aware = await startPython('fastapi_service.py', ['aware'])
    gateway = await startTestGateway({
      routes: `
upstreams:
  plain: { targets: ['${plain.url}'] }
  aware: { targets: ['${aware.url}'] }
routes:
  /py: { upstream: plain, auth: public, strip: true }
  /apps/py: { upstream: aware, auth: public, strip: true }
`,
    })
  }, 180_000)
  afterAll(async () => {
    await gateway.stop()
    await Promise.all([plain.stop(), aware.stop()])
  })

  const follow = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(gateway.url + path, { headers })
    return { status: answer.status, at: answer.url.replace(gateway.url, ''), body: await answer.text() }
  }

  it.each(['/py', '/apps/py'])(
    'redirects to where its pages are for the client, and its cookies come back to it (%s)',
    async (prefix) => {
      expect(await follow(`${prefix}/items`)).toEqual({
        status: 200,
        at: `${prefix}/items/`,
        body: '{"items":[]}',
      })
      const login = await sendLines(gateway.url, `GET ${prefix}/login`)
      expect([login.status, login.headers.location]).toEqual([303, [`${prefix}/home?welcome=1`]])
      expect(login.headers['set-cookie']).toEqual([
        expect.stringMatching(`^session=s1;.* Path=${prefix}/;`),
        expect.stringMatching(`^draft=d1; Domain=127.0.0.1; Path=${prefix}/items;`),
      ])
      expect(await follow(login.headers.location?.[0] ?? '', { Cookie: 'session=s1' })).toMatchObject({
        status: 200,
        body: '{"cookies":{"session":"s1"}}',
      })
      const ordered = await sendLines(gateway.url, `POST ${prefix}/orders`, ['Content-Length: 0'])
      expect([ordered.status, ordered.headers.location, ordered.text.includes(plain.url)]).toEqual([
        201,
        [`${prefix}/orders/7`],
        false,
      ])
    },
  )

  it('that goes by X-Forwarded-Prefix shows documentation that finds its description', async () => {
    const page = await follow('/apps/py/docs')
    expect(page).toMatchObject({ status: 200, body: expect.stringContaining('/apps/py/openapi.json') })
    expect(JSON.parse((await follow('/apps/py/openapi.json')).body)).toMatchObject({
      servers: [{ url: '/apps/py' }],
    })
  })
})
