import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { createLocalJWKSet, generateKeyPair, jwtVerify } from 'jose'
import request from 'supertest'
import { createLogger } from 'winston'
import type { Principal } from '../../src/authentication/principal.js'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { openIdentityKeys, type IdentityKeys } from '../../src/proxy/identity-keys.js'
import { createIdentities, type Introduction } from '../../src/proxy/identity.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { instances, mandates, roles, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { partsOf } from '../support/hand-signed.js'
import { expectProblem } from '../support/problems.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const alice = (flags: { isSysAdmin?: boolean; isPlatformAdmin?: boolean } = {}): Principal => ({
  user: {
    id: users.alice,
    username: 'alice',
    email: null,
    fullName: null,
    isSysAdmin: false,
    isPlatformAdmin: false,
    ...flags,
  },
  tokenId: 'an-id',
  sessionId: 'a-session',
  authority: 'local',
  isServiceAccount: false,
  purpose: 'auth_session',
  issuedAtMs: 0,
  session: undefined,
  dependsOn: [],
  expiresAtMs: Infinity,
})
const acme = () => ({
  entry: {},
  mandateId: mandates.acme,
  featureInstanceId: null,
  roleIds: [roles.acmeAdmin],
})

/** The same caller, place and upstream, but for what a test changes. */
function introduction(changes: Partial<Introduction> = {}): Introduction {
  return { caller: alice(), context: acme(), accessLevel: 'a', upstream: 'crm', ...changes }
}

