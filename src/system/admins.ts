import { recordChange, type Actor } from '../audit/record-change.js'
import { endWaysIn } from '../authentication/end-queries.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import { isLastOfLevel, lockEnabledAdmins } from '../directory/user-queries.js'
import { reason } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import { findUserToPromote, setSysAdmin } from './admin-queries.js'

/**
 * Makes a user, named by id or username, a SysAdmin, or takes the level away. Throws `conflict` for the last
 * SysAdmin and `not_found` for an unknown user. To do so again changes nothing, and waits for the nodes all the
 * same.
 */
export async function changeSysAdmin(
  tx: CoherentTx,
  { named, isSysAdmin, actor }: { named: string; isSysAdmin: boolean; actor: Actor },
): Promise<void> {
  const admins = await lockEnabledAdmins(tx) // first, as everybody does who locks several users
  const user = await findUserToPromote(tx, named)
  if (!user) throw new GatewayError('not_found', reason('user_unknown'))
  const { id } = user
  if (!isSysAdmin && user.isSysAdmin && isLastOfLevel(admins, id, 'isSysAdmin')) {
    throw new GatewayError('conflict', reason('last_admin', { username: user.username, level: 'SysAdmin' }))
  }
  await setSysAdmin(tx, id, isSysAdmin)
  if (user.isSysAdmin === isSysAdmin) return
  if (isSysAdmin) await endWaysIn(tx, id)
  await recordChange(tx, {
    actor,
    mandateId: 'system',
    action: isSysAdmin ? 'sysadmin_granted' : 'sysadmin_revoked',
    subject: `user:${id}`,
    before: { isSysAdmin: user.isSysAdmin },
    after: { isSysAdmin },
  })
}
