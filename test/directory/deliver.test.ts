import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { administrationOf, type Administration } from '../support/administration.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { linkOf, pathOf, startMailServer, type MailServer } from '../support/mail.js'

const good = 'correct horse battery'
const fresh = () => `${randomUUID()}@example.com`

describe('a link to a first password', () => {
  let mail: MailServer
  let gateway: TestGateway
  let ask: Administration['ask']
  beforeAll(async () => {
    mail = await startMailServer()
    gateway = await startTestGateway({
      environment: { SMTP_URL: mail.url, MAIL_FROM: 'gate@example.org', RATE_LIMIT_MAIL: '2/3600s' },
    })
    ask = administrationOf(gateway).ask
  })
  afterAll(async () => {
    await gateway.stop()
    await mail.stop()
  })
  const sql: TestGateway['database']['sql'] = (statement, values) => gateway.database.sql(statement, values)
  const make = (body: object) =>
    ask('petra', 'post', '/admin/users', { body: { username: `made-${randomUUID()}`, ...body } })
  const reset = (id: string, body?: object) =>
    ask('petra', 'post', `/admin/users/${id}/first-access`, body === undefined ? {} : { body })

  it('is mailed by default where there is an address, and is shown to nobody', async () => {
    const email = fresh()
    const { status, body } = await make({ email, language: 'de' })
    expect(status).toBe(201)
    expect(body.firstAccess).toEqual({
      url: null,
      link: null,
      expiresAt: expect.any(String),
      delivery: { status: 'pending', at: expect.any(String), error: null },
    })
    const [sent] = await mail.to(email)
    expect(sent!.headers.subject).toBe('Passwort festlegen')
    const path = pathOf(linkOf(sent!))
    expect((await request(gateway.url).post(path).send({ password: good })).status).toBe(204)
  })

  it('is answered where that is asked for, or where there is no address', async () => {
    for (const body of [{ email: fresh(), deliver: 'link' }, { email: null }]) {
      const { firstAccess } = (await make(body)).body
      expect(firstAccess).toMatchObject({
        link: expect.stringContaining('/auth/first-access/'),
        delivery: null,
      })
      expect(firstAccess.url).toBe(firstAccess.link)
    }
  })

  it('to be mailed without an address is 400, and no user is made', async () => {
    const username = `made-${randomUUID()}`
    const refused = await make({ username, deliver: 'mail' })
    expect([refused.status, refused.body.errors[0].path]).toEqual([400, 'deliver'])
    expect(await sql('select from users where username = $1', [username])).toEqual([])
  })

  it('is mailed again when a password is reset, and the one before is not sent any more', async () => {
    const { id } = await directoryOf(gateway.database).user()
    const email = fresh()
    await sql('update users set email = $2 where id = $1', [id, email])
    mail.refuseWith(450)
    const first = await reset(id)
    expect([first.status, first.body.link, first.body.delivery.status]).toEqual([201, null, 'pending'])
    expect((await reset(id, { deliver: 'mail', language: 'en' })).status).toBe(201)
    const states = await sql<{ status: string }>(
      'select status from messages where recipient = $1 order by created_at',
      [email],
    )
    mail.refuseWith(undefined)
    expect(states.map(({ status }) => status)).toEqual(['cancelled', 'pending'])
    const byHand = await reset(id, { deliver: 'link' })
    expect(byHand.body.link).toMatch(/\/auth\/first-access\//)
  })

  it('beyond RATE_LIMIT_MAIL by recipient is 429, and the last link stays good', async () => {
    const { id } = await directoryOf(gateway.database).user()
    const email = fresh()
    await sql('update users set email = $2 where id = $1', [id, email])
    expect([(await reset(id)).status, (await reset(id)).status]).toEqual([201, 201])
    const links = () => sql('select token_hash, expires_at from first_access_links where user_id = $1', [id])
    const before = await links()
    const refused = await reset(id)
    expect([refused.status, refused.body.code]).toEqual([429, 'rate_limited'])
    expect([before.length, await links()]).toEqual([1, before])
  })

  it('that was mailed stops working when an admin changes the address; the old address is told', async () => {
    const old = fresh()
    const { body } = await make({ email: old })
    const path = pathOf(linkOf((await mail.to(old))[0]!))
    const next = fresh()
    const changed = await ask('petra', 'patch', `/admin/users/${body.id}`, { body: { email: next } })
    expect(changed.status).toBe(200)
    const notice = (await mail.to(old, 2))[1]!
    expect(notice.headers.subject).toBe('The address of your account was changed')
    expect(notice.text).not.toContain('://')
    expect((await request(gateway.url).get(path)).status).toBe(404)
    await ask('petra', 'patch', `/admin/users/${body.id}`, { body: { email: next, fullName: 'Ann' } })
    expect(mail.mails.filter(({ to }) => to.includes(next))).toEqual([])
  })

  it.each(['"a"@example.com', 'a b@example.com', 'a@b@example.com'])(
    'is made for no such address as %s',
    async (email) => {
      expect((await make({ email })).status).toBe(400)
    },
  )
})
