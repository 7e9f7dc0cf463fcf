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
interface Gift {
  /** Where it counts. */
  instanceId: string | null
  before: string[]
  after: string[]
}

/** What a change concerns: whose authority, and which roles are handed out or changed by it. */
export interface Concern extends Scope {
  gifts?: Gift[]
}

/** Somebody's rules at a place, before a change and after it. Without a holder: those of a role alone. */
export interface Shift {
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
  shifts: Shift[]
  /** What it does to what people could do if nothing of theirs were disabled. Listed only where asked for. */
  latent: Shift[]
  /** How many memberships and accesses it concerns, where that is more than were looked at. */
  unseen: number
  sessions: string[]
  tokens: string[]
}

/** Looks at what people may do before a change and after it. */
export interface Watch {
  /** To be told before the change, once. */
  about: (concern: Concern) => Promise<void>
  /** To be asked after it. */
  effect: () => Promise<Effect>
}

type Book = Map<string, ScopedRule[]>

async function readBook(sql: Sql, roleIds: string[]): Promise<Book> {
  const book: Book = new Map()
  for (const rule of roleIds.length > 0 ? await listRulesOfRoles(sql, [...new Set(roleIds)]) : [])
    book.set(rule.roleId, [...(book.get(rule.roleId) ?? []), rule])
  return book
}

/** Returns the rules of roles at a place. Those who hold the same roles share the same array. */
function ruleReader(
  book: Book,
): (place: { mandateId: string; instanceId: string | null; roleIds: string[] }) => PrioritisedRule[] {
  const known = new Map<string, PrioritisedRule[]>()
  return ({ mandateId, instanceId, roleIds }) => {
    const key = `${mandateId} ${instanceId ?? ''} ${roleIds.join()}`
    const rules =
      known.get(key) ??
      countingRules(
        roleIds.flatMap((id) => book.get(id) ?? []),
        mandateId,
        instanceId,
      )
    known.set(key, rules)
    return rules
  }
}

/** Reads the rules of roles once, for as many places as are asked about. */
export async function rulesOf(sql: Sql, roleIds: string[]): Promise<ReturnType<typeof ruleReader>> {
  return ruleReader(await readBook(sql, roleIds))
}

interface Before {
  concern: Concern
  holdings: Holding[]
  book: Book
  logins: { sessions: string[]; tokens: string[] }
}

const placeOf = ({ userId, mandateId, instanceId }: Holding) => `${userId} ${mandateId} ${instanceId ?? ''}`
const noLogins = { sessions: [], tokens: [] }

/**
 * The shifts of holders who can enter, and of roles that are handed out; and what holders who cannot, before
 * or after, would hold.
 */
async function shiftsOf(
  sql: Sql,
  { concern, holdings, book }: Before,
  mandateId: string,
  listed: Listed,
): Promise<{ shifts: Shift[]; latent: Shift[] }> {
  const gifts = concern.gifts ?? []
  // Who holds a role stays who they are when its rules change, and when it goes.
  const later = concern.roleId === undefined ? await listHoldings(sql, concern, listed) : holdings
  const after = ruleReader(
    await readBook(sql, [...later.flatMap(({ roleIds }) => roleIds), ...gifts.flatMap((gift) => gift.after)]),
  )
  const before = ruleReader(book)
  const [was, is] = [holdings, later].map((all) => new Map(all.map((one) => [placeOf(one), one]))) as [
    Map<string, Holding>,
    Map<string, Holding>,
  ]
  const places = [...new Map([...was, ...is])].map(([place, holder]) => ({
    holder,
    old: was.get(place),
    now: is.get(place),
  }))
  const shift = (
    { holder, old, now }: (typeof places)[number],
    counts: (one: Holding) => boolean,
  ): Shift => ({
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
    shifts: [
      ...places.filter(({ old, now }) => isOpen(old) || isOpen(now)).map((one) => shift(one, isOpen)),
      ...gifts.map(({ instanceId, ...gift }): Shift => ({
        holder: undefined,
        mandateId,
        instanceId,
        entered: true,
        before: before({ mandateId, instanceId, roleIds: gift.before }),
        after: after({ mandateId, instanceId, roleIds: gift.after }),
      })),
    ],
    latent: places
      .filter(({ old, now }) => isDisabled(old) || isDisabled(now))
      .map((one) => ({ ...shift(one, () => true), isLatent: true })),
  }
}

/**
 * Watches a transaction. `mandateId` is where gifts count; with `atMost` no more holders than that are looked
 * at; `withDisabled` lists latent shifts, too.
 */
export function watchAuthority(
  sql: Sql,
  { mandateId = '', ...listed }: { mandateId?: string | undefined } & Listed,
): Watch {
  let seen: Before | undefined
  const isPerson = ({ userId, mandateId: within }: Concern) => userId !== undefined && within === undefined
  return {
    about: async (concern) => {
      const holdings = await listHoldings(sql, concern, listed)
      const book = await readBook(sql, [
        ...holdings.flatMap(({ roleIds }) => roleIds),
        ...(concern.gifts ?? []).flatMap((gift) => gift.before),
      ])
      seen = {
        concern,
        holdings,
        book,
        logins: isPerson(concern) ? await listLogins(sql, concern.userId ?? '') : noLogins,
      }
    },
    effect: async () => {
      if (!seen) return { shifts: [], latent: [], unseen: 0, ...noLogins }
      const { concern, logins, holdings } = seen
      const left = isPerson(concern) ? await listLogins(sql, concern.userId ?? '') : noLogins
      return {
        ...(await shiftsOf(sql, seen, mandateId, listed)),
        unseen:
          holdings.length === listed.atMost
            ? Math.max(0, (await countHoldings(sql, concern)) - holdings.length)
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
export interface Flip extends Point {
  before: Permission
  after: Permission
}

/** What differs between the rules before and after. */
export function flipsOf({ before, after }: Pick<Shift, 'before' | 'after'>): Flip[] {
  return pointsOf(before, after)
    .map((point) => ({
      ...point,
      before: permissionFrom(before, point.context, point.item),
      after: permissionFrom(after, point.context, point.item),
    }))
    .filter((flip) => fields.some((field) => flip.before[field] !== flip.after[field]))
}
