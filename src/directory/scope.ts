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
import { checkIfMatch } from '../http/endpoint/etag.js'
import { mandateAdmins, platformAdmins, type Policy } from '../http/endpoint/policy.js'
import { compareAuthority, type AffectedHolders, type Effect } from './authority.js'
import type { Caller } from './caller.js'
import { refuseBeyond, refuseLockout, type DelegatedAdmin } from './delegated-admin.js'
import { beginAsGovernor, findGovernor, isChange } from './still-governs.js'

declare const seenBrand: unique symbol

/**
 * Runs SQL and sees what an administrator may see: the whole platform, or one mandate's rows alone. Only a
 * scope makes one.
 */
export type Seen = Sql & { readonly [seenBrand]: true }

/** A transaction that changes rows within that. */
export type Changing = CoherentTx & Seen

/** A change that is under way for a caller. */
export interface Edit {
  tx: Changing
  /** The mandate of the change. Undefined on the platform. */
  mandateId: string | undefined
  /** The caller, if they may give only what they hold. */
  delegatedAdmin: DelegatedAdmin | undefined
  actor: Actor
  /** True for a SysAdmin, and on the command line. */
  bySysAdmin: boolean
  /** Throws `changed_meanwhile` if the caller has read another state than this one (`If-Match`). */
  checkUnchanged: (current: object) => void
  /** Must be called before a change of rights, with the holders that it affects. */
  about: (affected: AffectedHolders) => Promise<void>
  /** Writes the audit event. In the scope of one mandate it is an event of that mandate. */
  record: (change: Omit<Change, 'actor' | 'mandateId'> & { mandateId?: string | null }) => Promise<void>
}

/** What a change returned, and how all nodes acknowledged it; or, for a dry run, what it would change. */
export type ChangeOutcome<Result> = { result: Result; coherence: Coherence } | { effect: Effect }

/** A call of an endpoint, as far as its scope needs it. */
export interface AdminCall {
  req: Caller
  params: Record<string, string>
}

/** A call that changes something. */
export interface ChangeCall extends AdminCall {
  query: { dryRun: boolean }
}

/** The callers of an endpoint, and the rows that they govern. */
export interface AdminScope {
  access: Policy
  /** Reads. */
  see: <Result>(
    call: AdminCall,
    work: (sql: Seen, mandateId: string | undefined) => Promise<Result>,
  ) => Promise<Result>
  /** Makes a change, on all nodes. With `dryRun` in the query it only finds out what the change would do. */
  change: <Result>(call: ChangeCall, work: (edit: Edit) => Promise<Result>) => Promise<ChangeOutcome<Result>>
}

/** The parts that scopes are made of. */
export interface Governing {
  database: Database
  commitAndAwaitNodes: CommitAndAwaitNodes
  performDryRun: PerformDryRun
}

/** The number of holders that a preview beyond one mandate looks at. */
export const previewed = 1000

interface Inside {
  mandateId: string | undefined
  delegatedAdmin?: DelegatedAdmin
}

type Enter = <Transaction extends Tx, Result>(
  tx: Transaction,
  call: AdminCall,
  work: (inside: Transaction & Seen, at: Inside) => Promise<Result>,
) => Promise<Result>

type EnterChange = <Result>(
  tx: CoherentTx,
  work: (inside: Changing, at: Inside) => Promise<Result>,
) => Promise<Result>

/** Who makes a change, and how. */
interface ChangeRequest extends Pick<Edit, 'actor' | 'bySysAdmin' | 'checkUnchanged'> {
  dryRun: boolean
}

/** Returns the work of a change within its transaction: it records authority before and after, and refuses too much. */
function watched<Result>(
  { dryRun, ...request }: ChangeRequest,
  work: (edit: Edit) => Promise<Result>,
): (tx: Changing, at: Inside) => Promise<{ result: Result; effect: Effect | undefined }> {
  return async (tx, { mandateId, delegatedAdmin }) => {
    const watch = compareAuthority(tx, {
      mandateId,
      ...(delegatedAdmin ? { withDisabled: true } : { atMost: previewed }),
    })
    const isWatched = delegatedAdmin !== undefined || dryRun
    const result = await work({
      ...request,
      tx,
      mandateId,
      delegatedAdmin,
      about: async (affected) => {
        if (isWatched) await watch.about(affected)
      },
      record: (one) =>
        recordChange(tx, {
          ...one,
          actor: request.actor,
          mandateId: mandateId ?? one.mandateId ?? 'system',
        }),
    })
    const effect = isWatched ? await watch.effect() : undefined
    if (delegatedAdmin && effect) {
      // what is disabled now may be enabled by somebody else
      refuseBeyond(delegatedAdmin, [...effect.changes, ...effect.latent])
      refuseLockout(delegatedAdmin, effect.changes)
    }
    return { result, effect }
  }
}

