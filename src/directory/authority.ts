import { type RuleContext, actions, ruleContexts } from '../domain/permissions.js'
import { permissionFrom, type Permission } from '../authorization/permissions.js'
import { listRulesOfRoles } from '../coherence/directory-queries.js'
import type { ScopedRule } from '../coherence/directory.js'
import { countingRules } from '../context/counting-rules.js'
import type { PrioritisedRule } from '../context/request-context.js'
import type { Sql } from '../database/connect.js'
import {
  countHoldings,
  listHoldings,
  listLogins,
  type Holding,
  type Listed,
  type Scope,
} from './authority-queries.js'

/** What a permission is asked for; null is every item that no rule names. */
export interface Point {
  context: RuleContext
  item: string | null
}

/** A change of what a role gives by itself, whoever holds it. */
interface RoleGrant {
  /** Where it counts. */
  instanceId: string | null
  before: string[]
  after: string[]
}

/** What a change concerns: whose authority, and which roles are handed out or changed by it. */
export interface AffectedHolders extends Scope {
  grants?: RoleGrant[]
}

/** Somebody's rules at a place, before a change and after it. Without a holder: those of a role alone. */
export interface AuthorityChange {
  holder: Pick<Holding, 'userId' | 'username'> | undefined
  mandateId: string
  instanceId: string | null
  before: PrioritisedRule[]
  after: PrioritisedRule[]
  /** Whether the place could be entered before. */
  entered: boolean
  /** Whether something of the holder is disabled: it is what they would hold. */
  isLatent?: true
}

/** All that a change does to what people may do. */
export interface Effect {
  changes: AuthorityChange[]
  /** What it does to what people could do if nothing of theirs were disabled. Listed only where asked for. */
  latent: AuthorityChange[]
  /** How many memberships and accesses it concerns, where that is more than were looked at. */
  unseen: number
  sessions: string[]
  tokens: string[]
}

/** Looks at what people may do before a change and after it. */
export interface AuthorityComparison {
  /** To be told before the change, once. */
  about: (affected: AffectedHolders) => Promise<void>
  /** To be asked after it. */
  effect: () => Promise<Effect>
}

type RulesByRole = Map<string, ScopedRule[]>

async function readRulesByRole(sql: Sql, roleIds: string[]): Promise<RulesByRole> {
  const rulesByRole: RulesByRole = new Map()
  for (const rule of roleIds.length > 0 ? await listRulesOfRoles(sql, [...new Set(roleIds)]) : [])
    rulesByRole.set(rule.roleId, [...(rulesByRole.get(rule.roleId) ?? []), rule])
  return rulesByRole
}

/** Returns the rules of roles at a place. Those who hold the same roles share the same array. */
function ruleReader(
  rulesByRole: RulesByRole,
): (place: { mandateId: string; instanceId: string | null; roleIds: string[] }) => PrioritisedRule[] {
  const known = new Map<string, PrioritisedRule[]>()
  return ({ mandateId, instanceId, roleIds }) => {
    const key = `${mandateId} ${instanceId ?? ''} ${roleIds.join()}`
    const rules =
      known.get(key) ??
      countingRules(
        roleIds.flatMap((id) => rulesByRole.get(id) ?? []),
        mandateId,
        instanceId,
      )
    known.set(key, rules)
    return rules
  }
}

/** Reads the rules of roles once, for as many places as are asked about. */
export async function rulesOf(sql: Sql, roleIds: string[]): Promise<ReturnType<typeof ruleReader>> {
  return ruleReader(await readRulesByRole(sql, roleIds))
}

interface Before {
  affected: AffectedHolders
  holdings: Holding[]
  rulesByRole: RulesByRole
  logins: { sessions: string[]; tokens: string[] }
}

const placeOf = ({ userId, mandateId, instanceId }: Holding) => `${userId} ${mandateId} ${instanceId ?? ''}`
const noLogins = { sessions: [], tokens: [] }

/**
 * The changes of holders who can enter, and of roles that are handed out; and what holders who cannot, before
 * or after, would hold.
 */
