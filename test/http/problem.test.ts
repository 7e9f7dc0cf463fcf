import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines, type RawResponse } from '../support/raw-http.js'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

describe('answers of the gateway itself', () => {
  let gateway: TestGateway
  let token: string
  beforeAll(async () => {
    gateway = await startTestGateway()
    token = (await tokenFor(gateway.database, 'alice')).token
  })
  afterAll(async () => {
    await gateway.stop()
  })

  const ask = (line: string, ...lines: string[]) => sendLines(gateway.url, line, lines)
  const bearer = () => `Authorization: Bearer ${token}`

  /** One refusal of each status, and its code. */
  const refusals = (): [string, number, string, string[]][] => [
    ['GET /a//b', 400, 'path_ambiguous', []],
    ['GET /auth/me', 400, 'header_ambiguous', [bearer(), bearer()]],
    ['GET /auth/context', 400, 'mandate_id_invalid', [bearer(), 'X-Mandate-Id: {}']],
    ['GET /auth/permissions', 400, 'validation_failed', [bearer()]],
    ['GET /auth/me', 401, 'authentication_required', []],
    ['GET /auth/me', 401, 'token_invalid', ['Authorization: Bearer x']],
    ['GET /admin/users', 403, 'platform_admin_required', [bearer()]],
    ['GET /system/nodes', 403, 'sysadmin_required', [bearer()]],
    ['POST /auth/logout', 403, 'cross_site_request', ['Cookie: auth_token=x', 'Origin: null']],
    ['DELETE /api/crm/contacts', 403, 'permission_denied', [bearer(), `X-Mandate-Id: ${mandates.globex}`]],
    ['GET /nothing', 404, 'not_found', []],
    ['PUT /auth/login', 405, 'method_not_allowed', []],
    [
      'POST /auth/login',
      415,
      'unsupported_media_type',
      ['Content-Type: text/plain', 'Transfer-Encoding: chunked'],
    ],
    ['GET /api/crm/contacts', 503, 'upstream_unavailable', [bearer(), `X-Mandate-Id: ${mandates.globex}`]],
  ]

  function expectProblem(answer: RawResponse, status: number, code: string) {
    expect(answer.headers['content-type']?.join()).toMatch(
      /^application\/problem\+json(?:; ?charset=utf-8)?$/,
    )
    const problem = JSON.parse(answer.body) as Record<string, unknown>
    expect(
      Object.keys(problem)
        .filter((name) => name !== 'errors')
        .sort(),
    ).toEqual(['code', 'detail', 'requestId', 'status', 'title', 'type'])
    expect(problem).toMatchObject({ status, code, requestId: answer.headers['x-request-id']?.[0] })
    expect(
      [problem.type, problem.title, problem.detail].every((one) => typeof one === 'string' && one.length > 0),
    ).toBe(true)
    expect(answer.status).toBe(status)
    expect(answer.headers['content-length']).toEqual([String(Buffer.byteLength(answer.body))])
  }

  it('a refusal is problem+json with its code and the request’s id', async () => {
    for (const [line, status, code, lines] of refusals()) {
      expectProblem(await ask(line, ...lines), status, code)
    }
  })

  it('a validation_failed names each fault’s path', async () => {
    const answer = await ask('GET /auth/permissions?context=X&item=a..b&more=1', bearer())
    expectProblem(answer, 400, 'validation_failed')
    const { errors } = JSON.parse(answer.body) as { errors: { path: string; message: string }[] }
    expect(errors.map(({ path }) => path)).toEqual(expect.arrayContaining(['context', 'item']))
    for (const error of errors) expect(Object.keys(error).sort()).toEqual(['message', 'path'])
    expect(answer.body).toContain('more')
  })

  it('nothing of the code, the database or a parser is in any answer', async () => {
    const answers = await Promise.all(refusals().map(([line, , , lines]) => ask(line, ...lines)))
    for (const { text } of answers)
      expect(text).not.toMatch(
        /at .+:\d+:\d+|node_modules|\/src\/|\.ts\b|select |insert |relation|Express|X-Powered-By|stack|zod/i,
      )
  })

  it('every 401 challenges, every 401 and 403 and private 200 is stored by no cache', async () => {
    for (const [line, status, , lines] of refusals()) {
      const answer = await ask(line, ...lines)
      if (status === 401) expect(answer.headers['www-authenticate']?.join()).toMatch(/^Bearer /)
      else expect(answer.headers).not.toHaveProperty('www-authenticate')
      if (status === 401 || status === 403) expect(answer.headers['cache-control']).toEqual(['no-store'])
      expect(answer.headers).not.toHaveProperty('set-cookie')
    }
    for (const line of ['GET /auth/me', 'GET /auth/context', 'GET /auth/permissions?context=DATA']) {
      expect((await ask(line, bearer())).headers['cache-control']).toEqual(['no-store'])
    }
  })

  it('RFC 6750: a caller who sent a token is told invalid_token, one who sent none is told no error', async () => {
    expect((await ask('GET /auth/me')).headers['www-authenticate']?.join()).not.toContain('error')
    expect(
      (await ask('GET /auth/me', 'Authorization: Bearer x')).headers['www-authenticate']?.join(),
    ).toContain('error="invalid_token"')
  })

  it('every 503 says when to come again', async () => {
    const answer = await ask('GET /api/crm/contacts', bearer(), `X-Mandate-Id: ${mandates.globex}`)
    expect(Number(answer.headers['retry-after']?.[0])).toBeGreaterThanOrEqual(1)
  })

  it('HEAD of a refusal is the same without a body', async () => {
    for (const line of ['HEAD /auth/me', 'HEAD /nothing', 'HEAD /a//b', 'HEAD /api/crm/contacts']) {
      const answer = await ask(line)
      expect(answer.status).toBeGreaterThanOrEqual(400)
      expect(answer.body).toBe('')
      expect(answer.headers['content-type']?.join()).toContain('application/problem+json')
    }
  })

  it('has nosniff, so that no client reads it as another type', async () => {
    for (const line of ['GET /healthz', 'GET /nothing', 'GET /auth/me', 'GET /a//b'])
      expect((await ask(line)).headers['x-content-type-options']).toEqual(['nosniff'])
  })

  it('does not name the software behind it', async () => {
    const answer = await ask('GET /healthz')
    for (const name of ['x-powered-by', 'server', 'via']) expect(answer.headers).not.toHaveProperty(name)
  })

  describe('the request id', () => {
    it('comes back on every answer, new for each request', async () => {
      const ids = await Promise.all(
        [
          'GET /healthz',
          'GET /nothing',
          'GET /a//b',
          'PUT /auth/login',
          'OPTIONS /auth/login',
          'GET /auth/me',
          'POST /auth/logout',
        ].map(async (line) => (await ask(line)).headers['x-request-id'] ?? []),
      )
      for (const id of ids) expect(id).toEqual([expect.stringMatching(uuid)])
      expect(new Set(ids.flat()).size).toBe(ids.length)
    })

    it.each(['a', 'A-b_c.9', 'x'.repeat(128), '00-trace', '.', '-'])('%s is kept', async (id) => {
      expect((await ask('GET /nothing', `X-Request-Id: ${id}`)).headers['x-request-id']).toEqual([id])
    })

    it.each(['', 'a b', 'x'.repeat(129), 'a,b', 'a;b', 'é', 'a/b', '<x>', 'a"b', '${x}', 'a%20'])(
      '%j is replaced',
      async (id) => {
        const [answered] = (await ask('GET /nothing', `X-Request-Id: ${id}`)).headers['x-request-id'] ?? []
        expect(answered).toMatch(uuid)
      },
    )

    it('sent twice is replaced', async () => {
      expect(
        (await ask('GET /nothing', 'X-Request-Id: a', 'X-Request-Id: b')).headers['x-request-id'],
      ).toEqual([expect.stringMatching(uuid)])
    })

    it('is on the request’s one access line', async () => {
      await ask('GET /auth/me?token=hidden', 'X-Request-Id: line-1', bearer())
      const lines = gateway.logLines
        .filter((line) => line.includes('line-1'))
        .map((line) => JSON.parse(line) as Record<string, unknown>)
      expect(lines).toHaveLength(1)
      expect(lines[0]).toMatchObject({
        requestId: 'line-1',
        method: 'GET',
        route: '/auth/me',
        status: 200,
        granted: true,
      })
      expect(JSON.stringify(lines)).not.toContain('hidden')
    })

    it('finds the refusal’s reason, and its caller', async () => {
      const answer = await ask('GET /system/nodes', 'X-Request-Id: line-2', bearer())
      expect(codeOf(answer)).toBe('sysadmin_required')
      const [line] = gateway.logLines
        .filter((one) => one.includes('line-2'))
        .map((one) => JSON.parse(one) as Record<string, unknown>)
      expect(line).toMatchObject({
        granted: false,
        reason: 'sysadmin_required',
        status: 403,
        user: expect.stringMatching(uuid),
      })
    })
  })
})
