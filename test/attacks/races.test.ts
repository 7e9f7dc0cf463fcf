import { randomInt, randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { decodeJwt } from 'jose'
import pg from 'pg'
import { startLine } from '../faults/support/line.js'
import { sendRequest } from '../support/http-client.js'
import { openBrowser } from '../support/browser.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { mandates, signToken, tokenFor, users } from '../support/demo.js'
import { directoryOf, type Newcomer } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { demoPortal } from '../support/portal.js'
import { until } from '../support/until.js'

/** As src/authorization/level-queries.ts has it. */
const administrationLock = 7_162_050
const rounds = Number(process.env.RACE_ROUNDS ?? 12)

let database: TestDatabase
let here: TestGateway
let there: TestGateway
let directory: ReturnType<typeof directoryOf>
let root: string
let petra: string
beforeAll(async () => {
  database = await createTestDatabase()
  ;[here, there] = (await Promise.all(
    [1, 2].map(() => startTestGateway({ database, environment: { COHERENCE_LEASE_MS: '5000' } })),
  )) as [TestGateway, TestGateway]
  directory = directoryOf(database)
  ;[root, petra] = [(await tokenFor(database, 'root')).token, (await tokenFor(database, 'petra')).token]
}, 60_000)
afterAll(async () => {
  await here.stop()
  await there.stop()
  await database.drop()
})

/** Some moment of the few milliseconds in which the two cross. */
const someTime = () => pause(randomInt(12))

const send = async (
  node: TestGateway,
  method: string,
  path: string,
  token: string,
  body?: object,
  mandate?: string,
) =>
  (
    await sendRequest(node.url, path, {
      method,
      headers: {
        Authorization: `Bearer ${token}`,
        ...(mandate === undefined ? {} : { 'X-Mandate-Id': mandate }),
        ...(body ? { 'Content-Type': 'application/json' } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
  ).status
const meAt = (node: TestGateway, token: string) => send(node, 'GET', '/auth/me', token)

/** Holds rows as a slow neighbour does: whoever wants to write them waits. Answers how to let go. */
const holdRow = (table: string, id: string) => holdRows(table, 'id', id)
async function holdRows(table: string, column: string, value: string): Promise<() => Promise<void>> {
  const neighbour = new pg.Client(database.ownerUrl)
  await neighbour.connect()
  await neighbour.query('begin')
  await neighbour.query(`lock table ${table} in row exclusive mode`) // as whoever has written a row
  await neighbour.query(`select from ${table} where ${column} = $1 for update`, [value])
  return () => neighbour.end()
}
const holdUser = (id: string) => holdRow('users', id)
/** Holds the lock that admins' changes take one after the other. */
async function holdAdministration(): Promise<() => Promise<void>> {
  const neighbour = new pg.Client(database.ownerUrl)
  await neighbour.connect()
  await neighbour.query('begin')
  await neighbour.query('select pg_advisory_xact_lock($1)', [administrationLock])
  return () => neighbour.end()
}
const waiting = (count: number) =>
  until(
    async () =>
      (
        await database.sql(
          `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        )
      ).length >= count || undefined,
  )

/** Begins the second when the first waits for a lock, and answers when that one waits, too, or is over. */
async function inTurn(start: (() => Promise<number>)[]): Promise<Promise<number>[]> {
  const begun: Promise<number>[] = []
  for (const [index, one] of start.entries()) {
    begun.push(one())
    await Promise.race([begun[index], waiting(index + 1)])
  }
  return begun
}

/** Events about somebody and by somebody, in the order in which their changes were made. */
const eventsOf = (ids: string[]) =>
  database.sql<{ action: string; user_id: string | null; subject: string }>(
    `select action, user_id, details->>'subject' as subject
      from audit_events
      where user_id = any($1::uuid[]) or details->>'subject' = any($2)
      order by seq`,
    [ids, ids.map((id) => `user:${id}`)],
  )

/** What a former admin has changed after the level was taken from them. */
async function changedAfterwards(former: Newcomer, taken: string): Promise<string[]> {
  const events = await eventsOf([former.id])
  const end = events.findIndex(({ action, subject }) => action === taken && subject === `user:${former.id}`)
  expect(end).toBeGreaterThanOrEqual(0)
  return events
    .slice(end + 1)
    .filter(
      ({ user_id, action }) =>
        user_id === former.id &&
        !action.endsWith('_refused') &&
        !/^(platform_admin|sysadmin)_action$/.test(action),
    )
    .map(({ action }) => action)
}

describe('a level that is taken away', () => {
  it('from a PlatformAdmin fails a change that has waited meanwhile', async () => {
    const [mallory, accomplice] = [await directory.user({ isPlatformAdmin: true }), await directory.user()]
    const letGo = await holdUser(accomplice.id)
    const promotion = send(here, 'PATCH', `/admin/users/${accomplice.id}`, mallory.token, {
      isPlatformAdmin: true,
    })
    await waiting(1)
    const demotion = send(there, 'PATCH', `/admin/users/${mallory.id}`, petra, { isPlatformAdmin: false })
    await Promise.race([demotion, waiting(2)])
    await letGo()
    expect(await demotion).toBe(200)
    expect([200, 403]).toContain(await promotion)
    expect(await changedAfterwards(mallory, 'user_changed')).toEqual([])
  })

  it('from a PlatformAdmin cannot be undone by their waiting change of their own row', async () => {
    const mallory = await directory.user({ isPlatformAdmin: true })
    const letGo = await holdUser(mallory.id)
    const demotion = send(there, 'PATCH', `/admin/users/${mallory.id}`, petra, { isPlatformAdmin: false })
    await waiting(1)
    const again = send(here, 'PATCH', `/admin/users/${mallory.id}`, mallory.token, { isPlatformAdmin: true })
    await waiting(2)
    await letGo()
    expect([await demotion, await again]).toEqual([200, 403])
    expect(await database.sql('select is_platform_admin from users where id = $1', [mallory.id])).toEqual([
      { is_platform_admin: false },
    ])
  })

  it.each([
    ['secrets', {}],
    ['tokens', { expiresAt: new Date(Date.now() + 86_400_000).toISOString() }],
  ])('from a PlatformAdmin leaves them no way back in by a service account: %s', async (kind, more) => {
    const [mallory, robot] = [await directory.user({ isPlatformAdmin: true }), await directory.user()]
    await database.sql('update users set is_service_account = true where id = $1', [robot.id])
    const letGo = await holdUser(robot.id)
    const made = send(here, 'POST', `/admin/service-accounts/${robot.id}/${kind}`, mallory.token, {
      label: 'a way back in',
      ...more,
    })
    await waiting(1)
    const demotion = send(there, 'PATCH', `/admin/users/${mallory.id}`, petra, { isPlatformAdmin: false })
    await Promise.race([demotion, waiting(2)])
    await letGo()
    expect(await demotion).toBe(200)
    expect([201, 403]).toContain(await made)
    expect(await changedAfterwards(mallory, 'user_changed')).toEqual([])
  })

  it.each<
    [
      string,
      (id: string) => [table: string, column: string, id: string],
      (id: string) => [string, string, object?],
    ]
  >([
    ['the end of a token', (id) => ['tokens', 'session_id', id], (id) => ['DELETE', `/system/tokens/${id}`]],
    ['the end of a session', (id) => ['sessions', 'id', id], (id) => ['DELETE', `/system/sessions/${id}`]],
    ['a retired key', () => ['token_keys', 'kid', 'held'], () => ['DELETE', '/system/keys/held']],
    [
      'a text',
      () => ['translations', 'key', 'console.held'],
      () => ['PUT', '/system/translations/en/console.held', { text: 'another' }],
    ],
    [
      'what the audit says about a person',
      () => ['audit_personal', 'person_id', users.alice],
      () => ['DELETE', `/system/audit/persons/${users.alice}`],
    ],
  ])(
    'from a SysAdmin fails a change at /system that has waited meanwhile: %s',
    async (what, held, request) => {
      const mallory = await directory.user({ isSysAdmin: true })
      const { sid, jti } = await tokenFor(database, 'bob')
      await database.sql(
        `insert into token_keys (kid, algorithm) values ('held', 'HS256') on conflict do nothing`,
      )
      await database.sql(
        `insert into translations (language, key, text) values ('en', 'console.held', 'one') on conflict do nothing`,
      )
      const letGo = await holdRows(...held(sid))
      const [method, path, body] = request(what === 'the end of a token' ? jti : sid)
      const write = send(here, method, path, mallory.token, body)
      await waiting(1)
      const demotion = send(there, 'DELETE', `/system/admins/${mallory.id}`, root)
      await Promise.race([demotion, waiting(2)])
      await letGo()
      expect([await demotion, await write]).toEqual([200, expect.any(Number)])
      expect(await changedAfterwards(mallory, 'sysadmin_revoked')).toEqual([])
    },
  )

  it.each<
    [
      string,
      (mallory: Newcomer) => [string, string, object?],
      (mallory: Newcomer) => [string, string, object?],
    ]
  >([
    [
      'a link to the portal, once they are no member',
      () => ['POST', `/mandate/portal-clients/${demoPortal.northwind}/links`, {}],
      ({ id }) => ['DELETE', `/mandate/members/${id}`],
    ],
    [
      'a client, once their roles are gone',
      () => ['POST', '/mandate/portal-clients', { name: 'A way back in' }],
      ({ id }) => ['PATCH', `/mandate/members/${id}`, { roleIds: [] }],
    ],
    [
      'a change of a project, once they are disabled',
      () => ['PATCH', `/mandate/projects/${demoPortal.campaign}`, { note: 'changed' }],
      ({ id }) => ['PATCH', `/admin/users/${id}`, { enabled: false }],
    ],
    [
      'a preview, once their roles are gone',
      () => ['GET', `/projects/${demoPortal.campaign}/portal-preview`],
      ({ id }) => ['PATCH', `/mandate/members/${id}`, { roleIds: [] }],
    ],
  ])('from an admin of a mandate fails their waiting changes: %s', async (_what, attempt, end) => {
    const mallory = await directory.user()
    await directory.join(mallory.id, mandates.acme, {
      roles: [
        await directory.role({
          mandateId: mandates.acme,
          rules: [
            {
              context: 'RESOURCE',
              item: 'gateway.portal',
              view: true,
              read: 'a',
              create: 'a',
              update: 'a',
              delete: 'a',
            },
          ],
        }),
      ],
    })
    const [alice, letGo] = [
      (await tokenFor(database, 'alice')).token,
      await holdRow('mandates', mandates.acme),
    ]
    const [path, taken] = [attempt(mallory), end(mallory)]
    const start = [
      () =>
        send(
          there,
          taken[0],
          taken[1],
          taken[1].startsWith('/admin') ? petra : alice,
          taken[2],
          mandates.acme,
        ),
      () => send(here, path[0], path[1], mallory.token, path[2], mandates.acme),
    ]
    // Whoever comes first to the lock is first; the end of a user needs no lock of a mandate.
    const [ending, waited] = taken[1].startsWith('/admin')
      ? await inTurn(start.reverse()).then((both) => both.reverse())
      : await inTurn(start)
    await letGo()
    expect(await ending).toBe(200)
    expect(await waited).toBe(403)
    expect(
      (await eventsOf([mallory.id])).filter(
        ({ user_id, action }) => user_id === mallory.id && /^(portal|project)_/.test(action),
      ),
    ).toEqual([])
  })

  it('from a SysAdmin fails a change that has waited meanwhile', async () => {
    const [mallory, accomplice] = [await directory.user({ isSysAdmin: true }), await directory.user()]
    const letGo = await holdUser(mallory.id)
    const demotion = send(there, 'DELETE', `/system/admins/${mallory.id}`, root)
    await waiting(1)
    const promotion = send(here, 'PUT', `/system/admins/${accomplice.id}`, mallory.token)
    await waiting(2)
    await letGo()
    expect([await demotion, await promotion]).toEqual([200, 403])
    expect(await database.sql('select is_sys_admin from users where id = $1', [accomplice.id])).toEqual([
      { is_sys_admin: false },
    ])
  })

  it('from a SysAdmin who stays a PlatformAdmin also fails their waiting change of another SysAdmin', async () => {
    const [mallory, other] = [
      await directory.user({ isSysAdmin: true, isPlatformAdmin: true }),
      await directory.user({ isSysAdmin: true }),
    ]
    const letGo = await holdAdministration()
    const demotion = send(there, 'DELETE', `/system/admins/${mallory.id}`, root)
    await waiting(1)
    const disabling = send(here, 'PATCH', `/admin/users/${other.id}`, mallory.token, { enabled: false })
    await waiting(2)
    await letGo()
    expect([await demotion, await disabling]).toEqual([200, 403])
    expect(await database.sql('select enabled from users where id = $1', [other.id])).toEqual([
      { enabled: true },
    ])
    expect(
      await send(here, 'PATCH', `/admin/users/${(await directory.user()).id}`, mallory.token, {
        enabled: false,
      }),
    ).toBe(200)
  })

  it('at any moment ends the changes of its holder', async () => {
    for (let round = 0; round < rounds; round += 1) {
      const [mallory, target] = [
        await directory.user({ isPlatformAdmin: true, isSysAdmin: true }),
        await directory.user(),
      ]
      let over = false
      const writing = [here, there]
        .flatMap((node) => [
          (n: number) =>
            send(node, 'PATCH', `/admin/users/${target.id}`, mallory.token, { fullName: `round ${n}` }),
          (n: number) =>
            send(node, n % 2 === 0 ? 'PUT' : 'DELETE', `/system/admins/${target.id}`, mallory.token),
        ])
        .map(async (write) => {
          const seen: [boolean, number][] = []
          for (let n = 0; n < 40 && seen.at(-1)?.[1] !== 403; n += 1) seen.push([over, await write(n)])
          return seen
        })
      await someTime()
      const taken = await Promise.all([
        send(there, 'PATCH', `/admin/users/${mallory.id}`, petra, { isPlatformAdmin: false }),
        send(here, 'DELETE', `/system/admins/${mallory.id}`, root),
      ])
      over = true
      const answers = (await Promise.all(writing)).flat()
      expect(taken).toEqual([200, 200])
      expect(answers.filter(([begun, status]) => begun && status !== 403)).toEqual([])
      expect(answers.map(([, status]) => status).filter((status) => ![200, 403].includes(status))).toEqual([])
      for (const action of ['user_changed', 'sysadmin_revoked']) {
        const ofThatKind = action === 'user_changed' ? /^user_/ : /^sysadmin_(granted|revoked)$/
        expect((await changedAfterwards(mallory, action)).filter((one) => ofThatKind.test(one))).toEqual([])
      }
      await database.sql('update users set is_sys_admin = false where id = $1', [target.id])
    }
  }, 60_000)
})

describe('at two nodes, at any moment of crossing', () => {
  it('a refresh leaves no token that a logout at the other has not ended', async () => {
    for (let round = 0; round < rounds; round += 1) {
      const browser = openBrowser(here.url)
      expect((await browser.logIn('alice')).status).toBe(200)
      const first = browser.cookie('auth_token')!.value
      const tabs = [here, there, here, there].map(({ url }) => browser.copy().at(url))
      const [left, ...answers] = await Promise.all([
        someTime().then(() => browser.copy().at(there.url).send('POST', '/auth/logout')),
        ...tabs.map((tab) => someTime().then(() => tab.send('POST', '/auth/refresh'))),
      ])
      expect(left.status).toBe(204)
      for (const { status } of answers) expect([200, 401]).toContain(status)
      for (const token of [first, ...tabs.map((tab) => tab.cookie('auth_token')?.value ?? first)])
        expect([await meAt(here, token), await meAt(there, token)]).toEqual([401, 401])
      for (const tab of tabs) expect((await tab.send('POST', '/auth/refresh')).status).toBe(401)
      // also where its session would be forgotten
      expect(
        await database.sql(`select id from tokens where session_id = $1 and status = 'active'`, [
          decodeJwt(first).sid,
        ]),
      ).toEqual([])
    }
  }, 60_000)

  it('a login is refused or ended when its user is disabled at the other, also if enabled again', async () => {
    const setEnabled = (enabled: boolean) =>
      send(there, 'PATCH', `/admin/users/${users.erin}`, petra, { enabled })
    for (let round = 0; round < rounds; round += 1) {
      const browsers = [here, there, here].map(({ url }) => openBrowser(url))
      const [disabled, ...answers] = await Promise.all([
        pause(20 + randomInt(60)).then(() => setEnabled(false)),
        ...browsers.map((one) => one.logIn('erin')),
      ])
      expect(disabled).toBe(200)
      for (const { status } of answers) expect([200, 401]).toContain(status)
      const tokens = browsers.flatMap((one) => one.cookie('auth_token')?.value ?? [])
      for (const token of tokens)
        expect([await meAt(here, token), await meAt(there, token)]).toEqual([403, 403])
      expect(await setEnabled(true)).toBe(200)
      for (const token of tokens)
        expect([await meAt(here, token), await meAt(there, token)]).toEqual([401, 401])
      for (const one of browsers) expect((await one.send('POST', '/auth/refresh')).status).toBe(401)
    }
  }, 60_000)

  it('a load that crosses the end of its token is not remembered, also if database answers overtake', async () => {
    const line = await startLine(database.url)
    const slow = await startTestGateway({
      database: { ...database, url: line.url },
      environment: { COHERENCE_LEASE_MS: '5000' },
    })
    try {
      line.delay(() => randomInt(2) * 25, 'answers') // each by itself
      for (let round = 0; round < rounds; round += 1) {
        const user = await directory.user()
        const { sid } = await tokenFor(database, 'alice', {
          claims: { sub: user.username, userId: user.id },
          row: { userId: user.id },
        })
        const tokens = await Promise.all(
          Array.from({ length: 12 }, async () => {
            const jti = randomUUID()
            await database.sql(
              `insert into tokens (id, user_id, authority, purpose, session_id, status, expires_at)
                values ($1, $2, 'local', 'auth_session', $3, 'active', now() + interval '1 hour')`,
              [jti, user.id, sid],
            )
            return await signToken('alice', jti, sid, { claims: { sub: user.username, userId: user.id } })
          }),
        )
        let over = false
        const loading = Promise.all(
          tokens.map((token) =>
            pause(randomInt(40)).then(async () => [over, await meAt(slow, token)] as const),
          ),
        )
        await pause(20)
        expect(await send(there, 'DELETE', `/admin/users/${user.id}/sessions`, petra)).toBe(200)
        over = true
        expect(
          (await loading).filter(([begun, status]) => status !== 401 && (begun || status !== 200)),
        ).toEqual([])
        for (const token of tokens) expect(await meAt(slow, token)).toBe(401)
      }
    } finally {
      line.delay(() => 0)
      await slow.stop()
      await line.stop()
    }
  }, 60_000)
})
