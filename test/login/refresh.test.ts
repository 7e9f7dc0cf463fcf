import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createHash } from 'node:crypto'
import { decodeJwt } from 'jose'
import pg from 'pg'
import { sendRequest, statusAndCode } from '../support/http-client.js'
import { openBrowser, type Browser } from '../support/browser.js'
import { aliceAsShown, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { until } from '../support/until.js'

const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')
describe('POST /auth/refresh', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway()
  })
  afterAll(async () => {
    await gateway.stop()
  })

  const sql = <Row>(statement: string, values: unknown[] = []) => gateway.database.sql<Row>(statement, values)
  const signedIn = async (username = 'alice') => {
    const browser = openBrowser(gateway.url)
    expect((await browser.logIn(username)).status).toBe(200)
    return browser
  }
  const refresh = (browser: Browser) => browser.send('POST', '/auth/refresh')
  const sidOf = (browser: Browser) => String(decodeJwt(browser.cookie('auth_token')!.value).sid)
  const meWith = async (token: string) =>
    (await sendRequest(gateway.url, '/auth/me', { headers: { Authorization: `Bearer ${token}` } })).status
  const refreshWith = (token: string, headers: Record<string, string> = {}) =>
    sendRequest(gateway.url, '/auth/refresh', {
      method: 'POST',
      headers: { Cookie: `refresh_token=${token}`, ...headers },
    })
  /** Lets time pass for what has been spent in a session. */
  const passSeconds = (sid: string, seconds: number) =>
    sql('update refresh_tokens set spent_at = spent_at - make_interval(secs => $2) where session_id = $1', [
      sid,
      seconds,
    ])

  it('responds as login does, and sets both cookies: the next refresh token and an access token', async () => {
    const browser = await signedIn()
    const [before, access] = [browser.cookie('refresh_token')!, browser.cookie('auth_token')!]
    const answer = await refresh(browser)
    expect(answer.status).toBe(200)
    const body = JSON.parse(answer.text) as { user: { id: string }; expiresAt: string }
    expect(Object.keys(body).sort()).toEqual(['expiresAt', 'user'])
    expect(body.user).toEqual(aliceAsShown)
    expect(Math.abs(Date.parse(body.expiresAt) - Date.now() - 900_000)).toBeLessThan(10_000)
    const after = browser.cookie('refresh_token')!
    expect(after.value).toMatch(/^[\w-]{43}$/)
    expect(after.value).not.toBe(before.value)
    const [old, now] = [decodeJwt(access.value), decodeJwt(browser.cookie('auth_token')!.value)]
    expect([now.sid, now.jti === old.jti, now.authenticationAuthority]).toEqual([old.sid, false, 'local'])
    expect((await browser.send('GET', '/auth/me')).status).toBe(200)
    expect(answer.headers['cache-control']).toBe('no-store')
  })

  it('sets an HttpOnly, SameSite=Strict cookie for /auth from the login on, sent nowhere else', async () => {
    const browser = await signedIn()
    for (const _ of [1, 2]) {
      expect(browser.cookie('refresh_token')!.attributes).toEqual(
        expect.arrayContaining(['HttpOnly', 'SameSite=Strict', 'Path=/auth', `Max-Age=${7 * 24 * 60 * 60}`]),
      )
      expect(browser.cookie('auth_token')!.attributes).toEqual(
        expect.arrayContaining(['HttpOnly', 'SameSite=Lax', 'Path=/', `Max-Age=${7 * 24 * 60 * 60}`]),
      )
      await refresh(browser)
    }
  })

  it('stores hashes alone', async () => {
    const browser = await signedIn()
    const first = browser.cookie('refresh_token')!.value
    await refresh(browser)
    const rows = await sql<Record<string, unknown>>(
      'select * from refresh_tokens where session_id = $1 order by issued_at',
      [sidOf(browser)],
    )
    expect(rows.map((row) => row.token_hash)).toEqual(
      [first, browser.cookie('refresh_token')!.value].map(hashOf),
    )
    expect(JSON.stringify(await sql('select * from refresh_tokens'))).not.toContain(first)
  })

  it('leaves the access token before it good until it expires, for the other tabs', async () => {
    const browser = await signedIn()
    const old = browser.cookie('auth_token')!.value
    await refresh(browser)
    expect(await meWith(old)).toBe(200)
  })

  it('works when the access token has long expired, or is not there', async () => {
    const browser = await signedIn()
    const token = browser.cookie('refresh_token')!.value
    expect((await refreshWith(token, { Cookie: `auth_token=rubbish; refresh_token=${token}` })).status).toBe(
      200,
    )
  })

  it('stamps when the session was last seen', async () => {
    const browser = await signedIn()
    await sql(`update sessions set last_seen_at = now() - interval '1 day' where id = $1`, [sidOf(browser)])
    await refresh(browser)
    expect(
      await sql(`select last_seen_at > now() - interval '1 minute' as stamped from sessions where id = $1`, [
        sidOf(browser),
      ]),
    ).toEqual([{ stamped: true }])
  })

  /** Does `work` while another program holds what the statement locks; lets go of it when that is done. */
  const whileLocked = async <Result>(
    statement: string,
    values: string[],
    work: (isWaiting: (count: number) => Promise<true>) => Promise<Result>,
  ): Promise<Result> => {
    const client = new pg.Client(gateway.database.ownerUrl)
    await client.connect()
    try {
      await client.query('begin')
      await client.query(statement, values)
      return await work((count) =>
        until(async () => {
          const [row] = await sql<{ waiting: number }>(
            `select count(*)::int as waiting
              from pg_stat_activity
              where datname = current_database() and wait_event_type = 'Lock'`,
          )
          return row!.waiting >= count ? true : undefined
        }),
      )
    } finally {
      await client.query('rollback')
      await client.end()
    }
  }

  describe('two tabs', () => {
    const expectOneSuccessor = async (tabs: Browser[], sid: string) => {
      expect(new Set(tabs.map((tab) => tab.cookie('refresh_token')!.value)).size).toBe(1)
      expect(new Set(tabs.map((tab) => decodeJwt(tab.cookie('auth_token')!.value).jti)).size).toBe(1)
      expect(
        await sql(
          `select count(*)::int as refresh,
              (select count(*)::int from tokens where session_id = $1) as access
            from refresh_tokens
            where session_id = $1`,
          [sid],
        ),
      ).toEqual([{ refresh: 2, access: 2 }])
      expect((await tabs[0]!.send('GET', '/auth/me')).status).toBe(200)
      expect((await refresh(tabs[0]!)).status).toBe(200)
    }

    it('that refresh at once get the same successor and access token, and both stay signed in', async () => {
      const first = await signedIn()
      const second = first.copy()
      const answers = await Promise.all([refresh(first), refresh(second)])
      expect(answers.map(({ status }) => status)).toEqual([200, 200])
      expect(first.cookie('refresh_token')!.value).toBe(second.cookie('refresh_token')!.value)
      expect(decodeJwt(first.cookie('auth_token')!.value).jti).toBe(
        decodeJwt(second.cookie('auth_token')!.value).jti,
      )
      for (const tab of [first, second]) expect((await tab.send('GET', '/auth/me')).status).toBe(200)
      expect((await refresh(second)).status).toBe(200)
    })

    it('one behind the other within 10 s: the same', async () => {
      const first = await signedIn()
      const second = first.copy()
      await refresh(first)
      await passSeconds(sidOf(first), 9)
      expect((await refresh(second)).status).toBe(200)
      expect(second.cookie('refresh_token')!.value).toBe(first.cookie('refresh_token')!.value)
    })

    it('200 at once: one successor, one access token, everyone signed in', async () => {
      const browser = await signedIn()
      const sid = sidOf(browser)
      const tabs = Array.from({ length: 200 }, () => browser.copy())
      const answers = await Promise.all(tabs.map(refresh))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
      await expectOneSuccessor(tabs, sid)
    })

    it('whose requests waited long for a busy database are given the same all the same', async () => {
      const first = await signedIn()
      const [second, sid] = [first.copy(), sidOf(first)]
      await refresh(first)
      await passSeconds(sid, 9)
      // The request comes within the 10 s, and is looked at after them.
      const late = await whileLocked(
        `lock table refresh_tokens in access exclusive mode`,
        [],
        async (isWaiting) => {
          const asked = refresh(second)
          await isWaiting(1)
          await new Promise((resolve) => setTimeout(resolve, 1200)) // what is tested is time
          return { asked }
        },
      )
      expect((await late.asked).status).toBe(200)
      await expectOneSuccessor([first, second], sid)
    })

    it('at two nodes, both of which have seen the token unspent: one successor', async () => {
      const other = await startTestGateway({ database: gateway.database })
      try {
        const browser = await signedIn()
        const [here, there, sid] = [browser.copy(), browser.copy(), sidOf(browser)]
        const { asked } = await whileLocked(
          'select from sessions where id = $1 for update',
          [sid],
          async (isWaiting) => {
            const both = Promise.all([refresh(here), there.at(other.url).send('POST', '/auth/refresh')])
            await isWaiting(2)
            return { asked: both }
          },
        )
        expect((await asked).map(({ status }) => status)).toEqual([200, 200])
        await expectOneSuccessor([here, there], sid)
      } finally {
        await other.stop()
      }
    })
  })

  describe('reuse', () => {
    const expectFamilyEnded = async (browser: Browser, sid: string, access: string[]) => {
      for (const token of access) expect(await meWith(token)).toBe(401)
      expect(statusAndCode(await refresh(browser.copy()))).toEqual([401, 'refresh_invalid'])
      expect(await sql('select ended_at is not null as ended from sessions where id = $1', [sid])).toEqual([
        { ended: true },
      ])
      expect(
        await sql(`select count(*)::int as active from tokens where session_id = $1 and status = 'active'`, [
          sid,
        ]),
      ).toEqual([{ active: 0 }])
      expect(
        await sql(
          `select user_id, mandate_id from audit_events where action = 'refresh_reused' and details ->> 'subject' = $1`,
          [`session:${sid}`],
        ),
      ).toEqual([{ user_id: users.alice, mandate_id: 'system' }])
    }

    it.each([
      [
        'later than 10 s after it was spent',
        async (_: Browser, sid: string) => {
          await passSeconds(sid, 11)
        },
      ],
      [
        'within 10 s, when its successor has been spent',
        async (winner: Browser) => {
          expect((await refresh(winner)).status).toBe(200)
        },
      ],
    ])('%s ends the family and its access tokens, and is audited', async (_, meanwhile) => {
      const winner = await signedIn()
      const [thief, sid, old] = [winner.copy(), sidOf(winner), winner.cookie('auth_token')!.value]
      await refresh(winner)
      await meanwhile(winner, sid)
      const refused = await refresh(thief)
      expect(statusAndCode(refused)).toEqual([401, 'refresh_invalid'])
      // a refused refresh leaves the cookies of the other tabs alone
      expect(refused.headers['set-cookie']).toBeUndefined()
      await expectFamilyEnded(winner, sid, [old, winner.cookie('auth_token')!.value])
    })

    it('by many at once is audited once', async () => {
      const winner = await signedIn()
      const [thief, sid, old] = [winner.copy(), sidOf(winner), winner.cookie('auth_token')!.value]
      await refresh(winner)
      await passSeconds(sid, 60)
      const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(thief.copy())))
      expect(new Set(answers.map((answer) => statusAndCode(answer).join()))).toEqual(
        new Set(['401,refresh_invalid']),
      )
      await expectFamilyEnded(winner, sid, [old])
    })

    it('ends no other session of the user', async () => {
      const [winner, other] = [await signedIn(), await signedIn()]
      const thief = winner.copy()
      await refresh(winner)
      await passSeconds(sidOf(winner), 60)
      await refresh(thief)
      expect((await other.send('GET', '/auth/me')).status).toBe(200)
      expect((await refresh(other)).status).toBe(200)
    })
  })

  describe('is refused', () => {
    const expectRefused = async (
      answer: Promise<{ status: number; text: string; headers: Record<string, unknown> }>,
      status: number,
      code: string,
    ) => {
      const { headers, ...rest } = await answer
      expect(statusAndCode(rest)).toEqual([status, code])
      expect(headers['set-cookie']).toBeUndefined()
      expect(headers['cache-control']).toBe('no-store')
      if (status === 401) expect(headers['www-authenticate']).toMatch(/^Bearer/)
    }

    it('without a cookie, with rubbish, and with tokens of other kinds', async () => {
      const { token } = await tokenFor(gateway.database, 'alice')
      await expectRefused(
        sendRequest(gateway.url, '/auth/refresh', { method: 'POST' }),
        401,
        'refresh_invalid',
      )
      for (const bad of ['', 'rubbish', 'A'.repeat(43), token, 'demo-portal-link-token', 'A'.repeat(5000)])
        await expectRefused(refreshWith(bad), 401, 'refresh_invalid')
    })

    it('with a token in the body, the query or a header: only the cookie counts', async () => {
      const token = (await signedIn()).cookie('refresh_token')!.value
      await expectRefused(
        sendRequest(gateway.url, `/auth/refresh?refresh_token=${token}`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
          body: JSON.stringify({ refresh_token: token }),
        }),
        401,
        'refresh_invalid',
      )
    })

    it('with two cookies that differ, and either still is good by itself', async () => {
      const [one, other] = [await signedIn(), await signedIn('bob')]
      await expectRefused(
        refreshWith(
          `${one.cookie('refresh_token')!.value}; refresh_token=${other.cookie('refresh_token')!.value}`,
        ),
        400,
        'header_ambiguous',
      )
      for (const browser of [one, other]) expect((await refresh(browser)).status).toBe(200)
    })

    it('for a disabled user, and works once they are enabled: the token was not spent', async () => {
      const browser = await signedIn('bob')
      await sql('update users set enabled = false where id = $1', [users.bob])
      await expectRefused(refresh(browser), 403, 'user_disabled')
      await sql('update users set enabled = true where id = $1', [users.bob])
      expect((await refresh(browser)).status).toBe(200)
    })

    it.each([
      ['the session has ended, by whomever', `update sessions set ended_at = now() where id = $1`],
      [
        'the token has expired',
        `update refresh_tokens set expires_at = now() - interval '1 second' where session_id = $1`,
      ],
      [
        'the session is 90 days old',
        `update sessions set created_at = now() - interval '90 days' where id = $1`,
      ],
    ])('when %s', async (_, change) => {
      const browser = await signedIn()
      await sql(change, [sidOf(browser)])
      await expectRefused(refresh(browser), 401, 'refresh_invalid')
    })

    it('as an access token: a refresh token opens nothing else', async () => {
      const token = (await signedIn()).cookie('refresh_token')!.value
      expect(await meWith(token)).toBe(401)
      expect(
        (await sendRequest(gateway.url, '/auth/me', { headers: { Cookie: `auth_token=${token}` } })).status,
      ).toBe(401)
    })

    it('with 503, never 401, while the directory is away, and nothing is lost', async () => {
      const browser = await signedIn()
      for (const table of ['refresh_tokens', 'tokens', 'users']) {
        await sql(`alter table ${table} rename to ${table}_away`)
        await expectRefused(refresh(browser), 503, 'directory_unavailable').finally(() =>
          sql(`alter table ${table}_away rename to ${table}`),
        )
      }
      expect((await refresh(browser)).status).toBe(200)
    })

    it.each([
      ['a page of another site', { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }],
      ['a page of the same site but another origin', { 'Sec-Fetch-Site': 'same-site' }],
      ['an old browser on another site', { 'Sec-Fetch-Site': '', Origin: 'https://evil.example' }],
    ])('when %s asks, with a cookie or without', async (_, headers) => {
      const browser = await signedIn()
      const sent = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ''))
      await expectRefused(
        refreshWith(browser.cookie('refresh_token')!.value, sent),
        403,
        'cross_site_request',
      )
      await expectRefused(
        sendRequest(gateway.url, '/auth/refresh', { method: 'POST', headers: sent }),
        403,
        'cross_site_request',
      )
      expect((await refresh(browser)).status).toBe(200)
    })
  })

  it('the tokens of an ageing session end with it', async () => {
    const browser = await signedIn()
    await sql(
      `update sessions set created_at = now() - interval '90 days' + interval '5 minutes' where id = $1`,
      [sidOf(browser)],
    )
    const answer = await refresh(browser)
    expect(answer.status).toBe(200)
    const seconds =
      (Date.parse((JSON.parse(answer.text) as { expiresAt: string }).expiresAt) - Date.now()) / 1000
    expect(seconds).toBeGreaterThan(280)
    expect(seconds).toBeLessThanOrEqual(300)
    for (const name of ['auth_token', 'refresh_token']) {
      const age = Number(
        browser
          .cookie(name)!
          .attributes.find((one) => one.startsWith('Max-Age='))!
          .slice(8),
      )
      expect(age).toBeGreaterThan(280)
      expect(age).toBeLessThanOrEqual(300)
    }
  })

  it('no refresh succeeds after a logout has answered, and one that crosses it leaves no token', async () => {
    for (let round = 0; round < 6; round += 1) {
      const browser = await signedIn()
      const [tabs, sid] = [Array.from({ length: 6 }, () => browser.copy()), sidOf(browser)]
      let out = false
      const logout = browser
        .copy()
        .send('POST', '/auth/logout')
        .then(({ status }) => {
          out = true
          return status
        })
      const crossing = await Promise.all(
        tabs.map(async (tab, index) => {
          if (index % 2 === 0) await new Promise(setImmediate)
          const begun = out
          return { begun, answer: await refresh(tab), tab }
        }),
      )
      expect(await logout).toBe(204)
      for (const { begun, answer } of crossing)
        expect([200, 401]).toContain(
          begun && answer.status === 200 ? 'a refresh after the logout' : answer.status,
        )
      for (const { tab } of crossing) {
        expect((await refresh(tab)).status).toBe(401)
        expect(await meWith(tab.cookie('auth_token')!.value)).toBe(401)
      }
      expect(
        await sql(`select count(*)::int as active from tokens where session_id = $1 and status = 'active'`, [
          sid,
        ]),
      ).toEqual([{ active: 0 }])
    }
  })

  it('no token survives a disabling that crosses refreshes and logins, also after enabling again', async () => {
    const admin = (await tokenFor(gateway.database, 'petra')).token
    const setEnabled = (enabled: boolean) =>
      sendRequest(gateway.url, `/admin/users/${users.erin}`, {
        method: 'PATCH',
        headers: { Authorization: `Bearer ${admin}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({ enabled }),
      })
    for (let round = 0; round < 4; round += 1) {
      const browser = await signedIn('erin')
      const [tabs, late] = [
        Array.from({ length: 4 }, () => browser.copy()),
        [openBrowser(gateway.url), openBrowser(gateway.url)],
      ]
      const [disabled, ...others] = await Promise.all([
        setEnabled(false),
        ...tabs.map(refresh),
        ...late.map((one) => one.logIn('erin')),
      ])
      expect(disabled.status).toBe(200)
      // nobody waits for one who waits for them
      expect(others.filter(({ status }) => status >= 500)).toEqual([])
      expect((await setEnabled(true)).status).toBe(200)
      for (const one of [...tabs, ...late]) {
        const token = one.cookie('auth_token')?.value
        if (token !== undefined) expect(await meWith(token)).toBe(401)
        expect((await refresh(one)).status).toBe(401)
      }
    }
  })
})

describe('a change of SECRET_KEY', () => {
  const key = (name: string) => `${name}-secret-key-0123456789-abcdefghijklmnop`

  it('within 10 s: a node that knows the old secret gives the same successor; others refuse, end nothing', async () => {
    const before = await startTestGateway({ environment: { SECRET_KEY: key('old') } })
    const start = (environment: Record<string, string>) =>
      startTestGateway({ database: before.database, environment })
    const [after, stranger] = [
      await start({ SECRET_KEY: key('new'), SECRET_KEY_PREVIOUS: key('old') }),
      await start({ SECRET_KEY: key('new') }),
    ]
    try {
      const first = openBrowser(before.url)
      await first.logIn('alice')
      const spent = first.cookie('refresh_token')!.value
      expect((await first.send('POST', '/auth/refresh')).status).toBe(200)
      const at = (url: string) =>
        sendRequest(url, '/auth/refresh', { method: 'POST', headers: { Cookie: `refresh_token=${spent}` } })
      const [known, unknown] = [await at(after.url), await at(stranger.url)]
      expect([
        known.status,
        known.headers['set-cookie']?.find((line) => line.startsWith('refresh_token='))?.split(/[=;]/)[1],
      ]).toEqual([200, first.cookie('refresh_token')!.value])
      expect(statusAndCode(unknown)).toEqual([401, 'refresh_invalid'])
      expect((await first.send('POST', '/auth/refresh')).status).toBe(200)
    } finally {
      for (const one of [stranger, after]) await one.stop()
      await before.stop()
    }
  })
})
