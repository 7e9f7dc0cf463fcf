import type { Request, Response as ExpressResponse } from 'express'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import request from 'supertest'
import type { Principal } from '../../src/authentication/principal.js'
import type { Level } from '../../src/domain/permissions.js'
import { permissionFrom, permissionIn, type Permission } from '../../src/authorization/permissions.js'
import { createDirectory, type ScopedRule } from '../../src/coherence/directory.js'
import { createMemory } from '../../src/coherence/memory.js'
import { countingRules } from '../../src/context/counting-rules.js'
import type { PrioritisedRule, RequestContext } from '../../src/context/request-context.js'
import { resolveContext } from '../../src/context/resolve-context.js'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { directoryOf, type Newcomer, type RuleRow } from '../support/directory.js'
import { instances, mandates, roles, tokenFor, users, type DemoUser } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { expectProblem } from '../support/problems.js'
import { stateWith } from '../support/request-state.js'
import { withoutTable } from '../support/tables.js'

const nothing = { view: false, read: 'n', create: 'n', update: 'n', delete: 'n' }
const everything = { view: true, read: 'a', create: 'a', update: 'a', delete: 'a' }

/** A caller's place; without a mandate the header is not sent. */
interface Place {
  mandate?: string
  instance?: string
}

let gateway: TestGateway
let directory: ReturnType<typeof directoryOf>
const tokens = new Map<string, string>()

beforeAll(async () => {
  // Without memory: rows that a test changes count with the next request.
  gateway = await startTestGateway({ environment: { COHERENCE_LEASE_MS: '0' } })
  directory = directoryOf(gateway.database)
  for (const user of ['root', 'petra', 'alice', 'bob', 'carol', 'frank'] as const)
    tokens.set(user, (await tokenFor(gateway.database, user)).token)
})
afterAll(async () => {
  await gateway.stop()
})

const get = (path: string, caller: string, { mandate, instance }: Place) =>
  request(gateway.server)
    .get(path)
    .set({
      Authorization: `Bearer ${tokens.get(caller) ?? caller}`,
      ...(mandate === undefined ? {} : { 'X-Mandate-Id': mandate }),
      ...(instance === undefined ? {} : { 'X-Instance-Id': instance }),
    })

/** What `/auth/permissions` says; of an undefined item it is not told any. */
async function permissionOf(
  caller: string,
  place: Place,
  context: string,
  item?: string,
): Promise<Record<string, unknown>> {
  const answer = await get(
    `/auth/permissions?context=${context}${item === undefined ? '' : `&item=${encodeURIComponent(item)}`}`,
    caller,
    place,
  ).expect(200)
  const { context: asked, item: askedItem, ...permission } = answer.body
  expect([asked, askedItem]).toEqual([context, item ?? null])
  return permission
}

/** The rules that `/auth/context` lists. */
const rulesOf = async (caller: string, place: Place): Promise<Record<string, unknown>[]> =>
  (await get('/auth/context', caller, place).expect(200)).body.rules

const acme = { mandate: mandates.acme }
const acmeCrm = { mandate: mandates.acme, instance: instances.acmeCrm }
const globex = { mandate: mandates.globex }

/** A member of a new mandate with mandate roles of these rules each. */
async function memberWith(
  ...rules: RuleRow[][]
): Promise<{ caller: Newcomer; place: { mandate: string }; roleIds: string[] }> {
  const [caller, mandate] = [await directory.user(), await directory.mandate()]
  const roleIds = []
  for (const of of rules) roleIds.push(await directory.role({ mandateId: mandate, rules: of }))
  await directory.join(caller.id, mandate, { roles: roleIds })
  return { caller, place: { mandate }, roleIds }
}

