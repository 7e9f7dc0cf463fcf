import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { sendLines, sendRaw, type RawResponse } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

describe('the log', () => {
  let upstream: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      routes: `
upstreams:
  own: { targets: ['${upstream.url}'] }
  away: { targets: ['http://127.0.0.1:1'] }
routes:
  /required: { upstream: own }
  /public: { upstream: own, auth: public }
  /away: { upstream: away, auth: public }
`,
    })
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  it('holds no token, cookie, password, query or body of any request, good, bad or failed', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    const secrets = [
      'demo-password-1',
      'wrong-password-x',
      'query-secret-x',
      'body-secret-x',
      'cookie-secret-x',
      'header-secret-x',
      token,
      token.split('.')[2]!,
      '$argon2',
    ]
    const answers: RawResponse[] = []
    const send = async (line: string, lines: string[] = [], body = '') => {
      answers.push(
        await sendLines(
          gateway.url,
          line,
          [...lines, ...(body ? [`Content-Length: ${body.length}`] : [])],
          body,
        ),
      )
    }
    const json = ['Content-Type: application/json']
    const cookies =
      `Cookie: auth_token=${token}; refresh_token=cookie-secret-x; ` +
      'portal_session=cookie-secret-x; other=cookie-secret-x'

    const work = async () => {
      await send('POST /auth/login', json, '{"username":"bob","password":"demo-password-1"}')
      await send('POST /auth/login', json, '{"username":"bob","password":"wrong-password-x"}')
      await send(
        'POST /auth/login',
        json,
        '{"username":"bob","password":"wrong-password-x","more":"body-secret-x"}',
      )
      await send('POST /auth/login', json, '{"username":"body-secret-x","password":')
      await send(
        'POST /auth/token',
        ['Content-Type: application/x-www-form-urlencoded'],
        'grant_type=password&username=bob&password=demo-password-1',
      )
      await send(
        'POST /auth/token',
        ['Content-Type: application/x-www-form-urlencoded'],
        'grant_type=password&username=bob&password=wrong-password-x',
      )
      for (const path of [
        '/auth/me',
        '/auth/context',
        '/required/a',
        '/public/a',
        '/away/a',
        '/nothing',
        '/system/nodes',
      ]) {
        await send(`GET ${path}?access_token=query-secret-x`, [
          cookies,
          'X-Api-Key: header-secret-x',
          `X-Mandate-Id: ${mandates.acme}`,
        ])
        await send(`GET ${path}?token=query-secret-x`, [`Authorization: Bearer ${token}`])
        await send(`GET ${path}?token=query-secret-x`, [`Authorization: Bearer ${token}x`])
      }
      await send('GET /a//query-secret-x')
      await send('POST /public', ['Content-Type: text/plain'], 'body-secret-x')
      answers.push(
        await sendRaw(gateway.url, `GET /header-secret-x HTTP/1.1\r\nrubbish header-secret-x\r\n\r\n`),
      )
      await send('POST /auth/logout', [cookies])
    }

    await work()
    await gateway.database.sql('alter table users rename to users_away')
    await gateway.database.sql('alter table tokens rename to tokens_away')
    await work()
    await gateway.database.sql('alter table tokens_away rename to tokens')
    await gateway.database.sql('alter table users_away rename to users')

    const statuses = new Set(answers.map(({ status }) => status))
    // all kinds were tried
    for (const status of [200, 204, 400, 401, 403, 404, 502, 503]) expect(statuses).toContain(status)
    expect(gateway.logLines.length).toBeGreaterThan(50)
    const log = gateway.logLines.join('\n')
    for (const secret of secrets) expect([secret, log.includes(secret)]).toEqual([secret, false])
    expect(log).not.toMatch(/eyJ[A-Za-z0-9_-]{10,}/) // nothing that looks like a token
  })

  it('has exactly one access line for each request, with route, status, time, and granted or the reason', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    for (const [id, line, expected] of [
      ['one-1', 'GET /auth/me', { route: '/auth/me', status: 200, granted: true }],
      ['one-2', 'GET /required/deep/path', { route: '/required', status: 200, granted: true }],
      ['one-3', 'GET /nothing', { route: null, status: 404, granted: false, reason: 'not_found' }],
      [
        'one-4',
        'PUT /auth/me',
        { route: '/auth/me', status: 405, granted: false, reason: 'method_not_allowed' },
      ],
      [
        'one-5',
        'GET /system/nodes',
        { route: '/system/nodes', status: 403, granted: false, reason: 'sysadmin_required' },
      ],
      ['one-6', 'GET /a//b', { status: 400, granted: false, reason: 'path_ambiguous' }],
    ] as const) {
      await sendLines(gateway.url, line, [`X-Request-Id: ${id}`, `Authorization: Bearer ${token}`])
      const lines = gateway.logLines
        .map((one) => JSON.parse(one) as Record<string, unknown>)
        .filter((one) => one.requestId === id)
      expect(lines).toMatchObject([{ level: 'info', ...expected }])
      expect(lines[0]?.ms).toEqual(expect.any(Number))
    }
  })
})

describe('answers', () => {
  it('of a broken directory hold nothing of the database', async () => {
    const gateway = await startTestGateway()
    try {
      const { token } = await tokenFor(gateway.database, 'alice')
      await gateway.database.sql('alter table users rename to users_away')
      for (const [line, lines] of [
        ['GET /auth/me', [`Authorization: Bearer ${token}`]],
        ['POST /auth/login', ['Content-Type: application/json', 'Content-Length: 31']],
      ] as const) {
        const answer = await sendLines(
          gateway.url,
          line,
          [...lines],
          line.startsWith('POST') ? '{"username":"a","password":"b"}' : '',
        )
        expect(answer.status).toBe(503)
        expect(answer.text).not.toMatch(/users|relation|select|postgres|42P01|127\.0\.0\.1|knex|stack|at /i)
      }
    } finally {
      await gateway.stop()
    }
  })
})
