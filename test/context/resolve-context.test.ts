import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Request, Response as ExpressResponse } from 'express'
import request, { type Response } from 'supertest'
import type { Principal } from '../../src/authentication/principal.js'
import { createDirectory } from '../../src/coherence/directory.js'
import { createMemory } from '../../src/coherence/memory.js'
import { resolveContext } from '../../src/context/resolve-context.js'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { directoryOf } from '../support/directory.js'
import { instances, mandates, roles, tokenFor, users, type DemoUser } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { expectProblem, withoutRequestId } from '../support/problems.js'
import { stateWith } from '../support/request-state.js'
import { withoutTable } from '../support/tables.js'
import { until } from '../support/until.js'

const routes = `
upstreams:
  echo: { targets: [demo] }
routes:
  /somewhere: { upstream: echo, strip: true, mandate: required, instance: required }
  /tenant: { upstream: echo, strip: true, mandate: required, instance: optional }
  /installed: { upstream: echo, strip: true, mandate: optional, instance: required }
  /maybe: { upstream: echo, strip: true, auth: optional, mandate: optional, instance: optional }
  /nowhere: { upstream: echo, strip: true, mandate: none, instance: none }
`
/** What of the demo upstream answers the headers that it got. */
const echo = '/api/crm/echo'

/** A place by its headers; an absent one is not sent. */
interface Place {
  mandate?: string
  instance?: string
}

let gateway: TestGateway
let directory: ReturnType<typeof directoryOf>
const tokens = new Map<string, string>()

beforeAll(async () => {
  // Without memory: rows that a test changes count with the next request.
  gateway = await startTestGateway({ routes, demoUpstream: true, environment: { COHERENCE_LEASE_MS: '0' } })
  directory = directoryOf(gateway.database)
  for (const user of ['root', 'petra', 'alice', 'bob', 'carol', 'erin', 'frank'] as const) {
    tokens.set(user, (await tokenFor(gateway.database, user)).token)
  }
})
afterAll(async () => {
  await gateway.stop()
})

const headersOf = ({ mandate, instance }: Place) => ({
  ...(mandate === undefined ? {} : { 'X-Mandate-Id': mandate }),
  ...(instance === undefined ? {} : { 'X-Instance-Id': instance }),
})
/** The answer to a demo user, or to the holder of a token. */
const at = (path: string, caller: string, place: Place) =>
  request(gateway.server)
    .get(path)
    .set({ Authorization: `Bearer ${tokens.get(caller) ?? caller}`, ...headersOf(place) })
const contextOf = (caller: string, place: Place) => at('/auth/context', caller, place)

const sorted = (ids: string[]) => [...ids].sort()

function expectPlace(
  answer: Response,
  place: { mandateId: string | null; featureInstanceId: string | null; roleIds: string[] },
): void {
  expect({ status: answer.status, code: answer.body.code }).toEqual({ status: 200, code: undefined })
  expect({ ...answer.body, roleIds: sorted(answer.body.roleIds) }).toMatchObject({
    ...place,
    roleIds: sorted(place.roleIds),
  })
  expect(answer.headers['cache-control']).toBe('no-store')
}

