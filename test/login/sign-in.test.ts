import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { decodeJwt } from 'jose'
import { knownAuthorities, type KnownAuthority } from '../../src/domain/authorities.js'
import { openBrowser, type Browser } from '../support/browser.js'
import { users } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { client, startOpenIdProvider, type OpenIdProvider } from '../support/openid-provider.js'

/** A real provider for each row of the table of known providers. */
let providers: Record<KnownAuthority, OpenIdProvider>
let google: OpenIdProvider
let gateway: TestGateway
beforeAll(async () => {
  const started = await Promise.all(
    knownAuthorities.map(async (authority) => {
      const authMethod = authority === 'msft' ? 'client_secret_basic' : 'client_secret_post'
      return [authority, await startOpenIdProvider({ authMethod })] as const
    }),
  )
  providers = Object.fromEntries(started) as typeof providers
  google = providers.google
  gateway = await startTestGateway({
    environment: {
      ...Object.fromEntries(
        started.flatMap(([authority, { issuer }]) => [
          [`${authority.toUpperCase()}_CLIENT_ID`, client.id],
          [`${authority.toUpperCase()}_CLIENT_SECRET`, client.secret],
          [`${authority.toUpperCase()}_ISSUER`, issuer],
        ]),
      ),
      CORS_ORIGINS: 'https://app.example.com',
    },
  })
  for (const [authority, provider] of started) provider.register(`${gateway.url}/auth/${authority}/callback`)
})
afterAll(async () => {
  await gateway.stop()
  await Promise.all(Object.values(providers).map((provider) => provider.stop()))
})

let browser: Browser
beforeEach(async () => {
  browser = openBrowser(gateway.url)
  await gateway.database.sql('delete from user_identities')
})

/** A navigation that another site made the browser do, as the way back from the provider is. */
const navigation = {
  'Sec-Fetch-Site': 'cross-site',
  'Sec-Fetch-Mode': 'navigate',
  Accept: 'text/html',
  Origin: '',
}
const visit = (one: Browser, path: string) => one.send('GET', path, undefined, navigation)
const pathOf = (url: string) => url.slice(new URL(url).origin.length)
const identity = (userId: string, authority: KnownAuthority, subject: string) =>
  gateway.database.sql(
    'insert into user_identities (user_id, authority, issuer, subject) values ($1, $2, $3, $4)',
    [userId, authority, providers[authority].issuer, subject],
  )

/** From the gateway to the provider; answers the address that it sends the browser back to. */
async function goOut(one: Browser, authority: KnownAuthority, account: string, next = ''): Promise<string> {
  const { status, headers } = await visit(
    one,
    `/auth/${authority}/login${next && `?next=${encodeURIComponent(next)}`}`,
  )
  expect(status).toBe(303)
  return pathOf(await providers[authority].signIn(headers.location!, account))
}
const signIn = async (one: Browser, authority: KnownAuthority, account: string, next = '') =>
  visit(one, await goOut(one, authority, account, next))
const me = (one: Browser) => one.send('GET', '/auth/me')
const sessions = async () =>
  Number((await gateway.database.sql<{ n: string }>('select count(*) as n from sessions'))[0]!.n)