describe('the demo’s permissions', () => {
  const edit = { view: true, read: 'a', create: 'a', update: 'g', delete: 'm' }
  const readAll = { ...nothing, view: true, read: 'a' }

  it.each<[DemoUser, string, Place, string, string | undefined, Record<string, unknown>]>([
    ['bob', 'acme', acme, 'DATA', 'crm', readAll],
    ['bob', 'acme', acme, 'DATA', 'crm.contacts.notes', readAll],
    ['bob', 'acme', acme, 'UI', 'crm', { ...nothing, view: true }],
    ['bob', 'acme', acme, 'RESOURCE', 'gateway.members', nothing],
    ['bob', 'acme', acme, 'DATA', undefined, nothing],
    ['bob', 'acme-crm', acmeCrm, 'DATA', 'crm', { ...nothing, view: true, read: 'g' }],
    ['bob', 'acme-crm', acmeCrm, 'UI', 'crm', { ...nothing, view: true }],
    ['alice', 'acme', acme, 'DATA', 'crm.contacts', everything],
    ['alice', 'acme', acme, 'UI', 'anything.at.all', everything],
    ['alice', 'acme', acme, 'UI', undefined, everything],
    ['alice', 'acme', acme, 'RESOURCE', 'gateway.members', everything],
    ['alice', 'acme', acme, 'RESOURCE', 'gateways', nothing],
    ['alice', 'acme', acme, 'RESOURCE', 'gate', nothing],
    ['alice', 'acme', acme, 'RESOURCE', undefined, nothing],
    ['alice', 'acme-crm', acmeCrm, 'DATA', 'crm.contacts', edit],
    ['alice', 'acme-crm', acmeCrm, 'RESOURCE', 'crm', edit],
    ['alice', 'acme-crm', acmeCrm, 'RESOURCE', 'gateway.members', everything],
    ['alice', 'globex', globex, 'DATA', 'crm', readAll],
    ['alice', 'globex', globex, 'RESOURCE', 'gateway', nothing],
    ['frank', 'globex', globex, 'DATA', 'crm', readAll],
    ['petra', 'acme', acme, 'DATA', 'crm', nothing],
    ['petra', 'acme', acme, 'RESOURCE', 'gateway.members', nothing],
    ['petra', 'acme-crm', acmeCrm, 'DATA', 'crm', nothing],
    ['root', 'acme', acme, 'DATA', 'crm', everything],
    ['root', 'acme', acme, 'RESOURCE', undefined, everything],
    ['root', 'acme-crm', acmeCrm, 'UI', 'whatever', everything],
    ['root', 'no mandate', {}, 'DATA', 'crm', everything],
    ['alice', 'no mandate', {}, 'DATA', 'crm', nothing],
    ['alice', 'acme-crm without its mandate', { instance: instances.acmeCrm }, 'DATA', 'crm', nothing],
    ['petra', 'no mandate', {}, 'UI', 'crm', nothing],
  ])('%s in %s', async (caller, _where, place, context, item, permission) => {
    expect(await permissionOf(caller, place, context, item)).toEqual(permission)
  })

  it('match the item exactly: a prefix ends at a dot, and case matters', async () => {
    for (const item of ['crmx', 'crm-contacts', 'cr', 'CRM', 'Crm.contacts', 'contacts.crm'])
      expect(await permissionOf('bob', acme, 'DATA', item)).toEqual(nothing)
  })
})

