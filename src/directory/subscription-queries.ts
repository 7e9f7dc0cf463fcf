import { allOf, where } from '../database/conditions.js'
import type { Sql } from '../database/connect.js'
import type { Changing, Seen } from './scope.js'

/** What a mandate has been sold; null is no limit. */
export interface Subscription {
  mandateId: string
  slug: string
  label: string
  plan: string
  requestsPerMonth: number | null
  members: number | null
  instances: number | null
  createdAt: Date
}

const ofMandate = (column: string) => `(select m.${column} from mandates m where m.id = s.mandate_id)`
// As a number: bigint comes as text, and nobody sells more than 2^53.
const columns = `s.mandate_id as "mandateId", ${ofMandate('slug')} as slug, ${ofMandate('label')} as label, s.plan, s.requests_per_month::float8 as "requestsPerMonth", s.members, s.instances, s.created_at as "createdAt"`

/** Subscriptions by mandate. */
export async function listSubscriptions(
  sql: Seen,
  { plan, after, atMost }: { plan: string | undefined; after: string | null | undefined; atMost: number },
): Promise<Subscription[]> {
  const { sql: condition, values } = allOf([
    where(plan, 's.plan = ?'),
    where(after, 's.mandate_id > ?::uuid'),
  ])
  return await sql.rows<Subscription>(
    `select ${columns} from subscriptions s where ${condition} order by s.mandate_id limit ?`,
    [...values, atMost],
  )
}

/** A mandate's subscription. */
export async function findSubscription(sql: Seen, mandateId: string): Promise<Subscription | undefined> {
  const [subscription] = await sql.rows<Subscription>(
    `select ${columns} from subscriptions s where s.mandate_id = ?`,
    [mandateId],
  )
  return subscription
}

/** As `findSubscription`; it stays as it is until the transaction ends. */
export async function findSubscriptionForUpdate(
  tx: Changing,
  mandateId: string,
): Promise<Subscription | undefined> {
  await tx.rows('select from subscriptions where mandate_id = ? for update', [mandateId])
  return await findSubscription(tx, mandateId)
}

type Sold = Omit<Subscription, 'slug' | 'label' | 'createdAt'>

const valuesOf = ({ plan, requestsPerMonth, members, instances, mandateId }: Sold) => [
  plan,
  requestsPerMonth,
  members,
  instances,
  mandateId,
]

/** Writes a subscription. Rejects with `conflict` where the mandate has one. */
export async function insertSubscription(tx: Changing, subscription: Sold): Promise<Subscription> {
  const [inserted] = await tx.rows<Subscription>(
    `
    insert into subscriptions as s (plan, requests_per_month, members, instances, mandate_id) values (?, ?, ?, ?, ?) returning ${columns}`,
    valuesOf(subscription),
  )
  if (!inserted) throw new Error('an insert answered no row')
  return inserted
}

/** Writes the plan and quotas of a subscription. */
export async function updateSubscription(tx: Changing, subscription: Sold): Promise<void> {
  await tx.run(
    'update subscriptions set plan = ?, requests_per_month = ?, members = ?, instances = ? where mandate_id = ?',
    valuesOf(subscription),
  )
}

/** Ends a subscription: the mandate has no quotas then. */
export async function deleteSubscription(tx: Changing, mandateId: string): Promise<void> {
  await tx.run('delete from subscriptions where mandate_id = ?', [mandateId])
}

const thisMonth = `date_trunc('month', now() at time zone 'utc')::date`

/** Those of these mandates that have used up their requests of this month (UTC), with how many they had. */
export async function listUsedUp(
  sql: Sql,
  mandateIds: string[],
): Promise<{ mandateId: string; quota: number }[]> {
  return await sql.rows<{ mandateId: string; quota: number }>(
    `
    select s.mandate_id as "mandateId", s.requests_per_month::float8 as quota
      from subscriptions s
     where s.mandate_id = any (?::uuid[]) and s.requests_per_month is not null
       and s.requests_per_month <= (select coalesce(sum(u.requests - u.denials), 0) from usage_daily u where u.mandate_id = s.mandate_id and u.day >= ${thisMonth})`,
    [mandateIds],
  )
}
