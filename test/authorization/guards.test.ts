import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { createTestDatabase } from '../support/database.js'
import { directoryOf } from '../support/directory.js'
import { instances, mandates, roles, tokenFor, type DemoUser } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { expectProblem } from '../support/problems.js'
import { withoutTable } from '../support/tables.js'
import { until } from '../support/until.js'

const routes = `
upstreams:
  echo: { targets: [demo] }
routes:
  /crm:
    { upstream: echo, strip: true, mandate: required, instance: optional,
      permission: { context: RESOURCE, item: crm } }
  /deals: { upstream: echo, strip: true, mandate: optional, permission: { context: DATA, item: crm.deals } }
  /operators: { upstream: echo, strip: true, guard: sysAdmin }
  /governors: { upstream: echo, strip: true, guard: platformAdmin }
  /both:
    { upstream: echo, strip: true, mandate: required, guard: sysAdmin,
      permission: { context: RESOURCE, item: nobody } }
  /governed:
    { upstream: echo, strip: true, mandate: required, guard: platformAdmin,
      permission: { context: RESOURCE, item: crm } }
`
const echo = '/api/crm/echo'
/** What a second holds, for who looks every 10 ms on a busy machine. */
const withinASecond = 1000

interface AuditRow {
  user_id: string
  mandate_id: string
  action: string
  details: Record<string, unknown>
  request_id: string
  occurred_at: Date
}

let gateway: TestGateway
let directory: ReturnType<typeof directoryOf>
const tokens = new Map<string, string>()

beforeAll(async () => {
  // Without memory: rows that a test changes count with the next request.
  gateway = await startTestGateway({ routes, demoUpstream: true, environment: { COHERENCE_LEASE_MS: '0' } })
  directory = directoryOf(gateway.database)
  for (const user of ['root', 'petra', 'alice', 'bob', 'erin', 'frank'] as const)
    tokens.set(user, (await tokenFor(gateway.database, user)).token)
})
afterAll(async () => {
  await gateway.stop()
})

const bearer = (caller: string) => `Bearer ${tokens.get(caller) ?? caller}`
const get = (path: string, caller: string, requestId: string = randomUUID()) =>
  request(gateway.server)
    .get(path)
    .set({ Authorization: bearer(caller), 'X-Request-Id': requestId })

const eventsOf = (requestId: string) =>
  gateway.database.sql<AuditRow>('select * from audit_events where request_id = $1 order by seq', [requestId])
const eventOf = (requestId: string, withinMs = withinASecond) =>
  until(async () => (await eventsOf(requestId))[0], withinMs)

const guards = [
  {
    path: '/system/nodes',
    user: 'root',
    stranger: 'petra',
    flag: { isSysAdmin: true },
    action: 'sysadmin_action',
    text: 'System-level operation',
    code: 'sysadmin_required',
    detail: 'SysAdmin privileges required',
    routed: '/operators',
  },
  {
    path: '/admin/users',
    user: 'petra',
    stranger: 'root',
    flag: { isPlatformAdmin: true },
    action: 'platform_admin_action',
    text: 'Cross-mandate governance operation',
    code: 'platform_admin_required',
    detail: 'Platform admin privileges required',
    routed: '/governors',
  },
] as const

