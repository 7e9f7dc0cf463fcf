import pg from 'pg'
import { isCancelledWait } from './connections.js'

/**
 * A connection beside the pool. It works when the pool is exhausted, and no statement on it takes longer than
 * its deadline.
 */
export interface OwnConnection {
  /**
   * Runs a statement that returns one row. Rejects when no answer came in time; the statement may still
   * execute.
   */
  ask: <Row extends Identified>(statement: pg.QueryConfig) => Promise<Row>
  /** Breaks the connection if it leads to another history. */
  closeOthers: (identity: string) => void
  /** Runs a last statement, if connected, and closes. */
  close: (lastWords?: pg.QueryConfig) => Promise<void>
}

/** A row with the identity of the history that returned it. */
interface Identified extends pg.QueryResultRow {
  identity: string
}

interface Opened {
  client: pg.Client
  /** The history that answered on it. */
  identity?: string
  isWaitCancelled?: boolean
}

interface Options {
  url: string
  name: string
  /** Time limit of a statement. After it the connection is dropped. */
  deadlineMs: number
  /** Prepares a new connection, in three times the deadline at most. */
  prepare?: (client: pg.Client) => Promise<void>
}

/** Resolves as `work` does, if in time. Rejects otherwise; `work` itself may go on. */
async function within<Result>(ms: number, work: Promise<Result>): Promise<Result> {
  let late: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    late = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, deadline])
  } finally {
    clearTimeout(late)
  }
}

/** Ends a connection whose peer may never answer: a polite close could wait for ever. */
function discard(client: pg.Client): void {
  client.on('error', () => undefined)
  client.connection.stream.destroy()
}

/** Connects at the first use, and again after each failure. */
export function ownConnection({
  url,
  name,
  deadlineMs,
  prepare = () => Promise.resolve(),
}: Options): OwnConnection {
  let current: Opened | undefined
  let isClosed = false

  const open = async (): Promise<Opened> => {
    if (current) return current
    const client = new pg.Client({ connectionString: url, application_name: name, keepAlive: true })
    const opened: Opened = { client }
    const forget = () => {
      if (current === opened) current = undefined
    }
    client.on('error', forget) // an idle connection broke: the next statement opens another
    client.on('end', forget)
    client.on('notice', (notice) => {
      opened.isWaitCancelled ||= isCancelledWait(notice)
    })
    try {
      await within(
        3 * deadlineMs,
        client.connect().then(() => prepare(client)),
      )
      if (isClosed) throw new Error('the connection was closed meanwhile')
    } catch (error) {
      discard(client)
      throw error
    }
    current = opened
    return opened
  }

  return {
    ask: async <Row extends Identified>(statement: pg.QueryConfig) => {
      const opened = await open()
      try {
        const {
          rows: [row],
        } = await within(deadlineMs, opened.client.query<Row>(statement))
        if (opened.isWaitCancelled)
          throw new Error(
            'the wait for the synchronous standby was cancelled: nobody knows whether the commit will last',
          )
        if (!row) throw new Error('a statement answered no row')
        opened.identity = row.identity
        return row
      } catch (error) {
        // After the deadline the connection is dropped for good, so that no late answer is taken for
        // another's.
        if (current === opened) current = undefined
        discard(opened.client)
        throw error
      }
    },
    closeOthers: (identity) => {
      const opened = current
      if (opened?.identity === undefined || opened.identity === identity) return
      current = undefined
      discard(opened.client)
    },
    close: async (lastWords) => {
      isClosed = true
      const opened = current
      if (!opened) return
      if (lastWords) await within(deadlineMs, opened.client.query(lastWords)).catch(() => undefined)
      discard(opened.client)
    },
  }
}
