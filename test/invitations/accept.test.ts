import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { administrationOf, type Administration, type Asker } from '../support/administration.js'
import { instances, mandates, roles, users } from '../support/demo.js'
import { directoryOf, type Newcomer } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { linkOf, pathOf, startMailServer, type MailServer } from '../support/mail.js'

const good = 'correct horse battery'
const html = 'text/html,application/xhtml+xml'
const fresh = () => `${randomUUID()}@example.com`
const name = () => `new-${randomUUID()}`

describe('accepting an invitation', () => {
  let mail: MailServer
  let gateway: TestGateway
  let ask: Administration['ask']
  beforeAll(async () => {
    mail = await startMailServer()
    gateway = await startTestGateway({ environment: { SMTP_URL: mail.url, MAIL_FROM: 'gate@example.org' } })
    ask = administrationOf(gateway).ask
  })
  afterAll(async () => {
    await gateway.stop()
    await mail.stop()
  })
  const sql: TestGateway['database']['sql'] = (statement, values) => gateway.database.sql(statement, values)
  const directory = () => directoryOf(gateway.database)
  const api = () => request(gateway.url)
  const invite = async (body: object = {}, who: Asker = 'alice') => {
    const path = who === 'petra' ? `/admin/mandates/${mandates.acme}/invitations` : '/mandate/invitations'
    const made = await ask(who, 'post', path, {
      in: mandates.acme,
      body: { email: fresh(), deliver: 'link', ...body },
    })
    expect(made.status).toBe(201)
    const { id, link, email } = made.body as { id: string; link: string | null; email: string }
    return { id, email, path: link === null ? pathOf(linkOf((await mail.to(email))[0]!)) : pathOf(link) }
  }
  const accept = (path: string, body: object, by?: Newcomer) =>
    api()
      .post(path)
      .set(by ? { Authorization: `Bearer ${by.token}` } : {})
      .send(body)
  const asNew = (path: string, more: object = {}) =>
    accept(path, { account: 'new', username: name(), password: good, ...more })
  const statusOf = async (id: string) =>
    (await sql<{ status: string }>('select status from invitations where id = $1', [id]))[0]!.status
  const member = async (userId: string) =>
    (
      await sql<{ enabled: boolean; roles: string[]; profile_shown: boolean }>(
        `select um.enabled, um.profile_shown,
                array(select role_id::text from user_mandate_roles where user_mandate_id = um.id) as roles
           from user_mandates um where user_id = $1 and mandate_id = $2`,
        [userId, mandates.acme],
      )
    )[0]

  it('shows on its page the mandate, the inviter, and who is signed in; looking changes nothing', async () => {
    const { id, path } = await invite()
    const [{ label, full_name: inviter }] = (await sql(
      'select m.label, u.full_name from mandates m, users u where m.id = $1 and u.id = $2',
      [mandates.acme, users.alice],
    )) as [{ label: string; full_name: string }]
    const person = await directory().user()
    const look = (headers: object) =>
      api()
        .get(path)
        .set({ Accept: html, ...headers })
    const [stranger, known] = [await look({}), await look({ Cookie: `auth_token=${person.token}` })]
    for (const { status, text, headers } of [stranger, known]) {
      expect(status).toBe(200)
      expect(text).toContain(label)
      expect(text).toContain(inviter)
      expect(headers).not.toHaveProperty('set-cookie')
    }
    expect(known.text).toContain(`You are signed in as ${person.username}`)
    expect(stranger.text).toContain('You are not signed in')
    expect((await look({ Cookie: 'auth_token=a.b.c' })).text).toContain('You are not signed in')
    expect(await statusOf(id)).toBe('pending')
  })

  describe('as who is signed in', () => {
    it('makes them a member with the roles and the access, whatever their address is', async () => {
      const person = await directory().user()
      const access = [{ instanceId: instances.acmeCrm, roleIds: [roles.crmReader] }]
      const { id, path } = await invite({ roleIds: [roles.viewer], access })
      const { status, body } = await accept(path, { account: 'current' }, person)
      expect([status, body]).toEqual([200, { mandateId: mandates.acme, userId: person.id }])
      expect(await member(person.id)).toEqual({ enabled: true, roles: [roles.viewer], profile_shown: true })
      const context = await api()
        .get('/auth/context')
        .set({
          Authorization: `Bearer ${person.token}`,
          'X-Mandate-Id': mandates.acme,
          'X-Instance-Id': instances.acmeCrm,
        })
      expect([context.status, context.body.roleIds.sort()]).toEqual([
        200,
        [roles.viewer, roles.crmReader].sort(),
      ])
      expect(await statusOf(id)).toBe('accepted')
      expect((await accept(path, { account: 'current' }, person)).status).toBe(404)
      const events = await sql<{ action: string }>(
        `select action from audit_events where mandate_id = $1 and user_id = $2 order by seq`,
        [mandates.acme, person.id],
      )
      expect(events.map(({ action }) => action)).toEqual([
        'member_added',
        'access_added',
        'invitation_accepted',
      ])
    })

    it('is 401 for nobody and for a token that does not count, and spends nothing', async () => {
      const { path } = await invite()
      for (const by of [undefined, { id: '', username: '', token: 'a.b.c' }]) {
        const refused = await accept(path, { account: 'current' }, by)
        expect([refused.status, refused.body.code]).toEqual([401, 'authentication_required'])
      }
      expect((await asNew(path)).status).toBe(200)
    })

    it('is refused to a service account', async () => {
      const { path } = await invite()
      const program = await directory().user()
      await sql('update users set is_service_account = true where id = $1', [program.id])
      expect((await accept(path, { account: 'current' }, program)).body.code).toBe('permission_denied')
    })
  })

  describe('with a new account', () => {
    it('makes one with the invited address, confirmed only by a mailed link, and signs nobody in', async () => {
      for (const [deliver, confirmed] of [
        ['link', false],
        ['mail', true],
      ] as const) {
        const { path, email } = await invite({ deliver })
        const username = name()
        const { status, body, headers } = await asNew(path, { username, fullName: 'Ann Lee' })
        expect(status).toBe(200)
        expect(headers).not.toHaveProperty('set-cookie')
        expect(
          await sql(
            'select username, email, full_name, self_made, email_confirmed from users where id = $1',
            [body.userId],
          ),
        ).toEqual([{ username, email, full_name: 'Ann Lee', self_made: true, email_confirmed: confirmed }])
        expect((await api().post('/auth/login').send({ username, password: good })).status).toBe(200)
        expect((await member(body.userId))!.enabled).toBe(true)
      }
    })

    it('does so by the form of the page', async () => {
      const { path } = await invite()
      const username = name()
      const form = { account: 'new', username, fullName: '', password: good, repeated: good }
      const done = await api().post(path).set('Accept', html).type('form').send(form)
      expect([done.status, done.text.includes('You are a member of')]).toEqual([200, true])
      expect(await sql('select full_name from users where username = $1', [username])).toEqual([
        { full_name: null },
      ])
    })

    it.each([
      ['a taken username', { username: 'bob' }, 'username'],
      ['a username that is none', { username: 'two words' }, 'username'],
      ['a username of mixed scripts', { username: 'pаypal' }, 'username'],
      ['no username', { username: undefined }, 'username'],
      ['a short password', { password: 'short' }, 'password'],
      ['no password', { password: undefined }, 'password'],
    ])('is 400 with %s, says so on the page, and spends nothing', async (_, wrong, field) => {
      const { path } = await invite()
      const refused = await asNew(path, wrong)
      expect([refused.status, refused.body.errors?.[0].path]).toEqual([400, field])
      const form = { account: 'new', username: name(), password: good, ...wrong }
      const page = await api().post(path).set('Accept', html).type('form').send(form)
      expect([page.status, page.text.includes('role="alert"')]).toEqual([400, true])
      expect((await asNew(path)).status).toBe(200)
    })
  })

  it('is won by one of many at once', async () => {
    const { path } = await invite()
    const answers = await Promise.all(Array.from({ length: 5 }, () => asNew(path)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 404, 404, 404, 404])
  })

  it('is 429 after 20 refused tries in an hour, on every node, also for a right one', async () => {
    const { path } = await invite()
    for (let round = 0; round < 20; round += 1)
      expect((await asNew(path, { password: 'short' })).status).toBe(400)
    const other = await startTestGateway({ database: gateway.database })
    try {
      for (const url of [gateway.url, other.url]) {
        const refused = await request(url)
          .post(path)
          .send({ account: 'new', username: name(), password: good })
        expect([refused.status, refused.body.code]).toEqual([429, 'rate_limited'])
        expect(refused.headers).toHaveProperty('retry-after')
      }
    } finally {
      await other.stop()
    }
    await sql(`update invitations set tries_since = now() - interval '61 minutes'`)
    expect((await asNew(path)).status).toBe(200)
  })

  describe('judges the inviter again: the invitation is void once they could not give it', () => {
    /** An admin of acme who has invited somebody as `viewer`. */
    const invited = async () => {
      const inviter = await directory().user()
      const membership = await directory().join(inviter.id, mandates.acme, { roles: [roles.acmeAdmin] })
      return { inviter, membership, ...(await invite({ roleIds: [roles.viewer] }, inviter)) }
    }
    type Invited = Awaited<ReturnType<typeof invited>>
    const isVoid = async ({ id, path }: { id: string; path: string }) => {
      const person = await directory().user()
      const refused = await accept(path, { account: 'current' }, person)
      expect([refused.status, refused.body.code]).toEqual([409, 'invitation_void'])
      expect(await statusOf(id)).toBe('void')
      expect(await member(person.id)).toBeUndefined()
      expect((await accept(path, { account: 'current' }, person)).status).toBe(404)
      expect(
        await sql(`select from audit_events where action = 'invitation_void' and details->>'subject' = $1`, [
          `invitation:${id}`,
        ]),
      ).toHaveLength(1)
    }

    it.each<[string, (one: Invited) => Promise<unknown>]>([
      ['is disabled', ({ inviter }) => sql('update users set enabled = false where id = $1', [inviter.id])],
      ['is gone', ({ inviter }) => sql('delete from users where id = $1', [inviter.id])],
      ['is no member', ({ membership }) => sql('delete from user_mandates where id = $1', [membership])],
      [
        'is disabled in the mandate',
        ({ membership }) => sql('update user_mandates set enabled = false where id = $1', [membership]),
      ],
      [
        'has lost the role',
        ({ membership }) => sql('delete from user_mandate_roles where user_mandate_id = $1', [membership]),
      ],
    ])('as the inviter %s', async (_, change) => {
      const one = await invited()
      await change(one)
      await isVoid(one)
    })

    it('as a role of it is gone', async () => {
      const role = await directory().role({ mandateId: mandates.acme })
      const one = await invite({ roleIds: [role] })
      await sql('delete from roles where id = $1', [role])
      await isVoid(one)
    })

    it('as a role of it gives more by now than the inviter holds', async () => {
      const role = await directory().role({ mandateId: mandates.acme })
      const inviter = await directory().user()
      const own = await directory().role({
        mandateId: mandates.acme,
        rules: [{ context: 'RESOURCE', item: 'gateway.members', view: true, create: 'a' }],
      })
      await directory().join(inviter.id, mandates.acme, { roles: [own] })
      const one = await invite({ roleIds: [role] }, inviter)
      await sql(
        `insert into access_rules (role_id, context, item, "delete") values ($1, 'RESOURCE', 'gateway', 'a')`,
        [role],
      )
      await isVoid(one)
    })

    it('as the platform admin who invited is none any more', async () => {
      const admin = await directory().user({ isPlatformAdmin: true })
      const made = await ask(admin, 'post', `/admin/mandates/${mandates.acme}/invitations`, {
        body: { email: fresh(), deliver: 'link' },
      })
      await sql('update users set is_platform_admin = false where id = $1', [admin.id])
      await isVoid({ id: made.body.id as string, path: pathOf(made.body.link as string) })
    })

    it('as the mandate is disabled', async () => {
      const one = await invite()
      await sql('update mandates set enabled = false where id = $1', [mandates.acme])
      try {
        await isVoid(one)
      } finally {
        await sql('update mandates set enabled = true where id = $1', [mandates.acme])
      }
    })

    it('and no account is made by it', async () => {
      const one = await invited()
      await sql('update users set enabled = false where id = $1', [one.inviter.id])
      const username = name()
      expect((await asNew(one.path, { username })).body.code).toBe('invitation_void')
      expect(await sql('select from users where username = $1', [username])).toEqual([])
    })
  })

  it.each([
    ['a member', true],
    ['a disabled member', false],
  ])('is 409 for %s, and the invitation is still pending', async (_, enabled) => {
    const person = await directory().user()
    await directory().join(person.id, mandates.acme, { enabled, roles: [] })
    const { id, path } = await invite({ roleIds: [roles.acmeAdmin] })
    const refused = await accept(path, { account: 'current' }, person)
    expect([refused.status, refused.body.code]).toEqual([409, 'conflict'])
    expect(await member(person.id)).toMatchObject({ enabled, roles: [] })
    expect(await statusOf(id)).toBe('pending')
  })

  it('is 409 in a mandate that has as many members as it may, and the invitation is still pending', async () => {
    const mandateId = await directory().mandate()
    const made = await ask('petra', 'post', `/admin/mandates/${mandateId}/invitations`, {
      body: { email: fresh(), deliver: 'link' },
    })
    await directory().join(users.bob, mandateId, { roles: [] })
    await sql('insert into subscriptions (mandate_id, plan, members) values ($1, $2, 1)', [
      mandateId,
      'small',
    ])
    const refused = await asNew(pathOf(made.body.link as string))
    expect([refused.status, refused.body.code]).toEqual([409, 'conflict'])
    expect(await statusOf(made.body.id as string)).toBe('pending')
  })

  it('answers the same for used, expired, replaced, revoked, void and invented links', async () => {
    const used = await invite()
    await asNew(used.path).expect(200)
    const expired = await invite()
    await sql('update invitations set expires_at = now() where id = $1', [expired.id])
    const replaced = await invite()
    await ask('alice', 'post', `/mandate/invitations/${replaced.id}/resend`, {
      in: mandates.acme,
      body: { deliver: 'link' },
    })
    const revoked = await invite()
    await ask('alice', 'delete', `/mandate/invitations/${revoked.id}`, { in: mandates.acme })
    const paths = [used, expired, replaced, revoked].map(({ path }) => path)
    const answers = []
    for (const path of [...paths, `/auth/invitations/${'A'.repeat(43)}`])
      for (const answer of [await api().get(path), await asNew(path)])
        answers.push([answer.status, answer.text.replace(String(answer.headers['x-request-id']), '')].join())
    expect(new Set(answers).size).toBe(1)
    expect(answers[0]).toMatch(/^404/)
  })

  it('takes nothing that the page of another site sends', async () => {
    const { path } = await invite()
    const refused = await api()
      .post(path)
      .set('Sec-Fetch-Site', 'cross-site')
      .send({ account: 'new', username: name(), password: good })
    expect([refused.status, refused.body.code]).toEqual([403, 'cross_site_request'])
  })
})
