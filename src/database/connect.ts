import knex, { type Knex } from 'knex'
import { GatewayError } from '../errors.js'

/** A statement's values; a knex `?` stands for each in order. */
export type Values = readonly (string | number | boolean | Date | null | string[])[]

/**
 * What runs SQL: the pool, or one transaction of it. Rejects with a GatewayError: `conflict` for a row that exists or
 * is referred to, `validation_failed` for a value that cannot be stored, else `directory_unavailable`. The database's
 * own words stay in its `cause`.
 */
export interface Sql {
  /** Runs a statement and answers its rows. */
  rows: <Row>(statement: string, values?: Values) => Promise<Row[]>
  /** Runs a statement and answers how many rows it touched. */
  run: (statement: string, values?: Values) => Promise<number>
}

declare const transactionBrand: unique symbol

/** One transaction: what runs in it is of one piece. Only `Database.transaction` makes one. */
export type Tx = Sql & { readonly [transactionBrand]: true }

/** The pool of connections that requests use. */
export interface Database extends Sql {
  transaction: <Result>(work: (tx: Tx) => Promise<Result>) => Promise<Result>
  /** Connections that are used, free, and waited for. */
  connections: () => Connections
  close: () => Promise<void>
}

export interface Connections {
  used: number
  free: number
  pending: number
}

interface ConnectOptions {
  url: string
  /** True when the login is the owner's: each connection then becomes `gateway_app` before its first statement. */
  setRole: boolean
  poolSize?: number
  /** How long a statement may take; by default what a request can wait. */
  timeoutMs?: number
}

/** Longer than any statement of a request takes; shorter than a caller's patience. */
const requestTimeoutMs = 5000
const connectTimeoutMs = 2000

const silent = () => undefined

/** Connects lazily: the first statement opens the first connection. */
export function connectDatabase({ url, setRole, poolSize = 10, timeoutMs = requestTimeoutMs }: ConnectOptions): Database {
  const pool = knex({
    client: 'pg',
    connection: {
      connectionString: url,
      application_name: 'mandate-gateway',
      connectionTimeoutMillis: connectTimeoutMs,
      statement_timeout: timeoutMs,
      query_timeout: timeoutMs,
      idle_in_transaction_session_timeout: 2 * timeoutMs,
      keepAlive: true,
    },
    // What fails is told by the error; knex would print it to the console besides.
    log: { warn: silent, error: silent, deprecate: silent, debug: silent },
    acquireConnectionTimeout: connectTimeoutMs + 500,
    pool: {
      min: 0,
      max: poolSize,
      afterCreate: (connection: RawConnection, done: (error: unknown, connection: RawConnection) => void) => {
        prepareConnection(connection, setRole).then(() => done(null, connection), (error: unknown) => done(error, connection))
      },
    },
  })
  forgetUnusable(pool)
  return {
    ...sqlOf(pool),
    transaction: (work) => answering(pool.transaction((trx) => work(sqlOf(trx) as Tx))), // the brand is made here and nowhere else
    connections: () => connectionsOf(pool),
    close: () => pool.destroy(),
  }
}

function connectionsOf(pool: Knex): Connections {
  const { pool: counted } = pool.client as { pool: { numUsed: () => number; numFree: () => number; numPendingAcquires: () => number } }
  return { used: counted.numUsed(), free: counted.numFree(), pending: counted.numPendingAcquires() }
}

/** read_only_sql_transaction: a session that began while the database was read-only stays so when the database is not any more. */
const readOnly = '25006'

/**
 * A connection on which a statement got no answer may never give one again (its peer is gone without a word), and one that may not write will
 * not: they must not be handed out once more. knex knows of connections that broke, and not of those.
 */
function forgetUnusable(pool: Knex): void {
  const unusable = new Set<unknown>()
  const client = pool.client as { validateConnection: (connection: { __knexUid?: string }) => boolean }
  const isValid = client.validateConnection.bind(client)
  client.validateConnection = (connection) => !unusable.delete(connection.__knexUid) && isValid(connection)
  pool.on('query-error', (error: Error, { __knexUid }: { __knexUid?: string }) => {
    if (error.message.endsWith('Query read timeout') || sqlState(error) === readOnly) unusable.add(__knexUid)
  })
}

interface RawConnection {
  query: (statement: string) => Promise<{ rows: { standby: boolean }[] }>
}

/** A standby is behind: it may not know yet of what has been revoked. It cannot become one while a connection lives, so that one look is enough. */
async function prepareConnection(connection: RawConnection, setRole: boolean): Promise<void> {
  const { rows: [row] } = await connection.query('select pg_catalog.pg_is_in_recovery() as standby')
  if (row?.standby !== false) throw new Error('the database is a standby: decisions are made of what the primary says')
  if (setRole) await connection.query('set role gateway_app')
}

function sqlOf(runner: Knex): Sql {
  return {
    rows: async <Row>(statement: string, values: Values = []) => (await answering(runner.raw<{ rows: Row[] }>(statement, values))).rows,
    run: async (statement, values = []) => (await answering(runner.raw<{ rowCount: number | null }>(statement, values))).rowCount ?? 0,
  }
}

/** What the database answers, or what a caller should hear of its failure. */
async function answering<Result>(work: PromiseLike<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    throw asDirectoryError(error)
  }
}

const sqlState = (error: unknown) =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined

/** Every failure but a refusal of the values themselves is one to come again later with: 503, never 401 and never 500. */
function asDirectoryError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  const state = sqlState(error)
  if (state === '23505' || state === '23503') return new GatewayError('conflict', 'This contradicts what is already stored', { cause: error })
  if (state?.startsWith('22')) {
    return new GatewayError('validation_failed', 'A value cannot be stored as it is', { cause: error, errors: [{ path: '', message: 'holds something that cannot be stored' }] })
  }
  return new GatewayError('directory_unavailable', 'The directory is temporarily unavailable. Try again shortly.', { cause: error })
}