describe('an identity', () => {
  let database: TestDatabase
  let pool: Database
  let keys: IdentityKeys
  let nowMs = 0
  beforeAll(async () => {
    database = await createTestDatabase()
    pool = connectDatabase({ url: database.url, setRole: false })
    keys = await openIdentityKeys({
      database: pool,
      logger: createLogger({ silent: true }),
      secret: 'the-secret-of-the-tests-0123456789-abc',
    })
  })
  afterAll(async () => {
    await keys.close()
    await pool.close()
    await database.drop()
  })
  beforeEach(() => {
    nowMs = Date.now()
  })

  const identities = () => createIdentities({ keys, now: () => nowMs })
  const claimsOf = async (changes: Partial<Introduction>) =>
    partsOf(await identities()(introduction(changes))).claims

  it('is a JWT for one upstream and one minute, which the published keys verify', async () => {
    const token = await identities()(introduction())
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(keys.jwks()), {
      audience: 'crm',
      issuer: 'mandate-gateway',
    })
    expect(protectedHeader).toEqual({ alg: 'EdDSA', typ: 'gateway-identity+jwt', kid: keys.signing().kid })
    const iat = Math.floor(nowMs / 1000)
    expect(payload).toEqual({
      iss: 'mandate-gateway',
      aud: 'crm',
      sub: 'alice',
      userId: users.alice,
      authenticationAuthority: 'local',
      sid: 'a-session',
      mandateId: mandates.acme,
      roleIds: [roles.acmeAdmin],
      accessLevel: 'a',
      acr: '1fa',
      auth_time: 0,
      iat,
      exp: iat + 60,
    })
  })

  it('leaves out what does not apply', async () => {
    const bare = await claimsOf({
      caller: { ...alice(), sessionId: null },
      context: undefined,
      accessLevel: undefined,
    })
    expect(Object.keys(bare).sort()).toEqual([
      'acr',
      'aud',
      'auth_time',
      'authenticationAuthority',
      'exp',
      'iat',
      'iss',
      'sub',
      'userId',
    ])
    const nowhere = await claimsOf({
      context: { entry: {}, mandateId: null, featureInstanceId: null, roleIds: [] },
    })
    expect(nowhere).toMatchObject({ roleIds: [] })
    expect(Object.keys(nowhere)).not.toContain('mandateId')
    expect(await claimsOf({ context: { ...acme(), featureInstanceId: instances.acmeCrm } })).toMatchObject({
      mandateId: mandates.acme,
      instanceId: instances.acmeCrm,
    })
  })

  it.each(['isSysAdmin', 'isPlatformAdmin'] as const)('never says %s of another caller', async (flag) => {
    expect(await claimsOf({ caller: alice({ [flag]: true }) })).toMatchObject({ [flag]: true })
    expect(Object.keys(await claimsOf({}))).not.toContain(flag)
  })

  describe('is signed once', () => {
    it('and concurrent callers await the same signature; later ones get it at once', async () => {
      const identityFor = identities()
      const same = introduction()
      const first = identityFor(same)
      expect(first).toBeInstanceOf(Promise)
      expect(identityFor(same)).toBe(first)
      const token = await first
      expect(identityFor({ ...same })).toBe(token)
    })

    it('for half its life, and then anew, so that what is sent has half a minute left', async () => {
      const identityFor = identities()
      const same = introduction()
      const token = await identityFor(same)
      nowMs += 29_999
      expect(identityFor(same)).toBe(token)
      nowMs += 1
      const next = await identityFor(same)
      expect(partsOf(next).claims.iat).toBeGreaterThan(Number(partsOf(token).claims.iat))
      expect(identityFor(same)).toBe(next)
    })

    it('but anew when the clock was set back', async () => {
      const identityFor = identities()
      const same = introduction()
      await identityFor(same)
      nowMs -= 3_600_000
      expect(partsOf(await identityFor(same)).claims.iat).toBe(Math.floor(nowMs / 1000))
    })

    it('but anew for another caller, place, level or upstream, though all else is the same', async () => {
      const identityFor = identities()
      const same = introduction()
      const token = await identityFor(same)
      const others: Partial<Introduction>[] = [
        { caller: { ...alice(), user: { ...alice().user, id: users.bob, username: 'bob' } } },
        { context: { ...acme(), mandateId: mandates.globex } },
        { context: { ...acme(), roleIds: [] } },
        { context: undefined },
        { accessLevel: 'g' },
        { accessLevel: undefined },
        { upstream: 'billing' },
      ]
      const tokens = await Promise.all(
        others.map(async (change) => await identityFor({ ...same, ...change })),
      )
      expect(new Set([token, ...tokens]).size).toBe(others.length + 1)
      expect(identityFor(same)).toBe(token)
    })

    it('but anew when the caller’s login or place was decided anew', async () => {
      const identityFor = identities()
      const same = introduction()
      await identityFor(same)
      expect(identityFor({ ...same, caller: alice() })).toBeInstanceOf(Promise)
      expect(identityFor({ ...same, context: acme() })).toBeInstanceOf(Promise)
    })

    it('but anew when another key signs', async () => {
      const identityFor = identities()
      const same = introduction()
      const token = await identityFor(same)
      await database.sql(`update identity_keys set created_at = created_at - interval '25 hours'`)
      await keys.refresh()
      expect(identityFor(same)).toBe(token)
      await database.sql(`update identity_keys set created_at = created_at - interval '10 minutes'`)
      await keys.refresh()
      const { header } = partsOf(await identityFor(same))
      expect(header.kid).toBe(keys.signing().kid)
      expect(header.kid).not.toBe(partsOf(token).header.kid)
    })
  })

  it('of a caller in very many places is remembered in a bounded number', async () => {
    const identityFor = identities()
    const same = introduction()
    const contexts = Array.from({ length: 200 }, acme)
    for (const context of contexts) await identityFor({ ...same, context })
    expect(contexts.filter((context) => typeof identityFor({ ...same, context }) === 'string')).toHaveLength(
      200,
    )
    await identityFor(same)
    expect(typeof identityFor(same)).toBe('string')
    expect(
      contexts.map((context) => typeof identityFor({ ...same, context })).filter((kind) => kind === 'string'),
    ).toHaveLength(0)
  })

  it('that could not be signed is not remembered', async () => {
    const { kid, key } = keys.signing()
    let isBroken = true
    const { publicKey } = await generateKeyPair('EdDSA')
    const identityFor = createIdentities({
      keys: { signing: () => ({ kid, key: isBroken ? publicKey : key }) },
    })
    const same = introduction()
    await expect(Promise.resolve(identityFor(same))).rejects.toThrow()
    isBroken = false
    expect(partsOf(await identityFor(same)).claims.sub).toBe('alice')
  })
})