describe('row 1: headers that name no place', () => {
  const [mandate, instance] = [mandates.acme, instances.acmeCrm]
  const odd = (id: string): [string, string][] => [
    ['a word', 'acme'],
    ['null', 'null'],
    ['a star', '*'],
    ['braces', `{${id}}`],
    ['an opening brace', `{${id}`],
    ['a closing brace', `${id}}`],
    ['urn:', `urn:uuid:${id}`],
    ['quotes', `"${id}"`],
    ['a list', `${id},${id}`],
    ['a list of one', `${id},`],
    ['two with a blank', `${id} ${id}`],
    ['a blank inside', id.replace('-', ' -')],
    ['a no-break space before it', `\u00a0${id}`],
    ['no hyphens', id.replaceAll('-', '')],
    ['one digit less', id.slice(1)],
    ['one digit more', `${id}0`],
    ['a letter that is no digit', id.replace('8000', 'g000')],
    ['a semicolon', `${id};`],
    ['a path', `../${id}`],
    ['a digit of another script', id.replace('1', '\u00b9')],
  ]

  it.each(odd(mandate))('a mandate with %s is mandate_id_invalid', async (_name, value) => {
    expectProblem(await contextOf('alice', { mandate: value }), 400, 'mandate_id_invalid')
    expectProblem(await at(`/tenant${echo}`, 'alice', { mandate: value }), 400, 'mandate_id_invalid')
  })
  it.each(odd(instance))('an instance with %s is instance_id_invalid', async (_name, value) => {
    expectProblem(await contextOf('alice', { mandate, instance: value }), 400, 'instance_id_invalid')
    expectProblem(await contextOf('alice', { instance: value }), 400, 'instance_id_invalid')
  })
  it('the header is refused before a membership is looked up, also for every platform level', async () => {
    expectProblem(await contextOf('erin', { mandate, instance: 'x' }), 400, 'instance_id_invalid')
    expectProblem(await contextOf('carol', { mandate, instance: 'x' }), 400, 'instance_id_invalid')
    for (const level of ['root', 'petra', 'frank'])
      expectProblem(await contextOf(level, { mandate: 'x' }), 400, 'mandate_id_invalid')
  })
  it('an invalid header is refused before a missing one', async () => {
    expectProblem(await at(`/somewhere${echo}`, 'alice', { instance: 'x' }), 400, 'instance_id_invalid')
    expectProblem(await at(`/somewhere${echo}`, 'alice', { mandate: 'x' }), 400, 'mandate_id_invalid')
  })

  it('a UUID in upper case is the same place', async () => {
    const made = await directory.mandate()
    const somewhere = await directory.instance(made)
    const newcomer = await directory.user()
    await directory.join(newcomer.id, made)
    await directory.grant(newcomer.id, somewhere)
    const answer = await contextOf(newcomer.token, {
      mandate: made.toUpperCase(),
      instance: somewhere.toUpperCase(),
    })
    expectPlace(answer, { mandateId: made, featureInstanceId: somewhere, roleIds: [] })
    const forwarded = await at(`/tenant${echo}`, newcomer.token, { mandate: made.toUpperCase() }).expect(200)
    expect(forwarded.body.headers['x-mandate-id']).toBe(made)
  })
  it.each([[''], ['   ']])('a header of %j counts as absent', async (empty) => {
    expectPlace(await contextOf('alice', { mandate: empty, instance: empty }), {
      mandateId: null,
      featureInstanceId: null,
      roleIds: [],
    })
    expectProblem(await at(`/tenant${echo}`, 'alice', { mandate: empty }), 400, 'mandate_required')
  })
  it('a request without headers has no place, no roles and no rules', async () => {
    const answer = await contextOf('alice', {})
    expectPlace(answer, { mandateId: null, featureInstanceId: null, roleIds: [] })
    expect(answer.body.rules).toEqual([])
  })
})

describe('row 2: a place that the route requires', () => {
  it('the mandate missing is mandate_required, for every level', async () => {
    for (const caller of ['alice', 'erin', 'root', 'petra']) {
      expectProblem(await at(`/tenant${echo}`, caller, {}), 400, 'mandate_required')
      expectProblem(
        await at(`/somewhere${echo}`, caller, { instance: instances.acmeCrm }),
        400,
        'mandate_required',
      )
    }
  })
  it('the instance missing is instance_required', async () => {
    expectProblem(
      await at(`/somewhere${echo}`, 'alice', { mandate: mandates.acme }),
      400,
      'instance_required',
    )
    expectProblem(await at(`/installed${echo}`, 'alice', {}), 400, 'instance_required')
    expectProblem(
      await at(`/somewhere${echo}`, 'alice', { mandate: mandates.acme, instance: '' }),
      400,
      'instance_required',
    )
  })
  it('a missing place is refused before the membership is checked', async () => {
    expectProblem(await at(`/somewhere${echo}`, 'erin', { mandate: mandates.acme }), 400, 'instance_required')
    expectProblem(
      await at(`/somewhere${echo}`, 'carol', { mandate: mandates.acme }),
      400,
      'instance_required',
    )
  })
  it('both given are enough', async () => {
    const answer = await at(`/somewhere${echo}`, 'alice', {
      mandate: mandates.acme,
      instance: instances.acmeCrm,
    }).expect(200)
    expect(answer.body.headers).toMatchObject({
      'x-mandate-id': mandates.acme,
      'x-instance-id': instances.acmeCrm,
    })
    expect(sorted(String(answer.body.headers['x-role-ids']).split(','))).toEqual([
      roles.acmeAdmin,
      roles.crmEditor,
    ])
  })
})

