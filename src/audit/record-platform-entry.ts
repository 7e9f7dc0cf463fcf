import type { AuditLog } from './audit-log.js'

/**
 * Remembers that a mandate, or an instance of it, was entered by platform level alone, once a minute for each
 * user and mandate.
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
