import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { byLanguage } from '../../src/domain/languages.js'
import { sendRequest } from '../support/http-client.js'
import { directoryOf } from '../support/directory.js'
import { tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { until } from '../support/until.js'

let gateway: TestGateway
let directory: ReturnType<typeof directoryOf>
let root: string
beforeAll(async () => {
  gateway = await startTestGateway()
  directory = directoryOf(gateway.database)
  root = (await tokenFor(gateway.database, 'root')).token
})
afterAll(async () => {
  await gateway.stop()
})

type Method = 'get' | 'put' | 'delete'
const as = (token: string, method: Method, path: string) =>
  request(gateway.server)[method](path).set('Authorization', `Bearer ${token}`)
const sysAdmin = (method: Method, path: string) => as(root, method, path)
const signsIn = (id: string) =>
  gateway.database.sql(
    `update users set password_hash = (select password_hash from users where username = 'alice') where id = $1`,
    [id],
  )
const actions = async (subject: string) =>
  (
    await gateway.database.sql<{ action: string }>(
      `select action from audit_events where details->>'subject' = $1 order by seq`,
      [subject],
    )
  ).map(({ action }) => action)

describe('everything below /system', () => {
  it.each<[Method, string]>([
    ['get', '/system/tokens'],
    ['get', '/system/sessions'],
    ['get', '/system/admins'],
    ['get', '/system/translations'],
    ['get', '/system/registry'],
    ['delete', `/system/sessions/${randomUUID()}`],
    ['put', `/system/admins/${users.petra}`],
    ['delete', `/system/admins/${users.root}`],
    ['put', '/system/translations/en/portal.enterTitle'],
    ['delete', '/system/translations/en/portal.enterTitle'],
  ])('%s %s is for SysAdmins alone', async (method, path) => {
    for (const user of ['alice', 'petra'] as const) {
      const answer = await as((await tokenFor(gateway.database, user)).token, method, path)
      expect([answer.status, answer.body.code]).toEqual([403, 'sysadmin_required'])
    }
  })
})

describe('tokens', () => {
  it('are found by user, session, status and purpose, newest first, page by page', async () => {
    const caller = await directory.user()
    const ids = []
    for (let n = 0; n < 5; n += 1)
      ids.push(
        (
          await tokenFor(gateway.database, 'alice', {
            claims: { sub: caller.username, userId: caller.id },
            row: { userId: caller.id },
          })
        ).jti,
      )
    await gateway.database.sql(`update tokens set status = 'revoked' where id = $1`, [ids[0]])
    await gateway.database.sql(`update tokens set expires_at = now() - interval '1 second' where id = $1`, [
      ids[1],
    ])
    const list = async (query: string) => (await sysAdmin('get', `/system/tokens?${query}`).expect(200)).body
    expect((await list(`user=${caller.username}`)).items).toHaveLength(6)
    expect(
      (await list(`user=${caller.id}&status=revoked`)).items.map((one: { id: string }) => one.id),
    ).toEqual([ids[0]])
    expect((await list(`user=${caller.id}&status=expired`)).items).toMatchObject([
      { id: ids[1], expired: true, status: 'active', username: caller.username },
    ])
    expect((await list(`user=${caller.id}&status=active`)).items).toHaveLength(4)
    expect((await list(`user=${caller.id}&purpose=api_token`)).items).toEqual([])
    expect((await list('user=nobody')).items).toEqual([])
    const seen = []
    for (let cursor = ''; ;) {
      const page = await list(`user=${caller.id}&limit=2${cursor && `&cursor=${cursor}`}`)
      seen.push(...page.items.map((one: { id: string }) => one.id))
      if (page.nextCursor === null) break
      cursor = page.nextCursor
    }
    expect(new Set(seen).size).toBe(6)
    const answer = await sysAdmin('get', '/system/tokens?status=odd')
    expect([answer.status, answer.body.errors]).toMatchObject([400, [{ path: 'status' }]])
  })
  it('and sessions are searched by the beginning of what their user is called, or by their id', async () => {
    const { id, username } = await directory.user()
    await gateway.database.sql(
      `update users set full_name = 'Quentin Xylander', email = 'qx@example.org' where id = $1`,
      [id],
    )
    const { jti, sid } = await tokenFor(gateway.database, 'alice', {
      claims: { sub: username, userId: id },
      row: { userId: id },
    })
    const tokens = async (q: string) =>
      (await sysAdmin('get', `/system/tokens?user=${id}&q=${q}`).expect(200)).body.items.map(
        (one: { id: string }) => one.id,
      )
    for (const q of [username.slice(0, -2).toUpperCase(), 'xylan', 'qx@', jti])
      expect(await tokens(q)).toContain(jti)
    for (const q of ['ylander', sid, 'q%']) expect(await tokens(q)).toEqual([])
    const sessions = async (q: string) =>
      (await sysAdmin('get', `/system/sessions?q=${q}`).expect(200)).body.items.map(
        (one: { id: string }) => one.id,
      )
    expect(await sessions('xylander')).toContain(sid)
    expect(await sessions(sid)).toEqual([sid])
    expect(await sessions(jti)).toEqual([])
  })
  it('never say anything that lets somebody in', async () => {
    const answer = await sysAdmin('get', '/system/tokens').expect(200)
    expect(JSON.stringify(answer.body)).not.toMatch(/eyJ|hash/i)
  })
})

describe('a session', () => {
  it('that a SysAdmin ends lets nobody in any more, and the audit says so', async () => {
    const { token, sid } = await tokenFor(gateway.database, 'bob')
    await as(token, 'get', '/auth/me').expect(200)
    expect(
      (await sysAdmin('get', `/system/sessions?user=bob&status=active`).expect(200)).body.items,
    ).toMatchObject([{ id: sid, username: 'bob', endedAt: null }])
    const { body } = await sysAdmin('delete', `/system/sessions/${sid}`).expect(200)
    expect(body.coherence.epoch).toMatch(/^\d+$/)
    await as(token, 'get', '/auth/me').expect(401)
    expect((await sysAdmin('get', `/system/sessions?user=bob&status=active`)).body.items).toEqual([])
    expect(await actions(`session:${sid}`)).toEqual(['session_ended'])
    await sysAdmin('delete', `/system/sessions/${sid}`).expect(200)
    await sysAdmin('delete', `/system/sessions/${randomUUID()}`).expect(404)
  })
})

describe('a SysAdmin', () => {
  it('is made and unmade by SysAdmins, at once, and the audit says so', async () => {
    const caller = await directory.user()
    await as(caller.token, 'get', '/system/admins').expect(403)
    expect((await sysAdmin('put', `/system/admins/${caller.id}`).expect(200)).body.coherence).toMatchObject({
      fenced: 0,
    })
    await as(caller.token, 'get', '/system/admins').expect(401) // whoever is promoted signs in again
    const { token } = await tokenFor(gateway.database, 'alice', {
      claims: { sub: caller.username, userId: caller.id },
      row: { userId: caller.id },
    })
    expect(
      (await as(token, 'get', '/system/admins').expect(200)).body.items.map(
        (one: { username: string }) => one.username,
      ),
    ).toContain(caller.username)
    await sysAdmin('put', `/system/admins/${caller.id}`).expect(200)
    await sysAdmin('delete', `/system/admins/${caller.id}`).expect(200)
    await as(token, 'get', '/system/admins').expect(403)
    expect(await actions(`user:${caller.id}`)).toEqual(['sysadmin_granted', 'sysadmin_revoked'])
    await sysAdmin('put', `/system/admins/${randomUUID()}`).expect(404)
  })
  it('may be named by the exact username', async () => {
    const { id, username } = await directory.user()
    await sysAdmin('put', `/system/admins/${username.slice(0, -1)}`).expect(404)
    await sysAdmin('put', `/system/admins/${username}`).expect(200)
    expect((await sysAdmin('get', '/system/admins').expect(200)).body.items).toContainEqual(
      expect.objectContaining({ id, username }),
    )
    await sysAdmin('delete', `/system/admins/${username}`).expect(200)
    expect(await actions(`user:${id}`)).toEqual(['sysadmin_granted', 'sysadmin_revoked'])
  })
  it('who is the last one enabled stays, also when two go at once', async () => {
    const refused = await sysAdmin('delete', `/system/admins/${users.root}`)
    expect([refused.status, refused.body.code]).toEqual([409, 'conflict'])
    const other = await directory.user({ isSysAdmin: true })
    await signsIn(other.id)
    const both = await Promise.all([
      sysAdmin('delete', `/system/admins/${users.root}`),
      as(other.token, 'delete', `/system/admins/${other.id}`),
    ])
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409])
    await gateway.database.sql('update users set is_sys_admin = (id = $1) where is_sys_admin or id = $1', [
      users.root,
    ])
  })
})

