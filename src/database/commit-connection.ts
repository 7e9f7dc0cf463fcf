import { ownConnection, type OwnConnection } from './own-connection.js'

/** Marks this boot of the server, once. */
export const markBoot = 'insert into coherence.boot default values on conflict do nothing'

/**
 * Commits a transaction without effect, and returns which history committed it. The commit is durable: it has
 * waited for the synchronous standby, if there is one. It writes to the server's log only, so it needs no
 * row, lock or privilege.
 */
export const commitNothing = `
select coherence.identity() as identity,
       set_config('synchronous_commit', 'on', true),
       pg_logical_emit_message(true, 'mandate-gateway', '')`

/** Commits on its own connection. */
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
      // A read-only database is not marked. All its connections see it alike.
      await client.query(markBoot).catch(() => undefined)
    },
  })
  return {
    commit: async () => (await connection.ask<{ identity: string }>({ text: commitNothing })).identity,
    closeOthers: connection.closeOthers,
    close: () => connection.close(),
  }
}
