import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { administrationOf, type Administration, type Asker } from '../support/administration.js'
import { instances, mandates, roles, users } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { linkOf, pathOf, startMailServer, type MailServer } from '../support/mail.js'
import { until } from '../support/until.js'

const fresh = () => `${randomUUID()}@example.com`
const mandatePath = '/mandate/invitations'
const adminPath = (mandateId: string) => `/admin/mandates/${mandateId}/invitations`

describe('an invitation', () => {
  let mail: MailServer
  let gateway: TestGateway
  let ask: Administration['ask']
  beforeAll(async () => {
    mail = await startMailServer()
    gateway = await startTestGateway({
      environment: { SMTP_URL: mail.url, MAIL_FROM: 'gate@example.org', RATE_LIMIT_MAIL: '3/3600s' },
    })
    ask = administrationOf(gateway).ask
  })
  afterAll(async () => {
    await gateway.stop()
    await mail.stop()
  })
  const sql: TestGateway['database']['sql'] = (statement, values) => gateway.database.sql(statement, values)
  const directory = () => directoryOf(gateway.database)
  const invite = (body: object, who: Asker = 'alice', path = mandatePath) =>
    ask(who, 'post', path, { in: mandates.acme, body })
  const byLink = async (body: object = {}) =>
    (await invite({ email: fresh(), deliver: 'link', ...body })).body as {
      id: string
      link: string
      email: string
    }
  const show = async (id: string) =>
    (await ask('alice', 'get', `${mandatePath}/${id}`, { in: mandates.acme })).body as {
      status: string
      delivery: { status: string } | null
      link: null
    }
  /** Somebody who may invite to acme and holds these rules beside. */
  const governor = async (...rules: { item: string; create?: string; read?: string; view?: boolean }[]) => {
    const newcomer = await directory().user()
    const own = await directory().role({
      mandateId: mandates.acme,
      rules: rules.map((rule) => ({ context: 'RESOURCE', view: true, ...rule })),
    })
    await directory().join(newcomer.id, mandates.acme, { roles: [own] })
    return newcomer
  }

  it('is mailed to the address, and its link is shown to nobody else', async () => {
    const email = fresh()
    const { status, body } = await invite({ email, roleIds: [roles.viewer], days: 3 })
    expect(status).toBe(201)
    expect(body).toMatchObject({
      id: expect.any(String),
      email,
      roleIds: [roles.viewer],
      access: [],
      status: 'pending',
      invitedBy: users.alice,
      acceptedBy: null,
      link: null,
      delivery: { status: 'pending', error: null },
      coherence: expect.any(Object),
    })
    expect((Date.parse(body.expiresAt) - Date.now()) / 86_400_000).toBeCloseTo(3, 2)
    const [sent] = await mail.to(email)
    expect(sent!.headers.subject).toMatch(/^Invitation to /)
    const token = pathOf(linkOf(sent!)).split('/').at(-1)!
    await until(async () => (await show(body.id)).delivery?.status === 'sent')
    const listed = await ask('alice', 'get', `${mandatePath}?status=pending`, { in: mandates.acme })
    expect(listed.body.items[0]).toMatchObject({ id: body.id, link: null, delivery: { status: 'sent' } })
    const stored = JSON.stringify(await sql('select * from invitations'))
    const audit = JSON.stringify(await sql('select * from audit_events'))
    for (const text of [listed.text, stored, audit, gateway.logLines.join()])
      expect(text).not.toContain(token)
  })

  it('is answered as a link where that is asked for, once', async () => {
    const { id, link } = await byLink()
    expect(link).toMatch(new RegExp(`^${gateway.url}/auth/invitations/[\\w-]{43}$`))
    expect(await show(id)).toMatchObject({ link: null, delivery: null })
  })

  it('to be mailed without a way out is 400, and by default a link then', async () => {
    const plain = await startTestGateway({ database: gateway.database })
    try {
      const asking = administrationOf(plain).ask
      const post = (body: object) => asking('alice', 'post', mandatePath, { in: mandates.acme, body })
      const refused = await post({ email: fresh(), deliver: 'mail' })
      expect([refused.status, refused.body.errors[0].path]).toEqual([400, 'deliver'])
      const made = await post({ email: fresh() })
      expect([made.status, typeof made.body.link]).toEqual([201, 'string'])
    } finally {
      await plain.stop()
    }
  })

  it('is made by platform admins for any mandate, and by nobody else', async () => {
    const made = await invite(
      { email: fresh(), roleIds: [roles.acmeAdmin] },
      'petra',
      adminPath(mandates.acme),
    )
    expect([made.status, made.body.invitedBy]).toEqual([201, users.petra])
    expect((await invite({ email: fresh() }, 'bob')).body.code).toBe('permission_denied')
    expect((await invite({ email: fresh() }, 'erin')).body.code).toBe('not_a_member')
    expect((await invite({ email: fresh() }, 'alice', adminPath(mandates.acme))).body.code).toBe(
      'platform_admin_required',
    )
    expect((await invite({ email: fresh() }, 'petra', adminPath(randomUUID()))).status).toBe(404)
  })

  it('gives no more than its inviter could give to a new member: roles', async () => {
    const weak = await governor({ item: 'gateway.members', create: 'a', read: 'a' })
    const refused = await invite({ email: fresh(), roleIds: [roles.acmeAdmin] }, weak)
    expect([refused.status, refused.body.code]).toEqual([403, 'permission_denied'])
    const strong = await directory().role({
      mandateId: mandates.acme,
      rules: [{ context: 'RESOURCE', item: 'gateway.members', view: true, create: 'a' }],
    })
    expect((await invite({ email: fresh(), roleIds: [strong] }, weak)).status).toBe(201)
  })

  it('gives access to instances only by who may give that', async () => {
    const access = [{ instanceId: instances.acmeCrm, roleIds: [] }]
    const weak = await governor({ item: 'gateway.members', create: 'a' })
    const refused = await invite({ email: fresh(), access }, weak)
    expect([refused.status, refused.body.code]).toEqual([403, 'permission_denied'])
    const both = await governor(
      { item: 'gateway.members', create: 'a' },
      { item: 'gateway.instances', create: 'a' },
    )
    expect((await invite({ email: fresh(), access }, both)).status).toBe(201)
    const beyond = [{ instanceId: instances.acmeCrm, roleIds: [roles.crmEditor] }]
    expect((await invite({ email: fresh(), access: beyond }, both)).body.code).toBe('permission_denied')
    const made = await invite({ email: fresh(), access: beyond })
    expect([made.status, made.body.access]).toEqual([201, beyond])
  })

  it('with a role or instance of another mandate, or of none, is the same 404', async () => {
    const foreign = await directory().role({ mandateId: mandates.globex })
    const answers = []
    for (const body of [
      { roleIds: [foreign] },
      { roleIds: [randomUUID()] },
      { access: [{ instanceId: instances.globexCrm }] },
      { access: [{ instanceId: randomUUID() }] },
    ]) {
      const answer = await invite({ email: fresh(), ...body })
      answers.push(answer.text.replace(String(answer.body.requestId), ''))
      expect(answer.status).toBe(404)
    }
    expect(new Set(answers).size).toBe(1)
    expect((await invite({ email: fresh(), roleIds: [roles.crmReader] })).status).toBe(400)
  })

  it('of an address that is invited here, or a member’s, in any case, is 409', async () => {
    const { email } = await byLink()
    for (const taken of [email.toUpperCase(), 'BOB@example.com', 'carol@example.com']) {
      const { status, body } = await invite({ email: taken })
      expect([taken, status, body.code]).toEqual([taken, 409, 'conflict'])
    }
  })

  it('of two at once for one address, one is made', async () => {
    const email = fresh()
    const answers = await Promise.all(Array.from({ length: 5 }, () => invite({ email })))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409])
  })

  it('is answered alike whatever accounts exist elsewhere', async () => {
    const shapes = []
    const elsewhere = await directory().user()
    const known = fresh()
    await sql('update users set email = $2 where id = $1', [elsewhere.id, known])
    for (const email of [fresh(), known, 'erin@example.com', 'petra@example.com', 'root@example.com']) {
      const { status, body, headers } = await invite({ email, deliver: 'link' })
      expect(status).toBe(201)
      const { date: _d, 'x-request-id': _i, location: _l, 'content-length': _c, ...rest } = headers
      const { id: _id, email: _e, link: _link, expiresAt: _x, coherence: _co, ...same } = body
      shapes.push(JSON.stringify([rest, same]))
    }
    expect(new Set(shapes).size).toBe(1)
  })

  it('takes as long for an address that has accounts elsewhere as for one that has none', async () => {
    const known = fresh()
    for (let index = 0; index < 50; index += 1)
      await sql('update users set email = $2 where id = $1', [(await directory().user()).id, known])
    const times: Record<'known' | 'unknown', number[]> = { known: [], unknown: [] }
    for (let round = 0; round < 30; round += 1)
      for (const kind of ['known', 'unknown'] as const) {
        const begun = performance.now()
        const { body } = await invite({ email: kind === 'known' ? known : fresh(), deliver: 'link' })
        times[kind].push(performance.now() - begun)
        await ask('alice', 'delete', `${mandatePath}/${body.id}`, { in: mandates.acme })
      }
    const middle = (all: number[]) => all.sort((one, other) => one - other)[all.length / 2]!
    const ratio = middle(times.known) / middle(times.unknown)
    expect(ratio).toBeGreaterThan(0.6)
    expect(ratio).toBeLessThan(1.6)
  }, 60_000)

  it('beyond the quota of members and pending invitations is 409', async () => {
    const mandateId = await directory().mandate()
    await directory().join(users.bob, mandateId, { roles: [] })
    await sql('insert into subscriptions (mandate_id, plan, members) values ($1, $2, 2)', [
      mandateId,
      'small',
    ])
    const post = () => invite({ email: fresh(), deliver: 'link' }, 'petra', adminPath(mandateId))
    const first = await post()
    expect([first.status, (await post()).status]).toEqual([201, 409])
    await ask('petra', 'delete', `${adminPath(mandateId)}/${first.body.id}`)
    expect((await post()).status).toBe(201)
  })

  it('beyond RATE_LIMIT_MAIL is 429, and nothing is made', async () => {
    const email = fresh()
    const { body } = await invite({ email })
    const resend = () => ask('alice', 'post', `${mandatePath}/${body.id}/resend`, { in: mandates.acme })
    expect([(await resend()).status, (await resend()).status]).toEqual([200, 200])
    const before = await sql('select token_hash, expires_at from invitations where id = $1', [body.id])
    const refused = await resend()
    expect([refused.status, refused.body.code]).toEqual([429, 'rate_limited'])
    expect(refused.headers).toHaveProperty('retry-after')
    expect(await sql('select token_hash, expires_at from invitations where id = $1', [body.id])).toEqual(
      before,
    )
  })

  it('is sent again with a new link, while pending or expired; the old link stops working', async () => {
    const { id, link } = await byLink()
    const resend = (body?: object) =>
      ask('alice', 'post', `${mandatePath}/${id}/resend`, { in: mandates.acme, ...(body ? { body } : {}) })
    await sql(`update invitations set expires_at = now() where id = $1`, [id])
    expect((await show(id)).status).toBe('expired')
    const again = await resend({ deliver: 'link', days: 1 })
    expect([again.status, again.body.status]).toEqual([200, 'pending'])
    const page = async (address: string) => (await fetch(address)).status
    expect([await page(link), await page(again.body.link)]).toEqual([404, 200])
    expect((await resend()).body.link).toBeNull()
    expect(await page(again.body.link)).toBe(404)
    await ask('alice', 'delete', `${mandatePath}/${id}`, { in: mandates.acme })
    expect((await resend()).body.code).toBe('conflict')
  })

  it('sent again is judged as its caller’s own', async () => {
    const { id } = await byLink({ roleIds: [roles.acmeAdmin] })
    const weak = await governor({ item: 'gateway.members', create: 'a' })
    const refused = await ask(weak, 'post', `${mandatePath}/${id}/resend`, { in: mandates.acme })
    expect([refused.status, refused.body.code]).toEqual([403, 'permission_denied'])
  })

  it('is not mailed any more once it is revoked or replaced before it was sent', async () => {
    mail.refuseWith(450)
    try {
      const { body } = await invite({ email: fresh() })
      const states = () =>
        sql<{ status: string }>('select status from messages where recipient = $1 order by created_at', [
          body.email,
        ])
      await until(async () => (await states())[0]?.status === 'pending')
      await ask('alice', 'post', `${mandatePath}/${body.id}/resend`, { in: mandates.acme })
      expect((await states()).map(({ status }) => status)).toEqual(['cancelled', 'pending'])
      await ask('alice', 'delete', `${mandatePath}/${body.id}`, { in: mandates.acme })
      expect((await states()).map(({ status }) => status)).toEqual(['cancelled', 'cancelled'])
    } finally {
      mail.refuseWith(undefined)
    }
  })

  it('is revoked with coherence, and its link works no more', async () => {
    const { id, link } = await byLink()
    const revoked = await ask('alice', 'delete', `${mandatePath}/${id}`, { in: mandates.acme })
    expect([revoked.status, revoked.body]).toEqual([200, { coherence: expect.any(Object) }])
    expect((await fetch(link)).status).toBe(404)
    expect((await show(id)).status).toBe('revoked')
  })

  it('of another mandate does not exist', async () => {
    const made = await invite({ email: fresh() }, 'petra', adminPath(mandates.globex))
    const path = `${mandatePath}/${made.body.id}`
    const answers = await Promise.all([
      ask('alice', 'get', path, { in: mandates.acme }),
      ask('alice', 'delete', path, { in: mandates.acme }),
      ask('alice', 'post', `${path}/resend`, { in: mandates.acme }),
    ])
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404])
  })

  it('can be tried without being made', async () => {
    const email = fresh()
    const { status, body } = await invite(
      { email, roleIds: [roles.viewer] },
      'alice',
      `${mandatePath}?dryRun=1`,
    )
    expect([status, body.dryRun]).toEqual([200, true])
    expect(await sql('select from invitations where email = $1', [email])).toEqual([])
    expect(await sql('select from messages where recipient = $1', [email])).toEqual([])
  })

  it.each<[string, object]>([
    ['an address that is none', { email: 'nobody' }],
    ['no day', { email: fresh(), days: 0 }],
    ['31 days', { email: fresh(), days: 31 }],
    ['an unknown language', { email: fresh(), language: 'xx' }],
    ['an instance twice', { email: fresh(), access: [1, 2].map(() => ({ instanceId: instances.acmeCrm })) }],
    [
      'an end of the membership, which memberships do not have',
      { email: fresh(), membershipExpiresAt: '2027-01-01T00:00:00Z' },
    ],
  ])('with %s is 400', async (_, body) => {
    expect((await invite(body)).status).toBe(400)
  })

  it('leaves events in the mandate’s audit, without the address', async () => {
    const { id, email } = await byLink()
    await ask('alice', 'post', `${mandatePath}/${id}/resend`, {
      in: mandates.acme,
      body: { deliver: 'link' },
    })
    await ask('alice', 'delete', `${mandatePath}/${id}`, { in: mandates.acme })
    const events = await sql<{ action: string; mandate_id: string }>(
      `select action, mandate_id from audit_events where details->>'subject' = $1 order by seq`,
      [`invitation:${id}`],
    )
    expect(events).toEqual(
      ['invitation_created', 'invitation_resent', 'invitation_revoked'].map((action) => ({
        action,
        mandate_id: mandates.acme,
      })),
    )
    expect(JSON.stringify(await sql('select value from audit_personal'))).not.toContain(email)
  })
})
