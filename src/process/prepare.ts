import { startEmbeddedPostgres } from '#embedded-postgres'
import { askDatabase } from '../database/diagnose.js'
import { withMigrator } from '../database/migrate.js'
import { waitForDatabase } from '../database/wait.js'
import type { Config } from '../config.js'
import { makeDataDir } from './data-dir.js'
import { requireUsableLogins } from '../database/examine.js'
import { hasCode } from '../errors.js'
import type { Prepared } from '../gateway/compose.js'
import type { Lifecycle } from '../gateway/lifecycle.js'
import { createPasswords } from '../login/password.js'
import type { Logger } from '../observability/logger.js'
import { startDemoUpstream } from '../proxy/demo-upstream.js'

async function openDatabase(config: Config, logger: Logger, lifecycle: Lifecycle, signal: AbortSignal) {
  if (config.DATABASE_URL) {
    for (const name of ['DATABASE_MIGRATION_URL', 'DATABASE_URL', 'DATABASE_DIRECT_URL'] as const) {
      const url = config[name]
      if (url !== undefined)
        await waitForDatabase(url, { name, logger, signal, patienceMs: config.DATABASE_WAIT_SECONDS * 1000 })
    }
    return {
      ownerUrl: config.DATABASE_MIGRATION_URL ?? config.DATABASE_URL,
      databaseUrl: config.DATABASE_URL,
      setRole: !config.DATABASE_MIGRATION_URL,
    }
  }
  await makeDataDir(config.DATA_DIR)
  const postgres = await startEmbeddedPostgres({
    dataDir: config.DATA_DIR,
    log: (message) => logger.info(message),
  })
  process.once('exit', postgres.interrupt) // Postgres ends whenever this process exits by itself
  lifecycle.onStop('embedded Postgres', async () => {
    await postgres.stop()
    process.off('exit', postgres.interrupt)
  })
  return { ownerUrl: postgres.ownerUrl, databaseUrl: postgres.url, setRole: false }
}

/**
 * Migrates the database, and seeds the demo if SEED_DEMO is set. Without DATABASE_MIGRATION_URL it first checks
 * for pending migrations, because the login of requests cannot take the owner's lock. Rejects when migrations
 * are missing that the login may not apply.
 */
async function migrate(config: Config, ownerUrl: string, logger: Logger): Promise<void> {
  const isOwnerNamed = config.DATABASE_URL === undefined || config.DATABASE_MIGRATION_URL !== undefined
  const pending = isOwnerNamed ? undefined : (await askDatabase(ownerUrl, Date.now)).pending
  if (pending?.length === 0 && !config.SEED_DEMO) return
  try {
    await withMigrator(ownerUrl, async (migrator) => {
      for (const name of await migrator.up()) logger.info('migrated', { name })
      if (config.SEED_DEMO) await migrator.seedDemo(createPasswords().hash)
    })
  } catch (error) {
    if (pending?.[0] === undefined || !hasCode(error, '42501')) throw error
    const count = pending.length === 1 ? 'a migration' : `${pending.length} migrations`
    const missing =
      `The database lacks ${count}, the first of them ${pending[0]}, ` +
      'and the login of DATABASE_URL may not apply them'
    throw new Error(
      `${missing}. Run mandate-gateway migrate with the owner's login in DATABASE_MIGRATION_URL.`,
      { cause: error },
    )
  }
}

/**
 * Prepares what serving needs: the database, migrated, and the demo if SEED_DEMO is set. `signal` ends the
 * wait for the database. Rejects with a sentence for the operator.
 */
export async function prepare(
  config: Config,
  logger: Logger,
  lifecycle: Lifecycle,
  signal: AbortSignal = new AbortController().signal,
): Promise<Prepared> {
  const { ownerUrl, databaseUrl, setRole } = await openDatabase(config, logger, lifecycle, signal)
  await migrate(config, ownerUrl, logger)
  if (config.DATABASE_URL)
    await requireUsableLogins({
      url: databaseUrl,
      ownerUrl,
      directUrl: config.DATABASE_DIRECT_URL ?? databaseUrl,
      setRole,
    })
  const demo = config.SEED_DEMO ? await startDemoUpstream() : undefined
  if (demo) lifecycle.onStop('demo upstream', () => demo.stop())
  return { databaseUrl, setRole, demoUrl: demo?.url }
}