describe.each(guards)('$action', ({ path, user, stranger, flag, action, text, code, detail, routed }) => {
  it('lets its level pass without any mandate, and responds privately', async () => {
    const answer = await get(path, user).expect(200)
    expect(answer.headers['cache-control']).toBe('no-store')
  })
  it.each(['alice', 'bob', 'erin', stranger] as DemoUser[])('%s is refused', async (caller) => {
    expectProblem(await get(path, caller), 403, code, detail)
  })
  it('lets a user with both levels pass', async () => {
    const both = await directory.user({ isSysAdmin: true, isPlatformAdmin: true })
    await get(path, both.token).expect(200)
  })
  it('notices with the next request that a level was given or taken away', async () => {
    const newcomer = await directory.user(flag)
    await get(path, newcomer.token).expect(200)
    await gateway.database.sql(
      'update users set is_sys_admin = false, is_platform_admin = false where id = $1',
      [newcomer.id],
    )
    expectProblem(await get(path, newcomer.token), 403, code)
    await gateway.database.sql(
      'update users set is_sys_admin = true, is_platform_admin = true where id = $1',
      [newcomer.id],
    )
    await get(path, newcomer.token).expect(200)
  })
  it('checks the caller first', async () => {
    expectProblem(await request(gateway.server).get(path), 401, 'authentication_required')
    expectProblem(await get(path, 'no-token'), 401, 'token_invalid')
    expectProblem(await get(path, (await tokenFor(gateway.database, 'dave')).token), 403, 'user_disabled')
  })
  it('records each use as one audit event under system, within a second', async () => {
    const [requestId, caller, before] = [randomUUID(), await directory.user(flag), Date.now()]
    await get(path, caller.token, requestId).expect(200)
    const event = await eventOf(requestId)
    expect(event).toMatchObject({
      user_id: caller.id,
      mandate_id: 'system',
      action,
      details: { method: 'GET', route: path },
      request_id: requestId,
    })
    expect(Object.values(event.details)).toContain(text)
    expect(event.occurred_at.getTime()).toBeGreaterThanOrEqual(before - 1000)
    expect(event.occurred_at.getTime()).toBeLessThanOrEqual(Date.now() + 1000)
  })
  it('records each refused use likewise', async () => {
    const [requestId, caller] = [randomUUID(), await directory.user()]
    expectProblem(await get(path, caller.token, requestId), 403, code)
    const event = await eventOf(requestId)
    expect(event).toMatchObject({
      user_id: caller.id,
      mandate_id: 'system',
      action: `${action}_refused`,
      details: { method: 'GET', route: path },
      request_id: requestId,
    })
    expect(Object.values(event.details)).toContain(text)
  })
  it('records fifty uses as fifty events: only refusals are folded', async () => {
    const caller = await directory.user(flag)
    await Promise.all(Array.from({ length: 50 }, () => get(path, caller.token).expect(200)))
    const rows = await until(async () => {
      const found = await gateway.database.sql<AuditRow>('select * from audit_events where user_id = $1', [
        caller.id,
      ])
      return found.length >= 50 ? found : undefined
    })
    expect(rows).toHaveLength(50)
    expect(new Set(rows.map((row) => row.request_id)).size).toBe(50)
  })
  it('records nothing for an anonymous caller', async () => {
    const [nobody, later] = [randomUUID(), randomUUID()]
    await request(gateway.server).get(path).set('X-Request-Id', nobody).expect(401)
    await get(path, user, later).expect(200)
    await eventOf(later)
    expect(await eventsOf(nobody)).toEqual([])
  })
  it('guards routes of the route table alike, and their events name the route', async () => {
    const [granted, refused] = [randomUUID(), randomUUID()]
    await request(gateway.server)
      .post(`${routed}${echo}`)
      .set({ Authorization: bearer(user), 'X-Request-Id': granted })
      .expect(200)
    expect(await eventOf(granted)).toMatchObject({ action, details: { method: 'POST', route: routed } })
    expectProblem(await get(`${routed}${echo}`, stranger, refused), 403, code, detail)
    expect(await eventOf(refused)).toMatchObject({
      action: `${action}_refused`,
      details: { method: 'GET', route: routed },
    })
  })
})

describe('beyond the levels', () => {
  it('a PlatformAdmin without a rule does not pass', async () => {
    expectProblem(
      await get(`/governed${echo}`, 'petra').set('X-Mandate-Id', mandates.acme),
      403,
      'permission_denied',
    )
  })
  it('the place is checked before the guard, and the guard before the permission', async () => {
    expectProblem(
      await get(`/both${echo}`, 'alice').set('X-Mandate-Id', mandates.acme),
      403,
      'sysadmin_required',
    )
    expectProblem(await get(`/both${echo}`, 'bob').set('X-Mandate-Id', mandates.globex), 403, 'not_a_member')
    expectProblem(await get(`/both${echo}`, 'bob'), 400, 'mandate_required')
    await get(`/both${echo}`, 'root').set('X-Mandate-Id', mandates.acme).expect(200)
  })
})

