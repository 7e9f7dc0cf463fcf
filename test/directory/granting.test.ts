import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { administrationOf, type Administration } from '../support/administration.js'
import { instances, mandates, roles } from '../support/demo.js'
import { directoryOf, type Newcomer } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { expectProblem } from '../support/problems.js'

let gateway: TestGateway
let admin: Administration
let directory: ReturnType<typeof directoryOf>
const { acme, globex } = mandates
beforeAll(async () => {
  gateway = await startTestGateway()
  admin = administrationOf(gateway)
  directory = directoryOf(gateway.database)
})
afterAll(async () => {
  await gateway.stop()
})

/** Everything that rights are made of, to see that nothing of it has changed. */
const everything = async () =>
  await Promise.all(
    [
      'select id, user_id, mandate_id, enabled from user_mandates order by id',
      'select * from user_mandate_roles order by 1, 2',
      'select id, user_id, feature_instance_id, enabled from feature_access order by id',
      'select * from feature_access_roles order by 1, 2',
      'select id, mandate_id, feature_instance_id from roles order by id',
      'select role_id, context, item, view, "read", "create", "update", "delete" from access_rules order by id',
      'select id, enabled from feature_instances order by id',
    ].map((statement) => gateway.database.sql(statement)),
  )

/** Governs acme, and holds besides: RESOURCE crm read a, update g, but nothing of crm.secret. */
let deputy: Newcomer
let deputyRole: string
/** A member with what the test gives them. */
let other: Newcomer
beforeEach(async () => {
  deputyRole = await directory.role({
    mandateId: acme,
    rules: [
      { context: 'RESOURCE', item: 'gateway', view: true, read: 'a', create: 'a', update: 'a', delete: 'a' },
      { context: 'RESOURCE', item: 'crm', view: true, read: 'a', update: 'g' },
      { context: 'RESOURCE', item: 'crm.secret' },
    ],
  })
  deputy = await directory.user()
  other = await directory.user()
  await directory.join(deputy.id, acme, { roles: [deputyRole] })
})

const does = (method: 'post' | 'patch' | 'delete', path: string, body?: unknown) =>
  admin.ask(deputy, method, `/mandate/${path}`, { in: acme, body })

async function refuses(
  method: 'post' | 'patch' | 'delete',
  path: string,
  body?: unknown,
  [status, code] = [403, 'permission_denied'],
) {
  const before = await everything()
  expectProblem(await does(method, path, body), status, code)
  expectProblem(await does(method, `${path}?dryRun=1`, body), status, code)
  expect(await everything()).toEqual(before)
}

const member = (userRoles: string[], options = {}) =>
  directory.join(other.id, acme, { roles: userRoles, ...options })
const ownRule = async (item: string) =>
  (
    await gateway.database.sql<{ id: string }>(
      'select id from access_rules where role_id = $1 and item = $2',
      [deputyRole, item],
    )
  )[0]!.id

