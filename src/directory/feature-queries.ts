import { allOf, where } from '../database/conditions.js'
import type { Changing, Seen } from './scope.js'

/** A product module that can be installed in mandates. */
export interface Feature {
  code: string
  label: string
}

/** Features by code. */
export async function listFeatures(
  sql: Seen,
  { after, atMost }: { after: string | undefined; atMost: number },
): Promise<Feature[]> {
  const { sql: condition, values } = allOf([where(after, 'code > ?')])
  return await sql.rows<Feature>(
    `select code, label from features where ${condition} order by code limit ?`,
    [...values, atMost],
  )
}

/** The feature with that code. */
export async function findFeature(sql: Seen, code: string): Promise<Feature | undefined> {
  const [feature] = await sql.rows<Feature>('select code, label from features where code = ?', [code])
  return feature
}

/** As `findFeature`; it stays as it is until the transaction ends. */
export async function findFeatureForUpdate(tx: Changing, code: string): Promise<Feature | undefined> {
  const [feature] = await tx.rows<Feature>('select code, label from features where code = ? for update', [
    code,
  ])
  return feature
}

/** How many instances of a feature there are. */
export async function countInstances(tx: Changing, code: string): Promise<number> {
  const [row] = await tx.rows<{ count: string }>(
    'select count(*) as count from feature_instances where feature_code = ?',
    [code],
  )
  return Number(row?.count)
}

/** Writes a feature. Rejects with `conflict` where the code is taken. */
export async function insertFeature(tx: Changing, { code, label }: Feature): Promise<void> {
  await tx.run('insert into features (code, label) values (?, ?)', [code, label])
}

/** Writes a feature's label. */
export async function setFeatureLabel(tx: Changing, code: string, label: string): Promise<void> {
  await tx.run('update features set label = ? where code = ?', [label, code])
}

/** Removes a feature of which there is no instance. Rejects with `conflict` where there is. */
export async function deleteFeature(tx: Changing, code: string): Promise<void> {
  await tx.run('delete from features where code = ?', [code])
}
