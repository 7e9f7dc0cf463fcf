import { allOf, beginsWith, where, type Positioned } from '../database/conditions.js'
import type { Sql } from '../database/connect.js'
import type { Changing, Seen } from './scope.js'

/** A mandate, as platform admins see one. */
export interface Mandate {
  id: string
  slug: string
  label: string
  enabled: boolean
  createdAt: Date
}

const columns = 'm.id, m.slug, m.label, m.enabled, m.created_at as "createdAt"'

export type MandateSort = 'slug' | '-slug' | 'createdAt' | '-createdAt'

interface MandateFilter {
  enabled: boolean | undefined
  after: (string | null)[] | undefined
  atMost: number
}

const orders: Record<MandateSort, { after: string; by: string; position: string }> = {
  slug: { after: 'm.slug > ?', by: 'm.slug', position: 'array[m.slug]' },
  '-slug': { after: 'm.slug < ?', by: 'm.slug desc', position: 'array[m.slug]' },
  createdAt: {
    after: '(m.created_at, m.id) > (?::timestamptz, ?::uuid)',
    by: 'm.created_at, m.id',
    position: 'array[m.created_at::text, m.id::text]',
  },
  '-createdAt': {
    after: '(m.created_at, m.id) < (?::timestamptz, ?::uuid)',
    by: 'm.created_at desc, m.id desc',
    position: 'array[m.created_at::text, m.id::text]',
  },
}

/** How many values a position in this order has. */
export const columnsOf = (sort: MandateSort) => (sort.endsWith('slug') ? 1 : 2)

/** Mandates in an order. */
export async function listMandates(
  sql: Seen,
  sort: MandateSort,
  { enabled, after, atMost }: MandateFilter,
): Promise<Positioned<Mandate>[]> {
  const order = orders[sort]
  const { sql: condition, values } = allOf([
    where(enabled, 'm.enabled = ?'),
    after && [order.after, ...after],
  ])
  return await sql.rows(
    `select ${columns}, ${order.position} as position from mandates m where ${condition} order by ${order.by} limit ?`,
    [...values, atMost],
  )
}

/**
 * Mandates of which the slug, the label or a word of them begins with `search`, by what was found, each once.
 */
export async function searchMandates(
  sql: Seen,
  search: string,
  { enabled, after, atMost }: MandateFilter,
): Promise<Positioned<Mandate>[]> {
  const { sql: condition, values } = allOf([
    beginsWith('t.term', search),
    after && ['(t.term, t.mandate_id) > (?, ?::uuid)', ...after],
    [
      'not exists (select from mandate_terms earlier where earlier.mandate_id = t.mandate_id and earlier.term >= lower(?) and earlier.term < t.term)',
      search,
    ],
    where(enabled, 'exists (select from mandates own where own.id = t.mandate_id and own.enabled = ?)'),
  ])
  // The page is found among the terms alone: joined first, all mandates would be looked through for it.
  return await sql.rows(
    `
    select ${columns}, array[t.term, t.mandate_id::text] as position
      from (select t.term, t.mandate_id from mandate_terms t where ${condition} order by t.term, t.mandate_id limit ?) as t
      join mandates m on m.id = t.mandate_id
     order by t.term, t.mandate_id`,
    [...values, atMost],
  )
}

/** The mandate with that id. */
export async function findMandate(sql: Seen, id: string): Promise<Mandate | undefined> {
  const [mandate] = await sql.rows<Mandate>(`select ${columns} from mandates m where m.id = ?`, [id])
  return mandate
}

/** Returns the mandate with that slug, if there is one. */
export async function findMandateOfSlug(sql: Seen, slug: string): Promise<Mandate | undefined> {
  const [mandate] = await sql.rows<Mandate>(`select ${columns} from mandates m where m.slug = ?`, [slug])
  return mandate
}

/** The id of a mandate that is there, or of the one that an instance is in. */
export async function findMandateIdOf(
  sql: Sql,
  what: 'mandate' | 'instance',
  id: string,
): Promise<string | undefined> {
  const statements = {
    mandate: 'select id from mandates where id = ?',
    instance: 'select mandate_id as id from feature_instances where id = ?',
  }
  const [row] = await sql.rows<{ id: string }>(statements[what], [id])
  return row?.id
}

/** The mandate with that id, which stays as it is until the transaction ends. */
export async function findMandateForUpdate(tx: Changing, id: string): Promise<Mandate | undefined> {
  const [mandate] = await tx.rows<Mandate>(`select ${columns} from mandates m where m.id = ? for update`, [
    id,
  ])
  return mandate
}

/** Writes a mandate. Rejects with `conflict` where the slug is taken. */
export async function insertMandate(
  tx: Changing,
  { slug, label, enabled }: Pick<Mandate, 'slug' | 'label' | 'enabled'>,
): Promise<Mandate> {
  const [mandate] = await tx.rows<Mandate>(
    `insert into mandates as m (slug, label, enabled) values (?, ?, ?) returning ${columns}`,
    [slug, label, enabled],
  )
  if (!mandate) throw new Error('an insert answered no row')
  return mandate
}

/** Writes what may change of a mandate. Rejects with `conflict` where the slug is taken. */
export async function updateMandate(tx: Changing, { id, slug, label, enabled }: Mandate): Promise<void> {
  await tx.run('update mandates set slug = ?, label = ?, enabled = ? where id = ?', [
    slug,
    label,
    enabled,
    id,
  ])
}

/** Removes a mandate with all that is in it, but what the audit holds. */
export async function deleteMandate(tx: Changing, id: string): Promise<void> {
  await tx.run('delete from mandates where id = ?', [id])
}
