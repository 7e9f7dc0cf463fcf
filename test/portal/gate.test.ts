import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest, type HttpResponse } from '../support/http-client.js'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import {
  comparable,
  daySeconds,
  demoPortal,
  insertClientWithLink,
  nowSeconds,
  portalSecret,
  sealed,
  sealText,
  sessionOf,
} from '../support/portal.js'
import { withoutTable } from '../support/tables.js'

const previousSecret = 'previous-secret-0123456789-abcdefghijklmnop'

describe('the gate of the portal', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway({ environment: { SECRET_KEY_PREVIOUS: previousSecret } })
  })
  afterAll(() => gateway.stop())
  afterEach(() => gateway.database.sql(`update mandates set enabled = true where id = '${mandates.acme}'`))

  const api = (headers: Record<string, string>) => sendRequest(gateway.url, '/portal/api/me', { headers })
  const page = (headers: Record<string, string>) => sendRequest(gateway.url, '/portal', { headers })
  const cookie = (value: string) => ({ Cookie: `portal_session=${value}` })

  function expectApiRefusal(answer: HttpResponse) {
    expect(answer.status).toBe(401)
    expect(JSON.parse(answer.text)).toMatchObject({
      status: 401,
      code: 'portal_access_required',
      requestId: answer.headers['x-request-id'],
    })
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.headers).not.toHaveProperty('www-authenticate')
    expect(answer.headers).not.toHaveProperty('set-cookie')
  }

  function expectPageRefusal(answer: HttpResponse) {
    expect(answer.status).toBe(401)
    expect(answer.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(answer.text).toContain('Access required')
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.headers).not.toHaveProperty('www-authenticate')
    expect(answer.headers).not.toHaveProperty('set-cookie')
  }

  it('a session of a link that counts is let in', async () => {
    const answer = await api(sessionOf(demoPortal.link))
    expect(answer.status).toBe(200)
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(JSON.parse(answer.text)).toEqual({
      client: { id: demoPortal.northwind, name: 'Northwind' },
      mandate: { id: mandates.acme, label: 'Acme' },
      preview: false,
      expiresAt: expect.any(String),
    })
    expect((await page(sessionOf(demoPortal.link))).status).toBe(200)
  })

  it('no session: pages answer 401 with a page, whatever they are asked for, and the API with a problem', async () => {
    for (const accept of ['text/html', '*/*', 'application/json'])
      expectPageRefusal(await page({ Accept: accept }))
    expectPageRefusal(await page({}))
    for (const path of [
      '/portal/api/me',
      '/portal/api/projects',
      `/portal/api/projects/${demoPortal.campaign}`,
    ]) {
      for (const accept of ['text/html', 'application/json'])
        expectApiRefusal(await sendRequest(gateway.url, path, { headers: { Accept: accept } }))
    }
  })

  it('a seal of the previous key counts while keys change, and one of any other key does not', async () => {
    expect(
      (await api(cookie(sealed({ tid: demoPortal.link, iat: nowSeconds() }, previousSecret)))).status,
    ).toBe(200)
    expectApiRefusal(
      await api(
        cookie(
          sealed({ tid: demoPortal.link, iat: nowSeconds() }, 'another-secret-0123456789-abcdefghijklmno'),
        ),
      ),
    )
  })

  const content = () => ({ tid: demoPortal.link, iat: nowSeconds() })
  const payload = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const good = () => sealed(content())

  it.each<[string, () => string]>([
    ['empty', () => ''],
    ['no seal', () => payload(content())],
    ['an empty seal', () => `${payload(content())}.`],
    ['a seal with one digit changed', () => good().replace(/.$/, (digit) => (digit === '0' ? '1' : '0'))],
    ['a seal in capitals', () => good().replace(/\.(.*)$/, (seal) => seal.toUpperCase())],
    [
      'a seal in base64url',
      () => `${payload(content())}.${Buffer.from(good().split('.')[1]!, 'hex').toString('base64url')}`,
    ],
    [
      'a seal over the JSON itself',
      () => `${payload(content())}.${sealText(JSON.stringify(content())).split('.').pop()!}`,
    ],
    [
      'another content under the same seal',
      () => `${payload({ ...content(), iat: nowSeconds() - 1 })}.${good().split('.')[1]!}`,
    ],
    ['a third part', () => `${good()}.${good().split('.')[1]!}`],
    ['a signed JWT in its form', () => `${payload({ alg: 'HS256' })}.${good()}`],
    ['padding', () => sealText(`${payload(content()).replace(/=*$/, '')}==`)],
    [
      'bits that mean nothing',
      () => sealText(payload(content()).replace(/.$/, (last) => String.fromCharCode(last.charCodeAt(0) + 1))),
    ],
    ['no JSON', () => sealText(Buffer.from('hello').toString('base64url'))],
    ['JSON that is no object', () => sealed([demoPortal.link, nowSeconds()])],
    ['no tid', () => sealed({ iat: nowSeconds() })],
    ['no iat', () => sealed({ tid: demoPortal.link })],
    ['an iat that is text', () => sealed({ tid: demoPortal.link, iat: String(nowSeconds()) })],
    [
      'an iat beyond all numbers',
      () => sealText(Buffer.from(`{"tid":"${demoPortal.link}","iat":-1e999}`).toString('base64url')),
    ],
    ['another member', () => sealed({ ...content(), client: demoPortal.northwind })],
    ['a tid that is no UUID', () => sealed({ ...content(), tid: "x' or true --" })],
    ['a tid that is no link', () => sealed({ ...content(), tid: randomUUID() })],
    ['a tid that is a client', () => sealed({ ...content(), tid: demoPortal.northwind })],
    ['an iat of the future', () => sealed({ ...content(), iat: nowSeconds() + 60 })],
    ['30 days of age', () => sealed({ ...content(), iat: nowSeconds() - 30 * daySeconds })],
    ['the token of the link', () => demoPortal.token],
    ['a great length', () => sealed({ ...content(), tid: 'x'.repeat(5000) })],
  ])('refused: a cookie with %s', async (_what, value) => {
    const [asked, shown] = [await api(cookie(value())), await page(cookie(value()))]
    expectApiRefusal(asked)
    expectPageRefusal(shown)
    expect(comparable(asked)).toBe(comparable(await api({})))
    expect(comparable(shown)).toBe(comparable(await page({})))
  })

  it('a session is let in for 30 days, and not a moment longer, whatever the cookie’s own age says', async () => {
    expect((await api(sessionOf(demoPortal.link, nowSeconds() - 30 * daySeconds + 60))).status).toBe(200)
    expectApiRefusal(await api(sessionOf(demoPortal.link, nowSeconds() - 30 * daySeconds - 1)))
  })

  it('two session cookies that differ are none; the same one twice is one', async () => {
    const other = await insertClientWithLink(gateway.database, mandates.acme)
    const [one, two] = [good(), sealed({ tid: other.link, iat: nowSeconds() })]
    expectApiRefusal(await api({ Cookie: `portal_session=${one}; portal_session=${two}` }))
    expect((await api({ Cookie: `portal_session=${one}; a=b; portal_session=${one}` })).status).toBe(200)
  })

  it.each<[string, (made: { client: string; link: string }) => string]>([
    [
      'the link is revoked',
      ({ link }) => `update portal_access_tokens set revoked_at = now() where id = '${link}'`,
    ],
    [
      'the link has come to its end',
      ({ link }) => `update portal_access_tokens set expires_at = now() where id = '${link}'`,
    ],
    ['the link is gone', ({ link }) => `delete from portal_access_tokens where id = '${link}'`],
    [
      'the client is not active',
      ({ client }) => `update portal_clients set active = false where id = '${client}'`,
    ],
    ['the client is gone', ({ client }) => `delete from portal_clients where id = '${client}'`],
    ['the mandate is disabled', () => `update mandates set enabled = false where id = '${mandates.acme}'`],
  ])('refused when %s, in the same words', async (_what, statement) => {
    const made = await insertClientWithLink(gateway.database, mandates.acme)
    expect((await api(sessionOf(made.link))).status).toBe(200)
    await gateway.database.sql(statement(made))
    const [asked, shown] = [await api(sessionOf(made.link)), await page(sessionOf(made.link))]
    expectApiRefusal(asked)
    expectPageRefusal(shown)
    expect(comparable(asked)).toBe(comparable(await api({})))
    expect(comparable(shown)).toBe(comparable(await page({})))
  })

  it('an access token opens no portal, and a portal session nothing else', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    expectApiRefusal(
      await api({ Authorization: `Bearer ${token}`, Cookie: `auth_token=${token}; portal_session=${token}` }),
    )
    const value = good()
    for (const headers of [
      cookie(value),
      { Cookie: `auth_token=${value}` },
      { Authorization: `Bearer ${value}` },
    ]) {
      expect((await sendRequest(gateway.url, '/auth/me', { headers })).status).toBe(401)
      expect(
        (
          await sendRequest(gateway.url, '/mandate/projects', {
            headers: { ...headers, 'X-Mandate-Id': mandates.acme },
          })
        ).status,
      ).toBe(401)
    }
  })

  it('when the directory cannot be asked the answer is 503, never 401 and never 200', async () => {
    await withoutTable(gateway.database, 'portal_access_tokens', async () => {
      const asked = await api(sessionOf(demoPortal.link))
      expect(asked.status).toBe(503)
      expect(JSON.parse(asked.text)).toMatchObject({ code: 'directory_unavailable' })
      expect(asked.headers['retry-after']).toBe('2')
      const shown = await page(sessionOf(demoPortal.link))
      expect([shown.status, shown.headers['content-type'], shown.headers['retry-after']]).toEqual([
        503,
        'text/html; charset=utf-8',
        '2',
      ])
      expect(shown.text).not.toContain('Access required')
    })
    expect((await api(sessionOf(demoPortal.link))).status).toBe(200)
  })

  it('a client sees only its own projects; foreign ones respond like ones that do not exist', async () => {
    const list = JSON.parse(
      (await sendRequest(gateway.url, '/portal/api/projects', { headers: sessionOf(demoPortal.link) })).text,
    )
    expect(list).toEqual({
      items: [
        {
          id: demoPortal.campaign,
          name: 'Spring campaign',
          clientName: 'Northwind',
          status: null,
          note: null,
        },
      ],
      nextCursor: null,
    })
    const one = async (id: string) =>
      await sendRequest(gateway.url, `/portal/api/projects/${id}`, { headers: sessionOf(demoPortal.link) })
    expect(JSON.parse((await one(demoPortal.campaign)).text)).toEqual(list.items[0])
    const [foreign, unknown, malformed] = [
      await one(demoPortal.relaunch),
      await one(randomUUID()),
      await one('x'),
    ]
    expect(foreign.status).toBe(404)
    expect(comparable(foreign)).toBe(comparable(unknown))
    expect(comparable(foreign)).toBe(comparable(malformed))
    const shown = async (id: string) =>
      await sendRequest(gateway.url, `/portal?project=${id}`, { headers: sessionOf(demoPortal.link) })
    expect((await shown(demoPortal.campaign)).status).toBe(200)
    expect((await shown(demoPortal.relaunch)).status).toBe(404)
  })

  it('a project that another mandate has linked to a client stays unseen', async () => {
    const [{ id }] = (await gateway.database.sql<{ id: string }>(
      `insert into projects (mandate_id, name, client_id)
        values ('${mandates.globex}', 'Not yours', '${demoPortal.northwind}')
        returning id`,
    )) as [{ id: string }]
    expect(
      (await sendRequest(gateway.url, '/portal/api/projects', { headers: sessionOf(demoPortal.link) })).text,
    ).not.toContain('Not yours')
    expect(
      (await sendRequest(gateway.url, `/portal/api/projects/${id}`, { headers: sessionOf(demoPortal.link) }))
        .status,
    ).toBe(404)
  })

  it('the list comes in pages', async () => {
    const made = await insertClientWithLink(gateway.database, mandates.acme)
    await gateway.database.sql(
      `insert into projects (mandate_id, name, client_id)
        select '${mandates.acme}', 'Same name', '${made.client}'
        from generate_series(1, 5)`,
    )
    const seen: string[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const answer: { items: { id: string }[]; nextCursor: string | null } = JSON.parse(
        (
          await sendRequest(gateway.url, `/portal/api/projects?limit=2${cursor && `&cursor=${cursor}`}`, {
            headers: sessionOf(made.link),
          })
        ).text,
      )
      seen.push(...answer.items.map(({ id }) => id))
      cursor = answer.nextCursor
    }
    expect(new Set(seen).size).toBe(5)
    expect(seen).toHaveLength(5)
    expect(
      (
        await sendRequest(gateway.url, '/portal/api/projects?cursor=bm9wZQ', {
          headers: sessionOf(made.link),
        })
      ).status,
    ).toBe(400)
  })

  it('the secret of the seal is SECRET_KEY as it stands', () => {
    expect(gateway.config.SECRET_KEY).toBe(portalSecret)
  })
})
