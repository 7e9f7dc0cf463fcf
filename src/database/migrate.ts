import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import path from 'node:path'
import knex, { type Knex } from 'knex'
import type { Sql } from './connect.js'

/** Any fixed number. Each process that migrates or seeds this database holds the lock of this number. */
const migrationLock = 7_162_001

const packageRoot = fileURLToPath(new URL('../..', import.meta.url))

/**
 * The list is not compared with the applied migrations: an older version must be able to start after a newer
 * one has migrated.
 */
const migrations = {
  directory: path.join(packageRoot, 'migrations'),
  loadExtensions: ['.js'],
  tableName: 'gateway_migrations',
  disableMigrationsListValidation: true,
}

/** The error tells what failed. knex would also print it, with its SQL, to the console. */
const silent = {
  warn: () => undefined,
  error: () => undefined,
  deprecate: () => undefined,
  debug: () => undefined,
}

interface DemoSeed {
  isSeeded: (knex: Knex) => Promise<boolean>
  seed: (knex: Knex, secrets: { passwordHash: string; sha256: (text: string) => string }) => Promise<void>
  demoPassword: string
}

/** What the owner's login can do to the database while it holds the lock. */
export interface Migrator {
  /** Applies missing migrations. Returns their names. */
  up: () => Promise<string[]>
  /** Reverts all migrations. Returns their names. */
  down: () => Promise<string[]>
  /** Inserts the demo data, once. */
  seedDemo: (hashPassword: (password: string) => Promise<string>) => Promise<void>
}

async function seedDemo(owner: Knex, hashPassword: (password: string) => Promise<string>): Promise<void> {
  const demo = (await import(pathToFileURL(path.join(packageRoot, 'seeds', 'demo.js')).href)) as DemoSeed
  if (await demo.isSeeded(owner)) return
  const passwordHash = await hashPassword(demo.demoPassword)
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
  await owner.transaction((trx) => demo.seed(trx, { passwordHash, sha256 }))
}

async function migrationsOf(owner: Knex, direction: 'latest' | 'rollback'): Promise<string[]> {
  // Only one migrator can be here, so a set lock row was left by one that was killed.
  if (await owner.schema.hasTable(`${migrations.tableName}_lock`))
    await owner.migrate.forceFreeMigrationsLock(migrations)
  const [, names] = (await (direction === 'latest'
    ? owner.migrate.latest(migrations)
    : owner.migrate.rollback(migrations, true))) as [number, string[]]
  return names.map((name) => path.basename(name, '.js'))
}

/** A migration, and when it was applied. */
export interface Migration {
  name: string
  appliedAt: Date | null
  /** False for one that a newer version has applied. */
  isKnown: boolean
}

/**
 * Lists the migrations of this version, in order, and those that a newer version has applied. The login of
 * requests may read the list.
 */
export async function listMigrations(sql: Pick<Sql, 'rows'>): Promise<Migration[]> {
  const files = (await readdir(migrations.directory)).filter((file) => file.endsWith('.js')).sort()
  const applied = await sql.rows<{ name: string; appliedAt: Date }>(
    `select name, migration_time as "appliedAt" from ${migrations.tableName}`,
  )
  const times = new Map(applied.map(({ name, appliedAt }) => [name, appliedAt]))
  const known = files.map((file) => ({
    name: path.basename(file, '.js'),
    appliedAt: times.get(file) ?? null,
    isKnown: true,
  }))
  return [
    ...known,
    ...applied
      .filter(({ name }) => !files.includes(name))
      .map(({ name, appliedAt }) => ({ name: path.basename(name, '.js'), appliedAt, isKnown: false })),
  ]
}

/**
 * Connects as the database's owner and runs `work` while no other node migrates or seeds. The advisory lock
 * ends with the connection, so that a killed process leaves none behind. Any number of nodes may start at
 * once.
 */
export async function withMigrator<Result>(
  url: string,
  work: (migrator: Migrator) => Promise<Result>,
): Promise<Result> {
  const owner = knex({
    client: 'pg',
    connection: { connectionString: url, application_name: 'mandate-gateway migrations' },
    pool: { min: 0, max: 2 },
    log: silent,
  })
  try {
    return await owner.transaction(async (lock) => {
      await lock.raw('select pg_advisory_xact_lock(?)', [migrationLock])
      return await work({
        up: () => migrationsOf(owner, 'latest'),
        down: () => migrationsOf(owner, 'rollback'),
        seedDemo: (hashPassword) => seedDemo(owner, hashPassword),
      })
    })
  } catch (error) {
    // knex puts the whole statement before the database's own message
    if (error instanceof Error) error.message = error.message.split(' - ').at(-1) ?? ''
    throw error
  } finally {
    await owner.destroy()
  }
}
