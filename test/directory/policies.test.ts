import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { mandates, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { provenToken, setPolicy, type Proved } from '../support/proven.js'

describe('policies as they are governed', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway({ environment: { TRUST_PROXY: '1' } })
  })
  afterAll(async () => {
    await gateway.stop()
  })
  afterEach(async () => {
    await gateway.database.sql('delete from mandate_policies')
    await gateway.database.sql('delete from platform_policies')
  })

  const own = '/mandate/policy'
  const ofAcme = `/admin/mandates/${mandates.acme}/policy`
  const as = async (user: 'alice' | 'bob' | 'petra' | 'root', proved: Proved = {}) => ({
    ...(await provenToken(gateway.database, user, proved)).headers,
    'X-Mandate-Id': mandates.acme,
  })
  const get = async (user: 'alice' | 'bob' | 'petra' | 'root', path: string) =>
    await request(gateway.server)
      .get(path)
      .set(await as(user))
  const patch = async (
    user: 'alice' | 'bob' | 'petra' | 'root',
    path: string,
    body: object,
    proved: Proved = {},
    headers: Record<string, string> = {},
  ) =>
    await request(gateway.server)
      .patch(path)
      .set({ ...(await as(user, proved)), ...headers })
      .send(body)
  const nothing = { factor: null, maxAge: null, idle: null, sessionAge: null, addresses: [], items: [] }

  it('a mandate without a policy shows that it asks nothing', async () => {
    expect((await get('alice', own)).body).toEqual(nothing)
    expect((await get('petra', ofAcme)).body).toEqual(nothing)
    expect((await get('petra', '/admin/mandates/00000000-0000-4000-8000-000000000999/policy')).status).toBe(
      404,
    )
  })

  it('only those whose rules give them gateway.policy see and change it', async () => {
    expect((await get('bob', own)).body.code).toBe('permission_denied')
    expect((await patch('bob', own, { factor: 'mfa' })).body.code).toBe('permission_denied')
  })

  it('a change merges, answers with the coherence, and is audited', async () => {
    await setPolicy(gateway.database, mandates.acme, { idle: 600 })
    const answer = await patch('alice', own, { maxAge: 600 })
    expect(answer.body).toEqual({ ...nothing, idle: 600, maxAge: 600, coherence: expect.any(Object) })
    const [event] = await gateway.database.sql(
      `select mandate_id, details from audit_events where action = 'policy_changed' order by seq desc limit 1`,
    )
    expect(event).toMatchObject({
      mandate_id: mandates.acme,
      details: { before: { maxAge: null }, after: { maxAge: 600 } },
    })
  })

  it.each([
    [{ factor: 'sms' }, 'factor'],
    [{ maxAge: 59 }, 'maxAge'],
    [{ idle: 1.5 }, 'idle'],
    [{ sessionAge: 0 }, 'sessionAge'],
    [{ addresses: ['10.0.0.0/33'] }, 'addresses.0'],
    [{ addresses: Array.from({ length: 101 }, () => '10.0.0.1') }, 'addresses'],
    [{ items: [{ context: 'RESOURCE', item: 'crm..x', factor: 'mfa', maxAge: null }] }, 'items.0.item'],
    [{ unknown: 1 }, ''],
  ])('%j is refused, and the field is named', async (body, path) => {
    const answer = await patch('petra', ofAcme, body)
    expect([answer.status, answer.body.errors[0].path]).toEqual([400, path])
  })

  it('a stale If-Match is refused', async () => {
    const answer = await patch('petra', ofAcme, { idle: 600 }, {}, { 'If-Match': '"old"' })
    expect(answer.status).toBe(412)
  })

  it('no admin of a mandate makes a policy under which they could not change it again', async () => {
    for (const [body, proved] of [
      [{ factor: 'mfa' }, {}],
      [{ factor: 'phr' }, { mfaAgo: 1 }],
      [{ maxAge: 60 }, { createdAgo: 90 }],
      [{ sessionAge: 60 }, { createdAgo: 90 }],
      [{ addresses: ['192.0.2.0/24'] }, {}],
      [{ items: [{ context: 'RESOURCE', item: 'gateway', factor: 'mfa', maxAge: null }] }, {}],
    ] as [object, Proved][]) {
      const answer = await patch('alice', own, body, proved)
      expect([body, answer.status, answer.body.code]).toEqual([body, 409, 'policy_locks_out'])
    }
    expect((await get('alice', own)).body).toEqual(nothing)
    expect((await patch('alice', own, { factor: 'mfa' }, { mfaAgo: 1 })).status).toBe(200)
  })

  it('an item that the change of the policy does not need locks nobody out', async () => {
    const items = [{ context: 'RESOURCE', item: 'crm', factor: 'mfa', maxAge: null }]
    expect((await patch('alice', own, { items })).status).toBe(200)
  })

  it('a platform admin repairs: no lock-out is refused there', async () => {
    expect((await patch('petra', ofAcme, { factor: 'phr', addresses: ['192.0.2.0/24'] })).status).toBe(200)
    expect((await get('alice', own)).status).toBe(403)
    expect((await patch('petra', ofAcme, nothing)).status).toBe(200)
    expect((await get('alice', own)).status).toBe(200)
  })

  it('dryRun says who would be refused, and changes nothing', async () => {
    await gateway.database.sql('update sessions set ended_at = now()')
    const weak = await provenToken(gateway.database, 'alice')
    await provenToken(gateway.database, 'alice', { mfaAgo: 1 })
    await gateway.database.sql(`insert into user_factors (user_id, kind) values ($1, 'totp')`, [users.alice])
    const answer = await request(gateway.server)
      .patch(`${ofAcme}?dryRun=1`)
      .set((await provenToken(gateway.database, 'petra')).headers)
      .send({ factor: 'mfa' })
    expect(answer.body).toMatchObject({
      dryRun: true,
      refused: {
        sessions: 1,
        members: 2,
        items: [
          { userId: users.alice, username: 'alice', missing: ['factor'], enrolled: true },
          { userId: users.bob, username: 'bob', missing: [], enrolled: false },
        ],
      },
    })
    expect((await get('petra', ofAcme)).body).toEqual(nothing)
    expect(weak.sid).toBeDefined()
    await gateway.database.sql('delete from user_factors')
  })

  it('SysAdmins govern the areas, and cannot lock themselves out of /system', async () => {
    const system = '/system/policies/system'
    expect((await get('petra', system)).status).toBe(403)
    expect((await get('root', '/system/policies/other')).status).toBe(404)
    expect((await get('root', system)).body).toEqual({ factor: null, maxAge: null, addresses: [] })
    expect((await patch('root', system, { factor: 'mfa' })).body.code).toBe('policy_locks_out')
    expect((await patch('root', '/system/policies/admin', { factor: 'mfa' })).status).toBe(200)
    expect((await get('petra', '/admin/users')).body).toMatchObject({ status: 401, scope: 'admin' })
    const answer = await patch('root', system, { factor: 'mfa' }, { mfaAgo: 1 })
    expect(answer.body).toMatchObject({ factor: 'mfa', coherence: expect.any(Object) })
    const preview = await request(gateway.server)
      .patch(`${system}?dryRun=1`)
      .set(await as('root', { mfaAgo: 1 }))
      .send({ factor: 'phr' })
    expect(preview.body.refused.items).toEqual([
      { userId: users.root, username: 'root', missing: ['factor'], enrolled: false },
    ])
  })
})
