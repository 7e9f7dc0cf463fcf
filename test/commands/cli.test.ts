import { execFile } from 'node:child_process'
import { access, constants, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'
import { until } from '../support/until.js'

const root = path.resolve(import.meta.dirname, '../..')
const cli = path.join(root, 'dist/cli.js')

const good = `upstreams:
  own: { targets: ['http://127.0.0.1:9000'] }
  crm: { targets: ['http://127.0.0.1:9001', 'http://127.0.0.1:9002'] }
routes:
  /api/crm:
    { upstream: crm, mandate: required, instance: optional, permission: { context: RESOURCE, item: crm },
      rateLimit: 100/60s, bodyLimit: 1024 }
  /assets: { upstream: own, auth: public, strip: true }
  /old: { upstream: own, rewrite: /new, timeoutMs: 50 }
`
const bad = `upstreams:
  own: { targets: [] }
routes:
  /x: { upstream: nobody }
  /auth: { upstream: own, mandat: required }
`

describe('the command line', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'cli-'))
    await writeFile(path.join(folder, 'routes.yaml'), good)
    await writeFile(path.join(folder, 'bad.yaml'), bad)
    await writeFile(
      path.join(folder, 'spare.yaml'),
      'upstreams:\n  own: { targets: [demo] }\n  spare: { targets: [demo] }\nroutes:\n  /x: { upstream: own }\n',
    )
  })
  afterAll(async () => {
    await rm(folder, { recursive: true })
  })

  interface Outcome {
    code: number
    stdout: string
    stderr: string
  }

  /**
   * Runs the program as a shell would, in the folder of the files, with these variables and no others of
   * ours.
   */
  function run(
    args: string[],
    environment: Record<string, string> = {},
    program = [process.execPath, cli],
  ): Promise<Outcome> {
    const [command = '', ...first] = program
    return new Promise((resolve) => {
      execFile(
        command,
        [...first, ...args],
        { cwd: folder, env: { PATH: process.env.PATH, ...environment } },
        (error, stdout, stderr) => {
          resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
        },
      )
    })
  }
  const parsed = ({ stdout }: Outcome) => JSON.parse(stdout) as Record<string, unknown>
  /** The value beside a key of the words that `routes match` prints. */
  const valueOf = ({ stdout }: Outcome, key: string) =>
    new RegExp(`^${key}\\s{2,}(.*)$`, 'm').exec(stdout)?.[1]

  it('can be run as a program by its name, through a link as npm makes them', async () => {
    await access(cli, constants.X_OK)
    expect((await readFile(cli, 'utf8')).startsWith('#!/usr/bin/env node\n')).toBe(true)
    const link = path.join(folder, 'mandate-gateway')
    await symlink(cli, link)
    const { version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
      version: string
    }
    expect(await run(['--version'], {}, [link])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })

  it('explains itself, each command with examples, and names the exit codes', async () => {
    for (const args of [[], ['routes', 'check'], ['routes', 'match']]) {
      const { code, stdout } = await run([...args, '--help'])
      expect(code).toBe(0)
      expect(stdout).toMatch(new RegExp(`Examples:\n  mandate-gateway ${args.join(' ')}`))
      expect(stdout).toMatch(/Exit codes:[\s\S]*78/)
    }
  })

  it.each([
    [['routes', 'chek']],
    [['routes', 'check', '--nope']],
    [['routes', 'check', 'a', 'b']],
    [['routes', 'check', 'routes.yaml', '-f', 'routes.yaml']],
    [['routes', 'match', 'GET']],
    [['routes', 'match', 'FETCH', '/x']],
    [['routes', 'match', 'GET', '/x', '/y']],
    [['start', 'now']],
    [['routes']],
    [[]],
  ])('called wrongly, as %j, says so and exits with 64', async (args) => {
    const { code, stdout, stderr } = await run(args)
    expect([code, stdout]).toEqual([64, ''])
    expect(stderr).toMatch(/error: |Usage: /)
    expect(stderr).not.toMatch(/\n\s+at /)
  })

  describe('routes check', () => {
    it('counts what a good file holds', async () => {
      expect(await run(['routes', 'check'])).toEqual({
        code: 0,
        stdout: 'routes.yaml: 3 routes, 2 upstreams, no faults\n',
        stderr: '',
      })
      expect(parsed(await run(['routes', 'check', '--json']))).toEqual({
        file: 'routes.yaml',
        routes: 3,
        upstreams: 2,
        faults: [],
        warnings: [],
      })
    })

    it('lists every fault with file, line and place, and exits with 78', async () => {
      const { code, stdout, stderr } = await run(['routes', 'check', 'bad.yaml'])
      expect([code, stdout]).toEqual([78, ''])
      const faults = stderr.trimEnd().split('\n')
      expect(faults).toEqual(
        expect.arrayContaining([
          expect.stringMatching(/^bad\.yaml:2: upstreams › own › targets: /),
          expect.stringMatching(/^bad\.yaml:5: routes › \/auth: .*mandat/),
        ]),
      )
      const told = await run(['routes', 'check', 'bad.yaml', '--json'])
      expect([told.code, told.stderr]).toEqual([78, ''])
      expect(parsed(told)).toEqual({ file: 'bad.yaml', routes: null, upstreams: null, faults, warnings: [] })
    })

    it('says that a file is not there, or is none', async () => {
      for (const file of ['nowhere.yaml', '.']) {
        const { code, stderr } = await run(['routes', 'check', file])
        expect(code).toBe(78)
        expect(stderr).toMatch(/^\S+: [^\n]+\n$/)
      }
    })

    it('warns of an upstream without routes, and does not fail for it', async () => {
      const { code, stdout, stderr } = await run(['routes', 'check', '-f', 'spare.yaml'])
      expect([code, stdout]).toEqual([0, 'spare.yaml: 1 route, 2 upstreams, no faults\n'])
      expect(stderr).toMatch(/^spare\.yaml: warning: .*spare\n$/)
      expect(parsed(await run(['routes', 'check', '--file', 'spare.yaml', '--json']))).toMatchObject({
        faults: [],
        warnings: [expect.stringContaining('spare')],
      })
    })

    it('reads what GATEWAY_ROUTES names, whatever else is wrong with the configuration', async () => {
      expect(
        (
          await run(['routes', 'check'], {
            GATEWAY_ROUTES: 'spare.yaml',
            PORT: 'http',
            NODE_ENV: 'production',
          })
        ).stdout,
      ).toMatch(/^spare\.yaml: 1 route/)
      expect((await run(['routes', 'check'], { GATEWAY_ROUTES: '' })).stdout).toMatch(
        /^routes\.yaml: 3 routes/,
      )
      expect(
        (await run(['routes', 'check', 'routes.yaml'], { GATEWAY_ROUTES: 'spare.yaml' })).stdout,
      ).toMatch(/^routes\.yaml: 3 routes/)
    })
  })

  describe('routes match', () => {
    it('explains the route of a request, in aligned lines', async () => {
      const said = await run(['routes', 'match', 'GET', '/api/%63rm/contacts?x=1'])
      expect([said.code, said.stderr]).toEqual([0, ''])
      expect(valueOf(said, 'path')).toBe('/api/crm/contacts')
      expect(valueOf(said, 'route')).toBe('/api/crm')
      expect(valueOf(said, 'upstream')).toBe('crm: http://127.0.0.1:9001, http://127.0.0.1:9002')
      expect(valueOf(said, 'sent')).toBe('/api/crm/contacts?x=1')
      expect(valueOf(said, 'auth')).toMatch(/^required/)
      expect(valueOf(said, 'mandate')).toMatch(/^required/)
      expect(valueOf(said, 'instance')).toMatch(/^optional/)
      expect(valueOf(said, 'permission')).toBe('read on RESOURCE crm')
      expect(valueOf(said, 'rate limit')).toMatch(/^100 requests in 60 s/)
      expect(valueOf(said, 'body limit')).toBe('1024 bytes')
      expect(
        new Set(
          said.stdout
            .trimEnd()
            .split('\n')
            .map((line) => /^.*?\s{2,}/.exec(line)?.[0].length),
        ).size,
      ).toBe(1)
    })

    it('says which action a method means, and that another is refused', async () => {
      expect(valueOf(await run(['routes', 'match', 'delete', '/api/crm/x']), 'permission')).toBe(
        'delete on RESOURCE crm',
      )
      const refused = await run(['routes', 'match', 'PROPFIND', '/api/crm/x'])
      expect(refused.code).toBe(0)
      expect(valueOf(refused, 'permission')).toContain('permission_denied')
      expect(valueOf(refused, 'sent')).toBe('nothing')
    })

    it('shows the path that strip and rewrite make', async () => {
      expect(valueOf(await run(['routes', 'match', 'GET', '/assets/a.css?v=1']), 'sent')).toBe('/a.css?v=1')
      const rewritten = await run(['routes', 'match', 'GET', '/old/a'])
      expect(valueOf(rewritten, 'sent')).toBe('/new/a')
      expect(valueOf(rewritten, 'timeouts')).toMatch(/^2000 ms .* 50 ms .* 50 ms/)
    })

    it.each([
      ['/nowhere', 'not_found', /^none$/],
      ['/auth/login', 'own', /belongs to the gateway/],
    ])('exits with 1 for %s, which no route takes', async (target, outcome, words) => {
      const said = await run(['routes', 'match', 'GET', target])
      expect(said.code).toBe(1)
      expect(valueOf(said, 'route')).toMatch(words)
      const told = await run(['routes', 'match', 'GET', target, '--json'])
      expect([told.code, parsed(told)]).toEqual([1, { method: 'GET', target, outcome, path: target }])
    })

    it('exits with 1 for a path that can be read in two ways, and says why', async () => {
      const said = await run(['routes', 'match', 'GET', '/api/crm/..%2fx'])
      expect(said.code).toBe(1)
      expect(valueOf(said, 'answer')).toMatch(/^400 path_ambiguous: The path holds/)
      expect(parsed(await run(['routes', 'match', 'GET', '/api/crm/..%2fx', '--json']))).toMatchObject({
        outcome: 'refused',
        status: 400,
        code: 'path_ambiguous',
      })
    })

    it('prints one JSON object of the same', async () => {
      const told = await run(['routes', 'match', 'POST', '/api/crm?x', '--json', '-f', 'routes.yaml'])
      expect([told.code, parsed(told)]).toMatchObject([
        0,
        {
          outcome: 'matched',
          route: '/api/crm',
          upstream: 'crm',
          sent: '/api/crm?x',
          permission: { context: 'RESOURCE', item: 'crm', action: 'create' },
        },
      ])
    })

    it('exits with 78 for a file with faults, and lists them', async () => {
      const said = await run(['routes', 'match', 'GET', '/x', '-f', 'bad.yaml'])
      expect([said.code, said.stdout]).toEqual([78, ''])
      expect(said.stderr).toMatch(/^bad\.yaml:2: /m)
      expect(parsed(await run(['routes', 'match', 'GET', '/x', '-f', 'bad.yaml', '--json']))).toEqual({
        file: 'bad.yaml',
        faults: said.stderr.trimEnd().split('\n'),
      })
    })
  })

  describe('start', () => {
    const databases: TestDatabase[] = []
    afterEach(async () => {
      await cleanUpProcesses()
      for (const database of databases.splice(0)) await database.drop()
    })
    const command = [process.execPath, 'dist/cli.js', 'start'] as [string, ...string[]]

    it('is the gateway: serves, also by several workers, drains at SIGTERM and exits with 0', async () => {
      const database = await createTestDatabase()
      databases.push(database)
      for (const workers of ['1', '2']) {
        const gateway = startGatewayProcess(
          {
            DATABASE_URL: database.url,
            DATABASE_MIGRATION_URL: database.ownerUrl,
            DATA_DIR: await makeDataDir(),
            GATEWAY_WORKERS: workers,
          },
          command,
        )
        expect((await fetch(`${await gateway.url()}/readyz`)).status).toBe(200)
        await until(() =>
          Promise.resolve(
            gateway.output().split('"message":"listening"').length === Number(workers) + 1 || undefined,
          ),
        )
        gateway.child.kill('SIGTERM')
        expect(await gateway.ended).toBe(0)
        expect(gateway.output()).toContain('"message":"stopped"')
      }
    }, 40_000)

    it('exits with 78 where the configuration has faults', async () => {
      const gateway = startGatewayProcess({ DATA_DIR: await makeDataDir(), PORT: 'http' }, command)
      expect(await gateway.ended).toBe(78)
      expect(gateway.errors()).toMatch(/^\s*PORT: /m)
    })
  })
})