describe('row 3: a disabled membership', () => {
  const expectDisabled = (answer: Response) =>
    expectProblem(answer, 403, 'membership_disabled', 'Mandate membership is disabled')

  it.each(['carol', 'frank'])('shuts %s out, platform level or not', async (caller) => {
    expectDisabled(await contextOf(caller, { mandate: mandates.acme }))
  })
  it('shuts a SysAdmin and a PlatformAdmin out', async () => {
    for (const flags of [
      { isSysAdmin: true },
      { isPlatformAdmin: true },
      { isSysAdmin: true, isPlatformAdmin: true },
    ]) {
      const newcomer = await directory.user(flags)
      await directory.join(newcomer.id, mandates.acme, { enabled: false, roles: [roles.acmeAdmin] })
      expectDisabled(await contextOf(newcomer.token, { mandate: mandates.acme }))
    }
  })
  it('is refused before a disabled mandate, an unknown instance and a disabled access', async () => {
    const newcomer = await directory.user()
    await directory.join(newcomer.id, mandates.initech, { enabled: false })
    expectDisabled(await contextOf(newcomer.token, { mandate: mandates.initech }))
    for (const instance of [randomUUID(), instances.globexCrm, instances.acmeCrm]) {
      expectDisabled(await contextOf('carol', { mandate: mandates.acme, instance }))
      expectDisabled(await contextOf('frank', { mandate: mandates.acme, instance }))
    }
  })
  it('lets the member in once it is enabled again', async () => {
    const newcomer = await directory.user()
    const membership = await directory.join(newcomer.id, mandates.acme, {
      enabled: false,
      roles: [roles.viewer],
    })
    expectDisabled(await contextOf(newcomer.token, { mandate: mandates.acme }))
    await gateway.database.sql('update user_mandates set enabled = true where id = $1', [membership])
    expectPlace(await contextOf(newcomer.token, { mandate: mandates.acme }), {
      mandateId: mandates.acme,
      featureInstanceId: null,
      roleIds: [roles.viewer],
    })
  })
  it('shuts out of one mandate only', async () => {
    expectPlace(await contextOf('carol', { mandate: mandates.globex }), {
      mandateId: mandates.globex,
      featureInstanceId: null,
      roleIds: [roles.viewer],
    })
  })
})

describe('row 4: no membership', () => {
  const expectStranger = (answer: Response) =>
    expectProblem(answer, 403, 'not_a_member', 'Not member of mandate')

  it.each([
    ['erin', mandates.acme],
    ['bob', mandates.globex],
    ['carol', mandates.initech],
  ])('of %s in %s is not_a_member', async (caller, mandate) => {
    expectStranger(await contextOf(caller, { mandate }))
  })
  it('a foreign, a disabled and an unknown mandate respond alike, byte for byte', async () => {
    const answers = await Promise.all(
      [mandates.globex, mandates.initech, randomUUID(), '00000000-0000-0000-0000-000000000000'].map(
        (mandate) => contextOf('bob', { mandate }),
      ),
    )
    for (const answer of answers) expectStranger(answer)
    expect(new Set(answers.map(withoutRequestId)).size).toBe(1)
  })
  it('they respond alike with an instance of theirs, and on a route', async () => {
    const answers = await Promise.all([
      contextOf('bob', { mandate: mandates.globex, instance: instances.globexCrm }),
      contextOf('bob', { mandate: mandates.globex, instance: randomUUID() }),
      contextOf('bob', { mandate: randomUUID(), instance: instances.acmeCrm }),
      at(`/tenant${echo}`, 'bob', { mandate: mandates.globex }),
      at(`/tenant${echo}`, 'bob', { mandate: randomUUID() }),
    ])
    for (const answer of answers) expectStranger(answer)
    expect(new Set(answers.map(withoutRequestId)).size).toBe(1)
  })
  it('an access row on an instance is no membership', async () => {
    const newcomer = await directory.user()
    await directory.grant(newcomer.id, instances.acmeCrm, { roles: [roles.crmEditor] })
    expectStranger(await contextOf(newcomer.token, { mandate: mandates.acme, instance: instances.acmeCrm }))
  })
  it('a removed member is not_a_member with the next request', async () => {
    const newcomer = await directory.user()
    await directory.join(newcomer.id, mandates.acme)
    await contextOf(newcomer.token, { mandate: mandates.acme }).expect(200)
    await gateway.database.sql('delete from user_mandates where user_id = $1', [newcomer.id])
    expectStranger(await contextOf(newcomer.token, { mandate: mandates.acme }))
  })
})

