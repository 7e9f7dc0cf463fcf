import type { confirmReads } from '../../../src/database/confirmed.js'
import type { History } from '../../../src/database/history.js'
import { nodesWithAcknowledgements, prune } from '../../../src/coherence/lease-queries.js'
import type { Database, Pool, Tx, Values } from '../../../src/database/connect.js'
import type { Ended, StatementResult } from '../../../src/database/sql.js'
import type { Link, Socket } from './link.js'
import type { Host, Network } from './network.js'
import type { SimulatedPostgres, Statement, Transaction } from './postgres.js'
import type { Timeline } from './timeline.js'

/**
 * What tests write with, in an open transaction. The first value names the write, the others are keys that
 * change.
 */
export const changeKeys = 'test: change keys'
/** Looks at keys in the open transaction, as the repetition of a change does that finds it made. */
export const lookAtKeys = 'test: look at keys'
/** The version of each key. */
export const loadVersions = 'test: load versions'

/** Where the open transactions of a host are ended when it dies. */
export interface Connections {
  database: Database
  breakAll: () => void
}

interface Parts {
  host: Host
  network: Network
  pool: readonly Socket[]
  commits: Socket
  timeline: Timeline
  timeoutMs: number
  /** Told which version of a key a write has made, or has found. */
  onVersion: (write: string, key: string, version: number) => void
  onHint: () => void
  history: History
  confirmReads: typeof confirmReads
}

const own = {
  insertChange:
    `insert into coherence.changes (key) values ('') ` +
    'returning xid::text as xid, coherence.identity() as identity',
  takeXid: `select pg_current_xact_id()::text as xid, coherence.identity() as identity`, // a mutant's
  listSeqs: 'select id, seq::text as seq, lease_ms as "leaseMs" from coherence.nodes',
  deleteSilent: 'delete from coherence.nodes where id = ? and seq = ?',
  fence: 'delete from coherence.nodes where id = ? and not pg_visible_in_snapshot(?::xid8, acked)',
  hint: `select pg_notify('coherence', '')`,
}

const unheardOf = (statement: string) =>
  new Error(`the simulated Postgres does not know this statement: ${statement}`)

const versionsOf = (server: SimulatedPostgres, keys: readonly string[]) =>
  keys.map((key) => ({ version: server.versions.get(key) ?? 0 }))

/**
 * The gateway's `Database` over simulated servers. It knows the gateway's statements by their text: another
 * text is a failure.
 */
export function connectSimulated({
  host,
  network,
  pool: sockets,
  commits,
  timeline,
  timeoutMs,
  onVersion,
  onHint,
  history,
  confirmReads: confirm,
}: Parts): Connections {
  const open = new Map<Transaction, SimulatedPostgres>()
  let turn = 0

  const acquire = (): Link => {
    turn += 1
    return sockets[turn % sockets.length]!.open()
  }

  const once = async (statement: string, values: Values = []): Promise<Ended<StatementResult>> => {
    const link = acquire()
    const { server } = link
    const look = {
      [nodesWithAcknowledgements]: () => server.listNodes(),
      [loadVersions]: () => versionsOf(server, values.map(String)),
      [own.listSeqs]: () => server.listSeqs(),
      [own.hint]: () => {
        onHint()
        return []
      },
    }[statement]
    if (!look) {
      const { identity } = server
      const count = await network.execute(host, 'other', link, writing(server, statement, values), timeoutMs)
      return { identity, wrote: count > 0, result: { rows: [], count } }
    }
    const kind = statement === loadVersions ? 'load' : statement === own.hint ? 'other' : 'list'
    return await network.ask(
      host,
      kind,
      link,
      () => {
        const rows = look()
        return { identity: server.identity, wrote: false, result: { rows, count: rows.length } }
      },
      timeoutMs,
    )
  }

  const writing = (server: SimulatedPostgres, statement: string, values: Values): Statement<number> => {
    const [id, second] = values.map(String)
    if (statement === own.fence) return server.fence(id!, Number(second))
    if (statement === own.deleteSilent) return server.deleteSilent(id!, Number(second))
    if (statement === prune) return server.prune()
    throw unheardOf(statement)
  }

  const inTransaction = (
    server: SimulatedPostgres,
    tx: Transaction,
    statement: string,
    values: readonly string[],
  ): object[] => {
    const [write = '', ...keys] = values
    if (statement === lookAtKeys) for (const key of keys) onVersion(write, key, server.versions.get(key) ?? 0)
    else if (statement === changeKeys) {
      server.assignXid(tx)
      tx.changes.push(...keys)
      tx.onCommit.push(() => {
        for (const key of keys) {
          const version = (server.versions.get(key) ?? 0) + 1
          server.versions.set(key, version)
          onVersion(write, key, version)
        }
      })
    } else if (statement === own.insertChange || statement === own.takeXid) {
      if (statement === own.insertChange) tx.changes.push('')
      return [{ xid: `${server.assignXid(tx)}`, identity: server.identity }]
    } else if (statement === loadVersions) return versionsOf(server, values)
    else throw unheardOf(statement)
    return []
  }

  const transact = async <Result>(work: (tx: Tx) => Promise<Result>): Promise<Ended<Result>> => {
    const link = acquire()
    const { server } = link
    const { identity } = server
    const tx = server.begin()
    open.set(tx, server)
    const end = () => {
      if (open.delete(tx)) server.end(tx)
    }
    const ask = (statement: string, values: Values = []) =>
      network.ask(
        host,
        'write',
        link,
        () => {
          if (!server.isUnderWay(tx)) throw new Error('the connection is broken')
          return open.has(tx) ? inTransaction(server, tx, statement, values.map(String)) : []
        },
        timeoutMs,
      )
    const sql = {
      rows: async <Row>(statement: string, values?: Values) => (await ask(statement, values)) as Row[],
      run: async (statement: string, values?: Values) => (await ask(statement, values)).length,
    }
    let result: Result
    try {
      result = await work(sql as Tx)
    } catch (error) {
      end()
      throw error
    }
    // A commit that does not arrive is a connection that breaks.
    timeline.at(timeline.now + 2 * timeoutMs, () => {
      end()
      return undefined
    })
    const commit = () => {
      if (open.delete(tx)) server.commit(tx)
    }
    if (tx.xid === undefined) await network.ask(host, 'commit', link, commit, timeoutMs)
    else
      await network.execute(
        host,
        'commit',
        link,
        {
          read: () => {
            if (!server.isUnderWay(tx)) throw new Error('the connection is broken')
            return commit
          },
        },
        timeoutMs,
      )
    return { identity, wrote: tx.xid !== undefined, result }
  }

  const pool: Pool = {
    once,
    transact,
    connections: () => ({ used: 0, free: 0, pending: 0 }),
    close: () => Promise.resolve(),
  }
  const answerOf = async (statement: string, values?: Values) => {
    const ended = await once(statement, values)
    if ('refusal' in ended) throw ended.refusal
    return ended.result
  }
  const unconfirmed = {
    once,
    rows: async <Row>(statement: string, values?: Values) =>
      (await answerOf(statement, values)).rows as Row[],
    run: async (statement: string, values?: Values) => (await answerOf(statement, values)).count,
  }
  const commit = () => {
    const link = commits.open()
    return network.execute(host, 'confirm', link, { read: () => () => link.server.identity }, timeoutMs)
  }
  return {
    database: { ...pool, ...confirm({ pool, history, commit }), unconfirmed, history },
    breakAll: () => {
      for (const [tx, server] of open) server.end(tx)
      open.clear()
    },
  }
}
