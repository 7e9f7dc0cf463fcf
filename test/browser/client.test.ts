import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose'
import { openBrowser } from '../support/chromium.js'
import { mandates, users } from '../support/demo.js'
import { startTestGateway, testSecret, type TestGateway } from '../support/gateway.js'

/** A single-page app of another origin, which has nothing but the client. */
let app: Server
let origin: string
let gateway: TestGateway
let browser: Browser
let context: BrowserContext
let asked: string[]

const built = path.resolve(import.meta.dirname, '../../dist/packages/client')

beforeAll(async () => {
  app = createServer((req, res) => {
    void (async () => {
      const file = /^\/client\/([\w-]+\.js)$/.exec(req.url ?? '')?.[1]
      res.setHeader('Content-Type', file ? 'text/javascript' : 'text/html')
      res.end(file ? await readFile(path.join(built, file)) : '<!doctype html><title>An app</title>')
    })()
  }).listen(0, '127.0.0.1')
  await once(app, 'listening')
  origin = `http://127.0.0.1:${(app.address() as AddressInfo).port}`
  ;[gateway, browser] = await Promise.all([
    startTestGateway({ demoUpstream: true, environment: { CORS_ORIGINS: origin } }),
    openBrowser(),
  ])
}, 60_000)
afterAll(async () => {
  await browser.close()
  await gateway.stop()
  app.close()
})
beforeEach(async () => {
  context = await browser.newContext()
  asked = []
  context.on('request', (request) => {
    if (request.method() !== 'OPTIONS') asked.push(`${request.method()} ${new URL(request.url()).pathname}`)
  })
})

/**
 * Runs in the page, where `gateway` is its client and `ended` how often it was told that the session is over.
 */
const run = <Value>(page: Page, code: string): Promise<Value> =>
  page.evaluate<Value>(`(async () => { const { gateway, client } = window; ${code} })()`)

async function openTab(): Promise<Page> {
  const page = await context.newPage()
  await page.goto(origin)
  await page.evaluate(`(async () => {
    window.client = await import('/client/index.js')
    window.gateway = window.client.createGatewayClient({ baseUrl: '${gateway.url}' })
    window.ended = 0
    window.gateway.onEnd(() => { window.ended += 1 })
  })()`)
  return page
}

async function signedIn(): Promise<Page> {
  const page = await openTab()
  await run(page, `await gateway.login('alice', 'demo-password-1')`)
  return page
}

const refreshes = () => asked.filter((one) => one === 'POST /auth/refresh').length
const statusOf = (page: Page, of: string) => run<number>(page, `return (await gateway.fetch('${of}')).status`)
/**
 * As if the access token had been issued a while ago: to the gateway it has expired, and the tabs do not
 * know.
 */
async function expire(): Promise<void> {
  const cookie = (await context.cookies()).find(({ name }) => name === 'auth_token')!
  const now = Math.floor(Date.now() / 1000)
  const value = await new SignJWT({ ...decodeJwt(cookie.value), iat: now - 900, exp: now - 60 })
    .setProtectedHeader(decodeProtectedHeader(cookie.value) as { alg: string })
    .sign(new TextEncoder().encode(testSecret))
  await context.addCookies([{ ...cookie, value }])
}

describe('a token that has expired', () => {
  it('is renewed once for all tabs, however many of them ask at once, and nobody notices', async () => {
    const first = await signedIn()
    const second = await openTab()
    await expire()
    const many = (page: Page) =>
      run<number[]>(
        page,
        `return await Promise.all(Array.from({ length: 10 }, async () => (await gateway.fetch('/auth/me')).status))`,
      )
    expect((await Promise.all([many(first), many(second)])).flat()).toEqual(
      Array.from({ length: 20 }, () => 200),
    )
    expect(refreshes()).toBe(1)
    expect(await Promise.all([first, second].map((page) => page.evaluate('window.ended')))).toEqual([0, 0])
  })

  it('is renewed before it is used where the tab knows that it ends, so that no request is made twice', async () => {
    const page = await signedIn()
    await page.evaluate(
      `localStorage.setItem('mandate-gateway.session', JSON.stringify({ renewedAt: 0, expiresAt: Date.now() + 5000 }))`,
    )
    asked.length = 0
    expect(await statusOf(page, '/auth/me')).toBe(200)
    expect(asked).toEqual(['POST /auth/refresh', 'GET /auth/me'])
  })

  it('whose session was revoked ends all tabs', async () => {
    const first = await signedIn()
    const second = await openTab()
    await gateway.database.sql(`update tokens set status = 'revoked' where user_id = '${users.alice}'`)
    expect(await statusOf(first, '/auth/me')).toBe(401)
    await second.waitForFunction('window.ended > 0')
  })
})

it('each tab works in its own mandate, also after a reload', async () => {
  const first = await signedIn()
  const second = await openTab()
  await run(first, `gateway.enter({ mandateId: '${mandates.acme}' })`)
  await run(second, `gateway.enter({ mandateId: '${mandates.globex}' })`)
  const where = (page: Page) =>
    run<string>(page, `return (await (await gateway.fetch('/api/crm/contacts')).json()).mandateId`)
  expect(await Promise.all([where(first), where(second)])).toEqual([mandates.acme, mandates.globex])
  await second.reload()
  expect(
    await second.evaluate(
      `(async () => {
        const { createGatewayClient } = await import('/client/index.js')
        return createGatewayClient({ baseUrl: '${gateway.url}' }).place().mandateId
      })()`,
    ),
  ).toBe(mandates.globex)
})

it('refusals are told with their code, what to do, and the request', async () => {
  const page = await signedIn()
  const problem = await run<Record<string, unknown>>(
    page,
    `
    gateway.enter({ mandateId: '${mandates.globex}' })
    const answer = await gateway.fetch('/api/crm/contacts', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{}',
    })
    const { status, code, detail, requestId } = new client.ProblemError(await client.problemOf(answer)).problem
    return { status, code, detail, requestId, header: answer.headers.get('X-Request-Id') }`,
  )
  expect(problem).toEqual({
    status: 403,
    code: 'permission_denied',
    detail: 'Permission denied: create on RESOURCE crm',
    requestId: expect.any(String),
    header: problem.requestId,
  })
  expect(
    await run(
      page,
      `try {
        await gateway.login('alice', 'wrong')
      } catch (error) {
        return error instanceof client.ProblemError && error.problem.code
      }`,
    ),
  ).toBe('credentials_invalid')
})

it('signing out in one tab is noticed in the other', async () => {
  const first = await signedIn()
  const second = await openTab()
  await run(first, 'await gateway.logout()')
  await second.waitForFunction('window.ended > 0')
  expect(await statusOf(second, '/auth/me')).toBe(401)
})