/** Makes a change on all nodes, or finds out what it would do. */
async function carryOut<Result>(
  { commitAndAwaitNodes, performDryRun }: Governing,
  request: ChangeRequest,
  enter: EnterChange,
  work: (edit: Edit) => Promise<Result>,
): Promise<ChangeOutcome<Result>> {
  const inside = watched(request, work)
  const run = (outer: CoherentTx) => enter(outer, inside)
  if (request.dryRun) {
    const { effect } = await performDryRun(run)
    return { effect: effect ?? { changes: [], latent: [], unseen: 0, sessions: [], tokens: [] } }
  }
  const {
    result: { result },
    coherence,
  } = await commitAndAwaitNodes(run)
  return { result, coherence }
}

type Begin = (tx: Tx, call: AdminCall) => Promise<void>

function scopeOf(
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
        {
          actor: actorOf(call.req),
          bySysAdmin: call.req.state.principal?.user.isSysAdmin === true,
          checkUnchanged: (current) => checkIfMatch(call.req, current),
          dryRun: call.query.dryRun,
        },
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

/** Returns the scope of the whole platform, for platform admins. */
export function platformScope(governing: Governing): AdminScope {
  return scopeOf(governing, platformAdmins, {
    begin: beginOnPlatform,
    enter: (tx, _call, work) => work(asSeen(tx), { mandateId: undefined }),
  })
}

/** The scope of the whole platform on the command line, for operators who have the gateway's secrets. */
export interface OperatorScope {
  see: <Result>(work: (sql: Seen) => Promise<Result>) => Promise<Result>
  change: <Result>(
    work: (edit: Edit) => Promise<Result>,
    options?: { dryRun: boolean },
  ) => Promise<ChangeOutcome<Result>>
}

/** Returns that scope. `actor` says who calls the command line. */
export function operatorScope(governing: Governing, actor: Actor): OperatorScope {
  return {
    see: (work) => governing.database.transaction((tx) => work(asSeen(tx))),
    change: (work, { dryRun } = { dryRun: false }) =>
      carryOut(
        governing,
        { actor, bySysAdmin: true, checkUnchanged: () => undefined, dryRun },
        async (tx, inside) => {
          await lockAdministration(tx)
          return await inside(asSeen(tx), { mandateId: undefined })
        },
        work,
      ),
  }
}

/**
 * Returns the scope of the one mandate that a path is about, for platform admins. `findMandateId` returns its
 * id, if it exists.
 */
export function mandateOfPath(
  governing: Governing,
  findMandateId: (sql: Sql, call: AdminCall) => Promise<string | undefined>,
): AdminScope {
  return scopeOf(governing, platformAdmins, {
    begin: beginOnPlatform,
    enter: async (tx, call, work) => {
      const mandateId = await findMandateId(tx, call)
      if (mandateId === undefined) throw notFound()
      return await inMandate(tx, mandateId, (inside) => work(asSeen(inside), { mandateId }))
    },
  })
}

/** Returns the context of a request. Every endpoint with this scope requires one. */
function contextOf(req: Caller): { mandateId: string; instanceId: string | null } {
  const { mandateId, featureInstanceId } = req.state.requireContext()
  if (mandateId === null) throw new GatewayError('internal_error', 'Internal error')
  return { mandateId, instanceId: featureInstanceId }
}

/**
 * Returns the scope of the mandate that the request names, for callers whose rules there give them
 * `RESOURCE item`. They can give only what they hold.
 */
export function ownMandate(governing: Governing, item: string): AdminScope {
  return scopeOf(governing, mandateAdmins(item), {
    begin: (tx, { req }) => beginAsGovernor(tx, req),
    enter: async (tx, { req }, work) => {
      const context = contextOf(req)
      return await inMandate(tx, context.mandateId, async (inside) => {
        const delegatedAdmin = isChange(req)
          ? await findGovernor(inside, req, { ...context, item })
          : undefined
        return await work(asSeen(inside), {
          mandateId: context.mandateId,
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
