import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { administrationOf, type Administration } from '../support/administration.js'
import { mandates, tokenFor, users } from '../support/demo.js'
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

describe('mandates', () => {
  it('are made, changed and deleted, and each of that is in the audit under the mandate', async () => {
    const made = await ask('petra', 'post', '/admin/mandates', {
      body: { slug: 'umbrella', label: 'Umbrella Corp.' },
    })
    expect(made.status).toBe(201)
    expect(made.body).toMatchObject({ slug: 'umbrella', label: 'Umbrella Corp.', enabled: true })
    const path = made.headers.location!
    expect((await ask('petra', 'get', path)).body).toMatchObject({ slug: 'umbrella' })
    expect((await ask('petra', 'patch', path, { body: { label: 'Umbrella' } })).body).toMatchObject({
      slug: 'umbrella',
      label: 'Umbrella',
      coherence: {},
    })
    expect((await ask('petra', 'delete', path)).body).toEqual({ coherence: expect.any(Object) })
    expectProblem(await ask('petra', 'get', path), 404, 'not_found')
    const events = await gateway.database.sql(
      'select user_id, action from audit_events where mandate_id = $1 order by seq',
      [made.body.id],
    )
    expect(events).toEqual(
      ['mandate_created', 'mandate_changed', 'mandate_deleted'].map((action) => ({
        user_id: users.petra,
        action,
      })),
    )
  })

  it('have slugs of their own, in lower case', async () => {
    expectProblem(
      await ask('petra', 'post', '/admin/mandates', { body: { slug: 'acme', label: 'Other' } }),
      409,
      'conflict',
    )
    expectProblem(
      await ask('petra', 'patch', `/admin/mandates/${mandates.globex}`, { body: { slug: 'acme' } }),
      409,
      'conflict',
    )
    for (const body of [
      { slug: 'Acme', label: 'x' },
      { slug: 'a b', label: 'x' },
      { slug: '-a', label: 'x' },
      { slug: 'x' },
      { slug: 'x', label: '' },
      { slug: 'x', label: 'x', id: randomUUID() },
    ]) {
      expect([body, (await ask('petra', 'post', '/admin/mandates', { body })).body.code]).toEqual([
        body,
        'validation_failed',
      ])
    }
  })

  it('that are disabled let nobody in any more', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    const enter = () =>
      request(gateway.server)
        .get('/auth/context')
        .set('Authorization', `Bearer ${token}`)
        .set('X-Mandate-Id', mandates.globex)
    expect((await enter()).status).toBe(200)
    const preview = (
      await ask('petra', 'patch', `/admin/mandates/${mandates.globex}?dryRun=1`, { body: { enabled: false } })
    ).body
    expect(preview.permissions.items.map(({ username }: { username: string }) => username)).toEqual(
      expect.arrayContaining(['alice', 'carol', 'frank']),
    )
    expect((await enter()).status).toBe(200)
    await ask('petra', 'patch', `/admin/mandates/${mandates.globex}`, { body: { enabled: false } })
    expectProblem(await enter(), 403, 'mandate_disabled')
    await ask('petra', 'patch', `/admin/mandates/${mandates.globex}`, { body: { enabled: true } })
  })

  it('are listed in each order, filtered, and found by words of their names', async () => {
    for (const [slug, label] of [
      ['wayne', 'Wayne Enterprises'],
      ['stark', 'Stark Industries'],
      ['tyrell', 'Tyrell Corporation of Stark Street'],
    ])
      await ask('petra', 'post', '/admin/mandates', { body: { slug, label } })
    const slugs = async (query: string) =>
      (await all('petra', `/admin/mandates?${query}`)).map(({ slug }) => slug)
    expect(await slugs('')).toEqual(['acme', 'globex', 'initech', 'stark', 'tyrell', 'wayne'])
    expect(await slugs('sort=-slug')).toEqual(['wayne', 'tyrell', 'stark', 'initech', 'globex', 'acme'])
    expect((await slugs('sort=createdAt')).slice(-3)).toEqual(['wayne', 'stark', 'tyrell'])
    expect(await slugs('enabled=false')).toEqual(['initech'])
    expect((await slugs('q=stark')).sort()).toEqual(['stark', 'tyrell']) // both by the same word
    expect(await slugs('q=ENTER')).toEqual(['wayne'])
    expect(await slugs('q=ark')).toEqual([])
  })

  it('are for platform admins', async () => {
    for (const who of ['root', 'alice'] as const) {
      expectProblem(await ask(who, 'get', '/admin/mandates'), 403, 'platform_admin_required')
      expectProblem(
        await ask(who, 'delete', `/admin/mandates/${mandates.globex}`),
        403,
        'platform_admin_required',
      )
    }
  })
})
