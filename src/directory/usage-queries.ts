import { allOf, where } from '../database/conditions.js'
import type { Seen } from './scope.js'

/** What a mandate was used on a day (UTC). The mandate may be gone. */
export interface DayOfUse {
  day: string
  mandateId: string
  slug: string | null
  /** All that were decided. */
  requests: number
  /** Those of them that were refused. */
  denials: number
}

interface UsageFilter {
  mandateId: string | undefined
  from: string | undefined
  to: string | undefined
  after: (string | null)[] | undefined
  atMost: number
}

/** Days of use, the latest first. */
export async function listUsage(
  sql: Seen,
  { mandateId, from, to, after, atMost }: UsageFilter,
): Promise<DayOfUse[]> {
  const { sql: condition, values } = allOf([
    where(mandateId, 'u.mandate_id = ?'),
    where(from, 'u.day >= ?::date'),
    where(to, 'u.day <= ?::date'),
    after && ['u.day <= ?::date and (u.day < ?::date or u.mandate_id > ?::uuid)', after[0] ?? '', ...after],
  ])
  return await sql.rows<DayOfUse>(
    `
    select u.day::text as day, u.mandate_id as "mandateId", m.slug, u.requests::float8 as requests, u.denials::float8 as denials
      from usage_daily u left join mandates m on m.id = u.mandate_id
     where ${condition} order by u.day desc, u.mandate_id limit ?`,
    [...values, atMost],
  )
}

/** What the whole platform was used on a day (UTC). */
export type DayOfAll = Omit<DayOfUse, 'mandateId' | 'slug'>

/**
 * Each day from one to another, the earliest first, also those without use; of one mandate where that is
 * given.
 */
export async function sumUsage(
  sql: Seen,
  { mandateId, from, to }: { mandateId: string | undefined; from: string; to: string },
): Promise<DayOfAll[]> {
  return await sql.rows<DayOfAll>(
    `
    select d.day::date::text as day, coalesce(sum(u.requests), 0)::float8 as requests, coalesce(sum(u.denials), 0)::float8 as denials
      from generate_series(?::date, ?::date, interval '1 day') as d(day)
      left join usage_daily u on u.day = d.day::date ${mandateId === undefined ? '' : 'and u.mandate_id = ?'}
     group by d.day order by d.day`,
    [from, to, ...(mandateId === undefined ? [] : [mandateId])],
  )
}

/** A mandate's use in a month, against what it has been sold; null is no limit. */
export interface Bill {
  month: string
  mandateId: string
  slug: string | null
  label: string | null
  plan: string | null
  /** Requests that were served: those that were refused are not charged. */
  requests: number
  requestsQuota: number | null
  requestsOver: number
  denials: number
  /** Now, whatever the month. */
  members: number
  membersQuota: number | null
  instances: number
  instancesQuota: number | null
}

/** Bills of a month (`YYYY-MM`), of each mandate with a subscription or with use, by mandate. */
export async function listBills(
  sql: Seen,
  month: string,
  {
    mandateId,
    after,
    atMost,
  }: { mandateId: string | undefined; after: string | null | undefined; atMost: number },
): Promise<Bill[]> {
  const within = `u.day >= ?::date and u.day < ?::date + interval '1 month'`
  const first = `${month}-01`
  const { sql: condition, values } = allOf([
    where(mandateId, 'b.mandate_id = ?'),
    where(after, 'b.mandate_id > ?::uuid'),
  ])
  return await sql.rows<Bill>(
    `
    select ? as month, b.mandate_id as "mandateId", m.slug, m.label, s.plan,
           used.requests, s.requests_per_month::float8 as "requestsQuota", greatest(0, used.requests - coalesce(s.requests_per_month::float8, used.requests)) as "requestsOver", used.denials,
           (select count(*)::int from user_mandates um where um.mandate_id = b.mandate_id) as members, s.members as "membersQuota",
           (select count(*)::int from feature_instances i where i.mandate_id = b.mandate_id) as instances, s.instances as "instancesQuota"
      from (select mandate_id from subscriptions union select u.mandate_id from usage_daily u where ${within}) as b
      left join subscriptions s on s.mandate_id = b.mandate_id
      left join mandates m on m.id = b.mandate_id
      cross join lateral (
        select coalesce(sum(u.requests - u.denials), 0)::float8 as requests, coalesce(sum(u.denials), 0)::float8 as denials
          from usage_daily u where u.mandate_id = b.mandate_id and ${within}) as used
     where ${condition} order by b.mandate_id limit ?`,
    [month, first, first, first, first, ...values, atMost],
  )
}
