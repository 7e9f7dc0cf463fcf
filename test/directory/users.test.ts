import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { administrationOf, type Administration } from '../support/administration.js'
import { mandates, roles, tokenFor, users } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { expectProblem } from '../support/problems.js'

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

let next = 0
beforeEach(() => {
  next += 1
})
const name = (tail = '') => `person${next}${tail}`

const make = async (body: Record<string, unknown> = {}) =>
  (await ask('petra', 'post', '/admin/users', { body: { username: name(), ...body } })).body as {
    id: string
    username: string
  }
const eventsOf = (subject: string) =>
  gateway.database.sql<{
    user_id: string
    mandate_id: string
    action: string
    details: Record<string, unknown>
  }>(
    `select user_id, mandate_id, action, details from audit_events where details->>'subject' = $1 order by seq`,
    [subject],
  )

describe('making a user', () => {
  it('answers 201 with where it is, and the event says who made it', async () => {
    const answer = await ask('petra', 'post', '/admin/users', {
      body: { username: name(), email: 'a@example.com', fullName: 'Ada Byron' },
    })
    expect(answer.status).toBe(201)
    expect(answer.headers.location).toBe(`/admin/users/${answer.body.id}`)
    expect(answer.body).toMatchObject({
      username: name(),
      email: 'a@example.com',
      fullName: 'Ada Byron',
      enabled: true,
      isSysAdmin: false,
      isPlatformAdmin: false,
    })
    expect((await ask('petra', 'get', answer.headers.location!)).body).toMatchObject({ username: name() })
    expect(await eventsOf(`user:${answer.body.id}`)).toMatchObject([
      {
        user_id: users.petra,
        mandate_id: 'system',
        action: 'user_created',
        details: { after: { id: answer.body.id, enabled: true } },
      },
    ])
  })

  it('answers a link by which they set a password, once; another one makes the first void', async () => {
    const {
      body: { id, firstAccess },
    } = await ask('petra', 'post', '/admin/users', { body: { username: name() } })
    const set = (url: string) =>
      request(gateway.server).post(new URL(url).pathname).send({ password: 'a good long passphrase' })
    const again = await ask('petra', 'post', `/admin/users/${id as string}/first-access`)
    expect([again.status, Object.keys(again.body).sort()]).toEqual([
      201,
      ['coherence', 'delivery', 'expiresAt', 'link', 'url'],
    ])
    expect(again.body.url.startsWith(`${gateway.url}/auth/first-access/`)).toBe(true)
    expectProblem(await set(firstAccess.url), 404, 'not_found')
    expect((await set(again.body.url)).status).toBe(204)
    expectProblem(await set(again.body.url), 404, 'not_found')
    expect(
      (
        await request(gateway.server)
          .post('/auth/login')
          .send({ username: name(), password: 'a good long passphrase' })
      ).status,
    ).toBe(200)
    expect(JSON.stringify(await eventsOf(`user:${id as string}`))).not.toContain(
      new URL(again.body.url).pathname.split('/').at(-1),
    )
  })

  it('is refused where the name is taken, in whatever way it cannot be stored, or a field is unknown', async () => {
    await make()
    expectProblem(await ask('petra', 'post', '/admin/users', { body: { username: name() } }), 409, 'conflict')
    for (const body of [
      {},
      { username: 'Upper' },
      { username: 'a b' },
      { username: '' },
      { username: name('x'), email: 'none' },
      { username: name('x'), fullName: 'a\0b' },
      { username: name('x'), password: 'x' },
      { username: name('x'), enabled: 'yes' },
    ]) {
      expect([body, (await ask('petra', 'post', '/admin/users', { body })).body.code]).toEqual([
        body,
        'validation_failed',
      ])
    }
  })

  it('makes no SysAdmin', async () => {
    expectProblem(
      await ask('petra', 'post', '/admin/users', { body: { username: name(), isSysAdmin: true } }),
      403,
      'sysadmin_required',
    )
    expect((await ask('petra', 'get', `/admin/users?q=${name()}`)).body.items).toEqual([])
  })

  it('is for platform admins: a SysAdmin who is none, and the admin of a mandate, are refused', async () => {
    for (const who of ['root', 'alice', 'erin'] as const)
      expectProblem(
        await ask(who, 'post', '/admin/users', { body: { username: name() } }),
        403,
        'platform_admin_required',
      )
  })
})