describe('of each role’s rules the most specific one', () => {
  it('wins over less specific ones of the same role, also if it allows less', async () => {
    const { caller, place } = await memberWith([
      { item: null, ...everything },
      { item: 'crm', view: true, read: 'g' },
      { item: 'crm.contacts', read: 'm', delete: 'a' },
      { item: 'crm.contacts.secret' },
    ])
    expect(await permissionOf(caller.token, place, 'DATA', 'projects')).toEqual(everything)
    expect(await permissionOf(caller.token, place, 'DATA')).toEqual(everything)
    expect(await permissionOf(caller.token, place, 'DATA', 'crm.deals')).toEqual({
      ...nothing,
      view: true,
      read: 'g',
    })
    expect(await permissionOf(caller.token, place, 'DATA', 'crm.contacts')).toEqual({
      ...nothing,
      read: 'm',
      delete: 'a',
    })
    expect(await permissionOf(caller.token, place, 'DATA', 'crm.contacts.notes')).toEqual({
      ...nothing,
      read: 'm',
      delete: 'a',
    })
    expect(await permissionOf(caller.token, place, 'DATA', 'crm.contacts.secret.deep')).toEqual(nothing)
    expect(await permissionOf(caller.token, place, 'RESOURCE', 'crm')).toEqual(nothing)
  })
  it('does not silence another role’s less specific one', async () => {
    const { caller, place } = await memberWith(
      [{ item: 'crm.contacts', view: true, read: 'm' }],
      [{ item: null, read: 'g', update: 'g' }],
    )
    expect(await permissionOf(caller.token, place, 'DATA', 'crm.contacts')).toEqual({
      ...nothing,
      view: true,
      read: 'g',
      update: 'g',
    })
  })
  it('a request without an item is matched by rules for all items only', async () => {
    const { caller, place } = await memberWith([
      { item: 'crm', ...everything },
      { item: null, read: 'm' },
    ])
    expect(await permissionOf(caller.token, place, 'DATA')).toEqual({ ...nothing, read: 'm' })
  })
})

describe('of the roles’ rules those of the largest priority', () => {
  it('are merged field by field, the most permissive value each', async () => {
    const { caller, place } = await memberWith(
      [{ item: 'crm', view: false, read: 'm', create: 'a', update: 'g', delete: 'n' }],
      [{ item: 'crm', view: true, read: 'g', create: 'n', update: 'm', delete: 'n' }],
      [{ item: 'crm', view: false, read: 'n', create: 'm', update: 'n', delete: 'm' }],
    )
    expect(await permissionOf(caller.token, place, 'DATA', 'crm')).toEqual({
      view: true,
      read: 'g',
      create: 'a',
      update: 'g',
      delete: 'm',
    })
  })
  it('override a global role’s, also if they only deny and are less specific', async () => {
    const { caller, place, roleIds } = await memberWith([{ item: null }])
    const global = await directory.role({
      rules: [
        { item: 'crm.contacts', ...everything },
        { context: 'UI', item: 'crm', ...everything },
      ],
    })
    await gateway.database.sql(
      'insert into user_mandate_roles (user_mandate_id, role_id) select id, $2 from user_mandates where user_id = $1',
      [caller.id, global],
    )
    expect(roleIds).toHaveLength(1)
    expect(await permissionOf(caller.token, place, 'DATA', 'crm.contacts')).toEqual(nothing)
    expect(await permissionOf(caller.token, place, 'UI', 'crm')).toEqual(everything)
  })
  it('of an instance override those of its mandate, in that instance only', async () => {
    const { caller, place } = await memberWith([{ item: 'crm', ...everything }])
    const instance = await directory.instance(place.mandate)
    const role = await directory.role({
      mandateId: place.mandate,
      instanceId: instance,
      rules: [{ item: null, read: 'm' }],
    })
    await directory.grant(caller.id, instance, { roles: [role] })
    expect(await permissionOf(caller.token, place, 'DATA', 'crm')).toEqual(everything)
    expect(await permissionOf(caller.token, { ...place, instance }, 'DATA', 'crm')).toEqual({
      ...nothing,
      read: 'm',
    })
  })
})

