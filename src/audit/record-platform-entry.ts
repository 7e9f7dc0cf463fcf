import type { AuditLog } from './audit-log.js'

/**
 * Returns the function that records an entry into a mandate, or an instance, by platform level alone. It
 * records one a minute for each user and mandate.
 */
export function recordPlatformEntry(
  audit: Pick<AuditLog, 'recordOnce'>,
): (user: { id: string; username: string }, mandateId: string, requestId: string) => void {
  return (user, mandateId, requestId) => {
    audit.recordOnce({
      userId: user.id,
      mandateId,
      action: 'platform_entry',
      details: { username: user.username },
      requestId,
    })
  }
}
