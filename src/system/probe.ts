import type { Sql } from '../database/connect.js'
import { asRequestsDo } from '../database/diagnose.js'

interface Options {
  sql: Pick<Sql, 'rows'>
  /** How long a success counts, in milliseconds. */
  freshMs: number
  now: () => number
}

/** Failed looks are repeated at most this often, whoever asks and however often. */
const retryMs = 1000

/**
 * Returns a check that resolves when the database has answered, by the way that requests take, within
 * `freshMs`. All who ask share one look; while the last success is fresh, nobody waits for it. Rejects with
 * what the last look said.
 */
export function createProbe({ sql, freshMs, now }: Options): () => Promise<void> {
  let succeededAt = Number.NEGATIVE_INFINITY
  let askedAt = Number.NEGATIVE_INFINITY
  let last: Promise<void> = Promise.resolve()
  let isRunning = false

  const look = async () => {
    try {
      await sql.rows(asRequestsDo)
      succeededAt = now()
    } finally {
      isRunning = false
    }
  }
  const ask = () => {
    const isDue = now() - askedAt >= Math.min(retryMs, freshMs)
    if (isRunning || !isDue) return last
    isRunning = true
    askedAt = now()
    last = look()
    last.catch(() => undefined) // whoever waits for it hears of it
    return last
  }
  return async () => {
    const outcome = ask()
    if (now() - succeededAt > freshMs) await outcome
  }
}
