import { reason } from '../domain/reasons.js'
import { type Action, actions } from '../domain/permissions.js'
import { permissionFrom, type Permission } from '../authorization/permissions.js'
import type { PrioritisedRule } from '../context/request-context.js'
import type { Sql } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { findStanding } from './authority-queries.js'
import { fields, pointsOf, rulesOf, type Point, type Shift } from './authority.js'

/**
 * Somebody who governs a mandate by its rules, as those stand in the transaction. They may give what they
 * hold and no more: no change of theirs leaves anybody with a permission that was not there before and that
 * they do not hold themselves.
 */
export interface Granter {
  userId: string
  /** What counts for them at a place: the mandate's rules, and with an instance also what they hold there. */
  rulesAt: (instanceId: string | null) => PrioritisedRule[]
}

/** Reads what a user holds in a mandate. */
export async function findGranter(sql: Sql, userId: string, mandateId: string): Promise<Granter> {
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
function mayGive(granter: Granter, instanceId: string | null, { context, item }: Point): Permission[] {
  return [granter.rulesAt(null), granter.rulesAt(instanceId)].map((rules) =>
    permissionFrom(rules, context, item),
  )
}

function refuseShift(
  granter: Granter,
  { holder, instanceId, before, after, entered, isLatent }: Shift,
): void {
  const isOwn = holder?.userId === granter.userId && entered
  for (const point of pointsOf(before, after, granter.rulesAt(null), granter.rulesAt(instanceId))) {
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
    const held = wider.length > 0 ? mayGive(granter, instanceId, point) : []
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

/** Refuses a change that gives more than the granter holds, to anybody. Throws `permission_denied`. */
export function refuseBeyond(granter: Granter, shifts: Shift[]): void {
  const looked = new Set<string>()
  const ids = new Map<PrioritisedRule[], number>()
  const idOf = (rules: PrioritisedRule[]) => ids.get(rules) ?? (ids.set(rules, ids.size), ids.size - 1)
  for (const shift of shifts) {
    // Those who hold the same roles share their arrays.
    const key = `${shift.instanceId ?? ''} ${idOf(shift.before)} ${idOf(shift.after)} ${String(shift.holder?.userId === granter.userId)}`
    if (!looked.has(key)) refuseShift(granter, shift)
    looked.add(key)
  }
}

const governing = ['gateway.members', 'gateway.roles', 'gateway.instances'] as const

/**
 * Nobody shuts themself out of governing: with nobody else left to do it, a mandate could not be mended from
 * within. Throws `conflict`.
 */
export function refuseLockout(granter: Granter, shifts: Shift[]): void {
  for (const { holder, instanceId, before, after } of shifts) {
    if (holder?.userId !== granter.userId || instanceId !== null) continue
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

/** Refuses what the granter may not do any more, by what the transaction sees. Throws `permission_denied`. */
export function refuseUnpermitted(
  granter: Granter,
  instanceId: string | null,
  item: string,
  action: Action,
): void {
  if (permissionFrom(granter.rulesAt(instanceId), 'RESOURCE', item)[action] === 'n')
    throw new GatewayError(
      'permission_denied',
      reason('not_permitted', { action, context: 'RESOURCE', item }),
    )
}
