import type { Seen } from './scope.js'

type Row = Record<string, unknown>

/** What there is of a user beside their own row. No list holds a hash, a secret or a token. */
const lists = {
  identities: `
    select i.id,
           i.authority,
           i.provider_id as "providerId",
           coalesce(i.issuer, p.issuer) as issuer,
           i.subject,
           i.email,
           i.linked_at as "linkedAt",
           i.last_used_at as "lastUsedAt"
      from user_identities i
      left join identity_providers p on p.id = i.provider_id
     where i.user_id = ?
     order by i.linked_at, i.id`,
  factors:
    'select id, kind, label, created_at as "createdAt", last_used_at as "lastUsedAt" from user_factors where user_id = ? order by created_at, id',
  memberships: `select um.id, m.id as "mandateId", m.slug, m.label, um.enabled, um.created_at as "createdAt",
      coalesce((select jsonb_agg(jsonb_build_object('id', r.id, 'label', r.label) order by r.label) from user_mandate_roles x join roles r on r.id = x.role_id where x.user_mandate_id = um.id), '[]') as roles
    from user_mandates um join mandates m on m.id = um.mandate_id where um.user_id = ? order by m.slug`,
  accesses: `select fa.id, i.id as "instanceId", i.label, i.feature_code as "featureCode", i.mandate_id as "mandateId", fa.enabled, fa.created_at as "createdAt",
      coalesce((select jsonb_agg(jsonb_build_object('id', r.id, 'label', r.label) order by r.label) from feature_access_roles x join roles r on r.id = x.role_id where x.feature_access_id = fa.id), '[]') as roles
    from feature_access fa join feature_instances i on i.id = fa.feature_instance_id where fa.user_id = ? order by i.label, i.id`,
  sessions: `select id, authority, created_at as "createdAt", last_seen_at as "lastSeenAt", ended_at as "endedAt", address, user_agent as "userAgent"
    from sessions where user_id = ? order by created_at, id`,
  tokens: `select id, authority, purpose, session_id as "sessionId", status, issued_at as "issuedAt", nullif(expires_at, 'infinity') as "expiresAt", revoked_at as "revokedAt",
      last_used_at as "lastUsedAt", label from tokens where user_id = ? order by issued_at, id`,
  secrets:
    'select id, label, created_at as "createdAt", last_used_at as "lastUsedAt", expires_at as "expiresAt" from service_secrets where user_id = ? order by created_at, id',
  keys: 'select id, label, kid, algorithm, created_at as "createdAt", last_used_at as "lastUsedAt", expires_at as "expiresAt" from service_keys where user_id = ? order by created_at, id',
  firstAccessLinks:
    'select id, created_at as "createdAt", expires_at as "expiresAt" from first_access_links where user_id = ? order by created_at, id',
  accountLinks:
    'select id, kind, sent_to as "sentTo", created_at as "createdAt", expires_at as "expiresAt" from account_links where user_id = ? order by created_at, id',
  invitations:
    'select id, mandate_id as "mandateId", email, created_at as "createdAt" from invitations where accepted_by = ? order by created_at, id',
  messages:
    'select id, kind, recipient as "to", status, created_at as "createdAt", sent_at as "sentAt" from messages where user_id = ? order by created_at, id',
} as const

/** All that the directory holds of a user, and how much the audit does. */
export type UserExport = { user: Row; audit: Row } & Record<keyof typeof lists, Row[]>

/** The names of the lists. */
export const exportedLists = Object.keys(lists) as (keyof typeof lists)[]

/** Reads it. Undefined where there is no such user. */
export async function exportUser(sql: Seen, id: string): Promise<UserExport | undefined> {
  const [user] = await sql.rows<Row>(
    `
    select id, username, email, full_name as "fullName", enabled, is_sys_admin as "isSysAdmin", is_platform_admin as "isPlatformAdmin", is_service_account as "isServiceAccount",
           password_hash is not null as "hasPassword", created_at as "createdAt", updated_at as "updatedAt" from users where id = ?`,
    [id],
  )
  if (!user) return undefined
  const [audit = {}] = await sql.rows<Row>(
    `
    select (select count(*)::int from audit_events where user_id = ?) as events, (select count(*)::int from audit_personal where person_id = ?) as "personalValues"`,
    [id, id],
  )
  const found = { user, audit } as UserExport
  for (const name of exportedLists) found[name] = await sql.rows<Row>(lists[name], [id])
  return found
}
