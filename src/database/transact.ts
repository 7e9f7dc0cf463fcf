import type pg from 'pg'
import { asDirectoryError, unavailable } from './directory-error.js'
import type { Ended, Sql, StatementResult, Tx, Values } from './sql.js'

type Opened = pg.QueryResult<{ standby?: boolean; identity?: string }>
type Ask = (statement: string, values: Values) => Promise<pg.QueryResult<pg.QueryResultRow>>

const silent = () => undefined

/**
 * Returns the statements that begin each transaction. `set_config(…, true)` ends with the transaction, as
 * `set local` does.
 */
export function openingOf(setRole: boolean, timeoutMs: number): string {
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
export class StandbyError extends Error {}

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
export async function askOnce(
  client: pg.PoolClient,
  opening: string,
  statement: string,
  values: Values,
): Promise<Ended<StatementResult>> {
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
export async function transact<Result>(
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
