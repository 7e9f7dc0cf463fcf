import { listNodes, prune } from '../../../src/coherence/lease-queries.js'
import type { Database, Tx, Values } from '../../../src/database/connect.js'
import type { Host, Network } from './network.js'
import type { SimulatedPostgres, Statement, Transaction } from './postgres.js'
import type { Timeline } from './timeline.js'

/** What tests write with, in an open transaction. The first value names the write, the others are keys that change. */
export const changeKeys = 'test: change keys'
/** Looks at keys in the open transaction, as the repetition of a change does that finds it made. */
export const lookAtKeys = 'test: look at keys'

/** Where the open transactions of a host are ended when it dies. */
export interface Connections {
  database: Database
  breakAll: () => void
}

interface Parts {
  host: Host
  network: Network
  postgres: SimulatedPostgres
  timeline: Timeline
  timeoutMs: number
  /** Told which version of a key a write has made, or has found. */
  onVersion: (write: string, key: string, version: number) => void
  onHint: () => void
}

const own = {
  insertChange: `insert into coherence.changes (key) values ('') returning xid::text as xid, coherence.identity() as identity`,
  takeXid: 'select pg_current_xact_id()::text as xid, coherence.identity() as identity', // a mutant's
  listSeqs: 'select id, seq::text as seq, lease_ms as "leaseMs" from coherence.nodes',
  deleteSilent: 'delete from coherence.nodes where id = ? and seq = ?',
  fence: 'delete from coherence.nodes where id = ? and not pg_visible_in_snapshot(?::xid8, acked)',
  hint: `select pg_notify('coherence', '')`,
}

const unheardOf = (statement: string) => new Error(`the simulated Postgres does not know this statement: ${statement}`)

/** The gateway's `Database` over the simulated Postgres. It knows the gateway's statements by their text: another text is a failure. */
export function connectSimulated({ host, network, postgres, timeline, timeoutMs, onVersion, onHint }: Parts): Connections {
  const open = new Set<Transaction>()

  const rows = <Row>(statement: string): Promise<Row[]> => {
    const look = { [listNodes]: () => postgres.listNodes(), [own.listSeqs]: () => postgres.listSeqs() }[statement]
    if (look) return network.ask(host, 'list', look as () => Row[], timeoutMs)
    if (statement !== own.hint) throw unheardOf(statement)
    return network.ask(host, 'other', () => {
      onHint()
      return []
    }, timeoutMs)
  }

  const writing = (statement: string, values: Values): Statement<number> => {
    const [id, second] = values.map(String)
    if (statement === own.fence) return postgres.fence(id!, Number(second))
    if (statement === own.deleteSilent) return postgres.deleteSilent(id!, Number(second))
    if (statement === prune) return postgres.prune()
    throw unheardOf(statement)
  }

  const inTransaction = (tx: Transaction, statement: string, [write = '', ...keys]: readonly string[]): { xid: string; identity: string }[] => {
    if (statement === lookAtKeys) for (const key of keys) onVersion(write, key, postgres.versions.get(key) ?? 0)
    else if (statement === changeKeys) {
      postgres.assignXid(tx)
      tx.changes.push(...keys)
      tx.onCommit.push(() => {
        for (const key of keys) {
          const version = (postgres.versions.get(key) ?? 0) + 1
          postgres.versions.set(key, version)
          onVersion(write, key, version)
        }
      })
    } else if (statement === own.insertChange || statement === own.takeXid) {
      if (statement === own.insertChange) tx.changes.push('')
      return [{ xid: `${postgres.assignXid(tx)}`, identity: postgres.identity }]
    } else throw unheardOf(statement)
    return []
  }

  const transaction = async <Result>(work: (tx: Tx) => Promise<Result>): Promise<Result> => {
    const tx = postgres.begin()
    open.add(tx)
    const end = () => {
      if (open.delete(tx)) postgres.end(tx)
    }
    const ask = (statement: string, values: Values = []) =>
      network.ask(host, 'write', () => {
        if (!postgres.isUnderWay(tx)) throw new Error('the connection is broken')
        return open.has(tx) ? inTransaction(tx, statement, values.map(String)) : []
      }, timeoutMs)
    const sql = {
      rows: async <Row>(statement: string, values?: Values) => await ask(statement, values) as Row[],
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
    timeline.at(timeline.now + 2 * timeoutMs, () => { end(); return undefined })
    await network.execute(host, 'commit', { read: () => {
      if (!postgres.isUnderWay(tx)) throw new Error('the connection is broken')
      return () => { if (open.delete(tx)) postgres.commit(tx) }
    } }, timeoutMs)
    return result
  }

  return {
    database: {
      rows,
      run: (statement, values = []) => network.execute(host, 'other', writing(statement, values), timeoutMs),
      transaction,
      connections: () => ({ used: 0, free: 0, pending: 0 }),
      close: () => Promise.resolve(),
    },
    breakAll: () => {
      for (const tx of open) postgres.end(tx)
      open.clear()
    },
  }
}
