import pg from 'pg'
import type { SourceRow } from './csv-rows.js'

/** The old side's database: it is only read, and all of it at one moment. */
export interface OldDatabase {
  /** Runs a query, or reads a table, row by row. Rejects with the database's own words. */
  rows: (from: string) => AsyncGenerator<SourceRow>
  close: () => Promise<void>
}

const atATime = 2000

/** Returns a query as it is, and a table's name as the query of all its rows. */
function queryOf(from: string): string {
  if (/^\s*(?:select|with)\b/i.test(from)) return from.replace(/;\s*$/, '')
  const name = from
    .split('.')
    .map((part) => `"${part.replace(/^"|"$/g, '').replaceAll('"', '""')}"`)
    .join('.')
  return `select * from ${name}`
}

/** Connects to the old side's database, read-only and in one snapshot. */
export async function openOldDatabase(url: string): Promise<OldDatabase> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'mandate-gateway import',
    connectionTimeoutMillis: 10_000,
  })
  client.on('error', () => undefined) // the next query rejects
  await client.connect()
  await client.query('begin isolation level repeatable read read only')
  let cursors = 0
  return {
    rows: async function* (from) {
      const cursor = `import_${(cursors += 1)}`
      await client.query(`declare ${cursor} no scroll cursor for ${queryOf(from)}`)
      for (let row = 0; ;) {
        const { rows } = await client.query<Record<string, unknown>>(`fetch ${atATime} from ${cursor}`)
        for (const values of rows) yield { row: (row += 1), values }
        if (rows.length < atATime) break
      }
      await client.query(`close ${cursor}`)
    },
    close: () => client.end(),
  }
}
