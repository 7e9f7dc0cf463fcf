import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { ask, type Answer, type Question } from '../support/ask.js'
import { tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { partsOf, signByHand } from '../support/hand-signed.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

let gateway: TestGateway
let upstream: Upstream
beforeAll(async () => {
  upstream = await startUpstream()
  gateway = await startTestGateway({
    routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes: { /echo: { upstream: own } }
`,
  })
})
afterAll(async () => {
  await gateway.stop()
  await upstream.stop()
})

const json = { 'Content-Type': 'application/json' }
const post = (path: string, body: unknown, headers: Question['headers'] = {}) => ask(gateway.url, path, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) })
const grant = (body: Record<string, string>) => post('/auth/token', body)
const hash = (text: string) => createHmac('sha256', 'x').update(text).digest('hex')

/** One good thing of each kind that this gateway gives out, and of kinds that only look like it. */
async function credentials(): Promise<Record<string, string>> {
  const login = JSON.parse((await grant({ grant_type: 'password', username: 'alice', password: 'demo-password-1' })).text) as Record<string, string>
  const accessToken = login.access_token ?? ''
  await ask(gateway.url, '/echo/x', { headers: { Authorization: `Bearer ${accessToken}` } })
  const identity = String(upstream.received.at(-1)?.headers['x-gateway-identity'])
  const api = await tokenFor(gateway.database, 'reports', { row: { purpose: 'api_token', sessionId: null }, claims: { sid: undefined } })
  const data = await tokenFor(gateway.database, 'alice', { row: { purpose: 'data_connection' } })
  const { header, claims } = partsOf(accessToken)
  const portal = Buffer.from(JSON.stringify({ tid: randomUUID(), iat: Math.floor(Date.now() / 1000) })).toString('base64url')
  return {
    'an access token': accessToken,
    'a refresh token': login.refresh_token ?? '',
    'an API token': api.token,
    'a token of a data connection': data.token,
    'an identity for upstreams': identity,
    'an identity as if it were signed with our secret': signByHand({ ...partsOf(identity).header, alg: 'HS256' }, { ...partsOf(identity).claims, jti: claims.jti, sid: claims.sid }),
    'an access token whose header says that it is an identity': signByHand({ ...header, typ: 'gateway-identity+jwt' }, claims),
    'an access token whose header says that it is an ID token of another kind': signByHand({ ...header, typ: 'logout+jwt' }, claims),
    'a client assertion (RFC 7523)': signByHand({ alg: 'HS256', typ: 'JWT' }, { iss: users.reports, sub: users.reports, aud: gateway.url, jti: randomUUID(), exp: Math.floor(Date.now() / 1000) + 60 }),
    'a first-access token or client secret': randomBytes(32).toString('base64url'),
    'the portal’s cookie': `${portal}.${hash(portal)}`,
    'a portal link’s token': 'demo-portal-link-token',
    'the hash of a refresh token': hash(login.refresh_token ?? ''),
    'a session’s id': String(claims.sid),
    'a token’s id': String(claims.jti),
    'the signing secret itself': gateway.config.APP_JWT_KEY_SECRET ?? '',
  }
}

interface Use {
  /** What it is good for. */
  good: string[]
  attempt: (credential: string) => Promise<Answer>
}

const uses: Record<string, Use> = {
  'as a bearer token': { good: ['an access token', 'an API token'], attempt: (one) => ask(gateway.url, '/auth/me', { headers: { Authorization: `Bearer ${one}` } }) },
  'as the cookie auth_token': { good: ['an access token', 'an API token'], attempt: (one) => ask(gateway.url, '/auth/me', { headers: { Cookie: `auth_token=${one}` } }) },
  'at a route': { good: ['an access token', 'an API token'], attempt: (one) => ask(gateway.url, '/echo/y', { headers: { Authorization: `Bearer ${one}` } }) },
  'as the cookie refresh_token': { good: ['a refresh token'], attempt: (one) => ask(gateway.url, '/auth/refresh', { method: 'POST', headers: { Cookie: `refresh_token=${one}` } }) },
  'as a refresh token of a program': { good: ['a refresh token'], attempt: (one) => grant({ grant_type: 'refresh_token', refresh_token: one }) },
  'as a password': { good: [], attempt: (one) => grant({ grant_type: 'password', username: 'alice', password: one }) },
  'as the link to a first password': { good: [], attempt: (one) => post(`/auth/first-access/${encodeURIComponent(one)}`, { password: 'a new password for all' }) },
  'as the cookie portal_session': { good: [], attempt: (one) => ask(gateway.url, '/portal/api/me', { headers: { Cookie: `portal_session=${one}` } }) },
  'as a client’s secret': { good: [], attempt: (one) => grant({ grant_type: 'client_credentials', client_id: 'reports', client_secret: one }) },
  'as a client’s assertion': {
    good: [], attempt: (one) => grant({ grant_type: 'client_credentials', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: one }),
  },
  'in the header of identities': { good: [], attempt: (one) => ask(gateway.url, '/auth/me', { headers: { 'X-Gateway-Identity': one } }) },
}

const kinds = [
  'an access token', 'a refresh token', 'an API token', 'a token of a data connection', 'an identity for upstreams', 'an identity as if it were signed with our secret',
  'an access token whose header says that it is an identity', 'an access token whose header says that it is an ID token of another kind', 'a client assertion (RFC 7523)',
  'a first-access token or client secret', 'the portal’s cookie', 'a portal link’s token', 'the hash of a refresh token', 'a session’s id', 'a token’s id', 'the signing secret itself',
]

describe.each(Object.entries(uses))('%s', (_name, { good, attempt }) => {
  let given: Record<string, string>
  beforeAll(async () => { given = await credentials() })

  it.each(kinds)(`%s is ${good.length > 0 ? 'taken only if it is one' : 'refused'}`, async (kind) => {
    const { status, headers, text } = await attempt(given[kind] ?? '')
    if (good.includes(kind)) expect([kind, status, text]).toEqual([kind, 200, text])
    else {
      expect([kind, status]).toEqual([kind, expect.any(Number)])
      expect(status).toBeGreaterThanOrEqual(400)
      expect(status).toBeLessThan(500)
      expect(headers['set-cookie']).toBeUndefined()
      expect(text).not.toContain('access_token')
    }
  })
  it('that was all of them', () => { expect(Object.keys(given)).toEqual(kinds) })
})
