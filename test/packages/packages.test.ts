import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { allFences } from '../support/fences.js'
import { until } from '../support/until.js'

const root = path.resolve(import.meta.dirname, '../..')
const run = promisify(execFile)

/** The packages that can be had one by one, by the folder that each is packed in. */
const packages = {
  '.': 'mandate-gateway',
  'packages/client': '@mandate-gateway/client',
  'packages/upstream': '@mandate-gateway/upstream',
  'packages/embedded-postgres': '@mandate-gateway/embedded-postgres',
}

let folder = ''
const tarballs: Record<string, string> = {}
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-packages-'))
  for (const [place, name] of Object.entries(packages)) {
    const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', folder], {
      cwd: path.join(root, place),
    })
    tarballs[name] = path.join(folder, stdout.trim().split('\n').at(-1) ?? '')
  }
}, 300_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

/**
 * Makes an empty project, installs the named packages of ours from their tarballs and others from the
 * registry, and returns its folder.
 */
async function projectWith(name: string, ours: string[], others: string[] = []): Promise<string> {
  const project = path.join(folder, name)
  await mkdir(project)
  await writeFile(
    path.join(project, 'package.json'),
    JSON.stringify({ name, version: '1.0.0', private: true, type: 'module' }),
  )
  const files = ours.map((one) => tarballs[one] ?? '')
  await run('npm', ['install', '--no-audit', '--no-fund', '--silent', ...files, ...others], {
    cwd: project,
    timeout: 240_000,
  })
  return project
}

/** The version that package.json of the gateway pins. */
async function pinned(...names: string[]): Promise<string[]> {
  const { dependencies, devDependencies } = JSON.parse(
    await readFile(path.join(root, 'package.json'), 'utf8'),
  ) as Record<string, Record<string, string>>
  return names.map((name) => `${name}@${dependencies?.[name] ?? devDependencies?.[name] ?? ''}`)
}

const installedIn = async (project: string) =>
  Object.keys(
    (
      JSON.parse(await readFile(path.join(project, 'node_modules/.package-lock.json'), 'utf8')) as {
        packages: object
      }
    ).packages,
  )

describe('a packed workspace', () => {
  it('of the client is installed alone: no dependency, no Postgres', async () => {
    const project = await projectWith('app', ['@mandate-gateway/client'])
    expect(await installedIn(project)).toEqual(['node_modules/@mandate-gateway/client'])
  }, 120_000)

  it('of the upstream verifier brings no database', async () => {
    const project = await projectWith('service', ['@mandate-gateway/upstream'])
    const installed = await installedIn(project)
    expect(installed.filter((place) => /postgres|\/pg|knex/.test(place))).toEqual([])
    const { stdout } = await run(
      'node',
      [
        '--input-type=module',
        '-e',
        `
      import { createIdentityVerifier } from '@mandate-gateway/upstream'
      console.log(typeof createIdentityVerifier({ gatewayUrl: 'http://127.0.0.1:1', audience: 'crm' }).verify)`,
      ],
      { cwd: project },
    )
    expect(stdout.trim()).toBe('function')
  }, 120_000)

  it('of the Postgres launcher starts and stops a Postgres in an empty project', async () => {
    const project = await projectWith('launcher', ['@mandate-gateway/embedded-postgres'])
    const { stdout } = await run(
      'node',
      [
        '--input-type=module',
        '-e',
        `
      import pg from 'pg'
      import { startEmbeddedPostgres } from '@mandate-gateway/embedded-postgres'
      const postgres = await startEmbeddedPostgres({ dataDir: 'data', log: () => {} })
      const client = new pg.Client(postgres.url)
      await client.connect()
      console.log((await client.query('select 6 * 7 as answer')).rows[0].answer)
      await client.end()
      await postgres.stop()`,
      ],
      { cwd: project },
    )
    expect(stdout.trim()).toBe('42')
    expect(await readdir(path.join(project, 'data/postgres'))).not.toContain('postmaster.pid')
  }, 180_000)

  it('holds no source map, no test, and a licence', async () => {
    for (const tarball of Object.values(tarballs)) {
      const { stdout } = await run('tar', ['-tzf', tarball])
      const files = stdout.trim().split('\n')
      expect(files.filter((file) => /\.map$|\.test\./.test(file))).toEqual([])
      expect(files).toEqual(
        expect.arrayContaining(['package/LICENSE', 'package/README.md', 'package/package.json']),
      )
    }
  })
})

