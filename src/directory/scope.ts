import type { Request } from 'express'
import { recordChange, actorOf, type Actor, type Change } from '../audit/record-change.js'
import { lockAdministration } from '../authorization/level-queries.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import type {
  Coherence,
  CommitAndAwaitNodes,
  CoherentTx,
  PerformDryRun,
} from '../coherence/commit-and-await-nodes.js'
import type { Database, Sql, Tx } from '../database/connect.js'
import { inMandate } from '../database/mandate.js'
import { GatewayError, notFound } from '../errors.js'
import type { Call } from '../http/endpoint/endpoint.js'
import { mandateAdmins, platformAdmins, type Policy } from '../http/endpoint/policy.js'
import { compareAuthority, type AffectedHolders, type Effect } from './authority.js'
import { refuseBeyond, refuseLockout, type DelegatedAdmin } from './delegated-admin.js'
import { beginAsGovernor, findGovernor, isChange } from './still-governs.js'

declare const seenBrand: unique symbol

/**
 * What runs SQL and sees what an administrator may see: the whole platform, or one mandate's rows alone. Only
 * a scope makes one.
 */
export type Seen = Sql & { readonly [seenBrand]: true }

/** A change within that. */
export type Changing = CoherentTx & Seen

/** A change that is being made for somebody. */
export interface Edit {
  tx: Changing
  /** The mandate that it is made in; undefined: on the platform. */
  mandateId: string | undefined
  /** Who makes it, where they may give only what they hold. */
  delegatedAdmin: DelegatedAdmin | undefined
  actor: Actor
  /** To be called before the change, where it changes rights: what it concerns. */
  about: (affected: AffectedHolders) => Promise<void>
  /** Writes the event; in the scope of one mandate under that mandate. */
  record: (change: Omit<Change, 'actor' | 'mandateId'> & { mandateId?: string | null }) => Promise<void>
}

/** What has been changed, and that all nodes have heard of it; or what would be changed. */
export type Outcome<Result> = { result: Result; coherence: Coherence } | { effect: Effect }

type AnyCall = Pick<Call<unknown, unknown>, 'req' | 'params'>
type ChangeCall = Pick<Call<unknown, { dryRun: boolean }>, 'req' | 'params' | 'query'>

/** For whom an endpoint works, and within what. */
export interface AdminScope {
  access: Policy
  /** Reads. */
  see: <Result>(
    call: AnyCall,
    work: (sql: Seen, mandateId: string | undefined) => Promise<Result>,
  ) => Promise<Result>
  /**
   * Changes something, on all nodes; or, where the query says `dryRun`, finds out what that would do, and
   * does nothing.
   */
  change: <Result>(call: ChangeCall, work: (edit: Edit) => Promise<Result>) => Promise<Outcome<Result>>
}

/** What realms are made of. */
export interface Governing {
  database: Database
  commitAndAwaitNodes: CommitAndAwaitNodes
  performDryRun: PerformDryRun
}

/** Holders that a preview beyond one mandate looks at. */
export const previewed = 1000

interface Inside {
  mandateId: string | undefined
  delegatedAdmin?: DelegatedAdmin
}

type Enter = <Transaction extends Tx, Result>(
  tx: Transaction,
  call: AnyCall,
  work: (inside: Transaction & Seen, at: Inside) => Promise<Result>,
) => Promise<Result>

type EnterChange = <Result>(
  tx: CoherentTx,
  work: (inside: Changing, at: Inside) => Promise<Result>,
) => Promise<Result>

/** Makes a change on all nodes, or finds out what it would do. */
async function carryOut<Result>(
  { commitAndAwaitNodes, performDryRun }: Governing,
  { actor, dryRun }: { actor: Actor; dryRun: boolean },
  enter: EnterChange,
  work: (edit: Edit) => Promise<Result>,
): Promise<Outcome<Result>> {
  const run = (outer: CoherentTx) =>
    enter(outer, async (tx, { mandateId, delegatedAdmin }) => {
      const watch = compareAuthority(tx, {
        mandateId,
        ...(delegatedAdmin ? { withDisabled: true } : { atMost: previewed }),
      })
      const isWatched = delegatedAdmin !== undefined || dryRun
      const result = await work({
        tx,
        mandateId,
        delegatedAdmin,
        actor,
        about: async (affected) => {
          if (isWatched) await watch.about(affected)
        },
        record: (one) =>
          recordChange(tx, { ...one, actor, mandateId: mandateId ?? one.mandateId ?? 'system' }),
      })
      const effect = isWatched ? await watch.effect() : undefined
      if (delegatedAdmin && effect) {
        // what is disabled now may be enabled by somebody else
        refuseBeyond(delegatedAdmin, [...effect.changes, ...effect.latent])
        refuseLockout(delegatedAdmin, effect.changes)
      }
      return { result, effect }
    })
  if (dryRun) {
    const { effect } = await performDryRun(run)
    return { effect: effect ?? { changes: [], latent: [], unseen: 0, sessions: [], tokens: [] } }
  }
  const {
    result: { result },
    coherence,
  } = await commitAndAwaitNodes(run)
  return { result, coherence }
}