describe('the last one of a level', () => {
  const removals: [string, () => request.Test][] = [
    ['SysAdmin', () => sysAdmin('delete', `/system/admins/${users.root}`)],
    [
      'PlatformAdmin',
      () =>
        request(gateway.server)
          .patch(`/admin/users/${users.petra}`)
          .set('Authorization', `Bearer ${petra}`)
          .send({ isPlatformAdmin: false }),
    ],
  ]
  let petra: string
  beforeAll(async () => {
    petra = (await tokenFor(gateway.database, 'petra')).token
    await gateway.database.sql('update users set is_platform_admin = false where id = $1', [users.frank])
  })
  const flags = (level: string) => (level === 'SysAdmin' ? { isSysAdmin: true } : { isPlatformAdmin: true })

  it.each(removals)(
    'is the last %s who can sign in: programs and people without password or identity do not count',
    async (level, remove) => {
      const program = await directory.user(flags(level))
      await gateway.database.sql('update users set is_service_account = true where id = $1', [program.id])
      const other = await directory.user(flags(level))
      const refused = await remove()
      expect([refused.status, refused.body.detail]).toEqual([
        409,
        expect.stringContaining(`is the last ${level} who can sign in`),
      ])
      await gateway.database.sql(
        `insert into user_identities (user_id, authority, issuer, subject)
          values ($1, 'google', 'https://accounts.google.com', $2)`,
        [other.id, other.username],
      )
      await remove().expect(200)
      await gateway.database.sql('update users set is_sys_admin = (id = $1), is_platform_admin = (id = $2)', [
        users.root,
        users.petra,
      ])
    },
  )
})