describe('changing a user', () => {
  it('changes what is named and nothing else', async () => {
    const { id } = await make({ email: 'a@example.com', fullName: 'Ada' })
    const answer = await ask('petra', 'patch', `/admin/users/${id}`, { body: { fullName: 'Grace' } })
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({
      id,
      email: 'a@example.com',
      fullName: 'Grace',
      enabled: true,
      coherence: { fenced: 0 },
    })
    expect((await ask('petra', 'patch', `/admin/users/${id}`, { body: { email: null } })).body).toMatchObject(
      { email: null, fullName: 'Grace' },
    )
    expect((await eventsOf(`user:${id}`)).at(-1)).toMatchObject({
      action: 'user_changed',
      details: { before: { id }, after: { id, email: null } },
    })
    expect(
      await gateway.database.sql(
        `select value from audit_personal where person_id = $1 and field = 'before.email'`,
        [id],
      ),
    ).toContainEqual({ value: 'a@example.com' })
  })

  it('does not change the name by which they log in', async () => {
    const { id } = await make()
    expect(
      (await ask('petra', 'patch', `/admin/users/${id}`, { body: { username: 'other' } })).body.code,
    ).toBe('validation_failed')
  })

  it('does not overwrite what somebody else has changed since it was read', async () => {
    const { id } = await make()
    const {
      headers: { etag },
    } = await ask('petra', 'get', `/admin/users/${id}`)
    const first = await ask('petra', 'patch', `/admin/users/${id}`, {
      body: { fullName: 'First' },
      ifMatch: etag!,
    })
    expect(first.status).toBe(200)
    expectProblem(
      await ask('petra', 'patch', `/admin/users/${id}`, { body: { fullName: 'Second' }, ifMatch: etag! }),
      412,
      'changed_meanwhile',
    )
    expect(
      (
        await ask('petra', 'patch', `/admin/users/${id}`, {
          body: { fullName: 'Second' },
          ifMatch: first.headers.etag!,
        })
      ).status,
    ).toBe(200)
    expectProblem(
      await ask('petra', 'delete', `/admin/users/${id}`, { ifMatch: etag! }),
      412,
      'changed_meanwhile',
    )
  })

  it('that is disabled ends their sessions: enabled again, they have to log in again', async () => {
    const { token, jti } = await tokenFor(gateway.database, 'bob')
    const ofNone = await tokenFor(gateway.database, 'bob', { row: { sessionId: null } })
    expect(
      (await ask('petra', 'patch', `/admin/users/${users.bob}`, { body: { enabled: false } })).body,
    ).toMatchObject({ enabled: false, coherence: {} })
    expectProblem(
      await request(gateway.server).get('/auth/me').set('Authorization', `Bearer ${token}`),
      403,
      'user_disabled',
    )
    expect(
      (await ask('petra', 'patch', `/admin/users/${users.bob}`, { body: { enabled: true } })).status,
    ).toBe(200)
    expectProblem(
      await request(gateway.server).get('/auth/me').set('Authorization', `Bearer ${token}`),
      401,
      'token_invalid',
    )
    expect(
      await gateway.database.sql(`select status from tokens where id = any ($1::uuid[])`, [
        [jti, ofNone.jti],
      ]),
    ).toEqual([{ status: 'revoked' }, { status: 'revoked' }])
  })

  it('that nobody has is 404, as is what is no id', async () => {
    for (const id of [randomUUID(), 'nobody', `${users.bob}x`]) {
      for (const method of ['get', 'patch', 'delete'] as const)
        expectProblem(
          await ask('petra', method, `/admin/users/${id}`, method === 'patch' ? { body: {} } : {}),
          404,
          'not_found',
        )
    }
  })
})