describe('in an empty project with everything installed', () => {
  let project = ''
  beforeAll(async () => {
    const others = await pinned('typescript', '@types/node', 'express')
    project = await projectWith('everything', Object.values(packages), others)
  }, 300_000)

  it('each TypeScript and JavaScript sample of the documentation compiles, TypeScript under strict', async () => {
    const samples = (await allFences()).filter(({ language }) => language === 'ts' || language === 'js')
    await mkdir(path.join(project, 'samples'))
    for (const [index, { file, line, language, text }] of samples.entries()) {
      await writeFile(
        path.join(project, 'samples', `${index}.${language}`),
        `// ${file}:${line}\n${text}\nexport {}\n`,
      )
    }
    const options = {
      target: 'es2023',
      module: 'nodenext',
      lib: ['es2023', 'dom', 'dom.iterable'],
      types: ['node'],
      noEmit: true,
      allowJs: true,
      skipLibCheck: false,
    }
    await writeFile(
      path.join(project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: { ...options, strict: true, noUncheckedIndexedAccess: true },
        include: ['samples/*.ts'],
      }),
    )
    await writeFile(
      path.join(project, 'tsconfig.js.json'),
      JSON.stringify({
        compilerOptions: { ...options, checkJs: true, strict: false },
        include: ['samples/*.js'],
      }),
    )

    const compiled = await Promise.all(
      ['tsconfig.json', 'tsconfig.js.json'].map((file) =>
        run('npx', ['tsc', '-p', file], { cwd: project }).catch(
          (error: unknown) => error as { stdout: string },
        ),
      ),
    )

    expect(compiled.map(({ stdout }) => stdout)).toEqual(['', ''])
    expect(samples.length).toBeGreaterThan(5)
  }, 120_000)

  it('the README’s program embeds the gateway, guards its own routes, and leaves nothing after SIGTERM', async () => {
    const [sample] = (await allFences()).filter(
      ({ file, language }) => file === 'README.md' && language === 'ts',
    )
    await writeFile(path.join(project, 'program.mjs'), sample?.text ?? '')
    const dataDir = path.join(project, 'data')
    const port = 30_000 + (process.pid % 10_000)
    const url = `http://127.0.0.1:${port}`
    const program = spawn(process.execPath, ['program.mjs'], {
      cwd: project,
      env: { PATH: process.env.PATH ?? '', PORT: String(port), DATA_DIR: dataDir },
      stdio: 'inherit',
    })
    const ended = once(program, 'close')

    await until(
      () =>
        fetch(`${url}/readyz`).then(
          ({ ok }) => ok,
          () => false,
        ),
      60_000,
    )
    const login = await fetch(`${url}/auth/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ username: 'alice', password: 'demo-password-1' }),
    })
    const cookie = login.headers
      .getSetCookie()
      .map((one) => one.split(';')[0])
      .join('; ')
    const statuses = async (headers: Record<string, string>) =>
      Promise.all(
        ['/hello', '/reports', '/machine-room'].map(
          async (place) => (await fetch(url + place, { headers })).status,
        ),
      )
    const stranger = await statuses({})
    const alice = await statuses({ Cookie: cookie, 'X-Mandate-Id': '00000000-0000-4000-8000-000000000101' })
    program.kill('SIGTERM')
    const [code] = (await ended) as [number]

    expect({ stranger, alice, code }).toEqual({ stranger: [401, 401, 401], alice: [200, 200, 403], code: 0 })
    expect(await readdir(path.join(dataDir, 'postgres'))).not.toContain('postmaster.pid')
  }, 120_000)

  it('the command line is there, and starts a gateway', async () => {
    const { stdout } = await run('npx', ['--no-install', 'mandate-gateway', '--help'], { cwd: project })
    expect(stdout).toContain('mandate-gateway start')
  }, 60_000)
})

describe('an install from the repository', () => {
  it('has everything that was built, the packages with it', async () => {
    const clone = path.join(folder, 'clone')
    await run('git', ['clone', '--quiet', '--no-hardlinks', root, clone])
    // what npm would install there first
    await symlink(path.join(root, 'node_modules'), path.join(clone, 'node_modules'))
    await run('npm', ['run', '--silent', 'prepare'], { cwd: clone, timeout: 240_000 })
    for (const file of [
      'dist/index.js',
      'dist/cli.js',
      'dist/web/stamp',
      'dist/packages/client/index.js',
      'dist/packages/embedded-postgres/index.js',
    ]) {
      expect((await readFile(path.join(clone, file))).length).toBeGreaterThan(0)
    }
  }, 300_000)
})