describe('requirePermission', () => {
  const send = (
    method: 'get' | 'head' | 'options' | 'post' | 'put' | 'patch' | 'delete',
    path: string,
    caller: string,
    place: Record<string, string>,
  ) =>
    request(gateway.server)
      [method](path)
      .set({ Authorization: bearer(caller), ...place })
  const acme = { 'X-Mandate-Id': mandates.acme }
  const acmeCrm = { ...acme, 'X-Instance-Id': instances.acmeCrm }

  it.each<
    [
      string,
      string,
      Record<string, string>,
      Record<'get' | 'options' | 'post' | 'put' | 'patch' | 'delete', string | undefined>,
    ]
  >([
    [
      'bob',
      'acme',
      acme,
      { get: 'a', options: 'a', post: undefined, put: undefined, patch: undefined, delete: undefined },
    ],
    [
      'bob',
      'acme-crm',
      acmeCrm,
      { get: 'g', options: 'g', post: undefined, put: undefined, patch: undefined, delete: undefined },
    ],
    ['alice', 'acme', acme, { get: 'a', options: 'a', post: 'a', put: 'a', patch: 'a', delete: 'a' }],
    ['alice', 'acme-crm', acmeCrm, { get: 'a', options: 'a', post: 'a', put: 'g', patch: 'g', delete: 'm' }],
    ['root', 'acme', acme, { get: 'a', options: 'a', post: 'a', put: 'a', patch: 'a', delete: 'a' }],
    [
      'petra',
      'acme',
      acme,
      {
        get: undefined,
        options: undefined,
        post: undefined,
        put: undefined,
        patch: undefined,
        delete: undefined,
      },
    ],
  ])(
    '%s in %s: takes the action from the method, and tells the upstream its level',
    async (caller, _where, place, levels) => {
      for (const method of ['get', 'options', 'post', 'put', 'patch', 'delete'] as const) {
        const answer = await send(method, `/crm${echo}`, caller, place)
        if (levels[method] === undefined) expectProblem(answer, 403, 'permission_denied')
        else
          expect({ method, status: answer.status, level: answer.body.headers?.['x-access-level'] }).toEqual({
            method,
            status: 200,
            level: levels[method],
          })
      }
    },
  )
  it('HEAD is a read', async () => {
    await send('head', `/crm${echo}`, 'bob', acme).expect(200)
    await send('head', `/crm${echo}`, 'petra', acme).expect(403)
  })
  it.each([
    ['read', { read: 'm' }, 'get'],
    ['create', { create: 'm' }, 'post'],
    ['update', { update: 'm' }, 'put'],
    ['update', { update: 'm' }, 'patch'],
    ['delete', { delete: 'm' }, 'delete'],
  ] as const)('%s alone (%j) lets %s pass and nothing else', async (_action, rule, allowed) => {
    const newcomer = await directory.user()
    const role = await directory.role({
      mandateId: mandates.acme,
      rules: [{ context: 'RESOURCE', item: 'crm', ...rule }],
    })
    await directory.join(newcomer.id, mandates.acme, { roles: [role] })
    for (const method of ['get', 'post', 'put', 'patch', 'delete'] as const) {
      const passes = method === allowed || ('update' in rule && (method === 'put' || method === 'patch'))
      await send(method, `/crm${echo}`, newcomer.token, acme).expect(passes ? 200 : 403)
    }
  })
  it('view does not allow read', async () => {
    const newcomer = await directory.user()
    const role = await directory.role({
      mandateId: mandates.acme,
      rules: [{ context: 'RESOURCE', item: 'crm', view: true }],
    })
    await directory.join(newcomer.id, mandates.acme, { roles: [role] })
    expectProblem(await send('get', `/crm${echo}`, newcomer.token, acme), 403, 'permission_denied')
  })
  it('a rule of another context allows nothing', async () => {
    const newcomer = await directory.user()
    const role = await directory.role({
      rules: [
        { context: 'DATA', item: null, read: 'a' },
        { context: 'UI', item: 'crm', read: 'a', view: true },
      ],
    })
    await directory.join(newcomer.id, mandates.acme, { roles: [role] })
    expectProblem(await send('get', `/crm${echo}`, newcomer.token, acme), 403, 'permission_denied')
    await send('get', `/deals${echo}`, newcomer.token, acme).expect(200)
  })
  it('a rule about a parent item allows the item', async () => {
    await send('get', `/deals${echo}`, 'bob', acme).expect(200)
  })
  it('lets only a SysAdmin pass without a mandate, where no rules apply', async () => {
    for (const caller of ['alice', 'petra'])
      expectProblem(await send('get', `/deals${echo}`, caller, {}), 403, 'permission_denied')
    const answer = await send('delete', `/deals${echo}`, 'root', {}).expect(200)
    expect(answer.body.headers['x-access-level']).toBe('a')
  })
  it('drops the level that a client claims', async () => {
    const answer = await send('get', `/crm${echo}`, 'bob', {
      ...acmeCrm,
      'X-Access-Level': 'a',
      X_Access_Level: 'a',
    }).expect(200)
    expect(answer.body.headers['x-access-level']).toBe('g')
    expect(answer.body.headers).not.toHaveProperty('x_access_level')
  })
  it('notices with the next request that a role was taken away', async () => {
    const newcomer = await directory.user()
    await directory.join(newcomer.id, mandates.acme, { roles: [roles.viewer] })
    await send('get', `/crm${echo}`, newcomer.token, acme).expect(200)
    await gateway.database.sql(
      'delete from user_mandate_roles where user_mandate_id in (select id from user_mandates where user_id = $1)',
      [newcomer.id],
    )
    expectProblem(await send('get', `/crm${echo}`, newcomer.token, acme), 403, 'permission_denied')
  })
  it('rules that cannot be loaded are 503, not a refusal and not a pass', async () => {
    await withoutTable(gateway.database, 'access_rules', async () => {
      expectProblem(await send('get', `/crm${echo}`, 'bob', acme), 503, 'directory_unavailable')
    })
    await send('get', `/crm${echo}`, 'bob', acme).expect(200)
  })
  it('does not read the body of a refused request', async () => {
    const answer = await request(gateway.server)
      .post(`/crm${echo}`)
      .set({ Authorization: bearer('bob'), ...acme, 'Content-Type': 'application/json' })
      .send('{broken')
    expectProblem(answer, 403, 'permission_denied')
  })
})