describe('a role counts by its own scope', () => {
  const rules = [{ item: 'crm', ...everything }]

  it.each<[string, (mandate: string, instance: string) => Promise<string>, 1 | 2 | 3 | undefined]>([
    ['a global role', () => directory.role({ rules }), 1],
    ['a role of the mandate', (mandateId) => directory.role({ mandateId, rules }), 2],
    [
      'a role of the instance',
      (mandateId, instanceId) => directory.role({ mandateId, instanceId, rules }),
      3,
    ],
    [
      'a role of another mandate',
      async () => directory.role({ mandateId: await directory.mandate(), rules }),
      undefined,
    ],
    [
      'a role of another instance of the mandate',
      async (mandateId) =>
        directory.role({ mandateId, instanceId: await directory.instance(mandateId), rules }),
      undefined,
    ],
    [
      'a role of an instance of another mandate',
      () => directory.role({ mandateId: mandates.acme, instanceId: instances.acmeCrm, rules }),
      undefined,
    ],
  ])('%s, assigned to the membership or to the access row', async (_name, roleIn, priority) => {
    const [mandate, byMembership, byAccess] = [
      await directory.mandate(),
      await directory.user(),
      await directory.user(),
    ]
    const instance = await directory.instance(mandate)
    const role = await roleIn(mandate, instance)
    await directory.join(byMembership.id, mandate, { roles: [role] })
    await directory.grant(byMembership.id, instance)
    await directory.join(byAccess.id, mandate)
    await directory.grant(byAccess.id, instance, { roles: [role] })
    const counts = [{ priority, roleId: role, context: 'DATA', item: 'crm', ...everything }]
    for (const { token } of [byMembership, byAccess]) {
      expect(await rulesOf(token, { mandate, instance })).toEqual(priority === undefined ? [] : counts)
      expect(await permissionOf(token, { mandate, instance }, 'DATA', 'crm')).toEqual(
        priority === undefined ? nothing : everything,
      )
    }
    const countsInMandate = priority === 1 || priority === 2
    expect(await rulesOf(byMembership.token, { mandate })).toEqual(countsInMandate ? counts : [])
    expect(await permissionOf(byMembership.token, { mandate }, 'DATA', 'crm')).toEqual(
      countsInMandate ? everything : nothing,
    )
    expect(await rulesOf(byAccess.token, { mandate })).toEqual([])
  })
})

describe('rules that are remembered', () => {
  let remembering: TestGateway
  beforeAll(async () => {
    remembering = await startTestGateway({
      database: gateway.database,
      environment: { COHERENCE_LEASE_MS: '5000' },
    })
  })
  afterAll(async () => {
    await remembering.stop()
  })

  const rulesIn = async (
    caller: string,
    { mandate, instance = '' }: { mandate: string; instance?: string },
  ): Promise<{ priority: number; roleId: string }[]> =>
    (
      await request(remembering.server)
        .get('/auth/context')
        .set({ Authorization: `Bearer ${caller}`, 'X-Mandate-Id': mandate, 'X-Instance-Id': instance })
        .expect(200)
    ).body.rules

  it('count in each place by its own scope, though the roles are the same', async () => {
    const [caller, mandate, elsewhere] = [
      await directory.user(),
      await directory.mandate(),
      await directory.mandate(),
    ]
    const instance = await directory.instance(mandate)
    const rules = [{ item: 'crm', ...everything }]
    const assigned = [
      await directory.role({ rules }),
      await directory.role({ mandateId: mandate, rules }),
      await directory.role({ mandateId: mandate, instanceId: instance, rules }),
    ]
    for (const place of [mandate, elsewhere]) await directory.join(caller.id, place, { roles: assigned })
    await directory.grant(caller.id, instance)
    const priorities = async (place: { mandate: string; instance?: string }) =>
      (await rulesIn(caller.token, place)).map(({ priority }) => priority)
    for (let round = 0; round < 3; round += 1) {
      expect(await priorities({ mandate })).toEqual([1, 2])
      expect(await priorities({ mandate, instance })).toEqual([1, 2, 3])
      expect(await priorities({ mandate: elsewhere })).toEqual([1])
    }
  })
  it('of one user are not another’s', async () => {
    const [one, other] = [await memberWith([{ item: 'crm', ...everything }]), await directory.user()]
    await directory.join(other.id, one.place.mandate)
    for (let round = 0; round < 2; round += 1) {
      expect(await rulesIn(one.caller.token, one.place)).toHaveLength(1)
      expect(await rulesIn(other.token, one.place)).toEqual([])
    }
  })
})

