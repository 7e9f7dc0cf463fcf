import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { RouteTableError, parseRouteTable } from '../../src/proxy/route-table.js'
import { explainRoute } from '../../src/proxy/explain-route.js'
import { openRoutes } from '../../src/proxy/open-routes.js'
import { sendRequest } from '../support/http-client.js'
import { mandates, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines, sendRaw } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'
import { until } from '../support/until.js'

const routesTo = (url: string) => `
upstreams:
  old: { targets: ['${url}'] }
routes:
  /public: { upstream: old, auth: public, credentials: pass }
  /watched:
    { upstream: old, mandate: required, instance: optional, permission: { context: RESOURCE, item: crm },
      credentials: pass, decide: watch }
  /enforced:
    { upstream: old, mandate: required, instance: optional, permission: { context: RESOURCE, item: crm },
      credentials: pass }
  /anywhere: { upstream: old, credentials: pass }
  /closed: { upstream: old, mandate: optional }
`

/** Headers by which a caller could pretend to be somebody, in spellings that some program folds into one. */
const forged = [
  `X-User-Id: ${users.root}`,
  'X-Username: root',
  'x_username: root',
  'X-Authority: local',
  'X-Session-Id: s',
  'X-Role-Ids: admin',
  'X-Access-Level: a',
  'X-Portal-Client-Id: c',
  'X-Gateway-Identity: e30.e30.AAAA',
  'x_gateway_identity: e30.e30.AAAA',
  `X_Mandate_Id: ${mandates.globex}`,
  `X.Instance.Id: ${randomUUID()}`,
  'X-Remote-User: root',
  'X-Forwarded-User: root',
]
const identityNames = [
  'x-user-id',
  'x-username',
  'x-authority',
  'x-session-id',
  'x-role-ids',
  'x-access-level',
  'x-portal-client-id',
  'x-gateway-identity',
  'x-remote-user',
  'x-forwarded-user',
]

let upstream: Upstream
let gateway: TestGateway
let alice: string
let erin: string
beforeAll(async () => {
  upstream = await startUpstream()
  gateway = await startTestGateway({
    routes: routesTo(upstream.url),
    environment: { CORS_ORIGINS: 'https://app.example' },
  })
  alice = (await tokenFor(gateway.database, 'alice')).token
  erin = (await tokenFor(gateway.database, 'erin')).token
})
afterEach(() => upstream.answerWith(undefined))
afterAll(async () => {
  await gateway.stop()
  await upstream.stop()
})

/** The access line of a request. */
async function lineOf(id: string): Promise<Record<string, unknown>> {
  return await until(
    () =>
      Promise.resolve(
        gateway.logLines
          .map((text) => JSON.parse(text) as Record<string, unknown>)
          .find(({ message, requestId }) => message === 'request' && requestId === id),
      ),
    5000,
  )
}
const send = async (path: string, lines: string[], method = 'GET') => {
  const id = randomUUID()
  const answer = await sendLines(gateway.url, `${method} ${path}`, [`X-Request-Id: ${id}`, ...lines])
  return { id, answer, heard: answer.status === 200 ? upstream.last().headers : {} }
}
const acme = `X-Mandate-Id: ${mandates.acme}`