describe('a flood of refusals', () => {
  it('of one user is folded after 20 a minute, with its count; another user’s are not', async () => {
    const database = await createTestDatabase()
    const flooded = await startTestGateway({ database, environment: { COHERENCE_LEASE_MS: '0' } })
    try {
      const [loud, quiet] = await Promise.all([tokenFor(database, 'bob'), tokenFor(database, 'erin')])
      const knock = (path: string, token: string) =>
        request(flooded.server).get(path).set('Authorization', `Bearer ${token}`).expect(403)
      for (let count = 0; count < 27; count += 1) await knock('/system/nodes', loud.token)
      await knock('/system/nodes', quiet.token)
      await knock('/admin/users', quiet.token)
      await flooded.stop() // the count of what was folded may wait for the end
      const refusals = (username: string, action: string) =>
        database.sql<AuditRow>(
          `select a.*
            from audit_events a
            join users u on u.id = a.user_id
            where u.username = $1 and a.action = $2
            order by seq`,
          [username, action],
        )
      const loudOnes = await refusals('bob', 'sysadmin_action_refused')
      expect(loudOnes).toHaveLength(21)
      const counts = loudOnes.map((row) =>
        Object.values(row.details).filter((value) => typeof value === 'number'),
      )
      expect(counts).toEqual([...Array.from({ length: 20 }, () => []), [7]])
      expect(loudOnes.at(-1)).toMatchObject({
        mandate_id: 'system',
        details: { method: 'GET', route: '/system/nodes' },
      })
      expect(await refusals('erin', 'sysadmin_action_refused')).toHaveLength(1)
      expect(await refusals('erin', 'platform_admin_action_refused')).toHaveLength(1)
    } finally {
      await database.drop()
    }
  })
})

describe('an audit that fails', () => {
  it('neither fails nor delays a request, and its events arrive, once and in order, when it is back', async () => {
    const ids = Array.from({ length: 5 }, () => randomUUID())
    const refused = randomUUID()
    const missing = await withoutTable(gateway.database, 'audit_events', async () => {
      const start = Date.now()
      for (const id of ids) await get('/system/nodes', 'root', id).expect(200)
      expectProblem(await get('/admin/users', 'erin', refused), 403, 'platform_admin_required')
      await get('/auth/context', (await directory.user({ isSysAdmin: true })).token)
        .set('X-Mandate-Id', mandates.acme)
        .expect(200)
      // until the writer has noticed
      await until(() =>
        Promise.resolve(gateway.logLines.find((line) => line.includes('audit') && line.includes('error'))),
      )
      const slowest = Math.max(
        ...(await Promise.all(
          [1, 2, 3].map(async () => {
            const before = performance.now()
            await get('/system/nodes', 'root').expect(200)
            return performance.now() - before
          }),
        )),
      )
      expect(slowest).toBeLessThan(1000)
      return { start, end: Date.now() }
    })
    await eventOf(refused, 5000)
    const rows = await gateway.database.sql<AuditRow>(
      'select * from audit_events where request_id = any ($1) order by seq',
      [[...ids, refused]],
    )
    expect(rows.map((row) => row.request_id)).toEqual([...ids, refused])
    // they say when it happened, not when it was written
    for (const row of rows) {
      expect(row.occurred_at.getTime()).toBeGreaterThanOrEqual(missing.start - 5)
      expect(row.occurred_at.getTime()).toBeLessThanOrEqual(missing.end + 5)
    }
  })
  it('that is stuck does not delay a request', async () => {
    const requestId = randomUUID()
    await gateway.database.sql(`
      create function audit_stuck() returns trigger language plpgsql as $$
        begin perform pg_sleep(3); return new; end $$;
      create trigger stuck before insert on audit_events for each statement execute function audit_stuck()`)
    try {
      const before = performance.now()
      await get('/system/nodes', 'root', requestId).expect(200)
      await get('/system/nodes', 'erin').expect(403)
      await get('/system/nodes', 'root').expect(200)
      expect(performance.now() - before).toBeLessThan(2000)
      expect(await eventsOf(requestId)).toEqual([])
    } finally {
      await gateway.database.sql('drop trigger stuck on audit_events')
    }
    expect(await eventOf(requestId, 10_000)).toMatchObject({ action: 'sysadmin_action' })
  })
})
