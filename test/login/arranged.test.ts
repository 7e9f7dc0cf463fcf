import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { administrationOf, type Administration, type Asker } from '../support/administration.js'
import { sendRequest } from '../support/http-client.js'
import { openBrowser } from '../support/browser.js'
import { users } from '../support/demo.js'
import { directoryOf, type Newcomer } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { expectProblem } from '../support/problems.js'

let gateway: TestGateway
let admin: Administration
/** A SysAdmin who is a PlatformAdmin, too. */
let chief: Newcomer
beforeAll(async () => {
  gateway = await startTestGateway({
    environment: {
      GOOGLE_CLIENT_ID: 'client',
      GOOGLE_CLIENT_SECRET: 'secret',
      GOOGLE_ISSUER: 'https://accounts.google.com',
    },
  })
  admin = administrationOf(gateway)
  chief = await directoryOf(gateway.database).user({ isSysAdmin: true, isPlatformAdmin: true })
})
afterAll(() => gateway.stop())

const sql = <Row>(statement: string, values: unknown[] = []) => gateway.database.sql<Row>(statement, values)
const meWith = async (token: string) =>
  (await sendRequest(gateway.url, '/auth/me', { headers: { Authorization: `Bearer ${token}` } })).status

/** Somebody with the demo's password and an identity that is linked. */
async function person({ isPlatformAdmin = false } = {}) {
  const id = randomUUID()
  const username = `person-${randomBytes(6).toString('hex')}`
  await sql(
    `insert into users (id, username, password_hash, is_platform_admin)
      select $1, $2, password_hash, $3
      from users
      where username = 'alice'`,
    [id, username, isPlatformAdmin],
  )
  await sql(
    `insert into user_identities (user_id, authority, issuer, subject)
      values ($1, 'google', 'https://accounts.google.com', $2)`,
    [id, username],
  )
  return { id, username }
}
async function signedIn(options = {}) {
  const somebody = await person(options)
  const browser = openBrowser(gateway.url)
  expect((await browser.logIn(somebody.username)).status).toBe(200)
  return { ...somebody, browser, token: browser.cookie('auth_token')!.value }
}
const identitiesOf = async (id: string) =>
  (await sql('select from user_identities where user_id = $1', [id])).length
/** A link to a first password, and whether it works. */
async function linkBy(issuer: Asker, userId: string) {
  const { status, body } = await admin.ask(issuer, 'post', `/admin/users/${userId}/first-access`)
  expect(status).toBe(201)
  const { pathname } = new URL(String(body.url))
  return { works: async () => (await sendRequest(gateway.url, pathname)).status === 200 }
}
const patch = (who: Asker, id: string, body: unknown) =>
  admin.ask(who, 'patch', `/admin/users/${id}`, { body })

