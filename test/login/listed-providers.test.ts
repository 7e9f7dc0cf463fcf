import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { decodeJwt } from 'jose'
import { loadConfig } from '../../src/config.js'
import { providerSettings } from '../../src/domain/provider-settings.js'
import { openBrowser, type Browser } from '../support/browser.js'
import { users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { client, startOpenIdProvider, type OpenIdProvider } from '../support/openid-provider.js'
import {
  startTamperingProvider,
  type Tampering,
  type TamperingProvider,
} from '../support/tampering-provider.js'

let corp: OpenIdProvider
let tampered: TamperingProvider
let gateway: TestGateway
let browser: Browser
let ids: Record<string, string | null>

/** Returns the variables of a provider of `OIDC_PROVIDERS`. */
const variablesOf = (prefix: string, issuer: string) => ({
  [`OIDC_${prefix}_ISSUER`]: issuer,
  [`OIDC_${prefix}_CLIENT_ID`]: client.id,
  [`OIDC_${prefix}_CLIENT_SECRET`]: client.secret,
})

beforeAll(async () => {
  corp = await startOpenIdProvider()
  tampered = await startTamperingProvider()
  gateway = await startTestGateway({
    environment: {
      OIDC_PROVIDERS: 'corp, second-one',
      ...variablesOf('CORP', corp.issuer),
      OIDC_CORP_LABEL: 'Corp <Login>',
      ...variablesOf('SECOND_ONE', tampered.issuer),
    },
  })
  corp.register(`${gateway.url}/auth/providers/corp/callback`)
  ids = Object.fromEntries(providerSettings(gateway.config).map(({ slug, id }) => [slug, id]))
})
afterAll(async () => {
  await gateway.stop()
  await corp.stop()
  await tampered.stop()
})
beforeEach(async () => {
  browser = openBrowser(gateway.url)
  await gateway.database.sql('delete from user_identities')
  tampered.tamper({})
})

const navigation = { 'Sec-Fetch-Mode': 'navigate', Accept: 'text/html', Origin: '' }
const visit = (one: Browser, path: string, site = 'cross-site') =>
  one.send('GET', path, undefined, { ...navigation, 'Sec-Fetch-Site': site })
const pathOf = (url: string) => url.slice(new URL(url).origin.length)
const link = (userId: string, slug: string, subject: string) =>
  gateway.database.sql(
    `insert into user_identities (user_id, authority, provider_id, subject) values ($1, 'oidc', $2, $3)`,
    [userId, ids[slug], subject],
  )

async function goOut(one: Browser, account: string, login = '/auth/providers/corp/login'): Promise<string> {
  const { status, headers } = await visit(one, login)
  expect(status).toBe(303)
  return pathOf(await corp.signIn(headers.location!, account))
}

describe('a provider that only the configuration knows', () => {
  it('signs in the user with the linked identity, as authority oidc, and the session says which provider', async () => {
    await link(users.alice, 'corp', 'alice-there')
    const { status, headers } = await visit(
      browser,
      await goOut(browser, 'alice-there', '/auth/providers/corp/login?next=/api/crm'),
    )
    expect([status, headers.location]).toEqual([303, '/api/crm'])
    expect((await browser.send('GET', '/auth/me')).status).toBe(200)
    const claims = decodeJwt(browser.cookie('auth_token')!.value)
    expect(claims).toMatchObject({ authenticationAuthority: 'oidc', sub: 'alice' })
    expect(
      await gateway.database.sql('select authority, provider_id from sessions where id = $1', [claims.sid]),
    ).toEqual([{ authority: 'oidc', provider_id: ids.corp }])
    expect((await browser.send('POST', '/auth/refresh')).status).toBe(200)
    expect((await browser.send('GET', '/auth/me')).status).toBe(200)
  })

  it('keeps the flow in a cookie for its own path, and passes the login hint on', async () => {
    const { headers } = await visit(browser, '/auth/providers/corp/login?loginHint=alice%40example.com')
    expect(new URL(headers.location!).searchParams.get('login_hint')).toBe('alice@example.com')
    expect(new URL(headers.location!).searchParams.get('redirect_uri')).toBe(
      `${gateway.url}/auth/providers/corp/callback`,
    )
    expect(browser.cookie('sign_in_flow')).toMatchObject({ path: '/auth/providers/corp' })
  })

  it('is found by its slug and by its id; what is unknown is the same 404, by slug or id', async () => {
    expect((await visit(browser, `/auth/providers/${ids.corp}/login`)).status).toBe(303)
    const program = { Accept: 'application/json' }
    const answers = await Promise.all(
      ['nobody', '00000000-0000-4000-8000-00000000aaaa', 'google'].flatMap((name) =>
        ['login', 'callback'].map(async (what) => {
          const answer = await browser.send('GET', `/auth/providers/${name}/${what}`, undefined, program)
          return [answer.status, (JSON.parse(answer.text) as { detail: string }).detail]
        }),
      ),
    )
    expect(new Set(answers.map((one) => one.join())).size).toBe(1)
    expect(answers[0]?.[0]).toBe(404)
  })

  it('does not let in an unlinked account, also with the email address of a user', async () => {
    const page = await visit(browser, await goOut(browser, 'alice'))
    expect([page.status, page.text.includes('identity_unknown'), page.headers['set-cookie']]).toEqual([
      403,
      true,
      undefined,
    ])
    expect(page.text).toContain('Corp &lt;Login&gt;')
  })

  it('is linked by its id, listed by its name, and unlinked with its sessions', async () => {
    await browser.logIn('bob')
    const begun = await browser.send('POST', '/auth/identities', { providerId: ids.corp, next: '/done' })
    expect(begun.status).toBe(200)
    const { authorizationUrl } = JSON.parse(begun.text) as { authorizationUrl: string }
    const done = await visit(browser, pathOf(await corp.signIn(authorizationUrl, 'bob-there')))
    expect([done.status, done.headers.location]).toEqual([303, '/done'])
    const { items } = JSON.parse((await browser.send('GET', '/auth/identities')).text) as {
      items: { id: string }[]
    }
    expect(items).toEqual([
      expect.objectContaining({ authority: 'oidc', providerId: ids.corp, label: 'Corp <Login>' }),
    ])
    const elsewhere = openBrowser(gateway.url)
    await visit(elsewhere, await goOut(elsewhere, 'bob-there'))
    expect((await elsewhere.send('GET', '/auth/me')).status).toBe(200)
    expect((await browser.send('DELETE', `/auth/identities/${items[0]?.id}`)).status).toBe(200)
    expect((await elsewhere.send('GET', '/auth/me')).status).toBe(401)
    expect((await browser.send('GET', '/auth/me')).status).toBe(200)
  })

  it('cannot be linked without naming exactly one of authority and provider', async () => {
    await browser.logIn('bob')
    for (const body of [{}, { authority: 'google', providerId: 'corp' }, { authority: 'oidc' }])
      expect((await browser.send('POST', '/auth/identities', body)).status).toBe(400)
    expect((await browser.send('POST', '/auth/identities', { providerId: 'nobody' })).status).toBe(404)
  })

  it('has subjects of its own: the same subject at another provider is another person', async () => {
    await link(users.alice, 'corp', 'subject-1')
    const { headers } = await visit(browser, '/auth/providers/second-one/login')
    const back = await visit(browser, pathOf(tampered.authorize(headers.location!)))
    expect([back.status, back.text.includes('identity_unknown')]).toEqual([403, true])
    await link(users.bob, 'second-one', 'subject-1') // both can be linked
    const again = await visit(browser, '/auth/providers/second-one/login')
    expect((await visit(browser, pathOf(tampered.authorize(again.headers.location!)))).status).toBe(303)
    expect(JSON.parse((await browser.send('GET', '/auth/me')).text)).toMatchObject({
      user: { username: 'bob' },
    })
  })

  it('is another one under another issuer or client: no old identity belongs to it', () => {
    const idOf = (environment: Record<string, string>) =>
      providerSettings(
        loadConfig({ OIDC_PROVIDERS: 'corp', ...variablesOf('CORP', corp.issuer), ...environment }),
      )[0]?.id
    const others = [
      idOf({}),
      idOf({ OIDC_CORP_ISSUER: 'https://other.example' }),
      idOf({ OIDC_CORP_CLIENT_ID: 'other' }),
    ]
    expect(new Set(others).size).toBe(3)
    expect(idOf({ OIDC_CORP_LABEL: 'Renamed', OIDC_CORP_CLIENT_SECRET: 'rotated' })).toBe(ids.corp)
  })

  it('has a row without a mandate, and one that is configured no more is not enabled', async () => {
    const rows = () =>
      gateway.database.sql(
        'select id, slug, label, kind, issuer, enabled from identity_providers where mandate_id is null order by slug',
      )
    const [first, second] = [
      { id: ids.corp, slug: 'corp', label: 'Corp <Login>', kind: 'oidc', issuer: corp.issuer },
      {
        id: ids['second-one'],
        slug: 'second-one',
        label: 'second-one',
        kind: 'oidc',
        issuer: tampered.issuer,
      },
    ]
    expect(await rows()).toEqual([
      { ...first, enabled: true },
      { ...second, enabled: true },
    ])
    const other = await startTestGateway({
      database: gateway.database,
      environment: { OIDC_PROVIDERS: 'corp', ...variablesOf('CORP', corp.issuer) },
    })
    expect(await rows()).toEqual([
      { ...first, label: 'corp', enabled: true },
      { ...second, enabled: false },
    ])
    await other.stop()
  })

  it('has its button on the sign-in page of the console, with its own address', async () => {
    const { text } = await browser.send('GET', '/console', undefined, { Accept: 'text/html' })
    const settings = JSON.parse(
      (/name="settings" content="([^"]*)"/.exec(text)?.[1] ?? '')
        .replaceAll('&quot;', '"')
        .replaceAll('&lt;', '<')
        .replaceAll('&amp;', '&'),
    ) as { providers: unknown }
    expect(settings.providers).toEqual([
      { authority: 'oidc', id: ids.corp, label: 'Corp <Login>', path: '/auth/providers/corp' },
      { authority: 'oidc', id: ids['second-one'], label: 'second-one', path: '/auth/providers/second-one' },
    ])
    expect(text).not.toContain(client.secret)
  })
})

