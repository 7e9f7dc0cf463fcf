import { loadConfig } from '../config.js'
import { withMigrator } from '../database/migrate.js'
import { exitCodes } from '../exit-codes.js'
import { createPasswords } from '../login/password.js'
import type { Said } from '../routes-command.js'
import { failed, said } from './said.js'
import { useDatabase } from './use-database.js'

/** `migrate`: applies what is missing, as a start does. */
export async function migrate({ json }: { json: boolean }): Promise<Said> {
  try {
    const applied = await useDatabase(loadConfig(), ({ ownerUrl }) => withMigrator(ownerUrl, (migrator) => migrator.up()))
    return said(exitCodes.ok, json, { applied }, applied.length > 0 ? applied.map((name) => `applied ${name}`) : ['All migrations are applied already.'])
  } catch (error) {
    return failed(error)
  }
}

/** `seed`: the demo data, once; never in production, as its passwords are published. */
export async function seed({ json }: { json: boolean }): Promise<Said> {
  try {
    const config = loadConfig()
    if (config.production) return { exitCode: exitCodes.configuration, stdout: '', stderr: 'Demo data has published passwords and cannot be used with NODE_ENV=production.\n' }
    await useDatabase(config, ({ ownerUrl }) => withMigrator(ownerUrl, async (migrator) => {
      await migrator.up()
      await migrator.seedDemo(createPasswords().hash)
    }))
    return said(exitCodes.ok, json, { seeded: true }, ['The demo data is there.'])
  } catch (error) {
    return failed(error)
  }
}