describe('a text', () => {
  const path = '/system/translations/de/portal.enterTitle'
  const find = async (key: string) =>
    (await sysAdmin('get', '/system/translations?language=de').expect(200)).body.items.find(
      (one: { key: string }) => one.key === key,
    )
  it('is as shipped until it is changed, and again when the change is taken away', async () => {
    expect(await find('portal.enterTitle')).toEqual({
      language: 'de',
      key: 'portal.enterTitle',
      text: 'Kundenportal',
      shipped: 'Kundenportal',
      changed: false,
    })
    await sysAdmin('put', path).send({ text: 'Mein Portal' }).expect(200)
    expect(await find('portal.enterTitle')).toMatchObject({
      text: 'Mein Portal',
      shipped: 'Kundenportal',
      changed: true,
    })
    await until(
      async () =>
        (
          await sendRequest(gateway.url, '/portal/enter?token=any', { headers: { 'Accept-Language': 'de' } })
        ).text.includes('<h1>Mein Portal</h1>') || undefined,
      15_000,
    )
    await sysAdmin('delete', path).expect(200)
    expect(await find('portal.enterTitle')).toMatchObject({ text: 'Kundenportal', changed: false })
    await sysAdmin('delete', path).expect(404)
    expect(await actions('translation:de:portal.enterTitle')).toEqual([
      'translation_changed',
      'translation_reset',
    ])
  })
  it('of the console reaches its pages when it changes, and cannot be read as markup or script', async () => {
    const path = '/system/translations/de/console.signIn'
    const { shipped } = await find('console.signIn')
    expect(shipped).toBe('Anmelden')
    const text = `"><script>alert(1)</script>&amp;'$&$1`
    await sysAdmin('put', path).send({ text }).expect(200)
    const settingsOf = (page: string) =>
      JSON.parse(
        (/<meta name="settings"[^>]* content="([^"]*)"/.exec(page)?.[1] ?? '{}')
          .replaceAll('&quot;', '"')
          .replaceAll('&lt;', '<')
          .replaceAll('&amp;', '&'),
      ) as { texts?: unknown }
    const { text: page, settings } = await until(async () => {
      const answer = await sendRequest(gateway.url, '/console')
      return answer.text.includes('alert')
        ? { text: answer.text, settings: settingsOf(answer.text) }
        : undefined
    }, 15_000)
    expect(page).not.toContain('<script>alert')
    expect(settings.texts).toEqual({ ...byLanguage(() => ({})), de: { signIn: text } })
    await sysAdmin('delete', path).expect(200)
  })
  it('that somebody else has changed meanwhile is not overwritten', async () => {
    const first = await sysAdmin('put', '/system/translations/en/console.own').send({ text: 'a' }).expect(200)
    await sysAdmin('put', '/system/translations/en/console.own')
      .send({ text: 'b' })
      .set('If-Match', first.headers.etag!)
      .expect(200)
    await sysAdmin('put', '/system/translations/en/console.own')
      .send({ text: 'c' })
      .set('If-Match', first.headers.etag!)
      .expect(412)
  })
  it('has a language and a key, and is not empty', async () => {
    await sysAdmin('put', '/system/translations/xx/portal.enterTitle').send({ text: 'a' }).expect(404)
    await sysAdmin('put', '/system/translations/de/a%20b').send({ text: 'a' }).expect(404)
    await sysAdmin('put', path).send({ text: '' }).expect(400)
  })
})

