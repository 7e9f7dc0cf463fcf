import type { Sql } from '../database/connect.js'
import { compilePolicy, type CompiledPolicy, type PolicyArea } from '../domain/assurance-policy.js'
import type {
  Grant,
  Permission,
  Placement,
  PortalLink,
  PrincipalState,
  Proof,
  ScopedRule,
} from './directory-rows.js'

interface PrincipalRow {
  user_id: string | null
  username: string
  email: string | null
  full_name: string | null
  enabled: boolean
  is_sys_admin: boolean
  is_platform_admin: boolean
  is_service_account: boolean
  token_id: string | null
  token_user_id: string
  authority: string
  purpose: string
  status: string
  session_id: string | null
  session_ended: boolean
  expires_at: Date | number
  issued_at: number
  kept_proof: Proof | null
  session_created_at: number | null
  auth_time: number | null
  mfa_at: number | null
  phr_at: number | null
  amr: string[]
  last_used_at: number | null
  key_retired: boolean
}

/** Milliseconds since 1970, to the microsecond: a proof counts for tokens issued at or after it. */
const ms = (column: string) => `extract(epoch from ${column})::float8 * 1000`

/** Returns the session of a token's row, with the proof that the token has. */
function sessionOf(row: PrincipalRow): PrincipalState['session'] {
  if (row.session_created_at === null) return undefined
  const { auth_time: authTimeMs, mfa_at: mfaAtMs, phr_at: phrAtMs, amr } = row
  return {
    createdAtMs: row.session_created_at,
    lastUsedAtMs: row.last_used_at,
    ...(row.kept_proof ?? { authTimeMs, mfaAtMs, phrAtMs, amr }),
  }
}

/**
 * Finds the user with one of these names (the first one wins), the token with that id and the key with that
 * id. One statement reads all of them, so they are of one moment.
 */
export async function findPrincipal(
  sql: Sql,
  { names, jti, kid }: { names: readonly string[]; jti: string; kid: string },
): Promise<PrincipalState> {
  const [row] = await sql.rows<PrincipalRow>(
    `
    select u.id as user_id, u.username, u.email, u.full_name, u.enabled, u.is_sys_admin, u.is_platform_admin,
           u.is_service_account,
           t.id as token_id, t.user_id as token_user_id, t.authority, t.purpose, t.status, t.session_id, t.expires_at,
           ${ms('t.issued_at')} as issued_at, t.kept_proof,
           s.ended_at is not null as session_ended, ${ms('s.created_at')} as session_created_at,
           ${ms('s.auth_time')} as auth_time, ${ms('s.mfa_at')} as mfa_at, ${ms('s.phr_at')} as phr_at, s.amr,
           ${ms('s.last_used_at')} as last_used_at,
           exists (select from token_keys k where k.kid = ? and k.retired_at is not null) as key_retired
      from (select 1) as one
      left join lateral (
        select * from users
         where username = any (?::text[]) or lower(username) = any (?::text[])
         order by username <> ?, username limit 1
      ) u on true
      left join tokens t on t.id = ?
      left join sessions s on s.id = t.session_id`,
    [kid, [...names], [...names], names[0] ?? '', jti],
  )
  if (!row) throw new Error('a statement without a from-row answered no row')
  return {
    user:
      row.user_id === null
        ? undefined
        : {
            id: row.user_id,
            username: row.username,
            email: row.email,
            fullName: row.full_name,
            enabled: row.enabled,
            isSysAdmin: row.is_sys_admin,
            isPlatformAdmin: row.is_platform_admin,
            isServiceAccount: row.is_service_account,
          },
    token:
      row.token_id === null
        ? undefined
        : {
            userId: row.token_user_id,
            authority: row.authority,
            purpose: row.purpose,
            status: row.status,
            sessionId: row.session_id,
            sessionEnded: row.session_ended,
            expiresAtMs: Number(row.expires_at), // a Date, or Infinity for 'infinity'
            issuedAtMs: row.issued_at,
          },
    session: sessionOf(row),
    keyRetired: row.key_retired,
  }
}

interface PolicyRow {
  factor: CompiledPolicy['factor']
  max_age: number | null
  idle: number | null
  session_age: number | null
  addresses: string[]
  items: unknown
}

const policyFrom = ({ factor, max_age, idle, session_age, addresses, items }: PolicyRow) =>
  compilePolicy({ factor, maxAge: max_age, idle, sessionAge: session_age, addresses, items })

/** Finds the policy of an operators' area; undefined where it asks nothing. */
export async function findAreaPolicy(sql: Sql, area: PolicyArea): Promise<CompiledPolicy | undefined> {
  const [row] = await sql.rows<Omit<PolicyRow, 'idle' | 'session_age' | 'items'>>(
    'select factor, max_age, addresses from platform_policies where area = ?',
    [area],
  )
  return row && policyFrom({ ...row, idle: null, session_age: null, items: [] })
}

