import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { insertAuditEvents } from '../../src/audit/audit-queries.js'
import { dated } from '../../src/audit/event.js'
import { recordChange } from '../../src/audit/record-change.js'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { inMandate } from '../../src/database/mandate.js'
import { sendRequest, beginRequest } from '../support/http-client.js'
import { directoryOf } from '../support/directory.js'
import { mandates, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { expectProblem } from '../support/problems.js'

let gateway: TestGateway
let database: Database
const tokens = new Map<string, string>()

beforeAll(async () => {
  gateway = await startTestGateway()
  database = connectDatabase({ url: gateway.database.url, setRole: false })
  for (const user of ['root', 'petra', 'alice', 'bob'] as const)
    tokens.set(user, (await tokenFor(gateway.database, user)).token)
})
afterAll(async () => {
  await database.close()
  await gateway.stop()
})

const headers = (caller: string, mandate?: string) => ({
  Authorization: `Bearer ${tokens.get(caller) ?? caller}`,
  ...(mandate === undefined ? {} : { 'X-Mandate-Id': mandate }),
})
const get = (path: string, caller: string, mandate?: string) =>
  request(gateway.server).get(path).set(headers(caller, mandate))

/** Events that no other test has, at known times. */
async function events(
  count: number,
  shape: { mandateId?: string; userId?: string | null; details?: object } = {},
): Promise<string> {
  const action = `test-${randomUUID()}`
  const start = Date.parse('2026-03-01T00:00:00Z')
  await insertAuditEvents(
    database,
    Array.from({ length: count }, (_, n) => ({
      ...dated({
        userId: users.alice,
        mandateId: mandates.acme,
        action,
        details: { n },
        requestId: null,
        ...shape,
      }),
      occurredAt: new Date(start + n * 1000),
    })),
  )
  return action
}

interface Listed {
  details: Record<string, unknown>
  occurredAt: string
  mandateId: string
  userId: string
  username: string | null
  erased: string[]
  seq: number
}
const numbers = (items: Listed[]) => items.map(({ details }) => details.n)

describe('the audit of a mandate', () => {
  it('is read page by page, newest first, each event once also when others come meanwhile', async () => {
    const action = await events(25)
    const seen: unknown[] = []
    for (let cursor = ''; ;) {
      const { body } = await get(
        `/mandate/audit?action=${action}&limit=10${cursor && `&cursor=${cursor}`}`,
        'alice',
        mandates.acme,
      ).expect(200)
      seen.push(...numbers(body.items))
      await insertAuditEvents(database, [
        dated({ userId: null, mandateId: mandates.acme, action, details: { n: 'later' }, requestId: null }),
      ])
      if (body.nextCursor === null) break
      cursor = body.nextCursor
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, n) => 24 - n))
  })

  it('is found by time, user, action and request', async () => {
    const action = await events(10)
    const of = async (query: string) =>
      numbers(
        (await get(`/mandate/audit?action=${action}&${query}`, 'alice', mandates.acme).expect(200)).body
          .items,
      )
    expect(await of('from=2026-03-01T00:00:03Z&to=2026-03-01T00:00:06Z')).toEqual([5, 4, 3])
    expect(await of('from=2026-03-01T01:00:07%2B01:00')).toEqual([9, 8, 7])
    expect(await of(`user=${users.bob}`)).toEqual([])
    expect(await of(`user=${users.alice.toUpperCase()}&limit=1`)).toEqual([9])
    expect(await of('requestId=none')).toEqual([])
  })

  it.each([
    ['from=yesterday', 'from'],
    ['user=alice', 'user'],
    ['limit=0', 'limit'],
    ['format=csv', 'format'],
    ['cursor=x', 'cursor'],
    [`cursor=${Buffer.from('"x|1"').toString('base64url')}`, 'cursor'],
    [`cursor=${Buffer.from('"2026|1|1"').toString('base64url')}`, 'cursor'],
  ])('?%s is told to be wrong', async (query, path) => {
    const answer = await get(`/mandate/audit?${query}`, 'alice', mandates.acme)
    expect([answer.status, answer.body.code, answer.body.errors]).toMatchObject([
      400,
      'validation_failed',
      [{ path }],
    ])
  })

  it('shows no event of another mandate nor of the platform, whatever is asked', async () => {
    const [foreign, system] = [
      await events(3, { mandateId: mandates.globex }),
      await events(3, { mandateId: 'system' }),
    ]
    for (const query of [
      `action=${foreign}`,
      `action=${system}`,
      `action=${foreign}&mandate=${mandates.globex}`,
      `action=${foreign}&mandateId=${mandates.globex}`,
      `action=${foreign}&format=jsonl`,
    ]) {
      const answer = await get(`/mandate/audit?${query}`, 'alice', mandates.acme)
      expect([answer.status, answer.body.items ?? answer.text]).toEqual([200, answer.body.items ? [] : ''])
    }
    const all = await sendRequest(gateway.url, '/mandate/audit?format=jsonl', {
      headers: headers('alice', mandates.acme),
    })
    const places = new Set(
      all.text
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as Listed).mandateId),
    )
    expect([...places]).toEqual([mandates.acme])
  })

  it('is for those whose rules give them gateway.audit there', async () => {
    expectProblem(await get('/mandate/audit', 'bob', mandates.acme), 403, 'permission_denied')
    expectProblem(await get('/mandate/audit', 'alice', mandates.globex), 403, 'permission_denied')
    expectProblem(await get('/mandate/audit', 'petra', mandates.acme), 403, 'permission_denied')
    expectProblem(await get('/mandate/audit', 'alice'), 400, 'mandate_required')
  })
})