describe('credentials: pass', () => {
  const cookies = (token: string) =>
    `Cookie: theme=dark; auth_token=${token}; refresh_token=r; portal_session=p; sign_in_flow=f`

  it('hands on Authorization and the cookies of a login, but never those of the portal and of a sign-in', async () => {
    for (const path of ['/public/x', '/enforced/x', '/watched/x']) {
      const { heard } = await send(path, [cookies(alice), 'Authorization: Basic b2xk', acme])
      expect([path, heard.cookie, heard.authorization]).toEqual([
        path,
        `theme=dark; auth_token=${alice}; refresh_token=r`,
        'Basic b2xk',
      ])
    }
    const { heard } = await send('/closed/x', [cookies(alice), 'Authorization: Basic b2xk'])
    expect([heard.cookie, heard.authorization]).toEqual(['theme=dark', undefined])
  })

  it('lets the service set the cookies of its own login, and none of the portal', async () => {
    upstream.answerWith((_req, res) =>
      res
        .writeHead(200, {
          'Set-Cookie': [
            'auth_token=new; HttpOnly',
            'refresh_token=r2',
            'portal_session=evil',
            '=portal_session=evil',
            'sign_in_flow=evil',
            'theme=light',
          ],
        })
        .end(),
    )
    for (const [path, kept] of [
      ['/public/x', ['auth_token=new; HttpOnly', 'refresh_token=r2', 'theme=light']],
      ['/closed/x', ['theme=light']],
    ] as const) {
      const answer = await sendLines(gateway.url, `GET ${path}`, [`Authorization: Bearer ${alice}`])
      expect([path, answer.headers['set-cookie']]).toEqual([path, kept])
    }
  })

  it('forwards the place the caller names when nothing is checked, and only the checked one otherwise', async () => {
    expect((await send('/public/x', [acme, 'X-Instance-Id: anything'])).heard).toMatchObject({
      'x-mandate-id': mandates.acme,
      'x-instance-id': 'anything',
    })
    const told = (
      await send('/enforced/x', [
        `Authorization: Bearer ${alice}`,
        `X-Mandate-Id: ${mandates.acme.toUpperCase()}`,
      ])
    ).heard
    expect(told).toMatchObject({
      'x-mandate-id': mandates.acme,
      'x-username': 'alice',
      'x-gateway-identity': expect.any(String),
    })
    expect(
      (await send('/anywhere/x', [`Authorization: Bearer ${alice}`, `X-Mandate-Id: ${mandates.globex}`]))
        .heard,
    ).not.toHaveProperty('x-mandate-id')
  })

  it('still refuses a foreign mandate, a revoked token and an anonymous caller', async () => {
    const { token, jti } = await tokenFor(gateway.database, 'alice')
    await gateway.database.sql("update tokens set status = 'revoked' where id = $1", [jti])
    for (const [lines, status, code] of [
      [[acme], 401, 'authentication_required'],
      [[acme, `Authorization: Bearer ${token}`], 401, 'token_invalid'],
      [[`X-Mandate-Id: ${randomUUID()}`, `Authorization: Bearer ${alice}`], 403, 'not_a_member'],
      [[`Authorization: Bearer ${alice}`], 400, 'mandate_required'],
    ] as const) {
      const before = upstream.received.length
      const answer = await sendLines(gateway.url, 'GET /enforced/x', [...lines])
      expect([answer.status, codeOf(answer), upstream.received.length]).toEqual([status, code, before])
    }
  })

  it.each(['/public/x', '/enforced/x', '/watched/x', '/anywhere/x'])(
    'lets no client forge what the gateway says of a caller (%s)',
    async (path) => {
      const { heard } = await send(path, [`Authorization: Bearer ${alice}`, acme, ...forged])
      const isTold = path === '/enforced/x' || path === '/anywhere/x'
      for (const name of identityNames)
        expect([
          name,
          ['root', users.root, 'e30.e30.AAAA', 'admin', 's', 'c'].includes(String(heard[name])),
        ]).toEqual([name, false])
      expect([heard['x-username'], heard['x-user-id']]).toEqual(
        isTold ? ['alice', users.alice] : [undefined, undefined],
      )
      expect(Object.keys(heard).filter((name) => name.includes('_') || name.includes('.'))).toEqual([])
      expect(JSON.stringify(heard)).not.toContain(mandates.globex)
    },
  )
})

