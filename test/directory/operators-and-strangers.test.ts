import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { administrationOf, type Administration, type Asker } from '../support/administration.js'
import { instances, mandates, roles, users } from '../support/demo.js'
import { directoryOf, type Newcomer } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { expectProblem } from '../support/problems.js'
import { until } from '../support/until.js'

let gateway: TestGateway
let ask: Administration['ask']
let all: Administration['all']
let directory: ReturnType<typeof directoryOf>
beforeAll(async () => {
  gateway = await startTestGateway({ environment: { COHERENCE_LEASE_MS: '5000' } })
  ;({ ask, all } = administrationOf(gateway))
  directory = directoryOf(gateway.database)
})
afterAll(async () => {
  await gateway.stop()
})

const { acme, globex } = mandates
const sql: TestGateway['database']['sql'] = (...of) => gateway.database.sql(...of)
const access = `/mandate/instances/${instances.acmeCrm}/access`

const enter = (who: Newcomer, mandate: string, instance?: string) =>
  request(gateway.server)
    .get('/auth/context')
    .set({
      Authorization: `Bearer ${who.token}`,
      'X-Mandate-Id': mandate,
      ...(instance === undefined ? {} : { 'X-Instance-Id': instance }),
    })

describe('what an admin of a mandate does to a person who governs the platform', () => {
  const levels = [
    ['a SysAdmin', { isSysAdmin: true }],
    ['a PlatformAdmin', { isPlatformAdmin: true }],
  ] as const

  /** Rows of a person, as a dump. */
  const rowsOf = async (id: string) => [
    await sql(
      `select to_jsonb(m) - $2 as row,
          array(select role_id from user_mandate_roles where user_mandate_id = m.id) as roles
        from user_mandates m
        where user_id = $1`,
      [id, 'updated_at'],
    ),
    await sql(
      `select to_jsonb(a) - $2 as row,
          array(select role_id from feature_access_roles where feature_access_id = a.id) as roles
        from feature_access a
        where user_id = $1`,
      [id, 'updated_at'],
    ),
  ]

  const expectRefused = async (
    who: Newcomer,
    method: 'post' | 'patch' | 'delete',
    path: string,
    body?: unknown,
  ) => {
    const before = await rowsOf(who.id)
    for (const query of ['', '?dryRun=1']) {
      const answer = await ask('alice', method, path + query, { in: acme, body })
      expectProblem(answer, 403, 'permission_denied')
      expect(answer.body.detail).toMatch(/governs the platform.*platform admins.*\/admin/)
    }
    expect(await rowsOf(who.id)).toEqual(before)
  }

  it.each(levels)('is refused: adding %s, let in or not, by name or by id', async (_level, flags) => {
    const operator = await directory.user(flags)
    await expectRefused(operator, 'post', '/mandate/members', { username: operator.username, enabled: false })
    await expectRefused(operator, 'post', '/mandate/members', {
      userId: operator.id,
      roleIds: [roles.viewer],
    })
    expect((await enter(operator, acme)).status).toBe(200)
    expect(
      (await ask('petra', 'post', `/admin/mandates/${acme}/members`, { body: { userId: operator.id } }))
        .status,
    ).toBe(201)
  })

  it.each(levels)(
    'is refused: changing, disabling, enabling or removing the membership of %s',
    async (_level, flags) => {
      const operator = await directory.user(flags)
      const membership = await directory.join(operator.id, acme)
      for (const id of [operator.id, membership]) {
        await expectRefused(operator, 'patch', `/mandate/members/${id}`, { enabled: false })
        await expectRefused(operator, 'patch', `/mandate/members/${id}`, { roleIds: [roles.viewer] })
        await expectRefused(operator, 'delete', `/mandate/members/${id}`)
      }
      const at = `/admin/mandates/${acme}/members/${operator.id}`
      expect((await ask('petra', 'patch', at, { body: { enabled: false } })).status).toBe(200)
      await expectRefused(operator, 'patch', `/mandate/members/${operator.id}`, { enabled: true })
      expect((await ask('petra', 'delete', at)).status).toBe(200)
    },
  )

  it.each(levels)(
    'is refused: giving, changing, disabling, enabling or taking the access of %s',
    async (_level, flags) => {
      const operator = await directory.user(flags)
      await directory.join(operator.id, acme)
      await expectRefused(operator, 'post', access, { username: operator.username, enabled: false })
      await expectRefused(operator, 'post', access, { userId: operator.id, roleIds: [roles.crmReader] })
      const row = await directory.grant(operator.id, instances.acmeCrm)
      for (const id of [operator.id, row]) {
        await expectRefused(operator, 'patch', `${access}/${id}`, { enabled: false })
        await expectRefused(operator, 'patch', `${access}/${id}`, { roleIds: [roles.crmReader] })
        await expectRefused(operator, 'delete', `${access}/${id}`)
      }
      const at = `/admin/instances/${instances.acmeCrm}/access/${operator.id}`
      expect((await ask('petra', 'patch', at, { body: { enabled: false } })).status).toBe(200)
      await expectRefused(operator, 'patch', `${access}/${operator.id}`, { enabled: true })
      expect((await ask('petra', 'delete', at)).status).toBe(200)
    },
  )

  it('depends on the person’s level now: gaining one puts them out of reach, losing it ends that', async () => {
    const person = await directory.user()
    await directory.join(person.id, acme)
    expect(
      (
        await ask('alice', 'patch', `/mandate/members/${person.id}`, {
          in: acme,
          body: { roleIds: [roles.viewer] },
        })
      ).status,
    ).toBe(200)
    expect(
      (await ask('petra', 'patch', `/admin/users/${person.id}`, { body: { isPlatformAdmin: true } })).status,
    ).toBe(200)
    await expectRefused(person, 'patch', `/mandate/members/${person.id}`, { enabled: false })
    expect(
      (await ask('petra', 'patch', `/admin/users/${person.id}`, { body: { isPlatformAdmin: false } })).status,
    ).toBe(200)
    expect((await ask('alice', 'delete', `/mandate/members/${person.id}`, { in: acme })).status).toBe(200)
  })

  it('a SysAdmin, whom no rule binds, does in the mandate', async () => {
    const operator = await directory.user({ isPlatformAdmin: true })
    expect(
      (await ask('root', 'post', '/mandate/members', { in: acme, body: { userId: operator.id } })).status,
    ).toBe(201)
    expect((await ask('root', 'delete', `/mandate/members/${operator.id}`, { in: acme })).status).toBe(200)
  })
})