describe('the audit of the platform', () => {
  it('holds the events of all mandates and those across them', async () => {
    const [acme, system] = [await events(2), await events(2, { mandateId: 'system' })]
    expect(numbers((await get(`/admin/audit?action=${acme}`, 'petra').expect(200)).body.items)).toEqual([
      1, 0,
    ])
    expect(
      numbers((await get(`/admin/audit?action=${system}&mandate=system`, 'petra').expect(200)).body.items),
    ).toEqual([1, 0])
    expect(
      (await get(`/admin/audit?action=${acme}&mandate=${mandates.globex}`, 'petra').expect(200)).body.items,
    ).toEqual([])
  })

  it('says that a mandate’s own data changed, but not what it is', async () => {
    const project = await events(1, {
      details: {
        subject: `project:${randomUUID()}`,
        before: { name: 'Secret merger' },
        after: { name: 'Merger' },
      },
    })
    const role = await events(1, {
      details: { subject: `role:${randomUUID()}`, before: { label: 'a' }, after: { label: 'b' } },
    })
    const { body } = await get(`/admin/audit?action=${project}`, 'petra').expect(200)
    expect(JSON.stringify(body)).not.toMatch(/erger/)
    expect(body.items).toHaveLength(1)
    expect(
      (await get(`/admin/audit?action=${role}`, 'petra').expect(200)).body.items[0].details,
    ).toMatchObject({ before: { label: 'a' }, after: { label: 'b' } })
    expect(
      (await get(`/mandate/audit?action=${project}`, 'alice', mandates.acme).expect(200)).body.items[0]
        .details.before,
    ).toEqual({ name: 'Secret merger' })
    expect(
      (
        await sendRequest(gateway.url, `/admin/audit?action=${project}&format=jsonl`, {
          headers: headers('petra'),
        })
      ).text,
    ).not.toMatch(/erger/)
  })

  it('is for PlatformAdmins', async () => {
    for (const caller of ['alice', 'root'])
      expectProblem(await get('/admin/audit', caller), 403, 'platform_admin_required')
  })
})