describe('decide: watch', () => {
  it.each([
    ['nobody', () => [acme], 'authentication_required', undefined],
    ['a token that nobody signed', () => [acme, 'Authorization: Bearer a.b.c'], 'token_invalid', undefined],
    [
      'somebody of another mandate',
      () => [acme, `Authorization: Bearer ${erin}`],
      'not_a_member',
      users.erin,
    ],
    ['somebody without a mandate', () => [`Authorization: Bearer ${alice}`], 'mandate_required', users.alice],
    [
      'a mandate that is none',
      () => [`Authorization: Bearer ${alice}`, 'X-Mandate-Id: acme'],
      'mandate_id_invalid',
      users.alice,
    ],
    [
      'two mandates',
      () => [`Authorization: Bearer ${alice}`, acme, `X-Mandate-Id: ${mandates.globex}`],
      'header_ambiguous',
      undefined,
    ],
    ['somebody who may', () => [`Authorization: Bearer ${alice}`, acme], 'granted', users.alice],
  ] as const)(
    'forwards %s without a caller, and notes what it would have decided',
    async (_who, linesOf, decision, user) => {
      const lines = linesOf()
      const { id, answer, heard } = await send('/watched/x', [...lines, ...forged])
      expect(answer.status).toBe(200)
      for (const name of identityNames) expect([name, heard[name]]).toEqual([name, undefined])
      expect(await lineOf(id)).toMatchObject({
        route: '/watched',
        status: 200,
        granted: true,
        watched: decision,
        ...(user ? { user } : {}),
      })
      const named = lines
        .filter((line) => line.startsWith('X-Mandate-Id'))
        .map((line) => line.slice(14))
        .join(', ')
      expect(heard['x-mandate-id'] ?? '').toBe(named)
    },
  )

  it('shows its caller nothing: neither a header, nor other caching, cookies or rights of pages', async () => {
    upstream.answerWith((_req, res) =>
      res
        .writeHead(404, {
          'Cache-Control': 'max-age=60',
          'Access-Control-Allow-Origin': '*',
          'Set-Cookie': 'auth_token=x',
        })
        .end('{}'),
    )
    const granted = (await send('/watched/x', [`Authorization: Bearer ${alice}`, acme])).answer
    const refused = (await send('/watched/x', [acme])).answer
    for (const { headers, status } of [granted, refused]) {
      expect(status).toBe(404)
      expect(headers).toMatchObject({
        'cache-control': ['max-age=60'],
        'access-control-allow-origin': ['*'],
        'set-cookie': ['auth_token=x'],
      })
    }
    expect(Object.keys(granted.headers).sort()).toEqual(Object.keys(refused.headers).sort())
  })

  it('audits nothing, and records no denial to explain', async () => {
    const { id } = await send('/watched/x', [acme, `Authorization: Bearer ${erin}`])
    await lineOf(id)
    expect(await gateway.database.sql('select action from audit_events where request_id = $1', [id])).toEqual(
      [],
    )
  })

  it('lets a stream live that the revocation of its token would have ended', async () => {
    const { token, jti } = await tokenFor(gateway.database, 'alice')
    let push: ((text: string) => void) | undefined
    let ended = false
    upstream.answerWith((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 1\n\n')
      push = (text) => res.end(text)
      res.on('close', () => {
        ended = true
      })
    })
    const response = await fetch(`${gateway.url}/watched/events`, {
      headers: { Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme },
    })
    const root = (await tokenFor(gateway.database, 'root')).token
    expect(
      (
        await sendRequest(gateway.url, `/system/tokens/${jti}`, {
          method: 'DELETE',
          headers: { Authorization: `Bearer ${root}` },
        })
      ).status,
    ).toBe(200)
    expect(ended).toBe(false)
    push?.('data: 2\n\n')
    expect(await response.text()).toBe('data: 1\n\ndata: 2\n\n')
  })

  it('opens a WebSocket whatever it decides', async () => {
    upstream.server.once('upgrade', (_req, socket) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
    })
    const lines = [
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Origin: https://evil.example',
      'Cookie: auth_token=x',
    ]
    const answer = await sendRaw(
      gateway.url,
      `GET /watched/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n${lines.join('\r\n')}\r\n\r\n`,
    )
    expect(answer.status).toBe(101)
  })

  it('is answered for other proxies with 200 and nothing of the caller', async () => {
    const asking = await startTestGateway({
      routes: routesTo(upstream.url),
      database: gateway.database,
      environment: { TRUST_PROXY: '1' },
    })
    try {
      for (const lines of [[], [`Authorization: Bearer ${alice}`, acme]]) {
        const answer = await sendLines(asking.url, 'GET /auth/verify', [
          'X-Original-Method: GET',
          'X-Original-URI: /watched/x',
          ...lines,
        ])
        expect([
          answer.status,
          Object.keys(answer.headers).filter(
            (name) => identityNames.includes(name) || name === 'x-mandate-id',
          ),
        ]).toEqual([200, []])
      }
      expect(
        (
          await sendLines(asking.url, 'GET /auth/verify', [
            'X-Original-Method: GET',
            'X-Original-URI: /enforced/x',
          ])
        ).status,
      ).toBe(401)
    } finally {
      await asking.stop()
    }
  })

  it('leaves no trace of its decision on the request: no mandate counts it', async () => {
    await send('/watched/x', [`Authorization: Bearer ${alice}`, acme])
    await send('/enforced/x', [`Authorization: Bearer ${alice}`, acme])
    const { text } = await sendRequest(gateway.url, '/metrics')
    const tiersOf = (route: string) =>
      [...text.matchAll(new RegExp(`^gateway_requests_total\\{route="${route}".*tier="(\\w+)"`, 'gm'))].map(
        ([, tier]) => tier,
      )
    expect([new Set(tiersOf('/watched')), tiersOf('/enforced').includes('member')]).toEqual([
      new Set(['none']),
      true,
    ])
  })

  it('is counted by route and decision, and shown by the route list and the explanation', async () => {
    const root = { Authorization: `Bearer ${(await tokenFor(gateway.database, 'root')).token}` }
    const petra = {
      Authorization: `Bearer ${(await tokenFor(gateway.database, 'petra')).token}`,
      'Content-Type': 'application/json',
    }
    const { text } = await sendRequest(gateway.url, '/metrics')
    expect(text).toMatch(
      /^gateway_watched_decisions_total\{route="\/watched",decision="not_a_member"\} [1-9]/m,
    )
    expect(text).not.toMatch(/^gateway_watched_decisions_total\{route="\/enforced"/m)
    const { items } = JSON.parse(
      (await sendRequest(gateway.url, '/system/routes', { headers: root })).text,
    ) as {
      items: { prefix: string; decide: string; credentials: string }[]
    }
    expect(items.find(({ prefix }) => prefix === '/watched')).toMatchObject({
      decide: 'watch',
      credentials: 'pass',
    })
    for (const [path, enforced] of [
      ['/watched/x', false],
      ['/enforced/x', true],
    ] as const) {
      const body = JSON.stringify({ user: 'erin', mandate: mandates.acme, method: 'GET', path })
      expect(
        JSON.parse(
          (await sendRequest(gateway.url, '/admin/explain', { method: 'POST', headers: petra, body })).text,
        ),
      ).toMatchObject({ allowed: false, enforced, refusal: { code: 'not_a_member' } })
    }
  })

  it('sends on what cannot be decided, while the database is away, and notes it', async () => {
    const own = await startTestGateway({ routes: routesTo(upstream.url) })
    try {
      await own.database.sql('alter table tokens rename to away')
      const id = randomUUID()
      const answers = await Promise.all(
        ['/watched/x', '/enforced/x'].map((path) =>
          sendLines(own.url, `GET ${path}`, [
            `X-Request-Id: ${id}${path.slice(1, 2)}`,
            `Authorization: Bearer ${alice}`,
            acme,
          ]),
        ),
      )
      expect(answers.map(({ status }) => status)).toEqual([200, 503])
      const line = await until(
        () =>
          Promise.resolve(
            own.logLines
              .map((text) => JSON.parse(text) as Record<string, unknown>)
              .find(({ message, requestId }) => message === 'request' && requestId === `${id}w`),
          ),
        5000,
      )
      expect(line.watched).toMatch(/^(?:authentication_unavailable|undecided)$/)
      await own.database.sql('alter table away rename to tokens')
    } finally {
      await own.stop()
    }
  })
})