interface PlacementRow extends PolicyRow {
  policy_of: string | null
  mandate_id: string | null
  mandate_enabled: boolean
  membership_id: string | null
  membership_enabled: boolean
  profile_shown: boolean
  membership_role_ids: string[]
  instance_id: string | null
  instance_mandate_id: string
  instance_enabled: boolean
  access_id: string | null
  access_enabled: boolean
  access_role_ids: string[]
}

/**
 * Finds the mandate (else the instance's own), the instance, and the user's rows in both, in one statement.
 */
export async function findPlacement(
  sql: Sql,
  userId: string,
  mandateId: string | undefined,
  instanceId: string | undefined,
): Promise<Omit<Placement, 'dependsOn'>> {
  const [row] = await sql.rows<PlacementRow>(
    `
    select m.id as mandate_id, m.enabled as mandate_enabled,
           p.mandate_id as policy_of, p.factor, p.max_age, p.idle, p.session_age, p.addresses, p.items,
           um.id as membership_id, um.enabled as membership_enabled, um.profile_shown,
           array(
             select r.role_id::text
               from user_mandate_roles r
              where r.user_mandate_id = um.id
              order by 1
           ) as membership_role_ids,
           i.id as instance_id, i.mandate_id as instance_mandate_id, i.enabled as instance_enabled,
           fa.id as access_id, fa.enabled as access_enabled,
           array(
             select r.role_id::text
               from feature_access_roles r
              where r.feature_access_id = fa.id
              order by 1
           ) as access_role_ids
      from (select 1) as one
      left join feature_instances i on i.id = ?::uuid
      left join mandates m on m.id = coalesce(?::uuid, i.mandate_id)
      left join mandate_policies p on p.mandate_id = m.id
      left join user_mandates um on um.mandate_id = m.id and um.user_id = ?
      left join feature_access fa on fa.feature_instance_id = i.id and fa.user_id = ?`,
    [instanceId ?? null, mandateId ?? null, userId, userId],
  )
  if (!row) throw new Error('a statement without a from-row answered no row')
  const grant = (id: string | null, enabled: boolean, roleIds: string[]): Grant | undefined =>
    id === null ? undefined : { id, enabled, roleIds }
  const membership = grant(row.membership_id, row.membership_enabled, row.membership_role_ids)
  return {
    mandate: row.mandate_id === null ? undefined : { id: row.mandate_id, enabled: row.mandate_enabled },
    policy: row.policy_of === null ? undefined : policyFrom(row),
    membership: membership && { ...membership, profileShown: row.profile_shown },
    instance:
      row.instance_id === null
        ? undefined
        : { id: row.instance_id, mandateId: row.instance_mandate_id, enabled: row.instance_enabled },
    access: grant(row.access_id, row.access_enabled, row.access_role_ids),
  }
}

interface PortalLinkRow {
  id: string
  label: string | null
  revoked: boolean
  expires_at: Date | number | null
  client_id: string
  client_name: string
  client_active: boolean
  mandate_id: string
  mandate_enabled: boolean
}

/** Finds the portal link with that id, its client and their mandate, in one statement. */
export async function findPortalLink(
  sql: Sql,
  id: string,
): Promise<Omit<PortalLink, 'dependsOn'> | undefined> {
  const [row] = await sql.rows<PortalLinkRow>(
    `
    select t.id, t.label, t.revoked_at is not null as revoked, t.expires_at,
           c.id as client_id, c.name as client_name, c.active as client_active,
           m.id as mandate_id, m.enabled as mandate_enabled
      from portal_access_tokens t
      join portal_clients c on c.id = t.client_id
      join mandates m on m.id = c.mandate_id
     where t.id = ?`,
    [id],
  )
  return (
    row && {
      id: row.id,
      label: row.label,
      revoked: row.revoked,
      expiresAtMs: row.expires_at === null ? Infinity : Number(row.expires_at), // a Date, or Infinity for 'infinity'
      client: { id: row.client_id, name: row.client_name, active: row.client_active },
      mandate: { id: row.mandate_id, enabled: row.mandate_enabled },
    }
  )
}

interface RuleRow extends Permission {
  role_id: string
  mandate_id: string | null
  feature_instance_id: string | null
  context: ScopedRule['context']
  item: string | null
}

/** Lists the rules of these roles, each with its role's scope. */
export async function listRulesOfRoles(sql: Sql, roleIds: string[]): Promise<ScopedRule[]> {
  const rows = await sql.rows<RuleRow>(
    `
    select a.role_id, r.mandate_id, r.feature_instance_id,
           a.context, a.item, a.view, a."read", a."create", a."update", a."delete"
      from access_rules a
      join roles r on r.id = a.role_id
     where a.role_id = any (?::uuid[])
     order by a.role_id, a.context, a.item nulls first`,
    [roleIds],
  )
  return rows.map(({ role_id, mandate_id, feature_instance_id, ...rule }) => ({
    roleId: role_id,
    roleMandateId: mandate_id,
    roleInstanceId: feature_instance_id,
    ...rule,
  }))
}
