import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Sql } from '../database/connect.js'
import {
  readItems,
  type AreaPolicy,
  type MandatePolicy,
  type PolicyArea,
} from '../domain/assurance-policy.js'
import { GatewayError } from '../errors.js'

/** Finds the policy of a mandate, and locks it for a change if asked; undefined where none is stored. */
export async function findMandatePolicy(
  sql: Sql,
  mandateId: string,
  { forUpdate = false } = {},
): Promise<MandatePolicy | undefined> {
  const [row] = await sql.rows<Omit<MandatePolicy, 'items'> & { items: unknown }>(
    `
    select factor,
           max_age as "maxAge",
           idle,
           session_age as "sessionAge",
           addresses,
           items
      from mandate_policies
     where mandate_id = ?
     ${forUpdate ? 'for update' : ''}`,
    [mandateId],
  )
  if (!row) return undefined
  const items = readItems(row.items)
  if (!items)
    throw new GatewayError(
      'conflict',
      'The items of this policy were written by another tool and cannot be read. Reset the policy.',
    )
  return { ...row, items }
}

/** Stores the policy of a mandate, in place of the one before. */
export async function upsertMandatePolicy(
  tx: CoherentTx,
  mandateId: string,
  { factor, maxAge, idle, sessionAge, addresses, items }: MandatePolicy,
): Promise<void> {
  await tx.run(
    `
    insert into mandate_policies (mandate_id, factor, max_age, idle, session_age, addresses, items)
    values (?, ?, ?, ?, ?, ?::text[], ?::jsonb)
        on conflict (mandate_id) do update
       set factor = excluded.factor,
           max_age = excluded.max_age,
           idle = excluded.idle,
           session_age = excluded.session_age,
           addresses = excluded.addresses,
           items = excluded.items`,
    [mandateId, factor, maxAge, idle, sessionAge, [...addresses], JSON.stringify(items)],
  )
}

/** Deletes the policy of a mandate, whatever it says. Returns whether there was one. */
export async function deleteMandatePolicy(tx: CoherentTx, mandateId: string): Promise<boolean> {
  const rows = await tx.rows('delete from mandate_policies where mandate_id = ? returning mandate_id', [
    mandateId,
  ])
  return rows.length > 0
}

/** Finds the policy of an operators' area; undefined where none is stored. */
export async function findStoredAreaPolicy(
  sql: Sql,
  area: PolicyArea,
  { forUpdate = false } = {},
): Promise<AreaPolicy | undefined> {
  const [row] = await sql.rows<AreaPolicy>(
    `
    select factor, max_age as "maxAge", addresses
      from platform_policies
     where area = ?
     ${forUpdate ? 'for update' : ''}`,
    [area],
  )
  return row
}

/** Stores the policy of an operators' area, in place of the one before. */
export async function upsertAreaPolicy(
  tx: CoherentTx,
  area: PolicyArea,
  { factor, maxAge, addresses }: AreaPolicy,
): Promise<void> {
  await tx.run(
    `
    insert into platform_policies (area, factor, max_age, addresses)
    values (?, ?, ?, ?::text[])
        on conflict (area) do update
       set factor = excluded.factor,
           max_age = excluded.max_age,
           addresses = excluded.addresses`,
    [area, factor, maxAge, [...addresses]],
  )
}

/** Deletes the policy of an operators' area. Returns whether there was one. */
export async function deleteAreaPolicy(tx: CoherentTx, area: PolicyArea): Promise<boolean> {
  return (await tx.rows('delete from platform_policies where area = ? returning area', [area])).length > 0
}

/** A live session of somebody whom a policy concerns; without one, all of the session is null. */
export interface ConcernedSession {
  userId: string
  username: string
  kinds: string[]
  sessionId: string | null
  createdAtMs: number | null
  authTimeMs: number | null
  mfaAtMs: number | null
  phrAtMs: number | null
  lastUsedAtMs: number | null
}

const ms = (column: string) => `extract(epoch from ${column})::float8 * 1000`

/** Whom a policy concerns: the members of a mandate, or those of a platform level. */
export type Concerned = { mandateId: string } | { area: PolicyArea }

const chosenBy = (concerned: Concerned) =>
  'mandateId' in concerned
    ? 'u.id in (select m.user_id from user_mandates m where m.mandate_id = ? and m.enabled)'
    : concerned.area === 'admin'
      ? 'u.is_platform_admin'
      : 'u.is_sys_admin'

/** Lists the people whom a policy concerns, each with every live session, at most so many rows. */
export async function listConcernedSessions(
  sql: Sql,
  concerned: Concerned,
  atMost: number,
): Promise<ConcernedSession[]> {
  return await sql.rows<ConcernedSession>(
    `
    select u.id as "userId",
           u.username,
           array(
             select distinct f.kind
               from user_factors f
              where f.user_id = u.id
              order by 1
           ) as kinds,
           s.id as "sessionId",
           ${ms('s.created_at')} as "createdAtMs",
           ${ms('s.auth_time')} as "authTimeMs",
           ${ms('s.mfa_at')} as "mfaAtMs",
           ${ms('s.phr_at')} as "phrAtMs",
           ${ms('s.last_used_at')} as "lastUsedAtMs"
      from users u
      left join sessions s on s.user_id = u.id
                          and s.ended_at is null
                          and exists (
                                select
                                  from tokens t
                                 where t.session_id = s.id
                                   and t.status = 'active'
                                   and t.expires_at > now()
                              )
     where ${chosenBy(concerned)}
       and u.enabled
       and not u.is_service_account
     order by u.username, s.id
     limit ?`,
    [...('mandateId' in concerned ? [concerned.mandateId] : []), atMost],
  )
}

/** Finds a mandate by its id or its slug. */
export async function findNamedMandate(
  sql: Sql,
  named: { id: string } | { slug: string },
): Promise<{ id: string; slug: string } | undefined> {
  const [row] = await sql.rows<{ id: string; slug: string }>(
    `select id, slug from mandates where ${'id' in named ? 'id = ?::uuid' : 'slug = ?'}`,
    ['id' in named ? named.id : named.slug],
  )
  return row
}