describe('the rules that /auth/context lists', () => {
  const byPlace = (rules: Record<string, unknown>[]) =>
    [...rules].sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)))
  const editing = { view: true, read: 'a', create: 'a', update: 'g', delete: 'm' }
  const admin = [
    { priority: 2, roleId: roles.acmeAdmin, context: 'RESOURCE', item: 'gateway', ...everything },
    { priority: 2, roleId: roles.acmeAdmin, context: 'RESOURCE', item: 'crm', ...everything },
    { priority: 2, roleId: roles.acmeAdmin, context: 'DATA', item: 'crm', ...everything },
    { priority: 2, roleId: roles.acmeAdmin, context: 'UI', item: null, ...everything },
  ]
  const viewer = [
    { priority: 1, roleId: roles.viewer, context: 'DATA', item: 'crm', ...nothing, view: true, read: 'a' },
    {
      priority: 1,
      roleId: roles.viewer,
      context: 'RESOURCE',
      item: 'crm',
      ...nothing,
      view: true,
      read: 'a',
    },
    { priority: 1, roleId: roles.viewer, context: 'UI', item: 'crm', ...nothing, view: true },
  ]
  const editor = [
    { priority: 3, roleId: roles.crmEditor, context: 'RESOURCE', item: 'crm', ...editing },
    { priority: 3, roleId: roles.crmEditor, context: 'DATA', item: 'crm', ...editing },
  ]

  it.each<[DemoUser, string, Place, Record<string, unknown>[]]>([
    ['alice', 'acme', acme, admin],
    ['alice', 'acme-crm', acmeCrm, [...admin, ...editor]],
    ['alice', 'globex', globex, viewer],
    ['carol', 'globex', globex, viewer],
    ['root', 'acme', acme, []],
    ['petra', 'acme', acme, []],
    ['alice', 'no mandate', {}, []],
    ['alice', 'acme-crm without its mandate', { instance: instances.acmeCrm }, []],
  ])('of %s in %s', async (caller, _where, place, rules) => {
    expect(byPlace(await rulesOf(caller, place))).toEqual(byPlace(rules))
  })

  it('of a SysAdmin are the real ones, though everything is allowed', async () => {
    const newcomer = await directory.user({ isSysAdmin: true })
    await directory.join(newcomer.id, mandates.acme, { roles: [roles.viewer] })
    expect(byPlace(await rulesOf(newcomer.token, acme))).toEqual(byPlace(viewer))
    expect(await permissionOf(newcomer.token, acme, 'DATA', 'projects')).toEqual(everything)
  })
  it('of a PlatformAdmin who is a member are the membership’s, and no more is allowed', async () => {
    const newcomer = await directory.user({ isPlatformAdmin: true })
    await directory.join(newcomer.id, mandates.acme, { roles: [roles.viewer] })
    expect(byPlace(await rulesOf(newcomer.token, acme))).toEqual(byPlace(viewer))
    expect(await permissionOf(newcomer.token, acme, 'DATA', 'crm')).toEqual({
      ...nothing,
      view: true,
      read: 'a',
    })
    expect(await permissionOf(newcomer.token, acme, 'DATA', 'projects')).toEqual(nothing)
  })
  it('change with the next request when plain SQL changes them', async () => {
    const { caller, place, roleIds } = await memberWith([{ item: 'crm', read: 'm' }])
    await gateway.database.sql(`update access_rules set "read" = 'a' where role_id = $1`, [roleIds[0]])
    expect(await permissionOf(caller.token, place, 'DATA', 'crm')).toEqual({ ...nothing, read: 'a' })
    await gateway.database.sql('delete from user_mandate_roles where role_id = $1', [roleIds[0]])
    expect(await permissionOf(caller.token, place, 'DATA', 'crm')).toEqual(nothing)
  })
})

