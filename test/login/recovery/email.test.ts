import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { tokenFor } from '../../support/demo.js'
import { directoryOf, type Newcomer } from '../../support/directory.js'
import { startTestGateway, type TestGateway } from '../../support/gateway.js'
import { linkOf, pathOf, startMailServer, type MailServer } from '../../support/mail.js'

const html = 'text/html,application/xhtml+xml'
const fresh = () => `${randomUUID()}@example.com`

describe('a change of address', () => {
  let mail: MailServer
  let gateway: TestGateway
  let person: Newcomer
  let old: string
  let next: string
  beforeAll(async () => {
    mail = await startMailServer()
    const variables = { SMTP_URL: mail.url, MAIL_FROM: 'gate@example.org' }
    gateway = await startTestGateway({ environment: variables })
  })
  afterAll(async () => {
    await gateway.stop()
    await mail.stop()
  })
  const sql: TestGateway['database']['sql'] = (statement, values) => gateway.database.sql(statement, values)
  const api = () => request(gateway.url)
  const as = ({ token }: { token: string }) => ({ Authorization: `Bearer ${token}` })
  const ask = (email: string, by = person) => api().post('/auth/email').set(as(by)).send({ email })
  const use = (path: string, by?: Newcomer) =>
    api()
      .post(path)
      .set(by ? as(by) : {})
  const signIn = async ({ id, username }: Newcomer): Promise<Newcomer> => {
    const shape = { claims: { sub: username, userId: id }, row: { userId: id } }
    return { id, username, token: (await tokenFor(gateway.database, 'alice', shape)).token }
  }
  const emailOf = async ({ id }: Newcomer) =>
    (
      await sql<{ email: string; email_confirmed: boolean }>(
        'select email, email_confirmed from users where id = $1',
        [id],
      )
    )[0]!
  const linkTo = async (to: string, count = 1) => pathOf(linkOf((await mail.to(to, count)).at(-1)!))
  beforeEach(async () => {
    person = await directoryOf(gateway.database).user()
    ;[old, next] = [fresh(), fresh()]
    await sql('update users set email = $2, email_confirmed = false where id = $1', [person.id, old])
  })

  it('is 404 without a way out, 401 without a token, and 403 without a session', async () => {
    const plain = await startTestGateway({ database: gateway.database })
    try {
      const answer = await request(plain.url).post('/auth/email').set(as(person)).send({ email: next })
      expect(answer.status).toBe(404)
    } finally {
      await plain.stop()
    }
    expect((await api().post('/auth/email').send({ email: next })).status).toBe(401)
    const { token } = await tokenFor(gateway.database, 'alice', {
      claims: { sid: undefined },
      row: { sessionId: null },
    })
    const refused = await api().post('/auth/email').set(as({ token })).send({ email: next })
    expect([refused.status, refused.body.code]).toEqual([403, 'permission_denied'])
  })

  it('is made when the new address confirms it, and not before', async () => {
    expect((await ask(next)).status).toBe(202)
    expect((await emailOf(person)).email).toBe(old)
    const path = await linkTo(next)
    expect((await use(path, person)).status).toBe(204)
    expect(await emailOf(person)).toEqual({ email: next, email_confirmed: true })
    expect((await use(path, person)).status).toBe(404)
    const [event] = await sql<{ details: object }>(
      `select details from audit_events where action = 'email_changed' and user_id = $1`,
      [person.id],
    )
    expect(event!.details).toMatchObject({ subject: `user:${person.id}` })
  })

  it('is confirmed by a session of that user alone: none is 401, that of another 404, and the link stays', async () => {
    await ask(next).expect(202)
    const path = await linkTo(next)
    const other = await directoryOf(gateway.database).user()
    expect((await use(path)).status).toBe(401)
    expect((await use(path, { ...person, token: 'a.b.c' })).status).toBe(401)
    expect((await use(path, other)).status).toBe(404)
    expect((await emailOf(person)).email).toBe(old)
    expect((await use(path, person)).status).toBe(204)
  })

  it('shows a page with a button to that user, and to others that they have to sign in', async () => {
    await ask(next).expect(202)
    const path = await linkTo(next)
    const look = (headers: object) =>
      api()
        .get(path)
        .set({ Accept: html, ...headers })
    expect((await look(as(person))).text).toContain('<button type="submit">Confirm the address</button>')
    const stranger = await look({})
    expect(stranger.text).toContain('Sign in')
    expect(stranger.text).not.toContain('<form')
    for (const secret of [next, person.username]) expect(stranger.text).not.toContain(secret)
    const done = await api()
      .post(path)
      .set({ Accept: html, ...as(person) })
      .type('form')
      .send('')
    expect([done.status, done.text.includes('Your address is changed')]).toEqual([200, true])
  })

  it('is told to the old address, whose link cancels it and ends all sessions', async () => {
    await ask(next).expect(202)
    const [confirm, undo] = [await linkTo(next), await linkTo(old)]
    const page = await api().get(undo).set('Accept', html)
    expect(page.text).toContain('Undo the change')
    expect((await use(undo)).status).toBe(204)
    expect((await api().get('/auth/me').set(as(person))).body.code).toBe('token_invalid')
    expect((await use(confirm, await signIn(person))).status).toBe(404)
    expect(await emailOf(person)).toEqual({ email: old, email_confirmed: false })
    expect((await use(undo)).status).toBe(404)
  })

  it('is put back by that link, with what the address was, and is audited', async () => {
    await ask(next).expect(202)
    await use(await linkTo(next), person).expect(204)
    const undo = await linkTo(old)
    expect((await use(undo)).status).toBe(204)
    expect(await emailOf(person)).toEqual({ email: old, email_confirmed: false })
    expect(
      await sql(`select from audit_events where action = 'email_undone' and user_id = $1`, [person.id]),
    ).toHaveLength(1)
  })

  it('takes with it, when undone, the links that were sent elsewhere since: resets, and later undos', async () => {
    await ask(next).expect(202)
    await use(await linkTo(next), person).expect(204)
    const undo = await linkTo(old)
    const last = fresh()
    await ask(last).expect(202)
    const laterUndo = await linkTo(next, 2)
    await use(await linkTo(last), person).expect(204)
    await api().post('/auth/forgot').send({ identifier: last }).expect(202)
    const stolen = await linkTo(last, 2)
    expect((await api().get(stolen)).status).toBe(200)
    expect((await use(undo)).status).toBe(204)
    expect((await emailOf(person)).email).toBe(old)
    for (const path of [laterUndo, stolen]) expect((await api().get(path)).status).toBe(404)
  })

  it('keeps links that the old address got itself, and those of before', async () => {
    await api().post('/auth/forgot').send({ identifier: old }).expect(202)
    const own = await linkTo(old)
    await ask(next).expect(202)
    await use(await linkTo(old, 2)).expect(204)
    expect((await api().get(own)).status).toBe(200)
  })

  it('is confirmed by the newest link alone', async () => {
    await ask(next).expect(202)
    const first = await linkTo(next)
    const other = fresh()
    await ask(other).expect(202)
    expect((await use(first, person)).status).toBe(404)
    expect((await use(await linkTo(other), person)).status).toBe(204)
  })

  it('makes reset links of the old address stop working', async () => {
    await api().post('/auth/forgot').send({ identifier: old }).expect(202)
    const reset = await linkTo(old)
    await ask(next).expect(202)
    await use(await linkTo(next), person).expect(204)
    expect((await api().get(reset)).status).toBe(404)
  })

  it('is refused beyond RATE_LIMIT_MAIL by account, and then nothing is made', async () => {
    for (let round = 0; round < 5; round += 1) await ask(fresh()).expect(202)
    const before = await sql('select id from account_links where user_id = $1 order by id', [person.id])
    const refused = await ask(next)
    expect([refused.status, refused.body.code]).toEqual([429, 'rate_limited'])
    expect(await sql('select id from account_links where user_id = $1 order by id', [person.id])).toEqual(
      before,
    )
  })

  it.each([
    'no address',
    '"a"@example.com',
    'a@b@example.com',
    'a@example.com, b@example.com',
    'a@localhost',
  ])('to %j is 400', async (email) => {
    const refused = await ask(email)
    expect([refused.status, refused.body.code]).toEqual([400, 'validation_failed'])
  })

  it('keeps the domain as A-labels', async () => {
    const local = randomUUID()
    await ask(`${local}@bücher.example`).expect(202)
    await use(await linkTo(`${local}@bücher.example`), person).expect(204)
    expect((await emailOf(person)).email).toBe(`${local}@xn--bcher-kva.example`)
  })

  it('takes nothing that the page of another site sends', async () => {
    await ask(next).expect(202)
    for (const path of ['/auth/email', await linkTo(next), await linkTo(old)]) {
      const { status, body } = await api()
        .post(path)
        .set({ 'Sec-Fetch-Site': 'cross-site', ...as(person) })
        .send({})
      expect([status, body.code]).toEqual([403, 'cross_site_request'])
    }
  })
})
