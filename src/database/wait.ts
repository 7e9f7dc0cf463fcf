import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from '../observability/logger.js'

/** What a database says, or its network, that is not there yet: others are faults that waiting does not mend. */
const notYet = new Set([
  'ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'EPIPE',
  '57P03', // cannot_connect_now: it starts, or recovers
  '57P01', '57P02', // it is being shut down
  '53300', // too_many_connections
])

const firstPauseMs = 250
const longestPauseMs = 5000
const connectTimeoutMs = 5000

function codeOf(error: unknown): string {
  if (error instanceof AggregateError) return codeOf(error.errors[0]) // one for each address of a name
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return error instanceof Error && /timeout|terminated/i.test(error.message) ? 'ETIMEDOUT' : ''
}

async function answers(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'mandate-gateway start', connectionTimeoutMillis: connectTimeoutMs })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('select 1')
  } finally {
    await client.end().catch(() => undefined)
  }
}

interface Options {
  logger: Pick<Logger, 'warn' | 'info'>
  patienceMs: number
  /** Ends the waiting. */
  signal: AbortSignal
}

/**
 * Answers when the database does: containers start in any order. Tries again for as long as it is not there yet, less and less often; rejects with what
 * the database said when patience is over, at once where waiting would not help, and with the signal's reason when that is given.
 */
export async function waitForDatabase(url: string, { logger, patienceMs, signal }: Options): Promise<void> {
  const { hostname, port } = new URL(url)
  const since = performance.now()
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      await answers(url)
      if (pauseMs > firstPauseMs) logger.info('the database is there', { waitedMs: Math.round(performance.now() - since) })
      return
    } catch (error) {
      signal.throwIfAborted()
      const code = codeOf(error)
      const leftMs = patienceMs - (performance.now() - since)
      if (!notYet.has(code)) throw error
      if (leftMs <= 0) throw new Error(`The database at ${hostname}:${port || '5432'} is not there (${code}) and was waited for ${Math.round(patienceMs / 1000)} s. Start it, or mend DATABASE_URL.`, { cause: error })
      logger.warn('waiting for the database', { host: `${hostname}:${port || '5432'}`, code, givenUpInMs: Math.round(leftMs) })
      await pause(Math.min(pauseMs, leftMs), undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  }
}
