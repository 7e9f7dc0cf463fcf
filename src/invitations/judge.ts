import type { findLevels } from '../authorization/level-queries.js'
import { compareAuthority, type AffectedHolders } from '../directory/authority.js'
import { findDelegatedAdmin, refuseBeyond, refuseUnpermitted } from '../directory/delegated-admin.js'
import { found, invalid } from '../directory/fields.js'
import { findInstance } from '../directory/instance-queries.js'
import { findRoles } from '../directory/member-queries.js'
import type { Changing, Edit } from '../directory/scope.js'
import { reason } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import type { InvitedAs, InvitedGrant } from './invitation-queries.js'

/** Nobody has this id: what a new member would get is judged before there is one. */
const nobody = '00000000-0000-0000-0000-000000000000'

/** Refuses roles and instances that are not here, or roles that would not count there. */
export async function refuseOtherGrant(tx: Changing, { roleIds, access }: InvitedGrant): Promise<void> {
  const all = [...roleIds, ...access.flatMap((one) => one.roleIds)]
  const roles = new Map((await findRoles(tx, all)).map((role) => [role.id, role]))
  for (const [index, id] of roleIds.entries())
    if (found(roles.get(id)).instanceId !== null)
      throw invalid(`roleIds.${index}`, reason('role_of_instance'))
  for (const [at, { instanceId, roleIds: ids }] of access.entries()) {
    found(await findInstance(tx, instanceId))
    for (const [index, id] of ids.entries()) {
      const { instanceId: of } = found(roles.get(id))
      if (of !== null && of !== instanceId)
        throw invalid(`access.${at}.roleIds.${index}`, reason('role_of_other_instance'))
    }
  }
}

/** What an invitation hands out: each role by itself, and all of a place together. */
export function affectedBy(mandateId: string, { roleIds, access }: InvitedGrant): AffectedHolders {
  const grant = (instanceId: string | null, after: string[]) => ({ instanceId, before: [], after })
  const ofPlace = (instanceId: string | null, ids: string[]) => [
    ...ids.map((id) => grant(instanceId, [id])),
    grant(instanceId, [...roleIds, ...(instanceId === null ? [] : ids)]),
  ]
  return {
    userId: nobody,
    mandateId,
    grants: [
      ...ofPlace(null, roleIds),
      ...access.flatMap(({ instanceId, roleIds: ids }) => ofPlace(instanceId, ids)),
    ],
  }
}

/** Access to instances is given by those who may give it: by another permission than membership. */
export function refuseAccess(
  { delegatedAdmin }: Pick<Edit, 'delegatedAdmin'>,
  { access }: InvitedGrant,
): void {
  if (delegatedAdmin && access.length > 0)
    refuseUnpermitted(delegatedAdmin, null, 'gateway.instances', 'create')
}

/**
 * Refuses what a person could not give to a new member of the mandate now. The transaction is in the mandate.
 * Throws as a call of theirs would.
 */
export async function refuseUngivable(
  tx: Changing,
  mandateId: string,
  grant: InvitedGrant,
  { invitedBy, invitedAs, levels }: { invitedBy: string | null; invitedAs: InvitedAs; levels: Levels },
): Promise<void> {
  await refuseOtherGrant(tx, grant)
  if (invitedAs === 'platform') {
    if (levels?.isPlatformAdmin === true) return
    throw new GatewayError('platform_admin_required', 'Platform admin privileges required')
  }
  if (levels?.isSysAdmin === true) return
  const delegatedAdmin = await findDelegatedAdmin(tx, invitedBy ?? nobody, mandateId)
  refuseUnpermitted(delegatedAdmin, null, 'gateway.members', 'create')
  refuseAccess({ delegatedAdmin }, grant)
  const comparison = compareAuthority(tx, { mandateId })
  await comparison.about(affectedBy(mandateId, grant))
  refuseBeyond(delegatedAdmin, (await comparison.effect()).changes)
}

/** The platform levels of an enabled user; undefined where there is none. */
export type Levels = Awaited<ReturnType<typeof findLevels>>
