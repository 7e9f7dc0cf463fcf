import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { aliceAsShown, instances, mandates, roles, tokenFor, type DemoUser } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

describe('GET /auth/me', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway()
  })
  afterAll(async () => {
    await gateway.stop()
  })

  async function me(user: DemoUser) {
    const { token } = await tokenFor(gateway.database, user)
    return request(gateway.url).get('/auth/me').set('Authorization', `Bearer ${token}`)
  }

  it('answers the user, and each membership with its mandate, roles and instances', async () => {
    const { status, body } = await me('alice')
    expect(status).toBe(200)
    expect(Object.keys(body as object).sort()).toEqual(['memberships', 'user'])
    expect(body.user).toEqual(aliceAsShown)
    const bySlug = Object.fromEntries(
      (body.memberships as { mandate: { slug: string } }[]).map((one) => [one.mandate.slug, one]),
    )
    expect(Object.keys(bySlug).sort()).toEqual(['acme', 'globex', 'initech'])
    expect(bySlug.acme).toMatchObject({
      mandate: { id: mandates.acme, enabled: true },
      enabled: true,
      roles: [{ id: roles.acmeAdmin, label: 'acme-admin' }],
    })
    expect(bySlug.initech).toMatchObject({ mandate: { id: mandates.initech, enabled: false }, enabled: true })
    const installed = (bySlug.acme as unknown as { instances: { id: string }[] }).instances
    expect(installed.map(({ id }) => id).sort()).toEqual([instances.acmeCrm, instances.acmeArchive].sort())
    expect(installed.find(({ id }) => id === instances.acmeCrm)).toMatchObject({
      enabled: true,
      roles: [{ id: roles.crmEditor }],
    })
    expect(installed.find(({ id }) => id === instances.acmeArchive)).toMatchObject({ enabled: false })
    expect(bySlug.globex).toMatchObject({ roles: [{ id: roles.viewer }], instances: [] })
    expect(JSON.stringify(body)).not.toMatch(/hash|argon/i)
  })

  it('shows a disabled membership as such', async () => {
    const { body } = await me('carol')
    const bySlug = Object.fromEntries(
      (body.memberships as { mandate: { slug: string }; enabled: boolean }[]).map((one) => [
        one.mandate.slug,
        one.enabled,
      ]),
    )
    expect(bySlug).toEqual({ acme: false, globex: true })
  })

  it.each(['erin', 'root', 'petra'] as const)(
    'of %s, a member of nothing, has no memberships',
    async (user) => {
      const { body } = await me(user)
      expect(body).toMatchObject({
        user: { username: user, isSysAdmin: user === 'root', isPlatformAdmin: user === 'petra' },
        memberships: [],
      })
    },
  )

  it('takes no notice of the mandate that a header names: a removed member can still ask', async () => {
    const { token } = await tokenFor(gateway.database, 'carol')
    await request(gateway.url)
      .get('/auth/me')
      .set('Authorization', `Bearer ${token}`)
      .set('X-Mandate-Id', 'nonsense')
      .expect(200)
  })

  it('never shows another user’s instances in the same mandate', async () => {
    const { body } = await me('bob')
    expect(JSON.stringify(body)).not.toContain(instances.acmeArchive)
    expect(JSON.stringify(body)).not.toContain(roles.crmEditor)
  })

  it('responds 503 without the directory: authentication_unavailable or directory_unavailable', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    for (const [table, code] of [
      ['users', 'authentication_unavailable'],
      ['tokens', 'authentication_unavailable'],
      ['sessions', 'authentication_unavailable'],
      ['user_mandates', 'directory_unavailable'],
      ['roles', 'directory_unavailable'],
    ]) {
      await gateway.database.sql(`alter table ${table!} rename to away`)
      try {
        const { status, body, headers } = await request(gateway.url)
          .get('/auth/me')
          .set('Authorization', `Bearer ${token}`)
        expect([table, status, body.code]).toEqual([table, 503, code])
        expect(Number(headers['retry-after'])).toBeGreaterThan(0)
      } finally {
        await gateway.database.sql(`alter table away rename to ${table!}`)
      }
    }
    await request(gateway.url).get('/auth/me').set('Authorization', `Bearer ${token}`).expect(200)
  })
})