describe('an earlier arrangement by another person does not survive', () => {
  it.each<[string, (id: string) => Promise<{ status: number }>]>([
    ['a SysAdmin', (id) => admin.ask('root', 'put', `/system/admins/${id}`)],
    ['a PlatformAdmin', (id) => patch('petra', id, { isPlatformAdmin: true })],
  ])(
    'when its user becomes %s: sessions end, identities are unlinked, links withdrawn',
    async (_level, promote) => {
      const { id, token } = await signedIn()
      const link = await linkBy('petra', id)
      expect(await meWith(token)).toBe(200)
      expect((await promote(id)).status).toBe(200)
      expect([await meWith(token), await identitiesOf(id), await link.works()]).toEqual([401, 0, false])
    },
  )

  it('a new password: identities are unlinked, unless their owner keeps them', async () => {
    const body = { currentPassword: 'demo-password-1', newPassword: 'a password of four words' }
    const one = await signedIn()
    expect((await one.browser.send('POST', '/auth/password', body)).status).toBe(200)
    expect(await identitiesOf(one.id)).toBe(0)
    const other = await signedIn()
    expect(
      (await other.browser.send('POST', '/auth/password', { ...body, keepIdentities: true })).status,
    ).toBe(200)
    expect(await identitiesOf(other.id)).toBe(1)
  })

  it('an identity is linked only with a proof: a sign-in of the last ten minutes, or the password', async () => {
    const { id, browser } = await signedIn()
    const link = (more = {}) => browser.send('POST', '/auth/identities', { authority: 'google', ...more })
    await sql(`update sessions set auth_time = now() - interval '11 minutes' where user_id = $1`, [id])
    const refused = await link()
    expect([refused.status, JSON.parse(refused.text).code]).toEqual([401, 'insufficient_user_authentication'])
    expect(JSON.parse(refused.text)).toMatchObject({ missing: 'age', scope: 'account', maxAge: 600 })
    expect((await link({ currentPassword: 'another-password' })).status).toBe(401)
    // beyond the proof, the provider is asked: it cannot be reached from here
    expect((await link({ currentPassword: 'demo-password-1' })).status).toBeGreaterThanOrEqual(500)
    await sql(`update sessions set auth_time = now() - interval '9 minutes' where user_id = $1`, [id])
    expect((await link()).status).toBeGreaterThanOrEqual(500)
  })

  it.each<[string, (issuer: string) => Promise<unknown>]>([
    ['is demoted', (issuer) => patch(chief, issuer, { isPlatformAdmin: false })],
    ['is disabled', (issuer) => patch(chief, issuer, { enabled: false })],
    ['is deleted', (issuer) => admin.ask(chief, 'delete', `/admin/users/${issuer}`)],
    ['is erased', (issuer) => admin.ask(chief, 'post', `/admin/users/${issuer}/erase`)],
    [
      'is demoted by plain SQL',
      (issuer) => sql('update users set is_platform_admin = false where id = $1', [issuer]),
    ],
    ['is deleted by plain SQL', (issuer) => sql('delete from users where id = $1', [issuer])],
  ])('a link does not work any more once the admin who issued it %s', async (_how, leave) => {
    const issuer = await signedIn({ isPlatformAdmin: true })
    const [link, byAnother] = [
      await linkBy(issuer, (await person()).id),
      await linkBy('petra', (await person()).id),
    ]
    expect(await link.works()).toBe(true)
    await leave(issuer.id)
    expect([await link.works(), await byAnother.works()]).toEqual([false, true])
  })

  it('a link does not survive that its user is signed out everywhere, by themself or by an admin', async () => {
    const { id, browser } = await signedIn()
    const first = await linkBy('petra', id)
    expect((await browser.send('POST', '/auth/logout-all')).status).toBe(200)
    expect(await first.works()).toBe(false)
    const second = await linkBy('petra', id)
    expect((await admin.ask('petra', 'delete', `/admin/users/${id}/sessions`)).status).toBe(200)
    expect(await second.works()).toBe(false)
  })

  it('a link of a user who was disabled does not work again when they are enabled', async () => {
    const { id } = await person()
    const link = await linkBy('petra', id)
    for (const enabled of [false, true]) expect((await patch('petra', id, { enabled })).status).toBe(200)
    expect(await link.works()).toBe(false)
  })
})