describe.each(knownAuthorities)('signing in with %s', (authority) => {
  it('signs in the user with the linked identity, with tokens of that authority, and redirects', async () => {
    await identity(users.alice, authority, 'alice-there')
    const { status, headers } = await signIn(browser, authority, 'alice-there', '/api/crm?x=1#here')
    expect([status, headers.location]).toEqual([303, '/api/crm?x=1#here'])
    const answer = await me(browser)
    expect([answer.status, JSON.parse(answer.text).user.username]).toEqual([200, 'alice'])
    expect(decodeJwt(browser.cookie('auth_token')!.value)).toMatchObject({
      authenticationAuthority: authority,
      sub: 'alice',
    })
    expect(browser.cookie('auth_token')).toMatchObject({
      path: '/',
      attributes: expect.arrayContaining(['HttpOnly', 'SameSite=Lax']),
    })
    expect((await browser.send('POST', '/auth/refresh')).status).toBe(200)
    const [row] = await gateway.database.sql('select authority, purpose from tokens where id = $1', [
      decodeJwt(browser.cookie('auth_token')!.value).jti,
    ])
    expect(row).toEqual({ authority, purpose: 'auth_session' })
    expect(browser.cookie('sign_in_flow')).toBeUndefined() // it has come to its end
  })

  it('asks for a code with PKCE, state and nonce, kept in a sealed cookie for its path alone', async () => {
    const { headers } = await visit(browser, `/auth/${authority}/login`)
    const asked = new URL(headers.location!).searchParams
    expect(Object.fromEntries(asked)).toMatchObject({
      response_type: 'code',
      client_id: client.id,
      redirect_uri: `${gateway.url}/auth/${authority}/callback`,
      code_challenge_method: 'S256',
      scope: 'openid email',
    })
    for (const name of ['state', 'nonce', 'code_challenge'])
      expect(asked.get(name)!.length).toBeGreaterThanOrEqual(43)
    expect(browser.cookie('sign_in_flow')).toMatchObject({
      path: `/auth/${authority}`,
      attributes: expect.arrayContaining(['HttpOnly', 'SameSite=Lax', 'Max-Age=600']),
    })
    expect(browser.cookie('sign_in_flow')!.value).not.toContain(asked.get('state'))
  })

  it('refuses an unlinked identity, also with the email address of a user, and says how to link it', async () => {
    const before = await sessions()
    const page = await signIn(browser, authority, 'alice') // whose email is alice@example.com
    expect([page.status, page.headers['content-type'], page.headers['set-cookie']]).toEqual([
      403,
      'text/html; charset=utf-8',
      undefined,
    ])
    expect(page.text).toContain('identity_unknown')
    expect(page.text).toContain('/auth/identities')
    expect((await me(browser)).status).toBe(401)
    expect(await sessions()).toBe(before)
    const program = await browser.send('GET', await goOut(browser, authority, 'alice'), undefined, {
      Accept: 'application/json',
    })
    expect([program.status, JSON.parse(program.text).code]).toEqual([403, 'identity_unknown'])
  })

  it('does not let a disabled user in, nor a service account', async () => {
    await identity(users.dave, authority, 'dave-there')
    await identity(users.reports, authority, 'reports-there')
    expect((await signIn(browser, authority, 'dave-there')).text).toContain('user_disabled')
    expect((await signIn(browser, authority, 'reports-there')).text).toContain('identity_unknown')
  })

  it('is refused for a state that is wrong, missing, of another browser, or has been used', async () => {
    await identity(users.alice, authority, 'alice-there')
    const back = await goOut(browser, authority, 'alice-there')
    const wrong = back.replace(/state=[^&]*/, 'state=wrong')
    for (const [one, path] of [
      [browser, wrong],
      [browser, back.replace(/state=[^&]*/, '')],
      [openBrowser(gateway.url), back],
      [browser, `/auth/${authority}/callback`],
    ] as const) {
      const refused = await visit(one, path)
      expect([
        refused.status,
        refused.text.includes('sign_in_invalid'),
        refused.headers['set-cookie'],
      ]).toEqual([400, true, undefined])
    }
    expect((await visit(browser, back)).status).toBe(303)
    expect((await visit(browser, back)).text).toContain('sign_in_invalid')
  })

  it('is refused for a code that has been used, though the browser kept its cookie', async () => {
    await identity(users.alice, authority, 'alice-there')
    const back = await goOut(browser, authority, 'alice-there')
    const thief = browser.copy()
    expect((await visit(browser, back)).status).toBe(303)
    const replayed = await visit(thief, back)
    expect([replayed.status, replayed.text.includes('sign_in_invalid')]).toEqual([400, true])
    expect((await me(thief)).status).toBe(401)
  })

  it('says why when the provider refuses', async () => {
    const { headers } = await visit(browser, `/auth/${authority}/login`)
    const state = new URL(headers.location!).searchParams.get('state')!
    const iss = encodeURIComponent(providers[authority].issuer)
    const refused = await visit(
      browser,
      `/auth/${authority}/callback?error=access_denied&error_description=%3Cscript%3E&state=${state}&iss=${iss}`,
    )
    expect([
      refused.status,
      refused.text.includes('sign_in_refused'),
      refused.text.includes('access_denied'),
      refused.text.includes('script'),
    ]).toEqual([401, true, true, false])
  })
})

