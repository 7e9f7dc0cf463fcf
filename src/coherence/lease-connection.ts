import { markBoot } from '../database/commit-connection.js'
import { ownConnection, type OwnConnection } from '../database/own-connection.js'
import type { LeaseStatements, Renewal } from './lease.js'
import { leave, register, renew } from './lease-queries.js'

/** The channel on which a writer tells nodes to renew now. A hint: nothing depends on its arrival. */
export const hintChannel = 'coherence'

/** A connection of the lease's own: an exhausted pool must not lose leases. */
export interface LeaseConnection extends LeaseStatements, Pick<OwnConnection, 'closeOthers'> {
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

/**
 * Connects when it is first needed, and anew after each failure. Nothing here waits longer than its deadline.
 */
export function leaseConnection({ url, setRole, deadlineMs, node, onHint }: Options): LeaseConnection {
  const { ask, closeOthers, close } = ownConnection({
    url,
    name: 'mandate-gateway lease',
    deadlineMs,
    prepare: async (client) => {
      client.on('notification', onHint)
      // Acknowledgements are durable before they are believed, whatever the server's default is.
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
    // Where this fails a writer fences the row, or the sweep of another node takes it away.
    close: (nodeId) => close(nodeId === undefined ? undefined : { text: leave, values: [nodeId] }),
  }
}