describe('somebody who governs a mandate gives what they hold and no more', () => {
  it('in rules: neither another action, nor a higher level, nor another item or context, nor all items', async () => {
    const {
      body: { id: roleId },
    } = await does('post', 'roles', { label: 'helpers' })
    const beyond = [
      { context: 'RESOURCE', item: 'crm', delete: 'm' },
      { context: 'RESOURCE', item: 'crm', update: 'a' },
      { context: 'RESOURCE', item: 'billing', read: 'm' },
      { context: 'RESOURCE', read: 'a' },
      { context: 'RESOURCE', item: null, view: true },
      { context: 'DATA', item: 'crm', read: 'm' },
      { context: 'UI', item: 'crm', view: true },
      { context: 'RESOURCE', item: 'crm.secret', read: 'm' },
    ]
    for (const rule of beyond) await refuses('post', 'rules', { roleId, ...rule })
    const within = [
      { context: 'RESOURCE', item: 'crm.contacts', view: true, read: 'a', update: 'g' },
      { context: 'RESOURCE', item: 'gateway.members', read: 'a', delete: 'a' },
      { context: 'DATA', item: 'x' },
    ]
    for (const rule of within) expect((await does('post', 'rules', { roleId, ...rule })).status).toBe(201)
    // crm itself holds crm.secret, of which they have nothing
    await refuses('post', 'rules', { roleId, context: 'RESOURCE', item: 'crm', read: 'm' })
    expect((await does('post', 'rules', { roleId, context: 'RESOURCE', item: 'crm.secret' })).status).toBe(
      201,
    )
    expect(
      (await does('post', 'rules', { roleId, context: 'RESOURCE', item: 'crm', read: 'm' })).status,
    ).toBe(201)
  })

  it('in rules that are changed, and by taking away what restricts', async () => {
    const role = await directory.role({
      mandateId: acme,
      rules: [
        { context: 'RESOURCE', item: 'crm', read: 'm' },
        { context: 'RESOURCE', item: 'crm.secret' },
      ],
    })
    const [wide, narrow] = (
      await gateway.database.sql<{ id: string }>(
        'select id from access_rules where role_id = $1 order by item',
        [role],
      )
    ).map(({ id }) => id)
    for (const body of [{ delete: 'm' }, { item: null }, { context: 'DATA' }, { update: 'a' }])
      await refuses('patch', `rules/${wide!}`, body)
    await refuses('delete', `rules/${narrow!}`) // crm.secret would follow crm
    await refuses('patch', `rules/${narrow!}`, { item: 'crm.other' })
    expect((await does('patch', `rules/${wide!}`, { read: 'a' })).status).toBe(200)
    expect((await does('delete', `rules/${wide!}`)).status).toBe(200)
    expect((await does('delete', `rules/${narrow!}`)).status).toBe(200)
  })

  it('by roles: none that gives more than they hold, to whom it may be, new or known', async () => {
    await refuses('post', 'members', { userId: other.id, roleIds: [roles.acmeAdmin] })
    await refuses('post', 'members', { userId: other.id, roleIds: [roles.viewer] }) // DATA crm
    await member([])
    await refuses('patch', `members/${other.id}`, { roleIds: [roles.acmeAdmin] })
    await directory.grant(other.id, instances.acmeCrm)
    await refuses('patch', `instances/${instances.acmeCrm}/access/${other.id}`, {
      roleIds: [roles.crmEditor],
    })
    expect((await does('patch', `members/${other.id}`, { roleIds: [deputyRole] })).status).toBe(200)
  })

  it('nor by letting somebody in who has more', async () => {
    await member([roles.acmeAdmin], { enabled: false })
    await refuses('patch', `members/${other.id}`, { enabled: true })
    expect((await does('patch', `members/${other.id}`, { enabled: true, roleIds: [] })).status).toBe(200)
  })

  it('nor by opening an instance in which others have more', async () => {
    const instance = await directory.instance(acme, { enabled: false })
    await member([])
    await directory.grant(other.id, instance, {
      roles: [
        await directory.role({ mandateId: acme, instanceId: instance, rules: [{ item: 'x', read: 'a' }] }),
      ],
    })
    await refuses('patch', `instances/${instance}`, { enabled: true })
    expect(
      (await admin.ask('alice', 'delete', `/mandate/instances/${instance}/access/${other.id}`, { in: acme }))
        .status,
    ).toBe(200)
    expect((await does('patch', `instances/${instance}`, { enabled: true })).status).toBe(200)
  })

  it('nor by removing a restriction at an instance: the rule, the role, its assignment, or membership', async () => {
    await member([roles.viewer])
    const muzzle = await directory.role({
      mandateId: acme,
      instanceId: instances.acmeCrm,
      rules: [
        { context: 'DATA', item: 'crm' },
        { context: 'UI' },
        { context: 'RESOURCE', item: 'crm.secret' },
      ],
    })
    const access = await directory.grant(other.id, instances.acmeCrm, { roles: [muzzle] })
    const [rule] = await gateway.database.sql<{ id: string }>(
      `select id from access_rules where role_id = $1 and context = 'DATA'`,
      [muzzle],
    )
    await refuses('delete', `rules/${rule!.id}`)
    await refuses('patch', `rules/${rule!.id}`, { item: 'crm.contacts' })
    await refuses('delete', `roles/${muzzle}`)
    await refuses('patch', `instances/${instances.acmeCrm}/access/${access}`, { roleIds: [] })
    // takes away all of it
    expect((await does('delete', `instances/${instances.acmeCrm}/access/${other.id}`)).status).toBe(200)
    await refuses('post', `instances/${instances.acmeCrm}/access`, { userId: other.id })
    expect(
      (await does('post', `instances/${instances.acmeCrm}/access`, { userId: other.id, roleIds: [muzzle] }))
        .status,
    ).toBe(201)
  })

  it('to themself neither: not by their own row, nor by the roles they have', async () => {
    await refuses('patch', `members/${deputy.id}`, { roleIds: [deputyRole, roles.viewer] }, [409, 'conflict'])
    await refuses('patch', `rules/${await ownRule('crm')}`, { update: 'a' })
    await refuses('delete', `rules/${await ownRule('crm.secret')}`)
    const muzzle = await directory.role({
      mandateId: acme,
      instanceId: instances.acmeCrm,
      rules: [{ context: 'RESOURCE', item: 'crm' }],
    })
    await directory.grant(deputy.id, instances.acmeCrm, { roles: [muzzle] })
    await refuses('delete', `roles/${muzzle}`) // what they hold in the mandate does not let them out here
    await refuses('delete', `instances/${instances.acmeCrm}/access/${deputy.id}`, undefined, [
      409,
      'conflict',
    ])
  })

  it('gives in an instance what they hold there', async () => {
    const own = await directory.role({
      mandateId: acme,
      instanceId: instances.acmeCrm,
      rules: [{ context: 'DATA', item: 'crm', read: 'm' }],
    })
    await member([])
    await refuses('post', `instances/${instances.acmeCrm}/access`, { userId: other.id, roleIds: [own] })
    await directory.grant(deputy.id, instances.acmeCrm, { roles: [own] })
    expect(
      (await does('post', `instances/${instances.acmeCrm}/access`, { userId: other.id, roleIds: [own] }))
        .status,
    ).toBe(201)
  })

  it('does not govern a mandate by what an instance gives them', async () => {
    const only = await directory.role({
      mandateId: acme,
      instanceId: instances.acmeCrm,
      rules: [{ context: 'RESOURCE', item: 'gateway', read: 'a', create: 'a', update: 'a' }],
    })
    await member([])
    await directory.grant(other.id, instances.acmeCrm, { roles: [only] })
    const third = await directory.user()
    const answer = await fetch(`${gateway.url}/mandate/members`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${other.token}`,
        'X-Mandate-Id': acme,
        'X-Instance-Id': instances.acmeCrm,
        'Content-Type': 'application/json',
      },
      body: JSON.stringify({ userId: third.id, roleIds: [deputyRole] }),
    })
    expect(answer.status).toBe(403)
  })

  it('takes away as they like', async () => {
    await member([roles.acmeAdmin])
    expect((await does('patch', `members/${other.id}`, { enabled: false })).status).toBe(200)
    expect((await does('delete', `members/${other.id}`)).status).toBe(200)
  })

  it('but a SysAdmin gives whatever there is', async () => {
    expect(
      (
        await admin.ask('root', 'post', '/mandate/members', {
          in: acme,
          body: { userId: other.id, roleIds: [roles.acmeAdmin] },
        })
      ).status,
    ).toBe(201)
  })
})

describe('nobody shuts themself out', () => {
  it('of governing, by the rules of their own role or by their own row', async () => {
    for (const body of [{ update: 'n' }, { read: 'n' }, { item: 'gateway.members' }])
      await refuses('patch', `rules/${await ownRule('gateway')}`, body, [409, 'conflict'])
    await refuses('delete', `rules/${await ownRule('gateway')}`, undefined, [409, 'conflict'])
    await refuses('delete', `roles/${deputyRole}`, undefined, [409, 'conflict'])
    await refuses('delete', `members/${deputy.id}`, undefined, [409, 'conflict'])
    await refuses('patch', `members/${deputy.id}`, { enabled: false }, [409, 'conflict'])
    // of other things they may
    expect((await does('patch', `rules/${await ownRule('crm')}`, { read: 'n' })).status).toBe(200)
  })
})

describe('the roles of others', () => {
  it('that are global are seen, and governed by platform admins only', async () => {
    expect(
      (await admin.ask(deputy, 'get', `/mandate/roles/${roles.viewer}`, { in: acme })).body,
    ).toMatchObject({ label: 'viewer', scope: 'global' })
    await refuses('patch', `roles/${roles.viewer}`, { label: 'mine' })
    await refuses('delete', `roles/${roles.viewer}`)
    await refuses('post', 'rules', { roleId: roles.viewer, context: 'DATA', item: 'x' })
    const [rule] = await gateway.database.sql<{ id: string }>(
      'select id from access_rules where role_id = $1',
      [roles.viewer],
    )
    await refuses('patch', `rules/${rule!.id}`, { read: 'n' })
    await refuses('delete', `rules/${rule!.id}`)
  })

  it('of other mandates are not there', async () => {
    const foreign = await directory.role({ mandateId: globex, rules: [{ item: 'x' }] })
    const [rule] = await gateway.database.sql<{ id: string }>(
      'select id from access_rules where role_id = $1',
      [foreign],
    )
    await refuses('patch', `roles/${foreign}`, { label: 'mine' }, [404, 'not_found'])
    await refuses('post', 'rules', { roleId: foreign, context: 'DATA', item: 'y' }, [404, 'not_found'])
    await refuses('delete', `rules/${rule!.id}`, undefined, [404, 'not_found'])
    await refuses('post', 'roles', { label: 'there', featureInstanceId: instances.globexCrm }, [
      404,
      'not_found',
    ])
    expect((await admin.all(deputy, '/mandate/roles', { in: acme })).map(({ id }) => id)).not.toContain(
      foreign,
    )
    expect(
      (await admin.all(deputy, '/mandate/rules', { in: acme, limit: 20 })).map(({ roleId }) => roleId),
    ).not.toContain(foreign)
  })

  it('are governed by platform admins, wherever they are', async () => {
    const made = await admin.ask('petra', 'post', '/admin/roles', {
      body: { label: 'made', featureInstanceId: instances.globexCrm },
    })
    expect(made.body).toMatchObject({
      scope: 'instance',
      mandateId: globex,
      featureInstanceId: instances.globexCrm,
    })
    const rule = await admin.ask('petra', 'post', '/admin/rules', {
      body: { roleId: made.body.id, context: 'DATA', read: 'a' },
    })
    expect(rule.body).toMatchObject({ item: null, read: 'a', create: 'n', view: false, coherence: {} })
    expectProblem(
      await admin.ask('petra', 'post', '/admin/rules', { body: { roleId: made.body.id, context: 'DATA' } }),
      409,
      'conflict',
    )
    expect(await admin.all('petra', `/admin/rules?roleId=${made.body.id as string}`)).toHaveLength(1)
    expect(
      (
        await admin.ask('petra', 'patch', `/admin/rules/${rule.body.id as string}`, {
          body: { item: 'crm', read: 'n' },
        })
      ).body,
    ).toMatchObject({ item: 'crm', read: 'n' })
    expect(
      (await admin.all('petra', `/admin/roles?instanceId=${instances.globexCrm}`)).map(({ id }) => id),
    ).toEqual([made.body.id])
    expect((await admin.ask('petra', 'delete', `/admin/roles/${made.body.id as string}`)).body).toEqual({
      coherence: expect.any(Object),
    })
    expect(await gateway.database.sql('select from access_rules where id = $1', [rule.body.id])).toEqual([])
    expect(
      (
        await admin.ask('petra', 'post', '/admin/roles', {
          body: { label: 'x', featureInstanceId: instances.globexCrm, mandateId: acme },
        })
      ).body.code,
    ).toBe('validation_failed')
  })

  it('that are changed by platform admins are previewed for those who hold them', async () => {
    const [rule] = await gateway.database.sql<{ id: string }>(
      `select id from access_rules where role_id = $1 and context = 'RESOURCE'`,
      [roles.viewer],
    )
    const { body } = await admin.ask('petra', 'patch', `/admin/rules/${rule!.id}?dryRun=1`, {
      body: { read: 'n' },
    })
    const flipped = body.permissions.items.map(
      ({ username, mandateId, instanceId }: Record<string, string>) =>
        `${username!} ${mandateId!} ${String(instanceId)}`,
    )
    expect(flipped).toEqual(
      expect.arrayContaining([`bob ${acme} null`, `alice ${globex} null`, `reports ${acme} null`]),
    )
    expect(flipped).not.toContain(`bob ${acme} ${instances.acmeCrm}`) // where crm-reader decides
    expect(flipped.filter((one: string) => one.startsWith('dave'))).toEqual([]) // who is not let in anyway
  })
})

describe('what is given to somebody who is disabled is judged by what they would hold', () => {
  /**
   * A member who may do everything with crm in acme, but at the instance, where another role takes it from
   * them.
   */
  async function masked() {
    const instance = await directory.instance(acme)
    const wide = await directory.role({
      mandateId: acme,
      rules: [
        { context: 'RESOURCE', item: 'crm', view: true, read: 'a', create: 'a', update: 'a', delete: 'a' },
      ],
    })
    const mask = await directory.role({
      mandateId: acme,
      instanceId: instance,
      rules: [{ context: 'RESOURCE', item: 'crm', view: true, read: 'm' }],
    })
    await member([wide])
    await directory.grant(other.id, instance, { roles: [mask] })
    const [rule] = await gateway.database.sql<{ id: string }>(
      'select id from access_rules where role_id = $1',
      [mask],
    )
    return { instance, mask, rule: rule!.id }
  }
  const disable = (statement: string, id: string) => gateway.database.sql(statement, [id])

  it.each<[string, (place: { instance: string }) => Promise<unknown>]>([
    ['while nothing is disabled', () => Promise.resolve()],
    [
      'while the account is',
      () => admin.ask('petra', 'patch', `/admin/users/${other.id}`, { body: { enabled: false } }),
    ],
    [
      'while the membership is',
      () => disable('update user_mandates set enabled = false where user_id = $1', other.id),
    ],
    [
      'while the access is',
      () => disable('update feature_access set enabled = false where user_id = $1', other.id),
    ],
    [
      'while the instance is',
      ({ instance }) => disable('update feature_instances set enabled = false where id = $1', instance),
    ],
  ])('nobody takes away what masks more than they hold, %s', async (_when, lock) => {
    const place = await masked()
    await lock(place)
    await refuses('patch', `instances/${place.instance}/access/${other.id}`, { roleIds: [] })
    await refuses('delete', `rules/${place.rule}`)
    await refuses('delete', `roles/${place.mask}`)
    // taking away is free
    expect((await does('patch', `members/${other.id}`, { roleIds: [] })).status).toBe(200)
  })

  it('nobody gives a disabled member what they do not hold, for somebody else to enable', async () => {
    const beyond = await directory.role({
      mandateId: acme,
      rules: [{ context: 'DATA', item: 'crm', read: 'a' }],
    })
    await member([], { enabled: false })
    await refuses('patch', `members/${other.id}`, { roleIds: [beyond] })
    const newcomer = await directory.user()
    await refuses('post', 'members', { userId: newcomer.id, enabled: false, roleIds: [beyond] })
  })

  it('the refusal says that it is for when they can enter again', async () => {
    const { instance } = await masked()
    await disable('update users set enabled = false where id = $1', other.id)
    const { body } = await does('patch', `instances/${instance}/access/${other.id}`, { roleIds: [] })
    expect(body.detail).toBe(
      'You can give only what you hold: this would give create a, update a, delete a on ' +
        `RESOURCE crm, once ${other.username} can enter again`,
    )
  })

  it('a preview shows only what would change for those who can enter', async () => {
    await member([deputyRole], { enabled: false })
    const { body } = await does('patch', `members/${other.id}?dryRun=1`, { roleIds: [] })
    expect(body.permissions).toEqual({ count: 0, items: [], unseen: 0 })
  })
})