describe('behind the gateway', () => {
  const routesTo = (url: string) => `
upstreams:
  crm: { targets: ['${url}'] }
  billing: { targets: ['${url}'] }
routes:
  /public: { upstream: crm, auth: public }
  /optional: { upstream: crm, auth: optional, mandate: optional }
  /crm: { upstream: crm, mandate: required, instance: optional, permission: { context: RESOURCE, item: crm } }
  /billing: { upstream: billing }
`
  let upstream: Upstream
  let gateway: TestGateway
  let token: string
  let sid: string
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      routes: routesTo(upstream.url),
      environment: { COHERENCE_LEASE_MS: '5000' },
    })
    ;({ token, sid } = await tokenFor(gateway.database, 'alice'))
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  const get = async (path: string, headers: Record<string, string> = {}) => {
    await request(gateway.url).get(path).set(headers).expect(200)
    return upstream.last().headers
  }
  const asAlice = () => ({ Authorization: `Bearer ${token}` })

  it('an upstream gets an identity that says what the caller headers say', async () => {
    const headers = await get('/crm/x', {
      ...asAlice(),
      'X-Mandate-Id': mandates.acme,
      'X-Instance-Id': instances.acmeCrm,
    })
    const { claims } = partsOf(String(headers['x-gateway-identity']))
    expect(claims).toMatchObject({
      aud: 'crm',
      sub: 'alice',
      userId: users.alice,
      sid,
      mandateId: mandates.acme,
      instanceId: instances.acmeCrm,
      accessLevel: 'a',
    })
    expect((claims.roleIds as string[]).join(',')).toBe(headers['x-role-ids'])
  })

  it('each upstream gets one of its own, and a request for the same again the same', async () => {
    const place = { 'X-Mandate-Id': mandates.acme }
    const first = await get('/crm/x', { ...asAlice(), ...place })
    expect((await get('/crm/y', { ...asAlice(), ...place }))['x-gateway-identity']).toBe(
      first['x-gateway-identity'],
    )
    expect(partsOf(String((await get('/billing/x', asAlice()))['x-gateway-identity'])).claims.aud).toBe(
      'billing',
    )
  })

  it('an anonymous caller gets no identity, and a client cannot forge one', async () => {
    const forged = { 'X-Gateway-Identity': 'forged' }
    expect(await get('/public/x', { ...asAlice(), ...forged })).not.toHaveProperty('x-gateway-identity')
    expect(await get('/optional/x', forged)).not.toHaveProperty('x-gateway-identity')
    expect((await get('/optional/x', { ...asAlice(), ...forged }))['x-gateway-identity']).toMatch(/^ey/)
  })

  it('an identity stops saying what a role no longer gives', async () => {
    const bob = await tokenFor(gateway.database, 'bob')
    const ask = async () =>
      partsOf(
        String(
          (await get('/optional/x', { Authorization: `Bearer ${bob.token}`, 'X-Mandate-Id': mandates.acme }))[
            'x-gateway-identity'
          ],
        ),
      ).claims.roleIds
    expect(await ask()).toEqual([roles.viewer])
    const root = await tokenFor(gateway.database, 'root')
    await gateway.database.sql(
      'delete from user_mandate_roles where user_mandate_id in (select id from user_mandates where user_id = $1)',
      [users.bob],
    )
    // a revocation waits for all that was announced before it
    await request(gateway.url)
      .delete(`/system/tokens/${(await tokenFor(gateway.database, 'erin')).jti}`)
      .set('Authorization', `Bearer ${root.token}`)
      .expect(200)
    expect(await ask()).toEqual([])
  })

  it('the keys are public and may be kept for five minutes', async () => {
    const answer = await request(gateway.url).get('/.well-known/jwks.json').expect(200)
    expect(answer.headers['cache-control']).toBe('public, max-age=300')
    const headers = await get('/billing/x', asAlice())
    const { payload } = await jwtVerify(
      String(headers['x-gateway-identity']),
      createLocalJWKSet(answer.body),
      { audience: 'billing', algorithms: ['EdDSA'] },
    )
    expect(payload.sub).toBe('alice')
  })

  it('an identity is no access token', async () => {
    const identity = String((await get('/billing/x', asAlice()))['x-gateway-identity'])
    expectProblem(
      await request(gateway.url).get('/auth/me').set('Authorization', `Bearer ${identity}`),
      401,
      'token_invalid',
    )
    expectProblem(
      await request(gateway.url).get('/auth/me').set('Cookie', `auth_token=${identity}`),
      401,
      'token_invalid',
    )
  })
  it('an identity signed with the key of access tokens, with a row, is no access token either', async () => {
    const shaped = await tokenFor(gateway.database, 'alice', { header: { typ: 'gateway-identity+jwt' } })
    expectProblem(
      await request(gateway.url).get('/auth/me').set('Authorization', `Bearer ${shaped.token}`),
      401,
      'token_invalid',
    )
  })
})
