import pg from 'pg'
import { GatewayError } from '../errors.js'
import { commitConnection, markBoot } from './commit-connection.js'
import { confirmReads, type Confirmed } from './confirmed.js'
import { createHistory, type History } from './history.js'
import { cancelledWaits, watchConnections } from './connections.js'
import { asDirectoryError, sqlState, unavailable } from './directory-error.js'

/** A statement's values. Each `?` in the statement stands for one, in order. */
export type Values = readonly (string | number | boolean | Date | null | string[])[]

/**
 * Runs SQL on the pool, or in one transaction of it. Rejects with a GatewayError: `conflict` for a row that
 * exists or is referred to, `validation_failed` for a value that cannot be stored, else
 * `directory_unavailable`. The database's own message stays in its `cause`.
 */
export interface Sql {
  /** Runs a statement and returns its rows. */
  rows: <Row>(statement: string, values?: Values) => Promise<Row[]>
  /** Runs a statement and returns how many rows it touched. */
  run: (statement: string, values?: Values) => Promise<number>
}

declare const transactionBrand: unique symbol

/**
 * One transaction: all its statements take effect together or not at all. Only `Database.transaction` makes
 * one.
 */
export type Tx = Sql & { readonly [transactionBrand]: true }

/** Rows that a statement returned, and how many it touched. */
export interface Answer {
  rows: unknown[]
  count: number
}

/** How a transaction ended, and the identity of the history that it ran in. */
export type Ended<Result> = {
  identity: string
  /**
   * Whether its commit wrote something. Such a commit has waited for the synchronous standby, if there is
   * one.
   */
  wrote: boolean
} & (
  | { result: Result }
  | {
      /** Why it was rolled back: its work, or the database, refused it. */
      refusal: unknown
    }
)

/** Connections to whichever servers answer, of any history. Rejects when a server cannot be asked. */
export interface Pool {
  /** Runs one statement in a transaction of its own. */
  once: (statement: string, values?: Values) => Promise<Ended<Answer>>
  transact: <Result>(work: (tx: Tx) => Promise<Result>) => Promise<Ended<Result>>
  /** Connections that are used, free, and waited for. */
  connections: () => Connections
  close: () => Promise<void>
}

/**
 * The database that decisions are made of. Its reads count, or reject with `directory_unavailable`. See
 * docs/coherence.md, "Two primaries".
 */
export interface Database extends Confirmed, Pick<Pool, 'connections' | 'close'> {
  /** Unconfirmed access, for the statements that keep coherence. No decision may be based on it. */
  unconfirmed: Sql & Pick<Pool, 'once'>
  history: History
}

export interface Connections {
  used: number
  free: number
  pending: number
}

interface ConnectOptions {
  url: string
  /**
   * True when the login is the owner's. Each transaction then becomes `gateway_app` before its first
   * statement.
   */
  setRole: boolean
  poolSize?: number
  /** Milliseconds that a statement may take. The default is what a request can wait. */
  timeoutMs?: number
}

/** More than any statement of a request takes, and less than a caller's patience. */
const requestTimeoutMs = 5000
/** How long to wait for a connection, new or in use. */
const connectTimeoutMs = 2500
const idleMs = 30_000
/**
 * A read may wait for the running commit and then for its own. Together they may take as long as a statement.
 */
const commitTimeoutMs = requestTimeoutMs / 2

const silent = () => undefined

type Opened = pg.QueryResult<{ standby?: boolean; identity?: string }>
type Ask = (statement: string, values: Values) => Promise<pg.QueryResult<pg.QueryResultRow>>

/**
 * Creates the database. The first statement opens the first connection. Reads are confirmed by commits until
 * there is a lease to rely on.
 */
