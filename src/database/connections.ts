import type pg from 'pg'

/**
 * Whether the notice says that the wait for the synchronous standby was cancelled. Postgres reports the
 * commit as done all the same.
 */
// the same in all languages
export const isCancelledWait = ({ routine }: { routine?: string | undefined }) =>
  routine === 'SyncRepWaitForLSN'

/** Connections that have heard so since somebody asked. */
export const cancelledWaits = new WeakSet<pg.ClientBase>()

/** A pool's connections, by the history that each leads to. */
export interface WatchedConnections {
  note: (client: pg.PoolClient, identity: string) => void
  /** Breaks those that lead to another history, whatever is under way on them. */
  closeOthers: (identity: string) => void
}

/** Notes what becomes of a pool's connections. */
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
