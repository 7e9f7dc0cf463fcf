import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest } from '../support/http-client.js'
import { runCli } from '../support/cli.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import {
  cleanUpProcesses,
  makeDataDir,
  startGatewayProcess,
  type GatewayProcess,
} from '../support/gateway-process.js'
import { testSecret } from '../support/gateway.js'
import { createOldSide, mappingFile, movingIn, oldPasswords, type OldSide } from '../support/old-side.js'
import { runPython, startPython } from '../support/python.js'
import { until } from '../support/until.js'

const contacts = '/api/crm/contacts'
type Step = 'watch' | 'enforce' | 'retired'

/** The route file of each step of docs/moving-in.md. */
const routesOf: Record<Step, (app: string) => string> = {
  watch: (app) => `upstreams: { crm: { targets: ['${app}'] } }
routes:
  /api/login: { upstream: crm, auth: public, credentials: pass }
  /api/crm: { upstream: crm, mandate: required, credentials: pass, decide: watch }
`,
  enforce: (app) => `upstreams: { crm: { targets: ['${app}'] } }
routes:
  /api/login: { upstream: crm, auth: public, credentials: pass }
  /api/crm: { upstream: crm, mandate: required, credentials: pass }
`,
  retired: (app) => `upstreams: { crm: { targets: ['${app}'] } }
routes:
  /api/crm: { upstream: crm, mandate: required }
`,
}

let old: OldSide
let database: TestDatabase
let gateway: GatewayProcess
let url: string
let app: Awaited<ReturnType<typeof startPython>>
let folder: string
const took: [string, number][] = []

const appEnvironment = () => ({ OLD_SECRET: testSecret, OLD_DATABASE_URL: old.database.ownerUrl })
const gatewayEnvironment = () => ({
  DATABASE_URL: database.url,
  DATABASE_MIGRATION_URL: database.ownerUrl,
  APP_JWT_KEY_SECRET: testSecret,
  SECRET_KEY: `${testSecret}-portal`,
  GATEWAY_ROUTES: path.join(folder, 'routes.yaml'),
})
const oldApp = (environment: Record<string, string> = {}) =>
  startPython(path.join(movingIn, 'old_app.py'), [], { ...appEnvironment(), ...environment })
const command = (...args: string[]) =>
  runCli(args, { ...gatewayEnvironment(), OLD_DATABASE_URL: old.database.ownerUrl })

/** Times a step, for docs/moving-in.md. */
async function timed<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  const startedAt = performance.now()
  const result = await work()
  took.push([name, Math.round(performance.now() - startedAt) / 1000])
  return result
}

/** Lets another route file come into force. */
async function useRoutes(step: Step): Promise<void> {
  await writeFile(path.join(folder, 'routes.yaml'), routesOf[step](app.url))
  const before = gateway.output().length
  gateway.child.kill('SIGHUP')
  await until(() => Promise.resolve(gateway.output().slice(before).includes('the route table was read anew')))
}

const signIn = async (
  where: string,
  at: '/api/login' | '/auth/login',
  username: string,
  password: string,
) => {
  const response = await sendRequest(where, at, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ username, password }),
  })
  const cookie =
    [response.headers['set-cookie'] ?? []]
      .flat()
      .find((one) => one.startsWith('auth_token='))
      ?.split(';', 1)[0] ?? ''
  return { status: response.status, cookie }
}
const see = async (
  where: string,
  cookie: string,
  mandate: string | undefined,
  more: Record<string, string> = {},
) => {
  const { status, text } = await sendRequest(where, contacts, {
    headers: { Cookie: cookie, ...(mandate ? { 'X-Mandate-Id': mandate } : {}), ...more },
  })
  const body = JSON.parse(text) as { username?: string; by?: string; code?: string; mandateId?: string }
  return {
    status,
    ...(body.by ? { who: body.username, by: body.by } : {}),
    ...(body.code ? { code: body.code } : {}),
  }
}
/** What the log says a watching route would have decided on a request. */
const watched = async (id: string) => {
  const line = await until(() =>
    Promise.resolve(
      gateway
        .output()
        .split('\n')
        .find((text) => text.includes('"message":"request"') && text.includes(id)),
    ),
  )
  return (JSON.parse(line) as { watched?: string }).watched
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-moving-'))
  ;[old, database] = [await createOldSide(), await createTestDatabase('template_empty')]
  app = await oldApp()
}, 240_000)
afterAll(async () => {
  await app.stop()
  await cleanUpProcesses()
  await old.drop()
  await database.drop()
  await rm(folder, { recursive: true, force: true })
  process.stdout.write(
    took.map(([name, seconds]) => `${seconds.toFixed(1).padStart(8)} s  ${name}\n`).join(''),
  )
})

