import { isUuid } from '../domain/ids.js'
import type { SessionState, User } from '../coherence/directory.js'
import type { Sql } from '../database/connect.js'

/** Finds the user with that id or exact username, if the transaction sees them. */
export async function findUserToExplain(
  sql: Sql,
  user: string,
): Promise<(User & { enabled: boolean }) | undefined> {
  const [row] = await sql.rows<User & { enabled: boolean }>(
    `
    select id, username, email, full_name as "fullName", is_sys_admin as "isSysAdmin", is_platform_admin as "isPlatformAdmin", enabled
      from users where ${isUuid(user) ? 'id = ?::uuid' : 'username = ?'}`,
    [user],
  )
  return row
}

/** Finds a live session of a user, with how it was proved. */
export async function findSessionToExplain(
  sql: Sql,
  userId: string,
  sessionId: string,
): Promise<SessionState | undefined> {
  const ms = (column: string) => `extract(epoch from ${column})::float8 * 1000`
  const [row] = await sql.rows<SessionState>(
    `
    select ${ms('created_at')} as "createdAtMs",
           ${ms('auth_time')} as "authTimeMs",
           ${ms('mfa_at')} as "mfaAtMs",
           ${ms('phr_at')} as "phrAtMs",
           ${ms('last_used_at')} as "lastUsedAtMs",
           amr
      from sessions
     where id = ? and user_id = ? and ended_at is null`,
    [sessionId, userId],
  )
  return row
}

/** Returns the labels of roles by their ids. */
export async function listRoleLabels(sql: Sql, roleIds: string[]): Promise<Map<string, string>> {
  const rows = await sql.rows<{ id: string; label: string }>(
    'select id, label from roles where id = any (?::uuid[])',
    [roleIds],
  )
  return new Map(rows.map(({ id, label }) => [id, label]))
}

/** Returns whether the transaction sees this instance. */
export async function seesInstance(sql: Sql, id: string): Promise<boolean> {
  return (await sql.rows('select from feature_instances where id = ?', [id])).length > 0
}

/** A refusal in the audit. */
export interface AuditedDenial {
  occurredAt: Date
  userId: string
  mandateId: string
  action: string
  details: Record<string, unknown>
}

/** Lists refusals of a request in the last hour, newest first, as far as the transaction sees them. */
export async function listAuditedDenials(sql: Sql, requestId: string): Promise<AuditedDenial[]> {
  return await sql.rows(
    `
    select occurred_at as "occurredAt", user_id as "userId", mandate_id as "mandateId", action, details
      from audit_events
     where request_id = ? and action in ('access_denied', 'sysadmin_action_refused', 'platform_admin_action_refused', 'assurance_refused') and occurred_at > now() - interval '1 hour'
     order by occurred_at desc limit 5`,
    [requestId],
  )
}
