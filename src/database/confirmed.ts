import type { Ended, Pool, Sql, Tx, Values } from './sql.js'
import { unbelieved, type History } from './history.js'

/** A node's lease, as reads rely on it. */
export interface Reliance {
  /** Whether it is held now. */
  holds: () => boolean
  /** Returns the history that granted it. */
  identity: () => string | undefined
}

/** Confirmed reads, and writes: decisions are made of these. */
export interface Confirmed extends Sql {
  transaction: <Result>(work: (tx: Tx) => Promise<Result>) => Promise<Result>
  /**
   * Runs a transaction that changes what decisions depend on. Its refusal counts only after a commit that
   * began later, even under a lease.
   */
  change: <Result>(work: (tx: Tx) => Promise<Result>) => Promise<Result>
  /** From now on, reads of the lease's history count as long as the lease is held. */
  relyOn: (lease: Reliance) => void
}

interface Dependencies {
  pool: Pick<Pool, 'once' | 'transact'>
  history: History
  /** Commits something durably, and returns the identity of the history in which it did. */
  commit: () => Promise<string>
}

/** A commit that began after a read. When it succeeds, no other history had begun before the read. */
type Ticket = Promise<string>

/** Shares commits: one commit serves all callers until it is sent. Later callers get the next one. */
export function shareCommits(commit: () => Promise<string>): () => Ticket {
  let running: Promise<void> | undefined
  let next: Ticket | undefined
  const send = () => {
    const sent = commit()
    const ended = sent
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => {
        if (running === ended) running = undefined
      })
    running = ended
    return sent
  }
  return () => {
    const ticket =
      running === undefined
        ? send()
        : (next ??= running.then(() => {
            next = undefined
            return send()
          }))
    ticket.catch(() => undefined) // a read that failed by itself needs no commit
    return ticket
  }
}

/**
 * Creates the one way to read what decisions are made of. A read counts under a lease of the history that it
 * was read from. Otherwise it counts only after a durable commit on that history which began after the read.
 * A transaction that writes is such a commit itself. A refusal is a statement about what was read, so the
 * same rule holds for it. Rejects with `directory_unavailable` when a read does not count.
 */
export function confirmReads({ pool, history, commit }: Dependencies): Confirmed {
  let lease: Reliance = { holds: () => false, identity: () => undefined }
  const nextCommit = shareCommits(commit)

  const confirm = async (identity: string, ticket: Ticket): Promise<void> => {
    const confirmed = await ticket.catch((cause: unknown) => {
      throw unbelieved('nothing can be committed', cause)
    })
    history.see(confirmed)
    if (confirmed !== identity)
      throw unbelieved(`it was read from ${identity}, and ${confirmed} has committed since`)
  }

  const believe = async (identity: string, ticket: Ticket | undefined): Promise<void> => {
    history.see(identity)
    if (lease.holds() && lease.identity() === identity) return
    await confirm(identity, ticket ?? nextCommit())
  }

  const counting = async <Result>(begin: () => Promise<Ended<Result>>): Promise<Result> => {
    const ticket = lease.holds() ? undefined : nextCommit()
    const ended = await begin()
    if (ended.wrote) history.see(ended.identity)
    else await believe(ended.identity, ticket)
    if ('refusal' in ended) throw ended.refusal
    return ended.result
  }

  return {
    rows: async <Row>(statement: string, values?: Values) =>
      (await counting(() => pool.once(statement, values))).rows as Row[],
    run: async (statement, values) => (await counting(() => pool.once(statement, values))).count,
    transaction: (work) => counting(() => pool.transact(work)),
    change: async (work) => {
      const ended = await pool.transact(work)
      history.see(ended.identity)
      // A missing row may be a removal whose wait for the standby was cancelled. If a later commit is
      // durable, so is that removal.
      if ('refusal' in ended || !ended.wrote) await confirm(ended.identity, nextCommit())
      if ('refusal' in ended) throw ended.refusal
      return ended.result
    },
    relyOn: (granted) => {
      lease = granted
    },
  }
}
