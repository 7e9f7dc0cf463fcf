/**
 * One real Postgres for a run of the tests, with a migrated and seeded template that each test file clones.
 * Making it takes more than a second, so that it is made once for each state of migrations/ and seeds/ and
 * kept in node_modules/.cache/. A run starts a copy. TEST_POSTGRES is the folder of another Postgres.
 */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { access, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startEmbeddedPostgres } from '#embedded-postgres'

const root = fileURLToPath(new URL('../..', import.meta.url))
const cache = path.join(root, 'node_modules/.cache/mandate-gateway-tests')

/** What a kept cluster is made of, beside the Postgres itself: files and folders from the root. */
const sources = [
  'migrations',
  'seeds',
  'dist/database',
  'dist/login/password.js',
  'test/setup/start-cluster.js',
  'package-lock.json',
]

/** @param {string} source @returns {Promise<string[]>} */
async function filesOf(source) {
  const entries = await readdir(path.join(root, source)).catch(() => undefined)
  if (entries === undefined) return source.endsWith('.map') ? [] : [source]
  return (await Promise.all(entries.sort().map((entry) => filesOf(path.join(source, entry))))).flat()
}

/** Returns a name that changes with everything that a kept cluster is made of. */
async function clusterName() {
  const hash = createHash('sha256').update(process.env.TEST_POSTGRES ?? '')
  const files = (await Promise.all(sources.map(filesOf))).flat()
  const texts = await Promise.all(files.map((file) => readFile(path.join(root, file))))
  for (const [index, file] of files.entries()) hash.update(`\0${file}\0`).update(texts[index] ?? '')
  return `cluster-${hash.digest('hex').slice(0, 16)}`
}

/** @param {string} dataDir */
const start = (dataDir) =>
  startEmbeddedPostgres({
    dataDir,
    durable: false,
    log: () => {},
    ...(process.env.TEST_POSTGRES === undefined ? {} : { binaries: process.env.TEST_POSTGRES }),
  })

/** Makes the templates in a server that runs. @param {string} ownerUrl */
async function makeTemplates(ownerUrl) {
  // loaded here because a run with a kept cluster needs none of it
  const { default: pg } = await import('pg')
  const { withMigrator } = await import('../../dist/database/migrate.js')
  const { createPasswords } = await import('../../dist/login/password.js')
  const owner = new pg.Client(ownerUrl)
  await owner.connect()
  for (const template of ['template_empty', 'template_demo']) await owner.query(`create database ${template}`)
  await owner.end()
  const demoUrl = Object.assign(new URL(ownerUrl), { pathname: '/template_demo' }).href
  await withMigrator(demoUrl, async (migrator) => {
    await migrator.up()
    await migrator.seedDemo(createPasswords().hash)
  })
}

/** Copies a tree with owners and modes. @param {string} from @param {string} to */
const copy = (from, to) => promisify(execFile)('cp', ['-a', from, to])

/** Makes a cluster in a folder of its own and puts it in place in one step. @param {string} kept */
async function makeCluster(kept) {
  const half = `${kept}.${randomBytes(4).toString('hex')}`
  const dataDir = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-test-'))
  try {
    const postgres = await start(dataDir)
    await makeTemplates(postgres.ownerUrl).finally(postgres.stop)
    await mkdir(half, { recursive: true, mode: 0o711 })
    await copy(path.join(dataDir, 'postgres-passwords.json'), half)
    await copy(await realpath(path.join(dataDir, 'postgres')), path.join(half, 'postgres'))
    for (const name of await readdir(cache))
      if (/^cluster-[0-9a-f]+$/.test(name) && name !== path.basename(kept))
        await rm(path.join(cache, name), { recursive: true, force: true })
    // another run may have been faster: its cluster is as good
    await rename(half, kept).catch(() => access(kept))
  } finally {
    await rm(half, { recursive: true, force: true })
    await rm(dataDir, { recursive: true, force: true })
  }
}

export default async function startCluster() {
  // somebody who runs the tests again and again keeps one for all of them
  if (process.env.TEST_OWNER_URL !== undefined) return
  const kept = path.join(cache, await clusterName())
  await access(kept).catch(() => makeCluster(kept))
  const dataDir = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-test-'))
  await copy(`${kept}/.`, dataDir)
  const postgres = await start(dataDir)
  globalThis.__cluster = { postgres, dataDir }
  process.env.TEST_OWNER_URL = postgres.ownerUrl
  process.env.TEST_APP_URL = postgres.url
}
