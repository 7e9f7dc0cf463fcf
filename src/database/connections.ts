import type pg from 'pg'

/**
 * Returns whether the notice says that the wait for the synchronous standby was cancelled. Postgres reports
 * such a commit as done.
 */
// the same in all languages
export const isCancelledWait = ({ routine }: { routine?: string | undefined }) =>
  routine === 'SyncRepWaitForLSN'

/** Connections that received such a notice since the last check. */
export const cancelledWaits = new WeakSet<pg.ClientBase>()

/** A pool's connections, by their histories. */
export interface WatchedConnections {
  note: (client: pg.PoolClient, identity: string) => void
  /** Breaks the connections to other histories, whatever runs on them. */
  closeOthers: (identity: string) => void
}

/** Watches the connections of a pool. */
export function watchConnections(pool: pg.Pool): WatchedConnections {
  const identities = new Map<pg.PoolClient, string>()
  pool.on('connect', (client) =>
    client.on('notice', (notice) => {
      if (isCancelledWait(notice)) cancelledWaits.add(client)
    }),
  )
  pool.on('remove', (client) => {
    identities.delete(client)
  })
  return {
    note: (client, identity) => {
      identities.set(client, identity)
    },
    closeOthers: (identity) => {
      for (const [client, of] of identities) if (of !== identity) client.connection.stream.destroy()
    },
  }
}
