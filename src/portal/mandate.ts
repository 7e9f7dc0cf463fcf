import type { Request } from 'express'
import type { Action } from '../domain/permissions.js'
import { actionOfMethod } from '../authorization/guards.js'
import type { Coherence, CommitAndAwaitNodes, CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Database, Tx } from '../database/connect.js'
import { inMandate, type MandateTx } from '../database/mandate.js'
import { beginAsGovernor, findGovernor, isChange } from '../directory/still-governs.js'
import { GatewayError, notFound } from '../errors.js'

/** What reads and writes the rows of a mandate. */
export interface Rows {
  database: Database
  commitAndAwaitNodes: CommitAndAwaitNodes
}

/** The mandate that the caller has entered. */
function mandateOf({ state }: Request): string {
  if (!state.context?.mandateId)
    throw new GatewayError('mandate_required', 'Name the mandate in the header X-Mandate-Id')
  return state.context.mandateId
}

/** What was found, else `not_found`. */
export function found<Row>(row: Row | undefined): Row {
  if (row === undefined) throw notFound()
  return row
}

/** Enters the caller's mandate; for a change, as somebody who still may make it. */
async function enter<Transaction extends Tx, Result>(
  tx: Transaction,
  req: Request,
  mandateId: string,
  work: (tx: Transaction & MandateTx) => Promise<Result>,
): Promise<Result> {
  if (!isChange(req)) return await inMandate(tx, mandateId, work)
  return await enterAsGovernor(tx, req, mandateId, actionOfMethod[req.method] ?? 'delete', work)
}

/**
 * Enters a mandate to change something in it, as somebody whose rules still permit the action on the portal
 * by then.
 */
export async function enterAsGovernor<Transaction extends Tx, Result>(
  tx: Transaction,
  req: Request,
  mandateId: string,
  action: Action,
  work: (tx: Transaction & MandateTx) => Promise<Result>,
): Promise<Result> {
  await beginAsGovernor(tx, req)
  return await inMandate(tx, mandateId, async (inside) => {
    await findGovernor(inside, req, { mandateId, instanceId: null, item: 'gateway.portal', action })
    return await work(inside)
  })
}

/** Reads and adds, in the caller's mandate. */
export function within<Result>(
  { database }: Rows,
  req: Request,
  work: (tx: MandateTx, mandateId: string) => Promise<Result>,
): Promise<Result> {
  const mandateId = mandateOf(req)
  return database.transaction((tx) => enter(tx, req, mandateId, (inside) => work(inside, mandateId)))
}

/** Changes and takes away, in the caller's mandate: answers when no node acts on the old state any more. */
export function coherentWithin<Result>(
  { commitAndAwaitNodes }: Rows,
  req: Request,
  work: (tx: CoherentTx & MandateTx, mandateId: string) => Promise<Result>,
): Promise<{ result: Result; coherence: Coherence }> {
  const mandateId = mandateOf(req)
  return commitAndAwaitNodes((tx) => enter(tx, req, mandateId, (inside) => work(inside, mandateId)))
}

/** A row with what a change says of it; what the change leaves out stays. */
export function merged<Row extends object>(
  row: Row,
  change: { [Key in keyof Row]?: Row[Key] | undefined },
): Row {
  return { ...row, ...Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) }
}
