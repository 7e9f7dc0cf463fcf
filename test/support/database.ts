import { randomBytes } from 'node:crypto'
import pg from 'pg'

const named = (url: string, database: string) =>
  Object.assign(new URL(url), { pathname: `/${database}` }).href

function clusterUrl(variable: 'TEST_OWNER_URL' | 'TEST_APP_URL'): string {
  const url = process.env[variable]
  if (!url) throw new Error('the cluster of the tests does not run: start them with npm test')
  return url
}

/** A database of its own for one test file. */
export interface TestDatabase {
  /** The login that requests use. */
  url: string
  /** The owner's login. */
  ownerUrl: string
  /** Runs SQL as the owner and answers the rows. */
  sql: <Row = Record<string, unknown>>(statement: string, values?: unknown[]) => Promise<Row[]>
  drop: () => Promise<void>
}

/** Clones a database: migrated and with the demo data, or empty. */
export async function createTestDatabase(
  template: 'template_demo' | 'template_empty' = 'template_demo',
): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`
  const cluster = new pg.Client(clusterUrl('TEST_OWNER_URL'))
  await cluster.connect()
  await cluster.query(`create database ${name} template ${template}`)
  const ownerUrl = named(clusterUrl('TEST_OWNER_URL'), name)
  const owner = new pg.Pool({ connectionString: ownerUrl, max: 2 })
  owner.on('error', () => undefined) // the test may have killed the server
  return {
    url: named(clusterUrl('TEST_APP_URL'), name),
    ownerUrl,
    sql: async <Row>(statement: string, values: unknown[] = []) =>
      (await owner.query(statement, values)).rows as Row[],
    drop: async () => {
      await owner.end()
      await cluster.query(`drop database ${name} with (force)`)
      await cluster.end()
    },
  }
}