describe('a SysAdmin', () => {
  it.each([
    ['disabled', 'patch', '', { enabled: false }],
    ['enabled', 'patch', '', { enabled: true }],
    ['given another address', 'patch', '', { email: 'mine@example.com' }],
    ['deleted', 'delete', '', undefined],
    ['given a new password', 'post', '/first-access', undefined],
    ['signed out', 'delete', '/sessions', undefined],
  ] as const)('is not %s by a platform admin', async (_what, method, path, body) => {
    const before = await gateway.database.sql('select * from users where id = $1', [users.root])
    expectProblem(
      await ask('petra', method, `/admin/users/${users.root}${path}`, { body }),
      403,
      'sysadmin_required',
    )
    expect(await gateway.database.sql('select * from users where id = $1', [users.root])).toEqual(before)
  })

  it('is not made or unmade here, by nobody', async () => {
    const both = await directory.user({ isSysAdmin: true, isPlatformAdmin: true })
    for (const who of ['petra', both] as const) {
      expectProblem(
        await ask(who, 'patch', `/admin/users/${users.erin}`, { body: { isSysAdmin: true } }),
        403,
        'sysadmin_required',
      )
      expectProblem(
        await ask(who, 'patch', `/admin/users/${users.root}`, { body: { isSysAdmin: false } }),
        403,
        'sysadmin_required',
      )
    }
    expect(await gateway.database.sql('select username from users where is_sys_admin order by 1')).toEqual([
      { username: 'root' },
      { username: both.username },
    ])
    // which is what it is
    expect(
      (await ask('petra', 'patch', `/admin/users/${users.erin}`, { body: { isSysAdmin: false } })).status,
    ).toBe(200)
    expect((await ask(both, 'patch', `/admin/users/${users.root}`, { body: { enabled: true } })).status).toBe(
      200,
    )
    expect((await ask(both, 'delete', `/admin/users/${both.id}`)).status).toBe(200)
  })
})

describe('the last admin', () => {
  it('who is a PlatformAdmin and enabled is not disabled, deleted or made none', async () => {
    expect(
      (await ask('petra', 'patch', `/admin/users/${users.frank}`, { body: { isPlatformAdmin: false } })).body,
    ).toMatchObject({ isPlatformAdmin: false })
    for (const body of [{ enabled: false }, { isPlatformAdmin: false }])
      expectProblem(await ask('petra', 'patch', `/admin/users/${users.petra}`, { body }), 409, 'conflict')
    expectProblem(await ask('petra', 'delete', `/admin/users/${users.petra}`), 409, 'conflict')
    expect(
      (await ask('petra', 'patch', `/admin/users/${users.petra}`, { body: { fullName: 'Petra' } })).status,
    ).toBe(200)
    expect(
      (await ask('petra', 'patch', `/admin/users/${users.frank}`, { body: { isPlatformAdmin: true } }))
        .status,
    ).toBe(200)
  })

  it('who is a SysAdmin is not removed by another kind of admin who is one too', async () => {
    const both = await directory.user({ isSysAdmin: true, isPlatformAdmin: true })
    await gateway.database.sql(
      `update users set password_hash = (select password_hash from users where username = 'alice') where id = $1`,
      [both.id],
    )
    expect(
      (await ask(both, 'patch', `/admin/users/${users.root}`, { body: { enabled: false } })).status,
    ).toBe(200)
    expectProblem(await ask(both, 'delete', `/admin/users/${both.id}`), 409, 'conflict')
    expectProblem(
      await ask(both, 'patch', `/admin/users/${both.id}`, { body: { enabled: false } }),
      409,
      'conflict',
    )
    expect((await ask(both, 'patch', `/admin/users/${users.root}`, { body: { enabled: true } })).status).toBe(
      200,
    )
    expect((await ask(both, 'delete', `/admin/users/${both.id}`)).status).toBe(200)
  })

  it('remains when two try to remove each other at once', async () => {
    const [one, other] = [
      await directory.user({ isPlatformAdmin: true }),
      await directory.user({ isPlatformAdmin: true }),
    ]
    await gateway.database.sql('update users set is_platform_admin = false where id = any ($1)', [
      [users.petra, users.frank],
    ])
    const statuses = (
      await Promise.all([
        ask(one, 'delete', `/admin/users/${other.id}`),
        ask(other, 'delete', `/admin/users/${one.id}`),
      ])
    ).map(({ status }) => status)
    await gateway.database.sql('update users set is_platform_admin = true where id = any ($1)', [
      [users.petra, users.frank],
    ])
    expect(statuses.filter((status) => status === 200)).toHaveLength(1)
    expect(statuses.filter((status) => [409, 403, 401].includes(status))).toHaveLength(1)
    await gateway.database.sql('delete from users where id = any ($1)', [[one.id, other.id]])
  })
})

