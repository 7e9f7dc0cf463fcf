import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { mandates, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { provenToken, setPolicy, type Proved } from '../support/proven.js'
import { startUpstream, type Upstream } from '../support/upstream.js'
import { until } from '../support/until.js'

describe('what a place asks of the caller', () => {
  let upstream: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      environment: { TRUST_PROXY: '1' },
      routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /crm: { upstream: own, mandate: required, instance: optional, permission: { context: RESOURCE, item: crm } }
  /plain: { upstream: own, mandate: optional }
  /fresh: { upstream: own, assurance: { factor: mfa, maxAge: 300 } }
`,
    })
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })
  afterEach(async () => {
    await gateway.database.sql('delete from mandate_policies')
    await gateway.database.sql('delete from platform_policies')
  })

  const acme = { 'X-Mandate-Id': mandates.acme }
  const ask = (path: string, headers: Record<string, string>) =>
    request(gateway.server).get(path).set(headers)
  const aliceAt = async (path: string, proved: Proved, headers: Record<string, string> = acme) => {
    const { headers: own } = await provenToken(gateway.database, 'alice', proved)
    return await ask(path, { ...own, ...headers })
  }

  const rows: [string, Parameters<typeof setPolicy>[2], Proved, number, string | undefined][] = [
    ['an empty policy asks nothing', {}, {}, 200, undefined],
    ['a session older than sessionAge is refused', { sessionAge: 60 }, { createdAgo: 90 }, 401, 'session'],
    ['a session younger than sessionAge passes', { sessionAge: 60 }, { createdAgo: 30 }, 200, undefined],
    [
      'a session that was neither used nor proved within idle is refused',
      { idle: 60 },
      { createdAgo: 90 },
      401,
      'idle',
    ],
    [
      'a session that was used within idle passes',
      { idle: 60 },
      { createdAgo: 90, usedAgo: 30 },
      200,
      undefined,
    ],
    [
      'a session that was proved within idle passes',
      { idle: 60 },
      { createdAgo: 90, mfaAgo: 30 },
      200,
      undefined,
    ],
    ['a session without a second factor is refused', { factor: 'mfa' }, {}, 401, 'factor'],
    ['a session with a second factor passes', { factor: 'mfa' }, { mfaAgo: 1 }, 200, undefined],
    ['a passkey counts as a second factor', { factor: 'mfa' }, { phrAgo: 1 }, 200, undefined],
    ['a code is no passkey', { factor: 'phr' }, { mfaAgo: 1 }, 401, 'factor'],
    ['a passkey passes where one is asked', { factor: 'phr' }, { phrAgo: 1 }, 200, undefined],
    [
      'a factor proved longer ago than maxAge is refused',
      { factor: 'mfa', maxAge: 60 },
      { mfaAgo: 90, authAgo: 1 },
      401,
      'age',
    ],
    [
      'without a factor the latest proof counts',
      { maxAge: 60 },
      { createdAgo: 90, mfaAgo: 30 },
      200,
      undefined,
    ],
    [
      'without a factor no proof may be older than maxAge',
      { maxAge: 60 },
      { createdAgo: 90, mfaAgo: 80 },
      401,
      'age',
    ],
    ['a time more than 5 s ahead does not count', { factor: 'mfa' }, { mfaAgo: -60 }, 401, 'factor'],
    [
      'the age of the session is asked before the factor',
      { sessionAge: 60, factor: 'mfa' },
      { createdAgo: 90 },
      401,
      'session',
    ],
  ]
  it.each(rows)('%s', async (_what, policy, proved, status, missing) => {
    await setPolicy(gateway.database, mandates.acme, policy)
    const answer = await aliceAt('/crm/x', proved)
    expect([answer.status, answer.body.missing]).toEqual([status, missing])
    if (missing === undefined) return
    expect(answer.body).toMatchObject({
      code: 'insufficient_user_authentication',
      scope: 'mandate',
      stepUp: expect.stringMatching(/^\/auth\/step-up\?/),
    })
    expect(answer.headers['www-authenticate']).toContain('error="insufficient_user_authentication"')
  })

  it('the challenge names the classes of authentication that would do, and the greatest age', async () => {
    await setPolicy(gateway.database, mandates.acme, { factor: 'mfa', maxAge: 120 })
    const mfa = await aliceAt('/crm/x', {})
    expect(mfa.headers['www-authenticate']).toMatch(/acr_values="mfa phr".*max_age="120"/)
    expect(mfa.body).toMatchObject({ acrValues: 'mfa phr', maxAge: 120 })
    await setPolicy(gateway.database, mandates.acme, { factor: 'phr' })
    const phr = await aliceAt('/crm/x', {})
    expect(phr.headers['www-authenticate']).toContain('acr_values="phr"')
    expect(phr.headers['www-authenticate']).not.toContain('max_age')
  })

  it('a proof counts only for tokens that were issued at or after it', async () => {
    await setPolicy(gateway.database, mandates.acme, { factor: 'mfa' })
    const { headers, sid } = await provenToken(gateway.database, 'alice')
    await gateway.database.sql(`update sessions set mfa_at = now() where id = $1`, [sid])
    expect((await ask('/crm/x', { ...headers, ...acme })).status).toBe(401)
    const later = await tokenFor(gateway.database, 'alice', { claims: { sid }, row: { sessionId: sid } })
    expect((await ask('/crm/x', { Authorization: `Bearer ${later.token}`, ...acme })).status).toBe(200)
  })

  it('an address in none of the ranges is refused before the proof is judged', async () => {
    await setPolicy(gateway.database, mandates.acme, {
      addresses: ['10.0.0.0/8', '2001:db8::/32'],
      factor: 'mfa',
    })
    const from = async (address: string) =>
      await aliceAt('/crm/x', { mfaAgo: 1 }, { ...acme, 'X-Forwarded-For': address })
    expect((await from('10.1.2.3')).status).toBe(200)
    expect((await from('2001:db8::7')).status).toBe(200)
    expect((await from('192.0.2.1')).body).toMatchObject({ status: 403, code: 'address_not_allowed' })
    const weak = await aliceAt('/crm/x', {}, { ...acme, 'X-Forwarded-For': '192.0.2.1' })
    expect(weak.body.code).toBe('address_not_allowed')
  })

  it('service accounts pass all but the addresses', async () => {
    await setPolicy(gateway.database, mandates.acme, { factor: 'phr', sessionAge: 60, idle: 60, maxAge: 60 })
    const { headers } = await provenToken(gateway.database, 'reports', { createdAgo: 500 })
    expect((await ask('/crm/x', { ...headers, ...acme })).status).toBe(200)
    await setPolicy(gateway.database, mandates.acme, { addresses: ['10.0.0.0/8'] })
    expect((await ask('/crm/x', { ...headers, ...acme })).status).toBe(403)
  })

  it('SysAdmins obey the policy of a mandate', async () => {
    await setPolicy(gateway.database, mandates.acme, { factor: 'mfa' })
    const { headers } = await provenToken(gateway.database, 'root')
    expect((await ask('/crm/x', { ...headers, ...acme })).status).toBe(401)
  })

  it('the same token is refused in one mandate and served in another', async () => {
    await setPolicy(gateway.database, mandates.acme, { factor: 'mfa' })
    const { headers } = await provenToken(gateway.database, 'alice')
    const globex = { 'X-Mandate-Id': mandates.globex }
    expect((await ask('/crm/x', { ...headers, ...acme })).status).toBe(401)
    expect((await ask('/crm/x', { ...headers, ...globex })).status).toBe(200)
    expect((await ask('/plain/x', headers)).status).toBe(200)
  })

  it('every place that evaluates the context asks for it', async () => {
    await setPolicy(gateway.database, mandates.acme, { factor: 'mfa' })
    const { headers } = await provenToken(gateway.database, 'alice')
    for (const path of [
      '/auth/context',
      '/auth/permissions?context=RESOURCE&item=crm',
      '/auth/verify',
      '/mandate/members',
      '/mandate/policy',
      '/plain/x',
    ])
      expect([path, (await ask(path, { ...headers, ...acme })).status]).toEqual([path, 401])
    const verified = await ask('/auth/verify', {
      ...headers,
      ...acme,
      'X-Original-URI': '/crm/x',
      'X-Original-Method': 'GET',
    })
    expect([verified.status, verified.headers['www-authenticate']]).toEqual([
      401,
      expect.stringContaining('acr_values="mfa phr"'),
    ])
    const preview = await ask('/projects/00000000-0000-4000-8000-000000000301/portal-preview', headers)
    expect(preview.status).toBe(401)
    const byInstance = { 'X-Instance-Id': '00000000-0000-4000-8000-000000000201' }
    expect((await ask('/auth/context', { ...headers, ...byInstance })).status).toBe(401)
    expect((await ask('/auth/me', headers)).status).toBe(200)
  })

  it('who may not enter a mandate does not learn that it has a policy', async () => {
    await setPolicy(gateway.database, mandates.acme, { factor: 'mfa' })
    const { headers } = await provenToken(gateway.database, 'erin')
    expect((await ask('/crm/x', { ...headers, ...acme })).body.code).toBe('not_a_member')
  })

  it('an item asks after the permission, for all under it and the named actions only', async () => {
    await setPolicy(gateway.database, mandates.acme, {
      items: [{ context: 'RESOURCE', item: 'crm', actions: ['create'], factor: 'mfa', maxAge: null }],
    })
    const { headers } = await provenToken(gateway.database, 'alice')
    const post = (own: Record<string, string>) =>
      request(gateway.server)
        .post('/crm/x')
        .set({ ...own, ...acme })
    expect((await ask('/crm/x', { ...headers, ...acme })).status).toBe(200)
    expect((await post(headers)).body).toMatchObject({ status: 401, scope: 'item', missing: 'factor' })
    const bob = await provenToken(gateway.database, 'bob')
    expect((await post(bob.headers)).body.code).toBe('permission_denied')
    const proved = await provenToken(gateway.database, 'alice', { mfaAgo: 1 })
    expect((await post(proved.headers)).status).toBe(200)
  })

  it('of several items that refuse, the strictest is named', async () => {
    await setPolicy(gateway.database, mandates.acme, {
      items: [
        { context: 'RESOURCE', item: 'crm', factor: null, maxAge: 1 },
        { context: 'RESOURCE', item: null, factor: 'phr', maxAge: null },
        { context: 'RESOURCE', item: 'crm', factor: 'mfa', maxAge: 60 },
      ],
    })
    const answer = await aliceAt('/crm/x', { createdAgo: 90 })
    expect(answer.body).toMatchObject({ scope: 'item', acrValues: 'phr', maxAge: null })
  })

  it('a route asks by itself', async () => {
    expect((await aliceAt('/fresh/x', {}, {})).body).toMatchObject({
      scope: 'route',
      missing: 'factor',
      maxAge: 300,
    })
    expect((await aliceAt('/fresh/x', { mfaAgo: 400 }, {})).body).toMatchObject({
      scope: 'route',
      missing: 'age',
    })
    expect((await aliceAt('/fresh/x', { mfaAgo: 200 }, {})).status).toBe(200)
  })

  it('the areas /admin and /system ask of their operators, after the guard', async () => {
    await gateway.database.sql(
      `insert into platform_policies (area, factor) values ('admin', 'mfa'), ('system', 'phr')`,
    )
    const at = async (user: 'petra' | 'root' | 'alice', path: string, proved: Proved) =>
      (await ask(path, (await provenToken(gateway.database, user, proved)).headers)).body
    expect(await at('petra', '/admin/users', {})).toMatchObject({ status: 401, scope: 'admin' })
    expect(await at('petra', `/admin/users/${users.bob}`, {})).toMatchObject({ status: 401, scope: 'admin' })
    expect(await at('petra', '/admin/users', { mfaAgo: 1 })).toHaveProperty('items')
    expect(await at('root', '/system/tokens', { mfaAgo: 1 })).toMatchObject({ status: 401, scope: 'system' })
    expect(await at('root', '/system/tokens', { phrAgo: 1 })).toHaveProperty('items')
    expect(await at('alice', '/admin/users', {})).toMatchObject({ code: 'platform_admin_required' })
  })

  it('a policy whose items another tool wrote wrongly lets nobody in, and is no 500', async () => {
    await setPolicy(gateway.database, mandates.acme, { items: [{ context: 'NONSENSE' }] })
    expect((await aliceAt('/crm/x', { phrAgo: 1 })).status).toBe(503)
  })

  it('a navigation gets a page with the way to prove, and back', async () => {
    await setPolicy(gateway.database, mandates.acme, { factor: 'mfa' })
    const answer = await aliceAt(
      '/crm/x?a=1',
      {},
      { ...acme, Accept: 'text/html', 'Sec-Fetch-Mode': 'navigate' },
    )
    expect([answer.status, answer.type]).toEqual([401, 'text/html'])
    expect(answer.text).toMatch(/href="\/auth\/step-up\?[^"]*next=%2Fcrm%2Fx%3Fa%3D1"/)
  })

  it('GET /auth/assurance shows what is proved, asked and missing, and is not judged itself', async () => {
    await setPolicy(gateway.database, mandates.acme, { factor: 'phr', maxAge: 60 })
    const answer = await aliceAt('/auth/assurance', { mfaAgo: 90, amr: ['pwd', 'otp', 'mfa'] })
    expect(answer.body).toEqual({
      acr: 'mfa',
      amr: ['pwd', 'otp', 'mfa'],
      authTime: expect.any(String),
      mfaAt: expect.any(String),
      phrAt: null,
      enrolled: [],
      required: { factor: 'phr', maxAge: 60, idle: null, sessionAge: null, addresses: [], items: [] },
      missing: ['factor'],
    })
    const nowhere = await aliceAt('/auth/assurance', {}, {})
    expect(nowhere.body).toMatchObject({ acr: '1fa', required: null, missing: [] })
  })

  it('services and introspection learn how the caller was proved', async () => {
    const { headers, token } = await provenToken(gateway.database, 'alice', {
      mfaAgo: 1,
      amr: ['pwd', 'otp'],
    })
    await ask('/crm/x', { ...headers, ...acme })
    const identity = upstream.last().headers['x-gateway-identity'] as string
    const claims = JSON.parse(Buffer.from(identity.split('.')[1]!, 'base64url').toString()) as object
    expect(claims).toMatchObject({ acr: 'mfa', amr: ['pwd', 'otp'], auth_time: expect.any(Number) })
    const root = await provenToken(gateway.database, 'root')
    const told = await request(gateway.server)
      .post('/auth/introspect')
      .set(root.headers)
      .type('form')
      .send({ token })
    expect(told.body).toMatchObject({
      active: true,
      acr: 'mfa',
      amr: ['pwd', 'otp'],
      auth_time: expect.any(Number),
    })
  })

  it('a refusal is audited, and explains itself by its request id', async () => {
    await setPolicy(gateway.database, mandates.acme, { factor: 'mfa' })
    const bob = await provenToken(gateway.database, 'bob')
    const { body } = await ask('/crm/x', { ...bob.headers, ...acme })
    const { headers } = await provenToken(gateway.database, 'petra')
    const why = await ask(`/admin/explain/${body.requestId}`, headers)
    expect(why.body).toMatchObject({
      refusal: { status: 401, code: 'insufficient_user_authentication' },
      policy: { scope: 'mandate', missing: 'factor' },
    })
    const event = await until(
      async () =>
        (
          await gateway.database.sql(
            `select details from audit_events where action = 'assurance_refused' and request_id = $1`,
            [body.requestId],
          )
        )[0],
    )
    expect(event).toMatchObject({ details: { policy: { scope: 'mandate', missing: 'factor' } } })
  })

  it('explain judges the session that it is given, and none without one', async () => {
    await setPolicy(gateway.database, mandates.acme, { factor: 'mfa' })
    const petra = await provenToken(gateway.database, 'petra')
    const { sid } = await provenToken(gateway.database, 'alice')
    const explain = (session?: string) =>
      request(gateway.server)
        .post('/admin/explain')
        .set(petra.headers)
        .send({
          user: 'alice',
          mandate: mandates.acme,
          method: 'GET',
          path: '/crm/x',
          ...(session ? { session } : {}),
        })
    expect((await explain()).body).toMatchObject({ allowed: true, policy: null })
    expect((await explain(sid)).body).toMatchObject({
      allowed: false,
      decidedBy: 'assurance',
      policy: { scope: 'mandate', missing: 'factor', required: { factor: 'mfa', maxAge: null } },
    })
    const bob = await provenToken(gateway.database, 'bob')
    expect((await explain(bob.sid)).status).toBe(404)
  })
})
