import { hasPlatformLevel } from '../authentication/principal.js'
import type { Placement, User } from '../coherence/directory.js'
import type { CompiledPolicy } from '../domain/assurance-policy.js'
import { GatewayError } from '../errors.js'

/** The mandate and instance that a request names (lower-case UUIDs). */
export interface RequestedPlace {
  mandateId: string | undefined
  instanceId: string | undefined
}

/** The mandate and instance into which a caller was admitted. */
export interface Entry {
  mandateId: string | null
  featureInstanceId: string | null
  roleIds: string[]
  /**
   * True when the caller could not enter, or could do nothing, without a platform level. Such an entry is
   * audited.
   */
  byPlatformLevel: boolean
  /** The policy of the mandate, the instance's own too; undefined where it asks nothing. */
  policy: CompiledPolicy | undefined
  /** A change of one of these keys makes this outdated. */
  dependsOn: readonly string[]
}

const noInstanceAccess = () => new GatewayError('no_instance_access', 'No access to feature instance')

function enterMandate(
  { membership, mandate }: Placement,
  platform: boolean,
  stranger: () => GatewayError,
): void {
  if (membership && !membership.enabled)
    throw new GatewayError('membership_disabled', 'Mandate membership is disabled')
  if (!membership && !platform) throw stranger()
  if (!mandate) throw new GatewayError('mandate_not_found', 'No such mandate')
  if (!mandate.enabled && !platform) throw new GatewayError('mandate_disabled', 'Mandate is disabled')
}

function enterInstance({ mandate, instance, access }: Placement, platform: boolean): void {
  if (!instance && platform) throw new GatewayError('instance_not_found', 'No such feature instance')
  if (!instance || instance.mandateId !== mandate?.id) throw noInstanceAccess()
  if (access && !access.enabled)
    throw new GatewayError('feature_access_disabled', 'Feature access is disabled')
  if ((!access || !instance.enabled) && !platform) throw noInstanceAccess()
}

/**
 * Returns whether only a platform level admitted the caller; or, for a SysAdmin, whom rules do not bind,
 * whether no role counts.
 */
function needsLevel(
  user: User,
  { mandate, membership, instance, access }: Placement,
  requested: RequestedPlace,
  roleIds: string[],
): boolean {
  if (!mandate) return false
  const isOpen = membership !== undefined && mandate.enabled
  const isInstanceOpen =
    requested.instanceId === undefined || (access !== undefined && instance?.enabled === true)
  return !isOpen || !isInstanceOpen || (user.isSysAdmin && roleIds.length === 0)
}

/**
 * Decides the context table, row by row: whether this user may enter, and with which roles. An instance
 * without a mandate is entered through its own mandate, but `mandateId` stays null.
 */
export function decidePlacement(user: User, requested: RequestedPlace, placement: Placement): Entry {
  const platform = hasPlatformLevel(user)
  if (requested.mandateId !== undefined) {
    enterMandate(placement, platform, () => new GatewayError('not_a_member', 'Not member of mandate'))
  } else if (placement.instance) {
    enterMandate(placement, platform, noInstanceAccess)
  }
  if (requested.instanceId !== undefined) enterInstance(placement, platform)
  const roleIds = [
    ...new Set([...(placement.membership?.roleIds ?? []), ...(placement.access?.roleIds ?? [])]),
  ]
  return {
    mandateId: requested.mandateId ?? null,
    featureInstanceId: requested.instanceId ?? null,
    roleIds,
    byPlatformLevel: needsLevel(user, placement, requested, roleIds),
    policy: placement.policy,
    dependsOn: placement.dependsOn,
  }
}