describe('rows 5 and 6: the mandate itself', () => {
  it.each(['root', 'petra', 'frank'])(
    'an unknown one is mandate_not_found for the platform level of %s',
    async (caller) => {
      expectProblem(await contextOf(caller, { mandate: randomUUID() }), 404, 'mandate_not_found')
      expectProblem(
        await contextOf(caller, { mandate: randomUUID(), instance: randomUUID() }),
        404,
        'mandate_not_found',
      )
      expectProblem(
        await contextOf(caller, { mandate: randomUUID(), instance: instances.acmeCrm }),
        404,
        'mandate_not_found',
      )
    },
  )
  it('a disabled one is mandate_disabled for its members, before anything about the instance', async () => {
    const instance = await directory.instance(mandates.initech)
    for (const place of [{}, { instance }, { instance: randomUUID() }, { instance: instances.acmeCrm }]) {
      expectProblem(
        await contextOf('alice', { mandate: mandates.initech, ...place }),
        403,
        'mandate_disabled',
        'Mandate is disabled',
      )
    }
  })
  it('a disabled one is open to platform levels, with and without a membership', async () => {
    for (const caller of ['root', 'petra', 'frank']) {
      expectPlace(await contextOf(caller, { mandate: mandates.initech }), {
        mandateId: mandates.initech,
        featureInstanceId: null,
        roleIds: [],
      })
    }
    const newcomer = await directory.user({ isPlatformAdmin: true })
    await directory.join(newcomer.id, mandates.initech, { roles: [roles.viewer] })
    expectPlace(await contextOf(newcomer.token, { mandate: mandates.initech }), {
      mandateId: mandates.initech,
      featureInstanceId: null,
      roleIds: [roles.viewer],
    })
  })
  it('shuts its members out once disabled, until it is enabled again', async () => {
    const [mandate, newcomer] = [await directory.mandate(), await directory.user()]
    await directory.join(newcomer.id, mandate)
    await contextOf(newcomer.token, { mandate }).expect(200)
    await gateway.database.sql('update mandates set enabled = false where id = $1', [mandate])
    expectProblem(await contextOf(newcomer.token, { mandate }), 403, 'mandate_disabled')
    await gateway.database.sql('update mandates set enabled = true where id = $1', [mandate])
    await contextOf(newcomer.token, { mandate }).expect(200)
  })
})

describe('a mandate that is entered', () => {
  it.each<[DemoUser, string, string[]]>([
    ['alice', mandates.acme, [roles.acmeAdmin]],
    ['alice', mandates.globex, [roles.viewer]],
    ['bob', mandates.acme, [roles.viewer]],
    ['frank', mandates.globex, [roles.viewer]],
    ['frank', mandates.initech, []],
    ['root', mandates.acme, []],
    ['petra', mandates.acme, []],
  ])(
    'gives %s in %s the roles of the membership, and a level without a row none',
    async (caller, mandate, roleIds) => {
      expectPlace(await contextOf(caller, { mandate }), {
        mandateId: mandate,
        featureInstanceId: null,
        roleIds,
      })
    },
  )
  it('a SysAdmin who is a member has the membership’s roles', async () => {
    const newcomer = await directory.user({ isSysAdmin: true })
    await directory.join(newcomer.id, mandates.acme, { roles: [roles.acmeAdmin, roles.viewer] })
    expectPlace(await contextOf(newcomer.token, { mandate: mandates.acme }), {
      mandateId: mandates.acme,
      featureInstanceId: null,
      roleIds: [roles.viewer, roles.acmeAdmin],
    })
  })
  it('a member of two mandates sees in each tab its own roles', async () => {
    const [acme, globex] = await Promise.all([
      contextOf('alice', { mandate: mandates.acme }),
      contextOf('alice', { mandate: mandates.globex }),
    ])
    expectPlace(acme, { mandateId: mandates.acme, featureInstanceId: null, roleIds: [roles.acmeAdmin] })
    expectPlace(globex, { mandateId: mandates.globex, featureInstanceId: null, roleIds: [roles.viewer] })
  })
  it('responds with the caller', async () => {
    const answer = await contextOf('alice', { mandate: mandates.acme })
    const { rules, ...rest } = answer.body
    expect(rest).toEqual({
      user: {
        id: users.alice,
        username: 'alice',
        email: 'alice@example.com',
        fullName: expect.any(String),
        isSysAdmin: false,
        isPlatformAdmin: false,
      },
      mandateId: mandates.acme,
      featureInstanceId: null,
      roleIds: [roles.acmeAdmin],
      isSysAdmin: false,
      isPlatformAdmin: false,
    })
    expect(rules).not.toEqual([])
    expect((await contextOf('root', {})).body).toMatchObject({ isSysAdmin: true, isPlatformAdmin: false })
    expect((await contextOf('petra', {})).body).toMatchObject({ isSysAdmin: false, isPlatformAdmin: true })
  })
})

const expectNoAccess = (answer: Response) =>
  expectProblem(answer, 403, 'no_instance_access', 'No access to feature instance')

