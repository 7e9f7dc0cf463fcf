import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { parse } from 'yaml'
import { GatewayError } from '../../src/errors.js'
import { redirectTarget } from '../../src/login/redirect-target.js'
import { sendRequest } from '../support/http-client.js'
import { openBrowser } from '../support/browser.js'
import { instances, mandates, roles, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { demoPortal, insertClientWithLink, sessionOf } from '../support/portal.js'

// What the gateway answers itself is written down from its endpoints: one that comes anew is tried, too.
const document = parse(await readFile(new URL('../../openapi.yaml', import.meta.url), 'utf8')) as {
  paths: Record<string, Record<string, unknown>>
}
/** An id that is there, for each collection. */
const known: Record<string, string> = {
  users: users.bob,
  mandates: mandates.acme,
  members: users.bob,
  roles: roles.viewer,
  instances: instances.acmeCrm,
  access: users.bob,
  projects: '00000000-0000-4000-8000-000000000301',
  'portal-clients': '00000000-0000-4000-8000-000000000501',
  features: 'crm',
}
const paths = Object.entries(document.paths).flatMap(([path, operations]) =>
  operations.get === undefined
    ? []
    : [
        path.replace(
          /([\w-]+)\/\{\w+\}/g,
          (_whole, collection: string) => `${collection}/${known[collection] ?? users.alice}`,
        ),
      ],
)
const pages = [
  '/',
  '/console',
  '/console/users',
  '/docs',
  '/nothing',
  '/portal',
  '/portal/enter?token=x',
  '/portal/logout',
  '/auth/first-access/x',
  '/auth/google/callback',
  '/console/assets/nothing.js',
]

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startTestGateway()
})
afterAll(async () => {
  await gateway.stop()
})

const cookieOf = async (user: 'alice' | 'root' | 'petra') =>
  `auth_token=${(await tokenFor(gateway.database, user)).token}`
const html = { Accept: 'text/html', 'Sec-Fetch-Mode': 'navigate' }

describe('a page of the gateway', () => {
  it.each([...new Set([...pages, ...paths])])(
    '%s cannot be framed, runs no foreign script and leaks no address',
    async (path) => {
      const { headers } = await sendRequest(gateway.url, path, { headers: html })
      expect(headers['x-content-type-options']).toBe('nosniff')
      if (headers['content-type']?.startsWith('text/html') !== true) return
      const policy = String(headers['content-security-policy'])
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain("frame-ancestors 'none'")
      expect(policy).toContain("base-uri 'none'")
      expect(policy).toContain("form-action 'self'")
      expect(policy).not.toMatch(/script-src[^;]*(?:unsafe|\*|https?:|data:)/)
      expect(policy).not.toMatch(/(?:style-src|default-src)[^;]*unsafe-inline/)
      expect(headers['referrer-policy']).toMatch(/^(?:strict-origin|same-origin)$/)
    },
  )
})

describe('a GET that another site’s page makes a browser send', () => {
  const tables = [
    'users',
    'mandates',
    'user_mandates',
    'user_mandate_roles',
    'feature_instances',
    'feature_access',
    'feature_access_roles',
    'roles',
    'access_rules',
    'projects',
    'portal_clients',
    'portal_access_tokens',
    'tokens',
    'refresh_tokens',
    'user_identities',
    'first_access_links',
    'subscriptions',
  ]
  const everything = async () =>
    Object.fromEntries(
      await Promise.all(
        tables.map(async (table) => [
          table,
          await gateway.database.sql(`select * from ${table} order by 1, 2`),
        ]),
      ),
    )

  it('changes nothing, whoever is signed in', async () => {
    const cookies = [await cookieOf('root'), await cookieOf('petra'), await cookieOf('alice')]
    const before = await everything()
    const asked = paths.filter((path) => !path.startsWith('/portal/enter'))
    expect(asked.length).toBeGreaterThan(20)
    for (const path of asked) {
      await Promise.all(
        cookies.map((Cookie) =>
          sendRequest(gateway.url, path, {
            headers: { ...html, Cookie, 'Sec-Fetch-Site': 'cross-site', 'X-Mandate-Id': mandates.acme },
          }),
        ),
      )
    }
    expect(await everything()).toEqual(before)
  }, 120_000)
})

