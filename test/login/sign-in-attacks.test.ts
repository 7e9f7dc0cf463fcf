import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { openBrowser, type Browser } from '../support/browser.js'
import { users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { client } from '../support/openid-provider.js'
import {
  startTamperingProvider,
  type Tampering,
  type TamperingProvider,
} from '../support/tampering-provider.js'

const tenant = '9188040d-6c67-4c5b-b112-36a304b66dad'
let google: TamperingProvider
let microsoft: TamperingProvider
let gateway: TestGateway
let browser: Browser
beforeAll(async () => {
  google = await startTamperingProvider()
  microsoft = await startTamperingProvider({ issuerPath: '/common/v2.0', template: '/{tenantid}/v2.0' })
  gateway = await startTestGateway({
    environment: {
      GOOGLE_CLIENT_ID: client.id,
      GOOGLE_CLIENT_SECRET: client.secret,
      GOOGLE_ISSUER: google.issuer,
      MSFT_CLIENT_ID: client.id,
      MSFT_CLIENT_SECRET: client.secret,
      MSFT_ISSUER: microsoft.issuer,
    },
  })
  const link = (authority: string, issuer: string) =>
    gateway.database.sql(
      'insert into user_identities (user_id, authority, issuer, subject) values ($1, $2, $3, $4)',
      [users.alice, authority, issuer, 'subject-1'],
    )
  await link('google', google.issuer)
  await link('msft', microsoft.issuer.replace('common', tenant))
})
afterAll(async () => {
  await gateway.stop()
  await google.stop()
  await microsoft.stop()
})
beforeEach(() => {
  browser = openBrowser(gateway.url)
})

async function signIn(provider: TamperingProvider, authority: string, how: Tampering) {
  provider.tamper(how)
  const { headers } = await browser.send('GET', `/auth/${authority}/login`)
  const back = provider.authorize(headers.location!)
  const answer = await browser.send('GET', back.slice(gateway.url.length))
  return {
    status: answer.status,
    code: answer.status === 303 ? undefined : (JSON.parse(answer.text).code as string),
    cookies: answer.headers['set-cookie'],
    text: answer.text,
  }
}

describe('a provider’s response', () => {
  it('is accepted if all of it is right, and only with the verifier of the challenge', async () => {
    expect((await signIn(google, 'google', {})).status).toBe(303)
    expect(google.lastTokenRequest().get('code_verifier')!.length).toBeGreaterThanOrEqual(43)
    expect((await browser.send('GET', '/auth/me')).status).toBe(200)
  })

  it.each<[string, Tampering]>([
    ['another nonce', { claims: { nonce: 'another' } }],
    ['no nonce', { claims: { nonce: undefined } }],
    ['another audience', { claims: { aud: 'somebody-else' } }],
    ['other audiences and no authorized party', { claims: { aud: [client.id, 'somebody-else'] } }],
    ['another authorized party', { claims: { aud: [client.id, 'somebody-else'], azp: 'somebody-else' } }],
    ['another issuer', { claims: { iss: 'https://accounts.google.com' } }],
    ['no issuer', { claims: { iss: undefined } }],
    ['no subject', { claims: { sub: undefined } }],
    ['a token that has expired', { claims: { exp: Math.floor(Date.now() / 1000) - 120 } }],
    ['a token of the future', { claims: { nbf: Math.floor(Date.now() / 1000) + 600 } }],
    ['a signature by a key that is not the provider’s', { foreignKey: true }],
    [
      'an issuer of the answer that is not the one that was asked (RFC 9207)',
      { iss: 'https://login.microsoftonline.com/common/v2.0' },
    ],
  ])('is refused with %s', async (_, how) => {
    const { status, code, cookies } = await signIn(google, 'google', how)
    expect([status, code, cookies]).toEqual([401, 'sign_in_refused', undefined])
    expect((await browser.send('GET', '/auth/me')).status).toBe(401)
  })

  it.each<[string, NonNullable<Tampering['token']>, number, string]>([
    [
      'a page in place of a token',
      { status: 200, type: 'text/html', body: 'provider-secret' },
      502,
      'provider_failed',
    ],
    [
      'half a document',
      { status: 200, type: 'application/json', body: '{"access_token":"provider-secret"' },
      502,
      'provider_failed',
    ],
    [
      'a failure',
      { status: 500, type: 'application/json', body: '{"secret":"provider-secret"}' },
      502,
      'provider_failed',
    ],
    [
      'that it does not know this client',
      {
        status: 401,
        type: 'application/json',
        body: '{"error":"invalid_client","error_description":"provider-secret"}',
      },
      502,
      'provider_failed',
    ],
    [
      'a code that is worth nothing',
      {
        status: 400,
        type: 'application/json',
        body: '{"error":"invalid_grant","error_description":"provider-secret"}',
      },
      400,
      'sign_in_invalid',
    ],
    [
      'a token without an ID token',
      {
        status: 200,
        type: 'application/json',
        body: '{"access_token":"provider-secret","token_type":"Bearer"}',
      },
      401,
      'sign_in_refused',
    ],
  ])('is distinguished: %s', async (_, token, status, code) => {
    const answer = await signIn(google, 'google', { token })
    expect([answer.status, answer.code, answer.cookies]).toEqual([status, code, undefined])
    expect(answer.text).not.toContain('provider-secret')
    expect(gateway.logLines.join('\n')).not.toContain('provider-secret')
  })
})

describe('Microsoft, whose issuer is a template for all tenants', () => {
  const issued =
    (tid: unknown, issuerTenant = tenant) =>
    (): Tampering => ({ claims: { tid, iss: microsoft.issuer.replace('common', issuerTenant) } })

  it('is believed when the issuer is that of the token’s own tenant', async () => {
    expect((await signIn(microsoft, 'msft', issued(tenant)())).status).toBe(303)
  })

  it.each<[string, () => Tampering]>([
    ['another tenant than its issuer', issued('00000000-0000-4000-8000-00000000aaaa')],
    ['no tenant', issued(undefined)],
    ['the template itself', () => ({ claims: { tid: tenant } })],
    ['a tenant that is none', issued('common', 'common')],
    ['a tenant that is a place in the template', issued('{tenantid}', '{tenantid}')],
  ])('is refused with %s', async (_, how) => {
    const { status, code, cookies } = await signIn(microsoft, 'msft', how())
    expect([status, code, cookies]).toEqual([401, 'sign_in_refused', undefined])
  })

  it('has subjects of each tenant: the same subject of another tenant is another person', async () => {
    const other = '00000000-0000-4000-8000-00000000aaaa'
    const { status, code } = await signIn(microsoft, 'msft', issued(other, other)())
    expect([status, code]).toEqual([403, 'identity_unknown'])
  })
})
