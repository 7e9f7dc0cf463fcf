import { randomUUID } from 'node:crypto'
import type { Config } from '../config.js'
import { connectDatabase } from '../database/connect.js'
import { issueSetupLink } from '../login/setup.js'
import type { Logger } from '../observability/logger.js'
import type { Prepared } from '../gateway/compose.js'

const setupAgain =
  'Each start prints a new one as long as there is nobody, and so does: mandate-gateway admin setup-link'

/** Returns the text that a start prints while there are no users. */
function setupGreeting(url: string, expiresAt: Date): string {
  return `
Mandate Gateway has no users yet. Open this link to become the first admin:

  ${url}

It works once, until ${expiresAt.toISOString()}. ${setupAgain}

`
}

/**
 * Prints a setup link for the first admin while there are no users. The link goes to `write` and never to the
 * log, because other people read that. A failure is logged and does not stop the start.
 */
export async function offerSetup(
  config: Config,
  { databaseUrl, setRole }: Prepared,
  url: string,
  logger: Logger,
  write: (text: string) => void,
): Promise<void> {
  if (config.SEED_DEMO) return
  const database = connectDatabase({ url: databaseUrl, setRole, poolSize: 1 })
  try {
    const link = await database.transaction((tx) =>
      issueSetupLink(tx, { userId: null, requestId: `start-${randomUUID()}` }, 'earlier'),
    )
    if (link) write(setupGreeting(url + link.path, link.expiresAt))
  } catch (error) {
    logger.warn('whether the gateway is to be set up could not be found out', { error })
  } finally {
    await database.close()
  }
}
