import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { administrationOf, type Administration } from '../support/administration.js'
import { instances, mandates, roles, users } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { expectProblem } from '../support/problems.js'

let gateway: TestGateway
let ask: Administration['ask']
let all: Administration['all']
let directory: ReturnType<typeof directoryOf>
const { acme, globex } = mandates
beforeAll(async () => {
  gateway = await startTestGateway()
  ;({ ask, all } = administrationOf(gateway))
  directory = directoryOf(gateway.database)
})
afterAll(async () => {
  await gateway.stop()
})

describe('features', () => {
  it('are made, renamed, and deleted when they are installed nowhere', async () => {
    const made = await ask('petra', 'post', '/admin/features', {
      body: { code: 'billing', label: 'Billing' },
    })
    expect([made.status, made.headers.location]).toEqual([201, '/admin/features/billing'])
    expect(
      (await ask('petra', 'patch', '/admin/features/billing', { body: { label: 'Invoices' } })).body,
    ).toMatchObject({ code: 'billing', label: 'Invoices' })
    expect((await all('petra', '/admin/features', { limit: 1 })).map(({ code }) => code)).toEqual([
      'billing',
      'crm',
      'projects',
    ])
    const {
      body: { id },
    } = await ask('petra', 'post', '/admin/instances', {
      body: { mandateId: globex, featureCode: 'billing', label: 'globex-billing' },
    })
    expectProblem(await ask('petra', 'delete', '/admin/features/billing'), 409, 'conflict')
    expect((await ask('petra', 'delete', `/admin/instances/${id as string}`)).status).toBe(200)
    expect((await ask('petra', 'delete', '/admin/features/billing')).status).toBe(200)
    expectProblem(await ask('petra', 'get', '/admin/features/billing'), 404, 'not_found')
    expectProblem(
      await ask('petra', 'post', '/admin/features', { body: { code: 'crm', label: 'Again' } }),
      409,
      'conflict',
    )
  })
})

describe.each([
  ['platform admins', 'petra', '/admin/instances', { mandateId: acme }],
  ['admins of the mandate', 'alice', '/mandate/instances', {}],
] as const)('instances, for %s,', (_who, who, path, where) => {
  const does = (method: 'get' | 'post' | 'patch' | 'delete', at: string, body?: unknown) =>
    ask(who, method, at, { in: acme, body })

  it('are installed, changed and removed', async () => {
    const made = await does('post', path, { ...where, featureCode: 'projects', label: 'acme-projects' })
    expect(made.status).toBe(201)
    expect(made.body).toMatchObject({
      mandateId: acme,
      featureCode: 'projects',
      label: 'acme-projects',
      enabled: true,
    })
    const at = `${path}/${made.body.id as string}`
    expect((await does('patch', at, { enabled: false })).body).toMatchObject({
      enabled: false,
      label: 'acme-projects',
      coherence: {},
    })
    expect(
      (
        await all(
          who,
          `${path}?featureCode=projects&enabled=false${who === 'petra' ? `&mandateId=${acme}` : ''}`,
          { in: acme },
        )
      ).map(({ id }) => id),
    ).toEqual([made.body.id])
    expect((await does('delete', at)).body).toEqual({ coherence: expect.any(Object) })
    expectProblem(await does('get', at), 404, 'not_found')
    expect((await does('post', path, { ...where, featureCode: 'nothing', label: 'x' })).body).toMatchObject({
      code: 'validation_failed',
      errors: [{ path: 'featureCode' }],
    })
  })

  it('let in those who are given access, with its roles, until it is taken', async () => {
    const person = await directory.user()
    await directory.join(person.id, acme)
    const at = `${path}/${instances.acmeCrm}/access`
    const entering = () =>
      request(gateway.server)
        .get('/auth/context')
        .set({
          Authorization: `Bearer ${person.token}`,
          'X-Mandate-Id': acme,
          'X-Instance-Id': instances.acmeCrm,
        })
    expectProblem(await entering(), 403, 'no_instance_access')
    const given = await does('post', at, { username: person.username, roleIds: [roles.crmReader] })
    expect([given.status, given.headers.location]).toEqual([201, `${at}/${person.id}`])
    expect((await entering()).body.roleIds).toEqual([roles.crmReader])
    expect((await does('get', `${at}/${person.id}`)).body).toMatchObject({
      userId: person.id,
      roleIds: [roles.crmReader],
    })
    expect(
      (await all(who, `${at}?roleId=${roles.crmReader}`, { in: acme })).map(({ userId }) => userId),
    ).toEqual(expect.arrayContaining([person.id, users.bob]))
    expect((await does('patch', `${at}/${person.id}`, { enabled: false })).body).toMatchObject({
      enabled: false,
    })
    expectProblem(await entering(), 403, 'feature_access_disabled')
    expect((await does('delete', `${at}/${person.id}`)).status).toBe(200)
    expectProblem(await entering(), 403, 'no_instance_access')
  })

  it('are for members of the mandate, with roles that count there', async () => {
    const at = `${path}/${instances.acmeCrm}/access`
    const stranger = await directory.user()
    const answer = await does('post', at, { userId: stranger.id })
    expectProblem(answer, who === 'petra' ? 409 : 404, who === 'petra' ? 'conflict' : 'not_found')
    const archived = await directory.role({ mandateId: acme, instanceId: instances.acmeArchive })
    await directory.join(stranger.id, acme)
    expect((await does('post', at, { userId: stranger.id, roleIds: [archived] })).body).toMatchObject({
      code: 'validation_failed',
      errors: [{ path: 'roleIds.0' }],
    })
    expectProblem(
      await does('post', `${path}/${randomUUID()}/access`, { userId: stranger.id }),
      404,
      'not_found',
    )
  })
})