const unsafe = Object.entries(document.paths).flatMap(([path, operations]) =>
  ['post', 'put', 'patch', 'delete'].flatMap((method) =>
    operations[method] === undefined
      ? []
      : [[method.toUpperCase(), path.replace(/\{\w+\}/g, users.alice)] as const],
  ),
)
/** What keeps no cookies and lets nobody in by one: programs of any page may use it. */
const forPrograms = ['/auth/token', '/auth/revoke', '/auth/introspect', '/auth/verify']

describe('a request of another site’s page with a browser’s cookies', () => {
  it.each(unsafe.filter(([, path]) => !forPrograms.includes(path)))(
    '%s %s is refused before anything else is checked',
    async (method, path) => {
      for (const cookie of [await cookieOf('root'), 'refresh_token=x', 'portal_session=x']) {
        for (const elsewhere of [
          { 'Sec-Fetch-Site': 'cross-site' },
          { Origin: 'https://evil.example' },
          { Origin: 'null' },
        ]) {
          for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded']) {
            const { status, headers, text } = await sendRequest(gateway.url, path, {
              method,
              headers: { Cookie: cookie, 'Content-Type': type, 'X-Mandate-Id': mandates.acme, ...elsewhere },
              body: '{}',
            })
            expect([
              status,
              text.includes('cross_site_request') || text.startsWith('<!doctype html>'),
              headers['set-cookie'],
            ]).toEqual([403, true, undefined])
          }
        }
      }
    },
  )

  it('changes nothing at endpoints for programs, which ignore cookies', async () => {
    const login = await tokenFor(gateway.database, 'root')
    for (const path of forPrograms) {
      const { status, headers } = await sendRequest(gateway.url, path, {
        method: 'POST',
        headers: {
          Cookie: `auth_token=${login.token}`,
          'Content-Type': 'application/x-www-form-urlencoded',
          Origin: 'https://evil.example',
        },
        body: 'token=x&grant_type=client_credentials',
      })
      expect([path, status < 500, headers['set-cookie']]).toEqual([path, true, undefined])
    }
    expect(
      (await sendRequest(gateway.url, '/auth/me', { headers: { Cookie: `auth_token=${login.token}` } }))
        .status,
    ).toBe(200)
  })

  it('reads nothing: CORS lets it read no response of any path', async () => {
    const Cookie = await cookieOf('root')
    for (const path of [...pages, ...paths]) {
      const { headers } = await sendRequest(gateway.url, path, {
        headers: { Cookie, Origin: 'https://evil.example', 'X-Mandate-Id': mandates.acme },
      })
      const preflight = await sendRequest(gateway.url, path, {
        method: 'OPTIONS',
        headers: {
          Origin: 'https://evil.example',
          'Access-Control-Request-Method': 'DELETE',
          'Access-Control-Request-Headers': 'authorization',
        },
      })
      for (const answered of [headers, preflight.headers])
        expect([
          path,
          answered['access-control-allow-origin'],
          answered['access-control-allow-credentials'],
        ]).toEqual([path, undefined, undefined])
    }
  }, 60_000)
})