describe('links to a first password', () => {
  it('are listed with their issuer, and withdrawn; never shown', async () => {
    const { id, username } = await person()
    const link = await linkBy('petra', id)
    const listed = (await admin.all('petra', '/admin/first-access', { limit: 50 })).find(
      (one) => one.userId === id,
    )!
    expect(listed).toEqual({
      id: expect.any(String),
      userId: id,
      username,
      issuedBy: users.petra,
      issuedByUsername: 'petra',
      createdAt: expect.any(String),
      expiresAt: expect.any(String),
    })
    const tried = await admin.ask('petra', 'delete', `/admin/first-access/${String(listed.id)}?dryRun=1`)
    expect([tried.status, tried.body.dryRun, await link.works()]).toEqual([200, true, true])
    expect((await admin.ask('petra', 'delete', `/admin/first-access/${String(listed.id)}`)).status).toBe(200)
    expect(await link.works()).toBe(false)
    expectProblem(
      await admin.ask('petra', 'delete', `/admin/first-access/${String(listed.id)}`),
      404,
      'not_found',
    )
    const [event] = await sql<{ action: string }>(
      `select action from audit_events where details ->> 'subject' = $1 order by seq desc limit 1`,
      [`user:${id}`],
    )
    expect(event?.action).toBe('first_access_withdrawn')
  })

  it('of a SysAdmin are withdrawn by SysAdmins', async () => {
    const link = await linkBy(chief, chief.id)
    const listed = (await admin.all('petra', '/admin/first-access', { limit: 50 })).find(
      (one) => one.userId === chief.id,
    )!
    expectProblem(
      await admin.ask('petra', 'delete', `/admin/first-access/${String(listed.id)}`),
      403,
      'sysadmin_required',
    )
    expect(await link.works()).toBe(true)
    expectProblem(await admin.ask('alice', 'get', '/admin/first-access'), 403, 'platform_admin_required')
  })
})

describe('accounts of programs', () => {
  const inAYear = () => new Date(Date.now() + 300 * 24 * 3600 * 1000).toISOString()
  async function program(maker: Asker) {
    const { status, body } = await admin.ask(maker, 'post', '/admin/service-accounts', {
      body: { username: `program-${randomBytes(6).toString('hex')}` },
    })
    expect(status).toBe(201)
    return String(body.id)
  }
  const tokenBy = async (maker: Asker, id: string) => {
    const { status, body } = await admin.ask(maker, 'post', `/admin/service-accounts/${id}/tokens`, {
      body: { label: 'nightly', expiresAt: inAYear() },
    })
    expect(status).toBe(201)
    return body as { id: string; token: string; createdBy: string }
  }

  it('are made PlatformAdmins by SysAdmins alone', async () => {
    const id = await program('petra')
    expectProblem(await patch('petra', id, { isPlatformAdmin: true }), 403, 'sysadmin_required')
    expectProblem(
      await admin.ask('petra', 'patch', `/admin/users/${id}?dryRun=1`, { body: { isPlatformAdmin: true } }),
      403,
      'sysadmin_required',
    )
    expect((await patch(chief, id, { isPlatformAdmin: true })).status).toBe(200)
  })

  it('that become PlatformAdmins lose the tokens and secrets that were made before', async () => {
    const id = await program('petra')
    const { token } = await tokenBy('petra', id)
    expect(
      (
        await admin.ask('petra', 'post', `/admin/service-accounts/${id}/secrets`, {
          body: { label: 'nightly' },
        })
      ).status,
    ).toBe(201)
    expect(await meWith(token)).toBe(200)
    expect((await patch(chief, id, { isPlatformAdmin: true })).status).toBe(200)
    expect(await meWith(token)).toBe(401)
    expect(await admin.all('petra', `/admin/service-accounts/${id}/secrets`)).toEqual([])
  })

  it('with a platform level lose tokens and secrets by an admin who loses theirs; others keep theirs', async () => {
    const maker = await signedIn({ isPlatformAdmin: true })
    const [strong, ordinary] = [await program(maker), await program(maker)]
    expect((await patch(chief, strong, { isPlatformAdmin: true })).status).toBe(200)
    const [theirs, others, plain] = [
      await tokenBy(maker, strong),
      await tokenBy('petra', strong),
      await tokenBy(maker, ordinary),
    ]
    expect(
      (
        await admin.ask(maker, 'post', `/admin/service-accounts/${strong}/secrets`, {
          body: { label: 'nightly' },
        })
      ).status,
    ).toBe(201)
    expect([
      theirs.createdBy,
      await meWith(theirs.token),
      await meWith(others.token),
      await meWith(plain.token),
    ]).toEqual([maker.id, 200, 200, 200])
    expect((await patch('petra', maker.id, { isPlatformAdmin: false })).status).toBe(200)
    expect([await meWith(theirs.token), await meWith(others.token), await meWith(plain.token)]).toEqual([
      401, 200, 200,
    ])
    expect(await admin.all('petra', `/admin/service-accounts/${strong}/secrets`)).toEqual([])
  })

  it('whatever an admin made is listed and withdrawn at once, also when that admin is gone', async () => {
    const maker = await signedIn({ isPlatformAdmin: true })
    const id = await program(maker)
    const token = await tokenBy(maker, id)
    await admin.ask(maker, 'post', `/admin/service-accounts/${id}/secrets`, { body: { label: 'nightly' } })
    expect((await admin.ask('petra', 'delete', `/admin/users/${maker.id}`)).status).toBe(200)
    const issued = await admin.all('petra', `/admin/users/${maker.id}/issued`)
    expect(issued.map(({ kind, userId }) => [kind, userId]).sort()).toEqual([
      ['secret', id],
      ['serviceAccount', id],
      ['token', id],
    ])
    const counts = { links: 0, secrets: 1, keys: 0, tokens: 1 }
    expect((await admin.ask('petra', 'delete', `/admin/users/${maker.id}/issued?dryRun=1`)).body).toEqual({
      dryRun: true,
      ...counts,
    })
    expect(await meWith(token.token)).toBe(200)
    expect((await admin.ask('petra', 'delete', `/admin/users/${maker.id}/issued`)).body).toMatchObject({
      ...counts,
      coherence: { fenced: 0 },
    })
    expect(await meWith(token.token)).toBe(401)
    expect((await admin.all('petra', `/admin/users/${maker.id}/issued`)).map(({ kind }) => kind)).toEqual([
      'serviceAccount',
    ])
  })

  it('that were disabled and are enabled again have no token that counts', async () => {
    const id = await program('petra')
    const { token } = await tokenBy('petra', id)
    for (const enabled of [false, true])
      expect(
        (await admin.ask('petra', 'patch', `/admin/service-accounts/${id}`, { body: { enabled } })).status,
      ).toBe(200)
    expect(await meWith(token)).toBe(401)
    expect(await meWith((await tokenBy('petra', id)).token)).toBe(200)
  })
})

