import { createHash, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest, type HttpResponse } from '../support/http-client.js'
import { mandates, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import {
  comparable,
  demoPortal,
  enter,
  insertClientWithLink,
  insertProject,
  sessionOf,
} from '../support/portal.js'

const coherence = {
  epoch: expect.stringMatching(/^\d+$/),
  acked: expect.any(Number),
  fenced: 0,
  waitedMs: expect.any(Number),
}

describe('those who run the portal', () => {
  let gateway: TestGateway
  let alice: string
  let bob: string
  beforeAll(async () => {
    gateway = await startTestGateway()
    alice = (await tokenFor(gateway.database, 'alice')).token
    bob = (await tokenFor(gateway.database, 'bob')).token
  })
  afterAll(() => gateway.stop())

  const call = (
    method: string,
    path: string,
    {
      body,
      headers = {},
      token = alice,
      mandate = mandates.acme,
    }: { body?: unknown; headers?: Record<string, string>; token?: string; mandate?: string } = {},
  ) =>
    sendRequest(gateway.url, path, {
      method,
      headers: {
        Authorization: `Bearer ${token}`,
        'X-Mandate-Id': mandate,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- bodies of answers are looked at as they come
  const bodyOf = (answer: HttpResponse): any => JSON.parse(answer.text)
  const codeOf = (answer: HttpResponse) => [answer.status, bodyOf(answer).code]
  const events = (subject: string) =>
    gateway.database.sql<{
      action: string
      user_id: string
      mandate_id: string
      details: Record<string, object>
    }>(
      `select action, user_id, mandate_id, details
        from audit_events
        where details->>'subject' = '${subject}'
        order by seq`,
    )

  const resources = [
    [
      '/mandate/projects',
      { name: 'Made here', clientName: 'Somebody', status: 'active', note: 'Line\nand line' },
      { name: 'Renamed', status: null },
      'project',
    ],
    ['/mandate/portal-clients', { name: 'Müller & Söhne' }, { name: 'Müller' }, 'portal_client'],
    [
      `/mandate/portal-clients/${demoPortal.northwind}/links`,
      { label: 'For Ms Meier' },
      { label: null, expiresAt: '2099-01-01T00:00:00Z' },
      'portal_link',
    ],
  ] as const

  describe.each(resources)('%s', (path, body, change, subject) => {
    it('adds, shows, lists, changes and removes, and remembers who did', async () => {
      const made = await call('POST', path, { body })
      expect(made.status).toBe(201)
      const { id } = bodyOf(made)
      expect(made.headers.location).toBe(`${path}/${id}`)
      expect(bodyOf(made)).toMatchObject(body)

      const shown = await call('GET', `${path}/${id}`)
      const { token: _token, url: _url, ...visible } = bodyOf(made)
      expect([shown.status, bodyOf(shown), shown.headers.etag]).toEqual([200, visible, made.headers.etag])
      expect(bodyOf(await call('GET', path)).items).toContainEqual(visible)

      const changed = await call('PATCH', `${path}/${id}`, { body: change })
      const expected = 'expiresAt' in change ? { ...change, expiresAt: '2099-01-01T00:00:00.000Z' } : change
      expect(changed.status).toBe(200)
      expect(bodyOf(changed)).toMatchObject({
        ...visible,
        ...('updatedAt' in visible ? { updatedAt: expect.any(String) } : {}),
        ...expected,
        coherence,
      })
      expect(changed.headers.etag).toBe((await call('GET', `${path}/${id}`)).headers.etag)

      const removed = await call('DELETE', `${path}/${id}`)
      expect([removed.status, bodyOf(removed)]).toEqual([200, { coherence }])
      if (subject === 'portal_link')
        expect(bodyOf(await call('GET', `${path}/${id}`)).revokedAt).toEqual(expect.any(String))
      else expect(codeOf(await call('GET', `${path}/${id}`))).toEqual([404, 'not_found'])

      const remembered = await events(`${subject}:${id}`)
      expect(remembered.map(({ action }) => action)).toEqual([
        `${subject}_created`,
        `${subject}_changed`,
        subject === 'portal_link' ? 'portal_link_revoked' : `${subject}_deleted`,
      ])
      for (const event of remembered)
        expect(event).toMatchObject({ user_id: users.alice, mandate_id: mandates.acme })
      expect(Object.keys(remembered[1]!.details)).toEqual(expect.arrayContaining(['before', 'after']))
    })

    it('keeps to If-Match, so that two people do not overwrite each other', async () => {
      const made = await call('POST', path, { body })
      const item = `${path}/${bodyOf(made).id}`
      expect(
        (await call('PATCH', item, { body: change, headers: { 'If-Match': made.headers.etag! } })).status,
      ).toBe(200)
      const late = await call('PATCH', item, { body: change, headers: { 'If-Match': made.headers.etag! } })
      expect(codeOf(late)).toEqual([412, 'changed_meanwhile'])
      expect(codeOf(await call('DELETE', item, { headers: { 'If-Match': made.headers.etag! } }))).toEqual([
        412,
        'changed_meanwhile',
      ])
      expect((await call('DELETE', item, { headers: { 'If-Match': late.headers.etag! } })).status).toBe(200)
    })

    it('refuses what it does not know, and changes nothing', async () => {
      const made = await call('POST', path, { body })
      const item = `${path}/${bodyOf(made).id}`
      for (const wrong of [
        { unknown: 1 },
        { id: randomUUID() },
        { mandateId: mandates.globex },
        { clientid: null },
        { tokenHash: 'x' },
        [],
      ]) {
        expect([wrong, codeOf(await call('PATCH', item, { body: wrong }))]).toEqual([
          wrong,
          [400, 'validation_failed'],
        ])
        expect([
          wrong,
          codeOf(await call('POST', path, { body: Array.isArray(wrong) ? wrong : { ...body, ...wrong } })),
        ]).toEqual([wrong, [400, 'validation_failed']])
      }
      for (const [method, where] of [
        ['POST', path],
        ['PATCH', item],
        ['DELETE', item],
      ] as const) {
        expect(
          codeOf(
            await call(
              method,
              `${where}?dryRun=1`,
              method === 'DELETE' ? {} : { body: method === 'POST' ? body : change },
            ),
          ),
        ).toEqual([400, 'validation_failed'])
      }
      expect((await call('GET', item)).headers.etag).toBe(made.headers.etag)
      expect((await call('PATCH', item, { body: {} })).status).toBe(200)
    })

    it('is for those with the permission, by what they do', async () => {
      const item = `${path}/${bodyOf(await call('POST', path, { body })).id}`
      for (const [method, where] of [
        ['GET', path],
        ['POST', path],
        ['GET', item],
        ['PATCH', item],
        ['DELETE', item],
      ] as const) {
        expect(
          codeOf(
            await call(method, where, {
              token: bob,
              ...(method === 'POST' || method === 'PATCH' ? { body: {} } : {}),
            }),
          ),
        ).toEqual([403, 'permission_denied'])
        expect(
          (await sendRequest(gateway.url, where, { method, headers: { 'X-Mandate-Id': mandates.acme } }))
            .status,
        ).toBe(401)
        expect(
          codeOf(
            await sendRequest(gateway.url, where, { method, headers: { Authorization: `Bearer ${alice}` } }),
          ),
        ).toEqual([400, 'mandate_required'])
      }
    })

    it('finds what is another mandate’s as unknown as what does not exist', async () => {
      const root = (await tokenFor(gateway.database, 'root')).token
      const item = `${path}/${bodyOf(await call('POST', path, { body })).id}`
      for (const [method, payload] of [
        ['GET', undefined],
        ['PATCH', change],
        ['DELETE', undefined],
      ] as const) {
        const foreign = await call(method, item, {
          token: root,
          mandate: mandates.globex,
          ...(payload ? { body: payload } : {}),
        })
        const unknown = await call(method, item.replace(/[^/]+$/, randomUUID()), {
          ...(payload ? { body: payload } : {}),
        })
        const malformed = await call(method, item.replace(/[^/]+$/, 'x'), {
          ...(payload ? { body: payload } : {}),
        })
        expect(foreign.status).toBe(404)
        expect(comparable(foreign)).toBe(comparable(unknown))
        expect(comparable(foreign)).toBe(comparable(malformed))
      }
      expect((await call('GET', item)).status).toBe(200)
      const listed = await call('GET', path, { token: root, mandate: mandates.globex })
      if (listed.status === 200) expect(bodyOf(listed).items).toEqual([])
      else expect([subject, listed.status]).toEqual(['portal_link', 404])
    })

    it('lists in pages that leave nothing out and repeat nothing', async () => {
      for (let count = 0; count < 5; count += 1) await call('POST', path, { body })
      const all = bodyOf(await call('GET', `${path}?limit=200`)).items.map(({ id }: { id: string }) => id)
      const seen: string[] = []
      for (let cursor: string | null = ''; cursor !== null;) {
        const answer = bodyOf(await call('GET', `${path}?limit=2${cursor && `&cursor=${cursor}`}`))
        expect(answer.items.length).toBeLessThanOrEqual(2)
        seen.push(...answer.items.map(({ id }: { id: string }) => id))
        cursor = answer.nextCursor
      }
      expect(seen).toEqual(all)
      for (const query of ['limit=0', 'limit=x', 'cursor=x', 'cursor=Ing'])
        expect(codeOf(await call('GET', `${path}?${query}`))).toEqual([400, 'validation_failed'])
    })
  })

  describe('a project', () => {
    it('can be linked to a client of its own mandate only', async () => {
      const other = await insertClientWithLink(gateway.database, mandates.globex)
      const project = await insertProject(gateway.database, mandates.acme)
      for (const clientId of [other.client, randomUUID()]) {
        for (const answer of [
          await call('POST', '/mandate/projects', { body: { name: 'x', clientId } }),
          await call('PATCH', `/mandate/projects/${project}`, { body: { clientId } }),
        ]) {
          expect([answer.status, bodyOf(answer).errors]).toEqual([
            400,
            [{ path: 'clientId', message: 'names no client of this mandate' }],
          ])
        }
      }
      expect(
        (
          await call('PATCH', `/mandate/projects/${project}`, {
            body: { clientId: demoPortal.northwind.toUpperCase() },
          })
        ).status,
      ).toBe(200)
    })

    it('that is taken from a client is gone from the portal', async () => {
      const made = await insertClientWithLink(gateway.database, mandates.acme)
      const project = await insertProject(gateway.database, mandates.acme, { client_id: made.client })
      const seen = async () =>
        (await sendRequest(gateway.url, `/portal/api/projects/${project}`, { headers: sessionOf(made.link) }))
          .status
      expect(await seen()).toBe(200)
      await call('PATCH', `/mandate/projects/${project}`, { body: { clientId: null } })
      expect(await seen()).toBe(404)
    })

    it.each([
      [{ name: '' }],
      [{ name: ' ' }],
      [{ name: 'x'.repeat(201) }],
      [{ name: 1 }],
      [{ status: 'other' }],
      [{ clientId: 'x' }],
      [{ note: '' }],
      [{ name: 'a\0b' }],
      [{ clientName: '' }],
    ])('%j is refused', async (values) => {
      expect(codeOf(await call('POST', '/mandate/projects', { body: { name: 'x', ...values } }))).toEqual([
        400,
        'validation_failed',
      ])
    })
  })

  describe('a client', () => {
    it.each([
      ['Müller & Söhne GmbH', 'mueller-soehne-gmbh'],
      ['Ångström Café', 'angstroem-cafe'],
      ['Preview Ltd', 'ltd'],
      ['株式会社', 'client'],
      ['--', 'client'],
      ['a'.repeat(200), 'a'.repeat(80)],
    ])('%s gets the slug %s', async (name, slug) => {
      expect(bodyOf(await call('POST', '/mandate/portal-clients', { body: { name } })).slug).toMatch(
        new RegExp(`^${slug}(-\\d+)?$`),
      )
    })

    it('of the same name gets a slug of its own, also at once; a slug that is asked for must be free', async () => {
      const answers = await Promise.all(
        Array.from({ length: 6 }, () => call('POST', '/mandate/portal-clients', { body: { name: 'Same' } })),
      )
      expect(new Set(answers.map((answer) => bodyOf(answer).slug))).toEqual(
        new Set(['same', 'same-2', 'same-3', 'same-4', 'same-5', 'same-6']),
      )
      expect(
        codeOf(await call('POST', '/mandate/portal-clients', { body: { name: 'x', slug: 'same' } })),
      ).toEqual([409, 'conflict'])
      expect(
        codeOf(
          await call('PATCH', `/mandate/portal-clients/${bodyOf(answers[0]!).id}`, {
            body: { slug: 'northwind' },
          }),
        ),
      ).toEqual([409, 'conflict'])
    })

    it.each([['preview-1'], ['Capital'], ['a--b'], ['-a'], [''], ['ä']])(
      'the slug %j is refused',
      async (slug) => {
        expect(codeOf(await call('POST', '/mandate/portal-clients', { body: { name: 'x', slug } }))).toEqual([
          400,
          'validation_failed',
        ])
      },
    )

    it('that is removed leaves its projects, and its links and sessions are gone', async () => {
      const made = await insertClientWithLink(gateway.database, mandates.acme)
      const project = await insertProject(gateway.database, mandates.acme, { client_id: made.client })
      expect((await call('DELETE', `/mandate/portal-clients/${made.client}`)).status).toBe(200)
      expect(bodyOf(await call('GET', `/mandate/projects/${project}`)).clientId).toBeNull()
      expect(
        (await sendRequest(gateway.url, '/portal/api/me', { headers: sessionOf(made.link) })).status,
      ).toBe(401)
      expect((await enter(gateway.url, made.token)).status).toBe(401)
    })
  })

  describe('a link', () => {
    const path = `/mandate/portal-clients/${demoPortal.northwind}/links`

    it('has 256 bits that are shown once, and is stored as their SHA-256', async () => {
      const made = await call('POST', path, { body: { label: 'x' } })
      const { id, token, url } = bodyOf(made)
      expect(Buffer.from(token, 'base64url')).toHaveLength(32)
      expect(url).toBe(`${gateway.url}/portal/enter?token=${token}`)
      expect(made.headers['cache-control']).toBe('no-store')
      expect(
        await gateway.database.sql(`select token_hash from portal_access_tokens where id = '${id}'`),
      ).toEqual([{ token_hash: createHash('sha256').update(token).digest('hex') }])
      for (const answer of [await call('GET', path), await call('GET', `${path}/${id}`)]) {
        expect(answer.text).not.toContain(token)
        expect(answer.text).not.toContain(createHash('sha256').update(token).digest('hex'))
      }
      expect(JSON.stringify(await events(`portal_link:${id}`))).not.toContain(token)
      expect(gateway.logLines.join('\n')).not.toContain(token)
      expect((await enter(gateway.url, token)).status).toBe(303)
    })

    it('shows when it was last used', async () => {
      const { id, token, lastUsedAt } = bodyOf(await call('POST', path, { body: {} }))
      expect(lastUsedAt).toBeNull()
      await enter(gateway.url, token)
      expect(Date.parse(bodyOf(await call('GET', `${path}/${id}`)).lastUsedAt)).toBeGreaterThan(
        Date.now() - 10_000,
      )
    })

    it('ends when it should, and its sessions with it', async () => {
      const { id, token } = bodyOf(
        await call('POST', path, { body: { expiresAt: '2099-01-01T00:00:00+02:00' } }),
      )
      expect((await sendRequest(gateway.url, '/portal/api/me', { headers: sessionOf(id) })).status).toBe(200)
      await gateway.database.sql(`update portal_access_tokens set expires_at = now() where id = '${id}'`)
      expect((await sendRequest(gateway.url, '/portal/api/me', { headers: sessionOf(id) })).status).toBe(401)
      expect((await enter(gateway.url, token)).status).toBe(401)
    })

    it('cannot be made with an end that is past, nor as a preview', async () => {
      for (const body of [
        { expiresAt: new Date().toISOString() },
        { expiresAt: 'soon' },
        { expiresAt: '2099-01-01' },
        { label: 'preview' },
        { label: ' preview ' },
        { label: '' },
      ]) {
        expect([body, codeOf(await call('POST', path, { body }))]).toEqual([body, [400, 'validation_failed']])
      }
    })

    it('of a preview keeps its label', async () => {
      await sendRequest(gateway.url, `/projects/${demoPortal.campaign}/portal-preview`, {
        headers: { Authorization: `Bearer ${alice}` },
      })
      const preview = bodyOf(await call('GET', path)).items.find(
        ({ label }: { label: string }) => label === 'preview',
      )
      expect(codeOf(await call('PATCH', `${path}/${preview.id}`, { body: { label: 'real' } }))).toEqual([
        409,
        'conflict',
      ])
      expect((await call('DELETE', `${path}/${preview.id}`)).status).toBe(200)
    })

    it('that is revoked again keeps the moment of the first time, and answers as if it were the first', async () => {
      const { id } = bodyOf(await call('POST', path, { body: {} }))
      await call('DELETE', `${path}/${id}`)
      const first = bodyOf(await call('GET', `${path}/${id}`)).revokedAt
      expect(bodyOf(await call('DELETE', `${path}/${id}`))).toEqual({ coherence })
      expect(bodyOf(await call('GET', `${path}/${id}`)).revokedAt).toBe(first)
    })

    it('of another client of the same mandate is unknown here', async () => {
      const other = await insertClientWithLink(gateway.database, mandates.acme)
      for (const method of ['GET', 'DELETE'])
        expect(codeOf(await call(method, `${path}/${other.link}`))).toEqual([404, 'not_found'])
      expect(codeOf(await call('PATCH', `${path}/${other.link}`, { body: {} }))).toEqual([404, 'not_found'])
      expect(
        codeOf(await call('POST', `/mandate/portal-clients/${randomUUID()}/links`, { body: {} })),
      ).toEqual([404, 'not_found'])
    })
  })
})
