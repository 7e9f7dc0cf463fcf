import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import type { AccessLine } from '../../src/observability/access-line.js'
import { mandates, roles, tokenFor } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { openSocket, parseResponse } from '../support/raw-http.js'
import { startTwoNodes, type Caller, type TwoNodes } from '../support/two-nodes.js'
import { until } from '../support/until.js'
import { eventually, within } from '../support/within.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

/** An answer as far as it has come. */
interface Reading {
  status: number
  text: () => string
  /** Resolves when no more comes: `whole`, or `cut` in the middle. */
  end: Promise<'whole' | 'cut'>
  hasEnded: () => boolean
}

describe('a stream whose authority is taken away at another node', () => {
  let nodes: TwoNodes
  let upstream: Upstream
  beforeAll(async () => {
    upstream = await startUpstream()
    nodes = await startTwoNodes(`
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /api: { upstream: own, mandate: required, permission: { context: RESOURCE, item: crm } }
  /upload: { upstream: own, mandate: required }
  /public: { upstream: own, auth: public }
`)
  })
  afterEach(() => upstream.answerWith(undefined))
  afterAll(async () => {
    await upstream.stop()
    await nodes.stop()
  })

  /** The upstream's side of the next request. */
  function nextAnswer(): Promise<ServerResponse> {
    return new Promise((resolve) => upstream.answerWith((_req, res) => resolve(res)))
  }

  async function read(path: string, headers: Record<string, string>, method = 'GET'): Promise<Reading> {
    const req = httpRequest(nodes.here.url + path, { headers, method, agent: false })
    req.end()
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    let text = ''
    let hasEnded = false
    res.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    res.on('error', () => undefined)
    const end = new Promise<'whole' | 'cut'>((resolve) =>
      res.once('close', () => {
        hasEnded = true
        resolve(res.complete ? 'whole' : 'cut')
      }),
    )
    return { status: res.statusCode ?? 0, text: () => text, end, hasEnded: () => hasEnded }
  }

  /** Begins an answer of which the head and the first piece have arrived. */
  async function begin(
    caller: Caller,
    head: Record<string, string>,
    first = 'data: 1\n\n',
  ): Promise<{ theirs: ServerResponse; reading: Reading }> {
    const asked = nextAnswer()
    const reading = read('/api/x', caller.headers)
    const theirs = await asked
    theirs.writeHead(200, head).write(first)
    const answer = await reading
    await eventually(() => answer.text() === first || undefined)
    return { theirs, reading: answer }
  }

  const sse = { 'Content-Type': 'text/event-stream' }

  it('is cut, also if another of the same login was cut before', async () => {
    const caller = await nodes.caller()
    const [gone, stays] = [await begin(caller, sse), await begin(caller, sse)]
    gone.theirs.end()
    expect(await gone.reading.end).toBe('whole')
    await nodes.revoke(caller.jti)
    stays.theirs.write('data: 2\n\n')
    expect(await within(5000, stays.reading.end)).toBe('cut')
    expect(stays.reading.text()).toBe('data: 1\n\n')
  })

  it('is cut by a rule of a role that was given only after it had begun', async () => {
    const directory = directoryOf(nodes.database)
    const caller = await nodes.caller()
    const stronger = await directory.role({ mandateId: mandates.acme })
    const { theirs, reading } = await begin(caller, sse)
    await nodes.database.sql('insert into user_mandate_roles (user_mandate_id, role_id) values ($1, $2)', [
      caller.membership,
      stronger,
    ])
    await nodes.allHaveHeard()
    theirs.write('data: 2\n\n')
    await eventually(() => reading.text() === 'data: 1\n\ndata: 2\n\n' || undefined)
    await nodes.database.sql(
      `insert into access_rules (role_id, context, item, "read") values ($1, 'RESOURCE', 'crm', 'n')`,
      [stronger],
    )
    await nodes.allHaveHeard()
    theirs.write('data: 3\n\n')
    expect(await within(5000, reading.end)).toBe('cut')
    expect(reading.text()).toBe('data: 1\n\ndata: 2\n\n')
  })

  describe.each([
    ['events', sse],
    ['a download of unknown length', { 'Content-Type': 'application/octet-stream' }],
    [
      'a download of known length',
      { 'Content-Type': 'application/octet-stream', 'Content-Length': '1000000' },
    ],
  ])('%s', (_what, head) => {
    it.each<[string, (caller: Caller) => Promise<unknown>, string]>([
      ['its token is revoked', ({ jti }) => nodes.revoke(jti), 'token_invalid'],
      [
        'its user is disabled',
        ({ id }) => nodes.askThere('petra', 'PATCH', `/admin/users/${id}`, { enabled: false }),
        'user_disabled',
      ],
      [
        'its role is taken away',
        async ({ membership }) => {
          await nodes.database.sql('delete from user_mandate_roles where user_mandate_id = $1', [membership])
          await nodes.allHaveHeard()
        },
        'permission_denied',
      ],
    ])('is cut before the call answers by which %s', async (_how, takeAway, reason) => {
      const [caller, other] = [await nodes.caller(), await nodes.caller()]
      const id = `cut-${caller.username}`
      const { theirs, reading } = await begin(
        { ...caller, headers: { ...caller.headers, 'X-Request-Id': id } },
        head,
      )
      const theirOther = await begin(other, head)
      const gone = once(theirs, 'close')
      await takeAway(caller)
      theirs.write('data: 2\n\n')
      theirs.end()
      expect(await reading.end).toBe('cut')
      expect(reading.text()).toBe('data: 1\n\n')
      await gone
      theirOther.theirs.write('data: 2\n\n')
      await eventually(() => theirOther.reading.text() === 'data: 1\n\ndata: 2\n\n' || undefined)
      theirOther.theirs.destroy()
      await theirOther.reading.end
      await eventually(() => nodes.here.logLines.some((line) => line.includes(id)) || undefined)
      const line = nodes.here.logLines
        .map((one) => JSON.parse(one) as Partial<AccessLine>)
        .find(({ requestId }) => requestId === id)
      expect(line).toMatchObject({ status: 200, granted: false, reason, aborted: true })
    })

    it('goes on whole when a change concerns it but still allows', async () => {
      const caller = await nodes.caller()
      const { theirs, reading } = await begin(caller, head, 'x'.repeat(10_000))
      let expected = 10_000
      for (let round = 0; round < 5; round += 1) {
        await nodes.database.sql('update users set is_platform_admin = not is_platform_admin where id = $1', [
          caller.id,
        ])
        for (let piece = 0; piece < 10; piece += 1) {
          theirs.write('x'.repeat(10_000))
          expected += 10_000
        }
        await nodes.allHaveHeard()
      }
      const rest = 'Content-Length' in head ? 1_000_000 - expected : 1000
      theirs.end('y'.repeat(rest))
      expect(await reading.end).toBe('whole')
      expect(reading.text()).toBe('x'.repeat(expected) + 'y'.repeat(rest))
      await nodes.database.sql('update users set is_platform_admin = false where id = $1', [caller.id])
    })
  })

  it('a silent stream is cut too, without waiting for its next piece', async () => {
    const caller = await nodes.caller()
    const { reading } = await begin(caller, sse)
    await nodes.revoke(caller.jti)
    await within(1000, reading.end)
  })

  it('an answer of more than one piece that has not begun is refused, and nothing of it arrives', async () => {
    const caller = await nodes.caller()
    const asked = nextAnswer()
    const reading = read('/api/x', caller.headers)
    const theirs = await asked
    await nodes.revoke(caller.jti)
    theirs.writeHead(200, { 'Content-Length': '100000' }).write('secret '.repeat(1000))
    const answer = await reading
    expect(answer.status).toBe(401)
    await answer.end
    expect(answer.text()).toMatch(/token_invalid/)
    expect(answer.text()).not.toMatch(/secret/)
  })

  it('events of a public route go on', async () => {
    const caller = await nodes.caller()
    const asked = nextAnswer()
    const reading = read('/public', caller.headers)
    const theirs = await asked
    theirs.writeHead(200, sse).write('1')
    await reading
    await nodes.revoke(caller.jti)
    theirs.end('2')
    expect(await (await reading).end).toBe('whole')
    expect((await reading).text()).toBe('12')
  })

  it('events, and pictures that replace each other, end with their token; a download may come to its end', async () => {
    const expiresAt = new Date(Date.now() + 2000)
    const expiring = async () => {
      const caller = await nodes.caller()
      const { token } = await tokenFor(nodes.database, 'alice', {
        claims: { sub: caller.username, userId: caller.id },
        row: { userId: caller.id, expiresAt },
      })
      return { ...caller, token, headers: { ...caller.headers, Authorization: `Bearer ${token}` } }
    }
    const [events, pictures] = [
      await begin(await expiring(), sse),
      await begin(await expiring(), { 'Content-Type': 'Multipart/X-Mixed-Replace; boundary=x' }),
    ]
    const download = await begin(await expiring(), { 'Content-Type': 'application/x-ndjson' })
    expect(await Promise.all([events.reading.end, pictures.reading.end])).toEqual(['cut', 'cut'])
    // The download's token is over too by now. A change makes it decided again: it was in time when it came.
    await until(() => Promise.resolve(Date.now() > expiresAt.getTime() || undefined))
    await nodes.database.sql('update access_rules set "create" = \'a\' where role_id = $1', [roles.viewer])
    await nodes.allHaveHeard()
    download.theirs.end('data: 2\n\n')
    expect(await download.reading.end).toBe('whole')
    expect(download.reading.text()).toBe('data: 1\n\ndata: 2\n\n')
  })

  describe('an upload', () => {
    /** What of a body has reached the upstream, and whether that was whole. */
    function nextUpload() {
      const state = { text: '', outcome: undefined as 'whole' | 'cut' | undefined }
      const begun = new Promise<void>((resolve) =>
        upstream.answerWith((req, res) => {
          resolve()
          req.on('data', (chunk: Buffer) => {
            state.text += chunk.toString()
          })
          req.on('end', () => {
            state.outcome = 'whole'
            res.end('taken')
          })
          req.on('close', () => {
            state.outcome ??= 'cut'
          })
          req.on('error', () => undefined)
        }),
      )
      return { state, begun }
    }

    it.each([
      ['chunked', { 'Transfer-Encoding': 'chunked' }],
      ['of known length', { 'Content-Length': '1000' }],
    ])(
      '%s under way is cut and answered 401, and nothing more of it reaches the service',
      async (_what, framing) => {
        const caller = await nodes.caller()
        const { state, begun } = nextUpload()
        const req = httpRequest(`${nodes.here.url}/upload`, {
          method: 'POST',
          headers: { ...caller.headers, ...framing },
          agent: false,
        })
        req.on('error', () => undefined)
        const response = once(req, 'response') as Promise<[IncomingMessage]>
        req.write('first ')
        await begun
        await eventually(() => state.text === 'first ' || undefined)
        await nodes.revoke(caller.jti)
        req.write('second')
        const [res] = await response
        expect(res.statusCode).toBe(401)
        const [body] = (await once(res, 'data')) as [Buffer]
        expect(JSON.parse(body.toString())).toMatchObject({ code: 'token_invalid' })
        await eventually(() => state.outcome)
        expect(state).toEqual({ text: 'first ', outcome: 'cut' })
        req.destroy()
      },
    )

    it('that has only been announced is answered 401, and never reaches the service', async () => {
      const caller = await nodes.caller()
      const { state } = nextUpload()
      const req = httpRequest(`${nodes.here.url}/upload`, {
        method: 'POST',
        headers: { ...caller.headers, 'Content-Length': '10', Expect: '100-continue' },
        agent: false,
      })
      req.on('error', () => undefined)
      const response = once(req, 'response') as Promise<[IncomingMessage]>
      await once(req, 'continue')
      await nodes.revoke(caller.jti)
      req.end('0123456789')
      const [res] = await response
      expect(res.statusCode).toBe(401)
      expect(state).toEqual({ text: '', outcome: undefined })
      req.destroy()
    })

    it('of somebody else goes on, and so does one that a change concerns but still allows', async () => {
      const [caller, other] = [await nodes.caller(), await nodes.caller()]
      const { state, begun } = nextUpload()
      const req = httpRequest(`${nodes.here.url}/upload`, {
        method: 'POST',
        headers: { ...caller.headers, 'Transfer-Encoding': 'chunked' },
        agent: false,
      })
      const response = once(req, 'response') as Promise<[IncomingMessage]>
      let sent = 'begin '
      req.write(sent)
      await begun
      await nodes.revoke(other.jti)
      for (let round = 0; round < 5; round += 1) {
        await nodes.database.sql('update users set is_platform_admin = not is_platform_admin where id = $1', [
          caller.id,
        ])
        for (let piece = 0; piece < 20; piece += 1) {
          req.write(`${round}.${piece} `)
          sent += `${round}.${piece} `
        }
        await nodes.allHaveHeard()
      }
      req.end()
      expect((await response)[0].statusCode).toBe(200)
      expect(state).toEqual({ text: sent, outcome: 'whole' })
      req.destroy()
    })
  })

  describe('a body for the gateway itself, which comes slowly', () => {
    /** Sends the head of a change, does `meanwhile` once that has been let in, and sends the body. */
    async function changeSlowly(token: string, target: string, meanwhile: () => Promise<unknown>) {
      const socket = await openSocket(nodes.here.url)
      const body = JSON.stringify({ enabled: false })
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
      })
      const closed = once(socket, 'close')
      socket.write(
        [
          `PATCH /admin/users/${target} HTTP/1.1`,
          `Host: ${new URL(nodes.here.url).host}`,
          'Connection: close',
          `Authorization: Bearer ${token}`,
          'Content-Type: application/json',
          'Expect: 100-continue',
          `Content-Length: ${body.length}`,
          '',
          '',
        ].join('\r\n'),
      )
      await eventually(() => text.startsWith('HTTP/1.1 100 ') || undefined)
      socket.write(body.slice(0, 5))
      await meanwhile()
      socket.write(body.slice(5))
      await closed
      return parseResponse(text.slice(text.indexOf('\r\n\r\n') + 4))
    }
    const isEnabled = async (id: string) =>
      (await nodes.database.sql<{ enabled: boolean }>('select enabled from users where id = $1', [id]))[0]
        ?.enabled

    it('does nothing when its caller’s token was revoked meanwhile', async () => {
      const [petra, target] = [await tokenFor(nodes.database, 'petra'), await nodes.caller()]
      const answer = await changeSlowly(petra.token, target.id, () => nodes.revoke(petra.jti))
      expect([answer.status, await isEnabled(target.id)]).toEqual([401, true])
      expect(answer.body).toMatch(/token_invalid/)
    })

    it('does nothing when its caller’s level was taken away meanwhile', async () => {
      const [target, admin] = [await nodes.caller(), await nodes.caller()]
      await nodes.database.sql('update users set is_platform_admin = true where id = $1', [admin.id])
      await nodes.allHaveHeard()
      const answer = await changeSlowly(admin.token, target.id, async () => {
        await nodes.database.sql('update users set is_platform_admin = false where id = $1', [admin.id])
        await nodes.allHaveHeard()
      })
      expect([answer.status, await isEnabled(target.id)]).toEqual([403, true])
      expect(answer.body).toMatch(/platform_admin_required/)
    })

    it('takes effect when nothing that concerns it has changed', async () => {
      const [petra, target] = [await tokenFor(nodes.database, 'petra'), await nodes.caller()]
      const answer = await changeSlowly(petra.token, target.id, () => nodes.allHaveHeard())
      expect([answer.status, await isEnabled(target.id)]).toEqual([200, false])
    })
  })
})