describe('/auth/permissions', () => {
  it.each([
    ['no context', ''],
    ['another context', '?context=data'],
    ['two contexts', '?context=DATA&context=UI'],
    ['two items', '?context=DATA&item=crm&item=x'],
    ['an item that is no path', '?context=DATA&item=crm..x'],
  ])('%s is validation_failed', async (_name, query) => {
    const answer = await get(`/auth/permissions${query}`, 'alice', acme)
    expect({ status: answer.status, code: answer.body.code }).toEqual({
      status: 400,
      code: 'validation_failed',
    })
    expect(answer.body.errors).toEqual([{ path: expect.any(String), message: expect.any(String) }])
  })
  it('rules that cannot be loaded are 503, not a refusal', async () => {
    await withoutTable(gateway.database, 'access_rules', async () => {
      expectProblem(
        await get('/auth/permissions?context=DATA&item=crm', 'alice', acme),
        503,
        'directory_unavailable',
      )
    })
  })
})

describe('one request', () => {
  let database: Database
  beforeAll(() => {
    database = connectDatabase({ url: gateway.database.url, setRole: false })
  })
  afterAll(async () => {
    await database.close()
  })

  /** The context that a request of alice in acme gets. */
  const contextIn = async (mandate: string, userId: string): Promise<RequestContext> => {
    const user = {
      id: userId,
      username: 'somebody',
      email: null,
      fullName: null,
      isSysAdmin: false,
      isPlatformAdmin: false,
    }
    const state = stateWith({ principal: { user } as Principal })
    const req = { state, headers: { 'x-mandate-id': mandate } } as unknown as Request
    const step = resolveContext({
      directory: createDirectory({
        sql: database,
        memory: createMemory({ holdsLease: () => false, maxEntries: 1 }),
      }),
      onPlatformEntry: () => undefined,
      onFirstEntry: () => undefined,
    })({ mandate: 'required', instance: 'none' })
    await new Promise<void>((resolve, reject) => {
      const done: unknown = step(req, {} as ExpressResponse, (error?: unknown) =>
        error instanceof Error ? reject(error) : resolve(),
      )
      if (done instanceof Promise) done.catch(reject)
    })
    return state.requireContext()
  }

  it('sees one state of its rules, however they change meanwhile', async () => {
    const { caller, place, roleIds } = await memberWith([{ item: 'crm', read: 'm' }])
    const context = await contextIn(place.mandate, caller.id)
    expect(await permissionIn(context, 'DATA', 'crm')).toEqual({ ...nothing, read: 'm' })
    await gateway.database.sql(`update access_rules set "read" = 'a' where role_id = $1`, [roleIds[0]])
    expect(await permissionIn(context, 'DATA', 'crm')).toEqual({ ...nothing, read: 'm' })
    expect(await context.rules()).toMatchObject([{ rule: { read: 'm' } }])
    expect(await permissionIn(await contextIn(place.mandate, caller.id), 'DATA', 'crm')).toEqual({
      ...nothing,
      read: 'a',
    })
  })
  it('that asks for its rules twice at once gets the same', async () => {
    const context = await contextIn(mandates.acme, users.alice)
    const [one, other] = await Promise.all([context.rules(), context.rules()])
    expect(one).toEqual(other)
    expect(one).toHaveLength(4)
  })
})

/** The contract's sentence, read word by word and without a thought for speed. */
function permissionByTheBook(rules: PrioritisedRule[], context: string, item: string | null): Permission {
  const segments = (path: string | null) => (path === null ? [] : path.split('.'))
  const matches = (rule: ScopedRule) =>
    rule.context === context &&
    (rule.item === null ||
      (item !== null && segments(rule.item).every((segment, index) => segment === segments(item)[index])))
  const chosen: PrioritisedRule[] = []
  for (const roleId of new Set(rules.map((entry) => entry.rule.roleId))) {
    const matching = rules.filter((entry) => entry.rule.roleId === roleId && matches(entry.rule))
    const depth = Math.max(...matching.map((entry) => segments(entry.rule.item).length))
    chosen.push(...matching.filter((entry) => segments(entry.rule.item).length === depth))
  }
  const priority = Math.max(...chosen.map((entry) => entry.priority))
  const counting = chosen.filter((entry) => entry.priority === priority).map((entry) => entry.rule)
  const most = (action: 'read' | 'create' | 'update' | 'delete'): Level =>
    (['a', 'g', 'm'] as const).find((level) => counting.some((rule) => rule[action] === level)) ?? 'n'
  return {
    view: counting.some((rule) => rule.view),
    read: most('read'),
    create: most('create'),
    update: most('update'),
    delete: most('delete'),
  }
}

