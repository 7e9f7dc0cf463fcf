import { recordChange, type Actor } from '../audit/record-change.js'
import { found } from './fields.js'
import {
  accesses,
  findMember,
  insertMember,
  memberships,
  setMemberRoles,
  type Member,
} from './member-queries.js'
import { refuseOverQuota } from './quota-queries.js'
import type { Changing } from './scope.js'

interface Given {
  mandateId: string
  userId: string
  actor: Actor
  grant: { roleIds: string[]; access: { instanceId: string; roleIds: string[] }[] }
}

/**
 * Makes somebody who accepts an invitation a member of its mandate, with roles and access to instances. They
 * show their profile by it. Rejects with `conflict` where they have a row there already, and over quota.
 */
export async function giveInvited(tx: Changing, { mandateId, userId, actor, grant }: Given): Promise<void> {
  await refuseOverQuota(tx, mandateId, 'members')
  const record = (kind: 'member' | 'access', { id }: Member, roleIds: string[]) =>
    recordChange(tx, {
      actor,
      mandateId,
      action: `${kind}_added`,
      subject: `${kind}:${id}`,
      after: { id, userId, enabled: true, roleIds: [...roleIds].sort() },
    })
  const rows = { kind: memberships, withinId: mandateId, seesAll: true }
  await insertMember(tx, rows, userId, true)
  const member = found(await findMember(tx, rows, userId))
  await setMemberRoles(tx, memberships, member.id, grant.roleIds)
  await record('member', member, grant.roleIds)
  for (const { instanceId, roleIds } of grant.access) {
    const onInstance = { kind: accesses, withinId: instanceId, seesAll: true }
    await insertMember(tx, onInstance, userId, true)
    const access = found(await findMember(tx, onInstance, userId))
    await setMemberRoles(tx, accesses, access.id, roleIds)
    await record('access', access, roleIds)
  }
}
