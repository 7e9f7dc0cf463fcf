import { reason } from '../domain/reasons.js'
import { type Action, actions } from '../domain/permissions.js'
import { permissionFrom, type Permission } from '../authorization/permissions.js'
import type { PrioritisedRule } from '../context/request-context.js'
import type { Sql } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { findStanding } from './authority-queries.js'
import { fields, pointsOf, rulesOf, type Point, type AuthorityChange } from './authority.js'

/**
 * Somebody who governs a mandate by its rules, as those stand in the transaction. They may give what they
 * hold and no more: no change of theirs leaves anybody with a permission that was not there before and that
 * they do not hold themselves.
 */
export interface DelegatedAdmin {
  userId: string
  /** What counts for them at a place: the mandate's rules, and with an instance also what they hold there. */
  rulesAt: (instanceId: string | null) => PrioritisedRule[]
}

/** Reads what a user holds in a mandate. */
export async function findDelegatedAdmin(
  sql: Sql,
  userId: string,
  mandateId: string,
): Promise<DelegatedAdmin> {
  const { membership, accesses } = await findStanding(sql, userId, mandateId)
  const memberRoles = membership?.enabled === true ? membership.roleIds : []
  const open = accesses.filter(({ enabled }) => enabled)
  const rules = await rulesOf(sql, [...memberRoles, ...open.flatMap(({ roleIds }) => roleIds)])
  return {
    userId,
    rulesAt: (instanceId) => {
      const access = open.find((one) => one.instanceId === instanceId)
      return rules({ mandateId, instanceId, roleIds: [...memberRoles, ...(access?.roleIds ?? [])] })
    },
  }
}

const reach = { n: 0, m: 1, g: 2, a: 3 }
const sizeOf = (value: boolean | Permission['read']) =>
  typeof value === 'boolean' ? Number(value) : reach[value]

const nameOf = ({ context, item }: Point) => `${context} ${item ?? '(all other items)'}`

/** What may be given at a point: what is held in the mandate, or at the place. */
function mayGive(
  delegatedAdmin: DelegatedAdmin,
  instanceId: string | null,
  { context, item }: Point,
): Permission[] {
  return [delegatedAdmin.rulesAt(null), delegatedAdmin.rulesAt(instanceId)].map((rules) =>
    permissionFrom(rules, context, item),
  )
}

function refuseChange(
  delegatedAdmin: DelegatedAdmin,
  { holder, instanceId, before, after, entered, isLatent }: AuthorityChange,
): void {
  const isOwn = holder?.userId === delegatedAdmin.userId && entered
  for (const point of pointsOf(
    before,
    after,
    delegatedAdmin.rulesAt(null),
    delegatedAdmin.rulesAt(instanceId),
  )) {
    const [was, is] = [before, after].map((rules) => permissionFrom(rules, point.context, point.item)) as [
      Permission,
      Permission,
    ]
    const wider = fields.filter((field) => sizeOf(is[field]) > sizeOf(was[field]))
    if (wider.length > 0 && isOwn)
      throw new GatewayError(
        'permission_denied',
        reason('more_than_own', { rights: `${wider.join(', ')} on ${nameOf(point)}` }),
      )
    const held = wider.length > 0 ? mayGive(delegatedAdmin, instanceId, point) : []
    const beyond = wider.filter((field) => held.every((one) => sizeOf(one[field]) < sizeOf(is[field])))
    if (beyond.length > 0)
      throw new GatewayError(
        'permission_denied',
        reason('beyond_own', {
          rights: `${beyond.map((field) => `${field} ${String(is[field])}`).join(', ')} on ${nameOf(point)}${isLatent && holder ? `, once ${holder.username} can enter again` : ''}`,
        }),
      )
  }
}

/** Refuses a change that gives more than the delegated admin holds, to anybody. Throws `permission_denied`. */
export function refuseBeyond(delegatedAdmin: DelegatedAdmin, changes: AuthorityChange[]): void {
  const looked = new Set<string>()
  const ids = new Map<PrioritisedRule[], number>()
  const idOf = (rules: PrioritisedRule[]) => ids.get(rules) ?? (ids.set(rules, ids.size), ids.size - 1)
  for (const change of changes) {
    // Those who hold the same roles share their arrays.
    const key = `${change.instanceId ?? ''} ${idOf(change.before)} ${idOf(change.after)} ${String(change.holder?.userId === delegatedAdmin.userId)}`
    if (!looked.has(key)) refuseChange(delegatedAdmin, change)
    looked.add(key)
  }
}

const governing = ['gateway.members', 'gateway.roles', 'gateway.instances'] as const

/**
 * Nobody shuts themself out of governing: with nobody else left to do it, a mandate could not be mended from
 * within. Throws `conflict`.
 */
export function refuseLockout(delegatedAdmin: DelegatedAdmin, changes: AuthorityChange[]): void {
  for (const { holder, instanceId, before, after } of changes) {
    if (holder?.userId !== delegatedAdmin.userId || instanceId !== null) continue
    for (const item of governing) {
      const [was, is] = [before, after].map((rules) => permissionFrom(rules, 'RESOURCE', item)) as [
        Permission,
        Permission,
      ]
      const lost = actions.find((action) => was[action] !== 'n' && is[action] === 'n')
      if (lost) throw new GatewayError('conflict', reason('takes_from_yourself', { action: lost, item }))
    }
  }
}

/** Refuses what the delegated admin may not do any more, by what the transaction sees. Throws `permission_denied`. */
export function refuseUnpermitted(
  delegatedAdmin: DelegatedAdmin,
  instanceId: string | null,
  item: string,
  action: Action,
): void {
  if (permissionFrom(delegatedAdmin.rulesAt(instanceId), 'RESOURCE', item)[action] === 'n')
    throw new GatewayError(
      'permission_denied',
      reason('not_permitted', { action, context: 'RESOURCE', item }),
    )
}
