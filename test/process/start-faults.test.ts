import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { unknownVariables } from '../../src/config.js'
import { runCli, jsonOf } from '../support/cli.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'
import { testSecret } from '../support/gateway.js'

const root = path.resolve(import.meta.dirname, '../..')
/** Runs a command as an ordinary user, also where the tests run as root. */
const asOrdinaryUser = (command: [string, ...string[]]): [string, ...string[]] =>
  process.getuid?.() === 0
    ? ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', ...command]
    : command

describe('a start that cannot be says why in one plain sentence, without a stack', () => {
  let database: TestDatabase
  let open: string
  beforeAll(async () => {
    database = await createTestDatabase()
    open = await mkdtemp(path.join(tmpdir(), 'ordinary-'))
    await chmod(open, 0o777)
  })
  afterEach(cleanUpProcesses)
  afterAll(async () => {
    await rm(open, { recursive: true, force: true })
    await database.drop()
  })
  const own = () => ({
    DATABASE_URL: database.url,
    DATABASE_MIGRATION_URL: database.ownerUrl,
    APP_JWT_KEY_SECRET: testSecret,
    SECRET_KEY: `${testSecret}-portal`,
  })

  it('a data directory that cannot be written, by its path and its variable', async () => {
    const gateway = startGatewayProcess(
      { DATA_DIR: '/usr/gateway-data' },
      asOrdinaryUser([process.execPath, 'dist/main.js']),
    )
    expect(await gateway.ended).toBe(1)
    expect(gateway.errors()).toMatch(
      /^mandate-gateway cannot start\. The data directory \/usr\/gateway-data cannot be written by this user\. Set DATA_DIR to [^\n]*\n$/,
    )
  })

  it('a port that only root may open', async () => {
    const gateway = startGatewayProcess(
      { ...own(), DATA_DIR: open, PORT: '80' },
      asOrdinaryUser([process.execPath, 'dist/main.js']),
    )
    expect(await gateway.ended).toBe(1)
    expect(gateway.errors()).toMatch(
      /^mandate-gateway cannot start\. 127\.0\.0\.1:80 may not be opened by this user: [^\n]*Choose another PORT[^\n]*\n$/,
    )
  })

  it('a Node that is too old', async () => {
    const old = 'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"18.20.0"})'
    for (const program of ['dist/main.js', 'dist/cli.js', 'scripts/build.js']) {
      const stderr = await new Promise<string>((resolve) => {
        execFile(process.execPath, ['--import', old, program], { cwd: root }, (_error, _out, text) =>
          resolve(text),
        )
      })
      expect(stderr).toMatch(/^mandate-gateway needs Node 20 or newer, and this is [^\n]*\n$/)
    }
  })

  it('in production a database that nobody named: exit code 78, and nothing is made', async () => {
    const dataDir = await makeDataDir()
    const secrets = {
      APP_JWT_KEY_SECRET: 'k7Jq2xVd9LrT4mWz8Bn3Yc6Hf1Gs5Pa0',
      SECRET_KEY: 'Zx3Cv6Bn9Mq2We5Rt8Yu1Io4Pa7Sd0Fg',
    }
    const gateway = startGatewayProcess({ DATA_DIR: dataDir, NODE_ENV: 'production', ...secrets })
    expect(await gateway.ended).toBe(78)
    expect(gateway.errors()).toMatch(/DATABASE_URL: must be set in production; .*EMBEDDED_DATABASE=true/)
    expect(gateway.output()).not.toContain('/auth/setup/')
  })

  it('in production the embedded database starts when it is asked for by name', async () => {
    const secrets = {
      APP_JWT_KEY_SECRET: 'k7Jq2xVd9LrT4mWz8Bn3Yc6Hf1Gs5Pa0',
      SECRET_KEY: 'Zx3Cv6Bn9Mq2We5Rt8Yu1Io4Pa7Sd0Fg',
    }
    const gateway = startGatewayProcess({
      DATA_DIR: await makeDataDir(),
      NODE_ENV: 'production',
      EMBEDDED_DATABASE: 'true',
      ...secrets,
    })
    expect((await fetch(`${await gateway.url()}/readyz`)).status).toBe(200)
  }, 60_000)

  it('a variable that looks like one of the gateway’s and is none: a warning at the start and in doctor', async () => {
    const environment = { ...own(), DATA_DIR: open, APP_JWT_SECRET: 'a-secret-that-must-not-be-shown' }
    const gateway = startGatewayProcess(environment)
    await gateway.says(
      /APP_JWT_SECRET is not a variable of the gateway and is ignored\. Is APP_JWT_KEY_SECRET meant\?/,
    )
    const { stdout, ...rest } = await runCli(['doctor', '--json'], environment)
    expect(jsonOf({ stdout, ...rest }).findings).toContainEqual({
      check: 'configuration',
      level: 'warning',
      says: expect.stringContaining('APP_JWT_SECRET'),
      todo: expect.any(String),
    })
    expect(gateway.output() + stdout).not.toContain('a-secret-that-must-not-be-shown')
  }, 60_000)
})

describe('variables that look like the gateway’s', () => {
  it.each([
    ['APP_JWT_SECRET', 'APP_JWT_KEY_SECRET'],
    ['GATEWAY_ROUTE', 'GATEWAY_ROUTES'],
    ['RATELIMIT_LOGIN', 'RATE_LIMIT_LOGIN'],
    ['DATABSE_URL', 'DATABASE_URL'],
    ['REDIS_URI', 'REDIS_URL'],
    ['database_url', 'DATABASE_URL'],
    ['JWT_KEY_SECRET', 'APP_JWT_KEY_SECRET'],
  ])('%s is told from %s', (name, meant) => {
    expect(unknownVariables({ [name]: 'x' })).toEqual([expect.stringContaining(`Is ${meant} meant?`)])
  })

  it('those of other programs, and all of the gateway’s own, are no matter', () => {
    const others = [
      'PATH',
      'HOME',
      'LOGNAME',
      'USERNAME',
      'HOSTNAME',
      'NODE_OPTIONS',
      'NODE_PATH',
      'http_proxy',
      'GOOGLE_APPLICATION_CREDENTIALS',
      'SECRET_KEY_BASE',
      'GATEWAY_SERVICE_HOST',
      'GATEWAY_PORT',
      'GATEWAY_PORT_8080_TCP_ADDR',
      'DATABASE_SERVICE_PORT_HTTP',
      'KUBERNETES_SERVICE_HOST',
      'OTEL_RESOURCE_ATTRIBUTES',
      'PGPASSWORD',
      'VITE_PUBLIC_URL',
    ]
    expect(
      unknownVariables(
        Object.fromEntries([...others, 'DATABASE_URL', 'Auth_ALGORITHM', 'PORT'].map((name) => [name, 'x'])),
      ),
    ).toEqual([])
  })
})

describe('files with secrets', () => {
  it.each(['.gitignore', '.dockerignore'])('.env is named in %s', async (file) => {
    expect((await readFile(path.join(root, file), 'utf8')).split('\n')).toContainEqual(
      expect.stringMatching(/^\.env\*?$/),
    )
  })
})
