import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest, beginRequest } from '../support/http-client.js'
import { tokenFor } from '../support/demo.js'
import { insertClientWithLink, sessionOf } from '../support/portal.js'
import { startTwoNodes, type TwoNodes } from '../support/two-nodes.js'
import { eventually, within } from '../support/within.js'
import { startUpstream, type Upstream } from '../support/upstream.js'
import { openWebSocket, startSocketUpstream, type SocketUpstream } from '../support/web-sockets.js'

interface Made {
  client: string
  link: string
  mandate: string
}

describe('a session of the portal, when what let it in is taken away', () => {
  let upstream: Upstream
  let echo: SocketUpstream
  let nodes: TwoNodes
  let root: string
  beforeAll(async () => {
    upstream = await startUpstream()
    echo = await startSocketUpstream()
    nodes = await startTwoNodes(`
upstreams: { own: { targets: ['${upstream.url}'] }, echo: { targets: ['${echo.url}'] } }
routes:
  /portal/documents: { upstream: own, auth: portal }
  /portal/chat: { upstream: echo, auth: portal }
`)
    root = (await tokenFor(nodes.database, 'root')).token
  })
  afterEach(() => upstream.answerWith(undefined))
  afterAll(async () => {
    await nodes.stop()
    await upstream.stop()
    await echo.stop()
  })

  /** A client with a link, in a mandate of its own. */
  async function make(): Promise<Made> {
    const [{ id: mandate }] = (await nodes.database.sql<{ id: string }>(
      `insert into mandates (slug, label) values (gen_random_uuid()::text, 'x') returning id`,
    )) as [{ id: string }]
    return { ...(await insertClientWithLink(nodes.database, mandate)), mandate }
  }

  const call = async (method: string, path: string, mandate: string, body?: unknown) => {
    const answer = await sendRequest(nodes.there.url, path, {
      method,
      headers: {
        Authorization: `Bearer ${root}`,
        'X-Mandate-Id': mandate,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (answer.status !== 200) throw new Error(answer.text)
    return JSON.parse(answer.text) as { coherence: { acked: number; fenced: number } }
  }
  const ways: [string, (made: Made) => Promise<unknown>][] = [
    [
      'its link is revoked',
      async ({ link, client, mandate }) => {
        expect(
          (await call('DELETE', `/mandate/portal-clients/${client}/links/${link}`, mandate)).coherence,
        ).toMatchObject({ acked: 2, fenced: 0 })
      },
    ],
    [
      'its client is deactivated',
      ({ client, mandate }) => call('PATCH', `/mandate/portal-clients/${client}`, mandate, { active: false }),
    ],
    [
      'its client is removed',
      ({ client, mandate }) => call('DELETE', `/mandate/portal-clients/${client}`, mandate),
    ],
    [
      'its mandate is disabled by plain SQL',
      async ({ mandate }) => {
        await nodes.database.sql(`update mandates set enabled = false where id = '${mandate}'`)
        await nodes.allHaveHeard()
      },
    ],
    [
      'its link is revoked by plain SQL',
      async ({ link }) => {
        await nodes.database.sql(`update portal_access_tokens set revoked_at = now() where id = '${link}'`)
        await nodes.allHaveHeard()
      },
    ],
  ]

  it.each(ways)('is let in nowhere once that has answered, however it polls: %s', async (_what, takeAway) => {
    const made = await make()
    const headers = sessionOf(made.link)
    const probes: { startedAt: number; status: number }[] = []
    let polling = true
    const poll = async (url: string, path: string) => {
      while (polling) {
        const startedAt = performance.now()
        const { status } = await sendRequest(url, path, { headers })
        probes.push({ startedAt, status })
      }
    }
    const pollers = [nodes.here, nodes.there].flatMap(({ url }) =>
      ['/portal/api/me', '/portal', '/portal/documents/x'].map((path) => poll(url, path)),
    )
    await eventually(() => probes.filter(({ status }) => status === 200).length >= 30 || undefined, 20_000)
    await takeAway(made)
    const answeredAt = performance.now()
    await eventually(
      () => probes.filter(({ startedAt }) => startedAt > answeredAt).length >= 30 || undefined,
      20_000,
    )
    polling = false
    await Promise.all(pollers)
    expect(
      new Set(probes.filter(({ startedAt }) => startedAt > answeredAt).map(({ status }) => status)),
    ).toEqual(new Set([401]))
  })

  it('is let in from memory, without a statement, while nothing changes', async () => {
    const made = await make()
    const headers = sessionOf(made.link)
    await nodes.allHaveHeard() // of the new mandate
    await sendRequest(nodes.here.url, '/portal/documents/x', { headers })
    await nodes.database.sql('alter table portal_access_tokens rename to portal_access_tokens_away')
    try {
      for (let call = 0; call < 20; call += 1)
        expect((await sendRequest(nodes.here.url, '/portal/documents/x', { headers })).status).toBe(200)
    } finally {
      await nodes.database.sql('alter table portal_access_tokens_away rename to portal_access_tokens')
    }
  })

  it('is forgotten by no node for having been used', async () => {
    const made = await make()
    const changes = async () =>
      await nodes.database.sql(
        `select key from coherence.changes where key in ('link:${made.link}', 'client:${made.client}')`,
      )
    await nodes.database.sql(`update portal_access_tokens set last_used_at = now() where id = '${made.link}'`)
    expect(await changes()).toEqual([])
  })

  it.each(ways.slice(0, 4))(
    'has its open streams ended before that has answered: %s',
    async (_what, takeAway) => {
      const made = await make()
      const theirs = new Promise<ServerResponse>((resolve) =>
        upstream.answerWith((_req, res) => resolve(res)),
      )
      const { req, response } = beginRequest(nodes.here.url, '/portal/documents/events', {
        headers: sessionOf(made.link),
      })
      req.end()
      const stream = await theirs
      stream.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 1\n\n')
      const res = await response
      const [chunk] = (await once(res, 'data')) as [Buffer]
      expect(chunk.toString()).toBe('data: 1\n\n')
      let ended = false
      res.on('error', () => undefined)
      const end = new Promise<void>((resolve) =>
        res.once('close', () => {
          ended = true
          resolve()
        }),
      )

      const { status, closed } = await openWebSocket(`${nodes.here.url}/portal/chat/x`, sessionOf(made.link))
      expect(status).toBe(101)

      await takeAway(made)
      await within(1000, end)
      expect(ended).toBe(true)
      expect((await within(1000, closed))[0]).toBe(4401)
    },
  )

  it('has its other streams left alone', async () => {
    const [made, other] = [await make(), await make()]
    const { socket } = await openWebSocket(`${nodes.here.url}/portal/chat/x`, sessionOf(made.link))
    await call('DELETE', `/mandate/portal-clients/${other.client}/links/${other.link}`, other.mandate)
    socket.send('still here')
    const [message] = (await once(socket, 'message')) as [Buffer]
    expect(message.toString()).toBe('still here')
    socket.close()
    await once(socket, 'close')
  })
})
