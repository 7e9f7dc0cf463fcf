/**
 * One real Postgres for a run of the tests, with a migrated and seeded template that each test file clones.
 * TEST_POSTGRES is the folder of another one.
 */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { startEmbeddedPostgres } from '#embedded-postgres'
import { withMigrator } from '../../dist/database/migrate.js'
import { createPasswords } from '../../dist/login/password.js'

/** @param {string} url @param {string} database */
const named = (url, database) => Object.assign(new URL(url), { pathname: `/${database}` }).href

export default async function startCluster() {
  // somebody who runs the tests again and again keeps one for all of them
  if (process.env.TEST_OWNER_URL !== undefined) return
  const dataDir = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-test-'))
  const postgres = await startEmbeddedPostgres({
    dataDir,
    durable: false,
    log: () => {},
    ...(process.env.TEST_POSTGRES === undefined ? {} : { binaries: process.env.TEST_POSTGRES }),
  })
  const owner = new pg.Client(postgres.ownerUrl)
  await owner.connect()
  for (const template of ['template_empty', 'template_demo']) await owner.query(`create database ${template}`)
  await owner.end()
  await withMigrator(named(postgres.ownerUrl, 'template_demo'), async (migrator) => {
    await migrator.up()
    await migrator.seedDemo(createPasswords().hash)
  })
  globalThis.__cluster = { postgres, dataDir }
  process.env.TEST_OWNER_URL = postgres.ownerUrl
  process.env.TEST_APP_URL = postgres.url
}
