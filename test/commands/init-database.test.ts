import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { initArguments, jsonOf, runCli } from '../support/cli.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'

const password = 'correct horse battery'

interface Made {
  steps: { what: string; made: boolean }[]
  mandateId: string
}

describe('mandate-gateway init, on a Postgres of one’s own', () => {
  let folder = ''
  let routes = ''
  let service = ''
  let database: TestDatabase
  let environment: Record<string, string> = {}
  beforeAll(async () => {
    ;[folder, database] = [await makeDataDir(), await createTestDatabase('template_empty')]
    routes = path.join(folder, 'routes.yaml')
    const own = startGatewayProcess({}, [process.execPath, 'examples/own-service.js'])
    service = (await own.says(/listens on (http:\S+)/))[1] ?? ''
    environment = {
      DATABASE_URL: database.url,
      DATABASE_MIGRATION_URL: database.ownerUrl,
      DATA_DIR: path.join(folder, 'data'),
      GATEWAY_ROUTES: routes,
      SEED_DEMO: 'false',
    }
  }, 60_000)
  afterAll(async () => {
    await cleanUpProcesses()
    await database.drop()
    await rm(folder, { recursive: true, force: true })
  })

  const init = (args: string[], more: Record<string, string> = {}) =>
    runCli(initArguments(service, args), { ...environment, ...more }, password)
  const mandates = async () => {
    const [tables] = await database.sql<{ there: boolean }>(
      `select to_regclass('mandates') is not null as there`,
    )
    return tables?.there === true
      ? (await database.sql<{ slug: string }>('select slug from mandates')).map(({ slug }) => slug)
      : 'no tables'
  }

  it('says in a dry run what it would make, and makes nothing: neither tables nor a file', async () => {
    const { steps } = jsonOf<Made>(await init(['--dry-run', '--json']))
    expect(steps.every(({ made }) => made)).toBe(true)
    expect(await mandates()).toBe('no tables')
    await expect(stat(routes)).rejects.toThrow('ENOENT')
  }, 60_000)

  it.each<[string, (place: string) => Promise<string>, RegExp]>([
    [
      'in a folder that is not there',
      (place) => Promise.resolve(path.join(place, 'missing', 'routes.yaml')),
      /missing\/routes\.yaml cannot be read and written by this user \(.*ENOENT.*\)\. Nothing was changed\. Name another/,
    ],
    [
      'that is a folder',
      (place) => Promise.resolve(place),
      /cannot be read and written by this user \(.*EISDIR.*\)\. Nothing was changed\./,
    ],
    [
      'below a file',
      async (place) => {
        await writeFile(path.join(place, 'file'), '')
        return path.join(place, 'file', 'routes.yaml')
      },
      /file\/routes\.yaml cannot be read and written by this user \(.*ENOTDIR.*\)\. Nothing was changed\./,
    ],
  ])(
    'with a route file %s says so before it makes anything',
    async (_, fileIn, said) => {
      for (const mode of ['--yes', '--dry-run']) {
        const refused = await init([mode, '--password', '--file', await fileIn(folder)])
        expect(refused).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(said) })
        expect(refused.stderr).not.toMatch(/\n\s+at /)
      }
      expect(await mandates()).toBe('no tables')
    },
    60_000,
  )

  const changed = (change: Partial<URL>) => ({
    DATABASE_URL: Object.assign(new URL(database.url), change).href,
    DATABASE_MIGRATION_URL: Object.assign(new URL(database.ownerUrl), change).href,
  })
  it.each<[string, Partial<URL>, RegExp]>([
    [
      'does not listen',
      { port: '1', password: 'very-secret' },
      /The database cannot be used: connect ECONNREFUSED.* Start Postgres, or correct host and port/,
    ],
    [
      'refuses the password',
      { password: 'very-secret' },
      /password authentication failed.* Correct the user or the password/,
    ],
    [
      'is not there',
      { pathname: '/none' },
      /database "none" does not exist\. Create the database, or correct its name/,
    ],
  ])(
    'says in a sentence that the database %s, without its password',
    async (_, change, said) => {
      const refused = await init(['--yes', '--password'], changed(change))
      expect(refused).toMatchObject({ code: 1, stdout: '' })
      expect(refused.stderr).toMatch(said)
      expect(refused.stderr).not.toMatch(/very-secret|\n\s+at /)
      await expect(stat(routes)).rejects.toThrow('ENOENT')
    },
    60_000,
  )

  it('makes tables, mandate, roles, person and route; a second time all of it exists', async () => {
    const made = await init(['--yes', '--json', '--password'])
    expect(made).toMatchObject({ code: 0, stderr: '' })
    expect(jsonOf<Made>(made).steps.every((step) => step.made)).toBe(true)
    expect(await mandates()).toEqual(['example-co'])
    const before = await readFile(routes, 'utf8')
    expect(before).toContain(`targets: [${service}]`)
    const again = jsonOf<Made>(await init(['--yes', '--json']))
    expect([again.steps.filter((step) => step.made), again.mandateId]).toEqual([
      [],
      jsonOf<Made>(made).mandateId,
    ])
    expect(await readFile(routes, 'utf8')).toBe(before)
    expect(
      await database.sql(
        `select count(*)::int as made
          from audit_events
          where action = 'mandate_created' and details->>'via' = 'command line'`,
      ),
    ).toEqual([{ made: 1 }])
    // no Postgres beside that one
    expect(await readdir(environment.DATA_DIR ?? '')).toEqual(['development-secrets.json'])
  }, 60_000)

  it('then the person signs in at a gateway on that database and reaches the service', async () => {
    const gateway = startGatewayProcess(environment)
    const url = await gateway.url()
    const token = await fetch(`${url}/auth/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ grant_type: 'password', username: 'maria', password }),
    })
    const { access_token: bearer } = (await token.json()) as { access_token: string }
    const { mandateId } = jsonOf<Made>(await init(['--yes', '--json']))
    const reached = await fetch(`${url}/orders/7`, {
      headers: { Authorization: `Bearer ${bearer}`, 'X-Mandate-Id': mandateId },
    })
    expect([reached.status, await reached.json()]).toEqual([
      200,
      { hello: 'maria', mandate: mandateId, level: 'a', path: '/orders/7' },
    ])
  }, 60_000)
})
