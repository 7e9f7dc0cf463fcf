import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { instances, mandates, roles, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

describe('an explanation over HTTP', () => {
  let gateway: TestGateway
  const tokens = new Map<string, string>()
  beforeAll(async () => {
    gateway = await startTestGateway({ demoUpstream: true })
    for (const user of ['root', 'petra', 'alice', 'bob', 'carol'] as const)
      tokens.set(user, (await tokenFor(gateway.database, user)).token)
  })
  afterAll(async () => {
    await gateway.stop()
  })
  const send = (
    caller: string,
    method: 'get' | 'post' | 'delete',
    path: string,
    mandate?: string,
    id: string = randomUUID(),
  ) =>
    request(gateway.server)
      [method](path)
      .set({
        Authorization: `Bearer ${tokens.get(caller)}`,
        'X-Request-Id': id,
        ...(mandate === undefined ? {} : { 'X-Mandate-Id': mandate }),
      })

  it('names the rule, its role and priority, and what would have to change', async () => {
    const { body } = await send('petra', 'post', '/admin/explain')
      .send({ user: 'bob', mandate: mandates.acme, method: 'post', path: '/api/crm/contacts?x=1' })
      .expect(200)
    expect(body).toMatchObject({
      allowed: false,
      refusal: {
        status: 403,
        code: 'permission_denied',
        detail: 'Permission denied: create on RESOURCE crm',
      },
      decidedBy: 'rules',
      route: '/api/crm',
      user: { id: users.bob, username: 'bob' },
      mandateId: mandates.acme,
      roleIds: [roles.viewer],
      subject: { context: 'RESOURCE', item: 'crm', action: 'create' },
      level: 'n',
      rule: {
        priority: 1,
        roleId: roles.viewer,
        roleLabel: 'viewer',
        context: 'RESOURCE',
        item: 'crm',
        create: 'n',
      },
    })
    expect(body.toChange.join(' ')).toMatch(/create/)
    const granted = await send('petra', 'post', '/admin/explain')
      .send({
        user: users.alice,
        mandate: mandates.acme,
        instance: instances.acmeCrm,
        context: 'DATA',
        item: 'crm.contacts',
        action: 'update',
      })
      .expect(200)
    expect(granted.body).toMatchObject({
      allowed: true,
      refusal: null,
      level: 'g',
      rule: { priority: 3, roleId: roles.crmEditor },
      overruled: [{ priority: 2, roleId: roles.acmeAdmin }],
      toChange: [],
    })
  })

  it.each([
    ['dave', mandates.acme, undefined, 'user_disabled', 'account'],
    ['erin', mandates.acme, undefined, 'not_a_member', 'place'],
    ['carol', mandates.acme, undefined, 'membership_disabled', 'place'],
    ['alice', mandates.initech, undefined, 'mandate_disabled', 'place'],
    ['bob', mandates.acme, instances.globexCrm, 'no_instance_access', 'place'],
    ['alice', undefined, undefined, 'mandate_required', 'place'],
  ])('%s in %s %s: %s', async (user, mandate, instanceId, code, decidedBy) => {
    const { body } = await send('petra', 'post', '/admin/explain')
      .send({
        user,
        ...(mandate ? { mandate } : {}),
        ...(instanceId ? { instance: instanceId } : {}),
        method: 'GET',
        path: '/api/crm',
      })
      .expect(200)
    expect(body).toMatchObject({ allowed: false, refusal: { code }, decidedBy })
    expect(body.toChange).toHaveLength(1)
  })

  it('explains the gateway’s own endpoints, and paths that match nothing', async () => {
    const ask = async (user: string, method: string, path: string, mandate?: string) =>
      (
        await send('petra', 'post', '/admin/explain')
          .send({ user, method, path, ...(mandate ? { mandate } : {}) })
          .expect(200)
      ).body
    expect(await ask('alice', 'GET', '/mandate/audit', mandates.acme)).toMatchObject({
      allowed: true,
      route: '/mandate/audit',
      level: 'a',
    })
    expect(await ask('bob', 'DELETE', `/system/tokens/${randomUUID()}`)).toMatchObject({
      allowed: false,
      refusal: { code: 'sysadmin_required' },
      route: '/system/tokens/:id',
      decidedBy: 'guard',
    })
    expect(await ask('bob', 'GET', '/nowhere')).toMatchObject({
      allowed: false,
      refusal: { status: 404 },
      decidedBy: 'route',
    })
    expect(await ask('bob', 'PUT', '/system/nodes')).toMatchObject({
      allowed: false,
      refusal: { status: 405 },
    })
    expect(await ask('bob', 'GET', '/api/%2e%2e/x')).toMatchObject({
      allowed: false,
      refusal: { code: 'path_ambiguous' },
    })
  })

  it('shows an admin of a mandate its members in that mandate, and nothing else', async () => {
    const ask = (body: object, caller = 'alice', mandate: string = mandates.acme) =>
      send(caller, 'post', '/mandate/explain', mandate).send({
        context: 'RESOURCE',
        item: 'crm',
        action: 'read',
        ...body,
      })
    expect((await ask({ user: 'bob' }).expect(200)).body).toMatchObject({
      allowed: true,
      mandateId: mandates.acme,
    })
    const [stranger, nobody] = [await ask({ user: 'erin' }), await ask({ user: 'nobody-at-all' })]
    expect([stranger.status, nobody.status]).toEqual([404, 404])
    expect({ ...stranger.body, requestId: '' }).toEqual({ ...nobody.body, requestId: '' })
    await ask({ user: 'bob', mandate: mandates.globex }).expect(400)
    await ask({ user: 'bob', instance: instances.globexCrm }).expect(404)
    await ask({ user: 'bob', instance: randomUUID() }).expect(404)
    await ask({ user: 'bob' }, 'bob').expect(403)
    await ask({ user: 'bob' }, 'alice', mandates.globex).expect(403)
    await send('alice', 'post', '/admin/explain')
      .send({ user: 'bob', context: 'DATA', action: 'read' })
      .expect(403)
  })

  it('refuses an incomplete question', async () => {
    for (const body of [
      { user: 'bob' },
      { user: 'bob', method: 'GET' },
      { user: 'bob', context: 'DATA', action: 'read', method: 'GET', path: '/' },
      { user: 'bob', context: 'X', action: 'read' },
    ])
      await send('petra', 'post', '/admin/explain').send(body).expect(400)
    await send('petra', 'post', '/admin/explain')
      .send({ user: 'nobody', context: 'DATA', action: 'read' })
      .expect(404)
  })

  it('explains a 403 by its request id to callers who may see it', async () => {
    const id = randomUUID()
    await send('bob', 'delete', '/api/crm/contacts/1', mandates.acme, id).expect(403)
    const expected = {
      requestId: id,
      userId: users.bob,
      mandateId: mandates.acme,
      method: 'DELETE',
      route: '/api/crm',
      refusal: {
        status: 403,
        code: 'permission_denied',
        detail: 'Permission denied: delete on RESOURCE crm',
      },
      subject: { context: 'RESOURCE', item: 'crm', action: 'delete' },
      rule: { priority: 1, roleId: roles.viewer, roleLabel: 'viewer' },
    }
    expect((await send('petra', 'get', `/admin/explain/${id}`).expect(200)).body).toMatchObject(expected)
    expect(
      (await send('alice', 'get', `/mandate/explain/${id}`, mandates.acme).expect(200)).body,
    ).toMatchObject(expected)
    await send('bob', 'get', `/mandate/explain/${id}`, mandates.acme).expect(403)
    await send('petra', 'get', `/admin/explain/${randomUUID()}`).expect(404)
  })

  it('explains no 403 of another mandate', async () => {
    const id = randomUUID()
    await send('alice', 'post', '/api/crm/contacts', mandates.globex, id).send({}).expect(403)
    await send('alice', 'get', `/mandate/explain/${id}`, mandates.acme).expect(404)
    await send('petra', 'get', `/admin/explain/${id}`).expect(200)
  })

  it('explains it on another node too, from the audit', async () => {
    const [id, guarded] = [randomUUID(), randomUUID()]
    await send('bob', 'delete', '/api/crm/contacts/1', mandates.acme, id).expect(403)
    await send('bob', 'get', '/system/nodes', undefined, guarded).expect(403)
    await send('root', 'get', '/system/nodes').expect(200)
    const other = await startTestGateway({ database: gateway.database })
    try {
      const ask = async (path: string) =>
        await request(other.server)
          .get(path)
          .set({ Authorization: `Bearer ${tokens.get('petra')}` })
      let answer = await ask(`/admin/explain/${id}`)
      for (const deadline = Date.now() + 5000; answer.status === 404 && Date.now() < deadline;)
        answer = await ask(`/admin/explain/${id}`)
      expect(answer.body).toMatchObject({
        requestId: id,
        userId: users.bob,
        mandateId: mandates.acme,
        refusal: { code: 'permission_denied' },
        rule: { roleId: roles.viewer, priority: 1 },
      })
      expect((await ask(`/admin/explain/${guarded}`)).body).toMatchObject({
        refusal: { code: 'sysadmin_required', detail: 'SysAdmin privileges required' },
      })
    } finally {
      await other.stop()
    }
  })

  it('records a refusal as one event, under its mandate', async () => {
    const [id, guarded] = [randomUUID(), randomUUID()]
    await send('carol', 'get', '/api/crm/contacts', mandates.acme, id).expect(403)
    await send('carol', 'get', '/system/nodes', undefined, guarded).expect(403)
    let rows: { action: string; mandate_id: string }[] = []
    for (const deadline = Date.now() + 5000; rows.length < 2 && Date.now() < deadline;)
      rows = await gateway.database.sql(
        'select action, mandate_id from audit_events where request_id = any($1) order by seq',
        [[id, guarded]],
      )
    expect(rows).toEqual([
      { action: 'access_denied', mandate_id: mandates.acme },
      { action: 'sysadmin_action_refused', mandate_id: 'system' },
    ])
  })
})
