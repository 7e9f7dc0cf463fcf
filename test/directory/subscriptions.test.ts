import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { administrationOf, type Administration } from '../support/administration.js'
import { mandates, tokenFor } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { expectProblem } from '../support/problems.js'
import { until } from '../support/until.js'

let gateway: TestGateway
let ask: Administration['ask']
let all: Administration['all']
let directory: ReturnType<typeof directoryOf>
const { acme, globex } = mandates
beforeAll(async () => {
  gateway = await startTestGateway({ demoUpstream: true })
  ;({ ask, all } = administrationOf(gateway))
  directory = directoryOf(gateway.database)
})
afterAll(async () => {
  await gateway.stop()
})

const sell = (mandateId: string, quotas: Record<string, number | null>) =>
  ask('petra', 'post', '/admin/subscriptions', { body: { mandateId, plan: 'team', ...quotas } })
const thisMonth = new Date().toISOString().slice(0, 7)

describe('a subscription', () => {
  it('is made, shown, changed and ended, by the mandate’s id', async () => {
    const made = await sell(globex, { requestsPerMonth: 1000 })
    expect([made.status, made.headers.location]).toEqual([201, `/admin/subscriptions/${globex}`])
    expect(made.body).toMatchObject({
      mandateId: globex,
      slug: 'globex',
      label: 'Globex',
      plan: 'team',
      requestsPerMonth: 1000,
      members: null,
      instances: null,
    })
    expectProblem(await sell(globex, {}), 409, 'conflict')
    expect(
      (
        await ask('petra', 'patch', `/admin/subscriptions/${globex}`, {
          body: { members: 3, requestsPerMonth: null },
        })
      ).body,
    ).toMatchObject({ plan: 'team', members: 3, requestsPerMonth: null })
    expect((await all('petra', '/admin/subscriptions?plan=team')).map(({ mandateId }) => mandateId)).toEqual([
      globex,
    ])
    expect(
      (await ask('petra', 'patch', `/admin/subscriptions/${globex}`, { body: { members: -1 } })).body.code,
    ).toBe('validation_failed')
    expect((await ask('petra', 'delete', `/admin/subscriptions/${globex}`)).status).toBe(200)
    expectProblem(await ask('petra', 'get', `/admin/subscriptions/${globex}`), 404, 'not_found')
    expectProblem(
      await ask('alice', 'get', '/admin/subscriptions', { in: acme }),
      403,
      'platform_admin_required',
    )
  })

  it('allows so many members and instances and not one more, whoever adds them, also at once', async () => {
    const mandate = await directory.mandate()
    await sell(mandate, { members: 2, instances: 1 })
    const people = await Promise.all([1, 2, 3, 4].map(() => directory.user()))
    const statuses = (
      await Promise.all(
        people.map(({ id }) =>
          ask('petra', 'post', `/admin/mandates/${mandate}/members`, { body: { userId: id } }),
        ),
      )
    ).map(({ status }) => status)
    expect(statuses.sort()).toEqual([201, 201, 409, 409])
    const install = () =>
      ask('petra', 'post', '/admin/instances', {
        body: { mandateId: mandate, featureCode: 'crm', label: 'one' },
      })
    expect((await install()).status).toBe(201)
    const refused = await install()
    expectProblem(refused, 409, 'conflict')
    expect(refused.body.detail).toContain('allows 1 instances')
    await ask('petra', 'patch', `/admin/subscriptions/${mandate}`, { body: { instances: null } })
    expect((await install()).status).toBe(201)
    await sell(acme, { members: 1 })
    expectProblem(
      await ask('alice', 'post', '/mandate/members', { in: acme, body: { userId: people[0]!.id } }),
      409,
      'conflict',
    )
    await ask('petra', 'delete', `/admin/subscriptions/${acme}`)
  })

  it('allows a number of requests a month: further ones are 429 until there are more or the plan changes', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    const contacts = (mandate: string) =>
      request(gateway.server)
        .get('/api/crm/contacts')
        .set({ Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandate })
    const becomes = (status: number) =>
      until(async () => {
        const answer = await contacts(acme)
        return answer.status === status ? answer : undefined
      }, 8000)
    expect((await contacts(acme)).status).toBe(200)
    await sell(acme, { requestsPerMonth: 5 })
    const refused = await becomes(429)
    expectProblem(refused, 429, 'rate_limited')
    expect(refused.body.detail).toContain('used up the 5 requests')
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect((await contacts(globex)).status).toBe(200)
    // who governs it sees why
    expect((await ask('alice', 'get', '/mandate/members', { in: acme })).status).toBe(200)
    await ask('petra', 'patch', `/admin/subscriptions/${acme}`, { body: { requestsPerMonth: null } })
    await becomes(200)
    await ask('petra', 'delete', `/admin/subscriptions/${acme}`)
  })
})

