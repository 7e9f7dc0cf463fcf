import pg from 'pg'
import type { LeaseStatements, Renewal } from './lease.js'
import { leave, markBoot, register, renew } from './lease-queries.js'

/** The channel on which a writer tells nodes to renew now. A hint: nothing depends on its arrival. */
export const hintChannel = 'coherence'

/** A connection of the lease's own: an exhausted pool must not lose leases. */
export interface LeaseConnection extends LeaseStatements {
  /** Takes the row away and closes. */
  close: (nodeId: string | undefined) => Promise<void>
}

interface Options {
  url: string
  /** True when the login is the owner's: the connection then becomes `gateway_app`. */
  setRole: boolean
  /** No answer in this time: the statement is given up with its connection. It may still execute. */
  deadlineMs: number
  node: () => { address: string; processId: number }
  onHint: () => void
}

/** What the work answers, if it does so in time. Rejects otherwise; the work itself may still go on. */
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

/** Ends a connection whose peer may never answer: politely waiting for it could take for ever. */
function discard(client: pg.Client): void {
  client.on('error', () => undefined)
  client.connection.stream.destroy()
}

/** Connects when it is first needed, and anew after each failure. Nothing here waits longer than its deadline. */
export function leaseConnection({ url, setRole, deadlineMs, node, onHint }: Options): LeaseConnection {
  let current: pg.Client | undefined

  const prepare = async (client: pg.Client) => {
    await client.connect()
    // Acknowledgements are durable before they are believed, whatever the server's default is.
    await client.query(`set synchronous_commit = on; ${setRole ? 'set role gateway_app;' : ''} listen ${hintChannel}`)
    await client.query(markBoot)
  }

  const open = async (): Promise<pg.Client> => {
    if (current) return current
    const client = new pg.Client({ connectionString: url, application_name: 'mandate-gateway lease', keepAlive: true })
    const forget = () => { if (current === client) current = undefined }
    client.on('error', forget) // an idle connection broke; the next statement opens another
    client.on('end', forget)
    client.on('notification', onHint)
    const prepared = prepare(client)
    try {
      await within(3 * deadlineMs, prepared)
    } catch (error) {
      discard(client)
      throw error
    }
    current = client
    return client
  }

  /** Runs a statement within the deadline; past it the connection is gone for good, so that no late answer is taken for another's. */
  const ask = async <Row extends pg.QueryResultRow>(name: string, text: string, values: unknown[]): Promise<Row> => {
    const client = await open()
    const answer = client.query<Row>({ name, text, values })
    try {
      const { rows: [row] } = await within(deadlineMs, answer)
      if (!row) throw new Error('a statement of the lease answered no row')
      return row
    } catch (error) {
      if (current === client) current = undefined
      discard(client)
      throw error
    }
  }

  return {
    register: (id, leaseMs) => ask<{ seen: string; identity: string }>('register', register, [id, leaseMs, node().address, node().processId]),
    renew: (id, applied, seq) => ask<Renewal & pg.QueryResultRow>('renew', renew, [id, applied, seq]),
    close: async (nodeId) => {
      const client = current
      if (!client) return
      // Where this fails a writer fences the row, or the sweep of another node takes it away.
      if (nodeId !== undefined) await within(deadlineMs, client.query(leave, [nodeId])).catch(() => undefined)
      discard(client)
    },
  }
}