describe('rows 7 and 8: the instance and its mandate', () => {
  it.each<[DemoUser, string | undefined]>([
    ['root', mandates.acme],
    ['petra', mandates.acme],
    ['frank', mandates.globex],
    ['root', undefined],
    ['petra', undefined],
    ['frank', undefined],
  ])('an unknown one is instance_not_found for %s in %s', async (caller, mandate) => {
    expectProblem(
      await contextOf(caller, { ...(mandate === undefined ? {} : { mandate }), instance: randomUUID() }),
      404,
      'instance_not_found',
    )
  })

  it.each<[DemoUser, string, string]>([
    ['alice', mandates.acme, instances.globexCrm],
    ['alice', mandates.globex, instances.acmeCrm],
    ['bob', mandates.acme, instances.globexCrm],
    ['root', mandates.acme, instances.globexCrm],
    ['petra', mandates.globex, instances.acmeCrm],
    ['frank', mandates.globex, instances.acmeCrm],
    ['root', mandates.initech, instances.acmeArchive],
  ])('one of another mandate is no_instance_access for %s in %s', async (caller, mandate, instance) => {
    expectNoAccess(await contextOf(caller, { mandate, instance }))
    expectNoAccess(await at(`/somewhere${echo}`, caller, { mandate, instance }))
  })

  it('one of another mandate is refused before its disabled access', async () => {
    for (const flags of [{}, { isPlatformAdmin: true }]) {
      const newcomer = await directory.user(flags)
      await directory.join(newcomer.id, mandates.acme)
      await directory.join(newcomer.id, mandates.globex)
      await directory.grant(newcomer.id, instances.globexCrm, { enabled: false })
      expectNoAccess(
        await contextOf(newcomer.token, { mandate: mandates.acme, instance: instances.globexCrm }),
      )
    }
  })

  it('foreign, unknown, disabled and without an access row: all respond alike, byte for byte', async () => {
    const unreached = await directory.instance(mandates.acme)
    const places = [instances.globexCrm, randomUUID(), instances.acmeArchive, unreached]
    const answers = await Promise.all(
      places.map((instance) => contextOf('bob', { mandate: mandates.acme, instance })),
    )
    for (const answer of answers) expectNoAccess(answer)
    expect(new Set(answers.map(withoutRequestId)).size).toBe(1)
  })
})

describe('rows 9 and 10: the access row and the instance', () => {
  const expectDisabled = (answer: Response) =>
    expectProblem(answer, 403, 'feature_access_disabled', 'Feature access is disabled')

  it.each(['carol', 'frank'])('a disabled access row shuts %s out, platform level or not', async (caller) => {
    expectDisabled(await contextOf(caller, { mandate: mandates.globex, instance: instances.globexCrm }))
  })
  it('a disabled access row also shuts out platform levels without a membership', async () => {
    for (const flags of [{ isSysAdmin: true }, { isPlatformAdmin: true }]) {
      const newcomer = await directory.user(flags)
      await directory.grant(newcomer.id, instances.acmeCrm, { enabled: false })
      expectDisabled(await contextOf(newcomer.token, { mandate: mandates.acme, instance: instances.acmeCrm }))
      expectDisabled(await contextOf(newcomer.token, { instance: instances.acmeCrm }))
    }
  })
  it('a disabled access row is refused before a disabled instance', async () => {
    const newcomer = await directory.user()
    await directory.join(newcomer.id, mandates.acme)
    await directory.grant(newcomer.id, instances.acmeArchive, { enabled: false })
    expectDisabled(
      await contextOf(newcomer.token, { mandate: mandates.acme, instance: instances.acmeArchive }),
    )
  })

  it('no access row is no_instance_access, also for an admin of the mandate', async () => {
    const instance = await directory.instance(mandates.acme)
    expectNoAccess(await contextOf('alice', { mandate: mandates.acme, instance }))
    expectNoAccess(await contextOf('bob', { mandate: mandates.acme, instance }))
  })
  it('a disabled instance is no_instance_access, whatever the access row says', async () => {
    expectNoAccess(await contextOf('alice', { mandate: mandates.acme, instance: instances.acmeArchive }))
  })
  it('a platform level needs neither a row nor an enabled instance', async () => {
    for (const caller of ['root', 'petra']) {
      for (const instance of [instances.acmeCrm, instances.acmeArchive]) {
        expectPlace(await contextOf(caller, { mandate: mandates.acme, instance }), {
          mandateId: mandates.acme,
          featureInstanceId: instance,
          roleIds: [],
        })
      }
    }
    const instance = await directory.instance(mandates.globex, { enabled: false })
    expectPlace(await contextOf('frank', { mandate: mandates.globex, instance }), {
      mandateId: mandates.globex,
      featureInstanceId: instance,
      roleIds: [roles.viewer],
    })
  })
  it('a platform level with an access row has its roles, also where it is no member', async () => {
    const newcomer = await directory.user({ isPlatformAdmin: true })
    await directory.grant(newcomer.id, instances.acmeArchive, { roles: [roles.crmEditor] })
    expectPlace(
      await contextOf(newcomer.token, { mandate: mandates.acme, instance: instances.acmeArchive }),
      { mandateId: mandates.acme, featureInstanceId: instances.acmeArchive, roleIds: [roles.crmEditor] },
    )
  })
  it.each<[DemoUser, string[]]>([
    ['alice', [roles.acmeAdmin, roles.crmEditor]],
    ['bob', [roles.viewer, roles.crmReader]],
  ])('%s has the roles of membership and access row', async (caller, roleIds) => {
    expectPlace(await contextOf(caller, { mandate: mandates.acme, instance: instances.acmeCrm }), {
      mandateId: mandates.acme,
      featureInstanceId: instances.acmeCrm,
      roleIds,
    })
  })
  it('a role that both rows give counts once', async () => {
    const newcomer = await directory.user()
    await directory.join(newcomer.id, mandates.acme, { roles: [roles.viewer] })
    await directory.grant(newcomer.id, instances.acmeCrm, { roles: [roles.viewer] })
    expectPlace(await contextOf(newcomer.token, { mandate: mandates.acme, instance: instances.acmeCrm }), {
      mandateId: mandates.acme,
      featureInstanceId: instances.acmeCrm,
      roleIds: [roles.viewer],
    })
  })
})