describe('a cookie that a sibling domain has set beside the gateway’s own', () => {
  /** Two of a kind, each of which is good by itself. */
  const pairs: Record<string, () => Promise<[string, string]>> = {
    auth_token: async () => [
      (await tokenFor(gateway.database, 'alice')).token,
      (await tokenFor(gateway.database, 'bob')).token,
    ],
    refresh_token: async () => {
      const [mine, theirs] = [openBrowser(gateway.url), openBrowser(gateway.url)]
      await mine.logIn('alice')
      await theirs.logIn('bob')
      return [mine.cookie('refresh_token')!.value, theirs.cookie('refresh_token')!.value]
    },
    portal_session: async () => {
      const other = await insertClientWithLink(gateway.database, mandates.acme)
      return [sessionOf(demoPortal.link), sessionOf(other.link)].map(({ Cookie }) =>
        Cookie.slice('portal_session='.length),
      ) as [string, string]
    },
  }
  it.each([
    ['auth_token', 'GET', '/auth/me'],
    ['refresh_token', 'POST', '/auth/refresh'],
    ['portal_session', 'GET', '/portal/api/me'],
  ] as const)('%s is refused with it, in any order', async (name, method, path) => {
    const [mine, theirs] = await pairs[name]!()
    const use = (cookie: string) => sendRequest(gateway.url, path, { method, headers: { Cookie: cookie } })
    for (const both of [`${name}=${mine}; ${name}=${theirs}`, `${name}=${theirs}; a=b; ${name}=${mine}`]) {
      const { status, headers } = await use(both)
      expect([400, 401]).toContain(status)
      expect(headers['set-cookie']).toBeUndefined()
    }
    for (const one of [mine, theirs]) expect((await use(`${name}=${one}`)).status).toBe(200)
  })
})

describe('a redirect', () => {
  const parameters = [
    'next',
    'url',
    'redirect',
    'redirect_uri',
    'return_to',
    'returnTo',
    'continue',
    'target',
  ]
  it('leads to no other site, whatever the parameters say', async () => {
    const query = parameters.map((name) => `${name}=https%3A%2F%2Fevil.example%2F`).join('&')
    for (const path of [...pages, ...paths]) {
      const { status, headers } = await sendRequest(
        gateway.url,
        `${path}${path.includes('?') ? '&' : '?'}${query}`,
        {
          headers: { ...html, Host: 'evil.example' },
        },
      )
      if (status >= 300 && status < 400)
        expect(new URL(String(headers.location), gateway.url).origin).toBe(gateway.url)
    }
  }, 120_000)

  const publicUrl = 'https://gateway.example'
  const origins = ['https://app.example']
  const pieces = fc.constantFrom(
    '/',
    '//',
    '\\',
    '@',
    ':',
    '#',
    '?',
    '.',
    '..',
    'https:',
    'http:',
    'HTTPS:',
    'javascript:',
    'data:',
    'https://',
    'evil.example',
    'gateway.example',
    'app.example',
    '%2f',
    '%5c',
    '%09',
    '\t',
    '\n',
    ' ',
    '\u0000',
    'user:pw@',
    ':443',
    ':444',
    '[::1]',
    'ａ',
    '。',
    'a',
  )
  it('after signing in leads to the gateway’s own paths and allowed apps, as every browser reads it', () => {
    let taken = 0
    fc.assert(
      fc.property(
        fc.array(pieces, { minLength: 1, maxLength: 7 }),
        fc.constantFrom('', '/', 'https://app.example', 'https://gateway.example'),
        (parts, begin) => {
          const next = begin + parts.join('')
          let target: string
          try {
            target = redirectTarget(next, { publicUrl, origins })
          } catch (error) {
            expect(error).toBeInstanceOf(GatewayError)
            return
          }
          taken += 1
          // browsers take tabs, newlines and blanks at the ends away, and a backslash for a slash
          for (const read of [
            target,
            target.replace(/[\t\r\n]/g, ''),
            target.trim(),
            target.replaceAll('\\', '/'),
          ]) {
            expect([publicUrl, ...origins]).toContain(
              new URL(read, `${publicUrl}/auth/google/callback`).origin,
            )
          }
        },
      ),
      { numRuns: 3000 },
    )
    expect(taken).toBeGreaterThan(100)
  })
})
