import type { Sql } from '../database/connect.js'

interface NamedRole {
  id: string
  label: string
}

/** One of a user's mandates, with what they are and reach there. */
export interface Membership {
  mandate: { id: string; slug: string; label: string; enabled: boolean }
  enabled: boolean
  roles: NamedRole[]
  instances: {
    id: string
    featureCode: string
    label: string
    enabled: boolean
    accessEnabled: boolean
    roles: NamedRole[]
  }[]
}

/** A user's memberships by mandate slug, with roles and the instances they have access rows on. */
export async function listMemberships(sql: Sql, userId: string): Promise<Membership[]> {
  return await sql.rows<Membership>(
    `
    select json_build_object('id', m.id, 'slug', m.slug, 'label', m.label, 'enabled', m.enabled) as mandate,
           um.enabled,
           coalesce((select json_agg(json_build_object('id', r.id, 'label', r.label) order by r.label, r.id)
                       from user_mandate_roles umr join roles r on r.id = umr.role_id
                      where umr.user_mandate_id = um.id), '[]') as roles,
           coalesce((select json_agg(json_build_object(
                              'id', i.id, 'featureCode', i.feature_code, 'label', i.label, 'enabled', i.enabled, 'accessEnabled', fa.enabled,
                              'roles', coalesce((select json_agg(json_build_object('id', r.id, 'label', r.label) order by r.label, r.id)
                                                   from feature_access_roles far join roles r on r.id = far.role_id
                                                  where far.feature_access_id = fa.id), '[]')) order by i.label, i.id)
                       from feature_access fa join feature_instances i on i.id = fa.feature_instance_id
                      where fa.user_id = um.user_id and i.mandate_id = m.id), '[]') as instances
      from user_mandates um
      join mandates m on m.id = um.mandate_id
     where um.user_id = ?
     order by m.slug`,
    [userId],
  )
}
