import { z } from 'zod'
import type { Database } from '../database/connect.js'
import { listMigrations } from '../database/migrate.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import { listTableSizes, readDatabaseState } from './database-queries.js'

const count = z.int().min(0)
const state = z
  .strictObject({
    healthy: z.literal(true).meta({ description: 'a database that does not answer is 503' }),
    answeredInMs: z.number(),
    version: z.string(),
    bytes: z.number(),
    connections: z.strictObject({ open: count, most: count }),
    pool: z
      .strictObject({ used: count, free: count, pending: count })
      .meta({ description: 'the answering node’s own connections' }),
    oldestTransactionSeconds: z
      .number()
      .nullable()
      .meta({ description: 'of those that this login may see; null where there is none' }),
    pendingChanges: count.meta({
      description: 'changes of authority that some node may not have applied yet',
    }),
    migrations: z.array(
      z.strictObject({
        name: z.string(),
        appliedAt: z.iso.datetime().nullable(),
        isKnown: z.boolean().meta({ description: 'false for one that a newer version has applied' }),
      }),
    ),
    tables: z.array(
      z.strictObject({
        name: z.string(),
        bytes: z.number(),
        rows: z.number().meta({ description: 'as Postgres last estimated' }),
      }),
    ),
  })
  .meta({ id: 'DatabaseState' })

/** How the database is, for SysAdmins. */
export function databaseEndpoints({ database }: { database: Database }): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/system/database',
      summary: 'Look at the database: health, sizes, migrations, connections',
      access: sysAdmins,
      answers: { 200: state },
      handle: async () => {
        const askedAt = performance.now()
        const found = await readDatabaseState(database)
        const answeredInMs = Math.round((performance.now() - askedAt) * 100) / 100
        const [tables, migrations] = await Promise.all([listTableSizes(database), listMigrations(database)])
        return {
          status: 200,
          body: { healthy: true, answeredInMs, ...found, pool: database.connections(), migrations, tables },
        }
      },
    }),
  ]
}
