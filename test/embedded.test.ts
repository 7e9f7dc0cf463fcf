import { execFile } from 'node:child_process'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express from 'express'
import { WebSocket } from 'ws'
import {
  allowAnyone,
  gateway,
  requirePermission,
  requirePlatformAdmin,
  requireSysAdmin,
  requireUser,
  type EmbeddedGateway,
} from '../src/index.js'
import { createTestDatabase, type TestDatabase } from './support/database.js'
import { mandates, tokenFor, type DemoUser } from './support/demo.js'
import { testSecret } from './support/gateway.js'
import { makeDataDir } from './support/gateway-process.js'
import { until } from './support/until.js'

const root = path.resolve(import.meta.dirname, '..')

describe('a program that embeds the gateway', () => {
  let database: TestDatabase
  let own: EmbeddedGateway
  let server: Server
  let url: string
  beforeAll(async () => {
    database = await createTestDatabase()
    own = await gateway({
      environment: {
        DATA_DIR: await makeDataDir(),
        DATABASE_URL: database.url,
        DATABASE_MIGRATION_URL: database.ownerUrl,
        APP_JWT_KEY_SECRET: testSecret,
        SECRET_KEY: `${testSecret}-portal`,
        GATEWAY_ROUTES: path.join(root, 'routes.yaml'),
        SEED_DEMO: 'true',
        RATE_LIMIT_USER: '1000/60s',
        LOG_FORMAT: 'json',
      },
      write: () => undefined,
    })
    const app = express()
    app.use(own)
    app.get('/open', allowAnyone({ identify: true }), (req, res) =>
      res.json({ user: req.principal?.user.username ?? null }),
    )
    app.get('/mine', requireUser({ mandate: 'optional', instance: 'optional' }), (req, res) =>
      res.json({ user: req.principal?.user.username, roleIds: req.context?.roleIds }),
    )
    app.all('/reports', requirePermission({ context: 'RESOURCE', item: 'crm.reports' }), (req, res) =>
      res.json({ level: req.accessLevel }),
    )
    app.get('/system-only', requireSysAdmin(), (_req, res) => res.json({}))
    app.get('/platform-only', requirePlatformAdmin(), (_req, res) => res.json({}))
    server = own.createServer(app).listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await own.close()
    await database.drop()
  })

  async function ask(where: string, user?: DemoUser, headers: Record<string, string> = {}, method = 'GET') {
    const token = user && (await tokenFor(database, user)).token
    const answer = await fetch(url + where, {
      method,
      headers: { ...(token ? { Authorization: `Bearer ${token}` } : {}), ...headers },
    })
    const text = await answer.text()
    return {
      status: answer.status,
      headers: answer.headers,
      body: (text.startsWith('{') ? JSON.parse(text) : text) as Record<string, unknown>,
    }
  }
  const inAcme = { 'X-Mandate-Id': mandates.acme }

  it('has the gateway’s own endpoints and the routes of its table', async () => {
    expect((await ask('/healthz')).body).toEqual({ status: 'ok' })
    expect((await ask('/auth/me', 'alice')).status).toBe(200)
    expect((await ask('/auth/nothing')).body).toMatchObject({ code: 'not_found' })
    expect((await ask('/api/crm/contacts', 'alice', inAcme)).body).toMatchObject({ mandateId: mandates.acme })
    expect((await ask('/api/crm/contacts')).status).toBe(401)
  })

  it('lets its own handlers know who is calling, and refuses in the gateway’s words who may not', async () => {
    const mine = await ask('/mine', 'bob', inAcme)
    expect(mine.body).toMatchObject({ user: 'bob', roleIds: [expect.any(String)] })
    expect(mine.headers.get('x-request-id')).toMatch(/^[\w-]+$/)
    expect(mine.headers.get('ratelimit')).toMatch(/"user"/)
    const refused = await ask('/mine')
    expect([refused.status, refused.body.code, refused.headers.get('content-type')]).toEqual([
      401,
      'authentication_required',
      'application/problem+json; charset=utf-8',
    ])
    expect((await ask('/mine', 'erin', inAcme)).body).toMatchObject({ code: 'not_a_member' })
    expect((await ask('/open')).body).toEqual({ user: null })
    expect((await ask('/open', 'alice')).body).toEqual({ user: 'alice' })
    expect((await ask('/open', undefined, { Authorization: 'Bearer nonsense' })).status).toBe(401)
  })

  it('guards by permission, the action taken from the method', async () => {
    expect((await ask('/reports', 'bob', inAcme)).body).toEqual({ level: 'a' })
    expect((await ask('/reports', 'bob', inAcme, 'POST')).body).toMatchObject({ code: 'permission_denied' })
    expect((await ask('/reports', 'bob')).body).toMatchObject({ code: 'mandate_required' })
  })

  it('guards by level, and each use is audited', async () => {
    expect((await ask('/system-only', 'alice')).body).toMatchObject({ code: 'sysadmin_required' })
    expect((await ask('/system-only', 'root')).status).toBe(200)
    expect((await ask('/platform-only', 'petra')).status).toBe(200)
    expect((await ask('/platform-only', 'root')).body).toMatchObject({ code: 'platform_admin_required' })
    const actions = await until(async () => {
      const rows = await database.sql<{ action: string }>(
        `select distinct action from audit_events where action ~ '_admin_action|sysadmin' order by 1`,
      )
      return rows.length >= 4 ? rows.map(({ action }) => action) : undefined
    })
    expect(actions).toEqual([
      'platform_admin_action',
      'platform_admin_action_refused',
      'sysadmin_action',
      'sysadmin_action_refused',
    ])
  })

  it('has its own 404 for what is nobody’s', async () => {
    const answer = await ask('/nowhere')
    expect([answer.status, answer.headers.get('content-type')]).toEqual([404, 'text/html; charset=utf-8'])
  })

  it('has WebSockets on the routes', async () => {
    const { token } = await tokenFor(database, 'alice')
    const socket = new WebSocket(`${url.replace('http', 'ws')}/api/crm/ws`, {
      headers: { Authorization: `Bearer ${token}`, ...inAcme },
    })
    await once(socket, 'open')
    socket.send('hello')
    const [data] = await once(socket, 'message')
    expect(String(data)).toBe('hello')
    socket.terminate()
  })

  it('is told what is missing where a guard has no gateway before it', async () => {
    const app = express()
    app.get('/', requireUser(), (_req, res) => res.json({}))
    app.use(((error: Error, _req, res, _next) =>
      res.status(500).end(error.message)) as express.ErrorRequestHandler)
    const bare = app.listen(0, '127.0.0.1')
    await once(bare, 'listening')
    const answer = await fetch(`http://127.0.0.1:${(bare.address() as AddressInfo).port}/`)
    expect(await answer.text()).toContain('app.use(await gateway())')
    bare.close()
  })

  it('finds the package’s exports under their names', async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `
      import * as all from 'mandate-gateway'
      import * as upstream from 'mandate-gateway/upstream'
      console.log(typeof all.gateway, typeof all.requireSysAdmin, typeof upstream.verifyGatewayIdentity)`,
      ],
      { cwd: root },
    )
    expect(stdout.trim()).toBe('function function function')
  })
})
