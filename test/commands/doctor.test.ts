import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { examineDatabase } from '../../src/database/examine.js'
import { makeCertificate } from '../support/certificate.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { cleanUpProcesses, makeDataDir } from '../support/gateway-process.js'

const cli = path.resolve(import.meta.dirname, '../../dist/cli.js')

interface Found {
  check: string
  level: string
  says: string
  todo?: string
}

describe('the commands of operators', () => {
  let folder: string
  let demo: TestDatabase
  let empty: TestDatabase
  let server: https.Server
  let service: string
  const strong = 'Zk3v9QpX7rT2mN8wLbY5cF1hJ6sD4gAaEeUuIiOo'

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'doctor-'))
    demo = await createTestDatabase()
    empty = await createTestDatabase('template_empty')
    await makeCertificate({ key: `${folder}/key`, certificate: `${folder}/certificate` })
    server = https.createServer(
      { key: await readFile(`${folder}/key`), cert: await readFile(`${folder}/certificate`) },
      (_req, res) => res.end(),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    service = `https://localhost:${(server.address() as AddressInfo).port}`
    await writeFile(
      path.join(folder, 'good.yaml'),
      'upstreams:\n  crm: { targets: [demo] }\nroutes:\n  /api/crm: { upstream: crm }\n',
    )
    await writeFile(
      path.join(folder, 'bad.yaml'),
      'upstreams:\n  crm: { targets: [demo] }\nroutes:\n  /auth: { upstream: crm }\n',
    )
    await writeFile(
      path.join(folder, 'far.yaml'),
      'upstreams:\n' +
        '  dead: { targets: ["http://127.0.0.1:9"] }\n' +
        `  forged: { targets: ["${service}"] }\n` +
        'routes:\n' +
        '  /a: { upstream: dead }\n' +
        '  /b: { upstream: forged }\n',
    )
  })
  afterAll(async () => {
    await cleanUpProcesses()
    server.close()
    await demo.drop()
    await empty.drop()
    await rm(folder, { recursive: true })
  })

  const run = (args: string[], environment: Record<string, string> = {}) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const { PATH = '', HOME = '' } = process.env
      execFile(
        process.execPath,
        [cli, ...args],
        {
          cwd: folder,
          env: {
            PATH,
            HOME,
            DATA_DIR: path.join(folder, 'data'),
            GATEWAY_ROUTES: 'good.yaml',
            ...environment,
          },
        },
        (error, stdout, stderr) => {
          resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
        },
      )
    })
  const healthy = () => ({ DATABASE_URL: demo.url, DATABASE_MIGRATION_URL: demo.ownerUrl })
  const diagnose = async (environment: Record<string, string>) => {
    const { code, stdout } = await run(['doctor', '--json'], environment)
    const findings = (JSON.parse(stdout) as { findings: Found[] }).findings
    expect(
      findings.filter(({ level }) => level !== 'ok').every(({ todo }) => todo !== undefined && todo !== ''),
    ).toBe(true)
    return { code, findings, faults: findings.filter(({ level }) => level === 'fault') }
  }

  it('doctor finds no fault where there is none', async () => {
    expect(await diagnose(healthy())).toMatchObject({ code: 0, faults: [] })
  }, 60_000)

  const twisted = (url: string, change: Partial<URL>) => Object.assign(new URL(url), change).href
  it.each<[string, () => Record<string, string>, number, string, RegExp]>([
    [
      'a variable that cannot be read',
      () => ({ ...healthy(), PORT: 'eighty' }),
      78,
      'configuration',
      /PORT: must be a whole number/,
    ],
    [
      'a fault in the route file',
      () => ({ ...healthy(), GATEWAY_ROUTES: 'bad.yaml' }),
      78,
      'routes',
      /bad\.yaml:4: .*\/auth/,
    ],
    [
      'a database that is not there',
      () => ({ DATABASE_URL: 'postgres://gateway:very-secret@127.0.0.1:1/gateway' }),
      1,
      'database',
      /127\.0\.0\.1:1/,
    ],
    [
      'a wrong password',
      () => ({ DATABASE_URL: twisted(demo.url, { username: 'nobody-of-that-name' }) }),
      1,
      'database',
      /nobody-of-that-name|authentication/,
    ],
    [
      'a database that does not exist',
      () => ({ DATABASE_URL: twisted(demo.url, { pathname: '/there_is_none' }) }),
      1,
      'database',
      /there_is_none/,
    ],
    [
      'migrations that are not applied',
      () => ({ DATABASE_URL: empty.url, DATABASE_MIGRATION_URL: empty.ownerUrl }),
      1,
      'migrations',
      /not applied/,
    ],
    [
      'a login of requests that is a superuser',
      () => ({ DATABASE_URL: demo.ownerUrl, DATABASE_MIGRATION_URL: `${demo.ownerUrl}?x=1` }),
      1,
      'database role',
      /superuser/,
    ],
    [
      'a Redis that is not there',
      () => ({ ...healthy(), REDIS_URL: 'redis://127.0.0.1:1' }),
      1,
      'redis',
      /127\.0\.0\.1:1 does not answer/,
    ],
    [
      'an upstream that is not there',
      () => ({ ...healthy(), GATEWAY_ROUTES: 'far.yaml' }),
      1,
      'upstream dead',
      /127\.0\.0\.1:9 cannot be reached/,
    ],
    [
      'a certificate that nobody trusts',
      () => ({ ...healthy(), GATEWAY_ROUTES: 'far.yaml' }),
      1,
      'certificate of forged',
      /self.signed/,
    ],
    [
      'a public address without TLS in production',
      () => ({
        ...healthy(),
        NODE_ENV: 'production',
        APP_JWT_KEY_SECRET: strong,
        SECRET_KEY: `${strong}x`,
        PUBLIC_URL: 'http://gateway.example.com',
      }),
      1,
      'public address',
      /not https/,
    ],
    [
      'a data directory that cannot be written',
      () => ({ ...healthy(), DATA_DIR: path.join(folder, 'good.yaml') }),
      1,
      'data directory',
      /cannot be written/,
    ],
  ])(
    'doctor names %s',
    async (_what, environment, exitCode, check, words) => {
      const { code, faults } = await diagnose(environment())
      expect(faults).toContainEqual({
        check,
        level: 'fault',
        says: expect.stringMatching(words),
        todo: expect.any(String),
      })
      expect(code).toBe(exitCode)
      expect(JSON.stringify(faults)).not.toContain('very-secret')
    },
    60_000,
  )

  it('doctor names a clock that is not the database’s', async () => {
    const options = { url: demo.url, ownerUrl: demo.url, directUrl: demo.url, setRole: false }
    expect(await examineDatabase(options, () => Date.now() + 60_000)).toContainEqual(
      expect.objectContaining({ check: 'clock', level: 'fault', says: expect.stringContaining('ahead') }),
    )
    expect(await examineDatabase(options)).toContainEqual(
      expect.objectContaining({ check: 'clock', level: 'ok' }),
    )
  })

  it('doctor names migrations of a newer version', async () => {
    await demo.sql(
      `insert into gateway_migrations (name, batch, migration_time) values ('20991231_99_future.js', 9, now())`,
    )
    const found = await examineDatabase({
      url: demo.url,
      ownerUrl: demo.url,
      directUrl: demo.url,
      setRole: false,
    })
    await demo.sql(`delete from gateway_migrations where name = '20991231_99_future.js'`)
    expect(found).toContainEqual(
      expect.objectContaining({
        check: 'migrations',
        level: 'warning',
        says: expect.stringContaining('20991231_99_future'),
      }),
    )
  })

  it('config print shows what a start would use, and no secret', async () => {
    const environment = {
      ...healthy(),
      APP_JWT_KEY_SECRET: strong,
      SECRET_KEY: `${strong}-portal`,
      GOOGLE_CLIENT_ID: 'public-id',
      GOOGLE_CLIENT_SECRET: 'google-secret',
      REDIS_URL: 'redis://user:redis-password@127.0.0.1/',
    }
    for (const args of [
      ['config', 'print'],
      ['config', 'print', '--json'],
    ]) {
      const { code, stdout } = await run(args, environment)
      expect(code).toBe(0)
      for (const secret of [strong, 'google-secret', 'redis-password', new URL(demo.url).password])
        if (secret !== '') expect(stdout).not.toContain(secret)
      expect(stdout).toContain('public-id')
    }
    expect(JSON.parse((await run(['config', 'print', '--json'], environment)).stdout)).toMatchObject({
      PORT: 8080,
      SECRET_KEY: '(set, not shown)',
    })
  }, 60_000)

  it('migrate and seed bring an empty database up, embedded too, once', async () => {
    const dataDir = await makeDataDir()
    const environment = { DATA_DIR: dataDir }
    const first = await run(['migrate', '--json'], environment)
    expect([first.code, first.stderr]).toEqual([0, ''])
    expect((JSON.parse(first.stdout) as { applied: string[] }).applied).toContain('20261125_60_usage')
    expect(JSON.parse((await run(['migrate', '--json'], environment)).stdout)).toEqual({ applied: [] })
    expect((await run(['seed'], environment)).code).toBe(0)
    expect(
      (
        await run(['seed'], {
          ...environment,
          NODE_ENV: 'production',
          APP_JWT_KEY_SECRET: strong,
          SECRET_KEY: `${strong}x`,
        })
      ).code,
    ).toBe(78)
  }, 120_000)
})