async function changesOf(
  sql: Sql,
  { affected, holdings, rulesByRole }: Before,
  mandateId: string,
  listed: Listed,
): Promise<{ changes: AuthorityChange[]; latent: AuthorityChange[] }> {
  const grants = affected.grants ?? []
  // Who holds a role stays who they are when its rules change, and when it goes.
  const later = affected.roleId === undefined ? await listHoldings(sql, affected, listed) : holdings
  const after = ruleReader(
    await readRulesByRole(sql, [
      ...later.flatMap(({ roleIds }) => roleIds),
      ...grants.flatMap((grant) => grant.after),
    ]),
  )
  const before = ruleReader(rulesByRole)
  const [was, is] = [holdings, later].map((all) => new Map(all.map((one) => [placeOf(one), one]))) as [
    Map<string, Holding>,
    Map<string, Holding>,
  ]
  const places = [...new Map([...was, ...is])].map(([place, holder]) => ({
    holder,
    old: was.get(place),
    now: is.get(place),
  }))
  const change = (
    { holder, old, now }: (typeof places)[number],
    counts: (one: Holding) => boolean,
  ): AuthorityChange => ({
    holder,
    mandateId: holder.mandateId,
    instanceId: holder.instanceId,
    entered: old?.isOpen === true,
    before: old && counts(old) ? before(old) : [],
    after: now && counts(now) ? after(now) : [],
  })
  const isOpen = (one: Holding | undefined) => one?.isOpen === true
  const isDisabled = (one: Holding | undefined) => one?.isOpen === false
  return {
    changes: [
      ...places.filter(({ old, now }) => isOpen(old) || isOpen(now)).map((one) => change(one, isOpen)),
      ...grants.map(({ instanceId, ...grant }): AuthorityChange => ({
        holder: undefined,
        mandateId,
        instanceId,
        entered: true,
        before: before({ mandateId, instanceId, roleIds: grant.before }),
        after: after({ mandateId, instanceId, roleIds: grant.after }),
      })),
    ],
    latent: places
      .filter(({ old, now }) => isDisabled(old) || isDisabled(now))
      .map((one) => ({ ...change(one, () => true), isLatent: true })),
  }
}

/**
 * Watches a transaction. `mandateId` is where grants count; with `atMost` no more holders than that are looked
 * at; `withDisabled` lists latent changes, too.
 */
export function compareAuthority(
  sql: Sql,
  { mandateId = '', ...listed }: { mandateId?: string | undefined } & Listed,
): AuthorityComparison {
  let seen: Before | undefined
  const isPerson = ({ userId, mandateId: within }: AffectedHolders) =>
    userId !== undefined && within === undefined
  return {
    about: async (affected) => {
      const holdings = await listHoldings(sql, affected, listed)
      const rulesByRole = await readRulesByRole(sql, [
        ...holdings.flatMap(({ roleIds }) => roleIds),
        ...(affected.grants ?? []).flatMap((grant) => grant.before),
      ])
      seen = {
        affected,
        holdings,
        rulesByRole,
        logins: isPerson(affected) ? await listLogins(sql, affected.userId ?? '') : noLogins,
      }
    },
    effect: async () => {
      if (!seen) return { changes: [], latent: [], unseen: 0, ...noLogins }
      const { affected, logins, holdings } = seen
      const left = isPerson(affected) ? await listLogins(sql, affected.userId ?? '') : noLogins
      return {
        ...(await changesOf(sql, seen, mandateId, listed)),
        unseen:
          holdings.length === listed.atMost
            ? Math.max(0, (await countHoldings(sql, affected)) - holdings.length)
            : 0,
        sessions: logins.sessions.filter((id) => !left.sessions.includes(id)),
        tokens: logins.tokens.filter((id) => !left.tokens.includes(id)),
      }
    },
  }
}

/**
 * Between these points no permission of these rules differs: what the longest named beginning of an item may
 * do, the item may.
 */
export function pointsOf(...rules: PrioritisedRule[][]): Point[] {
  const points = new Map<string, Point>(ruleContexts.map((context) => [context, { context, item: null }]))
  for (const {
    rule: { context, item },
  } of rules.flat())
    if (item !== null) points.set(`${context} ${item}`, { context, item })
  return [...points].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, point]) => point)
}

export const fields = ['view', ...actions] as const

/** A permission that is another after a change. */
export interface PermissionChange extends Point {
  before: Permission
  after: Permission
}

/** What differs between the rules before and after. */
export function permissionChangesOf({
  before,
  after,
}: Pick<AuthorityChange, 'before' | 'after'>): PermissionChange[] {
  return pointsOf(before, after)
    .map((point) => ({
      ...point,
      before: permissionFrom(before, point.context, point.item),
      after: permissionFrom(after, point.context, point.item),
    }))
    .filter((permissionChange) =>
      fields.some((field) => permissionChange.before[field] !== permissionChange.after[field]),
    )
}