/** A rule, and its priority where its role counts at all. */
interface Assigned {
  priority: 1 | 2 | 3 | undefined
  rule: ScopedRule
}

describe('permissions of any rules', () => {
  const here = { mandate: 'mandate-1', instance: 'instance-1' }
  const level = fc.constantFrom<Level>('n', 'm', 'g', 'a')
  const item = fc.constantFrom(null, 'a', 'b', 'a.b', 'a.b.c', 'a.bb', 'ab', 'a.b.c.d', 'a-b')
  const context = fc.constantFrom('DATA' as const, 'UI' as const, 'RESOURCE' as const)
  const levels = fc.record({ view: fc.boolean(), read: level, create: level, update: level, delete: level })
  /** A role's scope, and the priority that it has here; a scope elsewhere has none. */
  const scope = fc.constantFrom<{
    roleMandateId: string | null
    roleInstanceId: string | null
    priority?: 1 | 2 | 3
  }>(
    { roleMandateId: null, roleInstanceId: null, priority: 1 },
    { roleMandateId: here.mandate, roleInstanceId: null, priority: 2 },
    { roleMandateId: here.mandate, roleInstanceId: here.instance, priority: 3 },
    { roleMandateId: 'mandate-2', roleInstanceId: null },
    { roleMandateId: here.mandate, roleInstanceId: 'instance-2' },
    { roleMandateId: 'mandate-2', roleInstanceId: 'instance-3' },
  )
  const rules = fc.uniqueArray(fc.record({ context, item, levels }), {
    selector: (rule) => `${rule.context} ${rule.item}`,
    maxLength: 8,
  })
  /** Every rule of some roles, each with its role's priority here. */
  const assigned = fc.array(fc.record({ scope, rules }), { maxLength: 5 }).map((given) =>
    given.flatMap(({ scope: { priority, ...ids }, rules }, index) =>
      rules.map((rule): Assigned => ({
        priority,
        rule: { roleId: `role-${index}`, ...ids, context: rule.context, item: rule.item, ...rule.levels },
      })),
    ),
  )
  const asked = fc.record({ context, item })
  const isHere = (entry: Assigned): entry is PrioritisedRule => entry.priority !== undefined

  it('equal a literal reading of the contract', () => {
    fc.assert(
      fc.property(assigned, asked, (given, ask) => {
        const counting = given.filter(isHere)
        expect(permissionFrom(counting, ask.context, ask.item)).toEqual(
          permissionByTheBook(counting, ask.context, ask.item),
        )
      }),
      { numRuns: 3000 },
    )
  })

  it('come from the roles of this place alone, by each role’s own scope', () => {
    fc.assert(
      fc.property(assigned, asked, (given, ask) => {
        const found = countingRules(
          given.map(({ rule }) => rule),
          here.mandate,
          here.instance,
        )
        const counting = given.filter(isHere)
        expect(new Set(found)).toEqual(new Set(counting))
        expect(permissionFrom(found, ask.context, ask.item)).toEqual(
          permissionByTheBook(counting, ask.context, ask.item),
        )
      }),
      { numRuns: 1000 },
    )
  })

  it('do not depend on the order of the rules', () => {
    fc.assert(
      fc.property(assigned, asked, (given, ask) => {
        const counting = given.filter(isHere)
        expect(permissionFrom([...counting].reverse(), ask.context, ask.item)).toEqual(
          permissionFrom(counting, ask.context, ask.item),
        )
      }),
      { numRuns: 500 },
    )
  })
})