describe('deleting a user', () => {
  it('removes all that is theirs, and the tokens they have', async () => {
    const person = await directory.user()
    await directory.join(person.id, mandates.acme, { roles: [roles.viewer] })
    const answer = await ask('petra', 'delete', `/admin/users/${person.id}`)
    expect([answer.status, answer.body]).toEqual([200, { coherence: expect.any(Object) }])
    expectProblem(
      await request(gateway.server).get('/auth/me').set('Authorization', `Bearer ${person.token}`),
      401,
      'token_invalid',
    )
    expectProblem(await ask('petra', 'get', `/admin/users/${person.id}`), 404, 'not_found')
    expect(await gateway.database.sql('select from user_mandates where user_id = $1', [person.id])).toEqual(
      [],
    )
    expect((await eventsOf(`user:${person.id}`)).at(-1)).toMatchObject({
      action: 'user_deleted',
      details: { before: { id: person.id } },
    })
  })
})

describe('the sessions of a user', () => {
  it('are listed newest first, and ended one by one or all at once', async () => {
    const person = await directory.user()
    const more = await tokenFor(gateway.database, 'alice', {
      claims: { sub: person.username, userId: person.id },
      row: { userId: person.id },
    })
    const loose = await tokenFor(gateway.database, 'alice', {
      claims: { sub: person.username, userId: person.id, sid: undefined },
      row: { userId: person.id, sessionId: null, purpose: 'api_token' },
    })
    const listed = (await all('petra', `/admin/users/${person.id}/sessions`, { limit: 1 })).map(
      ({ id }) => id,
    )
    expect(listed[1]).toBe(more.sid) // the newest is the one that was made with the loose token
    const works = async (token: string) =>
      (await request(gateway.server).get('/auth/me').set('Authorization', `Bearer ${token}`)).status
    expect(await ask('petra', 'delete', `/admin/users/${person.id}/sessions/${more.sid}`)).toMatchObject({
      status: 200,
    })
    expect([await works(more.token), await works(person.token), await works(loose.token)]).toEqual([
      401, 200, 200,
    ])
    expectProblem(
      await ask('petra', 'delete', `/admin/users/${person.id}/sessions/${more.sid}`),
      404,
      'not_found',
    )
    expectProblem(
      await ask('petra', 'delete', `/admin/users/${users.erin}/sessions/${listed[2] as string}`),
      404,
      'not_found',
    )
    expect(await ask('petra', 'delete', `/admin/users/${person.id}/sessions`)).toMatchObject({ status: 200 })
    expect([await works(person.token), await works(loose.token)]).toEqual([401, 401])
    expect((await ask('petra', 'get', `/admin/users/${person.id}/sessions`)).body.items).toEqual([])
  })
})

describe('a preview', () => {
  it('of disabling a user says what would end and which permissions would go, and changes nothing', async () => {
    const before = await gateway.database.sql('select * from users order by id')
    const { sid, jti } = await tokenFor(gateway.database, 'bob')
    const { status, body } = await ask('petra', 'patch', `/admin/users/${users.bob}?dryRun=1`, {
      body: { enabled: false },
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({ dryRun: true })
    expect(body.sessions.ids).toContain(sid)
    expect(body.tokens.ids).toContain(jti)
    const gone = body.permissions.items.filter(
      (flip: { context: string; item: string }) => flip.context === 'RESOURCE' && flip.item === 'crm',
    )
    const none = { view: false, read: 'n', create: 'n', update: 'n', delete: 'n' }
    expect(gone).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          userId: users.bob,
          mandateId: mandates.acme,
          instanceId: null,
          before: { ...none, view: true, read: 'a' },
          after: none,
        }),
        // in acme-crm
        expect.objectContaining({
          userId: users.bob,
          mandateId: mandates.acme,
          before: { ...none, view: true, read: 'g' },
          after: none,
        }),
      ]),
    )
    expect(await gateway.database.sql('select * from users order by id')).toEqual(before)
    expect(
      await gateway.database.sql('select from sessions where id = $1 and ended_at is null', [sid]),
    ).toHaveLength(1)
    expect(await eventsOf(`user:${users.bob}`)).not.toContainEqual(
      expect.objectContaining({ details: expect.objectContaining({ requestId: body.requestId }) }),
    )
  })

  it('needs dryRun=1 exactly: any other spelling is refused, and nothing changes', async () => {
    const { id } = await make()
    for (const query of ['dryrun=1', 'dryRun=yes', 'dryRun=1&dryRun=0'])
      expect((await ask('petra', 'delete', `/admin/users/${id}?${query}`)).body.code).toBe(
        'validation_failed',
      )
    expect((await ask('petra', 'delete', `/admin/users/${id}?dryRun=1`)).body).toMatchObject({ dryRun: true })
    expect((await ask('petra', 'get', `/admin/users/${id}`)).status).toBe(200)
  })
})

