import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { parse } from 'yaml'
import { GatewayError } from '../../src/errors.js'
import { redirectTarget } from '../../src/login/redirect-target.js'
import { ask } from '../support/ask.js'
import { instances, mandates, roles, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

// What the gateway answers itself is written down from its endpoints: one that comes anew is tried, too.
const document = parse(await readFile(new URL('../../openapi.yaml', import.meta.url), 'utf8')) as { paths: Record<string, Record<string, unknown>> }
/** An id that is there, for each collection. */
const known: Record<string, string> = {
  users: users.bob, mandates: mandates.acme, members: users.bob, roles: roles.viewer, instances: instances.acmeCrm, access: users.bob,
  projects: '00000000-0000-4000-8000-000000000301', 'portal-clients': '00000000-0000-4000-8000-000000000501', features: 'crm',
}
const paths = Object.entries(document.paths).flatMap(([path, operations]) => operations.get === undefined ? [] : [path.replace(/([\w-]+)\/\{\w+\}/g, (_whole, collection: string) => `${collection}/${known[collection] ?? users.alice}`)])
const pages = ['/', '/console', '/console/users', '/docs', '/nothing', '/portal', '/portal/enter?token=x', '/portal/logout', '/auth/first-access/x', '/auth/google/callback', '/console/assets/nothing.js']

let gateway: TestGateway
beforeAll(async () => { gateway = await startTestGateway() })
afterAll(async () => { await gateway.stop() })

const cookieOf = async (user: 'alice' | 'root' | 'petra') => `auth_token=${(await tokenFor(gateway.database, user)).token}`
const html = { Accept: 'text/html', 'Sec-Fetch-Mode': 'navigate' }

describe('a page of the gateway', () => {
  it.each([...new Set([...pages, ...paths])])('%s cannot be framed, runs nothing from elsewhere and tells nobody its address', async (path) => {
    const { headers } = await ask(gateway.url, path, { headers: html })
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
  })
})

describe('what another site’s page can make a browser ask for', () => {
  const tables = ['users', 'mandates', 'user_mandates', 'user_mandate_roles', 'feature_instances', 'feature_access', 'feature_access_roles', 'roles', 'access_rules', 'projects', 'portal_clients', 'portal_access_tokens', 'tokens', 'refresh_tokens', 'user_identities', 'first_access_links', 'subscriptions']
  const everything = async () => Object.fromEntries(await Promise.all(tables.map(async (table) => [table, await gateway.database.sql(`select * from ${table} order by 1, 2`)])))

  it('changes nothing, whoever is signed in: not by any GET', async () => {
    const cookies = [await cookieOf('root'), await cookieOf('petra'), await cookieOf('alice')]
    const before = await everything()
    const asked = paths.filter((path) => !path.startsWith('/portal/enter'))
    expect(asked.length).toBeGreaterThan(20)
    for (const path of asked) {
      await Promise.all(cookies.map((Cookie) => ask(gateway.url, path, { headers: { ...html, Cookie, 'Sec-Fetch-Site': 'cross-site', 'X-Mandate-Id': mandates.acme } })))
    }
    expect(await everything()).toEqual(before)
  }, 120_000)
})

describe('a redirect', () => {
  const parameters = ['next', 'url', 'redirect', 'redirect_uri', 'return_to', 'returnTo', 'continue', 'target']
  it('leads to no other site, whatever parameter asks for one', async () => {
    const query = parameters.map((name) => `${name}=https%3A%2F%2Fevil.example%2F`).join('&')
    for (const path of [...pages, ...paths]) {
      const { status, headers } = await ask(gateway.url, `${path}${path.includes('?') ? '&' : '?'}${query}`, { headers: { ...html, Host: 'evil.example' } })
      if (status >= 300 && status < 400) expect(new URL(String(headers.location), gateway.url).origin).toBe(gateway.url)
    }
  }, 120_000)

  const publicUrl = 'https://gateway.example'
  const origins = ['https://app.example']
  const pieces = fc.constantFrom('/', '//', '\\', '@', ':', '#', '?', '.', '..', 'https:', 'http:', 'HTTPS:', 'javascript:', 'data:', 'https://', 'evil.example', 'gateway.example', 'app.example', '%2f', '%5c', '%09', '\t', '\n', ' ', '\u0000', 'user:pw@', ':443', ':444', '[::1]', 'ａ', '。', 'a')
  it('after signing in leads to the gateway’s own paths and allowed apps, as every browser reads it', () => {
    let taken = 0
    fc.assert(fc.property(fc.array(pieces, { minLength: 1, maxLength: 7 }), fc.constantFrom('', '/', 'https://app.example', 'https://gateway.example'), (parts, begin) => {
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
      for (const read of [target, target.replace(/[\t\r\n]/g, ''), target.trim(), target.replaceAll('\\', '/')]) {
        expect([publicUrl, ...origins]).toContain(new URL(read, `${publicUrl}/auth/google/callback`).origin)
      }
    }), { numRuns: 3000 })
    expect(taken).toBeGreaterThan(100)
  })
})
