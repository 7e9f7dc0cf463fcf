import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { byLanguage } from '../../src/domain/languages.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway
let production: TestGateway
beforeAll(async () => {
  gateway = await startTestGateway({
    environment: { MSFT_CLIENT_ID: 'of-the-test', MSFT_CLIENT_SECRET: 'of-the-test' },
  })
  production = await startTestGateway({
    database: gateway.database,
    environment: {
      NODE_ENV: 'production',
      APP_JWT_KEY_SECRET: 'Vq3yb1Jx0mT9rWkEoL6uZs8cHfNdPaG2',
      SECRET_KEY: 'k7Wm2PzXr5Qn8TfVb1YhJc4LdGsEaU9o',
    },
  })
})
afterAll(async () => {
  await production.stop()
  await gateway.stop()
})

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(gateway.url + path, { headers, redirect: 'manual' })
const pages = [
  '/',
  '/docs',
  '/console',
  '/console/users',
  '/console/roles/00000000-0000-4000-8000-000000000402',
]

describe.each(pages)('the page %s', (path) => {
  it('lets its browser ask nobody but this gateway, and run nothing that is not a file of it', async () => {
    const policy = (await get(path)).headers.get('Content-Security-Policy') ?? ''
    const directives = new Map(
      policy.split('; ').map((one) => [one.slice(0, one.indexOf(' ')), one.slice(one.indexOf(' ') + 1)]),
    )
    expect([...directives].filter(([name]) => name !== 'style-src')).toEqual([
      ['default-src', "'none'"],
      ['script-src', "'self'"],
      ['img-src', "'self' data:"],
      ['font-src', "'self'"],
      ['connect-src', "'self'"],
      ['base-uri', "'none'"],
      ['form-action', "'self'"],
      ['frame-ancestors', "'none'"],
    ])
    expect(directives.get('style-src')).toMatch(/^'self' 'nonce-[A-Za-z0-9+/]{22}=='$/)
  })

  it('is kept by nobody, and never has the same nonce twice', async () => {
    const [one, other] = await Promise.all([get(path), get(path)])
    expect(one.headers.get('Cache-Control')).toBe('no-store')
    expect(one.headers.get('Content-Type')).toBe('text/html; charset=utf-8')
    const nonceOf = (text: string) => /nonce="([^"]+)"/.exec(text)?.[1]
    const [first, second] = [nonceOf(await one.text()), nonceOf(await other.text())]
    expect(first).not.toBe(second)
    expect(one.headers.get('Content-Security-Policy')).toContain(`'nonce-${first ?? ''}'`)
  })

  it('names no other host, and holds no script or style of its own', async () => {
    const text = await (await get(path)).text()
    expect(text.match(/https?:\/\/|<style|<script(?![^>]* src=)|style=|\son\w+=/g)).toBeNull()
  })
})

describe('an asset', () => {
  const paths = async () =>
    [...(await (await get('/console')).text()).matchAll(/(?:src|href)="(\/console\/assets\/[^"]+)"/g)].map(
      ([, path]) => path ?? '',
    )

  it('is kept for ever, since its name changes with it', async () => {
    for (const path of await paths()) {
      const answer = await get(path)
      expect([answer.status, answer.headers.get('Cache-Control')]).toEqual([
        200,
        'public, max-age=31536000, immutable',
      ])
      expect(path).toMatch(/-[\w-]{8}\.(?:js|css|svg|woff2)$/)
    }
  })

  it('is sent as small as the browser can take it', async () => {
    const script = (await paths()).find((path) => path.endsWith('.js')) ?? ''
    const raw = (coding: string) => fetch(gateway.url + script, { headers: { 'Accept-Encoding': coding } })
    const plain = await raw('identity')
    const [br, gzip] = await Promise.all([raw('gzip, deflate, br'), raw('gzip')])
    expect([plain, br, gzip].map((one) => one.headers.get('Content-Encoding'))).toEqual([null, 'br', 'gzip'])
    const lengths = [br, gzip, plain].map((one) => Number(one.headers.get('Content-Length')))
    expect(lengths).toEqual([...lengths].sort((a, b) => a - b))
    expect(br.headers.get('Vary')).toBe('Accept-Encoding')
    const text = await plain.text()
    expect([await br.text(), await gzip.text()]).toEqual([text, text]) // which fetch has decoded
  })

  it.each(['nothing.js', '..%2fconsole.html', 'stamp', 'console.html'])(
    'that is none is 404: %s',
    async (name) => {
      const answer = await get(`/console/assets/${name}`)
      expect([400, 404]).toContain(answer.status)
      expect(answer.headers.get('Content-Type')).toContain('application/problem+json')
    },
  )
})

describe('what a page is told', () => {
  const settingsOf = async (url: string) =>
    JSON.parse(
      (
        /name="settings" content="([^"]*)"/.exec(await (await fetch(`${url}/console`)).text())?.[1] ?? ''
      ).replaceAll('&quot;', '"'),
    ) as unknown

  it('are the ways to sign in that are configured, and whether there are demo users', async () => {
    expect(await settingsOf(gateway.url)).toEqual({
      providers: [{ authority: 'msft', id: null, label: 'Microsoft', path: '/auth/msft' }],
      demo: false,
      texts: byLanguage(() => ({})),
    })
    expect(await settingsOf(production.url)).toEqual({
      providers: [],
      demo: false,
      texts: byLanguage(() => ({})),
    })
  })
})

it('in production the root leads to the console', async () => {
  const answer = await fetch(`${production.url}/`, { redirect: 'manual' })
  expect([answer.status, answer.headers.get('Location')]).toEqual([302, '/console'])
})

it('the description is served as it lies in the repository', async () => {
  const answer = await get('/openapi.yaml')
  expect(answer.headers.get('Content-Type')).toBe('application/yaml; charset=utf-8')
  expect(await answer.text()).toMatch(/^# Made by[^]*openapi: 3\.1\.0/)
})

it('pages are read, not written to', async () => {
  for (const path of pages) {
    const answer = await fetch(gateway.url + path, { method: 'POST' })
    expect([answer.status, answer.headers.get('Allow')]).toEqual([405, 'GET, HEAD, OPTIONS'])
  }
  const head = await fetch(`${gateway.url}/console`, { method: 'HEAD' })
  expect([head.status, await head.text()]).toEqual([200, ''])
})
