import { startEmbeddedPostgres } from '#embedded-postgres'
import { withMigrator } from './database/migrate.js'
import { waitForDatabase } from './database/wait.js'
import type { Config } from './config.js'
import { makeDataDir } from './data-dir.js'
import { requireUsableLogins } from './doctor/database.js'
import { createPasswords } from './login/password.js'
import type { Logger } from './observability/logger.js'
import { startDemoUpstream } from './proxy/demo-upstream.js'

/** What has been started, to be stopped in the opposite order. */
export type Stop = () => Promise<void>

/** What has to be there once before any number of processes may serve. */
export interface Prepared {
  /** The login that requests use. */
  databaseUrl: string
  /** True when it is the owner's: each connection becomes `gateway_app`. */
  setRole: boolean
  demoUrl: string | undefined
}

async function openDatabase(config: Config, logger: Logger, stops: Stop[], signal: AbortSignal) {
  if (config.DATABASE_URL) {
    for (const name of ['DATABASE_MIGRATION_URL', 'DATABASE_URL', 'DATABASE_DIRECT_URL'] as const) {
      const url = config[name]
      if (url !== undefined) await waitForDatabase(url, { name, logger, signal, patienceMs: config.DATABASE_WAIT_SECONDS * 1000 })
    }
    return { ownerUrl: config.DATABASE_MIGRATION_URL ?? config.DATABASE_URL, databaseUrl: config.DATABASE_URL, setRole: !config.DATABASE_MIGRATION_URL }
  }
  await makeDataDir(config.DATA_DIR)
  const postgres = await startEmbeddedPostgres({ dataDir: config.DATA_DIR, log: (message) => logger.info(message) })
  process.once('exit', postgres.interrupt) // however this process ends by itself, its Postgres ends with it
  stops.push(async () => {
    await postgres.stop()
    process.off('exit', postgres.interrupt)
  })
  return { ownerUrl: postgres.ownerUrl, databaseUrl: postgres.url, setRole: false }
}

/** Brings up what serving needs: the database, migrated, and the demo if it is asked for. What it starts goes onto `stops`; `signal` ends the waiting for the database. */
export async function prepare(config: Config, logger: Logger, stops: Stop[], signal: AbortSignal = new AbortController().signal): Promise<Prepared> {
  const { ownerUrl, databaseUrl, setRole } = await openDatabase(config, logger, stops, signal)
  await withMigrator(ownerUrl, async (migrator) => {
    for (const name of await migrator.up()) logger.info('migrated', { name })
    if (config.SEED_DEMO) await migrator.seedDemo(createPasswords().hash)
  })
  if (config.DATABASE_URL) await requireUsableLogins({ url: databaseUrl, ownerUrl, directUrl: config.DATABASE_DIRECT_URL ?? databaseUrl, setRole })
  const demo = config.SEED_DEMO ? await startDemoUpstream() : undefined
  if (demo) stops.push(() => demo.stop())
  return { databaseUrl, setRole, demoUrl: demo?.url }
}