describe('an instance without a mandate header', () => {
  it('is entered through its own mandate, with all roles, no mandateId and no rules', async () => {
    const answer = await contextOf('alice', { instance: instances.acmeCrm })
    expectPlace(answer, {
      mandateId: null,
      featureInstanceId: instances.acmeCrm,
      roleIds: [roles.acmeAdmin, roles.crmEditor],
    })
    expect(answer.body.rules).toEqual([])
    const permissions = await at('/auth/permissions?context=DATA&item=crm', 'alice', {
      instance: instances.acmeCrm,
    }).expect(200)
    expect(permissions.body).toEqual({
      context: 'DATA',
      item: 'crm',
      view: false,
      read: 'n',
      create: 'n',
      update: 'n',
      delete: 'n',
    })
  })
  it('is forwarded to the upstream without a mandate', async () => {
    const answer = await at(`/installed${echo}`, 'alice', { instance: instances.acmeCrm }).expect(200)
    expect(answer.body.headers['x-instance-id']).toBe(instances.acmeCrm)
    expect(answer.body.headers).not.toHaveProperty('x-mandate-id')
  })
  it('unknown, foreign, disabled and without a row: all respond alike, byte for byte', async () => {
    const unreached = await directory.instance(mandates.acme)
    const inDisabled = await directory.instance(mandates.initech)
    const answers = await Promise.all(
      [randomUUID(), instances.globexCrm, inDisabled, instances.acmeArchive, unreached].map((instance) =>
        contextOf('bob', { instance }),
      ),
    )
    for (const answer of answers) expectNoAccess(answer)
    expect(new Set(answers.map(withoutRequestId)).size).toBe(1)
  })
  it('an access row without a membership opens nothing', async () => {
    const newcomer = await directory.user()
    await directory.grant(newcomer.id, instances.acmeCrm, { roles: [roles.crmEditor] })
    expectNoAccess(await contextOf(newcomer.token, { instance: instances.acmeCrm }))
  })
  it.each(['carol', 'frank'])(
    'of a mandate whose membership is disabled is membership_disabled for %s',
    async (caller) => {
      expectProblem(
        await contextOf(caller, { instance: instances.acmeCrm }),
        403,
        'membership_disabled',
        'Mandate membership is disabled',
      )
    },
  )
  it('of a disabled mandate is mandate_disabled for its members', async () => {
    const instance = await directory.instance(mandates.initech)
    await directory.grant(users.alice, instance)
    expectProblem(await contextOf('alice', { instance }), 403, 'mandate_disabled', 'Mandate is disabled')
    expectPlace(await contextOf('root', { instance }), {
      mandateId: null,
      featureInstanceId: instance,
      roleIds: [],
    })
  })
  it.each(['carol', 'frank'])(
    'with a disabled access row is feature_access_disabled for %s',
    async (caller) => {
      expectProblem(
        await contextOf(caller, { instance: instances.globexCrm }),
        403,
        'feature_access_disabled',
        'Feature access is disabled',
      )
    },
  )
  it.each(['root', 'petra'])('is open to the platform level of %s', async (caller) => {
    for (const instance of [instances.acmeCrm, instances.acmeArchive]) {
      expectPlace(await contextOf(caller, { instance }), {
        mandateId: null,
        featureInstanceId: instance,
        roleIds: [],
      })
    }
  })
})