describe('how much there is of it', () => {
  interface Activity {
    stepSeconds: number
    steps: { at: string; count: number; refused: number }[]
    actions: { action: string; count: number }[]
  }
  const span = 'from=2026-02-01T00:00:00Z&to=2026-02-01T01:00:00Z'
  const at = (minute: number) => new Date(Date.parse('2026-02-01T00:00:00Z') + minute * 60_000)
  const insert = (mandateId: string, action: string, ...minutes: number[]) =>
    insertAuditEvents(
      database,
      minutes.map((minute) => ({
        ...dated({ userId: users.alice, mandateId, action, details: {}, requestId: null }),
        occurredAt: at(minute),
      })),
    )
  const busy = ({ steps }: Activity) =>
    steps
      .filter(({ count }) => count > 0)
      .map((step) => [Date.parse(step.at) - at(0).getTime(), step.count, step.refused])
  beforeAll(async () => {
    await insert(mandates.acme, 'role_changed', 0.5, 0.9, 30)
    await insert(mandates.acme, 'access_denied', 0.7, 59.99)
    await insert(mandates.acme, 'access_denied', 60) // no longer in that hour
    await insert(mandates.globex, 'role_changed', 30)
    await insert('system', 'login_failed', 30)
  })

  it('is counted in steps of time and by action; in a mandate its own events alone', async () => {
    const acme = (await get(`/mandate/audit/activity?${span}`, 'alice', mandates.acme).expect(200))
      .body as Activity
    expect([acme.stepSeconds, acme.steps.length, acme.actions]).toEqual([
      60,
      60,
      [
        { action: 'role_changed', count: 3 },
        { action: 'access_denied', count: 2 },
      ],
    ])
    expect(busy(acme)).toEqual([
      [0, 3, 1],
      [30 * 60_000, 1, 0],
      [59 * 60_000, 1, 1],
    ])
    const all = (await get(`/admin/audit/activity?${span}`, 'petra').expect(200)).body as Activity
    expect(busy(all)).toEqual([
      [0, 3, 1],
      [30 * 60_000, 3, 1],
      [59 * 60_000, 1, 1],
    ])
    expect(
      busy((await get(`/admin/audit/activity?${span}&mandate=system`, 'petra').expect(200)).body),
    ).toEqual([[30 * 60_000, 1, 1]])
    expect(
      busy((await get(`/admin/audit/activity?${span}&user=${users.bob}`, 'petra').expect(200)).body),
    ).toEqual([])
  })

  it('of one action still names the others that there are', async () => {
    const { body } = await get(
      `/mandate/audit/activity?${span}&action=role_changed`,
      'alice',
      mandates.acme,
    ).expect(200)
    expect(busy(body)).toEqual([
      [0, 2, 0],
      [30 * 60_000, 1, 0],
    ])
    expect(body.actions).toContainEqual({ action: 'access_denied', count: 2 })
  })

  it('is never more than a hundred steps and a broken one, however long the time', async () => {
    for (const [query, width] of [
      ['from=2026-01-01T00:00:00Z&to=2026-01-08T00:00:01Z', 6 * 3600],
      ['from=2021-12-01T00:00:00Z&to=2026-11-01T00:00:00Z', 30 * 86_400],
    ] as const) {
      const { body } = await get(`/admin/audit/activity?${query}`, 'petra').expect(200)
      expect([body.stepSeconds, body.steps.length <= 101]).toEqual([width, true])
    }
  })

  it.each([
    '',
    'from=2026-02-02T00:00:00Z&to=2026-02-01T00:00:00Z',
    'from=2001-01-01T00:00:00Z',
    'from=2999-01-01T00:00:00Z',
    'from=x',
  ])('?%s is told to be wrong', async (query) => {
    const answer = await get(`/admin/audit/activity?${query}`, 'petra')
    expect([answer.status, answer.body.errors[0].path]).toEqual([400, 'from'])
  })

  it('needs the right to read the events themselves', async () => {
    expectProblem(
      await get(`/mandate/audit/activity?${span}`, 'bob', mandates.acme),
      403,
      'permission_denied',
    )
    for (const caller of ['alice', 'root'])
      expectProblem(await get(`/admin/audit/activity?${span}`, caller), 403, 'platform_admin_required')
  })
})