describe('a person whom an admin of a mandate adds by name', () => {
  interface Stranger extends Newcomer {
    email: string
    fullName: string
  }
  const stranger = async (): Promise<Stranger> => {
    const person = await directory.user()
    const [email, fullName] = [
      `mail-${randomBytes(6).toString('hex')}@example.com`,
      `Given${randomBytes(6).toString('hex')} Family${randomBytes(6).toString('hex')}`,
    ]
    await sql('update users set email = $1, full_name = $2 where id = $3', [email, fullName, person.id])
    return { ...person, email, fullName }
  }
  const hidden = ({ id, username }: Stranger) => ({ userId: id, username, email: null, fullName: null })
  const shown = ({ id, username, email, fullName }: Stranger) => ({ userId: id, username, email, fullName })
  const add = (who: Asker, person: Stranger, body: object = {}) =>
    ask(who, 'post', '/mandate/members', { in: acme, body: { username: person.username, ...body } })
  const found = async (path: string, q: string, who: Asker = 'alice') =>
    (await all(who, `${path}?q=${encodeURIComponent(q)}`, { in: acme })).map(({ userId }) => userId)
  const seenAs = async (person: Stranger) =>
    (await ask('alice', 'get', `/mandate/members/${person.id}`, { in: acme })).body

  it('shows their username alone, at the members and the access, whatever is asked or changed', async () => {
    const person = await stranger()
    const added = await add('alice', person)
    expect([added.status, added.body]).toEqual([201, expect.objectContaining(hidden(person))])
    const given = await ask('alice', 'post', access, { in: acme, body: { username: person.username } })
    expect([given.status, given.body]).toEqual([201, expect.objectContaining(hidden(person))])
    for (const path of ['/mandate/members', access]) {
      const one = await ask('alice', 'get', `${path}/${person.id}`, { in: acme })
      expect(one.body).toMatchObject(hidden(person))
      expect(
        (await all('alice', path, { in: acme, limit: 200 })).find(({ userId }) => userId === person.id),
      ).toMatchObject(hidden(person))
      const changed = await ask('alice', 'patch', `${path}/${person.id}`, {
        in: acme,
        body: { enabled: false },
        ifMatch: String(one.headers.etag),
      })
      expect([changed.status, changed.body]).toEqual([200, expect.objectContaining(hidden(person))])
    }
  })

  it('is found by the username, and by no address or full name', async () => {
    const person = await stranger()
    await add('alice', person)
    await ask('alice', 'post', access, { in: acme, body: { username: person.username } })
    for (const path of ['/mandate/members', access]) {
      expect(await found(path, person.username.slice(0, 12).toUpperCase())).toEqual([person.id])
      expect(await found(path, person.username.split('-')[1]!)).toEqual([person.id])
      for (const q of [
        person.email,
        person.email.slice(0, 10),
        person.fullName,
        ...person.fullName.split(' '),
      ])
        expect([q, await found(path, q)]).toEqual([q, []])
    }
  })

  it.each([
    ['the mandate', undefined],
    ['an instance of it', instances.acmeCrm],
  ])('shows themselves by entering %s', async (_place, instance) => {
    const person = await stranger()
    await add('alice', person)
    if (instance !== undefined)
      await ask('alice', 'post', access, { in: acme, body: { username: person.username } })
    expect((await enter(person, acme, instance)).status).toBe(200)
    expect(
      await until(async () => (await seenAs(person)).email === person.email && (await seenAs(person))),
    ).toMatchObject(shown(person))
    expect(await found('/mandate/members', person.email)).toEqual([person.id])
    expect(await found('/mandate/members', person.fullName.split(' ')[1]!)).toEqual([person.id])
  })

  it('does not by being refused, entering another mandate, looking themselves up, or being asked about', async () => {
    const person = await stranger()
    await add('alice', person, { enabled: false })
    await directory.join(person.id, globex)
    expectProblem(await enter(person, acme), 403, 'membership_disabled')
    expect((await enter(person, globex)).status).toBe(200)
    expect(
      (await request(gateway.server).get('/auth/me').set('Authorization', `Bearer ${person.token}`)).status,
    ).toBe(200)
    await ask('alice', 'patch', `/mandate/members/${person.id}`, { in: acme, body: { enabled: true } })
    const explained = await ask('alice', 'post', '/mandate/explain', {
      in: acme,
      body: { user: person.username, context: 'RESOURCE', item: 'crm', action: 'read' },
    })
    expect([explained.status, explained.body.refusal.code]).toEqual([200, 'permission_denied'])
    expect(await seenAs(person)).toMatchObject(hidden(person))
    expect(
      await sql('select profile_shown from user_mandates where user_id = $1 and mandate_id = $2', [
        person.id,
        acme,
      ]),
    ).toEqual([{ profile_shown: false }])
  })

  it('is hidden again when they are removed and added anew', async () => {
    const person = await stranger()
    await add('alice', person)
    await enter(person, acme)
    await until(async () => (await seenAs(person)).email === person.email)
    await ask('alice', 'delete', `/mandate/members/${person.id}`, { in: acme })
    expect((await add('alice', person)).body).toMatchObject(hidden(person))
  })

  it('is seen by operators, and by the mandate where an operator or another tool adds them', async () => {
    const [first, second, third] = [await stranger(), await stranger(), await stranger()]
    await add('alice', first)
    for (const path of [`/admin/mandates/${acme}/members`, `/admin/users`])
      expect((await ask('petra', 'get', `${path}/${first.id}`)).body).toMatchObject({
        email: first.email,
        fullName: first.fullName,
      })
    expect(await found(`/admin/mandates/${acme}/members`, first.email, 'petra')).toEqual([first.id])
    expect((await ask('root', 'get', `/mandate/members/${first.id}`, { in: acme })).body).toMatchObject(
      shown(first),
    )
    await ask('petra', 'post', `/admin/mandates/${acme}/members`, { body: { userId: second.id } })
    await directory.join(third.id, acme)
    for (const person of [second, third]) expect(await seenAs(person)).toMatchObject(shown(person))
  })
})

it('members of the mandate are shown as before', async () => {
  expect((await ask('alice', 'get', `/mandate/members/${users.bob}`, { in: acme })).body).toMatchObject({
    email: 'bob@example.com',
  })
})