type Begin = (tx: Tx, call: AnyCall) => Promise<void>

function realmOf(
  governing: Governing,
  access: Policy,
  { begin, enter }: { begin: Begin; enter: Enter },
): AdminScope {
  return {
    access,
    see: (call, work) =>
      governing.database.transaction((tx) =>
        enter(tx, call, (inside, { mandateId }) => work(inside, mandateId)),
      ),
    change: (call, work) =>
      carryOut(
        governing,
        { actor: actorOf(call.req), dryRun: call.query.dryRun },
        async (tx, inside) => {
          if (!call.query.dryRun) await begin(tx, call)
          return await enter(tx, call, inside)
        },
        work,
      ),
  }
}

// The brands are made here and nowhere else.
const asSeen = <Transaction extends Tx>(tx: Transaction) => tx as Transaction & Seen

const beginOnPlatform: Begin = (tx, { req }) => beginAsAdmin(tx, req.state.principal?.user, 'platformAdmin')

/** All of the platform, for platform admins. */
export function platformScope(governing: Governing): AdminScope {
  return realmOf(governing, platformAdmins, {
    begin: beginOnPlatform,
    enter: (tx, _call, work) => work(asSeen(tx), { mandateId: undefined }),
  })
}

/** All of the platform, for whoever runs the gateway and has its secrets: from its command line. */
export interface OperatorScope {
  see: <Result>(work: (sql: Seen) => Promise<Result>) => Promise<Result>
  change: <Result>(
    work: (edit: Edit) => Promise<Result>,
    options?: { dryRun: boolean },
  ) => Promise<Outcome<Result>>
}

/** Makes it; `actor` says who calls the command line. */
export function operatorScope(governing: Governing, actor: Actor): OperatorScope {
  return {
    see: (work) => governing.database.transaction((tx) => work(asSeen(tx))),
    change: (work, { dryRun } = { dryRun: false }) =>
      carryOut(
        governing,
        { actor, dryRun },
        async (tx, inside) => {
          await lockAdministration(tx)
          return await inside(asSeen(tx), { mandateId: undefined })
        },
        work,
      ),
  }
}

/**
 * The one mandate that a path is about, for platform admins. `findMandateId` answers which, where there is
 * one.
 */
export function mandateOfPath(
  governing: Governing,
  findMandateId: (sql: Sql, call: AnyCall) => Promise<string | undefined>,
): AdminScope {
  return realmOf(governing, platformAdmins, {
    begin: beginOnPlatform,
    enter: async (tx, call, work) => {
      const mandateId = await findMandateId(tx, call)
      if (mandateId === undefined) throw notFound()
      return await inMandate(tx, mandateId, (inside) => work(asSeen(inside), { mandateId }))
    },
  })
}

/** The context of a request that an endpoint has asked one of; its absence would be a fault of the chain. */
function placeOf(req: Request): { mandateId: string; instanceId: string | null } {
  const { mandateId, featureInstanceId } = req.state.requireContext()
  if (mandateId === null) throw new GatewayError('internal_error', 'Internal error')
  return { mandateId, instanceId: featureInstanceId }
}

/**
 * The mandate that the request names, for those whose rules there give them `RESOURCE item`: they can give
 * only what they hold.
 */
export function ownMandate(governing: Governing, item: string): AdminScope {
  return realmOf(governing, mandateAdmins(item), {
    begin: (tx, { req }) => beginAsGovernor(tx, req),
    enter: async (tx, { req }, work) => {
      const place = placeOf(req)
      return await inMandate(tx, place.mandateId, async (inside) => {
        const delegatedAdmin = isChange(req) ? await findGovernor(inside, req, { ...place, item }) : undefined
        return await work(asSeen(inside), {
          mandateId: place.mandateId,
          ...(delegatedAdmin ? { delegatedAdmin } : {}),
        })
      })
    },
  })
}

/** Runs the part of a change that is within a mandate, for a person who has been invited to it. */
export const inInvitedMandate = <Result>(
  tx: CoherentTx,
  mandateId: string,
  work: (inside: Changing) => Promise<Result>,
): Promise<Result> => inMandate(tx, mandateId, (inside) => work(asSeen(inside)))
