import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from '../observability/logger.js'

/** Errors of a database, or of its network, that is not there yet. Waiting does not mend any other error. */
const notYet = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  '57P03', // cannot_connect_now: it starts, or recovers
  '57P01',
  '57P02', // it is being shut down
  '53300', // too_many_connections
])

const firstPauseMs = 250
const longestPauseMs = 5000
const connectTimeoutMs = 5000

/** The remedies of connection errors, by SQLSTATE or network code. */
const remedies: Record<string, string> = {
  '28P01': 'Correct the user or the password in it.',
  '28000': 'Correct the user in it, or pg_hba.conf of the server.',
  '3D000': 'Create the database, or correct its name.',
  '42501': 'Grant what is missing.',
  ECONNREFUSED: 'Start Postgres, or correct host and port.',
  ENOTFOUND: 'Correct the name of the host.',
  SELF_SIGNED_CERT_IN_CHAIN: 'Name its certificate authority: ?sslmode=verify-full&sslrootcert=FILE.',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'Name its certificate authority: ?sslmode=verify-full&sslrootcert=FILE.',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'Name its certificate authority: ?sslmode=verify-full&sslrootcert=FILE.',
  ERR_TLS_CERT_ALTNAME_INVALID: 'Use the name of the host that its certificate names.',
}

/** What PgBouncer says while the database behind it is not there yet. */
const poolerWaits = /server login has been failing|cannot connect to server/

/** Returns the code of a connection error: a SQLSTATE, or the network's; empty without one. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError) return codeOf(error.errors[0]) // one for each address of a name
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return error instanceof Error && /timeout|terminated/i.test(error.message) ? 'ETIMEDOUT' : ''
}

/** Returns what an operator should do about a connection error. */
export const remedyOf = (error: unknown) => remedies[codeOf(error)] ?? 'Correct what it says.'

/** Returns a connection error as a sentence for the operator, with its remedy; any other error as it is. */
export function inOperatorsWords(error: unknown): unknown {
  const remedy = remedies[codeOf(error)]
  return remedy === undefined || !(error instanceof Error)
    ? error
    : new Error(`The database cannot be used: ${error.message}. ${remedy}`, { cause: error })
}

async function answers(url: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'mandate-gateway start',
    connectionTimeoutMillis: connectTimeoutMs,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('select 1')
  } finally {
    await client.end().catch(() => undefined)
  }
}

interface Options {
  /** The variable that holds the URL. */
  name: string
  logger: Pick<Logger, 'warn' | 'info'>
  patienceMs: number
  /** Ends the waiting. */
  signal: AbortSignal
}

/**
 * Resolves when the database answers. It tries again, at growing intervals, as long as the database is not
 * there yet: containers start in any order. Rejects with a sentence for the operator when patience is over,
 * or at once when waiting would not help. Rejects with the signal's reason when that aborts.
 */
export async function waitForDatabase(
  url: string,
  { name, logger, patienceMs, signal }: Options,
): Promise<void> {
  const { hostname, port } = new URL(url)
  const host = `${hostname}:${port || '5432'}`
  const since = performance.now()
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      await answers(url)
      if (pauseMs > firstPauseMs)
        logger.info('the database is there', { waitedMs: Math.round(performance.now() - since) })
      return
    } catch (error) {
      signal.throwIfAborted()
      const code = codeOf(error)
      const says = error instanceof Error ? error.message : String(error)
      const leftMs = patienceMs - (performance.now() - since)
      if (!notYet.has(code) && !poolerWaits.test(says)) {
        throw new Error(`${name} (${host}) cannot be used: ${says}. ${remedyOf(error)}`, { cause: error })
      }
      if (leftMs <= 0)
        throw new Error(
          `The database at ${host} is not there (${code}) and was waited for ` +
            `${Math.round(patienceMs / 1000)} s. Start it, or mend ${name}.`,
          { cause: error },
        )
      logger.warn('waiting for the database', { host, code, givenUpInMs: Math.round(leftMs) })
      await pause(Math.min(pauseMs, leftMs), undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  }
}
