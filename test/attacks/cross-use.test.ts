import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { SignJWT } from 'jose'
import { issueFirstAccess } from '../../src/login/first-access.js'
import { connectDatabase } from '../../src/database/connect.js'
import { sendRequest, type HttpResponse, type RequestOptions } from '../support/http-client.js'
import { tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { partsOf, signByHand } from '../support/hand-signed.js'
import { client, startOpenIdProvider, type OpenIdProvider } from '../support/openid-provider.js'
import { contentOf, cookieOf, demoPortal, enter } from '../support/portal.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

let gateway: TestGateway
let upstream: Upstream
let provider: OpenIdProvider
let petra: string
const callbackPath = (parameters: Record<string, string>) =>
  `/auth/google/callback?${new URLSearchParams(parameters).toString()}`
let robot: { id: string; username: string }
beforeAll(async () => {
  ;[upstream, provider] = [await startUpstream(), await startOpenIdProvider()]
  gateway = await startTestGateway({
    environment: {
      GOOGLE_CLIENT_ID: client.id,
      GOOGLE_CLIENT_SECRET: client.secret,
      GOOGLE_ISSUER: provider.issuer,
    },
    routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes: { /echo: { upstream: own } }
`,
  })
  provider.register(`${gateway.url}/auth/google/callback`)
  petra = (await tokenFor(gateway.database, 'petra')).token
  robot = JSON.parse(
    (await post('/admin/service-accounts', { username: 'robot' }, { Authorization: `Bearer ${petra}` })).text,
  ) as typeof robot
})
afterAll(async () => {
  await gateway.stop()
  await upstream.stop()
  await provider.stop()
})

const json = { 'Content-Type': 'application/json' }
const post = (path: string, body: unknown, headers: RequestOptions['headers'] = {}) =>
  sendRequest(gateway.url, path, {
    method: 'POST',
    headers: { ...json, ...headers },
    body: JSON.stringify(body),
  })
const grant = (body: Record<string, string>) => post('/auth/token', body)
const made = async (kind: string, body: object) =>
  JSON.parse(
    (
      await post(
        `/admin/service-accounts/${robot.id}/${kind}`,
        { label: 'x', ...body },
        { Authorization: `Bearer ${petra}` },
      )
    ).text,
  ) as Record<string, string>
const cookieNamed = (answer: HttpResponse, name: string) =>
  /=([^;]*)/.exec(
    (answer.headers['set-cookie'] ?? []).find((line) => line.startsWith(`${name}=`)) ?? '',
  )?.[1] ?? ''
const lastOf = (url: string | undefined) => (url ?? '').split('/').at(-1) ?? ''

/** Links that only somebody who starts or governs the gateway is given. */
async function links(): Promise<{ firstAccess: string; setup: string }> {
  const sql = connectDatabase({ url: gateway.database.url, setRole: false })
  try {
    const firstAccess = await sql.transaction((tx) => issueFirstAccess(tx, users.erin, null))
    // There are admins, so that one that opens something cannot be made: its row is, and the first case says
    // that it works without them.
    const setup = randomUUID()
    await gateway.database.sql(
      `insert into setup_links (token_hash, expires_at) values ($1, now() + interval '1 hour')`,
      [createHash('sha256').update(setup).digest('hex')],
    )
    return { firstAccess: lastOf(firstAccess.path), setup }
  } finally {
    await sql.close()
  }
}

/** One good thing of each kind that this gateway gives out or takes, and of kinds that only look like it. */
async function credentials(): Promise<Record<string, string>> {
  const login = JSON.parse(
    (await grant({ grant_type: 'password', username: 'alice', password: 'demo-password-1' })).text,
  ) as Record<string, string>
  const accessToken = login.access_token ?? ''
  await sendRequest(gateway.url, '/echo/x', { headers: { Authorization: `Bearer ${accessToken}` } })
  const identity = String(upstream.received.at(-1)?.headers['x-gateway-identity'])
  const data = await tokenFor(gateway.database, 'alice', { row: { purpose: 'data_connection' } })
  const { header, claims } = partsOf(accessToken)
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  await made('keys', { publicJwk: publicKey.export({ format: 'jwk' }) })
  const begun = await sendRequest(gateway.url, '/auth/google/login')
  const back = new URL(await provider.signIn(begun.headers.location ?? '', 'somebody'))
  const opened = cookieOf(await enter(gateway.url, demoPortal.token))
  const { firstAccess, setup } = await links()
  return {
    'an access token': accessToken,
    'a refresh token': login.refresh_token ?? '',
    'an API token':
      (await made('tokens', { expiresAt: new Date(Date.now() + 86_400_000).toISOString() })).token ?? '',
    'a client’s secret': (await made('secrets', {})).secret ?? '',
    'a client’s assertion': await new SignJWT({})
      .setProtectedHeader({ alg: 'EdDSA' })
      .setIssuer(robot.username)
      .setSubject(robot.username)
      .setAudience(gateway.url)
      .setJti(randomUUID())
      .setExpirationTime('60s')
      .sign(privateKey),
    'a link to a first password': firstAccess,
    'a link to the first admin': setup,
    'a portal link’s token': demoPortal.token,
    'the portal’s session': opened.value,
    'the sealed state of signing in': cookieNamed(begun, 'sign_in_flow'),
    'the state of signing in': back.searchParams.get('state') ?? '',
    'the code of signing in': back.searchParams.get('code') ?? '',
    'an identity for upstreams': identity,
    'a password': 'demo-password-1',
    // what nobody should take for anything
    'a token of a data connection': data.token,
    'an identity as if it were signed with our secret': signByHand(
      { ...partsOf(identity).header, alg: 'HS256' },
      { ...partsOf(identity).claims, jti: claims.jti, sid: claims.sid },
    ),
    'an access token whose header says that it is an identity': signByHand(
      { ...header, typ: 'gateway-identity+jwt' },
      claims,
    ),
    'an access token whose header says that it is a token to log out': signByHand(
      { ...header, typ: 'logout+jwt' },
      claims,
    ),
    'an assertion signed with our secret': signByHand(
      { alg: 'HS256', typ: 'JWT' },
      {
        iss: robot.username,
        sub: robot.username,
        aud: gateway.url,
        jti: randomUUID(),
        exp: Math.floor(Date.now() / 1000) + 60,
      },
    ),
    'the hash of a refresh token': createHash('sha256')
      .update(login.refresh_token ?? '')
      .digest('hex'),
    'a session’s id': String(claims.sid),
    'a token’s id': String(claims.jti),
    'a portal link’s id': contentOf(opened.value).tid,
    'the signing secret itself': gateway.config.APP_JWT_KEY_SECRET ?? '',
  }
}
const kinds = [
  'an access token',
  'a refresh token',
  'an API token',
  'a client’s secret',
  'a client’s assertion',
  'a link to a first password',
  'a link to the first admin',
  'a portal link’s token',
  'the portal’s session',
  'the sealed state of signing in',
  'the state of signing in',
  'the code of signing in',
  'an identity for upstreams',
  'a password',
  'a token of a data connection',
  'an identity as if it were signed with our secret',
  'an access token whose header says that it is an identity',
  'an access token whose header says that it is a token to log out',
  'an assertion signed with our secret',
  'the hash of a refresh token',
  'a session’s id',
  'a token’s id',
  'a portal link’s id',
  'the signing secret itself',
]

interface Use {
  /** What it is good for, and the answer to that. */
  good: string[]
  status?: number
  /** The answer to everything else: status, and code or OAuth error. */
  refused: [number, string]
  attempt: (credential: string, all: Record<string, string>) => Promise<HttpResponse>
}
const asCookie = (name: string, one: string) => ({ headers: { Cookie: `${name}=${one}` } })

const uses: Record<string, Use> = {
  'as a bearer token': {
    good: ['an access token', 'an API token'],
    refused: [401, 'token_invalid'],
    attempt: (one) => sendRequest(gateway.url, '/auth/me', { headers: { Authorization: `Bearer ${one}` } }),
  },
  'as the cookie auth_token': {
    good: ['an access token', 'an API token'],
    refused: [401, 'token_invalid'],
    attempt: (one) => sendRequest(gateway.url, '/auth/me', asCookie('auth_token', one)),
  },
  'at a route': {
    good: ['an access token', 'an API token'],
    refused: [401, 'token_invalid'],
    attempt: (one) => sendRequest(gateway.url, '/echo/y', { headers: { Authorization: `Bearer ${one}` } }),
  },
  'as the cookie refresh_token': {
    good: ['a refresh token'],
    refused: [401, 'refresh_invalid'],
    attempt: (one) =>
      sendRequest(gateway.url, '/auth/refresh', { method: 'POST', ...asCookie('refresh_token', one) }),
  },
  'as a refresh token of a program': {
    good: ['a refresh token'],
    refused: [400, 'invalid_grant'],
    attempt: (one) => grant({ grant_type: 'refresh_token', refresh_token: one }),
  },
  'as a password': {
    good: ['a password'],
    refused: [400, 'invalid_grant'],
    attempt: (one) => grant({ grant_type: 'password', username: 'alice', password: one }),
  },
  'as the link to a first password': {
    good: ['a link to a first password'],
    status: 204,
    refused: [404, 'not_found'],
    attempt: (one) =>
      post(`/auth/first-access/${encodeURIComponent(one)}`, { password: 'a new password for all' }),
  },
  'as the link to the first admin': {
    good: [],
    refused: [404, 'not_found'],
    attempt: (one) =>
      post(`/auth/setup/${encodeURIComponent(one)}`, {
        username: 'mallory',
        password: 'a new password for all',
      }),
  },
  'as the link to the portal': {
    good: ['a portal link’s token'],
    status: 303,
    refused: [401, 'a page'],
    attempt: (one) => enter(gateway.url, one),
  },
  'as the cookie portal_session': {
    good: ['the portal’s session'],
    refused: [401, 'portal_access_required'],
    attempt: (one) => sendRequest(gateway.url, '/portal/api/me', asCookie('portal_session', one)),
  },
  'as a client’s secret': {
    good: ['a client’s secret'],
    refused: [401, 'invalid_client'],
    attempt: (one) =>
      grant({ grant_type: 'client_credentials', client_id: robot.username, client_secret: one }),
  },
  'as a client’s assertion': {
    good: ['a client’s assertion'],
    refused: [401, 'invalid_client'],
    attempt: (one) =>
      grant({
        grant_type: 'client_credentials',
        client_assertion_type: assertionType,
        client_assertion: one,
      }),
  },
  'as the state of signing in': {
    // of somebody whom nobody has linked
    good: ['the state of signing in'],
    status: 403,
    refused: [400, 'sign_in_invalid'],
    attempt: (one, all) =>
      sendRequest(
        gateway.url,
        callbackPath({ state: one, code: all['the code of signing in'] ?? '', iss: provider.issuer }),
        asCookie('sign_in_flow', all['the sealed state of signing in'] ?? ''),
      ),
  },
  'as the sealed state of signing in': {
    good: [],
    refused: [400, 'sign_in_invalid'], // the right one has been used, above
    attempt: (one, all) =>
      sendRequest(
        gateway.url,
        callbackPath({ state: all['the state of signing in'] ?? '', code: 'x' }),
        asCookie('sign_in_flow', one === all['the sealed state of signing in'] ? '' : one),
      ),
  },
  'in the header of identities': {
    good: [],
    refused: [401, 'authentication_required'],
    attempt: (one) => sendRequest(gateway.url, '/auth/me', { headers: { 'X-Gateway-Identity': one } }),
  },
  'as a token that a program asks about': {
    good: ['an access token', 'a refresh token', 'an API token'],
    refused: [200, 'inactive'],
    attempt: async (one, all) =>
      post('/auth/introspect', { token: one }, { Authorization: `Bearer ${all['an API token'] ?? ''}` }),
  },
}

/** The code of a problem, or the error of OAuth. */
function codeIn({ text }: HttpResponse): string | undefined {
  if (text.startsWith('<!doctype html>')) return 'a page'
  const body = JSON.parse(text || '{}') as { code?: string; error?: string; active?: boolean }
  return body.code ?? body.error ?? (body.active === false ? 'inactive' : undefined)
}

describe.each(Object.entries(uses))('%s', (_name, { good, status: goodStatus = 200, refused, attempt }) => {
  let given: Record<string, string>
  beforeAll(async () => {
    given = await credentials()
  })

  it.each(kinds)(`%s is ${good.length > 0 ? 'taken only if it is one' : 'refused'}`, async (kind) => {
    const answer = await attempt(given[kind] ?? '', given)
    if (good.includes(kind)) {
      expect([kind, answer.status, answer.text]).toEqual([kind, goodStatus, answer.text])
      expect(codeIn(answer)).not.toBe(refused[1])
    } else {
      expect([kind, answer.status, codeIn(answer)]).toEqual([kind, ...refused])
      expect((answer.headers['set-cookie'] ?? []).filter((line) => !line.includes('Max-Age=0'))).toEqual([])
      expect(answer.text).not.toMatch(/access_token|eyJ/)
    }
  })
  it('every kind of secret is covered', () => {
    expect(Object.keys(given)).toEqual(kinds)
    for (const kind of kinds) expect([kind, given[kind]?.length ?? 0]).not.toEqual([kind, 0])
  })
})