describe('a FastAPI product moves behind the gateway, and back', () => {
  const cookies = { anna: '', ben: '', fromGateway: '' }
  const inNorth = (cookie: string, more?: Record<string, string>) => see(url, cookie, old.ids.north, more)

  it('by itself it signs people in and checks them', async () => {
    const login = await signIn(app.url, '/api/login', 'Anna.Muster', oldPasswords.anna)
    cookies.anna = login.cookie
    expect([login.status, await see(app.url, login.cookie, old.ids.north)]).toEqual([
      200,
      { status: 200, who: 'Anna.Muster', by: 'old token' },
    ])
    expect(await see(app.url, login.cookie, old.ids.south)).toEqual({ status: 403 })
  }, 60_000)

  it('with the gateway in front nothing changes for anybody, and the log says what would be refused', async () => {
    await writeFile(path.join(folder, 'routes.yaml'), routesOf.watch(app.url))
    gateway = startGatewayProcess({ ...gatewayEnvironment(), DATA_DIR: await makeDataDir() })
    url = await timed('start the gateway in front, watching', () => gateway.url())
    expect(gateway.output()).toMatch(/\/api\/crm only watches/)
    expect(await inNorth(cookies.anna, { 'X-Request-Id': 'before-import' })).toEqual({
      status: 200,
      who: 'Anna.Muster',
      by: 'old token',
    })
    expect(await watched('before-import')).toBe('token_invalid')
    const login = await signIn(url, '/api/login', 'ben', oldPasswords.ben)
    cookies.ben = login.cookie
    expect([login.status, await see(url, login.cookie, old.ids.south)]).toEqual([
      200,
      { status: 200, who: 'ben', by: 'old token' },
    ])
    expect([
      await see(url, login.cookie, old.ids.north),
      (await signIn(url, '/api/login', 'ben', 'wrong')).status,
    ]).toEqual([{ status: 403 }, 401])
  }, 60_000)

  it('the import is rehearsed, made and repeated, and then nobody would be refused who is let in', async () => {
    const dry = await timed('import --dry-run', () => command('import', mappingFile, '--dry-run'))
    expect(dry).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/Nothing was changed: this was a dry run/),
    })
    expect(await timed('import', () => command('import', mappingFile))).toMatchObject({ code: 0 })
    expect((await signIn(url, '/api/login', 'ben', oldPasswords.ben)).status).toBe(200)
    const late = await signIn(url, '/api/login', 'Anna.Muster', oldPasswords.anna)
    await inNorth(late.cookie, { 'X-Request-Id': 'after-import' })
    expect(await watched('after-import')).toBe('token_invalid') // signed in at the old login since
    expect(
      await timed('import once more, for those who signed in since', () => command('import', mappingFile)),
    ).toMatchObject({ code: 0 })
    for (const [id, cookie] of [
      ['anna-again', cookies.anna],
      ['late-again', late.cookie],
    ] as const) {
      await inNorth(cookie, { 'X-Request-Id': id })
      expect([id, await watched(id)]).toEqual([id, 'granted'])
    }
    await inNorth(cookies.ben, { 'X-Request-Id': 'foreign' })
    expect(await watched('foreign')).toBe('not_a_member')
  }, 90_000)

  it('enforced: people stay signed in by their old cookie, and the product reads them from the gateway', async () => {
    await app.stop()
    app = await oldApp({ GATEWAY_URL: url })
    await timed('enforce', () => useRoutes('enforce'))
    expect(await inNorth(cookies.anna)).toEqual({ status: 200, who: 'Anna.Muster', by: 'gateway' })
    expect(await see(url, cookies.ben, old.ids.south)).toEqual({ status: 200, who: 'ben', by: 'gateway' })
  }, 60_000)

  it('enforced, the gateway refuses a foreign mandate, a forged identity and, at once, a revoked token', async () => {
    expect(await inNorth(cookies.ben)).toEqual({ status: 403, code: 'not_a_member' })
    expect(await inNorth('', { 'X-Gateway-Identity': 'e30.e30.AAAA', 'X-User-Id': old.ids.anna })).toEqual({
      status: 401,
      code: 'authentication_required',
    })
    expect(await inNorth(cookies.anna, { 'X-Gateway-Identity': 'e30.e30.AAAA' })).toEqual({
      status: 200,
      who: 'Anna.Muster',
      by: 'gateway',
    })
    const { token, jti } = await old.token('anna')
    await command('import', mappingFile)
    expect((await inNorth(`auth_token=${token}`)).status).toBe(200)
    expect((await command('token', 'revoke', jti)).code).toBe(0)
    expect(await inNorth(`auth_token=${token}`)).toEqual({ status: 401, code: 'token_invalid' })
    await command('import', mappingFile) // the old side still calls it active
    expect(await inNorth(`auth_token=${token}`)).toEqual({ status: 401, code: 'token_invalid' })
  }, 90_000)

  it('without its own login people sign in at the gateway, by the password that they had', async () => {
    await app.stop()
    app = await oldApp({ GATEWAY_URL: url, OLD_LOGIN: 'off' })
    await timed('retire the old login', () => useRoutes('retired'))
    expect((await signIn(url, '/api/login', 'ben', oldPasswords.ben)).status).toBe(404)
    const login = await signIn(url, '/auth/login', 'anna.muster', oldPasswords.anna)
    cookies.fromGateway = login.cookie
    expect([login.status, await inNorth(login.cookie)]).toEqual([
      200,
      { status: 200, who: 'Anna.Muster', by: 'gateway' },
    ])
    expect(await inNorth(cookies.anna)).toMatchObject({ status: 200, by: 'gateway' })
    expect(
      await database.sql('select left(password_hash, 9) as kind from users where id = $1', [old.ids.anna]),
    ).toEqual([{ kind: '$argon2id' }])
    expect((await command('doctor')).stdout).not.toMatch(/only watches|passes credentials/)
  }, 60_000)

  it('and back: those who were added, disabled, or signed in here meanwhile are the same there', async () => {
    const password = 'made at the gateway 1'
    expect(
      await runCli(['user', 'create', 'clara', '--password'], gatewayEnvironment(), password),
    ).toMatchObject({ code: 0 })
    await database.sql(
      "insert into user_mandates (user_id, mandate_id) select id, $1 from users where username = 'clara'",
      [old.ids.north],
    )
    expect((await command('user', 'disable', 'ben')).code).toBe(0)
    const said = await timed('take back what has happened', () =>
      runPython(path.join(movingIn, 'back.py'), {
        GATEWAY_DATABASE_URL: database.ownerUrl,
        OLD_DATABASE_URL: old.database.ownerUrl,
      }),
    )
    expect(said).toMatch(/^3 users, 3 memberships, 1 roles of members/)
    await app.stop()
    app = await oldApp()
    await timed('watch again', () => useRoutes('watch'))
    // signed in by the gateway
    expect(await inNorth(cookies.fromGateway)).toEqual({ status: 200, who: 'Anna.Muster', by: 'old token' })
    for (const [username, typed, status] of [
      ['Anna.Muster', oldPasswords.anna, 200],
      ['clara', password, 200],
      ['ben', oldPasswords.ben, 401],
    ] as const) {
      const login = await signIn(app.url, '/api/login', username, typed)
      expect([username, login.status]).toEqual([username, status])
      if (status === 200)
        expect(await see(app.url, login.cookie, old.ids.north)).toEqual({
          status: 200,
          who: username,
          by: 'old token',
        })
    }
  }, 90_000)
})