describe('an export', () => {
  it('is all events as JSON lines, by ?format=jsonl or by Accept', async () => {
    const action = await events(1234)
    for (const [query, accept] of [
      ['&format=jsonl', '*/*'],
      ['', 'application/x-ndjson'],
    ] as const) {
      const answer = await sendRequest(gateway.url, `/mandate/audit?action=${action}${query}`, {
        headers: { ...headers('alice', mandates.acme), Accept: accept },
      })
      expect(answer.headers['content-type']).toBe('application/x-ndjson; charset=utf-8')
      expect(answer.headers['cache-control']).toBe('no-store')
      const lines = answer.text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Listed)
      expect(numbers(lines)).toEqual(Array.from({ length: 1234 }, (_, n) => 1233 - n))
    }
  })

  it('asked for by HEAD is its head alone', async () => {
    await request(gateway.server)
      .head('/mandate/audit?format=jsonl')
      .set(headers('alice', mandates.acme))
      .expect(200)
      .expect('Content-Type', /ndjson/)
  })

  /** 60 MB. */
  const manyLong = async () => {
    const action = `test-${randomUUID()}`
    await gateway.database.sql(
      `insert into audit_events (mandate_id, action, details)
        select $1, $2, jsonb_build_object('filler', repeat('x', 20000))
        from generate_series(1, 3000)`,
      [mandates.acme, action],
    )
    return action
  }

  it('is read as fast as it is taken, and no faster', async () => {
    const action = await manyLong()
    const { req, response } = beginRequest(gateway.url, `/mandate/audit?action=${action}&format=jsonl`, {
      headers: headers('alice', mandates.acme),
    })
    req.end()
    const res = await response
    await once(res, 'readable')
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed
    await get('/mandate/audit', 'alice', mandates.acme).expect(200)
    expect(process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before).toBeLessThan(
      60_000_000,
    )
    let bytes = 0
    for await (const chunk of res) bytes += (chunk as Buffer).length
    expect(bytes).toBeGreaterThan(3000 * 20_000)
  })

  it('is cut when its reader loses the right', async () => {
    const action = await manyLong()
    const directory = directoryOf(gateway.database)
    const caller = await directory.user()
    const role = await directory.role({
      mandateId: mandates.acme,
      rules: [{ context: 'RESOURCE', item: 'gateway.audit', read: 'a' }],
    })
    await directory.join(caller.id, mandates.acme, { roles: [role] })
    const { req, response } = beginRequest(gateway.url, `/mandate/audit?action=${action}&format=jsonl`, {
      headers: headers(caller.token, mandates.acme),
    })
    req.end()
    const res = await response
    await once(res, 'readable')
    await gateway.database.sql('delete from access_rules where role_id = $1', [role])
    let bytes = 0
    await expect(
      (async () => {
        for await (const chunk of res) bytes += (chunk as Buffer).length
      })(),
    ).rejects.toThrow('aborted')
    expect(bytes).toBeLessThan(3000 * 20_000)
  })
})