export function connectDatabase(options: ConnectOptions): Database {
  const history = createHistory({ monotonic: () => performance.now() })
  const pool = openPool(options, history)
  const commits = commitConnection({ url: options.url, deadlineMs: commitTimeoutMs })
  history.onChange(commits.closeOthers)
  const answerOf = async (statement: string, values: Values = []) => {
    const ended = await pool.once(statement, values)
    if ('refusal' in ended) throw ended.refusal
    return ended.result
  }
  return {
    ...confirmReads({ pool, history, commit: commits.commit }),
    unconfirmed: {
      once: pool.once,
      rows: async <Row>(statement: string, values?: Values) =>
        (await answerOf(statement, values)).rows as Row[],
      run: async (statement, values) => (await answerOf(statement, values)).count,
    },
    history,
    connections: pool.connections,
    close: async () => {
      await commits.close()
      await pool.close()
    },
  }
}

/**
 * Sets nothing for a session and names no statement, because a transaction-mode pooler gives each transaction
 * another session. Role and time limits are set within each transaction.
 */
function openPool(
  { url, setRole, poolSize = 10, timeoutMs = requestTimeoutMs }: ConnectOptions,
  history: History,
): Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'mandate-gateway',
    max: poolSize,
    connectionTimeoutMillis: connectTimeoutMs,
    idleTimeoutMillis: idleMs,
    query_timeout: timeoutMs,
    keepAlive: true,
    pipeline: true, // `begin`, a statement and `commit` are sent together and cost one round trip
  })
  // A broken connection rejects its statements. The pool drops it.
  pool.on('error', silent)
  pool.on('connect', (client) => {
    client.on('error', silent)
    // sent with the first transaction; a read-only server is not marked
    client.query(markBoot).catch(silent)
  })
  const connections = watchConnections(pool)
  history.onChange(connections.closeOthers)
  const opening = openingOf(setRole, timeoutMs)
  const use = async <Result>(
    work: (client: pg.PoolClient) => Promise<Ended<Result>>,
  ): Promise<Ended<Result>> => {
    try {
      return await withClient(pool, async (client) => {
        const ended = await work(client)
        connections.note(client, ended.identity)
        return ended
      })
    } catch (error) {
      throw asDirectoryError(error)
    }
  }
  let closing: Promise<void> | undefined
  return {
    once: (statement, values = []) => use((client) => askOnce(client, opening, statement, values)),
    transact: (work) => use((client) => transact(client, opening, work)),
    connections: () => ({
      used: pool.totalCount - pool.idleCount,
      free: pool.idleCount,
      pending: pool.waitingCount,
    }),
    close: () => (closing ??= pool.end()),
  }
}

/**
 * Returns the statements that begin each transaction. `set_config(…, true)` ends with the transaction, as
 * `set local` does.
 */
function openingOf(setRole: boolean, timeoutMs: number): string {
  return `
    begin;
    select pg_catalog.pg_is_in_recovery() as standby,
           case when not pg_catalog.pg_is_in_recovery() then coherence.identity() end as identity,
           pg_catalog.set_config('synchronous_commit', 'on', true),
           pg_catalog.set_config('statement_timeout', '${timeoutMs}', true),
           pg_catalog.set_config('idle_in_transaction_session_timeout', '${2 * timeoutMs}', true)
           ${setRole ? `, pg_catalog.set_config('role', 'gateway_app', true)` : ''}`
}

/** The connection leads to a standby. */
class StandbyError extends Error {}

/**
 * Begins a transaction. Returns the identity of its history. Rejects for a standby, which may not know yet
 * what was revoked.
 */
async function open(client: pg.PoolClient, opening: string): Promise<string> {
  try {
    // Two statements have two results, which pg's types do not say.
    const results: Opened | Opened[] = await client.query<{ standby?: boolean; identity?: string }>(opening)
    const { standby, identity } = [results].flat().at(-1)?.rows[0] ?? {}
    if (standby !== false || identity === undefined)
      throw new StandbyError('the database is a standby: decisions are made of what the primary says')
    return identity
  } catch (error) {
    throw unavailable(error) // the caller's values do not matter here, whatever the SQLSTATE is
  }
}

/** Replaces each `?` by `$n`. */
function numbered(statement: string): string {
  let count = 0
  return statement.replaceAll('?', () => `$${(count += 1)}`)
}

const queryOf = (statement: string, values: Values) => ({ text: numbered(statement), values: [...values] })

