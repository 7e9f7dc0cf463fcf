import pg from 'pg'
import { GatewayError } from '../errors.js'
import { markBoot } from './commit-connection.js'
import { cancelledWaits, watchConnections } from './connections.js'
import { asDirectoryError, sqlState, unavailable } from './directory-error.js'
import type { History } from './history.js'
import type { Ended, Pool } from './sql.js'
import { askOnce, openingOf, StandbyError, transact } from './transact.js'

/** How to connect to a database. */
export interface ConnectOptions {
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
export const requestTimeoutMs = 5000
/** How long to wait for a connection, new or in use. */
const connectTimeoutMs = 2500
const idleMs = 30_000

const silent = () => undefined

/**
 * Opens a pool of connections. It sets nothing for a session and names no statement, because a
 * transaction-mode pooler gives each transaction another session. Role and time limits are set within each
 * transaction.
 */
export function openPool(
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