describe('the registry', () => {
  it('says what the installation is made of', async () => {
    const { body } = await sysAdmin('get', '/system/registry').expect(200)
    expect(body).toMatchObject({
      versions: { gateway: expect.any(String), node: process.version },
      upstreams: [{ name: 'crm', targets: ['demo'], routes: ['/api/crm'] }],
    })
    expect(body.features).toContainEqual({ code: 'crm', label: expect.any(String), instances: 3 })
  })
})

describe('a preview', () => {
  const preview = async (method: Method, path: string) =>
    (await sysAdmin(method, `${path}?dryRun=1`).expect(200)).body

  it('of revoking a token or ending a session names what would end, and ends nothing', async () => {
    const { token, jti, sid } = await tokenFor(gateway.database, 'bob')
    const other = await tokenFor(gateway.database, 'bob')
    expect(await preview('delete', `/system/tokens/${jti}`)).toMatchObject({
      dryRun: true,
      sessions: { count: 0 },
      tokens: { count: 1, ids: [jti] },
    })
    expect(await preview('delete', `/system/sessions/${sid}`)).toMatchObject({
      dryRun: true,
      sessions: { count: 1, ids: [sid] },
      tokens: { count: 1, ids: [jti] },
    })
    await as(token, 'get', '/auth/me').expect(200)
    await as(other.token, 'get', '/auth/me').expect(200)
    expect(await actions(`token:${jti}`)).toEqual([])
    await sysAdmin('delete', `/system/tokens/${randomUUID()}?dryRun=1`).expect(404)
  })

  it('of making somebody a SysAdmin or none tells whether it could be done, and does not do it', async () => {
    expect(await preview('put', '/system/admins/carol')).toMatchObject({ dryRun: true })
    expect(
      (await sysAdmin('get', '/system/admins').expect(200)).body.items.map(
        ({ username }: { username: string }) => username,
      ),
    ).not.toContain('carol')
    await sysAdmin('delete', `/system/admins/${users.root}?dryRun=1`).expect(409)
  })

  it('that a call does not have is refused, and the call with it', async () => {
    const answer = await sysAdmin('put', '/system/translations/en/portal.enterTitle?dryRun=1')
      .send({ text: 'never' })
      .expect(400)
    expect(answer.body).toMatchObject({ code: 'validation_failed', errors: [{ path: 'dryRun' }] })
    expect(
      await gateway.database.sql(
        `select * from translations where key = 'portal.enterTitle' and language = 'en'`,
      ),
    ).toEqual([])
    await sysAdmin('delete', '/system/keys/none?dryRun=1').expect(400)
  })
})