describe('a change', () => {
  const change = {
    actor: { userId: users.petra, requestId: 'req', address: '192.0.2.1' },
    mandateId: 'system',
    subject: `user:${users.bob}`,
  }

  it('is remembered with it, or not at all', async () => {
    const action = `test-${randomUUID()}`
    await expect(
      database.transaction(async (tx) => {
        await recordChange(tx, { ...change, action })
        throw new Error('taken back')
      }),
    ).rejects.toThrow()
    expect((await get(`/admin/audit?action=${action}`, 'petra')).body.items).toEqual([])
    await database.transaction((tx) => recordChange(tx, { ...change, action }))
    expect((await get(`/admin/audit?action=${action}`, 'petra')).body.items).toMatchObject([
      { userId: users.petra, username: 'petra', mandateId: 'system', requestId: 'req' },
    ])
  })

  it('is shown whole, while the table of events holds nothing personal and nothing secret', async () => {
    const action = `test-${randomUUID()}`
    await database.transaction((tx) =>
      recordChange(tx, {
        ...change,
        action,
        before: { username: 'bob', email: 'bob@example.com', enabled: true, passwordHash: '$argon2id$old' },
        after: {
          username: 'bob',
          email: null,
          enabled: false,
          passwordHash: '$argon2id$new',
          identities: [{ email: 'b@example.org', clientSecret: 'hush' }],
        },
      }),
    )
    const stored = JSON.stringify(
      await gateway.database.sql('select * from audit_events where action = $1', [action]),
    )
    expect(stored).not.toMatch(/bob@|b@example|argon2|hush|192\.0\.2|"bob"/)
    const { body } = await get(`/admin/audit?action=${action}`, 'petra')
    expect(body.items[0].details).toEqual({
      subject: `user:${users.bob}`,
      address: '192.0.2.1',
      before: { username: 'bob', email: 'bob@example.com', enabled: true, passwordHash: '[secret]' },
      after: {
        username: 'bob',
        email: null,
        enabled: false,
        passwordHash: '[secret]',
        identities: [{ email: 'b@example.org', clientSecret: '[secret]' }],
      },
    })
    expect(body.items[0].erased).toEqual([])
  })

  it.each([
    'password',
    'passwordHash',
    'secret',
    'clientSecret',
    'token',
    'tokenHash',
    'accessToken',
    'refreshToken',
    'authorization',
    'cookie',
  ])('never holds a field called %s', async (name) => {
    const action = `test-${randomUUID()}`
    await database.transaction((tx) =>
      recordChange(tx, { ...change, action, after: { [name]: 'hush-hush' } }),
    )
    expect((await get(`/admin/audit?action=${action}`, 'petra')).body.items[0].details.after).toEqual({
      [name]: '[secret]',
    })
    expect(
      JSON.stringify(
        await gateway.database.sql(
          'select e.*, p.* from audit_events e left join audit_personal p on p.event_id = e.id where action = $1',
          [action],
        ),
      ),
    ).not.toContain('hush')
  })

  it.each(['username', 'email', 'fullName', 'address', 'userAgent', 'displayName', 'operator'])(
    'holds a field called %s apart, where it can be erased',
    async (name) => {
      const action = `test-${randomUUID()}`
      await database.transaction((tx) =>
        recordChange(tx, { ...change, action, after: { [name]: 'about-somebody' } }),
      )
      expect(
        JSON.stringify(await gateway.database.sql('select * from audit_events where action = $1', [action])),
      ).not.toContain('about-somebody')
      expect((await get(`/admin/audit?action=${action}`, 'petra')).body.items[0].details.after).toEqual({
        [name]: 'about-somebody',
      })
    },
  )

  it('whose personal value was erased is still shown', async () => {
    const action = `test-${randomUUID()}`
    await database.transaction((tx) =>
      recordChange(tx, { ...change, action, after: { identities: [{ email: 'b@example.org' }] } }),
    )
    await gateway.database.sql(`update audit_events set details = '{"after": null}' where action = $1`, [
      action,
    ])
    expect(
      (await get(`/admin/audit?action=${action}`, 'petra').expect(200)).body.items[0].details,
    ).toMatchObject({ after: null })
  })

  it('inside a mandate is remembered there, with what it says about persons', async () => {
    const action = `test-${randomUUID()}`
    await database.transaction((tx) =>
      inMandate(tx, mandates.acme, (inside) =>
        recordChange(inside, {
          ...change,
          mandateId: mandates.acme,
          action,
          after: { email: 'new@example.com' },
        }),
      ),
    )
    expect((await get(`/mandate/audit?action=${action}`, 'alice', mandates.acme)).body.items).toMatchObject([
      { details: { after: { email: 'new@example.com' } } },
    ])
    await expect(
      database.transaction((tx) =>
        inMandate(tx, mandates.acme, (inside) =>
          recordChange(inside, { ...change, mandateId: mandates.globex, action }),
        ),
      ),
    ).rejects.toThrow()
    expect(
      await database.transaction((tx) =>
        inMandate(tx, mandates.globex, (inside) =>
          inside.rows('select * from audit_personal where mandate_id <> ?', [mandates.globex]),
        ),
      ),
    ).toEqual([])
  })

  it('holds text that the database has no word for without failing', async () => {
    const action = `test-${randomUUID()}`
    await database.transaction((tx) =>
      recordChange(tx, {
        ...change,
        action,
        after: { label: 'a\0b\ud800c', 'k\0': 1, __proto__: { polluted: true } },
      }),
    )
    expect((await get(`/admin/audit?action=${action}`, 'petra')).body.items[0].details.after).toMatchObject({
      label: 'a\ufffdb\ufffdc',
    })
  })
})

describe('the indexes', () => {
  it.each([
    ['a mandate', `mandate_id = '${mandates.acme}'`],
    ['a user', `user_id = '${users.alice}'`],
    ['an action', `action = 'sysadmin_action'`],
    ['a time', `occurred_at >= now() - interval '1 hour'`],
    ['everything', 'true'],
  ])('serve a page of %s without reading the rest', async (_what, condition) => {
    const plan = await database.transaction(async (tx) => {
      await tx.run('set local enable_seqscan = off')
      await tx.run('set local enable_sort = off')
      return await tx.rows<{ 'QUERY PLAN': string }>(
        `explain
          select *
          from audit_events e
          where ${condition} and (occurred_at, seq) < (now(), 5)
          order by occurred_at desc, seq desc
          limit 51`,
      )
    })
    const text = plan.map((row) => row['QUERY PLAN']).join('\n')
    expect(text).toMatch(/Index Scan Backward/)
    expect(text).not.toMatch(/Seq Scan on audit_events|Sort/)
  })
})
