import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type HttpResponse, sendRequest, statusAndCode } from '../support/http-client.js'
import { mandates, tokenFor, type DemoUser } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import {
  comparable,
  contentOf,
  cookieOf,
  demoPortal,
  enter,
  insertClientWithLink,
  insertProject,
  sealed,
  sessionOf,
} from '../support/portal.js'

interface ClientRow {
  id: string
  mandate_id: string
  name: string
  slug: string
  active: boolean
}
interface LinkRow {
  id: string
  client_id: string
  token_hash: string
  label: string | null
  revoked_at: Date | null
  last_used_at: Date | null
}

describe('a preview', () => {
  let gateway: TestGateway
  const tokens = new Map<DemoUser, string>()
  beforeAll(async () => {
    gateway = await startTestGateway({ environment: { CORS_ORIGINS: 'https://app.example.com' } })
    for (const user of ['alice', 'bob', 'carol', 'erin', 'petra', 'root', 'frank'] as const)
      tokens.set(user, (await tokenFor(gateway.database, user)).token)
  })
  afterAll(() => gateway.stop())

  const sql = <Row>(statement: string) => gateway.database.sql<Row>(statement)
  const preview = (project: string, user: DemoUser | null = 'alice', headers: Record<string, string> = {}) =>
    sendRequest(gateway.url, `/projects/${project}/portal-preview`, {
      headers: {
        Accept: 'application/json',
        ...(user ? { Cookie: `auth_token=${tokens.get(user)!}` } : {}),
        ...headers,
      },
    })
  const clientOfProject = async (project: string) =>
    (
      await sql<ClientRow>(
        `select c.id, c.mandate_id, c.name, c.slug, c.active
          from portal_clients c
          join projects p on p.client_id = c.id
          where p.id = '${project}'`,
      )
    )[0]!
  const linksOf = (client: string) =>
    sql<LinkRow>(`select * from portal_access_tokens where client_id = '${client}' order by created_at`)
  const counts = async () =>
    (
      await sql(
        `select (select count(*) from portal_clients) as clients, (select count(*) from portal_access_tokens) as links`,
      )
    )[0]
  const me = async (answer: HttpResponse) =>
    JSON.parse(
      (
        await sendRequest(gateway.url, '/portal/api/me', {
          headers: { Cookie: `portal_session=${cookieOf(answer).value}` },
        })
      ).text,
    )

  it('of a project without a client makes one, opens the portal at the project and marks it as a preview', async () => {
    const answer = await preview(demoPortal.relaunch)
    expect(answer.status).toBe(303)
    expect(answer.headers.location).toBe(`/portal?project=${demoPortal.relaunch}`)
    expect(answer.headers['cache-control']).toBe('no-store')
    const client = await clientOfProject(demoPortal.relaunch)
    expect(client).toMatchObject({
      mandate_id: mandates.acme,
      name: 'Brightside GmbH',
      slug: 'preview-00000000',
      active: true,
    })
    const links = await linksOf(client.id)
    expect(links).toEqual([expect.objectContaining({ label: 'preview', revoked_at: null })])
    expect(links[0]!.token_hash).toMatch(/^[0-9a-f]{64}$/)
    const { value, attributes } = cookieOf(answer)
    const content = contentOf(value)
    expect(content).toEqual({ tid: links[0]!.id, iat: expect.any(Number) })
    expect(value).toBe(sealed(content))
    expect(attributes).toEqual(
      expect.arrayContaining(['Path=/', 'HttpOnly', 'SameSite=Lax', `Max-Age=${30 * 24 * 60 * 60}`]),
    )
    expect(await me(answer)).toMatchObject({
      client: { id: client.id, name: 'Brightside GmbH' },
      preview: true,
    })
    const page = await sendRequest(gateway.url, answer.headers.location!, {
      headers: { Cookie: `portal_session=${value}` },
    })
    expect(page.status).toBe(200)
    expect(page.text).toContain('<h1>Website relaunch</h1>')
    expect(page.text).toContain('Preview. You see the portal as Brightside GmbH sees it.')
  })

  it('again makes nothing new', async () => {
    await preview(demoPortal.relaunch)
    const [before, client] = [await counts(), await clientOfProject(demoPortal.relaunch)]
    const first = cookieOf(await preview(demoPortal.relaunch)).value
    expect(contentOf(cookieOf(await preview(demoPortal.relaunch)).value).tid).toBe(contentOf(first).tid)
    expect(await counts()).toEqual(before)
    expect(await clientOfProject(demoPortal.relaunch)).toEqual(client)
  })

  it('50 at once make one client and one link', async () => {
    const project = await insertProject(gateway.database, mandates.acme, { client_name: 'Fifty AG' })
    const before = (await counts()) as { clients: string; links: string }
    const answers = await Promise.all(Array.from({ length: 50 }, () => preview(project)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([303]))
    expect(new Set(answers.map((answer) => contentOf(cookieOf(answer).value).tid)).size).toBe(1)
    expect(await counts()).toEqual({
      clients: String(Number(before.clients) + 1),
      links: String(Number(before.links) + 1),
    })
  })

  it('at once of projects whose ids begin alike, or that share a client, make only what each needs', async () => {
    const beginning = randomUUID().slice(0, 8)
    const twins = await Promise.all(
      Array.from({ length: 4 }, () =>
        insertProject(gateway.database, mandates.acme, {
          id: beginning + randomUUID().slice(8),
          name: 'Twin',
        }),
      ),
    )
    const answers = await Promise.all(
      twins.flatMap((project) => [preview(project), preview(project), preview(project)]),
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([303]))
    const clients = await Promise.all(twins.map(clientOfProject))
    expect(new Set(clients.map(({ id }) => id)).size).toBe(4)
    expect(clients.filter(({ slug }) => slug === `preview-${beginning}`)).toHaveLength(1)
    for (const [index, { slug }] of clients.entries())
      expect([`preview-${beginning}`, `preview-${twins[index]!}`]).toContain(slug)

    const made = await insertClientWithLink(gateway.database, mandates.acme)
    const siblings = await Promise.all(
      Array.from({ length: 3 }, () =>
        insertProject(gateway.database, mandates.acme, { client_id: made.client }),
      ),
    )
    await Promise.all(siblings.flatMap((project) => [preview(project), preview(project)]))
    expect((await linksOf(made.client)).map(({ label }) => label)).toEqual(['made by a test', 'preview'])
  })

  it.each<[string, { client_name: string | null; name: string }, string]>([
    ['client_name', { client_name: 'Brightside', name: 'Shop' }, 'Brightside'],
    ['the project’s name without one', { client_name: null, name: 'Shop' }, 'Shop'],
    ['the project’s name where it is blank', { client_name: ' ', name: 'Shop' }, 'Shop'],
    ['“Preview” without either', { client_name: '', name: '' }, 'Preview'],
  ])('names the client after %s', async (_what, row, name) => {
    const project = await insertProject(gateway.database, mandates.acme, row)
    await preview(project)
    expect((await clientOfProject(project)).name).toBe(name)
  })

  it('uses the project’s linked client, beside its real link', async () => {
    const made = await insertClientWithLink(gateway.database, mandates.acme)
    const project = await insertProject(gateway.database, mandates.acme, {
      client_id: made.client,
      client_name: 'Somebody else',
    })
    const [clientBefore, [linkBefore]] = [await clientOfProject(project), await linksOf(made.client)]
    const answer = await preview(project)
    expect((await me(answer)).client.id).toBe(made.client)
    expect(contentOf(cookieOf(answer).value).tid).not.toBe(made.link)
    expect(await clientOfProject(project)).toEqual(clientBefore)
    const [real, own, ...others] = await linksOf(made.client)
    expect([real, own?.label, others]).toEqual([linkBefore, 'preview', []])
    expect((await enter(gateway.url, made.token)).status).toBe(303)
  })

  it('does nothing for a client that is not active', async () => {
    const made = await insertClientWithLink(gateway.database, mandates.acme, { active: false })
    const project = await insertProject(gateway.database, mandates.acme, { client_id: made.client })
    const before = await counts()
    const answer = await preview(project)
    expect(statusAndCode(answer)).toEqual([409, 'conflict'])
    expect(answer.headers).not.toHaveProperty('set-cookie')
    expect([await counts(), (await clientOfProject(project)).active]).toEqual([before, false])
  })

  it('does nothing for a client of another mandate', async () => {
    const made = await insertClientWithLink(gateway.database, mandates.globex)
    const project = await insertProject(gateway.database, mandates.acme, { client_id: made.client })
    expect(statusAndCode(await preview(project))).toEqual([409, 'conflict'])
    expect(await linksOf(made.client)).toHaveLength(1)
  })

  it('takes the client with its slug, whatever has become of it', async () => {
    const project = await insertProject(gateway.database, mandates.acme, { client_name: 'New name' })
    const slug = `preview-${project.slice(0, 8)}`
    const [{ id }] = (await sql<{ id: string }>(
      `insert into portal_clients (mandate_id, name, slug, active)
        values ('${mandates.acme}', 'Old name', '${slug}', false)
        returning id`,
    )) as [{ id: string }]
    await preview(project)
    expect(await clientOfProject(project)).toEqual({
      id,
      mandate_id: mandates.acme,
      name: 'New name',
      slug,
      active: true,
    })
  })

  it('leaves the slug to the other project whose preview it is, also when that has another client now', async () => {
    const [first, second] = [await insertProject(gateway.database, mandates.acme), randomUUID()]
    const shared = first.slice(0, 8) + second.slice(8)
    await insertProject(gateway.database, mandates.acme, { id: shared })
    await preview(first)
    await sql(`update projects set client_id = '${demoPortal.northwind}' where id = '${first}'`)
    await preview(shared)
    expect((await clientOfProject(shared)).slug).toBe(`preview-${shared}`)
  })

  it('leaves it, too, where plain SQL has given it to another project', async () => {
    const project = await insertProject(gateway.database, mandates.acme)
    const slug = `preview-${project.slice(0, 8)}`
    const [{ id }] = (await sql<{ id: string }>(
      `insert into portal_clients (mandate_id, name, slug)
        values ('${mandates.acme}', 'Theirs', '${slug}')
        returning id`,
    )) as [{ id: string }]
    await insertProject(gateway.database, mandates.acme, { client_id: id })
    await preview(project)
    expect((await clientOfProject(project)).slug).toBe(`preview-${project}`)
  })

  it('has the slug of its own mandate, whatever another one calls its clients', async () => {
    const project = await insertProject(gateway.database, mandates.acme)
    const slug = `preview-${project.slice(0, 8)}`
    await sql(
      `insert into portal_clients (mandate_id, name, slug) values ('${mandates.globex}', 'Theirs', '${slug}')`,
    )
    await preview(project)
    expect(await clientOfProject(project)).toMatchObject({ slug, mandate_id: mandates.acme })
  })

  it('has a new link where the old one was revoked or has ended', async () => {
    const project = await insertProject(gateway.database, mandates.acme)
    const old = cookieOf(await preview(project)).value
    const { id: client } = await clientOfProject(project)
    await sql(`update portal_access_tokens set revoked_at = now() where client_id = '${client}'`)
    expect(
      (await sendRequest(gateway.url, '/portal/api/me', { headers: { Cookie: `portal_session=${old}` } }))
        .status,
    ).toBe(401)
    const answer = await preview(project)
    expect((await me(answer)).preview).toBe(true)
    expect(await linksOf(client)).toHaveLength(2)
    await sql(`update portal_access_tokens set expires_at = now() where client_id = '${client}'`)
    expect((await me(await preview(project))).preview).toBe(true)
  })

  describe('whoever asks', () => {
    it('must be signed in', async () => {
      expect(statusAndCode(await preview(demoPortal.relaunch, null))).toEqual([
        401,
        'authentication_required',
      ])
      expect(
        statusAndCode(await preview(demoPortal.relaunch, null, { Authorization: 'Bearer x.y.z' })),
      ).toEqual([401, 'token_invalid'])
      expect(statusAndCode(await preview(demoPortal.relaunch, null, sessionOf(demoPortal.link)))).toEqual([
        401,
        'authentication_required',
      ])
      expect(
        (await preview(demoPortal.relaunch, null, { Authorization: `Bearer ${tokens.get('alice')!}` }))
          .status,
      ).toBe(303)
    })

    it.each<[DemoUser, string, number, string]>([
      ['bob', 'a member without the permission', 403, 'permission_denied'],
      ['carol', 'whose membership is disabled', 403, 'membership_disabled'],
      ['frank', 'a PlatformAdmin whose membership is disabled', 403, 'membership_disabled'],
      ['petra', 'a PlatformAdmin, whom no rule allows it', 403, 'permission_denied'],
      ['erin', 'no member', 404, 'not_found'],
    ])('%s, %s: %i %s', async (user, _what, status, code) => {
      const before = await counts()
      const answer = await preview(demoPortal.relaunch, user)
      expect(statusAndCode(answer)).toEqual([status, code])
      expect(answer.headers).not.toHaveProperty('set-cookie')
      expect(await counts()).toEqual(before)
    })

    it('a SysAdmin may, and the entry is audited', async () => {
      expect((await preview(demoPortal.relaunch, 'root')).status).toBe(303)
    })

    it('is held to create: reading, changing and deleting are not enough', async () => {
      const directory = directoryOf(gateway.database)
      const may = async (rule: Record<string, string>) => {
        const role = await directory.role({
          mandateId: mandates.acme,
          rules: [{ context: 'RESOURCE', item: 'gateway.portal', ...rule }],
        })
        const user = await directory.user()
        await directory.join(user.id, mandates.acme, { roles: [role] })
        return (await preview(demoPortal.relaunch, null, { Authorization: `Bearer ${user.token}` })).status
      }
      expect(await may({ read: 'a', update: 'a', delete: 'a' })).toBe(403)
      for (const create of ['m', 'g', 'a']) expect(await may({ create })).toBe(303)
    })

    it('needs it in the mandate of the project, not in another', async () => {
      const project = await insertProject(gateway.database, mandates.globex)
      expect(statusAndCode(await preview(project))).toEqual([403, 'permission_denied']) // alice only views globex
    })

    it('finds a foreign, an unknown and a misnamed project equally unknown', async () => {
      const foreign = await insertProject(gateway.database, await directoryOf(gateway.database).mandate())
      const unknown = comparable(await preview(randomUUID()))
      expect(JSON.parse(unknown)[0]).toBe(404)
      expect(comparable(await preview(foreign))).toBe(unknown)
      expect(comparable(await preview('x'))).toBe(unknown)
      expect(
        comparable(await preview(demoPortal.relaunch, 'alice', { 'X-Mandate-Id': mandates.globex })),
      ).toBe(unknown)
      expect(
        comparable(await preview(demoPortal.relaunch, 'root', { 'X-Mandate-Id': mandates.globex })),
      ).toBe(unknown)
      expect(comparable(await preview(demoPortal.relaunch, 'erin'))).toBe(unknown)
    })

    it('may name the project’s mandate, and no nonsense', async () => {
      expect(
        (await preview(demoPortal.relaunch, 'alice', { 'X-Mandate-Id': mandates.acme.toUpperCase() })).status,
      ).toBe(303)
      expect((await preview(demoPortal.relaunch, 'alice', { 'X-Mandate-Id': '' })).status).toBe(303)
      expect(statusAndCode(await preview(demoPortal.relaunch, 'alice', { 'X-Mandate-Id': 'acme' }))).toEqual([
        400,
        'mandate_id_invalid',
      ])
    })

    it('is told that a disabled mandate has no portal', async () => {
      const project = await insertProject(gateway.database, mandates.initech)
      expect(statusAndCode(await preview(project, 'alice'))).toEqual([403, 'mandate_disabled'])
      expect(statusAndCode(await preview(project, 'root'))).toEqual([409, 'conflict'])
    })

    it('is remembered with the project, the client and the link, and the link’s secret is nowhere', async () => {
      const project = await insertProject(gateway.database, mandates.acme)
      const answer = await preview(project)
      const { id: client } = await clientOfProject(project)
      expect(
        await sql(
          `select user_id, mandate_id, request_id, details
            from audit_events
            where action = 'portal_preview' and details->>'subject' = 'project:${project}'`,
        ),
      ).toEqual([
        {
          user_id: '00000000-0000-4000-8000-000000000003',
          mandate_id: mandates.acme,
          request_id: answer.headers['x-request-id'],
          details: {
            subject: `project:${project}`,
            after: { clientId: client, linkId: (await linksOf(client))[0]!.id },
          },
        },
      ])
      expect(
        await sql(
          `select value
            from audit_personal p
            join audit_events e on e.id = p.event_id
            where e.request_id = '${String(answer.headers['x-request-id'])}' and field = 'after.operator'`,
        ),
      ).toEqual([{ value: 'alice' }])
    })
  })

  describe('asked for by a page', () => {
    it.each<[string, Record<string, string>, number]>([
      ['of this origin', { 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'navigate' }, 303],
      ['in the address bar', { 'Sec-Fetch-Site': 'none', 'Sec-Fetch-Mode': 'navigate' }, 303],
      ['of the same site, followed', { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'navigate' }, 303],
      [
        'of the same site, in the background',
        { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'cors' },
        403,
      ],
      ['of the same site, in the background, as old browsers say it', { 'Sec-Fetch-Site': 'same-site' }, 403],
      ['of another site, followed', { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' }, 403],
      ['of another site, as an image', { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' }, 403],
      ['of another origin, without Sec-Fetch', { Origin: 'https://evil.example' }, 403],
      ['of an opaque origin', { Origin: 'null' }, 403],
      ['of an allowed app', { Origin: 'https://app.example.com', 'Sec-Fetch-Site': 'cross-site' }, 303],
      ['by no browser', {}, 303],
    ])('%s', async (_what, headers, status) => {
      const answer = await preview(demoPortal.relaunch, 'alice', headers)
      expect(answer.status).toBe(status)
      if (status === 403) {
        expect(statusAndCode(answer)).toEqual([403, 'cross_site_request'])
        expect(answer.headers).not.toHaveProperty('set-cookie')
      }
    })

    it('a token of a header is no browser’s, and is not checked; a cookie beside it is', async () => {
      const headers = { Authorization: `Bearer ${tokens.get('alice')!}`, 'Sec-Fetch-Site': 'cross-site' }
      expect((await preview(demoPortal.relaunch, null, headers)).status).toBe(303)
      expect((await preview(demoPortal.relaunch, 'alice', headers)).status).toBe(403)
    })
  })
})
