import type { Sql } from '../database/connect.js'

/** A feature with how many instances it has. */
export interface RegisteredFeature {
  code: string
  label: string
  instances: number
}

/** All features by code. */
export async function listRegisteredFeatures(sql: Sql): Promise<RegisteredFeature[]> {
  return await sql.rows(`
    select f.code,
           f.label,
           (select count(*)::int from feature_instances i where i.feature_code = f.code) as instances
      from features f
     order by f.code`)
}

/** The version of the database server. */
export async function findServerVersion(sql: Sql): Promise<string> {
  const [row] = await sql.rows<{ version: string }>(`select current_setting('server_version') as version`)
  return row?.version ?? ''
}