describe('a list of users', () => {
  it('pages through everybody once, also while others come', async () => {
    const { nextCursor, items } = (await ask('petra', 'get', '/admin/users?limit=3')).body
    expect(items.map(({ username }: { username: string }) => username)).toEqual(['alice', 'bob', 'carol'])
    await make({ username: 'aaron' })
    const rest = (await ask('petra', 'get', `/admin/users?limit=200&cursor=${nextCursor}`)).body.items.map(
      ({ username }: { username: string }) => username,
    )
    expect(rest[0]).toBe('dave')
    expect(rest).not.toContain('aaron')
  })

  it('goes in each order, both ways', async () => {
    const everybody = await gateway.database.sql<{ username: string }>(
      'select username from users order by username',
    )
    const names = async (query: string) =>
      (await all('petra', `/admin/users?${query}`, { limit: 3 })).map(({ username }) => username)
    expect(await names('sort=username')).toEqual(everybody.map(({ username }) => username))
    expect(await names('sort=-username')).toEqual(everybody.map(({ username }) => username).reverse())
    const byTime = (
      await gateway.database.sql<{ username: string }>('select username from users order by created_at, id')
    ).map(({ username }) => username)
    expect(await names('sort=createdAt')).toEqual(byTime)
    expect(await names('sort=-createdAt')).toEqual(byTime.reverse())
  })

  it('is filtered by what users are', async () => {
    const names = async (query: string) =>
      (await all('petra', `/admin/users?${query}`)).map(({ username }) => username)
    expect(await names('level=sysAdmin')).toEqual(['root'])
    expect(await names('level=platformAdmin')).toEqual(['frank', 'petra'])
    expect(await names('enabled=false')).toEqual(['dave'])
    expect(await names('serviceAccount=true')).toEqual(['reports'])
    expect(await names('level=none&enabled=true&serviceAccount=false')).toEqual(
      expect.not.arrayContaining(['root', 'petra', 'dave', 'reports']),
    )
  })

  it('finds by the beginning of a name, an address, a word of a name, in any case, each once', async () => {
    const names = async (q: string) =>
      (await all('petra', `/admin/users?q=${encodeURIComponent(q)}`)).map(({ username }) => username)
    expect(await names('ali')).toEqual(['alice'])
    expect(await names('ACKER')).toEqual(['alice'])
    expect(await names('alice a')).toEqual(['alice'])
    expect(await names('bob@ex')).toEqual(['bob'])
    expect(await names('eri')).toEqual(['erin']) // by name and by full name
    for (const nobody of ['lice', '%', '_', 'a%', '\\']) expect(await names(nobody)).toEqual([])
  })

  it('finds by what has been changed, and not by what was', async () => {
    const { id } = await make({ fullName: 'Before Thisname' })
    await ask('petra', 'patch', `/admin/users/${id}`, { body: { fullName: 'After Thatname' } })
    expect(await all('petra', '/admin/users?q=thisname')).toEqual([])
    expect(await all('petra', '/admin/users?q=thatname')).toMatchObject([{ id }])
  })

  it('refuses what it does not know: parameters, orders, cursors of other lists', async () => {
    const { nextCursor } = (await ask('petra', 'get', '/admin/users?limit=1&sort=createdAt')).body
    for (const query of [
      'sort=email',
      'level=x',
      'enabled=1',
      'q=',
      'unknown=1',
      'limit=0',
      'cursor=x',
      `cursor=${nextCursor}`,
      'q=a&sort=username',
      'q=%00',
    ]) {
      expect([query, (await ask('petra', 'get', `/admin/users?${query}`)).body.code]).toEqual([
        query,
        'validation_failed',
      ])
    }
  })
})
