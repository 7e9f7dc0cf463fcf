import type { User } from '../coherence/directory.js'
import type { Tx } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { levelGuards } from './guards.js'
import { findLevels, lockAdministration } from './level-queries.js'

/**
 * Begins a change that an admin's level allows, before it waits for anything else. It reads the level again:
 * an admin who lost it while the request waited changes nothing. It also keeps the level until the
 * transaction ends. Throws as the level's guard does.
 */
export async function beginAsAdmin(
  tx: Tx,
  user: Pick<User, 'id' | 'isSysAdmin'> | undefined,
  level: keyof typeof levelGuards,
): Promise<void> {
  await lockAdministration(tx)
  const { code, refusal } = levelGuards[level]
  const levels = user && (await findLevels(tx, user.id))
  const holds = level === 'sysAdmin' ? levels?.isSysAdmin : levels?.isPlatformAdmin
  if (holds !== true || (user?.isSysAdmin === true && levels?.isSysAdmin !== true))
    throw new GatewayError(code, refusal)
}
