import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { decodeJwt } from 'jose'
import { sendRequest, statusAndCode } from '../support/http-client.js'
import { openBrowser, type Browser } from '../support/browser.js'
import { tokenFor, users } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTwoNodes, type TwoNodes } from '../support/two-nodes.js'
import { demoRoutes } from '../support/gateway.js'

interface Session {
  id: string
  current: boolean
  createdAt: string
  lastSeenAt: string
  address: string | null
  userAgent: string | null
  authority: string
}
interface Page {
  items: Session[]
  nextCursor: string | null
}

const coherence = { epoch: expect.stringMatching(/^\d+$/), acked: 2, fenced: 0, waitedMs: expect.any(Number) }
const parsed = ({ text }: { text: string }) => JSON.parse(text) as unknown

describe('sessions', () => {
  let nodes: TwoNodes
  beforeAll(async () => {
    nodes = await startTwoNodes(demoRoutes)
  })
  afterAll(async () => {
    await nodes.stop()
  })

  const signedIn = async (username = 'alice') => {
    const browser = openBrowser(nodes.here.url)
    expect((await browser.logIn(username)).status).toBe(200)
    return browser
  }
  const sidOf = (browser: Browser) => String(decodeJwt(browser.cookie('auth_token')!.value).sid)
  const meThere = async (token: string) =>
    (await sendRequest(nodes.there.url, '/auth/me', { headers: { Authorization: `Bearer ${token}` } })).status
  const refreshThere = async (token: string) =>
    (
      await sendRequest(nodes.there.url, '/auth/refresh', {
        method: 'POST',
        headers: { Cookie: `refresh_token=${token}` },
      })
    ).status
  /** What the browser holds, as the other node, which remembers it, sees it. */
  const seenThere = async (browser: Browser) => [
    await meThere(browser.cookie('auth_token')!.value),
    await refreshThere(browser.cookie('refresh_token')!.value),
  ]
  const list = async (browser: Browser, query = '') =>
    parsed(await browser.send('GET', `/auth/sessions${query}`)) as Page
  const audited = async (action: string, subject: string) =>
    await nodes.database.sql(
      `select user_id from audit_events where action = $1 and details ->> 'subject' = $2`,
      [action, subject],
    )

  it('are listed to their user: exactly these fields, newest first, with the one that asks marked', async () => {
    const erin = [await signedIn('erin'), await signedIn('erin'), await signedIn('erin')]
    await signedIn('bob')
    const { items, nextCursor } = await list(erin[1]!)
    expect(items.map(({ id }) => id)).toEqual([...erin].reverse().map(sidOf))
    expect(items.map(({ current }) => current)).toEqual([false, true, false])
    expect(items[0]).toEqual({
      id: sidOf(erin[2]!),
      authority: 'local',
      current: false,
      createdAt: expect.stringMatching(/Z$/),
      lastSeenAt: expect.stringMatching(/Z$/),
      address: '127.0.0.1',
      userAgent: null,
    })
    expect(nextCursor).toBeNull()
  })

  it('are paged without losing or repeating one, also where several began in the same moment', async () => {
    const { id, token } = await directoryOf(nodes.database).user()
    await nodes.database.sql(
      `insert into sessions (user_id, authority, created_at)
        select $1, 'local', timestamptz '2026-01-01' + make_interval(secs => n / 3)
        from generate_series(1, 10) n`,
      [id],
    )
    await nodes.database.sql(
      `insert into tokens (user_id, authority, session_id, expires_at)
        select user_id, authority, id, now() + interval '1 hour'
        from sessions
        where user_id = $1`,
      [id],
    )
    const page = async (query: string) =>
      parsed(
        await sendRequest(nodes.here.url, `/auth/sessions${query}`, {
          headers: { Authorization: `Bearer ${token}` },
        }),
      ) as Page
    const whole = await page('')
    expect(whole.items).toHaveLength(11)
    const seen: Session[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const { items, nextCursor }: Page = await page(`?limit=2${cursor ? `&cursor=${cursor}` : ''}`)
      expect(items.length).toBeLessThanOrEqual(2)
      seen.push(...items)
      cursor = nextCursor
    }
    expect(seen).toEqual(whole.items)
  })

  it('that ended, expired or are too old are not listed; one with only its access token expired is', async () => {
    const [asks, ended, expired, old, idle] = [
      await signedIn('frank'),
      await signedIn('frank'),
      await signedIn('frank'),
      await signedIn('frank'),
      await signedIn('frank'),
    ]
    const change = (statement: string, browser: Browser) => nodes.database.sql(statement, [sidOf(browser)])
    await change('update sessions set ended_at = now() where id = $1', ended)
    for (const browser of [expired, old, idle])
      await change(
        `update tokens set expires_at = now() - interval '1 second' where session_id = $1`,
        browser,
      )
    await change(
      `update refresh_tokens set expires_at = now() - interval '1 second' where session_id = $1`,
      expired,
    )
    await change(`update sessions set created_at = now() - interval '91 days' where id = $1`, old)
    expect((await list(asks)).items.map(({ id }) => id).sort()).toEqual([asks, idle].map(sidOf).sort())
  })

  it.each([
    'rubbish',
    Buffer.from('"x"').toString('base64url'),
    Buffer.from('"2026-01-01T00:00:00.000000Z x"').toString('base64url'),
    '',
  ])('refuse the cursor %j with a fault that says which', async (cursor) => {
    const answer = await (await signedIn()).send('GET', `/auth/sessions?cursor=${cursor}`)
    expect(statusAndCode(answer)).toEqual([400, 'validation_failed'])
    expect(parsed(answer)).toMatchObject({ errors: [{ path: 'cursor', message: expect.any(String) }] })
  })

  it('are not listed without a token', async () => {
    for (const [method, path] of [
      ['GET', '/auth/sessions'],
      ['DELETE', `/auth/sessions/${randomUUID()}`],
      ['POST', '/auth/logout-all'],
      ['POST', '/auth/password'],
    ] as const) {
      const answer = await sendRequest(nodes.here.url, path, {
        method,
        ...(path === '/auth/password' ? { headers: { 'Content-Type': 'application/json' }, body: '{}' } : {}),
      })
      expect([path, ...statusAndCode(answer)]).toEqual([path, 401, 'authentication_required'])
    }
  })

  describe('DELETE /auth/sessions/{id}', () => {
    it('ends that session at once on every node, and no other', async () => {
      const [asks, other] = [await signedIn(), await signedIn()]
      expect(await meThere(other.cookie('auth_token')!.value)).toBe(200)
      const answer = await asks.send('DELETE', `/auth/sessions/${sidOf(other)}`)
      expect([answer.status, parsed(answer)]).toEqual([200, { coherence }])
      expect(answer.headers['set-cookie']).toBeUndefined()
      expect(await seenThere(other)).toEqual([401, 401])
      expect(await seenThere(asks)).toEqual([200, 200])
      expect(await audited('session_ended', `session:${sidOf(other)}`)).toEqual([{ user_id: users.alice }])
      expect((await asks.send('DELETE', `/auth/sessions/${sidOf(other)}`)).status).toBe(200) // again is safe
    })

    it('of the caller’s own signs this browser out', async () => {
      const browser = await signedIn()
      expect((await browser.send('DELETE', `/auth/sessions/${sidOf(browser).toUpperCase()}`)).status).toBe(
        200,
      )
      expect([browser.cookie('auth_token'), browser.cookie('refresh_token')]).toEqual([undefined, undefined])
    })

    it('responds alike to a foreign id, an unknown one and a malformed one, and ends nothing', async () => {
      const [asks, other] = [await signedIn('bob'), await signedIn('alice')]
      const answers = []
      for (const id of [sidOf(other), randomUUID(), 'rubbish'])
        answers.push(statusAndCode(await asks.send('DELETE', `/auth/sessions/${id}`)))
      expect(answers).toEqual([
        [404, 'not_found'],
        [404, 'not_found'],
        [404, 'not_found'],
      ])
      expect(await seenThere(other)).toEqual([200, 200])
    })
  })

  describe('POST /auth/logout-all', () => {
    it('ends all sessions of the caller at once on every node, clears the cookies, touches no others', async () => {
      const carol = [await signedIn('carol'), await signedIn('carol'), await signedIn('carol')]
      const bob = await signedIn('bob')
      const sessionless = await tokenFor(nodes.database, 'carol', {
        row: { sessionId: null },
        claims: { sid: undefined },
      })
      const api = await tokenFor(nodes.database, 'carol', {
        row: { sessionId: null, purpose: 'api_token' },
        claims: { sid: undefined },
      })
      const tokens = [...carol.map((one) => one.cookie('auth_token')!.value), sessionless.token]
      for (const token of [...tokens, api.token]) expect(await meThere(token)).toBe(200)
      const refreshTokens = carol.map((one) => one.cookie('refresh_token')!.value)
      const answer = await carol[0]!.send('POST', '/auth/logout-all')
      expect([answer.status, parsed(answer)]).toEqual([200, { coherence }])
      expect([carol[0]!.cookie('auth_token'), carol[0]!.cookie('refresh_token')]).toEqual([
        undefined,
        undefined,
      ])
      for (const token of tokens) expect(await meThere(token)).toBe(401)
      for (const token of refreshTokens) expect(await refreshThere(token)).toBe(401)
      expect(await meThere(api.token)).toBe(200) // no sign-in of a person
      expect(await seenThere(bob)).toEqual([200, 200])
      expect(await audited('sessions_ended', `user:${users.carol}`)).toEqual([{ user_id: users.carol }])
    })
  })

  describe('POST /auth/logout', () => {
    it('by the refresh cookie alone ends the session at once on every node', async () => {
      const browser = await signedIn()
      const access = browser.cookie('auth_token')!.value
      expect(await meThere(access)).toBe(200)
      const refreshToken = browser.cookie('refresh_token')!.value
      const answer = await sendRequest(nodes.here.url, '/auth/logout', {
        method: 'POST',
        headers: { Cookie: `refresh_token=${refreshToken}` },
      })
      expect([answer.status, answer.text]).toEqual([204, ''])
      expect(answer.headers['set-cookie']).toEqual([
        expect.stringMatching(/^auth_token=;.*Path=\/;/),
        expect.stringMatching(/^refresh_token=;.*Path=\/auth;/),
      ])
      expect([await meThere(access), await refreshThere(refreshToken)]).toEqual([401, 401])
    })

    it('by a refresh cookie that is spent or expired ends the session, too', async () => {
      const [spent, expired] = [await signedIn(), await signedIn()]
      const old = spent.cookie('refresh_token')!.value
      await spent.send('POST', '/auth/refresh')
      await nodes.database.sql(
        `update refresh_tokens set expires_at = now() - interval '1 day' where session_id = $1`,
        [sidOf(expired)],
      )
      for (const token of [old, expired.cookie('refresh_token')!.value])
        expect(
          (
            await sendRequest(nodes.here.url, '/auth/logout', {
              method: 'POST',
              headers: { Cookie: `refresh_token=${token}` },
            })
          ).status,
        ).toBe(204)
      expect(await seenThere(spent)).toEqual([401, 401])
      expect(await meThere(expired.cookie('auth_token')!.value)).toBe(401)
    })

    it('by the bearer token of a cookie-less client ends its refresh token, too', async () => {
      const given = parsed(
        await sendRequest(nodes.here.url, '/auth/token', {
          method: 'POST',
          headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
          body: 'grant_type=password&username=alice&password=demo-password-1',
        }),
      ) as { access_token: string; refresh_token: string }
      expect(
        (
          await sendRequest(nodes.here.url, '/auth/logout', {
            method: 'POST',
            headers: { Authorization: `Bearer ${given.access_token}` },
          })
        ).status,
      ).toBe(204)
      expect([await meThere(given.access_token), await refreshThere(given.refresh_token)]).toEqual([401, 401])
    })

    it('with cookies of two sessions ends both, each audited once', async () => {
      const [one, other] = [await signedIn('alice'), await signedIn('bob')]
      const [first, second] = [sidOf(one), sidOf(other)]
      const header =
        `auth_token=${one.cookie('auth_token')!.value}; ` +
        `refresh_token=${other.cookie('refresh_token')!.value}`
      for (const _ of [1, 2])
        expect(
          (await sendRequest(nodes.here.url, '/auth/logout', { method: 'POST', headers: { Cookie: header } }))
            .status,
        ).toBe(204)
      expect([await seenThere(one), await seenThere(other)]).toEqual([
        [401, 401],
        [401, 401],
      ])
      expect(await audited('session_ended', `session:${first}`)).toEqual([{ user_id: users.alice }])
      expect(await audited('session_ended', `session:${second}`)).toEqual([{ user_id: users.bob }])
    })
  })

  it.each([
    ['POST', '/auth/logout'],
    ['POST', '/auth/logout-all'],
    ['DELETE', '/auth/sessions/00000000-0000-4000-8000-000000000000'],
    ['POST', '/auth/password'],
    ['POST', '/auth/revoke'],
  ])('%s %s is refused to pages of other sites', async (method, path) => {
    const browser = await signedIn()
    const answer = await browser.send(method, path, path === '/auth/logout' ? undefined : { token: 'x' }, {
      'Sec-Fetch-Site': 'cross-site',
      Origin: 'https://evil.example',
    })
    expect(answer.status).toBe(403)
    expect(answer.headers['set-cookie']).toBeUndefined()
    expect(await seenThere(browser)).toEqual([200, 200])
  })
})
