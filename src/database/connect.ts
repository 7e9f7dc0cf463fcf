import { commitConnection } from './commit-connection.js'
import { confirmReads, type Confirmed } from './confirmed.js'
import { createHistory, type History } from './history.js'
import { openPool, requestTimeoutMs, type ConnectOptions } from './pool.js'
import type { Pool, Sql, Values } from './sql.js'

export type { Pool, Sql, Tx, Values } from './sql.js'

/**
 * The database that decisions are made of. Its reads count, or reject with `directory_unavailable`. See
 * docs/coherence.md, "Two primaries".
 */
export interface Database extends Confirmed, Pick<Pool, 'connections' | 'close'> {
  /** Unconfirmed access, for the statements that keep coherence. No decision may be based on it. */
  unconfirmed: Sql & Pick<Pool, 'once'>
  history: History
}

/**
 * A read may wait for the running commit and then for its own. Together they may take as long as a statement.
 */
const commitTimeoutMs = requestTimeoutMs / 2

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