describe('where the headers are ignored', () => {
  const nonsense = [
    { mandate: 'nonsense', instance: '{}' },
    { mandate: mandates.globex, instance: instances.globexCrm },
    { mandate: randomUUID() },
  ]

  it('/auth/me responds whatever they say', async () => {
    for (const place of nonsense) await at('/auth/me', 'bob', place).expect(200)
  })
  it('a route that needs no place responds, and forwards neither header', async () => {
    for (const place of nonsense) {
      const answer = await at(`/nowhere${echo}`, 'bob', place).expect(200)
      expect(answer.body.headers).not.toHaveProperty('x-mandate-id')
      expect(answer.body.headers).not.toHaveProperty('x-instance-id')
      expect(answer.body.headers).not.toHaveProperty('x-role-ids')
    }
  })
  it('/system and /admin respond whatever they say', async () => {
    for (const place of nonsense) {
      await at('/system/nodes', 'root', place).expect(200)
      await at('/admin/users', 'petra', place).expect(200)
    }
  })
  it('a member who was removed can still log out', async () => {
    for (const place of nonsense) {
      const { token } = await tokenFor(gateway.database, 'carol')
      await request(gateway.server)
        .post('/auth/logout')
        .set({ Authorization: `Bearer ${token}`, ...headersOf(place) })
        .expect(204)
      expectProblem(await at('/auth/me', token, {}), 401, 'token_invalid')
    }
  })
  it('an anonymous caller of an optional route has no place', async () => {
    const answer = await request(gateway.server)
      .get(`/maybe${echo}`)
      .set({ 'X-Mandate-Id': mandates.acme, 'X-Instance-Id': instances.acmeCrm })
      .expect(200)
    expect(answer.body.headers).not.toHaveProperty('x-mandate-id')
    expect(answer.body.headers).not.toHaveProperty('x-instance-id')
    expectProblem(await at(`/maybe${echo}`, 'bob', { mandate: mandates.globex }), 403, 'not_a_member')
    expectProblem(await at(`/maybe${echo}`, 'not-a-token', {}), 401, 'token_invalid')
  })
})

describe('platform_entry', () => {
  interface Entry {
    user_id: string
    mandate_id: string
    request_id: string
    occurred_at: Date
  }
  const entriesOf = (userId: string) =>
    gateway.database.sql<Entry>(
      `select user_id, mandate_id, request_id, occurred_at
        from audit_events
        where action = 'platform_entry' and user_id = $1
        order by seq`,
      [userId],
    )

  /** The entries of a user when everything that was recorded until now has been written. */
  async function entriesUntilNow(userId: string): Promise<Entry[]> {
    const requestId = randomUUID()
    const marker = await directory.user({ isSysAdmin: true })
    await at('/system/nodes', marker.token, {}).set('X-Request-Id', requestId).expect(200)
    await until(
      async () =>
        (await gateway.database.sql('select 1 from audit_events where request_id = $1', [requestId]))[0],
    )
    return await entriesOf(userId)
  }

  it.each([{ isSysAdmin: true }, { isPlatformAdmin: true }])(
    'is written once a minute for a user (%j) and mandate',
    async (flags) => {
      const level = await directory.user(flags)
      for (const requestId of ['first', 'second', 'third']) {
        await contextOf(level.token, { mandate: mandates.acme })
          .set('X-Request-Id', `${level.id}-${requestId}`)
          .expect(200)
      }
      await contextOf(level.token, { mandate: mandates.globex }).expect(200)
      await at(`/tenant${echo}`, level.token, { mandate: mandates.initech }).expect(200)
      const entries = await entriesUntilNow(level.id)
      expect(entries.map((entry) => entry.mandate_id)).toEqual([
        mandates.acme,
        mandates.globex,
        mandates.initech,
      ])
      expect(entries[0]?.request_id).toBe(`${level.id}-first`)
    },
  )
  it('is written for each user of their own', async () => {
    const levels = [await directory.user({ isSysAdmin: true }), await directory.user({ isSysAdmin: true })]
    for (const { token } of levels) await contextOf(token, { mandate: mandates.acme }).expect(200)
    for (const { id } of levels) expect(await entriesUntilNow(id)).toHaveLength(1)
  })
  it('is written for an instance without a mandate header, too', async () => {
    const level = await directory.user({ isPlatformAdmin: true })
    await contextOf(level.token, { instance: instances.acmeCrm }).expect(200)
    expect(await entriesUntilNow(level.id)).toMatchObject([{ mandate_id: mandates.acme }])
  })
  it('is written where the level has an access row and no membership', async () => {
    const level = await directory.user({ isPlatformAdmin: true })
    await directory.grant(level.id, instances.acmeCrm)
    await contextOf(level.token, { mandate: mandates.acme, instance: instances.acmeCrm }).expect(200)
    expect(await entriesUntilNow(level.id)).toHaveLength(1)
  })
  it.each<
    [
      string,
      { isSysAdmin?: boolean; isPlatformAdmin?: boolean },
      (id: string) => Promise<{ mandate: string; instance?: string }>,
    ]
  >([
    [
      'a member enters an instance without an access',
      { isPlatformAdmin: true },
      async (id) => {
        await directory.join(id, mandates.acme, { roles: [roles.viewer] })
        return { mandate: mandates.acme, instance: instances.acmeCrm }
      },
    ],
    [
      'a member with access enters a disabled instance',
      { isPlatformAdmin: true },
      async (id) => {
        const instance = await directory.instance(mandates.acme, { enabled: false })
        await directory.join(id, mandates.acme, { roles: [roles.viewer] })
        await directory.grant(id, instance)
        return { mandate: mandates.acme, instance }
      },
    ],
    [
      'a member enters a disabled mandate',
      { isPlatformAdmin: true },
      async (id) => {
        const mandate = await directory.mandate({ enabled: false })
        await directory.join(id, mandate, { roles: [roles.viewer] })
        return { mandate }
      },
    ],
    [
      'a SysAdmin enters who is a member without a role',
      { isSysAdmin: true },
      async (id) => {
        await directory.join(id, mandates.acme)
        return { mandate: mandates.acme }
      },
    ],
  ])('is written where %s', async (_what, flags, prepare) => {
    const level = await directory.user(flags)
    const place = await prepare(level.id)
    await contextOf(level.token, place).expect(200)
    expect(await entriesUntilNow(level.id)).toMatchObject([{ mandate_id: place.mandate }])
  })
  it('is not written for members, for refusals, and where no mandate is entered', async () => {
    const level = await directory.user({ isPlatformAdmin: true })
    await directory.join(level.id, mandates.globex)
    await contextOf(level.token, { mandate: mandates.globex }).expect(200)
    await contextOf(level.token, {}).expect(200)
    expectProblem(await contextOf(level.token, { mandate: randomUUID() }), 404, 'mandate_not_found')
    expectProblem(await contextOf(level.token, { instance: randomUUID() }), 404, 'instance_not_found')
    const member = await directory.user()
    await directory.join(member.id, mandates.acme)
    await contextOf(member.token, { mandate: mandates.acme }).expect(200)
    expect(await entriesUntilNow(level.id)).toEqual([])
    expect(await entriesUntilNow(member.id)).toEqual([])
  })
})

