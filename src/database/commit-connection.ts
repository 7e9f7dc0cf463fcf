import { ownConnection, type OwnConnection } from './own-connection.js'

/** Marks this boot of the server, once. */
export const markBoot = 'insert into coherence.boot default values on conflict do nothing'

/**
 * Commits something that has no effect, and returns which history has done so. The commit is durable: it has
 * waited for the synchronous standby, if there is one. It is written to the log of the server only, so that
 * it needs no row, lock or right.
 */
export const commitNothing = `
select coherence.identity() as identity,
       set_config('synchronous_commit', 'on', true),
       pg_logical_emit_message(true, 'mandate-gateway', '')`

/** Commits on a connection of its own. */
export interface CommitConnection extends Pick<OwnConnection, 'closeOthers'> {
  /** Returns the identity of the history. Rejects when nothing could be committed in time. */
  commit: () => Promise<string>
  close: () => Promise<void>
}

export function commitConnection({ url, deadlineMs }: { url: string; deadlineMs: number }): CommitConnection {
  const connection = ownConnection({
    url,
    name: 'mandate-gateway commits',
    deadlineMs,
    prepare: async (client) => {
      // a database that is read-only is not marked, and all its connections see that alike
      await client.query(markBoot).catch(() => undefined)
    },
  })
  return {
    commit: async () => (await connection.ask<{ identity: string }>({ text: commitNothing })).identity,
    closeOthers: connection.closeOthers,
    close: () => connection.close(),
  }
}
