import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import request from 'supertest'
import { administrationOf, type Administration } from '../support/administration.js'
import { instances, mandates, roles, users } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { expectProblem, withoutRequestId } from '../support/problems.js'
import { until } from '../support/until.js'

let gateway: TestGateway
let ask: Administration['ask']
let all: Administration['all']
let directory: ReturnType<typeof directoryOf>
beforeAll(async () => {
  gateway = await startTestGateway()
  ;({ ask, all } = administrationOf(gateway))
  directory = directoryOf(gateway.database)
})
afterAll(async () => {
  await gateway.stop()
})

const { acme, globex } = mandates

describe.each([
  [
    'a platform admin',
    '/admin/mandates/00000000-0000-4000-8000-000000000101/members',
    (method: 'get' | 'post' | 'patch' | 'delete', path: string, body?: unknown) =>
      ask('petra', method, path, { body }),
  ],
  [
    'an admin of the mandate',
    '/mandate/members',
    (method: 'get' | 'post' | 'patch' | 'delete', path: string, body?: unknown) =>
      ask('alice', method, path, { in: acme, body }),
  ],
] as const)('%s', (_who, path, does) => {
  it('adds somebody by id or by name, who then may enter with the roles that were given', async () => {
    const [first, second] = [await directory.user(), await directory.user()]
    const added = await does('post', path, { userId: first.id, roleIds: [roles.viewer] })
    expect(added.status).toBe(201)
    expect(added.body).toMatchObject({
      userId: first.id,
      username: first.username,
      enabled: true,
      roleIds: [roles.viewer],
      coherence: {},
    })
    expect(added.headers.location).toBe(`${path}/${first.id}`)
    const context = await request(gateway.server)
      .get('/auth/context')
      .set('Authorization', `Bearer ${first.token}`)
      .set('X-Mandate-Id', acme)
    expect(context.body.roleIds).toEqual([roles.viewer])
    expect((await does('post', path, { username: second.username })).body).toMatchObject({
      userId: second.id,
      roleIds: [],
    })
    expectProblem(await does('post', path, { username: second.username }), 409, 'conflict')
    expect(
      await gateway.database.sql(
        `select details->'after'->>'userId' as id
          from audit_events
          where mandate_id = $1 and action = 'member_added'
          order by seq desc
          limit 2`,
        [acme],
      ),
    ).toEqual([{ id: second.id }, { id: first.id }])
  })

  it('shows, changes and removes a member by the user’s id or the row’s', async () => {
    const person = await directory.user()
    const membership = await directory.join(person.id, acme)
    await directory.grant(person.id, instances.acmeCrm)
    const shown = await does('get', `${path}/${person.id}`)
    expect(shown.body).toMatchObject({ id: membership, userId: person.id, enabled: true, roleIds: [] })
    expect((await does('get', `${path}/${membership}`)).body).toEqual(shown.body)
    expect(
      (await does('patch', `${path}/${person.id}`, { roleIds: [roles.viewer, roles.acmeAdmin] })).body,
    ).toMatchObject({ roleIds: [roles.viewer, roles.acmeAdmin], enabled: true })
    expect((await does('patch', `${path}/${membership}`, { enabled: false })).body).toMatchObject({
      roleIds: [roles.viewer, roles.acmeAdmin],
      enabled: false,
      coherence: {},
    })
    const entering = () =>
      request(gateway.server)
        .get('/auth/context')
        .set('Authorization', `Bearer ${person.token}`)
        .set('X-Mandate-Id', acme)
    expectProblem(await entering(), 403, 'membership_disabled')
    expect((await does('delete', `${path}/${person.id}`)).body).toEqual({ coherence: expect.any(Object) })
    expectProblem(await entering(), 403, 'not_a_member')
    expectProblem(await does('get', `${path}/${person.id}`), 404, 'not_found')
    // it would come back with the membership
    expect(await gateway.database.sql('select from feature_access where user_id = $1', [person.id])).toEqual(
      [],
    )
  })

  it('gives no role of another mandate, nor of an instance', async () => {
    const person = await directory.user()
    const foreign = await directory.role({ mandateId: globex })
    expectProblem(await does('post', path, { userId: person.id, roleIds: [foreign] }), 404, 'not_found')
    expect((await does('post', path, { userId: person.id, roleIds: [roles.crmReader] })).body).toMatchObject({
      code: 'validation_failed',
      errors: [{ path: 'roleIds.0' }],
    })
    expect(await gateway.database.sql('select from user_mandates where user_id = $1', [person.id])).toEqual(
      [],
    )
  })

  it('lists, filters and finds members by name', async () => {
    const asker = path.startsWith('/mandate') ? 'alice' : 'petra'
    const names = async (query: string) =>
      (await all(asker, `${path}?${query}`, { in: acme }))
        .map(({ username }) => username)
        .filter((name) => !String(name).startsWith('user-'))
    expect(await names('')).toEqual(['alice', 'bob', 'carol', 'dave', 'frank', 'reports'])
    expect(await names('enabled=false')).toEqual(['carol', 'frank'])
    expect(await names(`roleId=${roles.acmeAdmin}`)).toEqual(['alice'])
    expect(await names('q=brandt')).toEqual(['bob'])
    expect(await names('q=erin')).toEqual([]) // no member
  })

  it('is told of a body that makes no sense', async () => {
    for (const body of [
      {},
      { userId: users.erin, username: 'erin' },
      { userId: 'x' },
      { userId: users.erin, roleIds: ['x'] },
      { userId: users.erin, role: 'x' },
    ]) {
      expect([body, (await does('post', path, body)).body.code]).toEqual([body, 'validation_failed'])
    }
    for (const body of [{ userId: randomUUID() }, { username: 'nobody-here' }])
      expectProblem(await does('post', path, body), 404, 'not_found')
  })

  it('sees what a change would do, and nothing is done', async () => {
    const { body } = await does('patch', `${path}/${users.bob}?dryRun=1`, { roleIds: [] })
    expect(body).toMatchObject({ dryRun: true, sessions: { count: 0 }, permissions: { unseen: 0 } })
    expect(body.permissions.items).toContainEqual({
      userId: users.bob,
      username: 'bob',
      mandateId: acme,
      instanceId: null,
      context: 'RESOURCE',
      item: 'crm',
      before: { view: true, read: 'a', create: 'n', update: 'n', delete: 'n' },
      after: { view: false, read: 'n', create: 'n', update: 'n', delete: 'n' },
    })
    expect((await does('get', `${path}/${users.bob}`)).body.roleIds).toEqual([roles.viewer])
  })
})

