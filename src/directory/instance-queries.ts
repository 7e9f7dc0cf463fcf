import { allOf, where } from '../database/conditions.js'
import type { Changing, Seen } from './scope.js'

/** A feature instance: one installed copy of a feature, inside one mandate. */
export interface Instance {
  id: string
  mandateId: string
  featureCode: string
  label: string
  enabled: boolean
  createdAt: Date
}

const columns =
  'i.id, i.mandate_id as "mandateId", i.feature_code as "featureCode", i.label, i.enabled, i.created_at as "createdAt"'

interface InstanceFilter {
  mandateId: string | undefined
  featureCode: string | undefined
  enabled: boolean | undefined
  q: string | undefined
  after: (string | null)[] | undefined
  atMost: number
}

/** Instances by label. */
export async function listInstances(
  sql: Seen,
  { mandateId, featureCode, enabled, q, after, atMost }: InstanceFilter,
): Promise<Instance[]> {
  const { sql: condition, values } = allOf([
    where(mandateId, 'i.mandate_id = ?'),
    where(featureCode, 'i.feature_code = ?'),
    where(enabled, 'i.enabled = ?'),
    where(q, 'position(lower(?) in lower(i.label)) > 0'),
    after && ['(i.label, i.id) > (?, ?::uuid)', ...after],
  ])
  return await sql.rows<Instance>(
    `select ${columns} from feature_instances i where ${condition} order by i.label, i.id limit ?`,
    [...values, atMost],
  )
}

/** The instance with that id. */
export async function findInstance(sql: Seen, id: string): Promise<Instance | undefined> {
  const [instance] = await sql.rows<Instance>(`select ${columns} from feature_instances i where i.id = ?`, [
    id,
  ])
  return instance
}

/** As `findInstance`; it stays as it is until the transaction ends. */
export async function findInstanceForUpdate(tx: Changing, id: string): Promise<Instance | undefined> {
  await tx.rows('select from feature_instances where id = ? for update', [id])
  return await findInstance(tx, id)
}

/** Whether there is such a feature. */
export async function hasFeature(sql: Seen, code: string): Promise<boolean> {
  return (await sql.rows('select from features where code = ?', [code])).length > 0
}

/** Writes an instance. */
export async function insertInstance(
  tx: Changing,
  {
    mandateId,
    featureCode,
    label,
    enabled,
  }: Pick<Instance, 'mandateId' | 'featureCode' | 'label' | 'enabled'>,
): Promise<Instance> {
  const [instance] = await tx.rows<Instance>(
    `insert into feature_instances as i (mandate_id, feature_code, label, enabled) values (?, ?, ?, ?) returning ${columns}`,
    [mandateId, featureCode, label, enabled],
  )
  if (!instance) throw new Error('an insert answered no row')
  return instance
}

/** Writes what may change of an instance. */
export async function updateInstance(
  tx: Changing,
  { id, label, enabled }: Pick<Instance, 'id' | 'label' | 'enabled'>,
): Promise<void> {
  await tx.run('update feature_instances set label = ?, enabled = ? where id = ?', [label, enabled, id])
}

/** Removes an instance, its roles, and all access to it. */
export async function deleteInstance(tx: Changing, id: string): Promise<void> {
  await tx.run('delete from feature_instances where id = ?', [id])
}