describe('two providers', () => {
  it('are not confused: a flow of one is refused at the callback of the other', async () => {
    await identity(users.alice, 'google', 'alice-there')
    await identity(users.alice, 'msft', 'alice-there')
    const back = await goOut(browser, 'google', 'alice-there')
    await goOut(browser, 'msft', 'alice-there')
    const flow = browser.copy()
    const misled = await visit(browser, back.replace('/google/', '/msft/'))
    expect([misled.status, misled.text.includes('sign_in_invalid')]).toEqual([400, true])
    // also for a client that sends the cookie of one path to the other
    const cookie = `sign_in_flow=${flow.cookie('sign_in_flow')!.value}`
    const forced = await openBrowser(gateway.url).send('GET', back.replace('/google/', '/msft/'), undefined, {
      ...navigation,
      Cookie: cookie,
    })
    expect(forced.status).toBe(400)
    expect((await visit(flow, back)).status).toBe(303)
  })

  it('may both be on their way in one browser, and each twice', async () => {
    await identity(users.alice, 'google', 'alice-there')
    await identity(users.bob, 'msft', 'bob-there')
    const [first, second, other] = [
      await goOut(browser, 'google', 'alice-there', '/a'),
      await goOut(browser, 'google', 'alice-there', '/b'),
      await goOut(browser, 'msft', 'bob-there', '/c'),
    ]
    for (const [path, next] of [
      [second, '/b'],
      [other, '/c'],
      [first, '/a'],
    ] as const)
      expect((await visit(browser, path)).headers.location).toBe(next)
  })
})

describe('the address to go to afterwards', () => {
  it.each(['/', '/a/b?c=d#e', '/portal', 'https://app.example.com/there?x=1'])('may be %s', async (next) => {
    const answer = await visit(browser, `/auth/google/login?next=${encodeURIComponent(next)}`)
    expect(answer.status).toBe(303)
  })

  it.each([
    'https://evil.example/',
    '//evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    'https:evil.example',
    'javascript:alert(1)',
    '/%09/evil.example\t',
    '\t//evil.example',
    '/a/..//evil.example',
    'https://app.example.com@evil.example/',
    'https://user:x@app.example.com/',
    'https://app.example.com.evil.example/',
    'http://app.example.com/',
    'evil',
    ' /',
    `/${'x'.repeat(1000)}`,
    'data:text/html,x',
  ])('is refused before anything begins: %s', async (next) => {
    const { status, headers, text } = await browser.send(
      'GET',
      `/auth/google/login?next=${encodeURIComponent(next)}`,
      undefined,
      { Accept: 'application/json' },
    )
    expect([status, headers.location, headers['set-cookie'], JSON.parse(text).code]).toEqual([
      400,
      undefined,
      undefined,
      'validation_failed',
    ])
  })

  it('is refused where it came twice', async () => {
    expect((await visit(browser, '/auth/google/login?next=/a&next=//evil.example')).status).toBe(400)
  })
})

describe('identities', () => {
  const linked = async (one: Browser) =>
    JSON.parse((await one.send('GET', '/auth/identities')).text).items as {
      id: string
      authority: string
      email: string
    }[]
  const begin = async (one: Browser, authority: KnownAuthority, account: string) => {
    const { status, text } = await one.send('POST', '/auth/identities', { authority, next: '/done' })
    expect(status).toBe(200)
    return pathOf(await providers[authority].signIn(JSON.parse(text).authorizationUrl as string, account))
  }

  it('are linked by a signed-in user, and then sign that user in', async () => {
    await browser.logIn('bob')
    const done = await visit(browser, await begin(browser, 'google', 'somebody'))
    expect([done.status, done.headers.location]).toEqual([303, '/done'])
    expect(await linked(browser)).toEqual([
      {
        id: expect.any(String),
        authority: 'google',
        email: 'somebody@example.com',
        linkedAt: expect.any(String),
        lastUsedAt: null,
      },
    ])
    const other = openBrowser(gateway.url)
    expect((await signIn(other, 'google', 'somebody')).status).toBe(303)
    expect(JSON.parse((await me(other)).text).user.username).toBe('bob')
    const events = await gateway.database.sql(
      `select user_id from audit_events where action = 'identity_linked'`,
    )
    expect(events).toEqual([{ user_id: users.bob }])
  })

  it('belong to one user: a second user is refused, and the first keeps it', async () => {
    await identity(users.alice, 'google', 'shared')
    await browser.logIn('bob')
    const refused = await visit(browser, await begin(browser, 'google', 'shared'))
    expect([refused.status, refused.text.includes('conflict')]).toEqual([409, true])
    expect(await linked(browser)).toEqual([])
  })

  it('are not linked when the session has ended meanwhile', async () => {
    await browser.logIn('bob')
    const back = await begin(browser, 'google', 'late')
    const tab = browser.copy()
    await browser.send('POST', '/auth/logout')
    expect((await visit(tab, back)).text).toContain('sign_in_invalid')
    expect(await gateway.database.sql('select from user_identities')).toEqual([])
  })

  it('are not linked by another site, nor without being signed in, nor by an API token', async () => {
    await browser.logIn('bob')
    expect(
      (
        await browser.send(
          'POST',
          '/auth/identities',
          { authority: 'google' },
          { 'Sec-Fetch-Site': 'cross-site' },
        )
      ).status,
    ).toBe(403)
    expect(
      (await openBrowser(gateway.url).send('POST', '/auth/identities', { authority: 'google' })).status,
    ).toBe(401)
    expect((await browser.send('POST', '/auth/identities', { authority: 'local' })).status).toBe(400)
    expect(
      (await browser.send('POST', '/auth/identities', { authority: 'google', next: '//evil.example' }))
        .status,
    ).toBe(400)
  })

  it('are unlinked: then they sign no user in, and their sessions have ended', async () => {
    await browser.logIn('bob')
    await visit(browser, await begin(browser, 'google', 'mine'))
    const elsewhere = openBrowser(gateway.url)
    await signIn(elsewhere, 'google', 'mine')
    expect((await me(elsewhere)).status).toBe(200)
    const { id } = (await linked(browser))[0]!
    const answer = await browser.send('DELETE', `/auth/identities/${id}`)
    expect([answer.status, Object.keys(JSON.parse(answer.text).coherence as object)]).toEqual([
      200,
      ['epoch', 'acked', 'fenced', 'waitedMs'],
    ])
    expect((await me(elsewhere)).status).toBe(401)
    expect((await elsewhere.send('POST', '/auth/refresh')).status).toBe(401)
    expect((await me(browser)).status).toBe(200)
    expect((await signIn(openBrowser(gateway.url), 'google', 'mine')).status).toBe(403)
    expect((await browser.send('DELETE', `/auth/identities/${id}`)).status).toBe(404)
  })

  it('are never unlinked when no other way in is left', async () => {
    const { id: userId } = await directoryOf(gateway.database).user()
    await identity(userId, 'google', 'only')
    await signIn(browser, 'google', 'only')
    const { id } = (await linked(browser))[0]!
    expect((await browser.send('DELETE', `/auth/identities/${id}`)).status).toBe(409)
    await visit(browser, await begin(browser, 'msft', 'second'))
    expect((await browser.send('DELETE', `/auth/identities/${id}`)).status).toBe(200)
  })

  it('of another user are not found', async () => {
    await identity(users.alice, 'google', 'hers')
    const [{ id }] = (await gateway.database.sql<{ id: string }>('select id from user_identities')) as [
      { id: string },
    ]
    await browser.logIn('bob')
    expect((await browser.send('DELETE', `/auth/identities/${id}`)).status).toBe(404)
    expect(await linked(browser)).toEqual([])
  })
})

