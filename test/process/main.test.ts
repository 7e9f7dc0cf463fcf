import { execFile } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { mandates } from '../support/demo.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const unlimited = { RATE_LIMIT_ADDRESS: 'off', RATE_LIMIT_USER: 'off', RATE_LIMIT_LOGIN: 'off' }
const sh = (command: string) => promisify(execFile)('sh', ['-c', command]).then(({ stdout }) => stdout)

async function logIn(url: string, username = 'alice'): Promise<string> {
  const response = await fetch(`${url}/auth/token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ grant_type: 'password', username, password: 'demo-password-1' }),
  })
  expect(response.status).toBe(200)
  return ((await response.json()) as { access_token: string }).access_token
}

const statusOf = async (url: string, token?: string) =>
  (await fetch(url, { headers: token ? { Authorization: `Bearer ${token}` } : {} })).status

/** Polls until `check` holds. */
async function until(check: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await check())) await new Promise((resolve) => setTimeout(resolve, 20))
}

const databases: TestDatabase[] = []

/** A database that goes with the processes that use it. */
async function makeDatabase(template?: 'template_empty'): Promise<TestDatabase> {
  const database = await createTestDatabase(template)
  databases.push(database)
  return database
}

afterEach(async () => {
  await cleanUpProcesses()
  for (const database of databases.splice(0)) await database.drop()
})

describe('a first start, with nothing configured', () => {
  it('prints three lines that work, recovers from SIGKILL with all data, and refuses a second gateway', async () => {
    const dataDir = await makeDataDir()
    const first = startGatewayProcess({ DATA_DIR: dataDir, ...unlimited })
    const url = await first.url()
    await first.says(/permissions\?context.*\n/)
    expect(first.output()).toContain(`is ready: ${url}`)
    const lines = first
      .output()
      .split('\n')
      .filter((line) => line.trim().startsWith('curl '))
    expect(lines).toHaveLength(3)
    const answers: Record<string, unknown>[] = []
    for (const line of lines) answers.push(JSON.parse(await sh(line)) as Record<string, unknown>)
    expect(answers[0]).toMatchObject({ user: { username: 'alice' } })
    expect(answers[1]).toMatchObject({ mandateId: mandates.acme })
    expect(answers[2]).toMatchObject({ context: 'RESOURCE', item: 'crm.contacts', view: true, read: 'a' })
    expect(await statusOf(`${url}/readyz`)).toBe(200)

    const second = startGatewayProcess({ DATA_DIR: dataDir })
    expect(await second.ended).toBe(1)
    expect(second.errors()).toMatch(/another gateway already runs/)
    expect(second.errors()).toContain(dataDir)
    expect(second.errors()).not.toMatch(/\n\s+at /)
    expect(await statusOf(`${url}/readyz`)).toBe(200)

    const token = await logIn(url)
    first.child.kill('SIGKILL') // in the moment after the login was acknowledged
    expect(await first.ended).toBe('SIGKILL')
    const third = startGatewayProcess({ DATA_DIR: dataDir, ...unlimited })
    const again = await third.url()
    expect(await statusOf(`${again}/auth/me`, token)).toBe(200) // the row, and the key that signed it
    expect(await sh(lines[0]!.replaceAll(url, again))).toContain('alice') // the demo data, once

    third.child.kill('SIGTERM')
    expect(await third.ended).toBe(0)
    await expect(fetch(again)).rejects.toThrow()
    const log = first.output() + first.errors() + third.output() + third.errors()
    expect(log).not.toContain(token)
    expect(log).not.toMatch(/postgres:\/\/[^ ]*:[^ ]*@/)
  }, 60_000)
})

describe('a start that cannot be', () => {
  it('lists every fault of the configuration, by variable, and exits with 78', async () => {
    const gateway = startGatewayProcess({
      DATA_DIR: await makeDataDir(),
      NODE_ENV: 'production',
      PORT: 'http',
      TRUST_PROXY: '-1',
      LOG_LEVEL: 'loud',
      SEED_DEMO: 'true',
      DATABASE_URL: 'mysql://root:very-secret@db',
      APP_JWT_KEY_SECRET: 'short-secret',
    })
    expect(await gateway.ended).toBe(78)
    for (const name of [
      'PORT',
      'TRUST_PROXY',
      'LOG_LEVEL',
      'SEED_DEMO',
      'DATABASE_URL',
      'APP_JWT_KEY_SECRET',
      'SECRET_KEY',
    ])
      expect(gateway.errors()).toMatch(new RegExp(`^\\s*${name}: `, 'm'))
    expect(gateway.errors()).not.toMatch(/very-secret|short-secret|mysql|loud|\n\s+at /)
  })

  it('in production without secrets exits with 78 and starts nothing', async () => {
    const dataDir = await makeDataDir()
    const gateway = startGatewayProcess({ DATA_DIR: dataDir, NODE_ENV: 'production' })
    expect(await gateway.ended).toBe(78)
    expect(gateway.errors()).toMatch(/APP_JWT_KEY_SECRET: [\s\S]*SECRET_KEY: /)
    expect(await readdir(dataDir)).toEqual([])
  })

  it('names each fault of the route file with its line, and exits with 78', async () => {
    const dataDir = await makeDataDir()
    const file = path.join(dataDir, 'my-routes.yaml')
    await writeFile(
      file,
      'upstreams: {}\nroutes:\n  /x: { upstream: nobody }\n  /auth: { upstream: nobody }\n',
    )
    const gateway = startGatewayProcess({ DATA_DIR: dataDir, GATEWAY_ROUTES: file })
    expect(await gateway.ended).toBe(78)
    expect(gateway.errors()).toContain(`${file}:3: `)
    expect(gateway.errors()).toContain(`${file}:4: `)
  })

  it('says which port is in use', async () => {
    const database = await makeDatabase()
    const upstream = await startUpstream()
    const gateway = startGatewayProcess({
      DATA_DIR: await makeDataDir(),
      DATABASE_URL: database.url,
      DATABASE_MIGRATION_URL: database.ownerUrl,
      PORT: new URL(upstream.url).port,
    })
    expect(await gateway.ended).toBe(1)
    expect(gateway.errors()).toContain(`127.0.0.1:${new URL(upstream.url).port} is in use`)
    expect(gateway.errors()).not.toMatch(/\n\s+at /)
    await upstream.stop()
  })

  const renamed = (url: string, change: Partial<URL>) => Object.assign(new URL(url), change).href
  it.each<[string, (database: TestDatabase) => Record<string, string>, RegExp]>([
    [
      'has a wrong password',
      ({ url, ownerUrl }) => ({
        DATABASE_URL: renamed(url, { password: 'very-secret' }),
        DATABASE_MIGRATION_URL: ownerUrl,
      }),
      /DATABASE_URL \(127\.0\.0\.1:\d+\) cannot be used: password authentication failed for user "gateway"\. Correct the user or the password/,
    ],
    [
      'is the only one, and wrong',
      ({ ownerUrl }) => ({ DATABASE_URL: renamed(ownerUrl, { password: 'very-secret' }) }),
      /DATABASE_URL .* cannot be used: password authentication failed/,
    ],
    [
      'may not become gateway_app',
      ({ url, ownerUrl }) => ({
        DATABASE_URL: renamed(url, { username: 'outsider', password: 'very-secret' }),
        DATABASE_MIGRATION_URL: ownerUrl,
      }),
      /outsider may not become gateway_app\. Say, as the owner: grant gateway_app to "outsider"/,
    ],
    [
      'is a superuser, from whom row-level security keeps nothing',
      ({ ownerUrl }) => ({
        DATABASE_URL: ownerUrl,
        DATABASE_MIGRATION_URL: `${ownerUrl}?application_name=x`,
      }),
      /postgres is a superuser: mandates are not kept apart from it/,
    ],
  ])(
    'stops, with a sentence and exit code 1, when the login of requests %s',
    async (_what, environment, sentence) => {
      const database = await makeDatabase()
      await database.sql(
        `do $$
          begin create role outsider login password 'very-secret'; exception when duplicate_object then null; end $$`,
      )
      const gateway = startGatewayProcess({ DATA_DIR: await makeDataDir(), ...environment(database) })
      expect(await gateway.ended).toBe(1)
      expect(gateway.errors()).toMatch(sentence)
      expect(gateway.errors()).not.toMatch(/\n\s+at /)
      expect(gateway.output() + gateway.errors()).not.toContain('very-secret')
    },
  )

  it('says that the database cannot be reached, without its password', async () => {
    const gateway = startGatewayProcess({
      DATA_DIR: await makeDataDir(),
      DATABASE_URL: 'postgres://gateway:very-secret@127.0.0.1:1/gateway',
      DATABASE_WAIT_SECONDS: '1',
    })
    expect(await gateway.ended).toBe(1)
    expect(gateway.errors()).toMatch(/cannot start/)
    expect(gateway.errors() + gateway.output()).not.toContain('very-secret')
  })
})

describe('a start on a database of one’s own', () => {
  it('starts nothing embedded and no demo, and serves', async () => {
    const [database, dataDir] = [await makeDatabase('template_empty'), await makeDataDir()]
    const gateway = startGatewayProcess({
      DATA_DIR: dataDir,
      DATABASE_URL: database.url,
      DATABASE_MIGRATION_URL: database.ownerUrl,
    })
    const url = await gateway.url()
    expect(await statusOf(`${url}/readyz`)).toBe(200)
    expect(await database.sql('select 1 from users')).toEqual([])
    expect((await readdir(dataDir)).filter((name) => name.startsWith('postgres'))).toEqual([])
    gateway.child.kill('SIGTERM')
    expect(await gateway.ended).toBe(0)
    expect(gateway.output()).not.toContain('demo-password')
  })

  it('two that start at once on an empty one both come up, and it is migrated once', async () => {
    const database = await makeDatabase('template_empty')
    const environment = {
      DATABASE_URL: database.url,
      DATABASE_MIGRATION_URL: database.ownerUrl,
      SEED_DEMO: 'true',
      ...unlimited,
      APP_JWT_KEY_SECRET: 'one-secret-for-both-0123456789-abcdef',
    }
    const gateways = [
      startGatewayProcess({ ...environment, DATA_DIR: await makeDataDir() }),
      startGatewayProcess({ ...environment, DATA_DIR: await makeDataDir() }),
    ]
    const urls = await Promise.all(gateways.map((gateway) => gateway.url()))
    const token = await logIn(urls[0]!)
    for (const url of urls) expect(await statusOf(`${url}/auth/me`, token)).toBe(200)
    const migrated = gateways.flatMap((gateway) =>
      gateway
        .output()
        .split('\n')
        .filter((line) => line.includes('"message":"migrated"')),
    )
    const names = migrated.map((line) => (JSON.parse(line) as { name: string }).name)
    expect(new Set(names).size).toBe(names.length)
    expect(names.length).toBeGreaterThan(0)
    expect(await database.sql(`select count(*)::int as users from users`)).toEqual([{ users: 9 }])
    for (const gateway of gateways) gateway.child.kill('SIGTERM')
    expect(await Promise.all(gateways.map((gateway) => gateway.ended))).toEqual([0, 0])
  }, 40_000)
})

describe('a running gateway', () => {
  let upstream: Upstream
  beforeAll(async () => {
    upstream = await startUpstream()
  })
  afterAll(async () => {
    await upstream.stop()
  })

  async function begin(environment: Record<string, string> = {}) {
    const [database, dataDir] = [await makeDatabase(), await makeDataDir()]
    const file = path.join(dataDir, 'routes.yaml')
    await writeFile(
      file,
      `upstreams: { own: { targets: ['${upstream.url}'] } }\nroutes:\n  /one: { upstream: own, auth: public }\n`,
    )
    const gateway = startGatewayProcess({
      DATA_DIR: dataDir,
      DATABASE_URL: database.url,
      DATABASE_MIGRATION_URL: database.ownerUrl,
      GATEWAY_ROUTES: file,
      ...unlimited,
      ...environment,
    })
    return { gateway, url: await gateway.url(), file, database }
  }

  it('reads its route file anew at SIGHUP, and keeps the old table where the new one has faults', async () => {
    const { gateway, url, file } = await begin()
    expect([await statusOf(`${url}/one`), await statusOf(`${url}/two`)]).toEqual([200, 404])

    await writeFile(
      file,
      `upstreams: { own: { targets: ['${upstream.url}'] } }\n` +
        'routes:\n' +
        '  /two: { upstream: own, auth: public }\n' +
        '  /three: { upstream: nobody }\n',
    )
    gateway.child.kill('SIGHUP')
    await gateway.says(/routes\.yaml:4: /) // why, with the line
    expect([await statusOf(`${url}/one`), await statusOf(`${url}/two`)]).toEqual([200, 404])

    await writeFile(
      file,
      `upstreams: { own: { targets: ['${upstream.url}'] } }\nroutes:\n  /two: { upstream: own, auth: public }\n`,
    )
    gateway.child.kill('SIGHUP')
    await until(async () => (await statusOf(`${url}/two`)) === 200)
    expect(await statusOf(`${url}/one`)).toBe(404)
    gateway.child.kill('SIGTERM')
    expect(await gateway.ended).toBe(0)
  })

  it('ends at SIGTERM under load without failing one request that it accepted, and exits with 0', async () => {
    const { gateway, url } = await begin()
    const token = await logIn(url)
    const slow = new Promise<() => void>((resolve) =>
      upstream.answerWith((_req, res) => resolve(() => res.end('slow'))),
    )
    const waiting = fetch(`${url}/one`)
    const release = await slow

    const agent = new Agent({ keepAlive: true, maxSockets: 8 })
    const failures: unknown[] = []
    let served = 0
    const ask = () =>
      new Promise<boolean>((resolve) => {
        const req = httpRequest(
          `${url}/auth/me`,
          { agent, headers: { Authorization: `Bearer ${token}` } },
          (res: IncomingMessage) => {
            res.resume()
            res.once('end', () => {
              if (res.statusCode === 200) served += 1
              else failures.push(res.statusCode)
              resolve(true)
            })
            res.once('error', (error) => {
              failures.push(error)
              resolve(false)
            })
          },
        )
        req.once('error', (error: NodeJS.ErrnoException) => {
          if (error.code !== 'ECONNREFUSED') failures.push(error)
          resolve(false)
        })
        req.end()
      })
    const clients = Array.from({ length: 8 }, async () => {
      while (await ask());
    })
    await until(() => served > 200)
    gateway.child.kill('SIGTERM')
    await Promise.all(clients) // each goes on until it is refused a connection
    release()
    const response = await waiting
    expect([response.status, await response.text()]).toEqual([200, 'slow'])
    expect(failures).toEqual([])
    expect(await gateway.ended).toBe(0)
    agent.destroy()
    upstream.answerWith(undefined)
  }, 40_000)

  it('started by npm, ends with 0 at a SIGTERM that npm gets, and not before it has drained', async () => {
    const database = await makeDatabase()
    const started = startGatewayProcess(
      {
        DATABASE_URL: database.url,
        DATABASE_MIGRATION_URL: database.ownerUrl,
        DATA_DIR: await makeDataDir(),
      },
      ['npm', 'start'],
    )
    await started.url()
    started.child.kill('SIGTERM')
    expect(await started.ended).toBe(0)
    expect(started.output()).toContain('"message":"stopped"')
  })

  it('writes neither token nor password into its log', async () => {
    const { gateway, url, database } = await begin({ COHERENCE_LEASE_MS: '0' })
    const token = await logIn(url, 'bob')
    await fetch(`${url}/auth/me?access_token=${token}`, {
      headers: { Authorization: `Bearer ${token}`, Cookie: `auth_token=${token}` },
    })
    await database.sql('alter table tokens rename to tokens_away')
    expect(await statusOf(`${url}/auth/context`, token)).toBe(503)
    const failed = await fetch(`${url}/auth/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"username":"bob","password":"demo-password-1"}',
    })
    expect(failed.status).toBe(503)
    await database.sql('alter table tokens_away rename to tokens')
    gateway.child.kill('SIGTERM')
    expect(await gateway.ended).toBe(0)
    const log = gateway.output() + gateway.errors()
    expect(log).toContain('"status":503')
    for (const secret of [token, token.split('.')[2]!, 'demo-password-1', '$argon2', 'insert into', 'eyJ'])
      expect([secret, log.includes(secret)]).toEqual([secret, false])
  })
})
