import type { Sql } from '../database/connect.js'
import type { Logger } from '../observability/logger.js'
import { showProfile } from './member-queries.js'

/**
 * Returns what shows a mandate's admins the profile of a member who enters for the first time. Nobody waits
 * for it: where it fails, it is tried again when the member's place is loaded the next time.
 */
export function showProfiles({ sql, logger }: { sql: Sql; logger: Logger }): (membershipId: string) => void {
  const underWay = new Set<string>() // of members who enter at this moment
  return (membershipId) => {
    if (underWay.has(membershipId)) return
    underWay.add(membershipId)
    showProfile(sql, membershipId)
      .catch((error: unknown) =>
        logger.warn('a member has entered, and the mandate is not shown who they are yet', {
          membershipId,
          error,
        }),
      )
      .finally(() => underWay.delete(membershipId))
  }
}
