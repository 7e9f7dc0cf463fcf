import { markBoot } from '../database/commit-connection.js'
import { ownConnection, type OwnConnection } from '../database/own-connection.js'
import type { LeaseStatements, Renewal } from './lease.js'
import { leave, register, renew } from './lease-queries.js'

/** The channel on which a writer asks nodes to renew now. It is a hint: nothing depends on its arrival. */
export const hintChannel = 'coherence'

/** The lease's own connection: an exhausted pool must not lose leases. */
export interface LeaseConnection extends LeaseStatements, Pick<OwnConnection, 'closeOthers'> {
  /** Deletes the node's row and closes the connection. */
  close: (nodeId: string | undefined) => Promise<void>
}

interface Options {
  url: string
  /** True when the login is the owner's. The connection then becomes `gateway_app`. */
  setRole: boolean
  /** Time limit of a statement. After it the connection is dropped; the statement may still execute. */
  deadlineMs: number
  node: () => { address: string; processId: number }
  onHint: () => void
}

/** Connects at the first use, and again after each failure. No call takes longer than its deadline. */
export function leaseConnection({ url, setRole, deadlineMs, node, onHint }: Options): LeaseConnection {
  const { ask, closeOthers, close } = ownConnection({
    url,
    name: 'mandate-gateway lease',
    deadlineMs,
    prepare: async (client) => {
      client.on('notification', onHint)
      // Acknowledgements must be durable, whatever the server's default is.
      await client.query(
        `set synchronous_commit = on; ${setRole ? 'set role gateway_app;' : ''} listen ${hintChannel}`,
      )
      await client.query(markBoot)
    },
  })
  return {
    register: (id, leaseMs) =>
      ask<{ seen: string; identity: string }>({
        name: 'register',
        text: register,
        values: [id, leaseMs, node().address, node().processId],
      }),
    renew: (id, applied, seq) =>
      ask<Renewal & { identity: string }>({ name: 'renew', text: renew, values: [id, applied, seq] }),
    closeOthers,
    // If this fails, a writer fences the row, or another node's sweep deletes it.
    close: (nodeId) => close(nodeId === undefined ? undefined : { text: leave, values: [nodeId] }),
  }
}