describe('use', () => {
  it('is told by mandate and day, the latest first, and as a table', async () => {
    const [one, other] = [await directory.mandate(), await directory.mandate()]
    const use = (mandate: string, day: string, requests: number, denials: number) =>
      gateway.database.sql(
        'insert into usage_daily (mandate_id, day, requests, denials) values ($1, $2, $3, $4)',
        [mandate, day, requests, denials],
      )
    await use(one, '2025-03-01', 10, 1)
    await use(one, '2025-03-02', 20, 2)
    await use(other, '2025-03-02', 5, 0)
    const days = (await all('petra', '/admin/usage?from=2025-03-01&to=2025-03-31', { limit: 1 })).map(
      ({ day, mandateId, requests, denials }) => [day, mandateId, requests, denials],
    )
    expect(days).toEqual([
      ...[
        ['2025-03-02', one, 20, 2],
        ['2025-03-02', other, 5, 0],
      ].sort(([, a], [, b]) => (String(a) < String(b) ? -1 : 1)),
      ['2025-03-01', one, 10, 1],
    ])
    expect(
      (await all('petra', `/admin/usage?mandateId=${one}&from=2025-03-02`)).map(({ day }) => day),
    ).toEqual(['2025-03-02'])
    const table = await ask('petra', 'get', `/admin/usage?mandateId=${one}`, { accept: 'text/csv' })
    expect(table.headers['content-type']).toBe('text/csv; charset=utf-8')
    expect(table.text.replace('\ufeff', '').split('\r\n').slice(0, 2)).toEqual([
      'day,mandateId,slug,requests,denials',
      expect.stringMatching(`^2025-03-02,${one},[0-9a-f]+,20,2$`),
    ])
    for (const query of ['from=yesterday', 'format=xml', 'mandateId=x'])
      expect((await ask('petra', 'get', `/admin/usage?${query}`)).body.code).toBe('validation_failed')
  })

  it('is summed by day over all mandates, or of one, with the days that had none', async () => {
    const [one, other] = [await directory.mandate(), await directory.mandate()]
    await gateway.database.sql(
      `insert into usage_daily (mandate_id, day, requests, denials)
        values ($1, '2024-06-01', 10, 1), ($2, '2024-06-01', 5, 2), ($1, '2024-06-03', 7, 0),
          ($1, '2024-06-05', 99, 0)`,
      [one, other],
    )
    const days = async (query: string) =>
      (await ask('petra', 'get', `/admin/usage/days?${query}`)).body.items.map(
        (day: { day: string; requests: number; denials: number }) => [day.day, day.requests, day.denials],
      )
    expect(await days('from=2024-06-01&to=2024-06-04')).toEqual([
      ['2024-06-01', 15, 3],
      ['2024-06-02', 0, 0],
      ['2024-06-03', 7, 0],
      ['2024-06-04', 0, 0],
    ])
    expect(await days(`from=2024-06-01&to=2024-06-01&mandateId=${other}`)).toEqual([['2024-06-01', 5, 2]])
    expect(await days('')).toHaveLength(30)
    for (const query of ['from=2024-06-02&to=2024-06-01', 'from=2023-01-01&to=2024-06-01', 'to=soon'])
      expect((await ask('petra', 'get', `/admin/usage/days?${query}`)).body.code).toBe('validation_failed')
    expectProblem(
      await ask('alice', 'get', '/admin/usage/days', { in: acme }),
      403,
      'platform_admin_required',
    )
  })

  it('is billed by month against what was sold: refused requests are free, a deleted mandate is billed', async () => {
    const [sold, gone] = [await directory.mandate(), await directory.mandate()]
    await sell(sold, { requestsPerMonth: 25, members: 10 })
    await gateway.database.sql(
      `insert into usage_daily (mandate_id, day, requests, denials)
        values ($1, '2025-01-31', 100, 0), ($1, '2025-02-01', 20, 5), ($1, '2025-02-28', 20, 0),
          ($2, '2025-02-10', 7, 1)`,
      [sold, gone],
    )
    await gateway.database.sql('delete from mandates where id = $1', [gone])
    await gateway.database.sql(`update mandates set label = '=cmd|, "x"' where id = $1`, [sold])
    const bills = await all('petra', '/admin/billing?month=2025-02', { limit: 1 })
    expect(bills).toContainEqual(
      expect.objectContaining({
        month: '2025-02',
        mandateId: sold,
        plan: 'team',
        requests: 35,
        requestsQuota: 25,
        requestsOver: 10,
        denials: 5,
        members: 0,
        membersQuota: 10,
        instancesQuota: null,
      }),
    )
    expect(bills).toContainEqual(
      expect.objectContaining({
        mandateId: gone,
        slug: null,
        plan: null,
        requests: 6,
        requestsQuota: null,
        requestsOver: 0,
      }),
    )
    const table = (await ask('petra', 'get', `/admin/billing?month=2025-02&format=csv&mandateId=${sold}`))
      .text
    // no spreadsheet takes it for a formula
    expect(table).toContain(`,"'=cmd|, ""x""",team,35,25,10,5,0,10,0,`)
    expect((await ask('petra', 'get', `/admin/billing?mandateId=${sold}`)).body.items).toMatchObject([
      { month: thisMonth, requests: 0 },
    ])
  })
})