describe('a new sign-in ends the session that the browser had', () => {
  it('of the same user or another, with its refresh token, and no other', async () => {
    const one = await signedIn()
    const elsewhere = openBrowser(gateway.url)
    await elsewhere.logIn(one.username)
    const kept = elsewhere.cookie('auth_token')!.value
    const [first, refresh] = [one.token, one.browser.cookie('refresh_token')!.value]

    expect((await one.browser.logIn(one.username)).status).toBe(200)
    const second = one.browser.cookie('auth_token')!.value
    expect([await meWith(first), await meWith(second), await meWith(kept)]).toEqual([401, 200, 200])
    expect(
      (
        await sendRequest(gateway.url, '/auth/refresh', {
          method: 'POST',
          headers: { Cookie: `refresh_token=${refresh}` },
        })
      ).status,
    ).toBe(401)

    const another = await person()
    expect((await one.browser.logIn(another.username)).status).toBe(200)
    expect([
      await meWith(second),
      await meWith(one.browser.cookie('auth_token')!.value),
      await meWith(kept),
    ]).toEqual([401, 200, 200])
    const [event] = await sql<{ details: { after: unknown } }>(
      `select details from audit_events where action = 'session_ended' and user_id = $1 order by seq desc limit 1`,
      [one.id],
    )
    expect(event?.details.after).toEqual({ by: 'new login' })
  })

  it('but not when the password is wrong', async () => {
    const { username, browser, token } = await signedIn()
    expect((await browser.logIn(username, 'another-password')).status).toBe(401)
    expect(await meWith(token)).toBe(200)
  })
})