describe('a member whose profile the mandate does not see yet', () => {
  let database: Database
  beforeAll(() => {
    database = connectDatabase({ url: gateway.database.url, setRole: false })
  })
  afterAll(async () => {
    await database.close()
  })

  it.each([
    ['is told of once, however many requests they make, without a wait or a statement for any', false],
    ['is not told of when it is seen', true],
  ])('%s', async (_name, profileShown) => {
    const member = await directory.user()
    const membership = await directory.join(member.id, mandates.acme)
    await gateway.database.sql('update user_mandates set profile_shown = $1 where id = $2', [
      profileShown,
      membership,
    ])
    const memory = createMemory({ holdsLease: () => true, maxEntries: 10 })
    const told: string[] = []
    const step = resolveContext({
      directory: createDirectory({ sql: database, memory }),
      onPlatformEntry: () => undefined,
      onFirstEntry: (id) => told.push(id),
    })({ mandate: 'required', instance: 'none' })
    const user = {
      id: member.id,
      username: member.username,
      email: null,
      fullName: null,
      isSysAdmin: false,
      isPlatformAdmin: false,
    }
    const enter = () =>
      step(
        {
          state: stateWith({ principal: { user } as Principal }),
          headers: { 'x-mandate-id': mandates.acme },
        } as unknown as Request,
        {} as ExpressResponse,
        (error?: unknown) => {
          if (error instanceof Error) throw error
        },
      )
    await enter() // loads the place
    for (let count = 0; count < 100; count += 1) expect(enter()).toBeUndefined()
    expect(told).toEqual(profileShown ? [] : [membership])
    expect(memory.counts()).toMatchObject({ misses: 1, hits: 100 })
  })
})

describe('a directory that cannot answer', () => {
  it.each([
    'user_mandates',
    'mandates',
    'feature_instances',
    'feature_access',
    'user_mandate_roles',
    'feature_access_roles',
    'roles',
    'access_rules',
  ])('%s missing is 503, and 200 again when it is back', async (table) => {
    const newcomer = await directory.user()
    await directory.join(newcomer.id, mandates.acme, { roles: [roles.acmeAdmin] })
    await directory.grant(newcomer.id, instances.acmeCrm, { roles: [roles.crmEditor] })
    await withoutTable(gateway.database, table, async () => {
      const answer = await contextOf(newcomer.token, { mandate: mandates.acme, instance: instances.acmeCrm })
      expectProblem(answer, 503, 'directory_unavailable')
      expect(answer.text).not.toMatch(/relation|select|postgres|access_rules|user_mandate/i)
    })
    await contextOf(newcomer.token, { mandate: mandates.acme, instance: instances.acmeCrm }).expect(200)
  })
  it('requests that need no place still respond', async () => {
    await withoutTable(gateway.database, 'user_mandates', async () => {
      await contextOf('alice', {}).expect(200)
      await at(`/nowhere${echo}`, 'alice', { mandate: mandates.acme }).expect(200)
      expectProblem(await contextOf('alice', { mandate: 'x' }), 400, 'mandate_id_invalid')
    })
  })
})