describe('an admin of a mandate', () => {
  it('needs the permission for what they do', async () => {
    expectProblem(await ask('bob', 'get', '/mandate/members', { in: acme }), 403, 'permission_denied')
    // a flag gives no mandate's data
    expectProblem(await ask('petra', 'get', '/mandate/members', { in: acme }), 403, 'permission_denied')
    expectProblem(await ask('erin', 'get', '/mandate/members', { in: acme }), 403, 'not_a_member')
    expectProblem(await ask('alice', 'get', '/mandate/members'), 400, 'mandate_required')
    const reader = await directory.user()
    await directory.join(reader.id, acme, {
      roles: [
        await directory.role({
          mandateId: acme,
          rules: [{ context: 'RESOURCE', item: 'gateway.members', read: 'a', update: 'a' }],
        }),
      ],
    })
    expect((await ask(reader, 'get', '/mandate/members', { in: acme })).status).toBe(200)
    expectProblem(
      await ask(reader, 'post', '/mandate/members', { in: acme, body: { userId: users.erin } }),
      403,
      'permission_denied',
    )
    expectProblem(
      await ask(reader, 'delete', `/mandate/members/${users.bob}`, { in: acme }),
      403,
      'permission_denied',
    )
    expect((await ask('root', 'get', '/mandate/members', { in: acme })).status).toBe(200)
  })

  it('sees nobody of another mandate, and their ids are as unknown as any', async () => {
    const stranger = await directory.user()
    await directory.join(stranger.id, globex)
    for (const [method, body] of [
      ['get', undefined],
      ['patch', { enabled: false }],
      ['delete', undefined],
    ] as const) {
      const [foreign, unknown] = await Promise.all(
        [stranger.id, randomUUID()].map((one) =>
          ask('alice', method, `/mandate/members/${one}`, { in: acme, body }),
        ),
      )
      expect(foreign!.status).toBe(404)
      expect(withoutRequestId(foreign!)).toBe(withoutRequestId(unknown!))
    }
  })

  it('is decided anew inside the transaction: who was disabled meanwhile changes nothing', async () => {
    const other = await directory.user()
    await directory.join(other.id, acme, { roles: [roles.acmeAdmin] })
    const holder = new pg.Client(gateway.database.ownerUrl)
    await holder.connect()
    await holder.query('begin')
    await holder.query('select from mandates where id = $1 for no key update', [acme])
    const disabling = [
      ask('alice', 'patch', `/mandate/members/${other.id}`, { in: acme, body: { enabled: false } }),
      ask(other, 'patch', `/mandate/members/${users.alice}`, { in: acme, body: { enabled: false } }),
    ].map(async (asked) => (await asked).status)
    await until(
      async () =>
        (
          await gateway.database.sql(
            `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
          )
        ).length === 2,
    )
    await holder.query('commit') // both were let in by then
    await holder.end()
    expect((await Promise.all(disabling)).sort()).toEqual([200, 403])
    await gateway.database.sql(
      'update user_mandates set enabled = true where user_id = $1 and mandate_id = $2',
      [users.alice, acme],
    )
    await gateway.database.sql('delete from user_mandates where user_id = $1', [other.id])
  })

  it('is decided anew inside the transaction: who was removed meanwhile changes nothing', async () => {
    const other = await directory.user()
    await directory.join(other.id, acme, { roles: [roles.acmeAdmin] })
    const statuses = (
      await Promise.all([
        ask('alice', 'patch', `/mandate/members/${other.id}`, { in: acme, body: { roleIds: [] } }),
        ask(other, 'patch', `/mandate/members/${users.alice}`, { in: acme, body: { roleIds: [] } }),
      ])
    )
      .map(({ status }) => status)
      .sort()
    expect(statuses).toEqual([200, 403])
    await gateway.database.sql(
      `insert into user_mandate_roles
        select id, $1
        from user_mandates
        where user_id = $2 and mandate_id = $3
        on conflict do nothing`,
      [roles.acmeAdmin, users.alice, acme],
    )
    await gateway.database.sql('delete from user_mandates where user_id = $1', [other.id])
  })
})