describe('an open route', () => {
  const table = () => parseRouteTable(routesTo('http://127.0.0.1:9000'), 'routes.yaml')

  it('is warned of when it comes into force', () => {
    const warnings = gateway.logLines
      .map((line) => JSON.parse(line) as { level: string; message: string })
      .filter(({ level }) => level === 'warn')
      .map(({ message }) => message)
    expect(warnings).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^\/watched only watches: every request is sent on/),
        expect.stringMatching(/^\/enforced passes credentials on/),
      ]),
    )
    expect(openRoutes(table())).toHaveLength(4)
  })

  it('is explained by routes match', () => {
    expect(explainRoute(table(), 'GET', '/watched')).toMatchObject({ credentials: 'pass', decide: 'watch' })
    expect(explainRoute(table(), 'GET', '/closed')).toMatchObject({ credentials: 'strip', decide: 'enforce' })
  })

  it.each([
    ['credentials: keep', 'credentials: must be strip or pass'],
    ['decide: never', 'decide: must be enforce or watch'],
    ['decide: watch', 'decide: needs credentials: pass'],
    [
      'auth: public, credentials: pass, decide: watch',
      'decide: cannot be watch with auth: public: nothing is decided there',
    ],
    ['credentials: pass, decide: watch, tell: [user]', 'tell: cannot be set with decide: watch'],
  ])('that contradicts itself is refused with its line (%s)', (fields, message) => {
    let faults: string[] = []
    try {
      parseRouteTable(
        `upstreams:\n  old: { targets: ['http://127.0.0.1:1'] }\nroutes:\n  /x: { upstream: old, ${fields} }\n`,
        'routes.yaml',
      )
    } catch (error) {
      if (error instanceof RouteTableError) faults = error.faults
    }
    expect(faults).toEqual([expect.stringMatching(new RegExp(`^routes\\.yaml:4: routes › /x › ${message}`))])
  })
})
