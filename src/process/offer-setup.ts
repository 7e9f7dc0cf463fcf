import { randomUUID } from 'node:crypto'
import type { Config } from '../config.js'
import { connectDatabase } from '../database/connect.js'
import { issueSetupLink } from '../login/setup-endpoints.js'
import type { Logger } from '../observability/logger.js'
import type { Prepared } from '../gateway/compose.js'

/** What a start tells whoever looks at it, as long as there is nobody. */
function setupGreeting(url: string, expiresAt: Date): string {
  return `
Mandate Gateway has no users yet. Open this link to become the first admin:

  ${url}

It works once, until ${expiresAt.toISOString()}. Each start prints a new one as long as there is nobody, and so does: mandate-gateway admin setup-link

`
}

/**
 * Prints, where there is nobody at all, a link by which the first admin makes themselves. It goes to `write`,
 * past the log, which forgets nothing and is read by others. A start does not fail for it.
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
