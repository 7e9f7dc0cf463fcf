import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { administrationOf, type Administration } from '../support/administration.js'
import { instances, mandates, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { expectProblem } from '../support/problems.js'

let gateway: TestGateway
let ask: Administration['ask']
let all: Administration['all']
beforeAll(async () => {
  gateway = await startTestGateway()
  ;({ ask, all } = administrationOf(gateway))
})
afterAll(async () => {
  await gateway.stop()
})

interface Place {
  username: string
  mandateId: string
  instanceId: string | null
  permissions: Record<string, unknown>[]
}
const overview = async (query: string) =>
  (await all('petra', `/admin/access-overview?${query}`, { limit: 1 })) as unknown as Place[]
const at = ({ username, instanceId }: Place) =>
  `${username} ${instanceId === instances.acmeCrm ? 'acme-crm' : String(instanceId)}`

describe('the access overview', () => {
  it('of a user has each place that they may enter, with what they may do there', async () => {
    const places = await overview(`userId=${users.bob}`)
    expect(places.map(at).sort()).toEqual(['bob acme-crm', 'bob null'])
    const crmOf = (place: Place) =>
      place.permissions.find(({ context, item }) => context === 'RESOURCE' && item === 'crm')
    expect(crmOf(places.find(({ instanceId }) => instanceId === null)!)).toMatchObject({
      view: true,
      read: 'a',
      create: 'n',
    })
    // by crm-reader
    expect(crmOf(places.find(({ instanceId }) => instanceId !== null)!)).toMatchObject({
      view: true,
      read: 'g',
    })
  })

  it('of a mandate has those who may enter, and nobody who may not', async () => {
    expect((await overview(`mandateId=${mandates.acme}`)).map(at).sort()).toEqual([
      'alice acme-crm',
      'alice null',
      'bob acme-crm',
      'bob null',
      'reports null',
    ])
    expect(await overview(`mandateId=${mandates.initech}`)).toEqual([]) // it is disabled
  })

  it('of an item has those who may do something with it, by whatever rule decides', async () => {
    expect((await overview('context=RESOURCE&item=gateway.members')).map(at).sort()).toEqual([
      'alice acme-crm',
      'alice null',
    ])
    // by the rule for all
    expect((await overview(`context=UI&item=anything&mandateId=${mandates.acme}`)).map(at).sort()).toEqual([
      'alice acme-crm',
      'alice null',
    ])
    expect(await overview('context=DATA&item=nothing.of.that')).toEqual([])
    expect(
      (await overview('context=DATA&item=crm.contacts')).every(({ permissions }) => permissions.length === 1),
    ).toBe(true)
  })

  it('is what enforcement decides', async () => {
    for (const place of await overview(`userId=${users.alice}`)) {
      const permission = place.permissions.find(({ context, item }) => context === 'DATA' && item === 'crm')!
      const { body } = await ask('alice', 'get', `/auth/permissions?context=DATA&item=crm`, {
        in: place.mandateId,
      })
      if (place.instanceId === null) expect(permission).toEqual(body)
    }
  })

  it('comes as a table, too', async () => {
    const { headers, text } = await ask(
      'petra',
      'get',
      `/admin/access-overview?userId=${users.bob}&format=csv`,
    )
    expect(headers['content-type']).toBe('text/csv; charset=utf-8')
    expect(headers['content-disposition']).toBe('attachment; filename="access-overview.csv"')
    expect(text.split('\r\n')[0]?.replace('\ufeff', '')).toBe(
      'username,userId,mandateSlug,mandateId,instanceLabel,instanceId,context,item,view,read,create,update,delete',
    )
    expect(text).toContain(
      `bob,${users.bob},acme,${mandates.acme},acme-crm,${instances.acmeCrm},RESOURCE,crm,true,g,n,n,n`,
    )
  })

  it('is asked about something, by platform admins', async () => {
    for (const query of ['', 'item=crm', 'context=DATA', 'userId=x', 'context=data&item=x'])
      expect((await ask('petra', 'get', `/admin/access-overview?${query}`)).body.code).toBe(
        'validation_failed',
      )
    expectProblem(
      await ask('root', 'get', `/admin/access-overview?userId=${users.bob}`),
      403,
      'platform_admin_required',
    )
  })
})

it('the catalogue has what the gateway, its routes and rules know, page by page', async () => {
  await gateway.database.sql(
    `insert into access_rules (role_id, context, item) select id, 'UI', 'crm.menu' from roles limit 1`,
  )
  const items = await all('petra', '/admin/catalog', { limit: 3 })
  expect(items.map(({ context, item }) => `${String(context)} ${String(item)}`)).toEqual(
    expect.arrayContaining([
      'DATA crm',
      'RESOURCE crm',
      'RESOURCE gateway',
      'RESOURCE gateway.audit',
      'RESOURCE gateway.instances',
      'RESOURCE gateway.members',
      'RESOURCE gateway.portal',
      'RESOURCE gateway.roles',
      'UI crm',
      'UI crm.menu',
    ]),
  )
  expect(items).toContainEqual({ context: 'RESOURCE', item: 'crm', sources: ['route', 'rule'] })
  expect(items).toContainEqual({ context: 'RESOURCE', item: 'gateway', sources: ['gateway', 'rule'] })
})
