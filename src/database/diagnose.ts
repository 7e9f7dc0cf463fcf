import { TLSSocket } from 'node:tls'
import pg from 'pg'
import { listMigrations } from './migrate.js'
import { countAsynchronousStandbys } from './standbys.js'
import type { Sql } from './connect.js'

/** What one login sees of its database. */
export interface DatabaseFacts {
  login: string
  database: string
  version: string
  versionNumber: number
  isStandby: boolean
  isSuperuser: boolean
  bypassesRls: boolean
  ownsTables: boolean
  /** Null when there is no role `gateway_app`. */
  mayBecomeApp: boolean | null
  /** Whether requests could create tables and functions. */
  mayCreate: boolean
  fsync: boolean
  synchronousCommit: boolean
  /** Milliseconds that this machine's clock is ahead of the database's. */
  skew: number
  /** Migrations that are not applied. */
  pending: string[]
  /** Applied migrations that this version does not have. */
  unknown: string[]
  /** Standbys that no commit waits for. */
  asynchronousStandbys: number
  /** Whether statements of one connection go to several sessions. */
  isPooled: boolean
  /** How the connection is protected; `local` does not leave this machine. */
  transport: 'local' | 'plain' | 'encrypted' | 'verified'
}

/** A statement like those of requests: it needs the role, the table and the schema, and reads no row. */
export const asRequestsDo = 'select id from tokens limit 0'

const facts = `
  select session_user as login,
         current_database() as database,
         current_setting('server_version') as version,
         current_setting('server_version_num')::int as "versionNumber",
         pg_is_in_recovery() as "isStandby",
         r.rolsuper as "isSuperuser",
         r.rolbypassrls as "bypassesRls",
         exists (
           select
             from pg_class c
            where c.relname = 'users'
              and c.relnamespace = to_regnamespace('public')
              and pg_has_role(c.relowner, 'member')
         ) as "ownsTables",
         case
           when to_regrole('gateway_app') is not null then pg_has_role('gateway_app', 'member')
         end as "mayBecomeApp",
         has_schema_privilege(coalesce(to_regrole('gateway_app')::oid, r.oid), 'public', 'create') as "mayCreate",
         current_setting('fsync')::bool as fsync,
         current_setting('synchronous_commit') <> 'off' as "synchronousCommit",
         (extract(epoch from clock_timestamp()) * 1000)::float8 as "databaseMs"
    from pg_roles r
   where r.rolname = session_user`

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'mandate-gateway doctor',
    connectionTimeoutMillis: 3000,
    query_timeout: 5000,
  })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

const loopback = /^(?:localhost|127(?:\.\d+){3}|\[?::1\]?|\/.*|)$/

function transportOf(client: pg.Client): DatabaseFacts['transport'] {
  const { stream } = client.connection
  if (stream instanceof TLSSocket) return stream.authorized ? 'verified' : 'encrypted'
  return loopback.test(client.host) ? 'local' : 'plain'
}

async function isPooled(url: string, client: pg.Client): Promise<boolean> {
  const sessionOf = async (one: pg.Client) =>
    (await one.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid
  const other = await connect(url)
  try {
    const before = await sessionOf(client)
    // in transaction mode this gets the session that the first connection has just left
    await other.query('begin')
    const held = await sessionOf(other)
    return held === before || (await sessionOf(client)) !== before
  } finally {
    await other.end().catch(() => undefined)
  }
}

/** Asks the database about itself and this login. Rejects when it cannot be reached. */
export async function askDatabase(url: string, now: () => number): Promise<DatabaseFacts> {
  const client = await connect(url)
  try {
    const askedAt = now()
    const {
      rows: [row],
    } = await client.query<
      Omit<
        DatabaseFacts,
        'skew' | 'pending' | 'unknown' | 'isPooled' | 'transport' | 'asynchronousStandbys'
      > & { databaseMs: number }
    >(facts)
    if (!row) throw new Error('the database does not know its own login')
    const { databaseMs, ...found } = row
    const sql: Pick<Sql, 'rows'> = {
      rows: async <Row>(statement: string) => (await client.query(statement)).rows as Row[],
    }
    const {
      rows: [table],
    } = await client.query<{ there: boolean; readable: boolean }>(
      `select t is not null as there, coalesce(has_table_privilege(t, 'select'), false) as readable
         from to_regclass('gateway_migrations') t`,
    )
    const all = await listMigrations(table?.readable === true ? sql : { rows: () => Promise.resolve([]) })
    return {
      ...found,
      skew: (askedAt + now()) / 2 - databaseMs,
      isPooled: await isPooled(url, client),
      transport: transportOf(client),
      asynchronousStandbys: await countAsynchronousStandbys(sql),
      pending: all.filter(({ appliedAt, isKnown }) => isKnown && appliedAt === null).map(({ name }) => name),
      unknown: all.filter(({ isKnown }) => !isKnown).map(({ name }) => name),
    }
  } finally {
    await client.end().catch(() => undefined)
  }
}