describe('a provider that is away', () => {
  it('is 503 with a clear text, at the beginning and on the way back, and works again by itself', async () => {
    await identity(users.alice, 'google', 'alice-there')
    const back = await goOut(browser, 'google', 'alice-there')
    await google.pause()
    const away = await visit(browser, back)
    expect([away.status, away.text.includes('provider_unavailable'), away.headers['set-cookie']]).toEqual([
      503,
      true,
      undefined,
    ])
    await google.resume()
    expect((await visit(browser, back)).status).toBe(303)
  })

  it('is 503 where it was never there', async () => {
    const other = await startTestGateway({
      database: gateway.database,
      environment: { GOOGLE_CLIENT_ID: 'x', GOOGLE_CLIENT_SECRET: 'y', GOOGLE_ISSUER: 'http://127.0.0.1:1' },
    })
    try {
      const { status, text, headers } = await openBrowser(other.url).send('GET', '/auth/google/login')
      expect([status, JSON.parse(text).code, headers['set-cookie']]).toEqual([
        503,
        'provider_unavailable',
        undefined,
      ])
      expect(Number(headers['retry-after'])).toBeGreaterThan(0)
      // not set up
      for (const path of ['/auth/msft/login', '/auth/msft/callback?code=x&state=y'])
        expect((await openBrowser(other.url).send('GET', path)).status).toBe(404)
    } finally {
      await other.stop()
    }
  })
})

it('the log holds no code, state, nonce, verifier, secret or address of any of it', async () => {
  await identity(users.alice, 'google', 'alice-there')
  const { headers } = await visit(browser, '/auth/google/login?next=/some/where')
  const asked = new URL(headers.location!).searchParams
  const back = pathOf(await google.signIn(headers.location!, 'alice-there'))
  await visit(browser, back.replace('code=', 'code=x'))
  await visit(browser, back)
  const log = gateway.logLines.join('\n')
  const code = new URLSearchParams(back.split('?')[1]).get('code')!
  for (const secret of [
    code,
    asked.get('state')!,
    asked.get('nonce')!,
    asked.get('code_challenge')!,
    client.secret,
    '/some/where',
    'alice-there',
  ])
    expect([secret, log.includes(secret)]).toEqual([secret, false])
  expect(log).toContain('/auth/google/callback')
})
