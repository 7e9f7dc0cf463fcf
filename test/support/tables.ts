import type { TestDatabase } from './database.js'

/** Does `work` while a table is missing, and puts it back whatever happens. */
export async function withoutTable<Result>(
  database: TestDatabase,
  table: string,
  work: () => Promise<Result>,
): Promise<Result> {
  await database.sql(`alter table ${table} rename to ${table}_away`)
  try {
    return await work()
  } finally {
    await database.sql(`alter table ${table}_away rename to ${table}`)
  }
}
