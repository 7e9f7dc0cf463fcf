import { backUp, findCluster } from '#embedded-postgres'
import { loadConfig } from '../config.js'
import { withMigrator } from '../database/migrate.js'
import { exitCodes } from '../domain/exit-codes.js'
import { createPasswords } from '../login/password.js'
import type { CommandResult } from './routes-command.js'
import { failed, said } from './command-result.js'
import { useDatabase } from './use-database.js'

/** `migrate`: applies what is missing, as a start does. */
export async function migrate({ json }: { json: boolean }): Promise<CommandResult> {
  try {
    const applied = await useDatabase(loadConfig(), ({ ownerUrl }) =>
      withMigrator(ownerUrl, (migrator) => migrator.up()),
    )
    return said(
      exitCodes.ok,
      json,
      { applied },
      applied.length > 0 ? applied.map((name) => `applied ${name}`) : ['All migrations are applied already.'],
    )
  } catch (error) {
    return failed(error)
  }
}

/** `seed`: the demo data, once; never in production, as its passwords are published. */
export async function seed({ json }: { json: boolean }): Promise<CommandResult> {
  try {
    const config = loadConfig()
    if (config.production)
      return {
        exitCode: exitCodes.configuration,
        stdout: '',
        stderr: 'Demo data has published passwords and cannot be used with NODE_ENV=production.\n',
      }
    await useDatabase(config, ({ ownerUrl }) =>
      withMigrator(ownerUrl, async (migrator) => {
        await migrator.up()
        await migrator.seedDemo(createPasswords().hash)
      }),
    )
    return said(exitCodes.ok, json, { seeded: true }, ['The demo data is there.'])
  } catch (error) {
    return failed(error)
  }
}

/** What a gateway keeps in its data directory beside the database. */
const ownFiles = ['development-secrets.json', 'audit']

/** `backup`: the data directory with the embedded database, also while a gateway runs on it. */
export async function backup({ to, json }: { to: string; json: boolean }): Promise<CommandResult> {
  try {
    const config = loadConfig()
    if (config.DATABASE_URL !== undefined)
      throw new Error('Your own Postgres is backed up by its own tools, such as pg_basebackup or pg_dump')
    const cluster = await findCluster(config.DATA_DIR)
    if (!cluster) throw new Error(`There is no embedded database in ${config.DATA_DIR}`)
    await useDatabase(config, ({ ownerUrl }) =>
      backUp({ ownerUrl, dataDir: config.DATA_DIR, cluster, to, beside: ownFiles }),
    )
    return said(exitCodes.ok, json, { to }, [
      `${to} is a whole data directory. It holds secrets: keep it where DATA_DIR could be.`,
    ])
  } catch (error) {
    return failed(error)
  }
}