describe('a browser that another site sends to a provider', () => {
  it('is asked first where it is signed in, and goes on by the button', async () => {
    await browser.logIn('bob')
    for (const site of ['cross-site', 'same-site']) {
      const page = await visit(browser, '/auth/providers/corp/login?next=/a%3Fb&loginHint=x', site)
      expect([page.status, page.headers.location, page.headers['set-cookie']]).toEqual([
        200,
        undefined,
        undefined,
      ])
      expect(page.text).toContain('href="/auth/providers/corp/login?next=%2Fa%3Fb&amp;loginHint=x"')
      expect(page.text).toContain('Corp &lt;Login&gt;')
    }
    expect((await visit(browser, '/auth/providers/corp/login', 'same-origin')).status).toBe(303)
    expect((await visit(browser, '/auth/providers/corp/login', 'none')).status).toBe(303)
  })

  it('goes to the provider at once where its session has ended', async () => {
    await browser.logIn('bob')
    const ended = browser.copy()
    await browser.send('POST', '/auth/logout')
    expect((await visit(ended, '/auth/providers/corp/login')).status).toBe(303)
  })
})

describe('what a configured provider responds', () => {
  async function signIn(how: Tampering) {
    tampered.tamper(how)
    await link(users.alice, 'second-one', 'subject-1')
    const { headers } = await visit(browser, '/auth/providers/second-one/login')
    const answer = await browser.send('GET', pathOf(tampered.authorize(headers.location!)))
    return {
      status: answer.status,
      code: answer.status === 303 ? undefined : (JSON.parse(answer.text) as { code: string }).code,
      cookies: answer.headers['set-cookie'],
    }
  }
  const seconds = (delta: number) => Math.floor(Date.now() / 1000) + delta

  it('is accepted if all of it is right, and clocks differ by less than a minute', async () => {
    expect((await signIn({})).status).toBe(303)
    await gateway.database.sql('delete from user_identities')
    browser = openBrowser(gateway.url)
    expect((await signIn({ claims: { exp: seconds(-45), nbf: seconds(45), iat: seconds(45) } })).status).toBe(
      303,
    )
  })

  it.each<[string, () => Tampering]>([
    ['another nonce', () => ({ claims: { nonce: 'another' } })],
    ['no nonce', () => ({ claims: { nonce: undefined } })],
    ['another audience', () => ({ claims: { aud: 'somebody-else' } })],
    ['other audiences and no authorized party', () => ({ claims: { aud: [client.id, 'somebody-else'] } })],
    ['another issuer', () => ({ claims: { iss: corp.issuer } })],
    ['no subject', () => ({ claims: { sub: undefined } })],
    ['a token that has expired', () => ({ claims: { exp: seconds(-75) } })],
    ['a token that is issued in the future', () => ({ claims: { iat: seconds(90) } })],
    ['a key that is not the provider’s', () => ({ foreignKey: true })],
    ['a signature of an algorithm that is not accepted', () => ({ alg: 'RS512' })],
    ['another issuer beside the code (RFC 9207)', () => ({ iss: corp.issuer })],
  ])('is refused with %s', async (_, how) => {
    expect(await signIn(how())).toEqual({ status: 401, code: 'sign_in_refused', cookies: undefined })
    expect((await browser.send('GET', '/auth/me')).status).toBe(401)
  })

  it('is not taken for that of another provider: a flow of one is refused at the other’s callback', async () => {
    await link(users.alice, 'second-one', 'alice-there')
    const back = await goOut(browser, 'alice-there')
    const misled = await browser.send('GET', back.replace('/corp/', '/second-one/'), undefined, {
      ...navigation,
      Accept: 'application/json',
      Cookie: `sign_in_flow=${browser.cookie('sign_in_flow')!.value}`,
    })
    expect([misled.status, (JSON.parse(misled.text) as { code: string }).code]).toEqual([
      400,
      'sign_in_invalid',
    ])
  })
})

it('a provider whose metadata names another issuer is 502, before the browser goes anywhere', async () => {
  const liar = await startTamperingProvider({ template: '/of-somebody-else' })
  const other = await startTestGateway({
    database: gateway.database,
    environment: { OIDC_PROVIDERS: 'liar', ...variablesOf('LIAR', liar.issuer) },
  })
  try {
    const { status, text, headers } = await openBrowser(other.url).send('GET', '/auth/providers/liar/login')
    expect([status, (JSON.parse(text) as { code: string }).code, headers['set-cookie']]).toEqual([
      502,
      'provider_failed',
      undefined,
    ])
  } finally {
    await other.stop()
    await liar.stop()
  }
})
