import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import request from 'supertest'
import { tokenFor, users } from '../../support/demo.js'
import { directoryOf, type Newcomer } from '../../support/directory.js'
import { startTestGateway, type TestGateway } from '../../support/gateway.js'
import { linkOf, pathOf, startMailServer, type MailServer } from '../../support/mail.js'
import { until } from '../../support/until.js'

const good = 'correct horse battery'
const html = 'text/html,application/xhtml+xml'

describe('a forgotten password', () => {
  let mail: MailServer
  let gateway: TestGateway
  let person: Newcomer
  let address: string
  beforeAll(async () => {
    mail = await startMailServer()
    const variables = { SMTP_URL: mail.url, MAIL_FROM: 'gate@example.org', RATE_LIMIT_MAIL: '4/3600s' }
    gateway = await startTestGateway({ environment: { ...variables, TRUST_PROXY: '1' } })
  })
  afterAll(async () => {
    await gateway.stop()
    await mail.stop()
  })
  const sql: TestGateway['database']['sql'] = (statement, values) => gateway.database.sql(statement, values)
  const directory = () => directoryOf(gateway.database)
  const give = (id: string, email: string | null) =>
    sql('update users set email = $2 where id = $1', [id, email])
  beforeEach(async () => {
    person = await directory().user()
    address = `${randomUUID()}@example.com`
    await give(person.id, address)
  })

  let clients = 0
  /** Each request is another client's. */
  const client = () => `198.51.100.${(clients += 1) % 250}`
  const api = () => request(gateway.url)
  const forget = (identifier: string, from = client()) =>
    api().post('/auth/forgot').set('X-Forwarded-For', from).send({ identifier })
  const reset = (path: string, password = good) => api().post(path).send({ password })
  const linkTo = async (to: string, count = 1) => pathOf(linkOf((await mail.to(to, count)).at(-1)!))
  /** Waits until all requests so far have been looked at: the last one's message is written. */
  const allLookedAt = async () => {
    const last = await directory().user()
    const to = `${randomUUID()}@example.com`
    await give(last.id, to)
    await forget(to).expect(202)
    await mail.to(to)
  }
  const messagesTo = (to: string) =>
    sql<{ status: string }>('select status from messages where lower(recipient) = lower($1)', [to])

  it('is 404 without a way out, and its page too', async () => {
    const plain = await startTestGateway({ database: gateway.database })
    try {
      expect((await request(plain.url).get('/auth/forgot')).status).toBe(404)
      expect((await request(plain.url).post('/auth/forgot').send({ identifier: 'alice' })).status).toBe(404)
    } finally {
      await plain.stop()
    }
  })

  it('answers the same before anything is looked up, whether or not there is such an account', async () => {
    const locker = new pg.Client(gateway.database.ownerUrl)
    await locker.connect()
    await locker.query('begin; lock table users in access exclusive mode')
    try {
      const answers = []
      for (const identifier of [person.username, address, 'nobody', 'nobody@example.com', 'root']) {
        const { status, text, headers } = await forget(identifier)
        const { date: _date, 'x-request-id': _id, ...rest } = headers
        answers.push(JSON.stringify([status, text, rest]))
      }
      expect(new Set(answers).size).toBe(1)
      expect(answers[0]).toMatch(/^\[202,"\{\}"/)
    } finally {
      await locker.query('rollback')
      await locker.end()
    }
  })

  it('takes as long for an account as for none', async () => {
    const times: Record<'known' | 'unknown', number[]> = { known: [], unknown: [] }
    for (let round = 0; round < 40; round += 1) {
      for (const kind of ['known', 'unknown'] as const) {
        const begun = performance.now()
        await forget(kind === 'known' ? person.username : `nobody-${round}`).expect(202)
        times[kind].push(performance.now() - begun)
      }
    }
    const middle = (all: number[]) => all.sort((one, other) => one - other)[all.length / 2]!
    const ratio = middle(times.known) / middle(times.unknown)
    expect(ratio).toBeGreaterThan(0.5)
    expect(ratio).toBeLessThan(2)
  })

  it('sends a link to the user of that name, at their own address', async () => {
    await forget(person.username.toUpperCase()).expect(202)
    const [sent] = await mail.to(address)
    expect(sent!.headers.subject).toBe('Reset your password')
    expect(sent!.text).toContain(`Hello ${person.username},`)
    const { status, text } = await api()
      .get(pathOf(linkOf(sent!)))
      .set('Accept', html)
    expect(status).toBe(200)
    expect(text).toContain('<form method="post">')
    expect(text).toContain(person.username)
  })

  it('sends one to each of the three oldest accounts of an address, in any case', async () => {
    const all = [person]
    for (let index = 0; index < 3; index += 1) all.push(await directory().user())
    for (const [index, one] of all.entries())
      await sql(`update users set email = $2, created_at = now() + make_interval(mins => $3) where id = $1`, [
        one.id,
        index === 1 ? address.toUpperCase() : address,
        index,
      ])
    await forget(address).expect(202)
    await allLookedAt()
    const about = await sql<{ user_id: string }>(
      'select user_id from messages where lower(recipient) = lower($1)',
      [address],
    )
    expect(about.map(({ user_id }) => user_id).sort()).toEqual(
      all
        .slice(0, 3)
        .map(({ id }) => id)
        .sort(),
    )
  })

  it.each([
    ['disabled', 'update users set enabled = false where id = $1'],
    ['a SysAdmin', 'update users set is_sys_admin = true where id = $1'],
    ['a service account', 'update users set is_service_account = true where id = $1'],
    ['without an address', 'update users set email = null where id = $1'],
    [
      'of a provider alone',
      `insert into user_identities (user_id, authority, issuer, subject) values ($1::uuid, 'google', 'https://i.example', $1::text)`,
    ],
  ])('sends nothing to an account that is %s', async (_, change) => {
    await sql(change, [person.id])
    await forget(person.username).expect(202)
    await forget(address).expect(202)
    await allLookedAt()
    expect(await messagesTo(address)).toEqual([])
  })

  it('sets a new password once, ends sessions and identities, tells the account, and is audited', async () => {
    await sql('update users set password_hash = $2 where id = $1', [person.id, 'an old hash'])
    await sql(
      `insert into user_identities (user_id, authority, issuer, subject) values ($1, 'google', 'https://i.example', $2)`,
      [person.id, randomUUID()],
    )
    await forget(person.username).expect(202)
    const path = await linkTo(address)
    expect((await reset(path)).status).toBe(204)
    expect((await reset(path, `${good} again`)).status).toBe(404)
    const login = { username: person.username, password: good }
    expect((await api().post('/auth/login').send(login)).status).toBe(200)
    const me = await api().get('/auth/me').set('Authorization', `Bearer ${person.token}`)
    expect(me.body.code).toBe('token_invalid')
    expect(await sql('select from user_identities where user_id = $1', [person.id])).toEqual([])
    const notice = (await mail.to(address, 2))[1]!
    expect(notice.headers.subject).toBe('Your password was changed')
    expect(notice.text).not.toContain('://')
    const events = await sql<{ details: { subject: string } }>(
      `select details from audit_events where action = 'password_reset' and user_id = $1`,
      [person.id],
    )
    expect(events.map(({ details }) => details.subject)).toEqual([`user:${person.id}`])
  })

  it('is used by one of many at once', async () => {
    await forget(person.username).expect(202)
    const path = await linkTo(address)
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, index) => reset(path, `${good} ${index}`)),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 404, 404, 404, 404, 404])
  })

  it('stays usable after a password that is refused', async () => {
    await forget(person.username).expect(202)
    const path = await linkTo(address)
    const refused = await reset(path, 'short')
    expect([refused.status, refused.body.code]).toEqual([400, 'validation_failed'])
    const page = await api()
      .post(path)
      .set('Accept', html)
      .type('form')
      .send({ password: good, repeated: 'other' })
    expect([page.status, page.text.includes('the same both times')]).toEqual([400, true])
    expect((await reset(path)).status).toBe(204)
  })

  it('used, expired, replaced, withdrawn and invented links answer alike', async () => {
    const linkOfNew = async () => {
      const other = await directory().user()
      const to = `${randomUUID()}@example.com`
      await give(other.id, to)
      await forget(to).expect(202)
      return { id: other.id, username: other.username, to, path: await linkTo(to) }
    }
    const used = await linkOfNew()
    await reset(used.path).expect(204)
    const expired = await linkOfNew()
    await sql('update account_links set expires_at = now() where user_id = $1', [expired.id])
    const replaced = await linkOfNew()
    await forget(replaced.username).expect(202)
    const newest = await linkTo(replaced.to, 2)
    const disabled = await linkOfNew()
    await sql('update users set enabled = false where id = $1', [disabled.id])
    await sql('update users set enabled = true where id = $1', [disabled.id])
    const promoted = await linkOfNew()
    await sql('update users set is_sys_admin = true where id = $1', [promoted.id])
    const paths = [used, expired, replaced, disabled, promoted].map(({ path }) => path)
    const answers = []
    for (const path of [...paths, `/auth/reset/${'A'.repeat(43)}`, '/auth/reset/x'])
      for (const answer of [await api().get(path), await reset(path)])
        answers.push([answer.status, answer.text.replace(String(answer.headers['x-request-id']), '')].join())
    expect(new Set(answers).size).toBe(1)
    expect(answers[0]).toMatch(/^404/)
    expect((await api().get(newest)).status).toBe(200)
  })

  it('beyond the limit of a recipient sends nothing, and the last link stays good', async () => {
    for (let round = 1; round <= 4; round += 1) {
      await forget(person.username).expect(202)
      await mail.to(address, round)
    }
    const last = await linkTo(address, 4)
    await forget(person.username).expect(202)
    await forget(address).expect(202)
    await allLookedAt()
    expect(await messagesTo(address)).toHaveLength(4)
    expect((await reset(last)).status).toBe(204)
  })

  it('is refused to a client address beyond ten times the limit', async () => {
    const answers = []
    for (let round = 0; round < 41; round += 1) answers.push(await forget(`nobody-${round}`, '203.0.113.9'))
    expect(answers.map(({ status }) => status)).toEqual([...Array<number>(40).fill(202), 429])
    expect(answers.at(-1)!.headers).toHaveProperty('retry-after')
    expect((await forget('nobody', '203.0.113.10')).status).toBe(202)
  })

  it('takes nothing that the page of another site sends', async () => {
    await forget(person.username).expect(202)
    const path = await linkTo(address)
    for (const to of ['/auth/forgot', path]) {
      const { status, body } = await api().post(to).set('Sec-Fetch-Site', 'cross-site').send({})
      expect([status, body.code]).toEqual([403, 'cross_site_request'])
    }
  })

  it('is cancelled, and not sent, when the account is disabled first', async () => {
    mail.refuseWith(450)
    try {
      await forget(person.username).expect(202)
      await until(async () => (await messagesTo(address))[0]?.status === 'pending')
      await sql('update users set enabled = false where id = $1', [person.id])
      expect(await messagesTo(address)).toEqual([{ status: 'cancelled' }])
    } finally {
      mail.refuseWith(undefined)
    }
  })

  it('has a page with a form, in the language of the browser', async () => {
    const page = await api().get('/auth/forgot').set('Accept', html).set('Accept-Language', 'de')
    expect(page.text).toContain('Passwort vergessen?')
    const done = await api()
      .post('/auth/forgot')
      .set({ Accept: html, 'Accept-Language': 'de', 'X-Forwarded-For': client() })
      .type('form')
      .send({ identifier: person.username })
    expect([done.status, done.text.includes('Sehen Sie in Ihre E-Mails')]).toEqual([202, true])
    expect((await mail.to(address))[0]!.headers.subject).toBe('Passwort zurücksetzen')
  })

  it('leaves no link in the log, the audit or the list of messages', async () => {
    await forget(person.username).expect(202)
    const token = (await linkTo(address)).split('/').at(-1)!
    await reset(`/auth/reset/${token}`).expect(204)
    const { token: petra } = await tokenFor(gateway.database, 'petra')
    const listed = await api().get(`/admin/messages?to=${address}`).set('Authorization', `Bearer ${petra}`)
    expect(listed.body.items.length).toBeGreaterThan(0)
    const stored = await sql(`select json_agg(e)::text as all from audit_events e`)
    for (const text of [listed.text, JSON.stringify(stored), gateway.logLines.join('\n')])
      expect(text).not.toContain(token)
    expect(users.petra).not.toBe(person.id)
  })
})