/** Returns whether the statement wrote rows. A write through a function counts as a read. */
const hasWritten = ({ command, rowCount }: pg.QueryResult) => command !== 'SELECT' && (rowCount ?? 0) > 0

/**
 * Returns the refusal in a database's error: of a statement, or of the database's state. Throws an error that
 * is neither.
 */
function refusalOf(error: unknown): unknown {
  const refusal = asDirectoryError(error)
  if (refusal.code === 'directory_unavailable') throw refusal
  return refusal
}

/** Runs one statement in a transaction of its own, in one round trip. */
async function askOnce(
  client: pg.PoolClient,
  opening: string,
  statement: string,
  values: Values,
): Promise<Ended<Answer>> {
  const { stream } = client.connection
  stream.cork()
  const opened = open(client, opening)
  const answer = client.query<pg.QueryResultRow>(queryOf(statement, values))
  const committed = client.query('commit')
  stream.uncork()
  // the connection must be idle before another caller gets it
  await Promise.allSettled([opened, answer, committed])
  const identity = await opened
  try {
    const result = await answer
    await committed
    return { identity, wrote: hasWritten(result), result: { rows: result.rows, count: result.rowCount ?? 0 } }
  } catch (error) {
    return { identity, wrote: false, refusal: refusalOf(error) }
  }
}

/** Runs `work` in one transaction, which is rolled back when it rejects. */
async function transact<Result>(
  client: pg.PoolClient,
  opening: string,
  work: (tx: Tx) => Promise<Result>,
): Promise<Ended<Result>> {
  const opened = open(client, opening)
  opened.catch(silent) // whichever comes first, the first statement or the end, reports it
  let isOpen = true
  let wrote = false
  const ask: Ask = async (statement, values) => {
    if (!isOpen) throw new Error('a statement came after the end of its transaction')
    const answering = client.query<pg.QueryResultRow>(queryOf(statement, values))
    // when the transaction could not begin, report that, and not that it was aborted
    answering.catch(silent)
    await opened
    const answer = await answering
    wrote ||= hasWritten(answer)
    return answer
  }
  try {
    const result = await work(sqlOf(ask) as Tx) // the brand is made here and nowhere else
    const identity = await opened
    isOpen = false
    const { command } = await client.query('commit')
    // Postgres answers `commit` with a rollback when a statement of the transaction had failed.
    if (command !== 'COMMIT')
      throw new Error('the transaction was rolled back: one of its statements had failed')
    return { identity, wrote, result }
  } catch (error) {
    isOpen = false
    await client.query('rollback').catch(silent) // a lost connection has nothing left to roll back
    return { refusal: refusalOf(error), identity: await opened, wrote: false }
  }
}

/** read_only_sql_transaction. A session that began while the database was read-only stays read-only. */
const readOnly = '25006'

/**
 * Returns whether a connection must not be used again. A late answer may come on one that did not answer. A
 * read-only one, or one to a standby, stays so.
 */
function isSpoilt(error: unknown): boolean {
  const reason = error instanceof GatewayError ? error.cause : error
  return (
    sqlState(reason) === readOnly ||
    reason instanceof StandbyError ||
    (reason instanceof Error && reason.message === 'Query read timeout')
  )
}

async function withClient<Result>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect()
  let isUnusable = false
  try {
    const result = await work(client)
    if (cancelledWaits.delete(client))
      throw unavailable(
        new Error(
          'the wait for the synchronous standby was cancelled: nobody knows whether the commit will last',
        ),
      )
    return result
  } catch (error) {
    isUnusable = isSpoilt(error)
    throw error
  } finally {
    client.release(isUnusable)
  }
}

/** What `ask` returns, or what a caller should hear of its failure. */
function sqlOf(ask: Ask): Sql {
  const asked: Ask = async (statement, values) => {
    try {
      return await ask(statement, values)
    } catch (error) {
      throw asDirectoryError(error)
    }
  }
  return {
    rows: async <Row>(statement: string, values: Values = []) =>
      (await asked(statement, values)).rows as Row[],
    run: async (statement, values = []) => (await asked(statement, values)).rowCount ?? 0,
  }
}
